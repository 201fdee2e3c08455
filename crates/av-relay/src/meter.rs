//! Token buckets in whole numbers: how many bytes and chunks may pass now.

use crate::{Measure, Quota};
use av_wire::MAX_CHUNK_LEN;
use core_types::MonoTime;

/// Credit is counted in millionths: at a rate of one a second, a microsecond earns one of them.
const MILLION: u64 = 1_000_000;
/// Above this a rate is no limit: a terabyte a second.
const NO_LIMIT: u64 = 1_000_000_000_000;

/// One rate. Holds what may pass in a quarter of a second, and at least `floor`.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: u64,
    most: u64,
    credit: u64,
    at: MonoTime,
}

impl Bucket {
    fn new(rate: u64, floor: u64) -> Self {
        let most = (rate.min(NO_LIMIT) / 4).max(floor) * MILLION;
        Self { rate, most, credit: most, at: MonoTime(0) }
    }

    const fn is_limited(&self) -> bool {
        self.rate < NO_LIMIT
    }

    fn refill(&mut self, now: MonoTime) {
        // What is earned in more than a second does not fit the bucket, unless the floor is above a second's worth.
        let elapsed = now.0.saturating_sub(self.at.0);
        self.credit = self.credit.saturating_add(elapsed.saturating_mul(self.rate)).min(self.most);
        self.at = self.at.max(now);
    }

    /// When `amount` may pass: `None` if never.
    fn ready_at(&self, amount: u64) -> Option<MonoTime> {
        let short = amount.saturating_mul(MILLION).min(self.most).saturating_sub(self.credit);
        if self.rate == 0 && short > 0 {
            return None;
        }
        Some(MonoTime(self.at.0.saturating_add(short.div_ceil(self.rate.max(1)))))
    }
}

/// Bytes and chunks in one direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    bytes: Bucket,
    packets: Bucket,
}

impl Meter {
    pub(crate) fn new(quota: &Quota) -> Self {
        Self {
            bytes: Bucket::new(quota.bytes_per_second, MAX_CHUNK_LEN as u64),
            packets: Bucket::new(quota.packets_per_second, 1),
        }
    }

    /// Sets other rates, without a gift of credit.
    pub(crate) fn set(&mut self, quota: &Quota) {
        let new = Self::new(quota);
        let carry = |new: Bucket, old: Bucket| Bucket {
            credit: if old.is_limited() { old.credit.min(new.most) } else { new.most },
            at: old.at,
            ..new
        };
        *self = Self { bytes: carry(new.bytes, self.bytes), packets: carry(new.packets, self.packets) };
    }

    #[inline]
    pub(crate) const fn is_limited(&self) -> bool {
        self.bytes.is_limited() || self.packets.is_limited()
    }

    /// Bytes and chunks that may pass now.
    pub(crate) fn room(&mut self, now: MonoTime) -> (u64, u64) {
        let room = |bucket: &mut Bucket| {
            if bucket.is_limited() {
                bucket.refill(now);
                bucket.credit / MILLION
            } else {
                u64::MAX
            }
        };
        (room(&mut self.bytes), room(&mut self.packets))
    }

    /// Takes off what passed.
    #[inline]
    pub(crate) fn spend(&mut self, bytes: u64, packets: u64) {
        self.bytes.credit = self.bytes.credit.saturating_sub(bytes.saturating_mul(MILLION));
        self.packets.credit = self.packets.credit.saturating_sub(packets.saturating_mul(MILLION));
    }

    /// What keeps one chunk of `bytes` from passing now, and how much of it is allowed.
    pub(crate) fn obstacle(&mut self, now: MonoTime, bytes: u64) -> Option<(Obstacle, u64)> {
        let (room, packets) = self.room(now);
        if bytes > room {
            Some((Obstacle::Bytes, self.bytes.rate))
        } else if packets == 0 {
            Some((Obstacle::Packets, self.packets.rate))
        } else {
            None
        }
    }

    /// When a chunk of `bytes` may pass; `None` if never.
    pub(crate) fn ready_at(&self, bytes: u64) -> Option<MonoTime> {
        let at = |bucket: &Bucket, amount| {
            if bucket.is_limited() { bucket.ready_at(amount) } else { Some(MonoTime(0)) }
        };
        Some(at(&self.bytes, bytes)?.max(at(&self.packets, 1)?))
    }
}

/// Which of the two rates is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    Bytes,
    Packets,
}

impl Obstacle {
    pub(crate) const fn incoming(self) -> Measure {
        match self {
            Self::Bytes => Measure::BytesIn,
            Self::Packets => Measure::PacketsIn,
        }
    }

    pub(crate) const fn outgoing(self) -> Measure {
        match self {
            Self::Bytes => Measure::BytesOut,
            Self::Packets => Measure::PacketsOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_window_lets_more_through_than_its_rate_and_a_bucketful(
            rate in 1u64..2_000_000, steps in prop::collection::vec((0u64..300_000, 1u64..65_537), 1..100),
        ) {
            let mut meter = Meter::new(&Quota { bytes_per_second: rate, ..Quota::UNLIMITED });
            let bucket = (rate / 4).max(MAX_CHUNK_LEN as u64);
            let mut passed: Vec<(u64, u64)> = Vec::new();
            let mut now = MonoTime(5_000_000);
            for (wait, bytes) in steps {
                now = MonoTime(now.0 + wait);
                if meter.obstacle(now, bytes).is_none() {
                    meter.spend(bytes, 1);
                    passed.push((now.0, bytes));
                } else if let Some(at) = meter.ready_at(bytes) {
                    // It is not ready earlier than it says, and ready then.
                    let mut later = meter;
                    prop_assert!(at > now && later.obstacle(MonoTime(at.0 - 1), bytes).is_some());
                    prop_assert!(meter.obstacle(at, bytes).is_none());
                    now = now.max(at);
                }
            }
            for from in 0..passed.len() {
                let mut sum = 0;
                for (at, bytes) in &passed[from..] {
                    sum += bytes;
                    let earned = (at - passed[from].0) * rate / 1_000_000 + 1;
                    prop_assert!(sum <= bucket + earned, "{sum} bytes");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_or_far_ahead_does_no_harm() {
        let quota =
            Quota { bytes_per_second: NO_LIMIT - 1, packets_per_second: u64::MAX, ..Quota::UNLIMITED };
        let mut meter = Meter::new(&quota);
        for at in [u64::MAX, 0, 1, u64::MAX] {
            assert!(meter.room(MonoTime(at)).0 <= NO_LIMIT / 4);
            meter.spend(u64::MAX, u64::MAX);
        }
        assert!(!Meter::new(&Quota::UNLIMITED).is_limited());
        assert_eq!(Meter::new(&Quota { bytes_per_second: 0, ..quota }).ready_at(u64::MAX), Some(MonoTime(0)));
    }

    #[test]
    fn another_rate_is_no_gift() {
        let mut meter = Meter::new(&Quota { packets_per_second: 40, ..Quota::UNLIMITED });
        meter.spend(0, 10);
        for packets_per_second in [400, 40] {
            meter.set(&Quota { packets_per_second, ..Quota::UNLIMITED });
            assert_eq!(meter.room(MonoTime(0)).1, 0);
        }
    }
}
