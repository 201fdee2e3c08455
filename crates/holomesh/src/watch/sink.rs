//! Where a watcher's pictures and sound go.

use crate::Error;
use av_wire::StreamAnnounce;
use codec_av1::Frame;
use codec_opus::{Activity, SoundSource};
use core_types::{Epoch, FrameSize, Layer, MediaTime, ObjectSeq};
use std::time::{Duration, Instant};

mod matroska;
mod speaker;
mod wav;
mod y4m;

pub use matroska::MatroskaSink;
pub use speaker::SpeakerSink;
pub use wav::WavSink;
pub use y4m::Y4mSink;

/// A picture at the moment it is shown.
#[derive(Debug, Clone, Copy)]
pub struct ShownPicture<'a> {
    /// Its object's number.
    pub seq: ObjectSeq,
    /// Its presentation time.
    pub pts: MediaTime,
    /// The picture, in the stream's size.
    pub frame: &'a Frame,
    /// The size in which it was coded: that of a lower layer where no more came.
    pub coded_size: FrameSize,
    /// What it was made from.
    pub made_from: MadeFrom,
    /// When its object was complete.
    pub assembled_at: Instant,
    /// How long decoding took.
    pub decode_time: Duration,
    /// When it was shown.
    pub shown_at: Instant,
    /// It was shown more than half a frame after it was due.
    pub late: bool,
}

/// What a picture was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeFrom {
    /// The layers of one stream up to this one, as far as they came. Of what came above a gap nothing is seen: then
    /// [`ShownPicture::coded_size`] is less.
    Layer(Layer),
    /// So many descriptions, of so many that there are.
    Descriptions {
        /// Those that came in time.
        came: u8,
        /// All of them.
        of: u8,
    },
}

/// A slot of sound, 20 ms, when it has been played.
#[derive(Debug, Clone, Copy)]
pub struct ShownSound {
    /// Its presentation time.
    pub pts: MediaTime,
    /// True if all of it came from its own packet or was recovered from later ones; false if some was concealed.
    pub real: bool,
    /// What the worst of it came from.
    pub source: SoundSource,
    /// When it was heard.
    pub heard_at: Instant,
}

/// Takes what a player makes. Called from the player's thread.
pub trait Sink: Send {
    /// A stream is there; called for each before anything else.
    ///
    /// # Errors
    /// When the sink can't take it.
    fn stream(&mut self, _announce: &StreamAnnounce) -> Result<(), Error> {
        Ok(())
    }
    /// The keys of an epoch are in place.
    fn epoch(&mut self, _epoch: Epoch) {}
    /// A coded picture, in decoding order, beginning with a key frame.
    ///
    /// # Errors
    /// When it can't be written.
    fn video_packet(&mut self, _pts: MediaTime, _key_frame: bool, _data: &[u8]) -> Result<(), Error> {
        Ok(())
    }
    /// A coded packet of sound.
    ///
    /// # Errors
    /// When it can't be written.
    fn audio_packet(&mut self, _pts: MediaTime, _data: &[u8]) -> Result<(), Error> {
        Ok(())
    }
    /// A picture is shown.
    ///
    /// # Errors
    /// When it can't be written.
    fn picture(&mut self, _picture: &ShownPicture<'_>) -> Result<(), Error> {
        Ok(())
    }
    /// A slot of sound is played.
    fn sound(&mut self, _sound: ShownSound) {}
    /// What is found of 10 ms of sound that are heard at `heard_at`: its level, and whether there is a voice in it.
    fn activity(&mut self, _at: MediaTime, _heard_at: Instant, _activity: Activity) {}
    /// Nothing more comes.
    ///
    /// # Errors
    /// When the end can't be written.
    fn finish(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}
