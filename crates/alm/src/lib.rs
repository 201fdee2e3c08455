//! Application-layer multicast: a watcher takes a stream from several parents at once, so that one may die.
//!
//! What is here:
//! - [`Subscription`], which deals a stream's stripes out to the parents, notices chunks that are missing and asks another
//!   parent for them, notices a parent that fell silent and gives its stripes to the others.
//! - [`CapacityClaim`]: what a peer says that it can carry, signed; a [`ClaimStore`] keeps the newest of each.
//! - [`estimator`]: what a peer can claim, out of what it was seen to deliver.
//! - [`planner`]: which parents a joiner asks, and when it changes one.
//! - [`delivery`]: what parents deliver against what they claim, and signed evidence of it.
//! - [`topology`]: who feeds whom, as every peer computes it alike.
//! - [`sim`]: many watchers of one stream in virtual time, by the state machines of this crate.
//! - [`legacy`]: the predecessor's claims, as they were encoded.
//!
//! A subscription is told of each chunk by `handle_chunk`, of each symbol by `expect`, and of each whole object by `settle`.
//!
//! Chunks are dealt out by number: chunk `n` belongs to stripe `n mod stripes`. A frame's chunks have consecutive
//! numbers, so every parent carries an even share of each frame, and a publisher that adds enough repair symbols makes
//! any `stripes − 1` shares enough for the whole frame.
//!
//! **Drain rule**: after every `handle_*`, `add_parent` or `remove_parent`, take [`Subscription::poll_action`] until it
//! gives `None`, and call [`Subscription::handle_timeout`] when [`Subscription::poll_timeout`] is due. Time is an
//! argument; nothing here reads a clock. Only authentic chunks that were not seen before may be reported.
//!
//! ```
//! use alm::{Action, Config, Subscription};
//! use core_types::{ChunkSeq, Epoch, LinkId, MonoTime};
//!
//! let (a, b) = (LinkId(1), LinkId(2));
//! let mut subscription = Subscription::new(Config { stripes: 2, ..Config::default() })?;
//! subscription.add_parent(MonoTime(0), a);
//! subscription.add_parent(MonoTime(0), b);
//! while let Some(action) = subscription.poll_action() {
//!     if let Action::Assign { parent, stripes } = action {
//!         // tell `parent` to send `stripes`
//!     }
//! }
//! // Chunk 1 never comes: when it is overdue, the other parent is asked for it.
//! subscription.handle_chunk(MonoTime(0), a, Epoch(1), ChunkSeq(0));
//! subscription.handle_chunk(MonoTime(0), a, Epoch(1), ChunkSeq(2));
//! let due = subscription.poll_timeout().expect("a chunk is missing");
//! subscription.handle_timeout(due);
//! assert_eq!(
//!     subscription.poll_action(),
//!     Some(Action::Request { parent: a, epoch: Epoch(1), chunks: vec![ChunkSeq(1)] })
//! );
//! # Ok::<(), core_types::Error>(())
//! ```

pub mod claim;
pub mod delivery;
mod error;
pub mod estimator;
mod gaps;
pub mod legacy;
mod parents;
pub mod planner;
pub mod sim;
mod subscription;
pub mod topology;

pub use claim::{CapacityClaim, ClaimStore, Commitment, Inserted, Load, SubStreamPath, VerifiedClaim};
pub use error::{Error, Fault};
pub use subscription::{Action, Config, Stats, Subscription};
