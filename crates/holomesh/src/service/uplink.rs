//! What a node sends in all is held to a rate: a bucket of tokens that all links share.

use core_types::{BitRate, MonoTime};
use std::time::Duration;

/// The bucket holds what may be sent in this time, so that a picture's chunks can go together.
const DEPTH: Duration = Duration::from_millis(50);

/// The least that it holds, in bytes: one send with segmentation offload, so that a low rate does not make sends small.
const LEAST: u64 = 64 << 10;

/// The node's whole uplink. Bytes are taken after they were sent, and the bucket may go below empty by one send, so the
/// rate holds over time whatever the size of a send.
#[derive(Debug, Clone)]
pub struct Uplink {
    /// Bytes a second and the most that is saved up.
    bound: Option<(u64, i64)>,
    /// Bytes times a million, so that short times add up exactly.
    level: i128,
    at: MonoTime,
}

const MILLION: i128 = 1_000_000;

impl Uplink {
    /// An uplink of this rate, or one without a bound.
    pub fn new(now: MonoTime, rate: Option<BitRate>) -> Self {
        let bound = rate.map(|rate| {
            let bytes = (rate.0 / 8).max(1);
            let depth = u128::from(bytes) * DEPTH.as_micros() / 1_000_000;
            let depth = u64::try_from(depth).unwrap_or(u64::MAX).max(LEAST);
            (bytes, i64::try_from(depth).unwrap_or(i64::MAX))
        });
        let level = bound.map_or(0, |(_, depth)| i128::from(depth) * MILLION);
        Self { bound, level, at: now }
    }

    /// Bytes that may be sent now.
    pub fn budget(&mut self, now: MonoTime) -> usize {
        if self.bound.is_none() {
            return usize::MAX;
        }
        self.fill(now);
        usize::try_from(self.level / MILLION).unwrap_or(0)
    }

    /// So much was sent.
    pub fn take(&mut self, now: MonoTime, bytes: u64) {
        if self.bound.is_some() {
            self.fill(now);
            self.level -= i128::from(bytes) * MILLION;
        }
    }

    /// When there will be a budget of `bytes`, or of all that the bucket holds if that is less.
    pub fn retry_at(&mut self, now: MonoTime, bytes: u64) -> MonoTime {
        let Some((rate, depth)) = self.bound else { return now };
        self.fill(now);
        let wanted = i128::from(bytes).min(i128::from(depth)) * MILLION;
        let micros = (wanted - self.level).max(0).div_euclid(i128::from(rate)) + 1;
        now.plus(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }

    fn fill(&mut self, now: MonoTime) {
        let Some((rate, depth)) = self.bound else { return };
        let micros = now.0.saturating_sub(self.at.0);
        if micros > 0 {
            self.at = now;
            let filled = self.level + i128::from(rate) * i128::from(micros);
            self.level = filled.min(i128::from(depth) * MILLION);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_bound_everything_goes_at_once() {
        let now = MonoTime::from_millis(5);
        let mut uplink = Uplink::new(now, None);
        uplink.take(now, u64::MAX);
        assert_eq!((uplink.budget(now), uplink.retry_at(now, u64::MAX)), (usize::MAX, now));
    }

    #[test]
    fn at_the_time_that_it_names_there_is_the_budget_and_not_before() {
        let mut now = MonoTime::from_millis(0);
        let mut uplink = Uplink::new(now, Some(BitRate::from_kbit(8_000)));
        assert_eq!(uplink.budget(now), 64 << 10);
        uplink.take(now, 70_000);
        assert_eq!(uplink.budget(now), 0);
        let due = uplink.retry_at(now, 1_000);
        now = MonoTime(due.0 - 2);
        assert!(uplink.budget(now) < 1_000);
        assert!(uplink.budget(due) >= 1_000);
    }

    proptest! {
        /// Whoever sends as soon as it may, in sends of any size, gets the rate: not more than the bucket's content and
        /// one send above it, and not less.
        #[test]
        fn over_time_the_rate_is_kept(kbit in 64u64..1_000_000, sizes in proptest::collection::vec(100u64..65_000, 50..400)) {
            let rate = BitRate::from_kbit(kbit);
            let mut now = MonoTime::default();
            let mut uplink = Uplink::new(now, Some(rate));
            let (mut sent, depth) = (0u64, u64::try_from(uplink.bound.unwrap().1).unwrap());
            for size in sizes {
                if uplink.budget(now) == 0 {
                    now = uplink.retry_at(now, 1);
                    prop_assert!(uplink.budget(now) >= 1);
                }
                uplink.take(now, size);
                sent += size;
                let earned = u64::try_from(u128::from(rate.0 / 8) * u128::from(now.0) / 1_000_000).unwrap();
                prop_assert!(sent <= earned + depth + 65_000, "{} of {}", sent, earned);
                prop_assert!(sent + 65_000 >= earned, "{} of {}", sent, earned);
            }
        }
    }
}
