//! The one error type of this crate.

use core_types::FrameSize;

/// Why a frame could not be coded or a packet not be shown. [`Error::is_peer_fault`] tells a bad stream from a bad call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not one picture of the size they were said to have.
    #[error("{actual} bytes are not a {size} picture, which has {expected} in 4:2:0")]
    FrameLength {
        /// The size that was asked for.
        size: FrameSize,
        /// How many bytes such a picture has.
        expected: usize,
        /// How many bytes there were.
        actual: usize,
    },
    /// A frame of another size than the encoder's, or two frames that can't be compared.
    #[error("a {actual} frame where {expected} is needed")]
    SizeMismatch {
        /// The size that fits.
        expected: FrameSize,
        /// The size of the frame.
        actual: FrameSize,
    },
    /// An encoder setting out of range.
    #[error("unsupported encoder setting: {0}")]
    Config(String),
    /// The encoder gave up.
    #[error("AV1 encoder: {0}")]
    Encoder(String),
    /// A packet whose headers can't be parsed (AV1 specification, sections 5.3 and 5.5).
    #[error("malformed AV1 packet: {0}")]
    Malformed(&'static str),
    /// A packet without the sequence header that it should carry.
    #[error("the packet carries no sequence header; take one that starts with a key frame")]
    NoSequenceHeader,
    /// Packets that complete one that is missing: lost on the way, most likely.
    #[error("a layer came without the one that it completes")]
    MissingLayer,
    /// A stream that is valid but not for us.
    #[error("unsupported AV1 stream: {0}")]
    Unsupported(String),
    /// The decoder was just made or reset, or had an error, and this packet is no key frame to start from.
    #[error("waiting for a key frame")]
    AwaitingKeyFrame,
    /// The decoder could not use the packet; it now waits for a key frame.
    #[error("AV1 decoder, now waiting for a key frame: {0}")]
    Decoder(#[from] av1_backends::Error),
}

impl Error {
    /// True when whoever made the stream is at fault; false for the caller's own mistakes, for packets that merely came
    /// before a key frame, and for this machine's limits.
    pub const fn is_peer_fault(&self) -> bool {
        match self {
            Self::Malformed(_) | Self::NoSequenceHeader | Self::Unsupported(_) => true,
            Self::Decoder(error) => error.is_stream_fault(),
            _ => false,
        }
    }
}
