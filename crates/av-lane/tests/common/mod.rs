//! A parent and its children over a virtual network, each with a table of lanes, as a node with one socket would have them.
#![allow(dead_code, clippy::unwrap_used, reason = "shared by several tests, each of which uses a part")]

use av_lane::{
    Burst, Event, Lane, LaneConfig, LaneId, LaneKey, LaneKeys, LaneRole, LaneSlot, LaneSuite, LaneTable,
    MAX_CONTROL_LEN, PathSecret, Received, Route,
};
use av_wire::SealedChunk;
use core::time::Duration;
use core_types::MonoTime;
use fixture::header;
use netsim::{Network, PathModel};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

pub(crate) mod fixture;

pub(crate) const fn ms(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

pub(crate) fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port))
}

/// A chunk whose body follows from its number.
pub(crate) fn chunk(seq: u64, len: usize) -> Vec<u8> {
    let mut chunk = header(seq).to_bytes().unwrap().to_vec();
    chunk.extend((0..len as u64 - 52).map(|at| (seq * 31 + at) as u8));
    chunk
}

pub(crate) fn keys(id: LaneId) -> LaneKeys {
    LaneKeys::from_exported(&std::array::from_fn(|at| (at as u64 * 7 + id.0) as u8))
}

pub(crate) fn lane(id: LaneId, role: LaneRole, peer: SocketAddr, now: MonoTime) -> Lane {
    let mut config = LaneConfig::new(PathSecret([role as u8 + 1; 32]));
    config.stream = true;
    Lane::new(&config, id, role, keys(id), LaneSuite::Full, peer, now).unwrap()
}

/// A lane and what its node wants to send over it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) lane: Lane,
    pub(crate) queue: VecDeque<Vec<u8>>,
    /// Chunks that were in the queue for too long.
    pub(crate) stale: u64,
    pub(crate) next_send: Option<MonoTime>,
    pub(crate) events: Vec<(MonoTime, Event)>,
    /// How often each chunk came.
    pub(crate) taken: BTreeMap<u64, u32>,
    /// What is to be said over the stream and has not been taken by it, what was heard, and whether anybody listens.
    pub(crate) to_say: VecDeque<u8>,
    pub(crate) heard: Vec<u8>,
    pub(crate) listens: bool,
}

impl Slot {
    pub(crate) fn listen(&mut self) {
        let start = self.heard.len();
        self.heard.resize(start + self.lane.stream_readable(), 0);
        assert_eq!(self.lane.read_stream(&mut self.heard[start..]), self.heard.len() - start);
    }

    fn say(&mut self) {
        while !self.to_say.is_empty() && self.lane.stream_room() > 0 {
            let said = self.lane.write_stream(self.to_say.as_slices().0);
            self.to_say.drain(..said);
        }
    }
}

impl LaneSlot for Slot {
    fn lane(&self) -> &Lane {
        &self.lane
    }

    fn deadline(&self) -> Option<MonoTime> {
        let says = (!self.to_say.is_empty() && self.lane.stream_room() > 0).then_some(MonoTime(0));
        [self.lane.poll_timeout(), self.next_send, says].into_iter().flatten().min()
    }
}

/// A datagram that a node handed to its socket.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: MonoTime,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_media: bool,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) table: LaneTable<Slot>,
    pub(crate) burst: Burst,
    pub(crate) sent: Vec<Sent>,
    /// Datagrams that no lane would have.
    pub(crate) unknown: u64,
    pub(crate) refused: u64,
    pub(crate) runs: u64,
    pub(crate) bursts: u64,
}

impl Node {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let table = LaneTable::new(4_096, 99).with_tick(Duration::from_millis(1));
        Self {
            address,
            table,
            burst: Burst::new(),
            sent: Vec::new(),
            unknown: 0,
            refused: 0,
            runs: 0,
            bursts: 0,
        }
    }

    pub(crate) fn add(&mut self, now: MonoTime, lane: Lane) -> LaneKey {
        let slot = Slot {
            lane,
            queue: VecDeque::new(),
            stale: 0,
            next_send: None,
            events: Vec::new(),
            taken: BTreeMap::new(),
            to_say: VecDeque::new(),
            heard: Vec::new(),
            listens: true,
        };
        self.table.insert(now, slot).unwrap().key
    }

    /// The only lane.
    pub(crate) fn slot(&self) -> &Slot {
        self.table.iter().next().unwrap().1
    }

    pub(crate) fn key(&self) -> LaneKey {
        self.table.iter().next().unwrap().0
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.slot().lane
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.slot().events.iter().map(|(_, event)| *event).collect()
    }

    /// When an event of a kind came first.
    pub(crate) fn first(&self, is: impl Fn(&Event) -> bool) -> Option<MonoTime> {
        self.slot().events.iter().find(|(_, event)| is(event)).map(|(at, _)| *at)
    }

    pub(crate) fn receive(&mut self, now: MonoTime, from: SocketAddr, bytes: &mut [u8]) {
        let Route::Lane(key) = self.table.route(from, bytes) else {
            self.unknown += 1;
            return;
        };
        let mut slot = self.table.get_mut(now, key).unwrap();
        let slot = &mut *slot;
        match slot.lane.handle_datagram(now, from, bytes) {
            Ok(Received::Chunk(fresh)) => {
                let seq = fresh.header().chunk_seq.0;
                let mut whole = Vec::new();
                fresh.write(&mut whole);
                assert_eq!(whole, chunk(seq, whole.len()), "what came is what was sent");
                *slot.taken.entry(seq).or_default() += 1;
            }
            Ok(Received::Control) => {}
            Ok(Received::Stream) if slot.listens => slot.listen(),
            Ok(Received::Stream) => {}
            Err(_) => self.refused += 1,
        }
    }

    /// Hands chunks to all lanes.
    pub(crate) fn publish(&mut self, now: MonoTime, chunks: &[Vec<u8>]) {
        let keys: Vec<LaneKey> = self.table.iter().map(|(key, _)| key).collect();
        for key in keys {
            let mut slot = self.table.get_mut(now, key).unwrap();
            slot.queue.extend(chunks.iter().cloned());
            while slot.queue.len() > 60 {
                slot.queue.pop_front();
                slot.stale += 1;
            }
            slot.next_send = Some(now);
        }
    }

    /// Does all that is due.
    pub(crate) fn drive(&mut self, now: MonoTime, network: &mut Network) {
        while let Some(mut slot) = self.table.poll_due(now) {
            let slot = &mut *slot;
            slot.lane.handle_timeout(now);
            slot.say();
            if slot.next_send.is_some_and(|at| at <= now) {
                pump(now, slot, &mut self.burst, &mut self.sent);
                self.runs += self.burst.runs().len() as u64;
                self.bursts += 1;
                for run in self.burst.runs() {
                    for datagram in run.datagrams() {
                        network.send(now, self.address, slot.lane.peer(), datagram);
                    }
                }
            }
            let mut packet = [0; MAX_CONTROL_LEN];
            while let Some((to, len)) = slot.lane.poll_transmit(now, &mut packet) {
                self.sent.push(Sent { at: now, to, bytes: packet[..len].to_vec(), is_media: false });
                network.send(now, self.address, to, &packet[..len]);
            }
            while let Some(event) = slot.lane.poll_event() {
                slot.events.push((now, event));
            }
        }
    }
}

/// Sends of a queue what may be sent now.
fn pump(now: MonoTime, slot: &mut Slot, burst: &mut Burst, sent: &mut Vec<Sent>) {
    let mut budget = slot.lane.budget(now);
    let mut count = 0;
    for chunk in &slot.queue {
        let len = Lane::datagram_len(&SealedChunk::parse(chunk).unwrap());
        if len > budget {
            break;
        }
        budget -= len;
        count += 1;
    }
    let chunks = slot.queue.iter().take(count).map(|chunk| SealedChunk::parse(chunk).unwrap());
    match slot.lane.seal_burst(now, chunks, burst) {
        Ok(sealed) => {
            assert_eq!((sealed.datagrams, sealed.left_out), (count, 0));
            let datagrams =
                burst.runs().flat_map(|run| run.datagrams().map(<[u8]>::to_vec).collect::<Vec<_>>());
            let to = slot.lane.peer();
            sent.extend(datagrams.map(|bytes| Sent { at: now, to, bytes, is_media: true }));
            slot.queue.drain(..count);
        }
        Err(_) => {
            assert!(burst.is_empty());
            if slot.lane.is_over() {
                slot.queue.clear();
            }
        }
    }
    slot.next_send = None;
    if let Some(chunk) = slot.queue.front() {
        let len = Lane::datagram_len(&SealedChunk::parse(chunk).unwrap());
        slot.next_send =
            slot.lane.next_send_at(now, len).map(|at| at.max(now.plus(Duration::from_millis(1))));
        // With a full window: when a report came, or a while later.
        slot.next_send.get_or_insert(now.plus(Duration::from_millis(20)));
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) now: MonoTime,
    pub(crate) parent: Node,
    pub(crate) children: Vec<Node>,
    /// Chunks in a frame, and bytes of each; a frame each 40 ms. None: no media.
    pub(crate) frame: Option<(usize, usize)>,
    pub(crate) next_frame: MonoTime,
    pub(crate) next_chunk: u64,
}

impl World {
    pub(crate) fn new(seed: u64, down: PathModel, up: PathModel) -> Self {
        Self::with_children(seed, down, up, 1)
    }

    pub(crate) fn with_children(seed: u64, down: PathModel, up: PathModel, children: u8) -> Self {
        let mut network = Network::new(seed);
        let now = ms(1_000);
        let mut parent = Node::new(address(1, 4_000));
        let mut nodes = Vec::new();
        for host in 2..2 + children {
            let mut child = Node::new(address(host, 4_000));
            network.set_path(parent.address, child.address, down.clone()).unwrap();
            network.set_path(child.address, parent.address, up.clone()).unwrap();
            let id = LaneId(host.into());
            parent.add(now, lane(id, LaneRole::Parent, child.address, now));
            child.add(now, lane(id, LaneRole::Child, parent.address, now));
            nodes.push(child);
        }
        Self {
            network,
            now,
            parent,
            children: nodes,
            frame: Some((10, 1_100)),
            next_frame: now,
            next_chunk: 0,
        }
    }

    pub(crate) fn child(&self) -> &Node {
        &self.children[0]
    }

    pub(crate) fn run(&mut self, until: MonoTime) {
        self.run_with(until, |_, _| {});
    }

    /// Runs; `tap` sees each datagram that arrives, before it is handed on, and may do something about it.
    pub(crate) fn run_with(&mut self, until: MonoTime, mut tap: impl FnMut(&mut Network, &netsim::Delivery)) {
        loop {
            if let Some((count, len)) = self.frame
                && self.next_frame <= self.now
            {
                let seqs = self.next_chunk..self.next_chunk + count as u64;
                self.next_chunk = seqs.end;
                let chunks: Vec<_> = seqs.map(|seq| chunk(seq, len)).collect();
                self.parent.publish(self.now, &chunks);
                self.next_frame = self.now.plus(Duration::from_millis(40));
            }
            let arrived: Vec<_> = self.network.deliver(self.now).collect();
            for mut delivery in arrived {
                tap(&mut self.network, &delivery);
                let children = &mut self.children;
                let node = if delivery.to == self.parent.address {
                    Some(&mut self.parent)
                } else {
                    children.iter_mut().find(|child| child.address == delivery.to)
                };
                if let Some(node) = node {
                    node.receive(self.now, delivery.from, &mut delivery.bytes);
                }
            }
            self.parent.drive(self.now, &mut self.network);
            for child in &mut self.children {
                child.drive(self.now, &mut self.network);
            }
            let timers = self.children.iter().map(|child| child.table.poll_timeout());
            let next = timers
                .chain([self.parent.table.poll_timeout(), self.network.next_delivery()])
                .chain([self.frame.map(|_| self.next_frame)])
                .flatten()
                .min()
                .map_or(until, |next| next.max(MonoTime(self.now.0 + 1)));
            if self.now >= until {
                return;
            }
            self.now = next.min(until);
        }
    }
}

/// A plain path.
pub(crate) fn path(delay: u64) -> PathModel {
    PathModel { delay: Duration::from_millis(delay), overhead: 28, ..PathModel::default() }
}
