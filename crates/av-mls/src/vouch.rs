//! How a joiner knows that a welcome comes from the host: the host's hybrid identity vouches for its MLS signature key.

use crate::error::limit;
use crate::{Error, MAX_WELCOME_BYTES};
use core_types::KeyId;
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};

const DOMAIN: Domain = Domain::new("holomesh mls signer v1");
const VERSION: u8 = 1;
/// Bytes of an Ed25519 public key, which is what MLS signs with in our suite.
const SIGNER_LEN: usize = 32;

/// A hybrid identity's word that an MLS signature key is its own. MLS binds the rest: the welcome's GroupInfo (session,
/// epoch, tree) is signed with that key, and it is sealed to the joiner's key package. It has no date: it holds for as
/// long as the member that it was made for keeps its signature key, which never leaves that member.
#[derive(Clone)]
pub(crate) struct Vouch {
    identity: PublicIdentity,
    signer: [u8; SIGNER_LEN],
    signature: HybridSignature,
}

impl Vouch {
    pub(crate) fn new(identity: &Identity, signer: &[u8]) -> Result<Self, Error> {
        let signer =
            signer.try_into().map_err(|_| Error::internal("making a signature key", "unexpected size"))?;
        let signature = identity.sign(DOMAIN, &signed_bytes(identity.key_id(), &signer))?;
        Ok(Self { identity: identity.public().clone(), signer, signature })
    }

    /// Puts this in front of an MLS welcome: version u8 ‖ public identity ‖ MLS signature key 32 ‖ hybrid signature ‖
    /// u32 length ‖ MLSMessage with the Welcome.
    pub(crate) fn wrap(&self, welcome: &[u8]) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::with_capacity(OVERHEAD + welcome.len());
        writer
            .u8(VERSION)
            .fixed(&self.identity.to_bytes())
            .fixed(&self.signer)
            .fixed(&self.signature.to_bytes())
            .bytes("welcome", welcome, MAX_WELCOME_BYTES)?;
        Ok(writer.into_bytes())
    }

    /// Takes apart what [`wrap`](Self::wrap) made, and checks that `host` vouches. Returns the proven MLS signature key
    /// and the MLS welcome.
    pub(crate) fn unwrap(bytes: &[u8], host: KeyId) -> Result<([u8; SIGNER_LEN], &[u8]), Error> {
        limit("welcome", bytes.len(), OVERHEAD + MAX_WELCOME_BYTES)?;
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(Error::bad("welcome", format!("version {version}, expected {VERSION}")));
        }
        let identity = PublicIdentity::from_bytes(reader.fixed(PublicIdentity::LEN)?)?;
        let signer = reader.array()?;
        let signature = HybridSignature::from_bytes(reader.fixed(HybridSignature::LEN)?)?;
        let welcome = reader.bytes(MAX_WELCOME_BYTES)?;
        reader.finish()?;
        if identity.key_id() != host {
            return Err(Error::bad_from(
                "welcome",
                identity.key_id(),
                format!("expected one from host {host}"),
            ));
        }
        identity.verify(DOMAIN, &signed_bytes(host, &signer), &signature)?;
        Ok((signer, welcome))
    }
}

#[cfg(test)]
impl Vouch {
    /// This one's key and signature in another's name.
    pub(crate) fn with_identity_of(mut self, other: &Self) -> Self {
        self.identity = other.identity.clone();
        self
    }
}

/// Bytes in front of the MLS welcome.
const OVERHEAD: usize = 1 + PublicIdentity::LEN + SIGNER_LEN + HybridSignature::LEN + 4;

fn signed_bytes(key_id: KeyId, signer: &[u8; SIGNER_LEN]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(1 + 32 + SIGNER_LEN);
    writer.u8(VERSION).fixed(key_id.as_bytes()).fixed(signer);
    writer.into_bytes()
}
