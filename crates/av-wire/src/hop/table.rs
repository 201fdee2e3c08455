//! The sender's side of the aliases: which stream has which, when to say the whole header again, when an alias is free.

use super::layout::{Alias, Window, Written};
use super::{Geometry, LinkSeq};
use crate::{ChunkHeader, HEADER_LEN};
use core_types::{CodecId, Epoch, StreamId};
use std::collections::VecDeque;

/// The first so many chunks of a binding carry the whole header.
const BURST: u32 = 3;

#[derive(Debug, Clone, Copy)]
struct Binding {
    alias: Alias,
    epoch: Epoch,
    codec: CodecId,
    window: Window,
    /// Chunks since the binding was made or asked for anew.
    chunks: u32,
    /// When the whole header was last sent.
    said: LinkSeq,
    /// How many bindings had been made then.
    made: u64,
    used: LinkSeq,
}

/// What the sender of a link has told the other side.
#[derive(Debug)]
pub(super) struct Outgoing {
    geometry: Geometry,
    /// In order of the ids.
    streams: Vec<(StreamId, Binding)>,
    /// Where the stream of the last chunk is: chunks of a stream come in runs.
    recent: usize,
    /// Aliases that were given up, oldest first, and the link number from which on each may be bound again.
    retired: VecDeque<(Alias, LinkSeq)>,
    /// Aliases from here on were never bound.
    unused: u16,
    /// Bindings made so far.
    made: u64,
}

impl Outgoing {
    pub(super) const fn new(geometry: Geometry) -> Self {
        Self { geometry, streams: Vec::new(), recent: 0, retired: VecDeque::new(), unused: 0, made: 0 }
    }

    /// The next chunks of the stream carry the whole header, as if it were new.
    pub(super) fn rebind(&mut self, stream: StreamId) {
        if let Ok(at) = self.find(stream) {
            self.streams[at].1.chunks = 0;
        }
    }

    /// Writes the header for a chunk that is sent under `link_seq`.
    #[inline]
    pub(super) fn write(
        &mut self,
        link_seq: LinkSeq,
        header: &ChunkHeader,
        bytes: &[u8; HEADER_LEN],
        head: &mut Written,
    ) {
        let known = match self.streams.get(self.recent) {
            Some((stream, _)) if *stream == header.stream_id => Ok(self.recent),
            _ => self.find(header.stream_id),
        };
        if let Ok(at) = known
            && let Some((_, binding)) = self.streams.get_mut(at)
            && binding.covers(header)
        {
            self.recent = at;
            binding.used = link_seq;
            let due = binding.is_due(link_seq, self.made, &self.geometry);
            binding.chunks = binding.chunks.wrapping_add(1);
            if !due {
                return head.set_compact(link_seq, binding.alias, header);
            }
            (binding.said, binding.made) = (link_seq, self.made);
            let binds = Some((binding.alias, binding.window));
            return head.set_whole(link_seq, binds, header.chunk_seq.0, bytes);
        }
        head.set_whole(link_seq, self.bind(known, link_seq, header), header.chunk_seq.0, bytes);
    }

    /// A new binding for a chunk that the stream's present one, at `known`, does not cover; `None` if the chunk is to go
    /// without one.
    #[cold]
    fn bind(
        &mut self,
        known: Result<usize, usize>,
        now: LinkSeq,
        header: &ChunkHeader,
    ) -> Option<(Alias, Window)> {
        let seq = header.chunk_seq.0;
        if let Ok(at) = known {
            // Late chunks of a former epoch or window, as repairs are, don't undo the binding.
            let binding = &self.streams[at].1;
            let same = header.epoch == binding.epoch && header.codec == binding.codec;
            if header.epoch < binding.epoch || same && binding.window.is_past(seq) {
                return None;
            }
            self.retire(at, now);
        }
        let alias = self.free_alias(now)?;
        if self.streams.len() >= self.geometry.streams {
            let idle = (0..self.streams.len()).min_by_key(|at| self.streams[*at].1.used);
            if let Some(at) = idle {
                self.retire(at, now);
            }
        }
        self.made += 1;
        let window = Window::around(seq);
        let binding = Binding {
            alias,
            epoch: header.epoch,
            codec: header.codec,
            window,
            chunks: 1,
            said: now,
            made: self.made,
            used: now,
        };
        if let Err(at) = self.find(header.stream_id) {
            self.streams.insert(at, (header.stream_id, binding));
        }
        Some((alias, window))
    }

    /// Where the stream is, or where it would be.
    fn find(&self, stream: StreamId) -> Result<usize, usize> {
        self.streams.binary_search_by_key(&stream, |(id, _)| *id)
    }

    /// Gives a stream's alias up. The receiver forgets it before it is bound again.
    fn retire(&mut self, at: usize, now: LinkSeq) {
        let (_, binding) = self.streams.remove(at);
        let free = now.0 + self.geometry.reach + self.geometry.reorder;
        self.retired.push_back((binding.alias, LinkSeq(free)));
    }

    fn free_alias(&mut self, now: LinkSeq) -> Option<Alias> {
        if self.unused < self.geometry.aliases {
            self.unused += 1;
            return Some(Alias(self.unused - 1));
        }
        let (alias, free) = *self.retired.front()?;
        if now <= free {
            return None;
        }
        self.retired.pop_front();
        Some(alias)
    }
}

impl Binding {
    #[inline]
    fn covers(&self, header: &ChunkHeader) -> bool {
        self.epoch == header.epoch && self.codec == header.codec && self.window.contains(header.chunk_seq.0)
    }

    /// The whole header is said with chunks 0 to 2, with 8, 16, 32 …, and with every multiple of 256; and whenever
    /// the receiver could soon forget it.
    #[inline]
    const fn is_due(&self, now: LinkSeq, made: u64, geometry: &Geometry) -> bool {
        let n = self.chunks;
        n < BURST
            || (n >= 8 && n.is_power_of_two())
            || n & (geometry.repeat - 1) == 0
            || now.0 - self.said.0 >= geometry.reach / 2
            || made - self.made >= geometry.churn()
    }
}
