//! Samples of all links, added up in windows of one second.
//!
//! Two windows are open, the present one and the one before, because a sample reaches back. So a sample of up to a second
//! counts whole, however the time is cut into samples, and a window is judged one second after its end.

use super::Sample;
use core_types::MonoTime;

pub(super) const WINDOW_MICROS: u64 = 1_000_000;
/// A link that had something to send for so much of a window was busy in it.
const BUSY_MICROS: u64 = 750_000;

/// What is known of one link.
#[derive(Debug, Default)]
pub(super) struct Link {
    last_at: MonoTime,
    /// In two windows, each at the place that the parity of its number gives: its number, and how long the link was busy.
    busy: [(u64, u64); 2],
}

impl Link {
    pub(super) const fn last_at(&self) -> MonoTime {
        self.last_at
    }

    /// Adds to how long it was busy in a window; returns how long that is now.
    fn add_busy(&mut self, window: u64, micros: u64) -> u64 {
        let [even, odd] = &mut self.busy;
        let place = if window.is_multiple_of(2) { even } else { odd };
        if place.0 != window {
            *place = (window, 0);
        }
        place.1 = place.1.saturating_add(micros);
        place.1
    }
}

/// A window that is closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// Bits in the one second.
    pub(super) rate: u64,
    /// Most of it was carried by links that always had something to send, so the rate says what they can carry.
    pub(super) is_busy: bool,
    /// Most of it was carried by links whose path was congested.
    pub(super) is_congested: bool,
}

/// A link counts by what it carries: a child with a slow path of its own does not speak for the others.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    bytes: u64,
    busy_bytes: u64,
    congested_bytes: u64,
    was_congested: bool,
    /// The longest that any one link was busy.
    busiest_micros: u64,
}

impl Sums {
    const fn outcome(&self) -> Outcome {
        let half = self.bytes / 2;
        let is_busy = self.busiest_micros >= BUSY_MICROS && self.busy_bytes >= half;
        let is_congested = self.was_congested && self.congested_bytes >= half;
        Outcome { rate: self.bytes.saturating_mul(8), is_busy, is_congested }
    }
}

#[derive(Debug, Default)]
pub(super) struct Windows {
    latest: MonoTime,
    has_begun: bool,
    /// The number of the older of the two open windows.
    first: u64,
    open: [Sums; 2],
}

impl Windows {
    /// Moves on to `now`. Returns the latest time seen, and how many windows are to be closed.
    pub(super) fn advance_to(&mut self, now: MonoTime) -> (MonoTime, u64) {
        self.latest = self.latest.max(now);
        let want = (self.latest.0 / WINDOW_MICROS).saturating_sub(1);
        if !self.has_begun {
            self.has_begun = true;
            self.first = want;
        }
        (self.latest, want.saturating_sub(self.first))
    }

    /// Closes the older open window.
    pub(super) const fn close(&mut self) -> Outcome {
        let [older, newer] = self.open;
        self.open = [
            newer,
            Sums { bytes: 0, busy_bytes: 0, congested_bytes: 0, was_congested: false, busiest_micros: 0 },
        ];
        self.first = self.first.saturating_add(1);
        older.outcome()
    }

    /// Drops so many windows unseen, more than are open.
    pub(super) fn skip(&mut self, windows: u64) {
        self.open = Default::default();
        self.first = self.first.saturating_add(windows);
    }

    /// Spreads a sample evenly over its time, as far as that lies in the open windows and after the link's last sample.
    pub(super) fn add(&mut self, now: MonoTime, link: &mut Link, sample: &Sample) {
        let over = sample.over.as_micros();
        let begin = now.0.saturating_sub(u64::try_from(over).unwrap_or(u64::MAX)).max(link.last_at.0);
        for (number, sums) in (self.first..).zip(&mut self.open) {
            let starts = number.saturating_mul(WINDOW_MICROS);
            let ends = starts.saturating_add(WINDOW_MICROS);
            let micros = ends.min(now.0).saturating_sub(starts.max(begin));
            if micros == 0 {
                continue;
            }
            let share = u128::from(sample.delivered) * u128::from(micros) / over;
            let bytes = u64::try_from(share).unwrap_or(u64::MAX);
            sums.bytes = sums.bytes.saturating_add(bytes);
            if !sample.app_limited {
                sums.busy_bytes = sums.busy_bytes.saturating_add(bytes);
                sums.busiest_micros = sums.busiest_micros.max(link.add_busy(number, micros));
            }
            if sample.congested {
                sums.congested_bytes = sums.congested_bytes.saturating_add(bytes);
                sums.was_congested = true;
            }
        }
        link.last_at = now;
    }
}
