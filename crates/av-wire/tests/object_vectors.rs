//! Every case of the committed vectors of objects and contents, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_wire::{Error, FrameDuration, Inner, Object, ObjectFlags};
use core_types::{MediaTime, ObjectSeq, SymbolId};
use serde_json::Value;
use std::time::Duration;
use vector_kit::read::{hex, list, load};

fn number(value: &Value) -> u64 {
    value.as_str().map_or_else(|| value.as_u64().unwrap(), |text| text.parse().unwrap())
}

fn seq(case: &Value) -> ObjectSeq {
    ObjectSeq(number(&case["object_seq"]))
}

fn announced(case: &Value) -> Option<FrameDuration> {
    FrameDuration::from_micros(number(&case["frame_duration_us"]) as u32)
}

#[test]
fn objects_are_framed_as_in_the_vectors() {
    for case in list(&load("codec/object.json"), "cases") {
        let (flags, payload, bytes) = (number(&case["flags"]), hex(&case["payload"]), hex(&case["bytes"]));
        let object = Object {
            flags: ObjectFlags {
                key_frame: flags & 1 != 0,
                discardable: flags & 2 != 0,
                end_of_stream: flags & 4 != 0,
            },
            pts: MediaTime(number(&case["pts_us"])),
            duration: Duration::from_micros(number(&case["duration_us"])),
            picture: None,
            payload: &payload,
        };
        assert_eq!(object.to_bytes_at(seq(case), announced(case)).unwrap(), bytes, "{}", case["id"]);
        assert_eq!(Object::parse_at(&bytes, seq(case), announced(case)).unwrap(), object, "{}", case["id"]);
    }
}

#[test]
fn contents_are_framed_as_in_the_vectors() {
    for case in list(&load("codec/object.json"), "contents") {
        let bytes = hex(&case["bytes"]);
        let object = hex(if case["body"].is_string() { &case["body"] } else { &case["object"] });
        let inner = if case["body"].is_string() {
            Inner::Window { seq: seq(case), body: &object }
        } else if case["symbol"].is_u64() {
            Inner::Symbol {
                seq: seq(case),
                object_len: number(&case["object_len"]) as u32,
                repair: number(&case["repair"]) as u16,
                id: SymbolId::new(number(&case["symbol"]) as u32).unwrap(),
                bytes: &object,
            }
        } else {
            Inner::Object { seq: seq(case), bytes: &object }
        };
        let mut written = Vec::new();
        inner.write(&mut written).unwrap();
        assert_eq!(written, bytes, "{}", case["id"]);
        assert_eq!(Inner::parse(&bytes).unwrap(), inner, "{}", case["id"]);
    }
}

#[test]
fn what_is_framed_otherwise_is_refused() {
    for case in list(&load("codec/object.json"), "negative") {
        let bytes = hex(&case["bytes"]);
        let error = if case["object_seq"].is_string() {
            Object::parse_at(&bytes, seq(case), announced(case)).unwrap_err()
        } else {
            Inner::parse(&bytes).unwrap_err()
        };
        let class = match error {
            Error::Value(_) => "value",
            Error::Malformed { .. } => "malformed",
            Error::Truncated { .. } => "truncated",
            _ => "another",
        };
        assert_eq!(class, case["error"], "{}", case["id"]);
    }
}
