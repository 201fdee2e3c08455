//! What group keys are made of, one by one.

use super::process;
use anyhow::{Result, anyhow};
use bench_harness::{Pair, Row, Unit};
use mls_provider::{Crypto, SUITE, Signer};
use openmls_libcrux_crypto::CryptoProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::signatures::Signer as _;
use openmls_traits::types::{AeadType, CryptoError, HashType, SignatureScheme};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::hint::black_box;
use std::time::Duration;

const LIBCRUX: &str = "openmls_libcrux_crypto";

pub(super) fn rows() -> Result<Vec<Row>> {
    let ours = Crypto::new(StdRng::from_seed([1; 32]));
    let stock = CryptoProvider::new()?;
    let config = || SUITE.hpke_config();
    let keys = ours.derive_hpke_keypair(config(), b"somebody")?;
    let sealed = ours.hpke_seal(config(), &keys.public, b"info", b"", &[7; 32])?;
    let message = vec![7; 1_500];
    let signer = Signer::from_seed(&[1; 32])?;
    let signature = signer.sign(&message).map_err(|e| anyhow!("{e:?}"))?;

    // As many nodes as the leaves of a large tree, so that they are not in the first cache.
    let nodes: Vec<Vec<u8>> = (0..1_024u32).map(|at| [&at.to_be_bytes()[..], &message].concat()).collect();
    let known = Pair::interleave(9, nodes.len(), || hash_all(&ours, &nodes), || hash_all(&stock, &nodes))?;
    let long = vec![7; 16_384];
    let hashed = pair(|| ours.hash(HashType::Sha2_256, &long), || stock.hash(HashType::Sha2_256, &long))?;
    let (scheme, key) = (SignatureScheme::ED25519, signer.public_key());
    let verified = pair(
        || ours.verify_signature(scheme, &message, key, &signature),
        || stock.verify_signature(scheme, &message, key, &signature),
    )?;
    let seal = pair(
        || ours.hpke_seal(config(), &keys.public, b"info", b"", &[7; 32]),
        || stock.hpke_seal(config(), &keys.public, b"info", b"", &[7; 32]),
    )?;
    let open = pair(
        || ours.hpke_open(config(), &sealed, &keys.private, b"info", b""),
        || stock.hpke_open(config(), &sealed, &keys.private, b"info", b""),
    )?;
    let derive =
        pair(|| ours.derive_hpke_keypair(config(), b"ikm"), || stock.derive_hpke_keypair(config(), b"ikm"))?;
    let aead = AeadType::ChaCha20Poly1305;
    let sealed_16k = pair(
        || ours.aead_encrypt(aead, &[1; 32], &long, &[0; 12], b""),
        || stock.aead_encrypt(aead, &[1; 32], &long, &[0; 12], b""),
    )?;
    let row = |pair: &Pair, name: &str| pair.row_in(Unit::Micros, &format!("mls-primitive-{name}"), LIBCRUX);
    Ok(vec![
        row(&hashed, "sha256-16KiB")?,
        row(&known, "sha256-1500B-known-before")?,
        row(&verified, "ed25519-verify-1500B")?,
        row(&seal, "hpke-xwing-seal")?,
        row(&open, "hpke-xwing-open")?,
        row(&derive, "hpke-xwing-derive")?,
        row(&sealed_16k, "chacha20poly1305-16KiB")?,
    ])
}

fn hash_all(crypto: &impl OpenMlsCrypto, nodes: &[Vec<u8>]) -> Result<Duration> {
    times(1, || nodes.iter().map(|node| crypto.hash(HashType::Sha2_256, node)).collect::<Result<Vec<_>, _>>())
}

fn pair<T>(
    ours: impl Fn() -> Result<T, CryptoError>,
    stock: impl Fn() -> Result<T, CryptoError>,
) -> Result<Pair> {
    Pair::interleave(9, 100, || times(100, &ours), || times(100, &stock))
}

fn times<T>(count: usize, work: impl Fn() -> Result<T, CryptoError>) -> Result<Duration> {
    process(|| {
        for _ in 0..count {
            black_box(work()?);
        }
        Ok(())
    })
}
