//! Losses that come in bursts.

/// Gilbert and Elliott's: a path is up or down, and changes with the next frame at a fixed chance. Nothing comes while it is down.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    random: u64,
    is_down: bool,
    to_down: f64,
    to_up: f64,
}

impl Path {
    /// Loses this share of the frames, in bursts of `burst` frames in the mean.
    pub(crate) fn new(lost: f64, burst: f64, seed: u64) -> Self {
        let to_up = 1.0 / burst;
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
        Self { random, is_down: false, to_down: to_up * lost / (1.0 - lost), to_up }
    }

    /// True if the next frame is lost.
    pub(crate) fn loses(&mut self) -> bool {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let chance = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        let changes = chance < if self.is_down { self.to_up } else { self.to_down };
        self.is_down ^= changes;
        self.is_down
    }
}
