//! What can go wrong with the store.

/// An error of this crate. Cryptographic failures are `openmls_traits::types::CryptoError`, which `openmls` wraps itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `openmls` handed over something that can't be encoded. A fault of the library or of its version.
    #[error("could not encode {what}: {reason}")]
    Encode {
        /// Which entity.
        what: &'static str,
        /// The encoder's words.
        reason: String,
    },
    /// An entity in the store is not what this version of `openmls` writes.
    #[error("could not decode {what}: {reason}; was it written by another version?")]
    Decode {
        /// Which entity.
        what: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// A snapshot or batch is damaged or of another format. Nothing of it was taken over.
    #[error("not a {what} of this format: {reason}")]
    Malformed {
        /// "snapshot" or "batch".
        what: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The tree of a group is in its `MlsGroup` alone: hand that group to `snapshot`, or load from one.
    #[error("the ratchet tree of a group is not in the store; snapshot needs the group itself")]
    TreeNotStored,
    /// More than the format can count. No group of the sizes that MLS is used for comes near.
    #[error("{0} is too large for the store")]
    TooLarge(&'static str),
}
