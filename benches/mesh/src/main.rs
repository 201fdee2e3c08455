//! `cargo run --release -p benches-mesh -- [--json PATH] [--quick]`: the benchmark group `mesh`, as a table and as JSON.
//!
//! Most of it is simulated time: those figures are the same on every machine, but for those of the topology and those over real
//! sockets.

mod scenes;
mod sockets;
mod trees;

use anyhow::Result;
use bench_harness::{print_table, write_json};
use clap::Parser;
use std::path::PathBuf;

/// The mesh beside what it is held to; smaller is better.
#[derive(Debug, Parser)]
#[command(name = "benches-mesh")]
struct Options {
    /// Where to write the rows as JSON.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// The node's program, for the rows over real sockets; without it there are none.
    #[arg(long, value_name = "PATH")]
    holomesh: Option<PathBuf>,
    /// Few nodes and few runs, to see that all works.
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut rows = trees::rows()?;
    rows.extend(scenes::rows(options.quick)?);
    match &options.holomesh {
        Some(program) => rows.extend(sockets::rows(program, if options.quick { 2 } else { 20 })?),
        None => println!("WARNING: without the rows over real sockets, for which --holomesh PATH is needed"),
    }
    print_table(&rows);
    if let Some(path) = options.json {
        write_json(&rows, &path)?;
    }
    Ok(())
}
