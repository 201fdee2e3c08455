//! The one error type of this crate.

/// Why a stream could not be decoded, or a picture not be coded. [`Error::is_stream_fault`] tells which are the fault of whoever
/// made the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The OBU framing of a temporal unit does not hold together (AV1 specification, section 5.3).
    #[error("malformed OBU at byte {offset}: {reason}")]
    Framing {
        /// Where the OBU starts in the temporal unit.
        offset: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A temporal unit longer than [`MAX_TEMPORAL_UNIT`](crate::MAX_TEMPORAL_UNIT).
    #[error("temporal unit of {bytes} bytes: the limit is {limit}", limit = crate::MAX_TEMPORAL_UNIT)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A picture with more pixels than the settings allow.
    #[error("picture larger than the limit of {max_pixels} pixels")]
    TooLarge {
        /// The limit in force.
        max_pixels: u32,
    },
    /// A picture of another depth than 8 or 10 bits a sample.
    #[error("unsupported bit depth: only 8 and 10 bits a sample are decoded")]
    UnsupportedDepth,
    /// Well framed, but not decodable: damaged, or it refers to pictures that the decoder does not hold.
    #[error("AV1 data can't be decoded; reset the decoder and go on at the next key frame")]
    Invalid,
    /// The caller fed data before it had taken all pictures.
    #[error(
        "pictures of the previous temporal unit are still waiting: call next_picture until it gives None"
    )]
    Undrained,
    /// The decoder or encoder could not get the memory it needs.
    #[error("the AV1 codec ran out of memory")]
    OutOfMemory,
    /// The encoder was asked for something that there is not.
    #[error("AV1 encoder setting: {0}")]
    Setting(&'static str),
    /// The encoder gave up.
    #[error("the AV1 encoder failed with code {code}: {what}")]
    Encoder {
        /// libaom's `aom_codec_err_t`.
        code: u32,
        /// What it says of the reason.
        what: String,
    },
    /// The decoder refused for a reason that it does not document.
    #[error("the AV1 decoder failed with code {code}")]
    Backend {
        /// A negative `errno` value.
        code: i32,
    },
}

impl Error {
    /// True when the stream is at fault rather than the caller or the machine.
    pub const fn is_stream_fault(&self) -> bool {
        !matches!(
            self,
            Self::Undrained
                | Self::OutOfMemory
                | Self::Backend { .. }
                | Self::Setting(_)
                | Self::Encoder { .. }
        )
    }
}
