//! Counters: of the relay, of a link, of a stream.

use core::ops::AddAssign;

/// Chunks that a subscriber would have got and did not, because it was behind. Its symbols count where they would have
/// counted alone: a repair symbol of an object that was shed is a repair symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shed {
    /// Repair symbols.
    pub repair: u64,
    /// Source symbols of discardable objects.
    pub discardable: u64,
    /// Source symbols of layers above the base.
    pub enhancement: u64,
    /// Source symbols of the base layer.
    pub base: u64,
}

impl Shed {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.repair + self.discardable + self.enhancement + self.base
    }
}

impl AddAssign for Shed {
    fn add_assign(&mut self, other: Self) {
        self.repair += other.repair;
        self.discardable += other.discardable;
        self.enhancement += other.enhancement;
        self.base += other.base;
    }
}

/// What was done, counted since the relay, the link or the stream was there. For a link, what came in is what it fed, what
/// went out is what it got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Chunks that were new and taken.
    pub chunks_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Those of them that are repair symbols.
    pub repair_in: u64,
    /// Chunks handed out, repairs included.
    pub chunks_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Chunks that had been taken before.
    pub duplicates: u64,
    /// Chunks that were refused: from a link that does not feed the stream, or of another kind than the stream.
    pub refused: u64,
    /// Chunks that came in over a quota, and were cut.
    pub cut: u64,
    /// Chunks that were shed because their subscriber was behind, by class.
    pub shed: Shed,
    /// Chunks left out since what they refer to was left out before, or since no key frame or switch point has come yet.
    pub withheld: u64,
    /// Repair symbols left out by a link's repair share.
    pub over_share: u64,
    /// Chunks that left the ring before a subscriber that stood still had passed them, whatever it wanted of them.
    pub overrun: u64,
    /// Chunks sent again on request.
    pub repaired: u64,
    /// Chunks asked for that were not kept, or that the one who asked was not to have.
    pub repair_misses: u64,
    /// Times that a quota held something back or refused it.
    pub quota_hits: u64,
    /// Key frames that subscribers asked for, or that were needed because one had lost the thread.
    pub key_frame_requests: u64,
    /// Those of them that were not sent upstream: one was on its way, asked for already, or had just passed.
    pub key_frame_merged: u64,
    /// Requests sent upstream, repeated ones included.
    pub key_frame_forwarded: u64,
    /// Key frames that came in.
    pub key_frames_in: u64,
    /// Subscribers that started with a key frame out of the ring.
    pub late_joins: u64,
    /// Subscribers that had to wait for a key frame.
    pub late_waits: u64,
    /// Events that the driver let lie for so long that they were dropped.
    pub events_lost: u64,
}

/// What serving a subscription adds to the counters: kept apart, so that the rare ones cost nothing in the common case.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) chunks: u64,
    pub(crate) bytes: u64,
    /// True if anything below is not zero.
    pub(crate) rare: bool,
    pub(crate) shed: Shed,
    pub(crate) withheld: u64,
    pub(crate) over_share: u64,
    pub(crate) overrun: u64,
    pub(crate) repaired: u64,
    pub(crate) repair_misses: u64,
}

impl Stats {
    #[inline]
    pub(crate) fn add(&mut self, tally: &Tally) {
        self.chunks_out += tally.chunks;
        self.bytes_out += tally.bytes;
        if tally.rare {
            self.shed += tally.shed;
            self.withheld += tally.withheld;
            self.over_share += tally.over_share;
            self.overrun += tally.overrun;
            self.repaired += tally.repaired;
            self.repair_misses += tally.repair_misses;
        }
    }
}
