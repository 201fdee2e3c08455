//! Scalability layers and what a receiver admits of them.

/// Where a chunk sits in the scalable stream; (0,0,0) is the base that everything else builds on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    /// Spatial layer: resolution.
    pub spatial: u8,
    /// Temporal layer: frame rate.
    pub temporal: u8,
    /// Quality layer: fidelity at one resolution.
    pub quality: u8,
}

impl Layer {
    /// The base layer.
    pub const BASE: Self = Self { spatial: 0, temporal: 0, quality: 0 };
}

/// The highest layer that a receiver wants on each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerPolicy {
    /// Highest spatial layer admitted.
    pub max_spatial: u8,
    /// Highest temporal layer admitted.
    pub max_temporal: u8,
    /// Highest quality layer admitted.
    pub max_quality: u8,
}

impl LayerPolicy {
    /// Base layer only.
    pub const BASE_ONLY: Self = Self { max_spatial: 0, max_temporal: 0, max_quality: 0 };
    /// Every layer.
    pub const UNCAPPED: Self = Self { max_spatial: 255, max_temporal: 255, max_quality: 255 };

    /// True if `layer` is at or below the cap on each axis.
    pub const fn admits(&self, layer: Layer) -> bool {
        layer.spatial <= self.max_spatial
            && layer.temporal <= self.max_temporal
            && layer.quality <= self.max_quality
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn admits_is_a_cap_on_every_axis(l: [u8; 3], p: [u8; 3]) {
            let layer = Layer { spatial: l[0], temporal: l[1], quality: l[2] };
            let policy = LayerPolicy { max_spatial: p[0], max_temporal: p[1], max_quality: p[2] };
            let by_axis = l.iter().zip(p).all(|(have, cap)| *have <= cap);
            prop_assert_eq!(policy.admits(layer), by_axis);
            prop_assert!(LayerPolicy::UNCAPPED.admits(layer));
        }
    }
}
