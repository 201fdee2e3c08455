//! The relay as a service: what an operator configures, sees and relies on, apart from the way of a chunk.
//!
//! - [`config`]: the TOML file, the command line on top of it, `--check`;
//! - [`limits`]: memory and file descriptors, stated and kept;
//! - [`uplink`]: the rate of all that is sent, held to a bound;
//! - [`log`]: lines that never block the node nor stop it;
//! - [`shutdown`]: signals, as a drain or an end at once;
//! - [`status`], [`rates`] and [`StatusSink`]: how the node is doing, once a second;
//! - [`http`]: metrics, health and status for whoever asks;
//! - systemd is told the state, and once a second that the node is alive, where `NOTIFY_SOCKET` says so.
//!
//! ```no_run
//! # async fn example() -> Result<(), holomesh::Error> {
//! use holomesh::Clock;
//! use holomesh::service::{StatusSink, config, http, limits, status};
//!
//! let loaded = config::load(Some("relay.toml".as_ref()), &[])?;
//! let guard = limits::Guard::install(&loaded.config.limits)?;
//! let (mut sink, source) = StatusSink::new(guard, None);
//! let _server = http::Server::start(&loaded.config.http, source).await?;
//! // Once a second:
//! sink.publish(Clock::start().now(), status::Snapshot::default());
//! // Before a new link is taken:
//! if let Err(why) = sink.admit() {
//!     println!("full: {why}");
//! }
//! # Ok(())
//! # }
//! ```

pub mod config;
pub mod http;
pub mod limits;
pub mod log;
mod notify;
mod process;
mod publisher;
pub mod rates;
pub mod shutdown;
pub mod status;
pub mod uplink;

pub use publisher::{INTERVAL, Published, StatusSink, StatusSource};

/// Processor time that this process has used, where the system tells.
pub(crate) fn cpu_time() -> Option<std::time::Duration> {
    process::cpu_time().map(|cpu| cpu.user + cpu.system)
}
