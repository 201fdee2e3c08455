//! The clip and the sound, held in memory and played round and round.

use super::options::Options;
use crate::Error;
use crate::media::{AudioSource, VideoSource};
use crate::publish::{AudioConfig, BlockSource, FrameSource};
use codec_av1::Frame;
use codec_opus::{Channels, EncoderConfig, SampleRate};
use core_types::{BitRate, FrameRate, FrameSize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Pictures of a clip that are held at most: a minute or so of 640×360.
const MAX_CLIP_BYTES: usize = 1 << 30;
const BUNDLED_CLIP: &[u8] = include_bytes!("../../../../assets/clip.ivf");
const BUNDLED_SPEECH: &[u8] = include_bytes!("../../../../assets/speech.wav");

/// A clip in memory, which measuring needs: each shown picture is compared with the one that was published.
#[derive(Debug, Clone)]
pub(crate) struct Clip {
    pub(crate) frames: Arc<Vec<Arc<Frame>>>,
    pub(crate) size: FrameSize,
    pub(crate) rate: FrameRate,
}

impl Clip {
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, Error> {
        let mut source = match path {
            Some(path) => VideoSource::open(path)?,
            None => VideoSource::from_reader("bundled clip", BUNDLED_CLIP)?,
        };
        let (size, rate) = (source.size(), source.rate());
        let mut frames = Vec::new();
        while let Some(frame) = source.next_frame()? {
            frames.push(Arc::new(frame));
            if frames.len() * size.bytes_420() > MAX_CLIP_BYTES {
                break;
            }
        }
        if frames.is_empty() {
            let name = path.map_or_else(|| "bundled clip".into(), |p| p.display().to_string());
            return Err(Error::input(name, "has no picture in it"));
        }
        Ok(Self { frames: Arc::new(frames), size, rate })
    }

    /// The picture that was captured as number `index`.
    pub(crate) fn frame(&self, index: u64) -> &Arc<Frame> {
        &self.frames[(index % self.frames.len() as u64) as usize]
    }
}

/// A clip that goes on for a given number of pictures.
pub(crate) struct LoopedClip {
    pub(crate) clip: Clip,
    pub(crate) next: u64,
    pub(crate) end: u64,
}

impl LoopedClip {
    /// As much of a clip as a demo of that length takes.
    pub(super) fn for_demo(clip: &Clip, seconds: f64) -> Self {
        let end = (seconds / clip.rate.frame_interval().as_secs_f64()).round() as u64;
        Self { clip: clip.clone(), next: 0, end }
    }
}

impl FrameSource for LoopedClip {
    fn size(&self) -> FrameSize {
        self.clip.size
    }

    fn rate(&self) -> FrameRate {
        self.clip.rate
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        if self.next >= self.end {
            return Ok(None);
        }
        self.next += 1;
        Ok(Some(self.clip.frame(self.next - 1).clone()))
    }
}

/// A sound that goes on for a given number of samples a channel.
pub(crate) struct LoopedSound {
    open: Box<dyn Fn() -> Result<AudioSource, Error> + Send>,
    source: AudioSource,
    pub(crate) sample_rate: SampleRate,
    pub(crate) channels: Channels,
    left: u64,
}

impl LoopedSound {
    pub(crate) fn load(path: Option<PathBuf>, seconds: f64) -> Result<Self, Error> {
        let open: Box<dyn Fn() -> Result<AudioSource, Error> + Send> = Box::new(move || {
            Ok(match &path {
                Some(path) => AudioSource::open(path)?,
                None => AudioSource::from_reader("bundled speech", BUNDLED_SPEECH)?,
            })
        });
        let source = open()?;
        let hz = source.sample_rate();
        let sample_rate = SampleRate::from_hz(hz).ok_or_else(|| Error::codec("sound", format!("{hz} Hz")))?;
        let channels = if source.channels() == 2 { Channels::Stereo } else { Channels::Mono };
        Ok(Self { open, source, sample_rate, channels, left: (seconds * f64::from(hz)) as u64 })
    }
}

/// A sound that is heard in turn with others: silent while another has the turn.
pub(crate) struct TurnSound {
    sound: LoopedSound,
    place: u8,
    of: u8,
    /// Samples a channel so far.
    at: u64,
}

impl TurnSound {
    /// How long somebody speaks before the next one does.
    const TURN: Duration = Duration::from_millis(2_500);

    /// The demo's sound as the speaker at that place has it, of as many as there are.
    pub(super) fn load(options: &Options, place: u8) -> Result<Self, Error> {
        let sound = LoopedSound::load(options.audio.clone(), options.seconds)?;
        Ok(Self { sound, place, of: options.speakers.max(1), at: 0 })
    }

    pub(super) const fn sample_rate(&self) -> SampleRate {
        self.sound.sample_rate
    }

    /// As what it is encoded.
    pub(super) fn audio_config(&self) -> AudioConfig {
        let LoopedSound { sample_rate, channels, .. } = self.sound;
        let opus = EncoderConfig {
            sample_rate,
            channels,
            bit_rate: BitRate::from_kbit(32),
            dtx: AudioConfig::dtx_of(channels),
            ..AudioConfig::through_bursts()
        };
        AudioConfig { opus }
    }

    fn has_turn(&self) -> bool {
        let turn = u64::from(self.sound.sample_rate.hz()) * Self::TURN.as_millis() as u64 / 1_000;
        self.at / turn.max(1) % u64::from(self.of) == u64::from(self.place)
    }
}

impl BlockSource for TurnSound {
    fn next(&mut self, samples: usize) -> Result<Option<Vec<i16>>, Error> {
        let Some(mut block) = self.sound.next(samples)? else { return Ok(None) };
        if !self.has_turn() {
            block.fill(0);
        }
        self.at += samples as u64;
        Ok(Some(block))
    }
}

impl BlockSource for LoopedSound {
    fn next(&mut self, samples: usize) -> Result<Option<Vec<i16>>, Error> {
        if self.left < samples as u64 {
            return Ok(None);
        }
        self.left -= samples as u64;
        if let Some(block) = self.source.next_block(samples)? {
            return Ok(Some(block));
        }
        self.source = (self.open)()?;
        Ok(self.source.next_block(samples)?)
    }
}
