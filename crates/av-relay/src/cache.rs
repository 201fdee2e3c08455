//! The last chunks of a stream, kept in the order they came and bounded in bytes, for links that missed one.

use bytes::Bytes;
use core_types::{ChunkSeq, Epoch};
use std::collections::{HashMap, VecDeque};

/// Chunks by (epoch, number); the oldest leave first.
#[derive(Debug)]
pub(crate) struct ChunkCache {
    limit_bytes: usize,
    bytes: usize,
    order: VecDeque<(Epoch, ChunkSeq)>,
    chunks: HashMap<(Epoch, ChunkSeq), Bytes>,
}

impl ChunkCache {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, bytes: 0, order: VecDeque::new(), chunks: HashMap::new() }
    }

    /// Keeps a chunk; the caller has made sure that it is new.
    pub(crate) fn keep(&mut self, epoch: Epoch, seq: ChunkSeq, chunk: Bytes) {
        if chunk.len() > self.limit_bytes {
            return;
        }
        self.bytes += chunk.len();
        if let Some(former) = self.chunks.insert((epoch, seq), chunk) {
            self.bytes -= former.len();
        } else {
            self.order.push_back((epoch, seq));
        }
        while self.bytes > self.limit_bytes {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.chunks.remove(&oldest) {
                self.bytes -= gone.len();
            }
        }
    }

    pub(crate) fn find(&self, epoch: Epoch, seq: ChunkSeq) -> Option<&Bytes> {
        self.chunks.get(&(epoch, seq))
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_newest_chunks_that_fit_are_kept(sizes in prop::collection::vec(1usize..60, 1..80)) {
            let mut cache = ChunkCache::new(200);
            for (n, size) in sizes.iter().enumerate() {
                cache.keep(Epoch(1), ChunkSeq(n as u64), Bytes::from(vec![0; *size]));
                prop_assert!(cache.bytes() <= 200);
            }
            let mut room = 200;
            for (n, size) in sizes.iter().enumerate().rev() {
                let fits = room >= *size;
                room = if fits { room - size } else { 0 };
                prop_assert_eq!(cache.find(Epoch(1), ChunkSeq(n as u64)).is_some(), fits);
            }
        }
    }
}
