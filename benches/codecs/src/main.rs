//! `cargo run --release -p benches-codecs -- [PART] [--json PATH]`: the benchmark group `codecs`, as a table and as JSON.
//!
//! A part is a module that has a function for its rows, and a line in [`PARTS`].

mod av1;
mod fountain;
mod live;
mod mdc;
mod speech;
mod window;

use anyhow::{Context, Result};
use bench_harness::{Row, print_table, write_json};
use clap::Parser;
use std::path::PathBuf;

/// The parts of the group, in the order of their rows.
const PARTS: [Part; 5] = [
    Part { name: "av1", rows: av1::rows },
    Part { name: "fountain", rows: fountain::rows },
    Part { name: "mdc", rows: mdc::rows },
    Part { name: "speech", rows: speech::rows },
    Part { name: "window", rows: window::rows },
];

struct Part {
    name: &'static str,
    rows: fn(bool) -> Result<Vec<Row>>,
}

/// Codecs beside others; smaller is better.
#[derive(Debug, Parser)]
#[command(name = "benches-codecs")]
struct Options {
    /// One part alone: av1, fountain, mdc, speech or window. All if nothing is said.
    part: Option<String>,
    /// Where to write the rows as JSON.
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// The node's program, for the rows of the whole pipeline; without it there are none.
    #[arg(long, value_name = "PATH")]
    holomesh: Option<PathBuf>,
    /// Few samples, to see that all works.
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let mut rows = Vec::new();
    for part in chosen(options.part.as_deref())? {
        rows.extend((part.rows)(options.quick)?);
    }
    match &options.holomesh {
        // They are of no part: they need a program.
        Some(program) if options.part.is_none() => rows.extend(live::rows(program, options.quick)?),
        Some(_) => {}
        None => {
            println!("WARNING: without the rows of the whole pipeline, for which --holomesh PATH is needed")
        }
    }
    print_table(&rows);
    if let Some(path) = options.json {
        write_json(&rows, &path)?;
    }
    Ok(())
}

fn chosen(name: Option<&str>) -> Result<Vec<&'static Part>> {
    let Some(name) = name else {
        return Ok(PARTS.iter().collect());
    };
    let part = PARTS.iter().find(|part| part.name == name).with_context(|| {
        let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
        format!("the group `codecs` has no part `{name}`; it has: {}", names.join(", "))
    })?;
    Ok(vec![part])
}
