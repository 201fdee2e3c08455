//! One stream as the relay sees it: who feeds it, who takes which part of it, what was seen and what is kept.

use crate::cache::ChunkCache;
use av_wire::{ChunkHeader, ReplayWindow};
use core_types::{ChunkSeq, Epoch, LayerPolicy, LinkId, StripeSet};

/// Epochs whose dedup window is kept: the current one, and those that members may still be sending or repairing in.
const EPOCHS_KEPT: usize = 3;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscriber {
    pub(crate) link: LinkId,
    pub(crate) policy: LayerPolicy,
    pub(crate) stripes: StripeSet,
}

impl Subscriber {
    /// Entitled to the stripe, and the policy admits the layer.
    pub(crate) const fn wants(&self, header: &ChunkHeader) -> bool {
        self.stripes.contains(header.chunk_seq) && self.policy.admits(header.layer)
    }
}

#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) upstreams: Vec<LinkId>,
    pub(crate) subscribers: Vec<Subscriber>,
    /// Newest epoch first.
    seen: Vec<(Epoch, ReplayWindow)>,
    pub(crate) cache: ChunkCache,
}

impl StreamState {
    pub(crate) fn new(cache_bytes: usize) -> Self {
        Self {
            upstreams: Vec::new(),
            subscribers: Vec::new(),
            seen: Vec::new(),
            cache: ChunkCache::new(cache_bytes),
        }
    }

    /// True the first time that a chunk number of an epoch is shown; false for repeats and for epochs long gone.
    pub(crate) fn is_new(&mut self, epoch: Epoch, seq: ChunkSeq) -> bool {
        if let Some((_, window)) = self.seen.iter_mut().find(|(e, _)| *e == epoch) {
            return window.take(seq);
        }
        let at = self.seen.partition_point(|(e, _)| *e > epoch);
        if at >= EPOCHS_KEPT {
            return false;
        }
        let mut window = ReplayWindow::new();
        let fresh = window.take(seq);
        self.seen.insert(at, (epoch, window));
        self.seen.truncate(EPOCHS_KEPT);
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_by_epoch_and_old_epochs_are_over() {
        let mut stream = StreamState::new(0);
        assert!(stream.is_new(Epoch(5), ChunkSeq(0)) && !stream.is_new(Epoch(5), ChunkSeq(0)));
        assert!(stream.is_new(Epoch(4), ChunkSeq(0)), "an epoch before it may still be under way");
        assert!(stream.is_new(Epoch(6), ChunkSeq(0)));
        assert!(stream.is_new(Epoch(7), ChunkSeq(0)));
        assert!(!stream.is_new(Epoch(4), ChunkSeq(1)), "the fourth newest epoch is over");
        assert!(!stream.is_new(Epoch(7), ChunkSeq(0)));
    }
}
