//! Random numbers of a run: all of them come from the scenario's seed.

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). Good enough for losses and choices, and not a source of keys.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// Own numbers for each use of one seed: so more draws for losses do not change who joins.
    pub(super) const fn new(seed: u64, purpose: u64) -> Self {
        let mut rng = Self(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let start = rng.next();
        Self(start)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// From 0 to `bound` − 1; 0 if `bound` is 0. By multiplication, so the bias is below 2⁻³² for what is drawn here.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// From `low` to `high`, both included.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in `permille` of 1,000 cases. Draws nothing where there is nothing to decide.
    pub(super) const fn chance(&mut self, permille: u16) -> bool {
        permille != 0 && self.below(1_000) < permille as u64
    }

    pub(super) fn id(&mut self) -> [u8; 32] {
        let mut id = [0; 32];
        for part in id.as_chunks_mut::<8>().0 {
            *part = self.next().to_be_bytes();
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_stays_within_its_bounds_and_reaches_both() {
        let mut rng = Rng::new(7, 1);
        let drawn: Vec<u64> = (0..2_000).map(|_| rng.between(3, 9)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&3), Some(&9)));
        let hits = (0..10_000).filter(|_| rng.chance(250)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn each_purpose_has_numbers_of_its_own() {
        let first = |purpose| Rng::new(42, purpose).next();
        assert_ne!(first(1), first(2));
        assert_eq!(first(1), first(1));
    }
}
