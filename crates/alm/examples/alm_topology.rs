//! How long it takes to compute the trees, and how deep they are: `cargo run --release -p alm --example alm_topology`.
//!
//! All peers have uplink for four full streams. A row gives the fastest of some runs.

use alm::topology::{Offer, Shape, arrange};
use core_types::{BitRate, Epoch, KeyId, StreamId};
use std::time::{Duration, Instant};

const RUNS: u32 = 7;

fn main() -> Result<(), alm::Error> {
    let rate = BitRate::from_kbit(2_500);
    let publisher = KeyId([0; 32]);
    let shape = Shape { publisher, stream: StreamId([7; 32]), epoch: Epoch(1), rate, parents: 4 };
    println!("{:>8} {:>12} {:>10} {:>6} {:>9}", "peers", "time", "against", "depth", "unserved");
    let mut last: Option<Duration> = None;
    for peers in [100_u64, 1_000, 10_000, 100_000] {
        let offers: Vec<Offer> =
            (0..=peers).map(|number| Offer::new(key(number), BitRate(4 * rate.0), 500)).collect();
        let mut best = Duration::MAX;
        let mut topology = arrange(&shape, &offers)?;
        for _ in 0..RUNS {
            let start = Instant::now();
            let next = arrange(&shape, &offers)?;
            best = best.min(start.elapsed());
            topology = next;
        }
        let ratio = last.map_or_else(String::new, |last| {
            format!("{:.1}", best.as_secs_f64() / last.as_secs_f64().max(1e-9))
        });
        let (depth, unserved) = (topology.max_depth(), topology.unserved().count());
        println!("{peers:>8} {best:>12.3?} {ratio:>10} {depth:>6} {unserved:>9}");
        last = Some(best);
    }
    Ok(())
}

/// Keys that are spread as hashes are. The publisher's is that of number 0.
fn key(number: u64) -> KeyId {
    let mut bytes = [0; 32];
    for (place, chunk) in bytes.chunks_mut(8).enumerate() {
        let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17 * place as u32);
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    KeyId(bytes)
}
