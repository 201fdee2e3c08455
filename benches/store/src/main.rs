//! `cargo run --release -p benches-store -- [--part PART] [--json PATH]`: the benchmark group `store`, as a table and as JSON.

#[cfg(feature = "databases")]
mod databases;
mod disk;
mod fading;
mod files;
mod ingest;

use anyhow::{Result, bail};
use bench_harness::{print_table, write_json};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Recordings on disk beside plain files; smaller is better.
#[derive(Debug, Parser)]
#[command(name = "benches-store")]
struct Options {
    /// What to measure.
    #[arg(long, value_enum, default_value_t = Part::All)]
    part: Part,
    /// Symbols of the store that is opened.
    #[arg(long, default_value_t = 10_000_000)]
    symbols: u64,
    /// Megabytes that are recorded, and that are deleted.
    #[arg(long, default_value_t = 1_000)]
    megabytes: u64,
    /// Rounds of what is measured several times.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the files are to be: a folder on the disk that is measured. The system's for temporary files if nothing is said.
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// Where to write the rows as JSON.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Used by the part `open`: opens the store there, syncs it and dies without closing it.
    #[arg(long, hide = true, value_name = "PATH")]
    die_with: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// All but `databases`.
    All,
    /// Recording, space and hard delete.
    Ingest,
    /// Opening a large store.
    Open,
    /// The scheduler and what it does to the store.
    Fading,
    /// The databases that could have been chosen; needs the feature `databases`.
    Databases,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(store) = &options.die_with {
        return ingest::die_with(store);
    }
    let folder = match &options.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let wanted = |part| options.part == Part::All || options.part == part;
    let mut rows = Vec::new();
    if wanted(Part::Ingest) {
        rows.extend(ingest::run(folder.path(), options.megabytes, options.rounds)?);
    }
    if wanted(Part::Open) {
        rows.extend(ingest::open(folder.path(), options.symbols, options.rounds)?);
    }
    if wanted(Part::Fading) {
        rows.extend(fading::run(folder.path(), options.rounds)?);
    }
    if options.part == Part::Databases {
        #[cfg(feature = "databases")]
        rows.extend(databases::run(folder.path(), options.megabytes)?);
        #[cfg(not(feature = "databases"))]
        bail!("build with `--features databases`");
    }
    if rows.is_empty() {
        bail!("nothing was measured");
    }
    print_table(&rows);
    if let Some(path) = options.json {
        write_json(&rows, &path)?;
    }
    Ok(())
}
