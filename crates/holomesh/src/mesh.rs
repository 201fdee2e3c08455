//! Who is there to feed others: what nodes tell each other of it (spec 53), and whom that makes a watcher ask.
//!
//! Hosts, relays and watchers all pass it on. Watchers that lend some of their uplink say it of themselves; where relays are the host
//! says, without whom no relay serves, and with fewer bytes.

use crate::Error;
use crate::clock::wall_now;
use crate::net::{Control, PeerAddress};
use alm::planner::{self, Candidate, Load, Request};
use alm::{CapacityClaim, VerifiedClaim};
use core_types::{BitRate, Epoch, KeyId, Layer, LinkId, MonoTime, SessionId, StreamId, WallTime};
use identity::{Identity, PublicIdentity};
use peer_gossip::{Card, Config, Gossip, Kind, MAX_ADDRESSES};
use std::collections::BTreeSet;
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
}

/// What a node has to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) kind: Kind,
    pub(crate) address: PeerAddress,
    pub(crate) uplink: BitRate,
    pub(crate) subscribers: u16,
}

/// A node's part in it.
#[derive(Debug)]
pub(crate) struct Mesh {
    session: SessionId,
    me: KeyId,
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
}

impl Measured {
    /// Of somebody of whom nothing is known.
    #[cfg(test)]
    pub(crate) const NOTHING: Self = Self { rtt: None, trust: 1_000 };
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
        let seed = u64::from_be_bytes(seed);
        let gossip = Gossip::new(Config::new(session, me, host, seed));
        Ok(Self { session, me, gossip, own: None, counter: 0, seed })
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

    /// Says to all what this node has to offer, by the permit that the host has signed for it, and goes on saying it.
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
                if own.offer != offer {
                    (own.offer, own.renew_at) = (offer, now);
                }
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
                        self.own = Some(Own { offer, permit: permit.to_vec(), card, renew_at: now });
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
        let claim = CapacityClaim {
            advertiser: self.me,
            stream: None,
            epoch,
            counter: date.0,
            uplink: BitRate::from_kbit(own.offer.uplink.0 / 1_000),
            max_streams: 64,
            max_subscribers: own.offer.subscribers,
            layers: Layer { spatial: u8::MAX, temporal: u8::MAX, quality: u8::MAX },
            commitments: Vec::new(),
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

    pub(crate) fn poll_timeout(&self) -> Option<MonoTime> {
        self.own.as_ref().map(|own| own.renew_at).into_iter().chain(self.gossip.poll_timeout()).min()
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

    /// Who could not be reached there is not asked again for a while.
    pub(crate) fn set_aside(&mut self, now: MonoTime, endpoint: [u8; 32]) {
        let there = |peer: &peer_gossip::Known<'_>| peer.card.address.endpoint == endpoint;
        let peers: Vec<KeyId> = self.gossip.peers(wall_now()).filter(there).map(|peer| peer.key).collect();
        for peer in peers {
            self.gossip.set_aside(now, peer, UNREACHABLE_FOR);
        }
    }

    /// What a peer claims, if it is known.
    pub(crate) fn claim_of(&self, peer: KeyId) -> Option<&VerifiedClaim> {
        self.gossip.peer(wall_now(), peer).map(|known| known.claim)
    }

    /// How many there are who say that they feed others.
    pub(crate) fn advertisers(&self) -> u32 {
        u32::try_from(self.gossip.peers(wall_now()).count()).unwrap_or(u32::MAX)
    }

    /// The peer with that name and transport key, if it is known.
    pub(crate) fn knows(&self, peer: KeyId, endpoint: [u8; 32]) -> bool {
        self.gossip.peers(wall_now()).any(|k| k.key == peer && k.card.address.endpoint == endpoint)
    }

    /// Whom to ask, best first. `known_of` says what was measured of a peer to which there is a link, and how far it is believed.
    pub(crate) fn feeders(&self, wanted: &Wanted, known_of: impl Fn(KeyId) -> Measured) -> Vec<Feeder> {
        let wall = wall_now();
        let known: Vec<_> = self.gossip.peers(wall).collect();
        let candidates: Vec<Candidate<'_>> = known
            .iter()
            .map(|peer| {
                let Measured { rtt, trust } = known_of(peer.key);
                Candidate {
                    claim: peer.claim,
                    rtt,
                    load: Load::default(),
                    reach: 1_000,
                    path_to_source: None,
                    network: network(&peer.card.address),
                    discovered_by: peer.heard_from.map_or(0, |link| (link.0 % 251) as u8),
                    trust,
                }
            })
            .collect();
        // A peer may be an epoch behind in what it claims, or know of none: what it can carry is the same. The newest come first.
        let epochs: BTreeSet<Epoch> = candidates.iter().map(|candidate| candidate.claim.epoch).collect();
        let mut order = Vec::new();
        for epoch in epochs.into_iter().rev() {
            let request = Request {
                me: self.me,
                stream: wanted.stream,
                epoch,
                rate: BitRate(wanted.rate.0.max(1)),
                layers: Layer::BASE,
                parents: wanted.parents,
                spares: wanted.spares,
                now: wall,
                seed: self.seed,
            };
            match planner::plan(&request, &candidates) {
                Ok(plan) => order.extend(plan.parents.into_iter().chain(plan.spares).chain(plan.rest)),
                Err(error) => tracing::trace!(%error, "nobody to ask"),
            }
        }
        let of_key = |key| known.iter().find(|peer| peer.key == key);
        let feeder = |key| {
            of_key(key).map(|peer| Feeder { key, kind: peer.card.kind, address: peer.card.address.clone() })
        };
        order.into_iter().filter_map(feeder).collect()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(addresses: &[&str]) -> PeerAddress {
        let addresses = addresses.iter().map(|a| a.parse().expect("an address")).collect();
        PeerAddress { endpoint: [1; 32], addresses, direct: None }
    }

    #[test]
    fn a_card_names_what_others_can_dial_and_each_once() {
        let many: Vec<String> = (1..20).map(|n| format!("10.0.0.{n}:7")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(on_a_card(&address(&many)).addresses.len(), MAX_ADDRESSES);
        let odd = address(&["0.0.0.0:5", "[::]:5", "10.0.0.1:0", "10.0.0.2:5", "10.0.0.2:5"]);
        assert_eq!(on_a_card(&odd), address(&["10.0.0.2:5"]));
    }

    #[test]
    fn neighbours_are_of_one_network() {
        let of = |a| network(&address(&[a]));
        assert_eq!(of("10.0.0.1:5"), of("10.0.0.200:9"));
        assert_ne!(of("10.0.0.1:5"), of("10.0.1.1:5"));
        assert_eq!(of("[2001:db8:1::1]:5"), of("[2001:db8:1:9::1]:5"));
        assert_ne!(of("[2001:db8:1::1]:5"), of("[2001:db8:2::1]:5"));
        assert_ne!(of("0.0.0.1:5"), of("[::1]:5"));
    }

    #[test]
    fn what_a_node_says_of_itself_is_said_anew_before_it_is_over_and_no_more_often() {
        let host = Identity::from_seed(&identity::Seed([1; 64])).expect("a key");
        let peer = Identity::from_seed(&identity::Seed([2; 64])).expect("a key");
        let session = SessionId([3; 32]);
        let WallTime(wall) = wall_now();
        let permit = av_wire::permit::Permit {
            session,
            issuer: host.key_id(),
            holder: peer.key_id(),
            role: Kind::Watcher.role(),
            serial: 1,
            not_before: WallTime(wall - 1_000),
            not_after: WallTime(wall + 600_000),
            streams: av_wire::permit::PermitStreams::All,
            max_bytes_per_second: 0,
            max_subscribers: 0,
        };
        let permit = permit.sign(&host).expect("a permit");
        let mut mesh = Mesh::new(session, peer.key_id(), host.public().clone()).expect("a seed");
        let offer = Offer {
            kind: Kind::Watcher,
            address: address(&["10.0.0.2:5"]),
            uplink: BitRate::from_kbit(5_000),
            subscribers: 8,
        };
        let mut other = Mesh::new(session, host.key_id(), host.public().clone()).expect("a seed");
        let link = LinkId(1);
        mesh.add_link(MonoTime(0), link);
        other.add_link(MonoTime(0), link);
        mesh.offer(MonoTime(0), &peer, offer.clone(), &permit, Epoch(2));
        let Some((to, Control::Gossip { entries })) = mesh.poll_message() else { panic!("nothing is said") };
        assert_eq!((to, entries.len()), (link, 2));
        assert_eq!(other.handle(MonoTime(0), link, &entries), Ok(()));
        let wanted =
            Wanted { stream: StreamId([9; 32]), rate: BitRate::from_kbit(1_000), parents: 4, spares: 2 };
        let feeders = other.feeders(&wanted, |_| Measured::NOTHING);
        let feeder = Feeder { key: peer.key_id(), kind: Kind::Watcher, address: offer.address.clone() };
        assert_eq!(feeders, [feeder]);
        assert!(other.knows(peer.key_id(), [1; 32]) && !other.knows(peer.key_id(), [2; 32]));

        // The same once more is nothing new, and a claim is renewed after 25 s.
        let last = offer.clone();
        mesh.offer(MonoTime::from_millis(20_000), &peer, offer, &permit, Epoch(2));
        mesh.renew(MonoTime::from_millis(24_999), &peer, Epoch(3));
        assert_eq!(mesh.poll_message(), None);
        mesh.renew(MonoTime::from_millis(25_000), &peer, Epoch(3));
        let Some((_, Control::Gossip { entries })) = mesh.poll_message() else { panic!("it is not renewed") };
        assert_eq!(entries.len(), 1, "the claim alone");
        assert_eq!(other.handle(MonoTime::from_millis(25_000), link, &entries), Ok(()));
        // What it can carry is said anew, and its card is not.
        let less = Offer { uplink: BitRate::from_kbit(500), ..last };
        mesh.offer(MonoTime::from_millis(28_000), &peer, less, &permit, Epoch(3));
        let Some((_, Control::Gossip { entries })) = mesh.poll_message() else { panic!("it is not said") };
        assert_eq!(entries.len(), 1);
        assert_eq!(other.handle(MonoTime::from_millis(28_000), link, &entries), Ok(()));
        let uplink = other.claim_of(peer.key_id()).expect("a claim").uplink;
        assert_eq!((uplink, other.advertisers()), (BitRate::from_kbit(500), 1));
        // Who is not believed is not asked.
        let liar = Measured { trust: 0, ..Measured::NOTHING };
        assert_eq!(other.feeders(&wanted, |_| liar), []);
        other.expel(MonoTime::from_millis(28_000), peer.key_id());
        assert_eq!(other.feeders(&wanted, |_| Measured::NOTHING), []);
    }
}
