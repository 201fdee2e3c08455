//! What a hybrid signature holds against: tampering, other domains, other peers, mixed halves, malformed bytes.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use identity::{Domain, Error, Fault, Half, HybridSignature, Identity, PublicIdentity, Seed, stream_id};
use proptest::prelude::*;
use std::sync::LazyLock;

const DOMAIN: Domain = Domain::new("signature test v1");
const OTHER: Domain = Domain::new("signature test v2");

static ALICE: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([1; 64])).unwrap());
static BOB: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([2; 64])).unwrap());

fn failed_half(verdict: Result<(), Error>) -> Option<Half> {
    match verdict {
        Err(Error::BadSignature { half, .. }) => Some(half),
        _ => None,
    }
}

/// The Ed25519 half of `a` with the ML-DSA half of `b`.
fn mix(a: &HybridSignature, b: &HybridSignature) -> HybridSignature {
    let bytes = [&a.to_bytes()[..64], &b.to_bytes()[64..]].concat();
    HybridSignature::from_bytes(&bytes).unwrap()
}

#[test]
fn neither_half_can_be_taken_from_another_signature() {
    let hello = ALICE.sign(DOMAIN, b"hello").unwrap();
    let other = ALICE.sign(DOMAIN, b"other").unwrap();
    let by_bob = BOB.sign(DOMAIN, b"hello").unwrap();
    for (signature, half) in [
        (mix(&other, &hello), Half::Ed25519),
        (mix(&hello, &other), Half::MlDsa65),
        (mix(&by_bob, &hello), Half::Ed25519),
        (mix(&hello, &by_bob), Half::MlDsa65),
    ] {
        assert_eq!(failed_half(ALICE.public().verify(DOMAIN, b"hello", &signature)), Some(half));
    }
}

#[test]
fn domains_payloads_and_peers_are_kept_apart() {
    let signature = ALICE.sign(DOMAIN, b"hello").unwrap();
    ALICE.public().verify(DOMAIN, b"hello", &signature).unwrap();
    for verdict in [
        ALICE.public().verify(OTHER, b"hello", &signature),
        ALICE.public().verify(DOMAIN, b"hello ", &signature),
        ALICE.public().verify(DOMAIN, b"", &signature),
        BOB.public().verify(DOMAIN, b"hello", &signature),
    ] {
        let error = verdict.unwrap_err();
        assert_eq!(error.fault(), Fault::Peer);
        assert!(matches!(error, Error::BadSignature { half: Half::Ed25519, .. }));
    }
}

#[test]
fn the_end_of_a_domain_is_marked() {
    const SHORT: Domain = Domain::new("ab");
    const LONG: Domain = Domain::new("abc");
    let signature = ALICE.sign(SHORT, b"cd").unwrap();
    assert!(ALICE.public().verify(LONG, b"d", &signature).is_err());
}

#[test]
fn the_key_id_covers_both_keys() {
    let bytes = ALICE.public().to_bytes();
    let bob = BOB.public().to_bytes();
    let mixed = PublicIdentity::from_bytes(&[&bytes[..32], &bob[32..]].concat()).unwrap();
    assert_ne!(mixed.key_id(), ALICE.key_id());
    assert_ne!(mixed.key_id(), BOB.key_id());
    let signature = ALICE.sign(DOMAIN, b"hello").unwrap();
    assert_eq!(failed_half(mixed.verify(DOMAIN, b"hello", &signature)), Some(Half::MlDsa65));
}

#[test]
fn ed25519_keys_are_those_of_rfc_8032() {
    // RFC 8032 section 7.1, test 1.
    let secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(&hex(secret));
    let identity = Identity::from_seed(&Seed(seed)).unwrap();
    assert_eq!(identity.public().ed25519()[..], hex(public));
}

/// Computed with another SHA-256 (Python's hashlib) from the public keys of the seed of 64 times 0x01.
#[test]
fn ids_are_the_specified_hashes() {
    assert_eq!(
        ALICE.key_id().as_bytes()[..],
        hex("3664f1d38dabe70c43c579929e87215b4f998246f70ebb66e98e660f0840f7de")
    );
    let stream = stream_id(ALICE.key_id(), "camera", [7; 16]).unwrap();
    assert_eq!(
        stream.as_bytes()[..],
        hex("1478061e13f770216a8f18321fb8af3946b59ec7865573da1ccb7dd38df988fb")
    );
}

#[test]
fn debug_output_shows_no_secret() {
    let seed = Seed([0xa7; 64]);
    let identity = Identity::from_seed(&seed).unwrap();
    assert_eq!(format!("{seed:?}"), "Seed(redacted)");
    let shown = format!("{identity:?}");
    assert!(shown.contains(&identity.key_id().short()) && shown.len() < 80, "{shown}");
}

#[test]
fn stream_ids_depend_on_every_input() {
    let base = stream_id(ALICE.key_id(), "camera", [1; 16]).unwrap();
    assert_eq!(base, stream_id(ALICE.key_id(), "camera", [1; 16]).unwrap());
    for other in [
        stream_id(BOB.key_id(), "camera", [1; 16]).unwrap(),
        stream_id(ALICE.key_id(), "screen", [1; 16]).unwrap(),
        stream_id(ALICE.key_id(), "camera", [2; 16]).unwrap(),
        stream_id(ALICE.key_id(), "camera\u{1}", [1; 16]).unwrap(),
    ] {
        assert_ne!(other, base);
    }
    let longest = "x".repeat(65_535);
    assert!(stream_id(ALICE.key_id(), &longest, [0; 16]).is_ok());
    let error = stream_id(ALICE.key_id(), &(longest + "x"), [0; 16]).unwrap_err();
    assert_eq!(
        (error.fault(), error),
        (Fault::Caller, Error::ValueTooLong { what: "stream label", len: 65_536, max: 65_535 })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4_000)) {
        prop_assert_eq!(HybridSignature::from_bytes(&bytes).is_ok(), bytes.len() == HybridSignature::LEN);
        if let Ok(public) = PublicIdentity::from_bytes(&bytes) {
            prop_assert_eq!(&public.to_bytes()[..], &bytes[..]);
        }
    }

    #[test]
    fn public_identities_of_the_right_size_round_trip_or_are_refused(
        ed25519: [u8; 32],
        fill: u8,
    ) {
        let bytes = [&ed25519[..], &[fill; 1_952]].concat();
        match PublicIdentity::from_bytes(&bytes) {
            Ok(public) => {
                prop_assert_eq!(&public.to_bytes()[..], &bytes[..]);
                // A key of random bytes must verify nothing, and must not upset the library below.
                let signature = ALICE.sign(DOMAIN, b"hello").unwrap();
                prop_assert!(public.verify(DOMAIN, b"hello", &signature).is_err());
            }
            Err(error) => prop_assert_eq!(error, Error::MalformedKey),
        }
    }

    #[test]
    fn random_signatures_verify_nothing(ed25519 in proptest::collection::vec(any::<u8>(), 64), fill: u8) {
        let random = HybridSignature::from_bytes(&[&ed25519[..], &[fill; 3_309]].concat()).unwrap();
        prop_assert!(ALICE.public().verify(DOMAIN, b"hello", &random).is_err());
        let good = ALICE.sign(DOMAIN, b"hello").unwrap();
        let half = mix(&good, &random);
        prop_assert_eq!(failed_half(ALICE.public().verify(DOMAIN, b"hello", &half)), Some(Half::MlDsa65));
    }

    #[test]
    fn any_changed_bit_of_the_payload_is_noticed(
        payload in proptest::collection::vec(any::<u8>(), 1..64),
        at: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let signature = BOB.sign(DOMAIN, &payload).unwrap();
        let mut changed = payload.clone();
        changed[at.index(payload.len())] ^= 1 << bit;
        prop_assert_eq!(BOB.public().verify(DOMAIN, &payload, &signature), Ok(()));
        prop_assert!(BOB.public().verify(DOMAIN, &changed, &signature).is_err());
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
