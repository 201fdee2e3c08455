//! Seeded loss at the datagram boundary: what a node hands to its QUIC connection as a media datagram is dropped with a
//! given probability. Control streams are not touched: QUIC would send their packets again.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How much is lost, and the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossConfig {
    /// Datagrams lost out of a hundred.
    pub percent: f64,
    /// The seed; each link draws its own sequence from it.
    pub seed: u64,
}

impl LossConfig {
    /// Nothing is lost.
    pub const NONE: Self = Self { percent: 0.0, seed: 0 };

    /// This loss, seeded for one link of one node.
    #[must_use]
    pub const fn for_link(self, link: u64) -> Self {
        // Odd multiplier of SplitMix64: neighbouring links get unrelated seeds.
        Self { percent: self.percent, seed: self.seed ^ (link + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) }
    }
}

/// Decides for each datagram.
#[derive(Debug)]
pub struct Loss {
    probability: f64,
    random: StdRng,
}

impl Loss {
    /// Loss as configured.
    pub fn new(config: LossConfig) -> Self {
        Self {
            probability: (config.percent / 100.0).clamp(0.0, 1.0),
            random: StdRng::seed_from_u64(config.seed),
        }
    }

    /// True if nothing is ever lost.
    pub(super) fn is_none(&self) -> bool {
        self.probability <= 0.0
    }

    /// True if the next datagram is lost.
    pub fn strikes(&mut self) -> bool {
        self.probability > 0.0 && self.random.random_bool(self.probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(config: LossConfig) -> Vec<bool> {
        let mut loss = Loss::new(config);
        (0..20_000).map(|_| loss.strikes()).collect()
    }

    #[test]
    fn loss_follows_the_seed_and_the_rate() {
        let config = LossConfig { percent: 2.0, seed: 7 };
        assert_eq!(pattern(config), pattern(config));
        assert_ne!(pattern(config.for_link(0)), pattern(config.for_link(1)));
        let lost = pattern(config).into_iter().filter(|lost| *lost).count();
        assert!((300..500).contains(&lost), "{lost} of 20,000 at 2 %");
        assert!(pattern(LossConfig::NONE).iter().all(|lost| !lost));
        assert!(pattern(LossConfig { percent: 100.0, seed: 1 }).iter().all(|lost| *lost));
    }
}
