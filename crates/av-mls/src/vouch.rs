//! How somebody outside a group knows who a welcome or a group info comes from: the sender's hybrid identity vouches for
//! its MLS signature key, and that key signs the whole message.

use crate::branch::Branch;
use crate::error::limit;
use crate::provider::verifier;
use crate::{Error, MAX_WELCOME_BYTES, SUITE};
use core_types::KeyId;
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};
use mls_provider::Signer;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::signatures::Signer as _;

const DOMAIN: Domain = Domain::new("holomesh mls signer v1");
const VERSION: u8 = 1;
/// The version of an envelope.
const ENVELOPE_VERSION: u8 = 2;
/// In front of what the MLS key signs of an envelope. No MLS structure that this key signs begins like it (RFC 9420
/// section 5.1.2 puts a length in front of "MLS 1.0 ").
const ENVELOPE_LABEL: &[u8] = b"holomesh mls envelope v2\0";
/// Bytes of an Ed25519 public key, which is what MLS signs with in our suite.
const SIGNER_LEN: usize = 32;
/// Bytes of an Ed25519 signature.
const SIGNATURE_LEN: usize = 64;

/// A hybrid identity's word that an MLS signature key is its own. It has no date: it holds for as long as the member that
/// it was made for keeps its signature key, which never leaves that member.
#[derive(Clone)]
pub(crate) struct Vouch {
    identity: PublicIdentity,
    signer: [u8; SIGNER_LEN],
    signature: HybridSignature,
}

impl Vouch {
    /// Bytes of the encoding.
    pub(crate) const LEN: usize = PublicIdentity::LEN + SIGNER_LEN + HybridSignature::LEN;

    pub(crate) fn new(identity: &Identity, signer: [u8; SIGNER_LEN]) -> Result<Self, Error> {
        let signature = identity.sign(DOMAIN, &signed_bytes(identity.key_id(), &signer))?;
        Ok(Self { identity: identity.public().clone(), signer, signature })
    }

    /// Public identity ‖ MLS signature key 32 ‖ hybrid signature.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(Self::LEN);
        writer.fixed(&self.identity.to_bytes()).fixed(&self.signer).fixed(&self.signature.to_bytes());
        writer.into_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, and checks the signature.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let identity = PublicIdentity::from_bytes(reader.fixed(PublicIdentity::LEN)?)?;
        let signer = reader.array()?;
        let signature = HybridSignature::from_bytes(reader.fixed(HybridSignature::LEN)?)?;
        reader.finish()?;
        identity.verify(DOMAIN, &signed_bytes(identity.key_id(), &signer), &signature)?;
        Ok(Self { identity, signer, signature })
    }

    /// Who vouches.
    pub(crate) const fn key_id(&self) -> KeyId {
        self.identity.key_id()
    }

    /// For which MLS signature key.
    pub(crate) const fn signer(&self) -> &[u8; SIGNER_LEN] {
        &self.signer
    }

    /// Puts this around a message: version u8 ‖ kind u8 ‖ vouch ‖ branch ‖ u32 length ‖ MLSMessage ‖ Ed25519 signature by
    /// the MLS key over all before it.
    pub(crate) fn seal(
        &self,
        kind: Kind,
        branch: &Branch,
        message: &[u8],
        signer: &Signer,
    ) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::with_capacity(OVERHEAD + Branch::MAX_LEN + message.len());
        writer.u8(ENVELOPE_VERSION).u8(kind as u8).fixed(&self.to_bytes());
        branch.write(&mut writer);
        writer.bytes(kind.name(), message, MAX_WELCOME_BYTES)?;
        let signature = signer
            .sign(&[ENVELOPE_LABEL, writer.as_bytes()].concat())
            .map_err(|e| Error::internal("signing an envelope", format!("{e:?}")))?;
        let mut bytes = writer.into_bytes();
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }
}

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Welcome = 1,
    GroupInfo = 2,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::GroupInfo => "group info",
        }
    }
}

/// What is in an envelope, and who made it.
pub(crate) struct Opened<'a> {
    pub(crate) vouch: Vouch,
    pub(crate) branch: Branch,
    pub(crate) message: &'a [u8],
}

/// Takes apart what [`Vouch::seal`] made, and checks both signatures. Whether its maker has a say is for the caller.
pub(crate) fn open(kind: Kind, bytes: &[u8]) -> Result<Opened<'_>, Error> {
    limit(kind.name(), bytes.len(), OVERHEAD + Branch::MAX_LEN + MAX_WELCOME_BYTES)?;
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != ENVELOPE_VERSION {
        return Err(Error::bad(kind.name(), format!("version {version}, expected {ENVELOPE_VERSION}")));
    }
    if reader.u8()? != kind as u8 {
        return Err(Error::bad(kind.name(), "it is another kind of message"));
    }
    let vouch = reader.fixed(Vouch::LEN)?;
    let branch = Branch::read(&mut reader)?;
    let message = reader.bytes(MAX_WELCOME_BYTES)?;
    let signature = reader.fixed(SIGNATURE_LEN)?;
    reader.finish()?;
    let vouch = Vouch::from_bytes(vouch)?;
    let signed = bytes.get(..bytes.len() - SIGNATURE_LEN).unwrap_or_default();
    verifier()
        .verify_signature(
            SUITE.signature_algorithm(),
            &[ENVELOPE_LABEL, signed].concat(),
            vouch.signer(),
            signature,
        )
        .map_err(|_| Error::bad_from(kind.name(), vouch.key_id(), "its signature is wrong"))?;
    Ok(Opened { vouch, branch, message })
}

#[cfg(test)]
impl Vouch {
    /// This one's key and signature in another's name.
    pub(crate) fn with_identity_of(mut self, other: &Self) -> Self {
        self.identity = other.identity.clone();
        self
    }
}

/// Bytes around the MLS message, without the branch.
const OVERHEAD: usize = 2 + Vouch::LEN + 4 + SIGNATURE_LEN;

fn signed_bytes(key_id: KeyId, signer: &[u8; SIGNER_LEN]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(1 + 32 + SIGNER_LEN);
    writer.u8(VERSION).fixed(key_id.as_bytes()).fixed(signer);
    writer.into_bytes()
}
