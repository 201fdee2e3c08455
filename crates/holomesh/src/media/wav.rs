//! Sound from WAV files, at a rate that Opus takes.

use super::{Input, MediaError};
use hound::{SampleFormat, WavReader};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::path::Path;

/// The rates that Opus codes without conversion (RFC 6716 section 2), in Hz.
const OPUS_RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];
/// What every other rate becomes, in Hz.
const TARGET_RATE: u32 = 48_000;
/// The longest block that can be asked for, in samples per channel: one second at the highest rate.
const MAX_BLOCK: usize = TARGET_RATE as usize;
/// How many samples per channel are read from the file at a time.
const CHUNK: usize = 1_024;

/// Sound from a WAV file: 16-bit samples, one or two channels, at 8, 12, 16, 24 or 48 kHz.
///
/// Files at one of these rates keep it; others are resampled to 48 kHz, which adds no delay: the resampler's own is cut
/// off, and the length stays the same to a sample.
pub struct AudioSource {
    file: String,
    wav: WavReader<Input>,
    /// What a sample is divided by to come to ±1.
    scale: Scale,
    channels: u8,
    sample_rate: u32,
    resampler: Option<Resample>,
    /// Interleaved samples that are ready.
    ready: VecDeque<i16>,
    /// Samples per channel read from the file so far.
    frames_read: u64,
    ended: bool,
}

#[derive(Clone, Copy)]
enum Scale {
    Integer(f32),
    Float,
}

struct Resample {
    fft: Fft<f32>,
    /// Samples per channel still to be cut off the start.
    delay: usize,
    /// Samples per channel still to come out.
    left: u64,
}

impl AudioSource {
    /// Opens a WAV file and reads its header.
    ///
    /// # Errors
    /// [`MediaError`]; one of its lines is meant to be shown to the user as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MediaError> {
        let (file, input) = super::open(path.as_ref())?;
        Self::new(file, input)
    }

    /// Reads from anything; `name` is how messages call it.
    ///
    /// # Errors
    /// As [`AudioSource::open`].
    pub fn from_reader(
        name: impl Into<String>,
        reader: impl Read + Send + 'static,
    ) -> Result<Self, MediaError> {
        Self::new(name.into(), Box::new(BufReader::new(reader)))
    }

    fn new(file: String, input: Input) -> Result<Self, MediaError> {
        let wav = WavReader::new(input).map_err(|error| refusal(&file, "its header", error))?;
        let spec = wav.spec();
        let scale = match (spec.sample_format, spec.bits_per_sample) {
            (SampleFormat::Int, 16) => Scale::Integer(32_768.0),
            (SampleFormat::Int, 24) => Scale::Integer(8_388_608.0),
            (SampleFormat::Int, 32) => Scale::Integer(2_147_483_648.0),
            (SampleFormat::Float, 32) => Scale::Float,
            (_, bits) => return Err(MediaError::convert_audio(&file, format!("samples of {bits} bits"))),
        };
        let channels = match spec.channels {
            1 => 1,
            2 => 2,
            more => {
                return Err(MediaError::convert_audio(
                    &file,
                    format!("{more} channels, and at most 2 are sent"),
                ));
            }
        };
        if !(8_000..=192_000).contains(&spec.sample_rate) {
            let what = format!("{} Hz, and 8,000 to 192,000 Hz are read", spec.sample_rate);
            return Err(MediaError::convert_audio(&file, what));
        }
        let (sample_rate, resampler) = if OPUS_RATES.contains(&spec.sample_rate) {
            (spec.sample_rate, None)
        } else {
            let frames = u64::from(wav.duration());
            (TARGET_RATE, Some(Resample::new(&file, spec.sample_rate, channels, frames)?))
        };
        let ready = VecDeque::new();
        Ok(Self { file, wav, scale, channels, sample_rate, resampler, ready, frames_read: 0, ended: false })
    }

    /// Samples per second and channel of what [`AudioSource::next_block`] gives, in Hz: 8,000, 12,000, 16,000, 24,000 or
    /// 48,000.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// One or two.
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// The next `samples` samples of each channel, interleaved: a vector of `samples` × channels. The last block is
    /// filled up with silence; `None` comes after it, and after an error.
    ///
    /// # Errors
    /// [`MediaError::Truncated`] or [`MediaError::Read`] with the position; [`MediaError::Misuse`] when `samples` is 0
    /// or above 48,000.
    pub fn next_block(&mut self, samples: usize) -> Result<Option<Vec<i16>>, MediaError> {
        if samples == 0 || samples > MAX_BLOCK {
            return Err(MediaError::Misuse("an audio block has 1 to 48,000 samples per channel"));
        }
        let length = samples * usize::from(self.channels);
        while self.ready.len() < length && !self.ended {
            if let Err(error) = self.fill() {
                self.ended = true;
                self.ready.clear();
                return Err(error);
            }
        }
        if self.ready.is_empty() {
            return Ok(None);
        }
        let mut block: Vec<i16> = self.ready.drain(..length.min(self.ready.len())).collect();
        block.resize(length, 0);
        Ok(Some(block))
    }

    /// Moves one chunk from the file to `ready`, or notes the end.
    fn fill(&mut self) -> Result<(), MediaError> {
        let wanted = self.resampler.as_ref().map_or(CHUNK, |resampler| resampler.fft.input_frames_next());
        let mut chunk = self.read_chunk(wanted)?;
        match &mut self.resampler {
            None => {
                self.ended = chunk.is_empty();
                self.ready.extend(chunk.into_iter().map(to_i16));
            }
            Some(resampler) => {
                // Silence after the end pushes out what the resampler still holds.
                chunk.resize(wanted * usize::from(self.channels), 0.0);
                let out = resampler.process(&self.file, &chunk, self.channels)?;
                self.ended = resampler.left == 0;
                self.ready.extend(out.into_iter().map(to_i16));
            }
        }
        Ok(())
    }

    /// Up to `frames` samples of each channel, interleaved, as ±1; fewer only at the end.
    fn read_chunk(&mut self, frames: usize) -> Result<Vec<f32>, MediaError> {
        let channels = usize::from(self.channels);
        let length = frames * channels;
        let mut chunk = Vec::with_capacity(length);
        let read = match self.scale {
            Scale::Integer(scale) => self.wav.samples::<i32>().take(length).try_for_each(|sample| {
                chunk.push(sample? as f32 / scale);
                Ok(())
            }),
            Scale::Float => self.wav.samples::<f32>().take(length).try_for_each(|sample| {
                chunk.push(sample?);
                Ok(())
            }),
        };
        self.frames_read += (chunk.len() / channels) as u64;
        let at = || format!("sample {}", self.frames_read);
        read.map_err(|error| refusal(&self.file, &at(), error))?;
        Ok(chunk)
    }
}

impl Resample {
    fn new(file: &str, rate: u32, channels: u8, frames: u64) -> Result<Self, MediaError> {
        let fft =
            Fft::new(rate as usize, TARGET_RATE as usize, CHUNK, usize::from(channels), FixedSync::Input)
                .map_err(|error| MediaError::convert_audio(file, format!("{rate} Hz ({error})")))?;
        let left = (frames * u64::from(TARGET_RATE)).div_ceil(u64::from(rate));
        Ok(Self { delay: fft.output_delay(), left, fft })
    }

    /// One chunk through the filter, without the filter's delay and without anything past the end.
    fn process(&mut self, file: &str, chunk: &[f32], channels: u8) -> Result<Vec<f32>, MediaError> {
        let channels = usize::from(channels);
        let failed = |what: String| MediaError::convert_audio(file, format!("resampling failed: {what}"));
        let adapter = InterleavedSlice::new(chunk, channels, chunk.len() / channels)
            .map_err(|error| failed(error.to_string()))?;
        let mut out =
            self.fft.process(&adapter, None).map_err(|error| failed(error.to_string()))?.take_data();
        let cut = self.delay.min(out.len() / channels);
        self.delay -= cut;
        out.drain(..cut * channels);
        let keep = self.left.min((out.len() / channels) as u64);
        self.left -= keep;
        out.truncate(keep as usize * channels);
        Ok(out)
    }
}

impl std::fmt::Debug for AudioSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioSource")
            .field("file", &self.file)
            .field("sample_rate", &self.sample_rate)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

/// The nearest 16-bit sample; what is louder is clipped, what is no number is silence.
fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

fn refusal(file: &str, at: &str, error: hound::Error) -> MediaError {
    match error {
        // What the system reports has a code; without one it is hound saying that the input ended.
        hound::Error::IoError(reason) if reason.raw_os_error().is_none() => MediaError::truncated(file, at),
        hound::Error::IoError(reason) => MediaError::read(file, at, reason),
        hound::Error::FormatError(what @ ("no RIFF tag found" | "no WAVE tag found")) => {
            MediaError::convert_audio(file, format!("not a WAV file ({what})"))
        }
        hound::Error::Unsupported => MediaError::convert_audio(file, "a compressed WAV file"),
        other => MediaError::malformed(file, at, other.to_string()),
    }
}
