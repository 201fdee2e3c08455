//! How far the publisher is: what a subscriber should have is what was published while it was there.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What was published longer ago than this has come, or is lost: a relay keeps nothing for longer than 250 ms, and the rest is
/// for the way and for a machine that is busy.
pub(super) const SETTLED: Duration = Duration::from_millis(500);

/// The frames that have begun, as the subscriber that takes the stream from the publisher itself sees them.
#[derive(Debug, Default)]
pub(super) struct Edge {
    /// How many frames had begun, and since when, of the last while.
    steps: VecDeque<(Instant, u64)>,
}

impl Edge {
    /// A chunk of a frame has come.
    pub(super) fn begun(&mut self, now: Instant, frame: u64) {
        if frame < self.next() {
            return;
        }
        self.steps.push_back((now, frame + 1));
        // One that is older stays: it says what has settled.
        while self.steps.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= SETTLED) {
            self.steps.pop_front();
        }
    }

    /// The first frame that has not begun yet.
    pub(super) fn next(&self) -> u64 {
        self.steps.back().map_or(0, |(_, next)| *next)
    }

    /// The first frame that has not settled: those before it began [`SETTLED`] ago or longer.
    pub(super) fn settled(&self, now: Instant) -> u64 {
        let old = |(at, _): &&(Instant, u64)| now.saturating_duration_since(*at) >= SETTLED;
        self.steps.iter().rev().find(old).map_or(0, |(_, next)| *next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_settle_half_a_second_after_they_began() {
        let (mut edge, start) = (Edge::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!((edge.next(), edge.settled(start)), (0, 0));
        for frame in 0..100 {
            edge.begun(at(frame * 40), frame);
            // Chunks of a frame that has begun, and of one before it.
            edge.begun(at(frame * 40 + 1), frame);
            edge.begun(at(frame * 40 + 2), frame.saturating_sub(1));
            assert_eq!(edge.next(), frame + 1);
            // Of those that began at 0, 40, 80... so many did so 500 ms ago.
            assert_eq!(
                edge.settled(at(frame * 40)),
                (frame * 40).checked_sub(500).map_or(0, |ms| ms / 40 + 1)
            );
        }
        assert!(edge.steps.len() < 16, "{}", edge.steps.len());
        assert_eq!(edge.settled(at(100 * 40 + 500)), 100);
    }
}
