//! The sliding window that takes every number once.

use core_types::ChunkSeq;

const WORDS: usize = 64;

/// Remembers which of the last 4,032 to 4,096 numbers were taken; anything older counts as taken. A bitmap in a ring of
/// words, as in RFC 6479: moving forward clears whole words instead of shifting.
///
/// Only numbers of authentic chunks may be shown to it: a forged number far ahead would make it refuse all that follow.
#[derive(Clone, PartialEq, Eq)]
pub struct ReplayWindow {
    words: [u64; WORDS],
    /// The highest number taken, plus one; 0 before the first.
    end: u64,
}

impl ReplayWindow {
    /// How far back a number may lie behind the highest and still be taken.
    pub const WIDTH: u64 = (WORDS as u64 - 1) * 64;

    /// A window that has taken nothing.
    pub const fn new() -> Self {
        Self { words: [0; WORDS], end: 0 }
    }

    /// Takes `seq`: true the first time, false if it was taken before or lies behind the window.
    pub const fn take(&mut self, seq: ChunkSeq) -> bool {
        self.take_number(seq.0)
    }

    /// As [`ReplayWindow::take`], for other numbers than chunks'.
    pub(crate) const fn take_number(&mut self, seq: u64) -> bool {
        if seq == u64::MAX {
            return false;
        }
        if seq >= self.end {
            // Words between the old and the new highest number start empty; one round of the ring is enough.
            let mut word = if self.end == 0 { 0 } else { (self.end - 1) / 64 + 1 };
            let last = seq / 64;
            if last - (if word < last { word } else { last }) >= WORDS as u64 {
                word = last + 1 - WORDS as u64;
            }
            while word <= last {
                self.words[(word % WORDS as u64) as usize] = 0;
                word += 1;
            }
            self.end = seq + 1;
        } else if self.end - seq > Self::WIDTH {
            return false;
        }
        let bit = 1 << (seq % 64);
        let word = &mut self.words[((seq / 64) % WORDS as u64) as usize];
        let fresh = *word & bit == 0;
        *word |= bit;
        fresh
    }

    /// The highest number taken so far.
    pub const fn highest(&self) -> Option<ChunkSeq> {
        if self.end == 0 { None } else { Some(ChunkSeq(self.end - 1)) }
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for ReplayWindow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReplayWindow").field("highest", &self.highest()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn behaves_like_a_set_with_a_horizon(start in 0u64..1 << 40, steps in prop::collection::vec(-5000i64..5000, 1..400)) {
            let (mut window, mut model, mut highest) = (ReplayWindow::new(), HashSet::new(), None::<u64>);
            let mut at = start;
            for step in steps {
                at = at.saturating_add_signed(step / if step % 3 == 0 { 1 } else { 100 });
                let in_reach = highest.is_none_or(|h| at > h || h - at < ReplayWindow::WIDTH);
                let fresh = in_reach && model.insert(at);
                prop_assert_eq!(window.take(ChunkSeq(at)), fresh, "seq {} after highest {:?}", at, highest);
                highest = Some(highest.map_or(at, |h| h.max(at)));
                prop_assert_eq!(window.highest(), highest.map(ChunkSeq));
            }
        }
    }

    #[test]
    fn every_number_is_taken_once_across_far_jumps() {
        let mut window = ReplayWindow::new();
        for seq in [0, 63, 64, 4095, 4096, 1 << 20, (1 << 20) + 1, u64::MAX - 1] {
            assert!(window.take(ChunkSeq(seq)), "{seq} first");
            assert!(!window.take(ChunkSeq(seq)), "{seq} again");
        }
        assert!(!window.take(ChunkSeq(u64::MAX)), "has no successor, so it is never given out");
    }
}
