//! `holomesh sim`: the mesh at sizes that no machine holds, by the state machines that the node runs.

mod file;
mod page;

use crate::Error;
use alm::sim::{Report, Row, Scenario, run as play};
use file::{Expect, Loaded};
use serde::Serialize;
use std::path::PathBuf;

/// What to simulate.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The scenario, a TOML file such as those in `docs/scenarios` [default: 100 watchers, nothing happens].
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// So many watchers instead of those that the scenario names.
    #[arg(long)]
    nodes: Option<u32>,
    /// Another seed than the scenario's: other lots are drawn.
    #[arg(long)]
    seed: Option<u64>,
    /// Write the figures there as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots there.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// Whether all that the scenario expects was kept to.
    pub kept: bool,
}

/// Runs a scenario, and writes what was asked for.
///
/// # Errors
/// [`Error::File`] and [`Error::Input`] for a file that can't be read or written or is no scenario.
pub fn run(options: &Options) -> Result<Outcome, Error> {
    let mut loaded = match &options.scenario {
        Some(path) => file::load(path)?,
        None => Loaded { about: String::new(), scenario: Scenario::default(), expect: Expect::default() },
    };
    if let Some(nodes) = options.nodes {
        loaded.scenario.nodes = nodes;
    }
    if let Some(seed) = options.seed {
        loaded.scenario.seed = seed;
    }
    let report = play(&loaded.scenario).map_err(|e| Error::input("scenario", e.to_string()))?;
    let bounds = bounds(&report, &loaded.expect);
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&Figures::new(&loaded.scenario, &report, &bounds))
            .map_err(|e| Error::input("--json", e.to_string()))?;
        std::fs::write(path, json + "\n").map_err(Error::file(path))?;
    }
    if let Some(path) = &options.html {
        std::fs::write(path, page::page(&loaded, &report, &bounds)).map_err(Error::file(path))?;
    }
    let mut text = String::new();
    if !loaded.about.is_empty() {
        text += &format!("{}\n\n", loaded.about.trim());
    }
    text += &report.to_string();
    for bound in &bounds {
        text += &format!("{bound}\n");
    }
    Ok(Outcome { text, kept: bounds.iter().all(Bound::is_kept) })
}

/// One thing that a scenario expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Bound {
    name: &'static str,
    value: u64,
    bound: u64,
    /// The bound is the most, otherwise the least.
    at_most: bool,
}

impl Bound {
    const fn is_kept(&self) -> bool {
        if self.at_most { self.value <= self.bound } else { self.value >= self.bound }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (verdict, which) =
            (if self.is_kept() { "kept  " } else { "MISSED" }, if self.at_most { "most" } else { "least" });
        write!(f, "{verdict} {}: {}, at {which} {}", self.name, self.value, self.bound)
    }
}

fn bounds(report: &Report, expect: &Expect) -> Vec<Bound> {
    let hops = report.watchers().map(|node| node.hops).max().unwrap_or(0);
    // Times are rounded up to whole milliseconds: what is over a bound by less counts as over.
    let ms = |micros: u64| micros.div_ceil(1_000);
    let served = report.joined_permille(std::time::Duration::from_secs(1));
    [
        ("shown_permille", report.shown_permille(), expect.shown_permille, false),
        ("missed", report.missed(), expect.missed, true),
        ("worst_gap_ms", ms(report.worst_gap()), expect.worst_gap_ms, true),
        ("served_within_1s_permille", served, expect.served_within_1s_permille, false),
        ("first_delivery_permille", report.first_delivery_permille(), expect.first_delivery_permille, false),
        ("downlink_permille", report.downlink_permille(), expect.downlink_permille, true),
        ("recovery_p99_ms", ms(report.recovery(990)), expect.recovery_p99_ms, true),
        ("hops", hops, expect.hops, true),
        ("over_capacity", report.over_capacity(), expect.over_capacity, true),
    ]
    .into_iter()
    .filter_map(|(name, value, bound, at_most)| Some(Bound { name, value, bound: bound?, at_most }))
    .collect()
}

/// What is written as JSON.
#[derive(Debug, Serialize)]
struct Figures<'a> {
    seed: u64,
    nodes: u32,
    rows: Vec<Figure>,
    expected: &'a [Bound],
    recoveries_us: &'a [u64],
}

#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    value: u64,
    unit: &'static str,
}

impl<'a> Figures<'a> {
    fn new(scenario: &Scenario, report: &'a Report, expected: &'a [Bound]) -> Self {
        let figure = |Row { name, value, unit, .. }| Figure { name, value, unit };
        let rows = report.rows().into_iter().map(figure).collect();
        Self { seed: scenario.seed, nodes: scenario.nodes, rows, expected, recoveries_us: &report.recoveries }
    }
}

#[cfg(test)]
mod tests;
