//! HPKE base mode (RFC 9180) with X-Wing, HKDF-SHA256 and ChaCha20-Poly1305, single-shot.

use crate::{Random, crypto, xwing};
use hkdf::{Hkdf, HkdfExtract};
use openmls_traits::types::CryptoError;
use sha2::Sha256;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// "HPKE" with the code points of KEM (0x647a), KDF (1) and AEAD (3), section 5.1.
const SUITE_ID: &[u8; 10] = b"HPKE\x64\x7a\x00\x01\x00\x03";
const VERSION: &[u8; 7] = b"HPKE-v1";

/// The KEM's ciphertext and the sealed text (section 6.1).
pub(crate) fn seal(
    random: &Random,
    infos: &LastInfo,
    public_key: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
    let (secret, ciphertext) = encapsulate(random, public_key)?;
    let (key, nonce) = Schedule::with_info_hash(&secret, infos.hash(info)).key_and_nonce()?;
    let sealed = crypto::seal(key.as_slice(), &nonce, aad, plaintext)?;
    Ok((ciphertext, sealed))
}

/// The text that was sealed (section 6.1).
pub(crate) fn open(
    ciphertext: &[u8],
    private_key: &[u8],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let secret = xwing::decapsulate(ciphertext, private(private_key)?)?;
    let (key, nonce) = Schedule::new(&secret, info).key_and_nonce()?;
    crypto::open(key.as_slice(), &nonce, aad, sealed).map_err(|_| CryptoError::HpkeDecryptionError)
}

/// The KEM's ciphertext and an exported secret (section 6.2).
pub(crate) fn send_export(
    random: &Random,
    public_key: &[u8],
    info: &[u8],
    context: &[u8],
    length: usize,
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), CryptoError> {
    let (secret, ciphertext) = encapsulate(random, public_key)?;
    Ok((ciphertext, Schedule::new(&secret, info).export(context, length)?))
}

/// The same secret at the receiver (section 6.2).
pub(crate) fn receive_export(
    ciphertext: &[u8],
    private_key: &[u8],
    info: &[u8],
    context: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let secret = xwing::decapsulate(ciphertext, private(private_key)?)?;
    Schedule::new(&secret, info).export(context, length)
}

/// `DeriveKeyPair` of X-Wing: the seed is SHAKE256 of the input. Private key first.
pub(crate) fn derive_key_pair(ikm: &[u8]) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), CryptoError> {
    let seed = Zeroizing::new(libcrux_sha3::shake256::<{ xwing::PRIVATE_KEY }>(ikm));
    let public = xwing::public_key(&seed)?;
    Ok((seed, public))
}

fn encapsulate(random: &Random, public_key: &[u8]) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), CryptoError> {
    let mut seed = Zeroizing::new([0; xwing::ENCAPSULATION_SEED]);
    random.fill(seed.as_mut_slice());
    xwing::encapsulate(public_key, &seed)
}

fn private(key: &[u8]) -> Result<&[u8; xwing::PRIVATE_KEY], CryptoError> {
    key.try_into().map_err(|_| CryptoError::InvalidLength)
}

/// The key schedule (section 5.1), base mode: no PSK.
struct Schedule {
    secret: Hkdf<Sha256>,
    /// Mode, hash of the empty PSK id, hash of the info.
    context: [u8; 65],
}

impl Schedule {
    fn new(shared_secret: &Zeroizing<[u8; 32]>, info: &[u8]) -> Self {
        Self::with_info_hash(shared_secret, info_hash(info))
    }

    fn with_info_hash(shared_secret: &Zeroizing<[u8; 32]>, info_hash: [u8; 32]) -> Self {
        let mut context = [0; 65];
        context[1..33].copy_from_slice(&labeled_extract(None, b"psk_id_hash", b"").0);
        context[33..].copy_from_slice(&info_hash);
        let (_, secret) = labeled_extract(Some(shared_secret.as_slice()), b"secret", b"");
        Self { secret, context }
    }

    fn key_and_nonce(&self) -> Result<(Zeroizing<[u8; 32]>, [u8; 12]), CryptoError> {
        let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; 12]);
        labeled_expand(&self.secret, b"key", &self.context, key.as_mut_slice())?;
        labeled_expand(&self.secret, b"base_nonce", &self.context, &mut nonce)?;
        Ok((key, nonce))
    }

    /// Section 5.3.
    fn export(&self, context: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if length > 255 * 32 {
            return Err(CryptoError::HkdfOutputLengthInvalid);
        }
        let mut exporter = Zeroizing::new([0; 32]);
        labeled_expand(&self.secret, b"exp", &self.context, exporter.as_mut_slice())?;
        let exporter = Hkdf::from_prk(exporter.as_slice()).map_err(|_| CryptoError::InvalidLength)?;
        let mut exported = Zeroizing::new(vec![0; length]);
        labeled_expand(&exporter, b"sec", context, &mut exported)?;
        Ok(exported)
    }
}

fn info_hash(info: &[u8]) -> [u8; 32] {
    labeled_extract(None, b"info_hash", info).0
}

/// The hash of the last long info. Welcomes of one commit are all sealed under the same one, which is the sealed group
/// info: megabytes, if the tree is in there. It is public.
#[derive(Default)]
pub(crate) struct LastInfo(Mutex<Option<KnownInfo>>);

struct KnownInfo {
    info: Box<[u8]>,
    hash: [u8; 32],
}

impl LastInfo {
    /// Shorter ones are hashed faster than they are kept.
    const LONG: usize = 64 << 10;
    /// Longer ones are not kept.
    const TOO_LONG: usize = 16 << 20;

    fn hash(&self, info: &[u8]) -> [u8; 32] {
        if !(Self::LONG..Self::TOO_LONG).contains(&info.len()) {
            return info_hash(info);
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*last
            && *known.info == *info
        {
            return known.hash;
        }
        let hash = info_hash(info);
        *last = Some(KnownInfo { info: info.into(), hash });
        hash
    }
}

fn labeled_extract(salt: Option<&[u8]>, label: &[u8], ikm: &[u8]) -> ([u8; 32], Hkdf<Sha256>) {
    let mut extract = HkdfExtract::<Sha256>::new(salt);
    for part in [VERSION.as_slice(), SUITE_ID, label, ikm] {
        extract.input_ikm(part);
    }
    let (prk, hkdf) = extract.finalize();
    (prk.into(), hkdf)
}

fn labeled_expand(
    secret: &Hkdf<Sha256>,
    label: &[u8],
    info: &[u8],
    out: &mut [u8],
) -> Result<(), CryptoError> {
    let length = u16::try_from(out.len()).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?.to_be_bytes();
    secret
        .expand_multi_info(&[&length, VERSION, SUITE_ID, label, info], out)
        .map_err(|_| CryptoError::HkdfOutputLengthInvalid)
}
