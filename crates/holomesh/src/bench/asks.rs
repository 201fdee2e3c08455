//! What an impaired subscriber asks for again: what it misses of frames that it has not enough of, as a watcher does.

use super::options::FRAME;
use crate::Error;
use alm::{Config, Subscription};
use av_wire::ChunkHeader;
use core_types::{ChunkSeq, LinkId, MonoTime};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// Frames whose symbols are counted: older ones are not asked for any more.
const COUNTED: usize = 64;

#[derive(Debug)]
pub(super) struct Asks {
    missing: Subscription,
    /// Symbols that suffice for a frame, and how many came of the last frames.
    enough: usize,
    came: BTreeMap<u64, usize>,
}

impl Asks {
    /// For frames with so many repair symbols, which come from `parent`.
    pub(super) fn new(now: MonoTime, parent: LinkId, repair: usize) -> Result<Self, Error> {
        let config = Config { stripes: 1, ..Config::default() };
        let mut missing = Subscription::new(config).map_err(|e| Error::codec("stream", e))?;
        missing.add_parent(now, parent);
        Ok(Self { missing, enough: FRAME - repair, came: BTreeMap::new() })
    }

    pub(super) fn take(&mut self, now: MonoTime, from: LinkId, header: &ChunkHeader) {
        let (seq, frame) = (header.chunk_seq, header.chunk_seq.0 / FRAME as u64);
        self.missing.handle_chunk(now, from, header.epoch, seq);
        let came = self.came.entry(frame).or_default();
        *came += 1;
        if *came == self.enough {
            let first = frame * FRAME as u64;
            self.missing.settle(header.epoch, ChunkSeq(first)..ChunkSeq(first + FRAME as u64));
        }
        if self.came.len() > COUNTED {
            self.came.pop_first();
        }
    }
}

impl Deref for Asks {
    type Target = Subscription;

    fn deref(&self) -> &Subscription {
        &self.missing
    }
}

impl DerefMut for Asks {
    fn deref_mut(&mut self) -> &mut Subscription {
        &mut self.missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alm::Action;
    use core_types::{CodecId, Epoch, Layer, Marks, StreamId};
    use std::time::Duration;

    #[test]
    fn of_a_frame_with_enough_nothing_is_asked_for() {
        let (parent, start) = (LinkId(1), MonoTime::from_millis(5));
        let mut asks = Asks::new(start, parent, 2).unwrap();
        // Of frame 0 two symbols are missing, of frame 1 three.
        for seq in (0..2).chain(4..10).chain(13..21) {
            let header = ChunkHeader {
                stream_id: StreamId([1; 32]),
                epoch: Epoch(1),
                chunk_seq: ChunkSeq(seq),
                codec: CodecId::Av1,
                layer: Layer::BASE,
                marks: Marks::NONE,
            };
            asks.take(start, parent, &header);
        }
        asks.handle_timeout(start.plus(Duration::from_millis(30)));
        let asked: Vec<u64> = std::iter::from_fn(|| asks.poll_action())
            .filter_map(|action| match action {
                Action::Request { chunks, .. } => Some(chunks),
                _ => None,
            })
            .flatten()
            .map(|seq| seq.0)
            .collect();
        assert_eq!(asked, [10, 11, 12]);
    }
}
