//! Frame groups: what depends on one key frame, and so is read together.

use super::settle::Settled;
use core_types::ObjectSeq;
use std::collections::BTreeMap;
use symbol_store::Position;

/// Sound can begin with any packet: so many make a group, about five seconds.
const PACKETS: u64 = 256;
/// A group that has grown to so many bytes or symbols ends: it is read as a whole.
const MOST_BYTES: u64 = 64 << 20;
const MOST_SYMBOLS: u64 = 1 << 16;
/// Groups that what comes late can still belong to.
const REMEMBERED: usize = 64;

/// Says to which frame group an object belongs.
#[derive(Debug)]
pub(crate) struct Groups {
    is_sound: bool,
    /// Where groups begin, and what they have.
    starts: BTreeMap<Position, (u64, u64)>,
}

impl Groups {
    pub(crate) const fn new(is_sound: bool) -> Self {
        Self { is_sound, starts: BTreeMap::new() }
    }

    /// Where the group of this object begins. What is asked for in order belongs to the last group, unless it begins one.
    pub(crate) fn place(&mut self, object: &Settled) -> Position {
        let at = Position { epoch: object.epoch, object: object.object };
        let begun = self.starts.range(Position { object: ObjectSeq(0), ..at }..=at).next_back();
        let is_last = begun
            .is_some_and(|(start, _)| self.starts.last_key_value().is_some_and(|(last, _)| last == start));
        let begins = match begun {
            None => true,
            // Late: its group goes on to where the next one begins.
            Some(_) if !is_last => false,
            Some((start, _)) if *start == at => false,
            Some((start, _)) if self.is_sound => at.object.0 - start.object.0 >= PACKETS,
            Some((_, (bytes, symbols))) => {
                object.is_key_frame() || *bytes >= MOST_BYTES || *symbols >= MOST_SYMBOLS
            }
        };
        let start = match begun {
            Some((start, _)) if !begins => *start,
            _ => at,
        };
        let (bytes, symbols) = self.starts.entry(start).or_default();
        *bytes += object.symbols.iter().map(|symbol| symbol.chunk.len() as u64).sum::<u64>();
        *symbols += object.symbols.len() as u64;
        if self.starts.len() > REMEMBERED {
            self.starts.pop_first();
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::super::settle::SettledSymbol;
    use super::*;
    use bytes::Bytes;
    use core_types::{Epoch, Layer, Marks, ObjectClass};

    fn object(epoch: u64, number: u64, class: ObjectClass) -> Settled {
        let marks = Marks { start: true, class, ..Marks::NONE };
        let symbol = SettledSymbol {
            id: 0,
            layer: Layer::BASE,
            marks,
            is_proof: false,
            stands_in: false,
            chunk: Bytes::from_static(b"sealed"),
        };
        Settled { epoch: Epoch(epoch), object: ObjectSeq(number), sources: 1, symbols: vec![symbol] }
    }

    fn at(epoch: u64, object: u64) -> Position {
        Position { epoch: Epoch(epoch), object: ObjectSeq(object) }
    }

    #[test]
    fn pictures_go_with_the_key_frame_before_them_however_late_they_come() {
        let mut groups = Groups::new(false);
        let mut place = |epoch, number, class| groups.place(&object(epoch, number, class));
        assert_eq!(place(1, 3, ObjectClass::Plain), at(1, 3), "nothing came before it");
        assert_eq!(place(1, 4, ObjectClass::Plain), at(1, 3));
        assert_eq!(place(1, 7, ObjectClass::KeyFrame), at(1, 7));
        assert_eq!(place(1, 8, ObjectClass::Plain), at(1, 7));
        assert_eq!(place(1, 6, ObjectClass::Plain), at(1, 3), "late");
        assert_eq!(place(1, 7, ObjectClass::KeyFrame), at(1, 7), "more of the key frame");
        assert_eq!(place(2, 9, ObjectClass::Plain), at(2, 9), "another epoch is another key");
        assert_eq!(place(1, 1, ObjectClass::Plain), at(1, 1), "before all that came");
        assert_eq!(place(1, 2, ObjectClass::KeyFrame), at(1, 1), "late, it begins nothing");
    }

    #[test]
    fn groups_of_sound_have_a_few_seconds_and_no_group_grows_without_bound() {
        let mut sound = Groups::new(true);
        let starts = |groups: &mut Groups, class| {
            let mut starts: Vec<Position> =
                (0..100_000).map(|number| groups.place(&object(1, number, class))).collect();
            starts.dedup();
            starts
        };
        let of_sound = starts(&mut sound, ObjectClass::KeyFrame);
        assert_eq!(of_sound[..3], [at(1, 0), at(1, PACKETS), at(1, 2 * PACKETS)]);
        assert!(sound.starts.len() <= REMEMBERED);
        assert_eq!(starts(&mut Groups::new(false), ObjectClass::Plain), [at(1, 0), at(1, MOST_SYMBOLS)]);
    }
}
