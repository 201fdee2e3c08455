//! Quality by rate and by how many descriptions there are, nothing lost of those.

use std::path::Path;

use codec_av1::Structure;
use codec_mdc::{Descriptions, Scheme};

use crate::measure::{Outcome, Seen, described, received, received_any, single};
use crate::plot::{Line, Plot, crops};
use crate::quality::Quality;
use crate::{Clip, together, wall};

/// All descriptions together, in kbit/s.
const RATES: [u64; 4] = [150, 300, 500, 800];
/// The one of which pictures are shown.
const SHOWN: u64 = 300;

/// What is measured beside one stream.
pub(crate) fn kinds() -> Outcome<[(&'static str, Descriptions, Scheme); 4]> {
    let layers = Scheme::Priority(Structure::L2T1);
    Ok([
        ("alternating, 2", Descriptions::Two, Scheme::Alternating),
        ("alternating, 4", Descriptions::Four, Scheme::Alternating),
        ("priority, 2", Descriptions::Two, layers),
        ("priority, 4", Descriptions::Four, layers),
    ])
}

/// What came of one kind at one rate.
#[derive(Clone)]
struct Row {
    asked: u64,
    name: &'static str,
    of: Option<Descriptions>,
    /// With one description, with two, and so on.
    seen: Vec<Seen>,
}

impl Row {
    fn all(&self) -> &Seen {
        &self.seen[self.seen.len() - 1]
    }
}

pub(crate) fn measure(clip: &Clip, out: Option<&Path>) -> Outcome<()> {
    let frames = &clip.frames;
    // Encoders miss their rate by some, so what counts is one stream that sends as much.
    let rates = [100].into_iter().chain(RATES).chain([1_200]);
    let baseline = together(rates, |kbit| single(frames, kbit, |_| false, wall))?;
    let rows = together(RATES, |kbit| {
        let one = single(frames, kbit, |_| false, wall)?;
        let mut rows = vec![Row { asked: kbit, name: "one stream", of: None, seen: vec![one] }];
        for (index, (name, of, scheme)) in kinds()?.into_iter().enumerate() {
            let (payloads, _) = described(frames, kbit, of, scheme, wall)?;
            let seen = (1..=of.count()).map(|count| received_any(frames, &payloads, of, count, wall));
            rows.push(Row { asked: kbit, name, of: Some(of), seen: seen.collect::<Outcome<Vec<Seen>>>()? });
            if let Some(out) = out.filter(|_| kbit == SHOWN && index == 0 && clip.name == "bundled") {
                pictures(clip, &payloads, out)?;
            }
        }
        Ok(rows)
    })?;
    let rows = rows.concat();
    for quality in Quality::ALL {
        table(clip, quality, &rows, &baseline);
        if let Some(out) = out {
            plots(clip, quality, &rows, out)?;
        }
    }
    Ok(())
}

fn table(clip: &Clip, quality: Quality, rows: &[Row], baseline: &[Seen]) {
    println!("\n{}: {}, in brackets what one frame in twenty is below\n", clip.name, quality.name());
    println!(
        "| asked, kbit/s | | k = 1 | k = 2 | k = 3 | k = 4 | below one stream that sends as much | sent, kbit/s |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|");
    let baseline: Vec<(f64, f64)> = baseline.iter().map(|one| (one.kbit(), quality.mean(one))).collect();
    for row in rows {
        let (all, name) = (row.all(), row.name);
        let mut cells: Vec<String> = row.seen.iter().map(|seen| quality.cell(seen)).collect();
        cells.resize(4, String::new());
        let asked = if row.of.is_none() { row.asked.to_string() } else { String::new() };
        let below = at(&baseline, all.kbit()) - quality.mean(all);
        let below = match (row.of, quality) {
            (None, _) => String::new(),
            (_, Quality::Psnr) => format!("{below:.2}"),
            (_, Quality::Ssim) => format!("{below:.4}"),
        };
        println!("| {asked} | {name} | {} | {below} | {:.0} |", cells.join(" | "), all.kbit());
    }
}

fn plots(clip: &Clip, quality: Quality, rows: &[Row], out: &Path) -> Outcome<()> {
    let name = &clip.name;
    for of in [Descriptions::Two, Descriptions::Four] {
        let mut lines = vec![line("one stream", false)];
        for row in rows {
            let place = |seen: &Seen| (seen.kbit(), quality.mean(seen));
            let mut add = |name: &str, is_dashed: bool, seen: &Seen| match lines
                .iter_mut()
                .find(|line| line.name == name)
            {
                Some(line) => line.points.push(place(seen)),
                None => lines.push(Line { points: vec![place(seen)], ..line(name, is_dashed) }),
            };
            match row.of {
                None => add(row.name, false, row.all()),
                Some(own) if own == of => {
                    add(&format!("{}: one of them", row.name), true, &row.seen[0]);
                    add(&format!("{}: all {}", row.name, of.count()), false, row.all());
                }
                Some(_) => {}
            }
        }
        let plot = Plot {
            title: format!("{name}, {} descriptions", of.count()),
            across: "kbit/s sent, all descriptions together".to_owned(),
            up: quality.name().to_owned(),
            ticks: RATES.map(|kbit| kbit as f64).to_vec(),
            unit: quality.unit(),
            has_dots: true,
        };
        let file = format!("rates-{}{name}-{}.svg", quality.mark(), of.count());
        std::fs::write(out.join(file), plot.svg(&lines))?;
    }
    Ok(())
}

/// Between what was measured, by the logarithm of the rate.
fn at(curve: &[(f64, f64)], kbit: f64) -> f64 {
    let mut pairs = curve.iter().zip(curve.iter().skip(1));
    let pair = pairs.clone().find(|(_, above)| above.0 >= kbit).or(pairs.next_back());
    pair.map_or(f64::NAN, |(below, above)| {
        let part = (kbit / below.0).ln() / (above.0 / below.0).ln();
        below.1 + part * (above.1 - below.1)
    })
}

fn line(name: &str, is_dashed: bool) -> Line {
    Line { name: name.to_owned(), points: Vec::new(), is_dashed }
}

/// Filmed, one stream, one description where it has a good picture and where it has a low one, both.
fn pictures(clip: &Clip, payloads: &[Vec<codec_mdc::Payload>], out: &Path) -> Outcome<()> {
    let of = Descriptions::Two;
    let frames = &clip.frames;
    let (_, first) = received(frames, payloads, of, &[0], wall)?;
    let (_, both) = received(frames, payloads, of, &[0, 1], wall)?;
    let one = crate::measure::single_pictures(frames, SHOWN)?;
    // The first description has three frames well, then three with few bits: the last of these is the farthest from what it refers to.
    let at = frames.len() * 3 / 8 / 6 * 6;
    for (what, at) in [("good", at), ("low", at + 5)] {
        let pictures = [&frames[at], &one[at], &first[at], &both[at]];
        let place = (frames[at].size().width() / 2 - 56, frames[at].size().height() / 2 - 42);
        crops(&pictures, place, (112, 84), &out.join(format!("{}-{what}.png", clip.name)))?;
    }
    Ok(())
}
