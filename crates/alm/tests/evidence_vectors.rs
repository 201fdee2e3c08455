//! Every case of the committed vectors of delivery evidence, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "tests")]

use alm::Error;
use alm::delivery::{Court, Evidence};
use core_types::{Epoch, KeyId, MonoTime, StreamId, WallTime};
use identity::{Backend, Domain, HybridSignature, Identity, PublicIdentity, Seed};
use serde_json::Value;
use vector_kit::read::{array, hex, list, load};

const FILE: &str = "delivery/evidence.json";

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn small(value: &Value) -> u32 {
    number(value).try_into().unwrap()
}

fn observer(file: &Value) -> PublicIdentity {
    PublicIdentity::from_bytes(&hex(&file["observer"])).unwrap()
}

fn read(file: &Value, case: &Value) -> Evidence {
    Evidence {
        observer: observer(file).key_id(),
        accused: KeyId(array(&case["accused"])),
        stream: StreamId(array(&case["stream"])),
        epoch: Epoch(number(&case["epoch"])),
        claim_counter: number(&case["claim_counter"]),
        expected: small(&case["expected"]),
        delivered: small(&case["delivered"]),
        from: WallTime(number(&case["from_ms"])),
        until: WallTime(number(&case["until_ms"])),
    }
}

#[test]
fn evidence_has_the_bytes_of_the_vectors() {
    let file = load(FILE);
    let observer = observer(&file);
    let signer = Identity::from_seed_with(Backend::Portable, &Seed(array(&file["seed"]))).unwrap();
    assert_eq!(file["domain"], "holomesh delivery evidence v1");
    for case in list(&file, "cases") {
        let evidence = read(&file, case);
        let (canonical, bytes) = (hex(&case["canonical"]), hex(&case["bytes"]));
        assert_eq!(evidence.sign(&signer).unwrap(), bytes, "{}", case["id"]);
        assert_eq!(*Evidence::verify(&bytes, &observer).unwrap(), evidence, "{}", case["id"]);
        let (payload, signature) = bytes.split_at(canonical.len());
        assert_eq!(payload, canonical, "{}", case["id"]);
        // What an implementation that knows nothing but the specification of signatures checks.
        let signature = HybridSignature::from_bytes(signature).unwrap();
        observer.verify(Domain::new("holomesh delivery evidence v1"), &canonical, &signature).unwrap();
    }
}

#[test]
fn bad_evidence_of_the_vectors_is_refused_for_what_is_wrong_with_it() {
    let file = load(FILE);
    for case in list(&file, "negative") {
        let error = Evidence::verify(&hex(&case["bytes"]), &observer(&file)).unwrap_err();
        let class = match &error {
            Error::Malformed { .. } => "malformed",
            Error::Identity(identity::Error::BadSignature { .. }) => "signature",
            _ => "another",
        };
        assert_eq!(class, case["error"], "{}: {error}", case["id"]);
    }
}

#[test]
fn courts_take_evidence_when_the_vectors_say() {
    let file = load(FILE);
    let evidence = Evidence::verify(&hex(&list(&file, "cases")[0]["bytes"]), &observer(&file)).unwrap();
    for row in list(&file, "times") {
        let now = WallTime(number(&row["now_ms"]));
        let taken = Court::new(1).unwrap().insert(MonoTime(0), now, 1, &evidence).is_ok();
        assert_eq!(taken, row["taken"], "{row}");
    }
}
