//! Links over QUIC: iroh's connections, with X25519MLKEM768 as the only key exchange.

mod carrier;
mod crowd;
mod endpoint;

pub(crate) use endpoint::drive_connections_on;
pub(super) use endpoint::{Endpoint, driver, public_key};

use super::connection::{CloseCode, Connection};
use super::link::{LinkEvent, MAX_OVERSIZE, is_late_or_lost, split_oversize};
use av_wire::{AwsLc, HopReceiver, HopSuite};
use bytes::Bytes;
use core_types::LinkId;
use iroh::endpoint::VarInt;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// The application protocol, as TLS negotiates it.
pub const ALPN: &[u8] = b"holomesh/1";
/// Datagrams taken from the connection at once.
const BATCH: usize = 64;
/// Streams of chunks that are read at once from one peer, and how long one may take: what it sent is kept meanwhile. Who sends one
/// takes a second at most.
const OVERSIZE_STREAMS: usize = 2;
const OVERSIZE_TIME: Duration = Duration::from_secs(2);

/// A connection of iroh's.
#[derive(Debug, Clone)]
struct QuicConnection(iroh::endpoint::Connection);

impl Connection for QuicConnection {
    fn transport_key(&self) -> [u8; 32] {
        *self.0.remote_id().as_bytes()
    }

    fn remote_address(&self) -> Option<SocketAddr> {
        let paths = self.0.paths();
        let path = paths.iter().find(|path| path.is_selected())?;
        match path.remote_addr() {
            iroh::TransportAddr::Ip(address) => Some(*address),
            _ => None,
        }
    }

    fn export(&self, label: &[u8], context: &[u8], out: &mut [u8]) -> Result<(), String> {
        self.0.export_keying_material(out, label, context).map_err(|e| format!("{e:?}"))
    }

    fn read_media(&self, link: LinkId, events: mpsc::Sender<LinkEvent>) {
        let driver = driver();
        driver.spawn(read_datagrams(link, self.clone(), events.clone()));
        // Media come from those whom a node dialled. From others nothing is taken that would have to be kept: QUIC lets a peer
        // send no more of it than fits its window.
        if self.0.side().is_client() {
            driver.spawn(read_oversize(link, self.clone(), events));
        }
    }

    fn came(&self) -> u64 {
        // One of these is in whatever a peer that is there sends.
        let frames = self.0.stats().frame_rx;
        let kinds = [
            frames.acks,
            frames.path_acks,
            frames.ping,
            frames.stream,
            frames.datagram,
            frames.path_challenge,
            frames.path_response,
        ];
        kinds.into_iter().fold(0, u64::wrapping_add)
    }

    fn close(&self, code: CloseCode, why: &str) {
        self.0.close(VarInt::from_u32(code as u32), why.as_bytes());
    }

    fn close_reason(&self) -> Option<String> {
        self.0.close_reason().map(|reason| reason.to_string())
    }

    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.0.closed().await;
        })
    }
}

async fn read_datagrams(link: LinkId, connection: QuicConnection, events: mpsc::Sender<LinkEvent>) {
    let mut hop = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
    let mut batch = vec![Bytes::new(); BATCH];
    while let Ok(count) = connection.0.read_many_datagrams(&mut batch).await {
        let mut chunks = Vec::with_capacity(count);
        for datagram in batch[..count].iter_mut().map(std::mem::take) {
            let mut datagram = datagram.to_vec();
            match hop.open(&mut datagram) {
                Ok(fresh) => chunks.push(fresh.to_chunk().convert()),
                Err(error) if is_late_or_lost(&error) => {
                    tracing::trace!(%error, %link, "a datagram of no use")
                }
                Err(error) => return blame(link, &connection, &error),
            }
        }
        if events.send(LinkEvent::Chunks(link, chunks)).await.is_err() {
            return;
        }
    }
}

async fn read_oversize(link: LinkId, connection: QuicConnection, events: mpsc::Sender<LinkEvent>) {
    let places = Arc::new(Semaphore::new(OVERSIZE_STREAMS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok(mut stream) = connection.0.accept_uni().await else { return };
        let (events, connection) = (events.clone(), connection.clone());
        tokio::spawn(async move {
            let _place = place;
            let read = timeout(OVERSIZE_TIME, stream.read_to_end(MAX_OVERSIZE)).await;
            let Ok(Ok(bytes)) = read else {
                let _ = stream.stop(VarInt::from_u32(0));
                return;
            };
            let Some(chunks) = split_oversize(&bytes) else {
                return blame(link, &connection, &"a stream of chunks that is none");
            };
            drop(bytes);
            let hop = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
            match chunks.into_iter().map(|chunk| hop.take_whole(chunk)).collect() {
                Ok(chunks) => {
                    let _ = events.send(LinkEvent::Chunks(link, chunks)).await;
                }
                Err(error) => blame(link, &connection, &error),
            }
        });
    }
}

/// A peer that breaks the protocol loses its link; nobody else notices. Reading of control messages tells the node.
fn blame(link: LinkId, connection: &QuicConnection, error: &dyn fmt::Display) {
    tracing::info!(%link, %error, "link closed");
    connection.close(CloseCode::Misbehaved, &error.to_string());
}

#[cfg(test)]
mod tests;
