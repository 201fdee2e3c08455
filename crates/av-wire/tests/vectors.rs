//! Every case of the committed chunk vectors, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_wire::{
    AwsLc, ChunkHeader, Error, FrameDuration, HopKeys, HopReceiver, HopSender, HopSuite, LinkRefusal, Object,
    ObjectFlags, Opener, Part, Parts, PictureOf, Place, Portable, SealedChunk, Sealer, StreamKeys,
};
use core_types::{
    ChunkSeq, CodecId, Epoch, Layer, LeafIndex, Marks, MediaTime, ObjectClass, ObjectSeq, StreamId,
};
use serde_json::Value;
use std::time::Duration;
use vector_kit::read::{hex, list, load};

fn number(value: &Value) -> u64 {
    value.as_str().map_or_else(|| value.as_u64().unwrap(), |text| text.parse().unwrap())
}

fn layer(value: &Value) -> Layer {
    let axis = |n: usize| number(&value[n]) as u8;
    Layer { spatial: axis(0), temporal: axis(1), quality: axis(2) }
}

fn object_class(value: &Value) -> ObjectClass {
    match value.as_str().unwrap() {
        "plain" => ObjectClass::Plain,
        "discardable" => ObjectClass::Discardable,
        "switch-point" => ObjectClass::SwitchPoint,
        "key-frame" => ObjectClass::KeyFrame,
        other => panic!("no class: {other}"),
    }
}

fn marks(value: &Value) -> Marks {
    let is = |name: &str| value[name].as_bool().unwrap();
    Marks { class: object_class(&value["class"]), start: is("start"), repair: is("repair") }
}

fn class(error: &Error) -> &'static str {
    match error {
        Error::Value(_) => "value",
        Error::Malformed { .. } => "malformed",
        Error::Authentication { .. } => "authentication",
        Error::Truncated { .. } => "truncated",
        Error::Link { why: LinkRefusal::NotAuthentic, .. } => "not-authentic",
        Error::Link { why: LinkRefusal::Replayed, .. } => "replayed",
        Error::Link { why: LinkRefusal::Unbound, .. } => "unbound",
        Error::Link { why: LinkRefusal::AliasInUse, .. } => "alias-in-use",
        _ => "another",
    }
}

#[test]
fn headers() {
    let file = load("chunk/header.json");
    for case in list(&file, "cases") {
        let header = ChunkHeader {
            stream_id: StreamId(hex(&case["stream_id"]).try_into().unwrap()),
            epoch: Epoch(number(&case["epoch"])),
            chunk_seq: ChunkSeq(number(&case["chunk_seq"])),
            codec: CodecId::try_from(number(&case["codec_id"]) as u8).unwrap(),
            layer: layer(&case["layer"]),
            marks: marks(&case["marks"]),
        };
        let bytes: [u8; 52] = hex(&case["bytes"]).try_into().unwrap();
        assert_eq!(header.to_bytes().unwrap(), bytes, "{}", case["id"]);
        assert_eq!(ChunkHeader::from_bytes(&bytes).unwrap(), header, "{}", case["id"]);
    }
    for case in list(&file, "negative") {
        let error = ChunkHeader::from_bytes(&hex(&case["bytes"]).try_into().unwrap()).unwrap_err();
        assert_eq!(class(&error), case["error"], "{}", case["id"]);
    }
}

#[test]
fn objects_of_pictures_in_layers() {
    let file = load("chunk/inner_seal.json");
    let pictures = &file["pictures"];
    let regular = FrameDuration::from_micros(40_000);
    for case in list(pictures, "cases") {
        let part = |part: &Value| Part {
            layer: layer(&part["layer"]),
            class: object_class(&part["class"]),
            chunks: (number(&part["chunks"]) as u16).try_into().unwrap(),
        };
        let parts = case["own"].is_u64().then(|| {
            let parts: Vec<Part> = list(case, "parts").iter().map(part).collect();
            Parts::new(&parts, number(&case["own"]) as usize).unwrap()
        });
        let payload = hex(&case["payload"]);
        let object = Object {
            flags: ObjectFlags { discardable: true, ..ObjectFlags::default() },
            pts: MediaTime(number(&case["pts_us"])),
            duration: Duration::from_micros(number(&case["duration_us"])),
            picture: Some(PictureOf { number: number(&case["picture"]), parts }),
            payload: &payload,
        };
        let (seq, bytes) = (ObjectSeq(number(&case["object_seq"])), hex(&case["bytes"]));
        assert_eq!(object.to_bytes_at(seq, regular).unwrap(), bytes, "{}", case["id"]);
        assert_eq!(Object::parse_at(&bytes, seq, regular).unwrap(), object, "{}", case["id"]);
    }
    for case in list(pictures, "negative") {
        let error = Object::parse_at(&hex(&case["bytes"]), ObjectSeq(1), regular).unwrap_err();
        assert_eq!(class(&error), case["error"], "{}", case["id"]);
    }
}

#[test]
fn inner_seals() {
    let file = load("chunk/inner_seal.json");
    let secret: [u8; 32] = hex(&file["epoch_secret"]).try_into().unwrap();
    let stream = StreamId(hex(&file["stream_id"]).try_into().unwrap());
    let (epoch, sender) = (Epoch(number(&file["epoch"])), LeafIndex(number(&file["sender_leaf"]) as u32));
    let object = hex(&file["object"]["bytes"]);
    let parsed = Object::parse(&object).unwrap();
    assert_eq!(parsed.payload, hex(&file["object"]["payload"]));
    assert_eq!(parsed.pts.0, number(&file["object"]["pts_us"]));
    assert_eq!(parsed.to_bytes().unwrap(), object);
    for case in list(&file, "regular") {
        let (seq, bytes) = (ObjectSeq(number(&case["object_seq"])), hex(&case["bytes"]));
        let regular = FrameDuration::from_micros(number(&case["frame_duration_us"]) as u32);
        assert_eq!(parsed.to_bytes_at(seq, regular).unwrap(), bytes);
        assert_eq!(Object::parse_at(&bytes, seq, regular).unwrap(), parsed);
    }

    let keys = StreamKeys::<Portable>::derive(&secret, stream, sender).unwrap();
    let mut sealer = Sealer::new(keys, stream, epoch, CodecId::Av1);
    let opener = || -> Opener<AwsLc> {
        Opener::new(StreamKeys::derive(&secret, stream, sender).unwrap(), stream, epoch)
    };
    for case in list(&file, "cases") {
        let plaintext = hex(&case["plaintext"]);
        let inner = av_wire::Inner::parse(&plaintext).unwrap();
        let place = Place { layer: layer(&case["layer"]), marks: marks(&case["marks"]) };
        let chunk = sealer.seal(place, &inner).unwrap();
        assert_eq!(chunk, hex(&case["chunk"]), "{}", case["id"]);
        let mut sealed = chunk;
        let opened = opener().open(&mut sealed).unwrap().inner == inner;
        assert!(opened, "{}", case["id"]);
    }
    for case in list(&file, "negative") {
        let mut chunk = hex(&case["chunk"]);
        let error = opener().open(&mut chunk).unwrap_err();
        assert_eq!(class(&error), case["error"], "{}", case["id"]);
    }
}

#[test]
fn hop_seals() {
    links(&load("chunk/hop_seal.json"));
}

#[test]
fn hop_headers() {
    links(&load("chunk/hop_header.json"));
}

#[test]
fn whole_headers_are_said_on_the_schedule_of_the_vectors() {
    for case in list(&load("chunk/hop_header.json"), "schedule") {
        let mut sender = HopSender::<Portable>::new(HopSuite::TransportSealed);
        let said = (0..number(&case["count"])).filter(|place| {
            let header = ChunkHeader {
                stream_id: StreamId([1; 32]),
                epoch: Epoch(7),
                chunk_seq: ChunkSeq(number(&case["first"]) + number(&case["step"]) * place),
                codec: CodecId::Av1,
                layer: Layer::BASE,
                marks: Marks::default(),
            };
            let chunk = [&header.to_bytes().unwrap()[..], &[0; 24]].concat();
            let mut out = [0; 300];
            sender.seal_into(&SealedChunk::parse(&chunk).unwrap(), &mut out).unwrap();
            out[0] & 0x80 != 0
        });
        let whole: Vec<u64> = list(case, "whole").iter().map(number).collect();
        assert_eq!(said.collect::<Vec<_>>(), whole, "{}", case["id"]);
    }
}

/// Sends what is sent, and takes what arrives, in the order of the file.
fn links(file: &Value) {
    let suite = |name: &Value| {
        let keys = || {
            let salt = hex(&file["salt"]).try_into().unwrap();
            HopKeys::<Portable>::new(&hex(&file["key"]).try_into().unwrap(), &salt).unwrap()
        };
        match name.as_str().unwrap() {
            "full" => HopSuite::Full(keys()),
            "bind" => HopSuite::Bind(keys()),
            _ => HopSuite::TransportSealed,
        }
    };
    for sequence in list(file, "sequences") {
        let mut sender = HopSender::new(suite(&sequence["suite"]));
        for sent in sequence["sent"].as_array().unwrap() {
            let chunk = hex(&sent["chunk"]);
            let mut out = [0; 300];
            let len = sender.seal_into(&SealedChunk::parse(&chunk).unwrap(), &mut out).unwrap();
            assert_eq!(out[..len], hex(&sent["datagram"]), "{}", sequence["id"]);
        }
        let mut receiver = HopReceiver::new(suite(&sequence["suite"]));
        for (at, case) in list(sequence, "arrives").iter().enumerate() {
            let mut datagram = hex(&case["datagram"]);
            let mut taken = Vec::new();
            let result = receiver.open(&mut datagram).map(|fresh| fresh.write(&mut taken));
            let outcome = result.as_ref().map_or_else(class, |()| "taken");
            assert_eq!(outcome, case["outcome"], "{} {at}", sequence["id"]);
            assert!(result.is_err() || taken == hex(&case["chunk"]), "{} {at}", sequence["id"]);
        }
    }
}
