//! The hybrid KEM X-Wing: X25519 and ML-KEM-768 under one combiner (draft-connolly-cfrg-xwing-kem, spec 35 section 2).
//!
//! The shared secret is SHA3-256(ML-KEM secret ‖ X25519 secret ‖ X25519 ciphertext ‖ X25519 public key ‖ label). Nobody
//! can leave one half out: there is no type here for a key or a ciphertext that has only one of them.
//!
//! An all-zero X25519 result, which only a point of small order gives, is refused on both sides. So is an ML-KEM public
//! key with a coefficient outside the field (FIPS 203 section 7.2). An altered ciphertext is no error: decapsulation
//! then gives another secret (implicit rejection), and what the secret protects does not open.
//!
//! ```
//! use av_link::x_wing::{Backend, SecretKey};
//!
//! let secret = SecretKey::generate(Backend::default(), &[7; 32])?; // random in real use, as are the 64 bytes below
//! let (ciphertext, sent) = secret.public().encapsulate(Backend::default(), &[9; 64])?;
//! assert!(secret.decapsulate(&ciphertext)?.same_as(&sent));
//! # Ok::<(), av_link::Error>(())
//! ```

use crate::Error;
use core::fmt;
use sha3::{Digest, Sha3_256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod portable;

/// Bytes of a public key: ML-KEM-768 encapsulation key (1,184), then X25519 public key (32).
pub const PUBLIC_KEY_LEN: usize = 1_216;
/// Bytes of a ciphertext: ML-KEM-768 ciphertext (1,088), then X25519 ephemeral public key (32).
pub const CIPHERTEXT_LEN: usize = 1_120;
const ML_KEM_PUBLIC_LEN: usize = 1_184;
const ML_KEM_CIPHERTEXT_LEN: usize = 1_088;
/// The combiner's label: `\.//^\`.
const LABEL: [u8; 6] = [0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c];

/// Which library does the arithmetic. They understand one another; they differ in where randomness comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// `aws-lc-rs`: the fast one, on targets with a C compiler. Feature `aws-lc`, on by default. It takes no randomness
    /// for ML-KEM: key pairs and encapsulations draw that half from the library's own generator, and only the X25519
    /// half is made from what the caller passes.
    #[cfg(feature = "aws-lc")]
    AwsLc,
    /// `ml-kem` and `x25519-dalek`: pure Rust, for every target. Everything follows from what the caller passes.
    Portable,
}

impl Backend {
    /// Every backend that this build has.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "aws-lc")]
        Self::AwsLc,
        Self::Portable,
    ];

    fn suite(self) -> &'static dyn Suite {
        match self {
            #[cfg(feature = "aws-lc")]
            Self::AwsLc => &aws_lc::AwsLc,
            Self::Portable => &portable::Portable,
        }
    }
}

impl Default for Backend {
    /// aws-lc when it is built in, the pure-Rust crates otherwise.
    fn default() -> Self {
        Self::ALL[0]
    }
}

/// A secret key. Meant for one handshake. Not `Clone`; the libraries wipe it when it is dropped.
pub struct SecretKey {
    halves: Box<dyn Halves>,
    public: PublicKey,
}

impl SecretKey {
    /// A key pair from 32 random bytes. With [`Backend::Portable`] the seed decides everything, as in the draft's key
    /// generation; with [`Backend::AwsLc`] it decides the X25519 half (see there).
    ///
    /// # Errors
    /// [`Error::Backend`] when the library fails.
    pub fn generate(backend: Backend, seed: &[u8; 32]) -> Result<Self, Error> {
        let (halves, public) = backend.suite().generate(&Expanded::from_seed(seed))?;
        Ok(Self { halves, public })
    }

    /// What the other side needs.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The secret that somebody put into `ciphertext`.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the X25519 half is a point of small order, [`Error::Backend`] when the library fails.
    pub fn decapsulate(&self, ciphertext: &Ciphertext) -> Result<SharedSecret, Error> {
        let secrets = self.halves.decapsulate(ciphertext)?;
        Ok(secrets.combine(ciphertext.x25519(), self.public.x25519()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

/// A public key: bytes of the right number. Whether they are a key is found out by [`encapsulate`](Self::encapsulate).
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Box<[u8; PUBLIC_KEY_LEN]>);

impl PublicKey {
    /// From the wire.
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY_LEN]) -> Self {
        Self(Box::new(*bytes))
    }

    /// As it goes over the wire.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }

    /// Makes a secret that only the owner of the secret key can get out of the ciphertext. `randomness`: 32 bytes for
    /// ML-KEM, which [`Backend::AwsLc`] leaves unused, then 32 for X25519.
    ///
    /// # Errors
    /// [`Error::Malformed`] when these bytes are no valid key, [`Error::Backend`] when the library fails.
    pub fn encapsulate(
        &self,
        backend: Backend,
        randomness: &[u8; 64],
    ) -> Result<(Ciphertext, SharedSecret), Error> {
        let (ciphertext, secrets) = backend.suite().encapsulate(self, randomness)?;
        let shared = secrets.combine(ciphertext.x25519(), self.x25519());
        Ok((ciphertext, shared))
    }

    fn ml_kem(&self) -> &[u8; ML_KEM_PUBLIC_LEN] {
        front(&self.0)
    }

    fn x25519(&self) -> &[u8; 32] {
        back(&self.0)
    }

    fn join(ml_kem: &[u8; ML_KEM_PUBLIC_LEN], x25519: &[u8; 32]) -> Self {
        let mut bytes = Box::new([0; PUBLIC_KEY_LEN]);
        bytes[..ML_KEM_PUBLIC_LEN].copy_from_slice(ml_kem);
        bytes[ML_KEM_PUBLIC_LEN..].copy_from_slice(x25519);
        Self(bytes)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = *self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// What carries a secret to the owner of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext(Box<[u8; CIPHERTEXT_LEN]>);

impl Ciphertext {
    /// From the wire.
    pub fn from_bytes(bytes: &[u8; CIPHERTEXT_LEN]) -> Self {
        Self(Box::new(*bytes))
    }

    /// As it goes over the wire.
    pub const fn as_bytes(&self) -> &[u8; CIPHERTEXT_LEN] {
        &self.0
    }

    fn ml_kem(&self) -> &[u8; ML_KEM_CIPHERTEXT_LEN] {
        front(&self.0)
    }

    fn x25519(&self) -> &[u8; 32] {
        back(&self.0)
    }

    fn join(ml_kem: &[u8; ML_KEM_CIPHERTEXT_LEN], x25519: &[u8; 32]) -> Self {
        let mut bytes = Box::new([0; CIPHERTEXT_LEN]);
        bytes[..ML_KEM_CIPHERTEXT_LEN].copy_from_slice(ml_kem);
        bytes[ML_KEM_CIPHERTEXT_LEN..].copy_from_slice(x25519);
        Self(bytes)
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = *self.0;
        write!(f, "Ciphertext({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// 32 bytes that both sides of an encapsulation have. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    /// The secret, to derive keys from.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time.
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(redacted)")
    }
}

/// What a backend brings. The combiner and the sizes are above it.
trait Suite {
    fn generate(&self, seeds: &Expanded) -> Result<(Box<dyn Halves>, PublicKey), Error>;
    fn encapsulate(&self, key: &PublicKey, randomness: &[u8; 64]) -> Result<(Ciphertext, Secrets), Error>;
}

/// A secret key inside a backend.
trait Halves: Send + Sync {
    fn decapsulate(&self, ciphertext: &Ciphertext) -> Result<Secrets, Error>;
}

/// What each half gave, before the combiner.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Secrets {
    ml_kem: [u8; 32],
    x25519: [u8; 32],
}

impl Secrets {
    fn combine(&self, x25519_ciphertext: &[u8; 32], x25519_public: &[u8; 32]) -> SharedSecret {
        let mut hash = Sha3_256::new();
        hash.update(self.ml_kem);
        hash.update(self.x25519);
        hash.update(x25519_ciphertext);
        hash.update(x25519_public);
        hash.update(LABEL);
        SharedSecret(hash.finalize().into())
    }
}

/// SHAKE-256 of the seed: the seed of ML-KEM (d, then z) and the X25519 secret.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Expanded {
    ml_kem: [u8; 64],
    x25519: [u8; 32],
}

impl Expanded {
    fn from_seed(seed: &[u8; 32]) -> Self {
        use shake::{ExtendableOutput, Update, XofReader};
        let mut shake = shake::Shake256::default();
        shake.update(seed);
        let mut reader = shake.finalize_xof();
        let mut expanded = Self { ml_kem: [0; 64], x25519: [0; 32] };
        reader.read(&mut expanded.ml_kem);
        reader.read(&mut expanded.x25519);
        expanded
    }
}

/// The two halves of the randomness of an encapsulation.
fn split(randomness: &[u8; 64]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    (Zeroizing::new(*front(randomness)), Zeroizing::new(*back(randomness)))
}

const SMALL_ORDER: Error = Error::Malformed { what: "X25519 key", reason: "a point of small order" };
const BAD_ML_KEM_KEY: Error =
    Error::Malformed { what: "ML-KEM-768 key", reason: "a coefficient is out of range" };

/// The first `M` of `N` bytes. `M <= N` is a matter of this file's constants, so it is checked when it is compiled.
fn front<const N: usize, const M: usize>(bytes: &[u8; N]) -> &[u8; M] {
    const { assert!(M <= N) };
    match bytes.first_chunk() {
        Some(chunk) => chunk,
        None => unreachable!(),
    }
}

/// The last `M` of `N` bytes.
fn back<const N: usize, const M: usize>(bytes: &[u8; N]) -> &[u8; M] {
    const { assert!(M <= N) };
    match bytes.last_chunk() {
        Some(chunk) => chunk,
        None => unreachable!(),
    }
}

#[cfg(test)]
mod tests;
