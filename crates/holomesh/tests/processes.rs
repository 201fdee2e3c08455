//! Host, relay and watcher as separate processes, from the command line, with files in and files out.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::process::Command;
use std::time::Duration;
use support::{Node, asset, holomesh};

const LIMIT: Duration = Duration::from_secs(60);

fn host(extra: &[&str]) -> Node {
    let mut command = holomesh();
    command.arg("host").arg(asset("clip.ivf")).arg("--audio").arg(asset("speech.wav")).args(extra);
    Node::spawn(&mut command)
}

/// What ffprobe says of a file: codec, packets that it counted, and duration of each stream.
fn probe(file: &std::path::Path) -> Option<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets"])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(_) => {
            eprintln!(
                "SKIPPED: no ffprobe on this machine, so the file was not read back by another program"
            );
            None
        }
    }
}

fn packets(probed: &str, codec: &str) -> u64 {
    let line = probed.lines().find(|line| line.starts_with(codec));
    let line = line.unwrap_or_else(|| panic!("no {codec} track in: {probed}"));
    line.split(',').nth(1).unwrap().trim().parse().unwrap()
}

#[test]
fn a_watcher_in_another_process_writes_a_file_that_ffprobe_reads_with_both_tracks() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["direct.mkv", "direct.webm"] {
        let file = dir.path().join(name);
        let mut host = host(&["--loop"]);
        let ticket = host.first_line();
        let mut watch = holomesh();
        watch.args(["watch", &ticket, "--seconds", "4", "-o"]).arg(&file);
        let (ok, said) = Node::spawn(&mut watch).finish(LIMIT);
        assert!(ok, "{said}");
        if let Some(probed) = probe(&file) {
            assert!(packets(&probed, "av1") >= 20, "{probed}");
            assert!(packets(&probed, "opus") >= 50, "{probed}");
        }
    }
}

#[test]
fn a_whole_clip_goes_through_a_relay_in_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relayed.mkv");
    let mut host = {
        let mut command = holomesh();
        command.arg("host").arg(asset("clip.ivf")).args(["--wait", "--parents", "2"]);
        command.arg("--audio").arg(asset("speech.wav")).args(["--dtx", "false"]);
        command.stdin(std::process::Stdio::piped());
        Node::spawn(&mut command)
    };
    let ticket = host.first_line();
    let relays: Vec<Node> = (0..2).map(|_| Node::spawn(holomesh().args(["relay", &ticket]))).collect();
    let mut watch = holomesh();
    watch.args(["watch", &ticket, "--log", "info", "-o"]).arg(&file);
    let watch = Node::spawn(&mut watch);
    watch.wait_for("parents 2", LIMIT);
    use std::io::Write;
    host.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let (ok, said) = watch.finish(LIMIT);
    assert!(ok, "{said}");
    assert!(said.contains("parents 2"), "both relays carry: {said}");
    assert!(said.contains("0 chunks could not be opened"), "{said}");
    for relay in relays {
        let (ok, said) = relay.finish(LIMIT);
        assert!(ok && said.contains("chunks out"), "{said}");
    }
    let (ok, said) = host.finish(LIMIT);
    assert!(ok, "{said}");
    if let Some(probed) = probe(&file) {
        let (video, audio) = (packets(&probed, "av1"), packets(&probed, "opus"));
        // The encoder leaves pictures out where it is too slow; sound must be all there.
        assert!((100..=262).contains(&video), "{video} pictures: {said}");
        assert!((518..=524).contains(&audio), "{audio} packets of sound: {said}");
    }
}

#[test]
fn of_several_descriptions_a_file_gets_the_first_and_standard_output_the_best_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("described.mkv");
    let mut host = host(&["--loop", "--mdc", "2"]);
    let ticket = host.first_line();
    let mut watch = holomesh();
    watch.args(["watch", &ticket, "--seconds", "4", "-o", "-", "-o"]).arg(&file);
    let output = watch.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("described.mkv: of pictures in several descriptions"),
        "{said}"
    );
    let frames = output.stdout.len() / (480 * 270 * 3 / 2);
    assert!(frames >= 20, "{frames} frames: {said}");
    if let Some(probed) = probe(&file) {
        assert!(packets(&probed, "av1") >= 20 && packets(&probed, "opus") >= 50, "{probed}");
    }
}

#[test]
fn decoded_pictures_come_out_of_standard_output_as_y4m() {
    let mut host = host(&["--loop"]);
    let ticket = host.first_line();
    let output = holomesh().args(["watch", &ticket, "--seconds", "3", "-o", "-"]).output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"YUV4MPEG2 W480 H270 F25:1"));
    let frames = output.stdout.len() / (480 * 270 * 3 / 2);
    assert!(frames >= 10, "{frames} frames");
}

#[test]
fn pictures_go_in_through_standard_input() {
    let mut y4m = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n".to_vec();
    for n in 0..60u8 {
        y4m.extend_from_slice(b"FRAME\n");
        y4m.extend(std::iter::repeat_n(n * 3, 64 * 48 * 3 / 2));
    }
    let mut command = holomesh();
    command.args(["host", "-"]).stdin(std::process::Stdio::piped());
    let mut host = Node::spawn(&mut command);
    use std::io::Write;
    let mut stdin = host.child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(&y4m));
    assert!(host.first_line().starts_with("holomesh1"));
    let (ok, said) = host.finish(LIMIT);
    assert!(ok, "{said}");
    feeder.join().unwrap().unwrap();
}

#[test]
fn a_session_outlives_its_host_and_members_key_packages_can_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["host.key", "watcher.key"] {
        assert!(holomesh().args(["key", "new", "--no-passphrase"]).arg(at(name)).status().unwrap().success());
    }
    let shown = holomesh().args(["key", "show"]).arg(at("watcher.key")).output().unwrap();
    let watcher = String::from_utf8(shown.stdout).unwrap().trim().to_owned();
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let start = || {
        let mut command = holomesh();
        command.arg("host").arg(asset("clip.ivf")).args(["--loop", "--listen", &port, "--key"]);
        command.arg(at("host.key")).arg("--state").arg(at("state"));
        Node::spawn(&mut command)
    };
    let mut host = start();
    let ticket = host.first_line();
    let mut watch = holomesh();
    watch.args(["watch", &ticket, "--seconds", "20", "--log", "info", "-o", "-", "--key"]);
    watch.arg(at("watcher.key")).stdout(std::process::Stdio::null());
    let watch = Node::spawn(&mut watch);
    let ask = |name: &str| {
        let mut command = holomesh();
        command.args(["key", "package", &ticket, &watcher, "-o"]).arg(at(name));
        command.output().unwrap()
    };
    // The watcher publishes its packages once it is in.
    let deadline = std::time::Instant::now() + LIMIT;
    while !ask("first.package").status.success() {
        assert!(std::time::Instant::now() < deadline, "no package");
    }
    assert!(ask("second.package").status.success());
    let (first, second) =
        (std::fs::read(at("first.package")).unwrap(), std::fs::read(at("second.package")).unwrap());
    assert!(first.len() > 8_000 && first != second, "each is handed out once");
    drop(host);
    drop(watch);

    let mut host = start();
    assert_eq!(host.first_line(), ticket, "the ticket is still good");
    let file = at("after.mkv");
    let mut watch = holomesh();
    watch.args(["watch", &ticket, "--seconds", "2", "-o"]).arg(&file);
    let (ok, said) = Node::spawn(&mut watch).finish(LIMIT);
    assert!(ok, "{said}");
    assert!(std::fs::metadata(&file).unwrap().len() > 10_000);
}
