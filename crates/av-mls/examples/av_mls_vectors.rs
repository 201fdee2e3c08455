//! Writes the conformance vectors of the group keys as JSON: `vectors OUTDIR`.

use hkdf::Hkdf;
use identity::{Backend, Domain, Identity, Seed};
use mls_provider::{GroupStore, Provider, SUITE, Signer, TreeWrites};
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{BasicCredential, CredentialWithKey, KeyPackage, Lifetime};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::error::Error;
use vector_kit::write::{counting, hex, write};

fn main() -> Result<(), Box<dyn Error>> {
    write("keys/key_schedule.json", &key_schedule()?)?;
    write("keys/key_package.json", &key_package()?)
}

fn expand<const N: usize>(secret: &[u8; 32], info: &[&[u8]]) -> Result<[u8; N], Box<dyn Error>> {
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret)
        .map_err(|e| e.to_string())?
        .expand_multi_info(info, &mut out)
        .map_err(|e| e.to_string())?;
    Ok(out)
}

/// ExpandWithLabel of RFC 9420 section 8 for short labels and contexts.
fn with_label(secret: &[u8; 32], label: &str, context: &[u8]) -> Result<[u8; 32], Box<dyn Error>> {
    let label = format!("MLS 1.0 {label}");
    let lengths = [u8::try_from(label.len())?, u8::try_from(context.len())?];
    expand(secret, &[&[0, 32], &lengths[..1], label.as_bytes(), &lengths[1..], context])
}

fn exported(exporter_secret: &[u8; 32], label: &str) -> Result<[u8; 32], Box<dyn Error>> {
    with_label(&with_label(exporter_secret, label, b"")?, "exported", &Sha256::digest(b""))
}

fn key_schedule() -> Result<Value, Box<dyn Error>> {
    let streams = |epoch_secret: &[u8; 32], stream: [u8; 32], leaf: u32| -> Result<Value, Box<dyn Error>> {
        let secret: [u8; 32] =
            expand(epoch_secret, &[b"holomesh av stream v2", &stream, &leaf.to_be_bytes()])?;
        let (key, salt): ([u8; 32], [u8; 12]) = (expand(&secret, &[b"key"])?, expand(&secret, &[b"salt"])?);
        Ok(json!({
            "stream_id": hex(&stream), "sender_leaf": leaf, "stream_secret": hex(&secret),
            "key": hex(&key), "salt": hex(&salt),
        }))
    };
    let mut cases = Vec::new();
    for (id, exporter) in [("counting", counting::<32>(0)), ("ones", [0xff; 32]), ("zeros", [0; 32])] {
        let epoch_secret = exported(&exporter, "holomesh av epoch v1")?;
        cases.push(json!({
            "id": id, "exporter_secret": hex(&exporter), "epoch_secret": hex(&epoch_secret),
            "streams": [
                streams(&epoch_secret, counting(1), 0)?,
                streams(&epoch_secret, counting(1), 1)?,
                streams(&epoch_secret, counting(2), 1)?,
                streams(&epoch_secret, [0xaa; 32], u32::MAX)?,
            ],
        }));
    }
    // Keys that a mistake gives: none of them opens what the first case's first stream seals.
    let exporter = counting::<32>(0);
    let epoch_secret = exported(&exporter, "holomesh av epoch v1")?;
    let mut negative = Vec::new();
    let mut bad = |id: &str, label: Option<&str>, secret: [u8; 32], stream: [u8; 32], leaf: u32| {
        let mut case = streams(&secret, stream, leaf)?;
        case["id"] = id.into();
        case["error"] = "authentication".into();
        case["label"] = label.into();
        case["epoch_secret"] = hex(&secret).into();
        negative.push(case);
        Ok::<_, Box<dyn Error>>(())
    };
    let (right, other) = ("holomesh av epoch v1", "holomesh av epoch v2");
    bad("another-label", Some(other), exported(&exporter, other)?, counting(1), 0)?;
    bad("exporter-secret-itself", None, exporter, counting(1), 0)?;
    bad("another-leaf", Some(right), epoch_secret, counting(1), 1)?;
    bad("another-stream", Some(right), epoch_secret, counting(2), 0)?;
    Ok(json!({
        "id": "keys/key_schedule", "spec": "40-keys.md section 4, 20-chunk.md section 3",
        "label": "holomesh av epoch v1", "cases": cases, "negative": negative,
    }))
}

fn key_package() -> Result<Value, Box<dyn Error>> {
    let identity = Identity::from_seed_with(Backend::Portable, &Seed(counting(7)))?;
    let provider = Provider::new(StdRng::from_seed(counting(0x40)), GroupStore::new(TreeWrites::Deferred));
    let signer = Signer::from_seed(&counting(0x80))?;
    let owner = CredentialWithKey {
        credential: BasicCredential::new(identity.key_id().as_bytes().to_vec()).into(),
        signature_key: signer.public_key().to_vec().into(),
    };
    // A day in the past: the vector is of the wrapper, and its MLS part must stay as it is.
    let bundle = KeyPackage::builder()
        .key_package_lifetime(Lifetime::init(1_700_000_000, 1_700_090_000))
        .build(SUITE, &provider, &signer, owner)?;
    let package = bundle.key_package().tls_serialize_detached()?;
    let mut signed = vec![1];
    signed.extend_from_slice(&u32::try_from(package.len())?.to_be_bytes());
    signed.extend_from_slice(&package);
    signed.extend_from_slice(&identity.public().to_bytes());
    let signature = identity.sign(Domain::new("holomesh key package v1"), &signed)?;
    signed.extend_from_slice(&signature.to_bytes());

    let mut negative = Vec::new();
    let mut bad = |id: &str, error: &str, bytes: Vec<u8>| {
        negative.push(json!({ "id": id, "error": error, "bytes": hex(&bytes) }));
    };
    let flipped = |at: usize| {
        let mut bytes = signed.clone();
        bytes[at] ^= 1;
        bytes
    };
    bad("another-version", "malformed", flipped(0));
    bad("longer-than-it-is", "identity", flipped(3));
    bad("altered-package", "identity", flipped(200));
    bad("another-identity", "identity", flipped(5 + package.len()));
    bad("altered-ed25519", "identity", flipped(signed.len() - 3_373));
    bad("altered-ml-dsa", "identity", flipped(signed.len() - 1));
    bad("cut", "identity", signed[..signed.len() - 1].to_vec());
    bad("one-byte-more", "identity", [&signed[..], &[0]].concat());
    bad("too-large", "limit", vec![1; 21_747]);
    Ok(json!({
        "id": "keys/key_package", "spec": "40-keys.md section 3",
        "note": "The hybrid signature holds; the MLS key package is out of date.", "seed": hex(&counting::<64>(7)),
        "not_before": 1_700_000_000, "not_after": 1_700_090_000,
        "key_id": identity.key_id().to_string(), "mls_key_package": hex(&package),
        "digest": hex(&Sha256::digest(&signed)), "bytes": hex(&signed), "negative": negative,
    }))
}
