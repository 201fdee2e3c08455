//! BBR for lanes that hear of their datagrams by rare, cumulative reports.

mod ceiling;
mod crowd;
mod fit;
mod mode;
mod moved;
mod pacer;
mod sampler;
mod sent;
mod types;

use self::ceiling::Ceiling;
use self::crowd::{Crowd, Signs};
use self::fit::Fit;
use self::mode::{HIGH_GAIN, Machine, Mode, Seen};
use self::pacer::Pacer;
use self::sampler::{Point, Sample, Sampler};
use self::sent::{Amount, Held, Place, SentLog};
pub use self::types::{BbrConfig, Outcome, Report};
use crate::filter::Best;
use crate::{Error, LinkEstimate};
use core::time::Duration;
use core_types::{BitRate, MonoTime};

/// The round trip that is assumed before one is measured: the initial window is paced over this time.
const NOMINAL_RTT: Duration = Duration::from_millis(50);
/// A burst that goes out at once while the path is free: so many datagrams, bytes, and time at the pacing rate.
const BURST_DATAGRAMS: usize = 16;
const BURST_BYTES: usize = 20_000;
const BURST_SECONDS: f64 = 0.002;
/// Otherwise: a datagram, and what the caller's timer may be late.
const STRICT_BURST_SECONDS: f64 = 0.005;
/// The gain of a sender with little to send whose bursts do not fit.
const SPREAD_GAIN: f64 = 1.25;
/// Rates are remembered for ten rounds (section 4.1.1.3), as rounds are when reports come at their interval, and not
/// for less than this. While a queue stands, samples are what the path carries, and few of them tell all.
const RATE_ROUNDS: u32 = 10;
const LEAST_RATE_WINDOW: Duration = Duration::from_millis(1_200);
const CROWDED_RATE_WINDOW: Duration = Duration::from_millis(400);
/// Datagrams that may be in flight while no reports come, and in the beginning of a restart.
const RESTART_DATAGRAMS: usize = 8;
/// The longest time between two of those few, unless the round trip is longer.
const MOST_BACKOFF: Duration = Duration::from_millis(1_200);
/// Who sends nothing for longer than this, and than two datagrams take, had nothing to send.
const PAUSE: Duration = Duration::from_millis(100);

/// A sender's congestion control. See the crate's front page.
#[derive(Debug)]
pub struct Bbr {
    config: BbrConfig,
    log: SentLog,
    sampler: Sampler,
    rates: Best<f64>,
    recent: f64,
    crowd: Crowd,
    ceiling: Ceiling,
    fit: Fit,
    machine: Machine,
    pacer: Pacer,
    /// Bytes per second, as the pacer has it.
    pacing: f64,
    window: usize,
    is_limited: bool,
    /// Whether the last sample was of a sender that had little to send, and whether nothing is known against more.
    was_limited: bool,
    is_free: bool,
    /// When the way was last about as short as it gets.
    short_at: MonoTime,
    /// Since when a report is waited for: the last one, or the first burst after that.
    waiting_since: MonoTime,
    sent_at: Option<MonoTime>,
    /// Timeouts since the last report.
    timeouts: u32,
    /// Whether the next report is the first one of another path.
    has_moved: bool,
    /// Bytes that had been delivered when the restart began, while it lasts.
    restart: Option<u64>,
    /// The rate to go on from after a restart until there are samples.
    fallback: Option<f64>,
}

impl Bbr {
    /// A sender that knows nothing of its path.
    ///
    /// # Errors
    /// [`Error::Config`], the caller's fault.
    pub fn new(config: BbrConfig, now: MonoTime) -> Result<Self, Error> {
        config.check()?;
        let mut bbr = Self {
            config,
            log: SentLog::default(),
            sampler: Sampler::new(),
            rates: Best::new(Duration::from_millis(20)),
            recent: 0.0,
            crowd: Crowd::default(),
            ceiling: Ceiling::default(),
            fit: Fit::new(),
            machine: Machine::new(config.seed),
            pacer: Pacer::new(now, 0.0, 0.0),
            pacing: 0.0,
            window: config.initial_window,
            is_limited: true,
            was_limited: true,
            is_free: false,
            short_at: now,
            waiting_since: now,
            sent_at: None,
            timeouts: 0,
            has_moved: false,
            restart: None,
            fallback: None,
        };
        bbr.pacing = bbr.pacing_rate(now);
        bbr.pacer = Pacer::new(now, bbr.pacing, bbr.burst(now));
        Ok(bbr)
    }

    /// Tells that a burst has gone out: `packets` datagrams with link numbers from `first` on, `bytes` in all.
    /// `app_limited` when it took everything that there was to send.
    ///
    /// # Errors
    /// [`Error::NotAscending`], the caller's fault.
    pub fn on_sent(
        &mut self,
        now: MonoTime,
        first: u64,
        packets: u32,
        bytes: usize,
        app_limited: bool,
    ) -> Result<(), Error> {
        if packets == 0 {
            return Ok(());
        }
        let was_idle = self.log.in_flight() == 0;
        // Who waited for room may have dropped what waited, and have had nothing more: a rate over that time says little.
        let paused = self.sent_at.is_some_and(|at| now.since(at) > self.longest_gap());
        let amount = Amount { packets: packets.into(), bytes: bytes as u64 };
        let is_slowed = self.machine.gain() < 1.0 && !self.is_lenient();
        let held = Held { after_pause: paused, is_limited: app_limited, is_slowed };
        self.log.push(now, first, amount, held)?;
        self.sent_at = Some(now);
        if was_idle {
            self.waiting_since = now;
            self.sampler.begin(now);
        }
        self.is_limited = app_limited;
        if now >= self.machine.until() {
            let mode = self.machine.mode();
            if self.machine.tick(now, &self.seen(now, &Sample::default())) {
                self.forget_shortest(now, mode);
            }
            self.set_pace(now);
        }
        self.pacer.take(now, bytes as u64);
        Ok(())
    }

    /// Takes a report in. One that is older than the last one, or says the same, changes nothing.
    ///
    /// # Errors
    /// What can't be true is the peer's fault; nothing is changed then.
    pub fn on_report(&mut self, now: MonoTime, report: &Report) -> Result<Outcome, Error> {
        let Some(point) = self.check(report)? else { return Ok(Outcome::default()) };
        let before = self.sampler.last().map_or(Amount::default(), |last| last.received);
        let lost_before = self.sampler.loss.lost();
        let mut sample = self.sampler.push(now, report, point, self.rates.best());
        self.log.settle(point.largest, &point.place);
        self.waiting_since = now;
        if self.timeouts >= 2 {
            let lost = self.sampler.loss.lost().saturating_sub(lost_before);
            let delivered = point.received.packets - before.packets;
            self.go_on(now, before.bytes, lost > delivered / 4);
            // It spans the time without reports.
            sample.rate = None;
        }
        self.timeouts = 0;

        self.crowd.on_report(now, &self.signs());
        self.fit.on_report(now, &self.signs(), self.is_lenient(), self.was_limited);
        self.push_rate(now, &sample);
        if self.sampler.queue() < self.signs().threshold() / 2 {
            self.short_at = now;
        }
        if sample.rate.is_some() {
            self.was_limited = sample.is_limited;
        }
        self.is_free = self.was_limited && self.crowd.is_free(now);
        let (seen, mode) = (self.seen(now, &sample), self.machine.mode());
        if self.machine.on_report(now, &seen) {
            self.forget_shortest(now, mode);
        }
        self.window = self.next_window(now);
        self.set_pace(now);
        Ok(Outcome {
            is_new: true,
            delivered_bytes: point.received.bytes - before.bytes,
            lost_packets: self.sampler.loss.lost().saturating_sub(lost_before),
            rtt: sample.rtt,
        })
    }

    /// Bytes that may go out now. Never zero for ever: see [`Self::next_send_at`].
    pub fn budget(&self, now: MonoTime) -> usize {
        let room = self.window.saturating_sub(self.in_flight());
        room.min(self.pacer.available(now).max(0.0) as usize)
    }

    /// When so many bytes may go out; `now` when they may already. `None` when the window is full: a report opens it, or
    /// a timeout. More than may ever go out at once counts as that much.
    pub fn next_send_at(&self, now: MonoTime, bytes: usize) -> Option<MonoTime> {
        let bytes = bytes.min(self.pacer.capacity() as usize).min(self.window);
        (self.in_flight() + bytes <= self.window).then(|| self.pacer.ready_at(now, bytes))
    }

    /// When [`Self::handle_timeout`] is due: reports that should have come did not.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        (self.in_flight() > 0).then(|| self.waiting_since.plus(self.patience()))
    }

    /// Gives up what has been in flight for too long, and slows down: first to half, then to a few datagrams for each
    /// time that it is called when due. Does nothing before.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        if self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        let patience = self.patience();
        self.timeouts = self.timeouts.saturating_add(1);
        self.waiting_since = now;
        // What is younger may still be reported in time.
        let until = if self.timeouts == 1 { patience / 2 } else { Duration::ZERO };
        self.log.write_off(MonoTime(now.0.saturating_sub(duration_micros(until))));
        let small = self.config.datagram * RESTART_DATAGRAMS;
        self.window = if self.timeouts == 1 { (self.window / 2).max(small) } else { small };
        self.set_pace(now);
    }

    /// What is known of the link.
    pub fn estimate(&self, now: MonoTime) -> LinkEstimate {
        LinkEstimate {
            smoothed_rtt: self.sampler.smoothed_rtt(),
            min_rtt: self.sampler.min_rtt(),
            rtt_variation: self.sampler.rtt_variation(),
            queue_delay: self.sampler.queue(),
            loss_permille: self.sampler.loss.permille(now),
            reported_packets: self.sampler.loss.packets(),
            lost_packets: self.sampler.loss.lost(),
            delivery_rate: bit_rate(self.rates.best().unwrap_or(0.0)),
            recent_rate: bit_rate(self.recent),
            pacing_rate: bit_rate(self.pacing),
            in_flight: self.in_flight(),
            window: self.window,
            app_limited: self.is_limited,
            congested: self.crowd.is_crowded(now) || self.timeouts > 0,
        }
    }

    fn in_flight(&self) -> usize {
        usize::try_from(self.log.in_flight()).unwrap_or(usize::MAX)
    }

    /// Where a report stands, when it says anything new.
    fn check(&self, report: &Report) -> Result<Option<Point>, Error> {
        let largest = report.largest;
        if self.log.last().is_none_or(|last| largest > last) {
            return Err(Error::NeverSent { largest, sent: self.log.last() });
        }
        let received = Amount { packets: report.received_packets, bytes: report.received_bytes };
        let last = self.sampler.last();
        if let Some(last) = last {
            if largest < last.largest
                || (largest == last.largest && received.packets <= last.received.packets)
            {
                return Ok(None);
            }
            for (what, claimed, before) in [
                ("packets", received.packets, last.received.packets),
                ("bytes", received.bytes, last.received.bytes),
                ("arrival", report.arrival, last.arrival),
            ] {
                if claimed < before {
                    return Err(Error::Backwards { what, largest, claimed, before });
                }
            }
        }
        let known = last.filter(|last| last.largest == largest).map(|last| last.place);
        let place = known.or_else(|| self.log.place(largest)).or(last.map(|last| last.place));
        let place = place.unwrap_or(Place {
            sent_at: self.waiting_since,
            ahead: 0,
            ahead_by: Duration::ZERO,
            through: Amount::default(),
            most: Amount::default(),
            limited: 0,
            slowed: 0,
        });
        for (what, claimed, sent) in
            [("packets", received.packets, place.most.packets), ("bytes", received.bytes, place.most.bytes)]
        {
            if claimed > sent {
                return Err(Error::TooMuch { what, largest, claimed, sent });
            }
        }
        Ok(Some(Point { largest, place, received, arrival: report.arrival }))
    }

    /// Reports come again after a long time without. If what was sent in that time did not arrive, or went another way,
    /// then what was known may no longer be true; otherwise only the reports were lost.
    fn go_on(&mut self, now: MonoTime, delivered: u64, was_gone: bool) {
        self.sampler.restart();
        if was_gone || self.has_moved {
            self.has_moved = false;
            self.fallback = self.rates.best().map(|best| best / 2.0);
            self.rates.clear();
            self.crowd.restart(now, &self.signs());
            self.ceiling = Ceiling::default();
            self.machine.restart(self.log.last().unwrap_or(0));
            self.restart = Some(delivered);
        }
    }

    /// What the path carries is the largest sample of a while. A sample that is small because there was little to send
    /// says nothing, unless the path was crowded all the same.
    fn push_rate(&mut self, now: MonoTime, sample: &Sample) {
        let Some(rate) = sample.rate else { return };
        self.recent = rate;
        // What was crowded before a pause says nothing of the time after it: only a queue that stands now does.
        let stands = self.crowd.is_now() && self.sampler.queue() >= self.signs().threshold();
        // Nor does one that is small because a queue was to run empty: what arrived is what was sent.
        let is_slowed = sample.is_slowed && (sample.is_draining || !stands);
        let is_small = is_slowed || (sample.is_limited && !stands);
        self.ceiling.on_rate(now, rate, stands);
        if is_small && self.rates.best().is_some_and(|best| rate < best) {
            return;
        }
        let is_crowded = self.crowd.is_crowded(now);
        let window = if is_crowded {
            CROWDED_RATE_WINDOW.max(self.sampler.min_rtt() * 2)
        } else {
            LEAST_RATE_WINDOW.max(self.horizon() * RATE_ROUNDS)
        };
        self.rates.push(now, rate, window);
    }

    /// The shortest way is measured anew after `mode`: by plan, or because what was taken for a queue did not get shorter.
    fn forget_shortest(&mut self, now: MonoTime, mode: Mode) {
        self.sampler.forget_shortest(now);
        if mode != Mode::Refresh {
            // Then it was none, and says nothing of what the path carries.
            self.ceiling = Ceiling::default();
        }
    }

    /// How long it takes to hear of a datagram.
    fn horizon(&self) -> Duration {
        self.sampler.min_rtt() + self.config.report_interval
    }

    fn signs(&self) -> Signs {
        let rate = self.rates.best().unwrap_or(f64::INFINITY).max(self.config.min_rate.0 as f64 / 8.0);
        Signs {
            queue: self.sampler.queue(),
            jitter: self.sampler.queue_jitter(),
            datagram: Duration::from_secs_f64(1.5 * self.config.datagram as f64 / rate),
            min_rtt: self.sampler.min_rtt(),
            packets: self.sampler.loss.packets(),
            lost: self.sampler.loss.lost(),
        }
    }

    fn seen(&self, now: MonoTime, sample: &Sample) -> Seen {
        Seen {
            largest: self.sampler.last().map_or(0, |last| last.largest),
            last_sent: self.log.last().unwrap_or(0),
            queue: self.sampler.queue(),
            threshold: self.signs().threshold(),
            is_crowded: self.crowd.is_crowded(now),
            is_lossy: sample.lost > 1 && sample.lost * 20 >= sample.sent,
            rate: self.rates.best().unwrap_or(0.0),
            is_limited: sample.is_limited,
            min_at: self.sampler.min_at().unwrap_or(now).max(self.short_at),
            // Half a report more than the time between two: one sample falls into the phase as a whole.
            phase: self.sampler.min_rtt().max(self.config.report_interval * 3 / 2),
        }
    }

    fn next_window(&mut self, now: MonoTime) -> usize {
        let is_crowded = self.crowd.is_crowded(now);
        let rate = self.rates.best().or(self.fallback).unwrap_or(0.0);
        let heard = rate * self.horizon().as_secs_f64();
        let window = if is_crowded {
            ((heard * 3.0) as usize).max(self.config.initial_window / 4)
        } else {
            ((heard * 4.0) as usize).max(self.config.initial_window)
        };
        let small = self.config.datagram * RESTART_DATAGRAMS;
        let window = window.max(small);
        let Some(began) = self.restart else { return window };
        // After a restart what was delivered may be sent twice, as in a slow start.
        let delivered = self.sampler.last().map_or(0, |last| last.received.bytes.saturating_sub(began));
        let grown = small.saturating_add(usize::try_from(delivered).unwrap_or(usize::MAX).saturating_mul(2));
        if grown >= window {
            self.restart = None;
        }
        grown.min(window)
    }

    /// Bytes per second at which may be sent in the current state.
    fn pacing_rate(&self, now: MonoTime) -> f64 {
        let gain = match self.is_lenient() {
            true if self.fit.spreads() && self.was_limited => SPREAD_GAIN,
            true => HIGH_GAIN,
            false => self.machine.gain(),
        };
        let window = self.config.initial_window as f64;
        let unknown = window / NOMINAL_RTT.as_secs_f64();
        let rate = self.rates.best().or(self.fallback).unwrap_or(unknown);
        let mut rate = if self.timeouts > 0 { rate / 2.0 } else { rate * gain };
        let is_new = self.machine.mode() == Mode::Startup && self.restart.is_none();
        if is_new && self.was_limited && !self.fit.spreads() {
            // The first reports tell of a few datagrams: no reason to send less than the window lets pass anyway.
            rate = rate.max(window / (NOMINAL_RTT + self.config.report_interval).as_secs_f64());
        }
        if self.is_lenient() {
            rate = rate.min(self.ceiling.limit(now));
        }
        rate.clamp(self.config.min_rate.0 as f64 / 8.0, self.config.max_rate.0 as f64 / 8.0)
    }

    fn set_pace(&mut self, now: MonoTime) {
        self.pacing = self.pacing_rate(now);
        self.pacer.set(now, self.pacing, self.burst(now));
    }

    /// Whether nothing is known against sending what there is as it comes.
    fn is_lenient(&self) -> bool {
        self.is_free || self.machine.mode() == Mode::Startup
    }

    /// Between two sends by who has enough to send.
    fn longest_gap(&self) -> Duration {
        PAUSE + Duration::from_secs_f64(2.0 * self.config.datagram as f64 / self.pacing.max(1.0))
    }

    /// Bytes that may go out at once.
    fn burst(&self, now: MonoTime) -> f64 {
        let is_full = self.pacing >= self.ceiling.limit(now);
        if !self.is_lenient() || is_full || self.fit.spreads() || self.crowd.is_crowded(now) {
            return self.config.datagram as f64 + self.pacing * STRICT_BURST_SECONDS;
        }
        let least = (self.config.datagram * BURST_DATAGRAMS).max(BURST_BYTES);
        (self.pacing * BURST_SECONDS).max(least as f64)
    }

    /// How long a report is waited for: several may be lost in a row.
    fn patience(&self) -> Duration {
        let rtt = self.sampler.smoothed_rtt() + self.sampler.rtt_variation() * 4;
        let known = if rtt.is_zero() { Duration::from_secs(1) } else { rtt };
        let patience = (known + self.config.report_interval * 4).max(Duration::from_millis(500));
        (patience * (1 << self.timeouts.min(4))).min(MOST_BACKOFF.max(patience))
    }
}

fn duration_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn bit_rate(bytes_per_second: f64) -> BitRate {
    BitRate((bytes_per_second * 8.0) as u64)
}
