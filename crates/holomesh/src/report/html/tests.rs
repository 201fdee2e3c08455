//! The whole page: well-formed, self-contained, safe against whatever is in the report.

use super::*;
use crate::report::{
    EventKind, Lane, NodeName, SoundReport, StepKind, Steps, WatcherSample, WatcherSeries, fixture,
};
use proptest::prelude::*;

const VOID: [&str; 4] = ["meta", "img", "br", "!doctype"];

/// Every tag is closed in order, every attribute quoted, no stray `<`, `>` or `&`. Stricter than HTML.
fn check_markup(html: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&', '>']) {
        let here: String = rest[at..].chars().take(60).collect();
        rest = &rest[at..];
        if rest.starts_with('&') {
            let end = rest.find(';').filter(|end| *end < 8).ok_or(format!("stray & at {here}"))?;
            rest = &rest[end..];
            continue;
        }
        if rest.starts_with('>') {
            return Err(format!("stray > at {here}"));
        }
        let mut quoted = false;
        let end = rest
            .find(|c| {
                quoted ^= c == '"';
                c == '>' && !quoted
            })
            .ok_or(format!("unclosed {here}"))?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap();
        let outside_quotes: String = tag.split('"').step_by(2).collect();
        if outside_quotes.contains('<') || outside_quotes.matches('=').count() != tag.matches('"').count() / 2
        {
            return Err(format!("malformed tag {here}"));
        }
        if tag.starts_with('/') {
            let last = open.pop();
            if last != Some(name) {
                return Err(format!("</{name}> closes {last:?} at {here}"));
            }
        } else if name == "style" {
            rest = &rest[rest.find("</style>").ok_or("unclosed style")? + "</style>".len()..];
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("left open: {open:?}")) }
}

fn page() -> String {
    render(&fixture::report(), &fixture::timeline(), &[pair("frame 42")])
}

fn pair(label: &str) -> PicturePair {
    let png = |n: u8| vec![0x89, b'P', b'N', b'G', n];
    PicturePair { label: label.to_owned(), published_png: png(1), watched_png: png(2), psnr_db: Some(36.5) }
}

#[test]
fn the_checker_of_these_tests_sees_what_is_wrong() {
    for bad in ["<p>", "<p></b></p>", "a < b", "a & b", "<p a=b></p>", "</p>", "<p x=\"1\"", "1 > 0"] {
        assert!(check_markup(bad).is_err(), "{bad}");
    }
    check_markup("<p a=\"x>y\">&amp;<br><i/></p>").unwrap();
}

#[test]
fn a_real_run_gives_well_formed_markup_with_all_its_parts() {
    let html = page();
    check_markup(&html).unwrap();
    for part in [
        "All 10 checks hold",
        "Over time",
        "What came",
        "Who speaks",
        "Who feeds whom",
        "The picture",
        "Where the latency goes",
        "Watchers",
        "Who sent it",
        "Relays",
        "Events",
    ] {
        assert!(html.contains(part), "{part} is missing");
    }
    for title in ["Frames shown", "Latency", "Parents", "Bit rate"] {
        assert_eq!(html.matches(&format!("aria-label=\"{title} over time")).count(), plot::Size::ALL.len());
    }
    for title in ["Layers", "Sound", "Speech"] {
        let label = format!("aria-label=\"{title} over time, one row for each\"");
        assert_eq!(html.matches(&label).count(), plot::Size::ALL.len(), "{title}");
    }
    let options = fixture::report().options;
    assert!(
        options.iter().all(|(k, v)| html.contains(&format!("<code>--{k}</code></dt><dd><code>{v}</code>")))
    );
}

#[test]
fn the_page_loads_nothing() {
    let html = page();
    assert!(!html.contains("http"));
    let loaders =
        ["<script", "<link", "<iframe", "<object", "@import", "url(", "srcset", "href", "javascript"];
    for word in loaders {
        assert!(!html.contains(word), "{word}");
    }
    assert!(!html.split_whitespace().any(|word| word.starts_with("on") && word.contains("=\"")));
    assert!(html.split("src=\"").skip(1).all(|src| src.starts_with("data:image/png;base64,")));
    let encoded = [1u8, 2].map(|n| data_encoding::BASE64.encode(&[0x89, b'P', b'N', b'G', n]));
    assert!(encoded.iter().all(|png| html.contains(png.as_str())));
}

#[test]
fn each_watcher_has_one_colour_everywhere() {
    let report = fixture::report();
    let html = page();
    let watchers = report.watchers.len();
    for i in 0..watchers {
        let uses = |class: &str| html.matches(&format!("\"series {class}k{i} s{i} d0\"")).count();
        assert_eq!(uses(""), 4 * plot::Size::ALL.len(), "watcher {i}, plots");
        assert_eq!(uses("swatch "), 2, "watcher {i}, legend and table");
    }
    let many: Vec<_> =
        (0..30).map(|i| WatcherSeries { id: NodeName::new(i.to_string()), samples: vec![] }).collect();
    let timeline = Timeline { watchers: many, ..Timeline::default() };
    let empty = DemoReport::default();
    let colours = charts::colours(&empty, &timeline);
    let looks =
        colours.values().map(|c| c.split_once(' ').unwrap().1).collect::<std::collections::HashSet<_>>();
    assert_eq!(looks.len(), 24, "eight colours with three kinds of dashes");
}

#[test]
fn landmarks_are_numbered_alike_in_plots_and_list() {
    let html = page();
    for (number, name) in [(1, "relay-2 killed"), (2, "watcher-7 joined"), (3, "watcher-6 removed")] {
        let badges = html.matches(&format!(">{number}</text>\n")).count();
        assert!(badges > 4 * plot::Size::ALL.len(), "badge {number}: {badges}");
        assert!(html.contains(&format!("text-anchor=\"start\">{name}</text>")), "{name}");
        assert!(html.contains(&format!("<p>{name} ")), "{name}");
    }
}

#[test]
fn what_came_is_told_by_height_in_words_and_in_figures() {
    let html = page();
    // Of three resolutions: all, two, one, none.
    for (class, label) in [
        ("step0", "3 of 3 resolutions"),
        ("step1", "2 of 3 resolutions"),
        ("step2", "1 of 3 resolutions"),
        ("missing", "not shown"),
    ] {
        let path = format!("<path class=\"{class}\" d=\"");
        assert!(html.contains(&path) && html.contains(&format!("{label}</li>")), "{label}");
        assert!(html.contains(&format!("<th>{label}</th>")), "{label}");
    }
    let heights = |class: &str| -> Vec<f64> {
        let path = format!("<path class=\"{class}\" d=\"M");
        let block = |rest: &str| rest.split(['v', 'h']).nth(2)?.parse::<f64>().ok();
        html.split(&path).skip(1).filter_map(block).collect()
    };
    for (higher, lower) in
        [("step0", "step1"), ("step1", "step2"), ("concealed", "redundant"), ("repaired", "packet")]
    {
        let (high, low) = (heights(higher), heights(lower));
        assert!(!high.is_empty() && !low.is_empty(), "{higher} {lower}");
        assert!(high.iter().all(|high| low.iter().all(|low| high > low)), "{higher} {lower}");
    }
    assert!(html.contains("<title>watcher-1, concealed: a guess: 0."));
    assert!(html.contains("<title>watcher-3 feeds watcher-5</title>"));
    assert!(html.contains(">watcher-5, watcher-7</td><td>2</td><td>5000</td>"));
    assert_eq!(html.matches("class=\"node gone\"").count(), 2 * plot::Size::ALL.len());
}

#[test]
fn descriptions_are_called_so_and_what_was_not_measured_has_no_section() {
    let mut report = fixture::report();
    report.steps = Steps { of: StepKind::Descriptions, count: 4 };
    let html = render(&report, &fixture::timeline(), &[]);
    assert!(html.contains("<b>Descriptions</b>") && html.contains("<th>3 of 4</th>"));
    report.steps = Steps::default();
    report.mesh = Default::default();
    report.watchers.iter_mut().for_each(|w| w.sound = SoundReport::default());
    let timeline = Timeline { watchers: fixture::timeline().watchers, ..Timeline::default() };
    let html = render(&report, &timeline, &[]);
    for section in ["What came", "Who speaks", "Who feeds whom"] {
        assert!(!html.contains(section), "{section}");
    }
}

#[test]
fn a_long_run_gives_no_longer_a_page_than_there_is_to_see() {
    let mut timeline = fixture::timeline();
    let mut long = Lane::new(NodeName::new("watcher-1"));
    (0..90_000u64).for_each(|n| long.push(n * 40, n * 40 + 40, (n % 4) as u8));
    timeline.pictures = vec![long];
    assert!(render(&fixture::report(), &timeline, &[]).len() < page().len() + 200_000);
}

#[test]
fn events_are_shown_in_order_of_time() {
    let mut report = fixture::report();
    report.events.reverse();
    assert_eq!(render(&report, &fixture::timeline(), &[pair("frame 42")]), page());
}

#[test]
fn markup_characters_are_escaped() {
    let escaped = esc("<a href=\"x\">&'\u{1b}\u{ffff}é</a>").to_string();
    assert_eq!(escaped, "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}\u{fffd}é&lt;/a&gt;");
}

#[test]
fn a_defect_stands_out() {
    let mut report = fixture::report();
    report.watchers[0].undecryptable_chunks = 3;
    report.relays[1].content_keys_held = 1;
    report.watchers[1].proofs.forged = 2;
    let html = render(&report, &fixture::timeline(), &[]);
    let named = "undecryptable chunks, content keys held by relays, forged objects";
    assert!(html.contains(&format!("<h1>3 of 10 checks fail: {named}</h1>")));
    assert_eq!(html.matches("<li class=\"fails\">").count(), 3);
    assert_eq!(html.matches("<td class=\"bad\">").count(), 3);
    assert!(!page().contains("<td class=\"bad\">"));
}

#[test]
fn nothing_at_all_makes_a_page_too() {
    let mut one = fixture::timeline();
    one.watchers[0].samples.truncate(1);
    one.watchers.truncate(1);
    let empty_series = Timeline { watchers: vec![WatcherSeries::default()], ..Timeline::default() };
    for timeline in [Timeline::default(), one, empty_series] {
        let html = render(&DemoReport::default(), &timeline, &[PicturePair::default()]);
        check_markup(&html).unwrap();
        assert!(html.contains("Nothing was measured") && html.contains("no picture"));
        assert!(!html.contains("Where the latency goes"));
    }
}

proptest! {
    // Each case renders a whole page.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hostile_text_stays_text(noise in ".{0,30}", tail in prop::sample::select(vec![
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'&\"<>", "</title></style>", "\u{0}\u{1b}[2J\u{fffe}",
    ])) {
        let hostile = format!("{noise}{tail}");
        let mut report = fixture::report();
        let mut timeline = fixture::timeline();
        report.version = hostile.clone();
        report.watchers[0].id = NodeName::new(hostile.clone());
        timeline.watchers[0].id = NodeName::new(hostile.clone());
        report.relays[0].id = NodeName::new(hostile.clone());
        report.mesh.nodes[7].id = NodeName::new(hostile.clone());
        report.mesh.feeds[4].from = NodeName::new(hostile.clone());
        report.mesh.feeds[5].to = NodeName::new(hostile.clone());
        timeline.pictures[0].id = NodeName::new(hostile.clone());
        timeline.speech[0].id = NodeName::new(hostile.clone());
        report.options.insert(hostile.clone(), hostile.clone());
        report.machine.cpu = hostile.clone();
        report.machine.os = hostile.clone();
        report.machine.profile = hostile.clone();
        report.events[1].node = Some(NodeName::new(hostile.clone()));
        report.events[1].detail = hostile.clone();
        report.events[1].kind = EventKind::RelayKilled;
        let html = render(&report, &timeline, &[pair(&hostile)]);
        if let Err(wrong) = check_markup(&html) {
            return Err(TestCaseError::fail(wrong));
        }
        prop_assert!(!html.contains("<script") && !html.contains("<img src=x"));
        prop_assert!(html.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
    }

    #[test]
    fn no_figure_is_ever_printed_as_nan_or_infinity(odd in [(); 6].map(|()| fixture::odd_figure()), n: u64) {
        let [a, b, c, d, e, f] = odd;
        let mut report = fixture::report();
        let mut timeline = fixture::timeline();
        let watcher = &mut report.watchers[0];
        (watcher.psnr_y_db, watcher.downlink_ratio, watcher.latency_ms.p95) = (Some(a), Some(b), Some(c));
        (watcher.stages_ms.encode.p50, watcher.stages_ms.send.p95) = (Some(d), Some(e));
        (watcher.frames_shown, watcher.frames_expected, watcher.parents) = (n, n / 3, n as u32);
        report.relays[0].chunks_out = n;
        report.cpu_seconds = Some(f);
        report.watchers[1].frames_by_step = vec![n, 1, n];
        report.watchers[1].sound.packets_ms = n;
        report.watchers[1].speech.agreement_percent = Some(a);
        report.steps.count = n as u8;
        (report.mesh.at_ms, report.mesh.nodes[5].claims_kbit) = (n, Some(n));
        timeline.sound[0].push(n / 2, n, n as u8);
        timeline.watchers[0].samples.push(WatcherSample {
            t_ms: n, frames_shown_total: n, latency_ms_p50: Some(a), parents: n as u32, downlink_kbit: b,
        });
        timeline.publisher[0].encoder_kbit = c;
        let html = render(&report, &timeline, &[PicturePair { psnr_db: Some(d), ..pair("x") }]);
        prop_assert!(check_markup(&html).is_ok());
        let body = html.split_once("</style>").unwrap().1;
        prop_assert!(!body.contains("NaN") && !body.contains("inf"));
    }
}
