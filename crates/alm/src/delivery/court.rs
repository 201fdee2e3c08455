//! What many say of a peer, and what is to be thought of it.

use super::VerifiedEvidence;
use super::docket::{Docket, Entry};
use crate::Error;
use core::time::Duration;
use core_types::{KeyId, MonoTime, WallTime};
use std::collections::{BTreeMap, BTreeSet};

/// Observers that have to agree, each from another origin.
const VOICES: usize = 3;
/// So many origins that speak against an observer make that its own word does not count.
const DOUBTS: usize = 2;
/// Within what time they have to agree, and how old evidence may be when it comes.
const AGREE: Duration = Duration::from_secs(60);
/// How far a date may lie in the future: clocks differ.
const AHEAD_MILLIS: u64 = 5_000;
/// How long evidence is remembered. Longer than it is fresh, so that it does not count again when it is sent again.
const KEEP: Duration = Duration::from_secs(130);
/// How long a liar is one, the first time; twice as long each time it is found again before it has its trust back.
const LIAR_FOR: Duration = Duration::from_secs(300);
/// It is doubled three times at most.
const MAX_DOUBLINGS: u32 = 3;
/// In what time trust comes back afterwards, evenly.
const REGAIN: Duration = Duration::from_secs(600);
/// Trust of a peer against whom nothing is known.
const FULL_TRUST: u16 = 1_000;
/// What each voice takes of it, for the first two.
const DOUBT: u16 = 100;

/// What became of a piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inserted {
    /// It was added.
    New,
    /// The observer has said it before: of this claim or a newer one, or of a later time. Nothing changed.
    Known,
    /// It was added, and the accused is a liar by it.
    Convicted,
}

/// What is to be thought of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How far its claims are to be believed, in thousandths.
    pub trust: u16,
    /// It claimed what it did not deliver. Its trust is 0.
    pub liar: bool,
}

/// Weighs evidence. See the module's head, and spec 57 section 5 for the rules.
///
/// The caller passes evidence of members of the session alone, about claims that it knows.
///
/// Courts of different peers need not agree: each weighs what reached it.
#[derive(Debug)]
pub struct Court {
    docket: Docket,
    convictions: BTreeMap<KeyId, Conviction>,
    advertisers: u32,
}

#[derive(Debug, Clone, Copy)]
struct Conviction {
    began: MonoTime,
    /// The last evidence that bore it out.
    at: MonoTime,
    doublings: u32,
}

impl Conviction {
    fn ends(&self) -> MonoTime {
        self.at.plus(LIAR_FOR * 2_u32.pow(self.doublings))
    }
}

impl Court {
    /// The largest capacity.
    pub const MAX_CAPACITY: usize = 16_384;

    /// Remembers at most `capacity` pieces of evidence, 1 to [`Court::MAX_CAPACITY`], and as many liars.
    ///
    /// # Errors
    /// [`Error::Input`] for another capacity.
    pub const fn new(capacity: usize) -> Result<Self, Error> {
        if capacity == 0 || capacity > Self::MAX_CAPACITY {
            return Err(Error::Input { what: "capacity of a court", why: "it is to be 1 to 16,384" });
        }
        Ok(Self::with_capacity(capacity))
    }

    /// A court of a capacity that is known to be allowed.
    pub(crate) const fn with_capacity(capacity: usize) -> Self {
        Self { docket: Docket::new(capacity), convictions: BTreeMap::new(), advertisers: 0 }
    }

    /// How many peers there are that could be accused. Who accuses two or more and more than half of them is not believed.
    /// Until this is said, that is everybody who accuses two.
    pub const fn set_advertisers(&mut self, advertisers: u32) {
        self.advertisers = advertisers;
    }

    /// Takes a piece of evidence. `origin` names where its observer is, so that those who may be one person have one: the
    /// prefix of an address, for example. `now` is this node's own clock and orders everything; `wall` is compared with
    /// the dates of the evidence alone.
    ///
    /// # Errors
    /// [`Error::NotNow`] if it ended more than 60 s ago or ends more than 5 s in the future; [`Error::Limit`] if there is
    /// no room for it.
    pub fn insert(
        &mut self,
        now: MonoTime,
        wall: WallTime,
        origin: u64,
        evidence: &VerifiedEvidence,
    ) -> Result<Inserted, Error> {
        let (observer, accused) = (evidence.observer, evidence.accused);
        let not_now = |why| Error::NotNow { what: "delivery evidence", peer: observer, why };
        if evidence.until.0 > wall.0.saturating_add(AHEAD_MILLIS) {
            return Err(not_now("in the future"));
        }
        if u128::from(wall.0.saturating_sub(evidence.until.0)) > AGREE.as_millis() {
            return Err(not_now("over"));
        }
        self.expire(now);
        if let Some(known) = self.docket.entry(accused, observer)
            && (evidence.claim_counter <= known.counter || evidence.until <= known.until)
        {
            return Ok(Inserted::Known);
        }
        let entry = Entry { counter: evidence.claim_counter, until: evidence.until, origin, at: now };
        self.docket.insert(accused, observer, entry)?;
        if self.accuses_most(now, observer) {
            self.review(now, observer);
        }
        if self.voices(now, accused, before(now, AGREE)) < VOICES {
            return Ok(Inserted::New);
        }
        self.convict(now, accused);
        self.review(now, accused);
        Ok(Inserted::Convicted)
    }

    /// What is to be thought of a peer now.
    pub fn standing(&self, now: MonoTime, who: KeyId) -> Standing {
        if self.is_liar(now, who) {
            return Standing { trust: 0, liar: true };
        }
        let voices = self.voices(now, who, before(now, AGREE)).min(VOICES - 1);
        let doubted = FULL_TRUST - DOUBT * u16::try_from(voices).unwrap_or(0);
        let regained = self.convictions.get(&who).map_or(FULL_TRUST, |conviction| {
            let part = now.since(conviction.ends()).min(REGAIN).as_millis() * u128::from(FULL_TRUST);
            u16::try_from(part / REGAIN.as_millis()).unwrap_or(FULL_TRUST)
        });
        Standing { trust: doubted.min(regained), liar: false }
    }

    /// Pieces of evidence that are remembered.
    pub fn len(&self) -> usize {
        self.docket.len()
    }

    /// True if nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn expire(&mut self, now: MonoTime) {
        self.docket.expire(now, KEEP);
        self.convictions.retain(|_, conviction| now.since(conviction.ends()) < REGAIN);
    }

    fn is_liar(&self, now: MonoTime, who: KeyId) -> bool {
        self.convictions.get(&who).is_some_and(|conviction| now < conviction.ends())
    }

    /// From how many origins `accused` is called a liar since `from`, by observers whose word counts.
    fn voices(&self, now: MonoTime, accused: KeyId, from: MonoTime) -> usize {
        let said = self.docket.against(accused).filter(|(_, entry)| entry.at >= from);
        let believed = said.filter(|(observer, _)| {
            !self.accuses_most(now, *observer)
                && !self.is_liar(now, *observer)
                && !self.is_doubted(now, *observer)
        });
        believed.map(|(_, entry)| entry.origin).collect::<BTreeSet<_>>().len()
    }

    /// An observer that is accused itself. By whom it accuses does not count, or each liar would silence who found it
    /// out; nor does one voice alone.
    fn is_doubted(&self, now: MonoTime, observer: KeyId) -> bool {
        let from = before(now, AGREE);
        let said = self.docket.against(observer).filter(|(accuser, entry)| {
            entry.at >= from
                && self.docket.entry(*accuser, observer).is_none()
                && !self.accuses_most(now, *accuser)
                && !self.is_liar(now, *accuser)
        });
        said.map(|(_, entry)| entry.origin).collect::<BTreeSet<_>>().len() >= DOUBTS
    }

    fn accuses_most(&self, now: MonoTime, observer: KeyId) -> bool {
        let from = before(now, AGREE);
        let accused = self.docket.by(observer).filter(|(_, entry)| entry.at >= from).count();
        accused >= 2 && accused * 2 > self.advertisers as usize
    }

    fn convict(&mut self, now: MonoTime, accused: KeyId) {
        let again = Conviction { began: now, at: now, doublings: 0 };
        let next = match self.convictions.get(&accused) {
            Some(old) if now < old.ends() => Conviction { at: now, ..*old },
            Some(old) => Conviction { doublings: (old.doublings + 1).min(MAX_DOUBLINGS), ..again },
            None => again,
        };
        self.convictions.insert(accused, next);
        if self.convictions.len() > self.docket.capacity()
            && let Some(oldest) = self.convictions.iter().min_by_key(|(_, old)| old.at).map(|(who, _)| *who)
        {
            self.convictions.remove(&oldest);
        }
    }

    /// `observer` is not believed any more: what was found by its word in the last minute is found anew without it. Who
    /// accuses one after the other is found out only at half of them, and those before were innocent too.
    fn review(&mut self, now: MonoTime, observer: KeyId) {
        let doubtful: Vec<KeyId> = self
            .docket
            .by(observer)
            .filter_map(|(accused, _)| Some((accused, self.convictions.get(&accused)?)))
            .filter(|(accused, conviction)| {
                now.since(conviction.began) < AGREE
                    && self.voices(now, *accused, before(conviction.began, AGREE)) < VOICES
            })
            .map(|(accused, _)| accused)
            .collect();
        for accused in doubtful {
            self.convictions.remove(&accused);
        }
    }
}

/// The first time that is less than `by` before `now`.
const fn before(now: MonoTime, by: Duration) -> MonoTime {
    MonoTime(now.0.saturating_add(1).saturating_sub(by.as_micros() as u64))
}
