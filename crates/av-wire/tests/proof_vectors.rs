//! Every case of the committed proof vectors, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_wire::Error;
use av_wire::proof::{Proof, ProofAssembler, ProofIndex, ProofPart, RunLength, Section, TreeHash};
use core_types::{ObjectSeq, StreamId};
use identity::PublicIdentity;
use serde_json::Value;
use sha2::{Digest, Sha256};
use vector_kit::read::{array, hex, list, load};

fn hash(value: &Value) -> TreeHash {
    TreeHash(array(value))
}

fn stream(file: &Value) -> StreamId {
    StreamId(array(&file["stream_id"]))
}

fn class(error: &Error) -> &'static str {
    match error {
        Error::Malformed { .. } => "malformed",
        Error::TooLarge { .. } => "too-large",
        Error::Identity { source: identity::Error::BadSignature { .. }, .. } => "signature",
        Error::Identity { .. } => "encoding",
        _ => "another",
    }
}

/// RFC 6962 section 2.1 over the data itself, told without the crate.
fn merkle_tree_hash(entries: &[Vec<u8>]) -> Vec<u8> {
    let tagged = |tag: u8, parts: [&[u8]; 2]| {
        Sha256::new().chain_update([tag]).chain_update(parts[0]).chain_update(parts[1]).finalize().to_vec()
    };
    match entries {
        [] => Sha256::digest([]).to_vec(),
        [only] => tagged(0, [only, &[]]),
        many => {
            let mut k = 1;
            while 2 * k < many.len() {
                k *= 2;
            }
            tagged(1, [&merkle_tree_hash(&many[..k]), &merkle_tree_hash(&many[k..])])
        }
    }
}

#[test]
fn trees() {
    let file = load("proof/tree.json");
    let stream = stream(&file);
    for case in list(&file, "cases") {
        let first = case["first"].as_u64().unwrap();
        let objects: Vec<_> = case["objects"].as_array().unwrap().iter().map(hex).collect();
        let numbered = || objects.iter().zip(first..);
        let leaves: Vec<_> =
            numbered().map(|(object, seq)| TreeHash::leaf(stream, ObjectSeq(seq), object)).collect();
        let listed: Vec<_> = case["leaves"].as_array().unwrap().iter().map(hash).collect();
        assert_eq!(leaves, listed, "{}", case["id"]);
        assert_eq!(TreeHash::root(&leaves), hash(&case["root"]), "{}", case["id"]);
        let entries: Vec<_> = numbered()
            .map(|(object, seq)| [&stream.as_bytes()[..], &seq.to_be_bytes(), object].concat())
            .collect();
        assert_eq!(hex(&case["root"]), merkle_tree_hash(&entries), "{}", case["id"]);
    }
    for case in list(&file, "negative") {
        assert_ne!(case["roots"][0], case["roots"][1], "{}", case["id"]);
    }
}

#[test]
fn proofs() {
    let file = load("proof/proof.json");
    let publisher = PublicIdentity::from_bytes(&hex(&file["publisher"])).unwrap();
    let stream = stream(&file);
    let leaf = |seq: u64| {
        let object: Vec<u8> = (0..3 * (seq % 50)).map(|n| (seq + n) as u8).collect();
        TreeHash::leaf(stream, ObjectSeq(seq), &object)
    };
    for case in list(&file, "cases") {
        let bytes = hex(&case["bytes"]);
        let proof = Proof::verify(&bytes, &publisher).unwrap();
        assert_eq!(proof.grade as u64, case["grade"].as_u64().unwrap(), "{}", case["id"]);
        assert_eq!(proof.last, case["last"].as_bool().unwrap(), "{}", case["id"]);
        assert_eq!(proof.epoch.0.to_string(), case["epoch"], "{}", case["id"]);
        assert_eq!((proof.stream, proof.previous), (stream, hash(&case["previous"])), "{}", case["id"]);
        assert_eq!(proof.statement(), hex(&case["statement"]), "{}", case["id"]);
        assert_eq!(proof.chain_hash(), hash(&case["chain_hash"]), "{}", case["id"]);
        for (section, told) in proof.sections.iter().zip(list(case, "sections")) {
            let (first, count) = (told["first"].as_u64().unwrap(), told["count"].as_u64().unwrap());
            let leaves: Vec<_> = (first..first + count).map(leaf).collect();
            let made = Section::new(ObjectSeq(first), &leaves, RunLength::ONE).unwrap();
            assert_eq!((section.first(), section.end()), (made.first(), made.end()), "{}", case["id"]);
            assert_eq!(
                (section.root(), made.root()),
                (hash(&told["root"]), section.root()),
                "{}",
                case["id"]
            );
        }
        let parts: Vec<_> = list(case, "parts").iter().map(hex).collect();
        let index = ProofIndex(case["index"].as_u64().unwrap());
        let split: Vec<_> =
            ProofPart::split(index, &bytes).unwrap().map(|part| part.to_bytes().unwrap()).collect();
        assert_eq!(split, parts, "{}", case["id"]);
        let mut assembler = ProofAssembler::new();
        let whole = parts.iter().find_map(|part| assembler.push(&ProofPart::parse(part).unwrap()));
        assert_eq!(whole, Some(bytes), "{}", case["id"]);
    }
    for case in list(&file, "negative") {
        let error = Proof::verify(&hex(&case["bytes"]), &publisher).unwrap_err();
        assert_eq!(class(&error), case["error"], "{}", case["id"]);
    }
}
