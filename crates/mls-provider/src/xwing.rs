//! X-Wing (draft-connolly-cfrg-xwing-kem-06): ML-KEM-768 and X25519, joined by SHA3-256.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use libcrux_ml_kem::mlkem768::{
    MlKem768Ciphertext, MlKem768KeyPair, MlKem768PublicKey, decapsulate as ml_kem_decapsulate,
    encapsulate as ml_kem_encapsulate, generate_key_pair, validate_public_key,
};
use openmls_traits::types::CryptoError;
use zeroize::Zeroizing;

/// Bytes of a public key: 1,184 of ML-KEM-768, 32 of X25519.
pub(crate) const PUBLIC_KEY: usize = ML_KEM_PUBLIC_KEY + 32;
/// Bytes of a ciphertext: 1,088 of ML-KEM-768, 32 of X25519.
pub(crate) const CIPHERTEXT: usize = ML_KEM_CIPHERTEXT + 32;
/// Bytes of a decapsulation key, which is the seed that both halves grow from.
pub(crate) const PRIVATE_KEY: usize = 32;
/// Bytes of randomness of an encapsulation, 32 for each half.
pub(crate) const ENCAPSULATION_SEED: usize = 64;

const ML_KEM_PUBLIC_KEY: usize = 1_184;
const ML_KEM_CIPHERTEXT: usize = 1_088;
/// Section 5.3; the picture of an X-wing.
const LABEL: [u8; 6] = *br"\.//^\";

/// The public key of a seed (section 5.2).
pub(crate) fn public_key(seed: &[u8; PRIVATE_KEY]) -> Result<Vec<u8>, CryptoError> {
    let keys = Keys::expand(seed)?;
    let mut public = Vec::with_capacity(PUBLIC_KEY);
    public.extend_from_slice(keys.ml_kem.pk());
    public.extend_from_slice(&keys.x25519_public);
    Ok(public)
}

/// A shared secret and its ciphertext (section 5.4.1).
///
/// # Errors
/// [`CryptoError::InvalidPublicKey`] for a key of another length, one whose ML-KEM coefficients are out of range
/// (FIPS 203 section 7.2), or whose X25519 part is of small order.
pub(crate) fn encapsulate(
    public_key: &[u8],
    seed: &[u8; ENCAPSULATION_SEED],
) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), CryptoError> {
    let (ml_kem, theirs) = split::<ML_KEM_PUBLIC_KEY>(public_key).ok_or(CryptoError::InvalidPublicKey)?;
    let ml_kem = MlKem768PublicKey::from(*ml_kem);
    if !validate_public_key(&ml_kem) {
        return Err(CryptoError::InvalidPublicKey);
    }
    let (for_ml_kem, for_x25519) = seed.split_at(32);
    let mut randomness = [0; 32];
    randomness.copy_from_slice(for_ml_kem);
    let (ml_kem_ciphertext, ml_kem_secret) = ml_kem_encapsulate(&ml_kem, randomness);
    let ml_kem_secret = Zeroizing::new(ml_kem_secret);

    let ours = PrivateKey::from_private_key(&X25519, for_x25519).map_err(|_| LIBRARY)?;
    let ours_public = x25519_public(&ours)?;
    let x25519_secret = x25519(&ours, theirs).ok_or(CryptoError::InvalidPublicKey)?;

    let mut ciphertext = Vec::with_capacity(CIPHERTEXT);
    ciphertext.extend_from_slice(ml_kem_ciphertext.as_slice());
    ciphertext.extend_from_slice(&ours_public);
    Ok((combine(&ml_kem_secret, &x25519_secret, &ours_public, theirs), ciphertext))
}

/// The shared secret of a ciphertext (section 5.5). A ciphertext for another key gives another secret, not an error.
///
/// # Errors
/// [`CryptoError::HpkeDecryptionError`] for a ciphertext of another length or with an X25519 part of small order.
pub(crate) fn decapsulate(
    ciphertext: &[u8],
    seed: &[u8; PRIVATE_KEY],
) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let (ml_kem, theirs) = split::<ML_KEM_CIPHERTEXT>(ciphertext).ok_or(CryptoError::HpkeDecryptionError)?;
    let keys = Keys::expand(seed)?;
    let ml_kem_secret =
        Zeroizing::new(ml_kem_decapsulate(keys.ml_kem.private_key(), &MlKem768Ciphertext::from(*ml_kem)));
    let x25519_secret = x25519(&keys.x25519, theirs).ok_or(CryptoError::HpkeDecryptionError)?;
    Ok(combine(&ml_kem_secret, &x25519_secret, theirs, &keys.x25519_public))
}

const LIBRARY: CryptoError = CryptoError::CryptoLibraryError;

/// What a seed expands to (section 5.2).
struct Keys {
    ml_kem: MlKem768KeyPair,
    x25519: PrivateKey,
    x25519_public: [u8; 32],
}

impl Keys {
    fn expand(seed: &[u8; PRIVATE_KEY]) -> Result<Self, CryptoError> {
        let expanded = Zeroizing::new(libcrux_sha3::shake256::<96>(seed));
        let mut for_ml_kem = [0; 64];
        for_ml_kem.copy_from_slice(&expanded[..64]);
        let ml_kem = generate_key_pair(for_ml_kem);
        let x25519 = PrivateKey::from_private_key(&X25519, &expanded[64..]).map_err(|_| LIBRARY)?;
        let x25519_public = x25519_public(&x25519)?;
        Ok(Self { ml_kem, x25519, x25519_public })
    }
}

fn x25519_public(key: &PrivateKey) -> Result<[u8; 32], CryptoError> {
    let public = key.compute_public_key().map_err(|_| LIBRARY)?;
    public.as_ref().try_into().map_err(|_| LIBRARY)
}

/// `None` when the result is zero, which is when the peer's point is of small order (RFC 7748 section 6.1).
fn x25519(ours: &PrivateKey, theirs: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    agree(ours, UnparsedPublicKey::new(&X25519, theirs), (), |secret| {
        let mut kept = Zeroizing::new([0; 32]);
        kept.copy_from_slice(secret);
        Ok(kept)
    })
    .ok()
}

/// Section 5.3.
fn combine(
    ml_kem: &[u8; 32],
    x25519: &[u8; 32],
    x25519_ciphertext: &[u8; 32],
    x25519_public: &[u8; 32],
) -> Zeroizing<[u8; 32]> {
    let mut input = Zeroizing::new([0; 134]);
    let parts = [ml_kem, x25519, x25519_ciphertext, x25519_public];
    for (place, part) in input.chunks_exact_mut(32).zip(parts) {
        place.copy_from_slice(part);
    }
    input[128..].copy_from_slice(&LABEL);
    Zeroizing::new(libcrux_sha3::sha256(input.as_slice()))
}

/// The first `N` bytes and the other 32; `None` if there are more or fewer.
fn split<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; 32])> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    Some((first, rest.try_into().ok()?))
}
