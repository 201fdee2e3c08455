//! A small generator with a seed: SplitMix64.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014). Good enough to draw
/// the faults of a test network, and of no use for secrets.
#[derive(Debug, Clone)]
pub struct Prng(u64);

impl Prng {
    /// A generator that gives the same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound − 1`; 0 when the bound is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: the bias is below 2^-32 for every bound that a test uses.
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// A number from 0 on, below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A generator of its own, whose numbers depend on this one's state and on the label alone.
    #[must_use]
    pub fn fork(&self, label: &[u8]) -> Self {
        let mut state = self.clone();
        for byte in label {
            state.0 ^= u64::from(*byte);
            state.0 = state.next_u64();
        }
        Self(state.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_sequence() {
        // The first outputs for this seed, as published with the reference implementation.
        let mut prng = Prng::new(1_234_567);
        let got: Vec<u64> = (0..3).map(|_| prng.next_u64()).collect();
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn bounds_and_units_are_kept_and_even() {
        let mut prng = Prng::new(3);
        let mut seen = [0_u32; 7];
        for _ in 0..70_000 {
            seen[prng.below(7) as usize] += 1;
            assert!((0.0..1.0).contains(&prng.unit()));
        }
        assert!(seen.iter().all(|n| (9_600..10_400).contains(n)), "{seen:?}");
        assert_eq!(prng.below(0), 0);
    }

    #[test]
    fn forks_differ_by_label() {
        let root = Prng::new(1);
        assert_ne!(root.fork(b"ab").next_u64(), root.fork(b"ba").next_u64());
        assert_eq!(root.fork(b"ab").next_u64(), root.fork(b"ab").next_u64());
    }
}
