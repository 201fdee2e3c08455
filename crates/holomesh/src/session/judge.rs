//! What members say of watchers that feed others and do not deliver, and what the host makes of it: when three say the same,
//! all members hear what they have signed (spec 57 section 5).

use crate::Error;
use crate::net::{Control, Link};
use alm::delivery::{Court, Evidence, Inserted};
use core_types::{KeyId, MonoTime, WallTime};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Peers that may be accused at once; of more, those that were accused longest ago are forgotten.
const ACCUSED: usize = 256;
/// Evidence against one peer that is kept, to be passed on: enough for three voices of which some do not count.
const KEPT: usize = 8;
/// Older evidence is taken by nobody.
const FRESH: Duration = Duration::from_secs(60);
/// Pieces of evidence that are passed on at once and in a second, so that members who accuse one another cost nobody much.
const PASSED_ON: u32 = 16;
const PASSED_EACH: Duration = Duration::from_millis(250);

/// A piece of evidence, as it is passed on.
#[derive(Debug, Clone)]
struct Said {
    observer: KeyId,
    at: MonoTime,
    message: Control,
    is_told: bool,
}

/// The host's court.
#[derive(Debug)]
pub(super) struct Judge {
    court: Court,
    said: BTreeMap<KeyId, VecDeque<Said>>,
    credit: u32,
    credit_at: MonoTime,
}

/// What became of what a member said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// It made a liar of this peer, who was none.
    pub(super) found: Option<KeyId>,
    /// For all members.
    pub(super) tell: Vec<Control>,
}

impl Judge {
    pub(super) fn new() -> Result<Self, Error> {
        let court = Court::new(Court::MAX_CAPACITY).map_err(|error| Error::codec("court", error))?;
        Ok(Self { court, said: BTreeMap::new(), credit: PASSED_ON, credit_at: MonoTime(0) })
    }

    /// Takes what the member at the other end of `link` says. `claims` gives the counter of a peer's claim, if there is one, and
    /// `advertisers` says how many claim anything. What is no use is left out; what is no evidence of that member is an error.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub(super) fn hear(
        &mut self,
        (now, wall): (MonoTime, WallTime),
        member: &Member<'_>,
        evidence: Vec<u8>,
        claims: impl Fn(KeyId) -> Option<u64>,
        advertisers: u32,
    ) -> Result<Judged, String> {
        let verified = Evidence::verify(&evidence, member.identity).map_err(|error| error.to_string())?;
        let accused = verified.accused;
        // Of a claim that nobody has seen nothing can be short.
        if claims(accused).is_none_or(|counter| counter < verified.claim_counter) {
            return Ok(Judged::default());
        }
        self.court.set_advertisers(advertisers);
        let was_liar = self.court.standing(now, accused).liar;
        let inserted = match self.court.insert(now, wall, member.origin, &verified) {
            Ok(Inserted::Known) => return Ok(Judged::default()),
            Ok(inserted) => inserted,
            Err(error) => {
                tracing::debug!(%error, "evidence of no use");
                return Ok(Judged::default());
            }
        };
        let observer = member.identity.key_id();
        let message =
            Control::Found { observer: member.identity.to_bytes().to_vec(), origin: member.origin, evidence };
        self.keep(accused, Said { observer, at: now, message, is_told: false });
        if inserted != Inserted::Convicted {
            return Ok(Judged::default());
        }
        Ok(Judged { found: (!was_liar).then_some(accused), tell: self.tell(now, accused) })
    }

    /// What a new member is to hear of those who are liars now.
    pub(super) fn still_said(&self, now: MonoTime) -> impl Iterator<Item = &Control> {
        let liars = self.said.iter().filter(move |(who, _)| self.court.standing(now, **who).liar);
        let fresh = liars.flat_map(|(_, said)| said).filter(move |said| now.since(said.at) < FRESH);
        fresh.filter(|said| said.is_told).map(|said| &said.message)
    }

    fn keep(&mut self, accused: KeyId, said: Said) {
        if self.said.len() >= ACCUSED && !self.said.contains_key(&accused) {
            let newest = |said: &VecDeque<Said>| said.back().map(|said| said.at);
            let oldest = self.said.iter().min_by_key(|(_, said)| newest(said)).map(|(who, _)| *who);
            oldest.map(|oldest| self.said.remove(&oldest));
        }
        let kept = self.said.entry(accused).or_default();
        kept.retain(|old| old.observer != said.observer);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(said);
    }

    fn tell(&mut self, now: MonoTime, accused: KeyId) -> Vec<Control> {
        let earned = now.since(self.credit_at).as_millis() / PASSED_EACH.as_millis();
        if earned > 0 {
            self.credit_at = now;
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.credit = self.credit.saturating_add(earned).min(PASSED_ON);
        }
        let mut tell = Vec::new();
        let untold = self.said.get_mut(&accused).into_iter().flatten();
        for said in untold.filter(|said| !said.is_told && now.since(said.at) < FRESH) {
            let Some(left) = self.credit.checked_sub(1) else { break };
            self.credit = left;
            said.is_told = true;
            tell.push(said.message.clone());
        }
        tell
    }
}

/// Who says something.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) identity: &'a identity::PublicIdentity,
    /// Where it is: those who may be one person have one.
    pub(super) origin: u64,
}

impl<'a> Member<'a> {
    pub(super) fn at(link: &'a Link) -> Self {
        let origin = crate::mesh::network_of(link.remote_address().map(|address| address.ip()));
        Self { identity: &link.peer.identity, origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::{Epoch, StreamId};
    use identity::{Identity, Seed};

    const ACCUSED: KeyId = KeyId([77; 32]);
    const WALL: WallTime = WallTime(1_800_000_000_000);

    fn member(number: u8) -> Identity {
        Identity::from_seed(&Seed([number; 64])).expect("a key")
    }

    fn evidence(by: &Identity, accused: KeyId, counter: u64) -> Vec<u8> {
        let evidence = Evidence {
            observer: by.key_id(),
            accused,
            stream: StreamId([1; 32]),
            epoch: Epoch(3),
            claim_counter: counter,
            expected: 40,
            delivered: 3,
            from: WallTime(WALL.0 - 2_000),
            until: WallTime(WALL.0 + counter),
        };
        evidence.sign(by).expect("evidence")
    }

    fn hear(
        judge: &mut Judge,
        ms: u64,
        by: &Identity,
        origin: u64,
        bytes: Vec<u8>,
    ) -> Result<Judged, String> {
        let member = Member { identity: by.public(), origin };
        judge.hear((MonoTime::from_millis(ms), WALL), &member, bytes, |_| Some(9), 10)
    }

    #[test]
    fn what_three_say_from_three_places_all_members_hear_and_what_two_say_nobody() {
        let mut judge = Judge::new().expect("a court");
        let nothing = Judged::default();
        for (number, origin) in [(1, 5), (2, 6), (3, 6)] {
            let by = member(number);
            let said = evidence(&by, ACCUSED, 9);
            assert_eq!(hear(&mut judge, 10, &by, origin, said).as_ref(), Ok(&nothing), "{number}");
        }
        assert_eq!(judge.still_said(MonoTime::from_millis(10)).count(), 0);
        let by = member(4);
        let judged = hear(&mut judge, 20, &by, 7, evidence(&by, ACCUSED, 9)).expect("evidence");
        assert_eq!((judged.found, judged.tell.len()), (Some(ACCUSED), 4));
        let Control::Found { observer, origin, evidence: passed } = &judged.tell[3] else {
            panic!("another message")
        };
        assert_eq!((&observer[..], *origin), (&by.public().to_bytes()[..], 7));
        assert!(Evidence::verify(passed, by.public()).is_ok());
        // Said again it is nothing new; by another one it is passed on alone.
        assert_eq!(hear(&mut judge, 30, &by, 7, evidence(&by, ACCUSED, 9)), Ok(nothing));
        let by = member(5);
        let judged = hear(&mut judge, 40, &by, 8, evidence(&by, ACCUSED, 9)).expect("evidence");
        assert_eq!((judged.found, judged.tell.len()), (None, 1));
        assert_eq!(judge.still_said(MonoTime::from_millis(50)).count(), 5);
        assert_eq!(judge.still_said(MonoTime::from_millis(60_020)).count(), 1);
    }

    #[test]
    fn what_is_of_a_claim_that_nobody_has_seen_counts_for_nothing_and_a_forgery_costs_the_link() {
        let mut judge = Judge::new().expect("a court");
        for (number, origin) in [(1, 5), (2, 6), (3, 7)] {
            let by = member(number);
            let said = evidence(&by, ACCUSED, 10);
            assert_eq!(hear(&mut judge, 10, &by, origin, said), Ok(Judged::default()));
        }
        assert!(!judge.court.standing(MonoTime::from_millis(10), ACCUSED).liar);
        let (by, other) = (member(1), member(2));
        assert!(hear(&mut judge, 10, &other, 5, evidence(&by, ACCUSED, 9)).is_err());
        assert!(hear(&mut judge, 10, &by, 5, vec![0; 3_510]).is_err());
    }

    #[test]
    fn however_many_are_found_members_hear_no_more_than_so_much() {
        let mut judge = Judge::new().expect("a court");
        let members: Vec<Identity> = (1..=3).map(member).collect();
        let mut told = 0;
        for accused in 0..10 {
            for (by, origin) in members.iter().zip(5..) {
                let said = evidence(by, KeyId([100 + accused; 32]), 9);
                let member = Member { identity: by.public(), origin };
                let at = (MonoTime::from_millis(1), WALL);
                let judged = judge.hear(at, &member, said, |_| Some(9), 100).expect("evidence");
                told += judged.tell.len();
            }
        }
        assert_eq!(told, 16);
    }
}
