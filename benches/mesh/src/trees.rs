//! The topology: how long it takes, and how deep its trees are.

use alm::topology::{Offer, Shape, arrange};
use anyhow::Result;
use bench_harness::{Clock, Limit, Row};
use core_types::{BitRate, Epoch, KeyId, StreamId};

const RUNS: usize = 9;
const RATE: BitRate = BitRate::from_kbit(2_500);

pub(crate) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut times = Vec::new();
    for peers in [100, 1_000, 10_000, 100_000] {
        let offers: Vec<Offer> = (0..=peers).map(|n| Offer::new(key(n), BitRate(4 * RATE.0), 500)).collect();
        let shape =
            Shape { publisher: key(0), stream: StreamId([7; 32]), epoch: Epoch(1), rate: RATE, parents: 4 };
        let mut samples = Vec::with_capacity(RUNS);
        let mut depth = 0;
        for _ in 0..RUNS {
            let (time, topology) = Clock::Thread.time(|| arrange(&shape, &offers));
            depth = topology?.max_depth();
            samples.push(time.as_secs_f64() * 1e3);
        }
        samples.sort_unstable_by(f64::total_cmp);
        times.push((peers, samples[RUNS / 2]));
        let bound = (1u32..).find(|power| 4u64.pow(*power) >= peers).unwrap_or(1) + 1;
        let figures = (f64::from(depth), f64::from(bound));
        let name = format!("depth, uplink for 4, N={peers}");
        rows.push(Row::of(&name, "hops", figures, "⌈log_4 N⌉ + 1", 1).target(&[Limit::Ratio(1.0)]));
    }
    for pair in times.windows(2) {
        let [(_, few), (peers, many)] = pair else { continue };
        let row = Row::of(&format!("topology, N={peers}"), "ms", (*many, *few), "a tenth of the nodes", RUNS);
        rows.push(row.target(&[Limit::Ours(2_000.0), Limit::Ratio(13.0)]));
    }
    Ok(rows)
}

/// Keys that are spread as hashes are.
fn key(number: u64) -> KeyId {
    let mut bytes = [0; 32];
    for (place, chunk) in bytes.chunks_mut(8).enumerate() {
        let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17 * place as u32);
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    KeyId(bytes)
}
