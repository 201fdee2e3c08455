//! What a subscription wants done, and what it has counted.

use core_types::{ChunkSeq, Epoch, LinkId, StripeSet};

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Tell `parent` to send exactly these stripes from now on (maybe none).
    Assign {
        /// Whom to tell.
        parent: LinkId,
        /// What it shall send.
        stripes: StripeSet,
    },
    /// Ask `parent` to send these chunks again.
    Request {
        /// Whom to ask.
        parent: LinkId,
        /// Their epoch.
        epoch: Epoch,
        /// Their numbers, ascending.
        chunks: Vec<ChunkSeq>,
    },
    /// `parent` fell silent while the stream went on; its stripes are with others now.
    Suspect {
        /// Who fell silent.
        parent: LinkId,
    },
    /// `parent` carries nothing and shows no life: it is no use as a spare. Said once until it is heard again.
    Quiet {
        /// Who is quiet.
        parent: LinkId,
    },
    /// No parent is left that carries the stream, or the last one fell silent: find new ones. Said again and again
    /// until a chunk comes.
    Rebuild,
}

/// What a subscription has seen, counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Chunks reported.
    pub chunks: u64,
    /// Chunks that were missing when a later one came, or overdue at the end of an object, while their object was not complete: what is
    /// left out of one that is, such as repair which a parent keeps back, is no loss.
    pub missing: u64,
    /// Chunks asked for, each time counted.
    pub requested: u64,
    /// Chunks that came after they were asked for.
    pub repaired: u64,
    /// Chunks that never came.
    pub given_up: u64,
}
