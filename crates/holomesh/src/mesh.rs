//! Who is there to feed others: what nodes tell each other of it (spec 53), and whom that makes a watcher ask.
//!
//! Hosts, relays and watchers all pass it on. Relays, and watchers that lend some of their uplink, say of themselves what they can carry and
//! what they carry. Where relays are the host says too, so that who comes knows of all of them at once.

mod news;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::clock::wall_now;
use crate::net::{Control, PeerAddress, Role};
use alm::planner::{self, Candidate, Request};
use alm::{CapacityClaim, Load, VerifiedClaim};
use core_types::{BitRate, Epoch, KeyId, Layer, LinkId, MonoTime, SessionId, StreamId, WallTime};
use identity::{Identity, PublicIdentity};
use peer_gossip::{Card, Config, Gossip, Kind, MAX_ADDRESSES};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A claim is good for so long, and made anew before half of that has passed: one that is lost on the way costs nothing.
const CLAIM_FOR: Duration = Duration::from_secs(60);
const RENEW_AFTER: Duration = Duration::from_secs(25);
/// Who could not be reached is not asked for so long; others may still reach it.
const UNREACHABLE_FOR: Duration = Duration::from_secs(30);

/// No permit is good for longer than this, whatever clock it is held against.
const PERMITS_LAST: Duration = Duration::from_secs(900);

/// What a node says of itself.
#[derive(Debug)]
struct Own {
    offer: Offer,
    permit: Vec<u8>,
    card: Vec<u8>,
    renew_at: MonoTime,
    /// What was said last, and when.
    said: Option<(MonoTime, Offer)>,
}

/// What a node has to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) kind: Kind,
    pub(crate) address: PeerAddress,
    pub(crate) uplink: BitRate,
    pub(crate) subscribers: u16,
    /// What it carries at present.
    pub(crate) load: Load,
    /// From whom it has what it feeds to others, and so on to the publisher; nobody if that is not known.
    pub(crate) way: Vec<KeyId>,
}

/// A node's part in it.
#[derive(Debug)]
pub(crate) struct Mesh {
    session: SessionId,
    me: KeyId,
    host: KeyId,
    gossip: Gossip,
    own: Option<Own>,
    /// The last claim's counter.
    counter: u64,
    seed: u64,
}

/// Somebody who may be asked to feed us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feeder {
    pub(crate) key: KeyId,
    pub(crate) kind: Kind,
    pub(crate) address: PeerAddress,
}

/// What a watcher knows of a peer by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Time to it and back; `None` before it was dialled.
    pub(crate) rtt: Option<Duration>,
    /// How far its claims are believed, in thousandths.
    pub(crate) trust: u16,
    /// It has said that it has no place for us.
    pub(crate) full: bool,
}

impl Measured {
    /// Of somebody of whom nothing is known.
    #[cfg(test)]
    pub(crate) const NOTHING: Self = Self { rtt: None, trust: 1_000, full: false };
}

/// What a watcher looks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) stream: StreamId,
    pub(crate) rate: BitRate,
    pub(crate) parents: u8,
    pub(crate) spares: u8,
}

impl Mesh {
    /// `host` is the identity that signs the session's permits.
    pub(crate) fn new(session: SessionId, me: KeyId, host: PublicIdentity) -> Result<Self, Error> {
        let mut seed = [0; 8];
        crate::keyfile::fill_random(&mut seed)?;
        Ok(Self::with_seed(session, me, host, u64::from_be_bytes(seed)))
    }

    fn with_seed(session: SessionId, me: KeyId, host: PublicIdentity, seed: u64) -> Self {
        let host_key = host.key_id();
        let gossip = Gossip::new(Config::new(session, me, host, seed));
        Self { session, me, host: host_key, gossip, own: None, counter: 0, seed }
    }

    /// Takes part over a link from now on, once it is known that the peer belongs to the session.
    pub(crate) fn add_link(&mut self, now: MonoTime, link: LinkId) {
        self.gossip.add_link(now, link);
    }

    pub(crate) fn remove_link(&mut self, link: LinkId) {
        self.gossip.remove_link(link);
    }

    /// Takes what came over a link.
    ///
    /// # Errors
    /// A sentence that says what the peer has done wrong.
    pub(crate) fn handle(&mut self, now: MonoTime, link: LinkId, entries: &[Vec<u8>]) -> Result<(), String> {
        match self.gossip.handle(now, wall_now(), link, entries) {
            Err(error) if error.is_peer_fault() => Err(error.to_string()),
            Err(error) => {
                tracing::debug!(%link, %error, "what a peer says of others is left out");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Says to all what this node has to offer, by the permit that the host has signed for it, and goes on saying it. To be called often: what
    /// has not changed by much is said when the claim is renewed.
    pub(crate) fn offer(
        &mut self,
        now: MonoTime,
        identity: &Identity,
        offer: Offer,
        permit: &[u8],
        epoch: Epoch,
    ) {
        let is_other = |own: &Own| {
            (&own.offer.address, own.offer.kind) != (&offer.address, offer.kind) || own.permit != permit
        };
        match &mut self.own {
            // What it can carry stands in the claim alone.
            Some(own) if !is_other(own) => {
                if own.said.as_ref().is_none_or(|(at, said)| news::is_due(now.since(*at), said, &offer)) {
                    own.renew_at = now;
                }
                own.offer = offer;
            }
            _ => {
                let card = Card {
                    session: self.session,
                    identity: identity.public().clone(),
                    address: on_a_card(&offer.address),
                    kind: offer.kind,
                    issued_at: self.date(),
                    permit: permit.to_vec(),
                };
                match card.sign(identity) {
                    Ok(card) => {
                        self.own =
                            Some(Own { offer, permit: permit.to_vec(), card, renew_at: now, said: None });
                    }
                    Err(error) => return tracing::warn!(%error, "nobody is told of this node"),
                }
            }
        }
        self.renew(now, identity, epoch);
    }

    /// What is made now is newer than what was made before.
    fn date(&mut self) -> WallTime {
        self.counter = wall_now().0.max(self.counter + 1);
        WallTime(self.counter)
    }

    /// Claims anew what this node has to offer, if that is due.
    pub(crate) fn renew(&mut self, now: MonoTime, identity: &Identity, epoch: Epoch) {
        if self.own.as_ref().is_none_or(|own| own.renew_at > now) {
            return;
        }
        let date = self.date();
        let Some(own) = &mut self.own else { return };
        own.renew_at = now.plus(RENEW_AFTER);
        own.said = Some((now, own.offer.clone()));
        let load = Load { used: whole_kbit(own.offer.load.used), ..own.offer.load };
        let claim = CapacityClaim {
            advertiser: self.me,
            stream: None,
            epoch,
            counter: date.0,
            uplink: whole_kbit(own.offer.uplink),
            max_streams: 64,
            max_subscribers: own.offer.subscribers,
            layers: Layer { spatial: u8::MAX, temporal: u8::MAX, quality: u8::MAX },
            commitments: Vec::new(),
            load,
            way: own.offer.way.clone(),
            issued_at: date,
            valid_until: WallTime(date.0 + CLAIM_FOR.as_millis() as u64),
        };
        let told = claim.sign(identity).map_err(|error| error.to_string()).and_then(|claim| {
            let card = own.card.clone();
            self.gossip.set_own(now, wall_now(), card, claim).map_err(|error| error.to_string())
        });
        if let Err(error) = told {
            tracing::warn!(error, "nobody is told of this node");
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: MonoTime) {
        self.gossip.handle_timeout(now, wall_now());
    }

    /// When what this node has to offer is to be said again.
    pub(crate) fn renew_at(&self) -> Option<MonoTime> {
        self.own.as_ref().map(|own| own.renew_at)
    }

    pub(crate) fn poll_timeout(&self) -> Option<MonoTime> {
        self.renew_at().into_iter().chain(self.gossip.poll_timeout()).min()
    }

    /// What to send next.
    pub(crate) fn poll_message(&mut self) -> Option<(LinkId, Control)> {
        self.gossip.poll_message().map(|(link, entries)| (link, Control::Gossip { entries }))
    }

    /// Permits of a peer up to that serial are void: it is named to nobody by them.
    pub(crate) fn revoke(&mut self, now: MonoTime, peer: KeyId, serial: u64) {
        self.gossip.revoke(now, peer, serial, PERMITS_LAST);
    }

    /// Somebody is no member any more: what it has shown of itself so far is void.
    pub(crate) fn expel(&mut self, now: MonoTime, peer: KeyId) {
        let serial = self.gossip.peer(wall_now(), peer).map(|known| known.card.permitted().serial);
        if let Some(serial) = serial {
            self.revoke(now, peer, serial);
        }
    }

    /// Somebody is not asked again for a while.
    pub(crate) fn leave_alone(&mut self, now: MonoTime, peer: KeyId) {
        self.gossip.set_aside(now, peer, UNREACHABLE_FOR);
    }

    /// Who could not be reached there is not asked again for a while.
    pub(crate) fn set_aside(&mut self, now: MonoTime, address: &PeerAddress) {
        let there = |peer: &peer_gossip::Known<'_>| peer.card.address == *address;
        let peers: Vec<KeyId> = self.gossip.peers(wall_now()).filter(there).map(|peer| peer.key).collect();
        for peer in peers {
            self.leave_alone(now, peer);
        }
    }

    /// What this node claims that it can carry; 0 if it offers nothing.
    pub(crate) fn offered(&self) -> BitRate {
        self.own.as_ref().map_or(BitRate(0), |own| own.offer.uplink)
    }

    /// What a peer claims, if it is known.
    pub(crate) fn claim_of(&self, peer: KeyId) -> Option<&VerifiedClaim> {
        self.gossip.peer(wall_now(), peer).map(|known| known.claim)
    }

    /// How many watchers there are that say that they feed others.
    pub(crate) fn advertisers(&self) -> u32 {
        let lends = |peer: &peer_gossip::Known<'_>| peer.card.kind == Kind::Watcher;
        u32::try_from(self.gossip.peers(wall_now()).filter(lends).count()).unwrap_or(u32::MAX)
    }

    /// The way to the publisher of who has something from that peer: nobody if it is not known, or leads back here.
    pub(crate) fn way_by(&self, parent: KeyId, role: Role) -> Vec<KeyId> {
        let mut way = vec![parent];
        match role {
            Role::Host => {}
            // Relays have what they carry from the host.
            Role::Relay => way.push(self.host),
            Role::Watcher => match self.claim_of(parent).and_then(|claim| claim.path_to_source()) {
                Some(above) => way.extend(above),
                None => return Vec::new(),
            },
        }
        way.truncate(CapacityClaim::MAX_WAY);
        if way.contains(&self.me) { Vec::new() } else { way }
    }

    /// The relays that the host names in the order in which to ask them: first those of `planned`, in that order; then those of whom
    /// nothing is known; then those that say that they have no room, the one that sends least first. Where nothing else decides, everybody
    /// has an order of his own.
    pub(crate) fn sort_relays(&self, relays: &mut [PeerAddress], planned: &[Feeder]) {
        let wall = wall_now();
        let mut says = BTreeMap::new();
        // A card does not show that its endpoint is its own: that a relay is one, its permit does.
        for peer in self.gossip.peers(wall).filter(|peer| peer.card.kind == Kind::Relay) {
            says.insert(peer.card.address.endpoint, peer.claim.load.used.0);
        }
        relays.sort_by_cached_key(|relay| {
            let is_it =
                |feeder: &Feeder| feeder.kind == Kind::Relay && feeder.address.endpoint == relay.endpoint;
            let at = planned.iter().position(is_it);
            let (class, place) = match (at, says.get(&relay.endpoint)) {
                (Some(at), _) => (0, at as u64),
                (None, None) => (1, 0),
                (None, Some(used)) => (2, *used),
            };
            (class, place, self.lot(&relay.endpoint))
        });
    }

    fn lot(&self, endpoint: &[u8; 32]) -> [u8; 32] {
        let hash = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(endpoint);
        hash.finalize().into()
    }

    /// Those who say that they feed others: who, what they are, what they claim that they can carry, and to how many.
    pub(crate) fn known(&self) -> Vec<(KeyId, Kind, BitRate, u16)> {
        let known = self.gossip.peers(wall_now());
        known.map(|k| (k.key, k.card.kind, k.claim.uplink, k.claim.max_subscribers)).collect()
    }

    /// Whether that peer is known to be there, with that transport key and as one of that kind.
    pub(crate) fn knows_as(&self, peer: KeyId, endpoint: [u8; 32], kind: Kind) -> bool {
        let known = self.gossip.peer(wall_now(), peer);
        known.is_some_and(|known| known.card.address.endpoint == endpoint && known.card.kind == kind)
    }

    /// Whom to ask, best first. `known_of` says what was measured of a peer to which there is a link, and how far it is believed.
    pub(crate) fn feeders(&self, wanted: &Wanted, known_of: impl Fn(KeyId) -> Measured) -> Vec<Feeder> {
        let wall = wall_now();
        let known: Vec<_> = self.gossip.peers(wall).collect();
        let ways: Vec<Vec<KeyId>> = known.iter().map(|peer| self.way_of(peer)).collect();
        let candidates: Vec<Candidate<'_>> = known
            .iter()
            .zip(&ways)
            .map(|(peer, way)| {
                let Measured { rtt, trust, full } = known_of(peer.key);
                let load = peer.claim.load;
                Candidate {
                    claim: peer.claim,
                    rtt,
                    load: if full { Load { subscribers: u16::MAX, ..load } } else { load },
                    reach: 1_000,
                    path_to_source: (!way.is_empty()).then_some(way.as_slice()),
                    network: network(&peer.card.address),
                    discovered_by: peer.heard_from.map_or(0, |link| (link.0 % 251) as u8),
                    trust,
                }
            })
            .collect();
        let request = Request {
            me: self.me,
            stream: wanted.stream,
            // A peer may be an epoch behind in what it claims, or know of none: what it can carry is the same.
            epoch: None,
            rate: BitRate(wanted.rate.0.max(1)),
            layers: Layer::BASE,
            parents: wanted.parents,
            spares: wanted.spares,
            now: wall,
            seed: self.seed,
        };
        let mut order = Vec::new();
        match planner::plan(&request, &candidates) {
            Ok(plan) => order.extend(plan.parents.into_iter().chain(plan.spares).chain(plan.rest)),
            Err(error) => tracing::trace!(%error, "nobody to ask"),
        }
        let of_key = |key| known.iter().find(|peer| peer.key == key);
        let feeder = |key| {
            of_key(key).map(|peer| Feeder { key, kind: peer.card.kind, address: peer.card.address.clone() })
        };
        order.into_iter().filter_map(feeder).collect()
    }

    /// What a peer says of its way to the publisher, as far as that counts. A watcher that says that the host feeds it is no nearer than one
    /// behind a relay: whoever has a place with a relay could say the same.
    fn way_of(&self, peer: &peer_gossip::Known<'_>) -> Vec<KeyId> {
        let mut way = peer.claim.way.clone();
        if peer.card.kind == Kind::Watcher && way.len() == 1 {
            way.push(self.host);
        }
        way
    }
}

/// As claims say it, rounded down.
const fn whole_kbit(rate: BitRate) -> BitRate {
    BitRate(rate.0 - rate.0 % 1_000)
}

/// What of an address others can dial, and as much as a card holds: an address of all zeros stands for all of a machine's.
fn on_a_card(address: &PeerAddress) -> PeerAddress {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in address.addresses.iter().filter(|a| !a.ip().is_unspecified() && a.port() != 0) {
        if addresses.len() < MAX_ADDRESSES && !addresses.contains(address) {
            addresses.push(*address);
        }
    }
    PeerAddress { addresses, ..address.clone() }
}

/// Peers of one network are likely to fail together: those whose first addresses share 24 bits, or 48 of IPv6.
fn network(address: &PeerAddress) -> u64 {
    network_of(address.addresses.first().map(SocketAddr::ip))
}

/// The network that an address belongs to, as far as that says who may be one with whom; 0 for none.
pub(crate) fn network_of(ip: Option<IpAddr>) -> u64 {
    match ip.map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => u64::from(u32::from(ip) >> 8),
        Some(IpAddr::V6(ip)) => (u128::from(ip) >> 80) as u64 | 1 << 63,
        None => 0,
    }
}
