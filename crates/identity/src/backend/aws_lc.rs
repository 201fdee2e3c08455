//! aws-lc. It wipes private keys when it frees them (`OPENSSL_free` cleanses every block).

use super::{HybridKeys, Suite};
use crate::signature::boxed;
use crate::{Error, Seed};
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};

pub(super) struct AwsLc;

impl Suite for AwsLc {
    fn keys(&self, seed: &Seed) -> Result<Box<dyn HybridKeys>, Error> {
        // "Unchecked" is about a public key to compare with, which there is none of.
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(seed.ed25519())
            .map_err(|_| Error::Backend("Ed25519 key derivation"))?;
        let ml_dsa = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, seed.ml_dsa())
            .map_err(|_| Error::Backend("ML-DSA-65 key derivation"))?;
        let ed25519_public = ed25519
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| Error::Backend("Ed25519 public key size"))?;
        let ml_dsa_public =
            boxed(ml_dsa.public_key().as_ref()).ok_or(Error::Backend("ML-DSA-65 public key size"))?;
        Ok(Box::new(Keys { ed25519, ml_dsa, ed25519_public, ml_dsa_public }))
    }

    fn verify_ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
    }

    fn verify_ml_dsa(&self, key: &[u8; 1_952], message: &[u8], signature: &[u8; 3_309]) -> bool {
        UnparsedPublicKey::new(&ML_DSA_65, key).verify(message, signature).is_ok()
    }
}

struct Keys {
    ed25519: Ed25519KeyPair,
    ml_dsa: PqdsaKeyPair,
    ed25519_public: [u8; 32],
    ml_dsa_public: Box<[u8; 1_952]>,
}

impl HybridKeys for Keys {
    fn ed25519_public(&self) -> [u8; 32] {
        self.ed25519_public
    }

    fn ml_dsa_public(&self) -> Box<[u8; 1_952]> {
        self.ml_dsa_public.clone()
    }

    fn sign_ed25519(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        let signature = self.ed25519.try_sign(message).map_err(|_| Error::Backend("Ed25519 signing"))?;
        signature.as_ref().try_into().map_err(|_| Error::Backend("Ed25519 signature size"))
    }

    fn sign_ml_dsa(&self, message: &[u8]) -> Result<Box<[u8; 3_309]>, Error> {
        let mut signature = Box::new([0; 3_309]);
        let len = self
            .ml_dsa
            .sign(message, signature.as_mut_slice())
            .map_err(|_| Error::Backend("ML-DSA-65 signing"))?;
        if len == signature.len() { Ok(signature) } else { Err(Error::Backend("ML-DSA-65 signature size")) }
    }
}
