//! Plays a built-in scenario and prints the table: `cargo run --release -p alm --example alm_sim -- [name] [watchers] [seconds] [seed]`.
//!
//! Without arguments it lists the scenarios. They are described in `docs/scenarios/README.md`.

use alm::sim::{Bursts, Happening, Roles, Scenario, run};
use core_types::BitRate;
use std::time::{Duration, Instant};

const NAMES: [&str; 9] =
    ["calm", "crowd", "churn", "kill-one", "kill-two", "loss", "bursts", "liars", "partition"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        println!("scenarios: {}", NAMES.join(", "));
        return Ok(());
    };
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (watchers, seconds, seed) = (number(1_000)?, number(20)?, number(1)?);
    let scenario = scenario(&name, u32::try_from(watchers)?, seconds, seed).ok_or("no such scenario")?;
    let begun = Instant::now();
    let report = run(&scenario)?;
    print!("{report}");
    println!("{:<32} {:>12} ms", "time to compute", begun.elapsed().as_millis());
    Ok(())
}

fn scenario(name: &str, watchers: u32, seconds: u64, seed: u64) -> Option<Scenario> {
    let at = Duration::from_secs;
    let base = Scenario {
        seed,
        nodes: watchers,
        length: at(seconds),
        publisher_uplink: BitRate::from_kbit(40_000),
        ..Scenario::default()
    };
    let with = |events| Scenario { events, ..base.clone() };
    let kill = |parents, every: usize| {
        let times = (4..seconds.saturating_sub(2)).step_by(every).map(at);
        times.map(|at| Happening::Kill { at, parents, within: Duration::from_millis(100) }).collect()
    };
    Some(match name {
        "calm" => base,
        "crowd" => Scenario {
            nodes: watchers / 10,
            events: vec![Happening::FlashCrowd { at: at(5), count: watchers - watchers / 10, within: at(1) }],
            ..base
        },
        "churn" => with(vec![Happening::Churn { from: at(4), until: at(seconds), permille_per_second: 10 }]),
        "kill-one" => with(kill(1, 1)),
        "kill-two" => with(kill(2, 1)),
        "loss" => Scenario { loss_permille: 20, ..base },
        "bursts" => Scenario { bursts: Some(Bursts { start: 5, stop: 200, loss: 800 }), ..base },
        "liars" => Scenario { roles: Roles { lying: 50, ..Roles::default() }, ..base },
        "partition" => with(vec![Happening::Partition { at: at(5), until: at(10), share: 300 }]),
        _ => return None,
    })
}
