//! Who feeds whom among the watchers: what is heard of others, whom that makes us dial, and what others hear of us.

use super::Watcher;
use super::reach::SPARES;
use super::spread::Dealt;
use crate::mesh::{Feeder, Offer, Wanted};
use crate::net::{Link, PeerAddress, Role};
use crate::publish::StreamKind;
use crate::watch::receive::InStream;
use core_types::{Epoch, KeyId, LinkId};
use peer_gossip::Kind;
use std::time::{Duration, Instant};

/// What is heard of others is looked at so often.
const LOOK: Duration = Duration::from_millis(500);
/// Subscriptions that a watcher claims to take for each stripe's worth of uplink: spares take nothing.
const PLACES: u64 = 2;

impl Watcher {
    /// Takes what a peer says of others. False if it broke the rules.
    pub(super) fn hear(&mut self, link: LinkId, entries: &[Vec<u8>]) -> bool {
        let outcome = self.mesh.handle(self.clock.now(), link, entries);
        if let Err(why) = &outcome {
            tracing::info!(%link, why, "link closed");
        }
        self.tell();
        outcome.is_ok()
    }

    /// Sends what others are to hear.
    pub(super) fn tell(&mut self) {
        while let Some((link, message)) = self.mesh.poll_message() {
            match &self.serving {
                Some(serving) if serving.has(link) => serving.core.send(link, &message),
                _ => self.send(link, &message),
            }
        }
    }

    /// Says what this watcher lends and carries, by the permit that the host has signed for it; again where that has changed.
    pub(super) fn offer(&mut self) {
        let way = self.way();
        let rate = self.streams_rate();
        let stripes = self.dealt().map_or(4, |(_, _, parts)| u64::from(parts));
        let now = self.clock.now();
        let (Some(serving), Some(permit)) = (&mut self.serving, self.permit.clone()) else { return };
        serving.look_at_uplink(now);
        let uplink = serving.claimable(now);
        let stripe = (rate.0 / stripes.max(1)).max(1);
        let places = uplink.0 / stripe * PLACES;
        let offer = Offer {
            kind: Kind::Watcher,
            address: self.net.address(),
            uplink,
            subscribers: u16::try_from(places).unwrap_or(u16::MAX),
            load: serving.load(),
            way,
        };
        let epoch = self.snapshot.epoch.unwrap_or(Epoch(0));
        self.mesh.offer(self.clock.now(), self.net.identity(), offer, &permit, epoch);
        self.tell();
    }

    /// From whom this watcher has the part in which it feeds others, and so on to the publisher, as far as that is known.
    fn way(&self) -> Vec<KeyId> {
        let at_home = |stream: &&InStream| !Dealt::of(stream).home(self.home).is_empty();
        let streams = self.streams.values().filter(at_home);
        let stream = streams.max_by_key(|stream| stream.kind == StreamKind::Video);
        let carrier =
            stream.and_then(|stream| stream.subscription.carrier(Dealt::of(stream).home(self.home)));
        let peer = carrier.and_then(|link| self.links.get(&link)).map(|link| &link.peer);
        peer.map_or_else(Vec::new, |peer| self.mesh.way_by(peer.key_id(), peer.role))
    }

    /// Looks at who is there, and renews what is said of this node.
    pub(super) fn tend_mesh(&mut self, now: Instant) {
        let time = self.clock.now();
        self.mesh.handle_timeout(time);
        self.mesh.renew(time, self.net.identity(), self.snapshot.epoch.unwrap_or(Epoch(0)));
        self.tell();
        if now >= self.look_at {
            self.look_at = now + LOOK;
            self.offer();
            if self.snapshot.epoch.is_some() {
                self.close_useless();
                self.reach_relays();
            }
        }
    }

    /// Whom to dial, best first: the relays that the host names, then whom others know of.
    pub(super) fn candidates(&mut self) -> Vec<PeerAddress> {
        let (feeders, mut candidates) = (self.feeders(), self.relays.clone());
        self.mesh.sort_relays(&mut candidates, &feeders);
        for feeder in feeders {
            // A relay may say where it is in other words than the host. Of anybody else the endpoint says nothing: anybody may say that he
            // is at another one's.
            let is_named = |named: &PeerAddress| named.endpoint == feeder.address.endpoint;
            let is_known = feeder.kind == Kind::Relay && self.relays.iter().any(is_named);
            if !is_known && !candidates.contains(&feeder.address) {
                candidates.push(feeder.address);
            }
        }
        candidates
    }

    fn feeders(&mut self) -> Vec<Feeder> {
        let (now, rtts) = (self.clock.now(), self.round_trips());
        let Some((stream, rate, parts)) = self.dealt() else { return Vec::new() };
        let parents = parts.clamp(1, 16);
        let wanted = Wanted { stream, rate, parents, spares: SPARES as u8 };
        let mut feeders = self.mesh.feeders(&wanted, |peer| self.measured(&rtts, now, peer));
        let own = self.lends_in();
        feeders.retain(|f| f.kind == Kind::Relay || super::parents::may_feed(f.key, own, parents));
        feeders
    }

    /// Whether the peer that was reached is one that may feed us, and is what it says: a watcher that said that it is a relay would have all
    /// stripes to send, and nobody would accuse it. By which of its addresses it was reached says nothing.
    pub(super) fn may_feed_us(&self, address: &PeerAddress, link: &Link) -> bool {
        let knows_as = |kind| self.mesh.knows_as(link.peer.key_id(), address.endpoint, kind);
        match link.peer.role {
            Role::Relay => {
                self.relays.iter().any(|named| named.endpoint == address.endpoint) || knows_as(Kind::Relay)
            }
            Role::Watcher => knows_as(Kind::Watcher),
            Role::Host => false,
        }
    }
}
