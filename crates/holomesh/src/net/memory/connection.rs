//! A link's end as the node has it: the connection, and the stream of control messages.

use super::Shared;
use super::end::{EndId, Segment};
use super::state::Line;
use crate::net::connection::{CloseCode, Connection, ControlStream};
use crate::net::link::LinkEvent;
use core_types::LinkId;
use sha2::{Digest, Sha256};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

/// One end of a link. Dropping the last of what holds it closes the link.
#[derive(Debug)]
pub(super) struct MemoryConnection {
    network: Arc<Shared>,
    end: EndId,
    peer_key: [u8; 32],
    secret: Arc<Zeroizing<[u8; 32]>>,
    why: watch::Receiver<Option<String>>,
}

impl MemoryConnection {
    pub(super) fn new(network: Arc<Shared>, line: Line) -> Self {
        let Line { end, peer_key, secret, why } = line;
        Self { network, end, peer_key, secret, why }
    }

    pub(super) const fn end(&self) -> EndId {
        self.end
    }

    pub(super) const fn secret(&self) -> &Arc<Zeroizing<[u8; 32]>> {
        &self.secret
    }

    pub(super) fn control_stream(&self) -> ControlStream {
        let half = || Half { network: self.network.clone(), end: self.end };
        ControlStream { send: Box::new(half()), recv: Box::new(half()) }
    }
}

impl Connection for MemoryConnection {
    fn transport_key(&self) -> [u8; 32] {
        self.peer_key
    }

    fn remote_address(&self) -> Option<SocketAddr> {
        self.network.lock().peer_of(self.end)
    }

    fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), String> {
        for (counter, block) in (0_u64..).zip(out.chunks_mut(32)) {
            let mut hash = Sha256::new();
            hash.update(self.secret.as_slice());
            for part in [label, context] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
            hash.update(counter.to_be_bytes());
            block.copy_from_slice(&hash.finalize()[..block.len()]);
        }
        Ok(())
    }

    fn read_media(&self, link: LinkId, events: mpsc::Sender<LinkEvent>) {
        self.network.change(|state, _| state.begin(self.end, link, events));
    }

    fn came(&self) -> u64 {
        // Each thing that comes has its time.
        self.network.lock().heard(self.end).0
    }

    fn close(&self, _code: CloseCode, why: &str) {
        self.network.change(|state, now| state.close(now, self.end, why));
    }

    fn close_reason(&self) -> Option<String> {
        self.why.borrow().clone()
    }

    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut why = self.why.clone();
        Box::pin(async move {
            // An error is an end that the network has forgotten: closed as well.
            let _ = why.wait_for(Option::is_some).await;
        })
    }
}

impl Drop for MemoryConnection {
    fn drop(&mut self) {
        self.close(CloseCode::Done, "dropped");
    }
}

/// A half of the stream of control messages.
#[derive(Debug)]
struct Half {
    network: Arc<Shared>,
    end: EndId,
}

impl AsyncRead for Half {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.network.lock().read(self.end, cx, buffer.remaining()))?;
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Half {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.network.change(|state, now| state.write(now, self.end, cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.network.change(|state, now| state.push(now, self.end, Segment::Fin));
        Poll::Ready(Ok(()))
    }
}
