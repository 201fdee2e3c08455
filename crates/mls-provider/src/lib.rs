//! What `openmls` stands on: the cryptography of one suite, and a store that keeps the group in memory.
//!
//! What is here:
//! - [`Provider`], to be handed to every `openmls` call. The caller brings the random generator.
//! - [`Crypto`]: [`SUITE`] and no other. X-Wing (ML-KEM-768 by libcrux, X25519 by aws-lc) under HPKE base mode, SHA-256
//!   with SHA instructions, ChaCha20-Poly1305 and Ed25519 by aws-lc. Same bytes as stock `openmls_libcrux_crypto`.
//! - [`Signer`], an Ed25519 signing key that is parsed once.
//! - [`GroupStore`], the storage. With [`TreeWrites::Deferred`] a merge does not serialise the ratchet tree, which is
//!   megabytes for a thousand members; [`GroupStore::snapshot`] does, when the caller has time for it.
//! - [`WriteBatch`], what was written to the store between two calls, to be kept in a journal.
//!
//! # The Ed25519 rule
//! RFC 8032 section 5.1.7 leaves room; this crate does not, and keeps the rule of the crate `identity`: the public key is
//! a canonical encoding of a point that is not of small order, R is the canonical encoding of a point that is not of
//! small order, S < L, and `[S]B = R + [k]A` holds without the cofactor. So all nodes agree on every signature.
//!
//! # Randomness
//! All of it comes from the generator that [`Provider::new`] is given: key pairs, encapsulations, nonces. `openmls`
//! encrypts a path's secrets on several threads, so two runs from one seed can still differ in who gets which bytes.
//!
//! # Crash safety
//! The store is memory. What survives a crash is what the caller has written down, and that is two things: now and then a
//! snapshot, and after it a journal of
//! 1. every commit of others, as its bytes, before it is merged;
//! 2. for a commit of one's own, and for anything else that draws randomness or uses up a key: the [`WriteBatch`] between
//!    [`GroupStore::begin_capture`] and [`GroupStore::take_captured`], before its result is sent;
//! 3. a mark for each own commit that was merged or dropped.
//!
//! After a crash: [`GroupStore::restore`] the snapshot (it writes trees eagerly), `MlsGroup::load`, then go through the
//! journal. A commit of others is processed and merged again. A batch is [applied](GroupStore::apply) and the group
//! loaded anew, which now has the pending commit. A mark merges or clears it. All three give what they gave before, since
//! none of them draws randomness. (`openmls` stamps message secrets with the time of day; nothing depends on it unless past
//! epochs are deleted by age.) Last, [`set_tree_writes`](GroupStore::set_tree_writes) to
//! [`Deferred`](TreeWrites::Deferred) and take the next snapshot; the old journal can go once that is safe on disk.
//!
//! # What is where
//! | entity | in the store | in a snapshot | in a batch |
//! |---|---|---|---|
//! | ratchet tree | eager: always; deferred: until the first write, then not at all, never an old one | yes | eager: yes; deferred: no |
//! | group context, confirmation tag, interim transcript hash | yes | yes | yes |
//! | group state with the pending commit, message secrets, epoch secrets, resumption secrets | yes | yes | yes |
//! | own leaf index, join config, own leaf nodes, proposals | yes | yes | yes |
//! | key packages, encryption key pairs, signature key pairs, PSKs | yes | yes | yes |
//!
//! ```
//! use mls_provider::{GroupStore, Provider, SUITE, Signer, TreeWrites};
//! use openmls::prelude::*;
//! use rand::{SeedableRng as _, rngs::StdRng};
//!
//! let provider = Provider::new(StdRng::from_seed([7; 32]), GroupStore::new(TreeWrites::Deferred));
//! let signer = Signer::generate(provider.crypto())?;
//! let me = CredentialWithKey {
//!     credential: BasicCredential::new(b"me".to_vec()).into(),
//!     signature_key: signer.public_key().to_vec().into(),
//! };
//! let config = MlsGroupCreateConfig::builder().ciphersuite(SUITE).build();
//! let group = MlsGroup::new(&provider, &signer, &config, me)?;
//!
//! let saved = provider.storage().snapshot([&group])?;
//! let again = Provider::new(StdRng::from_seed([8; 32]), GroupStore::restore(&saved)?);
//! let restored = MlsGroup::load(again.storage(), group.group_id())?.unwrap();
//! assert_eq!(restored.epoch_authenticator().as_slice(), group.epoch_authenticator().as_slice());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod crypto;
mod ed25519;
mod error;
mod hpke;
mod memo;
mod provider;
mod random;
mod store;
mod xwing;

pub use crypto::{Crypto, SUITE};
pub use ed25519::Signer;
pub use error::Error;
pub use openmls_traits::OpenMlsProvider;
pub use provider::Provider;
pub use random::Random;
pub use store::{GroupStore, TreeWrites, WriteBatch};
