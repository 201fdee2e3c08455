//! What the shell lets through to libopus and what it refuses.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use opus_backends::{Application, Decoder, Encoder, EncoderSetting, Error, Redundancy};
use proptest::prelude::*;

fn buzz(samples: usize) -> Vec<i16> {
    (0..samples).map(|n| (n % 240 * 60) as i16 - 7_000).collect()
}

fn packets(count: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(48_000, 1, Application::Voip).unwrap();
    encoder.set(EncoderSetting::BitRate(32_000)).unwrap();
    encoder.set(EncoderSetting::ExpectedLoss(20)).unwrap();
    encoder.set(EncoderSetting::Redundancy(100)).unwrap();
    let pcm = buzz(960 * count);
    let mut packet = vec![0; 1_500];
    pcm.chunks_exact(960)
        .map(|frame| {
            let len = encoder.encode(frame, &mut packet).unwrap();
            packet[..len].to_vec()
        })
        .collect()
}

#[test]
fn buffers_that_are_no_frames_are_refused() {
    let mut decoder = Decoder::new(48_000, 2).unwrap();
    let packet = &packets(1)[0];
    for len in [0, 1, 1_921, 2 * 5_761] {
        let mut pcm = vec![0; len];
        assert!(matches!(decoder.decode(packet, &mut pcm), Err(Error::FrameLength { .. })), "{len}");
        assert!(matches!(decoder.conceal(&mut pcm), Err(Error::FrameLength { .. })), "{len}");
    }
    assert!(matches!(decoder.conceal(&mut [0; 2 * 961]), Err(Error::Argument { .. })));
    assert!(decoder.decode(packet, &mut [0; 2 * 480]).unwrap_err().is_packet_fault(), "no room for 20 ms");
    assert!(decoder.decode(&[], &mut [0; 2 * 960]).unwrap_err().is_packet_fault());
    let mut encoder = Encoder::new(48_000, 2, Application::Audio).unwrap();
    assert!(matches!(encoder.encode(&buzz(1_921), &mut [0; 500]), Err(Error::FrameLength { .. })));
    assert!(matches!(encoder.encode(&buzz(1_922), &mut [0; 500]), Err(Error::Argument { .. })));
    assert!(encoder.encode(&buzz(1_920), &mut []).is_err());
}

#[test]
fn wrong_settings_are_refused() {
    assert!(matches!(Encoder::new(44_100, 1, Application::Voip), Err(Error::Argument { .. })));
    assert!(matches!(Decoder::new(48_000, 3), Err(Error::Argument { .. })));
    assert!(matches!(Decoder::new(u32::MAX, 1), Err(Error::Argument { .. })));
    let mut decoder = Decoder::new(48_000, 1).unwrap();
    assert!(decoder.set_complexity(11).is_err() && decoder.set_complexity(10).is_ok());
    let mut encoder = Encoder::new(48_000, 1, Application::LowDelay).unwrap();
    assert!(encoder.set(EncoderSetting::Redundancy(105)).is_err());
    assert!(encoder.set(EncoderSetting::ExpectedLoss(101)).is_err());
    let mut redundancy = Redundancy::new().unwrap();
    assert!(redundancy.parse(&packets(1)[0], 960, 44_100).is_err());
    assert!(redundancy.parse(&packets(1)[0], u32::MAX, 48_000).is_err());
}

/// What was not parsed is not decoded: it is concealment then.
#[test]
fn redundancy_that_is_not_there_is_concealment() {
    let packets = packets(30);
    let run = |parse: bool, empty: bool| {
        let mut decoder = Decoder::new(48_000, 1).unwrap();
        decoder.set_complexity(5).unwrap();
        let mut redundancy = Redundancy::new().unwrap();
        let mut pcm = vec![0; 960];
        for packet in &packets[..20] {
            decoder.decode(packet, &mut pcm).unwrap();
        }
        if parse {
            assert!(redundancy.parse(&packets[25], 7_680, 48_000).unwrap() >= 4_800);
        }
        if empty {
            assert!(redundancy.parse(&[0xff], 4_800, 48_000).is_err());
        }
        decoder.decode_redundancy(&mut redundancy, 4_800, &mut pcm).unwrap();
        pcm
    };
    let concealed = run(false, false);
    assert_eq!(run(true, true), concealed, "a damaged packet takes the place of the one before");
    assert_ne!(run(true, false), concealed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Damage to real packets gets further than noise does; under a memory checker this is the test to run.
    #[test]
    fn damage_is_an_error_or_noise(
        damage in prop::collection::vec((0usize..30, any::<prop::sample::Index>(), any::<u8>(), 0u8..5), 1..40),
        channels in 1u8..=2,
        complexity in 0u8..=7,
    ) {
        let packets = packets(30);
        let mut decoder = Decoder::new(48_000, channels).unwrap();
        decoder.set_complexity(complexity).unwrap();
        let mut redundancy = Redundancy::new().unwrap();
        let mut pcm = vec![0; 5_760 * usize::from(channels)];
        for (which, at, byte, how) in damage {
            let mut packet = packets[which].clone();
            let at = at.index(packet.len());
            match how {
                0 => packet.truncate(at),
                1 => packet = vec![byte; at],
                _ => packet[at] = byte,
            }
            let covered = redundancy.parse(&packet, 48_000, 48_000).unwrap_or(0);
            let frame = 960 * usize::from(channels);
            prop_assert_eq!(decoder.decode_redundancy(&mut redundancy, covered, &mut pcm[..frame]).unwrap(), 960);
            let _ = decoder.decode_fec(&packet, &mut pcm[..frame]);
            if let Ok(samples) = decoder.decode(&packet, &mut pcm) {
                prop_assert!(samples <= 5_760);
            }
        }
    }
}
