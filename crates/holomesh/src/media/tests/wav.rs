use crate::media::{AudioSource, MediaError};
use hound::{SampleFormat, WavSpec, WavWriter};
use proptest::prelude::*;
use std::f64::consts::TAU;
use std::io::Cursor;

fn wav<S: hound::Sample + Copy>(rate: u32, channels: u16, bits: u16, float: bool, samples: &[S]) -> Vec<u8> {
    let sample_format = if float { SampleFormat::Float } else { SampleFormat::Int };
    let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

fn open(bytes: impl Into<Vec<u8>>) -> Result<AudioSource, MediaError> {
    AudioSource::from_reader("voice.wav", Cursor::new(bytes.into()))
}

fn read_all(source: &mut AudioSource, block: usize) -> Result<Vec<i16>, MediaError> {
    let mut all = Vec::new();
    while let Some(samples) = source.next_block(block)? {
        assert_eq!(samples.len(), block * usize::from(source.channels()));
        all.extend(samples);
    }
    Ok(all)
}

proptest! {
    #[test]
    fn native_rates_pass_through_bit_for_bit_with_a_padded_end(
        rate in proptest::sample::select(vec![8_000u32, 12_000, 16_000, 24_000, 48_000]),
        channels in 1u16..=2,
        mut samples in proptest::collection::vec(any::<i16>(), 0..5_000),
        block in 1usize..1_500,
    ) {
        samples.truncate(samples.len() / usize::from(channels) * usize::from(channels));
        let mut source = open(wav(rate, channels, 16, false, &samples)).unwrap();
        prop_assert_eq!((source.sample_rate(), u16::from(source.channels())), (rate, channels));
        let read = read_all(&mut source, block).unwrap();
        prop_assert_eq!(read.len(), samples.len().div_ceil(block * usize::from(channels)) * block * usize::from(channels));
        prop_assert_eq!(&read[..samples.len()], &samples[..]);
        prop_assert!(read[samples.len()..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn wider_formats_round_to_the_nearest_and_clip(values in proptest::collection::vec(any::<i16>(), 1..50)) {
        let wide: Vec<i32> = values.iter().map(|v| i32::from(*v) * 256 + 100).collect();
        let mut source = open(wav(48_000, 1, 24, false, &wide)).unwrap();
        prop_assert_eq!(source.next_block(values.len()).unwrap().unwrap(), values.clone());
        let mut floats: Vec<f32> = values.iter().map(|v| f32::from(*v) / 32_768.0).collect();
        floats.extend([7.0, -7.0, f32::NAN]);
        let mut source = open(wav(48_000, 1, 32, true, &floats)).unwrap();
        let expected = [&values[..], &[32_767, -32_768, 0]].concat();
        prop_assert_eq!(source.next_block(expected.len()).unwrap().unwrap(), expected);
    }

    #[test]
    fn any_bytes_end_without_panic(
        spoil in proptest::collection::vec((0usize..80, any::<u8>()), 0..6),
        tail in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0usize..400,
    ) {
        let mut file = wav(44_100, 2, 16, false, &[1i16; 60]);
        file.extend(&tail);
        for (at, byte) in spoil {
            file[at] = byte;
        }
        file.truncate(cut);
        if let Ok(mut source) = open(file) {
            let _ = read_all(&mut source, 960);
        }
        let _ = open(tail);
    }
}

proptest! {
    // A rate that is a large prime takes a large transform.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn resampling_keeps_the_length_whatever_the_rate(rate in 8_000u32..=192_000, frames in 1usize..3_000) {
        prop_assume!(![8_000, 12_000, 16_000, 24_000, 48_000].contains(&rate));
        let mut source = open(wav(rate, 1, 16, false, &vec![0i16; frames])).unwrap();
        prop_assert_eq!(source.sample_rate(), 48_000);
        let expected = (frames as u64 * 48_000).div_ceil(u64::from(rate));
        prop_assert_eq!(read_all(&mut source, 1).unwrap().len() as u64, expected);
    }
}

/// A tone at 44.1 and 96 kHz must come out at 48 kHz as the same tone at the same time: with the resampler's delay left in,
/// or channels swapped, the difference is as large as the tone.
#[test]
fn a_resampled_tone_is_the_tone() {
    let tone = |rate: f64, hz: f64, n: usize| 10_000.0 * (TAU * hz * n as f64 / rate).sin();
    for rate in [44_100u32, 96_000, 22_050] {
        let (left, right) = (440.0, 1_000.0);
        let samples: Vec<i16> = (0..rate as usize)
            .flat_map(|n| [tone(rate.into(), left, n) as i16, tone(rate.into(), right, n) as i16])
            .collect();
        let mut source = open(wav(rate, 2, 16, false, &samples)).unwrap();
        let out = read_all(&mut source, 960).unwrap();
        assert_eq!(out.len(), 96_000);
        let worst = out
            .chunks(2)
            .enumerate()
            // The tone starts and ends abruptly; the filter smooths that.
            .skip(1_000)
            .take(46_000)
            .flat_map(|(n, pair)| {
                [f64::from(pair[0]) - tone(48_000.0, left, n), f64::from(pair[1]) - tone(48_000.0, right, n)]
            })
            .fold(0.0, |worst: f64, error| worst.max(error.abs()));
        assert!(worst < 20.0, "{rate} Hz: off by up to {worst}");
    }
}

#[test]
fn a_cut_file_says_where() {
    let mut file = wav(48_000, 1, 16, false, &[5i16; 3_000]);
    file.truncate(file.len() - 1_001);
    let mut source = open(file).unwrap();
    assert_eq!(source.next_block(960).unwrap().unwrap(), [5; 960]);
    let error = std::iter::from_fn(|| source.next_block(960).transpose()).find_map(Result::err).unwrap();
    assert_eq!(
        error.to_string(),
        "voice.wav: cut off at sample 2499; make the file again, or wait until it is written"
    );
    assert!(source.next_block(960).unwrap().is_none(), "an error ends the source");
}

#[test]
fn what_is_not_read_is_named_with_the_way_out() {
    for (bytes, cause) in [
        (wav(48_000, 3, 16, false, &[0i16; 3]), "3 channels"),
        (wav(7_999, 1, 16, false, &[0i16; 3]), "7999 Hz"),
        (wav(192_001, 1, 16, false, &[0i16; 3]), "192001 Hz"),
        (wav(48_000, 1, 8, false, &[0i8; 3]), "8 bits"),
        (b"OggS and more of it".to_vec(), "not a WAV file"),
    ] {
        let text = open(bytes).unwrap_err().to_string();
        assert!(text.starts_with("voice.wav: ") && text.contains(cause), "{text}");
        assert!(text.contains("ffmpeg -i voice.wav -c:a pcm_s16le"), "{text}");
    }
    assert!(matches!(open(b"RIFF"), Err(MediaError::Truncated { .. })));
    assert!(matches!(AudioSource::open("missing.wav"), Err(MediaError::Open { .. })));
}

#[test]
fn impossible_block_lengths_are_the_callers_fault() {
    let mut source = open(wav(48_000, 1, 16, false, &[0i16; 3])).unwrap();
    for length in [0, 48_001, usize::MAX] {
        assert!(matches!(source.next_block(length), Err(MediaError::Misuse(_))));
    }
}
