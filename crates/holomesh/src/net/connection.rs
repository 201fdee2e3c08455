//! What is under a link: one connection to one peer, whatever made it.

use super::carrier::{Carrier, Sent};
use super::link::LinkEvent;
use bytes::Bytes;
use core_types::LinkId;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// A connection that has proved the peer's transport key. A link has one; its tasks share it.
pub(super) trait Connection: fmt::Debug + Send + Sync {
    /// The peer's transport key.
    fn transport_key(&self) -> [u8; 32];

    /// Where the peer is now, as far as the transport says.
    fn remote_address(&self) -> Option<SocketAddr>;

    /// Fills `out` with a secret that the two ends of this connection have in common, and nobody else: another one for each
    /// label and context, as RFC 8446 section 7.5 has it.
    ///
    /// # Errors
    /// Says why there is none.
    fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), String>;

    /// Begins to hand on what comes in media datagrams, each chunk once, as [`LinkEvent::Chunks`]. Called at most once.
    fn read_media(&self, link: LinkId, events: mpsc::Sender<LinkEvent>);

    /// Sends a control message's frame where there is no [`ControlStream`]; false when too much waits already.
    fn say(&self, _frame: Vec<u8>) -> bool {
        false
    }

    /// Counts what has come over the connection, of whatever kind, and is authentic; only a change of it means anything. For
    /// connections with a [`ControlStream`]: others watch over themselves.
    fn came(&self) -> u64 {
        0
    }

    /// Closes the connection, if it is not closed yet, and tells the peer why.
    fn close(&self, code: CloseCode, why: &str);

    /// Why it is closed; `None` while it is open.
    fn close_reason(&self) -> Option<String>;

    /// Waits until it is closed, by whichever side.
    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What a connection is closed for, as the peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseCode {
    /// The link is not needed any more.
    Done = 0,
    /// The peer broke the protocol, or is none of ours.
    Misbehaved = 1,
    /// There is no room for another link.
    Full = 2,
}

/// Carries a link's media from its beginning to its end, where a lane comes and goes.
pub(super) trait Base: Carrier {
    /// Sends chunks, whole, that no datagram holds. What a peer lets wait is late, and of no use.
    fn send_oversize(&mut self, chunks: Vec<Bytes>) -> Sent;
}

/// The stream of control messages: reliable, in order, both ways.
pub(super) struct ControlStream {
    pub(super) send: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) recv: Box<dyn AsyncRead + Send + Unpin>,
}

/// A peer that has not said who it is yet, by the first bytes of its transport key.
pub(super) fn short_name(transport_key: [u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(&transport_key[..5])
}
