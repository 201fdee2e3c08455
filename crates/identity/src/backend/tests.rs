use super::*;
use crate::{Domain, Half, HybridSignature, Identity};
use proptest::prelude::*;

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
        prop_assert_eq!(acceptable_ed25519_key(&bytes), strict);
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
            assert!(!acceptable_ed25519_key(&point));
        }
    }
    // Four of the five have two signs that are different points; y = 1 and y = -1 have x = 0: 3 * 2 + 2 = 8 points.
    let distinct: std::collections::BTreeSet<_> = SMALL_ORDER_Y.into_iter().collect();
    assert_eq!(distinct.len(), 5);
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

/// With a key of small order, `[S]B = R + [k]A` has solutions without any secret: A = identity, R = [S]B with S = 1.
/// With a proper key and an R of small order a signer can make two verifiers disagree.
#[test]
fn signatures_with_a_small_order_r_are_refused_alike() {
    let own = identity(Backend::Portable, [9; 64]);
    let good = own.sign(DOMAIN, b"payload").unwrap().to_bytes();
    for y in SMALL_ORDER_Y {
        let mut bytes = good;
        bytes[..32].copy_from_slice(&y);
        let signature = HybridSignature::from_bytes(&bytes).unwrap();
        for &backend in Backend::ALL {
            let verdict = own.public().verify_with(backend, DOMAIN, b"payload", &signature);
            assert!(matches!(verdict, Err(Error::BadSignature { half: Half::Ed25519, .. })), "{verdict:?}");
        }
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
