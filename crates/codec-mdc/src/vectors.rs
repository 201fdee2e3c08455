//! What publishers write, against the committed vectors. What receivers read is in `tests/vectors.rs`.

use core_types::{Layer, ObjectClass};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vector_kit::read::{hex, list, load};

use crate::alternating::{ErrorLevel, Header};
use crate::head::Head;
use crate::priority::{LayerHead, cut};
use crate::{Descriptions, FrameNumber};

fn number(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

fn of(case: &Value) -> Descriptions {
    Descriptions::new(number(&case["count"])).unwrap()
}

fn frame(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn pictures_are_written_as_the_vectors_say() {
    let file = load("descriptions/payload.json");
    for case in list(&file, "cases") {
        let at = frame(&case["frame"]);
        let back = (!case["refers_to"].is_null()).then(|| (at - frame(&case["refers_to"])) as u8);
        let level = ErrorLevel(number(&case["level"]) as u8);
        let header = Header { back, is_kept: case["is_kept"].as_bool().unwrap(), level };
        let (payload, unit) = (hex(&case["payload"]), hex(&case["unit"]));
        let description = of(case).get(number(&case["index"])).unwrap();
        assert_eq!(header.write(description, &unit), payload, "{}", case["id"]);
        assert_eq!(Header::read(&payload[1..], FrameNumber(at)), Ok((header, unit)), "{}", case["id"]);
    }
}

fn head(picture: &Value) -> LayerHead {
    let class = match picture["class"].as_str().unwrap() {
        "plain" => ObjectClass::Plain,
        "discardable" => ObjectClass::Discardable,
        "switch-point" => ObjectClass::SwitchPoint,
        "key-frame" => ObjectClass::KeyFrame,
        other => panic!("{other}"),
    };
    let [spatial, temporal, quality] = [0, 1, 2].map(|axis| number(&picture["layer"][axis]) as u8);
    LayerHead {
        layer: Layer { spatial, temporal, quality },
        class,
        needed: number(&picture["needed"]) as u8,
        len: number(&picture["len"]) as u32,
    }
}

#[test]
fn shares_are_written_as_the_vectors_say() {
    let file = load("descriptions/payload.json");
    for case in list(&file, "frames") {
        let mut payloads: Vec<Vec<u8>> =
            of(case).all().map(|description| vec![Head::Priority.byte(description)]).collect();
        for (at, picture) in list(case, "pictures").iter().enumerate() {
            let head = head(picture);
            let layer: Vec<u8> =
                (0..head.len as usize).map(|n| (31 * n + n * n / 7 + 5 * at) as u8).collect();
            for (payload, share) in
                payloads.iter_mut().zip(cut(&layer, head.needed.into(), of(case).count()).unwrap())
            {
                head.write(payload);
                payload.extend(share);
            }
        }
        for ((payload, expected), len) in payloads.iter().zip(list(case, "payloads")).zip(list(case, "lens"))
        {
            assert_eq!(payload.len(), number(len), "{}", case["id"]);
            let said = if payload.len() > 1_000 { Sha256::digest(payload).to_vec() } else { payload.clone() };
            assert_eq!(said, hex(expected), "{}", case["id"]);
        }
    }
}
