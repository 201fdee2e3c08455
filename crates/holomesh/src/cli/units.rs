//! Bytes and dates as commands print them.

use super::top::units::binary;
use core_types::WallTime;
use time::OffsetDateTime;

/// Bytes, with three digits that count.
pub(super) fn bytes(bytes: u64) -> String {
    format!("{}B", binary(bytes))
}

/// A date and time of day in UTC, as RFC 3339 has it.
pub(super) fn date(at: WallTime) -> String {
    let seconds = i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX);
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else { return "in another age".into() };
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_in_utc_and_no_time_is_too_far_away() {
        assert_eq!(date(WallTime(951_782_400_999)), "2000-02-29T00:00:00Z");
        assert_eq!(date(WallTime(u64::MAX)), "in another age");
    }
}
