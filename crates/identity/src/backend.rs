//! Where the arithmetic is done, and the rules that hold whoever does it.

use crate::{Error, Seed};
use ed25519_dalek::VerifyingKey;

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod portable;

/// Which library signs and verifies. Keys, signatures and what is accepted are the same with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// `aws-lc-rs`: the fast one, on targets that have a C compiler. Feature `aws-lc`, on by default.
    #[cfg(feature = "aws-lc")]
    AwsLc,
    /// `ed25519-dalek` and `ml-dsa`: pure Rust, for every target.
    Portable,
}

impl Backend {
    /// Every backend that this build has.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "aws-lc")]
        Self::AwsLc,
        Self::Portable,
    ];

    /// The Ed25519 rule of spec 10.3.4, but for the key: that was looked at when the public identity was read.
    pub(crate) fn verify_ed25519(self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        !small_order(signature.first_chunk()) && self.suite().verify_ed25519(key, message, signature)
    }

    pub(crate) fn suite(self) -> &'static dyn Suite {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::AwsLc => &aws_lc::AwsLc,
            Self::Portable => &portable::Portable,
        }
    }
}

impl Default for Backend {
    /// aws-lc when it is built in, the pure-Rust pair otherwise.
    fn default() -> Self {
        Self::ALL[0]
    }
}

/// The operations that a backend brings. [`Backend::verify_ed25519`] and [`acceptable_ed25519_key`] add the rules that no
/// library is trusted with.
pub(crate) trait Suite {
    fn keys(&self, seed: &Seed) -> Result<Box<dyn HybridKeys>, Error>;
    /// Cofactorless, with S < L and a canonical R.
    fn verify_ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
    /// "Pure" ML-DSA-65 with an empty context string.
    fn verify_ml_dsa(&self, key: &[u8; 1_952], message: &[u8], signature: &[u8; 3_309]) -> bool;
}

/// A key pair of each kind, inside a backend.
pub(crate) trait HybridKeys: Send + Sync {
    fn ed25519_public(&self) -> [u8; 32];
    fn ml_dsa_public(&self) -> Box<[u8; 1_952]>;
    fn sign_ed25519(&self, message: &[u8]) -> Result<[u8; 64], Error>;
    fn sign_ml_dsa(&self, message: &[u8]) -> Result<Box<[u8; 3_309]>, Error>;
}

/// True for the canonical encoding of a point that is not of small order.
pub(crate) fn acceptable_ed25519_key(key: &[u8; 32]) -> bool {
    canonical(key) && !small_order(Some(key)) && VerifyingKey::from_bytes(key).is_ok()
}

/// True if the encoded y is below p = 2^255 - 19. Little-endian; bit 255 is the sign of x.
fn canonical(point: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = point;
    high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *low < 0xed
}

/// True if `point`, taken as canonical, has an order that divides the cofactor 8. Such a key verifies signatures that
/// nobody made, and such an R is where cofactored and cofactorless verification part.
fn small_order(point: Option<&[u8; 32]>) -> bool {
    let Some(point) = point else { return true };
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
#[cfg(test)]
mod vectors;
