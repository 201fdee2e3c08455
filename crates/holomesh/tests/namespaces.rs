//! Nodes on machines of their own: network namespaces with real links between them, which are narrowed, moved and cut.
//!
//! Needs root, `ip` and `tc`; where these are not to be had the tests say so and pass.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;
#[path = "support/viewer.rs"]
mod viewer;

use std::process::Command;
use std::time::{Duration, Instant};
use support::{Node, asset, holomesh};
use viewer::figure;

const LIMIT: Duration = Duration::from_secs(60);
/// Where host and relay are reached from everywhere.
const SERVER: &str = "10.77.0.1";

fn ip(args: &str) -> bool {
    run("ip", args)
}

fn run(program: &str, args: &str) -> bool {
    let output = Command::new(program).args(args.split_whitespace()).output();
    output.is_ok_and(|output| output.status.success())
}

/// A machine in the middle, on which host and relay run, and others that are linked to it.
struct Lab {
    name: String,
    prefix: String,
    machines: Vec<String>,
}

impl Lab {
    /// `None` where namespaces can't be made.
    fn new(machines: usize) -> Option<Self> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("hm{}x{n}", std::process::id());
        let mut lab = Self { name: format!("{name}s"), prefix: name.clone(), machines: Vec::new() };
        if !ip(&format!("netns add {}", lab.name)) {
            eprintln!("SKIPPED: no network namespaces on this machine (root and iproute2 are needed)");
            return None;
        }
        lab.on_server("ip link set lo up");
        assert!(lab.on_server(&format!("ip address add {SERVER}/32 dev lo")));
        for at in 1..=machines {
            let machine = format!("{name}m{at}");
            assert!(ip(&format!("netns add {machine}")));
            lab.machines.push(machine.clone());
            let (inner, outer) = (format!("{name}i{at}"), format!("{name}o{at}"));
            assert!(ip(&format!(
                "link add {outer} netns {} type veth peer name {inner} netns {machine}",
                lab.name
            )));
            assert!(lab.on_server(&format!("ip address add 10.77.{at}.1/24 dev {outer}")));
            assert!(lab.on_server(&format!("ip link set {outer} up")));
            assert!(lab.on(at, "ip link set lo up"));
            assert!(lab.on(at, &format!("ip address add 10.77.{at}.2/24 dev {inner}")));
            assert!(lab.on(at, &format!("ip link set {inner} up")));
            assert!(lab.on(at, &format!("ip route add default via 10.77.{at}.1")));
        }
        Some(lab)
    }

    fn outer(&self, at: usize) -> String {
        format!("{}o{at}", self.prefix)
    }

    fn inner(&self, at: usize) -> String {
        format!("{}i{at}", self.prefix)
    }

    fn on_server(&self, command: &str) -> bool {
        ip(&format!("netns exec {} {command}", self.name))
    }

    fn on(&self, at: usize, command: &str) -> bool {
        ip(&format!("netns exec {} {command}", self.machines[at - 1]))
    }

    /// The command under test, in a namespace.
    fn holomesh(&self, machine: Option<usize>) -> Command {
        let namespace = machine.map_or(&self.name, |at| &self.machines[at - 1]);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(holomesh().get_program());
        command.stdin(std::process::Stdio::null());
        command
    }

    fn host(&self) -> (Node, String) {
        let mut command = self.holomesh(None);
        command.arg("host").arg(asset("clip.ivf")).args(["--loop", "--listen", &format!("{SERVER}:4433")]);
        command.args(["--bit-rate", "400"]);
        let mut host = Node::spawn(&mut command);
        let ticket = host.first_line();
        (host, ticket)
    }

    fn relay(&self, ticket: &str) -> Node {
        let mut command = self.holomesh(None);
        command.args(["relay", ticket, "--listen", &format!("{SERVER}:4434")]);
        let relay = Node::spawn(&mut command);
        relay.wait_for("relaying", LIMIT);
        relay
    }

    fn watch(&self, at: usize, ticket: &str, extra: &[&str]) -> Node {
        let mut command = self.holomesh(Some(at));
        command.args(["watch", ticket, "--log", "info"]).args(extra);
        Node::spawn(&mut command)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in self.machines.iter().chain([&self.name]) {
            ip(&format!("netns del {namespace}"));
        }
    }
}

/// Waits until a watcher has shown so many pictures more than it has now.
fn shows_more(watch: &Node, more: u64) -> bool {
    let start = figure(&watch.said(), "pictures").unwrap_or(0);
    let deadline = Instant::now() + Duration::from_secs(15);
    while Instant::now() < deadline {
        if figure(&watch.said(), "pictures").unwrap_or(0) >= start + more {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

#[test]
fn a_narrow_link_is_its_owners_affair() {
    let Some(lab) = Lab::new(2) else { return };
    let (host, ticket) = lab.host();
    let _relay = lab.relay(&ticket);
    // Half of what the stream takes with its repair, and a queue of 200 ms.
    let shaped = format!("tc qdisc add dev {} root tbf rate 320kbit burst 4kb latency 200ms", lab.outer(2));
    assert!(lab.on_server(&shaped), "tc with tbf is needed");
    let (plain, narrow) =
        (lab.watch(1, &ticket, &["--seconds", "12"]), lab.watch(2, &ticket, &["--seconds", "12"]));
    let (ok, said) = plain.finish(LIMIT);
    assert!(ok, "{said}");
    let (shown, lost) = (figure(&said, "pictures").unwrap(), said.contains("0 lost"));
    assert!(shown >= 200 && lost, "{shown} pictures for the one with room: {said}");
    let (ok, said) = narrow.finish(LIMIT);
    assert!(ok, "{said}");
    let shown = figure(&said, "pictures").unwrap_or(0);
    assert!(shown >= 10, "a moving picture for the other: {said}");
    drop(host);
}

#[test]
fn a_watcher_whose_address_changes_goes_on_without_joining_again() {
    let Some(lab) = Lab::new(1) else { return };
    let (host, ticket) = lab.host();
    let _relay = lab.relay(&ticket);
    let watch = lab.watch(1, &ticket, &["--seconds", "40"]);
    assert!(shows_more(&watch, 25), "{}", watch.said());
    let epoch = figure(&watch.said(), "epoch");
    let (dev, outer) = (lab.inner(1), lab.outer(1));
    let goes_on = || {
        // What was shown meanwhile came before; two seconds' worth can't have.
        assert!(shows_more(&watch, 75), "{}\nhost: {}", watch.said(), host.said());
        assert_eq!(figure(&watch.said(), "epoch"), epoch, "{}", watch.said());
        assert!(!host.said().contains("lost:"), "{}", host.said());
    };
    // Into another network, while the first is still there.
    assert!(lab.on_server(&format!("ip address add 10.78.1.1/24 dev {outer}")));
    assert!(lab.on(1, &format!("ip address add 10.78.1.2/24 dev {dev}")));
    assert!(lab.on(1, "ip route replace default via 10.78.1.1"));
    assert!(lab.on(1, &format!("ip address del 10.77.1.2/24 dev {dev}")));
    goes_on();
    // And without any for a moment, as when a lease is over.
    assert!(lab.on(1, &format!("ip address del 10.78.1.2/24 dev {dev}")));
    assert!(lab.on(1, &format!("ip address add 10.77.1.3/24 dev {dev}")));
    assert!(lab.on(1, "ip route add default via 10.77.1.1"));
    goes_on();
}

#[test]
fn a_network_that_is_cut_for_a_moment_costs_no_membership_and_a_longer_one_leaves_no_ghost() {
    let Some(lab) = Lab::new(1) else { return };
    let (host, ticket) = lab.host();
    let _relay = lab.relay(&ticket);
    let watch = lab.watch(1, &ticket, &["--seconds", "60"]);
    assert!(shows_more(&watch, 25), "{}", watch.said());
    let epoch = figure(&watch.said(), "epoch");
    let dev = lab.outer(1);
    assert!(lab.on_server(&format!("ip link set {dev} down")));
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(lab.on_server(&format!("ip link set {dev} up")));
    assert!(shows_more(&watch, 50), "{}\nhost: {}", watch.said(), host.said());
    assert_eq!(figure(&watch.said(), "epoch"), epoch, "{}", watch.said());

    let cut = Instant::now();
    assert!(lab.on_server(&format!("ip link set {dev} down")));
    host.wait_for("removed:", Duration::from_secs(20));
    assert!(cut.elapsed() < Duration::from_secs(5), "gone after {:?}", cut.elapsed());
    // Who was let go comes back as somebody new when the network is there again.
    assert!(lab.on_server(&format!("ip link set {dev} up")));
    assert!(shows_more(&watch, 50), "{}\nhost: {}", watch.said(), host.said());
}
