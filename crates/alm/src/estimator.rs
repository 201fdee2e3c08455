//! What this peer can claim: only what was demonstrated.
//!
//! An [`Estimator`] is told what every link delivered, a sample each 200 ms or so. It adds the links up in windows of one
//! second and keeps two figures (spec 57 section 1):
//! - the **ceiling**, [`Estimator::demonstrated`]: the most that was kept up for three windows on end. It is drawn down
//!   while links are congested, and when nothing has shown it for a minute. Having nothing to send lowers nothing before.
//! - the **floor**, [`Estimator::floor`]: what nine of the last ten windows reached. It is what an old ceiling sinks to.
//!
//! [`Estimator::claimable`] makes of them what may be offered to others: three quarters of what is free, in whole layers.
//! A peer that has carried nothing yet earns its first claim with [`Estimator::probe`].
//!
//! There is nothing to poll: windows are closed when anything is asked or told. Time is an argument.
//!
//! ```
//! use alm::estimator::{Estimator, Sample};
//! use core::time::Duration;
//! use core_types::{BitRate, LinkId, MonoTime};
//!
//! let mut estimator = Estimator::new();
//! for tick in 1..=50 {
//!     // 1,000,000 bytes in 200 ms are 40 Mbit/s.
//!     let sample = Sample {
//!         delivered: 1_000_000,
//!         over: Duration::from_millis(200),
//!         app_limited: false,
//!         congested: false,
//!     };
//!     estimator.handle_sample(MonoTime::from_millis(tick * 200), LinkId(1), sample)?;
//! }
//! let layers = [BitRate::from_kbit(1_000), BitRate::from_kbit(4_000)];
//! let now = MonoTime::from_millis(10_000);
//! let claim = estimator.claimable(now, BitRate::from_kbit(8_000), &layers);
//! // Three quarters of 32 Mbit/s are six times both layers.
//! assert_eq!(claim.uplink, BitRate::from_kbit(24_000));
//! assert_eq!((claim.layer, claim.subscribers), (Some(1), 6));
//! # Ok::<(), alm::Error>(())
//! ```

mod probe;
mod window;

use crate::Error;
use core::time::Duration;
use core_types::{BitRate, LinkId, MonoTime};
pub use probe::Probe;
use probe::Prober;
use std::collections::{BTreeMap, VecDeque};
use window::{Link, Outcome, WINDOW_MICROS, Windows};

/// Windows on end that have to reach a rate before it counts as demonstrated.
const AGREEMENT: usize = 3;
/// Windows of which the ceiling is the best. One that none of them reached is old, and sinks.
const FRESH: usize = 60;
/// Windows of which the floor is the lowest tenth.
const FLOOR_WINDOWS: usize = 30;
/// Windows after which nothing that was known before is left: the ceiling is old after 60, and sinks to nothing from any
/// `u64` in fewer than 400.
const ALL_FORGOTTEN: u64 = 512;
/// Divides the distance to what a congested window carried: half of it goes in each.
const CONGESTED_STEP: u64 = 2;
/// Divides the distance to what a busy window carried without congestion, and to what an old ceiling sinks to.
const QUIET_STEP: u64 = 8;

/// What one link delivered in a stretch of time that ends when it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes that the other side is known to have got.
    pub delivered: u64,
    /// In how long. Above zero; of more than a second only what lies in the last two windows counts.
    pub over: Duration,
    /// There was not always something to send, so this says nothing of what the link could have carried.
    pub app_limited: bool,
    /// The path showed congestion: a queue that stands, loss, or marks.
    pub congested: bool,
}

/// What may be offered to others now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claimable {
    /// Uplink in whole kbit/s: [`Claimable::subscribers`] times the rate of [`Claimable::layer`].
    pub uplink: BitRate,
    /// Which of the layers asked about is the highest that can be served at all.
    pub layer: Option<usize>,
    /// How many can be served with it.
    pub subscribers: u16,
}

/// Measures what this peer's links carry. See the module's head.
#[derive(Debug, Default)]
pub struct Estimator {
    links: BTreeMap<LinkId, Link>,
    windows: Windows,
    /// Bits in each of the last closed windows, newest last.
    rates: VecDeque<u64>,
    /// Bit/s.
    ceiling: u64,
    prober: Prober,
}

impl Estimator {
    /// Links that can be measured at once.
    pub const MAX_LINKS: usize = 4_096;

    /// Of a peer that has shown nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what a link delivered in the time before `now`. Samples of one link follow one another: where they overlap,
    /// the time counts for the first alone, or bytes would be counted at twice their rate.
    ///
    /// # Errors
    /// [`Error::Input`] if the sample covers no time; [`Error::Limit`] for a link beyond [`Estimator::MAX_LINKS`], when
    /// none of them has been silent for a minute.
    pub fn handle_sample(&mut self, now: MonoTime, link: LinkId, sample: Sample) -> Result<(), Error> {
        if sample.over.as_micros() == 0 {
            return Err(Error::Input {
                what: "sample",
                why: "it covers no time; report bytes with the time they took",
            });
        }
        let now = self.settle(now);
        if self.links.len() >= Self::MAX_LINKS && !self.links.contains_key(&link) {
            let silent = Duration::from_micros(FRESH as u64 * WINDOW_MICROS);
            self.links.retain(|_, known| now.since(known.last_at()) < silent);
            if self.links.len() >= Self::MAX_LINKS {
                return Err(Error::Limit { what: "measured link", max: Self::MAX_LINKS });
            }
        }
        self.windows.add(now, self.links.entry(link).or_default(), &sample);
        Ok(())
    }

    /// Forgets a link. What it has delivered stays demonstrated: the uplink is this peer's, not the link's.
    pub fn handle_link_gone(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// What may be offered now, with `committed` promised already: three quarters of the rest of what was demonstrated,
    /// cut to whole subscribers of the highest layer that fits. It falls with the window that shows less and rises when
    /// three windows on end have shown more.
    ///
    /// `layers[i]` is what layers 0 to i need together, ascending; those from the first on that is zero or lower than the
    /// one before are not served. Without layers the whole of it is returned, for no subscriber.
    pub fn claimable(&mut self, now: MonoTime, committed: BitRate, layers: &[BitRate]) -> Claimable {
        let free = self.demonstrated(now).0.saturating_sub(committed.0);
        let free = whole_kbit(free / 4 * 3 + free % 4 * 3 / 4);
        if layers.is_empty() {
            return Claimable { uplink: BitRate(free), layer: None, subscribers: 0 };
        }
        let mut best = None;
        let mut below = 0;
        for (index, BitRate(rate)) in layers.iter().enumerate() {
            if *rate == 0 || *rate < below || *rate > free {
                break;
            }
            below = *rate;
            best = Some((index, *rate));
        }
        let Some((index, rate)) = best else { return Claimable::default() };
        let subscribers = u16::try_from(free / rate).unwrap_or(u16::MAX);
        let uplink = BitRate(whole_kbit(rate.saturating_mul(u64::from(subscribers))));
        Claimable { uplink, layer: Some(index), subscribers }
    }

    /// How much may be sent beyond what there is to carry, to show that it can be. `None` when enough is known, when the
    /// links were congested lately, after the last probe, and when all was spent that may be (spec 57 section 2). Bytes
    /// that were granted count as spent.
    pub fn probe(&mut self, now: MonoTime) -> Option<Probe> {
        let now = self.settle(now);
        self.prober.next(now, self.ceiling)
    }

    /// What may be offered at most beside [`Estimator::claimable`] by who has children's media take the place of a probe's padding: twice the
    /// ceiling, at least 1 and at most 8 Mbit/s. Nothing when more than that was demonstrated, and within 10 s of congestion.
    /// It costs nobody a byte that is of no use, and those who come show what there is.
    pub fn trial(&mut self, now: MonoTime) -> BitRate {
        let now = self.settle(now);
        BitRate(self.prober.trial(now, self.ceiling))
    }

    /// As [`Estimator::trial`], of who is there to carry and is asked by strangers to each other: 8 Mbit/s from the first on. If it were twice
    /// what was shown, who carries most already would be asked before others.
    pub fn open_trial(&mut self, now: MonoTime) -> BitRate {
        let now = self.settle(now);
        BitRate(self.prober.open_trial(now, self.ceiling))
    }

    /// Whether a window was congested within the last 10 s: then nothing more is tried.
    pub fn is_congested(&mut self, now: MonoTime) -> bool {
        let now = self.settle(now);
        self.prober.rests(now)
    }

    /// The ceiling: the most that three windows on end have carried, as far as it still counts.
    pub fn demonstrated(&mut self, now: MonoTime) -> BitRate {
        self.settle(now);
        BitRate(self.ceiling)
    }

    /// The floor: what nine in ten of the last 30 windows carried, and never more than the ceiling.
    pub fn floor(&mut self, now: MonoTime) -> BitRate {
        self.settle(now);
        BitRate(self.tenth().min(self.ceiling))
    }

    /// Links that are measured.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Closes the windows that are over. Returns `now`, or the latest time seen if that is later.
    fn settle(&mut self, now: MonoTime) -> MonoTime {
        let (now, behind) = self.windows.advance_to(now);
        if behind > ALL_FORGOTTEN {
            self.windows.skip(behind);
            self.rates.clear();
            self.ceiling = 0;
            return now;
        }
        for _ in 0..behind {
            let outcome = self.windows.close();
            self.take(now, outcome);
        }
        now
    }

    /// Every branch gives no less from a higher ceiling than from a lower one, and no more when there was congestion. So
    /// congestion anywhere in the past can only lower what is claimed later.
    fn take(&mut self, now: MonoTime, outcome: Outcome) {
        if self.rates.len() >= FRESH + AGREEMENT - 1 {
            self.rates.pop_front();
        }
        self.rates.push_back(outcome.rate);
        if outcome.is_congested {
            self.prober.handle_congestion(now);
        }
        let kept_up = self.kept_up();
        // What would be left if all that is older than a minute were forgotten; and what is carried now is not old. The
        // floor is never above it: two windows in thirty may be below the floor, so three on end are not.
        let left = self.best().max(outcome.rate);
        if kept_up >= self.ceiling {
            self.ceiling = kept_up;
        } else if outcome.is_busy && outcome.rate < self.ceiling {
            let step = if outcome.is_congested { CONGESTED_STEP } else { QUIET_STEP };
            self.ceiling -= (self.ceiling - outcome.rate).div_ceil(step);
        } else if self.ceiling > left {
            self.ceiling -= (self.ceiling - left).div_ceil(QUIET_STEP);
        }
    }

    /// What the last three windows all carried.
    fn kept_up(&self) -> u64 {
        if self.rates.len() < AGREEMENT {
            return 0;
        }
        self.rates.iter().rev().take(AGREEMENT).copied().min().unwrap_or(0)
    }

    /// The most that any three windows on end of the last minute carried.
    fn best(&self) -> u64 {
        let newer = self.rates.iter().skip(1);
        let newest = self.rates.iter().skip(2);
        self.rates.iter().zip(newer).zip(newest).map(|((a, b), c)| *a.min(b).min(c)).max().unwrap_or(0)
    }

    /// The lowest tenth of the last 30 windows; windows before the first count as empty.
    fn tenth(&self) -> u64 {
        let mut last: Vec<u64> = self.rates.iter().rev().take(FLOOR_WINDOWS).copied().collect();
        last.resize(FLOOR_WINDOWS, 0);
        *last.select_nth_unstable(FLOOR_WINDOWS / 10 - 1).1
    }
}

const fn whole_kbit(bits: u64) -> u64 {
    bits - bits % 1_000
}
