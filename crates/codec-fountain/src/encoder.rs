//! Object to symbols.

use crate::first_repair::left_out;
use crate::generator::Generator;
use crate::{BlockShape, Error};
use core::fmt;
use core_types::{SymbolId, SymbolSize};
use gf256::{Backend, Coefficients};
use raptorq::{ObjectTransmissionInformation, SourceBlockEncoder, SourceBlockEncodingPlan};
use std::collections::BTreeMap;

/// One symbol of an object.
#[derive(Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Below `K` a source symbol, from `K` on a repair symbol.
    pub id: SymbolId,
    /// Exactly the stream's symbol size of bytes.
    pub data: Vec<u8>,
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({}, {} bytes)", self.id, self.data.len())
    }
}

/// Cuts objects of one stream into symbols. Not shared between streams with different symbol sizes.
///
/// What depends on `K` alone is computed for the first object of a length and kept: up to 256 source symbols the factors
/// of the repair symbols, for the whole process, in a millisecond at most; above, the solution of RFC 6330's constraint
/// system, for this encoder. [`Encoder::prepare`] does it beforehand.
#[derive(Debug)]
pub struct Encoder {
    symbol_size: SymbolSize,
    plans: PlanCache,
    /// The last source symbol, filled up.
    tail: Vec<u8>,
    /// Repair symbols, one after another.
    repair: Vec<u8>,
    scratch: Vec<u8>,
}

/// An object's symbols, which lie in the object itself and in the encoder's buffers.
#[derive(Clone, Copy)]
pub struct EncodedBlock<'a> {
    shape: BlockShape,
    object: &'a [u8],
    tail: &'a [u8],
    repair: &'a [u8],
}

impl<'a> EncodedBlock<'a> {
    /// How the object was cut.
    pub const fn shape(&self) -> BlockShape {
        self.shape
    }

    /// The source symbols in order, then the repair symbols; ids run from 0 without a gap.
    pub fn symbols(&self) -> impl Iterator<Item = (SymbolId, &'a [u8])> + use<'a> {
        let data = self.source_symbols().chain(self.repair_symbols());
        // Ids are below `MAX_SOURCE_SYMBOLS + MAX_REPAIR_SYMBOLS`, so every one fits 24 bits and none is left out.
        (0..).zip(data).filter_map(|(id, data)| Some((SymbolId::new(id).ok()?, data)))
    }

    /// The `K` source symbols: pieces of the object, but for the last, which may have had to be filled up.
    pub fn source_symbols(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let whole = self.object.chunks_exact(self.shape.symbol_size().bytes());
        whole.chain((!self.tail.is_empty()).then_some(self.tail))
    }

    /// The repair symbols, ids from `K` on.
    pub fn repair_symbols(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.repair.chunks_exact(self.shape.symbol_size().bytes())
    }
}

impl fmt::Debug for EncodedBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repair = self.repair.len() / self.shape.symbol_size().bytes();
        write!(f, "EncodedBlock({} source and {repair} repair symbols)", self.shape.source_symbols())
    }
}

impl Encoder {
    /// The most repair symbols that one call makes.
    pub const MAX_REPAIR_SYMBOLS: u32 = 2048;

    /// An encoder for symbols of `symbol_size`, with empty buffers.
    pub fn new(symbol_size: SymbolSize) -> Self {
        let (tail, repair, scratch) = (Vec::new(), Vec::new(), Vec::new());
        Self { symbol_size, plans: PlanCache::default(), tail, repair, scratch }
    }

    /// The symbol size.
    pub const fn symbol_size(&self) -> SymbolSize {
        self.symbol_size
    }

    /// Does now what the first object of `object_len` bytes, and of those that have as many symbols, would have to wait for: a
    /// tenth of a millisecond to one up to 256 symbols, two for 1,024 (example `first_use`).
    ///
    /// # Errors
    /// [`Error::ObjectLength`] when no object is that long.
    pub fn prepare(&mut self, object_len: usize) -> Result<(), Error> {
        let k = BlockShape::new(object_len, self.symbol_size)?.source_symbols();
        match Generator::of(k) {
            Some(generator) => drop(generator.rows(left_out(k), 1, &mut self.scratch)),
            None => drop(self.plans.plan(k)),
        }
        Ok(())
    }

    /// The object's `K` source symbols and `repair` repair symbols. Nothing is allocated once the buffers have grown to what
    /// objects take, and nothing is copied but what has to be filled up.
    ///
    /// # Errors
    /// [`Error::ObjectLength`] when the object is empty or too long, [`Error::RepairCount`] above
    /// [`Encoder::MAX_REPAIR_SYMBOLS`].
    pub fn encode_block<'a>(&'a mut self, object: &'a [u8], repair: u32) -> Result<EncodedBlock<'a>, Error> {
        let shape = BlockShape::new(object.len(), self.symbol_size)?;
        if repair > Self::MAX_REPAIR_SYMBOLS {
            return Err(Error::RepairCount { asked: repair, max: Self::MAX_REPAIR_SYMBOLS });
        }
        let size = self.symbol_size.bytes();
        self.tail.clear();
        if !object.len().is_multiple_of(size) {
            self.tail.extend_from_slice(&object[object.len() - object.len() % size..]);
            self.tail.resize(size, 0);
        }
        let repair_len = repair as usize * size;
        if self.repair.len() < repair_len {
            self.repair.resize(repair_len, 0);
        }
        let (tail, output) = (&self.tail[..], &mut self.repair[..repair_len]);
        let source = EncodedBlock { shape, object, tail, repair: &[] };
        match Generator::of(shape.source_symbols()) {
            Some(generator) => multiply(generator, &source, output, &mut self.scratch),
            None => solve(self.plans.plan(shape.source_symbols()), shape, object, output),
        }
        Ok(EncodedBlock { repair: &self.repair[..repair_len], ..source })
    }

    /// The same symbols, each with memory of its own. [`Encoder::encode_block`] is faster.
    ///
    /// # Errors
    /// As [`Encoder::encode_block`].
    pub fn encode(&mut self, object: &[u8], repair: u32) -> Result<Vec<Symbol>, Error> {
        let block = self.encode_block(object, repair)?;
        let mut symbols = Vec::with_capacity(block.shape.source_symbols() as usize + repair as usize);
        symbols.extend(block.symbols().map(|(id, data)| Symbol { id, data: data.to_vec() }));
        Ok(symbols)
    }
}

/// Repair symbols as combinations of the source symbols.
fn multiply(generator: &Generator, source: &EncodedBlock<'_>, output: &mut [u8], scratch: &mut Vec<u8>) {
    let size = source.shape.symbol_size().bytes();
    let mut place = left_out(source.shape.source_symbols());
    let mut rest = output;
    while !rest.is_empty() {
        let rows = generator.rows(place, rest.len() / size, scratch);
        let (now, later) = rest.split_at_mut(rows.count * size);
        let factors = Coefficients::new(rows.bytes, generator.width());
        Backend::best().combine(factors, source.source_symbols(), now);
        place += rows.count as u32;
        rest = later;
    }
}

/// Repair symbols by `raptorq`.
fn solve(plan: &SourceBlockEncodingPlan, shape: BlockShape, object: &[u8], output: &mut [u8]) {
    let size = shape.symbol_size().bytes();
    if output.is_empty() {
        return;
    }
    let mut padded = Vec::with_capacity(shape.padded_len());
    padded.extend_from_slice(object);
    padded.resize(shape.padded_len(), 0);
    let block = SourceBlockEncoder::with_encoding_plan(0, &transmission_information(shape), &padded, plan);
    let count = (output.len() / size) as u32;
    for (place, packet) in
        output.chunks_exact_mut(size).zip(block.repair_packets(left_out(shape.source_symbols()), count))
    {
        place.copy_from_slice(packet.data());
    }
}

/// RFC 6330's parameters for one source block, one sub-block, alignment 1. The shape's limits keep this inside what
/// `raptorq` asserts: `T` fits 16 bits, the length 40 bits, `K` is far below 56,403.
pub(crate) fn transmission_information(shape: BlockShape) -> ObjectTransmissionInformation {
    ObjectTransmissionInformation::new(shape.padded_len() as u64, shape.symbol_size().bytes() as u16, 1, 1, 1)
}

/// Least-recently-used plans per `K`, for blocks that `raptorq` encodes. A plan takes about 1 KiB per source symbol, so the
/// sum of their `K` is what is bounded, to some 10 MiB. That is room for eight of the largest.
#[derive(Default)]
struct PlanCache {
    plans: BTreeMap<u32, CachedPlan>,
    clock: u64,
    symbols: u32,
}

struct CachedPlan {
    plan: SourceBlockEncodingPlan,
    used_at: u64,
}

impl PlanCache {
    const MAX_SYMBOLS: u32 = 8 * BlockShape::MAX_SOURCE_SYMBOLS;

    fn plan(&mut self, source_symbols: u32) -> &SourceBlockEncodingPlan {
        self.clock += 1;
        if !self.plans.contains_key(&source_symbols) {
            self.make_room(source_symbols);
            self.symbols += source_symbols;
        }
        let cached = self.plans.entry(source_symbols).or_insert_with(|| CachedPlan {
            plan: SourceBlockEncodingPlan::generate(source_symbols as u16),
            used_at: 0,
        });
        cached.used_at = self.clock;
        &cached.plan
    }

    fn make_room(&mut self, source_symbols: u32) {
        while self.symbols + source_symbols > Self::MAX_SYMBOLS {
            let Some(oldest) = self.plans.iter().min_by_key(|(_, cached)| cached.used_at).map(|(k, _)| *k)
            else {
                return;
            };
            self.plans.remove(&oldest);
            self.symbols -= oldest;
        }
    }
}

impl fmt::Debug for PlanCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanCache({} plans, {} symbols)", self.plans.len(), self.symbols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_cache_stays_bounded_and_keeps_what_was_used_last() {
        let mut cache = PlanCache::default();
        cache.plan(3);
        for k in 10..300 {
            cache.plan(k % 40 + 4);
            cache.plan(3);
        }
        assert_eq!(cache.plans.len(), 41, "one plan per K");
        for k in 1..=290 {
            cache.plan(k);
            cache.plan(3);
            let symbols: u32 = cache.plans.keys().sum();
            assert_eq!(cache.symbols, symbols);
            assert!(symbols <= PlanCache::MAX_SYMBOLS);
        }
        assert!(cache.plans.contains_key(&3) && cache.plans.contains_key(&290));
        assert!(!cache.plans.contains_key(&1), "the oldest went first");
    }

    /// Which of the two ways is taken depends on the machine.
    #[test]
    fn solving_and_multiplying_give_the_same() {
        let size = SymbolSize::new(64).unwrap();
        let mut plans = PlanCache::default();
        for k in [1, 9, 10, 17, 55, 64, 200, 256] {
            let object: Vec<u8> = (0..k * 64 - 3).map(|n| (n * n / 3) as u8).collect();
            let shape = BlockShape::new(object.len(), size).unwrap();
            let mut solved = vec![0; 5 * 64];
            solve(plans.plan(k as u32), shape, &object, &mut solved);
            let mut encoder = Encoder::new(size);
            assert_eq!(encoder.encode_block(&object, 5).unwrap().repair, solved, "{k} symbols");
        }
    }

    #[test]
    fn buffers_are_not_allocated_anew() {
        let mut encoder = Encoder::new(SymbolSize::DEFAULT);
        let object = vec![5; 15 * 1_088 - 9];
        let place = |block: EncodedBlock<'_>| (block.tail.as_ptr(), block.repair.as_ptr());
        let first = place(encoder.encode_block(&object, 9).unwrap());
        for (len, repair) in [(object.len(), 4), (100, 1), (object.len(), 9)] {
            assert_eq!(place(encoder.encode_block(&object[..len], repair).unwrap()), first);
        }
    }
}
