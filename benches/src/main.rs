//! `cargo run --release -p benches -- GROUP [--json PATH]`: one group of benchmarks, as a table and as JSON.

mod path;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Ours beside a baseline, in CPU time; smaller is better.
#[derive(Debug, Parser)]
#[command(name = "benches")]
struct Options {
    /// What to measure.
    group: Group,
    /// Where to write the rows as JSON.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Group {
    /// CPU time of each stage that a frame passes on its way.
    Path,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let rows = match options.group {
        Group::Path => path::run()?,
    };
    benches::print_table(&rows);
    if let Some(path) = options.json {
        benches::write_json(&rows, &path)?;
    }
    Ok(())
}
