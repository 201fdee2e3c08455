//! Canonical bytes of what the predecessor signed and hashed. **Compatibility, not for new use.**
//!
//! Nothing on this protocol's wire has these layouts, and no crate of this workspace depends on this one. Whoever holds signatures or
//! roots of the predecessor makes the bytes that they are over here, and checks them with whatever made them. It only writes: there is
//! no parser, and nothing is signed, verified or sealed.
//!
//! | what | here | what took its place |
//! |---|---|---|
//! | root over leaves | [`merkle_root`] | proofs of authorship, spec 25 section 2 |
//! | who holds which claims | [`Witness`] | nothing |
//! | a claim in an envelope | [`SignedClaim`] | domains of hybrid signatures, spec 10 section 3 |
//! | which symbols a peer holds, and wants to drop | [`HoldingClaim`], [`CompressRequest`] | manifests, spec 82 section 7 |
//! | what a relay can carry | [`capacity`], both layouts | capacity claims, spec 55 |
//! | what was put together of what | [`AggregationMeta`], [`member_commitment`], [`descend`] | nothing |
//! | room and wants | [`StorageBudget`], [`CorpusWant`] | nothing |
//! | chunks | [`chunk`]: nonces and header | spec 20 |
//!
//! The priority by which symbols are kept is the predecessor's still: `symbol_store::Retention`, spec 82 section 2.
//!
//! What is wrong with them, and why they are not for new use:
//!
//! - roots: a node that is odd is paired with itself, so `[a, b, c]` and `[a, b, c, c]` share one; leaves and nodes have no tags that
//!   tell them apart ([`merkle_root`] shows it);
//! - lengths are of four bytes in some and eight in others, and separators have no length: a structure is told from another by luck;
//! - rates are floats in one capacity layout, and the other leaves out what it is for, under the same separator;
//! - names are text that anybody can choose, not a hash of the peer's keys;
//! - of a chunk the header is not authenticated, and nonces do not depend on the sender.
//!
//! ```
//! use core_types::WallTime;
//! use holonomic_compat::{ContentName, HoldingClaim, PeerName, SymbolIndex};
//!
//! let claim = HoldingClaim {
//!     holder: PeerName("node-1"),
//!     content: ContentName("a-recording"),
//!     symbols: &[SymbolIndex(7), SymbolIndex(2)],
//!     observed_at: WallTime(1_700_000_000_000),
//! };
//! let bytes = claim.canonical_bytes()?;
//! assert!(bytes.starts_with(b"ciris-edge/holding-claim/v1"));
//! // Symbols are written in ascending order, whatever order they are given in.
//! assert_eq!(bytes[bytes.len() - 20..bytes.len() - 12], [0, 0, 0, 2, 0, 0, 0, 7]);
//! # Ok::<(), holonomic_compat::Error>(())
//! ```

mod aggregation;
pub mod capacity;
pub mod chunk;
mod claim;
pub mod domain;
mod error;
mod fountain;
mod merkle;
mod names;
mod storage;
mod witness;
mod write;

pub use aggregation::{AggregationMeta, MetaVersion, descend, member_commitment};
pub use claim::{OwnerBinding, SignedClaim};
pub use error::Error;
pub use fountain::{CompressRequest, HoldingClaim};
pub use merkle::{Root, merkle_root};
pub use names::{
    AlgorithmName, ClaimKind, CohortScope, ContentName, CorpusKind, EpochName, Mass, MemberName, Namespace,
    Occurrence, PeerName, SymbolIndex,
};
pub use storage::{CorpusWant, ScopeBudget, StorageBudget};
pub use witness::Witness;

/// Versions that the structures state, and the one limit that was published with them.
pub mod version {
    /// Of a [`Witness`](crate::Witness), u16.
    pub const WITNESS: u16 = 1;
    /// Of a [`SignedClaim`](crate::SignedClaim), u16.
    pub const SIGNED_CLAIM: u16 = 1;
    /// Of a [`HoldingClaim`](crate::HoldingClaim), u32.
    pub const HOLDING_CLAIM: u32 = 1;
    /// Of a [`CompressRequest`](crate::CompressRequest), u32.
    pub const COMPRESS_REQUEST: u32 = 1;
    /// Of a [`StorageBudget`](crate::StorageBudget), u32.
    pub const STORAGE_BUDGET: u32 = 1;
    /// Of a [`CorpusWant`](crate::CorpusWant), u32.
    pub const CORPUS_WANT: u32 = 1;
    /// How many witnesses were followed back at most, from the newest to a root that is trusted.
    pub const MAX_WITNESS_CHAIN: usize = 5;
}
