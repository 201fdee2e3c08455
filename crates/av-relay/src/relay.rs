//! The relay's state machine.

use crate::Error;
use crate::stream::{StreamState, Subscriber};
use av_wire::{ChunkHeader, Dedup, FirstChunk, FreshChunk};
use bytes::Bytes;
use core_types::{ChunkSeq, Epoch, LayerPolicy, LinkId, StreamId, StripeSet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bounds on everything that a peer can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Streams carried at once.
    pub streams: usize,
    /// Subscribers of one stream.
    pub subscribers_per_stream: usize,
    /// Upstream links of one stream.
    pub upstreams_per_stream: usize,
    /// Bytes of recent chunks kept for one stream.
    pub cache_bytes_per_stream: usize,
    /// Chunks that one repair request may name.
    pub chunks_per_request: usize,
}

impl Default for Limits {
    /// 64 streams, 1,024 subscribers and 8 upstream links each, 1 MiB of recent chunks each, 256 chunks a request.
    fn default() -> Self {
        Self {
            streams: 64,
            subscribers_per_stream: 1_024,
            upstreams_per_stream: 8,
            cache_bytes_per_stream: 1 << 20,
            chunks_per_request: 256,
        }
    }
}

/// Chunks to be sent on a link, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub link: LinkId,
    /// What: shared with the other subscribers, not copied.
    pub chunks: Vec<Bytes>,
}

/// What a relay has done, counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Chunks that were new and taken.
    pub chunks_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Chunks handed out, repairs included.
    pub chunks_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Chunks that had been taken before.
    pub duplicates: u64,
    /// Chunks that were refused: malformed, or from a link that does not feed the stream.
    pub refused: u64,
    /// Chunks sent again on request.
    pub repaired: u64,
    /// Chunks asked for that were not kept any more.
    pub repair_misses: u64,
}

/// A relay. See the crate's front page for the drain rule.
#[derive(Debug)]
pub struct Relay {
    limits: Limits,
    streams: BTreeMap<StreamId, StreamState>,
    dedup: Dedup,
    transmits: VecDeque<Transmit>,
    stats: Stats,
}

impl Relay {
    /// A relay that carries nothing yet.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            streams: BTreeMap::new(),
            dedup: Dedup::new(limits.streams),
            transmits: VecDeque::new(),
            stats: Stats {
                chunks_in: 0,
                bytes_in: 0,
                chunks_out: 0,
                bytes_out: 0,
                duplicates: 0,
                refused: 0,
                repaired: 0,
                repair_misses: 0,
            },
        }
    }

    /// Lets `link` feed `stream`, which is carried from then on. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::TooManyStreams`], [`Error::TooManyUpstreams`].
    pub fn add_upstream(&mut self, stream: StreamId, link: LinkId) -> Result<(), Error> {
        if !self.streams.contains_key(&stream) && self.streams.len() >= self.limits.streams {
            return Err(Error::TooManyStreams { limit: self.limits.streams });
        }
        let state = self
            .streams
            .entry(stream)
            .or_insert_with(|| StreamState::new(self.limits.cache_bytes_per_stream));
        if !state.upstreams.contains(&link) {
            if state.upstreams.len() >= self.limits.upstreams_per_stream {
                return Err(Error::TooManyUpstreams { stream, limit: self.limits.upstreams_per_stream });
            }
            state.upstreams.push(link);
        }
        Ok(())
    }

    /// Stops carrying a stream.
    pub fn remove_stream(&mut self, stream: StreamId) {
        self.dedup.forget(stream);
        self.streams.remove(&stream);
    }

    /// Subscribes `link`, or changes the policy and stripes that it has.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::TooManySubscribers`].
    pub fn subscribe(
        &mut self,
        link: LinkId,
        stream: StreamId,
        policy: LayerPolicy,
        stripes: StripeSet,
    ) -> Result<(), Error> {
        let limit = self.limits.subscribers_per_stream;
        let state = self.streams.get_mut(&stream).ok_or(Error::UnknownStream(stream))?;
        let wanted = Subscriber { link, policy, stripes };
        let full = state.subscribers.len() >= limit;
        match state.subscribers.iter_mut().find(|s| s.link == link) {
            Some(subscriber) => *subscriber = wanted,
            None if full => {
                return Err(Error::TooManySubscribers { stream, limit });
            }
            None => state.subscribers.push(wanted),
        }
        Ok(())
    }

    /// Ends a subscription; unknown ones are ignored.
    pub fn unsubscribe(&mut self, link: LinkId, stream: StreamId) {
        if let Some(state) = self.streams.get_mut(&stream) {
            state.subscribers.retain(|s| s.link != link);
        }
    }

    /// Forgets a link: its subscriptions, and its right to feed streams.
    pub fn remove_link(&mut self, link: LinkId) {
        for state in self.streams.values_mut() {
            state.subscribers.retain(|s| s.link != link);
            state.upstreams.retain(|upstream| *upstream != link);
        }
        self.transmits.retain(|transmit| transmit.link != link);
    }

    /// Takes chunks that came on `link`, best a frame's worth at a time, and queues them for the subscribers that are
    /// entitled to their stripe and admit their layer. The type says that they authenticated on their link and are fresh
    /// there. Returns the first error; the other chunks are handled all the same.
    ///
    /// # Errors
    /// [`Error::NotUpstream`]: the peer's fault.
    pub fn handle_chunks(
        &mut self,
        link: LinkId,
        chunks: impl IntoIterator<Item = FreshChunk<Bytes>>,
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        // Runs of one stream are queued together: a transport sends a batch several times cheaper than one by one.
        let mut run: Vec<FirstChunk<Bytes>> = Vec::new();
        for chunk in chunks {
            match self.admit(link, chunk) {
                Ok(Some(first)) => {
                    if run.last().is_some_and(|former| former.header().stream_id != first.header().stream_id)
                    {
                        self.fan_out(&run);
                        run.clear();
                    }
                    run.push(first);
                }
                Ok(None) => {}
                Err(error) => {
                    self.stats.refused += 1;
                    outcome = outcome.and(Err(error));
                }
            }
        }
        self.fan_out(&run);
        outcome
    }

    /// Sends chunks again to a subscriber that missed them, as far as they are kept and its policy admits them. Its
    /// stripes don't matter: it asks because another parent failed it. Returns how many are sent.
    ///
    /// # Errors
    /// [`Error::UnknownStream`] unless the link is a subscriber of the stream, [`Error::TooManyRequested`].
    pub fn handle_repair_request(
        &mut self,
        link: LinkId,
        stream: StreamId,
        epoch: Epoch,
        wanted: &[ChunkSeq],
    ) -> Result<usize, Error> {
        let limit = self.limits.chunks_per_request;
        if wanted.len() > limit {
            return Err(Error::TooManyRequested { link, limit, have: wanted.len() });
        }
        let state = self.streams.get(&stream).ok_or(Error::UnknownStream(stream))?;
        let Some(subscriber) = state.subscribers.iter().find(|s| s.link == link) else {
            return Err(Error::UnknownStream(stream));
        };
        // Asking for one chunk many times must not be a way to make traffic.
        let distinct: BTreeSet<ChunkSeq> = wanted.iter().copied().collect();
        let chunks: Vec<Bytes> = distinct
            .iter()
            .filter_map(|seq| state.cache.find(epoch, *seq))
            .filter(|chunk| ChunkHeader::parse(chunk).is_ok_and(|h| subscriber.policy.admits(h.layer)))
            .cloned()
            .collect();
        let found = chunks.len();
        self.stats.repaired += found as u64;
        self.stats.repair_misses += (distinct.len() - found) as u64;
        self.queue(link, chunks);
        Ok(found)
    }

    /// What to send next.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The counters.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// The streams carried, in order of their ids.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.streams.keys().copied()
    }

    /// Bytes of chunks kept for repair, over all streams.
    pub fn cached_bytes(&self) -> usize {
        self.streams.values().map(|state| state.cache.bytes()).sum()
    }

    /// Checks the source, and only then looks at the dedup window: `None` is a duplicate.
    fn admit(&mut self, link: LinkId, chunk: FreshChunk<Bytes>) -> Result<Option<FirstChunk<Bytes>>, Error> {
        let stream = chunk.header().stream_id;
        let Some(state) = self.streams.get_mut(&stream).filter(|s| s.upstreams.contains(&link)) else {
            return Err(Error::NotUpstream { link, stream });
        };
        let Ok(first) = self.dedup.first_chunk(chunk) else {
            self.stats.duplicates += 1;
            return Ok(None);
        };
        let ChunkHeader { epoch, chunk_seq, .. } = *first.header();
        state.cache.keep(epoch, chunk_seq, first.bytes().clone());
        self.stats.chunks_in += 1;
        self.stats.bytes_in += first.bytes().len() as u64;
        Ok(Some(first))
    }

    fn fan_out(&mut self, run: &[FirstChunk<Bytes>]) {
        let Some(state) = run.first().and_then(|first| self.streams.get(&first.header().stream_id)) else {
            return;
        };
        let mut out = Vec::with_capacity(state.subscribers.len());
        for subscriber in &state.subscribers {
            let chunks: Vec<Bytes> = run
                .iter()
                .filter(|first| subscriber.wants(first.header()))
                .map(|first| first.bytes().clone())
                .collect();
            out.push((subscriber.link, chunks));
        }
        for (link, chunks) in out {
            self.queue(link, chunks);
        }
    }

    fn queue(&mut self, link: LinkId, chunks: Vec<Bytes>) {
        if chunks.is_empty() {
            return;
        }
        self.stats.chunks_out += chunks.len() as u64;
        self.stats.bytes_out += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        self.transmits.push_back(Transmit { link, chunks });
    }
}
