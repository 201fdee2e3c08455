//! Which numbers of a stream were taken, each remembered by itself.

use core_types::ChunkSeq;
use std::collections::{HashMap, VecDeque};

/// Numbers in one word.
const WORD: u64 = 64;
/// Words between two neighbours of one run: so much may be lost or left out.
const APART: u64 = 64;

/// Remembers which numbers were taken, and takes each once, in whatever order they come.
///
/// Unlike a [`ReplayWindow`](crate::ReplayWindow) it refuses nothing for what else was taken: whoever has the key of a group can seal a number
/// far ahead, and a window that follows the highest number would then refuse all that the publisher sends (`docs/spec/20-chunk.md` 3.8).
///
/// It holds up to `limit` words of 64 numbers. What is forgotten beyond that is what was taken first. Where half of `limit` words that
/// were forgotten one after the other lie close together, as those of a stream that goes on do, all below them is refused for
/// good: then nothing can be taken twice, and a few numbers far ahead move nothing.
#[derive(Clone)]
pub struct Taken {
    limit: usize,
    /// By number / 64: bit n for the n-th of these numbers. No word is 0.
    words: HashMap<u64, u64>,
    /// The words in the order in which their first number was taken.
    order: VecDeque<u64>,
    /// Words below this one count as taken.
    floor: u64,
    /// The word that was forgotten last, and how many in a row lay close to the one before.
    run: (u64, usize),
}

impl Taken {
    /// Remembers `limit` words of 64 numbers; at least one.
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self { limit, words: HashMap::new(), order: VecDeque::new(), floor: 0, run: (0, 0) }
    }

    /// Takes `seq`: true the first time, false if it was taken before or lies where all is refused. 2^64 − 1 has no successor, so it is
    /// never given out.
    pub fn take(&mut self, seq: ChunkSeq) -> bool {
        let (at, bit) = (seq.0 / WORD, 1 << (seq.0 % WORD));
        if seq.0 == u64::MAX || at < self.floor {
            return false;
        }
        let word = self.words.entry(at).or_default();
        let (fresh, is_new) = (*word & bit == 0, *word == 0);
        *word |= bit;
        if is_new {
            self.order.push_back(at);
            if self.order.len() > self.limit {
                self.forget_first();
            }
        }
        fresh
    }

    fn forget_first(&mut self) {
        let Some(word) = self.order.pop_front() else { return };
        self.words.remove(&word);
        let (last, run) = self.run;
        self.run = (word, if word.abs_diff(last) <= APART { run + 1 } else { 1 });
        if self.run.1 > self.limit / 2 {
            self.floor = self.floor.max(word.saturating_add(1));
        }
    }

    /// Words that are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }
}

impl core::fmt::Debug for Taken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Taken")
            .field("words", &self.words.len())
            .field("floor", &self.floor)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![6 => 0_u64..3_000, 2 => any::<u64>(), 1 => (u64::MAX - 130)..=u64::MAX]
    }

    proptest! {
        #[test]
        fn each_number_is_taken_once_whatever_else_was(numbers in prop::collection::vec(number(), 0..400)) {
            let (mut taken, mut model) = (Taken::new(400), HashSet::new());
            for number in numbers {
                prop_assert_eq!(taken.take(ChunkSeq(number)), number != u64::MAX && model.insert(number));
            }
        }

        /// A stream that goes on, with numbers left out, some late and some from anywhere in between.
        #[test]
        fn nothing_of_a_stream_that_goes_on_is_taken_twice_and_the_new_is_taken(
            steps in prop::collection::vec((1_u64..200, 0_u64..2_000, prop::option::weighted(0.02, any::<u64>())), 600..1_500),
            again in prop::collection::vec(any::<prop::sample::Index>(), 50),
        ) {
            let (mut taken, mut at, mut honest) = (Taken::new(32), 1_u64 << 40, Vec::new());
            for (step, late, astray) in steps {
                at += step;
                prop_assert!(taken.take(ChunkSeq(at)), "{} is new", at);
                honest.push(at);
                let late = at - late.min(at) % 500;
                if taken.take(ChunkSeq(late)) {
                    honest.push(late);
                }
                if let Some(astray) = astray {
                    taken.take(ChunkSeq(astray));
                }
                prop_assert!(taken.len() <= 32 && taken.order.len() <= 32);
            }
            let runs = taken.floor > 0;
            for index in again {
                let number = *index.get(&honest);
                // What was forgotten while numbers from elsewhere broke the run may be below no floor yet.
                if runs && number / 64 < taken.floor || taken.words.contains_key(&(number / 64)) {
                    prop_assert!(!taken.take(ChunkSeq(number)), "{} again", number);
                }
            }
        }
    }

    #[test]
    fn numbers_far_ahead_do_not_keep_the_stream_out() {
        // Before it begins, and as it goes on: one at a time, and as many at once as are near one another and not yet believed.
        for (often, at_once) in [(1_000, 1), (20_000, 30)] {
            let mut taken = Taken::new(64);
            for seq in 0..100_000 {
                if seq % often == 0 {
                    (0..at_once)
                        .for_each(|n| assert!(taken.take(ChunkSeq((1 << 40) + seq * 1_000 + n * 64))));
                }
                assert!(taken.take(ChunkSeq(seq)), "{seq}");
            }
        }
    }

    #[test]
    fn what_a_stream_has_behind_it_is_refused_for_good() {
        let mut taken = Taken::new(64);
        assert!((0..64_000).all(|seq| taken.take(ChunkSeq(seq))));
        assert!((0..64_000).all(|seq| !taken.take(ChunkSeq(seq))), "nothing of it is taken again");
        assert!(taken.len() <= 64);
    }
}
