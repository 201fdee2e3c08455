//! Writes the conformance vectors of the identity section as JSON: `vectors OUTDIR`.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use identity::{Backend, Domain, HybridSignature, Identity, Seed};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use std::error::Error;
use vector_kit::write::{counting, hex, write};

/// A domain that nothing else uses.
const DOMAIN: Domain = Domain::new("holomesh test vector v1");

fn main() -> Result<(), Box<dyn Error>> {
    write("identity/key_id.json", &key_id()?)?;
    write("identity/hybrid_signature.json", &hybrid_signature()?)
}

fn seed_from(from: u8) -> Seed {
    Seed(counting(from))
}

/// The pure-Rust pair, because it signs deterministically.
fn identity(seed: &Seed) -> Result<Identity, Box<dyn Error>> {
    Ok(Identity::from_seed_with(Backend::Portable, seed)?)
}

fn key_id() -> Result<Value, Box<dyn Error>> {
    let mut cases = Vec::new();
    for (id, seed) in [("zero", Seed([0; 64])), ("counting", seed_from(0)), ("high", seed_from(0xc0))] {
        let public = identity(&seed)?.public().clone();
        cases.push(json!({
            "id": id, "seed": hex(&seed.0), "public": hex(&public.to_bytes()),
            "key_id": hex(public.key_id().as_bytes()), "text": public.key_id().to_string(),
        }));
    }
    let good = identity(&seed_from(0))?.public().to_bytes();
    let mut negative = Vec::new();
    let mut bad = |id: &str, error: &str, bytes: &[u8]| {
        negative.push(json!({ "id": id, "error": error, "public": hex(bytes) }));
    };
    bad("empty", "size", &[]);
    bad("ed25519-only", "size", &good[..32]);
    bad("cut", "size", &good[..good.len() - 1]);
    bad("longer", "size", &[&good[..], &[0]].concat());
    // One key of each kind is enough: the ML-DSA half is the same in all.
    let mut with = |id: &str, low: u8, middle: u8, high: u8| {
        let mut key = good;
        key[..32].fill(middle);
        (key[0], key[31]) = (low, high);
        bad(id, "malformed_key", &key);
    };
    with("order-1", 1, 0, 0);
    with("order-1-with-sign", 1, 0, 0x80);
    with("order-2", 0xec, 0xff, 0x7f);
    with("order-4", 0, 0, 0);
    with("y-is-p", 0xed, 0xff, 0x7f);
    with("y-is-p-plus-3", 0xf0, 0xff, 0x7f);
    with("not-on-the-curve", 2, 0, 0);
    Ok(
        json!({ "id": "identity/key_id", "spec": "10-identities.md section 1", "cases": cases, "negative": negative }),
    )
}

fn hybrid_signature() -> Result<Value, Box<dyn Error>> {
    let seed = seed_from(0);
    let (signer, other) = (identity(&seed)?, identity(&seed_from(0xc0))?);
    let mut cases = Vec::new();
    for (id, domain, payload) in [
        ("empty", DOMAIN, &b""[..]),
        ("text", DOMAIN, b"payload"),
        ("zeros", DOMAIN, &[0; 100]),
        ("short-domain", Domain::new("d"), b"payload"),
    ] {
        let signature = signer.sign(domain, payload)?.to_bytes();
        cases.push(json!({
            "id": id, "domain": domain.as_str(), "payload": hex(payload), "signature": hex(&signature),
        }));
    }
    let good = signer.sign(DOMAIN, b"payload")?.to_bytes();
    let mut negative = Vec::new();
    let mut bad = |id: &str, error: &str, domain: Domain, payload: &[u8], signature: &[u8]| {
        negative.push(json!({
            "id": id, "error": error, "domain": domain.as_str(), "payload": hex(payload), "signature": hex(signature),
        }));
    };
    let mut signatures: Vec<(&str, &str, Vec<u8>)> = vec![
        ("empty", "size", Vec::new()),
        ("ed25519-only", "size", good[..HybridSignature::ED25519_LEN].to_vec()),
        ("cut", "size", good[..good.len() - 1].to_vec()),
        ("longer", "size", [&good[..], &[0]].concat()),
        ("of-another-signer", "ed25519", other.sign(DOMAIN, b"payload")?.to_bytes().to_vec()),
        ("s-plus-group-order", "ed25519", plus_group_order(good).to_vec()),
        ("r-of-order-1", "ed25519", [&[1], &[0; 31][..], &good[32..]].concat()),
        ("zero-ml-dsa", "ml_dsa_65", [&good[..64], &[0; HybridSignature::ML_DSA_LEN][..]].concat()),
    ];
    for (id, error, at) in [
        ("altered-r", "ed25519", 0),
        ("altered-s", "ed25519", 40),
        ("altered-challenge", "ml_dsa_65", 64),
        ("altered-response", "ml_dsa_65", 1_000),
        ("altered-hint", "ml_dsa_65", HybridSignature::LEN - 1),
    ] {
        let mut altered = good.to_vec();
        altered[at] ^= 1;
        signatures.push((id, error, altered));
    }
    let elsewhere = signer.sign(DOMAIN, b"elsewhere")?.to_bytes();
    signatures.push(("ed25519-half-of-another", "ed25519", [&elsewhere[..64], &good[64..]].concat()));
    signatures.push(("ml-dsa-half-of-another", "ml_dsa_65", [&good[..64], &elsewhere[64..]].concat()));
    for (id, error, signature) in &signatures {
        bad(id, error, DOMAIN, b"payload", signature);
    }
    bad("altered-payload", "ed25519", DOMAIN, b"paylobd", &good);
    bad("other-version", "ed25519", Domain::new("holomesh test vector v2"), b"payload", &good);
    let joined = signer.sign(Domain::new("ab"), b"cd")?.to_bytes();
    bad("moved-domain-end", "ed25519", Domain::new("abc"), b"d", &joined);
    negative.push(lax_only(&seed)?);
    Ok(json!({
        "id": "identity/hybrid_signature", "spec": "10-identities.md section 3", "seed": hex(&seed.0),
        "public": hex(&signer.public().to_bytes()), "ml_dsa_signing": "deterministic, empty context",
        "cases": cases, "negative": negative,
    }))
}

/// What only the strict rule refuses: a key A = aB + T with a part T of small order is lawful, and with R = -kT and S = ka
/// the equation holds without the cofactor. The ML-DSA half is good.
fn lax_only(seed: &Seed) -> Result<Value, Box<dyn Error>> {
    let (a, torsion) = (Scalar::from(1_234_567_u64), EIGHT_TORSION[1]);
    let key = (ED25519_BASEPOINT_POINT * a + torsion).compress().to_bytes();
    let (message, ed25519) = (0_u64..)
        .find_map(|counter| {
            let point = EIGHT_TORSION[counter as usize % 8];
            let r = point.compress().to_bytes();
            let message = [DOMAIN.as_str().as_bytes(), &[0], &counter.to_be_bytes()].concat();
            let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(&message).finalize();
            let k = Scalar::from_bytes_mod_order_wide(&hash.into());
            let holds = torsion * k + point == EIGHT_TORSION[0];
            holds.then(|| (message, [r, (k * a).to_bytes()].concat()))
        })
        .ok_or("some counter fits")?;
    let (_, xi) = seed.0.split_at(32);
    let ml_dsa = ml_dsa::SigningKey::<ml_dsa::MlDsa65>::from_seed(&xi.try_into()?);
    let signed = ml_dsa.expanded_key().sign_deterministic(&[&message[..], &ed25519].concat(), b"");
    let signed = signed.map_err(|e| e.to_string())?.encode();
    let public = [&key[..], identity(seed)?.public().ml_dsa()].concat();
    Ok(json!({
        "id": "r-of-small-order-in-a-valid-equation", "error": "ed25519", "public": hex(&public),
        "domain": DOMAIN.as_str(), "payload": hex(&message[DOMAIN.as_str().len() + 1..]),
        "signature": hex(&[&ed25519, signed.as_slice()].concat()),
    }))
}

/// S + L is the same scalar, and no lawful encoding of it.
fn plus_group_order(mut signature: [u8; HybridSignature::LEN]) -> [u8; HybridSignature::LEN] {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (digit, l) in signature[32..64].iter_mut().zip(L) {
        let sum = u16::from(*digit) + u16::from(l) + carry;
        *digit = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    signature
}
