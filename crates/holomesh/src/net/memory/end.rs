//! One end of a link: what it has sent and is still under way, and what has come and is not taken yet.

use super::state::NodeId;
use crate::net::link::{LinkEvent, is_late_or_lost};
use av_wire::{AwsLc, FreshChunk, HopReceiver, HopSuite};
use bytes::{Buf, Bytes};
use core_types::{LinkId, MonoTime};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

/// Why an end is closed that its own side has closed, and one that heard nothing for too long.
pub(super) const CLOSED: &str = "closed";
pub(super) const TIMED_OUT: &str = "timed out";
/// Bytes of control messages that wait to be read, those under way included. Whoever writes more waits.
const WINDOW: usize = 256 << 10;
/// Bytes of datagrams that the node has not taken yet.
const RECEIVE_BUFFER: usize = 512 << 10;
/// Datagrams handed to the node at once.
const BATCH: usize = 64;

/// An end of a link, by the link and the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EndId {
    pub(super) pair: u64,
    /// 0 for who has called, 1 for who was called.
    pub(super) side: usize,
}

impl EndId {
    pub(super) const fn other(self) -> Self {
        Self { pair: self.pair, side: 1 - self.side }
    }
}

/// What travels reliably and in order.
#[derive(Debug)]
pub(super) enum Segment {
    /// Somebody would like to talk to the node with this transport key.
    Call([u8; 32]),
    /// Bytes of control messages.
    Data(Bytes),
    /// There are no more of them.
    Fin,
    /// Chunks that no datagram holds.
    Large(Vec<Bytes>),
    /// The link is over, and why.
    Close(String),
}

/// What has come in media.
#[derive(Debug)]
enum Media {
    Datagram(Vec<u8>),
    Whole(Bytes),
}

impl Media {
    const fn len(&self) -> usize {
        match self {
            Self::Datagram(bytes) => bytes.len(),
            Self::Whole(bytes) => bytes.len(),
        }
    }
}

/// What [`End::flush`] has to say.
#[derive(Debug)]
pub(super) enum Flushed {
    /// All is with the node.
    All,
    /// The node has no room; it is to be tried again.
    Full,
    /// The peer broke the protocol.
    Blame(av_wire::Error),
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) node: NodeId,
    /// The node's own address.
    pub(super) here: SocketAddr,
    /// Where the peer is, by what came from it last.
    pub(super) peer: SocketAddr,
    /// Nothing leaves it and nothing reaches it any more: its node has vanished, or was never there.
    pub(super) is_off: bool,
    /// When something came from the peer, or could have.
    pub(super) heard: MonoTime,
    why: watch::Sender<Option<String>>,
    out: VecDeque<(MonoTime, Segment)>,
    out_bytes: usize,
    last_due: MonoTime,
    writer: Option<Waker>,
    unread: VecDeque<Bytes>,
    unread_bytes: usize,
    is_finished: bool,
    reader: Option<Waker>,
    media: VecDeque<Media>,
    media_bytes: usize,
    events: Option<(LinkId, mpsc::Sender<LinkEvent>)>,
    hop: HopReceiver<AwsLc>,
}

impl End {
    pub(super) fn new(node: NodeId, here: SocketAddr, peer: SocketAddr, now: MonoTime) -> Self {
        Self {
            node,
            here,
            peer,
            is_off: false,
            heard: now,
            why: watch::Sender::new(None),
            out: VecDeque::new(),
            out_bytes: 0,
            last_due: now,
            writer: None,
            unread: VecDeque::new(),
            unread_bytes: 0,
            is_finished: false,
            reader: None,
            media: VecDeque::new(),
            media_bytes: 0,
            events: None,
            hop: HopReceiver::new(HopSuite::TransportSealed),
        }
    }

    /// Why it is closed, now and later.
    pub(super) fn why(&self) -> watch::Receiver<Option<String>> {
        self.why.subscribe()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.why.borrow().is_some()
    }

    /// Nothing more is read or written here.
    pub(super) fn close(&mut self, why: String) {
        self.why.send_replace(Some(why));
        self.media.clear();
        self.events = None;
        self.wake();
    }

    /// Closed by this side: what has come does not matter any more. False if it was closed already.
    pub(super) fn hang_up(&mut self) -> bool {
        let was_open = !self.is_closed();
        self.unread.clear();
        self.unread_bytes = 0;
        if was_open {
            self.close(CLOSED.into());
        }
        was_open
    }

    /// Closed, and all that came before is read.
    pub(super) fn is_done(&self) -> bool {
        self.is_closed() && self.unread.is_empty()
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }

    /// Puts something on its way to the peer. It arrives not before `due`, and not before what was sent earlier.
    pub(super) fn push(&mut self, due: MonoTime, segment: Segment) {
        if let Segment::Data(bytes) = &segment {
            self.out_bytes += bytes.len();
        }
        self.last_due = self.last_due.max(due);
        self.out.push_back((self.last_due, segment));
    }

    /// When the next segment arrives.
    pub(super) fn next_due(&self) -> Option<MonoTime> {
        self.out.front().map(|(due, _)| *due)
    }

    /// A segment that has arrived by now.
    pub(super) fn pop(&mut self, now: MonoTime) -> Option<Segment> {
        self.next_due().filter(|due| *due <= now)?;
        let (_, segment) = self.out.pop_front()?;
        if let Segment::Data(bytes) = &segment {
            self.out_bytes -= bytes.len();
        }
        Some(segment)
    }

    /// Bytes that may be written to a peer that has `unread` of them.
    pub(super) const fn room(&self, peer: &Self) -> usize {
        WINDOW.saturating_sub(self.out_bytes + peer.unread_bytes)
    }

    pub(super) fn wait_for_room(&mut self, waker: &Waker) {
        self.writer = Some(waker.clone());
    }

    pub(super) fn has_room(&mut self) {
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    /// Takes bytes of control messages in.
    pub(super) fn take_in(&mut self, bytes: Bytes) {
        self.unread_bytes += bytes.len();
        self.unread.push_back(bytes);
        self.wake();
    }

    pub(super) fn finish(&mut self) {
        self.is_finished = true;
        self.wake();
    }

    /// Bytes to read, `most` at most; `None` if there are none yet. No bytes are the end.
    pub(super) fn read(&mut self, most: usize, waker: &Waker) -> Option<Bytes> {
        let Some(front) = self.unread.front_mut() else {
            if self.is_finished {
                return Some(Bytes::new());
            }
            self.reader = Some(waker.clone());
            return None;
        };
        let bytes = front.split_to(front.len().min(most));
        if !front.has_remaining() {
            self.unread.pop_front();
        }
        self.unread_bytes -= bytes.len();
        Some(bytes)
    }

    /// Hands what comes in media to the node from now on.
    pub(super) fn begin(&mut self, link: LinkId, events: mpsc::Sender<LinkEvent>) {
        self.events = Some((link, events));
    }

    /// Takes a datagram in, unless too many wait.
    pub(super) fn take_datagram(&mut self, datagram: Vec<u8>) -> bool {
        self.take_media(Media::Datagram(datagram))
    }

    /// Takes a chunk in that no datagram held, unless too much waits.
    pub(super) fn take_whole(&mut self, chunk: Bytes) -> bool {
        self.take_media(Media::Whole(chunk))
    }

    fn take_media(&mut self, media: Media) -> bool {
        let bytes = self.media_bytes + media.len();
        let fits = bytes <= RECEIVE_BUFFER;
        if fits {
            self.media_bytes = bytes;
            self.media.push_back(media);
        }
        fits
    }

    /// Hands what has come in media to the node, as far as that has room.
    pub(super) fn flush(&mut self) -> Flushed {
        let Some((link, events)) = &self.events else { return Flushed::All };
        while !self.media.is_empty() {
            let room = match events.try_reserve() {
                Ok(room) => room,
                Err(TrySendError::Full(())) => return Flushed::Full,
                Err(TrySendError::Closed(())) => {
                    self.media.clear();
                    self.media_bytes = 0;
                    return Flushed::All;
                }
            };
            let mut chunks = Vec::new();
            for media in self.media.drain(..self.media.len().min(BATCH)) {
                self.media_bytes -= media.len();
                match open(&mut self.hop, media) {
                    Ok(chunk) => chunks.push(chunk),
                    Err(error) if is_late_or_lost(&error) => {
                        tracing::trace!(%error, %link, "a datagram of no use");
                    }
                    Err(error) => return Flushed::Blame(error),
                }
            }
            if !chunks.is_empty() {
                room.send(LinkEvent::Chunks(*link, chunks));
            }
        }
        Flushed::All
    }
}

fn open(hop: &mut HopReceiver<AwsLc>, media: Media) -> Result<FreshChunk<Bytes>, av_wire::Error> {
    match media {
        Media::Datagram(mut datagram) => Ok(hop.open(&mut datagram)?.to_chunk().convert()),
        Media::Whole(chunk) => hop.take_whole(chunk),
    }
}
