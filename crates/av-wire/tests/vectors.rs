//! Every case of the committed chunk vectors, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_wire::{AwsLc, ChunkHeader, Error, Object, Opener, Portable, Sealer, StreamKeys};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, LeafIndex, StreamId};
use data_encoding::HEXLOWER;
use serde_json::Value;

fn load(name: &str) -> Value {
    let path = format!("{}/../../conformance-vectors/chunk/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().map_or_else(|| value.as_u64().unwrap(), |text| text.parse().unwrap())
}

fn list<'a>(file: &'a Value, name: &str) -> &'a Vec<Value> {
    let cases = file[name].as_array().unwrap();
    assert!(!cases.is_empty());
    cases
}

fn layer(value: &Value) -> Layer {
    let axis = |n: usize| number(&value[n]) as u8;
    Layer { spatial: axis(0), temporal: axis(1), quality: axis(2) }
}

fn class(error: &Error) -> &'static str {
    match error {
        Error::Value(_) => "value",
        Error::Malformed { .. } => "malformed",
        Error::Authentication { .. } => "authentication",
        Error::Truncated { .. } => "truncated",
        _ => "another",
    }
}

#[test]
fn headers() {
    let file = load("header.json");
    for case in list(&file, "cases") {
        let header = ChunkHeader {
            stream_id: StreamId(hex(&case["stream_id"]).try_into().unwrap()),
            epoch: Epoch(number(&case["epoch"])),
            chunk_seq: ChunkSeq(number(&case["chunk_seq"])),
            codec: CodecId::try_from(number(&case["codec_id"]) as u8).unwrap(),
            layer: layer(&case["layer"]),
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
fn inner_seals() {
    let file = load("inner_seal.json");
    let secret: [u8; 32] = hex(&file["epoch_secret"]).try_into().unwrap();
    let stream = StreamId(hex(&file["stream_id"]).try_into().unwrap());
    let (epoch, sender) = (Epoch(number(&file["epoch"])), LeafIndex(number(&file["sender_leaf"]) as u32));
    let object = hex(&file["object"]["bytes"]);
    let parsed = Object::parse(&object).unwrap();
    assert_eq!(parsed.payload, hex(&file["object"]["payload"]));
    assert_eq!(parsed.pts.0, number(&file["object"]["pts_us"]));
    assert_eq!(parsed.to_bytes().unwrap(), object);

    let keys = StreamKeys::<Portable>::derive(&secret, stream, sender).unwrap();
    let mut sealer = Sealer::new(keys, stream, epoch, CodecId::Av1);
    let opener = || -> Opener<AwsLc> {
        Opener::new(StreamKeys::derive(&secret, stream, sender).unwrap(), stream, epoch)
    };
    for case in list(&file, "cases") {
        let plaintext = hex(&case["plaintext"]);
        let inner = av_wire::Inner::parse(&plaintext).unwrap();
        let chunk = sealer.seal(layer(&case["layer"]), &inner).unwrap();
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
