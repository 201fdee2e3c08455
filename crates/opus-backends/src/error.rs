//! The one error type of this crate.

use core::ffi::c_int;
use opusic_sys as ffi;

/// Why libopus did not do what it was asked for. [`Error::is_packet_fault`] tells which is the fault of whoever made the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's buffer is no whole number of samples of every channel, or longer than 120 ms.
    #[error("{operation}: {samples} samples are no frame: {channels} channels, at most 120 ms")]
    FrameLength {
        /// The libopus function.
        operation: &'static str,
        /// Samples given, all channels together.
        samples: usize,
        /// Channels in force.
        channels: usize,
    },
    /// The caller's argument is one that libopus does not take.
    #[error("{operation}: libopus does not take this argument")]
    Argument {
        /// The libopus function.
        operation: &'static str,
    },
    /// libopus could not get the memory it needs.
    #[error("libopus ran out of memory")]
    OutOfMemory,
    /// The packet is damaged.
    #[error("{operation}: the packet is damaged")]
    Packet {
        /// The libopus function.
        operation: &'static str,
    },
    /// Another failure.
    #[error("{operation}: libopus failed with code {code}")]
    Backend {
        /// The libopus function.
        operation: &'static str,
        /// Its error code, negative.
        code: i32,
    },
}

impl Error {
    /// True when the packet is at fault rather than the caller or the machine.
    pub const fn is_packet_fault(&self) -> bool {
        matches!(self, Self::Packet { .. })
    }

    /// The libopus function that failed.
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::FrameLength { operation, .. }
            | Self::Argument { operation }
            | Self::Packet { operation }
            | Self::Backend { operation, .. } => operation,
            Self::OutOfMemory => "create",
        }
    }

    /// What went wrong, without the details.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::FrameLength { .. } => "the buffer is no frame",
            Self::Argument { .. } => "invalid argument",
            Self::OutOfMemory => "out of memory",
            Self::Packet { .. } => "corrupted stream",
            Self::Backend { .. } => "internal error",
        }
    }
}

/// A count that libopus returned, or its error.
pub(crate) fn check(code: c_int, operation: &'static str) -> Result<usize, Error> {
    match usize::try_from(code) {
        Ok(count) => Ok(count),
        Err(_) => Err(match code {
            ffi::OPUS_BAD_ARG | ffi::OPUS_UNIMPLEMENTED => Error::Argument { operation },
            ffi::OPUS_ALLOC_FAIL => Error::OutOfMemory,
            ffi::OPUS_INVALID_PACKET | ffi::OPUS_BUFFER_TOO_SMALL => Error::Packet { operation },
            _ => Error::Backend { operation, code },
        }),
    }
}

/// Samples per channel of a buffer, if it is one that libopus may be handed.
pub(crate) fn frame_size(
    samples: usize,
    channels: usize,
    rate: u32,
    operation: &'static str,
) -> Result<c_int, Error> {
    let per_channel = samples / channels;
    // 120 ms, the longest packet; libopus keeps buffers of this length on the stack.
    let longest = rate as usize * 3 / 25;
    if per_channel == 0 || !samples.is_multiple_of(channels) || per_channel > longest {
        return Err(Error::FrameLength { operation, samples, channels });
    }
    Ok(per_channel as c_int)
}
