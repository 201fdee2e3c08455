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

/// Samples of ours and of a baseline, in microseconds of CPU time a frame.
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

    /// The medians as a row.
    ///
    /// # Errors
    /// When there is no sample, or the baseline takes no time that the clock can show.
    pub fn row(&self, name: &str, baseline_name: &str) -> Result<Row> {
        let (ours, baseline) = (median(&self.ours), median(&self.baseline));
        ensure!(baseline > 0.0, "{name}: nothing was measured");
        Ok(Row {
            name: name.to_owned(),
            unit: "us/frame".to_owned(),
            ours,
            baseline,
            baseline_name: baseline_name.to_owned(),
            ratio: ours / baseline,
            n: self.ours.len(),
        })
    }
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
