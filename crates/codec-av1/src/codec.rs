//! What an encoder and a decoder are to the rest of the system.

use core_types::{BitRate, FrameRate, Layer, LayerPolicy, MediaTime, ObjectClass};

use crate::{Error, Frame};

/// One coded picture, or what one layer adds to it, in the low-overhead format (AV1 specification, section 5.2). The lowest layer's
/// begins with a temporal delimiter; those of the same time, put together from the lowest layer up, are a temporal unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The bytes.
    pub data: Vec<u8>,
    /// The time that came with the frame.
    pub pts: MediaTime,
    /// True when a decoder can start here: the packet holds a sequence header and a key frame.
    pub key_frame: bool,
    /// The target that the encoder had for it, over all layers.
    pub bit_rate: BitRate,
    /// The layer that it is of. AV1's own headers do not always say.
    pub layer: Layer,
    /// What it is to others: whether something refers to it, and whether its layer can be taken up here.
    pub class: ObjectClass,
}

impl Packet {
    /// A packet of a stream that has one layer, whose pictures each refer to the one before.
    pub const fn plain(data: Vec<u8>, pts: MediaTime, key_frame: bool, bit_rate: BitRate) -> Self {
        let class = if key_frame { ObjectClass::KeyFrame } else { ObjectClass::Plain };
        Self { data, pts, key_frame, bit_rate, layer: Layer::BASE, class }
    }
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

    /// Counts with another frame rate from the next frame on.
    ///
    /// # Errors
    /// [`Error::Config`] when it can't; it goes on as before. That is what it does unless an encoder has more to say.
    fn set_frame_rate(&mut self, rate: FrameRate) -> Result<(), Error> {
        Err(Error::Config(format!("{rate}: this encoder keeps the frame rate that it began with")))
    }

    /// Codes the layers that the policy admits and no others, from the next frame on. The lowest one always is coded. A layer that
    /// comes back begins with a switch point; the bit rate of those that go is not spent. Unless an encoder has more to say it has
    /// one layer, and there is nothing to leave out.
    fn set_layers(&mut self, policy: LayerPolicy) {
        let _ = policy;
    }

    /// Makes the next frame one with which every layer can be taken up by who has those below it. Costs bits in the layers above the
    /// lowest; nothing where there are none.
    fn request_switch_point(&mut self) {}

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

    /// True if nothing can be decoded until a key frame comes: ask the sender for one. So it is at the start, after every error and after
    /// a reset.
    fn needs_key_frame(&self) -> bool;
}
