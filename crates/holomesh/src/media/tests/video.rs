use super::{fps, ivf_file, size};
use crate::media::ivf::IvfReader;
use crate::media::{MediaError, VideoSource, Y4mWriter};
use codec_av1::Frame;
use proptest::prelude::*;
use std::io::Cursor;

fn open(bytes: impl Into<Vec<u8>>) -> Result<VideoSource, MediaError> {
    VideoSource::from_reader("clip", Cursor::new(bytes.into()))
}

/// Reads to the end: how many pictures came, and the error if one ended it.
fn read_all(source: &mut VideoSource) -> (usize, Option<MediaError>) {
    let mut pictures = 0;
    loop {
        match source.next_frame() {
            Ok(Some(_)) => pictures += 1,
            Ok(None) => return (pictures, None),
            Err(error) => return (pictures, Some(error)),
        }
    }
}

fn refusal(bytes: impl Into<Vec<u8>>) -> String {
    let mut source = match open(bytes) {
        Err(error) => return error.to_string(),
        Ok(source) => source,
    };
    read_all(&mut source).1.expect("this file is bad").to_string()
}

/// A Y4M file of `count` pictures of 16x16, each of one value.
fn y4m_file(count: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Y4mWriter::new("out", &mut file, size(16, 16), fps(25, 1)).unwrap();
    for value in 0..count {
        writer.write_frame(&Frame::from_i420(size(16, 16), vec![value; 384]).unwrap()).unwrap();
    }
    file
}

#[test]
fn the_y4m_crate_reads_what_is_written_here() {
    let file = y4m_file(3);
    let mut decoder = ::y4m::decode(&file[..]).unwrap();
    assert_eq!((decoder.get_width(), decoder.get_height()), (16, 16));
    assert_eq!((decoder.get_framerate().num, decoder.get_framerate().den), (25, 1));
    for value in 0..3 {
        let frame = decoder.read_frame().unwrap();
        assert!(frame.get_y_plane() == [value; 256] && frame.get_v_plane() == [value; 64]);
    }
    assert!(decoder.read_frame().is_err());
}

proptest! {
    #[test]
    fn what_the_y4m_crate_writes_is_read_here(
        (w, h) in (8usize..40, 8usize..40).prop_map(|(w, h)| (w * 2, h * 2)),
        (num, den) in (1usize..60_000, 1_000usize..1_002),
        seeds in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut file = Vec::new();
        let pictures: Vec<Vec<u8>> = seeds
            .iter()
            .map(|seed| (0..w * h * 3 / 2).map(|i| (i as u8).wrapping_mul(31).wrapping_add(*seed)).collect())
            .collect();
        let mut encoder = ::y4m::encode(w, h, ::y4m::Ratio::new(num, den))
            .with_colorspace(::y4m::Colorspace::C420jpeg)
            .write_header(&mut file)
            .unwrap();
        for picture in &pictures {
            let (y, uv) = picture.split_at(w * h);
            let (u, v) = uv.split_at(w * h / 4);
            encoder.write_frame(&::y4m::Frame::new([y, u, v], Some(b"Ip".to_vec()))).unwrap();
        }
        let mut source = open(file).unwrap();
        prop_assert_eq!(source.size(), size(w as u32, h as u32));
        prop_assert_eq!(source.rate(), fps(num as u32, den as u32));
        for picture in &pictures {
            let frame = source.next_frame().unwrap().unwrap();
            prop_assert_eq!(frame.as_i420(), &picture[..]);
        }
        prop_assert!(source.next_frame().unwrap().is_none());
    }

    #[test]
    fn a_cut_y4m_file_gives_its_whole_pictures_and_then_says_where_it_is_cut(cut in 0usize..2_000) {
        let whole = y4m_file(5);
        let header = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        let cut = cut.min(whole.len());
        let each = 6 + 384;
        match open(&whole[..cut]) {
            Err(error) => {
                let fits = matches!(error, MediaError::Truncated { .. } | MediaError::Unsupported { .. });
                prop_assert!(cut < header && fits, "{}", error);
            }
            Ok(mut source) => {
                let (pictures, error) = read_all(&mut source);
                prop_assert_eq!(pictures, (cut - header) / each);
                match error {
                    None => prop_assert_eq!((cut - header) % each, 0),
                    Some(MediaError::Truncated { at, .. }) => prop_assert_eq!(at, format!("frame {pictures}")),
                    Some(other) => prop_assert!(false, "{}", other),
                }
                prop_assert!(source.next_frame().unwrap().is_none(), "an error ends the source");
            }
        }
    }

    #[test]
    fn any_bytes_after_any_start_end_without_panic(
        start in proptest::sample::select(vec![
            &b""[..],
            b"YUV4MPEG2 ",
            b"YUV4MPEG2 W16 H16 F25:1\n",
            b"YUV4MPEG2 W16 H16 F25:1\nFRAME\n",
            b"DKIF\0\0\x20\0AV01",
            b"DKIF\0\0\x20\0AV01\x10\0\x10\0\x19\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0",
            b"DKIF\0\0\x20\0AV01\x10\0\x10\0\x19\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\x12\0",
        ]),
        tail in proptest::collection::vec(any::<u8>(), 0..800),
    ) {
        if let Ok(mut source) = open([start, &tail].concat()) {
            read_all(&mut source);
        }
    }

    #[test]
    fn a_changed_header_ends_without_panic(at in 0usize..60, byte: u8, ivf: bool) {
        let mut file = if ivf { ivf_file((16, 16), (1, 25), &[(0, &[1, 2, 3])]) } else { y4m_file(2) };
        let at = at.min(file.len() - 1);
        file[at] = byte;
        if let Ok(mut source) = open(file) {
            read_all(&mut source);
        }
    }

    #[test]
    fn ivf_frames_come_back_as_they_were_written(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..30),
        cut in 0usize..10,
    ) {
        let stamped: Vec<_> = frames.iter().enumerate().map(|(i, f)| (i as u64 * 40, &f[..])).collect();
        let file = ivf_file((640, 360), (1, 1_000), &stamped);
        // A cut of less than a frame takes the last frame only.
        let cut = cut.min(frames.last().map_or(0, |f| f.len() + 11));
        let mut reader = IvfReader::new("clip", Box::new(Cursor::new(file[..file.len() - cut].to_vec()))).unwrap();
        prop_assert_eq!(reader.size(), size(640, 360));
        let whole = if cut == 0 { frames.len() } else { frames.len() - 1 };
        for frame in &frames[..whole] {
            let read = reader.next_coded("clip").unwrap();
            prop_assert_eq!(read.as_ref(), Some(frame));
        }
        let truncated = matches!(reader.next_coded("clip"), Err(MediaError::Truncated { .. }));
        prop_assert_eq!(truncated, cut != 0);
        if whole > 1 {
            prop_assert_eq!(reader.rate(), fps(25, 1));
        }
    }
}

#[test]
fn the_rate_of_an_ivf_file_comes_from_its_time_stamps() {
    for (base, stamps, rate) in [
        ((1, 25), vec![0, 1, 2], fps(25, 1)),
        ((1_001, 30_000), vec![7, 8], fps(30_000, 1_001)),
        ((1, 1_000), vec![0, 40, 80, 120], fps(25, 1)),
        // 30 fps in rounded milliseconds: the mean over eight intervals, not the first of them.
        ((1, 1_000), vec![0, 33, 67, 100, 133, 167, 200, 233, 267, 300], fps(8_000, 267)),
        ((1, 30), vec![5], fps(30, 1)),
        ((1, 30), vec![5, 5], fps(30, 1)),
        ((1, 1_000), vec![5], fps(25, 1)),
    ] {
        let frames: Vec<_> = stamps.iter().map(|s| (*s, &b"x"[..])).collect();
        let file = ivf_file((640, 360), base, &frames);
        let reader = IvfReader::new("clip", Box::new(Cursor::new(file))).unwrap();
        assert_eq!(reader.rate().num() * rate.den(), rate.num() * reader.rate().den(), "{stamps:?}");
    }
}

#[test]
fn a_refusal_names_the_file_the_cause_and_the_way_out() {
    let too_large = u32::MAX.to_le_bytes();
    let mut huge_frame = ivf_file((16, 16), (1, 25), &[]);
    huge_frame.extend([&too_large[..], &[0; 8]].concat());
    for (bytes, cause, way_out) in [
        (
            b"YUV4MPEG2 W640 H360 F25:1 C444\n".to_vec(),
            "colour space \"444\"",
            "ffmpeg -i clip -pix_fmt yuv420p",
        ),
        (b"YUV4MPEG2 W640 H360 F25:1 C420p12\n".to_vec(), "\"420p12\"", "ffmpeg -i clip -pix_fmt yuv420p"),
        (b"YUV4MPEG2 W640 H360 F25:1 It\n".to_vec(), "interlaced", "-vf yadif"),
        (
            b"YUV4MPEG2 W640 H360 F25:1 C420jpeg XCOLORRANGE=FULL\n".to_vec(),
            "full-range",
            "-vf scale=out_range=tv -pix_fmt yuv420p",
        ),
        (b"YUV4MPEG2 W641 H360 F25:1\n".to_vec(), "641x360", "-vf scale="),
        (b"YUV4MPEG2 W0 H0 F25:1\n".to_vec(), "0x0", "-vf scale="),
        (b"YUV4MPEG2 W4098 H360 F25:1\n".to_vec(), "4098x360", "-vf scale="),
        (b"YUV4MPEG2 W4294967295 H4294967295 F25:1\n".to_vec(), "4294967295x4294967295", "-vf scale="),
        (b"YUV4MPEG2 W99999999999999999999 H2 F25:1\n".to_vec(), "holds no number", "make the file again"),
        (b"YUV4MPEG2 W640 H360 F0:0\n".to_vec(), "frame rate 0/0", "-r 25"),
        (b"YUV4MPEG2 W640 F25:1\n".to_vec(), "height is missing", "make the file again"),
        (
            [b"YUV4MPEG2 W16 H16 X".to_vec(), vec![b'x'; 2_000]].concat(),
            "more than 1,023",
            "make the file again",
        ),
        (ivf_file((16, 18), (0, 25), &[]), "time base of zero", "make the file again"),
        (ivf_file((16, 15), (1, 25), &[]), "16x15", "-vf scale="),
        (ivf_file((16, 16), (1, 25), &[])[..31].to_vec(), "cut off at its header", "make the file again"),
        (
            b"DKIF\0\0\x20\0VP80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            "\"VP80\"",
            "ffmpeg -i clip",
        ),
        (huge_frame, "4294967295 bytes", "make the file again"),
        (b"\x1a\x45\xdf\xa3 and so on".to_vec(), "Matroska or WebM", "ffmpeg -i clip"),
        (b"\0\0\0\x20ftypisom".to_vec(), "MP4", "ffmpeg -i clip"),
        (b"RIFF\0\0\0\0WAVEfmt ".to_vec(), "sound", "as the audio"),
        (b"hello".to_vec(), "neither Y4M nor AV1", "ffmpeg -i clip"),
        (Vec::new(), "empty", "make the file again"),
    ] {
        let text = refusal(bytes);
        assert!(text.starts_with("clip: ") && text.contains(cause) && text.contains(way_out), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn samples_of_ten_bits_are_rounded_to_eight() {
    let samples: Vec<u16> =
        (0..384).map(|n| [0, 1, 2, 5, 6, 512, 1_021, 1_022, 1_023, 65_535][n % 10]).collect();
    let eight = [0, 0, 1, 1, 2, 128, 255, 255, 255, 255];
    let mut file = b"YUV4MPEG2 W16 H16 F25:1 C420p10 XYSCSS=420P10\n".to_vec();
    for _ in 0..2 {
        file.extend(b"FRAME\n");
        file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    }
    let cut = file.len() - 1;
    let mut source = open(&file[..cut]).unwrap();
    let frame = source.next_frame().unwrap().unwrap();
    assert!(frame.as_i420().iter().enumerate().all(|(n, sample)| *sample == eight[n % 10]));
    assert!(matches!(source.next_frame(), Err(MediaError::Truncated { .. })));
}

#[test]
fn nothing_comes_after_an_error() {
    let mut file = y4m_file(3);
    let second = file.len() - 2 * (6 + 384);
    file[second] = b'G';
    let mut source = open(file).unwrap();
    assert!(source.next_frame().unwrap().is_some());
    assert!(matches!(source.next_frame(), Err(MediaError::Malformed { .. })));
    assert!(source.next_frame().unwrap().is_none());
}

#[test]
fn a_missing_file_is_named_and_shell_characters_are_quoted() {
    let error = VideoSource::open("no such\nclip.y4m").unwrap_err();
    assert!(matches!(error, MediaError::Open { .. }));
    assert!(error.to_string().starts_with("no such?clip.y4m: can't be opened"), "{error}");
    let error = VideoSource::from_reader("it's $(x).mp4", &b"zzz"[..]).unwrap_err().to_string();
    assert!(error.contains(r"ffmpeg -i 'it'\''s $(x).mp4' "), "{error}");
}

#[test]
fn a_picture_of_another_size_is_not_written() {
    let mut writer = Y4mWriter::new("out", Vec::new(), size(16, 16), fps(25, 1)).unwrap();
    let other = Frame::from_i420(size(16, 32), vec![0; 16 * 48]).unwrap();
    assert!(matches!(writer.write_frame(&other), Err(MediaError::Misuse(_))));
}
