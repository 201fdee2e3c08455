//! Wrong input ends in one clear line and a non-zero exit code.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;
use support::run;

/// The one line that the command says; it must fail.
fn complaint(args: &[&str]) -> String {
    let output = run(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{args:?} succeeded");
    assert_eq!(said.trim_end().lines().count(), 1, "{args:?} said: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn y4m(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = format!("YUV4MPEG2 W{width} H{height} F25:1\n").into_bytes();
    bytes.extend_from_slice(b"FRAME\n");
    bytes.resize(bytes.len() + (width.min(5_000) * height.min(5_000)) as usize * 3 / 2, 0);
    bytes
}

#[test]
fn clips_that_are_missing_malformed_or_of_an_unsupported_size_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let missing = dir.path().join("missing.y4m");
    for command in ["host", "demo"] {
        let with = |path: &str| match command {
            "host" => complaint(&["host", path]),
            _ => complaint(&["demo", "--clip", path, "--out", out.to_str().unwrap()]),
        };
        assert!(with(missing.to_str().unwrap()).contains("missing.y4m"));
        for (name, bytes, words) in [
            ("rubbish.y4m", b"this is no clip at all".to_vec(), ["rubbish.y4m", "Y4M"]),
            ("empty.ivf", Vec::new(), ["empty.ivf", ""]),
            ("odd.y4m", y4m(63, 48), ["odd.y4m", "63x48"]),
            ("zero.y4m", y4m(0, 48), ["zero.y4m", "0"]),
            ("huge.y4m", y4m(4_098, 48), ["huge.y4m", "4098x48"]),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let said = with(path.to_str().unwrap());
            assert!(words.iter().all(|word| said.contains(word)), "{command} {name}: {said}");
        }
    }
}

#[test]
fn sound_that_is_no_wav_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("noise.wav");
    fs::write(&path, b"RIFF but not really").unwrap();
    let clip = support::asset("clip.ivf");
    let said = complaint(&["host", clip.to_str().unwrap(), "--audio", path.to_str().unwrap()]);
    assert!(said.contains("noise.wav"), "{said}");
}

#[test]
fn wrong_tickets_are_told_apart_from_hosts_that_are_gone() {
    for command in ["watch", "relay"] {
        for ticket in ["", "hello", "holomesh1", "holomesh1aaaa"] {
            let said = complaint(&[command, ticket]);
            assert!(said.contains("ticket") && said.contains("holomesh host"), "{command} {ticket}: {said}");
        }
    }
    // A real ticket of a host that is not there any more.
    let clip = support::asset("clip.ivf");
    let mut host = support::Node::spawn(support::holomesh().args(["host", clip.to_str().unwrap(), "--loop"]));
    let ticket = host.first_line();
    drop(host);
    let said = complaint(&["watch", &ticket]);
    assert!(said.contains("no connection to 127.0.0.1"), "{said}");
}

#[test]
fn options_that_make_no_sense_are_named_with_what_would() {
    for (args, word) in [
        (&["demo", "--parents", "0"][..], "--parents 0"),
        (&["demo", "--seconds", "0"], "--seconds 0"),
        (&["demo", "--loss", "101"], "--loss 101"),
        (&["demo", "--watchers", "1"], "--watchers 1"),
        (&["demo", "--seconds", "NaN"], "--seconds NaN"),
        (&["watch", "x", "-o", "film.mp4"], "ticket"),
        (&["watch", "x", "y", "--listen", "127.0.0.1:7000"], "give 127.0.0.1:0"),
        (&["watch", "x", "y", "--listen", "127.0.0.1:0"], "ticket"),
        (&["host", "-", "--loop"], "--loop"),
        (&["key", "show", "/nonexistent/key"], "/nonexistent/key"),
    ] {
        let said = complaint(args);
        assert!(said.contains(word), "{args:?}: {said}");
    }
}

#[test]
fn a_key_is_made_shown_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.key");
    let path = path.to_str().unwrap();
    let made = run(&["key", "new", path, "--no-passphrase"]);
    assert!(made.status.success());
    let shown = run(&["key", "show", path]);
    assert_eq!(made.stdout, shown.stdout);
    assert_eq!(String::from_utf8(shown.stdout).unwrap().trim().len(), 52);
    assert!(complaint(&["key", "new", path]).contains("node.key"));
}

#[test]
fn a_measurement_of_deaths_that_can_not_be_is_refused_before_anything_starts() {
    for (args, words) in [
        (["--relays", "4"], ["--relays", "5 or more"]),
        (["--loss", "500"], ["--loss", "0 to 50 per cent"]),
        (["--loss", "NaN"], ["--loss", "0 to 50 per cent"]),
    ] {
        let said = complaint(&["bench", "kills", args[0], args[1]]);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn layers_that_an_encoder_has_not_are_refused_before_there_is_a_ticket() {
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/clip.ivf");
    for args in [&["host", clip][..], &["demo"], &["bench", "live"]] {
        let said = complaint(&[args, &["--encoder", "rav1e", "--layers", "L1T3"]].concat());
        assert!(said.contains("--layers L1T3") && said.contains("--encoder libaom"), "{args:?}: {said}");
    }
}

#[test]
fn descriptions_that_can_not_be_are_refused_before_there_is_a_ticket() {
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/clip.ivf");
    for args in [&["host", clip][..], &["demo"]] {
        let with = |more: &[&str]| complaint(&[args, &["--mdc"], more].concat());
        let said = with(&["4", "--encoder", "rav1e"]);
        assert!(said.contains("--mdc 4") && said.contains("--encoder libaom"), "{args:?}: {said}");
        let said = with(&["4", "--bit-rate", "25"]);
        assert!(said.contains("--mdc 4") && said.contains("take 32"), "{args:?}: {said}");
        for wrong in [&["3"][..], &["2", "--layers", "L1T2"]] {
            let output = run(&[args, &["--mdc"], wrong].concat());
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && said.contains("--mdc") && said.contains("2|4"), "{said}");
        }
    }
}
