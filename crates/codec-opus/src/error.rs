//! The one error type of this crate.

use core::time::Duration;
use core_types::BitRate;

/// Why audio could not be coded. [`Error::is_peer_fault`] tells whom to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's PCM is not exactly one frame.
    #[error(
        "{actual} samples given, a frame has {expected} (all channels together); cut the input into frames"
    )]
    FrameLength {
        /// Samples that one frame has, all channels together.
        expected: usize,
        /// Samples given.
        actual: usize,
    },
    /// The caller's bit rate is outside what Opus codes.
    #[error("bit rate of {0} is outside Opus's 6 to 510 kbit/s")]
    BitRate(BitRate),
    /// The caller's loss estimate is not a percentage.
    #[error("expected loss of {0} %: must be 0 to 100")]
    LossPercent(u8),
    /// The caller's redundancy is longer than Opus describes, or no multiple of its unit.
    #[error("redundancy of {0:?}: must be a multiple of 10 ms, up to 1.04 s")]
    Redundancy(Duration),
    /// The caller's delays contradict one another.
    #[error(
        "delays of {least:?} at least, {start:?} at first, {repair:?} for repair and {most:?} at most: must be in order, up to 8 s"
    )]
    Delays {
        /// The least delay.
        least: Duration,
        /// The delay at first.
        start: Duration,
        /// The most delay for the sake of repair.
        repair: Duration,
        /// The most delay.
        most: Duration,
    },
    /// libopus refused a setting or ran out of memory.
    #[error("libopus failed in {operation}: {reason}")]
    Codec {
        /// The libopus function.
        operation: &'static str,
        /// libopus's description.
        reason: &'static str,
    },
    /// The peer's packet is longer than any Opus packet needs to be.
    #[error("Opus packet of {len} bytes, at most {max} are allowed; drop it and conceal")]
    PacketLength {
        /// Bytes received.
        len: usize,
        /// The limit, [`PacketInfo::MAX_PACKET_LEN`](crate::PacketInfo::MAX_PACKET_LEN).
        max: usize,
    },
    /// The peer's packet breaks the rules of RFC 6716 section 3.4.
    #[error("malformed Opus packet: {0}; drop it and conceal")]
    MalformedPacket(&'static str),
}

impl Error {
    /// True if a peer sent what it must not send; false if the caller asked for something impossible.
    pub const fn is_peer_fault(&self) -> bool {
        matches!(self, Self::PacketLength { .. } | Self::MalformedPacket(_))
    }

    /// For a call without a packet.
    pub(crate) const fn codec(error: opus_backends::Error) -> Self {
        Self::Codec { operation: error.operation(), reason: error.reason() }
    }

    /// For a call whose arguments are right by construction but for the packet: a failure is the packet's.
    pub(crate) const fn of_packet(error: opus_backends::Error) -> Self {
        match error {
            opus_backends::Error::OutOfMemory | opus_backends::Error::FrameLength { .. } => {
                Self::codec(error)
            }
            _ => Self::MalformedPacket(error.reason()),
        }
    }
}
