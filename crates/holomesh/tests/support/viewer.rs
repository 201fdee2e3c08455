//! A watcher whose pictures are counted as they come, and what is said of nodes from outside.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of these test helpers")]

use crate::support::Node;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long something may take that is certain to come, on a machine that has other things to do as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// `holomesh watch`, with the time of every picture that it shows.
pub(crate) struct Viewer {
    pub(crate) node: Node,
    shown: Arc<Mutex<Vec<Instant>>>,
}

impl Viewer {
    /// `command` is `holomesh watch TICKET` with whatever else.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut node = Node::spawn(command.args(["-o", "-"]));
        let shown = Arc::<Mutex<Vec<Instant>>>::default();
        let (times, mut out) = (shown.clone(), BufReader::new(node.child.stdout.take().unwrap()));
        std::thread::spawn(move || {
            let mut header = String::new();
            let _ = out.read_line(&mut header);
            let number =
                |mark| header.split(' ').find_map(|word| word.strip_prefix(mark)?.parse::<usize>().ok());
            let (Some(width), Some(height)) = (number('W'), number('H')) else { return };
            let mut picture = vec![0; "FRAME\n".len() + width * height * 3 / 2];
            while out.read_exact(&mut picture).is_ok() {
                times.lock().unwrap().push(Instant::now());
            }
        });
        Self { node, shown }
    }

    /// Pictures shown so far.
    pub(crate) fn pictures(&self) -> usize {
        self.shown.lock().unwrap().len()
    }

    /// Waits until it has shown so many more than now.
    pub(crate) fn shows(&self, more: usize) {
        let (start, deadline) = (self.pictures(), Instant::now() + PATIENCE);
        while self.pictures() < start + more {
            let after = self.pictures() - start;
            assert!(Instant::now() < deadline, "{after} pictures instead of {more}: {}", self.node.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until its pictures come from so many parents.
    pub(crate) fn has_parents(&self, parents: u64) {
        wait_until(|| figure(&self.node.said(), "parents") == Some(parents), || self.node.said());
    }

    /// The longest time without a new picture since `from`.
    pub(crate) fn longest_pause(&self, from: Instant) -> Duration {
        let now = Instant::now();
        let shown = self.shown.lock().unwrap();
        let mut last = from;
        let times = shown.iter().copied().filter(|at| *at > from).chain([now]);
        times.map(|at| at.duration_since(std::mem::replace(&mut last, at))).max().unwrap_or_default()
    }

    /// Pictures that were lost, by its latest figures.
    pub(crate) fn lost(&self) -> u64 {
        let said = self.node.said();
        let line = said.lines().rev().find(|line| line.starts_with("epoch ")).unwrap_or_default();
        let before = line.split(" lost)").next().unwrap_or_default();
        before.rsplit('(').next().and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

/// A number of the latest of a watcher's once-a-second figures, by its name.
pub(crate) fn figure(said: &str, name: &str) -> Option<u64> {
    let line = said.lines().rev().find(|line| line.starts_with("epoch "))?;
    let mut words = line.split([' ', '(', ')']).filter(|word| !word.is_empty());
    words.find(|word| *word == name)?;
    words.next()?.parse().ok()
}

pub(crate) fn wait_until(good: impl Fn() -> bool, say: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !good() {
        assert!(Instant::now() < deadline, "{}", say());
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn signal(node: &Node, signal: Signal) {
    kill_process(Pid::from_child(&node.child), signal).unwrap();
}

/// Resident memory of a process in bytes: now, and the most that it ever was.
pub(crate) fn memory(node: &Node) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id())).unwrap();
    let kib = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (kib("VmRSS:") << 10, kib("VmHWM:") << 10)
}
