//! Writes the conformance vectors of chunks, links and permits as JSON: `vectors OUTDIR`.

use av_wire::{
    AwsLc, ChunkHeader, FrameDuration, Inner, Object, ObjectFlags, Part, Parts, PictureOf, Place, Sealer,
    StreamKeys,
};
use core_types::{
    ChunkSeq, CodecId, Epoch, Layer, LeafIndex, Marks, MediaTime, ObjectClass, ObjectSeq, StreamId, SymbolId,
};
use serde_json::{Value, json};
use std::{error::Error, num::NonZeroU16, time::Duration};
use vector_kit::write::{counting, hex, write};

#[path = "vectors/hop.rs"]
mod hop;
#[path = "vectors/object.rs"]
mod object;
#[path = "vectors/permit.rs"]
mod permit;

fn main() -> Result<(), Box<dyn Error>> {
    write("chunk/header.json", &header()?)?;
    write("chunk/inner_seal.json", &inner_seal()?)?;
    write("chunk/hop_seal.json", &hop::seals()?)?;
    write("chunk/hop_header.json", &hop::headers()?)?;
    write("codec/object.json", &object::vectors()?)?;
    write("permit/permit.json", &permit::permits()?)
}

const fn class(class: ObjectClass) -> &'static str {
    match class {
        ObjectClass::Plain => "plain",
        ObjectClass::Discardable => "discardable",
        ObjectClass::SwitchPoint => "switch-point",
        ObjectClass::KeyFrame => "key-frame",
    }
}

fn marks(marks: Marks) -> Value {
    let class = class(marks.class);
    json!({ "class": class, "start": marks.start, "repair": marks.repair })
}

fn header() -> Result<Value, Box<dyn Error>> {
    let make = |stream, epoch, seq, codec, layer: [u8; 3], marks| ChunkHeader {
        stream_id: StreamId(stream),
        epoch: Epoch(epoch),
        chunk_seq: ChunkSeq(seq),
        codec,
        layer: Layer { spatial: layer[0], temporal: layer[1], quality: layer[2] },
        marks,
    };
    let none = Marks::NONE;
    let first = |class| Marks { class, start: true, repair: false };
    let repair = |class| Marks { class, start: false, repair: true };
    let mut cases = Vec::new();
    for (id, h) in [
        ("zero", make([0; 32], 0, 0, CodecId::Av1, [0, 0, 0], none)),
        ("layers", make(counting(1), 7, 4_096, CodecId::Av1, [2, 1, 3], none)),
        (
            "opus",
            make(counting(0x80), 1 << 40, (1 << 48) - 1, CodecId::Opus, [0; 3], first(ObjectClass::KeyFrame)),
        ),
        ("mdc", make(counting(0x20), u64::MAX, u64::MAX, CodecId::Mdc, [0, 255, 15], none)),
        ("opaque", make([0xff; 32], 1, 2, CodecId::Opaque, [0, 0, 0], none)),
        ("first-plain", make(counting(1), 7, 1, CodecId::Av1, [0, 0, 1], first(ObjectClass::Plain))),
        (
            "later-switch-point",
            make(counting(1), 7, 2, CodecId::Av1, [1, 0, 0], {
                Marks { class: ObjectClass::SwitchPoint, ..none }
            }),
        ),
        (
            "repair-discardable",
            make(counting(1), 7, 3, CodecId::Av1, [0; 3], repair(ObjectClass::Discardable)),
        ),
        (
            "repair-key-frame",
            make(counting(1), 7, 4, CodecId::Av1, [0, 0, 15], repair(ObjectClass::KeyFrame)),
        ),
    ] {
        cases.push(json!({
            "id": id, "stream_id": hex(h.stream_id.as_bytes()), "epoch": h.epoch.0.to_string(),
            "chunk_seq": h.chunk_seq.0.to_string(), "codec_id": u8::from(h.codec),
            "layer": [h.layer.spatial, h.layer.temporal, h.layer.quality], "marks": marks(h.marks),
            "bytes": hex(&h.to_bytes()?),
        }));
    }
    let good = make(counting(1), 7, 9, CodecId::Av1, [0, 0, 0], none).to_bytes()?;
    let mut negative = Vec::new();
    let mut bad = |id: &str, error: &str, change: &dyn Fn(&mut [u8; 52])| {
        let mut bytes = good;
        change(&mut bytes);
        negative.push(json!({ "id": id, "error": error, "bytes": hex(&bytes) }));
    };
    bad("codec-zero", "value", &|b| b[48] = 0);
    bad("codec-unknown", "value", &|b| b[48] = 5);
    bad("opaque-spatial", "malformed", &|b| (b[48], b[49]) = (0xff, 1));
    bad("opaque-temporal", "malformed", &|b| (b[48], b[50]) = (0xff, 1));
    bad("opaque-quality", "malformed", &|b| (b[48], b[51]) = (0xff, 1));
    bad("opaque-key-frame", "malformed", &|b| (b[48], b[51]) = (0xff, 0x30));
    bad("opaque-first", "malformed", &|b| (b[48], b[51]) = (0xff, 0x40));
    bad("first-and-repair", "value", &|b| b[51] = 0xc0);
    bad("first-and-repair-of-a-key-frame", "value", &|b| b[51] = 0xff);
    Ok(json!({ "id": "chunk/header", "spec": "20-chunk.md section 2", "cases": cases, "negative": negative }))
}

fn inner_seal() -> Result<Value, Box<dyn Error>> {
    let (stream, epoch, sender) = (StreamId(counting(1)), Epoch(7), LeafIndex(3));
    let epoch_secret: [u8; 32] = counting(0xa0);
    let keys = || StreamKeys::<AwsLc>::derive(&epoch_secret, stream, sender);
    let object = Object {
        flags: ObjectFlags { key_frame: true, ..ObjectFlags::default() },
        pts: MediaTime(40_000),
        duration: Duration::from_millis(40),
        picture: None,
        payload: b"coded frame",
    };
    // At number 1 of a stream with objects of 40 ms, its time need not be said; at number 2 it must.
    let regular = FrameDuration::from_micros(40_000);
    let left_out = object.to_bytes_at(ObjectSeq(1), regular)?;
    let said = object.to_bytes_at(ObjectSeq(2), regular)?;
    let object = object.to_bytes()?;
    let symbol: [u8; 64] = counting(0x11);
    let contents = [
        Inner::Object { seq: ObjectSeq(0), bytes: &object },
        Inner::Symbol {
            seq: ObjectSeq(64),
            object_len: 70_000,
            repair: 365,
            id: SymbolId::new(1_094)?,
            bytes: &symbol,
        },
        Inner::Object { seq: ObjectSeq((1 << 62) - 1), bytes: b"" },
        Inner::Proof { bytes: b"proof" },
        // One unit over one object, and an object.
        Inner::Window { seq: ObjectSeq(65), body: b"\x01\x01\x00\x0aa unit....object" },
    ];
    let mut sealer = Sealer::new(keys()?, stream, epoch, CodecId::Av1);
    let mut cases = Vec::new();
    for (number, inner) in contents.iter().enumerate() {
        let layer = Layer { spatial: number as u8, ..Layer::BASE };
        let place = Place { layer, marks: Marks::from_bits([7, 9, 4, 0, 7][number])? };
        let mut plaintext = Vec::new();
        inner.write(&mut plaintext)?;
        cases.push(json!({
            "id": format!("chunk-{number}"), "chunk_seq": number.to_string(), "codec_id": 1,
            "layer": [number, 0, 0], "marks": marks(place.marks), "plaintext": hex(&plaintext),
            "chunk": hex(&sealer.seal(place, inner)?),
        }));
    }
    let chunk = Sealer::new(keys()?, stream, epoch, CodecId::Av1).seal(Layer::BASE, &contents[0])?;
    let mut negative = Vec::new();
    let mut bad = |id: &str, error: &str, bytes: Vec<u8>| {
        negative.push(json!({ "id": id, "error": error, "chunk": hex(&bytes) }));
    };
    for (id, at) in [
        ("altered-codec", 48),
        ("altered-layer", 49),
        ("altered-seq", 47),
        ("altered-content", 52),
        ("altered-marks", 51),
    ] {
        let mut altered = chunk.clone();
        // Codec 0x01 becomes 0x03 and a plain object a key frame: still a header, so that the seal has to notice.
        altered[at] ^= match at {
            48 => 2,
            51 => 0x30,
            _ => 1,
        };
        bad(id, "authentication", altered);
    }
    bad("cut-tag", "authentication", chunk[..chunk.len() - 1].to_vec());
    bad("too-short", "truncated", chunk[..68].to_vec());
    Ok(json!({
        "id": "chunk/inner_seal", "spec": "20-chunk.md sections 3 to 5", "epoch_secret": hex(&epoch_secret),
        "stream_id": hex(stream.as_bytes()), "epoch": epoch.0.to_string(), "sender_leaf": sender.0,
        "object": { "flags": 1, "pts_us": 40_000, "duration_us": 40_000, "payload": hex(b"coded frame"), "bytes": hex(&object) },
        "regular": [
            { "frame_duration_us": 40_000, "object_seq": 1, "bytes": hex(&left_out) },
            { "frame_duration_us": 40_000, "object_seq": 2, "bytes": hex(&said) },
        ],
        "pictures": pictures()?,
        "cases": cases, "negative": negative,
    }))
}

/// Objects of a stream in several layers. At picture 9 of one of 40 ms, 360 ms need not be said.
fn pictures() -> Result<Value, Box<dyn Error>> {
    let part = |layer: [u8; 3], class, chunks| {
        let layer = Layer { spatial: layer[0], temporal: layer[1], quality: layer[2] };
        Ok::<_, Box<dyn Error>>(Part { layer, class, chunks: NonZeroU16::try_from(chunks)? })
    };
    let parts = [
        part([0, 0, 0], ObjectClass::Plain, 3)?,
        part([1, 0, 0], ObjectClass::SwitchPoint, 64)?,
        part([0, 2, 0], ObjectClass::SwitchPoint, 1)?,
        part([1, 2, 0], ObjectClass::Discardable, Part::MAX_CHUNKS)?,
    ];
    let quality = [part([0, 0, 0], ObjectClass::KeyFrame, 2)?, part([0, 0, 3], ObjectClass::SwitchPoint, 5)?];
    let mut cases = Vec::new();
    for (id, pts, picture) in [
        ("lowest", 400_000, PictureOf { number: 9, parts: Some(Parts::new(&parts, 2)?) }),
        ("lowest-regular", 360_000, PictureOf { number: 9, parts: Some(Parts::new(&parts, 2)?) }),
        ("above-regular", 360_000, PictureOf { number: 9, parts: None }),
        ("qualities", 400_000, PictureOf { number: (1 << 62) - 1, parts: Some(Parts::new(&quality, 0)?) }),
    ] {
        let object = Object {
            flags: ObjectFlags { discardable: true, ..ObjectFlags::default() },
            pts: MediaTime(pts),
            duration: Duration::from_millis(40),
            picture: Some(picture),
            payload: b"coded frame",
        };
        let bytes = object.to_bytes_at(ObjectSeq(1), FrameDuration::from_micros(40_000))?;
        let told = picture.parts.map(|parts| parts.as_slice().iter().map(|part| {
            let Layer { spatial, temporal, quality } = part.layer;
            json!({ "layer": [spatial, temporal, quality], "class": class(part.class), "chunks": part.chunks.get() })
        }).collect::<Vec<_>>());
        cases.push(json!({
            "id": id, "object_seq": 1, "frame_duration_us": 40_000, "flags": 2, "pts_us": pts, "duration_us": 40_000,
            "picture": picture.number.to_string(), "parts": told,
            "own": picture.parts.map(|parts| parts.own_index()), "payload": hex(b"coded frame"), "bytes": hex(&bytes),
        }));
    }
    // Flags, picture 9, count and own, then place and chunks of each.
    let negative = [
        ("no-such-object", "malformed", "180911 0001"),
        ("told-of-by-one-above", "malformed", "180921 0001 4001"),
        ("begins-above-the-lowest", "malformed", "180910 4001"),
        ("no-chunks", "malformed", "180910 0000"),
        ("too-many-chunks", "malformed", "180910 004c01"),
        ("one-of-none", "malformed", "180901"),
        ("cut-short", "truncated", "180920 0001 40"),
    ];
    let negative = negative
        .map(|(id, error, bytes)| json!({ "id": id, "error": error, "bytes": bytes.replace(' ', "") }));
    Ok(json!({ "cases": cases, "negative": negative }))
}
