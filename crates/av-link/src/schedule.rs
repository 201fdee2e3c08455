//! Transcript, key schedule, seal and confirmation (spec 35 sections 5 and 6).

use crate::x_wing::SharedSecret;
use crate::{Error, Seed};
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of the tag at the end of what is sealed.
pub(crate) const TAG_LEN: usize = 16;
/// Bytes of a confirmation.
pub(crate) const CONFIRMATION_LEN: usize = 32;

/// A secret of 32 bytes inside the schedule. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) const fn zero() -> Self {
        Self([0; 32])
    }

    pub(crate) const fn as_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }

    /// What follows from the first encapsulation.
    pub(crate) fn first(shared: &SharedSecret) -> Self {
        Self::extract(b"holomesh link v1", shared)
    }

    /// What follows from the second, on top of the first.
    pub(crate) fn second(&self, at: &Transcript, shared: &SharedSecret) -> Result<Self, Error> {
        let salt = self.derive("holomesh link v1 next", at)?;
        Ok(Self::extract(&salt.0, shared))
    }

    /// A key for one purpose at one place of the transcript.
    pub(crate) fn derive(&self, label: &str, at: &Transcript) -> Result<Self, Error> {
        let mut key = Self::zero();
        expand(self, &[label.as_bytes(), &at.0], &mut key.0)?;
        Ok(key)
    }

    fn extract(salt: &[u8], shared: &SharedSecret) -> Self {
        let (mut secret, _) = Hkdf::<Sha256>::extract(Some(salt), shared.as_bytes());
        let kept = Self(secret.into());
        secret.zeroize();
        kept
    }

    /// Appends the seal of `plaintext` to `out`. The key is used once, so the nonce is zero.
    pub(crate) fn seal(&self, at: &Transcript, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = Aes256Gcm::new(&self.0.into())
            .encrypt_inout_detached(&[0; 12].into(), &at.0, out[start..].as_mut().into())
            .map_err(|_| Error::Backend("AES-256-GCM seal"))?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens what [`seal`](Self::seal) made.
    pub(crate) fn open(&self, at: &Transcript, sealed: &[u8], what: &'static str) -> Result<Vec<u8>, Error> {
        let failed = || Error::Authentication { what };
        let (data, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or_else(failed)?;
        let mut data = data.to_vec();
        Aes256Gcm::new(&self.0.into())
            .decrypt_inout_detached(&[0; 12].into(), &at.0, data.as_mut_slice().into(), tag.into())
            .map_err(|_| failed())?;
        Ok(data)
    }

    /// HMAC-SHA-256 over a place of the transcript and what is said there.
    pub(crate) fn confirm(&self, at: &Transcript, says: &[u8]) -> Result<[u8; CONFIRMATION_LEN], Error> {
        Ok(self.mac(at, says)?.finalize().into_bytes().into())
    }

    /// Whether `confirmation` is what [`confirm`](Self::confirm) makes; in constant time.
    pub(crate) fn confirms(&self, at: &Transcript, says: &[u8], confirmation: &[u8]) -> Result<bool, Error> {
        Ok(self.mac(at, says)?.verify_slice(confirmation).is_ok())
    }

    fn mac(&self, at: &Transcript, says: &[u8]) -> Result<Hmac<Sha256>, Error> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0)
            .map_err(|_| Error::Backend("HMAC-SHA-256 key set-up"))?;
        mac.update(&at.0);
        mac.update(says);
        Ok(mac)
    }
}

/// HKDF-Expand (RFC 5869 section 2.3) with an info in parts.
pub(crate) fn expand(secret: &Secret, info: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    Hkdf::<Sha256>::from_prk(&secret.0)
        .and_then(|hkdf| hkdf.expand_multi_info(info, out).map_err(|_| hkdf::InvalidPrkLength))
        .map_err(|_| Error::Backend("HKDF-Expand"))
}

/// What a side draws from its seed.
pub(crate) fn draw<const N: usize>(seed: &Seed, what: &str) -> Result<zeroize::Zeroizing<[u8; N]>, Error> {
    let mut out = zeroize::Zeroizing::new([0; N]);
    expand(&Secret(seed.0), &[b"holomesh link seed v1 ", what.as_bytes()], out.as_mut_slice())?;
    Ok(out)
}

/// A running hash of everything that was said. Each step takes in the one before it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Transcript([u8; 32]);

impl Transcript {
    /// T1: the offer and the part of the answer that is in the clear.
    pub(crate) fn start(offer: &[u8], answer_in_the_clear: &[u8]) -> Self {
        // An offer has at most 1,314 bytes.
        let len = u16::try_from(offer.len()).unwrap_or(u16::MAX);
        Self(hash(&[b"holomesh link transcript v1", &len.to_be_bytes(), offer, answer_in_the_clear]))
    }

    pub(crate) fn then(&self, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new_with_prefix(self.0);
        parts.iter().for_each(|part| hash.update(part));
        Self(hash.finalize().into())
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// SHA-256 over parts put together.
pub(crate) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
