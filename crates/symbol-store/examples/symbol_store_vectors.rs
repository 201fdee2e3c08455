//! Writes the conformance vectors of stored symbols as JSON: `symbol_store_vectors OUTDIR`.

use consent_decay::{ContentId, SourceId};
use core_types::{Epoch, Layer, ObjectSeq, SymbolId, WallTime};
use identity::{Backend, HybridSignature, Identity, Seed};
use serde_json::{Value, json};
use symbol_store::{Manifest, Position, Retention};
use vector_kit::write::{counting, hex, write};

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    write("store/retention.json", &retention()?)?;
    write("store/manifest.json", &manifest()?)
}

fn retention() -> Result<Value, Failed> {
    let mut cases = Vec::new();
    let mut case = |[spatial, temporal, quality]: [u8; 3], id: u32, sources: u32| -> Result<(), Failed> {
        let layers = Layer { spatial, temporal, quality };
        let priority = Retention::of(layers, SymbolId::new(id)?, sources).0;
        cases.push(json!({
            "layer": [spatial, temporal, quality], "symbol": id, "sources": sources, "priority": priority,
        }));
        Ok(())
    };
    for (layer, id, sources) in [
        ([0, 0, 0], 0, 20),
        ([0, 0, 0], 19, 20),
        ([0, 0, 0], 20, 20),
        ([0, 0, 0], 21, 20),
        ([0, 0, 0], 25, 20),
        ([1, 0, 0], 0, 20),
        ([3, 0, 0], 25, 20),
        ([9, 0, 0], 0, 20),
        ([0, 0, 0], 0, 1),
        ([0, 0, 0], 1, 1),
        ([2, 0, 0], 1_023, 1_024),
        ([2, 0, 0], 1_024, 1_024),
        ([255, 0, 0], 0x00ff_ffff, 1),
        ([0, 0, 0], 0x00ff_ffff, 0x00ff_ffff),
        ([0, 1, 0], 7, 20),
        ([1, 1, 0], 7, 20),
        ([1, 1, 1], 7, 20),
        ([0, 0, 15], 7, 20),
        ([0, 0, 1], 31, 32),
        ([0, 0, 0], 5, 255),
        ([0, 0, 0], 286, 255),
    ] {
        case(layer, id, sources)?;
    }
    Ok(json!({ "id": "store/retention", "spec": "82-store.md section 2", "cases": cases }))
}

fn manifest() -> Result<Value, Failed> {
    let recorder = Identity::from_seed_with(Backend::Portable, &Seed(counting(0)))?;
    let content = ContentId::of(recorder.key_id(), SourceId(counting(1)));
    let at = |epoch, object| Position { epoch: Epoch(epoch), object: ObjectSeq(object) };
    let manifest = Manifest {
        content,
        recorder: recorder.public().clone(),
        made_at: WallTime(1_767_225_600_000),
        announcement: b"an announcement, signed by somebody else".to_vec(),
        first: at(1, 2),
        last: at(3, 4),
        symbols: [5, 6, 7, 8],
    };
    let signed = manifest.sign(&recorder)?;
    let payload = signed.len() - HybridSignature::LEN;
    let negative: Vec<Value> = [
        ("version", "malformed", 0),
        ("content-altered", "signature", 1),
        ("time-altered", "signature", 2_017 + 7),
        ("announcement-longer-than-it-is", "encoding", 2_025 + 2),
        ("announcement-longer-than-any", "encoding", 2_025),
        ("announcement-altered", "signature", 2_029),
        ("last-altered", "signature", payload - 33),
        ("symbols-altered", "signature", payload - 1),
        ("ed25519-half", "signature", payload),
        ("ml-dsa-half", "signature", signed.len() - 1),
    ]
    .into_iter()
    .map(|(id, error, at)| {
        let mut bytes = signed.clone();
        bytes[at] ^= 1;
        json!({ "id": id, "error": error, "bytes": hex(&bytes) })
    })
    .collect();
    Ok(json!({
        "id": "store/manifest", "spec": "82-store.md section 7", "seed": hex(&counting::<64>(0)),
        "source": hex(&counting::<32>(1)), "content": hex(&content.0),
        "made_at_ms": manifest.made_at.0.to_string(), "announcement": hex(&manifest.announcement),
        "first": [1, 2], "last": [3, 4], "symbols": [5, 6, 7, 8], "bytes": hex(&signed), "negative": negative,
    }))
}
