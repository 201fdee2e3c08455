//! Sorting by words that are spread evenly, as hashes are: in time that grows with how many there are, and no faster.

use super::MAX_PEERS;
use core::cmp::Ordering;

/// So many are in one bucket on average.
const IN_EACH: usize = 4;
/// Buckets are 2 to the power of this at most.
const MOST_BITS: u32 = 16;
/// A word's last bits make room for its number: with 100,000 peers memory is what sorting takes its time for, and the bits that are
/// left nearly always decide.
const NUMBER_BITS: u32 = (MAX_PEERS - 1).ilog2() + 1;

/// Numbers by the order of their words.
pub(super) struct ByWord {
    /// The first bits of a word, and behind them its number.
    packed: Vec<u64>,
}

/// Sorts the numbers from 0 on by their words, of which the first bits are given and decide if they differ; if not, `exact` does.
/// Words that are not spread evenly take as long as any sort does. There may be [`MAX_PEERS`] of them.
pub(super) fn by_word(words: &[u64], exact: impl Fn(u32, u32) -> Ordering) -> ByWord {
    let bits = (words.len() / IN_EACH).max(2).ilog2().min(MOST_BITS);
    let bucket = |word: u64| (word >> (u64::BITS - bits)) as usize;
    // Where each bucket begins, and then where the next of it goes.
    let mut ends = vec![0_u32; (1 << bits) + 1];
    for word in words {
        if let Some(count) = ends.get_mut(bucket(*word) + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut packed = vec![0; words.len()];
    for (word, number) in words.iter().zip(0..) {
        let Some(end) = ends.get_mut(bucket(*word)) else { continue };
        if let Some(place) = packed.get_mut(*end as usize) {
            *place = first_bits(*word) | number;
        }
        *end += 1;
    }
    let mut start = 0;
    for end in ends.iter().map(|end| *end as usize) {
        if let Some(of_bucket) = packed.get_mut(start..end) {
            of_bucket.sort_unstable_by(|a, b| {
                first_bits(*a).cmp(&first_bits(*b)).then_with(|| exact(number(*a), number(*b)))
            });
        }
        start = end;
    }
    ByWord { packed }
}

const fn first_bits(word: u64) -> u64 {
    word >> NUMBER_BITS << NUMBER_BITS
}

const fn number(packed: u64) -> u32 {
    (packed & ((1 << NUMBER_BITS) - 1)) as u32
}

impl ByWord {
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.packed.iter().map(|packed| number(*packed))
    }

    /// Pairs of neighbours whose first bits do not tell them apart.
    pub(super) fn alike(&self) -> impl Iterator<Item = (u32, u32)> {
        let pairs = self.packed.windows(2).filter_map(|pair| <[u64; 2]>::try_from(pair).ok());
        pairs.filter(|[a, b]| first_bits(*a) == first_bits(*b)).map(|[a, b]| (number(a), number(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            0_u64..4,
            (0_u64..1 << 21),
            Just(u64::MAX),
            (0_u64..16).prop_map(|high| high << 60)
        ]
    }

    proptest! {
        #[test]
        fn it_sorts_as_any_sort_does(words in prop::collection::vec(word(), 0..300)) {
            let word = |number: u32| words[number as usize];
            // Of equal words the higher number comes first.
            let exact = |a: u32, b: u32| word(a).cmp(&word(b)).then(b.cmp(&a));
            let mut expected: Vec<u32> = (0..words.len() as u32).collect();
            expected.sort_by(|a, b| exact(*a, *b));
            let sorted = by_word(&words, exact);
            prop_assert_eq!(sorted.numbers().collect::<Vec<_>>(), expected.clone());
            let alike = expected.windows(2).map(|pair| (pair[0], pair[1]));
            let alike = alike.filter(|(a, b)| word(*a) >> 18 == word(*b) >> 18);
            prop_assert_eq!(sorted.alike().collect::<Vec<_>>(), alike.collect::<Vec<_>>());
        }
    }
}
