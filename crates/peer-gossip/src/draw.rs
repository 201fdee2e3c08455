//! What is drawn, by a seed.

/// SplitMix64: good enough to spread choices, and nothing that has to be secret.
#[derive(Debug, Clone)]
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `count` of them, each with the same chance, in drawn order.
    pub(crate) fn some<T>(&mut self, mut all: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(all.len());
        for at in 0..count {
            let left = (all.len() - at) as u64;
            all.swap(at, at + (self.next() % left) as usize);
        }
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_is_drawn_once_all_come_up_and_a_seed_gives_the_same_again() {
        let draw = |seed, count| Draw(seed).some((0..10).collect(), count);
        for seed in 0..50 {
            let some = draw(seed, 4);
            assert_eq!(some, draw(seed, 4));
            assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), 4);
            assert_eq!(draw(seed, 99).len(), 10);
        }
        let seen: BTreeSet<i32> = (0..50).map(|seed| draw(seed, 1)[0]).collect();
        assert_eq!(seen.len(), 10);
    }
}
