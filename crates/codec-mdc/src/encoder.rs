//! One encoder for both ways.

use codec_av1::{EncoderConfig, Frame, Structure};
use core_types::{BitRate, FrameRate, MediaTime, ObjectClass};

use crate::{AlternatingEncoder, Description, Descriptions, Error, FrameNumber, PriorityEncoder};

/// How descriptions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Every description has every frame, well or with few bits, in turn. Any one gives nearly what all give.
    Alternating,
    /// The lowest of these layers is in every description, those above it take all descriptions but one (both of two).
    Priority(Structure),
}

/// What of a frame goes out in one description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// In which.
    pub description: Description,
    /// Which frame. The receiver has to be given this number with the bytes.
    pub frame: FrameNumber,
    /// The time that came with the frame.
    pub pts: MediaTime,
    /// What it is to others of its description. One that is discardable may be dropped first, and need not be asked for when it is lost.
    pub class: ObjectClass,
    /// The bytes (spec 68).
    pub data: Vec<u8>,
}

/// Frames to payloads, one for each description and frame, without delay.
#[derive(Debug)]
pub struct MdcEncoder(Inner);

#[derive(Debug)]
enum Inner {
    Alternating(AlternatingEncoder),
    Priority(Box<PriorityEncoder>),
}

impl MdcEncoder {
    /// Opens an encoder. The bit rate is that of all descriptions together.
    ///
    /// # Errors
    /// Those of [`AlternatingEncoder::new`] and [`PriorityEncoder::new`].
    pub fn new(config: EncoderConfig, of: Descriptions, scheme: Scheme) -> Result<Self, Error> {
        Ok(Self(match scheme {
            Scheme::Alternating => Inner::Alternating(AlternatingEncoder::new(config, of)?),
            Scheme::Priority(structure) => {
                Inner::Priority(Box::new(PriorityEncoder::new(config, structure, of)?))
            }
        }))
    }

    /// Gives a payload for each description, in their order.
    ///
    /// # Errors
    /// Those of [`AlternatingEncoder::encode`] and [`PriorityEncoder::encode`].
    pub fn encode(&mut self, frame: &Frame, pts: MediaTime) -> Result<Vec<Payload>, Error> {
        match &mut self.0 {
            Inner::Alternating(encoder) => encoder.encode(frame, pts),
            Inner::Priority(encoder) => encoder.encode(frame, pts),
        }
    }

    /// A receiver can't go on with that description: it begins anew with the next frame. Where descriptions have no pictures of their own,
    /// all do.
    pub fn request_key_frame(&mut self, description: Description) {
        match &mut self.0 {
            Inner::Alternating(encoder) => encoder.request_key_frame(description),
            Inner::Priority(encoder) => encoder.request_key_frame(),
        }
    }

    /// Aims at another bit rate, of all descriptions together, from the next frame on. No key frame comes of it.
    ///
    /// # Errors
    /// For a rate that it can't do; it goes on as before.
    pub fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), Error> {
        match &mut self.0 {
            Inner::Alternating(encoder) => encoder.set_bit_rate(bit_rate),
            Inner::Priority(encoder) => encoder.set_bit_rate(bit_rate),
        }
    }

    /// Counts with another frame rate from the next frame on.
    pub fn set_frame_rate(&mut self, rate: FrameRate) {
        match &mut self.0 {
            Inner::Alternating(encoder) => encoder.set_frame_rate(rate),
            Inner::Priority(encoder) => encoder.set_frame_rate(rate),
        }
    }

    /// What it was made with, and the rates that were asked for last.
    pub fn config(&self) -> EncoderConfig {
        match &self.0 {
            Inner::Alternating(encoder) => *encoder.config(),
            Inner::Priority(encoder) => encoder.config(),
        }
    }
}
