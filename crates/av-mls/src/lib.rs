//! Session keys for live media: MLS (RFC 9420) with X-Wing, over `openmls`.
//!
//! A session is one MLS group with the ciphersuite `MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519` (0x004D): X25519 +
//! ML-KEM-768 for every key exchange, and no way to take a member who lacks it. A [`Member`] is one peer's part in one
//! session at a time. Normative: spec 40.
//!
//! What is here:
//! - Joiners make their own key packages and keep the private parts. What they publish is a [`SignedKeyPackage`]; only
//!   what [`SignedKeyPackage::verify`] gives out can be added. It binds the MLS leaf to the hybrid identity. A
//!   [`Directory`] hands them out, each once, and says when to refill.
//! - Own commits: [`Member::stage_change`] (adds and removes, all or nothing), [`Member::stage_replace`] (a new roster),
//!   [`Member::stage_update`] (new keys), [`Member::stage_committers`] (who else has a say), [`Member::stage_rejoin`] (back
//!   by external commit). Each gives a [`Staged`], which is in the store by then: send it. The new epoch begins with
//!   [`Member::merge_staged`], once the commit is accepted, and never with [`Member::discard_staged`]. A [`Batcher`] says
//!   which joins and removals share a commit.
//! - Commits by others: [`Member::process_commit`], in the order in which they hold; up to eight that come early wait. Every
//!   receiver checks who may do what ([`Authority`]). Where nobody orders commits, an [`Arbiter`] does: the smallest hash
//!   holds, the others are proposed again, and who was left behind rejoins.
//! - [`Member::leave_request`]: a wish to leave, for somebody with a say to fulfil.
//! - [`Member::join`] takes a welcome for the host and session that were expected, and a bogus one costs nothing.
//! - [`Member::epoch_secret`], from which the media keys of an epoch are derived.
//! - [`Member::open`] over a [`StateStore`]: every change is one transaction that is done before the call returns, so a
//!   crash at any point leaves the state before or after it. [`MemoryStore`]; with the feature `redb`, `RedbStore`.
//!
//! Keeping old epochs' keys for a while is the task of whoever holds the media keys.
//!
//! # What the store sees
//! A snapshot of the group (at [`Member::create`], [`Member::join`], a rejoin and [`Member::checkpoint`]), and a record per
//! change after it: what the library wrote for an own commit, the result of somebody else's, a mark for one that was merged
//! or dropped. Opening applies them in order, without cryptography and without looking at dates again. Write order: an own
//! commit before it can be sent; acceptance, own or not, before it is in force. After [`Error::Store`] the member is as
//! before, and the call can be made again.
//!
//! # Where a clock is read
//! This crate itself reads none, but `openmls` below it does, and offers no way around it: to date a key package
//! ([`Member::key_package`]: valid from an hour before now to a day after) and to check such dates
//! ([`SignedKeyPackage::verify`], and when a member is added: [`Member::stage_change`], [`Member::process_commit`]). Dates
//! of members who are in the session already are not checked by joiners. All randomness comes from the generator that a
//! member is made with.
//!
//! # What a quantum attacker could do
//! Not read: all secrecy is hybrid. The MLS signatures inside a session are Ed25519; a leaf's signature key is vouched for
//! by the hybrid identity when its owner joins, when it rejoins, and when it welcomes somebody, and can't be changed
//! otherwise. The list of those with a say is signed by the host's hybrid identity.
//!
//! # Memory
//! [`EpochSecret`] is wiped when dropped, and what a store or the group's storage replaces or deletes is wiped at once.
//! `openmls` wipes most of its own secrets.
//!
//! ```
//! use av_mls::{Member, SignedKeyPackage};
//! use core_types::SessionId;
//! use identity::{Identity, Seed};
//! use rand::{SeedableRng as _, rngs::StdRng};
//!
//! let session = SessionId([7; 32]);
//! let (alice, bob) = (Identity::from_seed(&Seed([1; 64]))?, Identity::from_seed(&Seed([2; 64]))?);
//!
//! // Bob publishes a key package; Alice hosts. Outside of examples, the operating system seeds the generators.
//! let mut watcher = Member::new(&bob, StdRng::seed_from_u64(1))?;
//! let published = watcher.key_package(&bob)?.to_bytes();
//! let mut host = Member::new(&alice, StdRng::seed_from_u64(2))?;
//! host.create(session)?;
//!
//! // Alice adds Bob: the commit goes to the members, the welcome to Bob, and then the new epoch begins.
//! let staged = host.stage_change(vec![SignedKeyPackage::from_bytes(&published)?.verify()?], &[])?;
//! host.merge_staged()?;
//! let welcome = staged.welcome.unwrap_or_default();
//! assert_eq!(watcher.join(&welcome, alice.key_id(), session)?, staged.epoch);
//! assert_eq!(host.epoch_secret()?.expose(), watcher.epoch_secret()?.expose());
//! # Ok::<(), av_mls::Error>(())
//! ```

mod arbiter;
mod authority;
mod batcher;
mod branch;
mod change;
mod codec;
mod commit;
mod directory;
mod error;
mod join;
mod kept;
mod key_package;
mod leave;
mod member;
mod persist;
mod provider;
mod rejoin;
mod roster;
mod secret;
mod store;
mod vouch;
mod warm;

pub use arbiter::{Arbiter, CATCH_UP_TIME, Event, REJOIN_TIME, SETTLE_TIME};
pub use authority::{Authority, MAX_COMMITTERS};
pub use batcher::{BATCH_WINDOW, BatchOfChanges, Batcher, MAX_WAITING};
pub use branch::{BranchOrder, CommitHash};
pub use change::{Change, Staged};
pub use commit::{CommitKind, CommitOutcome};
pub use core_types::{Epoch, KeyId, LeafIndex, MonoTime, SessionId, WallTime};
pub use directory::{Directory, KeyPackageDirectory, Quotas, Stock, Taken};
pub use error::{Error, Fault};
pub use kept::MAX_KEY_PACKAGES;
pub use key_package::{SignedKeyPackage, VerifiedKeyPackage};
pub use leave::LEAVE_REQUEST_LEN;
pub use member::Member;
pub use rejoin::GroupStatus;
pub use roster::RosterEntry;
pub use secret::EpochSecret;
pub use store::{Batch, MemoryStore, Record, RecordKey, StateStore, StoreFault, Write};
#[cfg(feature = "redb")]
pub use store::{RedbStore, StorageKey};
pub use warm::{UPDATE_IDLE, WARM_FROM};

/// The most members of one session.
pub const MAX_MEMBERS: usize = 4_096;
/// The most members added by one change.
pub const MAX_BATCH: usize = 256;
/// From so many members on, the tree goes beside a welcome and not inside: signing and sealing its megabytes would take
/// longer than all the rest of a commit.
pub const TREE_APART_FROM: usize = 128;
/// The largest commit in bytes: a removal from a full session whose tree is all blank needs 5 MB.
pub const MAX_COMMIT_BYTES: usize = 8 << 20;
/// The largest welcome in bytes: it carries the tree of a full session.
pub const MAX_WELCOME_BYTES: usize = 24 << 20;
/// How many commits for later epochs a member keeps.
pub const MAX_EARLY_COMMITS: usize = 8;

use openmls_traits::types::Ciphersuite;

const SUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;

#[cfg(test)]
mod tests;
