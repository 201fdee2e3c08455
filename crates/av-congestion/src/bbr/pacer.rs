//! A token bucket: how much may go out at once.

use core::time::Duration;
use core_types::MonoTime;

/// Bytes that may go out now, growing at the pacing rate up to a capacity.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    tokens: f64,
    at: MonoTime,
    /// Bytes in a microsecond.
    rate: f64,
    capacity: f64,
}

impl Pacer {
    /// A full bucket. Rate in bytes per second, capacity in bytes.
    pub(crate) fn new(now: MonoTime, rate: f64, capacity: f64) -> Self {
        Self { tokens: capacity, at: now, rate: rate / 1e6, capacity }
    }

    /// Another rate and capacity from here on. Tokens above the capacity are lost.
    pub(crate) fn set(&mut self, now: MonoTime, rate: f64, capacity: f64) {
        self.settle(now);
        self.rate = rate / 1e6;
        self.capacity = capacity;
        self.tokens = self.tokens.min(capacity);
    }

    pub(crate) fn take(&mut self, now: MonoTime, bytes: u64) {
        self.settle(now);
        // A caller that sends more than it may owes at most the sum of a bucket and a second.
        self.tokens = (self.tokens - bytes as f64).max(-self.capacity - self.rate * 1e6);
    }

    pub(crate) fn available(&self, now: MonoTime) -> f64 {
        (self.tokens + now.since(self.at).as_micros() as f64 * self.rate).min(self.capacity)
    }

    /// When so many bytes may go out; more than the capacity counts as the capacity.
    pub(crate) fn ready_at(&self, now: MonoTime, bytes: usize) -> MonoTime {
        let missing = (bytes as f64).min(self.capacity) - self.available(now);
        if missing <= 0.0 {
            return now;
        }
        now.plus(Duration::from_micros((missing / self.rate).ceil() as u64))
    }

    pub(crate) const fn capacity(&self) -> f64 {
        self.capacity
    }

    fn settle(&mut self, now: MonoTime) {
        self.tokens = self.available(now);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_rate_and_capacity(
            rate in 1_000.0..1e8_f64,
            capacity in 1_400.0..50_000.0_f64,
            asks in prop::collection::vec((0_u64..100_000, 1_usize..20_000), 1..100),
        ) {
            let mut pacer = Pacer::new(MonoTime(0), rate, capacity);
            let (mut now, mut sent) = (MonoTime(0), 0.0);
            for (gap, bytes) in asks {
                now = MonoTime(now.0 + gap);
                let bytes = bytes.min(capacity as usize);
                now = pacer.ready_at(now, bytes);
                // Half a byte for the rounding of fractions.
                prop_assert!(pacer.available(now) >= bytes as f64 - 0.5);
                pacer.take(now, bytes as u64);
                sent += bytes as f64;
                prop_assert!(sent <= capacity + rate * now.0 as f64 / 1e6 + 1.0);
            }
        }
    }

    #[test]
    fn debt_is_bounded() {
        let mut pacer = Pacer::new(MonoTime(0), 10_000.0, 2_000.0);
        pacer.take(MonoTime(0), u64::MAX);
        let ready = pacer.ready_at(MonoTime(0), 1_000);
        assert!(ready <= MonoTime::from_millis(1_400), "{ready:?}");
    }
}
