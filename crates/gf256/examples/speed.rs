//! `cargo run --release -p gf256 --example speed`: each backend on blocks of live pictures, in nanoseconds of wall time.

use gf256::{Backend, Coefficients};
use std::hint::black_box;
use std::time::Instant;

const LEN: usize = 1_088;

fn main() {
    for (sources, outputs) in [(15, 4), (60, 15), (60, 1), (256, 64)] {
        let memory: Vec<u8> = (0..sources * LEN).map(|n| ((n * n) >> 3) as u8).collect();
        let factors: Vec<u8> = (0..sources * outputs).map(|n| ((n * 37) >> 2) as u8).collect();
        let mut made = vec![0; outputs * LEN];
        for backend in Backend::available() {
            // Short, and the shortest of many: others use the machine too.
            let rounds = 3_000 / (sources * outputs) as u32 + 1;
            let mut best = f64::MAX;
            for _ in 0..1_000 {
                let start = Instant::now();
                for _ in 0..rounds {
                    let rows = black_box(&memory).chunks_exact(LEN);
                    backend.combine(
                        Coefficients::new(black_box(&factors), sources),
                        rows,
                        black_box(&mut made),
                    );
                }
                best = best.min(start.elapsed().as_nanos() as f64 / f64::from(rounds));
            }
            let each = best / (sources * outputs) as f64;
            println!(
                "{outputs:>2} of {sources:>3} rows of {LEN}: {backend:<12} {best:>10.0} ns, {each:>7.1} ns a product"
            );
        }
    }
}
