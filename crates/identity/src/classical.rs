//! Ed25519 alone, for interim proofs of authorship (spec 25 section 4) and never for anything else.
//!
//! An adversary with a quantum computer forges these. What is signed so must be signed again by a hybrid signature
//! soon after, and whoever verifies must keep the two apart. The domain keeps this signature from standing for the
//! Ed25519 half of a hybrid one.

use crate::{Backend, Domain, Error, Half, Identity, PublicIdentity};

/// An Ed25519 signature on its own (RFC 8032), 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClassicalSignature(pub [u8; Self::LEN]);

impl ClassicalSignature {
    /// Its bytes, always.
    pub const LEN: usize = 64;

    /// Reads it. Says nothing about validity.
    ///
    /// # Errors
    /// [`Error::Size`] unless there are exactly 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |_| Error::Size { what: "classical signature", want: Self::LEN, got: bytes.len() };
        bytes.try_into().map(Self).map_err(wrong)
    }
}

impl Identity {
    /// Signs `D ‖ 0x00 ‖ P` with Ed25519 alone. Never for anything but interim proofs: use [`sign`](Self::sign).
    ///
    /// # Errors
    /// [`Error::Backend`] when the cryptographic library fails.
    pub fn sign_classical(&self, domain: Domain, payload: &[u8]) -> Result<ClassicalSignature, Error> {
        self.keys.sign_ed25519(&domain.message(payload, 0)).map(ClassicalSignature)
    }
}

impl PublicIdentity {
    /// Checks an Ed25519 signature alone, by the same strict rule. Never for anything but interim proofs: use
    /// [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`Error::BadSignature`].
    pub fn verify_classical(
        &self,
        domain: Domain,
        payload: &[u8],
        signature: &ClassicalSignature,
    ) -> Result<(), Error> {
        let message = domain.message(payload, 0);
        if !Backend::default().verify_ed25519(self.ed25519(), &message, &signature.0) {
            let domain = domain.as_str();
            return Err(Error::BadSignature { peer: self.key_id(), domain, half: Half::Ed25519 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HybridSignature, Seed};

    const INTERIM: Domain = Domain::new("classical test v1");
    const HYBRID: Domain = Domain::new("hybrid test v1");

    #[test]
    fn payload_domain_and_signer_are_bound() {
        let alice = Identity::from_seed(&Seed([1; 64])).unwrap();
        let mallory = Identity::from_seed(&Seed([2; 64])).unwrap();
        let signature = alice.sign_classical(INTERIM, b"payload").unwrap();
        assert_eq!(alice.public().verify_classical(INTERIM, b"payload", &signature), Ok(()));
        assert!(alice.public().verify_classical(INTERIM, b"payloae", &signature).is_err());
        assert!(alice.public().verify_classical(HYBRID, b"payload", &signature).is_err());
        assert!(mallory.public().verify_classical(INTERIM, b"payload", &signature).is_err());
        let mut altered = signature;
        altered.0[40] ^= 1;
        assert!(alice.public().verify_classical(INTERIM, b"payload", &altered).is_err());
        assert!(ClassicalSignature::from_bytes(&[0; 63]).is_err());
    }

    /// A signature made by the other interface has its own domain, so that half of it is worth nothing here.
    #[test]
    fn the_classical_half_of_a_hybrid_signature_does_not_pass() {
        let alice = Identity::from_seed(&Seed([1; 64])).unwrap();
        let hybrid = alice.sign(HYBRID, b"payload").unwrap().to_bytes();
        let half = ClassicalSignature::from_bytes(&hybrid[..HybridSignature::ED25519_LEN]).unwrap();
        assert!(alice.public().verify_classical(INTERIM, b"payload", &half).is_err());
        // In one and the same domain it would: domains of the two kinds must differ.
        assert!(alice.public().verify_classical(HYBRID, b"payload", &half).is_ok());
    }
}
