//! The decoder on layered streams: what it leaves out, and what it does when packets are lost or damaged.
#![cfg(feature = "libaom")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use std::sync::LazyLock;

use codec_av1::{
    DecodedFrame, Error, LibaomEncoder, Packet, Rav1dDecoder, Structure, VideoDecoder, VideoEncoder,
    join_layers, split_layers,
};
use core_types::{Layer, MediaTime};
use proptest::prelude::*;
use support::{config, pattern, size, steady};

const KEYS: [usize; 2] = [8, 16];

/// The packets of 24 frames in three resolutions and three picture rates.
static STREAM: LazyLock<Vec<Vec<Packet>>> = LazyLock::new(|| {
    let config = config(size(96, 64));
    let mut encoder = LibaomEncoder::layered(config, Structure::L3T3).unwrap();
    let frames = steady(24).into_iter().enumerate();
    frames
        .map(|(index, pts)| encoder.encode(&pattern(config.size, index), pts, KEYS.contains(&index)).unwrap())
        .collect()
});

static CLEAN: LazyLock<Vec<DecodedFrame>> = LazyLock::new(|| {
    let mut decoder = decoder();
    STREAM.iter().flat_map(|frame| decoder.decode(&unit(frame), frame[0].pts).unwrap()).collect()
});

fn decoder() -> Rav1dDecoder {
    Rav1dDecoder::new(size(96, 64)).unwrap()
}

fn unit(frame: &[Packet]) -> Vec<u8> {
    join_layers(frame.iter().map(|packet| (packet.layer, &packet.data[..]))).unwrap()
}

#[test]
fn layers_above_the_bound_are_left_out() {
    for spatial in 0..3u8 {
        for temporal in 0..3u8 {
            let (mut all, mut lower) = (decoder(), decoder());
            all.set_highest(spatial, temporal);
            for frame in STREAM.iter() {
                let shown = all.decode(&unit(frame), frame[0].pts).unwrap();
                if frame[0].layer.temporal > temporal {
                    assert_eq!(shown, []);
                    continue;
                }
                let below = &frame[..=usize::from(spatial)];
                assert_eq!(shown, lower.decode(&unit(below), frame[0].pts).unwrap());
                assert_eq!(shown[0].frame.size(), Structure::L3T3.size_of(size(96, 64), spatial).unwrap());
            }
        }
    }
}

#[test]
fn the_bound_may_be_raised_at_a_key_frame() {
    let mut decoder = decoder();
    decoder.set_highest(0, 2);
    for (index, frame) in STREAM.iter().enumerate() {
        if index == KEYS[0] {
            decoder.set_highest(2, 2);
        }
        let shown = decoder.decode(&unit(frame), frame[0].pts).unwrap();
        if index >= KEYS[0] {
            assert_eq!(shown, &CLEAN[index..=index]);
        }
    }
}

#[test]
fn ten_bits_are_rounded_to_eight() {
    // The one frame of av1-backends' ten-bit.ivf: what libdav1d makes of it, rounded.
    let ivf = include_bytes!("../../av1-backends/tests/data/ten-bit.ivf");
    let length = u32::from_le_bytes(ivf[32..36].try_into().unwrap()) as usize;
    let shown = decoder().decode(&ivf[44..44 + length], MediaTime(0)).unwrap();
    let hash = shown[0].frame.as_i420().iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, sample| {
        (hash ^ u64::from(*sample)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!((shown[0].frame.size(), hash), (size(32, 18), 0x22cc_c6eb_bc00_2294));
}

#[test]
fn packets_that_do_not_go_together_are_refused() {
    let [low, middle, high] = &STREAM[0][..] else { panic!("three layers") };
    let next = &STREAM[1];
    let part = |packet: &Packet| (packet.layer, packet.data.clone());
    let join = |parts: &[(Layer, Vec<u8>)]| join_layers(parts.iter().map(|(l, d)| (*l, &d[..])));
    assert!(join(&[part(low), part(middle), part(high)]).is_ok());
    assert!(join(&[part(low), part(high)]).is_ok(), "a gap is the relay's business");
    assert_eq!(join(&[part(middle)]), Err(Error::MissingLayer));
    assert_eq!(join(&[part(middle), part(low)]), Err(Error::MissingLayer));
    assert!(!Error::MissingLayer.is_peer_fault());
    let wrong = Layer { temporal: 1, ..low.layer };
    for (parts, why) in [
        (vec![], "no packets"),
        (vec![part(low), part(high), part(middle)], "out of order"),
        (vec![part(low), part(low)], "out of order"),
        (vec![part(low), part(&next[1])], "out of order"),
        (vec![(wrong, low.data.clone())], "another layer"),
        (vec![part(low), (middle.layer, high.data.clone())], "another layer"),
        (vec![(low.layer, [&low.data[..], &low.data].concat())], "second temporal unit"),
        (vec![(low.layer, low.data[..low.data.len() - 1].to_vec())], "past the end"),
    ] {
        let refused = join(&parts);
        assert!(matches!(refused, Err(Error::Malformed(what)) if what.contains(why)), "{why}: {refused:?}");
    }
}

#[test]
fn a_temporal_unit_comes_apart_as_it_was_put_together() {
    for frame in STREAM.iter() {
        let unit = unit(frame);
        let parts = split_layers(&unit).unwrap();
        assert_eq!(parts.len(), 3);
        for (part, packet) in parts.iter().zip(frame) {
            assert_eq!((part.spatial_id, part.temporal_id), (packet.layer.spatial, packet.layer.temporal));
            assert_eq!(part.bytes, packet.data);
        }
    }
}

/// Something that may happen to one of a frame's packets.
#[derive(Debug, Clone)]
enum Damage {
    Lost,
    Cut(prop::sample::Index),
    Flipped(Vec<(prop::sample::Index, u8)>),
    Swapped(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        Just(Damage::Lost),
        index().prop_map(Damage::Cut),
        prop::collection::vec((index(), 1u8..), 1..8).prop_map(Damage::Flipped),
        index().prop_map(Damage::Swapped),
    ]
}

fn damaged(data: &mut Vec<u8>, damage: &Damage) {
    match damage {
        Damage::Lost => data.clear(),
        Damage::Cut(at) => data.truncate(at.index(data.len())),
        Damage::Flipped(flips) => {
            for (at, bits) in flips {
                let at = at.index(data.len());
                data[at] ^= bits;
            }
        }
        Damage::Swapped(with) => {
            let frame = with.get(&STREAM);
            data.clone_from(&with.get(frame).data);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The decoder is told of nothing: packets are missing, damaged or of another time. It never panics, says when it needs a key frame,
    /// and from a whole one on shows what it should.
    #[test]
    fn whatever_is_lost_the_next_key_frame_mends(
        hits in prop::collection::btree_map((0usize..KEYS[1], 0usize..3), damage(), 1..10),
    ) {
        let mut decoder = decoder();
        prop_assert!(decoder.needs_key_frame());
        let mut clean = false;
        for (index, frame) in STREAM.iter().enumerate() {
            let mut data = Vec::new();
            let mut whole = true;
            for (step, packet) in frame.iter().enumerate() {
                let mut part = packet.data.clone();
                if let Some(damage) = hits.get(&(index, step)) {
                    damaged(&mut part, damage);
                    whole &= part == packet.data;
                }
                data.extend(part);
            }
            clean = whole && (clean || frame[0].key_frame);
            let before = decoder.needs_key_frame();
            let result = decoder.decode(&data, frame[0].pts);
            if clean {
                prop_assert_eq!(result.as_deref(), Ok(&CLEAN[index..=index]), "frame {}", index);
            }
            if result.is_err() {
                prop_assert!(decoder.needs_key_frame());
            } else {
                prop_assert!(!decoder.needs_key_frame());
            }
            if before && whole && !frame[0].key_frame {
                prop_assert_eq!(result, Err(Error::AwaitingKeyFrame));
            }
        }
    }

    #[test]
    fn taking_apart_and_putting_together_never_panic(
        parts in prop::collection::vec((0u8..4, 0u8..4, 0u8..3, 0usize..24, 0usize..3, damage()), 0..6),
    ) {
        let parts: Vec<(Layer, Vec<u8>)> = parts
            .into_iter()
            .map(|(spatial, temporal, quality, frame, step, damage)| {
                let mut data = STREAM[frame][step].data.clone();
                damaged(&mut data, &damage);
                (Layer { spatial, temporal, quality }, data)
            })
            .collect();
        if let Ok(unit) = join_layers(parts.iter().map(|(layer, data)| (*layer, &data[..])))
            && let Ok(apart) = split_layers(&unit)
        {
            prop_assert_eq!(apart.iter().flat_map(|part| part.bytes).copied().collect::<Vec<_>>(), unit);
        }
    }
}
