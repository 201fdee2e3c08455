//! Pictures and sound as they came, in a file.

use super::Sink;
use crate::media::{MatroskaWriter, VideoTrack};
use crate::{Error, descriptions};
use av_wire::{Media, StreamAnnounce};
use codec_opus::{Channels, opus_head};
use core_types::{CodecId, MediaTime};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

/// Packets of sound that are kept for a first key frame: five seconds.
const EARLY_PACKETS: usize = 250;
/// Samples at 48 kHz that libopus adds in front: 6.5 ms, its look-ahead in every mode but low delay.
const PRE_SKIP: u16 = 312;

/// Writes AV1 and Opus as they came into Matroska or WebM, without decoding. The file begins with the first key frame. Where the publisher
/// begins anew, its time goes on in the file from where it was.
#[derive(Debug)]
pub struct MatroskaSink {
    path: PathBuf,
    video: Option<StreamAnnounce>,
    audio: Option<StreamAnnounce>,
    writer: Option<MatroskaWriter>,
    /// Sound that came before the first key frame: an encoder of pictures takes longer than one of sound.
    early: VecDeque<(MediaTime, Vec<u8>)>,
    /// Where media time 0 is in the file's time, and how far that has come.
    origin: Duration,
    newest: Duration,
}

impl MatroskaSink {
    /// A sink that will write `path`; the ending says which of the two it is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            video: None,
            audio: None,
            writer: None,
            early: VecDeque::new(),
            origin: Duration::ZERO,
            newest: Duration::ZERO,
        }
    }

    /// The writer is made with the first key frame: only that has what the file's header needs.
    fn open(&mut self, first_key_frame: &[u8]) -> Result<(), Error> {
        let Some(StreamAnnounce { media: Media::Video { size, rate }, .. }) = &self.video else {
            return Ok(());
        };
        let codec_private = match codec_av1::configuration_record(first_key_frame) {
            Ok(record) => record,
            Err(error) => {
                // Anybody can have made it; the publisher's own are sound.
                tracing::warn!(%error, "{}: not a key frame; it begins with the next one", self.path.display());
                return Ok(());
            }
        };
        let track = VideoTrack { size: *size, rate: *rate, codec_private };
        let head = match &self.audio {
            Some(StreamAnnounce { media: Media::Audio { sample_rate, channels }, .. }) => {
                let channels = if *channels == 2 { Channels::Stereo } else { Channels::Mono };
                Some(opus_head(channels, PRE_SKIP, *sample_rate))
            }
            _ => None,
        };
        self.writer = Some(MatroskaWriter::create(&self.path, &track, head.as_ref().map(|h| &h[..]))?);
        for (pts, data) in std::mem::take(&mut self.early) {
            self.write_audio(pts, &data)?;
        }
        Ok(())
    }

    fn write_audio(&mut self, pts: MediaTime, data: &[u8]) -> Result<(), Error> {
        let at = self.place(pts);
        match &mut self.writer {
            Some(writer) => Ok(writer.write_audio(at, data)?),
            None => Ok(()),
        }
    }

    /// A time of the publisher's in the file's.
    fn place(&mut self, pts: MediaTime) -> MediaTime {
        let at = self.origin.saturating_add(pts.as_duration());
        self.newest = self.newest.max(at);
        MediaTime::from_duration(at)
    }

    /// Another stream of pictures: a publisher that was started again begins with time 0.
    fn begin_anew(&mut self, media: Media) {
        self.early.clear();
        if self.writer.is_none() {
            return;
        }
        let Some(StreamAnnounce { media: Media::Video { size: before, rate }, .. }) = &self.video else {
            return;
        };
        self.origin = self.newest.saturating_add(rate.frame_interval());
        match media {
            Media::Video { size, .. } if size != *before => tracing::warn!(
                "{}: from here on its pictures are {}×{}, and it says {}×{}: not every player shows them",
                self.path.display(),
                size.width(),
                size.height(),
                before.width(),
                before.height(),
            ),
            _ => {}
        }
    }
}

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
                // Descriptions of one source are announced one after the other.
                if self.video.as_ref().is_some_and(|before| !descriptions::are_together(before, announce)) {
                    self.begin_anew(announce.media);
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
        let at = self.place(pts);
        match &mut self.writer {
            Some(writer) => Ok(writer.write_video(at, key_frame, data)?),
            None => Ok(()),
        }
    }

    fn audio_packet(&mut self, pts: MediaTime, data: &[u8]) -> Result<(), Error> {
        if self.writer.is_some() {
            return self.write_audio(pts, data);
        }
        if self.early.len() >= EARLY_PACKETS {
            self.early.pop_front();
        }
        self.early.push_back((pts, data.to_vec()));
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{StreamKind, announce};
    use crate::watch::video::tests::objects;
    use core_types::KeyId;
    use std::time::Instant;

    fn video(random: u8) -> StreamAnnounce {
        StreamAnnounce { random: [random; 16], ..announce(StreamKind::Video, KeyId([1; 32]), 1) }
    }

    fn sound(random: u8) -> StreamAnnounce {
        StreamAnnounce { random: [random; 16], ..announce(StreamKind::Audio, KeyId([1; 32]), 1) }
    }

    /// Twelve pictures from that time on, and the sound to them.
    fn play(sink: &mut MatroskaSink, from: u64) {
        for picture in objects(Instant::now()) {
            let at = MediaTime(from + picture.pts.0);
            sink.video_packet(at, picture.flags.key_frame, &picture.payload).unwrap();
            for part in [0, 20_000] {
                // One frame of silence.
                sink.audio_packet(MediaTime(at.0 + part), &[0xf8, 0xff, 0xfe]).unwrap();
            }
        }
    }

    #[test]
    fn where_the_publisher_begins_anew_the_file_goes_on() {
        let path = std::env::temp_dir().join(format!("holomesh-anew-{}.mkv", std::process::id()));
        let mut sink = MatroskaSink::new(&path);
        for (start, from) in [(1, 7_000_000), (2, 0), (3, 1_000_000)] {
            sink.stream(&video(start)).unwrap();
            sink.stream(&sound(start)).unwrap();
            play(&mut sink, from);
        }
        let recorded = sink.writer.take().unwrap().finish().unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!((recorded.video_frames, recorded.audio_packets, recorded.dropped), (36, 72, 0));
        // The third time a second of it was missed.
        let ms = recorded.duration.as_millis() as i64;
        assert!((ms - (3 * 480 + 1_000 + 2 * 20)).abs() <= 60, "{ms} ms");
    }

    #[test]
    fn descriptions_of_one_source_do_not_begin_anew() {
        let mut sink = MatroskaSink::new("nowhere.mkv");
        let described = |label: &str| StreamAnnounce { codec: CodecId::Mdc, label: label.into(), ..video(1) };
        sink.stream(&described("camera/0")).unwrap();
        sink.audio_packet(MediaTime(0), &[0xf8, 0xff, 0xfe]).unwrap();
        sink.stream(&described("camera/1")).unwrap();
        assert_eq!(sink.early.len(), 1);
        sink.stream(&StreamAnnounce { random: [2; 16], ..described("camera/0") }).unwrap();
        assert_eq!(sink.early.len(), 0, "sound of before");
    }

    #[test]
    fn what_is_no_key_frame_ends_nothing_and_the_file_begins_with_one() {
        let path = std::env::temp_dir().join(format!("holomesh-false-{}.mkv", std::process::id()));
        let mut sink = MatroskaSink::new(&path);
        sink.stream(&video(1)).unwrap();
        sink.stream(&sound(1)).unwrap();
        sink.video_packet(MediaTime(0), true, &[0x12, 0x00, 0xff]).unwrap();
        assert!(sink.writer.is_none());
        play(&mut sink, 40_000);
        let recorded = sink.writer.take().unwrap().finish().unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!((recorded.video_frames, recorded.dropped), (12, 0));
    }
}
