//! The relay's state machine with the links that it speaks to. A host has one as well: it feeds its relays, and serves
//! watchers itself where there are none.

mod gossip;
mod hops;
mod transmit;

use super::losses::Told;
use super::made::Made;
use super::requests::{REQUESTS, RequestMeter};
use super::status::{Announced, Past, count};
use crate::mesh::Mesh;
use crate::net::{Control, LaneChange, Lanes, Link, Transport};
use crate::service::status::{ByTransport, Refused, RequestsRefused};
use crate::service::uplink::Uplink;
use crate::{Clock, Error};
use alm::Load;
use av_congestion::{RepairConfig, RepairShare};
use av_relay::{Carriage, Limits, Permission, Quota, Relay, Stats};
use av_wire::{AwsLc, FreshChunk, HopReceiver, HopSuite};
use bytes::Bytes;
use control_wire::Start;
use core_types::{BitRate, CodecId, KeyId, LayerPolicy, LinkId, MonoTime, StreamId, StripeSet};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// QUIC connections that are sent to in one turn.
const QUIC_TURN: usize = 12;
/// Chunks that go to one link in one go: about what one send holds.
const BURST: usize = 56;
/// How often the links' measured loss is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A link that is for nothing, since it may have no stream, is closed after this time: its place is for others.
const IDLE: Duration = Duration::from_secs(10);
/// Chunks of a stream that is not carried any more may be under way for so long.
const UNDER_WAY: Duration = Duration::from_secs(10);
/// Streams of which that is remembered.
const MAX_FORMER: usize = 64;
/// A link over which nothing went for so long, and for which nothing waits, says nothing of what its path takes.
const RESTING: Duration = Duration::from_secs(1);
/// Room that every link has for sound: more than a packet of it takes with its units, and less than a symbol of a picture.
const SOUND: usize = 768;
/// Who waits for the node's uplink waits for so many bytes of it.
const UPLINK_SHARE: u64 = 16 << 10;
/// Key-frame requests that wait to be passed on.
const MAX_KEY_FRAMES: usize = 64;

/// A link as it is served.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) link: Link,
    pub(super) received: ByTransport,
    pub(super) requests: RequestMeter,
    repair: RepairShare,
    /// Gets a stream whole, to deal it out further: its loss is made up for behind it.
    forwards: bool,
    /// Since when it may have nothing.
    idle_since: Option<MonoTime>,
    /// Chunks that had gone over it when it was last found busy, and when that was.
    busy: (u64, MonoTime),
    /// Bytes that had gone over it when that was last told.
    shown: u64,
    /// Chunks that had been shed when its peer was last told.
    shed_told: u64,
    /// What its peer says is lost of what it forwards, in thousandths, and when it said so.
    behind: Option<(u16, MonoTime)>,
}

/// The relay's state machine with its links.
#[derive(Debug)]
pub(crate) struct RelayCore {
    pub(super) clock: Clock,
    pub(super) relay: Relay,
    pub(super) lanes: Lanes,
    pub(super) links: BTreeMap<LinkId, Served>,
    pub(super) codecs: BTreeMap<StreamId, CodecId>,
    pub(super) announced: BTreeMap<StreamId, Announced>,
    /// Streams that were carried a moment ago, and when they ended.
    former: VecDeque<(MonoTime, StreamId)>,
    /// Links without room for what waits, and when to ask them again.
    pub(super) blocked: BTreeMap<LinkId, MonoTime>,
    key_frames: Vec<StreamId>,
    /// More is ready than was sent.
    has_more: bool,
    quota: Quota,
    /// Of an identity whose permit names no rate.
    identity_quota: Quota,
    /// Requests a second that one link may make.
    requests: Option<u32>,
    looked: MonoTime,
    made: Made,
    repair_needed: u16,
    worst_loss: u16,
    told_losses: Told,
    uplink: Uplink,
    /// What the node may send in all by its own settings, and by its permit.
    uplink_rates: (Option<BitRate>, Option<BitRate>),
    /// What is heard and said of who is there to feed others, if this node takes part in that.
    pub(super) mesh: Option<Mesh>,
    pub(super) past: Past,
    pub(super) accepted: u64,
    pub(super) refused: Refused,
    pub(super) requests_refused: RequestsRefused,
    pub(super) blamed: u64,
}

impl RelayCore {
    /// For a host: it lets in whom it admits, and carries its own streams.
    pub(crate) fn new(clock: Clock, lanes: Lanes) -> Self {
        let limits = Limits { permits_required: true, ..Limits::default() };
        Self::with_limits(clock, lanes, limits, Quota::UNLIMITED, Some(REQUESTS), None)
    }

    pub(crate) fn with_limits(
        clock: Clock,
        lanes: Lanes,
        limits: Limits,
        quota: Quota,
        requests: Option<u32>,
        uplink: Option<BitRate>,
    ) -> Self {
        Self {
            clock,
            relay: Relay::new(limits),
            lanes,
            links: BTreeMap::new(),
            codecs: BTreeMap::new(),
            announced: BTreeMap::new(),
            former: VecDeque::new(),
            blocked: BTreeMap::new(),
            key_frames: Vec::new(),
            has_more: false,
            quota,
            identity_quota: limits.identity_quota,
            requests,
            looked: clock.now(),
            made: Made::default(),
            repair_needed: 0,
            worst_loss: 0,
            told_losses: Told::default(),
            uplink: Uplink::new(clock.now(), uplink),
            uplink_rates: (uplink, None),
            mesh: None,
            past: Past::default(),
            accepted: 0,
            refused: Refused::default(),
            requests_refused: RequestsRefused::default(),
            blamed: 0,
        }
    }

    /// Carries a stream of this node's own, fed by `publisher`.
    pub(crate) fn carry_own(
        &mut self,
        own: KeyId,
        stream: StreamId,
        publisher: LinkId,
        codec: CodecId,
    ) -> Result<(), Error> {
        if self.relay.link_stats(publisher).is_none() {
            let added = self.relay.add_link(publisher, own, Quota::UNLIMITED);
            added.map_err(|e| Error::codec("relay", e))?;
        }
        self.carry(stream, publisher, Carriage::forever(codec))
    }

    /// Carries a stream that `upstream` feeds.
    pub(crate) fn carry(
        &mut self,
        stream: StreamId,
        upstream: LinkId,
        carriage: Carriage,
    ) -> Result<(), Error> {
        let refused = |e| Error::codec("relay", e);
        self.relay.carry(stream, carriage).map_err(refused)?;
        self.codecs.insert(stream, carriage.codec);
        self.relay.add_upstream(stream, upstream).map_err(refused)
    }

    /// Begins to listen to a link. What it may have, somebody else has to say.
    pub(crate) fn add_link(&mut self, mut link: Link) {
        let (id, who) = (link.id, link.peer.key_id());
        if let Err(error) = self.relay.add_link(id, who, self.quota) {
            self.refused.limit += 1;
            link.refuse(error.to_string());
            return;
        }
        let repair = match RepairShare::new(RepairConfig::default()) {
            Ok(repair) => repair,
            Err(error) => return link.refuse(error.to_string()),
        };
        self.accepted += 1;
        tracing::info!(link = %id, peer = %who.short(), role = ?link.peer.role, "link up");
        link.begin();
        let received = ByTransport::default();
        let requests = RequestMeter::new(self.clock.now(), self.requests);
        self.links.insert(
            id,
            Served {
                link,
                received,
                requests,
                repair,
                forwards: false,
                idle_since: None,
                busy: (0, MonoTime(0)),
                shown: 0,
                shed_told: 0,
                behind: None,
            },
        );
    }

    /// Lets a link have everything: it is a member's, or a relay's that serves the session.
    pub(crate) fn admit(&mut self, link: LinkId, forwards: bool) {
        self.permit(link, Permission::ALL);
        if let Some(served) = self.links.get_mut(&link) {
            served.forwards = forwards;
        }
    }

    pub(crate) fn permit(&mut self, link: LinkId, permission: Permission) {
        let belongs = permission != Permission::NONE;
        if let Err(error) = self.relay.set_permission(self.clock.now(), link, permission) {
            tracing::debug!(%link, %error, "a permission has no effect");
        }
        if belongs {
            self.join_mesh(link);
        } else {
            self.leave_mesh(link);
        }
        self.transmit();
    }

    /// As [`permit`](Self::permit), and holds the link's identity to so many bytes a second, beside what this node sets itself. Where
    /// that can't be kept there is nothing.
    pub(crate) fn permit_within(
        &mut self,
        link: LinkId,
        permission: Permission,
        bytes_per_second: Option<u64>,
    ) {
        let Some(who) = self.peer_of(link) else { return };
        match self.set_rate(who, bytes_per_second) {
            Ok(()) => self.permit(link, permission),
            Err(error) => self.refuse(link, error.to_string()),
        }
    }

    fn set_rate(&mut self, who: KeyId, bytes_per_second: Option<u64>) -> Result<(), av_relay::Error> {
        let own = self.identity_quota;
        let rate = bytes_per_second.map_or(own.bytes_per_second, |most| most.min(own.bytes_per_second));
        self.relay.set_identity_quota(who, Quota { bytes_per_second: rate, ..own })
    }

    /// Holds all that this node sends to so many bytes a second, as its own permit says, beside what it sets itself.
    pub(crate) fn set_permitted_uplink(&mut self, bytes_per_second: Option<u64>) {
        let (own, former) = self.uplink_rates;
        let permitted = bytes_per_second.map(|bytes| BitRate(bytes.saturating_mul(8)));
        if permitted != former {
            self.uplink_rates = (own, permitted);
            self.uplink = Uplink::new(self.clock.now(), own.into_iter().chain(permitted).min());
        }
    }

    /// Ends all that a link gets; it may stay to speak.
    pub(crate) fn retire(&mut self, link: LinkId) {
        self.permit(link, Permission::NONE);
    }

    /// Ends all that this identity gets, over whatever links.
    pub(crate) fn revoke(&mut self, who: KeyId) {
        self.relay.revoke(self.clock.now(), who);
        let its = |served: &&Served| served.link.peer.key_id() == who;
        let links: Vec<LinkId> = self.links.values().filter(its).map(|served| served.link.id).collect();
        links.into_iter().for_each(|link| self.leave_mesh(link));
        self.transmit();
    }

    pub(crate) fn remove_link(&mut self, link: LinkId) {
        self.relay.remove_link(link);
        self.leave_mesh(link);
        self.lanes.remove(link);
        self.blocked.remove(&link);
        if let Some(served) = self.links.remove(&link) {
            tracing::info!(%link, peer = %served.link.peer.key_id().short(), "link down");
            self.past.add(&served.link, served.received);
            let who = served.link.peer.key_id();
            if !self.links.values().any(|other| other.link.peer.key_id() == who) {
                // Forgets one that was set, for which there is always room.
                let _ = self.set_rate(who, None);
            }
        }
    }

    pub(crate) fn remove_stream(&mut self, stream: StreamId) {
        self.relay.remove_stream(stream);
        self.forget_stream(stream);
    }

    fn forget_stream(&mut self, stream: StreamId) {
        self.announced.remove(&stream);
        if self.codecs.remove(&stream).is_some() {
            self.former.truncate(MAX_FORMER - 1);
            self.former.push_front((self.clock.now(), stream));
        }
    }

    /// True if a peer may send a chunk of that stream and not know that it is carried no more.
    fn was_carried(&self, stream: StreamId) -> bool {
        let now = self.clock.now();
        self.former.iter().any(|(ended, former)| *former == stream && now.since(*ended) < UNDER_WAY)
    }

    pub(crate) fn now(&self) -> MonoTime {
        self.clock.now()
    }

    pub(crate) fn link(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link).map(|served| &served.link)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values().map(|served| &served.link)
    }

    pub(crate) fn peer_of(&self, link: LinkId) -> Option<KeyId> {
        self.link(link).map(|link| link.peer.key_id())
    }

    pub(crate) fn send(&self, link: LinkId, message: &Control) {
        if let Some(link) = self.link(link) {
            link.send(message);
        }
    }

    pub(crate) const fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Asks a stream's upstream link for all of it.
    pub(super) fn subscribe_upstream(&self, upstream: LinkId, stream: StreamId) {
        self.send(
            upstream,
            &Control::subscribe(stream, LayerPolicy::UNCAPPED, StripeSet::ALL, Start::KeyFrame),
        );
    }

    /// True while anybody takes a stream: whoever moved away closes its link, and who is linked for nothing is not waited for.
    pub(crate) fn serves_anybody(&self) -> bool {
        self.links.keys().any(|link| self.relay.subscriptions(*link) > 0)
    }

    /// Streams that are carried.
    pub(crate) fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.codecs.keys().copied()
    }

    /// Whether anything is taken over that link, or may be asked for.
    pub(crate) fn is_child(&self, link: LinkId) -> bool {
        self.relay.subscriptions(link) > 0
    }

    /// What it carries at present, but for the rate.
    pub(crate) fn load(&self) -> Load {
        let most = self.codecs.keys().map(|stream| self.relay.subscribers(*stream)).max().unwrap_or(0);
        let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Load { streams: count(self.codecs.len()), subscribers: count(most), used: BitRate(0) }
    }

    /// What the node may send in all, by its own settings and its permit.
    pub(crate) fn uplink_bound(&self) -> Option<BitRate> {
        self.uplink_rates.0.into_iter().chain(self.uplink_rates.1).min()
    }

    /// Links over which a stream is taken, in whole or in part.
    pub(crate) fn children(&self) -> usize {
        self.links.keys().filter(|link| self.relay.subscriptions(**link) > 0).count()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.relay.stats()
    }

    /// Chunks that this node has sealed itself: between publisher and relay there is nobody who could alter them.
    pub(crate) fn publish(&mut self, publisher: LinkId, chunks: Vec<Bytes>) {
        let inside = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        match chunks.into_iter().map(|chunk| inside.take_whole(chunk)).collect() {
            Ok(chunks) => self.handle_chunks(publisher, chunks),
            Err(error) => tracing::warn!(%error, "a chunk of our own could not be sent"),
        }
    }

    pub(crate) fn handle_chunks(&mut self, from: LinkId, chunks: Vec<FreshChunk<Bytes>>) {
        if let Some(served) = self.links.get_mut(&from) {
            let bytes = chunks.iter().map(|chunk| chunk.carried() as u64).sum();
            let over = if self.lanes.has_parent(from) { Transport::Udp } else { Transport::Quic };
            count(&mut served.received, over, bytes, chunks.len() as u64);
        }
        if chunks.iter().any(|chunk| chunk.header().codec == CodecId::Opus) {
            // Sound goes even where pictures wait for room.
            self.blocked.keys().for_each(|link| self.relay.resume(*link));
        }
        if let Err(error) = self.relay.handle_chunks(self.clock.now(), from, chunks) {
            tracing::debug!(%error, "chunks refused");
            match error {
                av_relay::Error::NotUpstream { stream, .. } if self.was_carried(stream) => {}
                error if error.is_peer_fault() => self.blame(from, &error.to_string()),
                _ => {}
            }
        }
        self.transmit();
    }

    /// The link's lane works, or is over.
    pub(crate) fn handle_lane(&mut self, link: LinkId, change: LaneChange) {
        tracing::debug!(%link, ?change, "lane");
        let Some(served) = self.links.get_mut(&link) else { return };
        match change {
            LaneChange::Up => served.link.set_lane(self.lanes.carrier(link)),
            LaneChange::Moved(_) => {}
            LaneChange::Ended(_) => served.link.set_lane(None),
            LaneChange::Due => {
                if let Some(offer) = self.lanes.offer(&served.link) {
                    served.link.send(&offer);
                }
            }
        }
        self.handle_writable(link);
    }

    /// A link that had no room may have some.
    pub(crate) fn handle_writable(&mut self, link: LinkId) {
        if self.blocked.remove(&link).is_some() {
            self.relay.resume(link);
        }
        self.transmit();
    }

    /// What is due: ages, permissions, links that had no room, what the hops lose.
    pub(crate) fn handle_timeout(&mut self, now: MonoTime) {
        if self.relay.poll_timeout().is_some_and(|at| at <= now) {
            self.relay.handle_timeout(now);
        }
        let due: Vec<LinkId> =
            self.blocked.iter().filter(|(_, at)| **at <= now).map(|(link, _)| *link).collect();
        for link in due {
            self.blocked.remove(&link);
            self.relay.resume(link);
        }
        self.tend_mesh(now);
        if now.since(self.looked) >= LOOK {
            self.looked = now;
            self.follow_loss(now);
            self.close_idle(now);
        }
        self.transmit();
    }

    pub(crate) fn poll_timeout(&self) -> Option<MonoTime> {
        let look = (!self.links.is_empty()).then(|| self.looked.plus(LOOK));
        let mesh = self.mesh.as_ref().and_then(Mesh::poll_timeout);
        let relay = self.relay.poll_timeout().into_iter().chain(mesh);
        relay.chain(self.blocked.values().copied()).chain(look).min()
    }

    /// Lets go of links that others dialled and that have been for nothing for too long: those who never joined, served or showed
    /// a permit, and those whose permission is over.
    fn close_idle(&mut self, now: MonoTime) {
        let mut idle = Vec::new();
        for (id, served) in &mut self.links {
            if served.link.is_dialled() || self.relay.is_permitted(now, *id) {
                served.idle_since = None;
            } else if now.since(*served.idle_since.get_or_insert(now)) >= IDLE {
                idle.push(*id);
            }
        }
        for link in idle {
            self.refuse(link, format!("a link that may have no stream is closed after {} s", IDLE.as_secs()));
        }
    }

    /// Tells a peer why it does not get what it asked for, and lets the link go.
    pub(crate) fn refuse(&mut self, link: LinkId, why: String) {
        if let Some(served) = self.take(link) {
            served.refuse(why);
        }
    }

    /// A peer that breaks the protocol loses its link; nobody else notices.
    pub(super) fn blame(&mut self, link: LinkId, why: &str) {
        tracing::info!(%link, why, "link closed");
        self.blamed += 1;
        if let Some(link) = self.take(link) {
            link.close(why);
        }
    }

    fn take(&mut self, link: LinkId) -> Option<Link> {
        let served = self.links.remove(&link);
        self.remove_link(link);
        served.map(|served| {
            self.past.add(&served.link, served.received);
            served.link
        })
    }
}

#[cfg(test)]
mod tests;
