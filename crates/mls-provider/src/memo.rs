//! Digests of inputs that come again: `openmls` hashes every node of the ratchet tree at every commit, two or three times
//! over, and all but a path of them are as they were.

use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::mem;
use std::sync::{Mutex, PoisonError};

/// Inputs of this many bytes are remembered. A tree node with an X-Wing key has more than 1,216; below, SHA-256 is as fast
/// as looking up. The most allows for a parent with a thousand unmerged leaves.
const REMEMBERED: core::ops::RangeInclusive<usize> = 1_024..=8_192;
/// Bytes of inputs in each of the two generations: 2,500 members.
const GENERATION: usize = 8 << 20;
/// Bytes at each end of an input that choose its place. At the ends of a node are its index, the head of its key, the end
/// of its signature or the digest of a child.
const ENDS: usize = 32;

/// SHA-256 with a memory. An input is compared in full before its digest is given, so this is SHA-256 of the input
/// whatever a peer puts in there; the worst that it can do is to push others out. Nothing in it is secret: these are the
/// nodes of a tree that all members know.
#[derive(Default)]
pub(crate) struct Memo {
    places: RandomState,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<u64, Known>,
    old: HashMap<u64, Known>,
    /// Bytes of the young ones' inputs.
    bytes: usize,
}

struct Known {
    input: Box<[u8]>,
    digest: [u8; 32],
}

impl Memo {
    pub(crate) fn sha256(&self, input: &[u8]) -> [u8; 32] {
        if !REMEMBERED.contains(&input.len()) {
            return Sha256::digest(input).into();
        }
        let ends = (input.len(), &input[..ENDS], &input[input.len() - ENDS..]);
        let place = self.places.hash_one(ends);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = generations.young.get(&place)
            && *known.input == *input
        {
            return known.digest;
        }
        let known = match generations.old.remove(&place) {
            Some(known) if *known.input == *input => known,
            _ => Known { input: input.into(), digest: Sha256::digest(input).into() },
        };
        let digest = known.digest;
        generations.insert(place, known);
        digest
    }
}

impl Generations {
    fn insert(&mut self, place: u64, known: Known) {
        if self.bytes + known.input.len() > GENERATION {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += known.input.len();
        if let Some(before) = self.young.insert(place, known) {
            self.bytes -= before.input.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(memo: &Memo) -> (usize, usize) {
        let generations = memo.generations.lock().unwrap();
        let sum = |known: &HashMap<u64, Known>| known.values().map(|known| known.input.len()).sum::<usize>();
        assert_eq!(generations.bytes, sum(&generations.young));
        (generations.young.len() + generations.old.len(), sum(&generations.young) + sum(&generations.old))
    }

    #[test]
    fn inputs_that_differ_in_the_middle_alone_are_told_apart() {
        let memo = Memo::default();
        let mut input = vec![7; 1_300];
        for at in [0, 31, 32, 650, 1_267, 1_268, 1_299] {
            for _ in 0..2 {
                input[at] ^= 1;
                for _ in 0..2 {
                    assert_eq!(memo.sha256(&input)[..], Sha256::digest(&input)[..], "{at}");
                }
            }
        }
    }

    #[test]
    fn what_is_known_is_not_hashed_again() {
        let memo = Memo::default();
        let input = vec![7; 1_300];
        memo.sha256(&input);
        // A wrong digest in the memory shows that it is the one that is given.
        for known in memo.generations.lock().unwrap().young.values_mut() {
            known.digest = [9; 32];
        }
        assert_eq!(memo.sha256(&input), [9; 32]);
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let memo = Memo::default();
        let often = vec![1; 2_000];
        let mut input = vec![2; 8_192];
        for round in 0..3 * GENERATION / 8_192 {
            input[..8].copy_from_slice(&(round as u64).to_be_bytes());
            memo.sha256(&input);
            memo.sha256(&often);
            assert!(kept(&memo).1 <= 2 * GENERATION);
        }
        let generations = memo.generations.lock().unwrap();
        let known = generations.young.values().chain(generations.old.values());
        assert!(known.into_iter().any(|known| *known.input == *often));
    }

    #[test]
    fn short_and_long_inputs_are_not_kept() {
        let memo = Memo::default();
        for len in [0, 1, 191, 1_023, 8_193, 100_000] {
            let input = vec![5; len];
            assert_eq!(memo.sha256(&input)[..], Sha256::digest(&input)[..]);
        }
        assert_eq!(kept(&memo).0, 0);
    }

    proptest! {
        #[test]
        fn it_is_sha256(inputs in proptest::collection::vec((0u8..4, 1_000usize..1_400), 1..40)) {
            let memo = Memo::default();
            for (byte, len) in inputs {
                let input = vec![byte; len];
                prop_assert_eq!(&memo.sha256(&input)[..], &Sha256::digest(&input)[..]);
            }
        }
    }
}
