//! What an encoder and a decoder are to the rest of the system.

use core_types::{BitRate, MediaTime};

use crate::{Error, Frame};

/// One coded picture: a temporal unit in the low-overhead format (AV1 specification, section 5.2), temporal delimiter
/// included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The bytes.
    pub data: Vec<u8>,
    /// The time that came with the frame.
    pub pts: MediaTime,
    /// True when a decoder can start here: the packet holds a sequence header and a key frame.
    pub key_frame: bool,
    /// The target that the encoder had for it.
    pub bit_rate: BitRate,
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedFrame {
    /// The picture.
    pub frame: Frame,
    /// The time that came with the packet.
    pub pts: MediaTime,
}

/// Frames in, packets out, in the same order.
pub trait VideoEncoder: Send {
    /// Takes one frame; gives the packets that have become ready, which may be of earlier frames. With `force_key` the
    /// packet of this very frame will be a key frame.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] for a frame of another size; [`Error::Encoder`] when coding fails.
    fn encode(&mut self, frame: &Frame, pts: MediaTime, force_key: bool) -> Result<Vec<Packet>, Error>;

    /// Gives the packets of all frames that are still held back. The next frame starts anew with a key frame.
    ///
    /// # Errors
    /// [`Error::Encoder`] when coding fails.
    fn flush(&mut self) -> Result<Vec<Packet>, Error>;

    /// Aims at another bit rate from the next frame on. No picture is lost over it and none comes earlier or later; the
    /// same rate again does nothing. An encoder that can't change in mid-stream makes that frame a key frame, and may put
    /// the change off until an earlier one is through: of the rates asked for meanwhile only the last one counts.
    ///
    /// # Errors
    /// [`Error::Config`] for a rate that it can't do; it goes on as before.
    fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), Error>;

    /// The bit rate that was asked for last.
    fn bit_rate(&self) -> BitRate;

    /// How many further frames the encoder wants to see before it gives a frame's packet.
    fn delay_frames(&self) -> usize;
}

/// Packets in, frames out, in the same order.
///
/// A decoder can't tell that a packet is missing: it would go on with wrong reference pictures. Whoever sees the gap calls
/// [`VideoDecoder::reset`]; from then on, and after every error, packets are refused with [`Error::AwaitingKeyFrame`] until
/// one holds a key frame.
pub trait VideoDecoder: Send {
    /// Takes one temporal unit; gives the pictures that have become ready.
    ///
    /// # Errors
    /// [`Error::AwaitingKeyFrame`], see above; otherwise the peer's fault: [`Error::Malformed`], [`Error::Unsupported`] or
    /// [`Error::Decoder`].
    fn decode(&mut self, data: &[u8], pts: MediaTime) -> Result<Vec<DecodedFrame>, Error>;

    /// Gives the pictures that are still held back.
    ///
    /// # Errors
    /// As [`VideoDecoder::decode`].
    fn flush(&mut self) -> Result<Vec<DecodedFrame>, Error>;

    /// Forgets the stream; the next packet must be a key frame.
    fn reset(&mut self);
}
