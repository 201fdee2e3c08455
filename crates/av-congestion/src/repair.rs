//! How many of an object's repair symbols a hop should forward.

use crate::Error;
use core::time::Duration;
use core_types::MonoTime;

/// The most loss seen holds so long, then goes down to what is measured, to a third in each of the next times.
const HOLD: Duration = Duration::from_secs(3);
const FALL: Duration = Duration::from_secs(5);
/// When nothing was measured for so long, nothing is known.
const FORGET: Duration = Duration::from_secs(10);

/// What a hop's repair share is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairConfig {
    /// Never less than this permille: 1 to 1000. What is sent is how loss is measured, and loss can begin at any time.
    pub floor_permille: u16,
    /// Repair symbols that the publisher makes, in permille of the source symbols: 1 to 10,000. With P parents it makes
    /// one for each P − 1, so 333 with four.
    pub made_permille: u16,
    /// How much more than the mean loss asks for, in permille: at least 1000. Loss comes in bursts, and an object is small.
    pub margin_permille: u16,
}

impl Default for RepairConfig {
    /// At least a tenth; a third of the source symbols is made; twice what the mean asks for.
    fn default() -> Self {
        Self { floor_permille: 100, made_permille: 333, margin_permille: 2_000 }
    }
}

/// The share of an object's repair symbols that makes up for a hop's loss.
///
/// A relay holds sealed symbols and no keys: it can forward fewer or more of the repair symbols that the publisher made,
/// but make none. With loss p, of S source and R repair symbols (S + R)(1 − p) arrive, so R = S · p / (1 − p) suffices on
/// average.
#[derive(Debug, Clone)]
pub struct RepairShare {
    config: RepairConfig,
    state: Option<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// Loss as a part of 1: as measured last, and the most that holds.
    measured: f64,
    peak: f64,
    /// When the peak was reached, and when something was measured last.
    peak_at: MonoTime,
    at: MonoTime,
}

impl State {
    /// The loss to be prepared for.
    fn level(&self, now: MonoTime) -> f64 {
        let falls = now.since(self.peak_at).saturating_sub(HOLD).as_secs_f64() / FALL.as_secs_f64();
        self.measured + (self.peak - self.measured).max(0.0) * (-falls).exp()
    }
}

impl RepairShare {
    /// A hop whose loss is unknown.
    ///
    /// # Errors
    /// [`Error::Config`], the caller's fault.
    pub fn new(config: RepairConfig) -> Result<Self, Error> {
        let bad = |what, value: u16, should| Err(Error::Config { what, value: value.into(), should });
        if !(1..=1_000).contains(&config.floor_permille) {
            return bad("floor_permille", config.floor_permille, "and has to be 1 to 1000");
        }
        if !(1..=10_000).contains(&config.made_permille) {
            return bad("made_permille", config.made_permille, "and has to be 1 to 10000");
        }
        if config.margin_permille < 1_000 {
            return bad("margin_permille", config.margin_permille, "and has to be at least 1000");
        }
        Ok(Self { config, state: None })
    }

    /// Takes in the hop's loss in permille, as [`crate::LinkEstimate::loss_permille`] has it.
    pub fn on_loss(&mut self, now: MonoTime, loss_permille: Option<u16>) {
        let Some(loss) = loss_permille else { return };
        let measured = f64::from(loss.min(1_000)) / 1_000.0;
        let level = self.state.filter(|state| now.since(state.at) < FORGET).map(|state| state.level(now));
        self.state = Some(match (level, self.state) {
            // Between a peak and what is measured, the curve goes on from where it is.
            (Some(level), Some(state)) if level > measured => {
                let held = now.since(state.peak_at) < HOLD;
                let peak_at = if held { state.peak_at } else { MonoTime(now.0.saturating_sub(HOLD_MICROS)) };
                State { measured, peak: level, peak_at, at: now }
            }
            _ => State { measured, peak: measured, peak_at: now, at: now },
        });
    }

    /// The share, in permille of the repair symbols that an object has: 1000 as long as nothing is known.
    pub fn share(&self, now: MonoTime) -> u16 {
        self.share_of(now, self.config.made_permille)
    }

    /// As [`share`](Self::share), of so many repair symbols as the publisher was seen to make, in permille of the source symbols,
    /// in place of what the configuration says. Of none it is 1000: the first that come are needed.
    pub fn share_of(&self, now: MonoTime, made_permille: u16) -> u16 {
        let Some(needed) = self.exactly(now).filter(|_| made_permille > 0) else { return 1_000 };
        let share = (needed * 1_000.0 / f64::from(made_permille)).ceil();
        (share as u16).clamp(self.config.floor_permille, 1_000)
    }

    /// The repair symbols that the hop needs, in permille of the source symbols, margin included and up to 10,000: for a publisher
    /// that can make them. `None` as long as nothing is known.
    pub fn needed(&self, now: MonoTime) -> Option<u16> {
        self.exactly(now).map(|needed| needed.ceil().min(10_000.0) as u16)
    }

    fn exactly(&self, now: MonoTime) -> Option<f64> {
        let state = self.state.filter(|state| now.since(state.at) < FORGET)?;
        let loss = state.level(now).min(0.999);
        Some(loss / (1.0 - loss) * f64::from(self.config.margin_permille))
    }
}

const HOLD_MICROS: u64 = HOLD.as_micros() as u64;
