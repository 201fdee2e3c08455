//! How many repair symbols an object gets.

use codec_fountain::{Encoder, repair_symbols};

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
        let share = (u64::from(k) * u64::from(self.0)).div_ceil(1_000);
        let share = u32::try_from(share).unwrap_or(u32::MAX).min(Encoder::MAX_REPAIR_SYMBOLS);
        share.max(repair_symbols(k, parents))
    }
}
