//! How patient a subscription is.

use core::time::Duration;

/// How patient a subscription is. All of it is the receiver's own business: nothing here is agreed with anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Into how many stripes the stream is dealt, 1 to 16: the number of parents that the publisher's repair is sized for.
    pub stripes: u8,
    /// Parents kept at most; those that are added beyond are not taken.
    pub max_parents: u8,

    /// How long a missing chunk may still come by itself, counted from a later chunk of the stream, or at the end of an
    /// object from the last chunk of it that came.
    pub request_after: Duration,
    /// As long as a parent's chunks are seen to come late by themselves, 5/4 of that is waited instead, and this at most.
    pub request_within: Duration,
    /// How long an answer to a request may take at least before another parent is asked; twice as long when all others were
    /// asked.
    pub retry_after: Duration,
    /// A parent whose answers take long is given a quarter more than they take, and no more than this.
    pub retry_within: Duration,
    /// How often one chunk is asked for.
    pub max_attempts: u8,
    /// What was made longer ago than about this is not looked for after an outage: it would come too late, and keep what is
    /// new from coming.
    pub horizon: Duration,

    /// The time from one object to the next that is assumed until it is learned.
    pub frame_interval: Duration,
    /// A parent is suspected when nothing of its own came of this many objects in a row of which others sent something, …
    pub silent_frames: u32,
    /// … or, where the caller says nothing of objects, when this many of its chunks are missing, …
    pub silent_chunks: u32,
    /// … and nothing of its own came for so long after the first of them, or for as long as that many objects (or chunks)
    /// of its take, if that is longer, and how late it is used to be on top.
    pub silent_after: Duration,
    /// A parent that carried nothing before is not suspected before this time, nor before `silent_frames` objects' time.
    pub grace: Duration,
    /// A parent from which neither a chunk nor a sign came for so long is not counted on. Holds from the first
    /// [`handle_sign`](super::Subscription::handle_sign) on.
    pub quiet_after: Duration,

    /// How long a parent is not told to send again what it refused, nor asked again for a place that it had not; the latter twice as
    /// long each further time.
    pub refused_for: Duration,
    /// The longest that becomes.
    pub refused_most: Duration,
    /// How long a parent that fell silent is given no stripes; twice as long each further time.
    pub suspect_for: Duration,
    /// The longest that becomes.
    pub suspect_most: Duration,
    /// A parent that delivered for so long is trusted as if it had never failed.
    pub forget_after: Duration,
    /// A parent that is back takes one stripe over in this time, no more.
    pub move_every: Duration,
    /// Without anybody upstream, new parents are called for each time that so much has passed.
    pub rebuild_every: Duration,
    /// Pauses are between three quarters and all of what is said here, drawn from this: who failed together should not
    /// come back together. Nodes draw it at random; it is no secret.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stripes: 4,
            max_parents: 64,
            request_after: Duration::from_millis(15),
            request_within: Duration::from_millis(100),
            retry_after: Duration::from_millis(50),
            retry_within: Duration::from_millis(400),
            max_attempts: 4,
            horizon: Duration::from_secs(1),
            frame_interval: Duration::from_millis(33),
            silent_frames: 3,
            silent_chunks: 4,
            silent_after: Duration::from_millis(100),
            grace: Duration::from_millis(300),
            quiet_after: Duration::from_secs(3),
            refused_for: Duration::from_secs(2),
            refused_most: Duration::from_secs(30),
            suspect_for: Duration::from_secs(2),
            suspect_most: Duration::from_secs(30),
            forget_after: Duration::from_secs(30),
            move_every: Duration::from_secs(10),
            rebuild_every: Duration::from_secs(2),
            seed: 0,
        }
    }
}

impl Config {
    /// How long a parent is left alone that failed so often in a row.
    pub(crate) fn back_off(&self, failures: u32) -> Duration {
        let doubled = self.suspect_for.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(self.suspect_most)
    }

    /// How long a parent is not asked for a place that had none so often in a row.
    pub(crate) fn full_for(&self, refusals: u32) -> Duration {
        let doubled = self.refused_for.saturating_mul(1 << refusals.saturating_sub(1).min(16));
        doubled.min(self.refused_most).max(LEAST)
    }

    /// How long to wait for a chunk of a parent that is late by so much.
    pub(crate) fn patience(&self, late: Duration) -> Duration {
        (late.saturating_mul(5) / 4).min(self.request_within).max(self.request_after).max(LEAST)
    }

    /// How long to wait for the answer of a parent that takes so long, when all were asked so many times before.
    pub(crate) fn retry(&self, answer: Duration, rounds: u8) -> Duration {
        let first = self.retry_after.max(answer.saturating_mul(5) / 4);
        first.saturating_mul(1 << rounds.min(8)).min(self.retry_within).max(LEAST)
    }
}

/// No wait is shorter: what is put off is due later than now.
pub(crate) const LEAST: Duration = Duration::from_millis(1);

/// Draws of a seed (SplitMix64): good enough to keep nodes from doing things at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Between three quarters of a pause and all of it.
    pub(crate) fn of(&mut self, pause: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let part = (z % 1_001) as u32;
        (pause * 3 / 4).saturating_add(pause / 4_000 * part).max(LEAST)
    }
}
