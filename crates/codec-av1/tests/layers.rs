//! Every admitted set of layers decodes to what the encoder has for it, and the marks tell the truth.
#![cfg(feature = "libaom")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use codec_av1::{
    Error, Frame, LayerPacket, LayeredDecoder, LibaomEncoder, Packet, Rav1dDecoder, Structure, VideoDecoder,
    VideoEncoder, join_layers, split_layers,
};
use core_types::{BitRate, Layer, LayerPolicy, ObjectClass};
use proptest::prelude::*;
use support::{config, pattern, size, steady};

const STRUCTURES: [Structure; 8] = [
    Structure::L1T1,
    Structure::L1T2,
    Structure::L1T3,
    Structure::L2T1,
    Structure::L2T3,
    Structure::L3T3,
    Structure::L1T1Q2,
    Structure::L1T3Q2,
];

/// A packet and the picture that it stands for.
#[derive(Clone)]
struct Coded {
    packet: Packet,
    picture: Frame,
}

/// What is done to the encoder before a frame.
#[derive(Debug, Clone)]
enum Ask {
    Key,
    Switch,
    Layers(LayerPolicy),
}

/// Codes `count` frames; gives the packets of each.
fn encode(structure: Structure, count: usize, asks: &[(usize, Ask)]) -> Vec<Vec<Coded>> {
    let config = config(size(192, 112));
    let mut encoder = LibaomEncoder::layered(config, structure).unwrap();
    let mut frames = Vec::new();
    for (index, pts) in steady(count).into_iter().enumerate() {
        let mut key = false;
        for (_, ask) in asks.iter().filter(|(at, _)| *at == index) {
            match ask {
                Ask::Key => key = true,
                Ask::Switch => encoder.request_switch_point(),
                Ask::Layers(policy) => encoder.set_layers(*policy),
            }
        }
        let mut coded = Vec::new();
        let frame = pattern(config.size, index);
        encoder
            .encode_each(&frame, pts, key, |encoder, packet| {
                assert_eq!(packet.pts, pts);
                coded.push(Coded { packet, picture: encoder.reconstruction().unwrap() });
            })
            .unwrap();
        frames.push(coded);
    }
    fill_in_discardable(structure, &mut frames);
    frames
}

/// libaom doesn't finish its own copy of a picture that nothing refers to. There the reference is what all layers below give with it, none
/// ever missing.
fn fill_in_discardable(structure: Structure, frames: &mut [Vec<Coded>]) {
    for step in 0..usize::from(structure.spatial() * structure.quality()) {
        let mut decoder = decoder();
        for frame in frames.iter_mut().filter(|frame| !frame.is_empty()) {
            let parts = frame.iter().take(step + 1).map(|c| (c.packet.layer, &c.packet.data[..]));
            let unit = join_layers(parts).unwrap();
            let picture = decoder.decode(&unit, frame[0].packet.pts).unwrap().remove(0).frame;
            if frame.len() <= step {
                continue;
            }
            if frame[step].packet.class == ObjectClass::Discardable {
                frame[step].picture = picture;
            } else {
                assert!(picture == frame[step].picture, "step {step} is not what the encoder has");
            }
        }
    }
}

/// All caps that make sense for a structure.
fn caps(structure: Structure) -> Vec<LayerPolicy> {
    structure
        .layers()
        .map(|top| LayerPolicy {
            max_spatial: top.spatial,
            max_temporal: top.temporal,
            max_quality: top.quality,
        })
        .collect()
}

fn decoder() -> Rav1dDecoder {
    Rav1dDecoder::new(size(192, 112)).unwrap()
}

/// Gives what was received of one frame to the decoder, which has to show what the encoder has for the highest layer of it.
fn show(decoder: &mut Rav1dDecoder, received: &[Coded]) -> Frame {
    let parts = received.iter().map(|coded| (coded.packet.layer, &coded.packet.data[..]));
    let unit = join_layers(parts).unwrap();
    let top = received.last().unwrap();
    let mut shown = decoder.decode(&unit, top.packet.pts).unwrap();
    assert_eq!(shown.len(), 1);
    let shown = shown.remove(0);
    assert_eq!(shown.pts, top.packet.pts);
    assert!(shown.frame == top.picture, "layer {:?} is not what the encoder has", top.packet.layer);
    shown.frame
}

fn admitted(frame: &[Coded], policy: LayerPolicy) -> Vec<Coded> {
    frame.iter().filter(|coded| policy.admits(coded.packet.layer)).cloned().collect()
}

#[test]
fn every_admitted_set_decodes_to_the_pictures_that_the_encoder_has() {
    let full = size(192, 112);
    for structure in STRUCTURES {
        let frames = encode(structure, 18, &[(9, Ask::Key)]);
        for policy in caps(structure) {
            let mut decoder = decoder();
            let (mut shown, mut psnr) = (0, 0.0);
            for (index, frame) in frames.iter().enumerate() {
                let received = admitted(frame, policy);
                if received.is_empty() {
                    continue;
                }
                let picture = show(&mut decoder, &received);
                let wanted = structure.size_of(full, policy.max_spatial).unwrap();
                assert_eq!(picture.size(), wanted, "{structure} {policy:?}");
                psnr += picture.psnr_y(&pattern(full, index).scaled(wanted)).unwrap();
                shown += 1;
            }
            // 9 frames from a key frame: 0, 4 and 8 of the lowest of three temporal layers, the even ones of two of them.
            let hidden = structure.temporal() - 1 - policy.max_temporal;
            assert_eq!(shown, 2 * [9, 5, 3][usize::from(hidden)], "{structure} {policy:?}");
            let mean = psnr / f64::from(shown);
            println!("{structure} up to {policy:?}: {mean:.1} dB");
            assert!(mean > 27.0, "{structure} {policy:?}: {mean:.1} dB");
        }
    }
}

#[test]
fn a_better_layer_gives_a_better_picture() {
    let frames = encode(Structure::L1T1Q2, 20, &[]);
    let psnr = |quality: usize| {
        let pictures = frames
            .iter()
            .enumerate()
            .map(|(index, frame)| frame[quality].picture.psnr_y(&pattern(size(192, 112), index)).unwrap());
        pictures.sum::<f64>() / frames.len() as f64
    };
    let (low, high) = (psnr(0), psnr(1));
    println!("{low:.1} dB, {high:.1} dB");
    assert!(high > low + 0.5, "{low:.1} dB, {high:.1} dB");
}

#[test]
fn packets_say_where_they_are() {
    for structure in STRUCTURES {
        let frames = encode(structure, 9, &[]);
        for (index, frame) in frames.iter().enumerate() {
            let temporal = match structure.temporal() {
                1 => 0,
                2 => (index % 2) as u8,
                _ => [0, 2, 1, 2][index % 4],
            };
            let layers: Vec<Layer> = frame.iter().map(|coded| coded.packet.layer).collect();
            let wanted: Vec<Layer> = structure.layers().filter(|layer| layer.temporal == temporal).collect();
            assert_eq!(layers, wanted, "{structure} frame {index}");
            for (step, Coded { packet, .. }) in frame.iter().enumerate() {
                let top = step + 1 == frame.len();
                let class = match (temporal, step) {
                    (0, 0) if index == 0 => ObjectClass::KeyFrame,
                    (0, _) if index == 0 => ObjectClass::SwitchPoint,
                    (0, _) => ObjectClass::Plain,
                    _ if top && temporal + 1 == structure.temporal() => ObjectClass::Discardable,
                    _ => ObjectClass::SwitchPoint,
                };
                assert_eq!(packet.class, class, "{structure} frame {index} {:?}", packet.layer);
                assert_eq!(packet.key_frame, class == ObjectClass::KeyFrame);
                // Its own headers agree, where they say anything.
                let parts = split_layers(&packet.data).unwrap();
                assert_eq!(parts.len(), 1);
                assert_eq!(usize::from(parts[0].spatial_id), step);
                assert_eq!(parts[0].temporal_id, temporal);
            }
        }
    }
}

#[test]
fn layers_go_with_the_next_frame_and_come_back_with_a_switch_point() {
    let cap = |max_spatial, max_temporal| LayerPolicy { max_spatial, max_temporal, max_quality: 0 };
    let asks = [
        (5, Ask::Layers(cap(0, 2))),
        (11, Ask::Layers(cap(2, 1))),
        (17, Ask::Layers(LayerPolicy::UNCAPPED)),
        (22, Ask::Switch),
    ];
    let frames = encode(Structure::L3T3, 26, &asks);
    let lengths: Vec<usize> = frames.iter().map(Vec::len).collect();
    let wanted = [[3; 5].to_vec(), [1; 6].to_vec(), [3, 0, 3, 0, 3, 0].to_vec(), [3; 9].to_vec()].concat();
    assert_eq!(lengths, wanted);
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!(frame.iter().any(|coded| coded.packet.key_frame), index == 0, "no key frame comes of it");
        let class = |step: usize| frame[step].packet.class;
        match index {
            // What comes back, or was asked for, begins a group of four in which it refers to nothing of its own layer.
            11 | 22 => {
                assert_eq!(frame[0].packet.layer.temporal, 0);
                assert_eq!(
                    [class(0), class(1), class(2)],
                    [ObjectClass::Plain, ObjectClass::SwitchPoint, ObjectClass::SwitchPoint]
                );
            }
            // What stayed goes on.
            17 => assert_eq!([class(0), class(1), class(2)], [ObjectClass::Plain; 3]),
            // Without the highest picture rate nothing refers to the middle one's top layer.
            13 => assert_eq!(class(2), ObjectClass::Discardable),
            _ => {}
        }
    }
}

#[test]
fn a_switch_point_leans_on_nothing_that_a_receiver_may_lack() {
    // Its size was told as that of the picture that it replaces, of which a receiver without the layer has another one.
    for structure in [Structure::L2T1, Structure::L2T3, Structure::L3T3, Structure::L1T3Q2] {
        let frames = encode(structure, 16, &[(8, Ask::Switch)]);
        let mut decoder = decoder();
        for (index, frame) in frames.iter().enumerate() {
            show(&mut decoder, if index < 8 { &frame[..1] } else { frame });
        }
    }
}

#[test]
fn the_highest_layers_may_be_left_out_from_the_start() {
    // Here libaom wrote past the end of its memory: what it allocates by the highest layer's size before it knows it.
    let cap = |max_spatial, max_quality| LayerPolicy { max_spatial, max_temporal: 2, max_quality };
    for structure in [Structure::L3T3, Structure::L1T3Q2, Structure::L2T1] {
        let asks = [(0, Ask::Layers(cap(0, 0))), (6, Ask::Layers(cap(1, 0))), (12, Ask::Layers(cap(2, 1)))];
        let frames = encode(structure, 24, &asks);
        assert_eq!(frames[0].len(), 1);
        assert_eq!(frames[12].len(), usize::from(structure.spatial() * structure.quality()));
        let back = if structure == Structure::L2T1 { 6 } else { 12 };
        assert_eq!(frames[back].last().unwrap().packet.class, ObjectClass::SwitchPoint);
    }
}

#[test]
fn structures_are_said_in_few_letters() {
    for structure in STRUCTURES {
        assert_eq!(structure.to_string().parse(), Ok(structure));
        assert_eq!(structure.layers().last(), Some(structure.top()));
    }
    assert_eq!("L1T3Q1".parse(), Ok(Structure::L1T3));
    for bad in [
        "", "L", "L1", "L1T", "T1L1", "L4T1", "L0T1", "L1T4", "L2T1Q2", "L1T1Q3", "L1T1Q", "l1t1",
        "L1T1Q2X1", "L１T1",
    ] {
        assert!(matches!(bad.parse::<Structure>(), Err(Error::Config(_))), "{bad}");
    }
}

#[test]
fn rates_of_layers_add_up_to_what_was_asked_for() {
    let total = BitRate::from_kbit(1_000);
    for structure in STRUCTURES {
        let mut sum = 0;
        for layer in structure.layers() {
            let rate = structure.rate_of(total, layer).0;
            if layer.temporal > 0 {
                let below = Layer { temporal: layer.temporal - 1, ..layer };
                assert!(rate > structure.rate_of(total, below).0);
            }
            if layer.temporal == structure.top().temporal {
                sum += rate;
            }
        }
        assert_eq!(sum, total.0, "{structure}");
    }
}

/// What a receiver, or a relay for it, may do to the layers of a stream (spec 50 section 5).
#[derive(Debug, Clone)]
enum Receive {
    /// Wants other layers.
    Cap(prop::sample::Index),
    /// Loses all discardable packets of a frame.
    Discard,
    /// Loses what is above the lowest layer of a frame.
    LoseAbove,
}

fn receive() -> impl Strategy<Value = Receive> {
    prop_oneof![
        3 => any::<prop::sample::Index>().prop_map(Receive::Cap),
        1 => Just(Receive::Discard),
        1 => Just(Receive::LoseAbove),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        1 => Just(Ask::Key),
        2 => Just(Ask::Switch),
        3 => (0u8..3, 0u8..3, 0u8..2).prop_map(|(max_spatial, max_temporal, max_quality)| {
            Ask::Layers(LayerPolicy { max_spatial, max_temporal, max_quality })
        }),
    ]
}

/// True if a packet of `upper` may refer to one of `lower`.
fn is_below(lower: Layer, upper: Layer) -> bool {
    lower.spatial <= upper.spatial && lower.temporal <= upper.temporal && lower.quality <= upper.quality
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A layer is taken up at its switch points alone, when those below it have been; it is given up at any time. Whatever the encoder was
    /// asked for meanwhile, all that is taken is decoded to what the encoder has.
    #[test]
    fn layers_may_come_and_go_at_both_ends(
        structure in prop::sample::select(&STRUCTURES[..]),
        asks in prop::collection::vec((0usize..40, ask()), 0..6),
        receives in prop::collection::btree_map(0usize..40, receive(), 0..12),
    ) {
        let frames = encode(structure, 40, &asks);
        let all: Vec<Layer> = structure.layers().collect();
        let caps = caps(structure);
        let mut decoder = decoder();
        let mut policy = LayerPolicy::UNCAPPED;
        // Layers of which nothing was missed that later packets may refer to.
        let mut whole: Vec<Layer> = Vec::new();
        for (index, frame) in frames.iter().enumerate() {
            let (mut discards, mut loses) = (false, false);
            match receives.get(&index) {
                Some(Receive::Cap(cap)) => policy = *cap.get(&caps),
                Some(Receive::Discard) => discards = true,
                Some(Receive::LoseAbove) => loses = true,
                None => {}
            }
            let mut taken: Vec<Coded> = Vec::new();
            for coded in frame {
                let (layer, class) = (coded.packet.layer, coded.packet.class);
                if class == ObjectClass::KeyFrame {
                    whole.clear();
                }
                let wanted = policy.admits(layer)
                    && !(discards && class == ObjectClass::Discardable)
                    && !(loses && layer != Layer::BASE);
                // All that it may refer to: what is below in this frame, and the layers below as far as they say that they are needed.
                let step_below = taken.len() == usize::from(layer.spatial + layer.quality);
                let below = all.iter().filter(|lower| is_below(**lower, layer) && **lower != layer);
                let is_complete = below.clone().all(|lower| {
                    whole.contains(lower) || !comes_before(&frames, index, *lower)
                });
                let starts = matches!(class, ObjectClass::KeyFrame | ObjectClass::SwitchPoint);
                let continues = whole.contains(&layer) || starts || class == ObjectClass::Discardable;
                if wanted && step_below && is_complete && continues {
                    taken.push(coded.clone());
                    if class != ObjectClass::Discardable && !whole.contains(&layer) {
                        whole.push(layer);
                    }
                } else if class != ObjectClass::Discardable {
                    // What was missed is missed by this layer and those above.
                    whole.retain(|upper| !is_below(layer, *upper));
                }
            }
            if !taken.is_empty() {
                show(&mut decoder, &taken);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever is lost, nothing is shown that is not as the encoder has it, and what is lost costs no more than it has to.
    #[test]
    fn losses_cost_pictures_and_never_show_wrong_ones(
        structure in prop::sample::select(&STRUCTURES[..]),
        asks in prop::collection::vec((0usize..32, ask()), 0..4),
        lost in prop::collection::btree_set((0usize..24, 0usize..3), 0..16),
        whole in prop::collection::btree_set(0usize..24, 0..3),
    ) {
        let mut asks = asks;
        asks.push((24, Ask::Key));
        let frames = encode(structure, 32, &asks);
        let mut decoder = LayeredDecoder::new(size(192, 112));
        let mut harmed = false;
        for (index, frame) in frames.iter().enumerate() {
            let is_lost = |step: &usize| whole.contains(&index) || lost.contains(&(index, *step));
            let received: Vec<&Coded> =
                (0..frame.len()).filter(|step| !is_lost(step)).map(|step| &frame[step]).collect();
            let pts = steady(32)[index];
            harmed &= !frame.first().is_some_and(|coded| coded.packet.key_frame);
            harmed |= received.len() < frame.len();
            if received.is_empty() {
                if frame.first().is_some_and(|coded| coded.packet.class != ObjectClass::Discardable) {
                    decoder.missed(frame[0].packet.layer);
                }
                continue;
            }
            let packets: Vec<LayerPacket<'_>> = received.iter().map(|c| LayerPacket::from(&c.packet)).collect();
            match decoder.decode(&packets, pts) {
                Ok(Some(shown)) => {
                    prop_assert_eq!(shown.pts, pts);
                    prop_assert!(frame.iter().any(|coded| coded.picture == shown.frame), "frame {}", index);
                    if !harmed {
                        prop_assert!(frame[frame.len() - 1].picture == shown.frame, "frame {}", index);
                    }
                }
                Ok(None) => prop_assert!(harmed, "frame {}", index),
                Err(error) => {
                    prop_assert_eq!(error, Error::AwaitingKeyFrame);
                    prop_assert!(harmed, "frame {}", index);
                }
            }
            // What is lost above the base, or above its lowest picture rate, never needs a key frame.
            let base_lost = frames[..=index].iter().enumerate().any(|(at, earlier)| {
                let is_base = earlier.first().is_some_and(|coded| coded.packet.layer == Layer::BASE);
                is_base && (whole.contains(&at) || lost.contains(&(at, 0)))
            });
            prop_assert!(base_lost || !decoder.needs_key_frame(), "frame {}", index);
        }
        prop_assert!(!decoder.needs_key_frame(), "the last key frame was whole");
    }
}

/// True if something of the layer that may be referred to came since the last key frame, before or in this frame.
fn comes_before(frames: &[Vec<Coded>], index: usize, layer: Layer) -> bool {
    let is_key = |frame: &Vec<Coded>| frame.iter().any(|c| c.packet.class == ObjectClass::KeyFrame);
    let start = (0..=index).rev().find(|at| is_key(&frames[*at])).unwrap_or(0);
    frames[start..=index]
        .iter()
        .flatten()
        .any(|c| c.packet.layer == layer && c.packet.class != ObjectClass::Discardable)
}
