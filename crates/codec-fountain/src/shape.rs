//! How an object is cut, and how much repair it needs.

use crate::Error;
use crate::first_repair::Place;
use core_types::{SymbolId, SymbolSize};

/// How one object is cut into symbols: its length and the symbol size. Both ends derive the same `K` from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockShape {
    object_len: usize,
    symbol_size: SymbolSize,
    /// Follows from the two, and is asked for with each symbol.
    source_symbols: u32,
}

impl BlockShape {
    /// The longest object in bytes: 1 MiB.
    pub const MAX_OBJECT_LEN: usize = 1 << 20;
    /// The most source symbols an object can have. RFC 6330 allows 56,403; decoding cost grows with the square of
    /// what is missing, and a frame never needs more.
    pub const MAX_SOURCE_SYMBOLS: u32 = 1024;

    /// The shape of an object of `object_len` bytes in symbols of `symbol_size`. Allocates nothing.
    ///
    /// # Errors
    /// [`Error::ObjectLength`] when `object_len` is 0 or above [`BlockShape::max_object_len`].
    pub const fn new(object_len: usize, symbol_size: SymbolSize) -> Result<Self, Error> {
        let max = Self::max_object_len(symbol_size);
        if object_len == 0 || object_len > max {
            return Err(Error::ObjectLength { len: object_len, max });
        }
        let source_symbols = object_len.div_ceil(symbol_size.bytes()) as u32;
        Ok(Self { object_len, symbol_size, source_symbols })
    }

    /// The longest object in bytes at a symbol size: what [`BlockShape::MAX_OBJECT_LEN`] and
    /// [`BlockShape::MAX_SOURCE_SYMBOLS`] both allow.
    pub const fn max_object_len(symbol_size: SymbolSize) -> usize {
        let by_symbols = Self::MAX_SOURCE_SYMBOLS as usize * symbol_size.bytes();
        if by_symbols < Self::MAX_OBJECT_LEN { by_symbols } else { Self::MAX_OBJECT_LEN }
    }

    /// Bytes of the object.
    pub const fn object_len(self) -> usize {
        self.object_len
    }

    /// Bytes of each symbol, `T`.
    pub const fn symbol_size(self) -> SymbolSize {
        self.symbol_size
    }

    /// Number of source symbols, `K`: 1 to [`BlockShape::MAX_SOURCE_SYMBOLS`].
    pub const fn source_symbols(self) -> u32 {
        self.source_symbols
    }

    /// RFC 6330's encoding symbol id of the symbol `id`: the same for source symbols; for repair symbols higher by a number that
    /// follows from `K`, so that the first of them makes up for any one lost source symbol. `None` when RFC 6330
    /// has no such symbol.
    ///
    /// Spec 60 section 2.
    pub fn encoding_symbol_id(self, id: SymbolId) -> Option<u32> {
        Some(match Place::of(id, self.source_symbols())? {
            Place::Source(id) => id,
            Place::Repair(place) => self.source_symbols() + place,
        })
    }

    /// Bytes of all source symbols together: the object with the last symbol's padding.
    pub const fn padded_len(self) -> usize {
        self.source_symbols() as usize * self.symbol_size.bytes()
    }
}

/// The fewest repair symbols that let any one of `parents` die: with `N = k + R` symbols dealt round-robin to the
/// parents, any `parents - 1` of them hold at least `k`, that is `N - ⌈N / parents⌉ >= k`.
///
/// With one parent there is nothing to share the risk with and the answer is 0; so it is for 0 parents. Exactly `k`
/// symbols still fail to decode about once in 200 when source symbols are among the lost ones; one repair symbol more
/// than this makes that rarer than once in 1,000.
pub const fn repair_symbols(k: u32, parents: u8) -> u32 {
    if parents <= 1 {
        return 0;
    }
    // N - ⌈N/P⌉ = ⌊N(P-1)/P⌋ >= K holds from N = ⌈KP/(P-1)⌉ on, and that is K + ⌈K/(P-1)⌉.
    k.div_ceil(parents as u32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(bytes: u32) -> SymbolSize {
        SymbolSize::new(bytes).unwrap()
    }

    #[test]
    fn lengths_outside_the_limits_are_refused() {
        let t = SymbolSize::DEFAULT;
        assert_eq!(BlockShape::new(0, t), Err(Error::ObjectLength { len: 0, max: 1 << 20 }));
        assert_eq!(BlockShape::new(1 << 20, t).unwrap().source_symbols(), 964);
        assert!(BlockShape::new((1 << 20) + 1, t).is_err());
        // At 64 bytes the limit on symbols bites first.
        assert_eq!(BlockShape::new(65_536, size(64)).unwrap().source_symbols(), 1024);
        assert_eq!(BlockShape::new(65_537, size(64)), Err(Error::ObjectLength { len: 65_537, max: 65_536 }));
        assert!(BlockShape::new(usize::MAX, size(16_384)).is_err());
    }

    proptest! {
        #[test]
        fn symbols_cover_the_object_with_less_than_one_of_padding(len in 1usize..=1 << 20, units in 1u32..=256) {
            let t = size(units * 64);
            if let Ok(shape) = BlockShape::new(len, t) {
                prop_assert!(shape.padded_len() >= len && shape.padded_len() - len < t.bytes());
                prop_assert!((1..=BlockShape::MAX_SOURCE_SYMBOLS).contains(&shape.source_symbols()));
            } else {
                prop_assert!(len > 1024 * t.bytes());
            }
        }

        /// Deals the symbols out for real and takes each parent away in turn.
        #[test]
        fn repair_survives_any_one_parent_and_one_less_would_not(k in 1u32..=1024, parents in 2u8..=16) {
            let survives = |repair: u32| {
                let total = k + repair;
                (0..u32::from(parents)).all(|dead| {
                    (0..total).filter(|symbol| symbol % u32::from(parents) != dead).count() >= k as usize
                })
            };
            let repair = repair_symbols(k, parents);
            prop_assert!(survives(repair));
            prop_assert!(!survives(repair - 1));
        }
    }

    #[test]
    fn a_single_parent_asks_for_no_repair() {
        assert_eq!((repair_symbols(20, 0), repair_symbols(20, 1)), (0, 0));
    }
}
