//! The newest claim of each peer, and the counters that keep older ones out (spec 55 section 4).

#[cfg(test)]
mod tests;

use super::{MAX_LIFETIME, VerifiedClaim, later};
use crate::Error;
use core_types::{KeyId, WallTime};
use std::collections::{BTreeMap, BTreeSet};

/// Counters of peers without a claim that are remembered, for each claim that there is room for.
const REMEMBERED: usize = 4;

/// What became of a claim that was put into a [`ClaimStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an equivocation is a finding"]
#[non_exhaustive]
pub enum Inserted {
    /// It was taken; there was none of this peer.
    New,
    /// It was taken in the place of an older one of this peer.
    Replaced,
    /// It is there already, the same. Nothing changed; it came by two ways.
    Again,
    /// Its counter is that of the claim that is there, and its contents are others. Nothing changed: the first stays.
    ///
    /// It is no error, since both are worth something: two signed claims that no honest peer makes. Whoever wants to show
    /// them to others has to keep the signed bytes of both.
    Equivocation {
        /// The one that stays.
        first: Box<VerifiedClaim>,
        /// The one that was not taken.
        second: Box<VerifiedClaim>,
    },
}

/// The newest claim of each peer, for a bounded number of peers.
///
/// A peer has one claim at a time: the one with the highest counter, whatever stream it is for. When a claim is over or was
/// removed its counter is still remembered, or the claim before it, which may be good for longer, could be shown again.
///
/// **Full.** There is room for `capacity` claims and 4 times as many counters beside them. A claim that is over leaves
/// first. A counter is forgotten only when the room is needed for another peer, only from 60 s after the issue of the claim that
/// it is of, and the one that has been due for longest first. By then all claims with this counter or a lower one are over.
/// If nothing may leave, the newcomer is refused: many identities can keep newcomers out for as long as they go on, but
/// neither push out a claim nor make a counter be forgotten in time for a replay.
///
/// **Clock.** `now` is the wall clock's and may jump. If it goes back, counters that are still remembered keep out what was seen.
///
/// **Drain rule**: call [`ClaimStore::expire`] when [`ClaimStore::poll_timeout`] is due. That is for the memory alone: a claim
/// that is over is never given out.
#[derive(Debug, Clone)]
pub struct ClaimStore {
    capacity: usize,
    known: BTreeMap<KeyId, Known>,
    /// The claims, by when they are over.
    ends: BTreeSet<(WallTime, KeyId)>,
    /// All that is known, by when it may be forgotten.
    due: BTreeSet<(WallTime, KeyId)>,
}

#[derive(Debug, Clone)]
struct Known {
    /// Of the newest claim.
    counter: u64,
    /// From when on the counter may be forgotten.
    due: WallTime,
    /// The newest claim, unless it is over or was removed.
    claim: Option<VerifiedClaim>,
}

impl ClaimStore {
    /// An empty store with room for the claims of `capacity` peers.
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, known: BTreeMap::new(), ends: BTreeSet::new(), due: BTreeSet::new() }
    }

    /// Takes a claim, if it is good now and newer than all that came from its advertiser before.
    ///
    /// # Errors
    /// [`Error::NotNow`] if it is over or from the future, [`Error::Replayed`] if a newer one came before,
    /// [`Error::Limit`] if there is no room. Then nothing changed, but that claims left which are over.
    pub fn insert(&mut self, now: WallTime, claim: VerifiedClaim) -> Result<Inserted, Error> {
        claim.check_time(now)?;
        self.expire(now);
        let peer = claim.advertiser;
        let mut due = later(claim.issued_at, MAX_LIFETIME);
        let mut replaced = false;
        match self.known.get(&peer) {
            Some(known) if claim.counter <= known.counter => return known.compare(claim),
            Some(known) => {
                due = due.max(known.due);
                replaced = known.claim.is_some();
            }
            None => {}
        }
        if !replaced && self.ends.len() >= self.capacity {
            return Err(Error::Limit { what: "capacity claim", max: self.capacity });
        }
        if !self.known.contains_key(&peer) {
            self.make_room(now)?;
        }
        self.forget(peer);
        self.ends.insert((claim.valid_until, peer));
        self.due.insert((due, peer));
        self.known.insert(peer, Known { counter: claim.counter, due, claim: Some(claim) });
        Ok(if replaced { Inserted::Replaced } else { Inserted::New })
    }

    /// The claims that are good now, in ascending order of their advertisers.
    pub fn claims(&self, now: WallTime) -> impl Iterator<Item = &VerifiedClaim> {
        self.known.values().filter_map(move |known| known.good(now))
    }

    /// The claim of that peer, if it has one that is good now.
    pub fn get(&self, now: WallTime, advertiser: KeyId) -> Option<&VerifiedClaim> {
        self.known.get(&advertiser)?.good(now)
    }

    /// Drops the claim of a peer, one that left, and gives it. Its counter stays: only a newer claim is taken again.
    pub fn remove(&mut self, advertiser: KeyId) -> Option<VerifiedClaim> {
        let claim = self.known.get_mut(&advertiser)?.claim.take()?;
        self.ends.remove(&(claim.valid_until, advertiser));
        Some(claim)
    }

    /// Drops the claims that are over. Their counters stay.
    pub fn expire(&mut self, now: WallTime) {
        while let Some((_, peer)) = self.ends.first().copied().filter(|(end, _)| *end <= now) {
            self.ends.pop_first();
            if let Some(known) = self.known.get_mut(&peer) {
                known.claim = None;
            }
        }
    }

    /// When [`ClaimStore::expire`] has something to do next, by the wall clock.
    pub fn poll_timeout(&self) -> Option<WallTime> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// How many claims are kept, those included that are over and did not leave yet.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if no claim is kept.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Room for one more peer. `expire` was called, so what is due has no claim: a claim ends before its counter is due.
    fn make_room(&mut self, now: WallTime) -> Result<(), Error> {
        let max = self.capacity.saturating_mul(1 + REMEMBERED);
        if self.known.len() < max {
            return Ok(());
        }
        match self.due.first().copied() {
            Some((due, peer)) if due <= now => {
                self.forget(peer);
                Ok(())
            }
            _ => Err(Error::Limit { what: "advertiser of capacity claims", max }),
        }
    }

    /// Drops all that is known of a peer.
    fn forget(&mut self, peer: KeyId) {
        let Some(known) = self.known.remove(&peer) else { return };
        self.due.remove(&(known.due, peer));
        if let Some(claim) = known.claim {
            self.ends.remove(&(claim.valid_until, peer));
        }
    }
}

impl Known {
    fn good(&self, now: WallTime) -> Option<&VerifiedClaim> {
        self.claim.as_ref().filter(|claim| claim.check_time(now).is_ok())
    }

    /// What a claim is whose counter is not above the last.
    fn compare(&self, claim: VerifiedClaim) -> Result<Inserted, Error> {
        match &self.claim {
            Some(first) if *first == claim => Ok(Inserted::Again),
            Some(first) if first.counter == claim.counter => {
                Ok(Inserted::Equivocation { first: Box::new(first.clone()), second: Box::new(claim) })
            }
            _ => Err(Error::Replayed { peer: claim.advertiser, counter: claim.counter, last: self.counter }),
        }
    }
}
