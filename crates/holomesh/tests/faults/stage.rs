//! A session whose pictures cost little to make: what is measured here is not the encoder.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crate::support::{Node, holomesh, run};
use crate::viewer::{PATIENCE, Viewer, wait_until};
use holomesh::service::status::Snapshot;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

/// Longer than any change of parents takes, also on a busy machine; shorter than the silence after which a link is closed, 3.25 s.
pub(crate) const PAUSE: Duration = Duration::from_secs(2);

pub(crate) struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("clip.y4m"), clip()).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new key file.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(run(&["key", "new", "--no-passphrase", path.to_str().unwrap()]).status.success());
        path
    }

    /// A host without an end, and its ticket.
    pub(crate) fn host(&self, parents: u8, extra: &[&str]) -> (Node, String) {
        let mut command = holomesh();
        command.arg("host").arg(self.path("clip.y4m")).args(["--loop", "--bit-rate", "400"]);
        command.args(["--parents", &parents.to_string()]).args(extra);
        let mut host = Node::spawn(&mut command);
        let ticket = host.first_line();
        (host, ticket)
    }

    pub(crate) fn viewer(&self, ticket: &str) -> Viewer {
        Viewer::spawn(holomesh().args(["watch", ticket, "--log", "info"]))
    }
}

/// A relay and where it says how it is.
pub(crate) struct Relay {
    pub(crate) node: Node,
    http: SocketAddr,
}

impl Relay {
    /// Starts it, and waits until it serves.
    pub(crate) fn start(ticket: &str, extra: &[&str]) -> Self {
        let node = Node::spawn(holomesh().args(["relay", ticket, "--http", "127.0.0.1:0"]).args(extra));
        node.wait_for("relaying", PATIENCE);
        let said = node.said();
        let line = said.lines().find(|line| line.contains("metrics, health and status")).unwrap();
        let at = &line[line.find("127.0.0.1:").unwrap()..];
        let end = at.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(at.len());
        Self { http: at[..end].parse().unwrap(), node }
    }

    /// How it is; `None` while it does not answer.
    pub(crate) fn status(&self) -> Option<Snapshot> {
        let mut stream = TcpStream::connect(self.http).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// Waits until it is linked to its host and serves so many, each over one link: there are no ghosts. The figures are made
    /// once a second, so what is asked for has to be in two of them.
    pub(crate) fn serves(&self, children: usize) {
        let seen = std::cell::Cell::new(None);
        let good = || {
            let Some(status) = self.status() else { return false };
            let mut peers: Vec<&str> = status.links.iter().map(|link| link.peer.as_str()).collect();
            peers.sort_unstable();
            peers.dedup();
            let in_step = status.node.host_link
                && status.links.len() == children + 1
                && peers.len() == children + 1
                && !status.streams.is_empty()
                && status.streams.iter().all(|stream| stream.subscribers == children as u64);
            let uptime = status.node.uptime_seconds;
            if !in_step {
                seen.set(None);
                return false;
            }
            let first = seen.get().unwrap_or(uptime);
            seen.set(Some(first));
            uptime > first
        };
        wait_until(good, || format!("{:#?}\n{}", self.status(), self.node.said()));
    }
}

/// A free port of loopback.
pub(crate) fn free_port() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Numbers without meaning, the same each time.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.next() as u8);
    }
}

/// Two seconds of small pictures that move, with enough noise to fill several chunks each.
fn clip() -> Vec<u8> {
    const SIZE: (usize, usize) = (160, 96);
    let mut noise = Noise(1);
    let mut y4m = format!("YUV4MPEG2 W{} H{} F25:1 Ip A1:1 C420jpeg\n", SIZE.0, SIZE.1).into_bytes();
    for n in 0..50 {
        y4m.extend_from_slice(b"FRAME\n");
        for at in 0..SIZE.0 * SIZE.1 {
            let (x, y) = (at % SIZE.0, at / SIZE.0);
            y4m.push((x + 2 * y + 4 * n) as u8 / 2 + (noise.next() % 24) as u8);
        }
        y4m.extend(std::iter::repeat_n(128, SIZE.0 * SIZE.1 / 2));
    }
    y4m
}
