//! The demo as a library call: three seconds with everything in it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use serde_json::Value;
use support::holomesh;

#[test]
fn three_seconds_with_a_death_a_join_and_a_removal_keep_every_promise() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let mut command = holomesh();
    command.args([
        "demo",
        "--relays",
        "3",
        "--watchers",
        "2",
        "--parents",
        "3",
        "--seconds",
        "3",
        "--seed",
        "7",
    ]);
    command.args(["--kill-relay-at", "1", "--join-at", "1.5", "--leave-at", "2", "--out"]);
    command.arg(dir.path()).arg("--json").arg(&json);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(figures["leaver"]["chunks_opened_after_leave"], 0, "{said}");
    assert!(figures["leaver"]["chunks_seen_after_leave"].as_u64().unwrap() > 0, "{said}");
    assert_eq!(figures["epochs"], 3, "{said}");
    let relays = figures["relays"].as_array().unwrap();
    assert_eq!(relays.iter().filter(|relay| relay["killed"] == true).count(), 1);
    assert!(relays.iter().all(|relay| relay["content_keys_held"] == 0), "{said}");
    for watcher in figures["watchers"].as_array().unwrap() {
        assert_eq!(watcher["undecryptable_chunks"], 0, "{said}");
        assert!(watcher["frames_shown"].as_u64().unwrap() > 0, "{said}");
        assert_eq!(watcher["proofs"]["forged"], 0, "{said}");
        assert!(watcher["proofs"]["hybrid"].as_u64().unwrap() > 0, "{said}");
    }
    for file in ["report.html", "watcher-1.mkv"] {
        assert!(std::fs::metadata(dir.path().join(file)).unwrap().len() > 10_000, "{file}");
    }
}

/// Layers, guests who speak in turn and watchers that feed one another, all at once: what the report says of them is there, and right.
#[test]
fn the_report_tells_of_layers_speakers_and_lending_watchers() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let mut command = holomesh();
    command.args(["demo", "--layers", "L2T1", "--relays", "1", "--watchers", "3", "--parents", "2"]);
    command.args(["--uplink", "20000", "--speakers", "2", "--seconds", "6", "--loss", "0", "--seed", "5"]);
    command.args(["--kill-relay-at", "1e9", "--join-at", "1e9", "--leave-at", "1e9", "--out"]);
    command.arg(dir.path()).arg("--json").arg(&json);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(figures["steps"], serde_json::json!({ "of": "resolutions", "count": 2 }), "{said}");
    for watcher in figures["watchers"].as_array().unwrap() {
        let by_step: Vec<u64> =
            watcher["frames_by_step"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        assert_eq!(by_step.len(), 3, "{said}");
        assert_eq!(by_step.iter().sum::<u64>(), watcher["frames_expected"].as_u64().unwrap(), "{said}");
        assert_eq!(by_step[0] + by_step[1], watcher["frames_shown"].as_u64().unwrap(), "{said}");
        assert!(watcher["sound"]["packets_ms"].as_u64().unwrap() > 3_000, "{said}");
        // What is heard is delayed and coded, and has its own background: not the same to a piece, and nearly so.
        assert!(watcher["speech"]["agreement_percent"].as_f64().unwrap() > 80.0, "{said}");
        assert!(watcher["speech"]["spoken_ms"].as_u64().unwrap() > 1_000, "{said}");
    }
    assert_eq!(figures["view"]["speakers"], 2, "{said}");
    assert!(
        figures["view"]["changes"].as_u64().unwrap() >= 2,
        "each has a turn, and the first a second one: {said}"
    );
    assert!(figures["view"]["right_percent"].as_f64().unwrap() > 50.0, "{said}");
    let lenders =
        figures["mesh"]["nodes"].as_array().unwrap().iter().filter(|node| node["claims_kbit"].is_u64());
    assert_eq!(lenders.count(), 3, "{said}");
    assert!(figures["mesh"]["feeds"].as_array().unwrap().len() >= 4, "{said}");
    let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    for part in ["What came", "Layers", "Who speaks", "In view", "Who feeds whom", "lends "] {
        assert!(page.contains(part), "{part}");
    }
}

/// Of three relays two carry a description each to every watcher; the busiest dies, and there is nothing sent in place of what it carried.
#[test]
fn pictures_in_two_descriptions_go_on_through_the_death_of_a_relay() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let mut command = holomesh();
    command.args(["demo", "--mdc", "2", "--relays", "3", "--watchers", "2", "--seconds", "4", "--seed", "3"]);
    command.args(["--kill-relay-at", "1.5", "--join-at", "1e9", "--leave-at", "1e9", "--out"]);
    command.arg(dir.path()).arg("--json").arg(&json);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for watcher in figures["watchers"].as_array().unwrap() {
        let figure = |name: &str| watcher[name].as_u64().unwrap();
        // A busy machine shows some late, and leaves few out.
        assert!(figure("frames_shown") * 100 >= figure("frames_expected") * 95, "{said}");
        assert_eq!(figure("undecryptable_chunks"), 0, "{said}");
    }
}
