//! Writes the conformance vectors of X-Wing and of the link handshake as JSON: `vectors OUTDIR`.

use av_link::handshake::{Initiation, Response};
use av_link::x_wing::{Backend, Ciphertext, PublicKey, SecretKey};
use av_link::{Error, Link, Seed};
use identity::{Backend as Signing, Identity};
use serde_json::{Value, json};
use std::sync::Arc;
use vector_kit::write::{hex, write};

type Failure = Box<dyn std::error::Error>;

/// Where the first three cases of X-Wing come from: everything in them was taken over, nothing computed.
const DRAFT: &str = include_str!("../tests/data/x_wing_draft.json");

fn main() -> Result<(), Failure> {
    write("keys/x_wing.json", &x_wing()?)?;
    write("keys/handshake.json", &handshake()?)
}

/// How a negative case comes from the good message of its kind: one bit flipped in the byte at a place (XOR 1), only so
/// many bytes kept, or other bytes in its place.
enum Change<'a> {
    Flip(usize),
    Keep(usize),
    Bytes(&'a [u8]),
}

impl Change<'_> {
    fn apply(&self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        match *self {
            Self::Flip(at) => bytes[at] ^= 1,
            Self::Keep(len) => bytes.truncate(len),
            Self::Bytes(other) => bytes = other.to_vec(),
        }
        bytes
    }
}

fn class(error: &Error) -> &'static str {
    match error {
        Error::Malformed { .. } => "malformed",
        Error::Incompatible { .. } => "incompatible",
        Error::Authentication { .. } => "authentication",
        Error::WrongPeer { .. } => "wrong-peer",
        Error::OwnIdentity => "own-identity",
        Error::Refused(_) => "refused",
        _ => "another",
    }
}

fn x_wing() -> Result<Value, Failure> {
    let draft: Value = serde_json::from_str(DRAFT)?;
    let mut cases = draft["cases"].as_array().ok_or("no cases")?.clone();
    let secret = SecretKey::generate(Backend::Portable, &[0x11; 32])?;
    let (ciphertext, shared) = secret.public().encapsulate(Backend::Portable, &[0x22; 64])?;
    let case = |id: &str, ciphertext: &Ciphertext, shared: &[u8]| {
        json!({
            "id": id, "seed": hex(&[0x11; 32]), "public_key": hex(secret.public().as_bytes()),
            "ciphertext": hex(ciphertext.as_bytes()), "shared_secret": hex(shared),
        })
    };
    // An altered ML-KEM half is no error: implicit rejection (FIPS 203 section 6.3).
    let mut bytes = *ciphertext.as_bytes();
    bytes[0] ^= 1;
    let rejected = Ciphertext::from_bytes(&bytes);
    cases.push(case("own", &ciphertext, shared.as_bytes()));
    cases.push(case("implicit-rejection", &rejected, secret.decapsulate(&rejected)?.as_bytes()));
    let mut small_order = *ciphertext.as_bytes();
    small_order[1_088..].fill(0);
    let mut out_of_range = *secret.public().as_bytes();
    (out_of_range[0], out_of_range[1]) = (0xff, out_of_range[1] | 0x0f);
    let mut small_order_key = *secret.public().as_bytes();
    small_order_key[1_184..].fill(0);
    Ok(json!({
        "id": "keys/x_wing", "spec": "35-handshake.md section 2",
        "source": draft["source"],
        "cases": cases,
        "negative": [
            { "id": "ciphertext-of-small-order", "error": "malformed", "seed": hex(&[0x11; 32]), "ciphertext": hex(&small_order) },
            { "id": "key-coefficient-out-of-range", "error": "malformed", "public_key": hex(PublicKey::from_bytes(&out_of_range).as_bytes()) },
            { "id": "key-of-small-order", "error": "malformed", "public_key": hex(&small_order_key) },
        ],
    }))
}

fn link(link: &Link) -> Result<Value, Failure> {
    let export = |label: &str, context: &[u8], len: usize| {
        let mut value = vec![0; len];
        link.exporter().export(label, context, &mut value)?;
        Ok::<_, Error>(json!({ "label": label, "context": hex(context), "value": hex(&value) }))
    };
    // The last two are what a lane is keyed with: spec 37 section 2.
    let exported = [
        export("holomesh vector", b"context", 32)?,
        export("", b"", 1)?,
        export(&"x".repeat(255), &[0; 200], 300)?,
        export("holomesh lane v1", &[1, 2, 3, 4, 5, 6, 7, 8], 88)?,
        export("holomesh lane id v1", b"", 8)?,
    ];
    let keys = link.keys();
    Ok(json!({
        "initiator_key": hex(&keys.receive.key), "initiator_salt": hex(&keys.receive.salt),
        "responder_key": hex(&keys.send.key), "responder_salt": hex(&keys.send.salt),
        "exported": exported,
    }))
}

fn handshake() -> Result<Value, Failure> {
    // Signatures of the portable backend are deterministic.
    let person = |n| Identity::from_seed_with(Signing::Portable, &identity::Seed([n; 64])).map(Arc::new);
    let (alice, bob, carol) = (person(0xa1)?, person(0xb0)?, person(0xca)?);
    let (alices, bobs) = ([0x31; 32], [0x32; 32]);
    let call = || Initiation::new(alice.clone(), bob.key_id(), Backend::Portable, &Seed(alices));
    let initiation = call()?;
    let offer = initiation.offer();
    let respond = |who: &Identity, offer: &[u8]| Response::new(who, offer, Backend::Portable, &Seed(bobs));
    let response = respond(&bob, offer)?;
    let answer = response.answer();
    let finishing = initiation.read_answer(answer)?;
    let finish = finishing.finish();
    let (accepted, established) = response.read_finish(finish)?.accept()?;
    let refused = response.read_finish(finish)?.refuse()?;
    let by_carol = respond(&carol, offer)?;
    let reflected = respond(&alice, offer)?;

    let mut negative = Vec::new();
    let mut bad = |id: &str, reads: &str, change: Change<'_>| -> Result<(), Failure> {
        let good = match reads {
            "offer" => offer,
            "answer" => answer,
            "finish" => finish,
            _ => &accepted,
        };
        let bytes = change.apply(good);
        let error = match reads {
            "offer" => respond(&bob, &bytes).err(),
            "answer" => initiation.read_answer(&bytes).err(),
            "finish" => response.read_finish(&bytes).err(),
            _ => finishing.read_verdict(&bytes).err(),
        };
        let error = error.ok_or_else(|| format!("{id} is no error"))?;
        let mut case = json!({ "id": id, "message": reads, "error": class(&error) });
        match change {
            Change::Flip(at) => case["flip"] = at.into(),
            Change::Keep(len) => case["keep"] = len.into(),
            Change::Bytes(bytes) => case["bytes"] = hex(bytes).into(),
        }
        negative.push(case);
        Ok(())
    };
    let stripped: Vec<u8> = [&[1], &offer[3..]].concat();
    bad("offer-cut", "offer", Change::Keep(offer.len() - 1))?;
    bad("offer-lengthened", "offer", Change::Bytes(&[offer, &[0]].concat()))?;
    bad("offer-another-version", "offer", Change::Flip(4))?;
    bad("offer-another-suite", "offer", Change::Flip(9))?;
    bad("offer-empty-list", "offer", Change::Bytes(&[&[0], &offer[5..]].concat()))?;
    bad("answer-to-a-stripped-offer", "answer", Change::Bytes(respond(&bob, &stripped)?.answer()))?;
    bad("answer-another-version", "answer", Change::Flip(1))?;
    bad("answer-another-suite", "answer", Change::Flip(3))?;
    bad("answer-altered-nonce", "answer", Change::Flip(4))?;
    bad("answer-altered-ciphertext", "answer", Change::Flip(36))?;
    bad("answer-altered-ephemeral-key", "answer", Change::Flip(1_156))?;
    bad("answer-altered-seal", "answer", Change::Flip(2_372))?;
    bad("answer-cut", "answer", Change::Keep(answer.len() - 1))?;
    bad("answer-by-somebody-else", "answer", Change::Bytes(by_carol.answer()))?;
    bad("answer-by-ourselves", "answer", Change::Bytes(reflected.answer()))?;
    bad("finish-altered-ciphertext", "finish", Change::Flip(0))?;
    bad("finish-altered-seal", "finish", Change::Flip(1_120))?;
    bad("finish-altered-tag", "finish", Change::Flip(finish.len() - 1))?;
    bad("finish-cut", "finish", Change::Keep(finish.len() - 1))?;
    bad("verdict-altered", "verdict", Change::Flip(0))?;
    bad("verdict-refused", "verdict", Change::Bytes(&refused))?;
    bad("verdict-cut", "verdict", Change::Keep(31))?;
    Ok(json!({
        "id": "keys/handshake", "spec": "35-handshake.md sections 4 to 7",
        "initiator": { "identity_seed": hex(&[0xa1; 64]), "seed": hex(&alices), "key_id": hex(alice.key_id().as_bytes()) },
        "responder": { "identity_seed": hex(&[0xb0; 64]), "seed": hex(&bobs), "key_id": hex(bob.key_id().as_bytes()) },
        "offer": hex(offer), "answer": hex(answer), "finish": hex(finish),
        "accepted": hex(&accepted), "refused": hex(&refused),
        "link": link(&established)?,
        "negative": negative,
    }))
}
