use super::*;
use proptest::prelude::*;
use x_wing::{Decapsulate, KeyExport, KeyInit, TryKeyInit};

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

#[test]
fn every_backend_reads_what_every_other_wrote() {
    for (n, &owner) in Backend::ALL.iter().enumerate() {
        for &sender in Backend::ALL {
            let secret = SecretKey::generate(owner, &[n as u8; 32]).unwrap();
            let (ciphertext, sent) = secret.public().encapsulate(sender, &[3; 64]).unwrap();
            let got = secret.decapsulate(&ciphertext).unwrap();
            assert!(got.same_as(&sent), "{owner:?} from {sender:?}");
        }
    }
}

#[test]
fn the_two_backends_make_the_same_x25519_half() {
    for &backend in Backend::ALL {
        let ours = SecretKey::generate(backend, &[5; 32]).unwrap();
        let reference = x_wing::DecapsulationKey::new(&[5; 32].into());
        let reference = x_wing::Decapsulator::encapsulation_key(&reference).to_bytes();
        assert_eq!(ours.public().x25519().as_slice(), &reference[1_184..], "{backend:?}");
    }
}

#[test]
fn points_of_small_order_are_refused_by_both_sides() {
    // The points 0 and 1, and one of order 8 (RFC 7748 section 7, "small order").
    let order_8 = hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one, order_8.try_into().unwrap()] {
        for &backend in Backend::ALL {
            let secret = SecretKey::generate(backend, &[1; 32]).unwrap();
            let bad = PublicKey::join(secret.public().ml_kem(), &point);
            assert_eq!(bad.encapsulate(backend, &[2; 64]).unwrap_err(), SMALL_ORDER, "{backend:?}");
            let (good, _) = secret.public().encapsulate(backend, &[2; 64]).unwrap();
            let bad = Ciphertext::join(good.ml_kem(), &point);
            assert_eq!(secret.decapsulate(&bad).unwrap_err(), SMALL_ORDER, "{backend:?}");
        }
    }
}

#[test]
fn an_ml_kem_key_outside_the_field_is_refused() {
    for &backend in Backend::ALL {
        let secret = SecretKey::generate(backend, &[1; 32]).unwrap();
        let mut bytes = *secret.public().as_bytes();
        // The first 12-bit coefficient becomes 4,095; the field ends at 3,328.
        (bytes[0], bytes[1]) = (0xff, bytes[1] | 0x0f);
        let bad = PublicKey::from_bytes(&bytes);
        assert_eq!(bad.encapsulate(backend, &[2; 64]).unwrap_err(), BAD_ML_KEM_KEY, "{backend:?}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let secret = SecretKey::generate(Backend::Portable, &[1; 32]).unwrap();
    let (_, shared) = secret.public().encapsulate(Backend::Portable, &[2; 64]).unwrap();
    assert_eq!(format!("{secret:?} {shared:?}"), "SecretKey(redacted) SharedSecret(redacted)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_portable_backend_agrees_with_the_reference(seed: [u8; 32], randomness: [u8; 64]) {
        let ours = SecretKey::generate(Backend::Portable, &seed).unwrap();
        let reference = x_wing::DecapsulationKey::new(&seed.into());
        let key = x_wing::EncapsulationKey::new(&(*ours.public().as_bytes()).into()).unwrap();
        prop_assert_eq!(x_wing::Decapsulator::encapsulation_key(&reference), &key);
        let (ciphertext, secret) = ours.public().encapsulate(Backend::Portable, &randomness).unwrap();
        prop_assert_eq!(&reference.decapsulate(&(*ciphertext.as_bytes()).into())[..], secret.as_bytes());
    }

    #[test]
    fn an_altered_ciphertext_gives_another_secret(at in 0..CIPHERTEXT_LEN, bit in 0..8u32) {
        // The top bit of a point is ignored by X25519, yet the combiner hashes it.
        for &backend in Backend::ALL {
            let secret = SecretKey::generate(backend, &[1; 32]).unwrap();
            let (ciphertext, sent) = secret.public().encapsulate(backend, &[2; 64]).unwrap();
            let mut bytes = *ciphertext.as_bytes();
            bytes[at] ^= 1 << bit;
            match secret.decapsulate(&Ciphertext::from_bytes(&bytes)) {
                Ok(got) => prop_assert!(!got.same_as(&sent)),
                Err(error) => prop_assert_eq!(error, SMALL_ORDER),
            }
        }
    }
}
