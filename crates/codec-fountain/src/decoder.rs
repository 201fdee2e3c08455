//! Symbols to one object.

use crate::encoder::transmission_information;
use crate::{BlockShape, Error};
use core::fmt;
use core_types::SymbolId;
use raptorq::{EncodingPacket, PayloadId, SourceBlockDecoder, extended_source_block_symbols};
use std::collections::BTreeMap;

/// Collects the symbols of one object, in any order, until it can give the object back.
///
/// Memory is bounded by `(2K + 32) · T` bytes: `K` source symbols and at most `K + 32` repair symbols are held.
pub struct ObjectDecoder {
    shape: BlockShape,
    state: State,
}

enum State {
    Collecting(Collecting),
    /// The object is out; keeps how many distinct symbols that took.
    Done {
        received: u32,
    },
}

/// How far an object has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Distinct symbols received.
    pub received: u32,
    /// Number of source symbols, `K`: with fewer distinct symbols than this the object can't be decoded.
    pub needed: u32,
}

impl ObjectDecoder {
    /// Repair symbols kept beyond `K`. Honest symbols need two or three; more than this only help an attacker who
    /// picks ids that depend on one another.
    const MAX_EXTRA_REPAIR: u32 = 32;

    /// A decoder for one object. Reserves the object's padded length.
    pub fn new(shape: BlockShape) -> Self {
        Self { shape, state: State::Collecting(Collecting::new(shape)) }
    }

    /// The object's shape.
    pub const fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Takes one symbol; returns the object when this is the symbol that completes it.
    ///
    /// A symbol that is here already (the first one counts), that comes after the object is complete, or that is one
    /// repair symbol too many is ignored.
    ///
    /// # Errors
    /// [`Error::SymbolLength`] when the symbol does not have the stream's symbol size; the decoder is unchanged.
    pub fn push(&mut self, id: SymbolId, data: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let expected = self.shape.symbol_size().bytes();
        if data.len() != expected {
            return Err(Error::SymbolLength { id, expected, actual: data.len() });
        }
        let State::Collecting(collecting) = &mut self.state else {
            return Ok(None);
        };
        if !collecting.take(self.shape, id, data) {
            return Ok(None);
        }
        let object = collecting.try_complete(self.shape);
        if object.is_some() {
            self.state = State::Done { received: collecting.received() };
        }
        Ok(object)
    }

    /// Distinct symbols received and needed.
    pub fn progress(&self) -> Progress {
        let received = match &self.state {
            State::Collecting(collecting) => collecting.received(),
            State::Done { received } => *received,
        };
        Progress { received, needed: self.shape.source_symbols() }
    }

    /// True once the object has been returned.
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::Done { .. })
    }

    /// Bytes held for this object now.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.state {
            State::Collecting(collecting) => {
                collecting.source.len() + collecting.repair.len() * self.shape.symbol_size().bytes()
            }
            State::Done { .. } => 0,
        }
    }

    /// The most bytes that an object of this shape can make the decoder hold.
    pub(crate) const fn max_held_bytes(shape: BlockShape) -> usize {
        2 * shape.padded_len() + Self::MAX_EXTRA_REPAIR as usize * shape.symbol_size().bytes()
    }
}

struct Collecting {
    /// All source symbols in order; zeros where one is missing.
    source: Vec<u8>,
    has_source: Vec<bool>,
    source_count: u32,
    repair: BTreeMap<u32, Vec<u8>>,
    /// Solving is tried when this many distinct symbols are here.
    next_attempt: u32,
    failed_attempts: u32,
}

impl Collecting {
    fn new(shape: BlockShape) -> Self {
        Self {
            source: vec![0; shape.padded_len()],
            has_source: vec![false; shape.source_symbols() as usize],
            source_count: 0,
            repair: BTreeMap::new(),
            next_attempt: shape.source_symbols(),
            failed_attempts: 0,
        }
    }

    fn received(&self) -> u32 {
        self.source_count + self.repair.len() as u32
    }

    /// Stores a symbol of the right size; false when it brings nothing new.
    fn take(&mut self, shape: BlockShape, id: SymbolId, data: &[u8]) -> bool {
        let k = shape.source_symbols();
        let (id, size) = (id.value(), shape.symbol_size().bytes());
        if id < k {
            let start = id as usize * size;
            let Some(slot) = self.source.get_mut(start..start + size) else {
                return false;
            };
            if self.has_source[id as usize] {
                return false;
            }
            slot.copy_from_slice(data);
            self.has_source[id as usize] = true;
            self.source_count += 1;
            return true;
        }
        let full = self.repair.len() as u32 >= k + ObjectDecoder::MAX_EXTRA_REPAIR;
        if full || overflows_tuple_generator(k, id) || self.repair.contains_key(&id) {
            return false;
        }
        self.repair.insert(id, data.to_vec());
        true
    }

    fn try_complete(&mut self, shape: BlockShape) -> Option<Vec<u8>> {
        let mut object = if self.source_count == shape.source_symbols() {
            core::mem::take(&mut self.source)
        } else if self.received() >= self.next_attempt {
            let solved = self.solve(shape);
            if solved.is_none() {
                // The gap doubles, so that ids chosen to fail buy an attacker a handful of attempts and not one each.
                self.next_attempt = self.received() + (1 << self.failed_attempts.min(16));
                self.failed_attempts += 1;
            }
            solved?
        } else {
            return None;
        };
        object.truncate(shape.object_len());
        Some(object)
    }

    /// RFC 6330 section 5.4 through `raptorq`. What it asserts about its input holds here: every symbol has `T` bytes,
    /// ids fit 24 bits and are distinct, the block number is 0, and `K` is what the parameters say.
    fn solve(&self, shape: BlockShape) -> Option<Vec<u8>> {
        let size = shape.symbol_size().bytes();
        let source = self.source.chunks(size).zip(&self.has_source).enumerate();
        let source = source.filter(|(_, (_, has))| **has).map(|(id, (data, _))| (id as u32, data));
        let repair = self.repair.iter().map(|(id, data)| (*id, data.as_slice()));
        let packets = source
            .chain(repair)
            .map(|(id, data)| EncodingPacket::new(PayloadId::new(0, id), data.to_vec()))
            .collect::<Vec<_>>();
        SourceBlockDecoder::new(0, &transmission_information(shape), shape.padded_len() as u64)
            .decode(packets)
    }
}

/// True for a symbol that `raptorq` can't place in a build with overflow checks.
///
/// Its `Rand[y, i, m]` (RFC 6330 section 5.3.5.1) adds `i` to a 32-bit `y` without wrapping, and `y` is a function of
/// `K'` and the internal symbol id. Over every `K'` up to 1,032 and every 24-bit id there is a single pair whose sum
/// leaves 32 bits. No encoder gets that far, so such a symbol is hostile; it is dropped instead of solved.
fn overflows_tuple_generator(k: u32, id: u32) -> bool {
    let extended = extended_source_block_symbols(k);
    extended == 989 && id + (extended - k) == 3_158_229
}

impl fmt::Debug for ObjectDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { received, needed } = self.progress();
        write!(f, "ObjectDecoder({received} of {needed} symbols, done: {})", self.is_complete())
    }
}
