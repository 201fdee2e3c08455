//! A relay node: registers with a host, carries the streams that it is told of, forwards chunks to whoever may have them.

mod core;
mod losses;
mod made;
mod node;
mod permits;
mod requests;
mod shown;
mod status;
mod upstream;

pub(crate) use self::core::RelayCore;
pub(crate) use self::permits::PermitDesk;
pub(crate) use self::requests::REQUESTS;
pub(crate) use self::shown::{Shown, Trial};
pub use node::run_with;

use crate::Error;
use crate::net::{LossConfig, PeerAddress, Underlay};
use crate::record::Recorder;
use crate::service::StatusSink;
use crate::ticket::Ticket;
use av_relay::{Limits, Quota, Stats};
use core_types::BitRate;
use identity::Seed;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How a relay runs.
#[derive(Debug)]
pub struct Config {
    /// Its identity.
    pub seed: Seed,
    /// The session that it serves.
    pub ticket: Ticket,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its links run over.
    pub underlay: Underlay,
    /// Whether media may go over UDP lanes.
    pub lanes: bool,
    /// Whether links may be over UDP alone, with peers that do the same.
    pub direct: bool,
    /// The port of the lanes and of direct links; 0 for any.
    pub lane_port: u16,
    /// Bounds on all that peers can grow, and whether permits are asked for.
    pub limits: Limits,
    /// What one link may have.
    pub quota: Quota,
    /// Requests a second that one link may make; `None` for no limit.
    pub requests: Option<u32>,
    /// What one stream may bring in.
    pub stream_quota: Quota,
    /// What the node sends in all; `None` for no bound of its own.
    pub uplink: Option<BitRate>,
    /// How long a host that went away is looked for.
    pub host_patience: Duration,
    /// Loss to inject into what it sends.
    pub loss: LossConfig,
    /// Keeps what it carries, as far as the publisher has consented, and serves it to those who may have it.
    pub recorder: Option<Recorder>,
    /// Is shown all that the relay receives, and its counters.
    pub tap: Option<Arc<dyn Tap>>,
    /// Where its state is shown, once a second, and what keeps it within its limits.
    pub status: Option<StatusSink>,
}

impl Config {
    /// The usual configuration: lanes on, permits required, 500 requests a second from a link and no other quotas, half a minute
    /// of patience with the host.
    pub fn new(seed: Seed, ticket: Ticket, listen: SocketAddr) -> Self {
        Self {
            seed,
            ticket,
            listen,
            underlay: Underlay::Quic,
            lanes: true,
            direct: false,
            lane_port: 0,
            limits: Limits { permits_required: true, ..Limits::default() },
            quota: Quota::UNLIMITED,
            requests: Some(REQUESTS),
            stream_quota: Quota::UNLIMITED,
            uplink: None,
            host_patience: Duration::from_secs(30),
            loss: LossConfig::NONE,
            recorder: None,
            tap: None,
            status: None,
        }
    }
}

/// How a relay is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Its children are told, and have this time to move to other parents.
    Drain(Duration),
    /// At once.
    Now,
}

/// Sees all that a relay gets to know: for showing that no content key is among it.
pub trait Tap: std::fmt::Debug + Send + Sync {
    /// Control messages and chunks, as they came.
    fn received(&self, bytes: &[u8]);
    /// The counters, after every batch.
    fn stats(&self, stats: Stats);
}

/// Runs a relay until its host ends the session or stays away, or `shutdown` is done.
///
/// # Errors
/// As [`run_with`].
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
    ready: impl FnOnce() + Send,
) -> Result<Stats, Error> {
    let (tell, told) = mpsc::channel(1);
    let node = run_with(config, told, |_: PeerAddress| ready());
    let shutdown = async {
        shutdown.await;
        let _ = tell.send(Shutdown::Now).await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        outcome = node => outcome,
        never = shutdown => match never {},
    }
}
