//! Sealed symbols on disk, kept as long as consent allows and really gone after that (spec 82).
//!
//! A recording is the sealed symbols themselves: whoever keeps it, a relay say, need not be able to read it. They lie in an
//! embedded database, packed into blocks that are sealed once more under keys of the store's own, one for each [`Group`] of a
//! content. A tier is dropped by destroying a key where it lies; the blocks are room to be given back, and no secret any more.
//!
//! - [`Store`] writes: [`admit`](Store::admit) consent, [`record`](Store::record) frame groups, [`fade`](Store::fade) as time
//!   goes by, [`relieve`](Store::relieve) a full disk, [`revoke`](Store::revoke) for good, [`reclaim`](Store::reclaim) room,
//!   [`check`](Store::check) and mend.
//! - [`Reader`] reads, from any thread, and never waits for the writer nor makes it wait.
//! - [`trace`] makes records of any bytes into frame groups, so that tiers mean something of logs and documents too.
//! - What consent allows is `consent_decay`'s to say. [`Retention`] says what gives way first under pressure.
//!
//! Time and randomness are arguments; the folder is the caller's. What each tier still shows:
//!
//! | tier | what can be read |
//! |---|---|
//! | full | everything |
//! | drop-repair | every object that was recorded whole, or with repair symbols that stand in for what was lost |
//! | drop-high-quality | the base layer at its lowest rate of pictures; a stream of one layer loses nothing |
//! | min-viable | key frames of the base layer: a slide show; sound, whose packets are all key frames, loses nothing |
//! | envelope-only | that it existed: consent, manifest, times; no symbol |
//! | hard-delete | nothing but the tombstone, and the audit log's entry |
//!
//! ```
//! use consent_decay::{ConsentClass, ConsentRecord, Terms, Tier, Tombstone};
//! use core_types::{Epoch, Layer, Marks, ObjectSeq, SymbolId, WallTime};
//! use identity::{Identity, Seed};
//! use rand::SeedableRng as _;
//! use symbol_store::{Error, Flush, FrameGroup, Group, Options, Position, Retention, Store, StoreKey, Symbol};
//!
//! let dir = tempfile::tempdir()?;
//! let mut rng = rand::rngs::StdRng::seed_from_u64(1); // the system's in real use
//! let now = WallTime(1_767_225_600_000);
//! let mut store = Store::open(dir.path(), &StoreKey([7; 32]), Options::default(), &mut rng)?;
//!
//! // The publisher consents; the node takes it in.
//! let alice = Identity::from_seed(&Seed([1; 64]))?;
//! let (subject, source) = (alice.public().clone(), core_types::StreamId([2; 32]).into());
//! let terms = Terms { class: ConsentClass::Temporary.into(), from: now, serial: 1 };
//! let consent = ConsentRecord { subject: subject.clone(), source, terms }.sign(&alice)?;
//! let content = store.admit(now, &consent, &mut rng)?;
//!
//! // Record a frame group, and play it.
//! let at = Position { epoch: Epoch(0), object: ObjectSeq(0) };
//! let symbol = |id, repair, bytes| -> Result<Symbol<'_>, core_types::Error> {
//!     let (id, marks) = (SymbolId::new(id)?, Marks { repair, ..Marks::NONE });
//!     let group = Group::of(Layer::BASE, marks, false);
//!     Ok(Symbol { object: ObjectSeq(0), id, retention: Retention::of(Layer::BASE, id, 1), group, bytes })
//! };
//! let symbols = [symbol(0, false, b"sealed source")?, symbol(1, true, b"sealed repair")?];
//! store.record(now, &FrameGroup { content, at, symbols: &symbols }, Flush::Now, &mut rng)?;
//! let reader = store.reader();
//! assert_eq!(reader.read(now, content, at)?.iter().count(), 2);
//!
//! // After four days repair symbols are gone.
//! let later = WallTime(now.0 + 4 * 86_400_000);
//! let tick = store.fade(later)?;
//! assert_eq!(tick.transitions[0].after, Tier::DropRepair);
//! assert_eq!(reader.read(later, content, at)?.iter().count(), 1);
//!
//! // Alice takes consent back: all of it is gone, and does not come back.
//! let tombstone = Tombstone { subject, source, revoked_at: later }.sign(&alice)?;
//! store.revoke(later, &tombstone)?;
//! assert!(matches!(reader.read(later, content, at), Err(Error::Revoked(_))));
//! assert!(matches!(store.admit(later, &consent, &mut rng), Err(Error::Revoked(_))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admit;
mod block;
mod check;
mod crypto;
mod error;
mod fade;
mod keys;
mod manifest;
mod read;
mod reclaim;
mod record;
mod reserve;
mod retention;
mod row;
mod store;
mod tables;
pub mod trace;

pub use block::Symbol;
pub use check::{Fault, Health};
pub use crypto::StoreKey;
pub use error::Error;
pub use fade::Relieved;
pub use manifest::Manifest;
pub use read::{Description, FrameGroupInfo, Reader, Symbols, Usage};
pub use reclaim::Reclaimed;
pub use record::{Flush, FrameGroup, Recorded};
pub use retention::{Group, Retention};
pub use row::{GroupStats, Position};
pub use store::{Options, Store};
