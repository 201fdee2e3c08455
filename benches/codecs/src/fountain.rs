//! Objects to symbols and back.
//!
//! A sample goes over different objects, 128 KiB of them or more, several times, and gives what one object takes. So what is read is
//! in the second-level cache and not in the first, as it is where pictures were encoded just now, and symbols opened. All is in
//! place that is made once for a length: our factors, the baselines' plans and tables.

mod baseline;

use anyhow::{Context, Result, ensure};
use baseline::{RaptorQ, ReedSolomon};
use bench_harness::{Clock, Limit, Pair, Row, Unit};
use codec_fountain::{BlockShape, Encoder, ObjectDecoder, Reassembler, ReassemblyLimits};
use core_types::{ObjectSeq, SymbolId, SymbolSize};
use std::hint::black_box;
use std::time::Duration;

/// Symbols as streams have them.
const SIZE: SymbolSize = SymbolSize::DEFAULT;

/// Bytes of objects that a sample goes over.
const SAMPLE: usize = 4 << 20;

/// Objects of one length.
#[derive(Debug, Clone, Copy)]
struct Case {
    k: usize,
    repair: usize,
    /// What the speed of the baseline has to be multiplied by, when encoding and when decoding.
    faster: [f64; 2],
}

const CASES: [Case; 2] =
    [Case { k: 15, repair: 4, faster: [20.0, 20.0] }, Case { k: 60, repair: 15, faster: [8.0, 10.0] }];

pub(crate) fn rows(quick: bool) -> Result<Vec<Row>> {
    let samples = if quick { 3 } else { 101 };
    let mut rows = Vec::new();
    for case in CASES {
        let objects = objects(case.k * SIZE.bytes());
        let sets = sets(case, &objects)?;
        rows.extend(encode(samples, case, &objects)?);
        rows.extend(decode(samples, case, &sets)?);
    }
    rows.extend(nothing_lost(samples)?);
    Ok(rows)
}

/// Different objects, 128 KiB of them or more.
fn objects(len: usize) -> Vec<Vec<u8>> {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let mut bytes = std::iter::repeat_with(next);
    (0..(128usize << 10).div_ceil(len)).map(|_| bytes.by_ref().take(len).collect()).collect()
}

/// How often a sample goes over all objects.
fn passes(objects: usize, len: usize) -> usize {
    SAMPLE / (objects * len)
}

/// The same objects again and again, so often.
fn again<T>(objects: &[T], passes: usize) -> impl Iterator<Item = &T> {
    objects.iter().cycle().take(objects.len() * passes)
}

fn encode(samples: usize, case: Case, objects: &[Vec<u8>]) -> Result<[Row; 2]> {
    let Case { k, repair, faster: [target, _] } = case;
    let passes = passes(objects.len(), k * SIZE.bytes());
    let frames = objects.len() * passes;
    let mut encoder = Encoder::new(SIZE);
    let mut ours = || {
        let (time, outcome) = Clock::Thread.time(|| {
            again(objects, passes).try_for_each(|object| {
                black_box(encoder.encode_block(black_box(object), repair as u32)?);
                Ok::<(), codec_fountain::Error>(())
            })
        });
        outcome?;
        Ok(time)
    };
    let plan = RaptorQ::new(k, SIZE.bytes());
    let raptorq = || {
        let encode = |object| drop(black_box(plan.encode(black_box(object), repair)));
        Ok(Clock::Thread.time(|| again(objects, passes).for_each(|object| encode(object))).0)
    };
    let name = format!("fountain-encode K={k} +25 %");
    let row = Pair::interleave(samples, frames, &mut ours, raptorq)?;
    let row = row.row_in(Unit::Micros, &name, "raptorq, cached plan")?;
    let mut code = ReedSolomon::new(k, repair, SIZE.bytes())?;
    let reed_solomon = || {
        let encode = |object: &Vec<u8>| code.encode(black_box(object));
        let (time, outcome) = Clock::Thread.time(|| again(objects, passes).try_for_each(encode));
        outcome?;
        Ok(time)
    };
    let other = Pair::interleave(samples, frames, &mut ours, reed_solomon)?;
    let other = other.row_in(Unit::Micros, &name, "reed-solomon-simd")?;
    Ok([row.target(&[Limit::Ratio(1.0 / target)]), other])
}

/// What arrives of an object: `k` symbols, a quarter of the source symbols replaced by repair symbols.
struct Set {
    object: Vec<u8>,
    /// In the order of their ids, ours.
    symbols: Vec<(SymbolId, Vec<u8>)>,
    /// The source symbols that do not come.
    lost: Vec<usize>,
}

/// One parent's stripe of four is lost, each time another part of the object; as many repair symbols come. Sets with which RaptorQ
/// can't decode, one in two hundred, are left out.
fn sets(case: Case, objects: &[Vec<u8>]) -> Result<Vec<Set>> {
    let mut encoder = Encoder::new(SIZE);
    let mut sets = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        let block = encoder.encode_block(object, case.repair as u32)?;
        let lost: Vec<usize> = (0..case.k).filter(|id| (id + n) % 4 == 3).take(case.repair).collect();
        let symbols = block.symbols().filter(|(id, _)| !lost.contains(&(id.value() as usize)));
        let symbols = symbols.take(case.k).map(|(id, data)| (id, data.to_vec())).collect();
        let set = Set { object: object.clone(), symbols, lost };
        if decode_one(&set).is_ok() {
            sets.push(set);
        }
    }
    ensure!(sets.len() * 10 >= objects.len() * 9, "too many sets do not decode");
    Ok(sets)
}

fn decode_one(set: &Set) -> Result<Vec<u8>> {
    let mut decoder = ObjectDecoder::new(BlockShape::new(set.object.len(), SIZE)?);
    let mut decoded = None;
    for (id, data) in &set.symbols {
        decoded = decoder.push(*id, data)?;
    }
    decoded.context("an object that does not decode")
}

fn decode(samples: usize, case: Case, sets: &[Set]) -> Result<[Row; 2]> {
    let Case { k, repair, faster: [_, target] } = case;
    let passes = passes(sets.len(), k * SIZE.bytes());
    let frames = sets.len() * passes;
    for set in sets {
        ensure!(decode_one(set)? == set.object, "ours gives another object");
    }
    let ours = || {
        let (time, outcome) = Clock::Thread
            .time(|| again(sets, passes).try_for_each(|set| decode_one(black_box(set)).map(drop)));
        outcome?;
        Ok(time)
    };
    let name = format!("fountain-decode K={k}, 25 % lost");
    let raptorq = || baseline::decode_raptorq(sets, passes, k, SIZE.bytes());
    let row = Pair::interleave(samples, frames, ours, raptorq)?;
    let row = row.row_in(Unit::Micros, &name, "raptorq, packets made before")?;
    let mut code = ReedSolomon::new(k, repair, SIZE.bytes())?;
    let received = code.received(sets)?;
    let reed_solomon = || {
        let decode = || again(&received, passes).try_for_each(|received| code.decode(received).map(drop));
        let (time, outcome) = Clock::Thread.time(decode);
        outcome?;
        Ok(time)
    };
    let other = Pair::interleave(samples, frames, ours, reed_solomon)?;
    let other = other.row_in(Unit::Micros, &name, "reed-solomon-simd")?;
    Ok([row.target(&[Limit::Ratio(1.0 / target)]), other])
}

/// 64 KiB in 61 symbols, all of which come in order, beside a copy of as many bytes; memory for what comes out is used again.
fn nothing_lost(samples: usize) -> Result<[Row; 2]> {
    const LEN: usize = 64 << 10;
    let objects = objects(LEN);
    let passes = passes(objects.len(), LEN);
    let frames = objects.len() * passes;
    let shape = BlockShape::new(LEN, SIZE)?;
    let mut padded = objects.clone();
    padded.iter_mut().for_each(|object| object.resize(shape.padded_len(), 0));
    let ids: Vec<SymbolId> = (0..shape.source_symbols()).map(SymbolId::new).collect::<Result<_, _>>()?;
    let symbols = |object: usize| ids.iter().copied().zip(padded[object].chunks_exact(SIZE.bytes()));

    let mut copy = vec![0; LEN];
    let mut memcpy = || {
        let copy_one = |object: &Vec<u8>| black_box(&mut copy).copy_from_slice(black_box(object));
        Ok(Clock::Thread.time(|| again(&objects, passes).for_each(copy_one)).0)
    };
    let mut buffer = Vec::new();
    let decoder = || {
        let mut one = |object| -> Result<()> {
            let mut decoder = ObjectDecoder::with_buffer(shape, std::mem::take(&mut buffer));
            for (id, data) in symbols(object) {
                if let Some(decoded) = decoder.push(id, black_box(data))? {
                    buffer = black_box(decoded);
                }
            }
            Ok(())
        };
        let (time, outcome) = Clock::Thread.time(|| (0..frames).try_for_each(|n| one(n % objects.len())));
        outcome?;
        ensure!(buffer.len() == LEN, "an object is missing");
        Ok(time)
    };
    let row = Pair::interleave(samples, frames, decoder, &mut memcpy)?;
    let row = row.row_in(Unit::Micros, "fountain-decode 64 KiB, nothing lost", "memcpy of 64 KiB")?;

    let mut reassembler = Reassembler::new(SIZE, ReassemblyLimits::default())?;
    let mut next = 0;
    let reassemble = || -> Result<Duration> {
        let mut complete = 0;
        let mut one = |object| -> Result<()> {
            next += 1;
            for (id, data) in symbols(object) {
                if let Some(decoded) = reassembler.push(ObjectSeq(next), LEN, id, black_box(data))? {
                    reassembler.recycle(black_box(decoded));
                    complete += 1;
                }
            }
            Ok(())
        };
        let (time, outcome) = Clock::Thread.time(|| (0..frames).try_for_each(|n| one(n % objects.len())));
        outcome?;
        ensure!(complete == frames, "an object is missing");
        Ok(time)
    };
    let other = Pair::interleave(samples, frames, reassemble, memcpy)?;
    let other = other.row_in(Unit::Micros, "fountain-reassemble 64 KiB, nothing lost", "memcpy of 64 KiB")?;
    // At least 80 % of the speed.
    Ok([row, other].map(|row| row.target(&[Limit::Ratio(1.25)])))
}
