//! The parts of the page that are not plots.

use super::{
    Numbered, PicturePair,
    axis::Axis,
    charts::{kind_class, swatch},
    esc,
    plot::badge,
};
use crate::report::{
    checks::{self, Check, DOWNLINK_RATIO, Outcome, PSNR_DB, SHOWN_PERCENT},
    model::{DemoReport, NodeName, RelayReport, Role, StagesMs, WatcherReport},
    percentiles::Spread,
    text::{bytes, count, figure, percent, percentage, seconds},
};
use data_encoding::BASE64;
use std::collections::HashMap;

/// The verdict, what the run was, and a tile for each check.
pub(super) fn headline(report: &DemoReport, events: &[Numbered<'_>], end_ms: u64) -> String {
    let checks = checks::assess(report);
    let tiles: String = checks.iter().map(tile).chain([latency_tile(report)]).collect();
    format!(
        "<p class=\"eyebrow\">holomesh {} · demo report · seed {}</p>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n<ul class=\"tiles\">\n{tiles}</ul>\n",
        esc(&report.version),
        report.seed,
        esc(&checks::summary(&checks)),
        esc(&story(report, events, end_ms))
    )
}

fn story(report: &DemoReport, events: &[Numbered<'_>], end_ms: u64) -> String {
    let some = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut story = format!(
        "One publisher sent {} frames and {} audio packets through {} to {}",
        count(report.frames_published),
        count(report.audio_frames_published),
        some(report.relays.len(), "relay"),
        some(report.watchers.len(), "watcher")
    );
    if end_ms > 0 {
        story += &format!(" in {}\u{a0}s", seconds(end_ms));
    }
    let told: Vec<_> = events
        .iter()
        .filter(|e| e.number.is_some())
        .take(6)
        .map(|e| format!("{} at {}\u{a0}s", e.event.label(), seconds(e.event.at_ms)))
        .collect();
    if told.is_empty() { story + "." } else { format!("{story}: {}.", told.join(", ")) }
}

fn tile(check: &Check) -> String {
    let (class, state) = match check.outcome {
        Outcome::Holds => ("holds", "holds"),
        Outcome::Fails => ("fails", "fails"),
        Outcome::NotMeasured => ("open", "not measured"),
    };
    format!(
        "<li class=\"{class}\"><span class=\"name\">{}</span><span class=\"big\">{}</span><span class=\"basis\">{}</span>\
         <span class=\"state\"><span class=\"pill\">{state}</span> {}</span></li>\n",
        esc(check.name),
        esc(&check.figure),
        esc(&check.basis),
        esc(&check.promise)
    )
}

/// Latency is reported, not promised.
fn latency_tile(report: &DemoReport) -> String {
    let stayed = report.watchers.iter().filter(|w| w.stayed);
    let worst = stayed
        .filter(|w| w.latency_ms.p95.is_some_and(f64::is_finite))
        .max_by(|a, b| a.latency_ms.p95.unwrap_or_default().total_cmp(&b.latency_ms.p95.unwrap_or_default()));
    let (big, basis) = match worst {
        Some(w) => (
            format!("{} ms", figure(w.latency_ms.p95, 0)),
            format!(
                "capture to show, slowest watcher that stayed; its median is {} ms",
                figure(w.latency_ms.p50, 0)
            ),
        ),
        None => (figure(None, 0), "capture to show".to_owned()),
    };
    format!(
        "<li><span class=\"name\">latency, 95th percentile</span><span class=\"big\">{big}</span><span class=\"basis\">{basis}</span></li>\n"
    )
}

/// The frame as published beside the frame as watched.
pub(super) fn pictures(pictures: &[PicturePair]) -> String {
    if pictures.is_empty() {
        return String::new();
    }
    let image = |png: &[u8], alt: &str| {
        if png.is_empty() {
            return "<div class=\"missing\">no picture</div>".to_owned();
        }
        format!("<img src=\"data:image/png;base64,{}\" alt=\"{}\">", BASE64.encode(png), esc(alt))
    };
    let pair = |pair: &PicturePair| {
        let psnr = match pair.psnr_db {
            Some(db) if db.is_finite() => format!(" · {} dB", figure(Some(db), 1)),
            _ => String::new(),
        };
        format!(
            "<div class=\"pair\">\n<figure>{}<figcaption><b>As published</b> · {label}</figcaption></figure>\n\
             <figure>{}<figcaption><b>As watched</b> · {label}{psnr}</figcaption></figure>\n</div>\n",
            image(&pair.published_png, "the frame as published"),
            image(&pair.watched_png, "the same frame as watched"),
            label = esc(&pair.label)
        )
    };
    let pairs: String = pictures.iter().map(pair).collect();
    format!(
        "<section>\n<h2>The picture</h2>\n<p class=\"note\">The published frame beside the same frame as a watcher decoded it.</p>\n{pairs}</section>\n"
    )
}

const STAGES: [(&str, &str); 4] = [
    ("encode", "encode: captured to coded"),
    ("send", "send: coded to rebuilt at the watcher"),
    ("wait", "wait: rebuilt to its turn"),
    ("decode", "decode"),
];

fn stages_of(stages: &StagesMs) -> [Spread; 4] {
    [stages.encode, stages.send, stages.wait, stages.decode]
}

/// Where the latency goes: stacked bars.
pub(super) fn stages(report: &DemoReport) -> String {
    let clean = |value: Option<f64>| value.filter(|v| v.is_finite()).map_or(0.0, |v| v.clamp(0.0, 1e9));
    let sum = |w: &WatcherReport, of: fn(&Spread) -> Option<f64>| -> f64 {
        stages_of(&w.stages_ms).iter().map(|s| clean(of(s))).sum()
    };
    let longest =
        report.watchers.iter().map(|w| sum(w, |s| s.p50).max(sum(w, |s| s.p95))).fold(0.0, f64::max);
    if longest <= 0.0 {
        return String::new();
    }
    let axis = Axis::ending_at(longest, 6.0);
    let bar = |w: &WatcherReport, name: &str, of: fn(&Spread) -> Option<f64>| {
        let segment = |((class, _), spread): ((&str, &str), Spread)| {
            let value = of(&spread);
            let width = axis.share(clean(value)) * 100.0;
            let text = figure(value, 0);
            let shown = if width >= 5.0 { text.as_str() } else { "" };
            format!(
                "<span class=\"{class}\" style=\"width:{width:.2}%\" title=\"{class} {name}: {} ms\">{shown}</span>",
                figure(value, 1)
            )
        };
        let segments: String = STAGES.into_iter().zip(stages_of(&w.stages_ms)).map(segment).collect();
        format!("<div class=\"bar\">{segments}</div>")
    };
    let row = |w: &WatcherReport| {
        format!(
            "<div class=\"row\"><span class=\"name\">{}</span><div class=\"bars\" style=\"--step:{:.4}%\">{}{}</div><span class=\"sum\">{} / {} ms</span></div>\n",
            esc(w.id.as_str()),
            axis.step / axis.top * 100.0,
            bar(w, "median", |s| s.p50),
            bar(w, "95th percentile", |s| s.p95),
            figure(w.latency_ms.p50, 0),
            figure(w.latency_ms.p95, 0)
        )
    };
    let rows: String = report.watchers.iter().map(row).collect();
    let keys: String =
        STAGES.iter().map(|(c, text)| format!("<li><i class=\"{c}\"></i>{text}</li>\n")).collect();
    let tick = |(value, text): (f64, String)| {
        format!("<span style=\"left:{:.2}%\">{text} ms</span>", axis.share(value) * 100.0)
    };
    let ticks: String = axis.ticks().map(tick).collect();
    format!(
        "<section>\n<h2>Where the latency goes</h2>\n<p class=\"note\">Upper bar: median of each stage. Lower bar: its 95th percentile. \
         Each stage is measured by itself, so the bars do not add up to the end-to-end figures at the right.</p>\n\
         <div class=\"stages\">\n<ul class=\"keys\">\n{keys}</ul>\n\
         <div class=\"row head\"><span class=\"name\"></span><div class=\"scale\">{ticks}</div><span class=\"sum\">end to end p50 / p95</span></div>\n\
         {rows}</div>\n</section>\n"
    )
}

/// The table of watchers. `colours` are the classes of their lines.
pub(super) fn watchers(report: &DemoReport, colours: &HashMap<&NodeName, String>) -> String {
    if report.watchers.is_empty() {
        return "<section>\n<h2>Watchers</h2>\n<p class=\"note\">No watchers.</p>\n</section>\n".to_owned();
    }
    let rows: String =
        report.watchers.iter().map(|w| watcher(w, colours.get(&w.id).map_or("", String::as_str))).collect();
    format!(
        "<section>\n<h2>Watchers</h2>\n<div class=\"scroll\"><table>\n<thead>\
         <tr><th rowspan=\"2\">watcher</th><th rowspan=\"2\" class=\"l\">role</th><th colspan=\"4\">frames</th>\
         <th colspan=\"2\">audio packets</th><th colspan=\"2\">chunks</th><th rowspan=\"2\">PSNR<br>dB</th>\
         <th colspan=\"3\">latency, ms</th><th rowspan=\"2\">downlink<br>ratio</th><th rowspan=\"2\">parents</th></tr>\
         <tr><th>shown</th><th>%</th><th>reduced</th><th>late</th><th>played</th><th>%</th><th>rebuilt</th>\
         <th>unopened</th><th>p50</th><th>p95</th><th>p99</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n\
         <p class=\"note\">Downlink ratio: bytes received per byte of the source symbols published while it was a member. \
         Reduced: shown in fewer layers, or from fewer descriptions, than the publisher made. PSNR: mean over the luma of the frames compared. Rebuilt: source symbols lost on the way and recovered from repair symbols.</p>\n</section>\n"
    )
}

fn watcher(w: &WatcherReport, colour: &str) -> String {
    let cell = |text: String, bad: bool| {
        if bad { format!("<td class=\"bad\">{text}</td>") } else { format!("<td>{text}</td>") }
    };
    let few = |share: Option<f64>| w.stayed && share.is_some_and(|s| s < SHOWN_PERCENT);
    let (frames, audio) =
        (percent(w.frames_shown, w.frames_expected), percent(w.audio_shown, w.audio_expected));
    let of = |shown: u64, expected: u64| format!("{} <small>/ {}</small>", count(shown), count(expected));
    let share = |value: Option<f64>| percentage(value).trim_end_matches(" %").to_owned();
    let role = match w.role {
        Role::Stayed => "stayed",
        Role::Joined => "joined",
        Role::Left => "removed",
    };
    [
        format!(
            "<tr><th scope=\"row\"><span class=\"who\">{}{}</span></th><td class=\"l\">{role}</td>",
            swatch(colour),
            esc(w.id.as_str())
        ),
        cell(of(w.frames_shown, w.frames_expected), false),
        cell(share(frames), few(frames)),
        cell(count(w.frames_reduced), false),
        cell(count(w.frames_late), false),
        cell(of(w.audio_shown, w.audio_expected), false),
        cell(share(audio), few(audio)),
        cell(count(w.chunks_repaired), false),
        cell(count(w.undecryptable_chunks), w.stayed && w.undecryptable_chunks > 0),
        cell(figure(w.psnr_y_db, 1), w.stayed && w.psnr_y_db.is_some_and(|db| db < PSNR_DB)),
        cell(figure(w.latency_ms.p50, 0), false),
        cell(figure(w.latency_ms.p95, 0), false),
        cell(figure(w.latency_ms.p99, 0), false),
        cell(figure(w.downlink_ratio, 2), w.stayed && w.downlink_ratio.is_some_and(|r| r > DOWNLINK_RATIO)),
        cell(w.parents.to_string(), false),
        "</tr>\n".to_owned(),
    ]
    .concat()
}

/// The table of relays.
pub(super) fn relays(report: &DemoReport) -> String {
    if report.relays.is_empty() {
        return "<section>\n<h2>Relays</h2>\n<p class=\"note\">No relays.</p>\n</section>\n".to_owned();
    }
    let row = |r: &RelayReport| {
        let copies = if r.chunks_in > 0 { Some(r.chunks_out as f64 / r.chunks_in as f64) } else { None };
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"l\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td{}>{}</td></tr>\n",
            esc(r.id.as_str()),
            if r.killed { "killed" } else { "up to the end" },
            count(r.chunks_in),
            count(r.chunks_out),
            figure(copies, 2),
            bytes(r.bytes_in),
            bytes(r.bytes_out),
            if r.content_keys_held > 0 { " class=\"bad\"" } else { "" },
            count(r.content_keys_held)
        )
    };
    let rows: String = report.relays.iter().map(row).collect();
    format!(
        "<section>\n<h2>Relays</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>relay</th><th class=\"l\">state</th>\
         <th>chunks in</th><th>chunks out</th><th>copies of each</th><th>bytes in</th><th>bytes out</th>\
         <th>content keys held</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )
}

/// Everything that happened, in order; the numbers are those in the plots.
pub(super) fn events(events: &[Numbered<'_>]) -> String {
    if events.is_empty() {
        return String::new();
    }
    let item = |numbered: &Numbered<'_>| {
        let event = numbered.event;
        let sign = match numbered.number {
            Some(number) => format!(
                "<svg width=\"18\" height=\"18\" aria-hidden=\"true\">{}</svg>",
                badge(9.0, 9.0, kind_class(event.kind), number)
            ),
            None => "<span class=\"quiet\"></span>".to_owned(),
        };
        let detail = if event.detail.is_empty() {
            String::new()
        } else {
            format!(" <span>{}</span>", esc(&event.detail))
        };
        format!(
            "<li>{sign}<time>{} s</time><p>{}{detail}</p></li>\n",
            precise(event.at_ms),
            esc(&event.label())
        )
    };
    let items: String = events.iter().map(item).collect();
    format!("<section>\n<h2>Events</h2>\n<ol class=\"events\">\n{items}</ol>\n</section>\n")
}

fn precise(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Options and machine.
pub(super) fn run(report: &DemoReport) -> String {
    let entry = |name: &str, value: &str| format!("<dt>{}</dt><dd>{}</dd>\n", esc(name), esc(value));
    let options: String = report
        .options
        .iter()
        .map(|(name, value)| {
            format!("<dt><code>--{}</code></dt><dd><code>{}</code></dd>\n", esc(name), esc(value))
        })
        .collect();
    let machine = [
        entry("processor", &report.machine.cpu),
        entry("cores", &report.machine.cores.to_string()),
        entry("system", &report.machine.os),
        entry("build", &report.machine.profile),
        entry("CPU time", &format!("{} s", figure(report.cpu_seconds, 2))),
        entry("epochs", &count(report.epochs)),
        entry("seed", &report.seed.to_string()),
    ]
    .concat();
    format!(
        "<section>\n<h2>The run</h2>\n<div class=\"run\">\n<div><h3>Options</h3><dl>\n{options}</dl></div>\n\
         <div><h3>Machine</h3><dl>\n{machine}</dl></div>\n</div>\n</section>\n"
    )
}
