//! What a run of the demo has to show, read from its JSON.
//!
//! A figure that is absent is a fault like one that is out of bounds: a check can't pass because nothing was measured.

use serde_json::Value;

const LEAST_SHOWN: f64 = 0.99;
/// Of the frames published, how many a watcher that is there from start to end expects at least: it may miss those
/// before its subscription, and an empty expectation would make its share of shown frames worthless. The joiner came
/// later, and needs only some.
const LEAST_EXPECTED: f64 = 0.9;
const MOST_DOWNLINK: f64 = 1.6;
const LEAST_PSNR_DB: f64 = 30.0;

/// What the report does not show and has to; empty when it is accepted.
pub(crate) fn faults(report: &Value) -> Vec<String> {
    let mut faults = Faults::default();
    let video = faults.number(report, "the report", "/frames_published");
    let audio = faults.number(report, "the report", "/audio_frames_published");
    faults.expect(video > 0.0, || "no frame was published".to_owned());
    faults.expect(audio > 0.0, || "no audio frame was published".to_owned());

    // The session starts in one epoch; the joiner and the leaver each make another.
    let epochs = faults.number(report, "the report", "/epochs");
    faults.expect(epochs >= 3.0, || {
        format!("{epochs} epochs: a member joining and one leaving make at least 3")
    });

    // Those that were members to the end, the joiner among them.
    let staying: Vec<&Value> =
        list(report, "/watchers").iter().filter(|watcher| watcher["stayed"] == true).collect();
    faults.expect(staying.iter().any(|watcher| !joined(watcher)), || {
        "no watcher was there from start to end".to_owned()
    });
    faults.expect(staying.iter().any(|watcher| joined(watcher)), || "nobody joined".to_owned());
    for watcher in staying {
        check_watcher(&mut faults, watcher, video, audio);
    }

    let relays = list(report, "/relays");
    faults.expect(!relays.is_empty(), || "no relay took part".to_owned());
    let mut killed = false;
    for relay in relays {
        let who = name("relay", relay);
        // A relay that fed nobody proves nothing by its death.
        killed |= relay["killed"] == true && faults.number(relay, &who, "/chunks_out") > 0.0;
        let keys = faults.number(relay, &who, "/content_keys_held");
        faults.expect(keys == 0.0, || format!("{who} held {keys} content keys"));
    }
    faults.expect(killed, || "no relay that fed anybody was killed".to_owned());

    let seen = faults.number(report, "the leaver", "/leaver/chunks_seen_after_leave");
    let opened = faults.number(report, "the leaver", "/leaver/chunks_opened_after_leave");
    faults.expect(seen > 0.0, || "the leaver saw no chunk after it left, so nothing was tried".to_owned());
    faults.expect(opened == 0.0, || format!("the leaver opened {opened} chunks after it left"));

    faults.found
}

/// One line for each watcher, with its figures.
pub(crate) fn summary(report: &Value) -> Vec<String> {
    let figure =
        |watcher: &Value, pointer: &str| watcher.pointer(pointer).map_or("?".to_owned(), Value::to_string);
    let line = |watcher: &Value| {
        format!(
            "{} ({}): frames {}/{}, audio {}/{}, undecryptable {}, PSNR-Y {} dB, p95 {} ms, downlink ratio {}",
            name("watcher", watcher),
            watcher["role"].as_str().unwrap_or("?"),
            figure(watcher, "/frames_shown"),
            figure(watcher, "/frames_expected"),
            figure(watcher, "/audio_shown"),
            figure(watcher, "/audio_expected"),
            figure(watcher, "/undecryptable_chunks"),
            figure(watcher, "/psnr_y_db"),
            figure(watcher, "/latency_ms/p95"),
            figure(watcher, "/downlink_ratio"),
        )
    };
    list(report, "/watchers").iter().map(line).collect()
}

fn joined(watcher: &Value) -> bool {
    watcher["role"] == "joined"
}

fn check_watcher(faults: &mut Faults, watcher: &Value, video: f64, audio: f64) {
    let who = name("watcher", watcher);
    for (what, expected, shown, published) in [
        ("frames", "/frames_expected", "/frames_shown", video),
        ("audio frames", "/audio_expected", "/audio_shown", audio),
    ] {
        let expected = faults.number(watcher, &who, expected);
        let shown = faults.number(watcher, &who, shown);
        let least = if joined(watcher) { 1.0 } else { LEAST_EXPECTED * published };
        faults.expect(expected >= least, || {
            format!("{who} expected {expected} {what} of {published} that were published")
        });
        faults.expect(shown >= LEAST_SHOWN * expected && shown <= expected, || {
            format!("{who} showed {shown} of {expected} {what}")
        });
    }
    let undecryptable = faults.number(watcher, &who, "/undecryptable_chunks");
    faults.expect(undecryptable == 0.0, || format!("{who} could not open {undecryptable} chunks"));
    let downlink = faults.number(watcher, &who, "/downlink_ratio");
    faults.expect(downlink > 0.0 && downlink <= MOST_DOWNLINK, || {
        format!("{who} received {downlink} times what was published; at most {MOST_DOWNLINK}")
    });
    let psnr = faults.number(watcher, &who, "/psnr_y_db");
    faults.expect(psnr >= LEAST_PSNR_DB, || format!("{who} saw {psnr} dB; at least {LEAST_PSNR_DB}"));
    let latency = faults.number(watcher, &who, "/latency_ms/p95");
    faults.expect(latency > 0.0, || format!("{who} has a latency of {latency} ms, which was not measured"));
    for stage in ["encode", "send", "wait", "decode"] {
        faults.number(watcher, &who, &format!("/stages_ms/{stage}/p95"));
    }
}

#[derive(Default)]
struct Faults {
    found: Vec<String>,
}

impl Faults {
    /// The number there. One that is missing is a fault, and satisfies no expectation after that either.
    fn number(&mut self, of: &Value, who: &str, pointer: &str) -> f64 {
        let number = of.pointer(pointer).and_then(Value::as_f64);
        if number.is_none() {
            self.found.push(format!("{who} has no number {pointer}"));
        }
        number.unwrap_or(f64::NAN)
    }

    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.found.push(otherwise());
        }
    }
}

fn list<'a>(report: &'a Value, pointer: &str) -> &'a [Value] {
    report.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn name(role: &str, of: &Value) -> String {
    match &of["id"] {
        Value::String(id) => format!("{role} {id}"),
        id => format!("{role} {id}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        let spread = json!({ "p50": 1.0, "p95": 2.0 });
        let watcher = |id: &str, role: &str| {
            json!({
                "id": id, "role": role, "stayed": role != "left", "frames_expected": 100, "frames_shown": 99, "frames_late": 0,
                "audio_expected": 200, "audio_shown": 198, "undecryptable_chunks": 0, "psnr_y_db": 33.5,
                "latency_ms": { "p50": 100.0, "p95": 150.5, "p99": 170.0 }, "downlink_ratio": 1.6, "parents": 4,
                "stages_ms": { "encode": spread, "send": spread, "wait": spread, "decode": spread },
            })
        };
        let mut joiner = watcher("w2", "joined");
        joiner["frames_expected"] = json!(10);
        joiner["frames_shown"] = json!(10);
        let mut leaver = watcher("w3", "left");
        leaver["frames_shown"] = json!(2);
        json!({
            "seed": 1, "frames_published": 100, "audio_frames_published": 200, "epochs": 3,
            "watchers": [watcher("w1", "stayed"), joiner, leaver],
            "relays": [
                { "id": "r1", "killed": true, "chunks_in": 9, "chunks_out": 9, "content_keys_held": 0 },
                { "id": "r2", "killed": false, "chunks_in": 0, "chunks_out": 0, "content_keys_held": 0 },
            ],
            "leaver": { "chunks_seen_after_leave": 7, "chunks_opened_after_leave": 0 },
        })
    }

    #[test]
    fn a_good_run_is_accepted() {
        assert_eq!(faults(&good()), Vec::<String>::new());
    }

    #[test]
    fn each_figure_out_of_bounds_is_named() {
        let cases = [
            ("/frames_published", json!(0), "no frame was published"),
            ("/audio_frames_published", json!(0), "no audio frame was published"),
            ("/epochs", json!(2), "2 epochs"),
            ("/watchers/0/stayed", json!(false), "no watcher was there from start to end"),
            ("/watchers/0/role", json!("joined"), "no watcher was there from start to end"),
            ("/watchers/1/stayed", json!(false), "nobody joined"),
            ("/watchers/1/frames_expected", json!(0), "watcher w2 expected 0 frames"),
            ("/watchers/1/frames_shown", json!(9), "watcher w2 showed 9 of 10 frames"),
            ("/watchers/0/frames_shown", json!(98), "watcher w1 showed 98 of 100 frames"),
            ("/watchers/0/frames_shown", json!(101), "watcher w1 showed 101 of 100 frames"),
            ("/watchers/0/frames_expected", json!(89), "watcher w1 expected 89 frames"),
            ("/watchers/0/audio_shown", json!(197), "watcher w1 showed 197 of 200 audio frames"),
            ("/watchers/0/audio_expected", json!(179), "watcher w1 expected 179 audio frames"),
            ("/watchers/0/undecryptable_chunks", json!(1), "could not open 1 chunks"),
            ("/watchers/0/downlink_ratio", json!(1.61), "received 1.61 times"),
            ("/watchers/0/downlink_ratio", json!(0), "received 0 times"),
            ("/watchers/0/psnr_y_db", json!(29.9), "saw 29.9 dB"),
            ("/watchers/0/latency_ms/p95", json!(0), "a latency of 0 ms"),
            ("/relays", json!([]), "no relay took part"),
            ("/relays/0/chunks_out", json!(0), "no relay that fed anybody"),
            ("/relays/0/killed", json!(false), "no relay that fed anybody"),
            ("/relays/1/content_keys_held", json!(1), "relay r2 held 1 content keys"),
            ("/leaver/chunks_seen_after_leave", json!(0), "saw no chunk after it left"),
            ("/leaver/chunks_opened_after_leave", json!(1), "opened 1 chunks after it left"),
        ];
        for (pointer, value, words) in cases {
            let mut report = good();
            *report.pointer_mut(pointer).unwrap() = value;
            let faults = faults(&report);
            assert!(faults.iter().any(|fault| fault.contains(words)), "{pointer}: {faults:?}");
        }
    }

    #[test]
    fn a_figure_that_is_missing_or_no_number_is_a_fault() {
        for pointer in [
            "/frames_published",
            "/audio_frames_published",
            "/epochs",
            "/watchers",
            "/watchers/0/stayed",
            "/watchers/0/frames_expected",
            "/watchers/0/frames_shown",
            "/watchers/0/audio_expected",
            "/watchers/0/audio_shown",
            "/watchers/0/undecryptable_chunks",
            "/watchers/0/downlink_ratio",
            "/watchers/0/psnr_y_db",
            "/watchers/0/latency_ms/p95",
            "/watchers/0/stages_ms/decode/p95",
            "/relays",
            "/relays/0/content_keys_held",
            "/relays/0/chunks_out",
            "/leaver",
        ] {
            let mut report = good();
            *report.pointer_mut(pointer).unwrap() = Value::Null;
            assert!(!faults(&report).is_empty(), "{pointer}");
        }
        assert!(!faults(&Value::Null).is_empty());
    }

    #[test]
    fn the_leaver_is_not_held_to_the_bounds_and_is_shown() {
        let mut report = good();
        report["watchers"][2]["undecryptable_chunks"] = json!(5);
        assert_eq!(faults(&report), Vec::<String>::new());
        let summary = summary(&report);
        assert!(summary[0].starts_with("watcher w1 (stayed): frames 99/100"), "{summary:?}");
        assert!(summary[2].starts_with("watcher w3 (left): frames 2/100"), "{summary:?}");
    }
}
