//! Writes the conformance vectors of the proofs section as JSON: `proof_vectors OUTDIR`.
//!
//! ML-DSA signatures may be hedged, so that the same proof has many signatures; these come from the backend that signs
//! deterministically, so that the file is the same each time.

use av_wire::proof::{Grade, Proof, ProofIndex, ProofPart, RunLength, Section, TreeHash};
use core_types::{Epoch, ObjectSeq, StreamId};
use identity::{Backend, Identity, Seed};
use serde_json::{Value, json};
use std::error::Error;
use vector_kit::write::{hex, write};

fn main() -> Result<(), Box<dyn Error>> {
    write("proof/tree.json", &tree())?;
    write("proof/proof.json", &proof()?)
}

const STREAM: StreamId = StreamId([0x51; 32]);

/// Objects of 0, 3, 6, … bytes.
fn object(seq: u64) -> Vec<u8> {
    (0..3 * (seq % 50)).map(|n| (seq + n) as u8).collect()
}

fn leaves(from: u64, count: u64) -> Vec<TreeHash> {
    (from..from + count).map(|seq| TreeHash::leaf(STREAM, ObjectSeq(seq), &object(seq))).collect()
}

fn tree() -> Value {
    let mut cases = Vec::new();
    for count in [0u64, 1, 2, 3, 4, 5, 7, 8, 13] {
        let leaves = leaves(10, count);
        let objects: Vec<_> = (10..10 + count).map(|seq| hex(&object(seq))).collect();
        cases.push(json!({
            "id": format!("objects-{count}"), "first": 10, "objects": objects,
            "leaves": leaves.iter().map(|leaf| hex(&leaf.0)).collect::<Vec<_>>(), "root": hex(&TreeHash::root(&leaves).0),
        }));
    }
    // What must not share a root: the second is the first with its last object doubled.
    let (three, mut doubled) = (leaves(10, 3), leaves(10, 3));
    doubled.push(doubled[2]);
    let differ = [three, doubled].map(|leaves| hex(&TreeHash::root(&leaves).0));
    json!({
        "id": "proof/tree", "spec": "25-proofs.md section 2", "stream_id": hex(STREAM.as_bytes()), "cases": cases,
        "negative": [{ "id": "doubled-last", "error": "roots-differ", "roots": differ }],
    })
}

fn proof() -> Result<Value, Box<dyn Error>> {
    let seed: [u8; 64] = core::array::from_fn(|n| n as u8);
    let signer = Identity::from_seed_with(Backend::Portable, &Seed(seed))?;
    let other = Identity::from_seed_with(Backend::Portable, &Seed([9; 64]))?;
    let section = |from, count, run| Section::new(ObjectSeq(from), &leaves(from, count), run);
    let mut chain = vec![
        (Grade::Interim, false, 3, vec![section(0, 5, RunLength::ONE)?]),
        (Grade::Interim, false, 3, vec![section(5, 4, RunLength::ONE)?, section(0, 5, RunLength::EIGHT)?]),
        (Grade::Hybrid, false, 3, vec![section(0, 9, RunLength::ONE)?]),
        (
            Grade::Hybrid,
            true,
            4,
            vec![section(9, 40, RunLength::SIXTEEN)?, section(0, 9, RunLength::THIRTY_TWO)?],
        ),
    ];
    let mut previous = TreeHash::ZERO;
    let mut cases = Vec::new();
    let mut signed = Vec::new();
    for (index, (grade, last, epoch, sections)) in chain.drain(..).enumerate() {
        let index = ProofIndex(index as u64);
        let proof = Proof { grade, last, stream: STREAM, epoch: Epoch(epoch), index, previous, sections };
        let bytes = proof.sign(&signer)?;
        previous = proof.chain_hash();
        let parts: Vec<_> = ProofPart::split(index, &bytes)?
            .map(|part| part.to_bytes().map(|bytes| hex(&bytes)))
            .collect::<Result<_, _>>()?;
        cases.push(json!({
            "id": format!("chain-{index}"), "grade": grade as u8, "last": last, "epoch": epoch.to_string(),
            "index": index.0, "previous": hex(&proof.previous.0), "statement": hex(&proof.statement()),
            "chain_hash": hex(&previous.0), "bytes": hex(&bytes), "parts": parts,
            "sections": proof.sections.iter().map(|section| json!({
                "first": section.first().0, "count": section.end().0 - section.first().0, "root": hex(&section.root().0),
            })).collect::<Vec<_>>(),
        }));
        signed.push((proof, bytes));
    }
    let mut negative = Vec::new();
    let mut bad = |id: &str, error: &str, bytes: Vec<u8>| {
        negative.push(json!({ "id": id, "error": error, "bytes": hex(&bytes) }));
    };
    // Where fields are: version 0, grade 1, flags 2, stream 3, epoch 35, index 43, previous 51, sections 83; then of the
    // first section first 84, count 92, run 94, hashes 95.
    let altered = |bytes: &[u8], at: usize, to: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = to;
        bytes
    };
    let (interim, hybrid) = (&signed[0].1, &signed[2].1);
    bad("version", "malformed", altered(interim, 0, 2));
    bad("grade", "malformed", altered(interim, 1, 2));
    bad("interim-last", "malformed", altered(interim, 2, 1));
    bad("flags", "malformed", altered(interim, 2, 2));
    bad("stream", "signature", altered(interim, 3, 0));
    bad("epoch", "signature", altered(interim, 42, 9));
    bad("first-with-previous", "malformed", altered(interim, 51, 1));
    bad("no-section", "malformed", altered(interim, 83, 0));
    bad("three-sections", "malformed", altered(interim, 83, 3));
    bad("object-number", "signature", altered(interim, 91, 1));
    bad("number-above-62-bits", "malformed", altered(interim, 84, 0x40));
    bad("no-object", "malformed", altered(&altered(interim, 92, 0), 93, 0));
    bad("too-many-objects", "too-large", altered(interim, 92, 0x10));
    bad("run", "malformed", altered(interim, 94, 6));
    bad("leaf", "signature", altered(interim, 95, interim[95] ^ 1));
    bad("parity", "signature", {
        let bytes = &signed[3].1;
        let parities = 95 + 3 * 32;
        altered(bytes, parities, bytes[parities] ^ 1)
    });
    bad("sections-apart", "malformed", {
        let second = 84 + 11 + 4 * 32;
        altered(&signed[1].1, second + 7, 1)
    });
    bad("cut", "encoding", interim[..interim.len() - 1].to_vec());
    bad("left-over", "encoding", [&interim[..], &[0]].concat());
    bad("interim-as-hybrid", "encoding", altered(interim, 1, 1));
    bad("ed25519-half", "signature", altered(hybrid, hybrid.len() - 3_373, hybrid[hybrid.len() - 3_373] ^ 1));
    bad("ml-dsa-half", "signature", altered(hybrid, hybrid.len() - 1, hybrid[hybrid.len() - 1] ^ 1));
    bad("other-signer", "signature", signed[0].0.sign(&other)?);
    Ok(json!({
        "id": "proof/proof", "spec": "25-proofs.md sections 3 to 5", "seed": hex(&seed),
        "publisher": hex(&signer.public().to_bytes()), "stream_id": hex(STREAM.as_bytes()),
        "objects": "number n has 3·(n mod 50) bytes: n, n+1, n+2, … modulo 256",
        "cases": cases, "negative": negative,
    }))
}
