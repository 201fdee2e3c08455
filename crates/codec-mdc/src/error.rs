//! The one error type of this crate.

use crate::{Description, FrameNumber};

/// Why a frame could not be coded or a payload not be used. [`Error::is_peer_fault`] tells whom to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another number of descriptions than there can be.
    #[error("{0} descriptions asked for: there can be 2 or 4")]
    Count(usize),
    /// An index that none of them has.
    #[error("there is no description {index}: they are 0 to {}", of - 1)]
    NoSuchDescription {
        /// What was asked for.
        index: usize,
        /// How many there are.
        of: usize,
    },
    /// A path that names no description.
    #[error("the path {0:?} names no description: such are [0], [1], and [0, 0] to [1, 1]")]
    Path(Vec<u8>),
    /// A setting out of range.
    #[error("unsupported setting: {0}")]
    Config(&'static str),
    /// A payload that is not what the specification says (spec 68).
    #[error("{description}, frame {frame}: {why}; drop the payload")]
    Payload {
        /// The description that it came as.
        description: Description,
        /// The frame that it came for.
        frame: FrameNumber,
        /// What is wrong.
        why: &'static str,
    },
    /// The pictures inside could not be coded or decoded.
    #[error(transparent)]
    Video(#[from] codec_av1::Error),
    /// libaom refused something.
    #[error(transparent)]
    Backend(#[from] av1_backends::Error),
    /// A layer could not be cut into shares or put together.
    #[error(transparent)]
    Fountain(#[from] codec_fountain::Error),
}

impl Error {
    /// True if whoever made the payload is at fault; false for the caller's own mistakes and this machine's limits.
    pub const fn is_peer_fault(&self) -> bool {
        match self {
            Self::Payload { .. } => true,
            Self::Video(error) => error.is_peer_fault(),
            _ => false,
        }
    }
}
