//! Sorting by words that are spread evenly, as hashes are: in time that grows with how many there are, and no faster.

use core::cmp::Ordering;

/// So many are in one bucket on average.
const IN_EACH: usize = 4;
/// Buckets are 2 to the power of this at most.
const MOST_BITS: u32 = 16;

/// Sorts numbers by their words, and those of equal words by what is said. Words that are not spread evenly take as long as any
/// sort does.
pub(super) fn by_word(pairs: Vec<(u64, u32)>, equal: impl Fn(u32, u32) -> Ordering) -> Vec<(u64, u32)> {
    let bits = (pairs.len() / IN_EACH).max(2).ilog2().min(MOST_BITS);
    let bucket = |word: u64| (word >> (u64::BITS - bits)) as usize;
    // Where each bucket begins, and then where the next of it goes.
    let mut ends = vec![0_u32; (1 << bits) + 1];
    for (word, _) in &pairs {
        if let Some(count) = ends.get_mut(bucket(*word) + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut sorted = vec![(0, 0); pairs.len()];
    for pair in &pairs {
        let Some(end) = ends.get_mut(bucket(pair.0)) else { continue };
        if let Some(place) = sorted.get_mut(*end as usize) {
            *place = *pair;
        }
        *end += 1;
    }
    // With 100,000 peers memory is what it takes its time for.
    drop(pairs);
    let mut start = 0;
    for end in ends.iter().map(|end| *end as usize) {
        if let Some(of_bucket) = sorted.get_mut(start..end) {
            of_bucket.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| equal(a.1, b.1)));
        }
        start = end;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0_u64..4, Just(u64::MAX), (0_u64..16).prop_map(|high| high << 60)]
    }

    proptest! {
        #[test]
        fn it_sorts_as_any_sort_does(words in prop::collection::vec(word(), 0..300)) {
            let pairs: Vec<(u64, u32)> = words.into_iter().zip(0..).collect();
            let mut expected = pairs.clone();
            // Of equal words the higher number comes first.
            expected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
            prop_assert_eq!(by_word(pairs, |a, b| b.cmp(&a)), expected);
        }
    }
}
