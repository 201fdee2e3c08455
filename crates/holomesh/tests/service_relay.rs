//! A relay as a service, in a process of its own: what it tells operators, systemd and its log, and how it ends.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER};
use holomesh::service::status::Snapshot;
use holomesh::ticket::Ticket;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Node, asset, holomesh, run};

const LIMIT: Duration = Duration::from_secs(60);

/// A host with a clip that has no end, and a directory with its ticket and a relay's key.
struct Stage {
    dir: tempfile::TempDir,
    ticket: Ticket,
    _host: Node,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = holomesh();
        command.arg("host").arg(asset("clip.ivf")).arg("--loop");
        let mut host = Node::spawn(&mut command);
        let ticket = host.first_line();
        fs::write(dir.path().join("ticket"), &ticket).unwrap();
        let key = dir.path().join("relay.key");
        assert!(run(&["key", "new", "--no-passphrase", key.to_str().unwrap()]).status.success());
        Self { dir, ticket: ticket.parse().unwrap(), _host: host }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `holomesh relay` with this configuration, and an HTTP port.
    fn relay(&self, config: &str) -> Command {
        let whole = format!(
            "ticket_file = \"ticket\"\nkey_file = \"relay.key\"\nhttp.listen = \"127.0.0.1:0\"\n{config}"
        );
        fs::write(self.path("relay.toml"), whole).unwrap();
        let mut command = holomesh();
        command.args(["relay", "--config"]).arg(self.path("relay.toml"));
        command
    }
}

/// The HTTP port that a log names, once it does.
fn port(log: impl Fn() -> String) -> SocketAddr {
    let deadline = Instant::now() + LIMIT;
    loop {
        let text = log();
        let line = text.lines().find(|line| line.contains("metrics, health and status"));
        if let Some(at) = line.and_then(|line| line.find("127.0.0.1:").map(|at| &line[at..])) {
            let end = at.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(at.len());
            return at[..end].parse().unwrap();
        }
        assert!(Instant::now() < deadline, "no port in: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn wait_until(address: SocketAddr, path: &str, good: impl Fn(&(u16, String)) -> bool) -> String {
    let deadline = Instant::now() + LIMIT;
    loop {
        let answer = get(address, path);
        if good(&answer) {
            return answer.1;
        }
        assert!(Instant::now() < deadline, "{path}: {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn signal(node: &Node, signal: Signal) {
    kill_process(Pid::from_child(&node.child), signal).unwrap();
}

#[test]
fn a_relay_tells_operators_and_systemd_how_it_is_and_ends_when_it_is_told_to() {
    let stage = Stage::new();
    let manager = UnixDatagram::bind(stage.path("notify")).unwrap();
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let got = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..got].to_vec()).unwrap()
    };
    let log = stage.path("relay.log");
    let mut command = stage.relay(&format!("log.file = \"{}\"\n", log.display()));
    let relay = Node::spawn(command.env("NOTIFY_SOCKET", stage.path("notify")));
    let address = port(|| fs::read_to_string(&log).unwrap_or_default());

    assert_eq!(wait_until(address, "/healthz", |(status, _)| *status == 200), "ok\n");
    let has_media =
        |(_, body): &(u16, String)| serde_json::from_str::<Snapshot>(body).unwrap().rates.in_bits > 0.0;
    let status: Snapshot = serde_json::from_str(&wait_until(address, "/status.json", has_media)).unwrap();
    assert_eq!((status.node.role.as_str(), status.links.len(), status.node.host_link), ("relay", 1, true));
    assert_eq!(status.links[0].peer, stage.ticket.host.short());
    assert!(status.process.memory_bytes > 0 && !status.streams.is_empty(), "{status:?}");
    let metrics = get(address, "/metrics").1;
    assert!(
        metrics.contains("\nholomesh_host_link_up 1\n") && metrics.contains("\nholomesh_streams "),
        "{metrics}"
    );

    let output = run(&["top", &address.to_string()]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && shown.contains(&stage.ticket.host.short()), "{shown}");
    assert!(shown.contains("serving") && shown.contains(&status.node.id), "{shown}");

    let first = told();
    assert!(first.contains("READY=1"), "{first}");
    assert_eq!(told(), "WATCHDOG=1");
    signal(&relay, Signal::TERM);
    let (ok, said) = relay.finish(LIMIT);
    assert!(ok && said.contains("over: "), "{said}");
}

#[test]
fn a_drain_is_told_and_a_second_signal_ends_it() {
    let stage = Stage::new();
    let relay = Node::spawn(&mut stage.relay("drain_seconds = 3600\npermits_required = false\n"));
    let address = port(|| relay.said());
    wait_until(address, "/healthz", |(status, _)| *status == 200);
    // Somebody who does not move: a watcher with this relay alone would go back to the host, so it is stopped.
    let mut watch = holomesh();
    watch.args(["watch", &stage.ticket.to_string(), "-o", "-"]).stdout(std::process::Stdio::null());
    let watch = Node::spawn(&mut watch);
    let served = |(_, body): &(u16, String)| {
        let status: Snapshot = serde_json::from_str(body).unwrap();
        status.streams.iter().any(|stream| stream.subscribers > 0)
    };
    wait_until(address, "/status.json", served);
    signal(&watch, Signal::STOP);
    signal(&relay, Signal::TERM);
    assert_eq!(wait_until(address, "/healthz", |(status, _)| *status == 503), "draining\n");
    signal(&relay, Signal::INT);
    let (ok, said) = relay.finish(LIMIT);
    signal(&watch, Signal::CONT);
    assert!(ok && said.contains("draining for 3600 s at most"), "{said}");
}

#[test]
fn the_log_names_peers_by_short_ids_and_has_no_secret_even_at_its_most_talkative() {
    let stage = Stage::new();
    for format in ["text", "json"] {
        let log = stage.path(format);
        let config = format!(
            "[log]\nlevel = \"trace\"\nformat = \"{format}\"\nfile = \"{}\"\nfile_mib = 64\n",
            log.display()
        );
        let relay = Node::spawn(&mut stage.relay(&config));
        let address = port(|| fs::read_to_string(&log).unwrap_or_default());
        wait_until(address, "/healthz", |(status, _)| *status == 200);
        signal(&relay, Signal::TERM);
        let (ok, said) = relay.finish(LIMIT);
        assert!(ok, "{said}");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains("TRACE") && text.contains("holomesh"), "this is all that it can say: {text}");
        assert!(!text.contains(&stage.ticket.host.to_string()), "an id in full length");
        let invitation = stage.ticket.invitation;
        let key = fs::read_to_string(stage.path("relay.key")).unwrap();
        let seed = key.split_whitespace().next_back().unwrap();
        for secret in [
            stage.ticket.to_string(),
            HEXLOWER.encode(&invitation),
            BASE32_NOPAD.encode(&invitation),
            BASE32_NOPAD.encode(&invitation).to_lowercase(),
            BASE64.encode(&invitation),
            format!("{invitation:?}"),
            seed.to_owned(),
            HEXLOWER.encode(&BASE32_NOPAD.decode(seed.to_uppercase().as_bytes()).unwrap()[..32]),
        ] {
            assert!(!text.contains(&secret), "{format}: {secret} is in the log");
        }
        if format == "json" {
            for line in text.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(line["level"].is_string() && line["target"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn a_relay_whose_log_has_no_room_serves_on_and_counts_what_is_lost() {
    let stage = Stage::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = stage.relay("log.file = \"/dev/full\"\nlog.level = \"debug\"\n");
    let relay = Node::spawn(command.args(["--http", &free.to_string()]));
    relay.wait_for("relaying", LIMIT);
    let status = wait_until(free, "/status.json", |(_, body)| {
        serde_json::from_str::<Snapshot>(body)
            .is_ok_and(|status| status.log.failed > 0 && status.rates.in_bits > 0.0)
    });
    let status: Snapshot = serde_json::from_str(&status).unwrap();
    assert_eq!((status.log.written, get(free, "/healthz").0), (0, 200));
    signal(&relay, Signal::TERM);
    let (ok, said) = relay.finish(LIMIT);
    assert!(ok, "{said}");
}

#[test]
fn more_descriptors_than_the_system_allows_and_a_port_that_is_taken_end_the_start() {
    let stage = Stage::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (ok, said) =
        Node::spawn(stage.relay("log.level = \"error\"").args(["--http", &address])).finish(LIMIT);
    assert!(!ok && said.contains(&address) && said.lines().count() == 1, "{said}");

    let mut limited = Command::new("sh");
    limited.arg("-c").arg("ulimit -n 200; exec \"$0\" \"$@\"").arg(holomesh().get_program());
    limited.args(stage.relay("log.level = \"error\"").get_args()).stdin(std::process::Stdio::null());
    let (ok, said) = Node::spawn(&mut limited).finish(LIMIT);
    assert!(
        !ok && said.contains("limits.file_descriptors: 1024 are wanted, the system allows 200"),
        "{said}"
    );
}
