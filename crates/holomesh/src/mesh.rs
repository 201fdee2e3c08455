//! Who is there to feed others: what nodes tell each other of it (spec 53), and whom that makes a watcher ask.
//!
//! Hosts, relays and watchers all pass it on. Relays say it of themselves, and watchers that lend some of their uplink.

use crate::Error;
use crate::clock::wall_now;
use crate::net::{Control, PeerAddress};
use alm::CapacityClaim;
use alm::planner::{self, Candidate, Load, Request};
use core_types::{BitRate, Epoch, KeyId, Layer, LinkId, MonoTime, SessionId, StreamId, WallTime};
use identity::{Identity, PublicIdentity};
use peer_gossip::{Card, Config, Gossip, Kind};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// A claim is good for so long, and made anew after half of that.
const CLAIM_FOR: Duration = Duration::from_secs(60);
const RENEW_AFTER: Duration = Duration::from_secs(25);
/// Who could not be reached is not asked for so long; others may still reach it.
const UNREACHABLE_FOR: Duration = Duration::from_secs(30);

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
        let is_new = self.own.as_ref().is_none_or(|own| own.offer != offer || own.permit != permit);
        if is_new {
            let card = Card {
                session: self.session,
                identity: identity.public().clone(),
                address: offer.address.clone(),
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
        self.renew(now, identity, epoch);
    }

    /// What is made now is newer than what was made before.
    fn date(&mut self) -> WallTime {
        self.counter = wall_now().0.max(self.counter + 1);
        WallTime(self.counter)
    }

    /// Claims anew what this node has to offer, if that is due.
    pub(crate) fn renew(&mut self, now: MonoTime, identity: &Identity, epoch: Epoch) {
        let date = self.date();
        let Some(own) = self.own.as_mut().filter(|own| own.renew_at <= now) else { return };
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

    /// Says nothing more of this node: it is about to go.
    pub(crate) fn withdraw(&mut self) {
        self.own = None;
        self.gossip.withdraw_own();
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

    /// Who could not be reached there is not asked again for a while.
    pub(crate) fn set_aside(&mut self, now: MonoTime, endpoint: [u8; 32]) {
        let there = |peer: &peer_gossip::Known<'_>| peer.card.address.endpoint == endpoint;
        let peers: Vec<KeyId> = self.gossip.peers(wall_now()).filter(there).map(|peer| peer.key).collect();
        for peer in peers {
            self.gossip.set_aside(now, peer, UNREACHABLE_FOR);
        }
    }

    /// The peer with that name and transport key, if it is known.
    pub(crate) fn knows(&self, peer: KeyId, endpoint: [u8; 32]) -> bool {
        self.gossip.peers(wall_now()).any(|k| k.key == peer && k.card.address.endpoint == endpoint)
    }

    /// Whom to ask, best first. `rtt` is what was measured to a peer.
    pub(crate) fn feeders(&self, wanted: &Wanted, rtt: impl Fn(KeyId) -> Option<Duration>) -> Vec<Feeder> {
        let wall = wall_now();
        let known: Vec<_> = self.gossip.peers(wall).collect();
        let candidates: Vec<Candidate<'_>> = known
            .iter()
            .map(|peer| Candidate {
                claim: peer.claim,
                rtt: rtt(peer.key),
                load: Load::default(),
                reach: 1_000,
                path_to_source: None,
                network: network(&peer.card.address),
                discovered_by: peer.heard_from.map_or(0, |link| (link.0 % 251) as u8),
                trust: 1_000,
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

/// Peers of one network are likely to fail together: those whose first addresses share 24 bits, or 48 of IPv6.
fn network(address: &PeerAddress) -> u64 {
    let ip = address.addresses.first().map(|address| address.ip());
    match ip {
        Some(IpAddr::V4(ip)) => u64::from(u32::from(ip) >> 8),
        Some(IpAddr::V6(ip)) => (u128::from(ip) >> 80) as u64 | 1 << 63,
        None => 0,
    }
}
