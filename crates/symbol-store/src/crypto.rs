//! AES-256-GCM under random keys, each for one group of one content.

use crate::Error;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use core::fmt;
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes that sealing adds: a nonce in front, a tag behind.
pub(crate) const SEAL_LEN: usize = NONCE_LEN + TAG_LEN;
pub(crate) const TAG_LEN: usize = 16;

/// What the keys of a store are wrapped under. Keep it where the store is not. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct StoreKey(pub [u8; 32]);

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(redacted)")
    }
}

impl StoreKey {
    /// The key under which the key table of one store is wrapped.
    pub(crate) fn table_key(&self, salt: &[u8; 32]) -> Result<SealKey, Error> {
        let mut key = Zeroizing::new([0; 32]);
        Prk::new_less_safe(HKDF_SHA256, &self.0)
            .expand(&[b"holomesh store key table v1".as_slice(), salt], HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut_slice()))
            .map_err(|_| Error::Crypto("deriving the key of the key table"))?;
        SealKey::new(&key)
    }
}

/// A key that is ready for use.
pub(crate) struct SealKey(LessSafeKey);

impl SealKey {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::Crypto("AES-256-GCM key set-up"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals what lies between the room for the nonce and the room for the tag.
    pub(crate) fn seal(&self, aad: &[u8], slot: &mut [u8], rng: &mut dyn CryptoRng) -> Result<(), Error> {
        let failed = || Error::Crypto("AES-256-GCM seal");
        let (nonce, rest) = slot.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(failed)?;
        let (plain, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or_else(failed)?;
        // Random, not counted: a number that a crash took back would be used twice.
        rng.fill_bytes(nonce);
        let made = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), plain)
            .map_err(|_| failed())?;
        tag.copy_from_slice(made.as_ref());
        Ok(())
    }

    /// Nonce, bytes and tag of a value in one piece.
    pub(crate) fn seal_vec(
        &self,
        aad: &[u8],
        plain: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Error> {
        let mut slot = vec![0; plain.len() + SEAL_LEN];
        slot[NONCE_LEN..NONCE_LEN + plain.len()].copy_from_slice(plain);
        self.seal(aad, &mut slot, rng)?;
        Ok(slot)
    }

    /// `None` unless it was sealed with this key and these additional data.
    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = Zeroizing::new(rest.to_vec());
        let len = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut plain)
            .ok()?
            .len();
        plain.truncate(len);
        Some(plain)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(redacted)")
    }
}
