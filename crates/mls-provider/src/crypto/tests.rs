use super::*;
use openmls_libcrux_crypto::CryptoProvider;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

fn ours(seed: u8) -> Crypto {
    Crypto::new(StdRng::from_seed([seed; 32]))
}

fn theirs() -> CryptoProvider {
    CryptoProvider::new().unwrap()
}

const OTHER_HPKE: HpkeConfig =
    HpkeConfig(HpkeKemType::DhKem25519, HpkeKdfType::HkdfSha256, HpkeAeadType::ChaCha20Poly1305);

#[test]
fn key_pairs_are_those_of_libcrux() {
    for ikm in [&b""[..], b"input", &[9; 200]] {
        let mine = ours(1).derive_hpke_keypair(SUITE.hpke_config(), ikm).unwrap();
        let stock = theirs().derive_hpke_keypair(SUITE.hpke_config(), ikm).unwrap();
        assert_eq!(mine.public, stock.public);
        assert_eq!(&mine.private[..], &stock.private[..]);
    }
}

#[test]
fn what_one_seals_the_other_opens() {
    let (mine, stock) = (ours(1), theirs());
    let keys = mine.derive_hpke_keypair(SUITE.hpke_config(), b"ikm").unwrap();
    let both: [&dyn Hpke; 2] = [&mine, &stock];
    for (sealer, opener) in [(0, 0), (0, 1), (1, 0)] {
        let sealed = both[sealer].seal(&keys.public);
        assert_eq!((sealed.kem_output.as_slice().len(), sealed.ciphertext.as_slice().len()), (1_120, 20));
        assert_eq!(both[opener].open(&sealed, &keys.private).unwrap(), b"text");
        let (output, secret) = both[sealer].send_export(&keys.public);
        assert_eq!(both[opener].receive_export(&output, &keys.private), secret);
        assert_eq!(secret.len(), 77);
    }
}

/// Both libraries behind one face.
trait Hpke {
    fn seal(&self, key: &[u8]) -> HpkeCiphertext;
    fn open(&self, sealed: &HpkeCiphertext, key: &[u8]) -> Result<Vec<u8>, CryptoError>;
    fn send_export(&self, key: &[u8]) -> (Vec<u8>, Vec<u8>);
    fn receive_export(&self, output: &[u8], key: &[u8]) -> Vec<u8>;
}

impl<C: OpenMlsCrypto> Hpke for C {
    fn seal(&self, key: &[u8]) -> HpkeCiphertext {
        self.hpke_seal(SUITE.hpke_config(), key, b"info", b"aad", b"text").unwrap()
    }

    fn open(&self, sealed: &HpkeCiphertext, key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.hpke_open(SUITE.hpke_config(), sealed, key, b"info", b"aad")
    }

    fn send_export(&self, key: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (output, secret) =
            self.hpke_setup_sender_and_export(SUITE.hpke_config(), key, b"info", b"context", 77).unwrap();
        (output, secret.to_vec())
    }

    fn receive_export(&self, output: &[u8], key: &[u8]) -> Vec<u8> {
        self.hpke_setup_receiver_and_export(SUITE.hpke_config(), output, key, b"info", b"context", 77)
            .unwrap()
            .to_vec()
    }
}

#[test]
fn long_infos_are_told_apart_though_the_last_is_remembered() {
    let (mine, stock) = (ours(1), theirs());
    let keys = mine.derive_hpke_keypair(SUITE.hpke_config(), b"ikm").unwrap();
    let mut info = vec![1; 100_000];
    for at in [0, 99_999, 50_000, 50_000] {
        info[at] += 1;
        for _ in 0..2 {
            let sealed = mine.hpke_seal(SUITE.hpke_config(), &keys.public, &info, b"aad", b"text").unwrap();
            let opened = stock.hpke_open(SUITE.hpke_config(), &sealed, &keys.private, &info, b"aad");
            assert_eq!(opened.unwrap(), b"text");
        }
    }
}

#[test]
fn a_sealed_text_opens_only_as_it_was_sealed() {
    let crypto = ours(1);
    let config = || SUITE.hpke_config();
    let keys = crypto.derive_hpke_keypair(config(), b"ikm").unwrap();
    let sealed = Hpke::seal(&crypto, &keys.public);
    let open = |info: &[u8], aad: &[u8]| crypto.hpke_open(config(), &sealed, &keys.private, info, aad);
    assert!(open(b"info", b"aad").is_ok());
    assert_eq!(open(b"other", b"aad").unwrap_err(), CryptoError::HpkeDecryptionError);
    assert_eq!(open(b"info", b"other").unwrap_err(), CryptoError::HpkeDecryptionError);
    for part in 0..2 {
        let mut parts = [sealed.kem_output.as_slice().to_vec(), sealed.ciphertext.as_slice().to_vec()];
        *parts[part].last_mut().unwrap() ^= 1;
        let [kem_output, ciphertext] = parts;
        let bent = HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() };
        assert!(crypto.open(&bent, &keys.private).is_err());
    }
}

#[test]
fn keys_and_ciphertexts_of_other_lengths_are_errors_and_not_panics() {
    let crypto = ours(1);
    let config = || SUITE.hpke_config();
    let keys = crypto.derive_hpke_keypair(config(), b"ikm").unwrap();
    for len in [0, 1, 31, 32, 1_183, 1_184, 1_215, 1_217, 4_000] {
        let short = vec![1; len];
        assert_eq!(
            crypto.hpke_seal(config(), &short, b"", b"", b"").unwrap_err(),
            CryptoError::InvalidPublicKey,
            "{len}"
        );
        assert!(crypto.hpke_setup_sender_and_export(config(), &short, b"", b"", 32).is_err());
        assert!(!crypto.can_seal_to(&short));
        let output = HpkeCiphertext { kem_output: short.clone().into(), ciphertext: vec![0; 16].into() };
        assert!(crypto.hpke_open(config(), &output, &keys.private, b"", b"").is_err());
        if len != 32 {
            let sealed = Hpke::seal(&crypto, &keys.public);
            let refused = crypto.hpke_open(config(), &sealed, &short, b"info", b"aad");
            assert_eq!(refused.unwrap_err(), CryptoError::InvalidLength);
        }
    }
    assert!(crypto.can_seal_to(&keys.public));
}

#[test]
fn a_public_key_with_coefficients_out_of_range_or_a_point_of_small_order_is_refused() {
    let crypto = ours(1);
    let keys = crypto.derive_hpke_keypair(SUITE.hpke_config(), b"ikm").unwrap();
    let mut out_of_range = keys.public.clone();
    out_of_range[..3].copy_from_slice(&[0xff; 3]);
    assert!(!crypto.can_seal_to(&out_of_range));
    for low in [[0; 32], core::array::from_fn(|at| u8::from(at == 0))] {
        let mut small = keys.public.clone();
        small[1_184..].copy_from_slice(&low);
        assert!(!crypto.can_seal_to(&small));
        let stock = theirs().hpke_seal(SUITE.hpke_config(), &small, b"", b"", b"");
        assert!(stock.is_err(), "stock refuses it as well");
    }
}

#[test]
fn a_short_text_to_open_is_an_error_and_not_a_panic() {
    let crypto = ours(1);
    for len in 0..20 {
        let sealed = vec![0; len];
        let opened = crypto.aead_decrypt(AeadType::ChaCha20Poly1305, &[0; 32], &sealed, &[0; 12], b"");
        assert!(opened.is_err(), "{len}");
    }
    for (key, nonce) in [(31, 12), (33, 12), (32, 11), (32, 13), (0, 0)] {
        let refused =
            crypto.aead_encrypt(AeadType::ChaCha20Poly1305, &vec![0; key], b"", &vec![0; nonce], b"");
        assert_eq!(refused.unwrap_err(), CryptoError::InvalidLength);
    }
}

#[test]
fn nothing_but_the_suite_is_offered_or_done() {
    let crypto = ours(1);
    assert_eq!(crypto.supported_ciphersuites(), [SUITE]);
    for other in theirs().supported_ciphersuites() {
        assert_eq!(crypto.supports(other).is_ok(), other == SUITE);
    }
    let hash = CryptoError::UnsupportedHashAlgorithm;
    for other in [HashType::Sha2_384, HashType::Sha2_512] {
        assert_eq!(crypto.hash(other, b"").unwrap_err(), hash);
        assert_eq!(crypto.hmac(other, b"", b"").unwrap_err(), hash);
        assert_eq!(crypto.hkdf_extract(other, b"", b"").unwrap_err(), hash);
        assert_eq!(crypto.hkdf_expand(other, &[0; 64], b"", 1).unwrap_err(), hash);
    }
    for other in [AeadType::Aes128Gcm, AeadType::Aes256Gcm] {
        assert!(crypto.aead_encrypt(other, &[0; 32], b"", &[0; 12], b"").is_err());
        assert!(crypto.aead_decrypt(other, &[0; 32], &[0; 16], &[0; 12], b"").is_err());
    }
    let other = SignatureScheme::ECDSA_SECP256R1_SHA256;
    assert!(crypto.signature_key_gen(other).is_err());
    assert!(crypto.sign(other, b"", &[1; 32]).is_err());
    assert!(crypto.verify_signature(other, b"", &[1; 32], &[0; 64]).is_err());
    assert_eq!(crypto.derive_hpke_keypair(OTHER_HPKE, b"").unwrap_err(), CryptoError::UnsupportedCiphersuite);
    assert!(crypto.hpke_seal(OTHER_HPKE, &[9; 32], b"", b"", b"").is_err());
}

#[test]
fn the_callers_generator_decides_all_keys_and_ciphertexts() {
    let run = |seed| {
        let crypto = ours(seed);
        let (private, public) = crypto.signature_key_gen(SignatureScheme::ED25519).unwrap();
        let keys = crypto.derive_hpke_keypair(SUITE.hpke_config(), &private).unwrap();
        let sealed = Hpke::seal(&crypto, &keys.public);
        (public, sealed.kem_output.as_slice().to_vec(), crypto.send_export(&keys.public).1)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

proptest! {
    #[test]
    fn hashing_is_that_of_libcrux(
        key in proptest::collection::vec(any::<u8>(), 0..100),
        data in proptest::collection::vec(any::<u8>(), 0..300),
        prk in any::<[u8; 32]>(),
        len in 0usize..200,
    ) {
        let (mine, stock) = (ours(1), theirs());
        let hash = HashType::Sha2_256;
        prop_assert_eq!(mine.hash(hash, &data).unwrap(), stock.hash(hash, &data).unwrap());
        prop_assert_eq!(mine.hmac(hash, &key, &data).unwrap(), stock.hmac(hash, &key, &data).unwrap());
        prop_assert_eq!(
            mine.hkdf_extract(hash, &key, &data).unwrap(),
            stock.hkdf_extract(hash, &key, &data).unwrap()
        );
        prop_assert_eq!(
            mine.hkdf_expand(hash, &prk, &data, len).unwrap(),
            stock.hkdf_expand(hash, &prk, &data, len).unwrap()
        );
    }

    #[test]
    fn sealing_is_that_of_libcrux(
        key in any::<[u8; 32]>(),
        nonce in any::<[u8; 12]>(),
        aad in proptest::collection::vec(any::<u8>(), 0..50),
        text in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let (mine, stock) = (ours(1), theirs());
        let alg = AeadType::ChaCha20Poly1305;
        let sealed = mine.aead_encrypt(alg, &key, &text, &nonce, &aad).unwrap();
        prop_assert_eq!(&sealed, &stock.aead_encrypt(alg, &key, &text, &nonce, &aad).unwrap());
        prop_assert_eq!(mine.aead_decrypt(alg, &key, &sealed, &nonce, &aad).unwrap(), text);
    }
}

#[test]
fn too_much_key_material_is_an_error() {
    let crypto = ours(1);
    assert!(crypto.hkdf_expand(HashType::Sha2_256, &[0; 32], b"", 255 * 32).is_ok());
    assert!(crypto.hkdf_expand(HashType::Sha2_256, &[0; 32], b"", 255 * 32 + 1).is_err());
    assert!(crypto.hkdf_expand(HashType::Sha2_256, &[0; 31], b"", 1).is_err());
    let keys = crypto.derive_hpke_keypair(SUITE.hpke_config(), b"ikm").unwrap();
    let long = crypto.hpke_setup_sender_and_export(SUITE.hpke_config(), &keys.public, b"", b"", 255 * 32 + 1);
    assert_eq!(long.unwrap_err(), CryptoError::HkdfOutputLengthInvalid);
}
