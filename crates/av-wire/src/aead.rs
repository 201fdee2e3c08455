//! AES-256-GCM in two implementations behind one small trait.

use crate::Error;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

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

    /// Encrypts `head` in place and `payload` from where it lies into `rest`, as one plaintext, and puts the tag behind:
    /// nothing is copied. `rest` must have room for the payload and the tag, and no more.
    ///
    /// # Errors
    /// [`Error::Crypto`] if `rest` has another length.
    fn seal_scatter(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        head: &mut [u8],
        payload: &[u8],
        rest: &mut [u8],
    ) -> Result<(), Error>;

    /// Encrypts `plain` from where it lies into `out`, and puts the tag behind. `out` must have room for both, and no more.
    ///
    /// # Errors
    /// [`Error::Crypto`] if `out` has another length.
    fn seal_apart(&self, nonce: [u8; 12], aad: &[u8], plain: &[u8], out: &mut [u8]) -> Result<(), Error>;

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

    fn seal_scatter(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        head: &mut [u8],
        payload: &[u8],
        rest: &mut [u8],
    ) -> Result<(), Error> {
        self.0
            .seal_in_place_scatter(Nonce::assume_unique_for_key(nonce), Aad::from(aad), head, payload, rest)
            .map_err(|_| Error::Crypto("AES-256-GCM seal"))
    }

    fn seal_apart(&self, nonce: [u8; 12], aad: &[u8], plain: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let (text, tag) = out.split_at_mut_checked(plain.len()).ok_or(Error::Crypto("AES-256-GCM seal"))?;
        self.0
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                plain,
                text,
                &[],
                tag,
            )
            .map_err(|_| Error::Crypto("AES-256-GCM seal"))
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

    /// The two parts of the plaintext share cipher blocks, which this library can't be told: the payload is copied once,
    /// to where its ciphertext goes, if there is a head.
    fn seal_scatter(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        head: &mut [u8],
        payload: &[u8],
        rest: &mut [u8],
    ) -> Result<(), Error> {
        let failed = || Error::Crypto("AES-256-GCM seal");
        if rest.len() != payload.len() + TAG_LEN {
            return Err(failed());
        }
        if head.is_empty() {
            return self.seal_apart(nonce, aad, payload, rest);
        }
        let mut whole = Zeroizing::new(Vec::with_capacity(head.len() + payload.len()));
        whole.extend_from_slice(head);
        whole.extend_from_slice(payload);
        let tag = self.seal(nonce, aad, &mut whole)?;
        let (first, second) = whole.split_at(head.len());
        let (text, end) = rest.split_at_mut(payload.len());
        head.copy_from_slice(first);
        text.copy_from_slice(second);
        end.copy_from_slice(&tag);
        Ok(())
    }

    fn seal_apart(&self, nonce: [u8; 12], aad: &[u8], plain: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let failed = || Error::Crypto("AES-256-GCM seal");
        let (text, end) = out.split_at_mut_checked(plain.len()).ok_or_else(failed)?;
        let end: &mut [u8; TAG_LEN] = end.try_into().map_err(|_| failed())?;
        let buffer = InOutBuf::new(plain, text).map_err(|_| failed())?;
        let tag = self.0.encrypt_inout_detached(&nonce.into(), aad, buffer).map_err(|_| failed())?;
        *end = tag.into();
        Ok(())
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

        #[test]
        fn every_way_of_sealing_makes_the_same_bytes(
            key: [u8; 32], nonce: [u8; 12], aad: Vec<u8>, plain in prop::collection::vec(any::<u8>(), 0..700), cut: prop::sample::Index,
        ) {
            let cut = cut.index(plain.len() + 1);
            let fast = AwsLc::new(&key).unwrap();
            let portable = Portable::new(&key).unwrap();
            let mut expected = plain.clone();
            let tag = portable.seal(nonce, &aad, &mut expected).unwrap();
            expected.extend_from_slice(&tag);
            for way in 0..4 {
                let mut out = vec![0; plain.len() + TAG_LEN];
                let (head, rest) = out.split_at_mut(if way < 2 { cut } else { 0 });
                head.copy_from_slice(&plain[..head.len()]);
                let payload = &plain[head.len()..];
                match way {
                    0 => fast.seal_scatter(nonce, &aad, head, payload, rest),
                    1 => portable.seal_scatter(nonce, &aad, head, payload, rest),
                    2 => fast.seal_apart(nonce, &aad, payload, rest),
                    _ => portable.seal_apart(nonce, &aad, payload, rest),
                }.unwrap();
                prop_assert_eq!(&out, &expected, "way {}", way);
            }
            let mut short = vec![0; plain.len() + TAG_LEN - 1];
            prop_assert!(fast.seal_apart(nonce, &aad, &plain, &mut short).is_err());
            prop_assert!(portable.seal_apart(nonce, &aad, &plain, &mut short).is_err());
            prop_assert!(fast.seal_scatter(nonce, &aad, &mut [], &plain, &mut short).is_err());
            prop_assert!(portable.seal_scatter(nonce, &aad, &mut [], &plain, &mut short).is_err());
        }
    }
}
