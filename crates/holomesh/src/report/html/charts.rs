//! The plots over time and their legend.

use super::{
    Numbered, esc,
    plot::{Mark, Plot, Series},
};
use crate::report::{
    model::{DemoReport, EventKind, NodeName, Role},
    timeline::{Point, Timeline, WatcherSeries},
};
use std::collections::HashMap;

/// Rates are means over this long: long enough to be steady at 25 frames/s, short enough to show a freeze.
const WINDOW_MS: u64 = 1000;
/// Colours of the style sheet; with more watchers they come again with dashes.
const COLOURS: usize = 8;
/// A page with more lines than this is not read by pointing at a name.
const MAX_HOVER: usize = 64;

/// The colour classes of each watcher: the same in plots, legend and table.
pub(super) fn colours<'a>(report: &'a DemoReport, timeline: &'a Timeline) -> HashMap<&'a NodeName, String> {
    let names = timeline.watchers.iter().map(|w| &w.id).chain(report.watchers.iter().map(|w| &w.id));
    let mut colours = HashMap::new();
    for name in names {
        let next = colours.len();
        colours.entry(name).or_insert_with(|| class(next));
    }
    colours
}

/// Section "Over time".
pub(super) fn section(report: &DemoReport, timeline: &Timeline, events: &[Numbered<'_>]) -> String {
    let colours = colours(report, timeline);
    let end_ms = end_ms(timeline, events);
    let lines = |points: &dyn Fn(&WatcherSeries) -> Vec<Point>| -> Vec<Series> {
        let series = |w: &WatcherSeries| Series {
            name: w.id.to_string(),
            class: colours.get(&w.id).cloned().unwrap_or_default(),
            points: points(w),
        };
        timeline.watchers.iter().map(series).collect()
    };
    let mut rates = lines(&|w| w.downlink(WINDOW_MS));
    rates.push(Series {
        name: "encoder".to_owned(),
        class: "encoder".to_owned(),
        points: timeline.encoder(WINDOW_MS),
    });
    let plots = [
        Plot {
            title: "Frames shown",
            unit: "frames/s",
            note: "mean over the last second",
            steps: false,
            named_marks: true,
            series: lines(&|w| w.frames_per_second(WINDOW_MS)),
        },
        Plot {
            title: "Latency",
            unit: "ms",
            note: "from frame captured to frame shown, median of each sample",
            steps: false,
            named_marks: false,
            series: lines(&WatcherSeries::latency),
        },
        Plot {
            title: "Parents",
            unit: "parents",
            note: "that feed each watcher; equal lines are drawn side by side",
            steps: true,
            named_marks: false,
            series: lines(&WatcherSeries::parents),
        },
        Plot {
            title: "Bit rate",
            unit: "kbit/s",
            note: "received by each watcher, and what left the encoder (dotted); mean over the last second",
            steps: false,
            named_marks: false,
            series: rates,
        },
    ];
    let marks: Vec<_> = events.iter().map(mark).collect();
    let figures: String = plots.iter().map(|plot| plot.figure(&marks, end_ms)).collect();
    let hover = hover(timeline.watchers.len());
    let legend = legend(report, timeline, &colours);
    format!("<section class=\"plots\">\n<h2>Over time</h2>\n{hover}{legend}{figures}</section>\n")
}

/// A line as it looks in the plots.
pub(super) fn swatch(class: &str) -> String {
    format!(
        "<svg width=\"20\" height=\"8\" aria-hidden=\"true\"><path class=\"series swatch {}\" d=\"M1 4H19\"/></svg>",
        esc(class)
    )
}

/// The colour class of a landmark.
pub(super) fn kind_class(kind: EventKind) -> &'static str {
    match kind {
        EventKind::RelayKilled => "killed",
        EventKind::MemberJoined => "joined",
        EventKind::MemberRemoved => "removed",
        _ => "",
    }
}

fn class(i: usize) -> String {
    format!("k{i} s{} d{}", i % COLOURS, i / COLOURS % 3)
}

/// Where the axis of time ends, the same for all that is drawn over it.
pub(super) fn end_ms(timeline: &Timeline, events: &[Numbered<'_>]) -> u64 {
    timeline.end_ms().max(events.last().map_or(0, |e| e.event.at_ms))
}

/// An event over what is drawn.
pub(super) fn mark(numbered: &Numbered<'_>) -> Mark {
    Mark {
        at_ms: numbered.event.at_ms,
        class: kind_class(numbered.event.kind),
        landmark: numbered.number.map(|number| (number, numbered.event.label())),
    }
}

fn legend(report: &DemoReport, timeline: &Timeline, colours: &HashMap<&NodeName, String>) -> String {
    let mut items = String::new();
    for (i, watcher) in timeline.watchers.iter().enumerate() {
        let role = report.watchers.iter().find(|w| w.id == watcher.id).map(|w| w.role);
        let role = match role {
            Some(Role::Stayed) | None => "",
            Some(Role::Joined) => " <small>joined</small>",
            Some(Role::Left) => " <small>removed</small>",
        };
        let class = colours.get(&watcher.id).map_or("", String::as_str);
        items += &format!(
            "<li class=\"l{i}\" tabindex=\"0\">{}<span>{}{role}</span></li>\n",
            swatch(class),
            esc(watcher.id.as_str())
        );
    }
    if !timeline.publisher.is_empty() {
        items += &format!("<li>{}<span>encoder</span></li>\n", swatch("encoder"));
    }
    format!("<ul class=\"legend\">\n{items}</ul>\n")
}

/// Pointing at a name in the legend, or tapping it, lets its lines stand out. In CSS, so that the page needs no script.
fn hover(watchers: usize) -> String {
    let rule = |i: usize| {
        format!(
            ".plots:has(.l{i}:hover) .plot .series:not(.k{i}),.plots:has(.l{i}:focus) .plot .series:not(.k{i}){{opacity:.13}}\n"
        )
    };
    let rules: String = (0..watchers.min(MAX_HOVER)).map(rule).collect();
    format!("<style>\n{rules}</style>\n")
}
