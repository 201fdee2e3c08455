//! The best value of a window of time.

use core::time::Duration;
use core_types::MonoTime;
use std::collections::VecDeque;

/// Holds at most so many values, whatever the slot and the window are.
const MOST: usize = 32;

/// The largest value of the last so long. For the smallest one, wrap the values in [`core::cmp::Reverse`].
///
/// Values descend and times ascend from front to back: a value that is both older and smaller than another one can never
/// be the best. Values that stand closer together than a slot share one entry, which bounds the memory.
#[derive(Debug, Clone)]
pub(crate) struct Best<T> {
    entries: VecDeque<(MonoTime, T)>,
    slot: Duration,
}

impl<T: Copy + PartialOrd> Best<T> {
    pub(crate) const fn new(slot: Duration) -> Self {
        Self { entries: VecDeque::new(), slot }
    }

    /// Takes a value in, and forgets those that are older than the window.
    pub(crate) fn push(&mut self, now: MonoTime, value: T, window: Duration) {
        while self.entries.front().is_some_and(|(at, _)| now.since(*at) > window) {
            self.entries.pop_front();
        }
        while self.entries.back().is_some_and(|(_, other)| *other <= value) {
            self.entries.pop_back();
        }
        let has_room = self.entries.back().is_none_or(|(at, _)| now.since(*at) >= self.slot);
        if has_room && self.entries.len() < MOST {
            self.entries.push_back((now, value));
        }
    }

    pub(crate) fn best(&self) -> Option<T> {
        self.entries.front().map(|(_, value)| *value)
    }

    /// When the best value was seen.
    pub(crate) fn best_at(&self) -> Option<MonoTime> {
        self.entries.front().map(|(at, _)| *at)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cmp::Reverse;
    use proptest::prelude::*;

    proptest! {
        /// Against the plain answer: never better than the best of the window, never worse than the best of the part of
        /// it that slots can't blur.
        #[test]
        fn close_to_the_best_of_the_window(steps in prop::collection::vec((0_u64..200, 0_u32..50), 1..200)) {
            let (window, slot) = (Duration::from_millis(1_000), Duration::from_millis(50));
            let mut best = Best::new(slot);
            let mut all: Vec<(MonoTime, u32)> = Vec::new();
            let mut now = MonoTime(0);
            for (gap, value) in steps {
                now = now.plus(Duration::from_millis(gap));
                best.push(now, value, window);
                all.push((now, value));
                let within = |span: Duration| {
                    all.iter().filter(move |(at, _)| now.since(*at) <= span).map(|(_, value)| *value).max().unwrap()
                };
                let got = best.best().unwrap();
                prop_assert!(got <= within(window) && got >= within(window - slot), "{got}");
                prop_assert!(best.entries.len() <= MOST);
            }
        }
    }

    #[test]
    fn the_smallest_by_reversing() {
        let mut best = Best::new(Duration::ZERO);
        for (at, value) in [(0, 5), (1, 3), (2, 4)] {
            best.push(MonoTime(at), Reverse(value), Duration::from_micros(1));
        }
        assert_eq!(best.best(), Some(Reverse(3)));
        best.push(MonoTime(9), Reverse(8), Duration::from_micros(1));
        assert_eq!((best.best(), best.best_at()), (Some(Reverse(8)), Some(MonoTime(9))));
    }
}
