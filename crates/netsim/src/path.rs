//! One direction between two nodes at work.

use crate::model::{PathModel, UNLIMITED};
use crate::prng::Prng;
use core::time::Duration;
use core_types::MonoTime;
use std::collections::VecDeque;

/// What a path did so far. `sent + duplicated = delivered + lost() +` what is on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams handed to the path.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams that were taken out at the other end, copies included.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Lost each by itself.
    pub lost_plain: u64,
    /// Lost in a state of the burst model.
    pub lost_burst: u64,
    /// Lost because the queue of the bottleneck was full, or held up for ever.
    pub lost_queue: u64,
    /// Lost because they were larger than the MTU.
    pub lost_mtu: u64,
    /// Lost in a blackout.
    pub lost_blackout: u64,
    /// Lost because the network held all that it may hold: a limit of the test, not of the path.
    pub lost_limit: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Datagrams with bits turned over.
    pub corrupted: u64,
    /// Datagrams held back so that others overtake them.
    pub reordered: u64,
    /// The most bytes that ever waited at the bottleneck.
    pub queue_peak: u64,
}

impl Counters {
    /// All that was lost, whatever the cause.
    pub const fn lost(&self) -> u64 {
        self.lost_plain
            + self.lost_burst
            + self.lost_queue
            + self.lost_mtu
            + self.lost_blackout
            + self.lost_limit
    }
}

const NANOS: u128 = 1_000;
const SECOND: u128 = 1_000_000_000;

/// When a datagram and perhaps its copy arrive.
pub(crate) struct Fate {
    pub(crate) at: MonoTime,
    pub(crate) copy: Option<MonoTime>,
}

#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) model: PathModel,
    pub(crate) counters: Counters,
    prng: Prng,
    is_bad: bool,
    /// When the bottleneck is free, in nanoseconds: microseconds would round every datagram of a fast path.
    free_at: u128,
    /// What waits at the bottleneck: when it has left, and its bytes.
    waiting: VecDeque<(u128, usize)>,
    waiting_bytes: usize,
    /// The last arrival among those that keep the order.
    last_arrival: u128,
}

impl Path {
    pub(crate) const fn new(model: PathModel, prng: Prng) -> Self {
        Self {
            model,
            counters: Counters {
                sent: 0,
                sent_bytes: 0,
                delivered: 0,
                delivered_bytes: 0,
                lost_plain: 0,
                lost_burst: 0,
                lost_queue: 0,
                lost_mtu: 0,
                lost_blackout: 0,
                lost_limit: 0,
                duplicated: 0,
                corrupted: 0,
                reordered: 0,
                queue_peak: 0,
            },
            prng,
            is_bad: false,
            free_at: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_arrival: 0,
        }
    }

    /// Decides what becomes of a datagram; may turn bits of it over.
    pub(crate) fn carry(&mut self, now: MonoTime, bytes: &mut [u8]) -> Option<Fate> {
        self.counters.sent += 1;
        self.counters.sent_bytes += bytes.len() as u64;
        // Everything is drawn before anything is decided, so that the next datagram's draws do not depend on it.
        let [lost, step, burst, jitter, held, hold, copied, copy, damaged] =
            std::array::from_fn(|_| self.prng.unit());
        let mut bits = self.prng.fork(b"bits");

        if self.model.is_dark(now) {
            self.counters.lost_blackout += 1;
            return None;
        }
        if bytes.len() > self.model.mtu.at(now) {
            self.counters.lost_mtu += 1;
            return None;
        }
        let Some(left) = self.pass_bottleneck(now, bytes.len()) else {
            self.counters.lost_queue += 1;
            return None;
        };
        if lost < self.model.loss {
            self.counters.lost_plain += 1;
            return None;
        }
        if self.is_lost_in_burst(step, burst) {
            self.counters.lost_burst += 1;
            return None;
        }
        if damaged < self.model.corrupt && !bytes.is_empty() {
            self.counters.corrupted += 1;
            turn_bits(&mut bits, bytes);
        }
        let base = left + self.model.delay.as_nanos();
        let mut arrival = base + share(self.model.jitter, jitter);
        match self.model.reorder {
            Some(reorder) if held < reorder.rate => {
                self.counters.reordered += 1;
                arrival += share(reorder.by, hold);
            }
            _ => {
                arrival = arrival.max(self.last_arrival);
                self.last_arrival = arrival;
            }
        }
        let copy = (copied < self.model.duplicate).then(|| arrival + share(self.model.jitter, copy));
        self.counters.duplicated += u64::from(copy.is_some());
        Some(Fate { at: micros(arrival), copy: copy.map(micros) })
    }

    /// Bytes that wait at the bottleneck.
    pub(crate) fn queue_bytes(&mut self, now: MonoTime) -> usize {
        let now = u128::from(now.0) * NANOS;
        while let Some((_, bytes)) = self.waiting.front().copied().filter(|(left, _)| *left <= now) {
            self.waiting.pop_front();
            self.waiting_bytes -= bytes;
        }
        self.waiting_bytes
    }

    /// How long the bottleneck needs for what waits there now.
    pub(crate) fn queue_delay(&self, now: MonoTime) -> Duration {
        let nanos = self.free_at.saturating_sub(u128::from(now.0) * NANOS);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When the bottleneck has sent the datagram, in nanoseconds; `None` when it is dropped.
    fn pass_bottleneck(&mut self, now: MonoTime, payload: usize) -> Option<u128> {
        let bytes = payload.saturating_add(self.model.overhead);
        let waiting = self.queue_bytes(now);
        if waiting > 0 && waiting.saturating_add(bytes) > self.model.queue {
            return None;
        }
        let start = self.free_at.max(u128::from(now.0) * NANOS);
        let left = self.sent_at(start, bytes as u128 * 8)?;
        self.free_at = left;
        if left > u128::from(now.0) * NANOS {
            self.waiting.push_back((left, bytes));
            self.waiting_bytes += bytes;
            self.counters.queue_peak = self.counters.queue_peak.max(self.waiting_bytes as u64);
        }
        Some(left)
    }

    /// When so many bits are sent that begin at `start`, over the steps of the bandwidth.
    fn sent_at(&self, start: u128, bits: u128) -> Option<u128> {
        let mut at = start;
        let mut need = bits * SECOND;
        loop {
            let time = MonoTime(u64::try_from(at / NANOS).unwrap_or(u64::MAX));
            let rate = self.model.bandwidth.at(time);
            if rate == UNLIMITED {
                return Some(at);
            }
            let rate = u128::from(rate.0);
            let Some(change) = self.model.bandwidth.next_change(time) else {
                return (rate > 0).then(|| at + need.div_ceil(rate));
            };
            let change = u128::from(change.0) * NANOS;
            let until = (change - at).saturating_mul(rate);
            if until >= need && rate > 0 {
                return Some(at + need.div_ceil(rate));
            }
            need -= until;
            at = change;
        }
    }

    fn is_lost_in_burst(&mut self, step: f64, loss: f64) -> bool {
        let Some(bursts) = self.model.bursts else { return false };
        self.is_bad = if self.is_bad { step >= bursts.to_good } else { step < bursts.to_bad };
        loss < if self.is_bad { bursts.loss_bad } else { bursts.loss_good }
    }
}

/// A part of a duration in nanoseconds.
fn share(whole: Duration, part: f64) -> u128 {
    (whole.as_nanos() as f64 * part) as u128
}

fn micros(nanos: u128) -> MonoTime {
    MonoTime(u64::try_from(nanos.div_ceil(NANOS)).unwrap_or(u64::MAX))
}

/// Turns one to four different bits over, so that the datagram is never what it was.
fn turn_bits(prng: &mut Prng, bytes: &mut [u8]) {
    let bits = bytes.len() as u64 * 8;
    let first = prng.below(bits);
    for k in 0..=prng.below(4) {
        let bit = (first + k * 13) % bits;
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
}
