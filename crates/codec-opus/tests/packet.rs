//! The packet parser beside libopus's.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_opus::{
    Channels, CodingMode, EncoderConfig, Error, FrameDuration, OpusEncoder, OpusPacket, PacketInfo,
    SampleRate,
};
use proptest::prelude::*;

fn channels(native: opus::Channels) -> Channels {
    match native {
        opus::Channels::Mono => Channels::Mono,
        opus::Channels::Stereo => Channels::Stereo,
    }
}

/// Bytes that are rarely refused at once: a frame count that fits, padding of a length that may fit.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(prop_oneof![any::<u8>(), 0u8..6, Just(255u8), Just(252u8)], 0..600);
    (any::<u8>(), any::<u8>(), 1u8..6, body).prop_map(|(toc, flags, frames, body)| {
        let mut packet = vec![toc];
        if toc & 3 == 3 {
            packet.push(flags & 0b1100_0000 | frames);
        }
        packet.extend(body);
        packet
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// libopus has its own parser; ours accepts nothing that it measures differently, and whatever ours refuses
    /// libopus refuses too.
    #[test]
    fn durations_agree_with_libopus(
        packet in prop::collection::vec(any::<u8>(), 1..8),
        rate in prop::sample::select(&SampleRate::ALL[..]),
    ) {
        let theirs = opus::packet::get_nb_samples(&packet, rate.hz());
        match PacketInfo::parse(&packet) {
            Ok(info) => {
                prop_assert_eq!(info.samples(rate), theirs.unwrap());
                prop_assert_eq!(info.frame_samples(rate), opus::packet::get_samples_per_frame(&packet, rate.hz()).unwrap());
                prop_assert_eq!(usize::from(info.frames()), opus::packet::get_nb_frames(&packet).unwrap());
                prop_assert_eq!(info.channels(), channels(opus::packet::get_nb_channels(&packet).unwrap()));
            }
            Err(error) => {
                prop_assert!(error.is_peer_fault());
                prop_assert!(opus::packet::parse(&packet).is_err());
            }
        }
    }

    #[test]
    fn frames_agree_with_libopus(packet in packets()) {
        match (OpusPacket::parse(&packet), opus::packet::parse(&packet)) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(ours.frames().collect::<Vec<_>>(), theirs.frames);
                let used: usize = ours.frames().map(<[u8]>::len).sum();
                prop_assert_eq!(theirs.payload_offset + used + ours.padding().len(), packet.len());
            }
            (Err(error), Err(_)) => prop_assert!(error.is_peer_fault()),
            (ours, theirs) => prop_assert!(false, "ours {:?}, theirs {:?}", ours, theirs.map(|p| p.frames.len())),
        }
    }
}

#[test]
fn too_long_empty_and_uneven_packets_are_refused() {
    let max = PacketInfo::MAX_PACKET_LEN;
    assert_eq!(PacketInfo::parse(&vec![0; max + 1]), Err(Error::PacketLength { len: max + 1, max }));
    assert!(PacketInfo::parse(&vec![0; max]).is_ok());
    assert!(matches!(PacketInfo::parse(&[]), Err(Error::MalformedPacket(_))));
    assert!(matches!(PacketInfo::parse(&[1, 0, 0, 0]), Err(Error::MalformedPacket(_))));
    assert_eq!(PacketInfo::parse(&[1, 0, 0]).unwrap().frames(), 2);
    assert!(OpusPacket::parse(&vec![0; 1_276]).is_ok(), "a frame of 1,275 bytes");
    assert!(matches!(OpusPacket::parse(&vec![0; 1_277]), Err(Error::MalformedPacket(_))));
}

/// The bundled recording in frames, and as many frames of silence after it.
fn coded(config: EncoderConfig) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/speech.wav")).unwrap();
    let data = bytes.windows(4).position(|name| name == b"data").unwrap() + 8;
    let channels = config.channels.count();
    let pcm: Vec<i16> = bytes[data..][..192_000]
        .chunks_exact(2)
        .flat_map(|pair| vec![i16::from_le_bytes([pair[0], pair[1]]); channels])
        .collect();
    let mut encoder = OpusEncoder::new(config).unwrap();
    let len = encoder.samples_per_frame();
    let said: Vec<_> = pcm.chunks_exact(len).map(|frame| encoder.encode(frame).unwrap()).collect();
    let silence = said.iter().map(|_| encoder.encode(&vec![0; len]).unwrap()).collect();
    (said, silence)
}

#[test]
fn flags_tell_voice_silence_and_coarse_copies() {
    for (channels, frame) in [
        (Channels::Mono, FrameDuration::Ms20),
        (Channels::Mono, FrameDuration::Ms60),
        (Channels::Stereo, FrameDuration::Ms20),
        (Channels::Stereo, FrameDuration::Ms60),
    ] {
        let config = EncoderConfig {
            sample_rate: SampleRate::Hz16000,
            channels,
            frame,
            expected_loss_percent: 20,
            dtx: true,
            ..Default::default()
        };
        let (said, silence) = coded(config);
        let count = |packets: &[Vec<u8>], is: fn(&OpusPacket<'_>) -> bool| -> usize {
            let of = packets.iter().filter(|packet| is(&OpusPacket::parse(packet).unwrap())).count();
            100 * of / packets.len()
        };
        assert_eq!(count(&said, |packet| packet.info().mode() == CodingMode::Celt), 0);
        let voiced = count(&said, |packet| packet.voice() == Some(true));
        let copied = count(&said, |packet| packet.has_coarse_copy());
        assert!(voiced > 70 && copied > 50, "{voiced} % with a voice, {copied} % with a copy, {config:?}");
        assert!(count(&said, |packet| packet.is_silence()) < 20);
        let (quiet, voiced) = (
            count(&silence, |packet| packet.is_silence()),
            count(&silence, |packet| packet.voice() == Some(true)),
        );
        assert!(quiet > 75 && voiced < 5, "{quiet} % silent, {voiced} % with a voice, {config:?}");

        let (said, _) = coded(EncoderConfig { in_band_fec: false, ..config });
        assert_eq!(count(&said, |packet| packet.has_coarse_copy()), 0);
    }
}
