//! The states of BBR, and the gain of each.

use core::time::Duration;
use core_types::MonoTime;

/// 2 / ln 2: doubles the rate in a round trip (draft-cardwell-iccrg-bbr-congestion-control-00, section 4.2.1).
pub(crate) const HIGH_GAIN: f64 = 2.885;
const UP: f64 = 1.25;
const DOWN: f64 = 0.75;
/// Rounds without a quarter of growth after which the path counts as full (section 4.3.2).
const PLATEAU: u8 = 3;
/// Probes in a row that each found a tenth more, after which startup begins again.
const PROBES: u8 = 2;
const GROWN: f64 = 1.1;
/// A queue that startup has built for sure.
const DEEP: Duration = Duration::from_millis(150);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Looks for what the path carries, doubling each round.
    Startup,
    /// Lets the queue run empty that startup has built.
    Drain,
    /// Sends more than the path is known to carry, for one phase.
    Up,
    /// Takes back what `Up` may have put into the queue.
    Down,
    /// Sends what the path is known to carry.
    Cruise,
    /// Lets the queue run empty to see how short the way is.
    Refresh,
}

/// What a report means to the states.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) largest: u64,
    pub(crate) last_sent: u64,
    /// What waits in queues, and from where on it counts as a queue.
    pub(crate) queue: Duration,
    pub(crate) threshold: Duration,
    /// A queue stands, or grows and overflows.
    pub(crate) is_crowded: bool,
    /// Datagrams are being lost.
    pub(crate) is_lossy: bool,
    /// Rate of the path, bytes per second.
    pub(crate) rate: f64,
    pub(crate) is_limited: bool,
    /// When the shortest way was seen.
    pub(crate) min_at: MonoTime,
    /// How long a state is kept that wants to see its effect.
    pub(crate) phase: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    mode: Mode,
    /// When the state ends by itself.
    until: MonoTime,
    /// The last link number sent when the state began: later ones show its effect.
    mark: u64,
    /// Rounds of startup: where the current one ends, the best rate, rounds without growth.
    round_end: u64,
    full_rate: f64,
    full_rounds: u8,
    /// Whether it is one because probes found more.
    is_again: bool,
    /// The rate when `Up` began, and how many probes in a row found more.
    rate_before: f64,
    grown: u8,
    has_drained: bool,
    /// In a state that lets the queue run empty: whether a report has shown its effect, and the queue when one first did.
    shows_effect: bool,
    queue_before: Duration,
    seed: u64,
}

impl Machine {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            mode: Mode::Startup,
            until: MonoTime(u64::MAX),
            mark: 0,
            round_end: 0,
            full_rate: 0.0,
            full_rounds: 0,
            is_again: false,
            rate_before: 0.0,
            grown: 0,
            has_drained: false,
            shows_effect: false,
            queue_before: Duration::ZERO,
            seed,
        }
    }

    pub(crate) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) const fn gain(&self) -> f64 {
        match self.mode {
            Mode::Startup => HIGH_GAIN,
            Mode::Drain => 1.0 / HIGH_GAIN,
            Mode::Up => UP,
            Mode::Down => DOWN,
            Mode::Cruise => 1.0,
            Mode::Refresh => 0.5,
        }
    }

    /// When the state ends even if no report comes.
    pub(crate) const fn until(&self) -> MonoTime {
        self.until
    }

    pub(crate) fn restart(&mut self, last_sent: u64) {
        let seed = self.seed;
        *self = Self { mark: last_sent, round_end: last_sent, ..Self::new(seed) };
    }

    /// Goes on to the next state when a report says so. True when the shortest way is to be measured anew: see
    /// [`Self::tick`].
    pub(crate) fn on_report(&mut self, now: MonoTime, seen: &Seen) -> bool {
        let shows_effect = seen.largest > self.mark;
        if shows_effect && !self.shows_effect {
            self.shows_effect = true;
            self.queue_before = seen.queue;
            match self.mode {
                Mode::Drain | Mode::Down => self.until = now.plus(seen.phase * 3),
                Mode::Refresh => self.until = now.plus(seen.phase),
                _ => {}
            }
        }
        match self.mode {
            Mode::Startup => {
                let is_full = self.is_full(seen);
                // Without loss, and when little waits, it may be that the way has become longer: the gentler state tells.
                let is_deep = seen.is_lossy || seen.queue >= DEEP;
                // With much known of the path already, loss beside a queue is enough: more would be lost for nothing.
                let is_over = self.is_again && shows_effect && seen.is_lossy && seen.queue >= seen.threshold;
                if is_full || is_over || (seen.is_crowded && is_deep) {
                    self.enter(now, Mode::Drain, seen, seen.phase * 3);
                } else if seen.is_crowded {
                    self.enter(now, Mode::Down, seen, seen.phase * 3);
                }
            }
            Mode::Drain | Mode::Down => {
                if shows_effect && seen.queue < seen.threshold / 2 {
                    self.cruise(now, seen);
                }
            }
            Mode::Up => {
                if shows_effect && seen.is_lossy && seen.queue >= seen.threshold {
                    self.enter(now, Mode::Down, seen, seen.phase * 3);
                }
            }
            Mode::Cruise => {
                // The shortest way is old, and the sender never leaves the path idle.
                let is_stale = now.since(seen.min_at) > Duration::from_secs(5) && !seen.is_limited;
                if is_stale {
                    self.enter(now, Mode::Refresh, seen, seen.phase.max(Duration::from_millis(200)));
                } else if seen.is_crowded && !self.has_drained {
                    self.has_drained = true;
                    self.enter(now, Mode::Down, seen, seen.phase * 3);
                }
            }
            Mode::Refresh => {}
        }
        self.tick(now, seen)
    }

    /// Ends a state whose time is over. True when the shortest way is to be measured anew: after `Refresh`, and when a
    /// queue did not get shorter while less was sent than the path delivers. Then it is none, or that of others, and the
    /// way itself has become longer.
    pub(crate) fn tick(&mut self, now: MonoTime, seen: &Seen) -> bool {
        if now < self.until {
            return false;
        }
        match self.mode {
            Mode::Startup => {}
            Mode::Up => self.enter(now, Mode::Down, seen, seen.phase * 3),
            // What is reported was sent before: the queue may be so long.
            Mode::Drain | Mode::Down | Mode::Refresh if !self.shows_effect => {
                self.until = now.plus(seen.phase)
            }
            Mode::Drain | Mode::Down => {
                let lasted = seen.phase * 3;
                let is_queue = seen.queue >= seen.threshold;
                let hoped = lasted.mul_f64((1.0 - self.gain()) / 4.0);
                let has_shrunk = seen.queue + hoped < self.queue_before;
                if is_queue && has_shrunk {
                    self.enter(now, self.mode, seen, lasted);
                } else {
                    self.cruise(now, seen);
                    return is_queue;
                }
            }
            // What is seen now is the shortest way, as in section 4.3.5.
            Mode::Refresh => {
                self.cruise(now, seen);
                return true;
            }
            Mode::Cruise => {
                self.rate_before = seen.rate;
                self.has_drained = false;
                self.enter(now, Mode::Up, seen, seen.phase);
            }
        }
        false
    }

    /// Six phases as in the draft, give or take one so that links do not probe in step; none when the last probe found
    /// more, for then there is likely to be still more: and startup when two in a row did.
    fn cruise(&mut self, now: MonoTime, seen: &Seen) {
        let has_grown = self.mode == Mode::Down
            && self.rate_before > 0.0
            && seen.rate > self.rate_before * GROWN
            && !seen.is_crowded;
        // Only now do reports tell of all that the probe sent.
        let is_clear = !seen.is_lossy && seen.queue < seen.threshold / 2;
        self.grown = if has_grown && is_clear { self.grown + 1 } else { 0 };
        if self.grown >= PROBES {
            // The path carries far more than is asked of it, as after a time of heavy loss: a quarter more each time would
            // take many seconds.
            let full_rate = seen.rate;
            self.restart(seen.last_sent);
            (self.full_rate, self.is_again) = (full_rate, true);
            return;
        }
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let phases = if has_grown { 0 } else { 5 + (self.seed >> 62) as u32 };
        self.enter(now, Mode::Cruise, seen, seen.phase * phases);
    }

    fn enter(&mut self, now: MonoTime, mode: Mode, seen: &Seen, lasts: Duration) {
        self.mode = mode;
        self.until = now.plus(lasts);
        self.mark = seen.last_sent;
        self.shows_effect = false;
    }

    fn is_full(&mut self, seen: &Seen) -> bool {
        if seen.largest < self.round_end {
            return false;
        }
        self.round_end = seen.last_sent;
        if seen.is_limited {
            return false;
        }
        if seen.rate >= self.full_rate * 1.25 {
            self.full_rate = seen.rate;
            self.full_rounds = 0;
        } else {
            self.full_rounds += 1;
        }
        self.full_rounds >= PLATEAU
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn seen(report: u64) -> Seen {
        Seen {
            largest: report * 10,
            last_sent: report * 10 + 5,
            queue: Duration::ZERO,
            threshold: 10 * MS,
            is_crowded: false,
            is_lossy: false,
            rate: 1e6,
            is_limited: false,
            min_at: MonoTime(0),
            phase: 150 * MS,
        }
    }

    #[test]
    fn startup_ends_after_three_rounds_without_growth_and_not_for_want_of_data() {
        let mut machine = Machine::new(1);
        for n in 1..20 {
            machine.on_report(MonoTime::from_millis(n * 100), &Seen { is_limited: true, ..seen(n) });
        }
        assert_eq!(machine.mode(), Mode::Startup);
        let modes: Vec<Mode> = (20..28)
            .map(|n| {
                let rate = if n < 23 { 1e6 * (n - 18) as f64 } else { 4e6 };
                machine.on_report(MonoTime::from_millis(n * 100), &Seen { rate, ..seen(n) });
                machine.mode()
            })
            .collect();
        assert_eq!(modes.iter().position(|mode| *mode != Mode::Startup), Some(5), "{modes:?}");
        assert_eq!(modes[5], Mode::Drain);
    }

    #[test]
    fn two_probes_that_find_more_begin_startup_again_and_one_does_not() {
        let after = |rates: [f64; 2]| {
            let mut machine = Machine::new(1);
            for (n, rate) in (1..).zip(rates) {
                (machine.mode, machine.rate_before, machine.until) = (Mode::Down, 1e6, MonoTime(0));
                machine.shows_effect = true;
                machine.tick(MonoTime::from_millis(n * 100), &Seen { rate, ..seen(n) });
            }
            machine.mode()
        };
        assert_eq!(after([1.2e6, 1.2e6]), Mode::Startup);
        assert_eq!(after([1.2e6, 1.0e6]), Mode::Cruise);
        assert_eq!(after([1.0e6, 1.2e6]), Mode::Cruise);
    }

    #[test]
    fn an_old_shortest_way_is_looked_for_anew_and_measured_once() {
        let mut machine = Machine::new(1);
        machine.mode = Mode::Cruise;
        machine.until = MonoTime(u64::MAX);
        let mut measured = Vec::new();
        let mut modes = Vec::new();
        let mut min_at = MonoTime(0);
        for n in 40..60 {
            let now = MonoTime::from_millis(n * 100);
            if machine.on_report(now, &Seen { min_at, ..seen(n) }) {
                measured.push(n);
                min_at = now;
            }
            modes.push(machine.mode());
        }
        assert_eq!(modes.iter().position(|mode| *mode == Mode::Refresh), Some(11), "5 s after it was seen");
        assert_eq!(measured.len(), 1);
        assert_eq!(machine.gain(), 1.0);
    }
}
