//! AES-256-GCM in two implementations behind one small trait.

use crate::Error;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of an AES-GCM tag.
pub const TAG_LEN: usize = 16;

/// AES-256-GCM under one key (NIST SP 800-38D): 12-byte nonces, 16-byte tags.
pub trait Aead: Sized + Send + Sync {
    /// Takes a key.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses the key; does not happen with 32 bytes.
    fn new(key: &[u8; 32]) -> Result<Self, Error>;

    /// Encrypts `data` in place and returns the tag. A nonce must never be used twice under one key.
    ///
    /// # Errors
    /// [`Error::Crypto`] if `data` is longer than the algorithm allows (64 GiB).
    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG_LEN], Error>;

    /// Checks the tag and decrypts `data` in place. On false, `data` holds nothing of use.
    #[must_use]
    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8; TAG_LEN]) -> bool;
}

/// The fast default on native targets: AWS-LC through `aws-lc-rs`.
pub struct AwsLc(LessSafeKey);

impl Aead for AwsLc {
    fn new(key: &[u8; 32]) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::Crypto("AES-256-GCM key set-up"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG_LEN], Error> {
        let failed = || Error::Crypto("AES-256-GCM seal");
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
            .map_err(|_| failed())?;
        tag.as_ref().try_into().map_err(|_| failed())
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        self.0
            .open_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), tag, data)
            .is_ok()
    }
}

/// The pure-Rust choice for targets without a C compiler: RustCrypto's `aes-gcm`. About three times slower.
pub struct Portable(Aes256Gcm);

impl Aead for Portable {
    fn new(key: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self(Aes256Gcm::new(key.into())))
    }

    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG_LEN], Error> {
        let tag = self
            .0
            .encrypt_inout_detached(&nonce.into(), aad, data.into())
            .map_err(|_| Error::Crypto("AES-256-GCM seal"))?;
        Ok(tag.into())
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        self.0.decrypt_inout_detached(&nonce.into(), aad, data.into(), tag.into()).is_ok()
    }
}

impl core::fmt::Debug for AwsLc {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("AwsLc(key redacted)")
    }
}

impl core::fmt::Debug for Portable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Portable(key redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn crossed<A: Aead, B: Aead>(key: [u8; 32], nonce: [u8; 12], aad: &[u8], plain: &[u8], flip: usize) {
        let mut data = plain.to_vec();
        let mut tag = A::new(&key).unwrap().seal(nonce, aad, &mut data).unwrap();
        let sealed = data.clone();
        let other = B::new(&key).unwrap();
        assert!(other.open(nonce, aad, &mut data, &tag));
        assert_eq!(data, plain);
        tag[flip / 8 % TAG_LEN] ^= 1 << (flip % 8);
        assert!(!other.open(nonce, aad, &mut sealed.clone(), &tag));
    }

    proptest! {
        #[test]
        fn each_implementation_opens_what_the_other_sealed(
            key: [u8; 32], nonce: [u8; 12], aad: Vec<u8>, plain: Vec<u8>, flip in 0usize..128,
        ) {
            crossed::<AwsLc, Portable>(key, nonce, &aad, &plain, flip);
            crossed::<Portable, AwsLc>(key, nonce, &aad, &plain, flip);
        }
    }
}
