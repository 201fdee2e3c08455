//! Simulated sessions: deaths, loss, churn, crowds, liars.

use alm::sim::{Happening, Report, Roles, Scenario, run};
use anyhow::Result;
use bench_harness::{Limit, Row};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn rows(quick: bool) -> Result<Vec<Row>> {
    let (nodes, kills, runs) = if quick { (200, 4, 4) } else { (1_000, 100, 20) };
    let mut rows = Vec::new();
    rows.extend(one_of_four(nodes, kills)?);
    rows.push(two_of_four(nodes, runs)?);
    rows.extend(calm(nodes)?);
    rows.push(lossy(nodes)?);
    rows.push(churn(nodes, if quick { 10 } else { 60 })?);
    rows.extend(crowd(nodes)?);
    rows.extend(liars(nodes)?);
    Ok(rows)
}

fn scene(nodes: u32, seed: u64) -> Scenario {
    Scenario { nodes, seed, ..Scenario::default() }
}

/// One parent of somebody dies, with 5 % loss everywhere: once in each run, so that it shows in which a frame was missed from then
/// on, those included that may have been on their way. What was missed before has a row of its own.
fn one_of_four(nodes: u32, runs: u64) -> Result<[Row; 3]> {
    let at = Duration::from_secs(4);
    let (mut spoilt, mut gap, mut before) = (0, 0, 0);
    for seed in 1..=runs {
        let kill = Happening::Kill { at, parents: 1, within: Duration::ZERO };
        let length = Duration::from_secs(6);
        let report = run(&Scenario { loss_permille: 50, length, events: vec![kill], ..scene(nodes, seed) })?;
        let costs = report.missing_since(at - SECOND) > 0;
        spoilt += u64::from(costs);
        before += u64::from(!costs && report.missed() > 0);
        gap = gap.max(report.worst_gap());
    }
    let permille = (spoilt * 1_000).div_ceil(runs);
    let runs = usize::try_from(runs)?;
    Ok([
        of("one parent of four killed, 5 % loss: kills that cost a frame", "permille", permille, 10, runs),
        of("one parent of four killed, 5 % loss: longest gap", "ms", millis(gap), 100, runs),
        of("the same runs: a frame was missed over a second before the kill", "runs", before, 0, runs),
    ])
}

fn two_of_four(nodes: u32, runs: u64) -> Result<Row> {
    let mut times = Vec::new();
    for seed in 1..=runs {
        let kill =
            Happening::Kill { at: Duration::from_secs(4), parents: 2, within: Duration::from_millis(100) };
        let length = Duration::from_secs(7);
        let report = run(&Scenario { length, events: vec![kill], ..scene(nodes, seed) })?;
        // Who had not recovered by the end took as long as there was.
        let never = usize::try_from(report.unrecovered)?;
        times.extend(report.recoveries.iter().copied().chain(std::iter::repeat_n(3_000_000, never)));
    }
    times.sort_unstable();
    let p99 = times.get((times.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0);
    let figures = (millis(p99) as f64, 1_500.0);
    let name = "two parents of four killed within 100 ms: back to full rate, p99";
    Ok(Row::of(name, "ms", figures, "the predecessor's first notice", times.len())
        .target(&[Limit::Ours(500.0)]))
}

/// Nothing happens.
fn calm(nodes: u32) -> Result<[Row; 2]> {
    let report = run(&scene(nodes, 1))?;
    let figures = (report.downlink_permille() as f64 / 1_000.0, 2.0);
    let downlink =
        Row::of("downlink of four parents, no loss", "of the source", figures, "the predecessor", 1);
    Ok([
        downlink.target(&[Limit::Ours(1.4)]),
        of("no loss: frames missed", "of a million", per_million(&report), 0, 1),
    ])
}

fn lossy(nodes: u32) -> Result<Row> {
    let length = Duration::from_secs(22);
    let report = run(&Scenario { loss_permille: 50, length, ..scene(nodes, 1) })?;
    Ok(of("5 % loss: frames missed", "of a million", per_million(&report), 10, 1))
}

fn churn(nodes: u32, seconds: u64) -> Result<Row> {
    let from = Duration::from_secs(4);
    let until = from + Duration::from_secs(seconds);
    let churn = Happening::Churn { from, until, permille_per_second: 100 };
    let report = run(&Scenario { length: until, events: vec![churn], ..scene(nodes, 1) })?;
    let (mut shown, mut missed) = (0, 0);
    for node in report.watchers().filter(|node| node.left.saturating_sub(node.joined) > 2_000_000) {
        shown += node.shown;
        missed += node.missed;
    }
    let permille = (missed * 1_000).div_ceil((shown + missed).max(1));
    Ok(of("a tenth of all leave each second: frames missed by who stayed 2 s", "permille", permille, 10, 1))
}

fn crowd(nodes: u32) -> Result<[Row; 3]> {
    let crowd = Happening::FlashCrowd { at: Duration::from_secs(5), count: 500, within: SECOND };
    let report = run(&Scenario { events: vec![crowd], ..scene(nodes, 1) })?;
    let late = 1_000 - report.joined_permille(SECOND).min(1_000);
    let fed: Vec<u64> =
        report.watchers().map(|node| node.children).filter(|children| *children > 0).collect();
    let mean = fed.iter().sum::<u64>() as f64 / fed.len().max(1) as f64;
    let busiest = fed.iter().max().copied().unwrap_or(0) as f64;
    Ok([
        of("500 join in a second: not served within 1 s", "permille", late, 0, 1),
        of("500 join in a second: parents over capacity", "parents", report.over_capacity(), 0, 1),
        Row::of(
            "500 join in a second: children of the busiest",
            "children",
            (busiest, mean),
            "the mean",
            fed.len(),
        )
        .target(&[Limit::Ratio(2.0)]),
    ])
}

fn liars(nodes: u32) -> Result<[Row; 2]> {
    let roles = Roles { lying: 200, ..Roles::default() };
    let report = run(&Scenario { roles, ..scene(nodes, 1) })?;
    let missed = (report.missed() * 1_000).div_ceil((report.missed() + report.sum(|node| node.shown)).max(1));
    let late =
        report.watchers().filter(|node| node.first_frame.is_none_or(|after| after > 2_000_000)).count();
    Ok([
        of("a fifth lie: frames missed", "permille", missed, 10, 1),
        of("a fifth lie: watchers without a picture for over 2 s", "watchers", u64::try_from(late)?, 0, 1),
    ])
}

fn of(name: &str, unit: &str, ours: u64, most: u64, n: usize) -> Row {
    // A bound of nothing is no divisor.
    let figures = (ours as f64, (most as f64).max(1.0));
    Row::of(name, unit, figures, "what it is held to", n).target(&[Limit::Ours(most as f64)])
}

fn millis(micros: u64) -> u64 {
    micros.div_ceil(1_000)
}

fn per_million(report: &Report) -> u64 {
    let all = report.missed() + report.sum(|node| node.shown);
    (report.missed() * 1_000_000).div_ceil(all.max(1))
}
