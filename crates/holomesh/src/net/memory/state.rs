//! All that a network knows: its nodes, their links, and what is under way between them.

use super::Strays;
use super::connection::MemoryConnection;
use super::end::{End, EndId, Flushed, Segment, TIMED_OUT};
use super::envelope;
use super::paths::Paths;
use crate::net::PeerAddress;
use crate::net::link::LinkEvent;
use crate::{Error, keyfile};
use bytes::Bytes;
use core::time::Duration;
use core_types::{LinkId, MonoTime};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

/// How often the ends of a link let each other know that they are there.
const BEAT: Duration = Duration::from_millis(250);
/// An end that hears nothing for so long takes the link for dead.
const IDLE: Duration = Duration::from_millis(2_500);
/// When it is tried again whether a node has room.
const RETRY: Duration = Duration::from_millis(1);

/// A node of this network. Addresses come and go, and are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(u64);

#[derive(Debug)]
struct Node {
    address: SocketAddr,
    transport_key: [u8; 32],
    callers: mpsc::Sender<MemoryConnection>,
}

#[derive(Debug)]
struct Pair {
    /// What the two ends have in common, and nobody else.
    secret: Arc<Zeroizing<[u8; 32]>>,
    ends: [End; 2],
}

impl Pair {
    /// An end, and the other one.
    const fn split(&mut self, side: usize) -> (&mut End, &mut End) {
        let [caller, called] = &mut self.ends;
        if side == 0 { (caller, called) } else { (called, caller) }
    }
}

/// What a connection is made from.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) end: EndId,
    pub(super) peer_key: [u8; 32],
    pub(super) secret: Arc<Zeroizing<[u8; 32]>>,
    pub(super) why: watch::Receiver<Option<String>>,
}

/// Somebody calls a node.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) node: mpsc::Sender<MemoryConnection>,
    pub(super) line: Line,
}

/// What [`State::turn`] has found.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) calls: Vec<Call>,
    /// When there is something to do again.
    pub(super) next: Option<MonoTime>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) paths: Paths,
    nodes: BTreeMap<NodeId, Node>,
    pairs: BTreeMap<u64, Pair>,
    next_node: u64,
    next_pair: u64,
    beat_at: MonoTime,
    strays: Strays,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            paths: Paths::new(seed),
            nodes: BTreeMap::new(),
            pairs: BTreeMap::new(),
            next_node: 1,
            next_pair: 1,
            beat_at: MonoTime::default(),
            strays: Strays::default(),
        }
    }

    pub(super) fn strays(&self) -> Strays {
        Strays { unroutable: self.paths.unroutable(), ..self.strays }
    }

    /// Puts a node on the network; port 0 stands for the first one that is free there.
    pub(super) fn open(
        &mut self,
        wanted: SocketAddr,
        transport_key: [u8; 32],
        callers: mpsc::Sender<MemoryConnection>,
    ) -> Result<(NodeId, SocketAddr), Error> {
        let is_free = |address: &SocketAddr| self.nodes.values().all(|node| node.address != *address);
        let address = match wanted.port() {
            0 => (1..=u16::MAX).map(|port| SocketAddr::new(wanted.ip(), port)).find(is_free),
            _ => Some(wanted).filter(is_free),
        };
        let address = address.ok_or_else(|| {
            Error::Network(format!("can't listen on {wanted}: another node of this network does"))
        })?;
        let id = NodeId(self.next_node);
        self.next_node += 1;
        self.nodes.insert(id, Node { address, transport_key, callers });
        Ok((id, address))
    }

    /// Takes a node off the network, its peers being told.
    pub(super) fn leave(&mut self, now: MonoTime, node: NodeId, why: &str) {
        self.nodes.remove(&node);
        for end in self.ends_of(node) {
            self.close(now, end, why);
        }
    }

    /// Takes whoever is at an address off the network, nobody being told.
    pub(super) fn vanish(&mut self, address: SocketAddr) {
        let gone = self.nodes.extract_if(.., |_, node| node.address == address);
        let gone: Vec<NodeId> = gone.map(|(id, _)| id).collect();
        for node in gone {
            for end in self.ends_of(node) {
                if let Some((mine, _)) = self.both(end) {
                    mine.is_off = true;
                }
            }
        }
    }

    fn ends_of(&self, node: NodeId) -> Vec<EndId> {
        self.ends()
            .filter(|end| self.pairs.get(&end.pair).is_some_and(|pair| pair.ends[end.side].node == node))
            .collect()
    }

    fn ends(&self) -> impl Iterator<Item = EndId> {
        self.pairs.keys().flat_map(|pair| [0, 1].map(|side| EndId { pair: *pair, side }))
    }

    /// Where a node can be reached.
    pub(super) fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.nodes.get(&node).map(|node| self.paths.outside(node.address))
    }

    /// Calls whoever is at the first of the addresses where somebody is; without addresses, whoever has the transport key.
    pub(super) fn call(&mut self, now: MonoTime, from: NodeId, to: &PeerAddress) -> Result<Line, Error> {
        let at = |address: &SocketAddr| {
            self.nodes.iter().find(|(_, node)| self.paths.outside(node.address) == *address)
        };
        let by_key = || self.nodes.iter().find(|(_, node)| node.transport_key == to.endpoint);
        let found = if to.addresses.is_empty() { by_key() } else { to.addresses.iter().find_map(at) };
        // Whoever is not there is called in vain.
        let nowhere = to.addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let called = found.map_or((NodeId(0), nowhere), |(id, node)| (*id, node.address));
        let own = self
            .nodes
            .get(&from)
            .map(|node| node.address)
            .ok_or_else(|| Error::Network("this node is off the network".into()))?;
        let mut secret = Zeroizing::new([0; 32]);
        keyfile::fill_random(&mut *secret)?;
        let secret = Arc::new(secret);

        self.paths.make(own, called.1);
        let outside = [self.paths.outside(own), self.paths.outside(called.1)];
        let mut caller = End::new(from, own, outside[1], now);
        let mut callee = End::new(called.0, called.1, outside[0], now);
        if found.is_none() {
            callee.is_off = true;
            callee.close("nobody is there".into());
        }
        caller.push(now.plus(self.paths.latency(now, own, called.1)), Segment::Call(to.endpoint));
        let end = EndId { pair: self.next_pair, side: 0 };
        self.next_pair += 1;
        let line = Line { end, peer_key: to.endpoint, secret: secret.clone(), why: caller.why() };
        self.pairs.insert(end.pair, Pair { secret, ends: [caller, callee] });
        Ok(line)
    }

    fn both(&mut self, end: EndId) -> Option<(&mut End, &mut End)> {
        self.pairs.get_mut(&end.pair).map(|pair| pair.split(end.side))
    }

    /// When an end heard something last.
    pub(super) fn heard(&self, end: EndId) -> MonoTime {
        self.pairs.get(&end.pair).map_or(MonoTime::default(), |pair| pair.ends[end.side].heard)
    }

    /// Where the peer of an end is.
    pub(super) fn peer_of(&self, end: EndId) -> Option<SocketAddr> {
        self.pairs.get(&end.pair).map(|pair| pair.ends[end.side].peer)
    }

    /// Hands what comes in media to a node.
    pub(super) fn begin(&mut self, end: EndId, link: LinkId, events: mpsc::Sender<LinkEvent>) {
        if let Some((mine, _)) = self.both(end).filter(|(mine, _)| !mine.is_closed()) {
            mine.begin(link, events);
        }
    }

    /// Closes a link from one end, if it is not closed yet.
    pub(super) fn close(&mut self, now: MonoTime, end: EndId, why: &str) {
        if self.both(end).is_some_and(|(mine, _)| mine.hang_up()) {
            self.push(now, end, Segment::Close(why.to_owned()));
        }
    }

    /// Puts something on its way to the other end.
    pub(super) fn push(&mut self, now: MonoTime, end: EndId, segment: Segment) {
        let Some(pair) = self.pairs.get_mut(&end.pair) else { return };
        let (mine, peer) = pair.split(end.side);
        mine.push(now.plus(self.paths.latency(now, mine.here, peer.here)), segment);
    }

    /// Writes bytes of control messages, as many as there is room for.
    pub(super) fn write(
        &mut self,
        now: MonoTime,
        end: EndId,
        cx: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some((mine, peer)) = self.both(end).filter(|(mine, _)| !mine.is_closed()) else {
            return Poll::Ready(Err(lost()));
        };
        let len = mine.room(peer).min(bytes.len());
        if len == 0 {
            mine.wait_for_room(cx.waker());
            return Poll::Pending;
        }
        self.push(now, end, Segment::Data(Bytes::copy_from_slice(&bytes[..len])));
        Poll::Ready(Ok(len))
    }

    /// Reads bytes of control messages, `most` at most. What came before the link was closed is still there.
    pub(super) fn read(&mut self, end: EndId, cx: &Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        let Some((mine, peer)) = self.both(end) else { return Poll::Ready(Err(lost())) };
        match mine.read(most, cx.waker()) {
            Some(bytes) => {
                peer.has_room();
                Poll::Ready(Ok(bytes))
            }
            None if mine.is_closed() => Poll::Ready(Err(lost())),
            None => Poll::Pending,
        }
    }

    /// Sends datagrams of media, each in an envelope.
    pub(super) fn send(&mut self, now: MonoTime, end: EndId, datagrams: Vec<Vec<u8>>) {
        let Some(pair) = self.pairs.get_mut(&end.pair) else { return };
        let (mine, peer) = pair.split(end.side);
        if mine.is_off || peer.is_off || mine.is_closed() {
            return;
        }
        for datagram in datagrams {
            self.paths.send(now, mine.here, peer.here, mine.peer, datagram);
        }
    }

    /// The path of an end's media, by its own address and that of the peer's node.
    pub(super) fn way(&self, end: EndId) -> Option<(SocketAddr, SocketAddr)> {
        let pair = self.pairs.get(&end.pair)?;
        Some((pair.ends[end.side].here, pair.ends[1 - end.side].here))
    }

    /// Delivers what is due.
    pub(super) fn turn(&mut self, now: MonoTime) -> Turn {
        let mut calls = Vec::new();
        self.deliver_datagrams(now);
        let due: Vec<EndId> =
            self.ends().filter(|end| self.due(now, *end).is_some_and(|due| due <= now)).collect();
        for end in due {
            self.deliver_segments(now, end, &mut calls);
        }
        if now >= self.beat_at {
            self.beat(now);
        }
        let is_full = self.flush(now);
        self.pairs.retain(|_, pair| !pair.ends.iter().all(End::is_done));

        let segments = self.ends().filter_map(|end| self.due(now, end)).min();
        let beat = (!self.pairs.is_empty()).then_some(self.beat_at);
        let retry = is_full.then(|| now.plus(RETRY));
        let next = segments.into_iter().chain(beat).chain(retry).chain(self.paths.next_delivery()).min();
        Turn { calls, next }
    }

    /// When the next segment of an end arrives; `None` while it can't.
    fn due(&self, now: MonoTime, end: EndId) -> Option<MonoTime> {
        let pair = self.pairs.get(&end.pair)?;
        let (mine, peer) = (&pair.ends[end.side], &pair.ends[1 - end.side]);
        mine.next_due().filter(|_| reaches(&self.paths, now, mine, peer))
    }

    fn deliver_segments(&mut self, now: MonoTime, end: EndId, calls: &mut Vec<Call>) {
        loop {
            let Some(pair) = self.pairs.get_mut(&end.pair) else { return };
            let secret = pair.secret.clone();
            let (mine, peer) = pair.split(end.side);
            let Some(segment) = mine.pop(now) else { return };
            if peer.is_closed() {
                continue;
            }
            peer.heard = now;
            peer.peer = self.paths.outside(mine.here);
            match segment {
                Segment::Call(wanted) => {
                    let why = peer.why();
                    let (caller, called) = (mine.node, peer.node);
                    let keys = self.nodes.get(&caller).zip(self.nodes.get(&called));
                    match keys.map(|(caller, called)| (caller.transport_key, called)) {
                        Some((peer_key, node)) if node.transport_key == wanted => {
                            let line = Line { end: end.other(), peer_key, secret, why };
                            calls.push(Call { node: node.callers.clone(), line });
                        }
                        Some(_) => self.close(now, end.other(), "the node there has another transport key"),
                        None => {}
                    }
                }
                Segment::Data(bytes) => peer.take_in(bytes),
                Segment::Fin => peer.finish(),
                Segment::Large(chunks) => {
                    let unread = chunks.into_iter().filter(|chunk| !peer.take_whole(chunk.clone())).count();
                    self.strays.unread += unread as u64;
                }
                Segment::Close(why) => peer.close(format!("closed by peer: {why}")),
            }
        }
    }

    fn deliver_datagrams(&mut self, now: MonoTime) {
        for delivery in self.paths.deliver(now).collect::<Vec<_>>() {
            let mut bytes = delivery.bytes;
            let parsed = envelope::addressee(&bytes).and_then(|end| {
                let pair = self.pairs.get_mut(&end.pair)?;
                envelope::is_authentic(&pair.secret, end, &bytes).then_some((pair, end))
            });
            let Some((pair, end)) = parsed else {
                self.strays.damaged += 1;
                continue;
            };
            let (mine, peer) = pair.split(end.side);
            if mine.is_off || peer.is_off || mine.is_closed() {
                continue;
            }
            mine.heard = now;
            mine.peer = delivery.from;
            if !mine.take_datagram(bytes.split_off(envelope::LEN)) {
                self.strays.unread += 1;
            }
        }
    }

    /// Has the ends of all links hear from each other at once: a way has opened, and what waited is acknowledged.
    pub(super) const fn beat_soon(&mut self) {
        self.beat_at = MonoTime(0);
    }

    /// Both ends of each link hear that the other is there, if they can; who has heard nothing for too long gives up.
    fn beat(&mut self, now: MonoTime) {
        self.beat_at = now.plus(BEAT);
        for pair in self.pairs.values_mut() {
            for side in [0, 1] {
                let (mine, peer) = pair.split(side);
                if reaches(&self.paths, now, mine, peer) {
                    peer.heard = now;
                    peer.peer = self.paths.outside(mine.here);
                } else if !peer.is_closed() && now.since(peer.heard) >= IDLE {
                    peer.close(TIMED_OUT.into());
                }
            }
        }
    }

    /// Hands over what came in media; true if somebody has no room for all of it.
    fn flush(&mut self, now: MonoTime) -> bool {
        let mut is_full = false;
        for end in self.ends().collect::<Vec<_>>() {
            let Some((mine, _)) = self.both(end) else { continue };
            match mine.flush() {
                Flushed::All => {}
                Flushed::Full => is_full = true,
                Flushed::Blame(error) => {
                    tracing::info!(%error, "link closed");
                    self.close(now, end, &error.to_string());
                }
            }
        }
        is_full
    }
}

/// Whether what `from` sends reaches `to`.
fn reaches(paths: &Paths, now: MonoTime, from: &End, to: &End) -> bool {
    let is_on = !from.is_off && !to.is_off;
    is_on && from.peer == paths.outside(to.here) && !paths.is_closed(now, from.here, to.here)
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "connection lost")
}
