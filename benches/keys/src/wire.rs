//! Inner seal, hop seal and compact header, beside the raw library doing what can't be done without.

use anyhow::{Result, anyhow};
use av_wire::{
    Content, FrameDuration, HopKeys, HopSender, HopSuite, Inner, Object, ObjectFlags, ReplayWindow,
    SealedChunk, Sealer, StreamKeys,
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bench_harness::{Clock, Limit, Pair, Row, Unit};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, LeafIndex, MediaTime, ObjectSeq, StreamId};
use std::hint::black_box;
use std::time::Duration;

/// Samples, and operations in each: a few milliseconds, so that the clock's own cost is nothing.
const SAMPLES: usize = 51;
const OPERATIONS: usize = 10_000;

const STREAM: StreamId = StreamId([7; 32]);
const GCM: &str = "two raw aws-lc-rs scatter seals of the same bytes";
const GMAC: &str = "raw aws-lc-rs GMAC of the same bytes";
/// Sizes of what stands around 60 bytes of Opus in the usual stack: RTP, SFrame, SRTP.
const RTP_SFRAME_SRTP: f64 = 12.0 + 19.0 + 14.0;

pub(crate) fn run() -> Result<Vec<Row>> {
    Ok(vec![
        seal_and_hop(1_100)?.target(&[Limit::Ratio(1.25)]),
        bind(60)?.target(&[Limit::Ours(150.0)]),
        bind(1_100)?.target(&[Limit::Ours(150.0)]),
        replay()?,
        opus_overhead()?.target(&[Limit::Ours(46.0)]),
    ])
}

/// The publisher's whole way for one chunk: inner seal, then the hop suite `full`.
fn seal_and_hop(size: usize) -> Result<Row> {
    let payload = vec![0x5a; size];
    let (mut chunk, mut datagram) = (vec![0; size + 200], vec![0; size + 300]);
    let mut sealer = sealer()?;
    let mut hop: HopSender = HopSender::new(HopSuite::Full(HopKeys::new(&[2; 32], &[3; 12])?));
    let ours = timed(move |number| {
        let inner = Inner::Object { seq: ObjectSeq(number), bytes: &payload };
        let len = sealer.seal_into(Layer::BASE, &Content::new(&inner)?, &mut chunk)?;
        black_box(hop.seal_into(&SealedChunk::parse(&chunk[..len])?, &mut datagram)?);
        Ok(())
    });

    let (inner, outer) = (raw(1)?, raw(2)?);
    let payload = vec![0x5a; size];
    let (mut first, mut second) = (vec![0; size + 200], vec![0; size + 300]);
    let baseline = timed(move |number| {
        // What stands in front of the payload, five bytes, is encrypted where it is; the rest from where it lies.
        let (head, rest) = first[..5 + size + 16].split_at_mut(5);
        let failed = |_| anyhow!("the library refused to seal");
        inner
            .seal_in_place_scatter(nonce(number), Aad::from([9; 52]), head, &payload, rest)
            .map_err(failed)?;
        let sealed = &first[..5 + size + 16];
        let (text, tag) = second[..sealed.len() + 16].split_at_mut(sealed.len());
        outer
            .seal_out_of_place_scatter(nonce(number), Aad::from([9; 59]), sealed, text, &[], tag)
            .map_err(failed)?;
        black_box(&mut second);
        Ok(())
    });
    let pair = Pair::interleave(SAMPLES, OPERATIONS, ours, baseline)?;
    pair.row_in(Unit::Nanos, &format!("seal+hop full {size} B"), GCM)
}

/// A relay's work for one more subscriber of a chunk, on a link of suite `bind`.
fn bind(size: usize) -> Result<Row> {
    /// A relay reads a chunk once and sends it to many.
    const SUBSCRIBERS: u64 = 16;
    let mut chunk = vec![0; 200 + size];
    let mut sealer = sealer()?;
    let payload = vec![0x5a; size];
    let mut links: Vec<HopSender> = Vec::new();
    for subscriber in 0..SUBSCRIBERS {
        links.push(HopSender::new(HopSuite::Bind(HopKeys::new(&[subscriber as u8; 32], &[3; 12])?)));
    }
    // The chunks are made beforehand: what is measured is the hop.
    let mut chunks = Vec::new();
    for number in 0..OPERATIONS as u64 / SUBSCRIBERS {
        let inner = Inner::Object { seq: ObjectSeq(number), bytes: &payload };
        let len = sealer.seal_into(Layer::BASE, &Content::new(&inner)?, &mut chunk)?;
        chunks.push(chunk[..len].to_vec());
    }
    let ours = move || {
        let (time, outcome) = Clock::Thread.time(|| {
            for chunk in &chunks {
                let chunk = SealedChunk::parse(chunk)?;
                for link in &mut links {
                    black_box(link.seal_by_reference(&chunk)?);
                }
            }
            anyhow::Ok(())
        });
        outcome.map(|()| time)
    };

    let keys = (0..SUBSCRIBERS).map(|subscriber| raw(subscriber as u8)).collect::<Result<Vec<_>>>()?;
    // Hop header 8, chunk header 52, length 4, inner tag 16.
    let covered = [9; 80];
    let baseline = timed(move |number| {
        let key = &keys[(number % SUBSCRIBERS) as usize];
        let tag = key.seal_in_place_separate_tag(nonce(number), Aad::from(&covered), &mut []);
        black_box(tag.map_err(|_| anyhow!("the library refused to seal"))?.as_ref());
        Ok(())
    });
    let pair = Pair::interleave(SAMPLES, OPERATIONS, ours, baseline)?;
    pair.row_in(Unit::Nanos, &format!("hop bind {size} B"), GMAC)
}

/// One number shown to a replay window, in the order in which a link with some reordering shows them.
fn replay() -> Result<Row> {
    let mut window = ReplayWindow::new();
    let ours = timed(move |number| {
        black_box(window.take(ChunkSeq(number ^ 5)));
        Ok(())
    });
    // The simplest that remembers: one bit of a ring, never cleared.
    let mut bits = vec![0u64; 64];
    let baseline = timed(move |number| {
        let seq = number ^ 5;
        let word = &mut bits[(seq / 64 % 64) as usize];
        black_box(*word >> (seq % 64) & 1);
        *word |= 1 << (seq % 64);
        Ok(())
    });
    let pair = Pair::interleave(SAMPLES, OPERATIONS, ours, baseline)?;
    pair.row_in(Unit::Nanos, "replay observe", "setting one bit of a ring")
}

/// Bytes around an Opus packet of 60 bytes on a sealed link, whole headers of the first 1,024 packets included.
fn opus_overhead() -> Result<Row> {
    const PACKETS: u64 = 1_024;
    let regular = FrameDuration::from_micros(20_000);
    let (mut chunk, mut datagram) = ([0; 300], [0; 300]);
    let mut sealer = sealer()?;
    let mut hop: HopSender = HopSender::new(HopSuite::Full(HopKeys::new(&[2; 32], &[3; 12])?));
    let mut sum = 0;
    for number in 0..PACKETS {
        // Five hours in, where object numbers take four bytes.
        let seq = ObjectSeq(900_000 + number);
        let object = Object {
            flags: ObjectFlags { key_frame: true, ..ObjectFlags::default() },
            pts: MediaTime(seq.0 * 20_000),
            duration: Duration::from_millis(20),
            picture: None,
            payload: &[0x5a; 60],
        };
        let len = sealer.seal_into(Layer::BASE, &Content::object(seq, &object, regular)?, &mut chunk)?;
        sum += hop.seal_into(&SealedChunk::parse(&chunk[..len])?, &mut datagram)? - 60;
    }
    let ours = sum as f64 / PACKETS as f64;
    Ok(Row::of("opus overhead", "bytes", (ours, RTP_SFRAME_SRTP), "RTP + SFrame + SRTP, as published", 1))
}

fn sealer() -> Result<Sealer> {
    let keys = StreamKeys::derive(&[1; 32], STREAM, LeafIndex(0))?;
    Ok(Sealer::new(keys, STREAM, Epoch(1), CodecId::Av1))
}

fn raw(key: u8) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, &[key; 32]).map_err(|_| anyhow!("the library refused a key"))?;
    Ok(LessSafeKey::new(key))
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// A sample of `work`, which is given numbers that go up over all samples.
fn timed(mut work: impl FnMut(u64) -> Result<()>) -> impl FnMut() -> Result<Duration> {
    let mut next = 0;
    move || {
        let (time, outcome) = Clock::Thread.time(|| {
            for number in next..next + OPERATIONS as u64 {
                work(number)?;
            }
            anyhow::Ok(())
        });
        next += OPERATIONS as u64;
        outcome.map(|()| time)
    }
}
