//! What is lost costs what refers to it, and no wrong picture is ever shown.

mod support;

use codec_av1::Frame;
use codec_mdc::{Descriptions, MdcReceiver, Payload, Scheme};
use core_types::ObjectClass;
use proptest::prelude::*;
use std::sync::LazyLock;
use support::{COUNTS, SCHEMES, encode, encoder, number, payloads, psnr, size};

#[test]
fn a_lost_low_picture_costs_nothing_else() {
    let of = Descriptions::Two;
    let payloads = payloads(of, Scheme::Alternating, 12);
    let mut receiver = MdcReceiver::new(of, size());
    for (index, payloads) in payloads.iter().enumerate() {
        for payload in payloads {
            if payload.class == ObjectClass::Discardable {
                receiver.missed(payload.description, payload.frame);
            } else {
                receiver.take(payload.description, payload.frame, &payload.data).unwrap();
            }
        }
        let shown = receiver.show(number(index));
        assert!(shown.picture.is_some() && receiver.wants_key_frame().is_empty(), "frame {index}");
    }
}

#[test]
fn a_description_that_lost_a_good_picture_asks_for_a_key_frame_and_the_other_goes_on() {
    let of = Descriptions::Two;
    let mut encoder = encoder(of, Scheme::Alternating);
    let mut receiver = MdcReceiver::new(of, size());
    let [first, second] = [of.get(0).unwrap(), of.get(1).unwrap()];
    let mut asked_at = Vec::new();
    for index in 0..20 {
        if index == 14 {
            encoder.request_key_frame(first);
        }
        for payload in encode(&mut encoder, index) {
            if !(payload.description == first && index == 6) {
                receiver.take(payload.description, payload.frame, &payload.data).unwrap();
            }
        }
        let shown = receiver.show(number(index));
        let quality = psnr(index, &shown.picture.unwrap());
        assert!(quality > 28.0, "frame {index}: {quality}");
        match receiver.wants_key_frame()[..] {
            [] => {}
            [wanted] if wanted == first => asked_at.push(index),
            ref others => panic!("{others:?}"),
        }
        assert!(shown.from.contains(&second), "frame {index}");
        assert_eq!(shown.from.contains(&first), !(6..14).contains(&index), "frame {index}");
    }
    // Frame 7 refers to it, and it might still come late; at frame 9 that is over.
    assert_eq!(asked_at, (9..14).collect::<Vec<_>>());
}

#[test]
fn a_good_picture_that_comes_late_is_used_for_those_after_it() {
    let of = Descriptions::Two;
    let payloads = payloads(of, Scheme::Alternating, 10);
    let mut receiver = MdcReceiver::new(of, size());
    let first = of.get(0).unwrap();
    for (index, now) in payloads.iter().enumerate() {
        let late = (index == 8).then(|| &payloads[7][0]);
        let now = now.iter().filter(|payload| !(payload.description == first && index == 7));
        for payload in now.chain(late) {
            receiver.take(payload.description, payload.frame, &payload.data).unwrap();
        }
        let shown = receiver.show(number(index));
        assert_eq!(shown.from.contains(&first), index != 7, "frame {index}");
        assert!(receiver.wants_key_frame().is_empty());
    }
}

#[test]
fn a_missing_picture_that_is_told_is_not_waited_for() {
    let of = Descriptions::Two;
    let payloads = payloads(of, Scheme::Alternating, 10);
    let mut receiver = MdcReceiver::new(of, size());
    for (index, now) in payloads.iter().enumerate() {
        for payload in now.iter().filter(|payload| !(payload.description.index() == 0 && index == 7)) {
            receiver.take(payload.description, payload.frame, &payload.data).unwrap();
        }
        if index == 8 {
            receiver.missed(of.get(0).unwrap(), number(7));
            assert_eq!(receiver.wants_key_frame(), [of.get(0).unwrap()]);
        }
        assert!(receiver.show(number(index)).picture.is_some());
    }
}

#[test]
fn a_picture_is_not_made_from_another_one_than_it_refers_to() {
    let of = Descriptions::Two;
    let payloads = payloads(of, Scheme::Alternating, 4);
    let first = of.get(0).unwrap();
    let mut receiver = MdcReceiver::new(of, size());
    for (index, payloads) in payloads.iter().enumerate() {
        let mut data = payloads[0].data.clone();
        if index == 3 {
            // It says the frame before the last good one.
            assert_eq!(data[1], 1);
            data[1] = 2;
        }
        receiver.take(first, number(index), &data).unwrap();
        assert_eq!(receiver.show(number(index)).picture.is_some(), index != 3, "frame {index}");
    }
    assert!(receiver.wants_key_frame() == [of.get(1).unwrap()], "what others refer to is all there");
}

#[test]
fn without_anything_there_is_no_picture_and_all_want_key_frames() {
    for of in COUNTS {
        let mut receiver = MdcReceiver::new(of, size());
        assert_eq!(receiver.wants_key_frame(), of.all().collect::<Vec<_>>());
        assert!(receiver.show(number(0)).picture.is_none());
        for scheme in SCHEMES {
            // The second frame alone is nothing to begin with.
            let second = &payloads(of, scheme, 2)[1];
            let mut receiver = MdcReceiver::new(of, size());
            for payload in second {
                receiver.take(payload.description, payload.frame, &payload.data).unwrap();
            }
            let shown = receiver.show(number(1));
            assert!(shown.picture.is_none() && shown.faults.is_empty(), "{:?}", shown.faults);
            assert_eq!(receiver.wants_key_frame(), of.all().collect::<Vec<_>>());
        }
    }
}

type Sent = (Descriptions, Scheme, Vec<Vec<Payload>>);

static SENT: LazyLock<Vec<Sent>> = LazyLock::new(|| {
    let every = SCHEMES.into_iter().flat_map(|scheme| COUNTS.map(|of| (of, scheme)));
    every.map(|(of, scheme)| (of, scheme, payloads(of, scheme, 16))).collect()
});

/// Each picture that the descriptions can give of a frame when nothing is lost, the low ones too: by set.
fn possible(frame: usize, shown: &Frame) -> bool {
    psnr(frame, shown) > 24.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Lost, late by up to three frames, twice, in another order: what is shown is of the frame that it is shown for.
    #[test]
    fn whatever_is_lost_or_late_no_wrong_picture_is_shown(
        which in 0usize..6, fates in prop::collection::vec(0u8..10, 64), seed: u64,
    ) {
        let (of, _, sent) = &SENT[which];
        let mut receiver = MdcReceiver::new(*of, size());
        let mut under_way: Vec<(usize, &Payload)> = Vec::new();
        for (index, payloads) in sent.iter().enumerate() {
            for (payload, fate) in payloads.iter().zip(fates.iter().skip(4 * index)) {
                match fate {
                    0 | 1 => {}
                    2..=4 => under_way.push((index + usize::from(*fate) - 1, payload)),
                    5 => under_way.extend([(index, payload), (index + 1, payload)]),
                    _ => under_way.push((index, payload)),
                }
            }
            if seed >> (index % 64) & 1 == 1 {
                under_way.reverse();
            }
            for (_, payload) in under_way.iter().filter(|(due, _)| *due <= index) {
                receiver.take(payload.description, payload.frame, &payload.data).unwrap();
            }
            under_way.retain(|(due, _)| *due > index);
            let shown = receiver.show(number(index));
            prop_assert!(shown.faults.is_empty(), "{:?}", shown.faults);
            if let Some(picture) = shown.picture {
                prop_assert!(possible(index, &picture), "frame {}: {} dB", index, psnr(index, &picture));
            }
        }
    }

    #[test]
    fn garbage_is_refused_and_never_panics(
        which in 0usize..6,
        inputs in prop::collection::vec((0usize..4, 0u64..40, prop::collection::vec(any::<u8>(), 0..80), 0u8..4), 1..60),
        high: u64,
    ) {
        let (of, _, sent) = &SENT[which];
        let mut receiver = MdcReceiver::new(*of, size());
        for (round, (index, frame, bytes, kind)) in inputs.iter().enumerate() {
            let description = of.get(index % of.count()).unwrap();
            let honest = &sent[*frame as usize % sent.len()][description.index()];
            let (frame, payload) = match kind {
                // Honest, honest with damage, a header that fits, garbage.
                0 => (honest.frame, honest.data.clone()),
                1 => {
                    let mut data = honest.data.clone();
                    for (place, byte) in bytes.iter().enumerate() {
                        let at = (place * 31 + usize::from(*byte)) % data.len();
                        data[at] ^= byte;
                    }
                    (honest.frame, data)
                }
                2 => (codec_mdc::FrameNumber(high.wrapping_add(*frame)), [&honest.data[..1], bytes].concat()),
                _ => (number(*frame as usize), bytes.clone()),
            };
            if let Err(error) = receiver.take(description, frame, &payload) {
                prop_assert!(error.is_peer_fault(), "{}", error);
            }
            let shown = receiver.show(if round % 7 == 3 { frame } else { number(round) });
            if let Some(picture) = shown.picture {
                prop_assert!(picture.size().width() <= size().width());
            }
        }
    }
}
