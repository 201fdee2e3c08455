//! The one error type of this crate.

/// A value that is not one of ours. Each variant names the value and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A codec id byte that the registry does not list.
    #[error("unknown codec id {0:#04x}; known are 0x01 AV1, 0x02 JPEG XS, 0x03 MDC, 0x04 Opus, 0xff opaque")]
    UnknownCodec(u8),
    /// An id in text form that is not 52 characters of lower-case base32.
    #[error("malformed id {0:?}: expected 52 characters of lower-case base32 without padding")]
    MalformedId(String),
    /// A picture size that can't be coded as 4:2:0.
    #[error("unsupported picture size {width}x{height}: both sides must be even and between 16 and 4096")]
    FrameSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A frame rate that is zero or above 240 frames per second.
    #[error("unsupported frame rate {num}/{den}: must be above 0 and at most 240 frames per second")]
    FrameRate {
        /// Numerator.
        num: u32,
        /// Denominator.
        den: u32,
    },
    /// A fountain symbol size that is zero, too large, or not a multiple of 64 bytes.
    #[error("unsupported symbol size {0}: must be a multiple of 64 between 64 and 16384 bytes")]
    SymbolSize(u32),
    /// A symbol id that does not fit 24 bits.
    #[error("symbol id {0} does not fit 24 bits")]
    SymbolId(u32),
    /// Chunk marks that no chunk can have.
    #[error("chunk marks {0:#04x}: must be four bits, and a first chunk is no repair symbol")]
    Marks(u8),
    /// A stripe count or index out of range.
    #[error("stripe {index} of {count} is out of range: 1 to 16 stripes, indices below the count")]
    Stripe {
        /// How many stripes the stream has.
        count: u8,
        /// The index asked for.
        index: u8,
    },
}
