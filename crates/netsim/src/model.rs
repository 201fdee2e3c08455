//! What a path does to datagrams.

use crate::Error;
use core::time::Duration;
use core_types::{BitRate, MonoTime};

/// A bandwidth without a limit: a datagram takes no time to be sent.
pub const UNLIMITED: BitRate = BitRate(u64::MAX);

/// A value that changes at given times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps<T> {
    first: T,
    later: Vec<(MonoTime, T)>,
}

impl<T: Copy> Steps<T> {
    /// A value that stays.
    pub const fn constant(value: T) -> Self {
        Self { first: value, later: Vec::new() }
    }

    /// From `at` on, this value. Steps may be given in any order; of two at the same time the later one given holds.
    #[must_use]
    pub fn then(mut self, at: MonoTime, value: T) -> Self {
        let place = self.later.partition_point(|(other, _)| *other <= at);
        self.later.insert(place, (at, value));
        self
    }

    /// The value at a time.
    pub fn at(&self, now: MonoTime) -> T {
        let after = self.later.partition_point(|(at, _)| *at <= now);
        after.checked_sub(1).map_or(self.first, |last| self.later[last].1)
    }

    /// When the value changes next after a time.
    pub fn next_change(&self, now: MonoTime) -> Option<MonoTime> {
        self.later.get(self.later.partition_point(|(at, _)| *at <= now)).map(|(at, _)| *at)
    }
}

impl<T: Copy> From<T> for Steps<T> {
    fn from(value: T) -> Self {
        Self::constant(value)
    }
}

/// Loss with memory: a chain of two states that makes one step for each datagram (Gilbert 1960, Elliott 1963).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GilbertElliott {
    /// Probability of going from the good state to the bad one.
    pub to_bad: f64,
    /// Probability of going from the bad state to the good one.
    pub to_good: f64,
    /// Loss in the good state.
    pub loss_good: f64,
    /// Loss in the bad state.
    pub loss_bad: f64,
}

impl GilbertElliott {
    /// Loses everything in the bad state and nothing in the good one: `rate` of all datagrams (below 1), in bursts of
    /// `burst` datagrams on average (at least 1, and at least `rate / (1 − rate)`: shorter ones do not reach the rate).
    pub fn bursts(rate: f64, burst: f64) -> Self {
        let to_good = 1.0 / burst.max(1.0);
        let to_bad = (rate / (1.0 - rate) * to_good).min(1.0);
        Self { to_bad, to_good, loss_good: 0.0, loss_bad: 1.0 }
    }
}

/// Datagrams that are overtaken by those behind them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reorder {
    /// How many are held back, 0 to 1.
    pub rate: f64,
    /// For how long at most: evenly from nothing to this.
    pub by: Duration,
}

/// One direction between two nodes. The default carries everything at once and unchanged.
#[derive(Debug, Clone, PartialEq)]
pub struct PathModel {
    /// From the end of the bottleneck to the receiver.
    pub delay: Duration,
    /// Added to the delay, evenly from nothing to this; keeps the order.
    pub jitter: Duration,
    /// Loss of each datagram by itself, 0 to 1.
    pub loss: f64,
    /// Loss in bursts, beside the plain one.
    pub bursts: Option<GilbertElliott>,
    /// Datagrams that come too late.
    pub reorder: Option<Reorder>,
    /// How many come twice, 0 to 1. The copy comes as much later as a second draw of the jitter says.
    pub duplicate: f64,
    /// How many come with one to four bits turned over, 0 to 1.
    pub corrupt: f64,
    /// What the bottleneck carries. Zero holds everything back until the next step.
    pub bandwidth: Steps<BitRate>,
    /// Bytes that may wait at the bottleneck, the one that is being sent included. A single datagram always fits into
    /// an empty queue.
    pub queue: usize,
    /// Bytes that the bottleneck counts for each datagram beside its payload: 28 for IPv4 and UDP.
    pub overhead: usize,
    /// Largest payload that comes through; a larger one vanishes silently.
    pub mtu: Steps<usize>,
    /// Times from, inclusive, until, exclusive, at which everything that is sent is lost. What is on its way arrives.
    pub blackouts: Vec<(MonoTime, MonoTime)>,
}

impl Default for PathModel {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            bursts: None,
            reorder: None,
            duplicate: 0.0,
            corrupt: 0.0,
            bandwidth: Steps::constant(UNLIMITED),
            queue: usize::MAX,
            overhead: 0,
            mtu: Steps::constant(65_507),
            blackouts: Vec::new(),
        }
    }
}

impl PathModel {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bursts = self.bursts.unwrap_or(GilbertElliott::bursts(0.0, 1.0));
        let probabilities = [
            ("loss", self.loss),
            ("bursts.to_bad", bursts.to_bad),
            ("bursts.to_good", bursts.to_good),
            ("bursts.loss_good", bursts.loss_good),
            ("bursts.loss_bad", bursts.loss_bad),
            ("reorder.rate", self.reorder.map_or(0.0, |reorder| reorder.rate)),
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
        ];
        for (what, value) in probabilities {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::Probability { what, value });
            }
        }
        match self.blackouts.iter().find(|(from, until)| from > until) {
            Some((from, until)) => Err(Error::Blackout { from: from.0, until: until.0 }),
            None => Ok(()),
        }
    }

    pub(crate) fn is_dark(&self, now: MonoTime) -> bool {
        self.blackouts.iter().any(|(from, until)| (*from..*until).contains(&now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_from_their_time_on() {
        let at = MonoTime;
        let steps = Steps::constant(1).then(at(20), 3).then(at(10), 2).then(at(20), 4);
        assert_eq!([0, 9, 10, 19, 20, 99].map(|t| steps.at(at(t))), [1, 1, 2, 2, 4, 4]);
        assert_eq!([0, 10, 20].map(|t| steps.next_change(at(t))), [Some(at(10)), Some(at(20)), None]);
    }

    #[test]
    fn models_that_no_path_can_have_are_refused() {
        let bad = [
            PathModel { loss: 1.1, ..PathModel::default() },
            PathModel { loss: f64::NAN, ..PathModel::default() },
            PathModel { duplicate: -0.1, ..PathModel::default() },
            PathModel { bursts: Some(GilbertElliott::bursts(2.0, 1.0)), ..PathModel::default() },
            PathModel { reorder: Some(Reorder { rate: 2.0, by: Duration::ZERO }), ..PathModel::default() },
            PathModel { blackouts: vec![(MonoTime(2), MonoTime(1))], ..PathModel::default() },
        ];
        for model in bad {
            assert!(model.check().is_err(), "{model:?}");
        }
        assert_eq!(PathModel::default().check(), Ok(()));
    }
}
