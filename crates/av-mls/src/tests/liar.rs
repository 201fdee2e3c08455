//! A member whose cryptography makes a key that nobody can seal to.

use super::*;
use mls_provider::{GroupStore, Provider, Random};
use openmls::prelude::Ciphersuite;
use openmls::prelude::tls_codec::SecretVLBytes;
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig, HpkeKeyPair, KemOutput,
    SignatureScheme,
};
use std::sync::atomic::{AtomicI32, Ordering};

/// What an honest provider does, but for one public key.
struct Liar<'a> {
    honest: &'a Provider,
    /// How many keys are derived before the one that is spoilt; below 0 after it.
    left: AtomicI32,
}

impl OpenMlsProvider for Liar<'_> {
    type CryptoProvider = Self;
    type RandProvider = Random;
    type StorageProvider = GroupStore;

    fn storage(&self) -> &GroupStore {
        self.honest.storage()
    }

    fn crypto(&self) -> &Self {
        self
    }

    fn rand(&self) -> &Random {
        self.honest.rand()
    }
}

impl OpenMlsCrypto for Liar<'_> {
    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        let mut keys = self.honest.crypto().derive_hpke_keypair(config, ikm)?;
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            // Coefficients that ML-KEM has not.
            keys.public[..1_184].fill(0xff);
        }
        Ok(keys)
    }

    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        self.honest.crypto().supports(ciphersuite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.honest.crypto().supported_ciphersuites()
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.honest.crypto().hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.honest.crypto().hmac(hash, key, message)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.honest.crypto().hkdf_expand(hash, prk, info, okm_len)
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.honest.crypto().hash(hash, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.honest.crypto().aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.honest.crypto().aead_decrypt(alg, key, ct_tag, nonce, aad)
    }

    fn signature_key_gen(&self, scheme: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        self.honest.crypto().signature_key_gen(scheme)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        data: &[u8],
        key: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.honest.crypto().verify_signature(scheme, data, key, signature)
    }

    fn sign(&self, scheme: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.honest.crypto().sign(scheme, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        public_key: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        self.honest.crypto().hpke_seal(config, public_key, info, aad, plaintext)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        private_key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.honest.crypto().hpke_open(config, input, private_key, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        public_key: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        self.honest.crypto().hpke_setup_sender_and_export(config, public_key, info, context, length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        private_key: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        self.honest.crypto().hpke_setup_receiver_and_export(config, enc, private_key, info, context, length)
    }
}

/// With a key that nobody can seal to, each later commit that removes somebody would fail.
#[test]
fn a_commit_whose_new_leaf_key_is_malformed_is_refused() {
    let mut refused = 0;
    // The keys of a path are derived one after the other. Which is the leaf's is the library's own business, and what it makes of the
    // others another matter (spec 40.6.6).
    for spoilt in 0..8 {
        let (mut alice, mut bob, mut carol) = trio();
        let before = (alice.epoch(), carol.epoch());
        let session = bob.session.as_mut().unwrap();
        let liar = Liar { honest: &session.provider, left: AtomicI32::new(spoilt) };
        let commit = session.group.self_update(&liar, &bob.signer, LeafNodeParameters::default());
        let commit = commit.unwrap().into_commit().to_bytes().unwrap();
        if liar.left.load(Ordering::Relaxed) >= 0 {
            break;
        }
        let made_of_it = [&mut alice, &mut carol].map(|member| member.process_commit(&commit).map(drop));
        let expected = Error::bad_from("commit", bob.key_id(), "an X-Wing public key is malformed");
        if made_of_it == [Err(expected.clone()), Err(expected)] {
            assert_eq!((alice.epoch(), carol.epoch()), before);
            refused += 1;
        }
    }
    assert_eq!(refused, 1, "one of the keys is the leaf's");
}
