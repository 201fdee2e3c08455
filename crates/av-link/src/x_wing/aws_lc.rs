//! aws-lc. It wipes private keys when it frees them (`OPENSSL_free` cleanses every block).

use super::{BAD_ML_KEM_KEY, Ciphertext, Expanded, Halves, PublicKey, SMALL_ORDER, Secrets, Suite, split};
use crate::Error;
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::kem::{DecapsulationKey, EncapsulationKey, ML_KEM_768};

pub(super) struct AwsLc;

impl Suite for AwsLc {
    fn generate(&self, seeds: &Expanded) -> Result<(Box<dyn Halves>, PublicKey), Error> {
        let failed = |_| Error::Backend("ML-KEM-768 key generation");
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(failed)?;
        let ml_kem_public = ml_kem.encapsulation_key().and_then(|key| key.key_bytes()).map_err(failed)?;
        let ml_kem_public =
            ml_kem_public.as_ref().try_into().map_err(|_| Error::Backend("ML-KEM-768 key size"))?;
        let (x25519, x25519_public) = x25519_pair(&seeds.x25519)?;
        Ok((Box::new(Keys { ml_kem, x25519 }), PublicKey::join(ml_kem_public, &x25519_public)))
    }

    fn encapsulate(&self, key: &PublicKey, randomness: &[u8; 64]) -> Result<(Ciphertext, Secrets), Error> {
        let (_, for_x25519) = split(randomness);
        let ml_kem = EncapsulationKey::new(&ML_KEM_768, key.ml_kem()).map_err(|_| BAD_ML_KEM_KEY)?;
        let (ciphertext, secret) = ml_kem.encapsulate().map_err(|_| BAD_ML_KEM_KEY)?;
        let sizes = |_| Error::Backend("ML-KEM-768 sizes");
        let (ephemeral, ephemeral_public) = x25519_pair(&for_x25519)?;
        let secrets = Secrets {
            ml_kem: secret.as_ref().try_into().map_err(sizes)?,
            x25519: x25519_agree(&ephemeral, key.x25519())?,
        };
        let ml_kem_ciphertext = ciphertext.as_ref().try_into().map_err(sizes)?;
        Ok((Ciphertext::join(ml_kem_ciphertext, &ephemeral_public), secrets))
    }
}

struct Keys {
    ml_kem: DecapsulationKey,
    x25519: PrivateKey,
}

impl Halves for Keys {
    fn decapsulate(&self, ciphertext: &Ciphertext) -> Result<Secrets, Error> {
        let failed = || Error::Backend("ML-KEM-768 decapsulation");
        let x25519 = x25519_agree(&self.x25519, ciphertext.x25519())?;
        let secret = self.ml_kem.decapsulate(ciphertext.ml_kem().as_slice().into()).map_err(|_| failed())?;
        Ok(Secrets { ml_kem: secret.as_ref().try_into().map_err(|_| failed())?, x25519 })
    }
}

fn x25519_pair(secret: &[u8; 32]) -> Result<(PrivateKey, [u8; 32]), Error> {
    let failed = || Error::Backend("X25519 key derivation");
    let private = PrivateKey::from_private_key(&X25519, secret).map_err(|_| failed())?;
    let public = private.compute_public_key().map_err(|_| failed())?;
    let public = public.as_ref().try_into().map_err(|_| failed())?;
    Ok((private, public))
}

/// aws-lc refuses an all-zero result, and nothing else: any 32 bytes are a point.
fn x25519_agree(secret: &PrivateKey, public: &[u8; 32]) -> Result<[u8; 32], Error> {
    agree(secret, UnparsedPublicKey::new(&X25519, public), SMALL_ORDER, |shared| {
        shared.try_into().map_err(|_| Error::Backend("X25519 secret size"))
    })
}
