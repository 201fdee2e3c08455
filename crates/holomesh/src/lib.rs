//! The holomesh node: publisher, host, relay and watcher over real sockets, and the demo that runs them all.
//!
//! The narrow crates below are state machines; this one gives them sockets (QUIC by `iroh`), threads, clocks, randomness
//! and files. What is here:
//! - [`net`]: post-quantum QUIC links bound to hybrid identities, the versioned control messages, seeded loss;
//! - [`session`]: the host of a session, who owns the roster and publishes;
//! - [`relay`]: a node that forwards what it can't read;
//! - [`watch`]: a node that joins, takes streams from several relays, decodes and plays them out;
//! - [`publish`]: capture, encoding and sealing;
//! - [`media`]: Y4M, WAV, IVF in; Matroska, Y4M out;
//! - [`service`]: what an operator needs around a relay: configuration, metrics, limits, logs;
//! - [`mod@bench`]: the load tool;
//! - [`demo`] and [`report`]: everything at once in one process, measured;
//! - [`record`]: recordings that are kept for as long as consent allows, played and served.
//!
//! Not here yet: several publishers.
//!
//! ```no_run
//! # async fn example() -> Result<(), holomesh::Error> {
//! use holomesh::{keyfile, ticket::Ticket, watch};
//!
//! let ticket: Ticket = std::env::args().nth(1).unwrap_or_default().parse()?;
//! let config = watch::Config::new(keyfile::random_seed()?, ticket);
//! let report = watch::run(config, Vec::new()).await?;
//! println!("{} pictures shown", report.frames_shown);
//! # Ok(())
//! # }
//! ```

pub mod bench;
pub mod cli;
mod clock;
pub mod demo;
mod descriptions;
mod error;
pub mod keyfile;
pub mod media;
mod mesh;
pub mod net;
pub mod publish;
mod random;
pub mod record;
pub mod relay;
pub mod report;
pub mod service;
pub mod session;
pub mod sim;
pub mod ticket;
pub mod watch;

pub use clock::Clock;
pub use error::Error;
