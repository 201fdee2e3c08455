//! Who feeds whom among the watchers: what is heard of others, whom that makes us dial, and what others hear of us.

use super::Watcher;
use super::parents::SPARES;
use crate::mesh::{Feeder, Offer, Wanted};
use crate::net::{Link, PeerAddress, Role};
use core_types::{Epoch, LinkId};
use peer_gossip::Kind;
use std::time::{Duration, Instant};

/// What is heard of others is looked at so often.
const LOOK: Duration = Duration::from_millis(500);
/// What can be lent is said anew when it has changed by so many per cent, …
const CHANGED: u64 = 25;
/// … not more often than this, and if it is more than before than this.
const LEAST: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(5);
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
        let rate = self.streams_rate();
        let stripes = self.dealt().map_or(4, |(_, _, parts)| u64::from(parts));
        let now = self.clock.now();
        let (Some(serving), Some(permit)) = (&mut self.serving, self.permit.clone()) else { return };
        let uplink = serving.claimable(now);
        let stripe = (rate.0 / stripes.max(1)).max(1);
        let places = uplink.0 / stripe * PLACES;
        self.offered = (uplink, Some(Instant::now()));
        let offer = Offer {
            kind: Kind::Watcher,
            address: self.net.address(),
            uplink,
            subscribers: u16::try_from(places).unwrap_or(u16::MAX),
        };
        let epoch = self.snapshot.epoch.unwrap_or(Epoch(0));
        self.mesh.offer(self.clock.now(), self.net.identity(), offer, &permit, epoch);
        self.tell();
    }

    /// Says so when what can be lent has become another: less at once, more when that was not said a moment ago.
    fn offer_anew(&mut self, now: Instant) {
        let time = self.clock.now();
        let Some(serving) = &mut self.serving else { return };
        serving.look_at_uplink(time);
        let (was, said_at) = self.offered;
        let is = serving.claimable(time);
        let less = is.0.saturating_mul(100) < was.0.saturating_mul(100 - CHANGED);
        let more = is.0.saturating_mul(100) > was.0.saturating_mul(100 + CHANGED);
        let due = said_at.is_some_and(|at| now.duration_since(at) >= if less { LEAST } else { AGAIN });
        if (less || more) && due {
            self.offer();
        }
    }

    /// Looks at who is there, and renews what is said of this node.
    pub(super) fn tend_mesh(&mut self, now: Instant) {
        let time = self.clock.now();
        self.mesh.handle_timeout(time);
        self.mesh.renew(time, self.net.identity(), self.snapshot.epoch.unwrap_or(Epoch(0)));
        self.tell();
        if now >= self.look_at {
            self.look_at = now + LOOK;
            self.offer_anew(now);
            if self.snapshot.epoch.is_some() {
                self.reach_relays();
            }
        }
    }

    /// Whom to dial, best first: the relays that the host names, then whom others know of.
    pub(super) fn candidates(&mut self) -> Vec<PeerAddress> {
        let mut candidates = self.relays.clone();
        for feeder in self.feeders() {
            if !candidates.iter().any(|known| known.endpoint == feeder.address.endpoint) {
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

    /// Whether the peer that was dialled is one that may feed us.
    pub(super) fn may_feed_us(&self, address: &PeerAddress, link: &Link) -> bool {
        match link.peer.role {
            Role::Relay => true,
            Role::Watcher => self.mesh.knows(link.peer.key_id(), address.endpoint),
            Role::Host => false,
        }
    }
}
