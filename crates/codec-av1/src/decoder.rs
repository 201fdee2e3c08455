//! Packets to frames through rav1d.

use core::num::NonZeroU32;

use av1_backends::{Decoder, Layout, ObuLayer, Picture, Plane, Settings};
use core_types::{FrameSize, MediaTime};

use crate::frame::eight_bits;
use crate::sequence::SequenceHeader;
use crate::unit::TemporalUnit;
use crate::{DecodedFrame, Error, Frame, VideoDecoder};

/// The most pictures that one temporal unit may show. The specification has one; without a bound a packet of a few
/// kilobytes could ask for gigabytes of copies.
const MAX_SHOWN: usize = 4;

/// An AV1 decoder without delay, on the calling thread: the pictures of a packet come with the call that takes it. Takes 4:2:0 streams
/// of 8 bits a sample, and of 10, which it rounds to 8.
///
/// Of a stream in layers it takes temporal units (see [`join_layers`](crate::join_layers)) and shows the highest spatial layer that is
/// there, in its own size: when layers are missing at the top, the pictures are smaller. [`Rav1dDecoder::set_highest`] leaves some out.
#[derive(Debug)]
pub struct Rav1dDecoder {
    backend: Decoder,
    max_size: FrameSize,
    highest: ObuLayer,
    awaiting_key_frame: bool,
}

impl Rav1dDecoder {
    /// A decoder that refuses pictures with more pixels than `max_size` has, before it takes memory for them.
    ///
    /// # Errors
    /// [`Error::Decoder`] when there is no memory for it.
    pub fn new(max_size: FrameSize) -> Result<Self, Error> {
        let pixels = u32::try_from(max_size.width() * max_size.height()).ok().and_then(NonZeroU32::new);
        let settings = Settings { max_pixels: pixels.unwrap_or(Settings::MAX_PIXELS) };
        let highest = ObuLayer { temporal: u8::MAX, spatial: u8::MAX };
        Ok(Self { backend: Decoder::new(settings)?, max_size, highest, awaiting_key_frame: true })
    }

    /// Decodes no layers above these, by AV1's own count: its spatial layers are resolutions or qualities. Temporal units of a higher
    /// temporal layer then give no picture. That is cheaper than decoding what nobody looks at.
    ///
    /// A lower bound holds from the next temporal unit on. So does a higher one: give it with a key frame or a switch point of the layers
    /// that it lets in, or they are decoded from pictures that are missing.
    pub const fn set_highest(&mut self, spatial_id: u8, temporal_id: u8) {
        self.highest = ObuLayer { temporal: temporal_id, spatial: spatial_id };
    }

    fn try_decode(&mut self, data: &[u8], pts: MediaTime) -> Result<Vec<DecodedFrame>, Error> {
        let unit = TemporalUnit::inspect(data)?;
        if let Some(sequence) = &unit.sequence {
            self.check(sequence)?;
        }
        if self.awaiting_key_frame && !unit.starts_stream {
            return Err(Error::AwaitingKeyFrame);
        }
        match crate::join::up_to(data, self.highest)? {
            Some(lower) => self.backend.feed(&lower, pts.0.cast_signed())?,
            None => self.backend.feed(data, pts.0.cast_signed())?,
        }
        self.awaiting_key_frame = false;
        self.take_pictures()
    }

    /// Refuses what a later step could not handle, while nothing has been spent on it yet.
    fn check(&self, sequence: &SequenceHeader) -> Result<(), Error> {
        let color = sequence.color;
        if color.twelve_bit || color.monochrome || !color.subsampling_x || !color.subsampling_y {
            return Err(unsupported_samples());
        }
        let size = picture_size(sequence.max_width, sequence.max_height)?;
        if size.width() * size.height() > self.max_size.width() * self.max_size.height() {
            return Err(Error::Unsupported(format!("{size} pictures; the limit is {}", self.max_size)));
        }
        Ok(())
    }

    fn take_pictures(&mut self) -> Result<Vec<DecodedFrame>, Error> {
        let mut shown = Vec::new();
        while let Some(picture) = self.backend.next_picture()? {
            if shown.len() == MAX_SHOWN {
                return Err(Error::Malformed("more than 4 shown frames in a temporal unit"));
            }
            let pts = MediaTime(picture.pts().cast_unsigned());
            shown.push(DecodedFrame { frame: copy(&picture)?, pts });
        }
        Ok(shown)
    }
}

impl VideoDecoder for Rav1dDecoder {
    fn decode(&mut self, data: &[u8], pts: MediaTime) -> Result<Vec<DecodedFrame>, Error> {
        let result = self.try_decode(data, pts);
        if result.is_err() {
            self.reset();
        }
        result
    }

    fn flush(&mut self) -> Result<Vec<DecodedFrame>, Error> {
        let result = self.take_pictures();
        if result.is_err() {
            self.reset();
        }
        result
    }

    fn reset(&mut self) {
        self.backend.reset();
        self.awaiting_key_frame = true;
    }

    fn needs_key_frame(&self) -> bool {
        self.awaiting_key_frame
    }
}

fn picture_size(width: u32, height: u32) -> Result<FrameSize, Error> {
    FrameSize::new(width, height).map_err(|error| Error::Unsupported(error.to_string()))
}

fn copy(picture: &Picture<'_>) -> Result<Frame, Error> {
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let size = picture_size(side(picture.width()), side(picture.height()))?;
    if picture.layout() != Layout::I420 {
        return Err(unsupported_samples());
    }
    let mut data = Vec::with_capacity(size.bytes_420());
    for plane in [Plane::Y, Plane::U, Plane::V] {
        for row in picture.rows(plane) {
            data.extend_from_slice(row);
        }
        for row in picture.deep_rows(plane) {
            data.extend(row.iter().copied().map(eight_bits));
        }
    }
    Frame::from_i420(size, data)
}

fn unsupported_samples() -> Error {
    Error::Unsupported("only 8- and 10-bit 4:2:0 is decoded".to_owned())
}
