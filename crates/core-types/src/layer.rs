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

    /// Everything up to `layer` on each axis.
    pub const fn up_to(layer: Layer) -> Self {
        Self { max_spatial: layer.spatial, max_temporal: layer.temporal, max_quality: layer.quality }
    }

    /// One layer less, as relays shed (spec 50.5.11): of the axes above 0 the first of spatial, quality, temporal. `None` where the base
    /// is all there is.
    pub const fn lower(self) -> Option<Self> {
        match self {
            Self { max_spatial: 1.., .. } => Some(Self { max_spatial: self.max_spatial - 1, ..self }),
            Self { max_quality: 1.., .. } => Some(Self { max_quality: self.max_quality - 1, ..self }),
            Self { max_temporal: 1.., .. } => Some(Self { max_temporal: self.max_temporal - 1, ..self }),
            _ => None,
        }
    }

    /// What both admit.
    pub const fn and(self, other: Self) -> Self {
        const fn min(a: u8, b: u8) -> u8 {
            if a < b { a } else { b }
        }
        Self {
            max_spatial: min(self.max_spatial, other.max_spatial),
            max_temporal: min(self.max_temporal, other.max_temporal),
            max_quality: min(self.max_quality, other.max_quality),
        }
    }

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
            prop_assert!(LayerPolicy::up_to(layer).admits(layer));
        }

        #[test]
        fn both_admit_what_each_of_them_does(l: [u8; 3], a: [u8; 3], b: [u8; 3]) {
            let layer = Layer { spatial: l[0], temporal: l[1], quality: l[2] };
            let policy = |p: [u8; 3]| LayerPolicy { max_spatial: p[0], max_temporal: p[1], max_quality: p[2] };
            let (a, b) = (policy(a), policy(b));
            prop_assert_eq!(a.and(b).admits(layer), a.admits(layer) && b.admits(layer));
        }

        #[test]
        fn each_lower_one_admits_less_down_to_the_base(l in prop::array::uniform3(0u8..6)) {
            let top = Layer { spatial: l[0], temporal: l[1], quality: l[2] };
            let ladder: Vec<_> = std::iter::successors(Some(LayerPolicy::up_to(top)), |p| p.lower()).collect();
            prop_assert_eq!(ladder.last(), Some(&LayerPolicy::BASE_ONLY));
            prop_assert_eq!(ladder.len(), l.iter().map(|axis| usize::from(*axis)).sum::<usize>() + 1);
            prop_assert!(ladder.windows(2).all(|pair| pair[0].and(pair[1]) == pair[1]));
        }
    }
}
