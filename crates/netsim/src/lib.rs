//! A seeded virtual network for tests: bursty loss, reordering, duplication, bandwidth steps, MTU, blackouts, rebinding.
//!
//! A [`Network`] carries datagrams between nodes, which are nothing but socket addresses. Every direction between two
//! nodes is a path of its own with a [`PathModel`]. A datagram goes through a path in this order:
//!
//! 1. it is lost when the path is in a blackout or the datagram is larger than the MTU of that moment;
//! 2. it waits in the drop-tail queue of the bottleneck, or is lost when that is full;
//! 3. it is lost at random, by a plain rate or by the two states of Gilbert and Elliott; what is lost here has taken
//!    its share of the bottleneck;
//! 4. bits may be turned over, a copy may be made;
//! 5. it arrives after delay and jitter. Jitter alone never swaps two datagrams; [`Reorder`] does.
//!
//! The same seed and the same calls give the same outcome, on every machine. Each path draws from its own generator, and
//! draws equally often for each datagram: a path that is added, or a model that is changed, does not shift the fate of
//! the others. What is in flight is bounded by [`Limits`].
//!
//! **Drain rule**: sans-IO; call [`Network::deliver`] when [`Network::next_delivery`] is due. Time is an argument and
//! never runs backwards: an earlier `now` counts as the latest one that was seen.
//!
//! ```
//! use core_types::{BitRate, MonoTime};
//! use netsim::{GilbertElliott, Network, PathModel, Steps};
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! let (a, b): (SocketAddr, SocketAddr) = ("10.0.0.1:1".parse()?, "10.0.0.2:1".parse()?);
//! let mut network = Network::new(7);
//! network.set_path(
//!     a,
//!     b,
//!     PathModel {
//!         delay: Duration::from_millis(20),
//!         bursts: Some(GilbertElliott::bursts(0.02, 4.0)),
//!         bandwidth: Steps::constant(BitRate::from_kbit(2_000)).then(MonoTime::from_millis(500), BitRate::from_kbit(600)),
//!         queue: 30_000,
//!         ..PathModel::default()
//!     },
//! )?;
//! for burst in 0..10 {
//!     for _ in 0..10 {
//!         network.send(MonoTime::from_millis(burst * 35), a, b, vec![0; 1_100]);
//!     }
//! }
//! let mut taken = 0;
//! while let Some(due) = network.next_delivery() {
//!     for delivery in network.deliver(due) {
//!         assert_eq!((delivery.from, delivery.to), (a, b));
//!         taken += 1;
//!     }
//! }
//! let counters = network.counters(a, b).expect("the path was set");
//! assert_eq!(counters.sent, taken + counters.lost());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod model;
mod network;
mod path;
mod prng;

pub use error::Error;
pub use model::{GilbertElliott, PathModel, Reorder, Steps, UNLIMITED};
pub use network::{Delivery, Limits, Network};
pub use path::Counters;
pub use prng::Prng;
