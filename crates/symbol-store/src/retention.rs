//! What gives way first: groups, which tiers drop as a whole, and priorities within them (spec 82 sections 1 and 2).

use consent_decay::Tier;
use core_types::{Layer, Marks, SymbolId};

/// How long a symbol is kept, from 0, the longest, to 255. The two bits at the top are the layer, at most 3; below them
/// source symbols come in order before repair symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retention(pub u8);

impl Retention {
    /// Of the symbol `id` of an object with `sources` source symbols; none counts as one.
    pub fn of(layer: Layer, id: SymbolId, sources: u32) -> Self {
        let (id, sources) = (u64::from(id.value()), u64::from(sources.max(1)));
        let six_bits = match id.checked_sub(sources) {
            None => id * 32 / sources,
            Some(repair) => 32 + (repair * 32 / (repair + 1)).min(31),
        };
        // Below 64 by construction.
        Self(Self::layer(layer) << 6 | six_bits as u8)
    }

    /// A layer as one number: how many steps it is above the base, at most 3.
    fn layer(layer: Layer) -> u8 {
        layer.spatial.saturating_add(layer.temporal).saturating_add(layer.quality).min(3)
    }
}

/// What a tier drops or keeps as a whole: each group of a content has a key of its own. A fountain block is all or nothing,
/// so no tier keeps half of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Group {
    /// Source symbols of key frames on the base layer.
    KeyFrames = 0,
    /// Other source symbols on the base layer.
    Base = 1,
    /// Source symbols of all layers above: resolution, rate of pictures, fidelity.
    Enhancement = 2,
    /// Repair symbols.
    Repair = 3,
}

impl Group {
    /// All groups, the one that is kept longest first.
    pub const ALL: [Self; 4] = [Self::KeyFrames, Self::Base, Self::Enhancement, Self::Repair];

    /// Of a chunk, by its layer and marks. `stands_in` says that a repair symbol stands for a source symbol that was lost on
    /// the way, so that the object would be gone without it: it is then kept as long as that symbol would be.
    pub fn of(layer: Layer, marks: Marks, stands_in: bool) -> Self {
        if marks.repair && !stands_in {
            Self::Repair
        } else if layer != Layer::BASE {
            Self::Enhancement
        } else if marks.is_key_frame() {
            Self::KeyFrames
        } else {
            Self::Base
        }
    }

    /// The lowest tier that keeps it.
    pub const fn kept_down_to(self) -> Tier {
        match self {
            Self::KeyFrames => Tier::MinViable,
            Self::Base => Tier::DropHighQuality,
            Self::Enhancement => Tier::DropRepair,
            Self::Repair => Tier::Full,
        }
    }

    /// Whether a tier keeps it.
    pub fn is_kept_at(self, tier: Tier) -> bool {
        tier >= self.kept_down_to()
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::ObjectClass;
    use proptest::prelude::*;

    fn id(value: u32) -> SymbolId {
        SymbolId::new(value).unwrap()
    }

    proptest! {
        /// A later symbol never outlives an earlier one of its object, and repair never outlives source.
        #[test]
        fn priorities_fall_with_the_number_of_the_symbol(spatial in 0u8..5, sources in 1u32..1_024, at in 0u32..3_000) {
            let layer = Layer { spatial, ..Layer::BASE };
            let of = |n| Retention::of(layer, id(n), sources).0;
            prop_assert!(of(at) <= of(at + 1));
            prop_assert_eq!(of(at) & 0x3f < 32, at < sources);
            prop_assert_eq!(of(at) >> 6, spatial.min(3));
        }
    }

    #[test]
    fn the_first_repair_symbols_are_told_apart() {
        let of = |repair: u32| Retention::of(Layer::BASE, id(20 + repair), 20).0;
        let first: Vec<u8> = (0..8).map(of).collect();
        assert_eq!(first, [32, 48, 53, 56, 57, 58, 59, 60]);
        assert_eq!(of(1_000), 63);
    }

    #[test]
    fn each_tier_keeps_one_group_less() {
        for (tier, kept) in [
            (Tier::Full, 4),
            (Tier::DropRepair, 3),
            (Tier::DropHighQuality, 2),
            (Tier::MinViable, 1),
            (Tier::EnvelopeOnly, 0),
            (Tier::HardDelete, 0),
        ] {
            let groups: Vec<_> = Group::ALL.into_iter().filter(|group| group.is_kept_at(tier)).collect();
            assert_eq!(groups, Group::ALL[..kept], "{tier}");
        }
    }

    #[test]
    fn chunks_are_grouped_by_layer_and_marks() {
        let up = Layer { temporal: 1, ..Layer::BASE };
        let key = Marks { class: ObjectClass::KeyFrame, ..Marks::NONE };
        let repair = Marks { repair: true, ..key };
        assert_eq!(Group::of(Layer::BASE, key, false), Group::KeyFrames);
        assert_eq!(Group::of(Layer::BASE, Marks::NONE, false), Group::Base);
        assert_eq!(Group::of(up, key, false), Group::Enhancement);
        assert_eq!(Group::of(Layer::BASE, repair, false), Group::Repair);
        assert_eq!(Group::of(Layer::BASE, repair, true), Group::KeyFrames);
        assert_eq!(Group::of(up, repair, true), Group::Enhancement);
    }
}
