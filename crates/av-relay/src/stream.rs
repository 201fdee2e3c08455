//! One stream as the relay sees it: who feeds it, who takes which part of it, and what is kept.

use crate::cache::ChunkCache;
use av_wire::{ChunkHeader, Receiver, plan_layered};
use core_types::{LayerPolicy, LinkId, StripeSet};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscriber {
    pub(crate) link: LinkId,
    pub(crate) policy: LayerPolicy,
    pub(crate) stripes: StripeSet,
}

impl Subscriber {
    /// Entitled to the stripe, and the policy admits the layer.
    pub(crate) fn wants(&self, header: &ChunkHeader) -> bool {
        plan_layered(header, [self]).next().is_some()
    }
}

impl Receiver for Subscriber {
    fn is_entitled(&self, header: &ChunkHeader) -> bool {
        self.stripes.contains(header.chunk_seq)
    }

    /// A link that can't be reached is removed.
    fn is_reachable(&self) -> bool {
        true
    }

    fn policy(&self) -> LayerPolicy {
        self.policy
    }
}

#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) upstreams: Vec<LinkId>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) cache: ChunkCache,
}

impl StreamState {
    pub(crate) fn new(cache_bytes: usize) -> Self {
        Self { upstreams: Vec::new(), subscribers: Vec::new(), cache: ChunkCache::new(cache_bytes) }
    }
}
