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
