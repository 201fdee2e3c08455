//! The one error type of this crate.

use core_types::KeyId;

/// Why a key, a signature or a canonical encoding was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One half of a hybrid signature does not verify: the bytes are not what this peer signed in this domain.
    #[error("bad {half} signature of peer {peer} in domain {domain:?}; drop the message")]
    BadSignature {
        /// Who was said to have signed.
        peer: KeyId,
        /// The domain it was checked in.
        domain: &'static str,
        /// The half that failed first.
        half: Half,
    },
    /// The Ed25519 part of a public identity is not a canonical point or is one of small order.
    #[error("public identity holds an Ed25519 key that is malformed or of small order; refuse the peer")]
    MalformedKey,
    /// A fixed-size value came in another size.
    #[error("{what} must be {want} bytes, got {got}")]
    Size {
        /// What was being read.
        what: &'static str,
        /// The only right size in bytes.
        want: usize,
        /// The size that came.
        got: usize,
    },
    /// Canonical bytes end before the structure does.
    #[error("canonical bytes end early: {want} more bytes needed at offset {offset}, {left} left")]
    Truncated {
        /// Where in the input, in bytes.
        offset: usize,
        /// Bytes needed there.
        want: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// Canonical bytes go on after the structure ended.
    #[error("{0} bytes after the end of a canonical structure")]
    TrailingBytes(usize),
    /// A variable-length field read from canonical bytes is longer than its limit.
    #[error("field of {len} bytes at offset {offset} is above its limit of {max}")]
    FieldTooLong {
        /// Where in the input, in bytes.
        offset: usize,
        /// The length that it states.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// A value to be encoded is longer than its limit.
    #[error("{what} of {len} bytes is above the limit of {max}; shorten it")]
    ValueTooLong {
        /// What was being encoded.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The cryptographic library refused an operation that should not fail.
    #[error("cryptographic library failed at: {0}")]
    Backend(&'static str),
}

impl Error {
    /// Who has to do something about it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::BadSignature { .. }
            | Self::MalformedKey
            | Self::Size { .. }
            | Self::Truncated { .. }
            | Self::TrailingBytes(_)
            | Self::FieldTooLong { .. } => Fault::Peer,
            Self::ValueTooLong { .. } => Fault::Caller,
            Self::Backend(_) => Fault::Internal,
        }
    }
}

/// Whose fault an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Whoever made the bytes that were read: a peer, or a damaged file.
    Peer,
    /// The code that called, with a value that it should not have passed.
    Caller,
    /// Neither: a library below failed.
    Internal,
}

/// The halves of a hybrid signature. Closed: there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Half {
    /// The classical half (RFC 8032).
    Ed25519,
    /// The post-quantum half (FIPS 204).
    MlDsa65,
}

impl core::fmt::Display for Half {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::MlDsa65 => "ML-DSA-65",
        })
    }
}
