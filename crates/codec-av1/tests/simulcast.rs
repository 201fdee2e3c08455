//! Resolutions that stand for themselves: each a stream, the best one shown, another at once when it is missing.
#![cfg(feature = "rav1e")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use codec_av1::{
    EncoderConfig, Error, LayerPacket, LayeredDecoder, Packet, Rav1dDecoder, SimulcastEncoder, Structure,
    VideoDecoder, VideoEncoder, join_layers,
};
use core_types::{BitRate, LayerPolicy, ObjectClass};
use support::{config, pattern, size, steady};

const L3T1: &str = "L3T1";

fn full() -> EncoderConfig {
    EncoderConfig { bit_rate: BitRate::from_kbit(600), ..config(size(128, 96)) }
}

/// Packets of each frame, in order of their frames; the highest resolution is left out of frames 10 to 15.
fn encode() -> Vec<Vec<Packet>> {
    let mut encoder = SimulcastEncoder::new(full(), L3T1.parse().unwrap()).unwrap();
    let mut packets = Vec::new();
    for (index, pts) in steady(24).into_iter().enumerate() {
        match index {
            10 => encoder.set_layers(LayerPolicy { max_spatial: 1, ..LayerPolicy::UNCAPPED }),
            16 => encoder.set_layers(LayerPolicy::UNCAPPED),
            _ => {}
        }
        packets.extend(encoder.encode(&pattern(full().size, index), pts, index == 20).unwrap());
    }
    packets.extend(encoder.flush().unwrap());
    steady(24).into_iter().map(|pts| packets.iter().filter(|p| p.pts == pts).cloned().collect()).collect()
}

fn parts(frame: &[Packet]) -> Vec<LayerPacket<'_>> {
    frame.iter().map(LayerPacket::from).collect()
}

fn join(frame: &[Packet]) -> Vec<u8> {
    join_layers(frame.iter().map(|packet| (packet.layer, &packet.data[..]))).unwrap()
}

#[test]
fn each_resolution_is_a_stream_and_the_best_one_is_shown() {
    let frames = encode();
    let mut streams: Vec<_> = (0..3).map(|_| Rav1dDecoder::new(full().size).unwrap()).collect();
    let mut decoder = LayeredDecoder::new(full().size);
    assert!(decoder.needs_key_frame());
    for (index, frame) in frames.iter().enumerate() {
        // What was on its way of the highest one does not come, so it ends four frames earlier.
        let count = if (6..16).contains(&index) { 2 } else { 3 };
        let spatial: Vec<u8> = frame.iter().map(|packet| packet.layer.spatial).collect();
        assert_eq!(spatial, (0..count).collect::<Vec<u8>>(), "frame {index}");
        let source = pattern(full().size, index);
        let mut alone = Vec::new();
        for packet in frame {
            let key = index == 0 || index == 20 || (index == 16 && packet.layer.spatial == 2);
            assert_eq!(packet.key_frame, key, "frame {index} {:?}", packet.layer);
            assert_eq!(packet.class == ObjectClass::KeyFrame, key);
            let shown = streams[usize::from(packet.layer.spatial)].decode(&packet.data, packet.pts).unwrap();
            let size = Structure::new(3, 1, 1).unwrap().size_of(full().size, packet.layer.spatial).unwrap();
            let psnr = source.scaled(size).psnr_y(&shown[0].frame).unwrap();
            assert!(psnr > 24.0, "frame {index} {:?}: {psnr:.1} dB", packet.layer);
            alone.extend(shown);
        }
        let shown = decoder.decode(&parts(frame), frame[0].pts).unwrap();
        assert_eq!(shown, alone.pop());
        assert!(!decoder.needs_key_frame());
        // Without the rest, the highest one is the temporal unit.
        assert_eq!(join(frame), frame[frame.len() - 1].data);
    }
}

#[test]
fn a_missing_resolution_is_taken_up_at_its_key_frame_and_the_others_go_on() {
    let frames = encode();
    let mut decoder = LayeredDecoder::new(full().size);
    for (index, frame) in frames.iter().enumerate() {
        // The highest two are lost once.
        let received = if index == 3 { &frame[..1] } else { &frame[..] };
        let shown = decoder.decode(&parts(received), frame[0].pts).unwrap().unwrap();
        let width = match index {
            0..3 | 20.. => 128,
            3..16 => 32,
            _ => 128,
        };
        assert_eq!(shown.frame.size().width(), width, "frame {index}");
    }
    decoder.reset();
    assert!(decoder.needs_key_frame());
    let refused = decoder.decode(&parts(&frames[5]), frames[5][0].pts);
    assert_eq!(refused, Err(Error::AwaitingKeyFrame));
    let cut = LayerPacket { data: &frames[0][0].data[..9], ..LayerPacket::from(&frames[0][0]) };
    let damaged = [cut];
    assert!(decoder.decode(&damaged, frames[0][0].pts).unwrap_err().is_peer_fault());
    assert!(decoder.needs_key_frame());
    assert!(decoder.decode(&parts(&frames[20]), frames[20][0].pts).unwrap().is_some());
}

#[test]
fn layers_that_build_on_one_another_have_one_decoder() {
    #[cfg(feature = "libaom")]
    {
        let mut encoder = codec_av1::LibaomEncoder::layered(full(), Structure::L2T3).unwrap();
        let mut layered = LayeredDecoder::new(full().size);
        let mut plain = Rav1dDecoder::new(full().size).unwrap();
        for (index, pts) in steady(9).into_iter().enumerate() {
            let packets = encoder.encode(&pattern(full().size, index), pts, false).unwrap();
            let unit = join(&packets);
            let shown = layered.decode(&parts(&packets), pts).unwrap();
            assert_eq!(shown, plain.decode(&unit, pts).unwrap().pop());
        }
    }
}

#[test]
fn what_rav1e_has_not_is_refused() {
    for structure in ["L1T2", "L3T3", "L1T1Q2"] {
        let refused = SimulcastEncoder::new(full(), structure.parse().unwrap()).unwrap_err();
        assert!(refused.to_string().contains(structure), "{refused}");
    }
    let slow = EncoderConfig { bit_rate: BitRate(7_000), ..full() };
    assert!(matches!(SimulcastEncoder::new(slow, Structure::L2T1), Err(Error::Config(_))));
    let mut encoder = SimulcastEncoder::new(full(), Structure::L2T1).unwrap();
    assert!(matches!(encoder.set_bit_rate(BitRate(7_000)), Err(Error::Config(_))));
    assert_eq!(encoder.bit_rate(), full().bit_rate);
    encoder.set_bit_rate(EncoderConfig::MIN_BIT_RATE).unwrap();
    assert!(encoder.set_frame_rate(full().rate).is_err());
}
