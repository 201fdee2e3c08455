//! From reports to samples: delivery rate, round trip, queue, loss.

use super::sent::{Amount, Place};
use crate::Report;
use crate::filter::Best;
use crate::loss::LossWindow;
use core::cmp::Reverse;
use core::time::Duration;
use core_types::MonoTime;
use std::collections::VecDeque;

/// How long the shortest round trip and the shortest way are remembered (draft-cardwell-iccrg-bbr-congestion-control-00,
/// section 4.1.2.2).
pub(crate) const MIN_WINDOW: Duration = Duration::from_secs(10);
/// A rate is measured over a round trip, as the draft says, and over no less than this: a burst that happened to arrive
/// close together says nothing about the path.
const LEAST_SPAN: Duration = Duration::from_millis(80);
/// What reports are taken to vary by before it is known.
const FIRST_JITTER: Duration = Duration::from_millis(12);
/// Reports remembered as starts of rate samples.
const POINTS: usize = 8;

/// A report and what was sent up to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) largest: u64,
    pub(crate) place: Place,
    pub(crate) received: Amount,
    pub(crate) arrival: u64,
}

impl Point {
    const fn lost(&self) -> u64 {
        self.place.through.packets.saturating_sub(self.received.packets)
    }
}

/// What a report says of the path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Bytes per second.
    pub(crate) rate: Option<f64>,
    /// Whether the sender had nothing to send at some time within the sample.
    pub(crate) is_limited: bool,
    /// Whether the sender let a queue run empty at some time within the sample.
    pub(crate) is_slowed: bool,
    /// Whether a queue got shorter: what was sent took longer to send than to arrive.
    pub(crate) is_draining: bool,
    /// Packets sent and lost within the sample.
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) rtt: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Sampler {
    /// When the first burst was sent: where the first sample begins.
    began: Option<MonoTime>,
    last: Option<Point>,
    points: VecDeque<Point>,
    min_rtt: Best<Reverse<Duration>>,
    /// The receiver's clock less the sender's when a datagram was quickest on its way.
    min_way: Best<Reverse<i64>>,
    last_rtt: Duration,
    last_way: i64,
    smoothed: Option<(Duration, Duration)>,
    queue: Duration,
    queue_jitter: Duration,
    pub(crate) loss: LossWindow,
}

impl Sampler {
    pub(crate) const fn new() -> Self {
        let slot = Duration::from_millis(400);
        Self {
            began: None,
            last: None,
            points: VecDeque::new(),
            min_rtt: Best::new(slot),
            min_way: Best::new(slot),
            last_rtt: Duration::ZERO,
            last_way: 0,
            smoothed: None,
            queue: Duration::ZERO,
            queue_jitter: FIRST_JITTER,
            loss: LossWindow::new(),
        }
    }

    pub(crate) const fn begin(&mut self, now: MonoTime) {
        if self.began.is_none() {
            self.began = Some(now);
        }
    }

    pub(crate) const fn last(&self) -> Option<&Point> {
        self.last.as_ref()
    }

    /// The next rate sample will not begin before the next report.
    pub(crate) fn restart(&mut self) {
        self.points.clear();
        self.began = None;
    }

    pub(crate) fn smoothed_rtt(&self) -> Duration {
        self.smoothed.map_or(Duration::ZERO, |(smoothed, _)| smoothed)
    }

    pub(crate) fn rtt_variation(&self) -> Duration {
        self.smoothed.map_or(Duration::ZERO, |(_, variation)| variation)
    }

    pub(crate) fn min_rtt(&self) -> Duration {
        self.min_rtt.best().map_or(Duration::ZERO, |Reverse(rtt)| rtt)
    }

    /// When the shortest way of the last 10 s was seen.
    pub(crate) fn min_at(&self) -> Option<MonoTime> {
        self.min_way.best_at()
    }

    pub(crate) const fn queue(&self) -> Duration {
        self.queue
    }

    /// What the queue's length varies from report to report.
    pub(crate) const fn queue_jitter(&self) -> Duration {
        self.queue_jitter
    }

    /// The way has become longer for good: what was shortest before is no measure any more.
    pub(crate) fn forget_shortest(&mut self, now: MonoTime) {
        self.min_rtt.clear();
        self.min_rtt.push(now, Reverse(self.last_rtt), MIN_WINDOW);
        self.min_way.clear();
        self.min_way.push(now, Reverse(self.last_way), MIN_WINDOW);
        self.queue = Duration::ZERO;
    }

    /// Takes in a report that was found plausible. `rate` is what the path is known to carry, in bytes per second.
    pub(crate) fn push(&mut self, now: MonoTime, report: &Report, point: Point, rate: Option<f64>) -> Sample {
        let is_ahead = self.last.is_none_or(|last| point.largest > last.largest);
        let mut sample = Sample::default();
        if is_ahead {
            sample.rtt = Some(self.push_rtt(now, report, &point, rate));
        }
        self.push_rate(now, report, &point, &mut sample);
        self.last = Some(point);
        self.loss.push(now, point.place.through.packets, point.lost());
        sample
    }

    fn push_rtt(&mut self, now: MonoTime, report: &Report, point: &Point, rate: Option<f64>) -> Duration {
        // A peer that exaggerates the delay makes the round trip short, and with it what it may get at once.
        let rtt =
            now.since(point.place.sent_at).saturating_sub(report.ack_delay).max(Duration::from_micros(1));
        self.min_rtt.push(now, Reverse(rtt), MIN_WINDOW);
        self.smoothed = Some(match self.smoothed {
            None => (rtt, rtt / 2),
            // RFC 6298, section 2.3.
            Some((smoothed, variation)) => {
                ((smoothed * 7 + rtt) / 8, (variation * 3 + smoothed.abs_diff(rtt)) / 4)
            }
        });
        // The two clocks have different origins: only differences of this mean anything.
        let way = report.arrival.wrapping_sub(point.place.sent_at.0).cast_signed();
        self.min_way.push(now, Reverse(way), MIN_WINDOW);
        (self.last_rtt, self.last_way) = (rtt, way);
        let least = self.min_way.best().map_or(way, |Reverse(least)| least);
        let queue = Duration::from_micros(way.saturating_sub(least).unsigned_abs());
        // What waits on the way makes the round trip longer too. This keeps a clock that jumped, or a way that became
        // longer only because the clocks drift apart, from being taken for a queue.
        let queue = queue.min(rtt.saturating_sub(self.min_rtt()));
        // Behind the rest of its own burst a datagram waits on any path. That is gone before the next burst comes.
        let own = rate.filter(|rate| *rate > 0.0).map_or(0.0, |rate| point.place.ahead as f64 / rate);
        let own = Duration::from_secs_f64(own.min(60.0)).saturating_sub(point.place.ahead_by);
        let queue = queue.saturating_sub(own);
        self.queue_jitter = (self.queue_jitter * 7 + queue.abs_diff(self.queue)) / 8;
        self.queue = queue;
        rtt
    }

    /// Delivery rate as in draft-cheng-iccrg-delivery-rate-estimation-00: what was delivered over the longer of the time
    /// in which it was sent and the time in which it arrived. For want of acknowledgements the sample spans two reports,
    /// and it arrives by the receiver's clock, which knows no delay of reports.
    fn push_rate(&mut self, now: MonoTime, report: &Report, point: &Point, sample: &mut Sample) {
        let span = self.min_rtt().max(LEAST_SPAN);
        let begin = self.points.iter().rev().find(|begin| micros(point.arrival - begin.arrival) >= span);
        if let Some(begin) = begin {
            let arrived = micros(point.arrival - begin.arrival);
            let sending = point.place.sent_at.since(begin.place.sent_at);
            let interval = arrived.max(sending);
            let delivered = point.received.bytes - begin.received.bytes;
            sample.rate = Some(delivered as f64 / interval.as_secs_f64());
            sample.is_limited = point.place.limited > begin.place.limited;
            sample.is_slowed = point.place.slowed > begin.place.slowed;
            sample.is_draining = arrived < sending.mul_f64(0.95);
            sample.sent = point.place.through.packets.saturating_sub(begin.place.through.packets);
            sample.lost = point.lost().saturating_sub(begin.lost());
        } else if let Some(began) = self.began.filter(|_| self.points.is_empty()) {
            // Nothing arrived before: the draft counts from the sending of the first packet.
            let interval = now.since(began).saturating_sub(report.ack_delay).max(Duration::from_micros(1));
            sample.rate = Some(point.received.bytes as f64 / interval.as_secs_f64());
            sample.is_limited = true;
        }
        // So many points at such a distance that there is always one just beyond the span.
        if self.points.back().is_none_or(|last| micros(point.arrival - last.arrival) >= span / 4) {
            if self.points.len() == POINTS {
                self.points.pop_front();
            }
            self.points.push_back(*point);
        }
    }
}

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}
