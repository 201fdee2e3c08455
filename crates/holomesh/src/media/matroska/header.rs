//! What a Matroska file says before its first cluster: profile, and what the tracks are.

use super::super::MediaError;
use super::super::ebml::{Elements, Id, UNKNOWN_SIZE};
use core_types::{FrameRate, FrameSize};
use std::path::Path;

const SEGMENT: Id = Id(0x1853_8067);
pub(super) const INFO: Id = Id(0x1549_a966);
pub(super) const TRACKS: Id = Id(0x1654_ae6b);
pub(super) const DURATION: Id = Id(0x4489);

/// Bytes kept for a SeekHead with three entries.
pub(super) const SEEK_HEAD_LEN: usize = 68;
/// Bytes of a Duration element.
const DURATION_LEN: usize = 11;
/// What a decoder must hear before a seek target (RFC 7845 section 4.6): 80 ms, in nanoseconds.
const SEEK_PRE_ROLL_NS: u64 = 80_000_000;

/// Which of the two profiles a file claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Matroska, `.mkv`.
    Matroska,
    /// WebM, `.webm`: the part of Matroska that browsers play.
    WebM,
}

impl Container {
    /// WebM for names that end in `.webm`, Matroska for all others.
    pub fn from_path(path: impl AsRef<Path>) -> Self {
        match path.as_ref().extension() {
            Some(extension) if extension.eq_ignore_ascii_case("webm") => Self::WebM,
            _ => Self::Matroska,
        }
    }
}

/// What the file says of its AV1 track.
#[derive(Debug, Clone)]
pub struct VideoTrack {
    /// The size of the pictures.
    pub size: FrameSize,
    /// How many there are in a second, nominally.
    pub rate: FrameRate,
    /// The AV1CodecConfigurationRecord (`av1C`): four bytes and the sequence header OBU.
    pub codec_private: Vec<u8>,
}

/// Places, counted from the start of the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) segment_size: u64,
    /// Where the segment's data starts; what positions in the index count from. The SeekHead's place is here too.
    pub(super) segment: u64,
    pub(super) info: u64,
    pub(super) duration: u64,
    pub(super) tracks: u64,
}

/// What an OpusHead says.
pub(super) struct OpusTrack<'a> {
    head: &'a [u8],
    channels: u8,
    /// Samples at 48 kHz to be left out at the start of decoding.
    pre_skip: u16,
}

impl<'a> OpusTrack<'a> {
    pub(super) fn parse(head: &'a [u8]) -> Result<Self, MediaError> {
        let Some([1, channels @ 1..=2, p0, p1, _, _, _, _, _, _, 0]) = head.strip_prefix(b"OpusHead") else {
            return Err(MediaError::Misuse(
                "codec_private of Opus must be an OpusHead of version 1 with one or two channels",
            ));
        };
        Ok(Self { head, channels: *channels, pre_skip: u16::from_le_bytes([*p0, *p1]) })
    }
}

/// Everything before the first cluster.
pub(super) fn header(
    container: Container,
    video: &VideoTrack,
    audio: Option<&OpusTrack<'_>>,
) -> (Vec<u8>, Layout) {
    let doc_type = match container {
        Container::Matroska => "matroska",
        Container::WebM => "webm",
    };
    let mut head = Elements::default();
    head.master(Id(0x1a45_dfa3), |ebml| {
        // EBML header
        ebml.uint(Id(0x4286), 1) // EBMLVersion
            .uint(Id(0x42f7), 1) // EBMLReadVersion
            .uint(Id(0x42f2), 4) // EBMLMaxIDLength
            .uint(Id(0x42f3), 8) // EBMLMaxSizeLength
            .string(Id(0x4282), doc_type) // DocType
            .uint(Id(0x4287), 4) // DocTypeVersion
            .uint(Id(0x4285), 2); // DocTypeReadVersion
    });
    let mut bytes = head.into_bytes();
    bytes.extend(SEGMENT.bytes());
    let segment_size = bytes.len() as u64;
    bytes.extend(UNKNOWN_SIZE);
    let segment = bytes.len() as u64;

    let mut body = Elements::default();
    body.void(SEEK_HEAD_LEN);
    let info = segment + body.len() as u64;
    body.master(INFO, |info| {
        // One tick is a millisecond.
        info.uint(Id(0x002a_d7b1), 1_000_000) // TimestampScale
            .string(Id(0x4d80), concat!("holomesh ", env!("CARGO_PKG_VERSION"))) // MuxingApp
            .string(Id(0x5741), concat!("holomesh ", env!("CARGO_PKG_VERSION"))) // WritingApp
            .void(DURATION_LEN);
    });
    // The place kept for the duration is the last thing in Info.
    let duration = segment + (body.len() - DURATION_LEN) as u64;
    let tracks = segment + body.len() as u64;
    body.master(TRACKS, |tracks| {
        // TrackEntry, one each
        tracks.master(Id(0xae), |track| video_entry(track, video));
        if let Some(audio) = audio {
            tracks.master(Id(0xae), |track| audio_entry(track, audio));
        }
    });
    bytes.extend(body.into_bytes());
    (bytes, Layout { segment_size, segment, info, duration, tracks })
}

fn video_entry(track: &mut Elements, video: &VideoTrack) {
    track_start(track, 1, 1, "V_AV1");
    track
        .uint(Id(0x0023_e383), video.rate.frame_interval().as_nanos() as u64) // DefaultDuration
        .binary(Id(0x63a2), &video.codec_private) // CodecPrivate
        .master(Id(0xe0), |picture| {
            // Video
            picture
                .uint(Id(0x9a), 2) // FlagInterlaced: no
                .uint(Id(0xb0), video.size.width() as u64) // PixelWidth
                .uint(Id(0xba), video.size.height() as u64); // PixelHeight
        });
}

fn audio_entry(track: &mut Elements, audio: &OpusTrack<'_>) {
    track_start(track, 2, 2, "A_OPUS");
    track
        .uint(Id(0x56aa), u64::from(audio.pre_skip) * 1_000_000_000 / 48_000) // CodecDelay
        .uint(Id(0x56bb), SEEK_PRE_ROLL_NS) // SeekPreRoll
        .binary(Id(0x63a2), audio.head) // CodecPrivate
        .master(Id(0xe1), |sound| {
            // Audio
            // Opus decodes at 48 kHz whatever went in.
            sound
                .float(Id(0xb5), 48_000.0) // SamplingFrequency
                .uint(Id(0x9f), audio.channels.into()); // Channels
        });
}

fn track_start(track: &mut Elements, number: u64, kind: u64, codec: &str) {
    track
        .uint(Id(0xd7), number) // TrackNumber
        .uint(Id(0x73c5), number) // TrackUID
        .uint(Id(0x83), kind) // TrackType
        .uint(Id(0x9c), 0) // FlagLacing
        .string(Id(0x86), codec); // CodecID
}
