//! Packets to frames through rav1d.

use core::num::NonZeroU32;

use av1_backends::{Decoder, Layout, Picture, Plane, Settings};
use core_types::{FrameSize, MediaTime};

use crate::sequence::SequenceHeader;
use crate::unit::TemporalUnit;
use crate::{DecodedFrame, Error, Frame, VideoDecoder};

/// The most pictures that one temporal unit may show. The specification has one; without a bound a packet of a few
/// kilobytes could ask for gigabytes of copies.
const MAX_SHOWN: usize = 4;

/// An AV1 decoder without delay, on the calling thread: the pictures of a packet come with the call that takes it. Takes
/// 8-bit 4:2:0 streams only.
#[derive(Debug)]
pub struct Rav1dDecoder {
    backend: Decoder,
    max_size: FrameSize,
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
        Ok(Self { backend: Decoder::new(settings)?, max_size, awaiting_key_frame: true })
    }

    fn try_decode(&mut self, data: &[u8], pts: MediaTime) -> Result<Vec<DecodedFrame>, Error> {
        let unit = TemporalUnit::inspect(data)?;
        if let Some(sequence) = &unit.sequence {
            self.check(sequence)?;
        }
        if self.awaiting_key_frame && !unit.starts_stream {
            return Err(Error::AwaitingKeyFrame);
        }
        self.backend.feed(data, pts.0.cast_signed())?;
        self.awaiting_key_frame = false;
        self.take_pictures()
    }

    /// Refuses what a later step could not handle, while nothing has been spent on it yet.
    fn check(&self, sequence: &SequenceHeader) -> Result<(), Error> {
        let color = sequence.color;
        if color.high_bit_depth || color.monochrome || !color.subsampling_x || !color.subsampling_y {
            return Err(Error::Unsupported("only 8-bit 4:2:0 is decoded".to_owned()));
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
        return Err(Error::Unsupported("only 8-bit 4:2:0 is decoded".to_owned()));
    }
    let mut data = Vec::with_capacity(size.bytes_420());
    for plane in [Plane::Y, Plane::U, Plane::V] {
        for row in picture.rows(plane) {
            data.extend_from_slice(row);
        }
    }
    Frame::from_i420(size, data)
}
