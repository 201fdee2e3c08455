//! Nodes on threads of their own: each has its own runtime, so that killing one is as final as pulling the plug.

use crate::ticket::Ticket;
use crate::{Error, session};
use std::future::Future;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// A node that runs on its own thread.
pub(crate) struct NodeThread<T> {
    thread: JoinHandle<Option<Result<T, Error>>>,
    kill: Option<oneshot::Sender<()>>,
}

impl<T: Send + 'static> NodeThread<T> {
    pub(crate) fn spawn<F>(name: &str, node: impl FnOnce() -> F + Send + 'static) -> Result<Self, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let failed = |e: std::io::Error| Error::Network(format!("can't start a thread: {e}"));
        let (kill, killed) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let outcome = runtime.block_on(async {
                    tokio::select! {
                        outcome = node() => Some(outcome),
                        Ok(()) = killed => None,
                    }
                });
                // Drops every task where it stands: no goodbye reaches the peers.
                runtime.shutdown_background();
                outcome
            })
            .map_err(failed)?;
        Ok(Self { thread, kill: Some(kill) })
    }

    /// Stops the node at once, without letting it say goodbye.
    pub(crate) fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _ = kill.send(());
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// The node's outcome; `None` if it was killed, now at the latest.
    pub(crate) fn finish_by(mut self, deadline: Instant) -> Option<Result<T, Error>> {
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        self.thread.join().unwrap_or(Some(Err(Error::Ended("a node's thread"))))
    }
}

/// A free port of this machine.
pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A host that is up. It ends when its commands are dropped.
pub(crate) struct HostNode {
    pub(crate) commands: mpsc::Sender<session::Command>,
    pub(crate) ticket: Ticket,
    pub(crate) thread: NodeThread<()>,
}

impl HostNode {
    pub(crate) fn spawn(config: session::Config) -> Result<Self, Error> {
        let (commands, inbox) = mpsc::channel(8);
        let (ready, ticket) = oneshot::channel();
        let thread = NodeThread::spawn("host", move || {
            session::run(config, inbox, move |ticket| {
                let _ = ready.send(ticket);
            })
        })?;
        match ticket.blocking_recv() {
            Ok(ticket) => Ok(Self { commands, ticket, thread }),
            Err(_) => Err(thread
                .finish_by(Instant::now())
                .and_then(Result::err)
                .unwrap_or(Error::Ended("the host"))),
        }
    }
}
