//! Streams in several layers: from the encoder through seals and symbols to what is shown, with layers and pictures missing.

use super::*;
use crate::publish::{Coded, OutStream, PictureToSeal, announce};
use crate::watch::video::{VideoPlayer, VideoStats};
use av_wire::{ChunkHeader, Part, Parts};
use codec_av1::{EncoderConfig, Frame, LibaomEncoder, Structure, VideoEncoder};
use core_types::LeafIndex;
use core_types::{FrameRate, FrameSize};
use identity::{Identity, Seed};
use proptest::prelude::*;
use std::num::NonZeroU16;

const PICTURES: u64 = 65;
const PARENT: LinkId = LinkId(1);

fn size() -> FrameSize {
    FrameSize::new(64, 64).unwrap()
}

/// A picture as sealed: its layer's chunks, for each layer from the lowest up.
struct Sealed {
    pts: MediaTime,
    chunks: Vec<(ChunkHeader, Bytes)>,
}

struct Lab {
    incoming: InStream,
    sealed: Vec<Sealed>,
}

/// Some seconds of pictures in these layers at 25 a second, in a new epoch with each 13th.
fn lab(structure: Structure, cap: LayerPolicy) -> Lab {
    let identity = Identity::from_seed(&Seed([1; 64])).unwrap();
    let announce =
        StreamAnnounce { layers: structure.top(), ..announce(StreamKind::Video, identity.key_id(), 1) };
    let mut incoming = InStream::new(announce.clone(), identity.public(), Proofs::Off, cap).unwrap();
    let mut out = OutStream::new(StreamKind::Video, announce, &identity).unwrap();
    let rate = FrameRate::new(25, 1).unwrap();
    let config = EncoderConfig {
        size: size(),
        rate,
        bit_rate: BitRate::from_kbit(400),
        max_key_interval: 500,
        threads: 1,
    };
    let mut encoder = LibaomEncoder::layered(config, structure).unwrap();
    let mut sealed = Vec::new();
    for number in 0..PICTURES {
        if number % 13 == 0 {
            let epoch = 1 + number / 13;
            out.enter_epoch(Epoch(epoch), &[epoch as u8; 32], LeafIndex(0)).unwrap();
        }
        let noise = (0..64 * 64u64).map(|at| ((at * 7 + number * 5) ^ (at >> 4)) as u8);
        let frame =
            Frame::from_i420(size(), noise.chain(std::iter::repeat_n(128, 64 * 32)).collect()).unwrap();
        let pts = MediaTime(number * 40_000);
        let packets = encoder.encode(&frame, pts, number % 13 == 0).unwrap();
        let parts: Vec<Coded> = packets.into_iter().map(Coded::from).collect();
        let picture =
            PictureToSeal { pts, duration: rate.frame_interval(), end_of_stream: false, parts: &parts };
        let chunks = out.seal_picture(MonoTime(0), &picture).unwrap().chunks;
        let chunks = chunks.into_iter().map(|chunk| (ChunkHeader::parse(&chunk).unwrap(), chunk)).collect();
        sealed.push(Sealed { pts, chunks });
    }
    incoming.subscription.add_parent(MonoTime(0), PARENT);
    Lab { incoming, sealed }
}

/// Before a picture: it may be in a new epoch.
fn enter_epoch(incoming: &mut InStream, number: usize) {
    if number.is_multiple_of(13) {
        let epoch = 1 + number / 13;
        incoming.install(MonoTime(0), Epoch(epoch as u64), &[epoch as u8; 32], LeafIndex(0)).unwrap();
    }
}

impl Lab {
    /// Sends what `comes` says of each picture and layer; gives what was played, and what was asked for again.
    fn play(mut self, comes: impl Fn(usize, Layer) -> bool) -> (VideoStats, usize) {
        let mut player = VideoPlayer::new(size(), FrameRate::new(25, 1).unwrap(), Duration::from_millis(60));
        let origin = Instant::now();
        let mut asked = 0;
        for (number, sealed) in self.sealed.iter().enumerate() {
            enter_epoch(&mut self.incoming, number);
            let at = sealed.pts.as_duration();
            let now = MonoTime::from_millis(1_000).plus(at);
            let policy = self.incoming.layers.policy();
            let comes = |header: &ChunkHeader| policy.admits(header.layer) && comes(number, header.layer);
            for (_, chunk) in sealed.chunks.iter().filter(|(header, _)| comes(header)) {
                self.incoming.handle_chunk(now, PARENT, chunk, chunk.len());
            }
            while let Some(mut object) = self.incoming.proofs.poll_object() {
                object.assembled_at = origin + at;
                player.push(object);
            }
            for ms in 0..40 {
                self.incoming.handle_timeout(now.plus(Duration::from_millis(ms)));
                while let Some(action) = self.incoming.subscription.poll_action() {
                    asked += usize::from(matches!(action, alm::Action::Request { .. }));
                }
                let now = origin + at + Duration::from_millis(ms);
                player.decode(now, &mut []).unwrap();
                player.show(now, &mut []).unwrap();
            }
        }
        for ms in 0..1_000 {
            let now = origin + Duration::from_millis(PICTURES * 40 + ms);
            player.decode(now, &mut []).unwrap();
            player.show(now, &mut []).unwrap();
        }
        (player.stats, asked)
    }
}

const fn cap(max_spatial: u8, max_temporal: u8) -> LayerPolicy {
    LayerPolicy { max_spatial, max_temporal, max_quality: 0 }
}

#[test]
fn all_layers_make_every_picture_in_full() {
    for structure in [Structure::L1T3, Structure::L2T3, Structure::L3T3, Structure::L1T3Q2] {
        let (stats, asked) = lab(structure, LayerPolicy::UNCAPPED).play(|_, _| true);
        assert_eq!(stats, VideoStats { shown: PICTURES, ..VideoStats::default() }, "{structure}");
        assert_eq!(asked, 0, "{structure}");
    }
}

#[test]
fn what_is_above_the_bound_is_neither_awaited_nor_asked_for() {
    // Pictures of temporal layers: 0, 2, 1, 2; the last group has one picture.
    for (policy, shown) in [(cap(0, 2), PICTURES), (cap(0, 1), 35), (cap(1, 0), 20), (cap(0, 0), 20)] {
        let (stats, asked) = lab(Structure::L2T3, policy).play(|_, _| true);
        assert_eq!((stats.shown, stats.late, stats.lost, stats.undecodable), (shown, 0, 0, 0), "{policy:?}");
        assert_eq!(asked, 0, "{policy:?}");
    }
}

#[test]
fn a_layer_that_does_not_come_is_waited_for_no_longer_than_there_is_time() {
    // From picture 3 on the upper layer is shed on the way: the pictures are smaller, and in time.
    let (stats, _) =
        lab(Structure::L2T1, LayerPolicy::UNCAPPED).play(|number, layer| layer.spatial == 0 || number < 3);
    assert_eq!((stats.shown, stats.late, stats.lost, stats.undecodable), (PICTURES, 0, 0, 0));
    assert_eq!(stats.reduced, PICTURES - 3);
}

#[test]
fn a_lost_picture_costs_what_refers_to_it_and_no_more() {
    let lost =
        |lost: usize| lab(Structure::L1T3, LayerPolicy::UNCAPPED).play(move |number, _| number != lost).0;
    // Nothing refers to the pictures of the highest rate.
    let stats = lost(5);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (PICTURES - 1, 1, 0));
    // To that of the middle one refers one picture after it.
    let stats = lost(6);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (PICTURES - 2, 1, 1));
    // To the lowest all do, up to the key frame at 13.
    let stats = lost(4);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (PICTURES - 9, 1, 8));
}

#[test]
fn a_lost_upper_layer_comes_back_with_its_next_switch_point() {
    let comes = |number: usize, layer: Layer| layer.spatial == 0 || number != 4;
    let (stats, _) = lab(Structure::L2T1, LayerPolicy::UNCAPPED).play(comes);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (PICTURES, 0, 0));
    // Pictures 4 to 12; the key frame at 13 begins it anew.
    assert_eq!(stats.reduced, 9);
}

#[test]
fn what_is_told_reaches_from_the_last_picture_of_the_lowest_rate_to_the_end_of_this_one() {
    let Lab { mut incoming, sealed } = lab(Structure::L2T3, LayerPolicy::UNCAPPED);
    for (number, sealed) in sealed.iter().enumerate() {
        enter_epoch(&mut incoming, number);
        for (_, chunk) in &sealed.chunks {
            incoming.handle_chunk(MonoTime(1), PARENT, chunk, chunk.len());
        }
    }
    let lowest: Vec<Received> = std::iter::from_fn(|| incoming.proofs.poll_object())
        .filter(|object| object.layer.spatial == 0)
        .collect();
    assert_eq!(lowest.len() as u64, PICTURES);
    for (number, object) in (0..).zip(&lowest) {
        let told = object.told.as_ref().unwrap();
        assert_eq!((object.picture, told.objects), (number, 2));
        // A group has four pictures, and begins anew with the epoch.
        let place = number % 13;
        let reach = if place == 0 {
            0
        } else if place % 4 == 0 {
            4
        } else {
            place % 4
        };
        let before: Vec<(u64, u8)> =
            told.before.iter().map(|before| (before.picture, before.temporal)).collect();
        let expected: Vec<(u64, u8)> =
            (number - reach..number).map(|n| (n, [0, 2, 1, 2][(n % 13 % 4) as usize])).collect();
        assert_eq!(before, expected, "picture {number}");
    }
}

fn any_part() -> impl Strategy<Value = Part> {
    (0u8..4, 0u8..4, 0u8..2, 1u16..=Part::MAX_CHUNKS).prop_map(|(spatial, temporal, class, chunks)| Part {
        layer: Layer { spatial, temporal, quality: 0 },
        class: if class == 0 { ObjectClass::Plain } else { ObjectClass::Discardable },
        chunks: NonZeroU16::new(chunks).unwrap(),
    })
}

proptest! {
    /// What a member of the group seals may be anything.
    #[test]
    fn no_list_breaks_anything(
        parts in prop::collection::vec(any_part(), 1..=15), own in 0usize..15,
        chunk in prop_oneof![0u64..100_000, any::<u64>()], seq in prop_oneof![0u64..100, any::<u64>()],
        picture in prop_oneof![0u64..100, any::<u64>()],
    ) {
        let Ok(parts) = Parts::new(&parts, own) else { return Ok(()) };
        let identity = Identity::from_seed(&Seed([1; 64])).unwrap();
        let announce = StreamAnnounce {
            layers: Structure::L3T3.top(), ..announce(StreamKind::Video, identity.key_id(), 1)
        };
        let mut incoming = InStream::new(announce, identity.public(), Proofs::Off, cap(1, 1)).unwrap();
        let chunks = ChunkSeq(chunk)..ChunkSeq(chunk.saturating_add(3));
        let told = incoming.handle_told(MonoTime(1), (Epoch(1), chunks), (ObjectSeq(seq), picture), &parts);
        prop_assert!(told.before.len() <= own);
        prop_assert!(told.before.iter().all(|before| before.picture < picture));
        prop_assert!(told.objects <= parts.as_slice().len());
    }
}
