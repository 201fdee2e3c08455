//! The committed vectors of payloads.
#![allow(clippy::unwrap_used, reason = "tests")]

use codec_mdc::{
    CodedPicture, Description, Descriptions, Error, FrameNumber, MdcReceiver, coded_layers, coded_picture,
};
use core_types::{FrameSize, ObjectClass};
use serde_json::Value;
use vector_kit::read::{hex, list, load};

fn number(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

fn frame(value: &Value) -> FrameNumber {
    FrameNumber(value.as_str().unwrap().parse().unwrap())
}

fn of(case: &Value) -> Descriptions {
    Descriptions::new(number(&case["count"])).unwrap()
}

fn description(case: &Value) -> Description {
    of(case).get(number(&case["index"])).unwrap()
}

fn receiver(of: Descriptions) -> MdcReceiver {
    MdcReceiver::new(of, FrameSize::new(64, 64).unwrap())
}

#[test]
fn paths_name_descriptions() {
    let file = load("descriptions/payload.json");
    for place in list(&file, "places") {
        let [count, index, path] = &place.as_array().unwrap()[..] else { panic!("{place}") };
        let one = Descriptions::new(number(count)).unwrap().get(number(index)).unwrap();
        let path: Vec<u8> = path.as_array().unwrap().iter().map(|step| number(step) as u8).collect();
        assert_eq!((Description::from_path(&path), one.path()), (Ok(one), &path[..]));
    }
}

#[test]
fn pictures_are_read_from_payloads() {
    let file = load("descriptions/payload.json");
    for case in list(&file, "cases") {
        let payload = hex(&case["payload"]);
        let expected = CodedPicture {
            refers_to: (!case["refers_to"].is_null()).then(|| frame(&case["refers_to"])),
            is_kept: case["is_kept"].as_bool().unwrap(),
            unit: hex(&case["unit"]),
        };
        let read = coded_picture(description(case), frame(&case["frame"]), &payload);
        assert_eq!(read, Ok(Some(expected)), "{}", case["id"]);
        assert_eq!(receiver(of(case)).take(description(case), frame(&case["frame"]), &payload), Ok(()));
    }
}

fn content(layer: usize, len: usize) -> Vec<u8> {
    (0..len).map(|n| (31 * n + n * n / 7 + 5 * layer) as u8).collect()
}

/// Of a layer: its place, what it is to others, how many shares it takes, and its length.
fn said(picture: &Value) -> ([u8; 3], ObjectClass, usize, usize) {
    let class = match picture["class"].as_str().unwrap() {
        "plain" => ObjectClass::Plain,
        "discardable" => ObjectClass::Discardable,
        "switch-point" => ObjectClass::SwitchPoint,
        "key-frame" => ObjectClass::KeyFrame,
        other => panic!("{other}"),
    };
    let place = [0, 1, 2].map(|axis| number(&picture["layer"][axis]) as u8);
    (place, class, number(&picture["needed"]), number(&picture["len"]))
}

/// Any of the payloads give back the layers that they suffice for, and those alone. Of long ones there is the digest, which
/// `shares_are_written_as_the_vectors_say` in the crate looks at.
#[test]
fn layers_come_back_from_shares() {
    let file = load("descriptions/payload.json");
    let mut checked = 0;
    for case in list(&file, "frames") {
        let payloads: Vec<(Description, Vec<u8>)> =
            of(case).all().zip(list(case, "payloads")).map(|(one, payload)| (one, hex(payload))).collect();
        assert_eq!(payloads.len(), of(case).count());
        if payloads.iter().zip(list(case, "lens")).any(|((_, payload), len)| payload.len() != number(len)) {
            continue;
        }
        checked += 1;
        for set in 1..1usize << payloads.len() {
            let taken: Vec<(Description, &[u8])> = payloads
                .iter()
                .filter(|(one, _)| set >> one.index() & 1 == 1)
                .map(|(one, payload)| (*one, &payload[..]))
                .collect();
            let layers = coded_layers(FrameNumber(7), &taken).unwrap();
            let expected = list(case, "pictures").iter().enumerate().map(|(at, picture)| (at, said(picture)));
            let expected: Vec<_> =
                expected.take_while(|(_, (_, _, needed, _))| *needed <= taken.len()).collect();
            assert_eq!(layers.len(), expected.len(), "{} {set:b}", case["id"]);
            for (layer, (at, (place, class, _, len))) in layers.iter().zip(expected) {
                assert_eq!([layer.layer.spatial, layer.layer.temporal, layer.layer.quality], place);
                assert_eq!((layer.class, &layer.data), (class, &content(at, len)), "{}", case["id"]);
            }
            let mut receiver = receiver(of(case));
            for (one, payload) in taken {
                assert_eq!(receiver.take(one, FrameNumber(7), payload), Ok(()));
            }
        }
    }
    assert!(checked >= 6);
}

#[test]
fn what_is_no_payload_is_refused() {
    let file = load("descriptions/payload.json");
    for case in list(&file, "negative") {
        let (one, at, payload) = (description(case), frame(&case["frame"]), hex(&case["payload"]));
        let refusals = [
            receiver(of(case)).take(one, at, &payload),
            coded_picture(one, at, &payload).and_then(|_| coded_layers(at, &[(one, &payload)])).map(|_| ()),
        ];
        for refused in refusals {
            assert!(matches!(refused, Err(Error::Payload { .. })), "{}: {refused:?}", case["id"]);
        }
        assert_eq!(case["error"], "malformed");
    }
}
