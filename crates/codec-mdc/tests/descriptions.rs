//! Whichever descriptions are there, there is a picture of each frame, and with more of them a better one.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use codec_av1::{Rav1dDecoder, VideoDecoder};
use codec_mdc::{Descriptions, Error, MdcReceiver, Payload, Scheme, coded_picture};
use core_types::{BitRate, ObjectClass};
use support::{COUNTS, SCHEMES, config, encode, encoder, number, payloads, psnr, size};

const FRAMES: usize = 24;

/// The mean over the frames; each has to have a picture.
fn quality(of: Descriptions, payloads: &[Vec<Payload>], got: impl Fn(usize) -> bool) -> f64 {
    let mut receiver = MdcReceiver::new(of, size());
    let mut sum = 0.0;
    for (index, payloads) in payloads.iter().enumerate() {
        for payload in payloads.iter().filter(|payload| got(payload.description.index())) {
            receiver.take(payload.description, payload.frame, &payload.data).unwrap();
        }
        let shown = receiver.show(number(index));
        assert!(shown.faults.is_empty(), "{:?}", shown.faults);
        sum += psnr(index, &shown.picture.expect("each set of descriptions shows every frame"));
    }
    sum / payloads.len() as f64
}

#[test]
fn every_set_of_descriptions_shows_every_frame_and_all_show_it_best() {
    for scheme in SCHEMES {
        for of in COUNTS {
            let payloads = payloads(of, scheme, FRAMES);
            let sets = 1..1usize << of.count();
            let quality = |set: usize| quality(of, &payloads, |index| set >> index & 1 == 1);
            let all = quality(sets.end - 1);
            for set in sets {
                let part = quality(set);
                // Of pictures in half size the PSNR is that of the smaller one, which is another measure.
                if scheme != SCHEMES[2] {
                    assert!(part <= all + 0.01, "{scheme:?}, set {set:b} of {of:?}: {part}, all {all}");
                }
                assert!(part > 26.0, "{scheme:?}, set {set:b} of {of:?}: {part}");
            }
        }
    }
}

#[test]
fn each_frame_is_had_well_by_one_description_in_turn() {
    for of in COUNTS {
        let mut sums = [(0, 0); 2];
        for (index, payloads) in payloads(of, Scheme::Alternating, FRAMES).iter().enumerate().skip(1) {
            let good: Vec<_> =
                payloads.iter().filter(|payload| payload.class != ObjectClass::Discardable).collect();
            assert_eq!(good.len(), 1, "frame {index} of {of:?}");
            let path = good[0].description.path();
            let run = if of == Descriptions::Two { index / 3 } else { index };
            assert_eq!(usize::from(path[0]), run % 2, "frame {index}: a half has every second run well");
            for payload in payloads {
                let is_low = payload.class == ObjectClass::Discardable;
                let (bytes, count) = &mut sums[usize::from(is_low)];
                *bytes += payload.data.len();
                *count += 1;
            }
        }
        let [good, low] = sums.map(|(bytes, count)| bytes / count);
        assert!(3 * low < good, "{of:?}: {low} bytes, good ones {good}");
    }
}

#[test]
fn payloads_keep_to_the_rate_of_all_together() {
    for scheme in SCHEMES {
        for of in COUNTS {
            let mut encoder = encoder(of, scheme);
            let mut kbit = |from: usize| {
                let bytes: usize = (from..from + 100)
                    .flat_map(|index| encode(&mut encoder, index))
                    .map(|payload| payload.data.len())
                    .sum();
                bytes * 8 / 4_000
            };
            let first = kbit(0);
            assert!((170..=300).contains(&first), "{scheme:?} {of:?}: {first} kbit/s of 250");
            encoder.set_bit_rate(BitRate::from_kbit(100)).unwrap();
            let mut kbit = |from: usize| {
                let bytes: usize = (from..from + 100)
                    .flat_map(|index| encode(&mut encoder, index))
                    .map(|payload| payload.data.len())
                    .sum();
                bytes * 8 / 4_000
            };
            let second = kbit(100);
            assert!(second < first * 2 / 3, "{scheme:?} {of:?}: {second} kbit/s of 100 after {first}");
            assert_eq!(encoder.config().bit_rate, BitRate::from_kbit(100));
        }
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    for scheme in SCHEMES {
        for of in COUNTS {
            let refused = |change: fn(&mut codec_av1::EncoderConfig)| {
                let mut config = config();
                change(&mut config);
                codec_mdc::MdcEncoder::new(config, of, scheme).is_err()
            };
            assert!(!refused(|_| {}));
            assert!(refused(|config| config.bit_rate = BitRate(1_000)), "{scheme:?} {of:?}");
            assert!(refused(|config| config.bit_rate = BitRate(u64::MAX)), "{scheme:?} {of:?}");
            assert!(refused(|config| config.max_key_interval = 0), "{scheme:?} {of:?}");
            assert!(refused(|config| config.threads = 0), "{scheme:?} {of:?}");
        }
    }
    let layers = Scheme::Priority(codec_av1::Structure::L1T3);
    let opened = codec_mdc::MdcEncoder::new(config(), Descriptions::Two, layers);
    assert!(matches!(opened, Err(Error::Config(_))));
}

#[test]
fn key_frames_of_the_descriptions_come_in_turn() {
    let config = codec_av1::EncoderConfig { max_key_interval: 12, ..config() };
    let mut encoder = codec_mdc::MdcEncoder::new(config, Descriptions::Four, Scheme::Alternating).unwrap();
    let mut keys = Vec::new();
    for index in 0..37 {
        for payload in encode(&mut encoder, index) {
            if payload.class == ObjectClass::KeyFrame {
                keys.push((index, payload.description.index()));
            }
        }
    }
    let expected =
        [(0, 0), (0, 1), (0, 2), (0, 3), (3, 3), (6, 2), (9, 1), (12, 0), (15, 3), (18, 2), (21, 1), (24, 0)];
    assert_eq!(keys[..12], expected);
}

#[test]
fn payloads_begin_as_the_specification_says() {
    for (of, count) in [(Descriptions::Two, 2u8), (Descriptions::Four, 4)] {
        for (scheme, way) in [(SCHEMES[0], 1u8), (SCHEMES[1], 2)] {
            for (index, payload) in payloads(of, scheme, 1)[0].iter().enumerate() {
                assert_eq!(payload.data[0], 16 * way + 4 * (count - 1) + index as u8);
            }
        }
    }
    let sent = payloads(Descriptions::Two, Scheme::Alternating, 4);
    // Which frame it refers to, and whether another does: key frames, then good and low in turn.
    let marks = |frame: usize, index: usize| (sent[frame][index].data[1], sent[frame][index].data[2] >> 7);
    assert_eq!((marks(0, 0), marks(0, 1)), ((0, 1), (0, 1)));
    assert_eq!((marks(1, 0), marks(1, 1)), ((1, 1), (1, 0)));
    assert_eq!((marks(2, 0), marks(2, 1)), ((1, 1), (2, 0)));
    assert_eq!((marks(3, 0), marks(3, 1)), ((1, 0), (3, 1)));
}

#[test]
fn a_first_payload_that_was_made_up_in_another_way_keeps_no_stream_out() {
    let sent = payloads(Descriptions::Two, Scheme::Alternating, 3);
    let other = payloads(Descriptions::Two, SCHEMES[1], 1);
    let mut receiver = MdcReceiver::new(Descriptions::Two, size());
    let first = Descriptions::Two.get(0).unwrap();
    receiver.take(first, number(0), &other[0][0].data).unwrap();
    let mut take = |n: usize, data: &[u8]| receiver.take(first, number(n), data).is_ok();
    assert!(!take(0, &sent[0][0].data) && !take(1, &sent[1][0].data));
    assert!(take(0, &other[0][0].data), "they were not three in a row");
    assert!(!take(0, &sent[0][0].data) && !take(1, &sent[1][0].data) && take(0, &sent[0][0].data));
    assert!(take(1, &sent[1][0].data) && take(2, &sent[2][0].data));
    assert!(!take(2, &other[0][0].data));
    assert!((0..3).all(|n| receiver.show(number(n)).picture.is_some()));
}

#[test]
fn streams_do_not_mix() {
    let sent = payloads(Descriptions::Two, Scheme::Alternating, 1);
    let other = payloads(Descriptions::Two, SCHEMES[1], 1);
    let mut receiver = MdcReceiver::new(Descriptions::Two, size());
    let [first, second] = [Descriptions::Two.get(0).unwrap(), Descriptions::Two.get(1).unwrap()];
    receiver.take(first, number(0), &sent[0][0].data).unwrap();
    let refused = |receiver: &mut MdcReceiver, description, data: &[u8]| {
        receiver.take(description, number(0), data).is_err_and(|error| error.is_peer_fault())
    };
    assert!(refused(&mut receiver, second, &other[0][1].data), "made in another way");
    assert!(refused(&mut receiver, second, &sent[0][0].data), "of the other description");
    assert!(refused(&mut receiver, second, &[]));
    let quadrant = Descriptions::Four.get(1).unwrap();
    let wrong = receiver.take(quadrant, number(0), &sent[0][1].data);
    assert_eq!(wrong, Err(Error::NoSuchDescription { index: 1, of: 2 }));
    receiver.take(second, number(0), &sent[0][1].data).unwrap();
    assert_eq!(receiver.show(number(0)).from.len(), 2);
}

#[test]
fn the_rate_is_kept_where_low_pictures_take_more_than_their_share() {
    let config = codec_av1::EncoderConfig { bit_rate: BitRate::from_kbit(200), ..config() };
    let mut encoder = codec_mdc::MdcEncoder::new(config, Descriptions::Four, Scheme::Alternating).unwrap();
    let mut bytes = [0; 2];
    for index in 0..250 {
        // Every picture is quite another one.
        let frame = support::picture(index * 37 % 1_000);
        for payload in encoder.encode(&frame, core_types::MediaTime(40_000 * index as u64)).unwrap() {
            // What it begins with, and what comes of it.
            bytes[usize::from(index >= 150)] += payload.data.len();
        }
    }
    let kbit = [bytes[0] * 8 / 6_000, bytes[1] * 8 / 4_000];
    assert!((150..=225).contains(&kbit[1]), "{kbit:?} of 200");
}

#[test]
fn the_pictures_of_one_description_are_a_stream_that_any_decoder_shows() {
    for of in COUNTS {
        for wanted in of.all() {
            let mut decoder = Rav1dDecoder::new(size()).unwrap();
            let mut kept = None;
            for payload in payloads(of, Scheme::Alternating, FRAMES).into_iter().flatten() {
                if payload.description != wanted {
                    continue;
                }
                let coded = coded_picture(wanted, payload.frame, &payload.data).unwrap().unwrap();
                assert_eq!(coded.refers_to, kept, "{wanted}, frame {}", payload.frame);
                if coded.is_kept {
                    kept = Some(payload.frame);
                }
                assert_eq!(decoder.decode(&coded.unit, payload.pts).unwrap().len(), 1);
            }
        }
    }
    let shared = payloads(Descriptions::Two, SCHEMES[2], 1).remove(0).remove(0);
    assert_eq!(coded_picture(shared.description, shared.frame, &shared.data), Ok(None));
    assert!(coded_picture(shared.description, shared.frame, &[]).is_err());
}
