//! A publisher's frames, a relay, and subscribers behind lanes over a virtual network, as a node drives them.

use alm::{Action, Subscription};
use av_congestion::{RepairConfig, RepairShare};
use av_lane::{
    Burst, Lane, LaneConfig, LaneId, LaneKeys, LaneRole, LaneSuite, MAX_CONTROL_LEN, PathSecret, Received,
};
use av_relay::{Carriage, Limits, Quota, Relay, Rest, StartAt, Upstream};
use av_wire::{AwsLc, ChunkHeader, FreshChunk, HEADER_LEN, HopReceiver, HopSuite};
use bytes::Bytes;
use core_types::{
    BitRate, ChunkSeq, CodecId, Epoch, KeyId, Layer, LayerPolicy, LinkId, Marks, MonoTime, ObjectClass,
    StreamId, StripeSet,
};
use netsim::{Network, PathModel, Steps};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const STREAM: StreamId = StreamId([3; 32]);
const EPOCH: Epoch = Epoch(1);
const UP: LinkId = LinkId(1_000);
/// Chunks that go to one link in one go, and the least that is asked for: as a node does.
const BURST: usize = 56;
const SOUND: usize = 512;
/// Bytes of a chunk.
pub const CHUNK: usize = 1_100;
/// How often a node looks at what its links lose, and what a control message takes.
const LOOK: Duration = Duration::from_millis(250);
const CONTROL: Duration = Duration::from_millis(20);
/// A frame is decided when one so much later has begun.
const SETTLED: u64 = 12;

/// A frame, as a source makes it.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub layer: Layer,
    pub class: ObjectClass,
    /// Frames back to the one that it refers to.
    pub refers: u64,
    pub source: usize,
    pub repair: usize,
}

/// Makes frame number so-and-so; told whether a key frame was asked for.
pub type Script = fn(u64, bool) -> Frame;

/// What a subscriber saw between two marks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub frames: u64,
    pub shown: u64,
    pub still: Duration,
}

pub struct Stage {
    pub now: MonoTime,
    pub relay: Relay,
    network: Network,
    script: Script,
    interval: u64,
    began: MonoTime,
    frames: u64,
    next_seq: u64,
    key_wanted: bool,
    pub keys_asked: u64,
    /// What was made: first chunk number and frame.
    made: BTreeMap<u64, (u64, Frame)>,
    pub subs: Vec<Viewer>,
    looked: MonoTime,
}

pub struct Viewer {
    pub link: LinkId,
    parent: Lane,
    child: Lane,
    share: RepairShare,
    blocked: Option<MonoTime>,
    asks: Subscription,
    /// What was asked for, and when the relay hears of it.
    asked: Vec<(MonoTime, Vec<ChunkSeq>)>,
    /// Chunks by frame, and when there were enough.
    open: BTreeMap<u64, (usize, Option<MonoTime>)>,
    decided: u64,
    shown: BTreeMap<u64, bool>,
    last_shown: Option<MonoTime>,
    seen: Seen,
}

fn node(n: u64) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n as u8], 1))
}

fn lane(id: u64, role: LaneRole, peer: SocketAddr, now: MonoTime) -> Lane {
    let mut config = LaneConfig::new(PathSecret([role as u8 + 1; 32]));
    config.max_datagram = 1_452;
    let keys = LaneKeys::from_exported(&std::array::from_fn(|at| (at as u64 * 7 + id) as u8));
    Lane::new(&config, LaneId(id), role, keys, LaneSuite::Full, peer, now).unwrap()
}

/// A path that carries so much and holds 200 ms of it.
pub fn narrow(rate: BitRate, delay: Duration) -> PathModel {
    PathModel {
        delay,
        jitter: Duration::from_millis(2),
        bandwidth: Steps::constant(rate),
        queue: (rate.0 / 8 / 5) as usize,
        ..PathModel::default()
    }
}

pub fn wide(delay: Duration) -> PathModel {
    PathModel { delay, ..PathModel::default() }
}

impl Stage {
    pub fn new(seed: u64, script: Script, interval: Duration, paths: &[PathModel]) -> Self {
        let now = MonoTime::from_millis(1_000);
        let mut relay = Relay::new(Limits::default());
        let mut network = Network::new(seed);
        relay.add_link(UP, KeyId([99; 32]), Quota::UNLIMITED).unwrap();
        relay.carry(STREAM, Carriage::forever(CodecId::Av1)).unwrap();
        relay.add_upstream(STREAM, UP).unwrap();
        let mut subs = Vec::new();
        for (n, there) in (1..).zip(paths) {
            let link = LinkId(n);
            relay.add_link(link, KeyId([n as u8; 32]), Quota::UNLIMITED).unwrap();
            network.set_path(node(0), node(n), there.clone()).unwrap();
            network.set_path(node(n), node(0), wide(there.delay)).unwrap();
            let mut asks = Subscription::new(alm::Config { stripes: 1, ..alm::Config::default() }).unwrap();
            asks.add_parent(now, UP);
            subs.push(Viewer {
                link,
                parent: lane(n, LaneRole::Parent, node(n), now),
                child: lane(n, LaneRole::Child, node(0), now),
                share: RepairShare::new(RepairConfig::default()).unwrap(),
                blocked: None,
                asks,
                asked: Vec::new(),
                open: BTreeMap::new(),
                decided: 0,
                shown: BTreeMap::new(),
                last_shown: None,
                seen: Seen::default(),
            });
            relay
                .subscribe(now, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::KeyFrameGroup)
                .unwrap();
        }
        let mut stage = Self {
            now,
            relay,
            network,
            script,
            interval: interval.as_micros() as u64,
            began: now,
            frames: 0,
            next_seq: 0,
            key_wanted: false,
            keys_asked: 0,
            made: BTreeMap::new(),
            subs,
            looked: now,
        };
        // The lanes get ready before anything is published.
        let until = now.plus(Duration::from_millis(400));
        while stage.now < until {
            stage.step(false);
        }
        assert!(stage.subs.iter().all(|sub| sub.parent.is_ready()));
        stage.began = stage.now;
        stage
    }

    pub fn run(&mut self, how_long: Duration) {
        let until = self.now.plus(how_long);
        while self.now < until {
            self.step(true);
        }
    }

    fn step(&mut self, publishes: bool) {
        self.now = self.now.plus(Duration::from_millis(1));
        let now = self.now;
        self.deliver();
        self.relay.handle_timeout(now);
        while publishes && self.frames * self.interval <= now.since(self.began).as_micros() as u64 {
            self.publish();
        }
        for at in 0..self.subs.len() {
            self.serve_requests(at);
            let sub = &mut self.subs[at];
            if sub.blocked.is_some_and(|at| at <= now) {
                sub.blocked = None;
                self.relay.resume(sub.link);
            }
        }
        if now.since(self.looked) >= LOOK {
            self.looked = now;
            for sub in &mut self.subs {
                sub.share.on_loss(now, sub.parent.estimate(now).loss_permille);
                self.relay.set_repair_share(sub.link, sub.share.share(now)).unwrap();
            }
        }
        self.transmit();
        while let Some(Upstream::KeyFrameWanted { .. }) = self.relay.poll_upstream() {
            self.key_wanted = true;
            self.keys_asked += 1;
        }
        while self.relay.poll_event().is_some() {}
        self.control();
    }

    fn publish(&mut self) {
        let number = self.frames;
        self.frames += 1;
        let frame = (self.script)(number, self.key_wanted);
        self.key_wanted &= frame.class != ObjectClass::KeyFrame;
        let first = self.next_seq;
        self.next_seq += (frame.source + frame.repair) as u64;
        self.made.insert(first, (number, frame));
        let inside = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        let chunks: Vec<FreshChunk<Bytes>> = (0..frame.source + frame.repair)
            .map(|at| {
                let header = ChunkHeader {
                    stream_id: STREAM,
                    epoch: EPOCH,
                    chunk_seq: ChunkSeq(first + at as u64),
                    codec: CodecId::Av1,
                    layer: frame.layer,
                    marks: Marks { class: frame.class, start: at == 0, repair: at >= frame.source },
                };
                let mut bytes = header.to_bytes().unwrap().to_vec();
                bytes.resize(CHUNK.max(HEADER_LEN + 17), 0);
                inside.take_whole(Bytes::from(bytes)).unwrap()
            })
            .collect();
        self.relay.handle_chunks(self.now, UP, chunks).unwrap();
    }

    fn deliver(&mut self) {
        let now = self.now;
        let deliveries: Vec<_> = self.network.deliver(now).collect();
        for mut delivery in deliveries {
            let to_relay = delivery.to == node(0);
            let peer = if to_relay { delivery.from } else { delivery.to };
            let at = self.subs.iter().position(|sub| sub.parent.peer() == peer).unwrap();
            let sub = &mut self.subs[at];
            let end = if to_relay { &mut sub.parent } else { &mut sub.child };
            match end.handle_datagram(now, delivery.from, &mut delivery.bytes).unwrap() {
                Received::Control if to_relay => sub.blocked = sub.blocked.map(|_| now),
                Received::Chunk(fresh) => {
                    let seq = fresh.header().chunk_seq;
                    sub.asks.handle_chunk(now, UP, EPOCH, seq);
                    let (first, (number, frame)) = self.made.range(..=seq.0).next_back().unwrap();
                    if sub.take(now, *number, frame, &self.made) {
                        let end = first + (frame.source + frame.repair) as u64;
                        sub.asks.settle(EPOCH, ChunkSeq(*first)..ChunkSeq(end));
                    }
                }
                _ => {}
            }
        }
    }

    fn serve_requests(&mut self, at: usize) {
        let (now, sub) = (self.now, &mut self.subs[at]);
        if sub.asks.poll_timeout().is_some_and(|due| due <= now) {
            sub.asks.handle_timeout(now);
        }
        while let Some(action) = sub.asks.poll_action() {
            if let Action::Request { chunks, .. } = action {
                sub.asked.push((now.plus(CONTROL), chunks));
            }
        }
        let (due, later) = sub.asked.drain(..).partition(|(at, _)| *at <= now);
        sub.asked = later;
        let due: Vec<(MonoTime, Vec<ChunkSeq>)> = due;
        for (_, chunks) in due {
            self.relay.handle_repair_request(now, sub.link, STREAM, EPOCH, &chunks).unwrap();
        }
    }

    fn transmit(&mut self) {
        let now = self.now;
        let mut out = Burst::new();
        while let Some(link) = self.relay.poll_ready() {
            let sub = &mut self.subs[link.0 as usize - 1];
            let budget = sub.parent.budget(now);
            let burst = self.relay.pull(now, link, budget.max(SOUND), BURST);
            let rest = burst.rest();
            if !burst.is_empty() {
                sub.parent.set_more_waits(rest == Rest::Budget);
                sub.parent.seal_burst(now, burst.iter(), &mut out).unwrap();
                for run in out.runs() {
                    for datagram in run.datagrams() {
                        self.network.send(now, node(0), sub.parent.peer(), datagram);
                    }
                }
            }
            if rest == Rest::Budget {
                let paced = sub.parent.next_send_at(now, 1_452);
                sub.blocked = Some(paced.map_or(now.plus(Duration::from_millis(25)), |at| {
                    at.max(now.plus(Duration::from_millis(1)))
                }));
            }
        }
    }

    fn control(&mut self) {
        let now = self.now;
        let mut packet = [0; MAX_CONTROL_LEN];
        for sub in &mut self.subs {
            let child = sub.parent.peer();
            for (lane, from) in [(&mut sub.parent, node(0)), (&mut sub.child, child)] {
                if lane.poll_timeout().is_some_and(|due| due <= now) {
                    lane.handle_timeout(now);
                }
                while let Some((to, len)) = lane.poll_transmit(now, &mut packet) {
                    self.network.send(now, from, to, &packet[..len]);
                }
                while lane.poll_event().is_some() {}
            }
        }
    }

    /// What a subscriber saw since the last time.
    pub fn mark(&mut self, at: usize) -> Seen {
        let now = self.now;
        let sub = &mut self.subs[at];
        let mut seen = std::mem::take(&mut sub.seen);
        // A picture that stands at the end stands.
        if let Some(last) = sub.last_shown {
            seen.still = seen.still.max(now.since(last).saturating_sub(Duration::from_millis(SETTLED * 40)));
        }
        seen
    }
}

impl Viewer {
    /// A chunk came. True if its frame is complete with it.
    fn take(
        &mut self,
        now: MonoTime,
        number: u64,
        frame: &Frame,
        made: &BTreeMap<u64, (u64, Frame)>,
    ) -> bool {
        if number < self.decided {
            return false;
        }
        let (count, complete) = self.open.entry(number).or_default();
        *count += 1;
        let is_complete = *count == frame.source;
        if is_complete {
            *complete = Some(now);
        }
        while self.decided + SETTLED <= number {
            let frame = made.values().find(|(n, _)| *n == self.decided).unwrap().1;
            self.decide(&frame);
        }
        is_complete
    }

    fn decide(&mut self, frame: &Frame) {
        let number = self.decided;
        self.decided += 1;
        let complete = self.open.remove(&number).and_then(|(_, complete)| complete);
        let refers = match frame.class {
            ObjectClass::KeyFrame => true,
            _ => number.checked_sub(frame.refers).is_some_and(|to| self.shown.get(&to) == Some(&true)),
        };
        let shown = complete.filter(|_| refers);
        self.shown.insert(number, shown.is_some());
        self.seen.frames += 1;
        let Some(at) = shown else { return };
        self.seen.shown += 1;
        if let Some(before) = self.last_shown {
            self.seen.still = self.seen.still.max(at.since(before));
        }
        self.last_shown = Some(self.last_shown.map_or(at, |before| before.max(at)));
    }
}
