//! Quality by rate and by how many descriptions there are, nothing lost of those.

use std::path::Path;

use codec_av1::Structure;
use codec_mdc::{Descriptions, Scheme};

use crate::measure::{Outcome, Seen, described, received, received_any, single};
use crate::plot::{Line, Plot, crops};
use crate::{Clip, wall};

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

pub(crate) fn measure(clip: &Clip, out: Option<&Path>) -> Outcome<()> {
    let Clip { name, frames } = clip;
    let name_of_clip = name;
    println!("\n{name}: PSNR of the luma in dB, in brackets what one frame in twenty is below\n");
    println!(
        "| asked, kbit/s | | k = 1 | k = 2 | k = 3 | k = 4 | below one stream that sends as much | sent, kbit/s | coding, decoding, ms |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut curves = vec![line("one stream", false)];
    // Encoders miss their rate by some, so what counts is one stream that sends as much.
    let mut baseline = Vec::new();
    for kbit in [100].into_iter().chain(RATES).chain([1_200]) {
        let one = single(frames, kbit, |_| false, wall)?;
        baseline.push((one.kbit(), one.mean()));
    }
    for (name, of, _) in kinds()? {
        curves.extend([
            line(&format!("{name}: one of them"), true),
            line(&format!("{name}: all {}", of.count()), false),
        ]);
    }
    for kbit in RATES {
        let one = single(frames, kbit, |_| false, wall)?;
        println!(
            "| {kbit} | one stream | {} | | | | | {:.0} | {} |",
            cell(&one),
            one.kbit(),
            times(&one, frames.len())
        );
        curves[0].points.push((one.kbit(), one.mean()));
        for (index, (name, of, scheme)) in kinds()?.into_iter().enumerate() {
            let (payloads, coding) = described(frames, kbit, of, scheme, wall)?;
            let mut cells = vec![String::new(); 4];
            let mut all = Seen::default();
            for count in 1..=of.count() {
                let seen = received_any(frames, &payloads, of, count, wall)?;
                cells[count - 1] = cell(&seen);
                if count == 1 {
                    curves[2 * index + 1].points.push((seen.kbit(), seen.mean()));
                }
                all = Seen { coding, ..seen };
            }
            curves[2 * index + 2].points.push((all.kbit(), all.mean()));
            println!(
                "| | {name} | {} | {:.2} | {:.0} | {} |",
                cells.join(" | "),
                at(&baseline, all.kbit()) - all.mean(),
                all.kbit(),
                times(&all, frames.len())
            );
            if let Some(out) = out.filter(|_| kbit == SHOWN && index == 0 && name_of_clip == "bundled") {
                pictures(clip, &payloads, out)?;
            }
        }
    }
    let Some(out) = out else { return Ok(()) };
    for (count, lines) in [(2, [0, 1, 2, 5, 6]), (4, [0, 3, 4, 7, 8])] {
        let plot = Plot {
            title: format!("{name}, {count} descriptions"),
            across: "kbit/s sent, all descriptions together".to_owned(),
            up: "PSNR of the luma, dB".to_owned(),
            ticks: RATES.map(|kbit| kbit as f64).to_vec(),
            has_dots: true,
        };
        let lines: Vec<Line> = lines.into_iter().filter_map(|index| curves.get(index).cloned()).collect();
        std::fs::write(out.join(format!("rates-{name}-{count}.svg")), plot.svg(&lines))?;
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

fn cell(seen: &Seen) -> String {
    format!("{:.2} ({:.1})", seen.mean(), seen.low())
}

fn times(seen: &Seen, frames: usize) -> String {
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3 / frames as f64;
    format!("{:.1}, {:.1}", ms(seen.coding), ms(seen.decoding))
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
