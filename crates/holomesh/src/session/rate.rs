//! How fast the encoder may be: as fast as the host's first hops take it.

use crate::Error;
use av_congestion::{HopState, MediaRate, MediaRateConfig};
use codec_mdc::Descriptions;
use core_types::{BitRate, LinkId, MonoTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often the first hops are looked at.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);
/// Beside the pictures: headers, sound and proofs, in permille; repair symbols come on top.
const OVERHEAD: u16 = 100;

/// The encoder's bit rate, by what the first hops say.
#[derive(Debug)]
pub(super) struct EncoderRate {
    media: MediaRate,
    /// Over how many parents the stream is dealt out.
    parents: usize,
    looked: Option<MonoTime>,
    /// The hops that count.
    counted: BTreeMap<LinkId, Counted>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    /// What had been shed on the way to it.
    shed: u64,
    /// In how many looks in a row it was crowded.
    crowded: u8,
}

/// In so many looks in a row a hop has to be crowded: a key frame that takes a moment is no reason to change the rate.
const CROWDED: u8 = 3;

impl EncoderRate {
    pub(super) fn new(min: BitRate, max: BitRate, parents: u8) -> Result<Self, Error> {
        Self::with_repair(min, max, parents, 1_000 / u16::from(parents.max(2) - 1))
    }

    /// Of pictures in several descriptions: whatever of one does not get through, nothing is sent in its place.
    pub(super) fn of_descriptions(min: BitRate, max: BitRate, of: Descriptions) -> Result<Self, Error> {
        Self::with_repair(min, max, of.count() as u8, 0)
    }

    fn with_repair(min: BitRate, max: BitRate, parents: u8, repair: u16) -> Result<Self, Error> {
        let config = MediaRateConfig {
            min,
            max,
            start: max,
            overhead_permille: OVERHEAD + repair,
            ..MediaRateConfig::default()
        };
        let media = MediaRate::new(config).map_err(|e| Error::codec("bit rate", e))?;
        Ok(Self { media, parents: usize::from(parents), looked: None, counted: BTreeMap::new() })
    }

    /// True when the first hops are to be looked at.
    pub(super) fn is_due(&self, now: MonoTime) -> bool {
        self.looked.is_none_or(|last| now.since(last) >= INTERVAL)
    }

    /// Takes in how the first hops stand; gives the bit rate if it is to be another one.
    ///
    /// Any parent may fail, so a crowded hop does not slow the others down while there are as many others as the repair is
    /// sized for: what it sheds, they make up for.
    pub(super) fn handle_hops(&mut self, now: MonoTime, hops: Vec<(LinkId, HopState)>) -> Option<BitRate> {
        self.looked = Some(now);
        let well = hops.iter().filter(|(_, hop)| !hop.estimate.congested).count();
        let spare_crowded = self.parents > 1 && well + 1 >= self.parents;
        let counts = |hop: &HopState| !(spare_crowded && hop.estimate.congested);
        let mut change = None;
        let counted: BTreeMap<LinkId, HopState> = hops.into_iter().filter(|(_, hop)| counts(hop)).collect();
        let gone: Vec<LinkId> =
            self.counted.keys().filter(|link| !counted.contains_key(link)).copied().collect();
        for link in gone {
            self.counted.remove(&link);
            change = self.media.remove(now, link).or(change);
        }
        for (link, mut hop) in counted {
            let shed = hop.dropped;
            let before = self.counted.get(&link).copied().unwrap_or(Counted { shed, crowded: 0 });
            hop.dropped = shed.saturating_sub(before.shed);
            let is_crowded = hop.estimate.congested || hop.backlog > 0 || hop.dropped > 0;
            let crowded = if is_crowded { before.crowded.saturating_add(1) } else { 0 };
            self.counted.insert(link, Counted { shed, crowded });
            if crowded < CROWDED {
                (hop.estimate.congested, hop.backlog, hop.dropped) = (false, 0, 0);
            }
            match self.media.update(now, link, &hop) {
                Ok(next) => change = next.or(change),
                Err(error) => {
                    self.counted.remove(&link);
                    tracing::debug!(%error, "a hop is not followed");
                }
            }
        }
        change.map(|change| change.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use av_congestion::LinkEstimate;

    fn hop(link: u64, kbit: u64, crowded: bool) -> (LinkId, HopState) {
        let rate = BitRate::from_kbit(kbit);
        let estimate = LinkEstimate {
            delivery_rate: rate,
            recent_rate: rate,
            pacing_rate: rate,
            loss_permille: Some(0),
            queue_delay: Duration::from_millis(if crowded { 200 } else { 0 }),
            app_limited: !crowded,
            congested: crowded,
            ..LinkEstimate::default()
        };
        let backlog = if crowded { 60_000 } else { 0 };
        (LinkId(link), HopState { estimate, backlog, dropped: 0, carries_all: true })
    }

    fn settle(hops: &[(LinkId, HopState)]) -> BitRate {
        let (min, max) = (BitRate::from_kbit(100), BitRate::from_kbit(1_000));
        let mut rate = EncoderRate::new(min, max, 4).unwrap();
        let mut current = max;
        for step in 1..50 {
            let now = MonoTime::from_millis(step * 100);
            assert!(rate.is_due(now));
            if let Some(next) = rate.handle_hops(now, hops.to_vec()) {
                current = next;
            }
        }
        current
    }

    #[test]
    fn a_moment_of_crowd_changes_nothing() {
        let (min, max) = (BitRate::from_kbit(100), BitRate::from_kbit(1_000));
        let mut rate = EncoderRate::new(min, max, 4).unwrap();
        for step in 1..60 {
            let crowded = step % 5 < 2;
            let change = rate.handle_hops(MonoTime::from_millis(step * 100), vec![hop(1, 300, crowded)]);
            assert_eq!(change, None, "step {step}");
        }
    }

    #[test]
    fn one_crowded_hop_of_four_slows_nobody_and_two_do() {
        let max = BitRate::from_kbit(1_000);
        let well = |link| hop(link, 2_000, false);
        assert_eq!(settle(&[well(1), well(2), well(3), hop(4, 300, true)]), max);
        assert!(settle(&[well(1), well(2), hop(3, 300, true), hop(4, 300, true)]) < max);
        assert!(settle(&[hop(1, 300, true)]) < max);
    }

    #[test]
    fn a_hop_that_does_not_count_any_more_does_not_hold_the_rate_down() {
        let (min, max) = (BitRate::from_kbit(100), BitRate::from_kbit(1_000));
        let mut rate = EncoderRate::new(min, max, 4).unwrap();
        let (mut current, mut crowded) = (max, max);
        for step in 1..600 {
            let mut hops = vec![hop(2, 2_000, false)];
            if step < 50 {
                hops.push(hop(1, 300, true));
            }
            current = rate.handle_hops(MonoTime::from_millis(step * 100), hops).unwrap_or(current);
            if step < 50 {
                crowded = current;
            }
        }
        assert!(crowded < BitRate::from_kbit(400), "{crowded}");
        assert_eq!(current, max);
    }
}
