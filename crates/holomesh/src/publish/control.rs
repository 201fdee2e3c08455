//! What the node says to the encoding threads while they run.

use crate::Error;
use codec_av1::EncoderConfig;
use codec_mdc::Description;
use core_types::{BitRate, MediaTime};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Between which bit rates the encoder of pictures may be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateBounds {
    /// Not lower, however little the first hop sustains: below it pictures are worth nothing.
    pub min: BitRate,
    /// Not higher, however much it sustains.
    pub max: BitRate,
}

impl RateBounds {
    /// The bounds, if they are bounds.
    ///
    /// # Errors
    /// [`Error::Input`] if `min` is above `max`, or one of them is no rate that the encoder can do.
    pub fn new(min: BitRate, max: BitRate) -> Result<Self, Error> {
        let bounds = Self { min, max };
        bounds.check().map(|()| bounds)
    }

    /// The nearest rate within the bounds.
    pub fn clamp(self, rate: BitRate) -> BitRate {
        rate.max(self.min).min(self.max)
    }

    /// # Errors
    /// As [`RateBounds::new`]: the fields are open.
    pub(super) fn check(self) -> Result<(), Error> {
        let Self { min, max } = self;
        let (lowest, highest) = (EncoderConfig::MIN_BIT_RATE, EncoderConfig::MAX_BIT_RATE);
        if min > max {
            return Err(Error::input("bit rates", format!("the least, {min}, is above the most, {max}")));
        }
        if min < lowest || max > highest {
            let why = format!("{min} to {max}; the encoder does {lowest} to {highest}");
            return Err(Error::input("bit rates", why));
        }
        Ok(())
    }
}

/// What the node says to the encoding threads while they run.
#[derive(Debug)]
pub struct EncoderControl {
    /// In which descriptions, a bit for each; all of them are everything where there are none.
    key_frames: AtomicU8,
    stop: AtomicBool,
    /// Microseconds of media time; `u64::MAX` while no end is known.
    end: AtomicU64,
    skipped: AtomicU64,
    /// Bits per second; 0 as long as nothing was asked for.
    bit_rate: AtomicU64,
    /// Percent of the packets of sound that are expected to be lost.
    expected_loss: AtomicU8,
}

impl Default for EncoderControl {
    fn default() -> Self {
        Self {
            key_frames: AtomicU8::new(0),
            stop: AtomicBool::new(false),
            end: AtomicU64::new(u64::MAX),
            skipped: AtomicU64::new(0),
            bit_rate: AtomicU64::new(0),
            expected_loss: AtomicU8::new(0),
        }
    }
}

impl EncoderControl {
    /// The next picture shall be a key frame, in all descriptions.
    pub fn request_key_frame(&self) {
        self.key_frames.store(u8::MAX, Ordering::Relaxed);
    }

    /// The next picture shall be a key frame in one description.
    pub fn request_key_frame_in(&self, description: Description) {
        self.key_frames.fetch_or(1 << description.index(), Ordering::Relaxed);
    }

    /// Pictures from the next one on shall be coded at another bit rate, or at the bound that it is beyond. Without
    /// [`VideoConfig::bounds`](super::VideoConfig::bounds) nothing happens.
    ///
    /// libaom changes with the next picture, at no cost. With rav1e a change costs a key frame, so it is for the caller to keep changes rare
    /// and small ones back; and since it gives pictures out four later, so do the first ones at the new rate. Packets say at which rate they
    /// were coded ([`Encoded::bit_rate`](super::Encoded::bit_rate)): before that it is too early to judge what the change did.
    pub fn set_bit_rate(&self, bit_rate: BitRate) {
        self.bit_rate.store(bit_rate.0.max(1), Ordering::Relaxed);
    }

    /// So many packets of sound are expected to be lost from the next one on, in percent: what the encoder spends on that follows
    /// from it, up to what its configuration expects. Where any are, resolutions of pictures can be taken up each second.
    pub fn set_expected_loss(&self, percent: u8) {
        self.expected_loss.store(percent, Ordering::Relaxed);
    }

    /// Stop capturing; what is in the encoder still comes out.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Pictures that were not encoded because encoding was too slow, or were too long to be sent, with those that refer to them.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    pub(crate) fn count_skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// True if nothing is to be captured at that media time any more.
    pub(super) fn is_over(&self, at: MediaTime) -> bool {
        self.stop.load(Ordering::Relaxed) || at.0 >= self.end.load(Ordering::Relaxed)
    }

    /// A source has ended at that media time. The others go on to there, however far behind they are, and no further.
    pub(super) fn end_at(&self, at: MediaTime) {
        self.end.fetch_min(at.0, Ordering::Relaxed);
    }

    /// In which descriptions a key frame was asked for since, a bit for each.
    pub(crate) fn take_key_frame_requests(&self) -> u8 {
        self.key_frames.swap(0, Ordering::Relaxed)
    }

    /// Percent of the packets of sound that are expected to be lost.
    pub(super) fn expected_loss(&self) -> u8 {
        self.expected_loss.load(Ordering::Relaxed)
    }

    /// The bit rate that was asked for last, within `bounds`.
    pub(super) fn bit_rate(&self, bounds: RateBounds) -> Option<BitRate> {
        match self.bit_rate.load(Ordering::Relaxed) {
            0 => None,
            rate => Some(bounds.clamp(BitRate(rate))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_bounds_that_the_encoder_can_keep_are_taken(min in 0u64..300_000, max in 0u64..300_000) {
            let (min, max) = (BitRate::from_kbit(min), BitRate::from_kbit(max));
            let possible = min <= max && min.0 >= 8_000 && max.0 <= 200_000_000;
            prop_assert_eq!(RateBounds::new(min, max).is_ok(), possible);
        }

        #[test]
        fn what_is_asked_for_is_kept_within_bounds(asked in any::<u64>(), min in 8u64..1_000, more in 0u64..1_000) {
            let (min, max) = (BitRate::from_kbit(min), BitRate::from_kbit(min + more));
            let bounds = RateBounds::new(min, max).unwrap();
            let control = EncoderControl::default();
            prop_assert_eq!(control.bit_rate(bounds), None);
            control.set_bit_rate(BitRate(asked));
            let expected = if asked < min.0 { min } else if asked > max.0 { max } else { BitRate(asked) };
            prop_assert_eq!(control.bit_rate(bounds), Some(expected));
        }
    }
}
