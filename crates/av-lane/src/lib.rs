//! A lane: sealed media datagrams between two peers over UDP, mostly from a parent to a child, thousands of lanes on one socket
//! (spec 37).
//!
//! What is here: [`Lane`], one end of one lane; [`Burst`], the reusable buffer that a lane seals chunks into, cut into [`Run`]s that
//! one call with segmentation offload sends; [`LaneTable`], all lanes of a socket, found by address or id, with their timers.
//! A lane reports what arrives, keeps to what its congestion controller (`av-congestion`) allows, follows a peer that moves once
//! that has proven its new address, and says when the peer is gone or the path lets media no longer through.
//!
//! What is not here: sockets and clocks; what to send of a queue that is too long; how two peers come to have the same keys. Those are
//! exported from a QUIC connection or from an `av-link` session ([`LaneKeys::from_exported`]).
//!
//! # Drain rule
//! Nothing reads a clock, opens a socket or draws randomness. After every call that gives a lane something (`handle_*`,
//! `seal_burst`, `close`, `announce`) take [`Lane::poll_transmit`] and [`Lane::poll_event`] until they are empty; call
//! [`Lane::handle_timeout`] when [`Lane::poll_timeout`] is due, then take again. What [`Lane::seal_burst`] put into a buffer is
//! sent at once. In a [`LaneTable`], work with lanes through [`LaneTable::get_mut`], then take [`LaneTable::poll_due`] until it
//! is empty, and do the above for each lane that it gives.
//!
//! # Costs
//! A burst costs the seal, a look at the congestion controller, and nothing that allocates: `cargo run --release -p av-lane
//! --example burst` shows how much it is beside the seal.
//!
//! ```
//! use av_lane::{Burst, Event, Lane, LaneConfig, LaneId, LaneKeys, LaneRole, LaneSuite, MAX_CONTROL_LEN, PathSecret, Received};
//! use av_wire::SealedChunk;
//! use core_types::MonoTime;
//! use std::net::SocketAddr;
//!
//! let now = MonoTime::from_millis(0);
//! let (at_child, at_parent): (SocketAddr, SocketAddr) = ("192.0.2.1:4000".parse()?, "192.0.2.2:4000".parse()?);
//! let end = |role, peer| {
//!     let config = LaneConfig::new(PathSecret([3; 32])); // drawn at random in real use, as the exported secrets are
//!     Lane::new(&config, LaneId(1), role, LaneKeys::from_exported(&[7; 88]), LaneSuite::Full, peer, now)
//! };
//! let (mut child, mut parent) = (end(LaneRole::Child, at_parent)?, end(LaneRole::Parent, at_child)?);
//!
//! // Each proves to the other where it is.
//! let mut packet = [0; MAX_CONTROL_LEN];
//! while !parent.is_ready() || !child.is_ready() {
//!     while let Some((_to, len)) = child.poll_transmit(now, &mut packet) {
//!         parent.handle_datagram(now, at_child, &mut packet[..len])?;
//!     }
//!     while let Some((_to, len)) = parent.poll_transmit(now, &mut packet) {
//!         child.handle_datagram(now, at_parent, &mut packet[..len])?;
//!     }
//! }
//! assert_eq!(parent.poll_event(), Some(Event::Ready));
//!
//! // A sealed chunk: an AV1 header, then ciphertext and tag.
//! let mut chunk = vec![0; 52];
//! chunk[48] = 1;
//! chunk.resize(1_100, 9);
//! let mut burst = Burst::new();
//! assert!(parent.budget(now) >= Lane::datagram_len(&SealedChunk::parse(&chunk)?));
//! parent.seal_burst(now, [SealedChunk::parse(&chunk)?], &mut burst)?;
//! for run in burst.runs() {
//!     for datagram in run.datagrams() { // in real use one call sends the run
//!         let mut datagram = datagram.to_vec();
//!         let Received::Chunk(fresh) = child.handle_datagram(now, at_parent, &mut datagram)? else { panic!("a chunk") };
//!         assert_eq!(fresh.body(), &chunk[52..]);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

/// Under its own name for what unit tests share with other tests.
#[cfg(test)]
extern crate self as av_lane;

mod burst;
mod control;
mod error;
mod inbound;
mod keys;
mod lane;
mod path;
mod rate;
mod stats;
mod stream;
mod table;
mod times;
mod types;
mod watch;

pub use burst::{Burst, MAX_BURST, MAX_RUN_BYTES, MAX_SEGMENTS, Run};
pub use error::{Error, Fault, Noise};
pub use keys::{LaneKeys, PathSecret};
pub use lane::{Event, Lane, Received, Sealed};
pub use stats::LaneStats;
pub use table::{Inserted, LaneKey, LaneSlot, LaneTable, Route, SlotMut};
pub use times::{FAILED_AFTER, GONE_AFTER, KEEP_ALIVE, LONG, REPORT_EACH, REPORT_FASTEST, SILENT_CHILD};
pub use types::{CloseReason, Failure, LaneConfig, LaneId, LaneRole, LaneSuite};

/// The longest control packet: room that [`Lane::poll_transmit`] needs.
pub const MAX_CONTROL_LEN: usize = control::MAX_LEN;
