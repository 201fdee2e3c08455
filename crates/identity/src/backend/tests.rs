use super::*;
use crate::{Domain, Half, HybridSignature, Identity, PublicIdentity};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::Verifier as _;
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};

const DOMAIN: Domain = Domain::new("backend test v1");

fn identity(backend: Backend, seed: [u8; 64]) -> Identity {
    Identity::from_seed_with(backend, &Seed(seed)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn backends_derive_the_same_keys_and_accept_each_others_signatures(
        seed in proptest::array::uniform32(any::<u8>()),
        other in proptest::array::uniform32(any::<u8>()),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let seed: [u8; 64] = [seed, other].concat().try_into().unwrap();
        let reference = identity(Backend::Portable, seed);
        for &signer in Backend::ALL {
            let own = identity(signer, seed);
            prop_assert_eq!(own.public(), reference.public());
            let signature = own.sign(DOMAIN, &payload).unwrap();
            for &verifier in Backend::ALL {
                prop_assert_eq!(reference.public().verify_with(verifier, DOMAIN, &payload, &signature), Ok(()));
            }
        }
    }

    #[test]
    fn backends_agree_on_every_flipped_bit(bit in 0..HybridSignature::LEN * 8) {
        let own = identity(Backend::Portable, [5; 64]);
        let mut bytes = own.sign(DOMAIN, b"payload").unwrap().to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let signature = HybridSignature::from_bytes(&bytes).unwrap();
        let half = if bit / 8 < 64 { Half::Ed25519 } else { Half::MlDsa65 };
        for &backend in Backend::ALL {
            let verdict = own.public().verify_with(backend, DOMAIN, b"payload", &signature);
            let expected = Error::BadSignature { peer: own.key_id(), domain: DOMAIN.as_str(), half };
            prop_assert_eq!(verdict, Err(expected));
        }
    }

    #[test]
    fn keys_are_accepted_exactly_when_the_strict_library_takes_them(bytes: [u8; 32]) {
        let strict = VerifyingKey::from_bytes(&bytes).is_ok_and(|key| !key.is_weak());
        let public = PublicIdentity::from_bytes(&[&bytes[..], &[0; 1_952]].concat());
        prop_assert_eq!(public.is_ok(), strict);
    }
}

#[test]
fn the_list_of_small_order_points_is_complete() {
    for y in SMALL_ORDER_Y {
        for sign in [0, 0x80] {
            let mut point = y;
            point[31] |= sign;
            assert!(VerifyingKey::from_bytes(&point).is_ok_and(|key| key.is_weak()), "{point:02x?}");
            assert!(small_order(Some(&point)));
            let public = PublicIdentity::from_bytes(&[&point[..], &[0; 1_952]].concat());
            assert_eq!(public, Err(Error::MalformedKey));
        }
    }
    let listed = |point: &[u8; 32]| small_order(Some(point));
    assert!(EIGHT_TORSION.iter().all(|point| listed(&point.compress().to_bytes())));
    assert!(!listed(&ED25519_BASEPOINT_POINT.compress().to_bytes()));
}

#[test]
fn y_at_and_above_p_is_not_canonical() {
    for low in 0xed..=0xff {
        let mut point = [0xff; 32];
        point[0] = low;
        for high in [0x7f, 0xff] {
            point[31] = high;
            assert!(!canonical(&point));
            assert!(!acceptable_ed25519_key(&point));
        }
    }
    let mut below = [0xff; 32];
    below[0] = 0xec;
    assert!(canonical(&below));
}

/// A signer whose key has a part of small order can make an R of small order that satisfies the equation without the
/// cofactor, so that a lax verifier takes it and a strict one does not: A = aB + T, R = -kT, S = ka.
#[test]
fn signatures_with_a_small_order_r_are_refused_alike() {
    let a = Scalar::from(1_234_567_u64);
    let torsion = EIGHT_TORSION[1];
    let key = (ED25519_BASEPOINT_POINT * a + torsion).compress().to_bytes();
    let own = identity(Backend::Portable, [9; 64]);
    let public = PublicIdentity::from_bytes(&[&key[..], own.public().ml_dsa()].concat()).unwrap();
    let (payload, signature) = (0_u64..)
        .find_map(|counter| {
            let payload = counter.to_be_bytes();
            let point = EIGHT_TORSION[counter as usize % 8];
            let r = point.compress().to_bytes();
            let message = DOMAIN.message(&payload, 0);
            let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(&message).finalize();
            let k = Scalar::from_bytes_mod_order_wide(&hash.into());
            (torsion * k + point == EIGHT_TORSION[0]).then(|| {
                let ed25519: [u8; 64] = [r, (k * a).to_bytes()].concat().try_into().unwrap();
                (payload, [&ed25519[..], &[0; 3_309]].concat())
            })
        })
        .unwrap();
    let signature = HybridSignature::from_bytes(&signature).unwrap();
    let lax = VerifyingKey::from_bytes(&key).unwrap();
    let ed25519 = ed25519_dalek::Signature::from_bytes(&signature.ed25519);
    assert!(lax.verify(&DOMAIN.message(&payload, 0), &ed25519).is_ok(), "it has to be valid to the lax rule");
    for &backend in Backend::ALL {
        let verdict = public.verify_with(backend, DOMAIN, &payload, &signature);
        assert!(matches!(verdict, Err(Error::BadSignature { half: Half::Ed25519, .. })), "{verdict:?}");
    }
}

/// S + L is the same scalar: accepting it would make signatures malleable.
#[test]
fn s_above_the_group_order_is_refused_alike() {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let own = identity(Backend::Portable, [3; 64]);
    let message = DOMAIN.message(b"payload", 0);
    let good = own.sign(DOMAIN, b"payload").unwrap().ed25519;
    let mut bad = good;
    let mut carry = 0;
    for (digit, l) in bad[32..].iter_mut().zip(L) {
        let sum = u16::from(*digit) + u16::from(l) + carry;
        *digit = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    for &backend in Backend::ALL {
        assert!(backend.suite().verify_ed25519(own.public().ed25519(), &message, &good));
        assert!(!backend.suite().verify_ed25519(own.public().ed25519(), &message, &bad));
    }
}

/// What is signed, told without this crate's own code: Ed25519 over D ‖ 0x00 ‖ P, ML-DSA-65 over that ‖ the signature.
#[test]
fn the_signed_message_is_the_specified_one() {
    let own = identity(Backend::default(), [6; 64]);
    let signature = own.sign(DOMAIN, b"payload").unwrap();
    let ed25519 = ed25519_dalek::Signature::from_bytes(&signature.ed25519);
    let key = VerifyingKey::from_bytes(own.public().ed25519()).unwrap();
    key.verify_strict(b"backend test v1\0payload", &ed25519).unwrap();

    let message = [&b"backend test v1\0payload"[..], &signature.ed25519].concat();
    let key = ml_dsa::VerifyingKey::<ml_dsa::MlDsa65>::decode(&(*own.public().ml_dsa()).into());
    let ml_dsa = ml_dsa::Signature::try_from(signature.ml_dsa.as_slice()).unwrap();
    assert!(key.verify_with_context(&message, b"", &ml_dsa));
}
