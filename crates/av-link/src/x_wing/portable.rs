//! The pure-Rust crates.

use super::{BAD_ML_KEM_KEY, Ciphertext, Expanded, Halves, PublicKey, SMALL_ORDER, Secrets, Suite, split};
use crate::Error;
use ml_kem::ml_kem_768::{DecapsulationKey, EncapsulationKey};
use ml_kem::{Decapsulate, KeyExport};
use x25519_dalek::{PublicKey as Point, StaticSecret};
use zeroize::Zeroize;

pub(super) struct Portable;

impl Suite for Portable {
    fn generate(&self, seeds: &Expanded) -> Result<(Box<dyn Halves>, PublicKey), Error> {
        let mut seed = seeds.ml_kem.into();
        let ml_kem = DecapsulationKey::from_seed(seed);
        seed.zeroize();
        let x25519 = StaticSecret::from(seeds.x25519);
        let ml_kem_public = ml_kem.encapsulation_key().to_bytes().into();
        let public = PublicKey::join(&ml_kem_public, Point::from(&x25519).as_bytes());
        Ok((Box::new(Keys { ml_kem, x25519 }), public))
    }

    fn encapsulate(&self, key: &PublicKey, randomness: &[u8; 64]) -> Result<(Ciphertext, Secrets), Error> {
        let (for_ml_kem, for_x25519) = split(randomness);
        let ml_kem = EncapsulationKey::new(&(*key.ml_kem()).into()).map_err(|_| BAD_ML_KEM_KEY)?;
        let mut message = (*for_ml_kem).into();
        let (ml_kem_ciphertext, mut ml_kem_secret) = ml_kem.encapsulate_deterministic(&message);
        message.zeroize();
        let ephemeral = StaticSecret::from(*for_x25519);
        let ciphertext = Ciphertext::join(&ml_kem_ciphertext.into(), Point::from(&ephemeral).as_bytes());
        let secrets = Secrets { ml_kem: ml_kem_secret.into(), x25519: agree(&ephemeral, key.x25519())? };
        ml_kem_secret.zeroize();
        Ok((ciphertext, secrets))
    }
}

struct Keys {
    ml_kem: DecapsulationKey,
    x25519: StaticSecret,
}

impl Halves for Keys {
    fn decapsulate(&self, ciphertext: &Ciphertext) -> Result<Secrets, Error> {
        let mut ml_kem_secret = self.ml_kem.decapsulate(&(*ciphertext.ml_kem()).into());
        let secrets =
            Secrets { ml_kem: ml_kem_secret.into(), x25519: agree(&self.x25519, ciphertext.x25519())? };
        ml_kem_secret.zeroize();
        Ok(secrets)
    }
}

fn agree(secret: &StaticSecret, public: &[u8; 32]) -> Result<[u8; 32], Error> {
    let shared = secret.diffie_hellman(&Point::from(*public));
    if shared.was_contributory() { Ok(shared.to_bytes()) } else { Err(SMALL_ORDER) }
}
