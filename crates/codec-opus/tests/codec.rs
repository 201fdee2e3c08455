//! Sound goes in and comes out: rates, channels, durations, loss, and packets from hell.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_opus::{
    Application, Channels, EncoderConfig, Error, FrameDuration, OpusDecoder, OpusEncoder, PacketInfo,
    SampleRate, opus_head,
};
use core::f64::consts::TAU;
use core_types::BitRate;
use proptest::prelude::*;

/// Something like a voice: a gliding pitch with falling harmonics, in syllables. Interleaved if stereo.
fn voice(rate: SampleRate, channels: Channels, frames: usize, frame: FrameDuration) -> Vec<i16> {
    let hz = f64::from(rate.hz());
    let mut phase = 0.0;
    let mut pcm = Vec::new();
    for n in 0..frames * frame.samples(rate) {
        let t = n as f64 / hz;
        phase += TAU * (140.0 + 30.0 * (TAU * 0.7 * t).sin()) / hz;
        let syllable = (TAU * 1.9 * t).sin().abs();
        let sum: f64 = (1..12).map(|h| (phase * f64::from(h)).sin() / f64::from(h).powf(1.3)).sum();
        let sample = (sum * syllable * 6_000.0) as i16;
        pcm.push(sample);
        if channels == Channels::Stereo {
            pcm.push(sample / 3);
        }
    }
    pcm
}

fn energy(pcm: &[i16]) -> f64 {
    pcm.iter().map(|s| f64::from(*s).powi(2)).sum()
}

fn error_energy(a: &[i16], b: &[i16]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

fn encode(config: EncoderConfig, pcm: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(config).unwrap();
    pcm.chunks_exact(encoder.samples_per_frame()).map(|frame| encoder.encode(frame).unwrap()).collect()
}

fn decode_all(rate: SampleRate, channels: Channels, packets: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = OpusDecoder::new(rate, channels).unwrap();
    packets.iter().flat_map(|packet| decoder.decode(packet).unwrap()).collect()
}

#[test]
fn a_tone_comes_back_at_its_level_and_delay() {
    let config =
        EncoderConfig { application: Application::Audio, bit_rate: BitRate(96_000), ..Default::default() };
    let tone: Vec<i16> =
        (0..48_000).map(|n| ((TAU * 440.0 * f64::from(n) / 48_000.0).sin() * 8_000.0) as i16).collect();
    let pre_skip = usize::from(OpusEncoder::new(config).unwrap().pre_skip());
    assert!((120..2_000).contains(&pre_skip), "{pre_skip}");
    let decoded = decode_all(SampleRate::Hz48000, Channels::Mono, &encode(config, &tone));
    // Past the onset, and within a fraction of a millisecond of the delay that the encoder states: its speech layer is
    // off by a few samples.
    let said = &tone[9_600..40_000];
    let noise = |skip: usize| error_energy(&decoded[skip + 9_600..skip + 40_000], said);
    let least = (pre_skip - 6..=pre_skip + 6).map(noise).fold(f64::INFINITY, f64::min);
    let signal_to_noise = 10.0 * (energy(said) / least).log10();
    assert!(signal_to_noise > 25.0, "{signal_to_noise:.1} dB");
}

#[test]
fn every_rate_channel_count_and_duration_keeps_length_and_level() {
    for rate in SampleRate::ALL {
        for channels in [Channels::Mono, Channels::Stereo] {
            for frame in FrameDuration::ALL {
                let config = EncoderConfig {
                    sample_rate: rate,
                    channels,
                    frame,
                    bit_rate: BitRate(64_000),
                    ..Default::default()
                };
                let count = (600_000 / frame.duration().as_micros()) as usize;
                let pcm = voice(rate, channels, count, frame);
                let packets = encode(config, &pcm);
                for packet in &packets {
                    let info = PacketInfo::parse(packet).unwrap();
                    assert_eq!(
                        (info.duration(), info.samples(rate)),
                        (frame.duration(), frame.samples(rate))
                    );
                }
                let decoded = decode_all(rate, channels, &packets);
                assert_eq!(decoded.len(), pcm.len());
                let level = energy(&decoded) / energy(&pcm);
                assert!((0.5..1.5).contains(&level), "{config:?}: level {level:.2}");
                // Another output format changes the number of samples and nothing of the length in time.
                let other = decode_all(SampleRate::Hz16000, Channels::Mono, &packets);
                assert_eq!(other.len(), frame.samples(SampleRate::Hz16000) * count);
            }
        }
    }
}

/// Loses every tenth packet of a voice and compares each stand-in with what would have been heard.
#[test]
fn recovery_from_the_next_packet_beats_concealment() {
    let config = EncoderConfig { expected_loss_percent: 20, ..Default::default() };
    let pcm = voice(config.sample_rate, config.channels, 200, config.frame);
    let packets = encode(config, &pcm);
    let mut whole = OpusDecoder::new(config.sample_rate, config.channels).unwrap();
    let mut recovering = OpusDecoder::new(config.sample_rate, config.channels).unwrap();
    let mut concealing = OpusDecoder::new(config.sample_rate, config.channels).unwrap();
    let (mut recovered, mut concealed, mut said) = (0.0, 0.0, 0.0);
    for (n, packet) in packets.iter().enumerate() {
        let truth = whole.decode(packet).unwrap();
        if n % 10 == 7 {
            recovered += error_energy(&truth, &recovering.recover(&packets[n + 1]).unwrap());
            concealed += error_energy(&truth, &concealing.conceal().unwrap());
            said += energy(&truth);
        } else {
            recovering.decode(packet).unwrap();
            concealing.decode(packet).unwrap();
        }
    }
    let decibel = |noise: f64| 10.0 * (said / noise).log10();
    let (recovered, concealed) = (decibel(recovered), decibel(concealed));
    assert!(
        recovered > 6.0 && recovered > concealed + 3.0,
        "recovered {recovered:.1} dB, concealed {concealed:.1} dB"
    );
}

#[test]
fn concealment_carries_on_and_fades_out() {
    let config = EncoderConfig::default();
    let pcm = voice(config.sample_rate, config.channels, 10, config.frame);
    let mut decoder = OpusDecoder::new(config.sample_rate, config.channels).unwrap();
    assert_eq!(decoder.conceal().unwrap(), vec![0; 960], "20 ms of silence before the first packet");
    let heard =
        encode(config, &pcm).iter().map(|packet| energy(&decoder.decode(packet).unwrap())).last().unwrap();
    let stand_ins: Vec<_> = (0..50).map(|_| decoder.conceal().unwrap()).collect();
    assert!(stand_ins.iter().all(|pcm| pcm.len() == 960));
    assert!(energy(&stand_ins[0]) > heard / 10.0);
    assert!(energy(&stand_ins[49]) < heard / 1_000.0);
}

#[test]
fn the_rate_can_be_changed_between_frames() {
    let config = EncoderConfig { bit_rate: BitRate(64_000), expected_loss_percent: 0, ..Default::default() };
    let mut encoder = OpusEncoder::new(config).unwrap();
    let pcm = voice(config.sample_rate, config.channels, 100, config.frame);
    let mut bytes = [0, 0];
    for (n, frame) in pcm.chunks_exact(960).enumerate() {
        if n == 50 {
            encoder.set_bit_rate(BitRate(12_000)).unwrap();
        }
        bytes[n / 50] += encoder.encode(frame).unwrap().len();
    }
    assert!(bytes[1] * 3 < bytes[0], "{bytes:?} bytes a second at 64 and 12 kbit/s");
    assert_eq!(encoder.config().bit_rate, BitRate(12_000));
}

#[test]
fn callers_mistakes_are_refused() {
    let mut encoder = OpusEncoder::new(EncoderConfig::default()).unwrap();
    for len in [0, 959, 961, 1_920] {
        assert_eq!(encoder.encode(&vec![0; len]), Err(Error::FrameLength { expected: 960, actual: len }));
    }
    for rate in [0, 5_999, 510_001, u64::MAX] {
        assert_eq!(encoder.set_bit_rate(BitRate(rate)), Err(Error::BitRate(BitRate(rate))));
        let config = EncoderConfig { bit_rate: BitRate(rate), ..Default::default() };
        assert!(!OpusEncoder::new(config).unwrap_err().is_peer_fault());
    }
    assert_eq!(encoder.set_expected_loss(101), Err(Error::LossPercent(101)));
    assert_eq!(encoder.config(), EncoderConfig::default());
}

#[test]
fn the_identification_header_is_laid_out_as_in_rfc_7845() {
    let head = opus_head(Channels::Stereo, 0x0138, 44_100);
    assert_eq!(&head, b"OpusHead\x01\x02\x38\x01\x44\xac\x00\x00\x00\x00\x00");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn garbage_packets_are_the_peers_fault_or_noise(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 1..30),
        stereo: bool,
    ) {
        let channels = if stereo { Channels::Stereo } else { Channels::Mono };
        let mut decoder = OpusDecoder::new(SampleRate::Hz48000, channels).unwrap();
        let mut last = 960;
        for (packet, recover) in packets {
            let info = PacketInfo::parse(&packet);
            let result = if recover { decoder.recover(&packet) } else { decoder.decode(&packet) };
            match result {
                Ok(pcm) if recover => prop_assert!(pcm.len() % channels.count() == 0 && pcm.len() <= 5_760 * channels.count()),
                Ok(pcm) => {
                    last = info.unwrap().samples(SampleRate::Hz48000);
                    prop_assert_eq!(pcm.len(), last * channels.count());
                }
                Err(error) => prop_assert!(error.is_peer_fault(), "{}", error),
            }
            prop_assert_eq!(decoder.conceal().unwrap().len(), last * channels.count());
        }
    }

    /// A real packet with some bytes changed gets further into the decoder than noise does.
    #[test]
    fn damaged_packets_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..3), 1..60),
    ) {
        let config = EncoderConfig::default();
        let packets = encode(config, &voice(config.sample_rate, config.channels, damage.len(), config.frame));
        let mut decoder = OpusDecoder::new(config.sample_rate, config.channels).unwrap();
        for (packet, (at, byte, how)) in packets.iter().zip(damage) {
            let mut packet = packet.clone();
            let at = at.index(packet.len());
            match how {
                0 => packet[at] = byte,
                1 => packet.truncate(at),
                _ => {}
            }
            if let Err(error) = decoder.decode(&packet) {
                prop_assert!(error.is_peer_fault());
            }
            if let Err(error) = decoder.recover(&packet) {
                prop_assert!(error.is_peer_fault());
            }
        }
    }
}

#[test]
fn oversized_packets_are_refused_before_decoding() {
    let mut decoder = OpusDecoder::new(SampleRate::Hz48000, Channels::Mono).unwrap();
    let huge = vec![0xff; PacketInfo::MAX_PACKET_LEN + 1];
    for error in [decoder.decode(&huge).unwrap_err(), decoder.recover(&huge).unwrap_err()] {
        assert!(matches!(error, Error::PacketLength { .. }) && error.is_peer_fault());
    }
}
