//! Object to symbols.

use crate::{BlockShape, Error};
use core::fmt;
use core_types::{SymbolId, SymbolSize};
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
/// Solving RFC 6330's constraint system is most of the cost of encoding and depends on `K` alone, so its solution is
/// kept per `K`: the first object of a length pays for it, later ones do not.
#[derive(Debug)]
pub struct Encoder {
    symbol_size: SymbolSize,
    plans: PlanCache,
}

impl Encoder {
    /// The most repair symbols that one call makes.
    pub const MAX_REPAIR_SYMBOLS: u32 = 2048;

    /// An encoder for symbols of `symbol_size`, with an empty plan cache.
    pub fn new(symbol_size: SymbolSize) -> Self {
        Self { symbol_size, plans: PlanCache::default() }
    }

    /// The symbol size.
    pub const fn symbol_size(&self) -> SymbolSize {
        self.symbol_size
    }

    /// The object's `K` source symbols in order, then `repair` repair symbols; ids run from 0 without a gap.
    ///
    /// # Errors
    /// [`Error::ObjectLength`] when the object is empty or too long, [`Error::RepairCount`] above
    /// [`Encoder::MAX_REPAIR_SYMBOLS`].
    pub fn encode(&mut self, object: &[u8], repair: u32) -> Result<Vec<Symbol>, Error> {
        let shape = BlockShape::new(object.len(), self.symbol_size)?;
        if repair > Self::MAX_REPAIR_SYMBOLS {
            return Err(Error::RepairCount { asked: repair, max: Self::MAX_REPAIR_SYMBOLS });
        }
        let size = self.symbol_size.bytes();
        let mut symbols = Vec::with_capacity(shape.source_symbols() as usize + repair as usize);
        for (index, piece) in object.chunks(size).enumerate() {
            let mut data = Vec::with_capacity(size);
            data.extend_from_slice(piece);
            data.resize(size, 0);
            push_symbol(&mut symbols, index as u32, data);
        }
        if repair > 0 {
            let plan = self.plans.plan(shape.source_symbols());
            let mut padded = Vec::with_capacity(shape.padded_len());
            padded.extend_from_slice(object);
            padded.resize(shape.padded_len(), 0);
            let block =
                SourceBlockEncoder::with_encoding_plan(0, &transmission_information(shape), &padded, plan);
            for packet in block.repair_packets(0, repair) {
                let (payload_id, data) = packet.split();
                push_symbol(&mut symbols, payload_id.encoding_symbol_id(), data);
            }
        }
        Ok(symbols)
    }
}

/// Ids are below `MAX_SOURCE_SYMBOLS + MAX_REPAIR_SYMBOLS`, so every one fits 24 bits and none is left out.
fn push_symbol(symbols: &mut Vec<Symbol>, id: u32, data: Vec<u8>) {
    if let Ok(id) = SymbolId::new(id) {
        symbols.push(Symbol { id, data });
    }
}

/// RFC 6330's parameters for one source block, one sub-block, alignment 1. The shape's limits keep this inside what
/// `raptorq` asserts: `T` fits 16 bits, the length 40 bits, `K` is far below 56,403.
pub(crate) fn transmission_information(shape: BlockShape) -> ObjectTransmissionInformation {
    ObjectTransmissionInformation::new(shape.padded_len() as u64, shape.symbol_size().bytes() as u16, 1, 1, 1)
}

/// Least-recently-used plans per `K`. A plan takes about 1 KiB per source symbol, so the sum of their `K` is what is
/// bounded, to some 10 MiB. That is room for every `K` up to 127 at once.
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
}
