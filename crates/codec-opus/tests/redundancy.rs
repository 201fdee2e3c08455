//! What packets say of the second before them, on real speech; and that the decoder is libopus's.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_opus::{
    AudioLevel, Channels, Effort, EncoderConfig, Error, OpusDecoder, OpusEncoder, OpusPacket, SampleRate,
};
use core::time::Duration;
use core_types::BitRate;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The bundled recording: 16 kHz, mono.
fn speech() -> Vec<i16> {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/speech.wav")).unwrap();
    let data = bytes.windows(4).position(|name| name == b"data").unwrap() + 8;
    bytes[data..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn config() -> EncoderConfig {
    EncoderConfig {
        sample_rate: SampleRate::Hz16000,
        in_band_fec: false,
        redundancy: Duration::from_secs(1),
        expected_loss_percent: 20,
        ..Default::default()
    }
}

fn coded(config: EncoderConfig) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(config).unwrap();
    speech().chunks_exact(encoder.samples_per_frame()).map(|frame| encoder.encode(frame).unwrap()).collect()
}

fn decoder(effort: Effort) -> OpusDecoder {
    OpusDecoder::with_effort(SampleRate::Hz48000, Channels::Mono, effort).unwrap()
}

/// How far levels of 10 ms are apart, in decibels a piece, where something is heard.
fn off(heard: &[i16], truth: &[i16]) -> f64 {
    let levels = |pcm: &[i16]| -> Vec<f64> {
        pcm.chunks_exact(480).map(|piece| f64::from(AudioLevel::of(piece).below_loudest().min(60))).collect()
    };
    let (heard, truth) = (levels(heard), levels(truth));
    heard.iter().zip(&truth).map(|(a, b)| (a - b).abs()).sum::<f64>() / truth.len() as f64
}

/// Loses 100 ms every now and then.
#[test]
fn a_burst_sounds_as_it_was_and_not_as_what_came_before() {
    let packets = coded(config());
    let (mut whole, mut redundant, mut concealing) =
        (decoder(Effort::Neural), decoder(Effort::Neural), decoder(Effort::Neural));
    let (mut from_redundancy, mut concealed, mut bursts) = (0.0, 0.0, 0.0);
    for (number, packet) in packets.iter().enumerate() {
        let truth = whole.decode(packet).unwrap();
        if number > 60 && number < 300 && number % 30 < 5 {
            let next = number - number % 30 + 5;
            let before = ms(20 * (next - number) as u64);
            assert!(redundant.read_redundancy(&packets[next], before).unwrap() >= before);
            from_redundancy += off(&redundant.redundant(before, ms(20)).unwrap(), &truth);
            concealed += off(&concealing.conceal().unwrap(), &truth);
            bursts += 1.0;
        } else {
            redundant.decode(packet).unwrap();
            concealing.decode(packet).unwrap();
        }
    }
    let (from_redundancy, concealed) = (from_redundancy / bursts, concealed / bursts);
    assert!(
        from_redundancy < 4.0 && from_redundancy < concealed / 2.0,
        "{from_redundancy:.1} dB from redundancy, {concealed:.1} dB concealed"
    );
}

#[test]
fn redundancy_reaches_as_far_as_it_was_asked_to() {
    for (asked, least, most) in
        [(ms(0), ms(0), ms(0)), (ms(100), ms(80), ms(200)), (ms(1_000), ms(150), ms(220))]
    {
        let packets = coded(EncoderConfig { redundancy: asked, ..config() });
        let mut decoder = decoder(Effort::Neural);
        let reach = decoder.read_redundancy(&packets[200], Duration::from_secs(1)).unwrap();
        assert!((least..=most).contains(&reach), "{asked:?}: {reach:?}");
        // No more is read than is needed.
        let near = decoder.read_redundancy(&packets[200], ms(20)).unwrap();
        assert!(near <= reach.min(ms(120)), "{near:?}");
    }
}

#[test]
fn it_can_be_changed_between_frames_and_costs_what_was_asked_for() {
    let mut encoder = OpusEncoder::new(EncoderConfig { redundancy: ms(0), ..config() }).unwrap();
    let len = encoder.samples_per_frame();
    let (mut bytes, mut described) = ([0, 0], [0, 0]);
    for (number, frame) in speech()[..160_000].chunks_exact(len).enumerate() {
        if number == 250 {
            encoder.set_redundancy(Duration::from_secs(1)).unwrap();
        }
        let packet = encoder.encode(frame).unwrap();
        bytes[number / 250] += packet.len();
        described[number / 250] += usize::from(!OpusPacket::parse(&packet).unwrap().padding().is_empty());
    }
    assert!(described[0] == 0 && described[1] > 200, "{described:?}");
    assert!(bytes.iter().all(|bytes| (12_000..26_000).contains(bytes)), "{bytes:?} in 5 s at 32 kbit/s");
    for wrong in [ms(1_050), ms(15), Duration::MAX] {
        assert_eq!(encoder.set_redundancy(wrong), Err(Error::Redundancy(wrong)));
    }
    assert_eq!(encoder.config().redundancy, Duration::from_secs(1));
}

/// The crate `opus` goes its own way to the same library.
#[test]
fn classic_decoding_is_that_of_the_crate_opus() {
    let packets = coded(EncoderConfig { in_band_fec: true, bit_rate: BitRate(24_000), ..config() });
    for channels in [Channels::Mono, Channels::Stereo] {
        let native = if channels == Channels::Mono { opus::Channels::Mono } else { opus::Channels::Stereo };
        let mut theirs = opus::Decoder::new(48_000, native).unwrap();
        let mut ours = OpusDecoder::with_effort(SampleRate::Hz48000, channels, Effort::Classic).unwrap();
        for (number, packet) in packets.iter().enumerate() {
            let mut pcm = vec![0; 960 * channels.count()];
            let heard = match number % 7 {
                3 => {
                    theirs.decode(&[], &mut pcm, false).unwrap();
                    ours.conceal().unwrap()
                }
                4 => {
                    theirs.decode(&packets[number + 1], &mut pcm, true).unwrap();
                    ours.recover(&packets[number + 1]).unwrap()
                }
                _ => {
                    theirs.decode(packet, &mut pcm, false).unwrap();
                    ours.decode(packet).unwrap()
                }
            };
            assert_eq!(heard, pcm, "packet {number}");
        }
    }
}
