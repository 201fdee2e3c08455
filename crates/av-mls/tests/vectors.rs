//! Every case of the committed vectors of the group keys, good and bad, against the crates.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use av_mls::{Error, SignedKeyPackage};
use av_wire::{AwsLc, Inner, Object, ObjectFlags, Sealer, StreamKeys};
use core_types::{CodecId, Epoch, Layer, LeafIndex, MediaTime, ObjectSeq, StreamId};
use identity::{Domain, HybridSignature, PublicIdentity};
use serde_json::Value;
use std::time::Duration;
use vector_kit::read::{array, hex, list, load};

/// A chunk with sequence number 0 that a publisher seals who derives its keys from the epoch secret.
fn chunk(epoch_secret: &[u8; 32], stream: StreamId, leaf: LeafIndex) -> Vec<u8> {
    let keys = StreamKeys::<AwsLc>::derive(epoch_secret, stream, leaf).unwrap();
    let object = Object {
        flags: ObjectFlags::default(),
        pts: MediaTime(0),
        duration: Duration::from_millis(20),
        picture: None,
        payload: b"key schedule",
    };
    let object = object.to_bytes().unwrap();
    let inner = Inner::Object { seq: ObjectSeq(0), bytes: &object };
    Sealer::new(keys, stream, Epoch(3), CodecId::Opus).seal(Layer::BASE, &inner).unwrap()
}

/// Opens it by key and salt alone: the nonce of sequence number 0 is the salt, the 52-byte header is authenticated.
fn opens(chunk: &[u8], keys: &Value) -> bool {
    let cipher = Aes256Gcm::new(&array::<32>(&keys["key"]).into());
    let (header, sealed) = chunk.split_at(52);
    let nonce = array::<12>(&keys["salt"]).into();
    cipher
        .decrypt(&nonce, Payload { msg: sealed, aad: header })
        .is_ok_and(|inner| inner.ends_with(b"key schedule"))
}

#[test]
fn epoch_secrets_give_the_keys_of_streams() {
    let file = load("keys/key_schedule.json");
    for case in list(&file, "cases") {
        let epoch_secret = array(&case["epoch_secret"]);
        for keys in list(case, "streams") {
            let stream = StreamId(array(&keys["stream_id"]));
            let leaf = LeafIndex(keys["sender_leaf"].as_u64().unwrap() as u32);
            assert!(opens(&chunk(&epoch_secret, stream, leaf), keys), "{} {keys}", case["id"]);
        }
    }
    let first = &file["cases"][0];
    let stream = StreamId(array(&first["streams"][0]["stream_id"]));
    let sealed = chunk(&array(&first["epoch_secret"]), stream, LeafIndex(0));
    for case in list(&file, "negative") {
        assert_eq!(case["error"], "authentication");
        assert!(!opens(&sealed, case), "{}", case["id"]);
    }
}

#[test]
fn signed_key_packages() {
    let file = load("keys/key_package.json");
    let signed = hex(&file["bytes"]);
    let package = SignedKeyPackage::from_bytes(&signed).unwrap();
    assert_eq!(package.to_bytes(), signed);
    assert_eq!(package.claimed_key_id().to_string(), file["key_id"].as_str().unwrap());
    assert_eq!(package.digest(), array(&file["digest"]));
    assert_eq!(signed[5..][..hex(&file["mls_key_package"]).len()], hex(&file["mls_key_package"]));
    // The signature holds, so it is the MLS part that is refused, for its dates.
    let (body, signature) = signed.split_at(signed.len() - HybridSignature::LEN);
    let identity = PublicIdentity::from_bytes(&body[body.len() - PublicIdentity::LEN..]).unwrap();
    let signature = HybridSignature::from_bytes(signature).unwrap();
    identity.verify(Domain::new("holomesh key package v1"), body, &signature).unwrap();
    assert!(matches!(package.verify().unwrap_err(), Error::BadMessage { from: Some(_), .. }));
    for case in list(&file, "negative") {
        let error = SignedKeyPackage::from_bytes(&hex(&case["bytes"]))
            .and_then(|package| package.verify())
            .unwrap_err();
        let class = match error {
            Error::BadMessage { from: None, .. } => "malformed",
            Error::Identity(_) => "identity",
            Error::Limit { .. } => "limit",
            _ => "another",
        };
        assert_eq!(class, case["error"], "{}", case["id"]);
    }
}
