//! Video in several descriptions beside one stream at the same rate, on the bundled clip: the error with each number of them, and the time.

#[path = "../../../crates/codec-mdc/examples/curves/clip.rs"]
#[allow(dead_code, reason = "the example has other clips, too")]
mod clip;
#[path = "../../../crates/codec-mdc/examples/curves/measure.rs"]
#[allow(dead_code, reason = "the example measures losses, too")]
mod measure;

use anyhow::{Result, anyhow};
use bench_harness::{Clock, Limit, Row};
use codec_av1::{Frame, Structure};
use codec_mdc::{Descriptions, Scheme};
use measure::{Outcome, Seen, described, received_any, single};
use std::time::Duration;

/// Of all descriptions together.
const KBIT: u64 = 300;
/// The mean squared errors that 1.5 dB stand for, and 1.5 and 3 dB.
const ALL: f64 = 1.413;
const ONE: f64 = 2.818;

pub(crate) fn rows(quick: bool) -> Result<Vec<Row>> {
    measured(if quick { 30 } else { usize::MAX }).map_err(|error| anyhow!("{error}"))
}

fn measured(most: usize) -> Outcome<Vec<Row>> {
    let frames = clip::bundled(most)?;
    let baseline = single(&frames, KBIT, |_| false, cpu_time)?;
    let mut rows = Vec::new();
    for (name, scheme) in
        [("alternating", Scheme::Alternating), ("priority", Scheme::Priority(Structure::L2T1))]
    {
        for of in [Descriptions::Two, Descriptions::Four] {
            let name = format!("{name} M={}", of.count());
            rows.extend(kind(&name, &frames, (of, scheme), &baseline)?);
        }
    }
    Ok(rows)
}

fn kind(
    name: &str,
    frames: &[Frame],
    (of, scheme): (Descriptions, Scheme),
    baseline: &Seen,
) -> Outcome<Vec<Row>> {
    let (payloads, coding) = described(frames, KBIT, of, scheme, cpu_time)?;
    let mut rows = Vec::new();
    let row = |what: &str, unit: &str, figures: (f64, f64)| {
        Row::of(&format!("{name}: {what}"), unit, figures, "one stream", frames.len())
    };
    let mut all = Seen::default();
    for count in 1..=of.count() {
        all = received_any(frames, &payloads, of, count, cpu_time)?;
        let figures = row(&format!("error with {count}"), "MSE", (error(&all), error(baseline)));
        rows.push(match (of, count) {
            (Descriptions::Two, 2) => figures.target(&[Limit::Ratio(ALL)]),
            (Descriptions::Two, 1) => figures.target(&[Limit::Ratio(ONE)]),
            _ => figures,
        });
    }
    rows.push(row("rate", "kbit/s", (all.kbit(), baseline.kbit())));
    let ms = |time: Duration| time.as_secs_f64() * 1e3 / frames.len() as f64;
    rows.push(row("encode", "ms/frame", (ms(coding), ms(baseline.coding))));
    rows.push(row("decode", "ms/frame", (ms(all.decoding), ms(baseline.decoding))));
    Ok(rows)
}

/// Smaller is better: the mean error of a sample, squared, and not the PSNR.
fn error(seen: &Seen) -> f64 {
    255.0 * 255.0 / 10f64.powf(seen.mean_psnr() / 10.0)
}

fn cpu_time(work: &mut dyn FnMut()) -> Duration {
    Clock::Process.time(work).0
}
