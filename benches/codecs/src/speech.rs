//! Speech through bursts of loss: what is played from redundancy, beside classic concealment.

#[path = "../../../crates/codec-opus/examples/speech/measure.rs"]
mod measure;

use anyhow::{Result, anyhow};
use bench_harness::{Clock, Limit, Row};
use measure::Outcome;

pub(crate) fn rows(quick: bool) -> Result<Vec<Row>> {
    let outcomes =
        measure::all(quick, |work| Clock::Thread.time(work).0).map_err(|error| anyhow!("{error}"))?;
    Ok(outcomes.iter().flat_map(of_way).collect())
}

/// A packet of 20 ms in 20 is lost, in bursts of 100 ms on average.
fn of_way(found: &Outcome) -> Vec<Row> {
    let row = |what: &str, unit: &str, figures, baseline: &str| {
        Row::of(&format!("speech, {}: {what}", found.name), unit, figures, baseline, found.rounds)
    };
    let classic = "classic concealment";
    let (whole, said) = (found.from_whole, found.from_said);
    let half = [Limit::Ratio(0.5)];
    let mut rows = vec![
        row("log-spectral distance", "dB", (whole.0.spectral, whole.1.spectral), classic).target(&half),
        row("mel cepstral distance", "dB", (whole.0.cepstral, whole.1.cepstral), classic).target(&half),
        row("log-spectral distance from what was said", "dB", (said.0.spectral, said.1.spectral), classic),
    ];
    if !found.delay.0.is_nan() {
        rows.push(row("playout delay, p95", "ms", found.delay, "a jitter buffer that only grows"));
    }
    rows.push(row("playing 20 ms", "us", found.cpu, "classic decoding"));
    rows.push(row("a packet", "B", found.bytes, "no redundancy"));
    rows
}
