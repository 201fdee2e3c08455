//! Pictures to AV1: libaom in one layer and in three by three, beside rav1e at its fastest, at the same rate on the bundled clip.

#[path = "../../../crates/codec-av1/examples/encoders/measure.rs"]
mod measure;

use anyhow::{Context, Result, anyhow};
use bench_harness::{Clock, Limit, Row};
use measure::Measured;
use std::time::Duration;

pub(crate) fn rows(quick: bool) -> Result<Vec<Row>> {
    let results = measure::all(quick, cpu_time).map_err(|error| anyhow!("{error}"))?;
    let mut rows = Vec::new();
    for ours in results.iter().filter(|result| result.encoder != BASELINE) {
        let baseline = results.iter().find(|other| other.encoder == BASELINE && other.size == ours.size);
        let baseline = baseline.context("no baseline")?;
        let name = |what: &str| format!("{} {}: {what}", ours.encoder, ours.size);
        let row = |what: &str, unit: &str, figure: fn(&Measured) -> f64| {
            Row::of(&name(what), unit, (figure(ours), figure(baseline)), "rav1e speed 10", ours.frames)
        };
        rows.push(row("encode", "ms/frame", |m| m.ms_per_frame).target(&[Limit::Ratio(1.0)]));
        // Smaller is better: the mean error of a sample, squared, and not the PSNR.
        rows.push(row("error", "MSE", |m| 255.0 * 255.0 / 10f64.powf(m.psnr / 10.0)));
        rows.push(row("rate", "kbit/s", |m| m.kbit));
        rows.push(row("worst call", "ms", |m| m.worst_ms));
    }
    Ok(rows)
}

const BASELINE: &str = "rav1e";

fn cpu_time(work: &mut dyn FnMut()) -> Duration {
    Clock::Process.time(work).0
}
