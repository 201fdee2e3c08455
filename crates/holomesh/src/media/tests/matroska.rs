use super::{asset, fps, size};
use crate::media::ebml::{Elements, Id};
use crate::media::ivf::IvfReader;
use crate::media::{Container, MatroskaWriter, MediaError, VideoTrack};
use codec_av1::{configuration_record, is_key_frame};
use core::time::Duration;
use core_types::MediaTime;
use std::cell::{Cell, RefCell};
use std::io::{BufReader, Cursor, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::rc::Rc;

/// 20 ms of silence, fullband CELT.
const OPUS_SILENCE: &[u8] = &[0xf8, 0xff, 0xfe];
/// Version 1, one channel, 312 samples of encoder delay, 16 kHz input.
const OPUS_HEAD: &[u8] = b"OpusHead\x01\x01\x38\x01\x80\x3e\0\0\0\0\0";

/// An element: id, where it starts, its content.
#[derive(Debug, Clone, Copy)]
struct Element<'a> {
    id: u32,
    at: usize,
    data: &'a [u8],
}

/// The elements side by side in `bytes`, by RFC 8794 sections 4 to 6; independent of the writer.
fn walk(bytes: &[u8]) -> Vec<Element<'_>> {
    let mut elements = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let id_len = bytes[at].leading_zeros() as usize + 1;
        let id = bytes[at..at + id_len].iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let size_at = at + id_len;
        let size_len = bytes[size_at].leading_zeros() as usize + 1;
        let marked =
            bytes[size_at..size_at + size_len].iter().fold(0u64, |size, b| size << 8 | u64::from(*b));
        let size = marked & ((1 << (7 * size_len)) - 1);
        let start = size_at + size_len;
        let unknown = size == (1 << (7 * size_len)) - 1;
        let end = if unknown { bytes.len() } else { start + size as usize };
        elements.push(Element { id, at, data: &bytes[start..end] });
        at = end;
    }
    elements
}

fn find<'a>(bytes: &'a [u8], path: &[u32]) -> &'a [u8] {
    path.iter().fold(bytes, |inner, id| {
        walk(inner).iter().find(|e| e.id == *id).unwrap_or_else(|| panic!("no element {id:#x}")).data
    })
}

fn uint(bytes: &[u8], path: &[u32]) -> u64 {
    find(bytes, path).iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// Track, milliseconds, key flag and data of each block in file order.
fn blocks(file: &[u8]) -> Vec<(u8, u64, bool, Vec<u8>)> {
    let segment = find(file, &[0x1853_8067]);
    let mut blocks = Vec::new();
    for cluster in walk(segment).iter().filter(|e| e.id == 0x1f43_b675) {
        let start = uint(cluster.data, &[0xe7]);
        for block in walk(cluster.data).iter().filter(|e| e.id == 0xa3) {
            let [track, t0, t1, flags, data @ ..] = block.data else { panic!("short block") };
            let time = start.checked_add_signed(i16::from_be_bytes([*t0, *t1]).into()).unwrap();
            blocks.push((track & 0x7f, time, flags & 0x80 != 0, data.to_vec()));
        }
    }
    blocks
}

fn track() -> VideoTrack {
    VideoTrack { size: size(640, 360), rate: fps(25, 1), codec_private: vec![0x81, 1, 0x0c, 0, 0x0a, 1, 2] }
}

/// A temporal unit that no decoder could use: a delimiter and a frame OBU of `len` times `fill`.
fn unit(fill: u8, len: u8) -> Vec<u8> {
    [vec![0x12, 0, 0x32, len], vec![fill; len.into()]].concat()
}

fn millis(ms: u64) -> MediaTime {
    MediaTime::from_duration(Duration::from_millis(ms))
}

/// Three seconds from media time 7 s on, key frames at 0 and 1.6 s, sound half a second ahead of the pictures.
fn write_three_seconds<W: Write + Seek>(writer: &mut MatroskaWriter<W>) {
    for n in 0..75u64 {
        for a in 0..2 {
            writer.write_audio(millis(7_500 + n * 40 + a * 20), OPUS_SILENCE).unwrap();
        }
        writer.write_video(millis(7_000 + n * 40), n % 40 == 0, &unit(n as u8, 50)).unwrap();
    }
}

#[test]
fn a_finished_file_is_what_its_index_and_header_say() {
    for (container, doc_type) in [(Container::Matroska, "matroska"), (Container::WebM, "webm")] {
        let mut file = Cursor::new(Vec::new());
        let mut writer = MatroskaWriter::new("out", &mut file, container, &track(), Some(OPUS_HEAD)).unwrap();
        writer.write_video(millis(6_960), false, &unit(0, 5)).unwrap();
        writer.write_video(millis(6_980), true, b"no AV1 at all").unwrap();
        write_three_seconds(&mut writer);
        let recorded = writer.finish().unwrap();
        assert_eq!((recorded.video_frames, recorded.audio_packets, recorded.dropped), (75, 150, 2));
        assert_eq!(recorded.duration, Duration::from_millis(3_500));

        let file = file.into_inner();
        let top = walk(&file);
        assert_eq!(top.iter().map(|e| e.id).collect::<Vec<_>>(), [0x1a45_dfa3, 0x1853_8067]);
        assert_eq!(find(&file, &[0x1a45_dfa3, 0x4282]), doc_type.as_bytes());
        let segment = top[1].data;
        assert_eq!(&file[top[1].at + 4..][..8], (segment.len() as u64 | 1 << 56).to_be_bytes());

        let duration = find(segment, &[0x1549_a966, 0x4489]);
        assert_eq!(f64::from_be_bytes(duration.try_into().unwrap()), 3_500.0);
        let tracks = walk(find(segment, &[0x1654_ae6b]));
        assert_eq!(find(tracks[0].data, &[0x86]), b"V_AV1");
        assert_eq!(find(tracks[0].data, &[0x63a2]), track().codec_private);
        assert_eq!((uint(tracks[0].data, &[0xe0, 0xb0]), uint(tracks[0].data, &[0xe0, 0xba])), (640, 360));
        assert_eq!(uint(tracks[0].data, &[0x0023_e383]), 40_000_000);
        assert_eq!(find(tracks[1].data, &[0x86]), b"A_OPUS");
        assert_eq!(find(tracks[1].data, &[0x63a2]), OPUS_HEAD);
        assert_eq!(uint(tracks[1].data, &[0x56aa]), 6_500_000);
        assert_eq!(uint(tracks[1].data, &[0xe1, 0x9f]), 1);

        let seeks = walk(find(segment, &[0x114d_9b74]));
        assert_eq!(seeks.len(), 3);
        let elements = walk(segment);
        for seek in seeks {
            let (id, at) = (uint(seek.data, &[0x53ab]), uint(seek.data, &[0x53ac]));
            assert!(
                elements.iter().any(|e| u64::from(e.id) == id && e.at as u64 == at),
                "{id:#x} is not at {at}"
            );
        }
        let cues = walk(find(segment, &[0x1c53_bb6b]));
        let times: Vec<_> = cues.iter().map(|cue| uint(cue.data, &[0xb3])).collect();
        assert_eq!(times, [0, 1_600]);
        for cue in cues {
            let at = uint(cue.data, &[0xb7, 0xf1]);
            let cluster = elements.iter().find(|e| e.at as u64 == at).unwrap();
            assert_eq!((cluster.id, uint(cluster.data, &[0xe7])), (0x1f43_b675, uint(cue.data, &[0xb3])));
            assert_eq!(
                walk(cluster.data)[1].data[..4],
                [0x81, 0, 0, 0x80],
                "a key frame at time 0 comes first"
            );
        }
    }
}

#[test]
fn blocks_are_in_the_order_of_time_and_complete() {
    let mut file = Cursor::new(Vec::new());
    let mut writer =
        MatroskaWriter::new("out", &mut file, Container::WebM, &track(), Some(OPUS_HEAD)).unwrap();
    write_three_seconds(&mut writer);
    writer.finish().unwrap();
    let blocks = blocks(file.get_ref());
    assert!(blocks.is_sorted_by_key(|(_, ms, _, _)| *ms));
    let video: Vec<_> = blocks.iter().filter(|b| b.0 == 1).collect();
    let audio: Vec<_> = blocks.iter().filter(|b| b.0 == 2).collect();
    assert_eq!((video.len(), audio.len()), (75, 150));
    for (n, (_, ms, key, data)) in video.into_iter().enumerate() {
        assert_eq!((*ms, *key, &data[..]), (n as u64 * 40, n % 40 == 0, &unit(n as u8, 50)[2..]));
    }
    assert_eq!((audio[0].1, &audio[0].3[..]), (500, OPUS_SILENCE));
}

/// A file in memory that outlives its writer; optionally a pipe, optionally full at some length.
#[derive(Default, Clone)]
struct Sink {
    bytes: Rc<RefCell<Vec<u8>>>,
    at: u64,
    pipe: bool,
    full_at: Rc<Cell<Option<usize>>>,
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let mut bytes = self.bytes.borrow_mut();
        if self.full_at.get().is_some_and(|full| bytes.len() + data.len() > full) {
            return Err(std::io::Error::other("disk full"));
        }
        let at = self.at as usize;
        let overlap = data.len().min(bytes.len() - at);
        bytes[at..at + overlap].copy_from_slice(&data[..overlap]);
        bytes.extend(&data[overlap..]);
        self.at += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match to {
            _ if self.pipe => return Err(std::io::ErrorKind::NotSeekable.into()),
            SeekFrom::Start(at) => self.at = at,
            SeekFrom::Current(by) => self.at = self.at.saturating_add_signed(by),
            SeekFrom::End(_) => return Err(std::io::ErrorKind::Unsupported.into()),
        }
        Ok(self.at)
    }
}

#[test]
fn a_dropped_writer_leaves_a_finished_file() {
    let bytes = |drop_it: bool| {
        let sink = Sink::default();
        let mut writer =
            MatroskaWriter::new("out", sink.clone(), Container::WebM, &track(), Some(OPUS_HEAD)).unwrap();
        write_three_seconds(&mut writer);
        if drop_it {
            drop(writer);
        } else {
            writer.finish().unwrap();
        }
        sink.bytes.take()
    };
    assert!(bytes(true) == bytes(false));
}

#[test]
fn a_pipe_or_a_dead_process_leaves_a_file_that_can_be_read_as_it_is() {
    for pipe in [true, false] {
        let sink = Sink { pipe, ..Sink::default() };
        let mut writer =
            MatroskaWriter::new("out", sink.clone(), Container::WebM, &track(), Some(OPUS_HEAD)).unwrap();
        write_three_seconds(&mut writer);
        if pipe {
            writer.finish().unwrap();
        } else {
            std::mem::forget(writer);
        }
        let file = sink.bytes.take();
        let ids: Vec<_> = walk(find(&file, &[0x1853_8067])).iter().map(|e| e.id).collect();
        assert_eq!(ids[..3], [0xec, 0x1549_a966, 0x1654_ae6b]);
        assert!(ids.len() > 3 && ids[3..].iter().all(|id| *id == 0x1f43_b675));
        assert_eq!(blocks(&file).iter().filter(|b| b.0 == 1).count(), if pipe { 75 } else { 40 });
    }
}

#[test]
fn a_full_disk_is_reported_and_nothing_is_written_after_it() {
    let sink = Sink { full_at: Rc::new(Cell::new(Some(1_000))), ..Sink::default() };
    let mut writer =
        MatroskaWriter::new("out.mkv", sink.clone(), Container::Matroska, &track(), None).unwrap();
    let mut write = |from: u64| {
        (from..500).find_map(|n| writer.write_video(millis(n * 40), n % 25 == 0, &unit(0, 50)).err())
    };
    assert_eq!(write(0).unwrap().to_string(), "out.mkv: writing failed: disk full");
    let length = sink.bytes.borrow().len();
    sink.full_at.set(None);
    assert_eq!(write(200).unwrap().to_string(), "out.mkv: writing failed: an earlier write failed");
    assert!(writer.finish().is_err());
    assert_eq!(sink.bytes.borrow().len(), length);
}

/// Lengths around those at which the size field grows, since a field of all ones would mean "unknown".
#[test]
fn elements_of_any_length_are_read_back() {
    for length in [0, 1, 125, 126, 127, 128, 16_381, 16_382, 16_383, 16_384, 2_097_150, 2_097_151] {
        let mut elements = Elements::default();
        elements.binary(Id(0x63a2), &vec![7; length]).void(2 + length.min(126)).uint(Id(0xd7), length as u64);
        let bytes = elements.into_bytes();
        let read = walk(&bytes);
        assert_eq!(read.iter().map(|e| e.id).collect::<Vec<_>>(), [0x63a2, 0xec, 0xd7]);
        assert_eq!((read[0].data.len(), read[2].at - read[1].at), (length, 2 + length.min(126)));
        assert_eq!(uint(&bytes, &[0xd7]), length as u64);
    }
}

#[test]
fn what_no_file_can_hold_is_the_callers_fault() {
    let new = |track: &VideoTrack, head: Option<&[u8]>| {
        MatroskaWriter::new("out", Cursor::new(Vec::new()), Container::WebM, track, head).map(drop)
    };
    let bad_track = VideoTrack { codec_private: vec![0x0a], ..track() };
    let six_channels = b"OpusHead\x01\x06\x38\x01\x80\x3e\0\0\0\0\0";
    for result in [new(&bad_track, None), new(&track(), Some(b"OpusHead")), new(&track(), Some(six_channels))]
    {
        assert!(matches!(result, Err(MediaError::Misuse(_))));
    }
    let mut silent =
        MatroskaWriter::new("out", Cursor::new(Vec::new()), Container::WebM, &track(), None).unwrap();
    assert!(matches!(silent.write_audio(millis(0), OPUS_SILENCE), Err(MediaError::Misuse(_))));
}

/// The bundled clip and as much silence, through FFmpeg's own demuxer and decoders.
#[test]
fn ffprobe_reads_both_tracks_at_the_right_length() {
    let probe = |path: &Path, options: &[&str]| {
        let output = Command::new("ffprobe").args(["-v", "error"]).args(options).arg(path).output().unwrap();
        assert!(output.stderr.is_empty(), "ffprobe: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    if Command::new("ffprobe").arg("-version").output().is_err() {
        eprintln!(
            "\n*** SKIPPED: ffprobe is not installed, so no other program has read the Matroska output ***\n"
        );
        return;
    }
    let clip = std::fs::File::open(asset("clip.ivf")).unwrap();
    let mut clip = IvfReader::new("clip.ivf", Box::new(BufReader::new(clip))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mkv");
    let mut coded = clip.next_coded("clip.ivf").unwrap();
    let codec_private = configuration_record(coded.as_ref().unwrap()).unwrap();
    let track = VideoTrack { size: clip.size(), rate: clip.rate(), codec_private };
    let mut writer = MatroskaWriter::create(&path, &track, Some(OPUS_HEAD)).unwrap();
    let mut at = 3_000;
    while let Some(unit) = coded {
        writer.write_video(millis(at), is_key_frame(&unit).unwrap(), &unit).unwrap();
        writer.write_audio(millis(at), OPUS_SILENCE).unwrap();
        writer.write_audio(millis(at + 20), OPUS_SILENCE).unwrap();
        coded = clip.next_coded("clip.ivf").unwrap();
        at += 40;
    }
    writer.finish().unwrap();
    let streams = "stream=codec_name,width,sample_rate,nb_read_frames";
    let video = format!("stream,av1,{},262", track.size.width());
    let text = probe(&path, &["-count_frames", "-show_entries", streams, "-of", "csv"]);
    assert_eq!(text.lines().collect::<Vec<_>>(), [video.as_str(), "stream,opus,48000,524"]);
    let format = "format=format_name,duration";
    let text = probe(&path, &["-show_entries", format, "-of", "default=nk=1:nw=1"]);
    assert_eq!(text.lines().collect::<Vec<_>>(), ["matroska,webm", "10.480000"]);
}
