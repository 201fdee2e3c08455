//! Decoded pictures as Y4M.

use super::{ShownPicture, Sink};
use crate::Error;
use crate::media::Y4mWriter;
use av_wire::{Media, StreamAnnounce};
use codec_av1::Frame;
use core_types::{FrameSize, MediaTime};
use std::io::Write;
use std::time::Duration;

/// The longest time that a picture stands in for missing ones.
const HELD_MOST: Duration = Duration::from_secs(60);

/// Writes decoded pictures as Y4M, for `| ffplay -`. All have the size of the first stream: a Y4M has one.
#[derive(Debug)]
pub struct Y4mSink<W: Write + Send> {
    name: String,
    out: Option<W>,
    writer: Option<(Y4mWriter<W>, FrameSize)>,
    held: Option<Held>,
}

/// The last picture, where pictures that are missing are made up for by it.
#[derive(Debug, Default)]
struct Held {
    interval: Duration,
    last: Option<(MediaTime, Frame)>,
}

impl<W: Write + Send> Y4mSink<W> {
    /// A sink that writes to `out`, which messages call `name`.
    pub fn new(name: impl Into<String>, out: W) -> Self {
        Self { name: name.into(), out: Some(out), writer: None, held: None }
    }

    /// As [`new`](Self::new); where pictures are missing the one before is written again, so that the file keeps the time. For
    /// recordings.
    pub fn held(name: impl Into<String>, out: W) -> Self {
        Self { held: Some(Held::default()), ..Self::new(name, out) }
    }
}

impl Y4mSink<std::io::Stdout> {
    /// A sink that writes to standard output.
    pub fn standard_output() -> Self {
        Self::new("standard output", std::io::stdout())
    }
}

impl<W: Write + Send> Sink for Y4mSink<W> {
    fn stream(&mut self, announce: &StreamAnnounce) -> Result<(), Error> {
        let Media::Video { size, rate } = announce.media else { return Ok(()) };
        if let Some(out) = self.out.take() {
            self.writer = Some((Y4mWriter::new(&self.name, out, size, rate)?, size));
        }
        if let Some(held) = &mut self.held {
            // Where a publisher begins anew so does its time.
            *held = Held { interval: rate.frame_interval(), last: None };
        }
        Ok(())
    }

    fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
        let Some((writer, size)) = &mut self.writer else { return Ok(()) };
        let scaled = (picture.frame.size() != *size).then(|| picture.frame.scaled(*size));
        let frame = scaled.as_ref().unwrap_or(picture.frame);
        if let Some(Held { interval, last }) = &mut self.held {
            if let Some((pts, frame)) = &*last {
                let apart = picture.pts.as_duration().saturating_sub(pts.as_duration()).min(HELD_MOST);
                let steps = (apart.as_secs_f64() / interval.as_secs_f64().max(1e-3)).round() as u64;
                for _ in 1..steps {
                    writer.write_frame(frame)?;
                }
            }
            *last = Some((picture.pts, frame.clone()));
        }
        Ok(writer.write_frame(frame)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{StreamKind, announce};
    use crate::watch::sink::MadeFrom;
    use core_types::{FrameRate, KeyId, Layer, ObjectSeq};
    use std::time::Instant;

    #[test]
    fn where_a_publisher_begins_anew_with_another_size_pictures_keep_the_first() {
        let (large, small) = (FrameSize::new(64, 64).unwrap(), FrameSize::new(32, 16).unwrap());
        let mut out = Vec::new();
        let mut sink = Y4mSink::held("out", &mut out);
        for size in [large, small] {
            let media = Media::Video { size, rate: FrameRate::new(25, 1).unwrap() };
            let announce = StreamAnnounce { media, ..announce(StreamKind::Video, KeyId([1; 32]), 1) };
            sink.stream(&announce).unwrap();
            for pts in [8_000_000, 8_080_000] {
                let now = Instant::now();
                sink.picture(&ShownPicture {
                    seq: ObjectSeq(0),
                    pts: MediaTime(pts),
                    frame: &Frame::black(size),
                    coded_size: size,
                    made_from: MadeFrom::Layer(Layer::BASE),
                    assembled_at: now,
                    decode_time: Duration::ZERO,
                    shown_at: now,
                    late: false,
                })
                .unwrap();
            }
        }
        drop(sink);
        let header = out.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        assert!(out.starts_with(b"YUV4MPEG2 W64 H64 F25:1 "));
        // Each time the missing one in the middle is made up for, and nothing between the two.
        assert_eq!(out.len() - header, 6 * (6 + 64 * 64 * 3 / 2));
    }
}
