//! How often something may be done.

use core::time::Duration;
use core_types::MonoTime;

/// A token bucket: one token each `period`, `burst` of them at most, full at first.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// Microseconds for a token.
    period: u64,
    /// Microseconds of credit at most.
    most: u64,
    credit: u64,
    at: MonoTime,
}

impl Bucket {
    pub(crate) fn new(now: MonoTime, period: Duration, burst: u32) -> Self {
        let period = u64::try_from(period.as_micros()).unwrap_or(u64::MAX).max(1);
        let most = period.saturating_mul(u64::from(burst));
        Self { period, most, credit: most, at: now }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: MonoTime) -> bool {
        let left = self.credit(now).checked_sub(self.period);
        if let Some(left) = left {
            (self.at, self.credit) = (self.at.max(now), left);
        }
        left.is_some()
    }

    /// True if there is a token.
    pub(crate) fn has(&self, now: MonoTime) -> bool {
        self.credit(now) >= self.period
    }

    fn credit(&self, now: MonoTime) -> u64 {
        let earned = now.0.saturating_sub(self.at.0);
        self.credit.saturating_add(earned).min(self.most)
    }

    /// When there are `tokens`, or as many as there can be.
    pub(crate) fn due(&self, tokens: u32) -> MonoTime {
        let wanted = self.period.saturating_mul(u64::from(tokens)).min(self.most);
        self.at.plus(Duration::from_micros(wanted.saturating_sub(self.credit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_each_period_and_no_more_than_the_burst_is_saved_up() {
        let mut bucket = Bucket::new(MonoTime(0), Duration::from_micros(10), 3);
        let mut taken = |at: u64| (0..9).filter(|_| bucket.take(MonoTime(at))).count();
        assert_eq!([0, 9, 10, 25, 30, 1_000].map(&mut taken), [3, 0, 1, 1, 1, 3]);
        assert_eq!(taken(5), 0, "time that goes back earns nothing");
    }

    #[test]
    fn what_is_due_is_there_then_and_not_before() {
        let mut bucket = Bucket::new(MonoTime(0), Duration::from_micros(10), 3);
        while bucket.take(MonoTime(4)) {}
        assert_eq!((bucket.due(1), bucket.due(2), bucket.due(9)), (MonoTime(14), MonoTime(24), MonoTime(34)));
        assert!(!bucket.has(MonoTime(13)) && bucket.has(MonoTime(14)));
        let mut none = Bucket::new(MonoTime(0), Duration::ZERO, 0);
        assert!(!none.take(MonoTime(u64::MAX)));
    }
}
