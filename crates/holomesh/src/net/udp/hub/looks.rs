//! When a socket that wakes nobody is looked at.

use super::super::{IDLE_AFTER, LOOK, LOOK_IDLE};
use core_types::MonoTime;
use std::time::Duration;

/// Datagrams that a look may find before looks come closer together: a fraction of what the smallest usual socket buffer holds,
/// some 500 small ones.
const MANY: u64 = 128;
/// Timers are no finer than this: looks that are closer follow each other at once.
const FINEST: Duration = Duration::from_millis(1);

/// Looks come often while something is sent, seldom while nothing is, and as close together as it takes while more comes than the
/// kernel keeps from one look to the next: what is dropped in a flood of garbage is what peers say.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: MonoTime,
    /// When something happened last that peers answer to.
    busy_at: Option<MonoTime>,
    /// Datagrams since then.
    counted: (MonoTime, u64),
    /// What came a second of late.
    rate: u64,
}

impl Looks {
    /// Peers have reason to say something.
    pub(super) fn busy(&mut self, now: MonoTime) {
        self.busy_at = Some(now);
    }

    pub(super) fn next(&self) -> MonoTime {
        self.last.plus(self.each())
    }

    fn each(&self) -> Duration {
        let is_busy = self.busy_at.is_some_and(|at| self.last.since(at) < IDLE_AFTER);
        let each = if is_busy { LOOK } else { LOOK_IDLE };
        let apart = Duration::from_micros(MANY * 1_000_000 / self.rate.max(1));
        if apart < FINEST { Duration::ZERO } else { apart.min(each) }
    }

    /// True if it is time to look; then it counts as done. Whoever is awake anyway looks a little early.
    pub(super) fn take(&mut self, now: MonoTime) -> bool {
        let due = now.since(self.last) >= self.each() / 2;
        if due {
            self.last = now;
        }
        due
    }

    /// So many datagrams were there. More is believed at once, less by halves: a gap in a flood changes little.
    pub(super) fn found(&mut self, datagrams: usize) {
        let (since, counted) = (self.counted.0, self.counted.1 + datagrams as u64);
        let micros = self.last.since(since).as_micros() as u64;
        if micros < FINEST.as_micros() as u64 {
            self.counted.1 = counted;
            return;
        }
        let rate = counted * 1_000_000 / micros;
        self.rate = rate.max((self.rate + rate) / 2);
        self.counted = (self.last, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> MonoTime {
        MonoTime::default().plus(Duration::from_micros(micros))
    }

    /// The times of all looks until the end, where so many datagrams come each millisecond.
    fn looks(looks: &mut Looks, from: u64, to: u64, per_milli: u64) -> Vec<u64> {
        let (mut times, mut read) = (Vec::new(), 0);
        for micros in from..to {
            let now = at(micros);
            if now >= looks.next() && looks.take(now) {
                let came = (micros - from) * per_milli / 1_000;
                looks.found((came - read) as usize);
                read = came;
                times.push(micros);
            }
        }
        times
    }

    fn widest(times: &[u64]) -> u64 {
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(u64::MAX)
    }

    #[test]
    fn looks_are_seldom_while_nothing_is_sent_and_more_often_while_something_is() {
        let mut state = Looks::default();
        assert_eq!(looks(&mut state, 0, 200_000, 0), [50_000, 100_000, 150_000]);
        state.busy(at(200_000));
        assert_eq!(widest(&looks(&mut state, 200_000, 500_000, 1)), 10_000);
    }

    #[test]
    fn whoever_is_awake_looks_early_but_not_twice() {
        let mut state = Looks::default();
        assert!(!state.take(at(20_000)));
        assert!(state.take(at(30_000)) && !state.take(at(30_000)));
    }

    #[test]
    fn no_flood_fills_the_buffer_between_two_looks_and_afterwards_there_is_rest_again() {
        for per_milli in [20, 100, 400, 1_000] {
            let mut state = Looks::default();
            let times = looks(&mut state, 0, 400_000, per_milli);
            // After the first ones, in which it is found out how much comes.
            let between = widest(&times[8..]) * per_milli / 1_000;
            assert!(between <= 400, "{between} datagrams between two looks at {per_milli} a millisecond");
            looks(&mut state, 400_000, 420_000, 0);
            let calm = looks(&mut state, 420_000, 1_000_000, 0);
            assert!(calm.len() < 16, "{} looks at nothing", calm.len());
        }
    }
}
