//! Every case of the committed identity vectors, good and bad, on every backend.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use identity::{Backend, Domain, Error, Half, HybridSignature, Identity, KeyId, PublicIdentity, Seed};
use serde_json::Value;
use vector_kit::read::{array, hex, list, load};

fn seed(value: &Value) -> Seed {
    Seed(array(value))
}

fn domain(value: &Value) -> Domain {
    Domain::new(value.as_str().unwrap().to_owned().leak())
}

fn class(error: &Error) -> &'static str {
    match error {
        Error::Size { .. } => "size",
        Error::MalformedKey => "malformed_key",
        Error::BadSignature { half: Half::Ed25519, .. } => "ed25519",
        Error::BadSignature { half: Half::MlDsa65, .. } => "ml_dsa_65",
        _ => "another",
    }
}

#[test]
fn key_ids() {
    let file = load("identity/key_id.json");
    for case in list(&file, "cases") {
        let public = PublicIdentity::from_bytes(&hex(&case["public"])).unwrap();
        assert_eq!(public.key_id().as_bytes()[..], hex(&case["key_id"]), "{}", case["id"]);
        assert_eq!(public.key_id().to_string(), case["text"], "{}", case["id"]);
        assert_eq!(case["text"].as_str().unwrap().parse::<KeyId>().unwrap(), public.key_id());
        for &backend in Backend::ALL {
            let identity = Identity::from_seed_with(backend, &seed(&case["seed"])).unwrap();
            assert_eq!(identity.public(), &public, "{backend:?} {}", case["id"]);
        }
    }
    for case in list(&file, "negative") {
        let error = PublicIdentity::from_bytes(&hex(&case["public"])).unwrap_err();
        assert_eq!(class(&error), case["error"], "{}", case["id"]);
    }
}

#[test]
fn hybrid_signatures() {
    let file = load("identity/hybrid_signature.json");
    let public = PublicIdentity::from_bytes(&hex(&file["public"])).unwrap();
    let signer = Identity::from_seed_with(Backend::Portable, &seed(&file["seed"])).unwrap();
    for case in list(&file, "cases") {
        let (domain, payload) = (domain(&case["domain"]), hex(&case["payload"]));
        let signature = hex(&case["signature"]);
        assert_eq!(signer.sign(domain, &payload).unwrap().to_bytes()[..], signature, "{}", case["id"]);
        let signature = HybridSignature::from_bytes(&signature).unwrap();
        for &backend in Backend::ALL {
            public.verify_with(backend, domain, &payload, &signature).unwrap();
        }
    }
    for case in list(&file, "negative") {
        let (domain, payload) = (domain(&case["domain"]), hex(&case["payload"]));
        // One case needs a key of its own.
        let own = case.get("public").map(|public| PublicIdentity::from_bytes(&hex(public)).unwrap());
        let public = own.as_ref().unwrap_or(&public);
        for &backend in Backend::ALL {
            let error = HybridSignature::from_bytes(&hex(&case["signature"]))
                .and_then(|signature| public.verify_with(backend, domain, &payload, &signature))
                .unwrap_err();
            assert_eq!(class(&error), case["error"], "{backend:?} {}", case["id"]);
        }
    }
}
