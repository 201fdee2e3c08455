//! What an encoder is asked for.

use core_types::{BitRate, FrameRate, FrameSize};

#[cfg(any(feature = "libaom", feature = "rav1e"))]
use crate::Error;

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderConfig {
    /// The size of every frame.
    pub size: FrameSize,
    /// How many frames a second will come; the rate control counts with it.
    pub rate: FrameRate,
    /// The target over all layers, averaged over a few seconds: [`MIN_BIT_RATE`](Self::MIN_BIT_RATE) to
    /// [`MAX_BIT_RATE`](Self::MAX_BIT_RATE).
    pub bit_rate: BitRate,
    /// The most frames from one key frame to the next: 1 to 10,000.
    pub max_key_interval: u32,
    /// Threads that the encoder may use: 1 to 64.
    pub threads: usize,
}

impl EncoderConfig {
    /// The lowest target: 8 kbit/s.
    pub const MIN_BIT_RATE: BitRate = BitRate::from_kbit(8);
    /// The highest target: 200 Mbit/s.
    pub const MAX_BIT_RATE: BitRate = BitRate::from_kbit(200_000);

    #[cfg(any(feature = "libaom", feature = "rav1e"))]
    pub(crate) fn check(&self) -> Result<(), Error> {
        let setting = |what: String| Err(Error::Config(what));
        if !(Self::MIN_BIT_RATE..=Self::MAX_BIT_RATE).contains(&self.bit_rate) {
            return setting(format!("bit rate {}: 8 kbit/s to 200 Mbit/s", self.bit_rate));
        }
        if !(1..=10_000).contains(&self.max_key_interval) {
            return setting(format!("{} frames between key frames: 1 to 10000", self.max_key_interval));
        }
        if !(1..=64).contains(&self.threads) {
            return setting(format!("{} threads: 1 to 64", self.threads));
        }
        Ok(())
    }
}
