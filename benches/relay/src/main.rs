//! `benches-relay`: the benchmark group `relay`. Starts `holomesh bench relay` and `peers run` in turn, relay by relay and
//! round by round, and makes rows of what they say. `cargo xtask bench relay` builds all that it needs.

mod docs;
mod figures;
mod plan;
mod rows;
mod tools;

use anyhow::{Result, bail, ensure};
use bench_harness::{print_table, write_json};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use tools::Tools;

/// Ours beside others: CPU for each forwarded gigabyte, memory, latency; smaller is better.
#[derive(Debug, Parser)]
#[command(name = "benches-relay")]
struct Options {
    /// Where to write the rows as JSON.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// The page whose tables are to be written anew.
    #[arg(long, value_name = "PATH")]
    docs: Option<PathBuf>,
    /// One short round of few subscribers: shows that all works, and its figures say little.
    #[arg(long)]
    quick: bool,
    /// How often each relay has its turn [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// Seconds measured of each run [default: 8]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: Option<u64>,
    /// Subscribers of the tables [default: 8,32,100]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000))]
    subscribers: Option<Vec<u32>>,
    /// Minutes in which subscribers come and go while memory is looked at; 0 for none [default: 1]
    #[arg(long, value_name = "MINUTES")]
    soak_minutes: Option<f64>,
    /// The program `holomesh`.
    #[arg(long, value_name = "PATH", default_value = "target/release/holomesh")]
    holomesh: PathBuf,
    /// The program `peers`.
    #[arg(long, value_name = "PATH", default_value = "benches/peers/target/release/peers")]
    peers: PathBuf,
    /// The program `moq-relay`; its rows are left out without it.
    #[arg(long, value_name = "PATH")]
    moq_relay: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches-relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    let tools = Tools { holomesh: options.holomesh, peers: options.peers, moq_relay: options.moq_relay };
    for program in [&tools.holomesh, &tools.peers] {
        ensure!(program.is_file(), "{} is not there; `cargo xtask bench relay` builds it", program.display());
    }
    let full =
        plan::Size { rounds: 3, seconds: 8, subscribers: vec![8, 32, 100], doublings: 6, soak_minutes: 1.0 };
    let quick =
        plan::Size { rounds: 1, seconds: 2, subscribers: vec![8, 100], doublings: 1, soak_minutes: 0.2 };
    let mut size = if options.quick { quick } else { full };
    size.rounds = options.rounds.map_or(size.rounds, usize::from);
    size.seconds = options.seconds.unwrap_or(size.seconds);
    size.subscribers = options.subscribers.unwrap_or(size.subscribers);
    size.soak_minutes = options.soak_minutes.unwrap_or(size.soak_minutes);

    let results = plan::run(&tools, &size);
    let (rows, missing) = rows::rows(&results, &size.subscribers);
    print_table(&rows);
    for what in &results.left_out {
        eprintln!("benches-relay: NOT MEASURED: {what}");
    }
    for row in &missing {
        eprintln!("benches-relay: NO ROW: {row}");
    }
    if let Some(path) = options.json {
        write_json(&rows, &path)?;
    }
    if let Some(path) = options.docs {
        let page = docs::Page {
            results: &results,
            rows: &rows,
            missing: &missing,
            subscribers: &size.subscribers,
            rounds: size.rounds,
            seconds: size.seconds,
        };
        page.write(&path)?;
    }
    if rows.is_empty() {
        bail!("nothing could be measured");
    }
    Ok(())
}
