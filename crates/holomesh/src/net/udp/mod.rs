//! UDP lanes: media between two nodes whose QUIC connection has given them the keys, without QUIC's cost for each datagram; and
//! direct links, which are lanes without a QUIC connection, keyed by the link handshake.

mod connection;
mod dial;
mod direct;
mod hub;
mod narrows;
mod retries;
mod socket;
mod talk;

use super::LossConfig;
use super::carrier::{Carrier, RETRY, Sent, Transport};
use super::control::Control;
use super::link::{Link, LinkEvent};
use crate::{Clock, Error, keyfile};
use av_congestion::LinkEstimate;
use av_lane::{LaneId, LaneKey, LaneKeys, LaneRole, LaneSuite, PathSecret};
use av_wire::SealedChunk;
use core_types::{LinkId, MonoTime};
use hub::{Agreed, Hub};
use socket::{Buffers, UdpSocket};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

pub(super) use dial::Undialled;

/// What a receiver does to what reaches it, for tests and measurements: as a bad access network would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Impairment {
    /// Datagrams lost out of a thousand.
    pub loss_permille: u16,
    /// Bytes a second that come through; 0 for all. What is more waits for 200 ms at most, and is dropped then.
    pub bytes_per_second: u64,
}

/// How many lanes there are, how many are offered, and how many are offered again later.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kept {
    pub(crate) lanes: usize,
    pub(crate) offers: usize,
    pub(crate) retries: usize,
}

/// A node's lanes: one socket for all to its children, one for all to its parents. Clones are handles on the same.
///
/// Media come from parents, and wake the node. From children come reports, many and none of them urgent: these are looked
/// for whenever the node is awake, and every 10 ms at least.
#[derive(Debug, Clone)]
pub struct Lanes(Option<Arc<Pair>>);

#[derive(Debug)]
struct Pair {
    children: Arc<Shared>,
    parents: Arc<Shared>,
    /// What somebody found who served the sockets while dialling: for the inbox, in order.
    found: Mutex<VecDeque<LinkEvent>>,
    has_found: Notify,
}

impl Pair {
    fn found(&self) -> MutexGuard<'_, VecDeque<LinkEvent>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often children's reports are looked for while something is sent to them, and otherwise.
const LOOK: Duration = Duration::from_millis(10);
const LOOK_IDLE: Duration = Duration::from_millis(50);
/// Without children's lanes there is nothing to look for.
const IDLE_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    clock: Clock,
    hub: Mutex<Hub>,
    buffers: Mutex<Buffers>,
}

impl Lanes {
    /// A node without lanes.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Opens the sockets: that for children at `listen`, the other beside it at any port.
    pub(super) fn open(listen: SocketAddr, loss: LossConfig) -> Result<Self, Error> {
        let children = Arc::new(Shared::new(UdpSocket::polled(listen)?, loss)?);
        let beside = SocketAddr::new(listen.ip(), 0);
        let parents = Arc::new(Shared::new(UdpSocket::woken(beside)?, loss)?);
        let (found, has_found) = (Mutex::default(), Notify::new());
        Ok(Self(Some(Arc::new(Pair { children, parents, found, has_found }))))
    }

    /// What a child sends to a parent that it would take media from over a lane; `None` if it has no lanes.
    pub(crate) fn offer(&self, link: &Link) -> Option<Control> {
        let shared = &self.0.as_ref()?.parents;
        if link.is_direct() {
            return None;
        }
        let mut id = [0; 8];
        keyfile::fill_random(&mut id).ok()?;
        let lane = shared.hub().next_number(link.id, u64::from_be_bytes(id));
        shared.hub().offered(link.id, lane);
        let port = shared.socket.local_addr().ok()?.port();
        Some(Control::LaneOffer { lane: lane.0, addresses: Vec::new(), port, suite: SUITE })
    }

    /// A parent's answer to an offer.
    pub(crate) fn accept(&self, link: &Link, offer: &Control) -> Control {
        let Control::LaneOffer { lane, port, suite, .. } = offer else {
            return Control::LaneRefused { lane: 0, why: "not an offer".into() };
        };
        match self.try_accept(link, LaneId(*lane), *port, *suite) {
            Ok(port) => Control::LaneAccept { lane: *lane, port },
            Err(why) => Control::LaneRefused { lane: *lane, why },
        }
    }

    fn try_accept(&self, link: &Link, lane: LaneId, port: u16, suite: u8) -> Result<u16, String> {
        let shared = &self.0.as_ref().ok_or("this node has no lanes")?.children;
        if suite != SUITE {
            return Err(format!("suite {suite} is not spoken here; {SUITE} is"));
        }
        shared.hub().take_number(link.id, lane)?;
        shared.begin(link, lane, LaneRole::Parent, port)?;
        Ok(shared.socket.local_addr().map_err(|e| e.to_string())?.port())
    }

    /// What a parent has answered to an offer of ours.
    pub(crate) fn handle_answer(&self, link: Option<&Link>, answer: &Control) {
        let (Some(pair), Some(link)) = (&self.0, link) else { return };
        let shared = &pair.parents;
        match answer {
            Control::LaneAccept { lane, port } => {
                let lane = LaneId(*lane);
                if !shared.hub().take_offer(link.id, lane) {
                    return;
                }
                if let Err(why) = shared.begin(link, lane, LaneRole::Child, *port) {
                    tracing::debug!(link = %link.id, why, "no lane");
                }
            }
            Control::LaneRefused { why, .. } => tracing::debug!(link = %link.id, why, "no lane"),
            _ => {}
        }
    }

    /// What carries media to the peer of a link over its lane.
    pub(crate) fn carrier(&self, link: LinkId) -> Option<Box<dyn Carrier>> {
        let shared = &self.0.as_ref()?.children;
        let key = shared.hub().key(link)?;
        Some(Box::new(LaneCarrier { shared: shared.clone(), key }))
    }

    /// True if media come over a lane from the peer of a link.
    pub(crate) fn has_parent(&self, link: LinkId) -> bool {
        self.0.as_ref().is_some_and(|pair| pair.parents.hub().key(link).is_some())
    }

    /// When something came over a link's lane last; `None` without one.
    pub(crate) fn heard(&self, link: LinkId) -> Option<MonoTime> {
        self.both().filter_map(|shared| shared.hub().heard(link)).max()
    }

    /// Ends a link's lanes.
    pub(crate) fn remove(&self, link: LinkId) {
        for shared in self.both() {
            shared.hub().remove(link, shared.clock.now(), &shared.socket);
        }
    }

    /// What is kept of children and of parents.
    pub(crate) fn kept(&self) -> (Kept, Kept) {
        let kept = |of: fn(&Pair) -> &Shared| self.0.as_ref().map(|pair| of(pair).hub().kept());
        (kept(|pair| &pair.children).unwrap_or_default(), kept(|pair| &pair.parents).unwrap_or_default())
    }

    /// Lets what comes in suffer, for tests and measurements.
    pub(crate) fn impair(&self, impairment: Impairment) {
        for shared in self.both() {
            shared.hub().impair(impairment);
        }
    }

    fn both(&self) -> impl Iterator<Item = &Arc<Shared>> {
        self.0.iter().flat_map(|pair| [&pair.children, &pair.parents])
    }

    /// The port at which direct links are taken, where there are lanes.
    pub(super) fn door_port(&self) -> Option<u16> {
        Some(self.0.as_ref()?.children.socket.local_addr().ok()?.port())
    }

    /// Closes all direct links, telling the peers, and lets nobody in any more.
    pub(super) fn close_direct(&self, why: &str) {
        for shared in self.both() {
            shared.hub().close_all(shared.clock.now(), why, &shared.socket);
        }
    }

    /// Serves the sockets once, for who waits for something on them and may be the only one to do so. What else comes is kept for
    /// the inbox.
    async fn serve(&self) {
        let Some(pair) = &self.0 else { return std::future::pending().await };
        let wake = self.next_timeout().unwrap_or_else(|| Instant::now() + LOOK_IDLE);
        let wake = wake.min(Instant::now() + LOOK_IDLE);
        let is_readable = tokio::select! {
            () = self.readable() => true,
            () = tokio::time::sleep_until(wake.into()) => false,
        };
        let mut found = pair.found();
        if is_readable {
            self.take_in(&mut found);
        } else {
            self.let_time_pass(&mut found);
        }
        if !found.is_empty() {
            pair.has_found.notify_one();
        }
    }

    /// Waits until somebody else who served the sockets has found something.
    pub(super) async fn found(&self) {
        match &self.0 {
            Some(pair) => pair.has_found.notified().await,
            None => std::future::pending().await,
        }
    }

    /// What somebody else found.
    pub(super) fn take_found(&self, events: &mut VecDeque<LinkEvent>) {
        if let Some(pair) = &self.0 {
            events.append(&mut pair.found());
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let pair = self.0.as_ref()?;
        let looks = pair.children.hub().look_at();
        let due = self.both().filter_map(|shared| shared.hub().poll_timeout());
        due.chain(looks).min().map(|at| pair.children.clock.instant(at))
    }

    pub(super) fn handle_timeout(&self, events: &mut VecDeque<LinkEvent>) {
        let Some(pair) = &self.0 else { return };
        // Nobody else serves the sockets meanwhile, so that what comes stays in order.
        let mut found = pair.found();
        events.append(&mut found);
        self.let_time_pass(events);
    }

    fn let_time_pass(&self, events: &mut VecDeque<LinkEvent>) {
        self.look(events);
        for shared in self.both() {
            shared.hub().handle_timeout(shared.clock.now(), &shared.socket, events);
            shared.introduce(events);
        }
    }

    /// Waits until there may be something to receive from parents; for ever without lanes.
    pub(super) async fn readable(&self) {
        match &self.0 {
            Some(pair) => {
                if let Err(error) = pair.parents.socket.readable().await {
                    tracing::warn!(%error, "the socket of the lanes fails");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            None => std::future::pending().await,
        }
    }

    /// Takes what has come. The kernel's time of arrival of the last of it is returned.
    pub(super) fn receive(&self, events: &mut VecDeque<LinkEvent>) -> Option<Duration> {
        let mut found = self.0.as_ref()?.found();
        events.append(&mut found);
        self.take_in(events)
    }

    fn take_in(&self, events: &mut VecDeque<LinkEvent>) -> Option<Duration> {
        let (_, arrival) = self.0.as_ref()?.parents.receive(events);
        self.look(events);
        arrival
    }

    /// Takes what has come from children, if it was not looked for just now.
    fn look(&self, events: &mut VecDeque<LinkEvent>) {
        let Some(children) = self.0.as_ref().map(|pair| &pair.children) else { return };
        let now = children.clock.now();
        if !children.hub().takes_look(now) {
            return;
        }
        // So many receives are as much as a socket buffer holds; a flood waits for the next look, which is then at once.
        let mut found = 0;
        for _ in 0..32 {
            let (datagrams, _) = children.receive(events);
            found += datagrams;
            if datagrams == 0 {
                break;
            }
        }
        children.hub().looked(found);
    }
}

/// The hop suite that is offered: full.
const SUITE: u8 = 1;

impl Shared {
    fn new(socket: UdpSocket, loss: LossConfig) -> Result<Self, Error> {
        let mut secret = PathSecret([0; 32]);
        keyfile::fill_random(&mut secret.0)?;
        let mut seed = [0; 8];
        keyfile::fill_random(&mut seed)?;
        Ok(Self {
            socket,
            clock: Clock::start(),
            hub: Mutex::new(Hub::new(secret, u64::from_be_bytes(seed), loss)),
            buffers: Mutex::new(Buffers::new()),
        })
    }

    /// Takes what has come: how many datagrams that were, and when the kernel had them.
    fn receive(self: &Arc<Self>, events: &mut VecDeque<LinkEvent>) -> (usize, Option<Duration>) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        match self.socket.receive(&mut buffers) {
            Ok(Some(count)) => {
                let now = self.clock.now();
                self.hub().receive(now, buffers.datagrams(count), &self.socket, events);
                self.introduce(events);
                (buffers.len(count), buffers.arrival())
            }
            Ok(None) => (0, None),
            Err(error) => {
                // On UDP, errors are about single datagrams, such as a peer's closed port.
                tracing::debug!(%error, "a lane's datagram was not received");
                (0, None)
            }
        }
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, link: &Link, lane: LaneId, role: LaneRole, port: u16) -> Result<(), String> {
        let peer = link.remote_address().ok_or("the link's peer has no address of its own")?;
        let keys = LaneKeys::from_exported(&*link.lane_secret(lane.0)?);
        let peer = SocketAddr::new(peer.ip().to_canonical(), port);
        let agreed = Agreed { id: lane, role, keys, suite: LaneSuite::Full, peer };
        self.hub().begin(self.clock.now(), link.id, agreed)
    }
}

#[cfg(test)]
impl Lanes {
    /// Begins a lane whose other end is nowhere.
    pub(super) fn begin_unanswered(&self, link: LinkId) {
        let Some(pair) = &self.0 else { return };
        let (id, keys) = (LaneId(1), LaneKeys::from_exported(&[7; 88]));
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let agreed = Agreed { id, role: LaneRole::Child, keys, suite: LaneSuite::Full, peer };
        let begun = pair.parents.hub().begin(pair.parents.clock.now(), link, agreed);
        assert_eq!(begun, Ok(()));
    }
}

/// A lane as a link sends through it.
#[derive(Debug)]
struct LaneCarrier {
    shared: Arc<Shared>,
    key: LaneKey,
}

impl Carrier for LaneCarrier {
    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn max_chunk(&self) -> usize {
        hub::MAX_CHUNK
    }

    fn budget(&mut self, now: MonoTime) -> usize {
        self.shared.hub().lane(self.key).map_or(0, |lane| lane.budget(now))
    }

    fn retry_at(&mut self, now: MonoTime) -> MonoTime {
        self.shared.hub().retry_at(self.key, now).unwrap_or(now.plus(RETRY))
    }

    fn send(&mut self, now: MonoTime, chunks: &mut dyn Iterator<Item = SealedChunk<'_>>) -> Sent {
        self.shared.hub().send(self.key, now, chunks, &self.shared.socket)
    }

    fn set_more_waits(&mut self, now: MonoTime, more: bool) {
        self.shared.hub().set_more_waits(self.key, now, more);
    }

    fn estimate(&mut self, now: MonoTime) -> LinkEstimate {
        self.shared.hub().lane(self.key).map(|lane| lane.estimate(now)).unwrap_or_default()
    }
}
