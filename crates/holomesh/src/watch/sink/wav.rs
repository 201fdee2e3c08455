//! Sound of a recording as WAV.

use super::Sink;
use crate::Error;
use av_wire::{Media, StreamAnnounce};
use codec_opus::{Channels, OpusDecoder, OpusPacket, SampleRate};
use core_types::MediaTime;
use hound::{SampleFormat, WavSpec, WavWriter};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

const RATE: u64 = 48_000;
/// Longer gaps are shortened to this: nobody is to fill a disk with silence by naming a time.
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// Decodes packets of sound in their order and writes them as 16-bit WAV at 48 kHz. What is missing is concealed for a moment and silent then,
/// so that the file keeps the time.
pub struct WavSink {
    path: PathBuf,
    out: Option<(OpusDecoder, WavWriter<BufWriter<File>>, u16)>,
    /// Media time up to which there is sound.
    end: Option<MediaTime>,
    /// The last packet said that nothing is said.
    rests: bool,
}

impl WavSink {
    /// A sink that will write `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), out: None, end: None, rests: false }
    }

    fn failed(&self, error: hound::Error) -> Error {
        Error::input(self.path.display().to_string(), error.to_string())
    }

    fn write(&mut self, samples: &[i16]) -> Result<(), Error> {
        let Some((_, writer, _)) = &mut self.out else { return Ok(()) };
        let written = samples.iter().try_for_each(|sample| writer.write_sample(*sample));
        written.map_err(|error| self.failed(error))
    }

    fn fill(&mut self, gap: Duration) -> Result<(), Error> {
        const CONCEALED: Duration = Duration::from_millis(60);
        const PAUSE: Duration = Duration::from_secs(1);
        let Some((decoder, _, channels)) = &mut self.out else { return Ok(()) };
        let gap = gap.min(LONGEST_GAP);
        let mut samples = Vec::new();
        let whole = gap.as_millis() / 20 * 20;
        if whole > 0 {
            // Of a pause the decoder knows what its background is like.
            let most = if self.rests { PAUSE } else { CONCEALED };
            let guessed = Duration::from_millis(whole as u64).min(most);
            let mut left = guessed;
            while !left.is_zero() {
                let piece = left.min(CONCEALED);
                samples.extend(decoder.conceal_for(piece).map_err(|e| Error::codec("Opus", e))?);
                left -= piece;
            }
        }
        let wanted = (gap.as_micros() as u64 * RATE / 1_000_000) as usize * usize::from(*channels);
        samples.resize(wanted, 0);
        self.write(&samples)
    }
}

impl std::fmt::Debug for WavSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WavSink").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Sink for WavSink {
    fn stream(&mut self, announce: &StreamAnnounce) -> Result<(), Error> {
        let Media::Audio { channels, .. } = announce.media else { return Ok(()) };
        let layout = if channels == 2 { Channels::Stereo } else { Channels::Mono };
        let channels = layout.count() as u16;
        let spec = WavSpec {
            channels,
            sample_rate: RATE as u32,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let decoder = OpusDecoder::new(SampleRate::Hz48000, layout).map_err(|e| Error::codec("Opus", e))?;
        let writer = WavWriter::create(&self.path, spec).map_err(|error| self.failed(error))?;
        self.out = Some((decoder, writer, channels));
        Ok(())
    }

    fn audio_packet(&mut self, pts: MediaTime, data: &[u8]) -> Result<(), Error> {
        if let Some(end) = self.end.filter(|end| *end < pts) {
            self.fill(Duration::from_micros(pts.0 - end.0))?;
        }
        let Some((decoder, _, channels)) = &mut self.out else { return Ok(()) };
        let samples = match decoder.decode(data) {
            Ok(samples) => samples,
            Err(error) => {
                tracing::debug!(%error, "a packet of no use");
                return Ok(());
            }
        };
        self.rests = OpusPacket::parse(data).is_ok_and(|packet| packet.is_silence());
        let each = samples.len() as u64 / u64::from(*channels).max(1);
        self.end = Some(MediaTime(pts.0.saturating_add(each * 1_000_000 / RATE)));
        self.write(&samples)
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let nothing =
            || Error::input(self.path.display().to_string(), "there was no sound, so nothing was written");
        let path = self.path.display().to_string();
        match self.out {
            Some((_, writer, _)) => writer.finalize().map_err(|error| Error::input(path, error.to_string())),
            None => Err(nothing()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{AudioConfig, StreamKind, announce};
    use codec_opus::OpusEncoder;

    /// Samples in a file of these packets, by their numbers; 20 ms each.
    fn samples(numbers: &[u64]) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.wav");
        let mut sink = WavSink::new(&path);
        let mut announce = announce(StreamKind::Audio, core_types::KeyId([1; 32]), 1);
        announce.media = Media::Audio { sample_rate: 48_000, channels: 1 };
        sink.stream(&announce).unwrap();
        let mut encoder = OpusEncoder::new(AudioConfig::through_bursts()).unwrap();
        let pcm = vec![0; encoder.samples_per_frame()];
        for number in numbers {
            let packet = encoder.encode(&pcm).unwrap();
            sink.audio_packet(MediaTime(number * 20_000), &packet).unwrap();
        }
        Box::new(sink).finish().unwrap();
        hound::WavReader::open(path).unwrap().len() as usize
    }

    #[test]
    fn a_file_keeps_the_time_whatever_is_missing() {
        assert_eq!(samples(&[0, 1, 2, 3]), 4 * 960);
        assert_eq!(samples(&[0, 1, 5, 6]), 7 * 960);
        assert_eq!(samples(&[10, 11]), 2 * 960, "it begins with what there is");
        assert_eq!(samples(&[0, 200]), 201 * 960);
        let hour = samples(&[0, 180_000]);
        assert_eq!(hour, 2 * 960 + 60 * 48_000, "and no gap is longer than a minute");
    }

    #[test]
    fn without_sound_there_is_no_file_and_that_is_said() {
        let sink = Box::new(WavSink::new("nowhere.wav"));
        assert!(sink.finish().unwrap_err().to_string().contains("there was no sound"));
    }
}
