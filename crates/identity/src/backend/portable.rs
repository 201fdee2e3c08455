//! The pure-Rust pair. Both key types wipe themselves when dropped.

use super::{HybridKeys, Suite};
use crate::signature::boxed;
use crate::{Error, Seed};
use ed25519_dalek::Signer as _;
use ml_dsa::{EncodedVerifyingKey, Keypair as _, MlDsa65};
use zeroize::Zeroize as _;

pub(super) struct Portable;

impl Suite for Portable {
    fn keys(&self, seed: &Seed) -> Result<Box<dyn HybridKeys>, Error> {
        let mut xi = ml_dsa::Seed::from(*seed.ml_dsa());
        let ml_dsa = ml_dsa::SigningKey::from_seed(&xi);
        xi.zeroize();
        let ml_dsa_public = boxed(ml_dsa.verifying_key().encode().as_slice())
            .ok_or(Error::Backend("ML-DSA-65 public key size"))?;
        Ok(Box::new(Keys {
            ed25519: ed25519_dalek::SigningKey::from_bytes(seed.ed25519()),
            ml_dsa,
            ml_dsa_public,
        }))
    }

    fn verify_ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        ed25519_dalek::VerifyingKey::from_bytes(key)
            .and_then(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)))
            .is_ok()
    }

    fn verify_ml_dsa(&self, key: &[u8; 1_952], message: &[u8], signature: &[u8; 3_309]) -> bool {
        let Ok(signature) = ml_dsa::Signature::<MlDsa65>::try_from(signature.as_slice()) else {
            return false;
        };
        let key = ml_dsa::VerifyingKey::decode(&EncodedVerifyingKey::<MlDsa65>::from(*key));
        key.verify_with_context(message, b"", &signature)
    }
}

struct Keys {
    ed25519: ed25519_dalek::SigningKey,
    ml_dsa: ml_dsa::SigningKey<MlDsa65>,
    ml_dsa_public: Box<[u8; 1_952]>,
}

impl HybridKeys for Keys {
    fn ed25519_public(&self) -> [u8; 32] {
        self.ed25519.verifying_key().to_bytes()
    }

    fn ml_dsa_public(&self) -> Box<[u8; 1_952]> {
        self.ml_dsa_public.clone()
    }

    fn sign_ed25519(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        let signature = self.ed25519.try_sign(message).map_err(|_| Error::Backend("Ed25519 signing"))?;
        Ok(signature.to_bytes())
    }

    fn sign_ml_dsa(&self, message: &[u8]) -> Result<Box<[u8; 3_309]>, Error> {
        let signature = self
            .ml_dsa
            .expanded_key()
            .sign_deterministic(message, b"")
            .map_err(|_| Error::Backend("ML-DSA-65 signing"))?;
        boxed(signature.encode().as_slice()).ok_or(Error::Backend("ML-DSA-65 signature size"))
    }
}
