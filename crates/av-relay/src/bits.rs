//! A set of slots: one bit each, so that a burst for thousands of links is marked in a few dozen words.

#[derive(Debug, Default)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn set(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (slot % 64);
    }

    #[inline]
    pub(crate) fn clear(&mut self, slot: u32) {
        if let Some(word) = self.words.get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    pub(crate) fn has(&self, slot: u32) -> bool {
        self.words.get(slot as usize / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(crate) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Adds all of `others` but those in `but`.
    pub(crate) fn add_all(&mut self, others: &Self, but: [&Self; 2]) {
        if self.words.len() < others.words.len() {
            self.words.resize(others.words.len(), 0);
        }
        for (at, (word, other)) in self.words.iter_mut().zip(&others.words).enumerate() {
            let not = but.iter().map(|b| b.words.get(at).copied().unwrap_or(0)).fold(0, |all, b| all | b);
            *word |= other & !not;
        }
    }

    /// The first slot in the set that is not below `from`.
    #[inline]
    pub(crate) fn next_from(&self, from: u32) -> Option<u32> {
        let mut at = from as usize / 64;
        let mut word = self.words.get(at)? & (u64::MAX << (from % 64));
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(at as u32 * 64 + word.trailing_zeros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec((0u32..300, any::<bool>()), 0..60), others: BTreeSet<u8>, but: BTreeSet<u8>) {
            let (mut bits, mut model) = (Bits::default(), BTreeSet::new());
            for (slot, set) in steps {
                if set {
                    bits.set(slot);
                    model.insert(slot);
                } else {
                    bits.clear(slot);
                    model.remove(&slot);
                }
                prop_assert_eq!(bits.has(slot), set);
            }
            let of = |slots: &BTreeSet<u8>| {
                let mut bits = Bits::default();
                slots.iter().for_each(|slot| bits.set(u32::from(*slot)));
                bits
            };
            bits.add_all(&of(&others), [&of(&but), &Bits::default()]);
            model.extend(others.difference(&but).map(|slot| u32::from(*slot)));
            let listed: Vec<u32> =
                core::iter::successors(bits.next_from(0), |slot| bits.next_from(slot + 1)).collect();
            prop_assert_eq!(listed, model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!((bits.len(), bits.is_empty()), (model.len(), model.is_empty()));
        }
    }
}
