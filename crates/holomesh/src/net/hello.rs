//! Who is at the other end: each side signs the exporter value of this very connection with its hybrid identity, so
//! the identity can't be moved to another connection, and the transport's key need not be trusted for it.

use super::connection::{Connection, short_name};
use super::control::{PROTOCOL_VERSION, read_frame, read_preamble, send_preamble};
use crate::Error;
use control_wire::{decode, encode};
use core_types::KeyId;
use identity::{Domain, HybridSignature, Identity, PublicIdentity};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

const DOMAIN: Domain = Domain::new("holomesh quic identity v1");
const EXPORTER_LABEL: &[u8] = b"EXPORTER-holomesh-identity-v1";
/// A hello is two public keys and a signature: about 5.4 KB. Nobody unknown makes us allocate more.
const HELLO_LIMIT: usize = 8 * 1024;

/// What a node is in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Owns the roster, publishes.
    Host,
    /// Forwards.
    Relay,
    /// Watches.
    Watcher,
}

/// The other end of a link, as it has proved to be.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its identity.
    pub identity: PublicIdentity,
    /// What it says it is.
    pub role: Role,
}

impl Peer {
    /// Its name.
    pub const fn key_id(&self) -> KeyId {
        self.identity.key_id()
    }
}

#[derive(Serialize, Deserialize)]
struct Hello {
    role: Role,
    identity: Vec<u8>,
    signature: Vec<u8>,
}

/// Says who we are and hears who the peer is. Both sides write first and read then, so there is no waiting in turn.
pub(super) async fn exchange(
    connection: &dyn Connection,
    initiator: bool,
    send: &mut (impl AsyncWrite + Unpin),
    recv: &mut (impl AsyncRead + Unpin),
    identity: &Identity,
    role: Role,
) -> Result<Peer, Error> {
    let misbehaved = |why: String| Error::Peer { peer: short_name(connection.transport_key()), why };
    send_preamble(send).await.map_err(misbehaved)?;
    let own = signed_value(connection, initiator, role)?;
    let signature = identity.sign(DOMAIN, &own).map_err(|e| Error::codec("identity", e))?;
    let hello = Hello {
        role,
        identity: identity.public().to_bytes().to_vec(),
        signature: signature.to_bytes().to_vec(),
    };
    let hello = encode(&hello).map_err(|e| Error::codec("hello", e))?;
    send.write_all(&hello).await.map_err(|e| misbehaved(e.to_string()))?;

    let theirs = read_preamble(recv).await.map_err(misbehaved)?;
    if theirs != PROTOCOL_VERSION {
        return Err(Error::Version { ours: PROTOCOL_VERSION, theirs });
    }
    let frame = read_frame(recv, HELLO_LIMIT).await.map_err(misbehaved)?;
    let hello: Hello = decode(&frame).map_err(|e| misbehaved(e.to_string()))?;
    let wrong = |e: identity::Error| misbehaved(format!("hello: {e}"));
    let peer = PublicIdentity::from_bytes(&hello.identity).map_err(wrong)?;
    let signature = HybridSignature::from_bytes(&hello.signature).map_err(wrong)?;
    peer.verify(DOMAIN, &signed_value(connection, !initiator, hello.role)?, &signature).map_err(wrong)?;
    if peer.key_id() == identity.key_id() {
        return Err(misbehaved(
            "it has our own identity: a reflected connection, or one key used by two nodes".into(),
        ));
    }
    Ok(Peer { identity: peer, role: hello.role })
}

/// Version, side, role and the exporter value: what the hello's signature covers.
fn signed_value(connection: &dyn Connection, initiator: bool, role: Role) -> Result<Vec<u8>, Error> {
    let side: &[u8] = if initiator { b"initiator" } else { b"responder" };
    let mut exported = [0; 32];
    connection
        .export(EXPORTER_LABEL, side, &mut exported)
        .map_err(|_| Error::Network("the connection gives no exporter value".into()))?;
    let mut value = PROTOCOL_VERSION.to_be_bytes().to_vec();
    value.push(u8::from(initiator));
    value.push(role as u8);
    value.extend_from_slice(&exported);
    Ok(value)
}

#[cfg(test)]
mod tests;
