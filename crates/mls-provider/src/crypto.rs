//! The cryptography of one suite.

use crate::memo::Memo;
use crate::{Random, ed25519, hpke, xwing};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use core::fmt;
use hkdf::Hkdf;
use hkdf::hmac::{Hmac, KeyInit as _, Mac as _};
use openmls::prelude::tls_codec::SecretVLBytes;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeAeadType, HpkeCiphertext, HpkeConfig,
    HpkeKdfType, HpkeKemType, HpkeKeyPair, KemOutput, SignatureScheme,
};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The only ciphersuite: X-Wing, ChaCha20-Poly1305, SHA-256, Ed25519 (code point 0x004D, provisional).
pub const SUITE: Ciphersuite = Ciphersuite::MLS_256_XWING_CHACHA20POLY1305_SHA256_Ed25519;

/// [`SUITE`], and "unsupported" for everything else. Lengths of what peers choose are checked before any library sees them.
///
/// It remembers the digests of tree nodes, up to 16 MiB of them, since `openmls` hashes the whole tree at
/// each commit; and of the last long HPKE info, since all welcomes of a commit have the same.
pub struct Crypto {
    random: Random,
    digests: Memo,
    infos: hpke::LastInfo,
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Crypto(..)")
    }
}

impl Crypto {
    /// Over a seeded, cryptographically secure generator of its own.
    pub fn new(random: impl CryptoRng + Send + 'static) -> Self {
        Self { random: Random::new(random), digests: Memo::default(), infos: hpke::LastInfo::default() }
    }

    /// The generator.
    pub const fn random(&self) -> &Random {
        &self.random
    }

    /// True if something can be sealed to this public key: the length is right, the ML-KEM part is in range and the
    /// X25519 part not of small order.
    pub fn can_seal_to(&self, public_key: &[u8]) -> bool {
        xwing::encapsulate(public_key, &[1; xwing::ENCAPSULATION_SEED]).is_ok()
    }
}

/// ChaCha20-Poly1305; the tag comes last.
pub(crate) fn seal(key: &[u8], nonce: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let (key, nonce) = aead(key, nonce)?;
    let mut sealed = Vec::with_capacity(plaintext.len() + CHACHA20_POLY1305.tag_len());
    sealed.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed)
        .map_err(|_| CryptoError::CryptoLibraryError)?;
    Ok(sealed)
}

/// The plaintext, if the tag fits.
pub(crate) fn open(key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let (key, nonce) = aead(key, nonce)?;
    let mut plaintext = sealed.to_vec();
    let len = key
        .open_in_place(nonce, Aad::from(aad), &mut plaintext)
        .map_err(|_| CryptoError::AeadDecryptionError)?
        .len();
    plaintext.truncate(len);
    Ok(plaintext)
}

fn aead(key: &[u8], nonce: &[u8]) -> Result<(LessSafeKey, Nonce), CryptoError> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| CryptoError::InvalidLength)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::InvalidLength)?;
    Ok((LessSafeKey::new(key), nonce))
}

const fn our_hash(hash: HashType) -> Result<(), CryptoError> {
    match hash {
        HashType::Sha2_256 => Ok(()),
        _ => Err(CryptoError::UnsupportedHashAlgorithm),
    }
}

const fn our_aead(aead: AeadType) -> Result<(), CryptoError> {
    match aead {
        AeadType::ChaCha20Poly1305 => Ok(()),
        _ => Err(CryptoError::UnsupportedAeadAlgorithm),
    }
}

const fn our_signature(scheme: SignatureScheme) -> Result<(), CryptoError> {
    match scheme {
        SignatureScheme::ED25519 => Ok(()),
        _ => Err(CryptoError::UnsupportedSignatureScheme),
    }
}

const fn our_hpke(config: &HpkeConfig) -> Result<(), CryptoError> {
    match config {
        HpkeConfig(HpkeKemType::XWingKemDraft6, HpkeKdfType::HkdfSha256, HpkeAeadType::ChaCha20Poly1305) => {
            Ok(())
        }
        _ => Err(CryptoError::UnsupportedCiphersuite),
    }
}

/// HMAC takes keys of any length.
fn hmac(key: &[u8]) -> Result<Hmac<Sha256>, CryptoError> {
    Hmac::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)
}

impl OpenMlsCrypto for Crypto {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        if ciphersuite == SUITE { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![SUITE]
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        our_hash(hash)?;
        // RFC 5869 section 2.2: it is HMAC with the salt as key.
        let mut mac = hmac(salt)?;
        mac.update(ikm);
        Ok(mac.finalize().into_bytes().as_slice().into())
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        our_hash(hash)?;
        let mut mac = hmac(key)?;
        mac.update(message);
        Ok(mac.finalize().into_bytes().as_slice().into())
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        our_hash(hash)?;
        if okm_len > 255 * 32 {
            return Err(CryptoError::HkdfOutputLengthInvalid);
        }
        let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| CryptoError::InvalidLength)?;
        let mut okm = vec![0; okm_len];
        hkdf.expand(info, &mut okm).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
        Ok(okm.into())
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        our_hash(hash)?;
        Ok(self.digests.sha256(data).to_vec())
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        our_aead(alg)?;
        seal(key, nonce, aad, data)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        our_aead(alg)?;
        open(key, nonce, aad, ct_tag)
    }

    fn signature_key_gen(&self, scheme: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        our_signature(scheme)?;
        let mut seed = Zeroizing::new([0; 32]);
        self.random.fill(seed.as_mut_slice());
        let public = ed25519::Signer::from_seed(&seed)?.public_key().to_vec();
        Ok((seed.to_vec(), public))
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        data: &[u8],
        key: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        our_signature(scheme)?;
        ed25519::verify(key, data, signature)
    }

    fn sign(&self, scheme: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        use openmls_traits::signatures::Signer as _;
        our_signature(scheme)?;
        let seed = key.try_into().map_err(|_| CryptoError::InvalidLength)?;
        ed25519::Signer::from_seed(seed)?.sign(data).map_err(|_| CryptoError::SigningError)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        public_key: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        our_hpke(&config)?;
        let (kem_output, ciphertext) =
            hpke::seal(&self.random, &self.infos, public_key, info, aad, plaintext)?;
        Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        private_key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        our_hpke(&config)?;
        hpke::open(input.kem_output.as_slice(), private_key, info, aad, input.ciphertext.as_slice())
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        public_key: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        our_hpke(&config)?;
        let (output, secret) = hpke::send_export(&self.random, public_key, info, context, length)?;
        Ok((output, secret.to_vec().into()))
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
        our_hpke(&config)?;
        Ok(hpke::receive_export(enc, private_key, info, context, length)?.to_vec().into())
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        our_hpke(&config)?;
        let (private, public) = hpke::derive_key_pair(ikm)?;
        Ok(HpkeKeyPair { private: private.to_vec().into(), public })
    }
}

#[cfg(test)]
mod tests;
