//! The whole pipeline in real time: `holomesh bench live`, by numbers in the pictures.

use anyhow::{Context, Result, ensure};
use bench_harness::{Limit, Row};
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};

#[derive(Deserialize)]
struct Figures {
    captured: u64,
    shown: u64,
    reduced: u64,
    unreadable: u64,
    glass_to_glass_p95: f64,
    encoded_p95: f64,
}

pub(crate) fn rows(program: &Path, quick: bool) -> Result<Vec<Row>> {
    let seconds = if quick { "5" } else { "60" };
    let hd = |layers| {
        let rate = ["--pictures", "hd", "--bit-rate", "2500", "--threads", "2", "--seconds", seconds];
        measure(program, &[&rate[..], &["--layers", layers]].concat())
    };
    let (layered, plain) = (hd("L3T3")?, hd("L1T1")?);
    let clip = measure(program, &["--seconds", seconds, "--loss", "2"])?;
    let n = usize::try_from(layered.captured)?;
    let missed = |figures: &Figures| figures.captured.saturating_sub(figures.shown) as f64;
    let row = |name, unit, ours, base, baseline, most| {
        Row::of(name, unit, (ours, base), baseline, n).target(&[Limit::Ours(most)])
    };
    Ok(vec![
        row(
            "live 720p30 L3T3, 4 links, one watcher: pictures dropped",
            "pictures",
            missed(&layered) + layered.unreadable as f64,
            missed(&plain) + plain.unreadable as f64,
            "L1T1, the same run",
            0.0,
        ),
        row(
            "live 720p30 L3T3, 4 links, one watcher: pictures shown in fewer layers",
            "pictures",
            layered.reduced as f64,
            plain.reduced as f64,
            "L1T1, the same run",
            0.0,
        ),
        row(
            "640x360 over 4 links: glass to glass, p95",
            "ms",
            clip.glass_to_glass_p95,
            clip.encoded_p95,
            "until it is encoded",
            100.0,
        ),
    ])
}

fn measure(program: &Path, options: &[&str]) -> Result<Figures> {
    let run = Command::new(program)
        .args(["bench", "live", "--json", "-"])
        .args(options)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} can't be run", program.display()))?;
    ensure!(run.status.success(), "`holomesh bench live` ended with {}", run.status);
    serde_json::from_slice(&run.stdout).context("`holomesh bench live` says what is no JSON of its kind")
}
