//! `cargo run --release -p benches-keys -- SUBGROUP [--json PATH]`: the benchmark group `keys`, as a table and as JSON.

mod handshake;
mod mls;
mod wire;

use anyhow::Result;
use bench_harness::{print_table, write_json};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Ours beside a baseline, in CPU time; smaller is better.
#[derive(Debug, Parser)]
#[command(name = "benches-keys")]
struct Options {
    /// What to measure.
    subgroup: Subgroup,
    /// Where to write the rows as JSON.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subgroup {
    /// Every subgroup, in the order of this list.
    All,
    /// Inner seal, hop seal, compact header.
    Wire,
    /// The link handshake.
    Handshake,
    /// Group keys: add, remove, batch, receive, join.
    Mls,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut rows = Vec::new();
    let wanted = |subgroup| options.subgroup == Subgroup::All || options.subgroup == subgroup;
    if wanted(Subgroup::Wire) {
        rows.extend(wire::run()?);
    }
    if wanted(Subgroup::Handshake) {
        rows.extend(handshake::run()?);
    }
    if wanted(Subgroup::Mls) {
        rows.extend(mls::run()?);
    }
    print_table(&rows);
    if let Some(path) = options.json {
        write_json(&rows, &path)?;
    }
    Ok(())
}
