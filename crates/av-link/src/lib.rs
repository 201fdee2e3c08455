//! The link handshake of holomesh: two peers prove their hybrid identities to one another and agree on post-quantum keys,
//! over datagrams that get lost (spec 35).
//!
//! What is here:
//! - [`Initiator`], the side that calls, and [`Listener`], the side that is called, as state machines: fragments, resending,
//!   cookies, bounds. A finished handshake gives a [`Link`]: who is there, keys for each direction, and an exporter.
//! - [`handshake`]: the four messages without the network, for transports that carry messages whole.
//! - [`x_wing`]: the hybrid KEM, X25519 + ML-KEM-768, on aws-lc or in pure Rust.
//!
//! There is one version and one suite, and no classical one: a peer without ML-KEM-768 can't be expressed.
//!
//! What is not here: hop seals (the keys are plain arrays for whoever seals), sockets, rekeying of a link (make a new one),
//! tokens that would save the cookie's round trip at the next visit.
//!
//! # Drain rule
//! Nothing reads a clock, opens a socket or draws randomness: time and generators are arguments.
//!
//! | type | after | take until empty | timer |
//! |---|---|---|---|
//! | [`Initiator`] | `new`, every `handle_*` | `poll_transmit`, then `poll_event` | `handle_timeout` when `poll_timeout` is due |
//! | [`Listener`] | every `handle_*`, `accept`, `refuse` | `poll_transmit`, `poll_caller` | `handle_timeout` when `poll_timeout` is due |
//!
//! One exception lies below us: aws-lc draws ML-KEM randomness from its own generator and hedges ML-DSA signatures (see
//! [`x_wing::Backend`]).
//!
//! ```
//! use av_link::{Event, Initiator, Limits, Listener, Seed};
//! use core_types::MonoTime;
//! use identity::Identity;
//! use rand::{SeedableRng, rngs::StdRng};
//! use std::sync::Arc;
//!
//! let mut rng = StdRng::seed_from_u64(1); // a generator seeded by the system in real use
//! let alice = Arc::new(Identity::from_seed(&identity::Seed([1; 64]))?);
//! let bob = Arc::new(Identity::from_seed(&identity::Seed([2; 64]))?);
//! let (now, alices_address) = (MonoTime::from_millis(0), "192.0.2.1:4000".parse()?);
//!
//! let mut listener = Listener::new(now, Arc::clone(&bob), Limits::default(), &mut rng);
//! let mut caller = Initiator::new(now, Arc::clone(&alice), bob.key_id(), &Seed::random(&mut rng))?;
//! let (mut at_alice, mut at_bob) = (None, None);
//! while at_alice.is_none() {
//!     while let Some(datagram) = caller.poll_transmit() {
//!         listener.handle_datagram(now, alices_address, &datagram, &mut rng)?;
//!     }
//!     while let Some(who) = listener.poll_caller() {
//!         // Here the owner decides who may have a link.
//!         at_bob = Some(if who.peer.key_id() == alice.key_id() {
//!             listener.accept(who.attempt)?
//!         } else {
//!             listener.refuse(who.attempt)?;
//!             continue;
//!         });
//!     }
//!     while let Some((_to, datagram)) = listener.poll_transmit() {
//!         caller.handle_datagram(now, &datagram)?;
//!     }
//!     match caller.poll_event() {
//!         Some(Event::Linked(link)) => at_alice = Some(link),
//!         Some(Event::Failed(error)) => return Err(error.into()),
//!         _ => {} // in real use: wait for a datagram, or for `poll_timeout`
//!     }
//! }
//! let (at_alice, at_bob) = (at_alice.ok_or("no link")?, at_bob.ok_or("no link")?);
//! assert_eq!(at_bob.peer(), alice.public());
//! assert_eq!(at_alice.keys().send.key, at_bob.keys().receive.key);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cookie;
mod error;
mod flight;
pub mod handshake;
mod initiator;
mod keys;
mod listener;
mod message;
mod packet;
mod schedule;
mod seed;
pub mod x_wing;

pub use error::{Error, Fault};
pub use initiator::{Event, HANDSHAKE_DEADLINE, Initiator};
pub use keys::{DirectionKeys, Exporter, Link, LinkKeys};
pub use listener::{AttemptId, Caller, Limits, Listener, Stats};
pub use packet::{MAGIC, MAX_DATAGRAM_LEN};
pub use seed::Seed;
