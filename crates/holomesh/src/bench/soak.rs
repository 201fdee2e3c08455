//! What a relay's memory does while subscribers come and go.

use super::figures::{Seen, mib};
use serde::Serialize;
use std::time::Duration;

/// Before anybody goes, the relay has all its subscribers and a full ring: what it needs for these is where its memory begins.
pub(super) const WARM: Duration = Duration::from_secs(15);
/// Nobody comes or goes any more, and the relay forwards to those who stayed. iroh remembers a peer for 60 s.
pub(super) const REST: Duration = Duration::from_secs(60);
/// Seconds of churn after which a relay has all that it keeps of those who went.
const MINUTE: f64 = 65.0;
/// Memory that ends by no more than this above where it began has come back: allocators round, and pages are not given back
/// one by one.
const SHARE: f64 = 0.10;

/// The relay's memory at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Sample {
    /// Seconds since the churn began.
    pub(super) seconds: f64,
    pub(super) rss_bytes: u64,
}

/// Those who came or went in the window, each over its own stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Gone {
    pub(super) subscribers: usize,
    pub(super) chunks_expected: u64,
    pub(super) chunks_received: u64,
    pub(super) loss: f64,
    pub(super) shown: f64,
}

impl Gone {
    pub(super) fn of(gone: &[Seen]) -> Self {
        let sum = |of: fn(&Seen) -> u64| gone.iter().map(of).sum::<u64>();
        let (expected, received) = (sum(|s| s.expected), sum(|s| s.source));
        Self {
            subscribers: gone.len(),
            chunks_expected: expected,
            chunks_received: received,
            loss: expected.saturating_sub(received) as f64 / expected.max(1) as f64,
            shown: sum(|s| s.shown) as f64 / sum(|s| s.frames).max(1) as f64,
        }
    }
}

/// The result of a soak.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Soak {
    /// So many a second went, and as many came.
    pub(super) churn: u32,
    pub(super) gone: Gone,
    /// Before the churn, with everybody there.
    pub(super) rss_start_bytes: u64,
    /// The most of all samples.
    pub(super) rss_peak_bytes: u64,
    /// A minute into the churn: as many have gone by then as anything is kept of. What is more at the end has grown with time.
    pub(super) rss_minute_bytes: u64,
    /// When the churn ended.
    pub(super) rss_end_bytes: u64,
    /// A minute later, with as many there as at the start.
    pub(super) rss_rested_bytes: u64,
    /// What that may be at most for the memory to have ended where it began.
    pub(super) rss_allowed_bytes: u64,
    pub(super) ended_where_it_began: bool,
    pub(super) rss_over_time: Vec<Sample>,
}

impl Soak {
    /// Of what was measured from the start, through the end of churn after `churned`, to the end of the rest.
    pub(super) fn of(churn: u32, gone: &[Seen], start: u64, churned: Duration, samples: Vec<Sample>) -> Self {
        let churned = churned.as_secs_f64();
        let until = |end: f64| {
            let last = samples.iter().rfind(|sample| sample.seconds <= end);
            last.map_or(start, |sample| sample.rss_bytes)
        };
        let (minute, end) = (until(churned.min(MINUTE)), until(churned));
        let rested = samples.last().map_or(start, |sample| sample.rss_bytes);
        let allowed = start + (start as f64 * SHARE) as u64;
        Self {
            churn,
            gone: Gone::of(gone),
            rss_start_bytes: start,
            rss_peak_bytes: samples.iter().map(|sample| sample.rss_bytes).fold(start, u64::max),
            rss_minute_bytes: minute,
            rss_end_bytes: end,
            rss_rested_bytes: rested,
            rss_allowed_bytes: allowed,
            ended_where_it_began: rested <= allowed,
            rss_over_time: samples,
        }
    }

    /// What and how much, for people.
    pub(super) fn rows(&self) -> [(&'static str, String); 3] {
        let Gone { subscribers, chunks_expected, chunks_received, loss, shown } = self.gone;
        let verdict = if self.ended_where_it_began { "yes" } else { "no" };
        let more = (self.rss_rested_bytes as f64 - self.rss_start_bytes as f64) / f64::from(1 << 20);
        [
            (
                "came and went",
                format!(
                    "{subscribers} subscribers, {} a second; source symbols {chunks_received} of {chunks_expected}, loss {:.4} %; {:.2} % of frames shown",
                    self.churn,
                    loss * 100.0,
                    shown * 100.0
                ),
            ),
            (
                "relay memory",
                format!(
                    "{:.1} MiB at the start, {:.1} at the peak, {:.1} after a minute of churn, {:.1} at its end, {:.1} after {} s of rest",
                    mib(self.rss_start_bytes),
                    mib(self.rss_peak_bytes),
                    mib(self.rss_minute_bytes),
                    mib(self.rss_end_bytes),
                    mib(self.rss_rested_bytes),
                    REST.as_secs()
                ),
            ),
            (
                "memory ended where it began",
                format!(
                    "{verdict} ({more:+.1} MiB; up to {:+.1} MiB would do)",
                    mib(self.rss_allowed_bytes - self.rss_start_bytes)
                ),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(rested: u64) -> Soak {
        let samples = [(5.0, 1_100), (10.0, 1_500), (14.9, 1_400), (20.0, 1_600), (75.0, rested)];
        let samples = samples.map(|(seconds, rss_bytes)| Sample { seconds, rss_bytes }).to_vec();
        Soak::of(5, &[], 1_000, Duration::from_secs(15), samples)
    }

    #[test]
    fn memory_is_told_at_the_start_the_peak_the_end_of_churn_and_after_the_rest() {
        let soak = soak(1_050);
        let told = [soak.rss_start_bytes, soak.rss_peak_bytes, soak.rss_end_bytes, soak.rss_rested_bytes];
        assert_eq!(told, [1_000, 1_600, 1_400, 1_050]);
    }

    #[test]
    fn what_grows_with_time_is_seen_from_the_first_minute_to_the_last() {
        let samples = [(30.0, 1_200), (64.0, 1_300), (70.0, 1_400), (590.0, 1_900), (650.0, 1_800)];
        let samples = samples.map(|(seconds, rss_bytes)| Sample { seconds, rss_bytes }).to_vec();
        let soak = Soak::of(5, &[], 1_000, Duration::from_secs(600), samples);
        assert_eq!((soak.rss_minute_bytes, soak.rss_end_bytes), (1_300, 1_900));
    }

    #[test]
    fn memory_ended_where_it_began_if_at_most_a_tenth_more_is_left_after_the_rest() {
        assert!(soak(1_100).ended_where_it_began);
        assert!(soak(900).ended_where_it_began);
        assert!(!soak(1_101).ended_where_it_began);
        let rows = soak(1_101).rows();
        assert!(rows[2].1.starts_with("no (+0.0 MiB"), "{rows:?}");
    }

    #[test]
    fn those_who_went_count_each_over_its_own_stay() {
        let long = Seen { source: 900, expected: 1_000, frames: 100, shown: 80, ..Seen::default() };
        let short = Seen { source: 10, expected: 10, frames: 1, shown: 1, ..Seen::default() };
        let gone = Gone::of(&[long, short]);
        assert_eq!((gone.subscribers, gone.chunks_expected, gone.chunks_received), (2, 1_010, 910));
        assert!((gone.loss - 100.0 / 1_010.0).abs() < 1e-9);
        assert!((gone.shown - 81.0 / 101.0).abs() < 1e-9);
        assert_eq!(Gone::of(&[]).loss, 0.0);
    }
}
