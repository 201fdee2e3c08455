//! One stream's parents, each measured against its own share.

use super::Evidence;
use super::evidence::MIN_EXPECTED;
use crate::{Error, VerifiedClaim};
use core::time::Duration;
use core_types::{BitRate, KeyId, MonoTime, StreamId, WallTime};
use std::collections::{BTreeMap, VecDeque};

const SLOT_MICROS: u64 = 100_000;
/// Slots that a verdict looks at: two seconds.
const SLOTS: u64 = 20;
/// Slots after which a chunk that was expected is missed: until then it may be on its way.
const GRACE: u64 = 2;
/// Slots after which it counts that nothing more was expected: the share has ended.
const ENDED: u64 = 10;
/// Nobody is judged by less time than this.
const MIN_TIME: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_micros(SLOTS * SLOT_MICROS);
/// Questions on end that nobody answered …
const UNANSWERED: u32 = 2;
/// … and for how long nothing else was heard either.
const SILENCE: Duration = Duration::from_millis(500);
/// A parent's own word that it is shedding excuses it for so long …
const EXCUSE: Duration = Duration::from_secs(4);
/// … and again when it has not said so for this long.
const EXCUSE_AGAIN: Duration = Duration::from_secs(30);

/// What is to be thought of a parent. Closed on purpose: each asks for another reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It delivers at least half of its share.
    Good,
    /// Too little was expected of it to say anything.
    Unknown,
    /// Nothing comes from it, not even answers: its link or the peer is gone.
    Unreachable,
    /// It delivers less than half, and the path is congested or it says that it has to shed.
    Congested,
    /// It delivers less than half, and nothing explains it.
    Short {
        /// How much of its share came, in thousandths: below 500.
        permille: u16,
    },
}

/// Measures the parents of one stream. See the module's head.
#[derive(Debug, Default)]
pub struct DeliveryMeter {
    parents: BTreeMap<KeyId, Parent>,
}

impl DeliveryMeter {
    /// Parents that can be measured at once; a stream has at most 16 and two spares.
    pub const MAX_PARENTS: usize = 64;

    /// Without any parent.
    pub const fn new() -> Self {
        Self { parents: BTreeMap::new() }
    }

    /// The publisher has sent `chunks` that belong to stripes which `parent` had been given by then. Known from the
    /// numbers of later chunks, whoever brought those: when the publisher sends less, less is expected.
    ///
    /// # Errors
    /// [`Error::Limit`] for a parent beyond [`DeliveryMeter::MAX_PARENTS`]; so for all that tell of a parent.
    pub fn handle_expected(&mut self, now: MonoTime, parent: KeyId, chunks: u32) -> Result<(), Error> {
        let parent = self.parent(now, parent)?;
        if parent.totals(now).all_expected == 0 {
            parent.judged_from = now;
        }
        let slot = parent.slot(now);
        slot.expected = slot.expected.saturating_add(chunks);
        Ok(())
    }

    /// `parent` has delivered `chunks` of its share, authentic and not seen before, of `bytes` together.
    ///
    /// # Errors
    /// As [`DeliveryMeter::handle_expected`].
    pub fn handle_delivered(
        &mut self,
        now: MonoTime,
        parent: KeyId,
        chunks: u32,
        bytes: u64,
    ) -> Result<(), Error> {
        let parent = self.parent(now, parent)?;
        parent.hear(now);
        let slot = parent.slot(now);
        slot.delivered = slot.delivered.saturating_add(chunks);
        slot.bytes = slot.bytes.saturating_add(bytes);
        Ok(())
    }

    /// `parent` has answered something: a ping, a request, an acknowledgement.
    ///
    /// # Errors
    /// As [`DeliveryMeter::handle_expected`].
    pub fn handle_answered(&mut self, now: MonoTime, parent: KeyId) -> Result<(), Error> {
        self.parent(now, parent)?.hear(now);
        Ok(())
    }

    /// A ping or request to `parent` was not answered in time.
    ///
    /// # Errors
    /// As [`DeliveryMeter::handle_expected`].
    pub fn handle_unanswered(&mut self, now: MonoTime, parent: KeyId) -> Result<(), Error> {
        let parent = self.parent(now, parent)?;
        parent.unanswered = parent.unanswered.saturating_add(1);
        Ok(())
    }

    /// One look at the path to `parent`: whether it has a standing queue or loses packets, in either direction. As this
    /// peer measured it, not as the parent says.
    ///
    /// # Errors
    /// As [`DeliveryMeter::handle_expected`].
    pub fn handle_congestion(&mut self, now: MonoTime, parent: KeyId, queueing: bool) -> Result<(), Error> {
        let slot = self.parent(now, parent)?.slot(now);
        let count = if queueing { &mut slot.queueing } else { &mut slot.clear };
        *count = count.saturating_add(1);
        Ok(())
    }

    /// `parent` says that it sheds. It is believed for four seconds in thirty: who has to shed for longer has claimed
    /// room that it has not.
    ///
    /// # Errors
    /// As [`DeliveryMeter::handle_expected`].
    pub fn handle_shedding(&mut self, now: MonoTime, parent: KeyId) -> Result<(), Error> {
        let parent = self.parent(now, parent)?;
        parent.shedding = match parent.shedding {
            Some((since, last)) if now.since(last) < EXCUSE_AGAIN => Some((since, now)),
            _ => Some((now, now)),
        };
        Ok(())
    }

    /// Forgets a parent.
    pub fn remove_parent(&mut self, parent: KeyId) {
        self.parents.remove(&parent);
    }

    /// What is to be thought of `parent` by the last two seconds.
    pub fn verdict(&self, now: MonoTime, parent: KeyId) -> Verdict {
        let Some(parent) = self.parents.get(&parent) else { return Verdict::Unknown };
        if parent.is_silent(now) {
            return Verdict::Unreachable;
        }
        let totals = parent.totals(now);
        let Some(permille) = parent.permille(now, &totals) else { return Verdict::Unknown };
        if permille >= 500 {
            return Verdict::Good;
        }
        let queues = totals.queueing > 0 && totals.queueing >= totals.clear;
        if queues || parent.is_excused(now) {
            return Verdict::Congested;
        }
        Verdict::Short { permille }
    }

    /// How much of its share `parent` delivered in the last two seconds, in thousandths, 1,000 at most; `None` if too little
    /// was expected of it to say anything.
    pub fn delivered_permille(&self, now: MonoTime, parent: KeyId) -> Option<u16> {
        let parent = self.parents.get(&parent)?;
        parent.permille(now, &parent.totals(now))
    }

    /// What `parent` has delivered of its share in the last two seconds.
    pub fn delivered_rate(&self, now: MonoTime, parent: KeyId) -> BitRate {
        let bytes = self.parents.get(&parent).map_or(0, |parent| parent.totals(now).bytes);
        BitRate(bytes.saturating_mul(8) / WINDOW.as_secs())
    }

    /// What `observer` may sign against the advertiser of `claim`: it is [`Verdict::Short`], something was heard from it
    /// within the two seconds, it could be reached all the time, and by this claim it has room now. `None` otherwise.
    pub fn evidence(
        &self,
        now: MonoTime,
        wall: WallTime,
        observer: KeyId,
        stream: StreamId,
        claim: &VerifiedClaim,
    ) -> Option<Evidence> {
        let is_for_this = claim.stream.is_none_or(|named| named == stream);
        let has_room = claim.uplink.0 > 0 && claim.max_streams > 0 && claim.max_subscribers > 0;
        if !is_for_this || !has_room || wall >= claim.valid_until {
            return None;
        }
        let Verdict::Short { .. } = self.verdict(now, claim.advertiser) else { return None };
        let parent = self.parents.get(&claim.advertiser)?;
        if !parent.was_heard || now.since(parent.heard_at) > WINDOW {
            return None;
        }
        // What it should have sent while it could not be reached is not held against it.
        if parent.back_at.is_some_and(|at| now.since(at) <= WINDOW) {
            return None;
        }
        let totals = parent.totals(now);
        let span = u64::try_from(now.since(parent.judged_from).min(WINDOW).as_millis()).ok()?;
        Some(Evidence {
            observer,
            accused: claim.advertiser,
            stream,
            epoch: claim.epoch,
            claim_counter: claim.counter,
            expected: totals.expected,
            delivered: totals.delivered,
            from: WallTime(wall.0.saturating_sub(span)),
            until: wall,
        })
    }

    fn parent(&mut self, now: MonoTime, key: KeyId) -> Result<&mut Parent, Error> {
        if self.parents.len() >= Self::MAX_PARENTS && !self.parents.contains_key(&key) {
            return Err(Error::Limit { what: "measured parent", max: Self::MAX_PARENTS });
        }
        Ok(self.parents.entry(key).or_insert_with(|| Parent::new(now)))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: u64,
    expected: u32,
    delivered: u32,
    bytes: u64,
    queueing: u32,
    clear: u32,
}

#[derive(Debug, Default)]
struct Totals {
    /// Of this time, those still within their grace too.
    all_expected: u32,
    /// Something was expected not long ago.
    goes_on: bool,
    expected: u32,
    delivered: u32,
    bytes: u64,
    queueing: u32,
    clear: u32,
}

#[derive(Debug)]
struct Parent {
    /// The newest slot.
    slot: Slot,
    /// Those before it, ascending by number, fewer than [`SLOTS`].
    older: VecDeque<Slot>,
    /// Since when something is expected of it without a pause of two seconds.
    judged_from: MonoTime,
    heard_at: MonoTime,
    was_heard: bool,
    /// When it was last heard again after it could not be reached.
    back_at: Option<MonoTime>,
    /// Questions without an answer since it was heard.
    unanswered: u32,
    /// Since when it says that it sheds, and when it said so last.
    shedding: Option<(MonoTime, MonoTime)>,
}

impl Parent {
    const fn new(now: MonoTime) -> Self {
        Self {
            slot: Slot { number: 0, expected: 0, delivered: 0, bytes: 0, queueing: 0, clear: 0 },
            older: VecDeque::new(),
            judged_from: now,
            heard_at: now,
            was_heard: false,
            back_at: None,
            unanswered: 0,
            shedding: None,
        }
    }

    fn hear(&mut self, now: MonoTime) {
        if self.is_silent(now) {
            self.back_at = Some(now);
        }
        self.heard_at = self.heard_at.max(now);
        self.was_heard = true;
        self.unanswered = 0;
    }

    fn is_silent(&self, now: MonoTime) -> bool {
        self.unanswered >= UNANSWERED && now.since(self.heard_at) >= SILENCE
    }

    fn is_excused(&self, now: MonoTime) -> bool {
        self.shedding.is_some_and(|(since, last)| now.since(last) < WINDOW && now.since(since) < EXCUSE)
    }

    /// How much of what was expected came, in thousandths; `None` if that was too little, or for too short a time.
    fn permille(&self, now: MonoTime, totals: &Totals) -> Option<u16> {
        if totals.expected < MIN_EXPECTED || now.since(self.judged_from) < MIN_TIME {
            return None;
        }
        // When a share has ended, what went well leaves the window before that for which it ended.
        if !totals.goes_on && now.since(self.judged_from) > WINDOW {
            return None;
        }
        let permille = (u64::from(totals.delivered) * 1_000).checked_div(u64::from(totals.expected))?;
        Some(u16::try_from(permille.min(1_000)).unwrap_or(1_000))
    }

    /// The slot of this time; the newest, should time have gone back.
    fn slot(&mut self, now: MonoTime) -> &mut Slot {
        let number = now.0 / SLOT_MICROS;
        if self.slot.number < number {
            if self.older.len() as u64 >= SLOTS - 1 {
                self.older.pop_front();
            }
            self.older.push_back(self.slot);
            self.slot = Slot { number, ..Slot::default() };
        }
        &mut self.slot
    }

    fn totals(&self, now: MonoTime) -> Totals {
        let newest = now.0 / SLOT_MICROS;
        let mut totals = Totals::default();
        for slot in self.older.iter().chain([&self.slot]).filter(|slot| slot.number + SLOTS > newest) {
            totals.all_expected = totals.all_expected.saturating_add(slot.expected);
            totals.goes_on |= slot.expected > 0 && slot.number + ENDED > newest;
            if slot.number + GRACE <= newest {
                totals.expected = totals.expected.saturating_add(slot.expected);
            }
            totals.delivered = totals.delivered.saturating_add(slot.delivered);
            totals.bytes = totals.bytes.saturating_add(slot.bytes);
            totals.queueing = totals.queueing.saturating_add(slot.queueing);
            totals.clear = totals.clear.saturating_add(slot.clear);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_two_seconds_are_kept_of_a_parent() {
        let mut parent = Parent::new(MonoTime(0));
        for step in 0..1_000 {
            parent.slot(MonoTime(step * SLOT_MICROS)).delivered += 1;
        }
        assert_eq!(parent.older.len() + 1, 20);
        assert_eq!(parent.totals(MonoTime(999 * SLOT_MICROS)).delivered, 20);
        // Time that goes back opens nothing.
        parent.slot(MonoTime(0)).delivered += 1;
        assert_eq!(parent.totals(MonoTime(999 * SLOT_MICROS)).delivered, 21);
    }
}
