//! What a node sets, and the figures that all nodes share.

use core::time::Duration;
use core_types::{KeyId, SessionId};
use identity::PublicIdentity;

/// Entries a second that a node sends over one link. Half of what every node has to take, so that an honest peer is never over
/// the rate of another: also not when a link stands still for a while and then everything comes at once.
pub(crate) const SENT_EVERY: Duration = Duration::from_micros(1_000_000 / 32);
/// Entries that a node sends over one link at once.
pub(crate) const SENT_AT_ONCE: u32 = 32;
/// How often a peer may say something new of itself, on average: what it says more often is not taken, since all would pass it on.
pub(crate) const NEWS_EVERY: Duration = Duration::from_secs(2);
/// How many new cards and claims of a peer are taken at once.
pub(crate) const NEWS_AT_ONCE: u32 = 4;
/// After so long a silence of a peer its card goes out once more with its next claim: others may have dropped it. Half of the
/// time for which cards are kept, so that whoever has dropped one gets it again.
pub(crate) const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How often a link that is told of some peers alone is told of some again: claims that it was told of hold for at least as long.
pub(crate) const SAMPLED_EVERY: Duration = Duration::from_secs(25);
/// How often what is over is looked for.
pub(crate) const SWEPT_EVERY: Duration = Duration::from_secs(5);
/// Peers of which it is remembered that they are forgotten or set aside, or how new their last card was, for each peer that
/// there is room for.
pub(crate) const REMEMBERED: usize = 4;

/// For whom the gossip is. Randomness comes from `seed` alone, which draws whom a new link is told of: two nodes should have
/// different ones.
#[derive(Debug, Clone)]
pub struct Config {
    /// The session. What is said of another is refused.
    pub session: SessionId,
    /// This node: what is said of it is not taken.
    pub me: KeyId,
    /// The session's host, whose permits count.
    pub host: PublicIdentity,
    /// What is drawn, is drawn by this.
    pub seed: u64,
    /// How much there may be.
    pub limits: Limits,
}

impl Config {
    /// With the usual limits.
    pub fn new(session: SessionId, me: KeyId, host: PublicIdentity, seed: u64) -> Self {
        Self { session, me, host, seed, limits: Limits::default() }
    }
}

/// How much there may be of what peers can make grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Peers that are known at a time. Each takes 18 to 27 KiB, and about 100 bytes for each link.
    pub peers: usize,
    /// Entries a second that are looked at of one link. Below 64 honest peers may be over it.
    pub entries_per_second: u32,
    /// Entries of one link that are looked at, at once. Below 128 honest peers may be over it.
    pub burst: u32,
    /// Peers that a new link is told of, this node included.
    pub greeting: usize,
    /// Links that are told of all that is new. Those beyond them are told of [`greeting`](Self::greeting) peers each 25 s, drawn anew each
    /// time: what a node with many links says to all is bounded so, and who is at one of these links hears the rest from others.
    pub whole_links: usize,
    /// How long the card of a peer is kept that says nothing any more. Below 120 s a peer that is heard again may be missed until
    /// it makes a new card.
    pub card_kept: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peers: 256,
            entries_per_second: 64,
            burst: 128,
            greeting: 8,
            whole_links: 32,
            card_kept: Duration::from_secs(120),
        }
    }
}
