//! The bit rate that an encoder should have, from what the publisher's first hops carry.

use crate::{Error, LinkEstimate};
use core::time::Duration;
use core_types::{BitRate, LinkId, MonoTime};

/// Links that one controller takes.
const MOST_LINKS: usize = 64;
/// After congestion: this part of what the hop carries.
const DOWN: f64 = 0.85;
/// Up by so much a second, when there was no congestion for so long.
const UP: f64 = 0.08;
const CALM: Duration = Duration::from_secs(3);
/// Up beyond what was tried by so much at most: an encoder that uses little of its rate proves little.
const BEYOND_TRIED: f64 = 1.5;
/// A change is told when it is a twentieth, and upward not more often than this.
const STEP: f64 = 0.05;
const UP_INTERVAL: Duration = Duration::from_millis(500);
/// Beside less of a queue than this, the last sample may be small because little was sent.
const QUEUE: Duration = Duration::from_millis(10);

/// Which hops decide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RateRule {
    /// One encoder for all: the slowest of the hops that carry all of the stream.
    #[default]
    Slowest,
    /// A rate for each hop, for an encoder or a layer choice of its own.
    Each,
}

/// How an encoder's rate is to follow its hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaRateConfig {
    /// Never less.
    pub min: BitRate,
    /// Never more.
    pub max: BitRate,
    /// What a hop is given before anything is known of it.
    pub start: BitRate,
    /// What a hop carries beside the encoder's bits, in permille of them: headers, repair symbols, sound, proofs.
    pub overhead_permille: u16,
    /// A backlog of this length counts as congestion.
    pub backlog: Duration,
    /// Loss of so many permille counts as congestion, whatever else is seen. Less does not: a lower rate is no cure for it.
    pub loss_permille: u16,
    /// Which hops decide.
    pub rule: RateRule,
}

impl Default for MediaRateConfig {
    /// 150 kbit/s to 2.5 Mbit/s, from 1 Mbit/s; a tenth of overhead; 150 ms of backlog; a quarter of loss; the slowest.
    fn default() -> Self {
        Self {
            min: BitRate::from_kbit(150),
            max: BitRate::from_kbit(2_500),
            start: BitRate::from_kbit(1_000),
            overhead_permille: 100,
            backlog: Duration::from_millis(150),
            loss_permille: 250,
            rule: RateRule::Slowest,
        }
    }
}

impl MediaRateConfig {
    const fn check(&self) -> Result<(), Error> {
        if self.min.0 == 0 || self.min.0 > self.max.0 {
            let should = "and has to be above 0 and at most max";
            return Err(Error::Config { what: "min", value: self.min.0, should });
        }
        if self.start.0 < self.min.0 || self.start.0 > self.max.0 {
            return Err(Error::Config {
                what: "start",
                value: self.start.0,
                should: "and has to be from min to max",
            });
        }
        Ok(())
    }
}

/// One hop, now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HopState {
    /// What is known of the link.
    pub estimate: LinkEstimate,
    /// Bytes that wait to be sent to it.
    pub backlog: usize,
    /// Chunks that were shed on the way to it since the last update.
    pub dropped: u64,
    /// Whether it carries all of the stream, and not a share.
    pub carries_all: bool,
}

/// A rate to give to an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateChange {
    /// The hop that it is for; `None` by [`RateRule::Slowest`], where it is for all.
    pub link: Option<LinkId>,
    /// Bits of the encoder per second.
    pub rate: BitRate,
}

/// Decides an encoder's bit rate. Down at once to 85 % of what a hop carries; up after three seconds without congestion,
/// by 8 % a second. Call [`Self::update`] for each hop about as often as its estimate changes; there is no timer.
#[derive(Debug)]
pub struct MediaRate {
    config: MediaRateConfig,
    hops: Vec<(LinkId, Hop)>,
    told: Told,
}

impl MediaRate {
    /// A controller without hops.
    ///
    /// # Errors
    /// [`Error::Config`], the caller's fault.
    pub fn new(config: MediaRateConfig) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, hops: Vec::new(), told: Told::new(config.start) })
    }

    /// Takes in how a hop stands, and says what changes, if anything is to change.
    ///
    /// # Errors
    /// [`Error::TooManyLinks`] for one more than 64.
    pub fn update(
        &mut self,
        now: MonoTime,
        link: LinkId,
        state: &HopState,
    ) -> Result<Option<RateChange>, Error> {
        let known = self.hops.iter().position(|(other, _)| *other == link);
        let at = match known {
            Some(at) => at,
            None if self.hops.len() == MOST_LINKS => return Err(Error::TooManyLinks(MOST_LINKS)),
            None => {
                self.hops.push((link, Hop::new(now, self.config.start)));
                self.hops.len() - 1
            }
        };
        let (_, hop) = &mut self.hops[at];
        hop.update(now, &self.config, state);
        Ok(match self.config.rule {
            RateRule::Each => {
                let rate = hop.told.tell(now, hop.target);
                rate.map(|rate| RateChange { link: Some(link), rate })
            }
            RateRule::Slowest => self.tell_slowest(now),
        })
    }

    /// Forgets a hop that is gone.
    pub fn remove(&mut self, now: MonoTime, link: LinkId) -> Option<RateChange> {
        self.hops.retain(|(other, _)| *other != link);
        match self.config.rule {
            RateRule::Slowest => self.tell_slowest(now),
            RateRule::Each => None,
        }
    }

    /// The rate that was told last: to all, or to one hop.
    pub fn rate(&self, link: Option<LinkId>) -> Option<BitRate> {
        match link {
            None => Some(self.told.rate),
            Some(link) => self.hops.iter().find(|(other, _)| *other == link).map(|(_, hop)| hop.told.rate),
        }
    }

    fn tell_slowest(&mut self, now: MonoTime) -> Option<RateChange> {
        let deciding = self.hops.iter().filter(|(_, hop)| hop.carries_all);
        let slowest = deciding.map(|(_, hop)| hop.target).reduce(f64::min)?;
        self.told.tell(now, slowest).map(|rate| RateChange { link: None, rate })
    }
}

#[derive(Debug)]
struct Hop {
    /// Bits per second.
    target: f64,
    updated: MonoTime,
    congested_at: MonoTime,
    is_congested: bool,
    carries_all: bool,
    told: Told,
}

impl Hop {
    const fn new(now: MonoTime, start: BitRate) -> Self {
        Self {
            target: start.0 as f64,
            updated: now,
            congested_at: now,
            is_congested: false,
            carries_all: false,
            told: Told::new(start),
        }
    }

    fn update(&mut self, now: MonoTime, config: &MediaRateConfig, state: &HopState) {
        let estimate = &state.estimate;
        let passed = now.since(self.updated).min(Duration::from_secs(1));
        self.updated = self.updated.max(now);
        self.carries_all = state.carries_all;
        let carried = estimate.delivery_rate.0 as f64;
        if carried <= 0.0 {
            return;
        }
        let part = 1_000.0 / (1_000.0 + f64::from(config.overhead_permille));
        let recent = estimate.recent_rate.0 as f64;
        let waits = state.backlog as f64 * 8.0 / carried > config.backlog.as_secs_f64();
        let is_lossy = estimate.loss_permille.is_some_and(|loss| loss >= config.loss_permille);
        if estimate.congested || state.dropped > 0 || waits || is_lossy {
            // With a queue on the path the last sample is what it carries, and newer than the best of a while. Later ones
            // may be small because less is sent, to let the queue run empty.
            let is_first = !core::mem::replace(&mut self.is_congested, true);
            let is_busy = is_first && estimate.congested && estimate.queue_delay >= QUEUE && recent > 0.0;
            let sustained = if is_busy { carried.min(recent) } else { carried };
            self.congested_at = now;
            self.target = self.target.min(sustained * DOWN * part);
            self.target = self.target.max(config.min.0 as f64);
            return;
        }
        self.is_congested = false;
        if now.since(self.congested_at) >= CALM {
            let tried = (recent * BEYOND_TRIED).max(carried * DOWN) * part;
            let grown = self.target * (1.0 + UP * passed.as_secs_f64());
            self.target = grown.min(tried.max(self.target)).min(config.max.0 as f64);
        }
    }
}

/// What an encoder was told, and when it was last told more.
#[derive(Debug)]
struct Told {
    rate: BitRate,
    up_at: Option<MonoTime>,
}

impl Told {
    const fn new(rate: BitRate) -> Self {
        Self { rate, up_at: None }
    }

    fn tell(&mut self, now: MonoTime, target: f64) -> Option<BitRate> {
        let told = self.rate.0 as f64;
        let is_up = target > told;
        let is_soon = self.up_at.is_some_and(|at| now.since(at) < UP_INTERVAL);
        if (target - told).abs() < told * STEP || (is_up && is_soon) {
            return None;
        }
        if is_up {
            self.up_at = Some(now);
        }
        self.rate = BitRate(target as u64);
        Some(self.rate)
    }
}
