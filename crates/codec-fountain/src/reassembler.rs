//! Symbols to the many objects of a stream.

use crate::open::OpenObjects;
use crate::{BlockShape, Error, ObjectDecoder, Partial, Progress};
use core::fmt;
use core_types::{ObjectSeq, SymbolId, SymbolSize};
use std::collections::{BTreeSet, VecDeque};

/// How much a [`Reassembler`] holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Objects that have some of their symbols; at least 1.
    pub open_objects: usize,
    /// Bytes of all open objects together, counting an object's padded length from its first symbol on, or the memory that it was given
    /// ([`Reassembler::recycle`]) if that is more.
    pub bytes: usize,
}

impl Default for ReassemblyLimits {
    /// 64 objects (two seconds of video at 30 frames per second) and 16 MiB.
    fn default() -> Self {
        Self { open_objects: 64, bytes: 16 << 20 }
    }
}

/// An object that was given up because newer ones needed its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Evicted {
    /// The object.
    pub object: ObjectSeq,
    /// How far it had come.
    pub progress: Progress,
}

/// Puts the objects of one stream together from symbols that arrive in any order, over any number of parents.
///
/// When a limit is reached the object that was opened first is given up and reported by [`Reassembler::take_evicted`].
/// Order of arrival decides and not the sequence number, so that a forged number far ahead can't lock the stream out.
/// The last 1,024 objects that were completed or given up are remembered, and their symbols ignored; a symbol that is
/// later than that opens its object again.
pub struct Reassembler {
    symbol_size: SymbolSize,
    limits: ReassemblyLimits,
    open: OpenObjects,
    /// The open objects, first opened first.
    opened: VecDeque<ObjectSeq>,
    held_bytes: usize,
    /// Memory of an object that nobody needs any more.
    spare: Vec<u8>,
    closed: RecentSet,
    evicted: VecDeque<Evicted>,
    evicted_total: u64,
}

impl Reassembler {
    /// Evictions that wait for [`Reassembler::take_evicted`]; beyond this the oldest report is dropped.
    pub const MAX_EVICTION_REPORTS: usize = 1024;
    /// Completed and given-up objects that are remembered.
    pub const MAX_REMEMBERED: usize = 1024;

    /// A reassembler for a stream with symbols of `symbol_size`.
    ///
    /// # Errors
    /// [`Error::Limits`] when the limits can't hold one object of the largest size.
    pub fn new(symbol_size: SymbolSize, limits: ReassemblyLimits) -> Result<Self, Error> {
        let largest = BlockShape::new(BlockShape::max_object_len(symbol_size), symbol_size)?;
        let min_bytes = ObjectDecoder::max_held_bytes(largest);
        if limits.open_objects == 0 || limits.bytes < min_bytes {
            return Err(Error::Limits { objects: limits.open_objects, bytes: limits.bytes, min_bytes });
        }
        Ok(Self {
            symbol_size,
            limits,
            open: OpenObjects::default(),
            opened: VecDeque::new(),
            held_bytes: 0,
            spare: Vec::new(),
            closed: RecentSet::default(),
            evicted: VecDeque::new(),
            evicted_total: 0,
        })
    }

    /// Takes one symbol of `object`, whose sender says that it is `object_len` bytes long; returns the object when this
    /// symbol completes it. Each object is returned once.
    ///
    /// # Errors
    /// All are the peer's fault and leave the state as it was: [`Error::AnnouncedLength`] for an impossible length,
    /// [`Error::LengthChanged`] for a length unlike the one that opened the object, [`Error::SymbolLength`] for a symbol
    /// of the wrong size.
    #[inline]
    pub fn push(
        &mut self,
        object: ObjectSeq,
        object_len: usize,
        id: SymbolId,
        data: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        let last = self.open.last_mut(object).filter(|last| last.shape().object_len() == object_len);
        if last.is_some_and(|last| last.push_next(id, data)) {
            return Ok(None);
        }
        self.push_any(object, object_len, id, data)
    }

    fn push_any(
        &mut self,
        object: ObjectSeq,
        object_len: usize,
        id: SymbolId,
        data: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        if let Some(decoder) = self.open.get_mut(object) {
            let first = decoder.shape().object_len();
            if first != object_len {
                return Err(Error::LengthChanged { object, first, now: object_len });
            }
            let before = decoder.held_bytes();
            let complete = decoder.push(id, data)?;
            self.held_bytes = self.held_bytes + decoder.held_bytes() - before;
            if complete.is_some() {
                self.forget(object);
            } else {
                self.evict_beyond_limits(object);
            }
            return Ok(complete);
        }
        if self.closed.contains(object) {
            return Ok(None);
        }
        // The symbol is checked, and tried, before anything is opened: garbage must not push a good object out, and an
        // object of one symbol needs no room.
        let shape = BlockShape::new(object_len, self.symbol_size).map_err(|_| Error::AnnouncedLength {
            object,
            len: object_len,
            max: BlockShape::max_object_len(self.symbol_size),
        })?;
        let mut decoder = ObjectDecoder::with_buffer(shape, core::mem::take(&mut self.spare));
        let complete = decoder.push(id, data)?;
        if complete.is_some() {
            self.closed.insert(object);
        } else {
            self.held_bytes += decoder.held_bytes();
            self.open.insert(object, decoder);
            self.opened.push_back(object);
            self.evict_beyond_limits(object);
        }
        Ok(complete)
    }

    /// Takes memory back, that of an object which is no longer needed, for the next, which counts with all of it. One piece is kept, at most
    /// as long as an object can be.
    pub fn recycle(&mut self, object: Vec<u8>) {
        let most = BlockShape::max_object_len(self.symbol_size).next_multiple_of(self.symbol_size.bytes());
        if (self.spare.capacity()..=most).contains(&object.capacity()) {
            self.spare = object;
        }
    }

    /// How far `object` has come; `None` when none of its symbols is held.
    pub fn progress(&self, object: ObjectSeq) -> Option<Progress> {
        self.open.get(object).map(ObjectDecoder::progress)
    }

    /// The open objects with their progress, lowest sequence number first.
    pub fn open_objects(&self) -> impl Iterator<Item = (ObjectSeq, Progress)> {
        self.open.iter().map(|(object, decoder)| (object, decoder.progress()))
    }

    /// Bytes held for open objects.
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Gives up every open object below `object`, for a player that has moved on. They count as evicted.
    pub fn give_up_before(&mut self, object: ObjectSeq) {
        let late: Vec<_> = self.open.iter().map(|(late, _)| late).take_while(|late| *late < object).collect();
        for late in late {
            self.evict(late);
        }
    }

    /// Gives `object` up and returns what came of it, for a player that has to make do with that. It counts as evicted.
    /// `None` when none of its symbols is held.
    pub fn take_partial(&mut self, object: ObjectSeq) -> Option<Partial> {
        let decoder = self.forget(object)?;
        self.report(object, decoder.progress());
        decoder.into_partial()
    }

    /// The objects given up since the last call, in that order.
    pub fn take_evicted(&mut self) -> Vec<Evicted> {
        self.evicted.drain(..).collect()
    }

    /// Objects given up so far.
    pub const fn evicted_total(&self) -> u64 {
        self.evicted_total
    }

    /// Gives up the objects opened first until the limits hold again; never `keep`, which alone fits by construction.
    fn evict_beyond_limits(&mut self, keep: ObjectSeq) {
        while self.open.len() > self.limits.open_objects || self.held_bytes > self.limits.bytes {
            let Some(oldest) = self.opened.iter().copied().find(|object| *object != keep) else {
                return;
            };
            self.evict(oldest);
        }
    }

    fn evict(&mut self, object: ObjectSeq) {
        if let Some(decoder) = self.forget(object) {
            self.report(object, decoder.progress());
        }
    }

    fn report(&mut self, object: ObjectSeq, progress: Progress) {
        self.evicted_total += 1;
        if self.evicted.len() == Self::MAX_EVICTION_REPORTS {
            self.evicted.pop_front();
        }
        self.evicted.push_back(Evicted { object, progress });
    }

    /// Closes an open object.
    fn forget(&mut self, object: ObjectSeq) -> Option<ObjectDecoder> {
        let decoder = self.open.remove(object)?;
        self.held_bytes -= decoder.held_bytes();
        self.opened.retain(|other| *other != object);
        self.closed.insert(object);
        Some(decoder)
    }
}

impl fmt::Debug for Reassembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler")
            .field("open", &self.open.len())
            .field("held_bytes", &self.held_bytes)
            .field("evicted_total", &self.evicted_total)
            .finish_non_exhaustive()
    }
}

/// The last objects that were closed.
#[derive(Default)]
struct RecentSet {
    members: BTreeSet<ObjectSeq>,
    order: VecDeque<ObjectSeq>,
}

impl RecentSet {
    fn contains(&self, object: ObjectSeq) -> bool {
        self.members.contains(&object)
    }

    fn insert(&mut self, object: ObjectSeq) {
        if !self.members.insert(object) {
            return;
        }
        self.order.push_back(object);
        if self.order.len() > Reassembler::MAX_REMEMBERED
            && let Some(forgotten) = self.order.pop_front()
        {
            self.members.remove(&forgotten);
        }
    }
}
