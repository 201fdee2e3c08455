//! Every case of the committed vectors of stored symbols against the crate.
#![allow(clippy::unwrap_used, reason = "tests")]

use consent_decay::ContentId;
use core_types::{Epoch, Layer, ObjectSeq, SymbolId, WallTime};
use identity::{Backend, Identity, Seed};
use serde_json::Value;
use symbol_store::{Error, Manifest, Position, Retention};
use vector_kit::read::{array, hex, list, load};

#[test]
fn priorities_are_those_of_the_vectors() {
    for case in list(&load("store/retention.json"), "cases") {
        let number = |name: &str| case[name].as_u64().unwrap() as u32;
        let axis = |at: usize| case["layer"][at].as_u64().unwrap() as u8;
        let layer = Layer { spatial: axis(0), temporal: axis(1), quality: axis(2) };
        let got = Retention::of(layer, SymbolId::new(number("symbol")).unwrap(), number("sources"));
        assert_eq!(u32::from(got.0), number("priority"), "{case}");
    }
}

/// Those of the predecessor, derived from its published layout: svc layer, symbol, source symbols, priority.
#[test]
fn priorities_are_those_of_the_predecessor() {
    for (layer, id, sources, priority) in [
        (0, 0, 20, 0),
        (0, 19, 20, 30),
        (0, 20, 20, 32),
        (0, 21, 20, 48),
        (0, 25, 20, 58),
        (1, 0, 20, 64),
        (3, 25, 20, 250),
        (9, 0, 20, 192),
        (0, 0, 1, 0),
        (0, 1, 1, 32),
    ] {
        let of = |layer| Retention::of(layer, SymbolId::new(id).unwrap(), sources).0;
        assert_eq!(of(Layer { spatial: layer, ..Layer::BASE }), priority);
        assert_eq!(of(Layer { temporal: layer, ..Layer::BASE }), priority);
    }
}

#[test]
fn a_manifest_has_the_bytes_of_the_vector_and_no_others() {
    let file = load("store/manifest.json");
    let recorder = Identity::from_seed_with(Backend::Portable, &Seed(array(&file["seed"]))).unwrap();
    let number = |value: &Value| value.as_u64().unwrap();
    let at = |name: &str| Position {
        epoch: Epoch(number(&file[name][0])),
        object: ObjectSeq(number(&file[name][1])),
    };
    let manifest = Manifest {
        content: ContentId(array(&file["content"])),
        recorder: recorder.public().clone(),
        made_at: WallTime(file["made_at_ms"].as_str().unwrap().parse().unwrap()),
        announcement: hex(&file["announcement"]),
        first: at("first"),
        last: at("last"),
        symbols: core::array::from_fn(|n| number(&file["symbols"][n])),
    };
    assert_eq!(manifest.sign(&recorder).unwrap(), hex(&file["bytes"]));
    assert_eq!(Manifest::verify(&hex(&file["bytes"])).unwrap(), manifest);
    for case in list(&file, "negative") {
        let class = match Manifest::verify(&hex(&case["bytes"])).unwrap_err() {
            Error::Consent(consent_decay::Error::Identity(identity::Error::BadSignature { .. })) => {
                "signature"
            }
            Error::Consent(consent_decay::Error::Identity(_)) => "encoding",
            Error::Refused(_) => "malformed",
            _ => "another",
        };
        assert_eq!(class, case["error"], "{}", case["id"]);
    }
}
