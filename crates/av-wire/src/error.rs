//! The one error type of this crate.

use crate::permit::PermitRefusal;
use crate::{LinkRefusal, LinkSeq};
use core_types::{ChunkSeq, Epoch, StreamId};

/// Who is to blame for an [`Error`]: what a node scores peers by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes came from somebody else and are wrong.
    Peer,
    /// The calling code asked for something that cannot be done.
    Caller,
    /// Nobody: a limit was reached, or a key is not there yet.
    State,
}

/// What went wrong with a chunk, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than the structure needs.
    #[error("{what} is cut short: {have} bytes where at least {need} are needed")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// More bytes than the limit allows; refused before anything is allocated for them.
    #[error("{what} has {have} bytes; the limit is {limit}")]
    TooLarge {
        /// The structure.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
        /// Bytes there.
        have: usize,
    },
    /// A field with a value that the specification does not allow.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// The structure.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A value that the shared types refuse, such as an unknown codec id.
    #[error("malformed chunk: {0}")]
    Value(#[from] core_types::Error),
    /// The tag does not fit: the chunk was altered, or sealed by somebody else or under another key.
    #[error("chunk {seq} of stream {} in epoch {epoch} does not authenticate", .stream.short())]
    Authentication {
        /// Stream named in the header.
        stream: StreamId,
        /// Epoch named in the header.
        epoch: Epoch,
        /// Number named in the header.
        seq: ChunkSeq,
    },
    /// An authentic chunk that was taken before, or that is older than the replay window.
    #[error("chunk {seq} of stream {} in epoch {epoch} was taken before", .stream.short())]
    Replayed {
        /// Its stream.
        stream: StreamId,
        /// Its epoch.
        epoch: Epoch,
        /// Its number.
        seq: ChunkSeq,
    },
    /// No key for that epoch is held (any more, or yet).
    #[error("no key for epoch {epoch} of stream {}; newest held is {newest:?}", .stream.short())]
    NoKey {
        /// Stream named in the header.
        stream: StreamId,
        /// Epoch named in the header.
        epoch: Epoch,
        /// The newest epoch with a key, if any.
        newest: Option<Epoch>,
    },
    /// The chunk belongs to another stream or epoch than the opener.
    #[error("chunk of stream {} in epoch {epoch} was given to another stream's or epoch's keys", .stream.short())]
    WrongKeys {
        /// Stream named in the header.
        stream: StreamId,
        /// Epoch named in the header.
        epoch: Epoch,
    },
    /// All chunk numbers that may be used in the epoch are used up.
    #[error(
        "stream {} has used all its chunk numbers of epoch {epoch} below {end}: persist another reservation, or at 2^48 \
         start a new epoch", .stream.short()
    )]
    Exhausted {
        /// The stream.
        stream: StreamId,
        /// The epoch.
        epoch: Epoch,
        /// The first number that may not be used.
        end: ChunkSeq,
    },
    /// A signature or an identity in a signed structure is wrong.
    #[error("{what}: {source}")]
    Identity {
        /// The structure.
        what: &'static str,
        /// What the identity crate says.
        source: identity::Error,
    },
    /// A link did not take or send a datagram.
    #[error("datagram {} of a link: {why}", .seq.map_or_else(|| "?".to_owned(), |seq| seq.to_string()))]
    Link {
        /// Its link number, as far as it is known.
        seq: Option<LinkSeq>,
        /// Why.
        why: LinkRefusal,
    },
    /// A permit that its issuer signed is of no use here and now.
    #[error("permit {serial}: {why}")]
    Permit {
        /// Its serial number.
        serial: u64,
        /// Why.
        why: PermitRefusal,
    },
    /// The cryptographic library refused; does not happen with well-formed keys.
    #[error("{0} failed in the cryptographic library")]
    Crypto(&'static str),
}

impl Error {
    /// Who is to blame.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Truncated { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Value(_)
            | Self::Authentication { .. }
            | Self::Replayed { .. }
            | Self::Identity { .. }
            | Self::Link {
                why: LinkRefusal::NotAuthentic | LinkRefusal::Replayed | LinkRefusal::AliasInUse,
                ..
            }
            | Self::Permit {
                why: PermitRefusal::OtherSession | PermitRefusal::OtherHolder | PermitRefusal::OtherRole,
                ..
            } => Fault::Peer,
            Self::WrongKeys { .. } | Self::Crypto(_) | Self::Link { why: LinkRefusal::WrongSuite, .. } => {
                Fault::Caller
            }
            Self::NoKey { .. } | Self::Exhausted { .. } | Self::Link { .. } | Self::Permit { .. } => {
                Fault::State
            }
        }
    }
}
