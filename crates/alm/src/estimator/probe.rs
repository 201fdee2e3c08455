//! How a peer that has carried nothing yet may show what it could.

use core::time::Duration;
use core_types::MonoTime;

/// What a first probe asks for, in bit/s.
const FIRST_RATE: u64 = 1_000_000;
/// Nobody who has shown this much is probed, in bit/s: the rest is shown by carrying.
const ENOUGH: u64 = 8_000_000;
/// So that three whole windows lie in it, wherever they begin.
const OVER: Duration = Duration::from_secs(4);
/// From one probe to the next: by then the windows of the one before are closed.
const APART: Duration = Duration::from_secs(8);
/// After congestion.
const REST: Duration = Duration::from_secs(10);
/// Bytes that may be spent in each [`PERIOD`]: 1, 2, 4 and 8 Mbit/s once each.
const BUDGET: u64 = 7_500_000;
const PERIOD: Duration = Duration::from_secs(600);

/// Leave to send something that nobody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// How many bytes, beyond what there is to carry.
    pub bytes: u64,
    /// Spread evenly over this time, from now on.
    pub over: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Prober {
    last: Option<MonoTime>,
    congested: Option<MonoTime>,
    period_began: Option<MonoTime>,
    spent: u64,
}

impl Prober {
    pub(super) const fn handle_congestion(&mut self, now: MonoTime) {
        self.congested = Some(now);
    }

    /// Whether there was congestion lately.
    pub(super) fn rests(&self, now: MonoTime) -> bool {
        self.congested.is_some_and(|at| now.since(at) < REST)
    }

    /// What may be tried now: twice what was shown within the bounds of a probe, and nothing for a while after congestion.
    pub(super) fn trial(&self, now: MonoTime, shown: u64) -> u64 {
        if shown >= ENOUGH || self.rests(now) {
            return 0;
        }
        shown.saturating_mul(2).clamp(FIRST_RATE, ENOUGH)
    }

    /// All that a trial can come to, as long as anything may be tried.
    pub(super) fn open_trial(&self, now: MonoTime, shown: u64) -> u64 {
        if self.trial(now, shown) == 0 { 0 } else { ENOUGH }
    }

    /// Twice what was shown, until that is enough.
    pub(super) fn next(&mut self, now: MonoTime, shown: u64) -> Option<Probe> {
        let is_recent =
            |event: Option<MonoTime>, rest| event.is_some_and(|at: MonoTime| now.since(at) < rest);
        if shown >= ENOUGH || is_recent(self.last, APART) || is_recent(self.congested, REST) {
            return None;
        }
        if !is_recent(self.period_began, PERIOD) {
            self.period_began = Some(now);
            self.spent = 0;
        }
        let rate = shown.saturating_mul(2).clamp(FIRST_RATE, ENOUGH);
        let bytes = rate / 8 * OVER.as_secs();
        if self.spent + bytes > BUDGET {
            return None;
        }
        self.spent += bytes;
        self.last = Some(now);
        Some(Probe { bytes, over: OVER })
    }
}
