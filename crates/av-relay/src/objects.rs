//! Which object a chunk belongs to, as far as its header tells.
//!
//! Chunk numbers of an object are consecutive, and its first chunk is marked, so an object reaches to the next mark. Where the
//! mark was lost, the object is noticed when layer or class differ, or a source symbol follows a repair symbol; otherwise its
//! chunks count to the object before, which has the same layer and class, and is treated alike.

use crate::ring::Flags;
use av_wire::ChunkHeader;
use core_types::{Epoch, ObjectClass};
use std::collections::VecDeque;

/// Objects remembered: a chunk that comes later than this many objects is taken as one of its own.
const KEPT: usize = 64;

#[derive(Debug)]
struct Open {
    epoch: Epoch,
    /// Lowest chunk number.
    first: u64,
    /// Lowest number of a repair symbol.
    repair: u64,
    layer: u8,
    class: ObjectClass,
    /// The marked first chunk has come.
    started: bool,
    number: u64,
    flags: Flags,
}

impl Open {
    fn takes(&self, header: &ChunkHeader, layer: u8) -> bool {
        let source_before_repair = header.marks.repair || header.chunk_seq.0 < self.repair;
        self.epoch == header.epoch
            && self.layer == layer
            && self.class == header.marks.class
            && source_before_repair
    }
}

#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// In order of epoch and first number.
    recent: VecDeque<Open>,
    next: u64,
}

impl Objects {
    /// The object that a chunk belongs to, and its flags; `None` if it is the first one of a new object.
    pub(crate) fn find(&mut self, header: &ChunkHeader, layer: u8) -> Option<(u64, Flags)> {
        let (epoch, seq, marks) = (header.epoch, header.chunk_seq.0, header.marks);
        let after = self.after(epoch, seq);
        let at = match after.checked_sub(1) {
            Some(before) if !marks.start && self.recent[before].takes(header, layer) => before,
            // A chunk that was overtaken by later ones of its object.
            _ if self.recent.get(after).is_some_and(|o| !o.started && o.takes(header, layer)) => after,
            _ => return None,
        };
        let object = &mut self.recent[at];
        object.first = object.first.min(seq);
        object.started |= marks.start;
        if marks.repair {
            object.repair = object.repair.min(seq);
        }
        Some((object.number, object.flags))
    }

    /// Remembers a new object, and gives its number.
    pub(crate) fn open(&mut self, header: &ChunkHeader, layer: u8, flags: Flags) -> u64 {
        let number = self.next;
        self.next += 1;
        let (epoch, first, marks) = (header.epoch, header.chunk_seq.0, header.marks);
        let repair = if marks.repair { first } else { u64::MAX };
        let at = self.after(epoch, first);
        let object =
            Open { epoch, first, repair, layer, class: marks.class, started: marks.start, number, flags };
        self.recent.insert(at, object);
        if self.recent.len() > KEPT {
            self.recent.pop_front();
        }
        number
    }

    /// Where the objects begin that come after a chunk number.
    fn after(&self, epoch: Epoch, seq: u64) -> usize {
        match self.recent.back() {
            Some(last) if (last.epoch, last.first) <= (epoch, seq) => self.recent.len(),
            _ => self.recent.partition_point(|o| (o.epoch, o.first) <= (epoch, seq)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "helpers of tests")]
mod tests {
    use super::*;
    use core_types::{ChunkSeq, CodecId, Layer, Marks, StreamId};
    use proptest::prelude::*;

    fn header(epoch: u64, seq: u64, marks: Marks) -> ChunkHeader {
        ChunkHeader {
            stream_id: StreamId([1; 32]),
            epoch: Epoch(epoch),
            chunk_seq: ChunkSeq(seq),
            codec: CodecId::Av1,
            layer: Layer::BASE,
            marks,
        }
    }

    fn take(objects: &mut Objects, header: &ChunkHeader, layer: u8) -> u64 {
        match objects.find(header, layer) {
            Some((number, _)) => number,
            None => objects.open(header, layer, Flags::default()),
        }
    }

    /// Chunks of objects one after the other: layer, source and repair symbols.
    fn chunks(objects: &[(u8, u64, u64)]) -> Vec<(usize, u8, ChunkHeader)> {
        let mut all = Vec::new();
        for (object, (layer, source, repair)) in objects.iter().enumerate() {
            for at in 0..source + repair {
                let marks = Marks { class: ObjectClass::Plain, start: at == 0, repair: at >= *source };
                all.push((object, *layer, header(1, all.len() as u64, marks)));
            }
        }
        all
    }

    /// The objects that the chunks are of, by the order in which they were first seen.
    fn is_right(taken: &[(usize, u64)]) -> bool {
        let mut seen = Vec::new();
        for (object, _) in taken {
            if !seen.contains(object) {
                seen.push(*object);
            }
        }
        taken.iter().all(|(object, number)| seen[*number as usize] == *object)
    }

    proptest! {
        #[test]
        fn chunks_in_order_are_told_apart_whatever_is_lost_behind_the_first(
            objects in prop::collection::vec((0u8..3, 1u64..5, 0u64..3), 1..60), lost: u64,
        ) {
            let mut table = Objects::default();
            let taken: Vec<_> = chunks(&objects).into_iter().enumerate()
                .filter(|(at, (_, _, header))| header.marks.start || lost >> (at % 64) & 1 == 0)
                .map(|(_, (object, layer, header))| (object, take(&mut table, &header, layer))).collect();
            prop_assert!(is_right(&taken));
        }

        #[test]
        fn neighbours_may_overtake_one_another_where_something_tells_objects_apart(
            objects in prop::collection::vec((2u64..5, 1u64..3), 1..20), swaps: u64,
        ) {
            let objects: Vec<_> = objects.into_iter().map(|(source, repair)| (0, source, repair)).collect();
            let mut all = chunks(&objects);
            let mut at = 0;
            while at + 1 < all.len() {
                if swaps >> (at % 64) & 1 == 1 {
                    all.swap(at, at + 1);
                    at += 1;
                }
                at += 1;
            }
            let mut table = Objects::default();
            let taken: Vec<_> =
                all.into_iter().map(|(object, layer, header)| (object, take(&mut table, &header, layer))).collect();
            prop_assert!(is_right(&taken));
        }

        #[test]
        fn nothing_grows_and_every_new_object_has_a_new_number(
            seqs in prop::collection::vec((0u64..3, any::<u64>(), 0u8..12, 0u8..3), 1..300),
        ) {
            let (mut table, mut last) = (Objects::default(), None);
            for (epoch, seq, bits, layer) in seqs {
                let header = header(epoch, seq, Marks::from_bits(bits).unwrap());
                let before = table.next;
                let number = take(&mut table, &header, layer);
                prop_assert!(number <= before && Some(table.next) >= last && table.recent.len() <= KEPT);
                last = Some(table.next);
            }
        }
    }

    #[test]
    fn a_lost_first_chunk_is_noticed_where_something_differs() {
        let all = chunks(&[(0, 3, 1), (0, 3, 0), (1, 3, 0), (1, 3, 0)]);
        let mut table = Objects::default();
        let numbers: Vec<u64> = all
            .iter()
            .filter(|(_, _, header)| header.chunk_seq.0 == 0 || !header.marks.start)
            .map(|(_, layer, header)| take(&mut table, header, *layer))
            .collect();
        // After repair, and on another layer; the last one looks like the object before it.
        assert_eq!(numbers, [0, 0, 0, 0, 1, 1, 2, 2, 2, 2]);
    }
}
