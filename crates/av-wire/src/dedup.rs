//! One chunk from several parents: the first one counts.

use crate::{ChunkHeader, Error, Fresh, FreshChunk, KeptChunk, SealedChunk, Taken};
use core_types::{Epoch, StreamId};
use std::collections::BTreeMap;

/// Which chunks came already, by stream and epoch, over all links. It is shown chunks that authenticated on their link and
/// are fresh there, and takes nothing else: a forgery can't make it refuse the real chunk.
///
/// ```
/// use av_wire::{AwsLc, Dedup, Error, HopKeys, HopReceiver, HopSender, HopSuite, Inner, SealedChunk, Sealer, StreamKeys};
/// use core_types::{CodecId, Epoch, Layer, LeafIndex, ObjectSeq, StreamId};
///
/// let stream = StreamId([7; 32]);
/// let mut publisher = Sealer::new(StreamKeys::<AwsLc>::derive(&[1; 32], stream, LeafIndex(0))?, stream, Epoch(1), CodecId::Opus);
/// let chunk = publisher.seal(Layer::BASE, &Inner::Object { seq: ObjectSeq(0), bytes: b"hello" })?;
///
/// // Two parents send it to the same child.
/// let mut dedup = Dedup::new(16);
/// let mut new = 0;
/// for parent in 1..=2 {
///     let keys = || HopKeys::<AwsLc>::new(&[parent; 32], &[0; 12]);
///     let mut sender = HopSender::new(HopSuite::Full(keys()?));
///     let mut receiver = HopReceiver::new(HopSuite::Full(keys()?));
///     let mut datagram = [0; 200];
///     let len = sender.seal_into(&SealedChunk::parse(&chunk)?, &mut datagram)?;
///     let fresh = receiver.open(&mut datagram[..len])?;
///     match dedup.first(fresh) {
///         Ok(_first) => new += 1, // open it, pass it on, …
///         Err(Error::Replayed { .. }) => {} // that parent is alive, and that is all
///         Err(other) => return Err(other),
///     }
/// }
/// assert_eq!(new, 1);
/// # Ok::<(), av_wire::Error>(())
/// ```
#[derive(Debug)]
pub struct Dedup {
    limit: usize,
    /// Counts the chunks shown, for the eviction rule.
    shown: u64,
    streams: BTreeMap<StreamId, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    used: u64,
    /// Newest epoch first.
    epochs: Vec<(Epoch, Taken)>,
}

/// A chunk that is shown for the first time. What costs something, or changes anything beyond the link, asks for this.
#[derive(Debug)]
pub struct First<'a>(Fresh<'a>);

impl<'a> First<'a> {
    /// The chunk.
    pub const fn chunk(&self) -> &Fresh<'a> {
        &self.0
    }

    /// The chunk, to be opened in place.
    pub fn into_inner(self) -> Fresh<'a> {
        self.0
    }
}

/// As [`First`], with its own bytes.
#[derive(Debug)]
pub struct FirstChunk<B = Vec<u8>>(FreshChunk<B>);

impl<B: AsRef<[u8]>> FirstChunk<B> {
    /// The chunk's header.
    pub const fn header(&self) -> &ChunkHeader {
        self.0.header()
    }

    /// The whole chunk.
    pub const fn bytes(&self) -> &B {
        self.0.bytes()
    }

    /// The whole chunk.
    pub fn into_bytes(self) -> B {
        self.0.into_bytes()
    }

    /// Bytes that it took on the link, hop header and hop tag included.
    pub const fn carried(&self) -> usize {
        self.0.carried()
    }

    /// The chunk as the next link wants it.
    pub fn as_chunk(&self) -> SealedChunk<'_> {
        self.0.as_chunk()
    }

    /// The chunk to be kept and sent on, to many links or later, without being read again.
    pub fn keep(self) -> KeptChunk<B> {
        self.0.keep()
    }
}

impl Dedup {
    /// Epochs of a stream that are told apart: the newest ones shown. Chunks of older ones count as seen.
    pub const EPOCHS: usize = 3;
    /// Words of 64 chunk numbers that are remembered of an epoch.
    pub const WORDS: usize = 1_024;

    /// Remembers `streams` streams at most, and at least one; the one that was silent for longest is forgotten first.
    pub const fn new(streams: usize) -> Self {
        Self { limit: if streams == 0 { 1 } else { streams }, shown: 0, streams: BTreeMap::new() }
    }

    /// Takes a chunk the first time that it comes.
    ///
    /// # Errors
    /// [`Error::Replayed`] if it came before, or is too old to tell.
    pub fn first<'a>(&mut self, fresh: Fresh<'a>) -> Result<First<'a>, Error> {
        self.show(fresh.header()).map(|()| First(fresh))
    }

    /// As [`first`](Self::first), for a chunk with its own bytes.
    ///
    /// # Errors
    /// As [`first`](Self::first).
    pub fn first_chunk<B: AsRef<[u8]>>(&mut self, fresh: FreshChunk<B>) -> Result<FirstChunk<B>, Error> {
        self.show(fresh.header()).map(|()| FirstChunk(fresh))
    }

    fn show(&mut self, header: &ChunkHeader) -> Result<(), Error> {
        let ChunkHeader { stream_id: stream, epoch, chunk_seq: seq, .. } = *header;
        self.shown += 1;
        if !self.streams.contains_key(&stream) && self.streams.len() >= self.limit {
            let silent = self.streams.iter().min_by_key(|(_, seen)| seen.used);
            if let Some(silent) = silent.map(|(stream, _)| *stream) {
                self.streams.remove(&silent);
            }
        }
        let seen = self.streams.entry(stream).or_default();
        seen.used = self.shown;
        if seen.of(epoch).is_some_and(|taken| taken.take(seq)) {
            Ok(())
        } else {
            Err(Error::Replayed { stream, epoch, seq })
        }
    }

    /// Forgets a stream that is over.
    pub fn forget(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }
}

impl Seen {
    fn of(&mut self, epoch: Epoch) -> Option<&mut Taken> {
        let at = self.epochs.partition_point(|(e, _)| *e > epoch);
        if self.epochs.get(at).is_none_or(|(e, _)| *e != epoch) {
            if at >= Dedup::EPOCHS {
                return None;
            }
            self.epochs.insert(at, (epoch, Taken::new(Dedup::WORDS)));
            self.epochs.truncate(Dedup::EPOCHS);
        }
        self.epochs.get_mut(at).map(|(_, taken)| taken)
    }
}
