//! Hybrid Ed25519 + ML-DSA-65 identities, signatures and canonical bytes (spec 10).
//!
//! What is here:
//! - [`Identity`], the secret half, made from a [`Seed`] that the caller draws, and [`PublicIdentity`], what others
//!   know of a peer. A [`KeyId`] names the pair.
//! - [`HybridSignature`]: both halves must verify, and the ML-DSA half covers the Ed25519 half, so that neither can be
//!   taken out of one signature and put into another. Each kind of signed structure has its own [`Domain`].
//! - [`canonical`]: the bounded reader and writer with which signed structures are encoded.
//! - [`stream_id`]: how a stream is named after its publisher.
//! - [`Backend`]: aws-lc (default) or the pure-Rust pair `ed25519-dalek` + `ml-dsa`. Same keys from the same seed,
//!   each accepts the other's signatures, and both follow one rule for what an acceptable Ed25519 signature is.
//!
//! What is not here: rotation and revocation of identities, batch verification, and storage of seeds, which the node does
//! (spec 10 section 5).
//!
//! # The Ed25519 rule
//! RFC 8032 section 5.1.7 leaves room; this crate does not. A signature is accepted when the public key is a canonical
//! encoding of a point that is not of small order, R is the canonical encoding of a point that is not of small order,
//! S < L, and `[S]B = R + [k]A` holds without the cofactor. It is what `ed25519-dalek` calls `verify_strict`. Wycheproof's
//! cases get the verdicts that Wycheproof says, all of them; so do its cases of ML-DSA-65.
//!
//! # Randomness
//! Nothing here draws randomness for keys. With aws-lc, ML-DSA signing is hedged (FIPS 204 section 3.4): the library
//! mixes bytes from its own generator into the signature. The pure-Rust backend signs deterministically.
//!
//! ```
//! use identity::{Domain, Identity, PublicIdentity, Seed};
//!
//! const GREETING: Domain = Domain::new("example greeting v1");
//!
//! let alice = Identity::from_seed(&Seed([7; 64]))?; // 64 bytes from a random generator in real use
//! let signature = alice.sign(GREETING, b"hello")?;
//!
//! let seen_by_bob = PublicIdentity::from_bytes(&alice.public().to_bytes())?;
//! assert_eq!(seen_by_bob.key_id(), alice.key_id());
//! seen_by_bob.verify(GREETING, b"hello", &signature)?;
//! assert!(seen_by_bob.verify(GREETING, b"hallo", &signature).is_err());
//! # Ok::<(), identity::Error>(())
//! ```

mod backend;
pub mod canonical;
mod classical;
mod domain;
mod error;
mod keys;
mod signature;
mod stream;

pub use backend::Backend;
pub use classical::ClassicalSignature;
pub use core_types::{KeyId, StreamId};
pub use domain::Domain;
pub use error::{Error, Fault, Half};
pub use keys::{Identity, PublicIdentity, Seed};
pub use signature::HybridSignature;
pub use stream::stream_id;
