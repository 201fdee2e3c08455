//! How objects and symbols are framed inside of the seal.

use av_wire::{Error, FrameDuration, Inner, Object, ObjectFlags};
use core_types::{MediaTime, ObjectSeq, SymbolId};
use serde_json::{Value, json};
use std::time::Duration;
use vector_kit::write::{counting, hex};

type Failed = Box<dyn std::error::Error>;

const TOP: u64 = (1 << 62) - 1;
const KEY: u8 = 1;
const DISCARDABLE: u8 = 2;
const END: u8 = 4;

pub(crate) fn vectors() -> Result<Value, Failed> {
    Ok(json!({
        "id": "codec/object", "spec": "20-chunk.md sections 4 and 5", "cases": objects()?, "contents": contents()?,
        "negative": negative(),
    }))
}

/// Objects by flags, times in µs, payload, and where they stand: number, and the frame duration that was announced, or 0.
fn objects() -> Result<Vec<Value>, Failed> {
    let frame = 16_667;
    let all = [
        ("nothing", 0, 0, 0, &b""[..], 0, 0),
        ("plain", 0, 1, 63, b"p", 0, 0),
        ("key-frame", KEY, 64, 16_383, b"key", 3, 0),
        ("discardable", DISCARDABLE, 16_384, (1 << 30) - 1, b"disc", 4, 0),
        ("end", END, 1 << 30, 0, b"", 5, 0),
        ("all-flags", KEY | DISCARDABLE | END, TOP, TOP, b"all", 6, 0),
        ("regular", 0, 7 * frame, frame, b"seventh", 7, frame),
        ("regular-first", KEY, 0, frame, b"first", 0, frame),
        ("regular-end", END, 1_000 * frame, frame, b"", 1_000, frame),
        ("regular-latest", 0, TOP / frame * frame, frame, b"late", TOP / frame, frame),
        ("a-little-late", 0, 7 * frame + 1, frame, b"late", 7, frame),
        ("a-little-long", 0, 7 * frame, frame + 1, b"long", 7, frame),
        ("another-number", 0, 7 * frame, frame, b"eighth", 8, frame),
    ];
    let case = |(id, flags, pts, duration, payload, seq, frame): (&str, u8, u64, u64, &[u8], u64, u64)| {
        let is = |flag| flags & flag != 0;
        let object = Object {
            flags: ObjectFlags { key_frame: is(KEY), discardable: is(DISCARDABLE), end_of_stream: is(END) },
            pts: MediaTime(pts),
            duration: Duration::from_micros(duration),
            picture: None,
            payload,
        };
        let bytes = object.to_bytes_at(ObjectSeq(seq), announced(frame))?;
        Ok(json!({
            "id": id, "flags": flags, "pts_us": pts.to_string(), "duration_us": duration.to_string(),
            "payload": hex(payload), "object_seq": seq.to_string(), "frame_duration_us": frame, "bytes": hex(&bytes),
        }))
    };
    all.into_iter().map(case).collect()
}

fn announced(frame: u64) -> Option<FrameDuration> {
    u32::try_from(frame).ok().and_then(FrameDuration::from_micros)
}

fn contents() -> Result<Vec<Value>, Failed> {
    let object: [u8; 8] = counting(0x20);
    let symbol = |seq, object_len, repair, id| Ok::<_, Failed>((seq, object_len, repair, SymbolId::new(id)?));
    let mut cases = Vec::new();
    for (id, seq) in
        [("object", 63), ("object-two-bytes", 64), ("object-four-bytes", 16_384), ("object-latest", TOP)]
    {
        let mut bytes = Vec::new();
        Inner::Object { seq: ObjectSeq(seq), bytes: &object }.write(&mut bytes)?;
        cases.push(
            json!({ "id": id, "object_seq": seq.to_string(), "object": hex(&object), "bytes": hex(&bytes) }),
        );
    }
    for (name, (seq, object_len, repair, id)) in [
        ("symbol", symbol(0, 1, 0, 0)?),
        ("symbol-usual", symbol(1_000, 65_280, 20, 61)?),
        ("symbol-longest-fields", symbol(TOP, u32::MAX, 2_048, 0x00ff_ffff)?),
    ] {
        let mut bytes = Vec::new();
        Inner::Symbol { seq: ObjectSeq(seq), object_len, repair, id, bytes: &object }.write(&mut bytes)?;
        cases.push(json!({
            "id": name, "object_seq": seq.to_string(), "object_len": object_len, "repair": repair, "symbol": id.value(),
            "object": hex(&object), "bytes": hex(&bytes),
        }));
    }
    let body: [u8; 8] = counting(0x30);
    for (id, seq) in [("units", 63), ("units-two-bytes", 64), ("units-latest", TOP)] {
        let mut bytes = Vec::new();
        Inner::Window { seq: ObjectSeq(seq), body: &body }.write(&mut bytes)?;
        cases.push(
            json!({ "id": id, "object_seq": seq.to_string(), "body": hex(&body), "bytes": hex(&bytes) }),
        );
    }
    Ok(cases)
}

/// What is refused, in an object at a place, or in the content of a chunk.
fn negative() -> Vec<Value> {
    let objects = [
        ("object-empty", 0, 0, ""),
        ("object-cut-after-flags", 0, 0, "00"),
        ("object-cut-in-duration", 0, 0, "000140"),
        ("object-flag-32", 0, 0, "200000"),
        ("object-flag-64", 0, 0, "400000"),
        ("object-flag-128", 0, 0, "800000"),
        ("object-time-longer-than-needed", 0, 0, "00400000"),
        ("object-duration-longer-than-needed", 0, 0, "00008000003f"),
        ("regular-where-none-was-announced", 1, 0, "08aa"),
        ("regular-above-62-bits", TOP / 16_667 + 1, 16_667, "08aa"),
    ];
    let contents = [
        ("content-empty", ""),
        ("content-of-no-kind", "040000"),
        ("content-highest-kind", "ff0000"),
        ("content-cut-in-number", "0080"),
        ("content-number-longer-than-needed", "004001aa"),
        ("symbol-of-no-object", "0100 00 00 000000 aa"),
        ("symbol-of-an-object-above-32-bits", "0100 c000000100000000 00 000000 aa"),
        ("symbol-with-more-repair-than-any", "0100 01 4801 000000 aa"),
        ("symbol-empty", "0100 01 00 000000"),
        ("symbol-cut-in-id", "0100 01 00 0000"),
        ("units-without-anything", "0300"),
        ("units-cut-in-number", "0380"),
        ("units-number-longer-than-needed", "034001aa"),
    ];
    let objects = objects.into_iter().map(|(id, seq, frame, bytes)| {
        let bytes = bytes_of(bytes);
        let error = Object::parse_at(&bytes, ObjectSeq(seq), announced(frame)).err();
        json!({
            "id": id, "error": error.map(class), "object_seq": seq.to_string(), "frame_duration_us": frame,
            "bytes": hex(&bytes),
        })
    });
    let contents = contents.into_iter().map(|(id, bytes)| {
        let bytes = bytes_of(bytes);
        json!({ "id": id, "error": Inner::parse(&bytes).err().map(class), "bytes": hex(&bytes) })
    });
    objects.chain(contents).collect()
}

fn bytes_of(text: &str) -> Vec<u8> {
    vector_kit::read::hex(&text.replace(' ', "").into())
}

fn class(error: Error) -> &'static str {
    match error {
        Error::Value(_) => "value",
        Error::Malformed { .. } => "malformed",
        Error::Truncated { .. } => "truncated",
        _ => "another",
    }
}
