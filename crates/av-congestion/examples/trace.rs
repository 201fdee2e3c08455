//! Prints what BBR does in a scenario over the virtual network, as CSV, one row each 50 ms.
//!
//! `cargo run -p av-congestion --example trace -- steps > steps.csv`

#[path = "../tests/sim/mod.rs"]
mod sim;

use netsim::{GilbertElliott, PathModel};
use sim::{Sim, Source, at, bottleneck, kbit, ms};

fn main() {
    let name = std::env::args().nth(1).unwrap_or_else(|| "steps".to_owned());
    let seed = std::env::args().nth(2).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let Some(mut sim) = scenario(&name, seed) else {
        eprintln!("scenarios: {}", NAMES.join(", "));
        std::process::exit(2);
    };
    sim.run(at(30.0));
    println!(
        "s,flow,sent_kbit,arrived_kbit,lost,shed,path_queue_ms,seen_queue_ms,min_rtt_ms,rtt_ms,rate_kbit,recent_kbit,pacing_kbit,in_flight,window,held_ms,loss_permille,congested,limited"
    );
    for from in (0..30_000).step_by(50) {
        let (from, until) = (f64::from(from) / 1e3, f64::from(from + 50) / 1e3);
        for (id, flow) in sim.flows.iter().enumerate() {
            let row = &flow.rows[(until * 1e3) as usize - 1];
            let e = &row.estimate;
            let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
            println!(
                "{until:.2},{id},{:.0},{:.0},{},{},{:.0},{:.1},{:.1},{:.1},{},{},{},{},{},{:.0},{},{},{}",
                flow.sent(from, until) / 1e3,
                flow.arrived(from, until) / 1e3,
                flow.sum(from, until, |row| row.lost),
                flow.sum(from, until, |row| row.shed),
                millis(row.queue),
                millis(e.queue_delay),
                millis(e.min_rtt),
                millis(e.smoothed_rtt),
                e.delivery_rate.0 / 1_000,
                e.recent_rate.0 / 1_000,
                e.pacing_rate.0 / 1_000,
                e.in_flight,
                e.window,
                millis(row.held),
                e.loss_permille.map_or(String::new(), |loss| loss.to_string()),
                u8::from(e.congested),
                u8::from(e.app_limited),
            );
        }
    }
}

const NAMES: [&str; 9] =
    ["free", "narrow", "shallow", "steps", "bursts", "jitter", "blackout", "reports", "two"];

fn scenario(name: &str, seed: u64) -> Option<Sim> {
    let live = Source::live(kbit(2_500));
    let sim = match name {
        "free" => Sim::single(seed, bottleneck(20_000, 100, 20), Source { key: Some((60, 8)), ..live }),
        "narrow" => Sim::single(seed, bottleneck(600, 200, 20), live),
        "shallow" => Sim::single(seed, bottleneck(600, 30, 20), live),
        "steps" => {
            let mut path = bottleneck(3_000, 100, 20);
            path.bandwidth = path.bandwidth.then(at(8.0), kbit(600)).then(at(16.0), kbit(3_000));
            Sim::single(seed, path, live)
        }
        "bursts" => {
            let path = bottleneck(2_000, 100, 20);
            Sim::single(seed, PathModel { bursts: Some(GilbertElliott::bursts(0.1, 3.0)), ..path }, live)
        }
        "jitter" => {
            Sim::single(seed, PathModel { jitter: ms(30), loss: 0.1, ..bottleneck(20_000, 100, 20) }, live)
        }
        "blackout" => {
            let path = bottleneck(3_000, 100, 20);
            Sim::single(seed, PathModel { blackouts: vec![(at(8.0), at(12.0))], ..path }, live)
        }
        "reports" => {
            let back = PathModel { loss: 0.5, delay: ms(20), ..PathModel::default() };
            let mut sim = Sim::new(seed, bottleneck(1_500, 100, 20), back);
            sim.add(live);
            sim
        }
        // Little more than the path carries, and a queue that a frame fills.
        "tight" => Sim::single(seed, bottleneck(2_000, 60, 20), live),
        "over" => Sim::single(seed, bottleneck(600, 200, 20), Source::live(kbit(700))),
        "far" => Sim::single(seed, bottleneck(1_500, 200, 150), live),
        "route" => {
            let mut sim = Sim::single(seed, bottleneck(4_000, 100, 20), live);
            sim.run(at(8.0));
            sim.network.set_path(sim::sender(), sim::receiver(), bottleneck(4_000, 100, 70)).ok()?;
            sim
        }
        "bulk" => Sim::single(seed, bottleneck(50_000, 60, 20), Source::live(kbit(100_000))),
        // A queue of two seconds.
        "flood" => Sim::single(seed, bottleneck(1_000, 2_000, 20), live),
        "two" => {
            let mut sim = Sim::single(seed, bottleneck(2_000, 100, 20), live.clone());
            sim.add(live);
            sim
        }
        _ => return None,
    };
    Some(sim)
}
