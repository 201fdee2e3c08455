//! Key packages: what a joiner publishes, and what has been checked of it.

use crate::error::limit;
use crate::provider::verifier;
use crate::roster::key_id_of;
use crate::{Error, SUITE};
use core_types::{KeyId, WallTime};
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};
use openmls::prelude::tls_codec::{DeserializeBytes as _, Serialize as _, VLBytes};
use openmls::prelude::{KeyPackage, KeyPackageIn, LeafNode, ProtocolVersion};

const DOMAIN: Domain = Domain::new("holomesh key package v1");
const VERSION: u8 = 1;
/// A key package of our suite takes 3 KB.
const MAX_KEY_PACKAGE: usize = 16 << 10;

/// A joiner's public key package with the joiner's hybrid signature. Nothing in it is checked before
/// [`verify`](Self::verify). On the wire: version u8 ‖ u32 length ‖ MLS KeyPackage (RFC 9420 section 10) ‖ public
/// identity ‖ hybrid signature over all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedKeyPackage {
    key_package: Vec<u8>,
    identity: PublicIdentity,
    signature: HybridSignature,
}

impl SignedKeyPackage {
    /// The largest encoding in bytes.
    pub const MAX_BYTES: usize = 1 + 4 + MAX_KEY_PACKAGE + PublicIdentity::LEN + HybridSignature::LEN;

    pub(crate) fn sign(key_package: &KeyPackage, identity: &Identity) -> Result<Self, Error> {
        let key_package =
            key_package.tls_serialize_detached().map_err(|e| Error::internal("encoding a key package", e))?;
        let signature = identity.sign(DOMAIN, &signed_bytes(&key_package, identity.public())?)?;
        Ok(Self { key_package, identity: identity.public().clone(), signature })
    }

    /// Who is said to have made it. Proven only by [`verify`](Self::verify).
    pub const fn claimed_key_id(&self) -> KeyId {
        self.identity.key_id()
    }

    /// Names the package among its owner's: SHA-256 of the form for the wire.
    pub fn digest(&self) -> [u8; 32] {
        use sha2::Digest as _;
        sha2::Sha256::digest(self.to_bytes()).into()
    }

    /// The form for the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Both constructors keep the limit, so the length always fits.
        let mut bytes = signed_bytes(&self.key_package, &self.identity).unwrap_or_default();
        bytes.extend_from_slice(&self.signature.to_bytes());
        bytes
    }

    /// Reads the form that [`to_bytes`](Self::to_bytes) writes, of at most [`MAX_BYTES`](Self::MAX_BYTES).
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::BadMessage`] for another version, [`Error::Identity`] for bytes that are not of that
    /// form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        limit("signed key package", bytes.len(), Self::MAX_BYTES)?;
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(Error::bad("signed key package", format!("version {version}, expected {VERSION}")));
        }
        let key_package = reader.bytes(MAX_KEY_PACKAGE)?.to_vec();
        let identity = PublicIdentity::from_bytes(reader.fixed(PublicIdentity::LEN)?)?;
        let signature = HybridSignature::from_bytes(reader.fixed(HybridSignature::LEN)?)?;
        reader.finish()?;
        Ok(Self { key_package, identity, signature })
    }

    /// Checks everything: the hybrid signature, the ciphersuite, the MLS signatures and dates (RFC 9420 section 10.1;
    /// this reads the system clock), that the leaf credential names the signer, and that its keys can be sealed to.
    ///
    /// # Errors
    /// [`Error::Identity`] when the hybrid signature does not verify, [`Error::WrongSuite`] for a package without
    /// ML-KEM-768, [`Error::BadMessage`] for the rest.
    pub fn verify(&self) -> Result<VerifiedKeyPackage, Error> {
        let peer = self.identity.key_id();
        let bad = |reason: &str| Error::bad_from("key package", peer, reason);
        self.identity.verify(DOMAIN, &signed_bytes(&self.key_package, &self.identity)?, &self.signature)?;

        // version u16, ciphersuite u16: read here, because the library says no more than "invalid" to another suite.
        let [_, _, suite @ ..] = self.key_package.first_chunk::<4>().ok_or_else(|| bad("too short"))?;
        let suite = u16::from_be_bytes(*suite);
        if suite != u16::from(SUITE) {
            return Err(Error::WrongSuite { peer, suite });
        }

        let key_package = KeyPackageIn::tls_deserialize_exact_bytes(&self.key_package)
            .map_err(|e| Error::bad_from("key package", peer, e))?
            .validate(verifier(), ProtocolVersion::Mls10)
            .map_err(|e| Error::bad_from("key package", peer, e))?;
        let leaf = key_package.leaf_node();
        if key_id_of(leaf.credential()) != Some(peer) {
            return Err(bad("the leaf credential does not name the signer"));
        }
        if !key_package.life_time().has_acceptable_range() {
            return Err(bad("made to be used for too long"));
        }
        check_leaf_key(leaf).map_err(bad)?;
        if !verifier().can_seal_to(key_package.hpke_init_key().as_slice()) {
            return Err(bad(MALFORMED));
        }
        Ok(VerifiedKeyPackage { peer, key_package })
    }
}

/// A key package that its owner's hybrid identity vouches for. Comes from [`SignedKeyPackage::verify`] alone.
#[derive(Debug, Clone)]
pub struct VerifiedKeyPackage {
    pub(crate) peer: KeyId,
    pub(crate) key_package: KeyPackage,
}

impl VerifiedKeyPackage {
    /// Whose it is.
    pub const fn key_id(&self) -> KeyId {
        self.peer
    }

    /// True if its owner marked it as one that may serve several joins (RFC 9420 section 16.8).
    pub fn is_last_resort(&self) -> bool {
        self.key_package.last_resort()
    }

    /// When it ends.
    pub fn not_after(&self) -> WallTime {
        crate::kept::not_after(&self.key_package)
    }
}

const MALFORMED: &str = "an X-Wing public key is malformed";

/// A key that nobody can seal to would make this change fail, or each later one that removes somebody.
pub(crate) fn check_leaf_key(leaf: &LeafNode) -> Result<(), &'static str> {
    let key = leaf
        .encryption_key()
        .tls_serialize_detached()
        .ok()
        .and_then(|bytes| VLBytes::tls_deserialize_exact_bytes(&bytes).ok())
        .ok_or("unreadable leaf key")?;
    if verifier().can_seal_to(key.as_slice()) { Ok(()) } else { Err(MALFORMED) }
}

fn signed_bytes(key_package: &[u8], identity: &PublicIdentity) -> Result<Vec<u8>, Error> {
    let mut writer =
        Writer::with_capacity(5 + key_package.len() + PublicIdentity::LEN + HybridSignature::LEN);
    writer.u8(VERSION).bytes("key package", key_package, MAX_KEY_PACKAGE)?.fixed(&identity.to_bytes());
    Ok(writer.into_bytes())
}
