//! The report as one self-contained page: inline SVG and CSS, pictures as data URIs, no script, nothing loaded.

mod authorship;
mod axis;
mod charts;
mod lanes;
mod marks;
mod mesh;
mod plot;
mod received;
mod sections;

use super::{
    checks,
    model::{DemoReport, Event},
    timeline::Timeline,
};
use std::fmt;

const STYLE: &str = include_str!("style.css");

/// One frame as it was published and as a watcher saw it, both as PNG files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PicturePair {
    /// Which frame, seen by whom.
    pub label: String,
    /// The frame as published; empty when there is none.
    pub published_png: Vec<u8>,
    /// The same frame as shown; empty when there is none.
    pub watched_png: Vec<u8>,
    /// Luma PSNR of the one against the other, in dB.
    pub psnr_db: Option<f64>,
}

/// The page. Series in `timeline` and watchers in `report` belong together by name; a missing one is left out of the
/// plots. Text from the report is escaped wherever it is used.
pub fn render(report: &DemoReport, timeline: &Timeline, pictures: &[PicturePair]) -> String {
    let events = in_order(&report.events);
    let summary = checks::summary(&checks::assess(report));
    let body = [
        sections::headline(report, &events, timeline.end_ms()),
        charts::section(report, timeline, &events),
        received::section(report, timeline, &events),
        received::speech(report, timeline, &events),
        sections::pictures(pictures),
        sections::stages(report),
        sections::watchers(report, &charts::colours(report, timeline)),
        authorship::authorship(report),
        mesh::section(&report.mesh),
        sections::relays(report),
        sections::events(&events),
        sections::run(report),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>holomesh demo: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        esc(&summary)
    )
}

/// An event with its number, which only landmarks have.
#[derive(Debug, Clone, Copy)]
struct Numbered<'a> {
    number: Option<usize>,
    event: &'a Event,
}

fn in_order(events: &[Event]) -> Vec<Numbered<'_>> {
    let mut sorted: Vec<_> = events.iter().collect();
    sorted.sort_by_key(|event| event.at_ms);
    let mut landmarks = 0;
    let number = |event: &Event| {
        landmarks += usize::from(event.kind.is_landmark());
        event.kind.is_landmark().then_some(landmarks)
    };
    let numbers: Vec<_> = sorted.iter().copied().map(number).collect();
    sorted.into_iter().zip(numbers).map(|(event, number)| Numbered { number, event }).collect()
}

/// `text` made safe as HTML text and inside quoted attributes. Characters that HTML forbids become U+FFFD.
fn esc(text: &str) -> Escaped<'_> {
    Escaped(text)
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                c if c.is_control() || is_noncharacter(c) => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The code points that HTML forbids beside the controls.
fn is_noncharacter(c: char) -> bool {
    matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests;
