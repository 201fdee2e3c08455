//! What the end-to-end tests share.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of these test helpers")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The command under test.
pub(crate) fn holomesh() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holomesh"));
    command.stdin(Stdio::null());
    command
}

/// A bundled file.
pub(crate) fn asset(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(name)
}

/// A process that is killed when the test ends, however it ends.
pub(crate) struct Node {
    pub(crate) child: Child,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Node {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::<Mutex<String>>::default();
        let (sink, err) = (said.clone(), BufReader::new(child.stderr.take().unwrap()));
        let listener = std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                let mut said = sink.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { child, said, listener: Some(listener) }
    }

    /// The first line on standard output.
    pub(crate) fn first_line(&mut self) -> String {
        let mut line = String::new();
        let mut out = BufReader::new(self.child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// What it has said on standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said `word` on standard error.
    pub(crate) fn wait_for(&self, word: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.said.lock().unwrap().contains(word) {
            let said = self.said.lock().unwrap().clone();
            assert!(Instant::now() < deadline, "no {word:?} within {limit:?} in: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end, at most so long; what it said on standard error, and whether it succeeded.
    pub(crate) fn finish(mut self, limit: Duration) -> (bool, String) {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() >= deadline {
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let _ = self.child.kill();
        // Its last words may still be in the pipe.
        let _ = self.listener.take().map(JoinHandle::join);
        let said = self.said.lock().unwrap().clone();
        let status = status.unwrap_or_else(|| panic!("did not end within {limit:?}; it said: {said}"));
        (status.success(), said)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs to the end.
pub(crate) fn run(args: &[&str]) -> Output {
    holomesh().args(args).output().unwrap()
}
