//! Matroska and WebM files (RFC 9559) with AV1 and Opus.
//!
//! Written here because libwebm's Rust binding can't say `matroska` in the header, can't write CodecDelay (without which
//! sound is late by the encoder's lookahead), hides what went wrong with a write, and brings C++ into every build. What
//! is needed is small: a header, tracks, clusters of blocks, an index.
//!
//! A file is playable at any time up to its last whole cluster, also when the process dies: sizes are "unknown" until
//! [`MatroskaWriter::finish`] fills in length, duration and index.

mod header;

pub use header::{Container, VideoTrack};

use super::ebml::{Elements, Id, size_in_eight};
use super::interleave::{Interleaver, Packet, Track};
use super::{MediaError, display_name};
use core::time::Duration;
use core_types::MediaTime;
use header::{DURATION, INFO, Layout, OpusTrack, SEEK_HEAD_LEN, TRACKS, header};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

const CLUSTER: Id = Id(0x1f43_b675);
const CUES: Id = Id(0x1c53_bb6b);

/// A cluster is closed at this span even without a key frame; block times are 16-bit milliseconds.
const MAX_CLUSTER_MS: u64 = 2_000;
/// A cluster is closed at this size: it is kept in memory until then.
const MAX_CLUSTER_BYTES: usize = 4 << 20;
/// The most index entries; at a key frame a second, 18 hours.
const MAX_CUES: usize = 65_536;

/// What a file holds once it is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Video frames written.
    pub video_frames: u64,
    /// Opus packets written.
    pub audio_packets: u64,
    /// Packets left out: before the first key frame, more than a second too late, or malformed.
    pub dropped: u64,
    /// From the first key frame to the end of the last packet.
    pub duration: Duration,
}

/// Writes one AV1 track and at most one Opus track.
///
/// Packets may come in any order within a second; they are sorted by time. Time 0 of the file is the first video key
/// frame, and what belongs before it is left out. [`MatroskaWriter::finish`] completes the file; a writer that is
/// dropped completes it as far as it can.
pub struct MatroskaWriter<W: Write + Seek = BufWriter<File>> {
    file: String,
    sink: W,
    /// Bytes written, counted from the start of the header.
    position: u64,
    /// Where the header starts in the sink; `None` for a pipe, in which nothing can be filled in later.
    start: Option<u64>,
    layout: Layout,
    has_audio: bool,
    interleaver: Interleaver,
    cluster: Option<Cluster>,
    /// Time in milliseconds and place in the segment of each indexed cluster.
    cues: Vec<(u64, u64)>,
    video: Progress,
    audio: Progress,
    malformed: u64,
    failed: bool,
    closed: bool,
}

struct Cluster {
    start_ms: u64,
    /// It starts with a video key frame.
    seekable: bool,
    blocks: Elements,
}

/// How far a track has come.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    packets: u64,
    last: Duration,
    /// How long the last packet stands, going by the one before it.
    gap: Duration,
}

impl Progress {
    fn add(&mut self, at: Duration) {
        if self.packets > 0 {
            self.gap = at.saturating_sub(self.last);
        }
        self.last = at;
        self.packets += 1;
    }

    fn end(&self) -> Duration {
        if self.packets == 0 { Duration::ZERO } else { self.last.saturating_add(self.gap) }
    }
}

impl MatroskaWriter<BufWriter<File>> {
    /// Creates or overwrites the file at `path`; its name decides between Matroska and WebM.
    ///
    /// # Errors
    /// [`MediaError::Open`], and as [`MatroskaWriter::new`].
    pub fn create(
        path: impl AsRef<Path>,
        video: &VideoTrack,
        opus_head: Option<&[u8]>,
    ) -> Result<Self, MediaError> {
        let path = path.as_ref();
        let file = display_name(path);
        let sink = File::create(path).map_err(|reason| MediaError::Open { file: file.clone(), reason })?;
        Self::new(file, BufWriter::new(sink), Container::from_path(path), video, opus_head)
    }
}

impl<W: Write + Seek> MatroskaWriter<W> {
    /// Writes the header. `file` is how messages name the sink; `opus_head` is the identification header of RFC 7845
    /// section 5.1, which also tells channels and encoder delay.
    ///
    /// # Errors
    /// [`MediaError::Misuse`] when `opus_head` or the track's `codec_private` is not what it should be,
    /// [`MediaError::Write`].
    pub fn new(
        file: impl Into<String>,
        mut sink: W,
        container: Container,
        video: &VideoTrack,
        opus_head: Option<&[u8]>,
    ) -> Result<Self, MediaError> {
        if !matches!(video.codec_private[..], [0x81, _, _, _, ..]) {
            return Err(MediaError::Misuse("codec_private of AV1 must be an av1C record of version 1"));
        }
        let audio = opus_head.map(OpusTrack::parse).transpose()?;
        let file = file.into();
        let (header, layout) = header(container, video, audio.as_ref());
        // A pipe can't tell a position; then the file stays as it is while it grows.
        let start = sink.stream_position().ok();
        sink.write_all(&header).map_err(|reason| MediaError::write(&file, reason))?;
        Ok(Self {
            file,
            sink,
            position: header.len() as u64,
            start,
            layout,
            has_audio: audio.is_some(),
            interleaver: Interleaver::default(),
            cluster: None,
            cues: Vec::new(),
            video: Progress { gap: video.rate.frame_interval(), ..Progress::default() },
            // Until two packets have come: the packet length that everybody uses.
            audio: Progress { gap: Duration::from_millis(20), ..Progress::default() },
            malformed: 0,
            failed: false,
            closed: false,
        })
    }

    /// Adds a temporal unit of AV1, in decoding order. `key` is true when decoding can start with it.
    ///
    /// # Errors
    /// [`MediaError::Write`], of this packet or an earlier one.
    pub fn write_video(&mut self, pts: MediaTime, key: bool, data: &[u8]) -> Result<(), MediaError> {
        // Blocks take the place of temporal delimiters in Matroska. What is no AV1 must not spoil the rest of the file.
        match codec_av1::strip_temporal_delimiters(data) {
            Ok(data) => self.interleaver.push(Track::Video, pts, key, data),
            Err(_) => self.malformed += 1,
        }
        self.write_due()
    }

    /// Adds an Opus packet; `pts` is when its first sample was captured.
    ///
    /// # Errors
    /// [`MediaError::Misuse`] when the file was opened without sound; [`MediaError::Write`], of this packet or an
    /// earlier one.
    pub fn write_audio(&mut self, pts: MediaTime, data: &[u8]) -> Result<(), MediaError> {
        if !self.has_audio {
            return Err(MediaError::Misuse("this Matroska file was opened without an audio track"));
        }
        self.interleaver.push(Track::Audio, pts, true, data.to_vec());
        self.write_due()
    }

    /// Writes what is held back, the index and the final sizes.
    ///
    /// # Errors
    /// [`MediaError::Write`]; the file is then playable up to where writing failed.
    pub fn finish(mut self) -> Result<Recorded, MediaError> {
        self.close()?;
        Ok(Recorded {
            video_frames: self.video.packets,
            audio_packets: self.audio.packets,
            dropped: self.interleaver.dropped() + self.malformed,
            duration: self.video.end().max(self.audio.end()),
        })
    }

    fn write_due(&mut self) -> Result<(), MediaError> {
        while let Some(packet) = self.interleaver.pop() {
            self.add_block(&packet)?;
        }
        Ok(())
    }

    fn add_block(&mut self, packet: &Packet) -> Result<(), MediaError> {
        let ms = packet.at.as_millis() as u64;
        let (number, progress) = match packet.track {
            Track::Video => (1, &mut self.video),
            Track::Audio => (2, &mut self.audio),
        };
        progress.add(packet.at);
        let seekable = packet.track == Track::Video && packet.key;
        let ends = |cluster: &Cluster| {
            seekable
                || ms.saturating_sub(cluster.start_ms) > MAX_CLUSTER_MS
                || cluster.blocks.len() + packet.data.len() > MAX_CLUSTER_BYTES
        };
        if self.cluster.as_ref().is_some_and(ends) {
            self.write_cluster()?;
        }
        let cluster = self.cluster.get_or_insert_with(|| {
            let mut blocks = Elements::default();
            blocks.uint(Id(0xe7), ms); // Timestamp
            Cluster { start_ms: ms, seekable, blocks }
        });
        // Below 0 only for sound that came later than the hold: it plays at the start of the cluster.
        let relative = i16::try_from(ms.saturating_sub(cluster.start_ms)).unwrap_or(i16::MAX);
        cluster.blocks.simple_block(number, relative, packet.key, &packet.data);
        Ok(())
    }

    fn write_cluster(&mut self) -> Result<(), MediaError> {
        let Some(cluster) = self.cluster.take() else { return Ok(()) };
        if cluster.seekable && self.cues.len() < MAX_CUES {
            self.cues.push((cluster.start_ms, self.position - self.layout.segment));
        }
        let mut element = Elements::default();
        element.binary(CLUSTER, &cluster.blocks.into_bytes());
        self.append(&element.into_bytes())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), MediaError> {
        // After a failed write nothing that follows would be at its place.
        if self.failed {
            let reason = std::io::Error::other("an earlier write failed");
            return Err(MediaError::write(&self.file, reason));
        }
        let result = self.sink.write_all(bytes);
        self.failed = result.is_err();
        self.position += bytes.len() as u64;
        result.map_err(|reason| MediaError::write(&self.file, reason))
    }

    /// Once only, whatever comes of it.
    fn close(&mut self) -> Result<(), MediaError> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        while let Some(packet) = self.interleaver.drain() {
            self.add_block(&packet)?;
        }
        self.write_cluster()?;
        if let Some(start) = self.start {
            let cues_at = self.write_cues()?;
            self.fill_in(start, cues_at).map_err(|reason| MediaError::write(&self.file, reason))?;
        }
        self.sink.flush().map_err(|reason| MediaError::write(&self.file, reason))
    }

    /// Appends the index and says where it is.
    fn write_cues(&mut self) -> Result<Option<u64>, MediaError> {
        let mut cues = Elements::default();
        for (ms, place) in &self.cues {
            // CuePoint: CueTime, CueTrackPositions (CueTrack, CueClusterPosition)
            cues.master(Id(0xbb), |point| {
                point.uint(Id(0xb3), *ms).master(Id(0xb7), |track| {
                    track.uint(Id(0xf7), 1).uint(Id(0xf1), *place);
                });
            });
        }
        if cues.is_empty() {
            return Ok(None);
        }
        let at = self.position;
        let mut element = Elements::default();
        element.binary(CUES, &cues.into_bytes());
        self.append(&element.into_bytes())?;
        Ok(Some(at))
    }

    /// Replaces what was left open at the start.
    fn fill_in(&mut self, start: u64, cues_at: Option<u64>) -> std::io::Result<()> {
        let layout = self.layout;
        let duration_ms = self.video.end().max(self.audio.end()).as_secs_f64() * 1_000.0;
        let mut duration = Elements::default();
        duration.float(DURATION, duration_ms);
        let mut seek_head = Elements::default();
        seek_head.master(Id(0x114d_9b74), |head| {
            let places = [(INFO, Some(layout.info)), (TRACKS, Some(layout.tracks)), (CUES, cues_at)];
            for (id, at) in places.into_iter().filter_map(|(id, at)| Some((id, at?))) {
                // Seek: SeekID, SeekPosition
                head.master(Id(0x4dbb), |entry| {
                    entry
                        .binary(Id(0x53ab), &id.bytes())
                        .binary(Id(0x53ac), &(at - layout.segment).to_be_bytes());
                });
            }
        });
        if seek_head.len() < SEEK_HEAD_LEN {
            seek_head.void(SEEK_HEAD_LEN - seek_head.len());
        }
        for (at, bytes) in [
            (layout.segment_size, size_in_eight(self.position - layout.segment).to_vec()),
            (layout.segment, seek_head.into_bytes()),
            (layout.duration, duration.into_bytes()),
        ] {
            self.sink.seek(SeekFrom::Start(start + at))?;
            self.sink.write_all(&bytes)?;
        }
        self.sink.seek(SeekFrom::Start(start + self.position))?;
        Ok(())
    }
}

impl<W: Write + Seek> Drop for MatroskaWriter<W> {
    fn drop(&mut self) {
        // Nobody is left to hear of an error; a caller that wants to calls `finish`.
        let _ = self.close();
    }
}

impl<W: Write + Seek> std::fmt::Debug for MatroskaWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MatroskaWriter")
            .field("file", &self.file)
            .field("position", &self.position)
            .field("video", &self.video)
            .field("audio", &self.audio)
            .finish_non_exhaustive()
    }
}
