use super::*;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::VerifyingKey;
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};

fn signed(message: &[u8]) -> ([u8; 32], [u8; 64]) {
    let signer = Signer::from_seed(&[7; 32]).unwrap();
    (*signer.public_key(), signer.sign(message).unwrap().try_into().unwrap())
}

fn accepts(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let ours = verify(key, message, signature).is_ok();
    let strict = VerifyingKey::from_bytes(key)
        .is_ok_and(|known| known.verify_strict(message, &(*signature).into()).is_ok());
    // dalek decodes a y of p and more; the rule asks for the canonical encoding as well.
    assert_eq!(ours, strict && canonical(key), "the other library thinks otherwise");
    ours
}

/// A signature by the private scalar 5 with `torsion` added to the public key and to R, each its own.
fn with_torsion(key_torsion: usize, r_torsion: usize) -> ([u8; 32], [u8; 64]) {
    let a = Scalar::from(5u8);
    let r = Scalar::from(1_234_567u32);
    let public = EdwardsPoint::mul_base(&a) + EIGHT_TORSION[key_torsion];
    let commitment = EdwardsPoint::mul_base(&r) + EIGHT_TORSION[r_torsion];
    let (key, first) = (public.compress().to_bytes(), commitment.compress().to_bytes());
    let mut hash = Sha512::new();
    hash.update(first);
    hash.update(key);
    hash.update(b"message");
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&first);
    signature[32..].copy_from_slice((r + k * a).as_bytes());
    (key, signature)
}

#[test]
fn a_signature_by_the_signer_verifies_and_one_for_another_message_does_not() {
    let (key, signature) = signed(b"message");
    assert!(accepts(&key, b"message", &signature));
    assert!(!accepts(&key, b"massage", &signature));
}

#[test]
fn keys_and_signatures_of_other_lengths_are_errors() {
    let (key, signature) = signed(b"message");
    for len in [0, 31, 33, 63, 65, 128] {
        assert_eq!(verify(&vec![1; len], b"message", &signature), Err(CryptoError::InvalidLength));
        assert_eq!(verify(&key, b"message", &vec![1; len]), Err(CryptoError::InvalidLength));
    }
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    for torsion in EIGHT_TORSION {
        let key = torsion.compress().to_bytes();
        // R is the base point and S is one: with a key of order 1 this holds for every message.
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&EdwardsPoint::mul_base(&Scalar::ONE).compress().to_bytes());
        signature[32] = 1;
        for byte in 0..16u8 {
            assert!(!accepts(&key, &[byte], &signature));
        }
    }
}

#[test]
fn an_r_of_small_order_is_refused() {
    let a = Scalar::from(5u8);
    let key = EdwardsPoint::mul_base(&a).compress().to_bytes();
    for torsion in EIGHT_TORSION {
        let r = torsion.compress().to_bytes();
        let mut hash = Sha512::new();
        hash.update(r);
        hash.update(key);
        hash.update(b"message");
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice((k * a).as_bytes());
        assert!(!accepts(&key, b"message", &signature));
    }
}

#[test]
fn the_equation_is_without_the_cofactor() {
    let (key, signature) = with_torsion(0, 0);
    assert!(accepts(&key, b"message", &signature));
    for torsion in 1..8 {
        let (key, signature) = with_torsion(0, torsion);
        assert!(!accepts(&key, b"message", &signature), "R with torsion {torsion}");
    }
    // A key with torsion is not of small order. With it the equation holds or not, and both libraries say the same.
    for torsion in 1..8 {
        let (key, signature) = with_torsion(torsion, 0);
        accepts(&key, b"message", &signature);
    }
}

#[test]
fn an_s_that_is_not_reduced_is_refused() {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (key, mut signature) = signed(b"message");
    let mut carry = 0;
    for (byte, more) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S + L still fits 256 bits");
    assert!(!accepts(&key, b"message", &signature));
}

#[test]
fn a_key_or_r_that_is_not_canonical_is_refused() {
    let (key, signature) = signed(b"message");
    // y + p for the 19 values of y that it fits for; those of small order and those off the curve among them.
    for y in 0..19u8 {
        for sign in [0, 0x80] {
            let mut point = [0xff; 32];
            point[0] = 0xed + y;
            point[31] = 0x7f | sign;
            assert!(!accepts(&point, b"message", &signature));
            let mut other = signature;
            other[..32].copy_from_slice(&point);
            assert!(!accepts(&key, b"message", &other));
        }
    }
    // The same key with the sign of x = 0 set.
    let mut minus_zero = [0; 32];
    minus_zero[0] = 1;
    minus_zero[31] = 0x80;
    assert!(!accepts(&minus_zero, b"message", &signature));
}

proptest! {
    #[test]
    fn a_bent_bit_is_found_as_the_other_library_finds_it(
        message in proptest::collection::vec(any::<u8>(), 0..64),
        bit in 0usize..(96 * 8),
    ) {
        let (mut key, mut signature) = signed(&message);
        prop_assert!(accepts(&key, &message, &signature));
        match bit.checked_sub(64 * 8) {
            None => signature[bit / 8] ^= 1 << (bit % 8),
            Some(bit) => key[bit / 8] ^= 1 << (bit % 8),
        }
        prop_assert!(!accepts(&key, &message, &signature));
    }
}

#[test]
fn debug_does_not_show_the_private_half() {
    let signer = Signer::from_seed(&[7; 32]).unwrap();
    assert!(!format!("{signer:?}").contains("7, 7, 7"));
}
