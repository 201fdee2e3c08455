//! The same estimate for a QUIC connection, which has a congestion controller of its own: from its statistics.

use crate::LinkEstimate;
use crate::filter::Best;
use crate::loss::LossWindow;
use core::cmp::Reverse;
use core::time::Duration;
use core_types::{BitRate, MonoTime};
use std::collections::VecDeque;

/// Samples that come sooner than this after the last one are passed over.
const INTERVAL: Duration = Duration::from_millis(100);
/// A rate is measured over so long: packets leave in bursts, a frame's worth at a time.
const SPAN: Duration = Duration::from_millis(200);
const POINTS: usize = 4;
/// How long rates are remembered, and while the path is congested.
const RATE_WINDOW: Duration = Duration::from_secs(2);
const CONGESTED_RATE_WINDOW: Duration = Duration::from_millis(600);
const MIN_WINDOW: Duration = Duration::from_secs(10);
/// A connection that sends less than this part of what its window allows has less to send.
const USES_WINDOW: f64 = 0.7;
/// A queue: longer than this, and than half of the shortest round trip, for so many samples.
const QUEUE: Duration = Duration::from_millis(30);
const QUEUE_SAMPLES: u8 = 3;
/// Loss that counts beside a queue of at least so much, and loss that counts by itself; permille.
const LOSS: u16 = 50;
const QUEUE_BESIDE_LOSS: Duration = Duration::from_millis(10);
const HEAVY_LOSS: u16 = 300;

/// The statistics of a QUIC connection, or of one of its paths, as they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuicSample {
    /// Smoothed round-trip time; zero when none was measured.
    pub rtt: Duration,
    /// Congestion window, bytes.
    pub window: u64,
    /// Packets sent since the connection began.
    pub sent_packets: u64,
    /// Packets declared lost since then.
    pub lost_packets: u64,
    /// Bytes sent since then.
    pub sent_bytes: u64,
    /// What the congestion controller believes that the path carries, if it has an opinion.
    pub bandwidth: Option<BitRate>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    at: MonoTime,
    sample: QuicSample,
}

/// Makes a [`LinkEstimate`] from statistics that are taken every 100 ms or less often.
#[derive(Debug)]
pub struct StatsEstimator {
    points: VecDeque<Point>,
    min_rtt: Best<Reverse<Duration>>,
    variation: Duration,
    rates: Best<f64>,
    recent: f64,
    loss: LossWindow,
    is_limited: bool,
    queue_samples: u8,
}

impl Default for StatsEstimator {
    fn default() -> Self {
        Self::new()
    }
}

impl StatsEstimator {
    /// An estimator of a connection of which nothing is known.
    pub const fn new() -> Self {
        Self {
            points: VecDeque::new(),
            min_rtt: Best::new(Duration::from_millis(400)),
            variation: Duration::ZERO,
            rates: Best::new(Duration::from_millis(80)),
            recent: 0.0,
            loss: LossWindow::new(),
            is_limited: true,
            queue_samples: 0,
        }
    }

    /// Takes statistics in. Those that come within 100 ms of the last are passed over; counters that went down belong to
    /// another connection or path, with which everything begins anew.
    pub fn on_sample(&mut self, now: MonoTime, sample: &QuicSample) {
        if let Some(last) = self.points.back() {
            let last_sample = last.sample;
            let is_other = sample.sent_packets < last_sample.sent_packets
                || sample.sent_bytes < last_sample.sent_bytes
                || sample.lost_packets < last_sample.lost_packets;
            if is_other {
                *self = Self::new();
            } else if now.since(last.at) < INTERVAL {
                return;
            } else {
                self.variation = (self.variation * 3 + sample.rtt.abs_diff(last_sample.rtt)) / 4;
            }
        }
        if !sample.rtt.is_zero() {
            self.min_rtt.push(now, Reverse(sample.rtt), MIN_WINDOW);
        }
        self.loss.push(now, sample.sent_packets, sample.lost_packets.min(sample.sent_packets));
        let queue = self.queue(sample);
        let has_queue = queue >= QUEUE.max(self.min_rtt_now() / 2);
        self.queue_samples = if has_queue { self.queue_samples.saturating_add(1) } else { 0 };
        self.push_rate(now, sample);
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(Point { at: now, sample: *sample });
    }

    /// What is known of the link. What is in flight is an estimate here: rate times round trip.
    pub fn estimate(&self, now: MonoTime) -> LinkEstimate {
        let sample = self.points.back().map_or(QuicSample::default(), |last| last.sample);
        let window = usize::try_from(sample.window).unwrap_or(usize::MAX);
        LinkEstimate {
            smoothed_rtt: sample.rtt,
            min_rtt: self.min_rtt_now(),
            rtt_variation: self.variation,
            queue_delay: self.queue(&sample),
            loss_permille: self.loss.permille(now),
            reported_packets: self.loss.packets(),
            lost_packets: self.loss.lost(),
            delivery_rate: bit_rate(self.rates.best().unwrap_or(0.0)),
            recent_rate: bit_rate(self.recent),
            pacing_rate: bit_rate(allowed(&sample)),
            in_flight: window.min((self.recent * sample.rtt.as_secs_f64()) as usize),
            window,
            app_limited: self.is_limited,
            congested: self.is_congested(now),
        }
    }

    fn min_rtt_now(&self) -> Duration {
        self.min_rtt.best().map_or(Duration::ZERO, |Reverse(rtt)| rtt)
    }

    fn queue(&self, sample: &QuicSample) -> Duration {
        sample.rtt.saturating_sub(self.min_rtt_now())
    }

    fn is_congested(&self, now: MonoTime) -> bool {
        let loss = self.loss.permille(now).unwrap_or(0);
        let queue = self.points.back().map_or(Duration::ZERO, |last| self.queue(&last.sample));
        self.queue_samples >= QUEUE_SAMPLES
            || (loss >= LOSS && queue >= QUEUE_BESIDE_LOSS)
            || loss >= HEAVY_LOSS
    }

    fn push_rate(&mut self, now: MonoTime, sample: &QuicSample) {
        let Some(begin) = self.points.iter().rev().find(|point| now.since(point.at) >= SPAN) else { return };
        let bytes = (sample.sent_bytes - begin.sample.sent_bytes) as f64;
        let packets = sample.sent_packets - begin.sample.sent_packets;
        let lost = (sample.lost_packets - begin.sample.lost_packets).min(packets);
        let sent = bytes / now.since(begin.at).as_secs_f64();
        let delivered = sent * (packets - lost) as f64 / packets.max(1) as f64;
        self.recent = delivered;
        let most = sample.bandwidth.map_or_else(|| allowed(sample), |rate| rate.0 as f64 / 8.0);
        self.is_limited = sent < most * USES_WINDOW;
        let is_congested = self.is_congested(now);
        // What was small because there was little to send says nothing.
        if self.is_limited && !is_congested && self.rates.best().is_some_and(|best| delivered < best) {
            return;
        }
        let window = if is_congested { CONGESTED_RATE_WINDOW } else { RATE_WINDOW };
        self.rates.push(now, delivered, window);
    }
}

/// Bytes per second that a window allows.
fn allowed(sample: &QuicSample) -> f64 {
    if sample.rtt.is_zero() { 0.0 } else { sample.window as f64 / sample.rtt.as_secs_f64() }
}

fn bit_rate(bytes_per_second: f64) -> BitRate {
    BitRate((bytes_per_second * 8.0) as u64)
}
