//! Flows over one path of a virtual network: sources that make frames, a queue that sheds, a receiver that reports.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(dead_code, reason = "each test uses a part")]

use av_congestion::{Bbr, BbrConfig, LinkEstimate, Report};
use core_types::{BitRate, MonoTime};
use netsim::{Network, PathModel, Steps};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) const DATAGRAM: usize = 1_100;
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// What waits longer than this at the sender is shed.
const PATIENCE: Duration = Duration::from_millis(150);

pub(crate) fn kbit(rate: u64) -> BitRate {
    BitRate::from_kbit(rate)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn at(seconds: f64) -> MonoTime {
    MonoTime((seconds * 1e6) as u64)
}

/// A bottleneck of so many kilobits per second that holds a queue of so many milliseconds.
pub(crate) fn bottleneck(rate: u64, queue_ms: u64, delay_ms: u64) -> PathModel {
    PathModel {
        delay: ms(delay_ms),
        bandwidth: Steps::constant(kbit(rate)),
        queue: (rate * queue_ms / 8) as usize,
        ..PathModel::default()
    }
}

/// A camera: a frame each `1 / fps`, as many datagrams as its rate takes, at least one.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) rate: Steps<BitRate>,
    pub(crate) fps: u64,
    /// Each so many frames one has so many times the size.
    pub(crate) key: Option<(u64, usize)>,
    /// It always says that it has more to send: as one that drops what waits may do, and has no more then.
    pub(crate) claims_more: bool,
}

impl Source {
    pub(crate) fn live(rate: BitRate) -> Self {
        Self { rate: rate.into(), fps: 28, key: None, claims_more: false }
    }
}

/// What happened in a tick.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row {
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
    pub(crate) lost: u64,
    pub(crate) shed: u64,
    /// Sends, each of one burst.
    pub(crate) bursts: u64,
    /// The oldest that waits at the sender.
    pub(crate) held: Duration,
    /// What the datagrams of the tick had waited until they went out.
    pub(crate) waited: Duration,
    pub(crate) queue: Duration,
    pub(crate) estimate: LinkEstimate,
    pub(crate) budget: usize,
}

pub(crate) struct Flow {
    pub(crate) bbr: Bbr,
    pub(crate) source: Source,
    frames: u64,
    debt: u64,
    held: VecDeque<MonoTime>,
    next_number: u64,
    receiver: Receiver,
    pub(crate) rows: Vec<Row>,
    pub(crate) reports: u64,
}

#[derive(Default)]
struct Receiver {
    largest: Option<u64>,
    packets: u64,
    bytes: u64,
    arrival: MonoTime,
    seen: std::collections::BTreeSet<u64>,
    last_report: MonoTime,
    has_news: bool,
    wants: bool,
    way: i64,
    reported_way: i64,
    /// The receiver's clock, less the sender's.
    clock: u64,
    only_timed: bool,
}

impl Receiver {
    fn take(&mut self, at: MonoTime, number: u64, sent: MonoTime, bytes: usize) {
        if !self.seen.insert(number) {
            return;
        }
        self.packets += 1;
        self.bytes += bytes as u64;
        self.has_news = true;
        if self.largest.is_none_or(|largest| number > largest) {
            self.wants |= self.largest.is_some_and(|largest| number > largest + 1);
            self.largest = Some(number);
            self.arrival = at;
            self.way = at.0.cast_signed() - sent.0.cast_signed();
            self.wants |= self.way > self.reported_way + 10_000;
        }
        while self.seen.len() > 4_000 {
            self.seen.pop_first();
        }
    }

    fn report(&mut self, now: MonoTime) -> Option<Report> {
        let since = now.since(self.last_report);
        let is_due =
            self.has_news && (since >= ms(100) || (self.wants && !self.only_timed && since >= ms(20)));
        let largest = self.largest.filter(|_| is_due)?;
        self.last_report = now;
        self.has_news = false;
        self.wants = false;
        self.reported_way = self.way;
        Some(Report {
            largest,
            received_packets: self.packets,
            received_bytes: self.bytes,
            ack_delay: now.since(self.arrival),
            arrival: self.arrival.0 + self.clock,
        })
    }
}

pub(crate) struct Sim {
    pub(crate) now: MonoTime,
    pub(crate) network: Network,
    pub(crate) flows: Vec<Flow>,
}

pub(crate) fn sender() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1))
}

pub(crate) fn receiver() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 1))
}

impl Sim {
    pub(crate) fn new(seed: u64, there: PathModel, back: PathModel) -> Self {
        let mut network = Network::new(seed);
        network.set_path(sender(), receiver(), there).unwrap();
        network.set_path(receiver(), sender(), back).unwrap();
        Self { now: MonoTime(0), network, flows: Vec::new() }
    }

    /// One flow over a path whose way back is clean and takes as long.
    pub(crate) fn single(seed: u64, there: PathModel, source: Source) -> Self {
        let back = PathModel { delay: there.delay, ..PathModel::default() };
        let mut sim = Self::new(seed, there, back);
        sim.add(source);
        sim
    }

    pub(crate) fn add(&mut self, source: Source) {
        let config = BbrConfig { seed: self.flows.len() as u64, ..BbrConfig::default() };
        self.flows.push(Flow {
            bbr: Bbr::new(config, self.now).unwrap(),
            source,
            frames: 0,
            debt: 0,
            held: VecDeque::new(),
            next_number: 0,
            receiver: Receiver { clock: 1 << 40, ..Receiver::default() },
            rows: Vec::new(),
            reports: 0,
        });
    }

    pub(crate) fn run(&mut self, until: MonoTime) {
        while self.now < until {
            self.tick();
        }
    }

    pub(crate) fn tick(&mut self) {
        self.now = self.now.plus(TICK);
        let now = self.now;
        for flow in &mut self.flows {
            flow.rows.push(Row::default());
        }
        let deliveries: Vec<_> = self.network.deliver(now).collect();
        for delivery in deliveries {
            let flow = &mut self.flows[usize::from(delivery.bytes[0])];
            let word =
                |k: usize| u64::from_be_bytes(delivery.bytes[1 + k * 8..9 + k * 8].try_into().unwrap());
            if delivery.to == receiver() {
                flow.receiver.take(delivery.at, word(0), MonoTime(word(1)), delivery.bytes.len());
                flow.row().arrived += 1;
            } else {
                flow.reports += 1;
                let report = Report {
                    largest: word(0),
                    received_packets: word(1),
                    received_bytes: word(2),
                    ack_delay: Duration::from_micros(word(3)),
                    arrival: word(4),
                };
                let outcome = flow.bbr.on_report(now, &report).unwrap();
                flow.row().lost += outcome.lost_packets;
            }
        }
        let queue = self.network.queue_delay(now, sender(), receiver());
        for id in 0..self.flows.len() {
            let flow = &mut self.flows[id];
            if flow.bbr.poll_timeout().is_some_and(|due| due <= now) {
                flow.bbr.handle_timeout(now);
            }
            flow.make_frames(now);
            for (number, made) in flow.send(now) {
                let mut bytes = vec![0; DATAGRAM];
                bytes[0] = id as u8;
                bytes[1..9].copy_from_slice(&number.to_be_bytes());
                bytes[9..17].copy_from_slice(&now.0.to_be_bytes());
                bytes[17..25].copy_from_slice(&made.0.to_be_bytes());
                self.network.send(now, sender(), receiver(), bytes);
            }
            if let Some(report) = flow.receiver.report(now) {
                let mut bytes = vec![id as u8];
                for word in [
                    report.largest,
                    report.received_packets,
                    report.received_bytes,
                    report.ack_delay.as_micros() as u64,
                    report.arrival,
                ] {
                    bytes.extend_from_slice(&word.to_be_bytes());
                }
                self.network.send(now, receiver(), sender(), bytes);
            }
            let (budget, estimate) = (flow.bbr.budget(now), flow.bbr.estimate(now));
            let held = flow.held.front().map_or(Duration::ZERO, |made| now.since(*made));
            let row = flow.row();
            (row.queue, row.budget, row.estimate, row.held) = (queue, budget, estimate, held);
        }
    }

    pub(crate) fn flow(&self) -> &Flow {
        &self.flows[0]
    }
}

impl Flow {
    /// The receiver's clock goes forward by so much at once.
    pub(crate) fn jump_clock(&mut self, by: Duration) {
        self.receiver.clock += by.as_micros() as u64;
    }

    /// The receiver reports each 100 ms, whatever it sees.
    pub(crate) fn report_by_the_clock(&mut self) {
        self.receiver.only_timed = true;
    }

    /// Datagrams that wait at the sender.
    pub(crate) fn waiting(&self) -> usize {
        self.held.len()
    }

    fn row(&mut self) -> &mut Row {
        self.rows.last_mut().unwrap()
    }

    fn make_frames(&mut self, now: MonoTime) {
        while self.frames * 1_000_000 / self.source.fps <= now.0 {
            self.frames += 1;
            let mut bytes = self.source.rate.at(now).0 / 8 / self.source.fps;
            if let Some((each, factor)) = self.source.key
                && (self.frames - 1).is_multiple_of(each)
            {
                bytes *= factor as u64;
            }
            self.debt += bytes;
            while self.debt >= DATAGRAM as u64 {
                self.debt -= DATAGRAM as u64;
                self.held.push_back(now);
            }
        }
        while self.held.front().is_some_and(|made| now.since(*made) > PATIENCE) {
            self.held.pop_front();
            self.row().shed += 1;
        }
    }

    /// What goes out now, as one burst.
    fn send(&mut self, now: MonoTime) -> Vec<(u64, MonoTime)> {
        let count = (self.bbr.budget(now) / DATAGRAM).min(self.held.len());
        if count == 0 {
            return Vec::new();
        }
        let burst: Vec<_> = self
            .held
            .drain(..count)
            .enumerate()
            .map(|(k, made)| (self.next_number + k as u64, made))
            .collect();
        let is_limited = self.held.is_empty() && !self.source.claims_more;
        self.bbr.on_sent(now, self.next_number, count as u32, count * DATAGRAM, is_limited).unwrap();
        self.next_number += count as u64;
        let waited = burst.iter().map(|(_, made)| now.since(*made)).max().unwrap();
        let row = self.row();
        row.sent += count as u64;
        row.bursts += 1;
        row.waited = waited;
        burst
    }

    fn between(&self, from: f64, until: f64) -> &[Row] {
        let index = |seconds: f64| ((seconds * 1e3) as usize).min(self.rows.len());
        &self.rows[index(from)..index(until)]
    }

    /// Bits per second that arrived.
    pub(crate) fn arrived(&self, from: f64, until: f64) -> f64 {
        self.sum(from, until, |row| row.arrived) as f64 * DATAGRAM as f64 * 8.0 / (until - from)
    }

    pub(crate) fn sent(&self, from: f64, until: f64) -> f64 {
        self.sum(from, until, |row| row.sent) as f64 * DATAGRAM as f64 * 8.0 / (until - from)
    }

    pub(crate) fn sum(&self, from: f64, until: f64, of: impl Fn(&Row) -> u64) -> u64 {
        self.between(from, until).iter().map(of).sum()
    }

    pub(crate) fn max<T: Ord + Default>(&self, from: f64, until: f64, of: impl Fn(&Row) -> T) -> T {
        self.between(from, until).iter().map(of).max().unwrap_or_default()
    }

    /// Of what was sent, how much did not arrive.
    pub(crate) fn loss(&self, from: f64, until: f64) -> f64 {
        let (sent, arrived) = (self.sent(from, until), self.arrived(from, until));
        (1.0 - arrived / sent).max(0.0)
    }
}
