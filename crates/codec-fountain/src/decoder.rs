//! Symbols to one object.

use crate::encoder::transmission_information;
use crate::first_repair::Place;
use crate::generator::Generator;
use crate::partial::{Arrived, Partial};
use crate::solve::System;
use crate::{BlockShape, Error};
use core::fmt;
use core_types::SymbolId;
use gf256::{Backend, Source};
use raptorq::{EncodingPacket, PayloadId, SourceBlockDecoder};

/// Collects the symbols of one object, in any order, until it can give the object back.
///
/// Source symbols are put where they belong in the object as they come. If none is lost that is all there is to do;
/// otherwise what is lost is computed from the repair symbols, and nothing else.
///
/// Memory is bounded by `(2K + 32) · T` bytes: `K` source symbols and at most `K + 32` repair symbols are held, with room for
/// 31 more at most; while the lost ones are computed, up to 160 kB more.
pub struct ObjectDecoder {
    shape: BlockShape,
    /// Ids below this need nothing but to be put in place when they come in order: those of all source symbols but the last, as
    /// long as there is no repair symbol.
    plain_below: u32,
    collecting: Collecting,
    /// The object is out, and this is how many distinct symbols that took.
    done: Option<u32>,
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
        Self::with_buffer(shape, Vec::new())
    }

    /// As [`ObjectDecoder::new`], with memory that was used before: an object that is no longer needed, say.
    pub fn with_buffer(shape: BlockShape, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.reserve_exact(shape.padded_len());
        let plain_below = shape.source_symbols() - 1;
        Self { shape, plain_below, collecting: Collecting::new(buffer), done: None }
    }

    /// The object's shape.
    pub const fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Takes one symbol; returns the object when this is the symbol that completes it.
    ///
    /// A symbol that is here already (the first one counts), that comes after the object is complete, that RFC 6330 does not
    /// have, or that is one repair symbol too many is ignored.
    ///
    /// # Errors
    /// [`Error::SymbolLength`] when the symbol does not have the stream's symbol size; the decoder is unchanged.
    #[inline]
    pub fn push(&mut self, id: SymbolId, data: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if self.push_next(id, data) { Ok(None) } else { self.push_any(id, data) }
    }

    /// Takes a symbol if it is the next of those that came in order so far, and not the last. So are most symbols of most
    /// objects, and what counts with them is the copy. Bytes held stay as they are.
    #[inline]
    pub(crate) fn push_next(&mut self, id: SymbolId, data: &[u8]) -> bool {
        let is_next = id.value() < self.plain_below
            && self.collecting.arrived.is_next(id.value())
            && data.len() == self.shape.symbol_size().bytes();
        if is_next {
            self.collecting.source.extend_from_slice(data);
            self.collecting.arrived.insert_next();
        }
        is_next
    }

    fn push_any(&mut self, id: SymbolId, data: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let expected = self.shape.symbol_size().bytes();
        if data.len() != expected {
            return Err(Error::SymbolLength { id, expected, actual: data.len() });
        }
        if id.value() >= self.plain_below {
            self.plain_below = 0;
        }
        let collecting = &mut self.collecting;
        let is_whole = self.done.is_none()
            && collecting.take(self.shape, id, data)
            && collecting.try_complete(self.shape);
        if !is_whole {
            return Ok(None);
        }
        self.done = Some(collecting.received());
        collecting.repair = Repair::default();
        let mut object = core::mem::take(&mut collecting.source);
        object.truncate(self.shape.object_len());
        Ok(Some(object))
    }

    /// Distinct symbols received and needed.
    pub fn progress(&self) -> Progress {
        let received = self.done.unwrap_or_else(|| self.collecting.received());
        Progress { received, needed: self.shape.source_symbols() }
    }

    /// True once the object has been returned.
    pub const fn is_complete(&self) -> bool {
        self.done.is_some()
    }

    /// The source symbols that have come so far, in order and where they belong, for an object that will not be complete in
    /// time. `None` once it has been returned.
    pub fn into_partial(self) -> Option<Partial> {
        let Collecting { source, arrived, .. } = self.collecting;
        self.done.is_none().then(|| Partial::new(self.shape, source, arrived))
    }

    /// Bytes held for this object now: memory that was used before may be more than it needs.
    pub(crate) fn held_bytes(&self) -> usize {
        if self.done.is_some() {
            0
        } else {
            self.collecting.source.capacity() + self.collecting.repair.bytes.len()
        }
    }

    /// The most bytes that an object of this shape can make the decoder hold.
    pub(crate) const fn max_held_bytes(shape: BlockShape) -> usize {
        2 * shape.padded_len() + Self::MAX_EXTRA_REPAIR as usize * shape.symbol_size().bytes()
    }
}

struct Collecting {
    /// The source symbols up to the last that has come; zeros where one is missing.
    source: Vec<u8>,
    arrived: Arrived,
    repair: Repair,
    /// Solving is tried when this many distinct symbols are here; 0 before the first try, when it is `K`.
    next_attempt: u32,
    failed_attempts: u32,
}

/// Repair symbols in the order in which they came.
#[derive(Default)]
struct Repair {
    /// How far each is behind the first of RFC 6330's.
    places: Vec<u32>,
    bytes: Vec<u8>,
}

impl Collecting {
    fn new(source: Vec<u8>) -> Self {
        let (arrived, repair) = (Arrived::default(), Repair::default());
        Self { source, arrived, repair, next_attempt: 0, failed_attempts: 0 }
    }

    const fn received(&self) -> u32 {
        self.arrived.count() + self.repair.places.len() as u32
    }

    /// Stores a symbol of the right size; false when it brings nothing new.
    fn take(&mut self, shape: BlockShape, id: SymbolId, data: &[u8]) -> bool {
        match Place::of(id, shape.source_symbols()) {
            Some(Place::Source(id)) => self.take_source(id, data),
            Some(Place::Repair(place)) => {
                let most = shape.source_symbols() + ObjectDecoder::MAX_EXTRA_REPAIR;
                let places = &mut self.repair.places;
                let is_new = places.len() < most as usize && !places.contains(&place);
                if is_new {
                    if places.len() == places.capacity() {
                        // As many as are missing now are enough, most likely.
                        let missing = shape.source_symbols() - self.arrived.count();
                        let more = missing.clamp(1, ObjectDecoder::MAX_EXTRA_REPAIR) as usize;
                        places.reserve_exact(more);
                        self.repair.bytes.reserve_exact(more * data.len());
                    }
                    places.push(place);
                    self.repair.bytes.extend_from_slice(data);
                }
                is_new
            }
            None => false,
        }
    }

    fn take_source(&mut self, id: u32, data: &[u8]) -> bool {
        if !self.arrived.insert(id) {
            return false;
        }
        // In order nothing is written twice, not even by zeros.
        let start = id as usize * data.len();
        if start >= self.source.len() {
            self.source.resize(start, 0);
            self.source.extend_from_slice(data);
        } else if let Some(slot) = self.source.get_mut(start..start + data.len()) {
            slot.copy_from_slice(data);
        }
        true
    }

    /// Makes `source` whole if that can be done.
    fn try_complete(&mut self, shape: BlockShape) -> bool {
        let k = shape.source_symbols();
        if self.arrived.count() == k {
            return true;
        }
        if self.received() < self.next_attempt.max(k) {
            return false;
        }
        let is_solved = match Generator::of(k) {
            Some(generator) => self.multiply(shape, generator),
            None => self.solve(shape),
        };
        if !is_solved {
            // The gap doubles, so that ids chosen to fail buy an attacker a handful of attempts and not one each.
            self.next_attempt = self.received() + (1 << self.failed_attempts.min(16));
            self.failed_attempts += 1;
        }
        is_solved
    }

    /// The lost source symbols as combinations of all other symbols. Each repair symbol is an equation: its factors times the
    /// source symbols, of which only the lost ones are unknown, are its bytes.
    fn multiply(&mut self, shape: BlockShape, generator: &Generator) -> bool {
        let (k, size) = (shape.source_symbols(), shape.symbol_size().bytes());
        let (mut lost, mut here) = (Vec::with_capacity(k as usize), Vec::with_capacity(k as usize));
        for id in 0..k {
            (if self.arrived.contains(id) { &mut here } else { &mut lost }).push(id as usize);
        }
        let repair = &self.repair;
        let count = repair.places.len();
        let mut system = System::new(count, k as usize + count, lost.len());
        let mut scratch = Vec::new();
        for (equation, place) in repair.places.iter().enumerate() {
            let factors = generator.rows(*place, 1, &mut scratch).bytes;
            let row = system.row_mut(equation);
            for (factor, id) in row.iter_mut().zip(lost.iter().chain(&here)) {
                *factor = factors[*id];
            }
            row[k as usize + equation] = 1;
        }
        let backend = Backend::best();
        if !system.solve(backend) {
            return false;
        }
        self.source.resize(shape.padded_len(), 0);
        let others = repair.bytes.chunks_exact(size).map(Source::Bytes);
        let sources = here.into_iter().map(Source::Row).chain(others);
        backend.combine_within(&mut self.source, size, system.factors(), sources, &lost);
        true
    }

    /// RFC 6330 section 5.4 through `raptorq`. What it asserts about its input holds here: every symbol has `T` bytes,
    /// ids fit 24 bits and are distinct, the block number is 0, and `K` is what the parameters say.
    fn solve(&mut self, shape: BlockShape) -> bool {
        let (k, size) = (shape.source_symbols(), shape.symbol_size().bytes());
        let source = (0..).zip(self.source.chunks_exact(size)).filter(|(id, _)| self.arrived.contains(*id));
        let repair = self.repair.places.iter().map(|place| k + place);
        let packets = source
            .chain(repair.zip(self.repair.bytes.chunks_exact(size)))
            .map(|(id, data)| EncodingPacket::new(PayloadId::new(0, id), data.to_vec()))
            .collect::<Vec<_>>();
        let decoded = SourceBlockDecoder::new(0, &transmission_information(shape), shape.padded_len() as u64)
            .decode(packets);
        let is_decoded = decoded.is_some();
        self.source = decoded.unwrap_or_else(|| core::mem::take(&mut self.source));
        is_decoded
    }
}

impl fmt::Debug for ObjectDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { received, needed } = self.progress();
        write!(f, "ObjectDecoder({received} of {needed} symbols, done: {})", self.is_complete())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoder;
    use core_types::SymbolSize;

    /// Repair symbols in which the only source symbol has factor 0 never give it back; trying each of them would be dear.
    #[test]
    fn attempts_get_rarer() {
        let size = SymbolSize::new(64).unwrap();
        let shape = BlockShape::new(64, size).unwrap();
        let generator = Generator::of(1).unwrap();
        let mut decoder = ObjectDecoder::new(shape);
        let useless = (0..).filter(|place| generator.rows(*place, 1, &mut Vec::new()).bytes[0] == 0);
        for place in useless.take(33) {
            assert_eq!(decoder.push(SymbolId::new(1 + place).unwrap(), &[0; 64]).unwrap(), None);
        }
        assert_eq!(decoder.progress().received, 33);
        assert_eq!(decoder.collecting.failed_attempts, 6, "with 1, 2, 4, 8, 16 and 32 symbols");
    }

    /// Which of the two ways is taken depends on the machine.
    #[test]
    fn solving_and_multiplying_give_the_same() {
        let size = SymbolSize::new(64).unwrap();
        for k in [2u32, 10, 17, 55, 64, 200, 256] {
            let object: Vec<u8> = (0..k * 64 - 3).map(|n| (n * n / 3) as u8).collect();
            let shape = BlockShape::new(object.len(), size).unwrap();
            let symbols = Encoder::new(size).encode(&object, k + 1).unwrap();
            let collect = || {
                let mut collecting = Collecting::new(Vec::new());
                // Two of three are lost; one repair symbol more than needed.
                let kept =
                    symbols.iter().filter(|symbol| symbol.id.value() % 3 == 0 || symbol.id.value() >= k);
                for symbol in kept.take(k as usize + 1) {
                    assert!(collecting.take(shape, symbol.id, &symbol.data));
                }
                collecting
            };
            let (mut solved, mut multiplied) = (collect(), collect());
            assert!(solved.solve(shape), "{k} symbols");
            assert_eq!(solved.source[..object.len()], object);
            if let Some(generator) = Generator::of(k) {
                assert!(multiplied.multiply(shape, generator), "{k} symbols");
                assert_eq!(multiplied.source, solved.source);
            }
        }
    }
}
