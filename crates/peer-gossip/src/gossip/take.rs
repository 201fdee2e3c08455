//! What comes over a link: what is taken of it, and in which order it is looked at (spec 53 section 3).

use super::Gossip;
use crate::Error;
use crate::card::Parts;
use crate::config::TOLD_AGAIN_AFTER;
use crate::entry::{Claim, Entry, MAX_ENTRIES};
use crate::peer::{Peer, SaidClaim};
use alm::{CapacityClaim, Inserted};
use core_types::{KeyId, LinkId, MonoTime, WallTime};

impl Gossip {
    /// Takes what came over a link in one message. What is new is passed on to the other links.
    ///
    /// What is merely old, over, here already, or more than may come is left out and counted, and is nobody's fault.
    ///
    /// # Errors
    /// With [`Error::is_peer_fault`]: what no honest peer passes on, since every honest one checks it; the rest of the message is
    /// left out, and the link is to blame. [`Error::UnknownLink`] if the link was not added.
    pub fn handle(
        &mut self,
        now: MonoTime,
        wall: WallTime,
        from: LinkId,
        entries: &[Vec<u8>],
    ) -> Result<(), Error> {
        self.tick(now, wall);
        if !self.links.contains_key(&from) {
            return Err(Error::UnknownLink(from));
        }
        let taken = self.take_all(from, entries);
        if taken.is_err() {
            self.stats.faults += 1;
        }
        taken
    }

    fn take_all(&mut self, from: LinkId, entries: &[Vec<u8>]) -> Result<(), Error> {
        if entries.len() > MAX_ENTRIES {
            return Err(Error::Malformed { what: "gossip", why: "there are more than 32 entries" });
        }
        for entry in entries {
            // Before anything is looked at: a flood costs no more than this.
            if !self.links.get_mut(&from).is_some_and(|link| link.incoming.take(self.now)) {
                self.stats.over_rate += 1;
                continue;
            }
            self.take(from, entry)?;
        }
        Ok(())
    }

    fn take(&mut self, from: LinkId, bytes: &[u8]) -> Result<(), Error> {
        let entry = Entry::read(bytes)?;
        let peer = entry.advertiser();
        if peer == self.config.me || self.forgotten.get(self.now, peer).is_some() {
            self.stats.unwanted += 1;
            return Ok(());
        }
        match entry {
            Entry::Card(card) => self.take_card(from, bytes, card),
            Entry::Claim(claim) => self.take_claim(from, bytes, claim),
        }
    }

    fn take_card(&mut self, from: LinkId, bytes: &[u8], card: Parts<'_>) -> Result<(), Error> {
        let (key, issued_at) = (card.advertiser, card.issued_at);
        if !self.is_news(from, bytes, &card) {
            return Ok(());
        }
        self.stats.verifications += 2;
        let card = match card.verify(self.config.session, &self.config.host, self.wall) {
            Ok(card) => card,
            Err(error) => return self.nobodys(error),
        };
        let kept = bytes.into();
        match self.peers.get_mut(&key) {
            Some(peer) => {
                peer.news.take(self.now);
                (peer.card, peer.said.card, peer.said.issued_at) = (card, kept, issued_at);
                peer.heard_at = self.now;
            }
            None => {
                if let Some(Some(leaves)) = self.room_for_another() {
                    self.drop_peer(leaves);
                }
                let mut peer = Peer::new(self.now, card, kept);
                if let Some(past) = self.past.take(key) {
                    peer.news = past.news;
                }
                peer.news.take(self.now);
                self.peers.insert(key, peer);
                self.sweep_later();
            }
        }
        self.stats.cards += 1;
        self.links.entry(from).and_modify(|link| link.has_card(key, issued_at));
        self.tell(key);
        Ok(())
    }

    /// True if a card is worth verifying: it would be taken if it is what it says. Otherwise counts why not.
    fn is_news(&mut self, from: LinkId, bytes: &[u8], card: &Parts<'_>) -> bool {
        let (key, issued_at) = (card.advertiser, card.issued_at);
        if self.revoked.get(self.now, key).is_some_and(|last| card.serial <= *last) {
            self.stats.unwanted += 1;
            return false;
        }
        let Some(peer) = self.peers.get(&key) else {
            match self.past.get(self.wall, key) {
                Some(past) if issued_at < past.issued_at => {
                    self.stats.old += 1;
                    return false;
                }
                Some(past) if !past.news.has(self.now) => {
                    self.stats.too_often += 1;
                    return false;
                }
                _ => {}
            }
            let has_room = self.room_for_another().is_some();
            self.stats.no_room += u64::from(!has_room);
            return has_room;
        };
        if *peer.said.card == *bytes {
            self.stats.duplicates += 1;
            self.links.entry(from).and_modify(|link| link.has_card(key, issued_at));
            return false;
        }
        if issued_at <= peer.said.issued_at {
            self.stats.old += 1;
            return false;
        }
        let may_speak = peer.news.has(self.now);
        self.stats.too_often += u64::from(!may_speak);
        may_speak
    }

    fn take_claim(&mut self, from: LinkId, bytes: &[u8], claim: Claim<'_>) -> Result<(), Error> {
        let (key, counter) = (claim.advertiser, claim.counter);
        let Some(peer) = self.peers.get_mut(&key) else {
            self.stats.without_card += 1;
            return Ok(());
        };
        match &peer.said.claim {
            Some(known) if known.is(&claim) => {
                self.stats.duplicates += 1;
                self.links.entry(from).and_modify(|link| link.has_claim(key, counter));
                return Ok(());
            }
            Some(known) if counter < known.counter => {
                self.stats.old += 1;
                return Ok(());
            }
            _ => {}
        }
        if !peer.news.has(self.now) {
            self.stats.too_often += 1;
            return Ok(());
        }
        if let Err(error) = peer.card.check_time(self.wall) {
            return self.nobodys(error);
        }
        self.stats.verifications += 1;
        let blamed = |source| Error::Claim { peer: key, source };
        let verified = match CapacityClaim::verify(claim.signed, &peer.card.identity) {
            Ok(verified) => verified,
            Err(error) => return self.nobodys(blamed(error)),
        };
        let said = SaidClaim::new(bytes.into(), &verified);
        match self.claims.insert(self.wall, verified) {
            Ok(Inserted::New | Inserted::Replaced) => {}
            Ok(Inserted::Equivocation { .. }) => {
                self.stats.equivocations += 1;
                return Ok(());
            }
            Ok(_) => {
                self.stats.duplicates += 1;
                return Ok(());
            }
            Err(error) => return self.nobodys(blamed(error)),
        }
        peer.news.take(self.now);
        let was_silent = self.now.since(peer.heard_at) > TOLD_AGAIN_AFTER;
        (peer.said.claim, peer.heard_from, peer.heard_at) = (Some(said), Some(from), self.now);
        self.stats.claims += 1;
        for (id, link) in &mut self.links {
            if *id == from {
                link.has_claim(key, counter);
            } else if was_silent {
                link.may_lack_card(key);
            }
        }
        self.tell(key);
        Ok(())
    }

    /// Counts what is nobody's fault.
    fn nobodys(&mut self, error: Error) -> Result<(), Error> {
        match &error {
            _ if error.is_peer_fault() => return Err(error),
            Error::Claim { source: alm::Error::Replayed { .. }, .. } => self.stats.old += 1,
            Error::Claim { source: alm::Error::Limit { .. }, .. } => self.stats.no_room += 1,
            _ => self.stats.not_now += 1,
        }
        Ok(())
    }

    /// `None` if there is no room for another peer, and otherwise who leaves for it, if somebody does: of those that are silent the
    /// one that has been so for longest.
    fn room_for_another(&self) -> Option<Option<KeyId>> {
        if self.peers.len() < self.config.limits.peers {
            return Some(None);
        }
        let is_silent = |key: &KeyId| self.claims.get(self.wall, *key).is_none();
        let silent = self.peers.iter().filter(|(key, _)| is_silent(key));
        silent.map(|(key, peer)| (peer.heard_at, *key)).min().map(|(_, key)| Some(key))
    }
}
