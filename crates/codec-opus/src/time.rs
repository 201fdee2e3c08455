//! Media time in samples, and how far a clock is from it.

use core::time::Duration;
use core_types::{MediaTime, MonoTime};

/// Media time in units of 1/48,000 s, in which every duration of Opus is whole. At most 2^60, about 760,000 years.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleTime(i64);

impl SampleTime {
    const MAX: i64 = 1 << 60;

    /// From units of 1/48,000 s since the publisher's origin, saturating.
    pub const fn new(samples: u64) -> Self {
        Self::clamped(if samples > Self::MAX as u64 { Self::MAX } else { samples as i64 })
    }

    /// The nearest sample.
    pub const fn from_media(at: MediaTime) -> Self {
        Self::new(((at.0 as u128 * 48 + 500) / 1_000) as u64)
    }

    /// The nearest microsecond.
    pub const fn media(self) -> MediaTime {
        MediaTime(((self.0 as u128 * 1_000 + 24) / 48) as u64)
    }

    /// Units of 1/48,000 s since the publisher's origin.
    pub const fn samples(self) -> u64 {
        self.0 as u64
    }

    pub(crate) const fn ticks(self) -> i64 {
        self.0
    }

    pub(crate) const fn clamped(ticks: i64) -> Self {
        Self(if ticks < 0 {
            0
        } else if ticks > Self::MAX {
            Self::MAX
        } else {
            ticks
        })
    }
}

/// A local clock minus media time, in units of 1/48,000 s: what is captured at a media time is played this much later. Only
/// differences between offsets of one publisher mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockOffset(pub(crate) i64);

impl ClockOffset {
    /// Where something of media time `at` happened at `local`.
    pub fn between(local: MonoTime, at: SampleTime) -> Self {
        Self(ticks(local) - at.ticks())
    }

    /// When something of media time `at` happens.
    pub fn local(self, at: SampleTime) -> MonoTime {
        let local = at.ticks().saturating_add(self.0).max(0);
        MonoTime(((local as u128 * 1_000 + 24) / 48) as u64)
    }

    /// How much later than by `other` things happen by this one; negative when earlier. Microseconds, saturating.
    pub const fn micros_after(self, other: Self) -> i64 {
        let ticks = self.0 as i128 - other.0 as i128;
        let micros = ticks * 125 / 6;
        if micros > i64::MAX as i128 {
            i64::MAX
        } else if micros < i64::MIN as i128 {
            i64::MIN
        } else {
            micros as i64
        }
    }
}

/// Local time in the units of [`SampleTime`].
pub(crate) fn ticks(at: MonoTime) -> i64 {
    SampleTime::from_media(MediaTime(at.0)).ticks()
}

/// A duration in the units of [`SampleTime`], rounded down; durations beyond an hour count as one.
pub(crate) const fn span(duration: Duration) -> i64 {
    let micros = duration.as_micros();
    let hour = 3_600_000_000;
    (if micros > hour { hour } else { micros } * 48 / 1_000) as i64
}

/// The other way.
pub(crate) const fn duration(ticks: i64) -> Duration {
    Duration::from_nanos(if ticks < 0 { 0 } else { (ticks as u128 * 62_500 / 3) as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_frames_are_exact_both_ways() {
        for (micros, samples) in [(0, 0), (2_500, 120), (20_000, 960), (60_000_000, 2_880_000)] {
            assert_eq!(SampleTime::from_media(MediaTime(micros)).samples(), samples);
            assert_eq!(SampleTime::new(samples).media(), MediaTime(micros));
        }
        assert_eq!(SampleTime::from_media(MediaTime(u64::MAX)).samples(), 885_443_715_538_058_478);
        assert_eq!(SampleTime::new(u64::MAX).samples(), 1 << 60);
    }

    #[test]
    fn an_offset_leads_back_to_the_time_it_came_from() {
        let (local, at) = (MonoTime::from_millis(7_005), SampleTime::new(48_000));
        let offset = ClockOffset::between(local, at);
        assert_eq!(offset.local(at), local);
        assert_eq!(offset.local(SampleTime::new(48_960)), MonoTime::from_millis(7_025));
        let later = ClockOffset::between(MonoTime::from_millis(7_045), at);
        assert_eq!((later.micros_after(offset), offset.micros_after(later)), (40_000, -40_000));
    }
}
