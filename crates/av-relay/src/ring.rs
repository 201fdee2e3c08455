//! The recent chunks of one stream, in the order in which they came: every subscriber's queue at once, the key-frame group for
//! late joiners, and what repairs are answered from.
//!
//! A place in the ring is an index that only goes up. What serving a subscriber looks at is kept apart from the chunks and is
//! small: ten chunks of it are in the nearest cache while a thousand subscribers are served.

use av_wire::KeptChunk;
use bytes::Bytes;
use core_types::{ChunkSeq, Epoch, MonoTime};
use std::collections::VecDeque;

/// What is known of a chunk in the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    /// Its object: counted in the order in which objects were first seen.
    pub(crate) object: u64,
    pub(crate) seq: ChunkSeq,
    /// Counts all chunks of the relay: the order of arrival over streams.
    pub(crate) order: u64,
    pub(crate) at: MonoTime,
    /// Layers that its object may refer to, beside its own; meant for the chunk that opens it.
    pub(crate) needs: u64,
    /// Bytes of all chunks of the stream before it.
    before: u64,
    pub(crate) len: u32,
    /// Number of its layer in the stream's table.
    pub(crate) layer: u8,
    pub(crate) flags: Flags,
}

/// What serving has to know of a chunk and its object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u8);

impl Flags {
    /// The first chunk of its object that came: objects are decided on here.
    pub(crate) const OPENS: Self = Self(1);
    /// Its object is on the base layer.
    pub(crate) const BASE: Self = Self(2);
    /// A subscriber that has the layers below may take this layer up with its object.
    pub(crate) const TAKE_UP: Self = Self(4);
    /// Nothing refers to its object.
    pub(crate) const DISCARDABLE: Self = Self(8);
    /// It is a repair symbol.
    pub(crate) const REPAIR: Self = Self(16);
    /// Its object stands alone, as all of its stream do: none needs a key frame.
    pub(crate) const ALONE: Self = Self(32);
    /// Its object is a key frame of the base layer.
    pub(crate) const KEY: Self = Self(64);

    #[inline]
    pub(crate) const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) const fn with(self, flag: Self, set: bool) -> Self {
        if set { Self(self.0 | flag.0) } else { self }
    }
}

#[derive(Debug)]
pub(crate) struct Ring {
    first: u64,
    metas: VecDeque<Meta>,
    chunks: VecDeque<KeptChunk<Bytes>>,
    /// By chunk number, modulo its length: low bits of the index, plus one. A hint, checked wherever it is used: numbers of
    /// two epochs may share a place, and then the older chunk is not found.
    places: Box<[u32]>,
    bytes: usize,
    limit_bytes: usize,
    limit_chunks: usize,
    /// Bytes of all chunks that were ever in it.
    total: u64,
}

impl Ring {
    pub(crate) fn new(limit_bytes: usize, limit_chunks: usize) -> Self {
        let limit_chunks = limit_chunks.clamp(1, 1 << 20);
        Self {
            first: 0,
            metas: VecDeque::new(),
            chunks: VecDeque::new(),
            places: vec![0; limit_chunks.next_power_of_two()].into(),
            bytes: 0,
            limit_bytes,
            limit_chunks,
            total: 0,
        }
    }

    /// Index of the oldest chunk.
    #[inline]
    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    /// Index that the next chunk will have.
    #[inline]
    pub(crate) fn head(&self) -> u64 {
        self.first + self.metas.len() as u64
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, chunk: KeptChunk<Bytes>, mut meta: Meta) -> u64 {
        let index = self.head();
        meta.before = self.total;
        let place = self.place(meta.seq);
        self.places[place] = (index as u32).wrapping_add(1);
        self.total += u64::from(meta.len);
        self.bytes += meta.len as usize;
        self.metas.push_back(meta);
        self.chunks.push_back(chunk);
        while self.metas.len() > 1 && (self.bytes > self.limit_bytes || self.metas.len() > self.limit_chunks)
        {
            if let Some(gone) = self.metas.pop_front() {
                self.bytes -= gone.len as usize;
            }
            self.chunks.pop_front();
            self.first += 1;
        }
        index
    }

    #[inline]
    pub(crate) fn meta(&self, index: u64) -> Option<&Meta> {
        self.metas.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    #[inline]
    pub(crate) fn chunk(&self, index: u64) -> Option<&KeptChunk<Bytes>> {
        self.chunks.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// What is known of the chunks from `index` on, which must not be before the oldest.
    #[inline]
    pub(crate) fn metas_from(&self, index: u64) -> impl Iterator<Item = &Meta> {
        let from = (index.saturating_sub(self.first) as usize).min(self.metas.len());
        self.metas.range(from..)
    }

    /// Bytes of the chunks from `index` on.
    #[inline]
    pub(crate) fn bytes_from(&self, index: u64) -> u64 {
        self.meta(index).map_or(0, |meta| self.total - meta.before)
    }

    /// Where the chunk of that number is, if it is kept.
    pub(crate) fn find(&self, epoch: Epoch, seq: ChunkSeq) -> Option<u64> {
        let low = self.places[self.place(seq)].checked_sub(1)?;
        // The index that ends so and is not above the newest.
        let newest = self.head().checked_sub(1)?;
        let index = newest.checked_sub(u64::from((newest as u32).wrapping_sub(low)))?;
        let header = self.chunk(index)?.header();
        (header.epoch == epoch && header.chunk_seq == seq).then_some(index)
    }

    fn place(&self, seq: ChunkSeq) -> usize {
        seq.0 as usize & (self.places.len() - 1)
    }
}

impl Meta {
    pub(crate) fn new(object: u64, seq: ChunkSeq, at: MonoTime, len: u32) -> Self {
        Self { object, seq, order: 0, at, needs: 0, before: 0, len, layer: 0, flags: Flags::default() }
    }

    #[inline]
    pub(crate) const fn is(&self, flag: Flags) -> bool {
        self.flags.has(flag)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "helpers of tests")]
mod tests {
    use super::*;
    use av_wire::{AwsLc, ChunkHeader, HEADER_LEN, HopReceiver, HopSuite};
    use core_types::{CodecId, Layer, Marks, StreamId};
    use proptest::prelude::*;

    fn push(ring: &mut Ring, epoch: u64, seq: u64, len: usize) -> u64 {
        let header = ChunkHeader {
            stream_id: StreamId([1; 32]),
            epoch: Epoch(epoch),
            chunk_seq: ChunkSeq(seq),
            codec: CodecId::Av1,
            layer: Layer::BASE,
            marks: Marks::NONE,
        };
        let mut bytes = header.to_bytes().unwrap().to_vec();
        bytes.resize(HEADER_LEN + 17 + len, 0);
        let len = bytes.len() as u32;
        let link = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        let chunk = link.take_whole(Bytes::from(bytes)).unwrap().keep();
        ring.push(chunk, Meta::new(0, ChunkSeq(seq), MonoTime(0), len))
    }

    proptest! {
        #[test]
        fn the_newest_chunks_that_fit_are_kept_and_found(
            chunks in prop::collection::vec((1u64..3, 0usize..60), 1..120), limit in 1usize..40,
        ) {
            let mut ring = Ring::new(2_000, limit);
            let mut next = [0u64; 3];
            let mut all = Vec::new();
            for (epoch, len) in chunks {
                let seq = next[epoch as usize];
                next[epoch as usize] += 1;
                all.push((push(&mut ring, epoch, seq, len), epoch, seq, HEADER_LEN + 17 + len));
            }
            let (mut bytes, mut count) = (0, 0);
            let mut places = std::collections::BTreeSet::new();
            let mut is_kept = true;
            for (at, (index, epoch, seq, len)) in all.iter().enumerate().rev() {
                is_kept &= at + 1 == all.len() || (bytes + len <= 2_000 && count < limit);
                prop_assert_eq!(*index, at as u64);
                prop_assert_eq!(ring.meta(*index).is_some() && ring.chunk(*index).is_some(), is_kept);
                // A newer chunk of another epoch may have taken its place in the index.
                let hidden = !places.insert(seq % limit.next_power_of_two() as u64);
                let found = ring.find(Epoch(*epoch), ChunkSeq(*seq));
                prop_assert!(found == Some(*index) || !is_kept || hidden);
                prop_assert!(found.is_none() || found == Some(*index));
                if is_kept {
                    (bytes, count) = (bytes + len, count + 1);
                    prop_assert_eq!(ring.bytes_from(*index), bytes as u64);
                }
            }
            prop_assert_eq!((ring.bytes(), ring.head() - ring.first()), (bytes, count as u64));
            prop_assert_eq!(ring.metas_from(ring.first()).count(), count);
            prop_assert_eq!(ring.find(Epoch(9), ChunkSeq(0)), None);
        }
    }

    #[test]
    fn a_chunk_above_the_limit_is_kept_alone() {
        let mut ring = Ring::new(100, 8);
        push(&mut ring, 1, 0, 10);
        push(&mut ring, 1, 1, 1_000);
        assert_eq!((ring.first(), ring.head()), (1, 2));
    }
}
