//! Prints what the calls of the congestion controller cost, in nanoseconds.
//!
//! `cargo run --release -p av-congestion --example cost`

use av_congestion::{Bbr, BbrConfig, Report};
use core_types::MonoTime;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Frames of ten datagrams each 35 ms; so many are sent, and then so many reported one by one.
const FRAME: u64 = 35_000;
const BATCH: u64 = 32;
const ROUNDS: u64 = 20_000;

fn main() -> Result<(), av_congestion::Error> {
    let mut bbr = Bbr::new(BbrConfig::default(), MonoTime(0))?;
    let (mut sent, mut asked, mut reported) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let first = round * BATCH;
        let begin = Instant::now();
        for n in first..first + BATCH {
            bbr.on_sent(MonoTime(n * FRAME), n * 10, 10, 11_000, true)?;
        }
        sent += begin.elapsed();
        let begin = Instant::now();
        for n in first..first + BATCH {
            black_box(bbr.budget(MonoTime((n + BATCH) * FRAME)));
        }
        asked += begin.elapsed();
        let begin = Instant::now();
        for n in first..first + BATCH {
            let report = Report {
                largest: n * 10 + 9,
                received_packets: (n + 1) * 10,
                received_bytes: (n + 1) * 11_000,
                ack_delay: Duration::from_millis(10),
                arrival: n * FRAME + 20_000 + n % 7 * 300,
            };
            black_box(bbr.on_report(MonoTime((n + BATCH) * FRAME), &report)?);
        }
        reported += begin.elapsed();
    }
    let per = |sum: Duration| sum.as_nanos() as f64 / (ROUNDS * BATCH) as f64;
    println!("on_sent   {:6.1} ns for each burst", per(sent));
    println!("budget    {:6.1} ns", per(asked));
    println!("on_report {:6.1} ns", per(reported));
    println!("size      {:4} bytes, and a log of at most 128 bursts", size_of::<Bbr>());
    Ok(())
}
