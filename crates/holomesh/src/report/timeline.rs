//! Time series of a run, sampled at a fixed pace, for the plots.

use super::lanes::Lane;
use super::model::NodeName;
use serde::{Deserialize, Serialize};

/// What the run looked like over time. Sampling every 200 ms suits the plots well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The publisher, in order of time.
    pub publisher: Vec<PublisherSample>,
    /// One series per watcher; colours in the plots follow this order.
    pub watchers: Vec<WatcherSeries>,
    /// Of each watcher, how many of the [`Steps`](super::Steps) were missing of each picture: 0 for none, and as many as there are where it
    /// was not shown. By when it was captured. Empty where there is one step.
    #[serde(default)]
    pub pictures: Vec<Lane>,
    /// Of each watcher, where each packet's sound came from: [`SoundState`](super::SoundState). By when it was captured.
    #[serde(default)]
    pub sound: Vec<Lane>,
    /// When somebody spoke (1) and when not (0): in what was published, then as each watcher heard it. By when it was said.
    #[serde(default)]
    pub speech: Vec<Lane>,
    /// Whose pictures one screen shows on which there are those of several publishers, by who speaks: 0 for the first.
    #[serde(default)]
    pub view: Option<Lane>,
}

/// The publisher at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PublisherSample {
    /// Milliseconds since the start of the run.
    pub t_ms: u64,
    /// Bit rate that left the encoder since the sample before, in kbit/s.
    pub encoder_kbit: f64,
}

/// One watcher over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WatcherSeries {
    /// The watcher.
    pub id: NodeName,
    /// In order of time, from its first moment in the run to its last.
    pub samples: Vec<WatcherSample>,
}

/// A watcher at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct WatcherSample {
    /// Milliseconds since the start of the run.
    pub t_ms: u64,
    /// Frames shown since the watcher came.
    pub frames_shown_total: u64,
    /// Median of capture-to-show of the frames shown since the sample before, in ms; `None` when there was none.
    pub latency_ms_p50: Option<f64>,
    /// Parents that feed it now.
    pub parents: u32,
    /// Bit rate received since the sample before, in kbit/s.
    pub downlink_kbit: f64,
}

/// A point of a plotted line; without a value the line has a gap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) t_ms: u64,
    pub(super) value: Option<f64>,
}

impl WatcherSeries {
    /// Frames shown per second over the `window_ms` before each sample. Early samples look back over less, and have
    /// no value where that is under half a window: a rate from two or three frames says nothing.
    pub(super) fn frames_per_second(&self, window_ms: u64) -> Vec<Point> {
        let mut first = 0;
        let value = |(i, now): (usize, &WatcherSample)| {
            while first < i && now.t_ms.saturating_sub(self.samples[first].t_ms) > window_ms {
                first += 1;
            }
            let then = &self.samples[first];
            let span = now.t_ms.saturating_sub(then.t_ms);
            let frames = now.frames_shown_total.saturating_sub(then.frames_shown_total);
            let enough = span > 0 && span.saturating_mul(2) >= window_ms;
            Point { t_ms: now.t_ms, value: enough.then(|| frames as f64 * 1e3 / span as f64) }
        };
        self.samples.iter().enumerate().map(value).collect()
    }

    /// Median latency of each sample's own interval, in ms.
    pub(super) fn latency(&self) -> Vec<Point> {
        self.samples.iter().map(|s| Point { t_ms: s.t_ms, value: s.latency_ms_p50 }).collect()
    }

    /// Live parents at each sample.
    pub(super) fn parents(&self) -> Vec<Point> {
        self.samples.iter().map(|s| Point { t_ms: s.t_ms, value: Some(f64::from(s.parents)) }).collect()
    }

    /// Bit rate received, in kbit/s, as the mean over the `window_ms` before each sample.
    pub(super) fn downlink(&self, window_ms: u64) -> Vec<Point> {
        trailing_mean(self.samples.iter().map(|s| (s.t_ms, s.downlink_kbit)), window_ms)
    }
}

impl Timeline {
    /// Bit rate that left the encoder, in kbit/s, as the mean over the `window_ms` before each sample.
    pub(super) fn encoder(&self, window_ms: u64) -> Vec<Point> {
        trailing_mean(self.publisher.iter().map(|s| (s.t_ms, s.encoder_kbit)), window_ms)
    }

    /// The time of the last sample of anybody, in ms.
    pub(super) fn end_ms(&self) -> u64 {
        let watchers = self.watchers.iter().flat_map(|w| w.samples.iter().map(|s| s.t_ms));
        let lanes =
            self.pictures.iter().chain(&self.sound).chain(&self.speech).chain(&self.view).map(Lane::end_ms);
        watchers.chain(self.publisher.iter().map(|s| s.t_ms)).chain(lanes).max().unwrap_or(0)
    }
}

fn trailing_mean(samples: impl Iterator<Item = (u64, f64)>, window_ms: u64) -> Vec<Point> {
    let samples: Vec<_> = samples.filter(|(_, value)| value.is_finite()).collect();
    let mut first = 0;
    let mean = |(i, &(t_ms, _)): (usize, &(u64, f64))| {
        // A sample stands for the interval before it, so one exactly a window old lies outside.
        while first < i && t_ms.saturating_sub(samples[first].0) >= window_ms {
            first += 1;
        }
        let window = &samples[first..=i];
        let mean = window.iter().map(|(_, value)| value / window.len() as f64).sum();
        Point { t_ms, value: Some(mean) }
    };
    samples.iter().enumerate().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn series(samples: impl IntoIterator<Item = (u64, u64)>) -> WatcherSeries {
        let sample = |(t_ms, frames_shown_total)| WatcherSample {
            t_ms,
            frames_shown_total,
            downlink_kbit: t_ms as f64,
            ..WatcherSample::default()
        };
        WatcherSeries { id: NodeName::new("w"), samples: samples.into_iter().map(sample).collect() }
    }

    #[test]
    fn a_steady_frame_rate_is_found_in_every_full_window() {
        let rates = series((0..30).map(|i| (i * 200, i * 5))).frames_per_second(1000);
        assert!(rates[..3].iter().all(|p| p.value.is_none()));
        assert!(rates[3..].iter().all(|p| p.value == Some(25.0)), "{rates:?}");
    }

    #[test]
    fn a_freeze_shows_for_as_long_as_it_is_in_the_window() {
        let frames = |i: u64| if i < 10 { i * 5 } else { (i - 2) * 5 };
        let rates = series((0..30).map(|i| (i * 200, frames(i)))).frames_per_second(1000);
        let low: Vec<_> =
            rates.iter().filter(|p| p.value < Some(25.0) && p.value.is_some()).map(|p| p.t_ms).collect();
        assert_eq!(low, [2000, 2200, 2400, 2600, 2800]);
    }

    proptest! {
        #[test]
        fn a_mean_is_that_of_the_samples_inside_the_window(steps in vec(1u64..700, 1..60), window in 1u64..3000) {
            let times: Vec<u64> = steps.iter().scan(0, |t, step| { *t += step; Some(*t) }).collect();
            let means = series(times.iter().map(|t| (*t, 0))).downlink(window);
            for (i, point) in means.iter().enumerate() {
                let inside: Vec<f64> =
                    times[..=i].iter().filter(|t| times[i] - **t < window).map(|t| *t as f64).collect();
                let mean = inside.iter().sum::<f64>() / inside.len() as f64;
                prop_assert!((point.value.unwrap() - mean).abs() < 1e-6, "{} {:?}", mean, point);
            }
        }

        #[test]
        fn any_order_of_times_and_totals_is_survived(
            samples in vec((prop_oneof![0u64..3, any::<u64>()], any::<u64>()), 0..20),
            window in prop_oneof![Just(0), 0u64..2000],
        ) {
            let series = series(samples.clone());
            let rates = series.frames_per_second(window);
            prop_assert_eq!(rates.len(), samples.len());
            prop_assert!(rates.iter().all(|p| p.value.is_none_or(f64::is_finite)));
            let end = Timeline { watchers: vec![series], ..Timeline::default() }.end_ms();
            prop_assert_eq!(end, samples.iter().map(|s| s.0).max().unwrap_or(0));
        }
    }
}
