//! The tool's processes: lines to their standard input, lines of JSON back.

use crate::Error;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tokio::io::AsyncBufReadExt;

/// A process that does not answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process of the tool. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Role {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Role {
    pub(super) fn spawn(name: &'static str, args: &[&str]) -> Result<Self, Error> {
        let failed = |e: std::io::Error| Error::Network(format!("the {name} can't be started: {e}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(["bench", "part", name])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Ended("a process without pipes"));
        };
        let (sink, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sink.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name, child, input, lines })
    }

    /// The next line that it says.
    pub(super) fn line(&self) -> Result<String, Error> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(self.failed("does not answer")),
            Err(RecvTimeoutError::Disconnected) => Err(self.failed("ended; see above for why")),
        }
    }

    pub(super) fn tell(&mut self, word: &str) -> Result<(), Error> {
        writeln!(self.input, "{word}")
            .and_then(|()| self.input.flush())
            .map_err(|_| self.failed("ended; see above for why"))
    }

    /// Asks and reads the answer.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, word: &str) -> Result<T, Error> {
        self.tell(word)?;
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|e| self.failed(&format!("says {line:?}: {e}")))
    }

    pub(super) fn check_alive(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(self.failed("ended too soon; see above for why")),
        }
    }

    /// Closes its input, upon which it ends.
    pub(super) fn end(mut self) {
        let _ = self.tell("stop");
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn failed(&self, why: &str) -> Error {
        Error::Network(format!("the {} {why}", self.name))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the process is told, line by line; `None` when it is to end.
#[derive(Debug)]
pub(super) struct Orders {
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::io::Stdin>>,
}

impl Orders {
    pub(super) fn new() -> Self {
        Self { lines: tokio::io::BufReader::new(tokio::io::stdin()).lines() }
    }

    pub(super) async fn next(&mut self) -> Option<String> {
        let line = self.lines.next_line().await.ok().flatten()?;
        (line != "stop").then_some(line)
    }
}

/// Answers with a line of JSON.
pub(super) fn answer(value: &impl serde::Serialize) -> Result<(), Error> {
    let line = serde_json::to_string(value).map_err(|e| Error::codec("json", e))?;
    say(&line)
}

/// Says a line.
pub(super) fn say(line: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| Error::Network(e.to_string()))
}
