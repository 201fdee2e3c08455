//! The relay's node: what comes over its links, and when it ends.

use super::core::RelayCore;
use super::permits::{Own, PermitDesk, until};
use super::shown::{Shown, Trial};
use super::upstream::HostLink;
use super::{Config, Shutdown, Tap};
use crate::clock::wall_now;
use crate::mesh::{Mesh, Offer};
use crate::net::{Control, Inbox, Link, LinkEvent, Net, NetConfig, PeerAddress, Role};
use crate::record::Recorder;
use crate::service::limits::Refusal;
use crate::service::status::{NodeStatus, State};
use crate::service::{INTERVAL, StatusSink};
use crate::ticket::Ticket;
use crate::{Clock, Error};
use alm::Load;
use av_relay::{Carriage, Quota, Stats};
use av_wire::permit::PermitStreams;
use av_wire::{ChunkHeader, FreshChunk, StreamAnnounce};
use bytes::Bytes;
use core_types::{BitRate, Epoch, KeyId, LinkId, MonoTime, StreamId};
use identity::PublicIdentity;
use peer_gossip::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

/// How often a draining relay looks whether everybody has gone.
const DRAIN_LOOK: Duration = Duration::from_millis(100);

/// What it has to offer is looked at so often.
const OFFER_LOOK: Duration = Duration::from_millis(500);

/// A relay that ends at once waits for so long at most until those who are still linked have been told.
const FAREWELL: Duration = Duration::from_millis(200);

/// Runs a relay until its host ends the session or stays away, or `shutdown` says so and, if it is to drain, its children
/// have moved. While it drains it can be told to end now. `ready` gets its address once it serves.
///
/// # Errors
/// [`Error::Network`] if it can't listen; [`Error::Connect`], [`Error::Version`], [`Error::Refused`] if the host can't be
/// reached or does not want it.
pub async fn run_with(
    config: Config,
    mut shutdown: mpsc::Receiver<Shutdown>,
    ready: impl FnOnce(PeerAddress) + Send,
) -> Result<Stats, Error> {
    let (dialled, mut dials) = mpsc::channel(4);
    let (mut node, mut inbox) = RelayNode::start(config, dialled).await?;
    ready(node.net.address());
    let mut at_once = false;
    let outcome = loop {
        if node.is_drained(Instant::now()) {
            break Ok(());
        }
        node.core.sends_more().await;
        let wake = node.poll_timeout().unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        let step = tokio::select! {
            event = inbox.next() => match event {
                Some(event) => node.handle(event),
                None => Err(Error::Ended("the network")),
            },
            Some(link) = dials.recv() => { node.host_dialled(link); Ok(true) }
            Some(how) = shutdown.recv() => match how {
                Shutdown::Drain(time) => { node.drain(time); Ok(true) }
                Shutdown::Now => { at_once = true; Ok(false) }
            },
            () = sleep_until(wake.into()) => node.handle_timeout().map(|()| true),
        };
        match step {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let stats = node.core.stats();
    if let Some(recorder) = node.recorder.take() {
        // It waits for the disk, and nothing else does any more.
        let recorded = tokio::task::spawn_blocking(|| recorder.finish()).await;
        match recorded.map_err(|_| Error::Ended("the recorder")).and_then(|recorded| recorded) {
            Ok(recorded) => tracing::info!(?recorded, "recorded"),
            Err(error) => tracing::warn!(%error, "the recording did not end well"),
        }
    }
    if at_once {
        node.part().await;
    } else {
        node.net.close().await;
    }
    outcome.map(|()| stats)
}

pub(super) struct RelayNode {
    clock: Clock,
    pub(super) net: Net,
    pub(super) ticket: Ticket,
    pub(super) host: HostLink,
    pub(super) host_identity: PublicIdentity,
    pub(super) host_patience: Duration,
    pub(super) dialled: mpsc::Sender<Result<Link, Error>>,
    pub(super) core: RelayCore,
    desk: PermitDesk,
    /// Until when this relay may serve, which streams, and how many of each; `None` without a permit.
    permitted: Option<(MonoTime, PermitStreams, Option<usize>)>,
    /// As the host signed it, for others to see.
    permit: Vec<u8>,
    permits_required: bool,
    stream_quota: Quota,
    /// Subscribers of a stream that it takes by its own settings.
    subscribers: usize,
    shown: Shown,
    /// The newest epoch of which something came.
    epoch: Epoch,
    offer_at: Instant,
    /// What the host wants carried, by its announcements, and what is carried of it: nothing without a permit.
    pub(super) announces: Vec<Vec<u8>>,
    carried: BTreeSet<StreamId>,
    draining: Option<Instant>,
    recorder: Option<Recorder>,
    tap: Option<Arc<dyn Tap>>,
    status: Option<StatusSink>,
    publish_at: Instant,
}

impl RelayNode {
    async fn start(
        config: Config,
        dialled: mpsc::Sender<Result<Link, Error>>,
    ) -> Result<(Self, Inbox), Error> {
        let Config {
            seed,
            ticket,
            listen,
            underlay,
            lanes,
            direct,
            lane_port,
            limits,
            quota,
            requests,
            stream_quota,
            uplink,
            host_patience,
            loss,
            recorder,
            tap,
            status,
        } = config;
        let net = NetConfig {
            underlay,
            loss,
            lanes,
            direct,
            lane_port,
            // One is for the host's, which we dial.
            max_links: limits.links.saturating_sub(1),
            ..NetConfig::new(seed, Role::Relay, listen)
        };
        let (net, inbox) = Net::open(net).await?;
        let host = net.connect_to_host(&ticket).await?;
        let clock = Clock::start();
        let mut node = Self {
            clock,
            host: HostLink::new(host.id),
            host_identity: host.peer.identity.clone(),
            host_patience,
            dialled,
            core: RelayCore::with_limits(clock, inbox.lanes(), limits, quota, requests, uplink),
            stream_quota,
            desk: PermitDesk::new(ticket.session, net.identity().key_id()),
            permitted: None,
            permit: Vec::new(),
            subscribers: limits.subscribers_per_stream.min(stream_quota.subscribers),
            shown: Shown::new(clock.now()),
            epoch: Epoch(0),
            offer_at: Instant::now(),
            permits_required: limits.permits_required,
            announces: Vec::new(),
            carried: BTreeSet::new(),
            draining: None,
            recorder,
            tap,
            status,
            publish_at: Instant::now(),
            net,
            ticket,
        };
        let own = node.net.identity().key_id();
        node.core.set_mesh(Mesh::new(node.ticket.session, own, node.host_identity.clone())?);
        node.host_linked(host);
        Ok((node, inbox))
    }

    /// False when the session is over.
    fn handle(&mut self, event: LinkEvent) -> Result<bool, Error> {
        match event {
            LinkEvent::Up(link) => self.serve(*link),
            LinkEvent::Chunks(link, chunks) => {
                if let Some(tap) = &self.tap {
                    chunks.iter().for_each(|chunk| tap.received(chunk.bytes()));
                }
                self.record(link, &chunks);
                if self.host.is(link) {
                    let newest = chunks.iter().map(|chunk| chunk.header().epoch).max();
                    self.epoch = self.epoch.max(newest.unwrap_or(self.epoch));
                }
                self.core.handle_chunks(link, chunks);
            }
            LinkEvent::Control(link, message) => {
                if let Some(tap) = &self.tap {
                    tap.received(&postcard::to_allocvec(&message).unwrap_or_default());
                }
                if !self.handle_control(link, message)? {
                    return Ok(false);
                }
            }
            LinkEvent::Lane(link, change) => self.core.handle_lane(link, change),
            LinkEvent::Writable(link) => self.core.handle_writable(link),
            LinkEvent::Down(link, why) if self.host.is(link) => self.host_is_gone(link, why),
            LinkEvent::Down(link, _) => {
                self.desk.forget(link);
                self.shown.forget(link);
                self.core.remove_link(link);
            }
        }
        self.ask_upstream();
        if let Some(tap) = &self.tap {
            tap.stats(self.core.stats());
        }
        Ok(true)
    }

    /// Hands over to the recorder what the host sends: sealed, as it is.
    fn record(&self, link: LinkId, chunks: &[FreshChunk<Bytes>]) {
        let Some(recorder) = self.recorder.as_ref().filter(|_| self.host.is(link)) else { return };
        let mut streams: BTreeMap<StreamId, Vec<(ChunkHeader, Bytes)>> = BTreeMap::new();
        for chunk in chunks.iter().filter(|chunk| self.carried.contains(&chunk.header().stream_id)) {
            let sealed = Bytes::copy_from_slice(chunk.bytes());
            streams.entry(chunk.header().stream_id).or_default().push((*chunk.header(), sealed));
        }
        for (stream, chunks) in streams {
            recorder.sealed(stream, chunks);
        }
    }

    fn serve(&mut self, link: Link) {
        let refusal = match &self.status {
            _ if self.draining.is_some() => {
                self.core.refused.draining += 1;
                Some("this relay is about to stop".to_owned())
            }
            Some(status) => status.admit().err().map(|refusal| {
                match refusal {
                    Refusal::Memory { .. } => self.core.refused.memory += 1,
                    Refusal::Descriptors { .. } => self.core.refused.descriptors += 1,
                }
                "this relay has no room for another link".to_owned()
            }),
            None => None,
        };
        if let Some(why) = refusal {
            return link.refuse(why);
        }
        let id = link.id;
        self.core.add_link(link);
        if !self.permits_required {
            self.core.admit(id, false);
        }
    }

    fn handle_control(&mut self, link: LinkId, message: Control) -> Result<bool, Error> {
        if !self.host.is(link) {
            if !self.core.may_ask(link, &message) {
                return Ok(true);
            }
            match (message, &self.recorder) {
                (Control::Permit { permit }, _) => self.take_permit(link, &permit),
                (message, Some(recorder)) if Recorder::takes(&message) => {
                    if let Some(link) = self.core.link(link) {
                        recorder.handle(link, message);
                    }
                }
                (other, _) => self.core.handle_control(link, other),
            }
            return Ok(true);
        }
        match message {
            Control::Permit { permit } => self.take_own_permit(&permit)?,
            Control::Revoke { holder, serial } => {
                self.core.revoke_card(KeyId(holder), serial);
                if self.desk.revoke(KeyId(holder), serial) {
                    self.core.revoke(KeyId(holder));
                }
            }
            Control::Carry { announces } => self.carry(link, announces)?,
            message @ (Control::Consent { .. } | Control::Tombstone { .. }) => {
                if let Some(recorder) = &self.recorder {
                    recorder.hear_host(message);
                }
            }
            Control::End => return Ok(false),
            Control::Refused { why } => {
                return Err(Error::Refused { peer: self.ticket.host, why });
            }
            Control::LaneOffer { .. } | Control::LaneAccept { .. } | Control::LaneRefused { .. } => {
                self.core.handle_control(link, message);
            }
            Control::Gossip { entries } => self.core.hear(link, &entries),
            Control::OverQuota { what, limit, .. } => {
                tracing::warn!(?what, limit, "the host leaves out what is over a quota");
            }
            Control::SubscribeRefused { .. } => {
                // There is nobody else to carry it from.
                let why = "it feeds as many relays as it can".into();
                return Err(Error::Refused { peer: self.ticket.host, why });
            }
            _ => {
                let peer = self.ticket.host.to_string();
                return Err(Error::Peer { peer, why: "an unexpected message".into() });
            }
        }
        Ok(true)
    }

    /// A child shows what the host has signed for it.
    fn take_permit(&mut self, link: LinkId, signed: &[u8]) {
        let Some(child) = self.core.peer_of(link) else { return };
        let now = (self.clock.now(), wall_now());
        match self.desk.check_child(now, signed, &self.host_identity, (link, child)) {
            Ok((permission, figures)) => {
                self.core.permit_within(link, permission, figures.bytes_per_second);
            }
            Err(why) => {
                self.core.refused.permit += 1;
                self.core.refuse(link, why);
            }
        }
    }

    fn take_own_permit(&mut self, signed: &[u8]) -> Result<(), Error> {
        let wall = wall_now();
        let refused = |why| Error::Peer { peer: self.ticket.host.to_string(), why };
        match self.desk.check_own(wall, signed, &self.host_identity).map_err(refused)? {
            Own::Holds(date, streams, figures) => {
                let until = until((self.clock.now(), wall), date);
                self.permitted = Some((until, streams, figures.subscribers));
                self.core.set_permitted_uplink(figures.bytes_per_second);
                self.permit = signed.to_vec();
            }
            Own::Untimely(why) => {
                // It may be that the machine slept. What was permitted before goes on to its end, and another one comes.
                tracing::warn!(why, "the host's permit for this relay does not hold by this machine's clock");
                return Ok(());
            }
        }
        if let Some(host) = self.host.link() {
            let announces = std::mem::take(&mut self.announces);
            self.carry(host, announces)?;
        }
        Ok(())
    }

    /// Streams come from the host, so its link is their upstream. The announcement must be signed by the host, and a permit
    /// must name what is carried.
    fn carry(&mut self, host: LinkId, announces: Vec<Vec<u8>>) -> Result<(), Error> {
        if announces.is_empty() {
            return Ok(());
        }
        let (until, streams, subscribers) = match self.permitted.clone() {
            Some(permitted) => permitted,
            None if !self.permits_required => (MonoTime(u64::MAX), PermitStreams::All, None),
            None => {
                self.announces = announces;
                return Ok(());
            }
        };
        let own = self.stream_quota.subscribers;
        let quota = Quota { subscribers: subscribers.map_or(own, |most| most.min(own)), ..self.stream_quota };
        let before: BTreeSet<StreamId> = std::mem::take(&mut self.carried);
        for signed in &announces {
            let announce = StreamAnnounce::verify(signed, &self.host_identity)?;
            let id = announce.stream_id()?;
            if !streams.admits(id) {
                tracing::info!(
                    stream = id.short(),
                    "the host's permit for this relay does not name a stream"
                );
                continue;
            }
            let carriage = Carriage { codec: announce.codec, until, quota };
            self.core.carry(id, host, carriage)?;
            self.core.announced(id, &announce);
            self.core.subscribe_upstream(host, id);
            if let Some(recorder) = &self.recorder {
                recorder.stream(signed, &announce, &self.host_identity);
            }
            self.carried.insert(id);
        }
        // A host that started anew has other streams.
        for gone in before.difference(&self.carried) {
            self.core.remove_stream(*gone);
        }
        self.announces = announces;
        if self.draining.is_none() {
            // Whoever is about to stop is named to nobody, also by a host that it comes back to.
            self.core.send(host, &Control::Carrying);
        }
        Ok(())
    }

    /// Key frames that children need are asked for at the host, which merges requests in turn.
    fn ask_upstream(&mut self) {
        let wanted = self.core.take_key_frames_wanted();
        if let Some(host) = self.host.link() {
            for stream in wanted {
                self.core.send(host, &Control::KeyFrame { stream: stream.0 });
            }
        }
    }

    fn handle_timeout(&mut self) -> Result<(), Error> {
        let now = self.clock.now();
        self.core.handle_timeout(now);
        self.ask_upstream();
        if let Some(host) = self.host.link()
            && let Some(losses) = self.core.losses_to_tell(now)
        {
            self.core.send(host, &losses);
        }
        self.offer(Instant::now());
        self.show(Instant::now());
        self.return_to_host(Instant::now())
    }

    /// Tells others what it has to offer and what it carries: no more than its owner and the host let it, and nothing when it is about to
    /// stop. The host names it to members all the same: this says which of several relays has room.
    fn offer(&mut self, at: Instant) {
        let now = self.clock.at(at);
        self.shown.look(now, &mut self.core);
        if at < self.offer_at && !self.core.is_offer_due(now) {
            return;
        }
        self.offer_at = at + OFFER_LOOK;
        let Some((_, _, permitted)) = self.permitted.as_ref().filter(|_| !self.permit.is_empty()) else {
            return;
        };
        let (uplink, subscribers) = if self.draining.is_some() {
            (BitRate(0), 0)
        } else {
            let uplink = self.shown.claimable(now, Trial::Open, self.core.uplink_bound());
            (uplink, permitted.map_or(self.subscribers, |most| most.min(self.subscribers)))
        };
        let offer = Offer {
            kind: Kind::Relay,
            address: self.net.address(),
            uplink,
            subscribers: u16::try_from(subscribers).unwrap_or(u16::MAX),
            load: Load { used: self.shown.used(), ..self.core.load() },
            way: vec![self.ticket.host],
        };
        self.core.offer(self.net.identity(), offer, &self.permit, self.epoch);
    }

    /// Shows how the relay is doing, once a second.
    fn show(&mut self, now: Instant) {
        let Some(status) = self.status.as_mut().filter(|_| now >= self.publish_at) else { return };
        self.publish_at = now + INTERVAL;
        let time = self.clock.at(now);
        let mut snapshot = self.core.snapshot(time);
        snapshot.tables.permits = self.desk.shown() as u64;
        snapshot.node = NodeStatus {
            id: self.net.identity().key_id().short(),
            role: "relay".into(),
            state: if self.draining.is_some() { State::Draining } else { State::Serving },
            host_link: self.host.link().is_some(),
            ..NodeStatus::default()
        };
        let (limit, handshake) = self.net.refused();
        snapshot.totals.links_refused.limit += limit;
        snapshot.totals.links_refused.handshake += handshake;
        status.publish(time, snapshot);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let core = self.core.poll_timeout().map(|at| self.clock.instant(at));
        let drain = self.draining.map(|end| end.min(Instant::now() + DRAIN_LOOK));
        let show = self.status.as_ref().map(|_| self.publish_at);
        let offer = (!self.permit.is_empty()).then_some(self.offer_at);
        core.into_iter().chain(offer).chain(self.host.poll_timeout()).chain(drain).chain(show).min()
    }

    /// Tells everybody to go elsewhere, and goes on serving until they have.
    fn drain(&mut self, time: Duration) {
        let seconds = u16::try_from(time.as_secs()).unwrap_or(u16::MAX);
        tracing::info!(seconds, links = self.core.links().count(), "draining");
        self.draining = Some(Instant::now() + time);
        self.offer_at = Instant::now();
        self.offer(self.offer_at);
        for link in self.core.links() {
            link.send(&Control::Draining { seconds });
        }
    }

    /// Closes every link and says why, so that the children move now and not when they miss what came. Nobody is waited for who
    /// does not answer.
    async fn part(&self) {
        self.core.links().for_each(|link| link.close("this relay ends now"));
        if tokio::time::timeout(FAREWELL, self.net.close()).await.is_err() {
            tracing::debug!("ended before every link was closed on both sides");
        }
    }

    /// Nobody is left who takes a stream, or the time is up.
    fn is_drained(&self, now: Instant) -> bool {
        self.draining.is_some_and(|end| now >= end || !self.core.serves_anybody())
    }
}
