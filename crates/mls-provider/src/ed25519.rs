//! Ed25519 by aws-lc, under the one rule of the front page.

use crate::Crypto;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use core::fmt;
use openmls_traits::signatures::{Signer as MlsSigner, SignerError};
use openmls_traits::types::{CryptoError, SignatureScheme};
use zeroize::Zeroizing;

/// An Ed25519 signing key for `openmls`, parsed once and not at each signature. aws-lc wipes it when it is dropped.
pub struct Signer {
    key: Ed25519KeyPair,
    public: [u8; 32],
}

impl Signer {
    /// The key of a seed (RFC 8032 section 5.1.5 calls it the private key).
    ///
    /// # Errors
    /// [`CryptoError::CryptoLibraryError`] when aws-lc fails.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, CryptoError> {
        // "Unchecked" is about a public key to compare with, which there is none of.
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CryptoError::CryptoLibraryError)?;
        let public = key.public_key().as_ref().try_into().map_err(|_| CryptoError::CryptoLibraryError)?;
        Ok(Self { key, public })
    }

    /// A new key from the provider's generator.
    ///
    /// # Errors
    /// As [`from_seed`](Self::from_seed).
    pub fn generate(crypto: &Crypto) -> Result<Self, CryptoError> {
        let mut seed = Zeroizing::new([0; 32]);
        crypto.random().fill(seed.as_mut_slice());
        Self::from_seed(&seed)
    }

    /// The public half, for a leaf's signature key.
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public", &self.public).finish_non_exhaustive()
    }
}

impl MlsSigner for Signer {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        let signature = self.key.try_sign(payload).map_err(|_| SignerError::SigningError)?;
        Ok(signature.as_ref().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The rule. aws-lc computes `[S]B - [k]A`, encodes it and compares bytes, so that a non-canonical R never matches and no
/// cofactor is involved; it refuses S >= L and keys off the curve.
pub(crate) fn verify(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    let key: &[u8; 32] = key.try_into().map_err(|_| CryptoError::InvalidLength)?;
    let (r, _) = signature.split_first_chunk::<32>().ok_or(CryptoError::InvalidLength)?;
    if signature.len() != 64 {
        return Err(CryptoError::InvalidLength);
    }
    if !canonical(key) || small_order(key) || small_order(r) {
        return Err(CryptoError::InvalidSignature);
    }
    UnparsedPublicKey::new(&ED25519, key)
        .verify(message, signature)
        .map_err(|_| CryptoError::InvalidSignature)
}

/// True if the encoded y is below p = 2^255 - 19. Little-endian; bit 255 is the sign of x.
fn canonical(point: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = point;
    high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *low < 0xed
}

/// True if `point`, taken as canonical, has an order that divides the cofactor 8. Such a key verifies signatures that
/// nobody made, and such an R is where cofactored and cofactorless verification part.
fn small_order(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f;
    SMALL_ORDER_Y.contains(&y)
}

/// The y coordinates of the eight points of small order; x and -x share one.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    // order 4
    [0; 32],
    // order 1
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // order 8
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    // order 8
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    // order 2
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
];

#[cfg(test)]
mod tests;
