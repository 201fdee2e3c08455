//! How many repair symbols an object gets.

use codec_fountain::{Encoder, repair_symbols};
use core_types::Layer;

/// Repair symbols as a share of the source symbols, in thousandths: 0 to 1,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepairShare(u16);

impl RepairShare {
    /// None but those that let any one parent fail.
    pub const NONE: Self = Self(0);
    /// As many as there are source symbols: whoever loses more than half needs a lower rate, not more repair.
    pub const MAX: Self = Self(1_000);

    /// From thousandths; above 1,000 it is [`RepairShare::MAX`].
    pub const fn from_permille(permille: u32) -> Self {
        if permille > Self::MAX.0 as u32 { Self::MAX } else { Self(permille as u16) }
    }

    /// In thousandths.
    pub const fn permille(self) -> u16 {
        self.0
    }

    /// Repair symbols for `k` source symbols: the share, rounded up, but never fewer than let any one of `parents` fail.
    pub(super) fn symbols(self, k: u32, parents: u8) -> u32 {
        self.alone(k).max(repair_symbols(k, parents))
    }

    /// The share of `k`, rounded up.
    fn alone(self, k: u32) -> u32 {
        self.of(k, 999)
    }

    /// The share of `k`, rounded to the nearest: a small object gets none for a small loss, and what it loses is asked for.
    fn nearest(self, k: u32) -> u32 {
        self.of(k, 500)
    }

    fn of(self, k: u32, more: u64) -> u32 {
        let share = (u64::from(k) * u64::from(self.0) + more) / 1_000;
        u32::try_from(share).unwrap_or(u32::MAX).min(Encoder::MAX_REPAIR_SYMBOLS)
    }
}

/// How many repair symbols a stream's objects get.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repair {
    pub(super) parents: u8,
    pub(super) share: RepairShare,
    /// Of detail: what makes a picture larger or better, and has no later one refer to it for long. When a parent fails a picture or two
    /// have less of it, so nothing is spent on that.
    pub(super) of_detail: RepairShare,
}

impl Repair {
    /// For `k` source symbols of what can be done without.
    pub(super) fn for_spare(&self, k: u32) -> u32 {
        self.share.nearest(k)
    }

    /// For `k` source symbols of a layer.
    pub(super) fn symbols(&self, k: u32, layer: Layer) -> u32 {
        let is_detail = (layer.spatial > 0 || layer.quality > 0) && layer.temporal > 0;
        if is_detail { self.of_detail.nearest(k) } else { self.share.symbols(k, self.parents) }
    }
}
