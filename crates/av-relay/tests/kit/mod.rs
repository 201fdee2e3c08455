//! What the tests share: chunks as they come off a link, and a relay with an upstream link.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use av_relay::{Carriage, Limits, Quota, Relay, StartAt};
use av_wire::{AwsLc, ChunkHeader, FreshChunk, HEADER_LEN, HopReceiver, HopSuite};
use bytes::Bytes;
use core_types::{
    ChunkSeq, CodecId, Epoch, KeyId, Layer, LayerPolicy, LinkId, Marks, MonoTime, ObjectClass, StreamId,
    StripeSet,
};

pub const STREAM: StreamId = StreamId([3; 32]);
pub const SOUND: StreamId = StreamId([4; 32]);
pub const UP: LinkId = LinkId(1_000_000);
pub const T0: MonoTime = MonoTime(1_000_000);

pub fn ms(millis: u64) -> MonoTime {
    MonoTime(T0.0 + millis * 1_000)
}

/// One chunk, as a test speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    pub stream: StreamId,
    pub codec: CodecId,
    pub epoch: u64,
    pub seq: u64,
    pub layer: Layer,
    pub marks: Marks,
    pub len: usize,
}

impl Spec {
    pub fn bytes(&self) -> Bytes {
        let header = ChunkHeader {
            stream_id: self.stream,
            epoch: Epoch(self.epoch),
            chunk_seq: ChunkSeq(self.seq),
            codec: self.codec,
            layer: self.layer,
            marks: self.marks,
        };
        let mut bytes = header.to_bytes().unwrap().to_vec();
        bytes.resize(self.len.max(HEADER_LEN + 17), self.seq as u8);
        bytes.into()
    }

    /// As it comes off a link.
    pub fn fresh(&self) -> FreshChunk<Bytes> {
        HopReceiver::<AwsLc>::new(HopSuite::TransportSealed).take_whole(self.bytes()).unwrap()
    }
}

/// Makes the chunks of a stream, object by object.
#[derive(Debug, Clone)]
pub struct Source {
    pub stream: StreamId,
    pub codec: CodecId,
    pub epoch: u64,
    pub next: u64,
    pub len: usize,
}

impl Source {
    pub fn video() -> Self {
        Self { stream: STREAM, codec: CodecId::Av1, epoch: 1, next: 0, len: 1_000 }
    }

    pub fn sound() -> Self {
        Self { stream: SOUND, codec: CodecId::Opus, epoch: 1, next: 0, len: 100 }
    }

    /// An object of so many source and repair symbols.
    pub fn object(&mut self, class: ObjectClass, layer: Layer, source: usize, repair: usize) -> Vec<Spec> {
        let first = self.next;
        self.next += (source + repair) as u64;
        (0..source + repair)
            .map(|at| Spec {
                stream: self.stream,
                codec: self.codec,
                epoch: self.epoch,
                seq: first + at as u64,
                layer,
                marks: Marks { class, start: at == 0, repair: at >= source },
                len: self.len,
            })
            .collect()
    }

    pub fn key(&mut self, source: usize) -> Vec<Spec> {
        self.object(ObjectClass::KeyFrame, Layer::BASE, source, 0)
    }

    pub fn plain(&mut self, source: usize) -> Vec<Spec> {
        self.object(ObjectClass::Plain, Layer::BASE, source, 0)
    }
}

pub fn spatial(spatial: u8) -> Layer {
    Layer { spatial, ..Layer::BASE }
}

pub fn temporal(temporal: u8) -> Layer {
    Layer { temporal, ..Layer::BASE }
}

pub fn identity(link: LinkId) -> KeyId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&link.0.to_be_bytes());
    KeyId(id)
}

/// A relay with one upstream link, a video and a sound stream.
pub fn relay_with(limits: Limits) -> Relay {
    let mut relay = Relay::new(limits);
    relay.add_link(UP, identity(UP), Quota::UNLIMITED).unwrap();
    for (stream, codec) in [(STREAM, CodecId::Av1), (SOUND, CodecId::Opus)] {
        relay.carry(stream, Carriage::forever(codec)).unwrap();
        relay.add_upstream(stream, UP).unwrap();
    }
    relay
}

pub fn relay() -> Relay {
    relay_with(Limits::default())
}

pub fn add(relay: &mut Relay, link: u64) -> LinkId {
    let link = LinkId(link);
    relay.add_link(link, identity(link), Quota::UNLIMITED).unwrap();
    link
}

/// A new link, subscribed to all of the video.
pub fn join(relay: &mut Relay, now: MonoTime, link: u64, start: StartAt) -> LinkId {
    let link = add(relay, link);
    relay.subscribe(now, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, start).unwrap();
    link
}

pub fn feed(relay: &mut Relay, now: MonoTime, chunks: &[Spec]) {
    relay.handle_chunks(now, UP, chunks.iter().map(Spec::fresh)).unwrap();
}

/// What a link gets with so much room, as (stream, epoch, number).
pub fn pull(relay: &mut Relay, now: MonoTime, link: LinkId, budget: usize) -> Vec<(StreamId, u64, u64)> {
    let burst = relay.pull(now, link, budget, usize::MAX);
    let bytes: usize = burst.kept().map(|chunk| chunk.bytes().len()).sum();
    assert_eq!((burst.len(), burst.bytes()), (burst.kept().count(), bytes as u64));
    burst.iter().map(|c| (c.header().stream_id, c.header().epoch.0, c.header().chunk_seq.0)).collect()
}

/// The numbers that a link gets with all the room in the world.
pub fn drain(relay: &mut Relay, now: MonoTime, link: LinkId) -> Vec<u64> {
    pull(relay, now, link, usize::MAX).into_iter().map(|(_, _, seq)| seq).collect()
}

pub fn numbers(chunks: &[Spec]) -> Vec<u64> {
    chunks.iter().map(|chunk| chunk.seq).collect()
}
