//! Where a watcher's pictures and sound go.

use crate::Error;
use crate::media::{MatroskaWriter, VideoTrack, Y4mWriter};
use av_wire::{Media, StreamAnnounce};
use codec_av1::Frame;
use codec_opus::{Activity, Channels, SoundSource, opus_head};
use core_types::{CodecId, Epoch, FrameSize, Layer, MediaTime, ObjectSeq};
use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

mod speaker;
mod wav;

pub use speaker::SpeakerSink;
pub use wav::WavSink;

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

/// Writes AV1 and Opus as they came into Matroska or WebM, without decoding. The file begins with the first key frame.
#[derive(Debug)]
pub struct MatroskaSink {
    path: PathBuf,
    video: Option<StreamAnnounce>,
    audio: Option<StreamAnnounce>,
    writer: Option<MatroskaWriter>,
    /// Sound that came before the first key frame: an encoder of pictures takes longer than one of sound.
    early: VecDeque<(MediaTime, Vec<u8>)>,
}

impl MatroskaSink {
    /// A sink that will write `path`; the ending says which of the two it is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), video: None, audio: None, writer: None, early: VecDeque::new() }
    }

    /// The writer is made with the first key frame: only that has what the file's header needs.
    fn open(&mut self, first_key_frame: &[u8]) -> Result<(), Error> {
        let Some(StreamAnnounce { media: Media::Video { size, rate }, .. }) = &self.video else {
            return Ok(());
        };
        let codec_private =
            codec_av1::configuration_record(first_key_frame).map_err(|e| Error::codec("AV1", e))?;
        let track = VideoTrack { size: *size, rate: *rate, codec_private };
        let head = match &self.audio {
            Some(StreamAnnounce { media: Media::Audio { sample_rate, channels }, .. }) => {
                let channels = if *channels == 2 { Channels::Stereo } else { Channels::Mono };
                Some(opus_head(channels, PRE_SKIP, *sample_rate))
            }
            _ => None,
        };
        let mut writer = MatroskaWriter::create(&self.path, &track, head.as_ref().map(|h| &h[..]))?;
        for (pts, data) in self.early.drain(..) {
            writer.write_audio(pts, &data)?;
        }
        self.writer = Some(writer);
        Ok(())
    }
}

/// Packets of sound that are kept for a first key frame: five seconds.
const EARLY_PACKETS: usize = 250;
/// Samples at 48 kHz that libopus adds in front: 6.5 ms, its look-ahead in every mode but low delay.
const PRE_SKIP: u16 = 312;

impl Sink for MatroskaSink {
    fn stream(&mut self, announce: &StreamAnnounce) -> Result<(), Error> {
        match announce.media {
            Media::Video { .. } => {
                if announce.codec == CodecId::Mdc && self.video.is_none() {
                    let path = self.path.display();
                    tracing::warn!(
                        "{path}: of pictures in several descriptions it gets the first one; `-o -` has the best of all"
                    );
                }
                self.video = Some(announce.clone());
            }
            Media::Audio { .. } => self.audio = Some(announce.clone()),
            Media::Data => {}
        }
        Ok(())
    }

    fn video_packet(&mut self, pts: MediaTime, key_frame: bool, data: &[u8]) -> Result<(), Error> {
        if self.writer.is_none() && key_frame {
            self.open(data)?;
        }
        match &mut self.writer {
            Some(writer) => Ok(writer.write_video(pts, key_frame, data)?),
            None => Ok(()),
        }
    }

    fn audio_packet(&mut self, pts: MediaTime, data: &[u8]) -> Result<(), Error> {
        match &mut self.writer {
            Some(writer) => Ok(writer.write_audio(pts, data)?),
            None => {
                if self.early.len() >= EARLY_PACKETS {
                    self.early.pop_front();
                }
                self.early.push_back((pts, data.to_vec()));
                Ok(())
            }
        }
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        match self.writer {
            Some(writer) => Ok(writer.finish().map(drop)?),
            None => Err(Error::input(
                self.path.display().to_string(),
                "nothing was received, so nothing was written",
            )),
        }
    }
}

/// Writes decoded pictures as Y4M, for `| ffplay -`.
#[derive(Debug)]
pub struct Y4mSink<W: Write + Send> {
    out: Option<W>,
    writer: Option<Y4mWriter<W>>,
    held: Option<Held>,
}

/// The last picture, where pictures that are missing are made up for by it.
#[derive(Debug, Default)]
struct Held {
    interval: Duration,
    last: Option<(MediaTime, Frame)>,
}

/// The longest time that a picture stands in for missing ones.
const HELD_MOST: Duration = Duration::from_secs(60);

impl<W: Write + Send> Y4mSink<W> {
    /// A sink that writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out: Some(out), writer: None, held: None }
    }

    /// As [`new`](Self::new); where pictures are missing the one before is written again, so that the file keeps the time. For
    /// recordings.
    pub fn held(out: W) -> Self {
        Self { held: Some(Held::default()), ..Self::new(out) }
    }
}

impl<W: Write + Send> Sink for Y4mSink<W> {
    fn stream(&mut self, announce: &StreamAnnounce) -> Result<(), Error> {
        if let (Media::Video { size, rate }, Some(out)) = (announce.media, self.out.take()) {
            self.writer = Some(Y4mWriter::new("standard output", out, size, rate)?);
            if let Some(held) = &mut self.held {
                held.interval = rate.frame_interval();
            }
        }
        Ok(())
    }

    fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if let Some(Held { interval, last }) = &mut self.held {
            if let Some((pts, frame)) = &*last {
                let apart = picture.pts.as_duration().saturating_sub(pts.as_duration()).min(HELD_MOST);
                let steps = (apart.as_secs_f64() / interval.as_secs_f64().max(1e-3)).round() as u64;
                for _ in 1..steps {
                    writer.write_frame(frame)?;
                }
            }
            *last = Some((picture.pts, picture.frame.clone()));
        }
        Ok(writer.write_frame(picture.frame)?)
    }
}
