//! Three clocks that must not be mixed: monotonic time for decisions, wall time for records, media time for pictures.

use core::time::Duration;

/// Microseconds on a monotonic clock with an origin that only the node knows. What every `handle_*` takes as `now`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime(pub u64);

impl MonoTime {
    /// Microseconds as time.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Milliseconds as time.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This time plus `by`, saturating.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        let micros = by.as_micros();
        let micros = if micros > u64::MAX as u128 { u64::MAX } else { micros as u64 };
        Self(self.0.saturating_add(micros))
    }
}

/// Milliseconds since 1970-01-01 UTC, as read from a wall clock that may be wrong or jump.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

/// Microseconds of a stream's own time: when a frame was captured, counted from the publisher's origin that its audio
/// and video share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaTime(pub u64);

impl MediaTime {
    /// From a duration since the publisher's origin, saturating.
    pub const fn from_duration(at: Duration) -> Self {
        let micros = at.as_micros();
        Self(if micros > u64::MAX as u128 { u64::MAX } else { micros as u64 })
    }

    /// As a duration since the publisher's origin.
    pub const fn as_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_arithmetic_saturates_instead_of_wrapping() {
        let t = MonoTime::from_millis(5);
        assert_eq!(t.since(MonoTime::from_millis(7)), Duration::ZERO);
        assert_eq!(t.plus(Duration::from_micros(1)).since(t), Duration::from_micros(1));
        assert_eq!(t.plus(Duration::MAX), MonoTime(u64::MAX));
        assert_eq!(MonoTime::from_millis(u64::MAX), MonoTime(u64::MAX));
    }
}
