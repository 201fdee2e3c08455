//! How a role talks with the program that started it: lines of JSON on standard input and output.

use crate::traffic::Window;
use anyhow::{Context, Result};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde::Serialize;
use std::io::{BufRead, Write, stdin, stdout};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// No role lives longer, whatever happens to the others.
const LIFETIME_SECONDS: u32 = 1_200;

/// What a publisher says whose packets can't be had past the relay; others say where they send from.
pub(crate) const NO_WAY_PAST: Option<SocketAddr> = None;

/// One role's end.
#[derive(Debug, Clone)]
pub(crate) struct Control(Arc<OnceLock<Window>>);

impl Control {
    /// Starts to listen. The process ends when standard input does.
    pub(crate) fn listen() -> Result<Self> {
        bounded()?;
        let window = Arc::new(OnceLock::new());
        let heard = window.clone();
        std::thread::spawn(move || {
            for line in stdin().lock().lines() {
                let Ok(line) = line else { break };
                match serde_json::from_str(&line) {
                    Ok(told) => drop(heard.set(told)),
                    Err(error) => eprintln!("peers: not a window: {line}: {error}"),
                }
                say(&"armed");
            }
            std::process::exit(0);
        });
        Ok(Self(window))
    }

    /// Tells that all is in place, and `what` is to be known of it.
    pub(crate) fn ready(&self, what: &impl Serialize) {
        say(what);
    }

    /// The window, once it is known.
    pub(crate) fn window(&self) -> Option<Window> {
        self.0.get().copied()
    }

    /// Waits for the window.
    pub(crate) fn wait_for_window(&self) -> Window {
        *self.0.wait()
    }

    /// Waits for the window in a task.
    pub(crate) async fn window_told(&self) -> Window {
        loop {
            if let Some(window) = self.window() {
                return window;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Tells the outcome.
    pub(crate) fn done(&self, outcome: &impl Serialize) {
        say(outcome);
    }
}

/// Sees to it that this process, or what it turns into, ends: with its parent, and after a time in any case. Lifts the
/// limit on open files to what is allowed.
pub(crate) fn bounded() -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("could not bind this process to its parent")?;
    nix::unistd::alarm::set(LIFETIME_SECONDS);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("could not raise the limit on open files")
}

fn say(what: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(what) {
        let mut out = stdout().lock();
        // With nobody left to read it there is nobody to tell.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}
