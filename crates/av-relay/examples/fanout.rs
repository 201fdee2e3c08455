//! What forwarding costs beside sealing: nanoseconds for each chunk and subscriber, for the relay's bookkeeping alone and for
//! the hop seal of suite `full`. Run with `--release`.
//!
//! A burst is a frame of ten chunks of 1,100 bytes, two of them repair symbols; every link has a sound stream beside the video.
//! Each figure is the least of several passes, so that other work on the machine counts as little as possible.

use av_relay::{Carriage, Limits, Quota, Relay, StartAt};
use av_wire::{AwsLc, ChunkHeader, FreshChunk, HopKeys, HopReceiver, HopSender, HopSuite};
use bytes::Bytes;
use core_types::{
    ChunkSeq, CodecId, Epoch, KeyId, Layer, LayerPolicy, LinkId, Marks, MonoTime, ObjectClass, StreamId,
    StripeSet,
};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

const VIDEO: StreamId = StreamId([1; 32]);
const SOUND: StreamId = StreamId([2; 32]);
const UP: LinkId = LinkId(u64::MAX);
const BURST: u64 = 10;
const CHUNK: usize = 1_100;
const PASSES: usize = 15;

/// Who is served, and how.
#[derive(Debug, Clone, Copy)]
struct Case {
    subscribers: u64,
    stripes: StripeSet,
    /// Room for each burst, in bytes.
    room: usize,
    seals: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let all = Case { subscribers: 0, stripes: StripeSet::ALL, room: 64_000, seals: true };
    println!(
        "{:>11}  {:>14}  {:>14}  {:>10}  {:>6}",
        "subscribers", "bookkeeping ns", "seal `full` ns", "both ns", "share"
    );
    for subscribers in [8, 32, 100, 500, 2_000] {
        let (bookkeeping, seal) = measure(Case { subscribers, ..all })?;
        println!(
            "{subscribers:>11}  {bookkeeping:>14.1}  {seal:>14.1}  {:>10.1}  {:>5.1}%",
            bookkeeping + seal,
            100.0 * bookkeeping / (bookkeeping + seal)
        );
    }
    let others = Case { subscribers: 500, seals: false, ..all };
    let (striped, _) = measure(Case { stripes: StripeSet::single(4, 1)?, ..others })?;
    println!("500 subscribers of one stripe of four: {striped:.1} ns for each chunk of the burst");
    let (slow, _) = measure(Case { room: 3_300, ..others })?;
    println!("500 subscribers with room for 3 chunks of 10, resumed for each burst: {slow:.1} ns");
    Ok(())
}

struct Frames {
    next: u64,
    clock: u64,
}

impl Frames {
    fn next(&mut self) -> Result<Vec<FreshChunk<Bytes>>, Box<dyn Error>> {
        let link = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        let first = self.next;
        self.next += BURST;
        let class = if first == 0 { ObjectClass::KeyFrame } else { ObjectClass::Plain };
        let chunk = |at: u64| {
            let header = ChunkHeader {
                stream_id: VIDEO,
                epoch: Epoch(1),
                chunk_seq: ChunkSeq(first + at),
                codec: CodecId::Av1,
                layer: Layer::BASE,
                marks: Marks { class, start: at == 0, repair: at >= 8 },
            };
            let mut bytes = header.to_bytes()?.to_vec();
            bytes.resize(CHUNK, at as u8);
            Ok(link.take_whole(Bytes::from(bytes))?)
        };
        (0..BURST).map(chunk).collect()
    }
}

/// Nanoseconds of bookkeeping, and of sealing, for each chunk and subscriber.
fn measure(case: Case) -> Result<(f64, f64), Box<dyn Error>> {
    let subscribers = case.subscribers;
    let mut relay = Relay::new(Limits::default());
    relay.add_link(UP, KeyId([0; 32]), Quota::UNLIMITED)?;
    for (stream, codec) in [(VIDEO, CodecId::Av1), (SOUND, CodecId::Opus)] {
        relay.carry(stream, Carriage::forever(codec))?;
        relay.add_upstream(stream, UP)?;
    }
    let mut senders = Vec::new();
    for link in 0..subscribers {
        let mut id = [1; 32];
        id[..8].copy_from_slice(&link.to_le_bytes());
        relay.add_link(LinkId(link), KeyId(id), Quota::UNLIMITED)?;
        for stream in [VIDEO, SOUND] {
            let start = StartAt::Live;
            relay.subscribe(MonoTime(0), LinkId(link), stream, LayerPolicy::UNCAPPED, case.stripes, start)?;
        }
        senders.push(HopSender::<AwsLc>::new(HopSuite::Full(HopKeys::new(&id, &[7; 12])?)));
    }
    let bursts = (200_000 / (subscribers * BURST)).clamp(20, 400);
    let mut frames = Frames { next: 0, clock: 0 };
    let (mut bookkeeping, mut seal) = (f64::MAX, f64::MAX);
    let mut datagram = vec![0; CHUNK + 100];
    for _ in 0..PASSES {
        let arriving = (0..bursts).map(|_| frames.next()).collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        for burst in arriving {
            frames.clock += 33_000;
            let now = MonoTime(frames.clock);
            relay.handle_chunks(now, UP, burst)?;
            if case.room < BURST as usize * CHUNK {
                (0..subscribers).for_each(|link| relay.resume(LinkId(link)));
            }
            while let Some(link) = relay.poll_ready() {
                for chunk in relay.pull(now, link, case.room, 64).iter() {
                    black_box(&chunk);
                }
            }
            while let Some(event) = relay.poll_event() {
                black_box(event);
            }
        }
        bookkeeping =
            bookkeeping.min(began.elapsed().as_nanos() as f64 / (bursts * subscribers * BURST) as f64);
        if case.seals {
            let burst = frames.next()?;
            let began = Instant::now();
            for sender in &mut senders {
                for chunk in &burst {
                    black_box(sender.seal_into(&chunk.as_chunk(), &mut datagram)?);
                }
            }
            seal = seal.min(began.elapsed().as_nanos() as f64 / (subscribers * BURST) as f64);
        }
    }
    Ok((bookkeeping, seal))
}
