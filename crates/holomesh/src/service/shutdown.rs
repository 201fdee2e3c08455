//! How a node is told to stop: SIGTERM, SIGINT, and what the second of them means.

pub use crate::relay::Shutdown;

use crate::Error;
use std::time::Duration;

/// Listens for signals. As long as it exists, they don't end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    drain: Duration,
    told: bool,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Listens from now on; the first signal asks for a drain of `drain`, or for an end at once if that is zero.
    ///
    /// # Errors
    /// [`Error::Input`] if the system does not let signals be caught.
    pub fn install(drain: Duration) -> Result<Self, Error> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let listen = |kind| signal(kind).map_err(|e| Error::input("signals", e.to_string()));
            let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
            Ok(Self { drain, told: false, terminate, interrupt })
        }
        #[cfg(not(unix))]
        Ok(Self { drain, told: false })
    }

    /// Waits for the next signal. The first gives [`Shutdown::Drain`], every later one [`Shutdown::Now`]. Nothing is lost
    /// if this is dropped while it waits.
    pub async fn next(&mut self) -> Shutdown {
        self.wait().await;
        let first = !std::mem::replace(&mut self.told, true);
        if first && self.drain > Duration::ZERO { Shutdown::Drain(self.drain) } else { Shutdown::Now }
    }

    #[cfg(unix)]
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn wait(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
