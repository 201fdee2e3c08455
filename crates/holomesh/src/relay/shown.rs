//! What a node has shown that it can send to those whom it feeds (spec 57 sections 1 and 2), and what it sends at present.

use super::core::RelayCore;
use alm::estimator::Estimator;
use core_types::{BitRate, LinkId, MonoTime};
use std::time::Duration;

/// What goes to children is added up so often.
const SAMPLE: Duration = Duration::from_millis(200);
/// Of what is said to be in use, so many parts of eight are what was so at the last sample: two seconds or so count.
const KEPT: u64 = 7;

/// Beside what goes out so much may be tried, in bit/s.
const LEAST_STEP: u64 = 1_000_000;
const MOST_STEP: u64 = 8_000_000;

/// How much it may try beyond what it has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    /// Twice that: it has other uses for its uplink.
    Doubling,
    /// What a trial can come to, from the first on: it is there to carry.
    Open,
}

/// What was shown.
#[derive(Debug)]
pub(crate) struct Shown {
    estimator: Estimator,
    sampled: MonoTime,
    used: u64,
}

impl Shown {
    pub(crate) fn new(now: MonoTime) -> Self {
        Self { estimator: Estimator::new(), sampled: now, used: 0 }
    }

    /// Adds up what goes to children.
    pub(crate) fn look(&mut self, now: MonoTime, core: &mut RelayCore) {
        let over = now.since(self.sampled);
        if over < SAMPLE {
            return;
        }
        self.sampled = now;
        let mut delivered = 0_u64;
        for (link, sample) in core.samples(now, over) {
            delivered = delivered.saturating_add(sample.delivered);
            if let Err(error) = self.estimator.handle_sample(now, link, sample) {
                tracing::debug!(%link, %error, "a link is not measured");
            }
        }
        let micros = u64::try_from(over.as_micros()).unwrap_or(u64::MAX).max(1);
        let rate = delivered.saturating_mul(8_000_000) / micros;
        self.used = self.used.saturating_mul(KEPT).saturating_add(rate) / 8;
    }

    pub(crate) fn forget(&mut self, link: LinkId) {
        self.estimator.handle_link_gone(link);
    }

    /// What it can say that it carries: what it has shown, or may try, also beside what goes out, and no more than `most`.
    pub(crate) fn claimable(&mut self, now: MonoTime, trial: Trial, most: Option<BitRate>) -> BitRate {
        let shown = self.estimator.claimable(now, BitRate(0), &[]).uplink;
        let tries = match trial {
            Trial::Doubling => self.estimator.trial(now),
            Trial::Open => self.estimator.open_trial(now),
        };
        // What goes out already is no room: what is tried is tried beside it.
        let step = match trial {
            Trial::Doubling => self.used.clamp(LEAST_STEP, MOST_STEP),
            Trial::Open => MOST_STEP,
        };
        let beside = if self.estimator.is_congested(now) {
            BitRate(0)
        } else {
            BitRate(self.used.saturating_add(step))
        };
        let uplink = shown.max(tries).max(beside);
        most.map_or(uplink, |most| most.min(uplink))
    }

    /// What goes out at present.
    pub(crate) const fn used(&self) -> BitRate {
        BitRate(self.used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alm::estimator::Sample;

    #[test]
    fn who_is_there_to_carry_says_from_the_first_on_what_it_may_try_and_no_more_than_it_is_let() {
        let mut shown = Shown::new(MonoTime(0));
        let now = MonoTime::from_millis(1_000);
        let mut says = |trial, most| shown.claimable(now, trial, most).0 / 1_000;
        assert_eq!((says(Trial::Doubling, None), says(Trial::Open, None)), (1_000, 8_000));
        assert_eq!(says(Trial::Open, Some(BitRate::from_kbit(3_000))), 3_000);
        // Who carries much has room for more as long as nothing is congested.
        let (mut busy, ms) = (Shown::new(MonoTime(0)), MonoTime::from_millis);
        let of_most = |busy: &mut Shown, at, kbit| {
            busy.claimable(ms(at), Trial::Doubling, Some(BitRate::from_kbit(kbit))).0
        };
        for tick in 1..=100 {
            let sample = Sample { delivered: 250_000, over: SAMPLE, app_limited: true, congested: false };
            busy.estimator.handle_sample(ms(tick * 200), LinkId(1), sample).unwrap();
        }
        busy.used = 10_000_000;
        assert_eq!(of_most(&mut busy, 20_000, 20_000), 18_000_000);
        assert_eq!(of_most(&mut busy, 20_000, 12_000), 12_000_000);
        for tick in 101..=110 {
            let sample = Sample { delivered: 250_000, over: SAMPLE, app_limited: false, congested: true };
            busy.estimator.handle_sample(ms(tick * 200), LinkId(1), sample).unwrap();
        }
        assert!(of_most(&mut busy, 23_000, 20_000) < 10_000_000);
        // Congestion ends that for a while.
        for tick in 1..=20 {
            let sample = Sample { delivered: 25_000, over: SAMPLE, app_limited: false, congested: true };
            shown
                .estimator
                .handle_sample(MonoTime::from_millis(1_000 + tick * 200), LinkId(1), sample)
                .unwrap();
        }
        let now = MonoTime::from_millis(6_000);
        assert!(shown.claimable(now, Trial::Open, None) < BitRate::from_kbit(1_000));
    }
}
