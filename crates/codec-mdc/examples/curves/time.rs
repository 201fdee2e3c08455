//! Quality over time, with losses in bursts, each description on a path of its own.

use std::path::Path as FilePath;

use codec_av1::Structure;
use codec_mdc::{Descriptions, Scheme};

use crate::losses::Path;
use crate::measure::{FPS, Outcome, Seen, lossy, single};
use crate::plot::{Line, Plot};
use crate::quality::Quality;
use crate::{Clip, together, wall};

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

/// What came of one kind, with each share of losses.
struct Row {
    name: &'static str,
    kind: Kind,
    seen: Vec<Seen>,
    /// The first run with 5 % lost.
    one_run: Seen,
}

pub(crate) fn measure(clip: &Clip, out: Option<&FilePath>) -> Outcome<()> {
    let rows = together(kinds()?, |(name, kind)| {
        // Encoders miss their rate by some: asked for so that as much is sent.
        let mut asked = RATE;
        for _ in 0..2 {
            let sent = run(clip, kind, (asked, 0, 0))?.kbit();
            asked = (asked as f64 * RATE as f64 / sent).round() as u64;
        }
        let mut row = Row { name, kind, seen: Vec::new(), one_run: Seen::default() };
        for lost in LOSSES {
            let mut all = Seen::default();
            for seed in 0..if lost == 0 { 1 } else { SEEDS } {
                let seen = run(clip, kind, (asked, lost, seed))?;
                if lost == 50 && seed == 0 {
                    row.one_run = seen.clone();
                }
                all.psnr.extend(seen.psnr);
                all.ssim.extend(seen.ssim);
                all.frozen += seen.frozen;
                all.bytes += seen.bytes;
            }
            row.seen.push(all);
        }
        Ok(row)
    })?;
    for quality in Quality::ALL {
        table(clip, quality, &rows);
        if let Some(out) = out {
            plots(clip, quality, &rows, out)?;
        }
    }
    Ok(())
}

fn table(clip: &Clip, quality: Quality, rows: &[Row]) {
    println!(
        "\n{}, {RATE} kbit/s, losses in bursts of {BURST} frames on each path, {SEEDS} runs: {} (one frame in twenty is below), frames shown on\n",
        clip.name,
        quality.name()
    );
    println!(
        "| | sent, kbit/s | {} |",
        LOSSES.map(|lost| format!("{} % lost", lost as f64 / 10.0)).join(" | ")
    );
    println!("|---|---:|{}", "---:|".repeat(LOSSES.len()));
    for row in rows {
        let sent = row.seen.iter().map(Seen::kbit).sum::<f64>() / row.seen.len() as f64;
        let cell = |seen: &Seen| {
            let frozen = 100.0 * seen.frozen as f64 / seen.psnr.len() as f64;
            format!("{}, {frozen:.1} %", quality.cell(seen))
        };
        let cells: Vec<String> = row.seen.iter().map(cell).collect();
        println!("| {} | {sent:.0} | {} |", row.name, cells.join(" | "));
    }
}

fn plots(clip: &Clip, quality: Quality, rows: &[Row], out: &FilePath) -> Outcome<()> {
    let name = &clip.name;
    let line = |row: &Row, is_dashed: bool, points: Vec<(f64, f64)>| Line {
        name: row.name.to_owned(),
        points,
        is_dashed,
    };
    let curves = rows.iter().map(|row| {
        let points =
            LOSSES.iter().zip(&row.seen).map(|(lost, seen)| (*lost as f64 / 10.0, quality.mean(seen)));
        line(row, matches!(row.kind, Kind::One | Kind::Striped(_)), points.collect())
    });
    let mut plot = Plot {
        title: format!("{name}, {RATE} kbit/s, bursts of {BURST} frames"),
        across: "% lost on each path".to_owned(),
        up: quality.name().to_owned(),
        ticks: LOSSES.map(|lost| lost as f64 / 10.0).to_vec(),
        unit: quality.unit(),
        has_dots: true,
    };
    let file = |what: &str| out.join(format!("{what}-{}{name}.svg", quality.mark()));
    std::fs::write(file("losses"), plot.svg(&curves.collect::<Vec<_>>()))?;
    plot.title = format!("{name}, {RATE} kbit/s, 5 % lost on each path");
    plot.across = "seconds".to_owned();
    plot.ticks = (0..=clip.frames.len() / 50).map(|tick| 2.0 * tick as f64).collect();
    plot.has_dots = false;
    let over_time = [0, 3, 5].into_iter().filter_map(|index| rows.get(index)).map(|row| {
        let values = quality.of(&row.one_run).iter().enumerate();
        line(row, false, values.map(|(at, value)| (at as f64 / f64::from(FPS), *value)).collect())
    });
    std::fs::write(file("time"), plot.svg(&over_time.collect::<Vec<_>>()))?;
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
