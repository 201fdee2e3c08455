//! The smallest pieces of a chunk's way, under criterion: `cargo bench -p benches --bench micro`.

use std::hint::black_box;

use anyhow::Result;
use av_wire::{ChunkHeader, Inner, Opener, ReplayWindow, Sealer, StreamKeys};
use benches::{EPOCH, PARENTS, SECRET, SENDER, STREAM};
use codec_fountain::{Encoder, repair_symbols};
use core_types::{ChunkSeq, CodecId, Layer, ObjectSeq, SymbolSize};
use criterion::{BatchSize, Criterion};

const PAYLOAD: [u8; 1_100] = [0xa5; 1_100];
const INNER: Inner<'static> = Inner::Object { seq: ObjectSeq(1), bytes: &PAYLOAD };

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    seal(&mut criterion)?;
    open(&mut criterion)?;
    fountain_encode(&mut criterion);
    replay_window(&mut criterion);
    header(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn sealer() -> Result<Sealer> {
    Ok(Sealer::new(StreamKeys::derive(&SECRET, STREAM, SENDER)?, STREAM, EPOCH, CodecId::Av1))
}

fn seal(criterion: &mut Criterion) -> Result<()> {
    let mut sealer = sealer()?;
    criterion.bench_function("seal 1,100 B", |b| b.iter(|| sealer.seal(Layer::BASE, black_box(&INNER))));
    Ok(())
}

fn open(criterion: &mut Criterion) -> Result<()> {
    let mut sealer = sealer()?;
    let mut opener: Opener = Opener::new(StreamKeys::derive(&SECRET, STREAM, SENDER)?, STREAM, EPOCH);
    criterion.bench_function("open 1,100 B", |b| {
        // Every chunk opens once, so each is sealed for its turn.
        let fresh = || sealer.seal(Layer::BASE, &INNER).unwrap_or_default();
        b.iter_batched_ref(fresh, |chunk| opener.open(chunk).is_ok(), BatchSize::SmallInput);
    });
    Ok(())
}

fn fountain_encode(criterion: &mut Criterion) {
    const K: u32 = 15;
    let object = vec![0xa5; K as usize * SymbolSize::DEFAULT.bytes()];
    let mut encoder = Encoder::new(SymbolSize::DEFAULT);
    let repair = repair_symbols(K, PARENTS);
    criterion.bench_function("fountain encode, K = 15, 5 repair", |b| {
        b.iter(|| encoder.encode(black_box(&object), repair));
    });
}

fn replay_window(criterion: &mut Criterion) {
    let mut window = ReplayWindow::new();
    let mut next = 0;
    criterion.bench_function("replay window take", |b| {
        b.iter(|| {
            next += 1;
            window.take(black_box(ChunkSeq(next)))
        });
    });
}

fn header(criterion: &mut Criterion) -> Result<()> {
    let chunk = sealer()?.seal(Layer::BASE, &INNER)?;
    criterion.bench_function("header parse", |b| b.iter(|| ChunkHeader::parse(black_box(&chunk))));
    Ok(())
}
