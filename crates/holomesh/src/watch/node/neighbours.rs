//! Who feeds whom among the watchers: what is heard of others, whom that makes us dial, and what others hear of us.

use super::Watcher;
use super::parents::SPARES;
use crate::mesh::{Feeder, Offer, Wanted};
use crate::net::{Link, PeerAddress, Role};
use crate::publish::StreamKind;
use core_types::{Epoch, LinkId};
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

    /// Says what this watcher lends, by the permit that the host has signed for it.
    pub(super) fn offer(&mut self) {
        let (Some(serving), Some(permit)) = (&self.serving, self.permit.clone()) else { return };
        let video = self.streams.values().max_by_key(|stream| stream.kind == StreamKind::Video);
        let stripes = video.map_or(4, |stream| u64::from(stream.announce.parents));
        let stripe = (self.streams_rate().0 / stripes.max(1)).max(1);
        let places = serving.uplink().0 / stripe * PLACES;
        let offer = Offer {
            kind: Kind::Watcher,
            address: self.net.address(),
            uplink: serving.uplink(),
            subscribers: u16::try_from(places).unwrap_or(u16::MAX),
        };
        let epoch = self.snapshot.epoch.unwrap_or(Epoch(0));
        self.mesh.offer(self.clock.now(), self.net.identity(), offer, &permit, epoch);
        self.tell();
    }

    /// Looks at who is there, and renews what is said of this node.
    pub(super) fn tend_mesh(&mut self, now: Instant) {
        let time = self.clock.now();
        self.mesh.handle_timeout(time);
        self.mesh.renew(time, self.net.identity(), self.snapshot.epoch.unwrap_or(Epoch(0)));
        self.tell();
        if now >= self.look_at {
            self.look_at = now + LOOK;
            if self.snapshot.epoch.is_some() {
                self.reach_relays();
            }
        }
    }

    /// Whom to dial, best first: the relays that the host names, then whom others know of.
    pub(super) fn candidates(&self) -> Vec<PeerAddress> {
        let mut candidates = self.relays.clone();
        for feeder in self.feeders() {
            if !candidates.iter().any(|known| known.endpoint == feeder.address.endpoint) {
                candidates.push(feeder.address);
            }
        }
        candidates
    }

    fn feeders(&self) -> Vec<Feeder> {
        let Some(stream) = self.streams.values().max_by_key(|stream| stream.kind == StreamKind::Video) else {
            return Vec::new();
        };
        let parents = stream.announce.parents.clamp(1, 16);
        let wanted = Wanted { stream: stream.id, rate: stream.rate(), parents, spares: SPARES as u8 };
        let mut feeders = self.mesh.feeders(&wanted);
        let own = self.lends_in();
        feeders.retain(|f| f.kind == Kind::Relay || super::parents::may_feed(f.key, own, parents));
        feeders
    }

    /// Whether the peer that was dialled is one that may feed us.
    pub(super) fn may_feed_us(&self, address: &PeerAddress, link: &Link) -> bool {
        match link.peer.role {
            Role::Relay => true,
            Role::Watcher => self.mesh.knows(link.peer.key_id(), address.endpoint),
            Role::Host => false,
        }
    }
}
