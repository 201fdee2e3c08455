//! Watches over a node's links: asks peers that are silent for a sign, and closes links whose peers stay so.

use super::connection::{CloseCode, Connection};
use super::control::Control;
use super::liveness::{Liveness, Signs, Verdict};
use super::outbox::{NOT_READ, Outbox};
use super::udp::Lanes;
use crate::Clock;
use core_types::{LinkId, MonoTime};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// All links of a node. Whoever waits for its events keeps the time. Clones are handles on the same.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    clock: Clock,
    lanes: Lanes,
    links: Arc<Mutex<Liveness<Watched>>>,
}

/// A link as it is watched.
#[derive(Debug)]
struct Watched {
    link: LinkId,
    lanes: Lanes,
    connection: Arc<dyn Connection>,
    outbox: Outbox,
    ended: Ended,
}

/// Why this node ended a link, for whoever finds it closed.
pub(super) type Ended = Arc<OnceLock<String>>;

impl Signs for Watched {
    fn came(&self) -> u64 {
        self.connection.came()
    }

    fn said(&self) -> u64 {
        self.outbox.said()
    }

    fn lane_heard(&self) -> Option<MonoTime> {
        self.lanes.heard(self.link)
    }
}

impl Pulse {
    pub(super) fn new(lanes: Lanes) -> Self {
        Self { clock: Clock::start(), lanes, links: Arc::new(Mutex::new(Liveness::new())) }
    }

    /// The runtime's time, which a test may have stopped.
    fn now(&self) -> MonoTime {
        self.clock.at(tokio::time::Instant::now().into_std())
    }

    fn links(&self) -> MutexGuard<'_, Liveness<Watched>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch a link.
    pub(super) fn add(&self, link: LinkId, connection: Arc<dyn Connection>, outbox: Outbox, ended: Ended) {
        let watched = Watched { link, lanes: self.lanes.clone(), connection, outbox, ended };
        self.links().add(self.now(), link, watched);
    }

    /// Ends to watch a link.
    pub(super) fn remove(&self, link: LinkId) {
        // What is dropped here may be the last handle on a connection: not under the lock.
        let watched = self.links().remove(link);
        drop(watched);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.links().poll_timeout().map(|at| self.clock.instant(at))
    }

    pub(super) fn handle_timeout(&self) {
        self.links().look(self.now(), |link, watched, verdict| {
            let why = match verdict {
                Verdict::Ask if watched.outbox.sign(&Control::Ping) => return,
                Verdict::Ask => NOT_READ.to_owned(),
                Verdict::Silent(silence) => format!("silent for {:.1} s", silence.as_secs_f32()),
                Verdict::Unanswered(due) => {
                    format!("no answer to control messages for {:.1} s", due.as_secs_f32())
                }
            };
            tracing::debug!(%link, %why, "link closed");
            let _ = watched.ended.set(why.clone());
            watched.connection.close(CloseCode::Done, &why);
        });
    }
}
