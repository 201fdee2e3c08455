//! Deaths of relays over real sockets: `holomesh bench kills`, beside stretches of time in the same run in which nobody dies.

use anyhow::{Context, Result, ensure};
use bench_harness::{Limit, Row};
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};

#[derive(Deserialize)]
struct Figures {
    kills: u32,
    deaths: Stretches,
    without: Stretches,
}

#[derive(Deserialize)]
struct Stretches {
    with_a_missed_picture: u32,
    gap_worst_ms: u64,
    back_p99_ms: u64,
}

pub(crate) fn rows(program: &Path, kills: u32) -> Result<[Row; 3]> {
    let one = measure(program, kills, 1)?;
    let two = measure(program, kills, 2)?;
    let n = usize::try_from(one.kills)?;
    let permille = |s: &Stretches| f64::from((s.with_a_missed_picture * 1_000).div_ceil(one.kills.max(1)));
    let row = |name, unit, ours, base, most| {
        Row::of(name, unit, (ours, base), "the same run, nobody dies", n).target(&[Limit::Ours(most)])
    };
    Ok([
        row(
            "real sockets: one parent of four killed, 5 % loss: kills that cost a picture",
            "permille",
            permille(&one.deaths),
            permille(&one.without),
            10.0,
        ),
        row(
            "real sockets: one parent of four killed, 5 % loss: longest gap",
            "ms",
            one.deaths.gap_worst_ms as f64,
            one.without.gap_worst_ms as f64,
            100.0,
        ),
        row(
            "real sockets: two parents of four killed within 100 ms: back to full rate, p99",
            "ms",
            two.deaths.back_p99_ms as f64,
            two.without.back_p99_ms as f64,
            500.0,
        ),
    ])
}

fn measure(program: &Path, kills: u32, at_once: u32) -> Result<Figures> {
    let [kills, at_once] = [kills, at_once].map(|number| number.to_string());
    let run = Command::new(program)
        .args(["bench", "kills", "--kills", &kills, "--at-once", &at_once, "--json", "-"])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} can't be run", program.display()))?;
    ensure!(run.status.success(), "`holomesh bench kills` ended with {}", run.status);
    serde_json::from_slice(&run.stdout).context("`holomesh bench kills` says what is no JSON of its kind")
}
