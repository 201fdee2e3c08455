//! One live link: control messages on a stream, media over whatever carries it best, and readers that tell the node what
//! comes.

use super::carrier::{Carrier, Sent, Transport};
use super::connection::{Base, CloseCode, Connection, ControlStream};
use super::control::Control;
use super::hello::Peer;
use super::outbox::{NOT_READ, Outbox};
use super::pulse::{Ended, Pulse};
use super::quic::driver;
use super::reader::Reader;
use av_congestion::LinkEstimate;
use av_wire::{Fault, FreshChunk, HEADER_LEN, LinkRefusal, MAX_CHUNK_LEN, SealedChunk};
use bytes::Bytes;
use control_wire::{LANE_EXPORTED_LEN, LANE_EXPORTER_LABEL, lane_context};
use core_types::{KeyId, LinkId, MonoTime};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Bytes of chunks, larger than a datagram, that come as one piece.
pub(super) const MAX_OVERSIZE: usize = 1 << 20;

/// What links tell the node.
#[derive(Debug)]
pub enum LinkEvent {
    /// A peer dialled us and proved who it is.
    Up(Box<Link>),
    /// A control message came.
    Control(LinkId, Control),
    /// Chunks came over an authenticated link, and each for the first time on it.
    Chunks(LinkId, Vec<FreshChunk<Bytes>>),
    /// The link's lane works, or has ended: its media change over.
    Lane(LinkId, LaneChange),
    /// A link that had no room for what waits may have some again.
    Writable(LinkId),
    /// The link is gone; nothing more comes from it.
    Down(LinkId, String),
}

/// What became of a link's lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneChange {
    /// The peer answers on it.
    Up,
    /// Its peer's address is another one now.
    Moved(SocketAddr),
    /// It is over: media go over QUIC again.
    Ended(String),
    /// It is time to offer another one.
    Due,
}

/// A link to a peer. Dropping it closes the connection.
#[derive(Debug)]
pub struct Link {
    /// Its name on this node.
    pub id: LinkId,
    /// Who is at the other end.
    pub peer: Peer,
    connection: Arc<dyn Connection>,
    /// Where control messages wait to be written, if they go over a stream.
    outbox: Option<Outbox>,
    /// What reading starts with, until it has started.
    reading: Option<Reading>,
    base: Box<dyn Base>,
    /// Carries the media in place of the base while it works.
    lane: Option<Box<dyn Carrier>>,
    more_waits: bool,
    sent_base: Sent,
    sent_lane: Sent,
    dialled: bool,
    pulse: Pulse,
    /// Why this node has ended it.
    ended: Ended,
    _permit: OwnedSemaphorePermit,
}

/// Says control messages on a link.
#[derive(Clone)]
pub(crate) struct Speaker {
    pub(crate) peer: KeyId,
    outbox: Option<Outbox>,
    connection: Arc<dyn Connection>,
}

impl Speaker {
    /// As [`Link::send`].
    pub(crate) fn send(&self, message: &Control) {
        let Ok(frame) = control_wire::encode(message) else {
            return tracing::warn!(peer = %self.peer.short(), "a control message could not be sent");
        };
        let queued = match &self.outbox {
            Some(outbox) => outbox.say(frame),
            None => self.connection.say(frame),
        };
        if !queued {
            self.connection.close(CloseCode::Done, NOT_READ);
        }
    }
}

impl std::fmt::Debug for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// What reading starts with.
struct Reading {
    /// What control messages come over, if it is a stream.
    control: Option<Box<dyn AsyncRead + Send + Unpin>>,
    events: mpsc::Sender<LinkEvent>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

/// What a link is made from, once both sides have said who they are.
pub(super) struct Established {
    pub(super) id: LinkId,
    pub(super) peer: Peer,
    pub(super) connection: Arc<dyn Connection>,
    /// None where the connection carries control messages itself.
    pub(super) control: Option<ControlStream>,
    pub(super) base: Box<dyn Base>,
    pub(super) events: mpsc::Sender<LinkEvent>,
    pub(super) pulse: Pulse,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) dialled: bool,
}

impl Link {
    pub(super) fn new(parts: Established) -> Self {
        let Established { id, peer, connection, control, base, events, pulse, permit, dialled } = parts;
        let (send, recv) = control.map(|stream| (stream.send, stream.recv)).unzip();
        Self {
            id,
            peer,
            connection,
            outbox: send.map(Outbox::start),
            reading: Some(Reading { control: recv, events }),
            base,
            lane: None,
            more_waits: false,
            sent_base: Sent::default(),
            sent_lane: Sent::default(),
            dialled,
            pulse,
            ended: Ended::default(),
            _permit: permit,
        }
    }

    /// Begins to tell the node what comes. Called by the node once it knows the link: nothing of it, not even its end,
    /// can then come before it is known.
    pub fn begin(&mut self) {
        if let Some(Reading { control, events }) = self.reading.take() {
            // A connection that carries control messages itself watches over itself, too.
            if let Some((control, outbox)) = control.zip(self.outbox.clone()) {
                let (connection, ended) = (self.connection.clone(), self.ended.clone());
                self.pulse.add(self.id, connection.clone(), outbox.clone(), ended.clone());
                let reader = Reader { id: self.id, connection, outbox, ended, events: events.clone() };
                driver().spawn(reader.run(control));
            }
            self.connection.read_media(self.id, events);
        }
    }

    /// The peer's transport key, which the handshake has proved.
    pub fn transport_key(&self) -> [u8; 32] {
        self.connection.transport_key()
    }

    /// True if it is a lane by itself, with nothing else under it.
    pub fn is_direct(&self) -> bool {
        self.base.transport() == Transport::Udp
    }

    /// True if this node dialled the peer.
    pub const fn is_dialled(&self) -> bool {
        self.dialled
    }

    /// Where the peer is now, as far as the transport says.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.connection.remote_address()
    }

    /// Counts what has come over the connection, lanes aside; only a change of it means anything.
    pub(crate) fn came(&self) -> u64 {
        self.connection.came()
    }

    /// A secret of this connection alone, for a lane beside it: 88 bytes for `lane`.
    pub(super) fn lane_secret(&self, lane: u64) -> Result<Zeroizing<[u8; LANE_EXPORTED_LEN]>, String> {
        let mut secret = Zeroizing::new([0; LANE_EXPORTED_LEN]);
        self.connection
            .export(LANE_EXPORTER_LABEL, &lane_context(lane), &mut *secret)
            .map_err(|e| format!("the connection gives no keys: {e}"))?;
        Ok(secret)
    }

    /// Says control messages on this link from elsewhere: from another thread, say.
    pub(crate) fn speaker(&self) -> Speaker {
        Speaker { peer: self.peer.key_id(), outbox: self.outbox.clone(), connection: self.connection.clone() }
    }

    /// Queues a control message. A peer that lets the queue fill up is cut off, so that it holds up nobody else.
    pub fn send(&self, message: &Control) {
        match control_wire::encode(message) {
            Ok(frame) => {
                let queued = match &self.outbox {
                    Some(outbox) => outbox.say(frame),
                    None => self.connection.say(frame),
                };
                if !queued {
                    self.close(NOT_READ);
                }
            }
            Err(error) => tracing::warn!(%error, link = %self.id, "a control message could not be sent"),
        }
    }

    /// Sends media over `lane` from now on, or over the link's own connection again.
    pub(crate) fn set_lane(&mut self, lane: Option<Box<dyn Carrier>>) {
        self.lane = lane;
        self.more_waits = false;
    }

    fn carrier(&mut self) -> &mut dyn Carrier {
        match &mut self.lane {
            Some(lane) => &mut **lane,
            None => &mut *self.base,
        }
    }

    /// What carries the media now.
    pub fn transport(&self) -> Transport {
        self.lane.as_ref().map_or_else(|| self.base.transport(), |lane| lane.transport())
    }

    /// Bytes of chunks that may be sent now.
    pub fn budget(&mut self, now: MonoTime) -> usize {
        self.carrier().budget(now)
    }

    /// When to ask for the budget again, after it was too small.
    pub fn retry_at(&mut self, now: MonoTime) -> MonoTime {
        self.carrier().retry_at(now)
    }

    /// Says whether more waits than what is sent from now on.
    pub fn set_more_waits(&mut self, now: MonoTime, more: bool) {
        if self.more_waits != more {
            self.more_waits = more;
            self.carrier().set_more_waits(now, more);
        }
    }

    /// What the path of the media is like.
    pub fn estimate(&mut self, now: MonoTime) -> LinkEstimate {
        self.carrier().estimate(now)
    }

    /// What went over the link since it was made: its own connection, and lanes, which a direct link is.
    pub fn sent(&self) -> (Sent, Sent) {
        if self.is_direct() { (self.sent_lane, self.sent_base) } else { (self.sent_base, self.sent_lane) }
    }

    /// Sends chunks together: several times cheaper than one by one. Chunks larger than a datagram take a stream.
    pub fn send_chunks<'a>(&mut self, now: MonoTime, chunks: impl Iterator<Item = SealedChunk<'a>>) {
        let most = self.carrier().max_chunk();
        if most == 0 {
            self.close("media needs datagrams, which this peer does not take");
            return;
        }
        let mut large = Vec::new();
        let mut small = chunks.filter(|chunk| {
            let fits = HEADER_LEN + chunk.body().len() <= most;
            if !fits {
                large.extend(whole(chunk));
            }
            fits
        });
        match &mut self.lane {
            Some(lane) => self.sent_lane += lane.send(now, &mut small),
            None => self.sent_base += self.base.send(now, &mut small),
        }
        if !large.is_empty() {
            self.sent_base += self.base.send_oversize(large);
        }
    }

    /// Closes the link and tells the peer why.
    pub fn close(&self, why: &str) {
        // The first reason is the one.
        let _ = self.ended.set(why.to_owned());
        self.connection.close(CloseCode::Done, why);
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
    pub async fn closed_by(&self, deadline: Instant) {
        let _ = tokio::time::timeout_at(deadline.into(), self.connection.closed()).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pulse.remove(self.id);
        self.close("link dropped");
        tracing::debug!(link = %self.id, base = ?self.sent_base, lanes = ?self.sent_lane, "link dropped");
    }
}

/// The chunk in one piece.
fn whole(chunk: &SealedChunk<'_>) -> Option<Bytes> {
    let header = chunk.header().to_bytes().ok()?;
    Some([&header[..], chunk.body()].concat().into())
}

/// What loss and reordering do to an honest peer's datagrams.
pub(super) const fn is_late_or_lost(error: &av_wire::Error) -> bool {
    matches!(error, av_wire::Error::Link { why: LinkRefusal::Replayed, .. })
        || !matches!(error.fault(), Fault::Peer)
}

/// Takes apart what has come as one piece: chunks, each with a u32 length in front. `None` if that is not what it is. A chunk has
/// bytes of its own: as long as it is kept, nothing else is for its sake.
pub(super) fn split_oversize(mut bytes: &[u8]) -> Option<Vec<Bytes>> {
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk()?;
        let len = u32::from_be_bytes(*len) as usize;
        let (chunk, rest) = rest.split_at_checked(len).filter(|_| len <= MAX_CHUNK_LEN)?;
        chunks.push(Bytes::copy_from_slice(chunk));
        bytes = rest;
    }
    Some(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn oversize_chunks_come_apart_as_they_were_put_together(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8), junk in prop::collection::vec(any::<u8>(), 1..4)) {
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
                bytes.extend_from_slice(part);
            }
            let got = split_oversize(&bytes).unwrap();
            prop_assert_eq!(got.len(), parts.len());
            prop_assert!(got.iter().zip(&parts).all(|(a, b)| a == b));
            bytes.extend_from_slice(&junk);
            prop_assert_eq!(split_oversize(&bytes), None, "bytes left over");
        }

        #[test]
        fn arbitrary_streams_never_panic(bytes: Vec<u8>) {
            let total: usize = split_oversize(&bytes).into_iter().flatten().map(|chunk| chunk.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }

    #[test]
    fn a_small_chunk_does_not_keep_the_stream_that_it_came_with() {
        let mut bytes = [&5u32.to_be_bytes()[..], b"small", &(60_000u32).to_be_bytes()].concat();
        bytes.resize(bytes.len() + 60_000, 7);
        let chunks = split_oversize(&bytes).unwrap();
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [5, 60_000]);
        let [small, large] = [&chunks[0], &chunks[1]].map(|chunk| chunk.as_ptr() as usize);
        assert!(large.abs_diff(small + 5) != 4, "they lie in one buffer");
        let too_long = [&(MAX_CHUNK_LEN as u32 + 1).to_be_bytes()[..], &vec![0; MAX_CHUNK_LEN + 1]].concat();
        assert_eq!(split_oversize(&too_long), None);
    }
}
