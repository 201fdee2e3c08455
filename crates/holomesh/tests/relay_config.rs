//! `holomesh relay --config FILE --check`: what it prints, and what it takes for a fault.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use core_types::{KeyId, SessionId};
use holomesh::ticket::Ticket;
use std::fs;
use std::path::{Path, PathBuf};
use support::run;

const INVITATION: [u8; 16] = *b"knock-knock-1234";

fn ticket() -> String {
    Ticket {
        host: KeyId([1; 32]),
        session: SessionId([2; 32]),
        endpoint: [3; 32],
        addresses: vec!["127.0.0.1:9".parse().unwrap()],
        direct: None,
        invitation: INVITATION,
    }
    .to_string()
}

/// A directory with a configuration, a ticket and a key.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(config: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(place.path("relay.toml"), config).unwrap();
        write_secret(&place.path("ticket"), &ticket());
        let made = run(&["key", "new", "--no-passphrase", place.path("relay.key").to_str().unwrap()]);
        assert!(made.status.success());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `relay --config … --check` with more options: whether it is content, what it prints, what it complains of.
    fn check(&self, more: &[&str]) -> (bool, String, String) {
        self.relay(&[&["--check"], more].concat())
    }

    fn relay(&self, more: &[&str]) -> (bool, String, String) {
        let file = self.path("relay.toml");
        let output = run(&[&["relay", "--config", file.to_str().unwrap()], more].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

#[test]
fn the_annotated_example_is_in_order_once_it_has_a_ticket() {
    let place = Place::new(include_str!("../../../packaging/relay.toml"));
    let (good, said, complaint) = place.check(&[]);
    assert!(!good && complaint.is_empty(), "{complaint}");
    assert!(said.contains("# fault: ticket: none is given"), "{said}");
    let (good, said, complaint) = place.check(&[&ticket()]);
    assert!(good && complaint.is_empty(), "{said}{complaint}");
    assert!(said.contains("# in order") && said.contains("ring_kib = 2048"), "{said}");
    assert!(!said.contains("holomesh1"), "the ticket is not shown: {said}");
}

#[test]
fn what_is_in_force_is_printed_with_where_it_comes_from() {
    let place =
        Place::new("ticket_file = \"ticket\"\nkey_file = \"relay.key\"\n[limits]\nlinks = 77\nstreams = 5\n");
    let (good, said, _) =
        place.check(&["--listen", "127.0.0.1:4433", "--set", "limits.streams=6", "--log", "debug"]);
    assert!(good, "{said}");
    let line = |key: &str| {
        said.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {said}"))
    };
    assert!(line("links = 77").ends_with("# line 4"));
    assert!(line("streams = 6").ends_with("# --set limits.streams"));
    assert!(line("listen = \"127.0.0.1:4433\"").ends_with("# --listen"));
    assert!(line("level = \"debug\"").ends_with("# --log"));
    assert!(line("drain_seconds = 10").ends_with("# default"));
    assert!(!said.contains("warning"), "{said}");
    // What it prints is a configuration again.
    let again = Place::new(&said);
    fs::remove_file(again.path("ticket")).unwrap();
    assert!(again.check(&[]).0, "{said}");
}

#[test]
fn faults_are_found_before_the_relay_runs() {
    let place = Place::new("ticket_file = \"ticket\"\nkey_file = \"relay.key\"\n");
    for (more, word) in [
        (&["--key", "/nonexistent/key"][..], "/nonexistent/key"),
        (&["--set", "log.file=/nonexistent/log"], "there is no directory /nonexistent"),
        (&["--set", "ticket_file=/nonexistent/ticket"], "/nonexistent/ticket"),
        (&["--set", "limits.file_descriptors=1048576"], "the system allows"),
    ] {
        let (good, said, complaint) = place.check(more);
        // A machine may allow as many descriptors as can be asked for.
        if word == "the system allows" && good {
            continue;
        }
        assert!(
            !good && complaint.is_empty() && said.contains("# fault: ") && said.contains(word),
            "{more:?}: {said}"
        );
    }
    fs::write(place.path("relay.key"), "no key at all").unwrap();
    let (good, said, _) = place.check(&[]);
    assert!(!good && said.contains("# fault: key_file: "), "{said}");
}

#[cfg(unix)]
#[test]
fn a_ticket_that_others_can_read_is_warned_of() {
    let place = Place::new("ticket_file = \"ticket\"\nkey_file = \"relay.key\"\n");
    fs::set_permissions(place.path("ticket"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (good, said, _) = place.check(&[]);
    assert!(good && said.contains("# warning: ") && said.contains("chmod go-rwx"), "{said}");
}

#[test]
fn a_wrong_file_is_one_line_with_its_place_and_the_relay_does_not_start() {
    for (config, words) in [
        (
            "ticket_file = \"ticket\"\n[limits]\nlinsk = 5\n",
            "relay.toml:3: there is no key limits.linsk; did you mean limits.links?",
        ),
        (
            "drain_seconds = \"soon\"",
            "relay.toml:1: drain_seconds: \"soon\" is not a whole number of seconds",
        ),
        ("[limits", "relay.toml:1: this is not TOML"),
    ] {
        let place = Place::new(config);
        for more in [&[][..], &["--check"]] {
            let (good, said, complaint) = place.relay(more);
            assert!(!good && said.is_empty(), "{said}");
            assert!(complaint.contains(words) && complaint.trim_end().lines().count() == 1, "{complaint}");
        }
    }
    for (more, words) in [
        (&["--set", "limits.links"][..], "--set: write KEY=VALUE"),
        (&["--set", "limits.links=0"], "--set limits.links: 0 is not a whole number from 2"),
        (&["--set", "nothing=1"], "there is no key nothing"),
        (&["--log", "a=b=c"], "--log: \"a=b=c\" is not a log filter"),
    ] {
        let (good, _, complaint) = Place::new("").check(more);
        assert!(!good && complaint.contains(words) && complaint.lines().count() == 1, "{complaint}");
    }
    let output = run(&["relay", "--config", "/nonexistent/relay.toml"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nonexistent/relay.toml"));
}

#[test]
fn top_finds_the_port_in_the_configuration_and_says_when_there_is_none() {
    let place = Place::new("");
    let file = place.path("relay.toml");
    let top = |args: &[&str]| {
        let output = run(&[&["top"], args].concat());
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = top(&["--config", file.to_str().unwrap()]);
    assert!(said.contains("http.listen is off") && said.lines().count() == 1, "{said}");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs::write(&file, format!("http.listen = \"0.0.0.0:{}\"", gone.port())).unwrap();
    let said = top(&["--config", file.to_str().unwrap()]);
    assert!(said.contains(&gone.to_string()) && said.contains("is the relay running"), "{said}");
    assert!(top(&[&gone.to_string(), "--once"]).contains(&gone.to_string()));
}
