//! What a finished handshake leaves behind.

use crate::Error;
use crate::schedule::{Secret, expand, hash};
use core::fmt;
use identity::PublicIdentity;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A link whose two ends have proved their identities and that they have the same keys.
#[derive(Debug)]
pub struct Link {
    peer: PublicIdentity,
    keys: LinkKeys,
    exporter: Exporter,
}

impl Link {
    pub(crate) fn derive(master: &Secret, role: Role, peer: PublicIdentity) -> Result<Self, Error> {
        let direction = |key: &str, salt: &str| -> Result<DirectionKeys, Error> {
            let mut keys = DirectionKeys { key: [0; 32], salt: [0; 12] };
            expand(master, &[key.as_bytes()], &mut keys.key)?;
            expand(master, &[salt.as_bytes()], &mut keys.salt)?;
            Ok(keys)
        };
        let up = direction("holomesh link v1 initiator key", "holomesh link v1 initiator salt")?;
        let down = direction("holomesh link v1 responder key", "holomesh link v1 responder salt")?;
        let keys = match role {
            Role::Initiator => LinkKeys { send: up, receive: down },
            Role::Responder => LinkKeys { send: down, receive: up },
        };
        let mut exporter = Secret::zero();
        expand(master, &[b"holomesh link v1 exporter"], exporter.as_mut())?;
        Ok(Self { peer, keys, exporter: Exporter(exporter) })
    }

    /// Who is at the other end, proven.
    pub const fn peer(&self) -> &PublicIdentity {
        &self.peer
    }

    /// The keys of both directions.
    pub const fn keys(&self) -> &LinkKeys {
        &self.keys
    }

    /// Further secrets of this link.
    pub const fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// Everything by value: who, the keys, further secrets.
    pub fn into_parts(self) -> (PublicIdentity, LinkKeys, Exporter) {
        (self.peer, self.keys, self.exporter)
    }
}

/// The two sides of a handshake. Closed: there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Initiator,
    Responder,
}

/// The keys of one link: what one end sends with, the other receives with. Wiped when dropped.
#[derive(Debug, Zeroize, ZeroizeOnDrop)]
pub struct LinkKeys {
    /// Seals what this end sends.
    pub send: DirectionKeys,
    /// Opens what the other end sends.
    pub receive: DirectionKeys,
}

/// Key and salt of one direction of a link, as the hop seal takes them (spec 35 section 7). Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DirectionKeys {
    /// AES-256-GCM key.
    pub key: [u8; 32],
    /// What sequence numbers are XORed with for the nonce.
    pub salt: [u8; 12],
}

impl fmt::Debug for DirectionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectionKeys(redacted)")
    }
}

/// Gives both ends of a link the same further secrets, to bind other things to this very link.
#[derive(ZeroizeOnDrop)]
pub struct Exporter(Secret);

impl Exporter {
    /// Fills `out` with a secret for `label` and `context`. Same label, context and length: same bytes at both ends.
    ///
    /// # Errors
    /// [`Error::State`] when the label is longer than 255 bytes or `out` than 8,160.
    pub fn export(&self, label: &str, context: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let len =
            u8::try_from(label.len()).map_err(|_| Error::State("an exporter label has at most 255 bytes"))?;
        if out.len() > 255 * 32 {
            return Err(Error::State("an exported secret has at most 8,160 bytes"));
        }
        let context = hash(&[context]);
        expand(&self.0, &[b"holomesh link v1 export", &[len], label.as_bytes(), &context], out)
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter(redacted)")
    }
}
