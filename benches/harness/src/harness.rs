//! CPU time of ours and of a baseline, taken in turn, and their medians.

use anyhow::{Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whose CPU time is read. CPU time and not wall time: a neighbour on a shared machine then costs caches, not figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The calling thread's.
    Thread,
    /// The whole process's, for work that is shared out over threads.
    Process,
}

impl Clock {
    /// The CPU time that `work` takes, in user and kernel mode together, and what it gives.
    pub fn time<T>(self, work: impl FnOnce() -> T) -> (Duration, T) {
        let start = self.now();
        let outcome = work();
        (self.now().saturating_sub(start), outcome)
    }

    fn now(self) -> Duration {
        let now = clock_gettime(match self {
            Self::Thread => ClockId::ThreadCPUTime,
            Self::Process => ClockId::ProcessCPUTime,
        });
        Duration::try_from(now).unwrap_or_default()
    }
}

/// Samples of ours and of a baseline, in microseconds of CPU time a frame or operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pair {
    ours: Vec<f64>,
    baseline: Vec<f64>,
}

impl Pair {
    /// Calls `ours` and `baseline` in turn, once each to warm up and then `n` times; each call measures itself and gives
    /// the time that it took for `frames` frames.
    ///
    /// Let a call take more data than the caches hold: after a single small frame the second of the two finds everything
    /// warm, and looks better than it is.
    ///
    /// # Errors
    /// The first error of a call.
    pub fn interleave(
        n: usize,
        frames: usize,
        mut ours: impl FnMut() -> Result<Duration>,
        mut baseline: impl FnMut() -> Result<Duration>,
    ) -> Result<Self> {
        let mut pair = Self::default();
        for round in 0..=n {
            let (a, b) = (ours()?, baseline()?);
            if round > 0 {
                pair.push(frames, a, b);
            }
        }
        Ok(pair)
    }

    /// Adds one sample of each, of `frames` frames.
    pub fn push(&mut self, frames: usize, ours: Duration, baseline: Duration) {
        let a_frame = |time: Duration| time.as_secs_f64() * 1e6 / frames.max(1) as f64;
        self.ours.push(a_frame(ours));
        self.baseline.push(a_frame(baseline));
    }

    /// The medians as a row, in microseconds a frame.
    ///
    /// # Errors
    /// When there is no sample, or the baseline takes no time that the clock can show.
    pub fn row(&self, name: &str, baseline_name: &str) -> Result<Row> {
        self.row_in(Unit::MicrosPerFrame, name, baseline_name)
    }

    /// The medians as a row in another unit.
    ///
    /// # Errors
    /// As [`row`](Self::row).
    pub fn row_in(&self, unit: Unit, name: &str, baseline_name: &str) -> Result<Row> {
        let scale = unit.per_micro();
        let (ours, baseline) = (median(&self.ours) * scale, median(&self.baseline) * scale);
        ensure!(baseline > 0.0, "{name}: nothing was measured");
        Ok(Row::of(name, unit.name(), (ours, baseline), baseline_name, self.ours.len()))
    }
}

/// What a time is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `us/frame`: microseconds for each frame of media.
    MicrosPerFrame,
    /// `ns`: nanoseconds for each operation.
    Nanos,
    /// `us`: microseconds for each operation.
    Micros,
    /// `ms`: milliseconds for each operation.
    Millis,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::MicrosPerFrame => "us/frame",
            Self::Nanos => "ns",
            Self::Micros => "us",
            Self::Millis => "ms",
        }
    }

    const fn per_micro(self) -> f64 {
        match self {
            Self::MicrosPerFrame | Self::Micros => 1.0,
            Self::Nanos => 1e3,
            Self::Millis => 1e-3,
        }
    }
}

/// What a row should keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Ours is at most this, in the row's unit.
    Ours(f64),
    /// Ours is at most this many times the baseline.
    Ratio(f64),
}

/// One line of a group: smaller is better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The stage.
    pub name: String,
    /// What the two figures are in.
    pub unit: String,
    /// Median of ours.
    pub ours: f64,
    /// Median of the baseline.
    pub baseline: f64,
    /// What the baseline is.
    pub baseline_name: String,
    /// `ours / baseline`.
    pub ratio: f64,
    /// Samples of each.
    pub n: usize,
    /// What the row should keep to, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether it does, if it should keep to anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

impl Row {
    /// A row from two figures that are known: sizes, say. `figures` are ours and the baseline's.
    pub fn of(name: &str, unit: &str, figures: (f64, f64), baseline_name: &str, n: usize) -> Self {
        let (ours, baseline) = figures;
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours,
            baseline,
            baseline_name: baseline_name.to_owned(),
            ratio: ours / baseline,
            n,
            target: None,
            met: None,
        }
    }

    /// The same row with a target: all of `limits`. It is met or missed by the figures of this row alone.
    #[must_use]
    pub fn target(mut self, limits: &[Limit]) -> Self {
        let words = limits.iter().map(|limit| match limit {
            Limit::Ours(most) => format!("<= {most} {}", self.unit),
            Limit::Ratio(most) => format!("ratio <= {most}"),
        });
        self.target = Some(words.collect::<Vec<_>>().join(", "));
        self.met = Some(limits.iter().all(|limit| match limit {
            Limit::Ours(most) => self.ours <= *most,
            Limit::Ratio(most) => self.ratio <= *most,
        }));
        self
    }
}

/// Zero of no samples.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.get(middle) {
        None => 0.0,
        Some(upper) if sorted.len() % 2 == 1 => *upper,
        Some(upper) => (sorted[middle - 1] + upper) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_both() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[8.0, 1.0, 4.0, 2.0]), 3.0);
    }

    #[test]
    fn ours_and_the_baseline_take_turns_and_the_first_round_is_left_out() {
        let calls = RefCell::new(Vec::new());
        let call = |who: char, times: [u64; 4]| {
            let calls = &calls;
            let mut times = times.into_iter();
            move || {
                calls.borrow_mut().push(who);
                Ok(Duration::from_micros(times.next().unwrap()))
            }
        };
        let (ours, baseline) = (call('a', [9_000, 20, 60, 40]), call('b', [9_000, 10, 10, 70]));
        let pair = Pair::interleave(3, 10, ours, baseline).unwrap();
        assert_eq!(calls.into_inner(), ['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b']);
        let row = pair.row("stage", "other").unwrap();
        assert_eq!((row.ours, row.baseline, row.ratio, row.n), (4.0, 1.0, 4.0, 3));
    }

    #[test]
    fn a_target_is_met_when_every_limit_is_and_says_what_it_was() {
        let mut pair = Pair::default();
        pair.push(1, Duration::from_micros(30), Duration::from_micros(40));
        let row = pair.row_in(Unit::Nanos, "seal", "other").unwrap();
        assert_eq!((row.ours, row.unit.as_str(), row.met), (30_000.0, "ns", None));
        let at = |limits: &[Limit]| row.clone().target(limits);
        let good = at(&[Limit::Ours(30_000.0), Limit::Ratio(0.75)]);
        assert_eq!(good.target.as_deref(), Some("<= 30000 ns, ratio <= 0.75"));
        assert_eq!(good.met, Some(true));
        assert_eq!(at(&[Limit::Ours(29_999.0), Limit::Ratio(0.75)]).met, Some(false));
        assert_eq!(at(&[Limit::Ours(30_000.0), Limit::Ratio(0.74)]).met, Some(false));
    }

    #[test]
    fn a_failing_call_ends_the_run_and_no_samples_make_no_row() {
        let failing = || anyhow::bail!("no");
        assert!(Pair::interleave(3, 1, failing, || Ok(Duration::ZERO)).is_err());
        assert!(Pair::default().row("stage", "other").is_err());
    }

    #[test]
    fn cpu_time_leaves_out_waiting_and_counts_other_threads_only_for_the_process() {
        let busy = || {
            let start = Clock::Thread.now();
            while Clock::Thread.now() - start < Duration::from_millis(20) {}
        };
        let elsewhere = || std::thread::scope(|scope| drop(scope.spawn(busy)));
        assert!(Clock::Thread.time(busy).0 >= Duration::from_millis(20));
        assert!(Clock::Process.time(elsewhere).0 >= Duration::from_millis(20));
        assert!(Clock::Thread.time(elsewhere).0 < Duration::from_millis(20));
    }
}
