//! The secret and the public half of an identity.

use crate::backend::{self, Backend, HybridKeys};
use crate::signature::boxed;
use crate::{Domain, Error, Half, HybridSignature};
use core::fmt;
use core_types::KeyId;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What an identity is made from: 32 bytes of Ed25519 seed (RFC 8032 section 5.1.5), then the 32-byte ML-DSA-65 seed ξ
/// (FIPS 204 algorithm 6). The caller fills it from a cryptographic random generator; it is wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Seed(pub [u8; 64]);

impl Seed {
    pub(crate) fn ed25519(&self) -> &[u8; 32] {
        self.halves().0
    }

    pub(crate) fn ml_dsa(&self) -> &[u8; 32] {
        self.halves().1
    }

    fn halves(&self) -> (&[u8; 32], &[u8; 32]) {
        let (halves, _) = self.0.as_chunks::<32>();
        (&halves[0], &halves[1])
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

/// A peer's own long-term hybrid key pair. Not `Clone`, shows only its [`KeyId`], and the library below wipes the
/// secrets when it is dropped. There is no way to get a secret out of it again: keep the [`Seed`] to keep the identity.
pub struct Identity {
    pub(crate) keys: Box<dyn HybridKeys>,
    public: PublicIdentity,
}

impl Identity {
    /// Derives the key pairs. The same seed always gives the same identity, on every backend.
    ///
    /// # Errors
    /// [`Error::Backend`] when the cryptographic library fails.
    pub fn from_seed(seed: &Seed) -> Result<Self, Error> {
        Self::from_seed_with(Backend::default(), seed)
    }

    /// As [`from_seed`](Self::from_seed), on a backend of choice.
    ///
    /// # Errors
    /// [`Error::Backend`] when the cryptographic library fails.
    pub fn from_seed_with(backend: Backend, seed: &Seed) -> Result<Self, Error> {
        let keys = backend.suite().keys(seed)?;
        let public = PublicIdentity::new(keys.ed25519_public(), keys.ml_dsa_public());
        Ok(Self { keys, public })
    }

    /// What others may know.
    pub const fn public(&self) -> &PublicIdentity {
        &self.public
    }

    /// The name of this identity.
    pub const fn key_id(&self) -> KeyId {
        self.public.key_id
    }

    /// Signs `payload` in `domain`: Ed25519 over `M = D ‖ 0x00 ‖ P`, ML-DSA-65 over `M ‖ ed25519_signature`.
    ///
    /// # Errors
    /// [`Error::Backend`] when the cryptographic library fails.
    pub fn sign(&self, domain: Domain, payload: &[u8]) -> Result<HybridSignature, Error> {
        let mut message = domain.message(payload, HybridSignature::ED25519_LEN);
        let ed25519 = self.keys.sign_ed25519(&message)?;
        message.extend_from_slice(&ed25519);
        let ml_dsa = self.keys.sign_ml_dsa(&message)?;
        Ok(HybridSignature { ed25519, ml_dsa })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("key_id", &self.public.key_id).finish_non_exhaustive()
    }
}

/// What others know of a peer: both public keys. Every value of this type holds an Ed25519 key that is a canonical
/// point and not of small order.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicIdentity {
    ed25519: [u8; Self::ED25519_LEN],
    ml_dsa: Box<[u8; Self::ML_DSA_LEN]>,
    // Derived from the two above; kept because it is asked for more often than they are.
    key_id: KeyId,
}

impl PublicIdentity {
    /// Bytes of the Ed25519 public key.
    pub const ED25519_LEN: usize = 32;
    /// Bytes of the ML-DSA-65 public key.
    pub const ML_DSA_LEN: usize = 1_952;
    /// Bytes of both, always.
    pub const LEN: usize = Self::ED25519_LEN + Self::ML_DSA_LEN;

    fn new(ed25519: [u8; 32], ml_dsa: Box<[u8; 1_952]>) -> Self {
        let hash = Sha256::new()
            .chain_update(b"holomesh key-id v1")
            .chain_update(ed25519)
            .chain_update(ml_dsa.as_slice())
            .finalize();
        Self { ed25519, ml_dsa, key_id: KeyId(hash.into()) }
    }

    /// Ed25519 key, then ML-DSA key.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..Self::ED25519_LEN].copy_from_slice(&self.ed25519);
        bytes[Self::ED25519_LEN..].copy_from_slice(self.ml_dsa.as_slice());
        bytes
    }

    /// Reads the form that [`to_bytes`](Self::to_bytes) writes.
    ///
    /// # Errors
    /// [`Error::Size`] unless there are exactly [`LEN`](Self::LEN) bytes; [`Error::MalformedKey`] when the Ed25519 key
    /// is not a canonical point or is one of small order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = || Error::Size { what: "public identity", want: Self::LEN, got: bytes.len() };
        let (ed25519, ml_dsa) = bytes.split_at_checked(Self::ED25519_LEN).ok_or_else(wrong)?;
        let ed25519 = ed25519.try_into().map_err(|_| wrong())?;
        let ml_dsa = boxed(ml_dsa).ok_or_else(wrong)?;
        if !backend::acceptable_ed25519_key(&ed25519) {
            return Err(Error::MalformedKey);
        }
        Ok(Self::new(ed25519, ml_dsa))
    }

    /// SHA-256("holomesh key-id v1" ‖ Ed25519 key ‖ ML-DSA key).
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The Ed25519 public key (RFC 8032).
    pub const fn ed25519(&self) -> &[u8; Self::ED25519_LEN] {
        &self.ed25519
    }

    /// The ML-DSA-65 public key (FIPS 204).
    pub fn ml_dsa(&self) -> &[u8; Self::ML_DSA_LEN] {
        &self.ml_dsa
    }

    /// Checks that this peer signed `payload` in `domain`. Both halves must verify.
    ///
    /// # Errors
    /// [`Error::BadSignature`] with the half that failed.
    pub fn verify(&self, domain: Domain, payload: &[u8], signature: &HybridSignature) -> Result<(), Error> {
        self.verify_with(Backend::default(), domain, payload, signature)
    }

    /// As [`verify`](Self::verify), on a backend of choice.
    ///
    /// # Errors
    /// [`Error::BadSignature`] with the half that failed.
    pub fn verify_with(
        &self,
        backend: Backend,
        domain: Domain,
        payload: &[u8],
        signature: &HybridSignature,
    ) -> Result<(), Error> {
        let bad = |half| Error::BadSignature { peer: self.key_id, domain: domain.as_str(), half };
        let mut message = domain.message(payload, HybridSignature::ED25519_LEN);
        if !backend.verify_ed25519(&self.ed25519, &message, &signature.ed25519) {
            return Err(bad(Half::Ed25519));
        }
        message.extend_from_slice(&signature.ed25519);
        if !backend.suite().verify_ml_dsa(&self.ml_dsa, &message, &signature.ml_dsa) {
            return Err(bad(Half::MlDsa65));
        }
        Ok(())
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicIdentity({}…)", self.key_id.short())
    }
}
