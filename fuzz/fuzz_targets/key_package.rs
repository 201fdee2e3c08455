//! Key packages: bytes from anybody, and the MLS part of a joiner that means harm and signs whatever it likes, so that
//! the parser behind the signature is reached.
#![no_main]

use std::sync::LazyLock;

use av_mls::SignedKeyPackage;
use identity::{Domain, Identity, Seed};
use libfuzzer_sys::fuzz_target;

static JOINER: LazyLock<Identity> =
    LazyLock::new(|| Identity::from_seed(&Seed([7; 64])).expect("a seed gives an identity"));

fuzz_target!(|data: &[u8]| {
    if let Ok(package) = SignedKeyPackage::from_bytes(data) {
        assert_eq!(package.to_bytes(), data);
    }

    let mut signed = vec![1];
    signed.extend_from_slice(&(data.len() as u32).to_be_bytes());
    signed.extend_from_slice(data);
    signed.extend_from_slice(&JOINER.public().to_bytes());
    let signature =
        JOINER.sign(Domain::new("holomesh key package v1"), &signed).expect("anything can be signed");
    signed.extend_from_slice(&signature.to_bytes());
    if let Ok(package) = SignedKeyPackage::from_bytes(&signed)
        && let Ok(verified) = package.verify()
    {
        assert_eq!(verified.key_id(), JOINER.key_id());
    }
});
