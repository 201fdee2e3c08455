//! Which chunks came: the highest so many numbers, as bits. A stream without holes takes about three bits for each.

use core::ops::Range;
use core_types::{ChunkSeq, Epoch};
use std::collections::BTreeMap;

/// Numbers in one word.
const WORD: u64 = 64;

/// The highest numbers that came, of the newest epochs, at most as many as said.
#[derive(Debug)]
pub(crate) struct Came {
    /// By epoch and number / 64: bit n for the n-th of these numbers. No word is 0.
    words: BTreeMap<(Epoch, u64), u64>,
    len: usize,
    most: usize,
}

impl Came {
    pub(crate) const fn new(most: usize) -> Self {
        Self { words: BTreeMap::new(), len: 0, most }
    }

    /// Puts a number in. When there are too many, the lowest leaves, be it this one.
    pub(crate) fn insert(&mut self, epoch: Epoch, seq: ChunkSeq) {
        let word = self.words.entry((epoch, seq.0 / WORD)).or_default();
        let bit = 1 << (seq.0 % WORD);
        self.len += usize::from(*word & bit == 0);
        *word |= bit;
        if self.len > self.most
            && let Some(mut lowest) = self.words.first_entry()
        {
            // Without its lowest bit.
            let rest = *lowest.get() & (*lowest.get() - 1);
            self.len -= 1;
            if rest == 0 {
                lowest.remove();
            } else {
                lowest.insert(rest);
            }
        }
    }

    pub(crate) fn contains(&self, epoch: Epoch, seq: ChunkSeq) -> bool {
        self.words.get(&(epoch, seq.0 / WORD)).is_some_and(|word| word & (1 << (seq.0 % WORD)) != 0)
    }

    /// How many of a range there are, and the highest of them; `None` if there are none.
    pub(crate) fn within(&self, epoch: Epoch, range: &Range<u64>) -> Option<(u64, u64)> {
        let last = range.end.checked_sub(1).filter(|last| *last >= range.start)?;
        let words = self.words.range((epoch, range.start / WORD)..=(epoch, last / WORD));
        let mut found = None;
        for ((_, at), word) in words {
            let first = at * WORD;
            let from = u64::MAX << range.start.saturating_sub(first);
            let until = u64::MAX >> (WORD - 1 - (last - first).min(WORD - 1));
            let bits = word & from & until;
            if bits != 0 {
                let before = found.map_or(0, |(count, _)| count);
                found = Some((before + u64::from(bits.count_ones()), first + u64::from(bits.ilog2())));
            }
        }
        found
    }

    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Near one another, at the edges of words, and far away.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![6 => 0_u64..300, 2 => 0_u64..5_000, 1 => any::<u64>(), 1 => (u64::MAX - 130)..=u64::MAX]
    }

    proptest! {
        #[test]
        fn it_does_as_a_set_of_the_highest_numbers_does(
            most in 0_usize..90,
            numbers in prop::collection::vec((0_u64..3, number()), 0..300),
            ranges in prop::collection::vec((0_u64..3, number(), number()), 1..20),
        ) {
            let (mut came, mut model) = (Came::new(most), BTreeSet::new());
            for (epoch, seq) in numbers {
                let key = (Epoch(epoch), ChunkSeq(seq));
                came.insert(key.0, key.1);
                model.insert(key);
                if model.len() > most {
                    model.pop_first();
                }
                prop_assert_eq!(came.len(), model.len());
                prop_assert_eq!(came.contains(key.0, key.1), model.contains(&key));
                prop_assert!(came.words.values().all(|word| *word != 0));
            }
            for (epoch, start, end) in ranges {
                let its = |(e, s): &&(Epoch, ChunkSeq)| e.0 == epoch && (start..end).contains(&s.0);
                let inside: Vec<_> = model.iter().filter(its).collect();
                let expected = inside.last().map(|(_, highest)| (inside.len() as u64, highest.0));
                prop_assert_eq!(came.within(Epoch(epoch), &(start..end)), expected);
                prop_assert_eq!(
                    came.contains(Epoch(epoch), ChunkSeq(start)),
                    model.contains(&(Epoch(epoch), ChunkSeq(start)))
                );
            }
        }
    }

    #[test]
    fn a_stream_without_holes_takes_little_memory() {
        let mut came = Came::new(4_096);
        for seq in 0..20_000 {
            came.insert(Epoch(1), ChunkSeq(seq));
        }
        assert!(came.len() == 4_096 && came.words.len() <= 65, "{} words", came.words.len());
    }
}
