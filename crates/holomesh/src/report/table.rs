//! The table at the end of a run: plain text for a terminal, a log or a mail.

use super::{
    checks::{self, Outcome},
    mesh::{Mesh, MeshNode, Part},
    model::{DemoReport, Event, NodeName, RelayReport, SoundReport, WatcherReport},
    percentiles::Spread,
    text::{bytes, count, figure, percent, percentage, plain, seconds, shorten},
};

/// No line is wider than this, in characters.
pub const WIDTH: usize = 100;
/// More events than this would push the tables off the screen.
const MAX_EVENTS: usize = 20;

/// The report as lines of at most [`WIDTH`] characters, each ended by a line feed: what was sent, watchers, where the
/// latency goes, relays, events, checks.
pub fn render(report: &DemoReport) -> String {
    let mut out = vec![heading(report), String::new()];
    if !report.watchers.is_empty() {
        out.extend(watchers(&report.watchers));
        out.push(String::new());
        out.extend(latencies(&report.watchers));
        out.push(String::new());
        if report.watchers.iter().any(|w| w.proofs.objects > 0) {
            out.extend(authorship(&report.watchers));
            out.push(String::new());
        }
        if report.watchers.iter().any(|w| w.sound != SoundReport::default()) {
            out.extend(sound(report));
            out.push(String::new());
        }
        if report.steps.count > 1 {
            out.extend(steps(report));
            out.push(String::new());
        }
    }
    if let Some(view) = report.view {
        out.push(format!(
            "in view   who spoke of {}: {} of the time, {} changes",
            view.speakers,
            percentage(view.right_percent),
            count(view.changes)
        ));
        out.push(String::new());
    }
    let lenders: Vec<_> = report.mesh.nodes.iter().filter(|node| node.part == Part::Watcher).collect();
    let lenders: Vec<_> = lenders.into_iter().filter_map(|node| lender(&report.mesh, node)).collect();
    if !lenders.is_empty() {
        out.extend(lenders);
        out.push(String::new());
    }
    if !report.relays.is_empty() {
        out.extend(relays(&report.relays));
        out.push(String::new());
    }
    if !report.events.is_empty() {
        out.extend(events(&report.events));
        out.push(String::new());
    }
    out.extend(verdict(report));
    let mut page = String::new();
    for line in out {
        page.push_str(shorten(&line, WIDTH).trim_end());
        page.push('\n');
    }
    page
}

fn heading(report: &DemoReport) -> String {
    format!(
        "holomesh {}   seed {}   published {} frames, {} audio packets   {} epochs   CPU {} s",
        plain(&report.version),
        report.seed,
        count(report.frames_published),
        count(report.audio_frames_published),
        count(report.epochs),
        figure(report.cpu_seconds, 1)
    )
}

fn watchers(watchers: &[WatcherReport]) -> Vec<String> {
    let head = ["watcher", "", "frames", "", "part", "late", "audio", "unopened", "rebuilt", "PSNR dB"];
    let head = head.into_iter().chain(["down", "parents"]).map(str::to_owned).collect();
    let row = |w: &WatcherReport| {
        vec![
            name(&w.id),
            w.role.to_string(),
            count(w.frames_shown),
            percentage(percent(w.frames_shown, w.frames_expected)),
            count(w.frames_reduced),
            count(w.frames_late),
            percentage(percent(w.audio_shown, w.audio_expected)),
            count(w.undecryptable_chunks),
            count(w.chunks_repaired),
            figure(w.psnr_y_db, 1),
            figure(w.downlink_ratio, 2),
            count(w.parents.into()),
        ]
    };
    align(std::iter::once(head).chain(watchers.iter().map(row)).collect(), 2)
}

/// End to end, and where it goes: medians and 95th percentiles.
fn latencies(watchers: &[WatcherReport]) -> Vec<String> {
    let head = ["latency, ms", "p50", "p95", "p99", "encode p50/p95", "send", "wait", "decode"];
    let both = |s: &Spread| format!("{}/{}", figure(s.p50, 0), figure(s.p95, 0));
    let row = |w: &WatcherReport| {
        vec![
            name(&w.id),
            figure(w.latency_ms.p50, 0),
            figure(w.latency_ms.p95, 0),
            figure(w.latency_ms.p99, 0),
            both(&w.stages_ms.encode),
            both(&w.stages_ms.send),
            both(&w.stages_ms.wait),
            both(&w.stages_ms.decode),
        ]
    };
    align(std::iter::once(head.map(str::to_owned).into()).chain(watchers.iter().map(row)).collect(), 1)
}

/// What the proofs said of who had sent what was received.
fn authorship(watchers: &[WatcherReport]) -> Vec<String> {
    let head = ["who sent it", "objects", "proven", "", "interim", "unproven", "forged", "lost proofs"];
    let head = head.into_iter().chain(["bytes", "of downlink"]).map(str::to_owned).collect();
    let row = |w: &WatcherReport| {
        vec![
            name(&w.id),
            count(w.proofs.objects),
            count(w.proofs.hybrid),
            percentage(percent(w.proofs.hybrid, w.proofs.objects)),
            count(w.proofs.interim),
            count(w.proofs.unproven),
            count(w.proofs.forged),
            count(w.proofs.lost_proofs),
            bytes(w.proofs.bytes),
            percentage(w.proofs.downlink_percent),
        ]
    };
    align(std::iter::once(head).chain(watchers.iter().map(row)).collect(), 1)
}

/// What the sound was made from, and how much of it was speech.
fn sound(report: &DemoReport) -> Vec<String> {
    let head =
        ["sound, ms", "packets", "window", "FEC", "DRED", "concealed", "pauses", "stretched", "squeezed"];
    let head = head.into_iter().chain(["speech", "as said"]).map(str::to_owned).collect();
    let row = |w: &WatcherReport| {
        let s = &w.sound;
        let figures =
            [s.packets_ms, s.repaired_ms, s.coarse_copies_ms, s.redundancy_ms, s.concealed_ms, s.paused_ms];
        let figures = figures.into_iter().chain([s.stretched_ms, s.squeezed_ms, w.speech.spoken_ms]);
        let agreement = percentage(w.speech.agreement_percent);
        std::iter::once(name(&w.id)).chain(figures.map(count)).chain([agreement]).collect()
    };
    align(std::iter::once(head).chain(report.watchers.iter().map(row)).collect(), 1)
}

/// Pictures by how much of each came.
fn steps(report: &DemoReport) -> Vec<String> {
    let of = report.steps.count;
    let came = (1..=of).rev().map(|came| format!("{came} of {of}"));
    let head =
        std::iter::once(format!("{}", report.steps.of)).chain(came).chain(["not shown".to_owned()]).collect();
    let row = |w: &WatcherReport| {
        let figures = (0..=usize::from(of)).map(|at| count(w.frames_by_step.get(at).copied().unwrap_or(0)));
        std::iter::once(name(&w.id)).chain(figures).collect()
    };
    align(std::iter::once(head).chain(report.watchers.iter().map(row)).collect(), 1)
}

/// A watcher that lends, and whom it feeds.
fn lender(mesh: &Mesh, node: &MeshNode) -> Option<String> {
    let claims = node.claims_kbit?;
    let fed: Vec<_> =
        mesh.feeds.iter().filter(|feed| feed.from == node.id).map(|feed| name(&feed.to)).collect();
    let fed = if fed.is_empty() { "nobody".to_owned() } else { fed.join(", ") };
    Some(format!("{} lends, claims {claims} kbit/s, feeds {fed}", name(&node.id)))
}

fn name(id: &NodeName) -> String {
    shorten(&plain(id.as_str()), 12)
}

fn relays(relays: &[RelayReport]) -> Vec<String> {
    let head = ["relay", "", "chunks in", "out", "bytes in", "out", "content keys"].map(str::to_owned);
    let row = |r: &RelayReport| {
        vec![
            name(&r.id),
            if r.killed { "killed" } else { "" }.to_owned(),
            count(r.chunks_in),
            count(r.chunks_out),
            bytes(r.bytes_in),
            bytes(r.bytes_out),
            count(r.content_keys_held),
        ]
    };
    align(std::iter::once(head.into()).chain(relays.iter().map(row)).collect(), 2)
}

/// All events while they are few, otherwise those that the run caused on purpose.
fn events(events: &[Event]) -> Vec<String> {
    let few = events.len() <= MAX_EVENTS;
    let listed: Vec<_> = events.iter().filter(|e| few || e.kind.is_landmark()).take(MAX_EVENTS).collect();
    let line = |e: &&Event| {
        let node = e.node.as_ref().map(|n| format!("{}  ", plain(n.as_str()))).unwrap_or_default();
        format!("{:>7} s  {:<19}  {node}{}", seconds(e.at_ms), e.kind, plain(&e.detail))
    };
    let mut lines: Vec<_> = listed.iter().map(line).collect();
    if listed.len() < events.len() {
        lines.push(format!("           and {} more events", events.len() - listed.len()));
    }
    lines
}

fn verdict(report: &DemoReport) -> Vec<String> {
    let checks = checks::assess(report);
    let mut rows: Vec<_> = checks
        .iter()
        .map(|c| {
            let mark = match c.outcome {
                Outcome::Holds => "ok",
                Outcome::Fails => "FAILS",
                Outcome::NotMeasured => "?",
            };
            vec![mark.to_owned(), c.name.to_owned(), c.figure.clone(), format!("{}: {}", c.promise, c.basis)]
        })
        .collect();
    // The last column is prose: left as it is, while the aligner puts numbers to the right.
    let prose: Vec<_> = rows.iter_mut().filter_map(Vec::pop).collect();
    let mut lines: Vec<_> =
        align(rows, 2).into_iter().zip(prose).map(|(row, prose)| format!("{row}   {prose}")).collect();
    lines.push(String::new());
    lines.push(format!("{}.", checks::summary(&checks)));
    lines
}

/// Columns padded to their widest cell, two spaces apart; the first `left` columns to the left, the others, which are
/// figures, to the right.
fn align(rows: Vec<Vec<String>>, left: usize) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let cell = |(c, text): (usize, &String)| {
        if c < left { format!("{text:<w$}", w = widths[c]) } else { format!("{text:>w$}", w = widths[c]) }
    };
    rows.iter().map(|row| row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{EventKind, fixture};
    use proptest::prelude::*;

    fn assert_fits(page: &str) {
        for line in page.lines() {
            assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        }
    }

    #[test]
    fn a_real_run_fits_without_cutting_anything() {
        let page = render(&fixture::report());
        assert_fits(&page);
        assert!(!page.contains('…'), "{page}");
        for node in ["watcher-1", "watcher-7", "relay-4"] {
            assert!(page.contains(node), "{page}");
        }
        assert!(page.ends_with("All 10 checks hold.\n"));
    }

    #[test]
    fn figures_stand_under_their_headings() {
        let page = render(&fixture::report());
        let table: Vec<_> = page.lines().skip(2).take(8).collect();
        let right_of_psnr = table[0].find("PSNR dB").unwrap() + "PSNR dB".len();
        for row in &table[1..] {
            let cell: String = row.chars().take(right_of_psnr).skip(right_of_psnr - 4).collect();
            assert!(cell.parse::<f64>().is_ok(), "{cell:?} in {row}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_a_line_too_wide_or_steers_the_terminal(
            name in "\\PC{0,40}\u{1b}?.{0,40}", n: u64, odd in fixture::odd_figure(), at_ms: u64, detail in "(?s).{0,200}"
        ) {
            let mut report = fixture::report();
            report.seed = n;
            let odd = Some(odd);
            let watcher = &mut report.watchers[0];
            watcher.id = NodeName::new(name.clone());
            (watcher.frames_shown, watcher.frames_expected, watcher.chunks_repaired) = (n, 1, n);
            (watcher.psnr_y_db, watcher.downlink_ratio, watcher.latency_ms.p99) = (odd, odd, odd);
            (watcher.proofs.objects, watcher.proofs.hybrid, watcher.proofs.forged) = (1, n, n);
            (watcher.proofs.bytes, watcher.proofs.downlink_percent) = (n, odd);
            report.relays[0].bytes_out = n;
            report.cpu_seconds = odd;
            report.version = name.clone();
            report.events.push(Event { at_ms, kind: EventKind::Note, node: Some(NodeName::new(name)), detail });
            let page = render(&report);
            assert_fits(&page);
            prop_assert!(page.chars().all(|c| c == '\n' || !c.is_control()));
            prop_assert!(!page.contains("NaN") && !page.contains("inf"));
        }
    }

    #[test]
    fn of_many_events_those_on_purpose_are_told_and_the_others_counted() {
        let mut report = fixture::report();
        let lost = report.events[2].clone();
        report.events.extend(std::iter::repeat_n(lost, 100));
        let page = render(&report);
        assert_eq!(page.matches("parent lost").count(), 0);
        assert!(page.contains("relay killed") && page.contains("and 106 more events"), "{page}");
        assert!(render(&fixture::report()).contains("parent lost"));
    }

    #[test]
    fn an_empty_report_still_gives_its_checks() {
        let page = render(&DemoReport::default());
        assert!(page.contains("frames shown") && page.ends_with("Nothing was measured.\n"), "{page}");
    }
}
