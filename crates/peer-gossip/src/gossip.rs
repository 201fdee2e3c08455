//! The state machine: what is known, and what each link is to be told (spec 53 sections 3 to 5).

mod take;
mod tell;
#[cfg(test)]
mod tests;

use crate::config::{REMEMBERED, SAMPLED_EVERY, SWEPT_EVERY};
use crate::draw::Draw;
use crate::link::Link;
use crate::memory::Memory;
use crate::peer::{Known, Past, Peer, Said, SaidClaim};
use crate::{Card, Config, Error, Stats, entry};
use alm::{CapacityClaim, ClaimStore};
use av_wire::permit::LATE_BY;
use core::time::Duration;
use core_types::{KeyId, LinkId, MonoTime, WallTime};
use std::collections::{BTreeMap, BTreeSet};

/// Who is there to feed others, told from link to link.
///
/// **Drain rule**: after every call that changes it, take [`Gossip::poll_message`] until it gives `None`, and send each message
/// over its link as one `Control::Gossip`; call [`Gossip::handle_timeout`] when [`Gossip::poll_timeout`] is due.
#[derive(Debug)]
pub struct Gossip {
    config: Config,
    /// What the caller said last of the time.
    now: MonoTime,
    wall: WallTime,
    own: Option<Said>,
    peers: BTreeMap<KeyId, Peer>,
    claims: ClaimStore,
    past: Memory<WallTime, Past>,
    forgotten: Memory<MonoTime, ()>,
    aside: Memory<MonoTime, ()>,
    /// Up to which serial number permits are void.
    revoked: Memory<MonoTime, u64>,
    links: BTreeMap<LinkId, Link>,
    /// Links with something to tell that may tell it now, and those that have to wait, by when.
    ready: BTreeSet<LinkId>,
    waiting: BTreeSet<(MonoTime, LinkId)>,
    /// Links that are told of some peers alone, and when again.
    sampled: BTreeSet<(MonoTime, LinkId)>,
    sweep_at: Option<MonoTime>,
    draw: Draw,
    stats: Stats,
}

impl Gossip {
    /// Nobody is known yet, and there is no link.
    pub fn new(config: Config) -> Self {
        let room = config.limits.peers;
        let remembered = room.saturating_mul(REMEMBERED);
        Self {
            now: MonoTime(0),
            wall: WallTime(0),
            own: None,
            peers: BTreeMap::new(),
            claims: ClaimStore::new(room),
            past: Memory::new(remembered),
            forgotten: Memory::new(remembered),
            aside: Memory::new(remembered),
            revoked: Memory::new(remembered),
            links: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            sampled: BTreeSet::new(),
            sweep_at: None,
            draw: Draw(config.seed),
            stats: Stats::default(),
            config,
        }
    }

    /// What this node says of itself, signed: its card, and its claim. It is checked, and told to all links. To be called for each
    /// renewal of the claim, which is each 20 to 30 s, with the same card as long as nothing in it changes; it has a new one when
    /// its permit or address does, and SHOULD have one every 5 minutes. More news than one in 2 s others do not take.
    ///
    /// # Errors
    /// [`Error::Own`] if others would refuse it; [`Error::Input`] if it is somebody else's, or no newer than what was said before
    /// and not the same. Then nothing changed.
    pub fn set_own(
        &mut self,
        now: MonoTime,
        wall: WallTime,
        card: Vec<u8>,
        claim: Vec<u8>,
    ) -> Result<(), Error> {
        self.tick(now, wall);
        let said = self.check_own(&card, &claim).map_err(|error| match error {
            Error::Input { .. } => error,
            other => Error::Own(Box::new(other)),
        })?;
        self.own = Some(said);
        self.tell(self.config.me);
        Ok(())
    }

    fn check_own(&self, card: &[u8], claim: &[u8]) -> Result<Said, Error> {
        let me = self.config.me;
        let refused = |what, why| Err(Error::Input { what, why });
        let verified = Card::verify(card, self.config.session, &self.config.host, self.wall)?;
        if verified.key_id() != me {
            return refused("own card", "it names another peer: sign one for the identity of this node");
        }
        let claimed = CapacityClaim::verify(claim, &verified.identity)
            .and_then(|claim| claim.check_time(self.wall).map(|()| claim))
            .map_err(|source| Error::Claim { peer: me, source })?;
        let (card, claim) = (entry::card(card), entry::claim(claim));
        if let Some(before) = &self.own {
            if verified.issued_at < before.issued_at
                || verified.issued_at == before.issued_at && card != before.card
            {
                return refused("own card", "it is no newer than the last: give it a later time of issue");
            }
            let is_old = |last: &SaidClaim| {
                claimed.counter < last.counter || claimed.counter == last.counter && claim != last.entry
            };
            if before.claim.as_ref().is_some_and(is_old) {
                return refused("own claim", "it is no newer than the last: give it a higher counter");
            }
        }
        let claim = Some(SaidClaim::new(claim, &claimed));
        Ok(Said { card, issued_at: verified.issued_at, claim })
    }

    /// Says nothing of this node any more. Others find out when its last claim is over.
    pub fn withdraw_own(&mut self) {
        self.own = None;
    }

    /// A link over which gossip goes from now on. It is told what this node says of itself and of some others, drawn by the seed:
    /// of all others it hears when they renew their claims, or, beyond [`Limits::whole_links`](crate::Limits::whole_links), of some again
    /// from time to time. Nothing changes if the link is there already.
    pub fn add_link(&mut self, now: MonoTime, link: LinkId) {
        self.tick(now, self.wall);
        if self.links.contains_key(&link) {
            return;
        }
        let mut new = Link::new(now, &self.config.limits);
        if self.links.len() - self.sampled.len() >= self.config.limits.whole_links {
            let again = self.now.plus(SAMPLED_EVERY);
            new.sampled_at = Some(again);
            self.sampled.insert((again, link));
        }
        self.links.insert(link, new);
        self.greet(link);
    }

    /// The link is gone, or takes no part any more. What came over it stays.
    pub fn remove_link(&mut self, link: LinkId) {
        let Some(gone) = self.links.remove(&link) else { return };
        if let Some(due) = gone.waits_until {
            self.waiting.remove(&(due, link));
        }
        self.ready.remove(&link);
        match gone.sampled_at {
            Some(at) => drop(self.sampled.remove(&(at, link))),
            // Its place is for one of the others, which hears of all again that says something new.
            None => {
                let next = self.sampled.pop_first().and_then(|(_, next)| self.links.get_mut(&next));
                next.into_iter().for_each(|next| next.sampled_at = None);
            }
        }
        for peer in self.peers.values_mut() {
            peer.heard_from = peer.heard_from.filter(|from| *from != link);
        }
    }

    /// When [`Gossip::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        let waiting = self.waiting.first().map(|(due, _)| *due);
        let sampled = self.sampled.first().map(|(due, _)| *due);
        [waiting, sampled, self.sweep_at].into_iter().flatten().min()
    }

    /// Lets out what had to wait, and drops what is over.
    pub fn handle_timeout(&mut self, now: MonoTime, wall: WallTime) {
        self.tick(now, wall);
        while let Some((_, id)) = self.sampled.first().copied().filter(|(due, _)| *due <= self.now) {
            self.sampled.pop_first();
            let again = self.now.plus(SAMPLED_EVERY);
            if let Some(link) = self.links.get_mut(&id) {
                link.sampled_at = Some(again);
                self.sampled.insert((again, id));
            }
            self.greet(id);
        }
        if self.sweep_at.is_some_and(|at| at <= self.now) {
            self.sweep();
        }
    }

    /// The peers that are good now, in ascending order of their names: with a card, a permit and a claim that are, neither this
    /// node nor one that is forgotten or set aside.
    pub fn peers(&self, wall: WallTime) -> impl Iterator<Item = Known<'_>> {
        self.peers.keys().filter_map(move |key| self.peer(wall, *key))
    }

    /// That peer, if it is one of [`Gossip::peers`].
    pub fn peer(&self, wall: WallTime, key: KeyId) -> Option<Known<'_>> {
        let (peer, claim) = (self.peers.get(&key)?, self.claims.get(wall, key)?);
        let is_good = peer.card.check_time(wall).is_ok() && self.aside.get(self.now, key).is_none();
        is_good.then_some(Known { key, card: &peer.card, claim, heard_from: peer.heard_from })
    }

    /// Drops a peer, one that is not wanted whatever permit it has: it is neither given out, nor taken again, nor passed on for `how_long`.
    pub fn forget(&mut self, now: MonoTime, peer: KeyId, how_long: Duration) {
        self.tick(now, self.wall);
        self.drop_peer(peer);
        self.forgotten.keep(peer, now.plus(how_long), ());
        self.sweep_later();
    }

    /// Permits of a peer up to a serial number are void, as the host says (spec 56.5). With such a card it is dropped, and not taken for
    /// `how_long`, which is to be until those permits are over; with a later one it is.
    pub fn revoke(&mut self, now: MonoTime, peer: KeyId, serial: u64, how_long: Duration) {
        self.tick(now, self.wall);
        let known = self.revoked.get(self.now, peer).copied();
        self.revoked.keep(peer, now.plus(how_long), known.map_or(serial, |known| known.max(serial)));
        if self.peers.get(&peer).is_some_and(|peer| peer.card.permitted().serial <= serial) {
            self.drop_peer(peer);
        }
        self.sweep_later();
    }

    /// Does not give out a peer for `how_long`, one that could not be reached. What it says is still taken and passed on: others
    /// may reach it.
    pub fn set_aside(&mut self, now: MonoTime, peer: KeyId, how_long: Duration) {
        self.tick(now, self.wall);
        self.aside.keep(peer, now.plus(how_long), ());
        self.sweep_later();
    }

    /// What was done, and how much there is.
    pub fn stats(&self) -> Stats {
        Stats { peers: self.peers.len(), links: self.links.len(), ..self.stats }
    }

    /// Takes over what the caller says of the time, and lets links speak that had to wait for it.
    fn tick(&mut self, now: MonoTime, wall: WallTime) {
        self.now = now;
        self.wall = wall;
        while let Some((_, id)) = self.waiting.first().copied().filter(|(due, _)| *due <= self.now) {
            self.waiting.pop_first();
            if let Some(link) = self.links.get_mut(&id) {
                link.waits_until = None;
                self.ready.insert(id);
            }
        }
    }

    fn sweep_later(&mut self) {
        self.sweep_at.get_or_insert(self.now.plus(SWEPT_EVERY));
    }

    /// Drops what is over. For the memory alone: nothing that is over is given out.
    fn sweep(&mut self) {
        self.claims.expire(self.wall);
        let is_over = |(key, peer): (&KeyId, &Peer)| {
            let is_silent = self.claims.get(self.wall, *key).is_none();
            let is_due = self.now.since(peer.heard_at) >= self.config.limits.card_kept;
            (is_silent && is_due).then_some(*key)
        };
        let over: Vec<KeyId> = self.peers.iter().filter_map(is_over).collect();
        for peer in over {
            self.drop_peer(peer);
        }
        self.past.expire(self.wall);
        self.forgotten.expire(self.now);
        self.aside.expire(self.now);
        self.revoked.expire(self.now);
        let is_needed = !(self.peers.is_empty()
            && self.past.is_empty()
            && self.forgotten.is_empty()
            && self.aside.is_empty()
            && self.revoked.is_empty());
        self.sweep_at = is_needed.then(|| self.now.plus(SWEPT_EVERY));
    }

    /// Drops all that is known of a peer, but how new its card was and, in the store, its claim.
    fn drop_peer(&mut self, key: KeyId) {
        let Some(peer) = self.peers.remove(&key) else { return };
        self.claims.remove(key);
        let until = peer.card.permitted().not_after.0.saturating_add(LATE_BY.as_millis() as u64);
        self.past.keep(key, WallTime(until), peer.into());
        for link in self.links.values_mut() {
            link.forget(key);
        }
    }
}
