//! One live link: a writer for control messages, and readers that tell the node what comes.

use super::control::{self, Control, FRAME_LIMIT};
use super::hello::Peer;
use super::{Loss, LossConfig};
use crate::Error;
use av_wire::{
    AwsLc, Fault, FreshChunk, HopReceiver, HopSender, HopSuite, LinkRefusal, MAX_CHUNK_LEN, SealedChunk,
    TAG_LEN,
};
use bytes::{Buf, Bytes};
use core_types::LinkId;
use iroh::endpoint::{Connection, RecvStream, SendStream, VarInt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// Control messages that may wait to be written; a peer that reads slower than that is cut off.
const CONTROL_QUEUE: usize = 1_024;
/// Datagrams taken from the connection at once.
const BATCH: usize = 64;
/// Bytes of oversize chunks on one stream.
const OVERSIZE_LIMIT: usize = 1 << 20;
/// Bytes that a datagram is longer than its chunk at most: QUIC seals, so there is no tag of ours.
const GROWTH: usize = HopSender::<AwsLc>::MAX_GROWTH - TAG_LEN;
/// Streams with oversize chunks under way at once on one link, and how long one may take.
const OVERSIZE_STREAMS: usize = 8;
const OVERSIZE_TIMEOUT: Duration = Duration::from_secs(1);

/// What links tell the node.
#[derive(Debug)]
pub enum LinkEvent {
    /// A peer dialled us and proved who it is.
    Up(Box<Link>),
    /// A control message came.
    Control(LinkId, Control),
    /// Chunks came over an authenticated connection, and each for the first time on it.
    Chunks(LinkId, Vec<FreshChunk<Bytes>>),
    /// The link is gone; nothing more comes from it.
    Down(LinkId, String),
}

/// What went over a link and what did not.
#[derive(Debug, Default)]
struct LinkCounters {
    /// Datagrams handed to the transport.
    sent: AtomicU64,
    /// Datagrams dropped by injected loss.
    lost: AtomicU64,
    /// Datagrams dropped because the transport's buffer was full.
    overflowed: AtomicU64,
    /// Chunks that were too large for a datagram and went over a stream.
    oversize: AtomicU64,
}

/// What a link sends through: the hop headers, then the injected loss.
#[derive(Debug)]
struct Outlet {
    hop: HopSender,
    loss: Loss,
    /// Datagrams are put together here.
    buffer: Vec<u8>,
}

/// A link to a peer. Dropping it closes the connection.
#[derive(Debug)]
pub struct Link {
    /// Its name on this node.
    pub id: LinkId,
    /// Who is at the other end.
    pub peer: Peer,
    connection: Connection,
    control: mpsc::Sender<Vec<u8>>,
    /// What reading starts with, until it has started.
    reading: Mutex<Option<(RecvStream, mpsc::Sender<LinkEvent>)>>,
    outlet: Mutex<Outlet>,
    counters: LinkCounters,
    oversize: Arc<Semaphore>,
    _permit: OwnedSemaphorePermit,
}

#[expect(clippy::too_many_arguments, reason = "called once, by the endpoint that has just made all of these")]
pub(super) fn start(
    id: LinkId,
    peer: Peer,
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
    loss: LossConfig,
    events: mpsc::Sender<LinkEvent>,
    permit: OwnedSemaphorePermit,
) -> Link {
    let (control, frames) = mpsc::channel(CONTROL_QUEUE);
    tokio::spawn(write_control(send, frames));
    Link {
        id,
        peer,
        connection,
        control,
        reading: Mutex::new(Some((recv, events))),
        outlet: Mutex::new(Outlet {
            hop: HopSender::new(HopSuite::TransportSealed),
            loss: Loss::new(loss),
            buffer: Vec::new(),
        }),
        counters: LinkCounters::default(),
        oversize: Arc::new(Semaphore::new(OVERSIZE_STREAMS)),
        _permit: permit,
    }
}

impl Link {
    /// Begins to tell the node what comes. Called by the node once it knows the link: nothing of it, not even its end,
    /// can then come before it is known.
    pub fn begin(&self) {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((recv, events)) = reading {
            tokio::spawn(read_control(self.id, self.connection.clone(), recv, events.clone()));
            tokio::spawn(read_datagrams(self.id, self.connection.clone(), events.clone()));
            tokio::spawn(read_oversize(self.id, self.connection.clone(), events));
        }
    }

    /// The peer's transport key, which the handshake has proved.
    pub fn transport_key(&self) -> [u8; 32] {
        *self.connection.remote_id().as_bytes()
    }

    /// Queues a control message. A peer that lets the queue fill up is cut off, so that it holds up nobody else.
    pub fn send(&self, message: &Control) {
        match control_wire::encode(message) {
            Ok(frame) => {
                if self.control.try_send(frame).is_err() {
                    self.close("control messages are not read");
                }
            }
            Err(error) => tracing::warn!(%error, link = %self.id, "a control message could not be sent"),
        }
    }

    /// Sends chunks as datagrams, together: several times cheaper than one by one. What does not fit the transport's
    /// buffer is dropped from the end, where a frame has its repair symbols. Chunks larger than a datagram take a stream.
    pub fn send_chunks(&self, chunks: Vec<Bytes>) {
        let Some(largest) = self.connection.max_datagram_size() else {
            self.close("media needs datagrams, which this peer does not take");
            return;
        };
        // By the longest header: if only compact ones fitted, the peer would never learn what they stand for.
        let (small, large): (Vec<Bytes>, Vec<Bytes>) =
            chunks.into_iter().partition(|chunk| chunk.len() + GROWTH <= largest);
        self.send_oversize(large);
        let mut space = self.connection.datagram_send_buffer_space();
        let fitting = small
            .iter()
            .take_while(|chunk| {
                let longest = chunk.len() + GROWTH;
                let fits = longest <= space;
                space = space.saturating_sub(longest);
                fits
            })
            .count();
        self.counters.overflowed.fetch_add((small.len() - fitting) as u64, Ordering::Relaxed);
        let datagrams = self.datagrams(&small[..fitting]);
        if datagrams.is_empty() {
            return;
        }
        if let Ok(sent) = self.connection.send_many_datagrams(&datagrams) {
            self.counters.sent.fetch_add(sent as u64, Ordering::Relaxed);
        }
    }

    /// Chunks with their hop headers, less what injected loss takes: on the wire, where a link number is lost with it.
    fn datagrams(&self, chunks: &[Bytes]) -> Vec<Bytes> {
        let mut outlet = self.outlet.lock().unwrap_or_else(PoisonError::into_inner);
        let Outlet { hop, loss, buffer } = &mut *outlet;
        let mut datagrams = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            buffer.resize(chunk.len() + HopSender::<AwsLc>::MAX_GROWTH, 0);
            let sealed = SealedChunk::parse(chunk).and_then(|chunk| hop.seal_into(&chunk, buffer));
            match sealed {
                Ok(_) if loss.strikes() => {
                    self.counters.lost.fetch_add(1, Ordering::Relaxed);
                }
                Ok(len) => datagrams.push(Bytes::copy_from_slice(&buffer[..len])),
                Err(error) => tracing::warn!(%error, link = %self.id, "a chunk could not be sent"),
            }
        }
        datagrams
    }

    fn send_oversize(&self, mut chunks: Vec<Bytes>) {
        let before = chunks.len();
        {
            let mut outlet = self.outlet.lock().unwrap_or_else(PoisonError::into_inner);
            chunks.retain(|_| !outlet.loss.strikes());
        }
        self.counters.lost.fetch_add((before - chunks.len()) as u64, Ordering::Relaxed);
        if chunks.is_empty() {
            return;
        }
        // A peer that lets streams wait gets no more of them: what is late is of no use.
        if let Ok(permit) = self.oversize.clone().try_acquire_owned() {
            self.counters.oversize.fetch_add(chunks.len() as u64, Ordering::Relaxed);
            let connection = self.connection.clone();
            tokio::spawn(async move {
                let _ = timeout(OVERSIZE_TIMEOUT, write_oversize(connection, chunks)).await;
                drop(permit);
            });
        } else {
            self.counters.overflowed.fetch_add(chunks.len() as u64, Ordering::Relaxed);
        }
    }

    /// Closes the link and tells the peer why.
    pub fn close(&self, why: &str) {
        self.connection.close(VarInt::from_u32(0), why.as_bytes());
    }

    /// Says why, and closes once that is on its way: the peer is to read the reason, not a broken connection.
    pub fn refuse(self, why: impl Into<String>) {
        let why = why.into();
        tracing::info!(link = %self.id, peer = %self.peer.key_id().short(), %why, "refused");
        self.send(&Control::Refused { why: why.clone() });
        tokio::spawn(async move {
            // The peer closes when it has read; if it does not, we do.
            let closed = self.connection.closed();
            if timeout(Duration::from_secs(2), closed).await.is_err() {
                self.close(&why);
            }
        });
    }

    /// Waits until the peer has closed the link, but no longer than `deadline`.
    pub async fn closed_by(&self, deadline: std::time::Instant) {
        let _ = tokio::time::timeout_at(deadline.into(), self.connection.closed()).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close("link dropped");
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let LinkCounters { sent, lost, overflowed, oversize } = &self.counters;
        tracing::debug!(
            link = %self.id,
            sent = count(sent),
            lost = count(lost),
            overflowed = count(overflowed),
            oversize = count(oversize),
            "link dropped"
        );
    }
}

async fn write_control(mut stream: SendStream, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
    let _ = stream.finish();
}

async fn read_control(
    id: LinkId,
    connection: Connection,
    mut stream: RecvStream,
    events: mpsc::Sender<LinkEvent>,
) {
    let why = loop {
        let message = match control::read_frame(&mut stream, FRAME_LIMIT).await {
            Ok(frame) => control_wire::decode(&frame).map_err(|e| e.to_string()),
            Err(why) => break connection.close_reason().map_or(why, |reason| reason.to_string()),
        };
        match message {
            Ok(message) => {
                if events.send(LinkEvent::Control(id, message)).await.is_err() {
                    return;
                }
            }
            Err(why) => break why,
        }
    };
    connection.close(VarInt::from_u32(1), why.as_bytes());
    let _ = events.send(LinkEvent::Down(id, why)).await;
}

async fn read_datagrams(id: LinkId, connection: Connection, events: mpsc::Sender<LinkEvent>) {
    let mut hop = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
    let mut batch = vec![Bytes::new(); BATCH];
    while let Ok(count) = connection.read_many_datagrams(&mut batch).await {
        let mut chunks = Vec::with_capacity(count);
        for datagram in batch[..count].iter_mut().map(std::mem::take) {
            let mut datagram = datagram.to_vec();
            match hop.open(&mut datagram) {
                Ok(fresh) => chunks.push(fresh.to_chunk().convert()),
                Err(error) if is_late_or_lost(&error) => {
                    tracing::trace!(%error, link = %id, "a datagram of no use")
                }
                Err(error) => return blame(id, &connection, &error),
            }
        }
        if events.send(LinkEvent::Chunks(id, chunks)).await.is_err() {
            return;
        }
    }
}

/// What loss and reordering do to an honest peer's datagrams.
const fn is_late_or_lost(error: &av_wire::Error) -> bool {
    matches!(error, av_wire::Error::Link { why: LinkRefusal::Replayed, .. })
        || !matches!(error.fault(), Fault::Peer)
}

/// A peer that breaks the protocol loses its link; nobody else notices. Reading of control messages tells the node.
fn blame(id: LinkId, connection: &Connection, error: &av_wire::Error) {
    tracing::info!(link = %id, %error, "link closed");
    connection.close(VarInt::from_u32(1), error.to_string().as_bytes());
}

/// Chunks too large for a datagram, each with a u32 length in front, on a stream of their own.
async fn write_oversize(connection: Connection, chunks: Vec<Bytes>) -> Result<(), Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Network(e.to_string());
    let mut stream = connection.open_uni().await.map_err(|e| failed(&e))?;
    for chunk in chunks {
        stream.write_all(&(chunk.len() as u32).to_be_bytes()).await.map_err(|e| failed(&e))?;
        stream.write_all(&chunk).await.map_err(|e| failed(&e))?;
    }
    stream.finish().map_err(|e| failed(&e))
}

async fn read_oversize(id: LinkId, connection: Connection, events: mpsc::Sender<LinkEvent>) {
    while let Ok(mut stream) = connection.accept_uni().await {
        let (events, connection) = (events.clone(), connection.clone());
        tokio::spawn(async move {
            let Ok(bytes) = stream.read_to_end(OVERSIZE_LIMIT).await else { return };
            let hop = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
            let chunks = split_oversize(bytes.into()).into_iter().map(|chunk| hop.take_whole(chunk));
            match chunks.collect() {
                Ok(chunks) => {
                    let _ = events.send(LinkEvent::Chunks(id, chunks)).await;
                }
                Err(error) => blame(id, &connection, &error),
            }
        });
    }
}

fn split_oversize(mut bytes: Bytes) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    while bytes.len() >= 4 {
        let len = bytes.get_u32() as usize;
        if len > bytes.len() || len > MAX_CHUNK_LEN {
            break;
        }
        chunks.push(bytes.split_to(len));
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn oversize_chunks_come_apart_as_they_were_put_together(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8), junk: [u8; 3]) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
                bytes.extend_from_slice(part);
            }
            bytes.extend_from_slice(&junk);
            let got = split_oversize(bytes.into());
            prop_assert_eq!(got.len(), parts.len());
            prop_assert!(got.iter().zip(&parts).all(|(a, b)| a == b));
        }

        #[test]
        fn arbitrary_streams_never_panic(bytes: Vec<u8>) {
            let total: usize = split_oversize(bytes.clone().into()).iter().map(Bytes::len).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
