//! Every case of the committed key vectors, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_link::handshake::{Initiation, Response};
use av_link::x_wing::{Backend, Ciphertext, PublicKey, SecretKey};
use av_link::{Error, Seed};
use identity::Identity;
use serde_json::Value;
use std::sync::Arc;
use vector_kit::read::{array, hex, list, load};

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

#[test]
fn defect_not_the_x_wing_combiner() {
    let file = load("keys/x_wing.json");
    let mut of_the_draft = 0;
    for case in list(&file, "cases") {
        let secret = SecretKey::generate(Backend::Portable, &array(&case["seed"])).unwrap();
        assert_eq!(secret.public().as_bytes(), &array(&case["public_key"]), "{}", case["id"]);
        let ciphertext = Ciphertext::from_bytes(&array(&case["ciphertext"]));
        let shared: [u8; 32] = array(&case["shared_secret"]);
        assert_eq!(secret.decapsulate(&ciphertext).unwrap().as_bytes(), &shared, "{}", case["id"]);
        if case["encapsulation_seed"].is_string() {
            of_the_draft += 1;
            let randomness = array(&case["encapsulation_seed"]);
            let (made, sent) = secret.public().encapsulate(Backend::Portable, &randomness).unwrap();
            assert_eq!((made, sent.as_bytes()), (ciphertext, &shared), "{}", case["id"]);
        }
    }
    assert_eq!(of_the_draft, 3);
    for case in list(&file, "negative") {
        for &backend in Backend::ALL {
            let error = if case["ciphertext"].is_string() {
                let secret = SecretKey::generate(backend, &array(&case["seed"])).unwrap();
                secret.decapsulate(&Ciphertext::from_bytes(&array(&case["ciphertext"]))).unwrap_err()
            } else {
                let key = PublicKey::from_bytes(&array(&case["public_key"]));
                key.encapsulate(backend, &[1; 64]).unwrap_err()
            };
            assert_eq!(class(&error), case["error"], "{} {backend:?}", case["id"]);
        }
    }
}

#[test]
fn the_drafts_cases_are_taken_over_unaltered() {
    let data = include_str!("data/x_wing_draft.json");
    let draft: Value = serde_json::from_str(data).unwrap();
    let file = load("keys/x_wing.json");
    assert_eq!(list(&file, "cases")[..3], list(&draft, "cases")[..]);
}

#[test]
fn handshakes() {
    let file = load("keys/handshake.json");
    let person = |side: &str| {
        let seed = identity::Seed(array(&file[side]["identity_seed"]));
        let person = Identity::from_seed_with(identity::Backend::Portable, &seed).unwrap();
        assert_eq!(person.key_id().as_bytes(), &array(&file[side]["key_id"]));
        Arc::new(person)
    };
    let (alice, bob) = (person("initiator"), person("responder"));
    let seed = |side: &str| Seed(array(&file[side]["seed"]));
    let initiation = Initiation::new(alice, bob.key_id(), Backend::Portable, &seed("initiator")).unwrap();
    let respond = |offer: &[u8]| Response::new(&bob, offer, Backend::Portable, &seed("responder"));
    assert_eq!(initiation.offer(), hex(&file["offer"]));
    let response = respond(initiation.offer()).unwrap();
    assert_eq!(response.answer(), hex(&file["answer"]));
    let finishing = initiation.read_answer(response.answer()).unwrap();
    assert_eq!(finishing.finish(), hex(&file["finish"]));
    let (accepted, at_bob) = response.read_finish(finishing.finish()).unwrap().accept().unwrap();
    assert_eq!(accepted, array(&file["accepted"]));
    let refused = response.read_finish(finishing.finish()).unwrap().refuse().unwrap();
    assert_eq!(refused, array(&file["refused"]));
    let at_alice = finishing.read_verdict(&accepted).unwrap();

    let link = &file["link"];
    for (from_alice, from_bob, at) in [
        (&at_alice.keys().send, &at_alice.keys().receive, &at_alice),
        (&at_bob.keys().receive, &at_bob.keys().send, &at_bob),
    ] {
        assert_eq!(
            (from_alice.key, from_alice.salt),
            (array(&link["initiator_key"]), array(&link["initiator_salt"]))
        );
        assert_eq!(
            (from_bob.key, from_bob.salt),
            (array(&link["responder_key"]), array(&link["responder_salt"]))
        );
        for exported in list(link, "exported") {
            let expected = hex(&exported["value"]);
            let mut value = vec![0; expected.len()];
            let label = exported["label"].as_str().unwrap();
            at.exporter().export(label, &hex(&exported["context"]), &mut value).unwrap();
            assert_eq!(value, expected, "{label}");
        }
    }

    for case in list(&file, "negative") {
        let message = case["message"].as_str().unwrap();
        let mut bytes = hex(&file[if message == "verdict" { "accepted" } else { message }]);
        if let Some(at) = case["flip"].as_u64() {
            bytes[at as usize] ^= 1;
        } else if let Some(len) = case["keep"].as_u64() {
            bytes.truncate(len as usize);
        } else {
            bytes = hex(&case["bytes"]);
        }
        let error = match message {
            "offer" => respond(&bytes).err(),
            "answer" => initiation.read_answer(&bytes).err(),
            "finish" => response.read_finish(&bytes).err(),
            "verdict" => finishing.read_verdict(&bytes).err(),
            _ => None,
        };
        assert_eq!(class(&error.unwrap()), case["error"], "{}", case["id"]);
    }
}
