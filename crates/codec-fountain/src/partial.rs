//! What came of an object that did not become whole.

use crate::BlockShape;
use core::fmt;
use core::ops::Range;
use core_types::SymbolId;

/// Which source symbols have come: those in front that came in order, and a bit for each other that there can be.
#[derive(Clone, Default)]
pub(crate) struct Arrived {
    in_order: u32,
    count: u32,
    bits: [u64; (BlockShape::MAX_SOURCE_SYMBOLS / u64::BITS) as usize],
}

impl Arrived {
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        let bits = self.bits.get((id / u64::BITS) as usize);
        id < self.in_order || bits.is_some_and(|bits| bits >> (id % u64::BITS) & 1 != 0)
    }

    /// True if all that has come is what is in front of `id`.
    pub(crate) const fn is_next(&self, id: u32) -> bool {
        id == self.in_order && id == self.count
    }

    /// Inserts the symbol for which [`is_next`](Self::is_next) is true.
    pub(crate) const fn insert_next(&mut self) {
        self.in_order += 1;
        self.count += 1;
    }

    /// False when it was there already.
    pub(crate) fn insert(&mut self, id: u32) -> bool {
        let Some(bits) = self.bits.get_mut((id / u64::BITS) as usize) else {
            return false;
        };
        let bit = 1 << (id % u64::BITS);
        let is_new = *bits & bit == 0 && id >= self.in_order;
        *bits |= bit;
        self.count += u32::from(is_new);
        is_new
    }
}

/// The source symbols that came of an object, where they belong in it. The rest is zeros.
///
/// Much of a coded picture can be of use without the rest: what is in front of the first gap, a tile, a layer.
#[derive(Clone)]
pub struct Partial {
    shape: BlockShape,
    bytes: Vec<u8>,
    arrived: Arrived,
}

impl Partial {
    pub(crate) fn new(shape: BlockShape, mut bytes: Vec<u8>, arrived: Arrived) -> Self {
        bytes.resize(shape.object_len(), 0);
        Self { shape, bytes, arrived }
    }

    /// The object's shape.
    pub const fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Source symbols that came.
    pub const fn arrived(&self) -> u32 {
        self.arrived.count()
    }

    /// All source symbols in order, `None` for those that did not come. The last is as long as its share of the object: what it
    /// was filled up with is left out.
    pub fn symbols(&self) -> impl Iterator<Item = (SymbolId, Option<&[u8]>)> {
        let pieces = (0..).zip(self.bytes.chunks(self.shape.symbol_size().bytes()));
        pieces.filter_map(|(id, piece)| {
            Some((SymbolId::new(id).ok()?, self.arrived.contains(id).then_some(piece)))
        })
    }

    /// The stretches of the object that are here, in bytes, in order, as long as can be.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let (size, len) = (self.shape.symbol_size().bytes(), self.shape.object_len());
        let mut next = 0;
        core::iter::from_fn(move || {
            let k = self.shape.source_symbols();
            let start = (next..k).find(|id| self.arrived.contains(*id))?;
            let end = (start..k).find(|id| !self.arrived.contains(*id)).unwrap_or(k);
            next = end;
            Some(start as usize * size..(end as usize * size).min(len))
        })
    }

    /// What is in front of the first gap.
    pub fn prefix(&self) -> &[u8] {
        let first = self.ranges().next().filter(|range| range.start == 0);
        first.map_or(&[], |range| &self.bytes[range])
    }

    /// The object's length of bytes, with zeros where something is missing.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partial({} of {} source symbols)", self.arrived(), self.shape.source_symbols())
    }
}
