//! Session keys for live media: MLS (RFC 9420) with X-Wing, over `openmls`.
//!
//! A session is one MLS group with the ciphersuite `MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519` (0x004D): X25519 +
//! ML-KEM-768 for every key exchange, and no way to take a member who lacks it. A [`Member`] is one peer's part in one
//! session at a time. Normative: spec 40.
//!
//! What is here:
//! - Joiners make their own key packages and keep the private parts. What they publish is a [`SignedKeyPackage`]; only
//!   what [`SignedKeyPackage::verify`] gives out can be added. It binds the MLS leaf to the hybrid identity.
//! - [`Member::stage_change`]: adds and removes in one commit, all or nothing. The new epoch begins with
//!   [`Member::merge_staged`], once the commit is accepted, and never with [`Member::discard_staged`].
//! - [`Member::process_commit`] takes commits by the host alone, in order; up to eight that come early wait.
//! - [`Member::join`] takes a welcome from the host that was expected, to the session that was expected, and leaves the
//!   joiner able to join when a welcome is bogus.
//! - [`Member::epoch_secret`], from which the media keys of an epoch are derived.
//!
//! What is not here yet: storage that outlives the process, authority for others than the host, ordering of commits by
//! several committers, rejoining by external commit, key updates without a roster change. Keeping old epochs' keys for a
//! while is the task of whoever holds the media keys.
//!
//! # Where a clock is read and randomness is drawn
//! This crate itself does neither, but `openmls` below it does, and offers no way around it. It reads the system clock
//! to date a key package ([`Member::key_package`]: valid from an hour before now to a day after) and to check such dates
//! ([`SignedKeyPackage::verify`], and when a member is added: [`Member::stage_change`], [`Member::process_commit`]).
//! Dates of members who are in the session already are not checked by joiners. The provider draws all MLS randomness
//! from the operating system: signature and leaf keys, encapsulations, path secrets, reuse guards.
//!
//! # What a quantum attacker could do
//! Not read: all secrecy is hybrid. The MLS signatures inside a session are Ed25519; a leaf's signature key is vouched for
//! by the hybrid identity when its owner joins, and the host's when it welcomes somebody.
//!
//! # Memory
//! [`EpochSecret`] is wiped when dropped. `openmls` wipes most of its own secrets, but its memory store holds serialised
//! state that is freed without being wiped.
//!
//! ```
//! use av_mls::{Member, SignedKeyPackage};
//! use core_types::SessionId;
//! use identity::{Identity, Seed};
//!
//! let session = SessionId([7; 32]);
//! let (alice, bob) = (Identity::from_seed(&Seed([1; 64]))?, Identity::from_seed(&Seed([2; 64]))?);
//!
//! // Bob publishes a key package; Alice hosts.
//! let mut watcher = Member::new(&bob)?;
//! let published = watcher.key_package(&bob)?.to_bytes();
//! let mut host = Member::new(&alice)?;
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

mod commit;
mod error;
mod join;
mod key_package;
mod member;
mod provider;
mod roster;
mod secret;
mod vouch;

pub use commit::CommitOutcome;
pub use core_types::{Epoch, KeyId, LeafIndex, SessionId};
pub use error::{Error, Fault};
pub use key_package::{SignedKeyPackage, VerifiedKeyPackage};
pub use member::{Member, Staged};
pub use roster::RosterEntry;
pub use secret::EpochSecret;

/// The most members of one session.
pub const MAX_MEMBERS: usize = 4_096;
/// The most members added by one change.
pub const MAX_BATCH: usize = 256;
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
