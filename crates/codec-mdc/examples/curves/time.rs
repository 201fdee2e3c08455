//! Quality over time, with losses in bursts, each description on a path of its own.

use std::path::Path as FilePath;

use codec_av1::Structure;
use codec_mdc::{Descriptions, Scheme};

use crate::losses::Path;
use crate::measure::{Outcome, Seen, lossy, single};
use crate::plot::{Line, Plot};
use crate::{Clip, wall};

/// All descriptions together, in kbit/s.
const RATE: u64 = 300;
/// Frames that a burst takes, in the mean: 200 ms.
const BURST: f64 = 5.0;
/// Which are lost, per mille.
const LOSSES: [u64; 4] = [0, 20, 50, 100];
/// Runs for each, with other bursts.
const SEEDS: u64 = 5;

#[derive(Clone, Copy)]
enum Kind {
    /// On one path.
    One,
    /// With so much repair that any one of so many paths may fail, as for streams that are striped over parents: at two a copy on each.
    Striped(usize),
    Described(Descriptions, Scheme),
}

fn kinds() -> Outcome<[(&'static str, Kind); 6]> {
    let layers = Scheme::Priority(Structure::L2T1);
    Ok([
        ("one stream, one path", Kind::One),
        ("one stream on two paths", Kind::Striped(2)),
        ("one stream, any 3 of 4 paths", Kind::Striped(4)),
        ("alternating, 2", Kind::Described(Descriptions::Two, Scheme::Alternating)),
        ("alternating, 4", Kind::Described(Descriptions::Four, Scheme::Alternating)),
        ("priority, 4", Kind::Described(Descriptions::Four, layers)),
    ])
}

pub(crate) fn measure(clip: &Clip, out: Option<&FilePath>) -> Outcome<()> {
    let Clip { name, frames } = clip;
    println!(
        "\n{name}, {RATE} kbit/s, losses in bursts of {BURST} frames on each path, {SEEDS} runs: PSNR in dB (one frame in twenty is below), frames shown on\n"
    );
    println!(
        "| | sent, kbit/s | {} |",
        LOSSES.map(|lost| format!("{} % lost", lost as f64 / 10.0)).join(" | ")
    );
    println!("|---|---:|{}", "---:|".repeat(LOSSES.len()));
    let mut curves = Vec::new();
    let mut over_time = Vec::new();
    for (what, kind) in kinds()? {
        // Encoders miss their rate by some: asked for so that as much is sent.
        let mut asked = RATE;
        for _ in 0..2 {
            let sent = run(clip, kind, (asked, 0, 0))?.kbit();
            asked = (asked as f64 * RATE as f64 / sent).round() as u64;
        }
        let mut sent = 0.0;
        let mut cells = Vec::new();
        let mut points = Vec::new();
        for lost in LOSSES {
            let mut all = Seen::default();
            for seed in 0..if lost == 0 { 1 } else { SEEDS } {
                let seen = run(clip, kind, (asked, lost, seed))?;
                if lost == 50 && seed == 0 {
                    let psnr = seen.psnr.iter().enumerate().map(|(at, psnr)| (at as f64 / 25.0, *psnr));
                    over_time.push(Line { name: what.to_owned(), points: psnr.collect(), is_dashed: false });
                }
                all.psnr.extend(seen.psnr);
                all.frozen += seen.frozen;
                all.bytes += seen.bytes;
            }
            sent += all.kbit() / LOSSES.len() as f64;
            let frozen = 100.0 * all.frozen as f64 / all.psnr.len() as f64;
            cells.push(format!("{:.2} ({:.1}), {frozen:.1} %", all.mean(), all.low()));
            points.push((lost as f64 / 10.0, all.mean()));
        }
        println!("| {what} | {sent:.0} | {} |", cells.join(" | "));
        curves.push(Line {
            name: what.to_owned(),
            points,
            is_dashed: matches!(kind, Kind::One | Kind::Striped(_)),
        });
    }
    let Some(out) = out else { return Ok(()) };
    let mut plot = Plot {
        title: format!("{name}, {RATE} kbit/s, bursts of {BURST} frames"),
        across: "% lost on each path".to_owned(),
        up: "PSNR of the luma, dB".to_owned(),
        ticks: LOSSES.map(|lost| lost as f64 / 10.0).to_vec(),
        has_dots: true,
    };
    std::fs::write(out.join(format!("losses-{name}.svg")), plot.svg(&curves))?;
    plot.title = format!("{name}, {RATE} kbit/s, 5 % lost on each path");
    plot.across = "seconds".to_owned();
    plot.ticks = (0..=frames.len() / 50).map(|tick| 2.0 * tick as f64).collect();
    plot.has_dots = false;
    let shown = [0, 3, 5].into_iter().filter_map(|index| over_time.get(index).cloned()).collect::<Vec<_>>();
    std::fs::write(out.join(format!("time-{name}.svg")), plot.svg(&shown))?;
    Ok(())
}

fn run(clip: &Clip, kind: Kind, (kbit, lost, seed): (u64, u64, u64)) -> Outcome<Seen> {
    let lost = lost as f64 / 1e3;
    let path = |index: usize| Path::new(lost, BURST, seed * 16 + index as u64 + 1);
    let frames = &clip.frames;
    match kind {
        Kind::One => {
            let mut path = path(0);
            single(frames, kbit, |_| path.loses(), wall)
        }
        Kind::Striped(count) => {
            let mut paths: Vec<Path> = (0..count).map(path).collect();
            // One may fail: of two each has all, of four each a third.
            let kbit = kbit * (count as u64 - 1) / count as u64;
            let seen = single(
                frames,
                kbit,
                |_| paths.iter_mut().filter_map(|path| path.loses().then_some(())).count() > 1,
                wall,
            )?;
            Ok(Seen { bytes: seen.bytes * count / (count - 1), ..seen })
        }
        Kind::Described(of, scheme) => {
            let mut paths: Vec<Path> = (0..of.count()).map(path).collect();
            lossy(frames, kbit, of, scheme, |description, _| {
                paths.get_mut(description.index()).is_some_and(Path::loses)
            })
        }
    }
}
