//! The hybrid signature as bytes.

use crate::Error;
use core::fmt;

/// An Ed25519 signature (64 bytes) and an ML-DSA-65 signature (3,309 bytes) over it and the same message.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HybridSignature {
    pub(crate) ed25519: [u8; Self::ED25519_LEN],
    // Boxed: 3.3 KB would otherwise be copied with every move of a structure that holds a signature.
    pub(crate) ml_dsa: Box<[u8; Self::ML_DSA_LEN]>,
}

impl HybridSignature {
    /// Bytes of the Ed25519 half.
    pub const ED25519_LEN: usize = 64;
    /// Bytes of the ML-DSA-65 half.
    pub const ML_DSA_LEN: usize = 3_309;
    /// Bytes of the whole, always.
    pub const LEN: usize = Self::ED25519_LEN + Self::ML_DSA_LEN;

    /// Ed25519 half, then ML-DSA half.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..Self::ED25519_LEN].copy_from_slice(&self.ed25519);
        bytes[Self::ED25519_LEN..].copy_from_slice(self.ml_dsa.as_slice());
        bytes
    }

    /// Reads the form that [`to_bytes`](Self::to_bytes) writes. Says nothing about validity.
    ///
    /// # Errors
    /// [`Error::Size`] unless there are exactly [`LEN`](Self::LEN) bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = || Error::Size { what: "hybrid signature", want: Self::LEN, got: bytes.len() };
        let (ed25519, ml_dsa) = bytes.split_at_checked(Self::ED25519_LEN).ok_or_else(wrong)?;
        Ok(Self {
            ed25519: ed25519.try_into().map_err(|_| wrong())?,
            ml_dsa: boxed(ml_dsa).ok_or_else(wrong)?,
        })
    }
}

impl fmt::Debug for HybridSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.ed25519;
        write!(f, "HybridSignature({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// A boxed array of exactly `N` bytes. The length is looked at before anything is allocated.
pub(crate) fn boxed<const N: usize>(bytes: &[u8]) -> Option<Box<[u8; N]>> {
    let exact: &[u8; N] = bytes.try_into().ok()?;
    Some(Box::new(*exact))
}
