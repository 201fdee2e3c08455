//! Packets of sound protected across time: what it costs and what it gives.

use anyhow::{Result, ensure};
use bench_harness::{Clock, Pair, Row, Unit};
use codec_fountain::{Pace, WindowConfig, WindowDecoder, WindowEncoder};
use core_types::ObjectSeq;
use std::hint::black_box;
use std::time::Duration;

/// Packets of 20 ms in a sample: ten minutes.
const PACKETS: u64 = 30_000;

pub(crate) fn rows(quick: bool) -> Result<Vec<Row>> {
    let samples = if quick { 1 } else { 21 };
    let lost = losses();
    let mut rows = Vec::new();
    for (name, pace) in [("1:1", Pace::EACH), ("3:2", Pace::FAST)] {
        let run = || run(pace, &lost);
        let without = || run_without(&lost);
        let ours =
            |bytes: bool| -> Result<f64> { run().map(|run| if bytes { run.bytes } else { run.missing }) };
        let plain = |bytes: bool| without().map(|run| if bytes { run.bytes } else { run.missing });
        let figure = |bytes, unit, what: &str| -> Result<Row> {
            let figures = (ours(bytes)?, plain(bytes)?);
            Ok(Row::of(&format!("window {name}, {what}"), unit, figures, "no repair", 1))
        };
        rows.push(figure(true, "B", "a packet of 60 to 100 bytes")?);
        rows.push(figure(false, "%", "missing of 5 % lost in bursts of 100 ms")?);
        let cpu = Pair::interleave(samples, PACKETS as usize, || Ok(run()?.time), || Ok(without()?.time))?;
        rows.push(cpu.row_in(Unit::Nanos, &format!("window {name}, both ends, a packet"), "no repair")?);
    }
    Ok(rows)
}

/// What became of a stream.
struct Outcome {
    time: Duration,
    /// A packet, on average.
    bytes: f64,
    /// Packets in a hundred that did not come out.
    missing: f64,
}

fn run(pace: Pace, lost: &[bool]) -> Result<Outcome> {
    let mut encoder = WindowEncoder::new(WindowConfig::new(10, pace)?);
    let mut decoder = WindowDecoder::new();
    let (mut bytes, mut out) = (0, 0u64);
    let objects = objects();
    let (time, outcome) = Clock::Thread.time(|| -> Result<()> {
        for (number, (object, lost)) in objects.iter().zip(lost).enumerate() {
            let number = ObjectSeq(number as u64);
            let body = encoder.push(number, black_box(object))?;
            bytes += body.len();
            if !lost {
                out += u64::from(black_box(decoder.push(number, body)?).is_some());
                while let Some(recovered) = decoder.poll_recovered() {
                    out += 1;
                    drop(black_box(recovered));
                }
            }
        }
        Ok(())
    });
    outcome?;
    ensure!(out <= PACKETS, "more came out than went in");
    let missing = 100.0 * (PACKETS - out) as f64 / PACKETS as f64;
    Ok(Outcome { time, bytes: bytes as f64 / PACKETS as f64, missing })
}

/// The same packets as they are: made, and copied where they came.
fn run_without(lost: &[bool]) -> Result<Outcome> {
    let objects = objects();
    let (mut bytes, mut out) = (0, 0u64);
    let (time, ()) = Clock::Thread.time(|| {
        for (object, lost) in objects.iter().zip(lost) {
            let body = black_box(object.clone());
            bytes += body.len();
            if !lost {
                out += u64::from(!black_box(body.clone()).is_empty());
            }
        }
    });
    let missing = 100.0 * (PACKETS - out) as f64 / PACKETS as f64;
    Ok(Outcome { time, bytes: bytes as f64 / PACKETS as f64, missing })
}

/// 32 kbit/s with the spread that speech has.
fn objects() -> Vec<Vec<u8>> {
    let mut next = lot();
    (0..PACKETS).map(|_| vec![next() as u8; 60 + next() as usize % 41]).collect()
}

/// Gilbert and Elliott's: in a burst five packets on average, between bursts 95.
fn losses() -> Vec<bool> {
    let mut next = lot();
    let mut is_bad = false;
    let mut one = || {
        let chance = next() % 10_000;
        is_bad = if is_bad { chance >= 2_000 } else { chance < 105 };
        is_bad
    };
    (0..PACKETS).map(|_| one()).collect()
}

/// The same numbers in each run.
fn lot() -> impl FnMut() -> u32 {
    let mut state = 7u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as u32
    }
}
