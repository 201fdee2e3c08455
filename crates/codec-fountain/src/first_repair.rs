//! Which of RFC 6330's repair symbols are sent: all but the first few of some lengths.

use core_types::SymbolId;
use raptorq::extended_source_block_symbols;

/// Internal symbol ids are 24 bits wide here, as encoding symbol ids are on RFC 6330's wire.
const MAX_INTERNAL_ID: u32 = SymbolId::MAX.value();

/// How many of RFC 6330's repair symbols are left out before the first that is sent, for `k` source symbols.
///
/// A repair symbol is a linear combination of the source symbols. Where a factor is zero, it can't make up for that one
/// source symbol, however many others are there: so it is with the first repair symbol for 50 to 55 source symbols, 63 to
/// 69, and more of the longer blocks. The first that is sent has no zero, so that one repair symbol makes up for any
/// one that is lost. What counts are the factors of all `K'` symbols of the extended block (RFC 6330 section 5.3.1).
///
/// Spec 60 section 2.
pub(crate) const fn left_out(k: u32) -> u32 {
    let mut run = 0;
    while run < RUNS.len() {
        let (last, count) = RUNS[run];
        if k <= last as u32 {
            return count as u32;
        }
        run += 1;
    }
    0
}

/// Where a symbol of a block of `k` stands among RFC 6330's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A source symbol.
    Source(u32),
    /// The repair symbol so many behind the first of RFC 6330's.
    Repair(u32),
}

impl Place {
    /// `None` for ids so high that RFC 6330's internal symbol id would need more than 24 bits, and for the one symbol whose
    /// tuple can't be computed; no encoder gets there.
    pub(crate) fn of(id: SymbolId, k: u32) -> Option<Self> {
        let id = id.value();
        if id < k {
            return Some(Self::Source(id));
        }
        let index = id - k + left_out(k);
        let extended = extended_source_block_symbols(k);
        let internal = extended + index;
        let exists = internal <= MAX_INTERNAL_ID && !overflows_tuple_generator(extended, internal);
        exists.then_some(Self::Repair(index))
    }
}

/// True for a symbol that `raptorq` can't place in a build with overflow checks.
///
/// Its `Rand[y, i, m]` (RFC 6330 section 5.3.5.1) adds `i` to a 32-bit `y` without wrapping, and `y` is a function of
/// `K'` and the internal symbol id. Over every `K'` up to 1,032 and every 24-bit id there is a single pair whose sum
/// leaves 32 bits. No encoder gets that far, so such a symbol is hostile; it is dropped instead of solved.
const fn overflows_tuple_generator(extended: u32, internal: u32) -> bool {
    extended == 989 && internal == 3_158_229
}

/// The last `K'` of each run of extended lengths, and the count that holds in it.
#[rustfmt::skip]
static RUNS: [(u16, u8); 90] = [
    (49, 0), (55, 1), (62, 0), (69, 2), (91, 0), (95, 1), (149, 0), (160, 1), (166, 0),
    (168, 1), (179, 6), (181, 0), (185, 1), (187, 6), (213, 0), (217, 3), (225, 4), (236, 2),
    (242, 0), (257, 2), (263, 8), (269, 1), (280, 6), (295, 8), (301, 5), (305, 1), (324, 12),
    (341, 2), (347, 1), (355, 2), (362, 0), (372, 2), (385, 3), (393, 8), (405, 6), (428, 1),
    (434, 0), (453, 2), (466, 12), (478, 2), (486, 1), (491, 11), (511, 5), (526, 14), (532, 16),
    (542, 4), (549, 1), (557, 14), (563, 9), (573, 7), (580, 19), (588, 12), (594, 13), (600, 4),
    (606, 0), (619, 7), (633, 2), (640, 23), (648, 6), (666, 2), (675, 25), (685, 31), (693, 4),
    (703, 23), (718, 5), (728, 23), (736, 9), (747, 0), (759, 21), (778, 17), (792, 4), (802, 32),
    (811, 44), (821, 1), (835, 53), (845, 13), (860, 35), (870, 49), (891, 23), (903, 12), (913, 106),
    (926, 107), (938, 5), (950, 11), (963, 8), (977, 32), (989, 136), (1002, 46), (1020, 16), (1032, 29),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlockShape;
    use crate::generator::unit_block;

    /// The table against the factors themselves, which are the repair symbols of unit vectors.
    #[test]
    fn the_first_symbol_that_is_sent_has_no_zero_and_those_left_out_have_one() {
        let mut k = 1;
        while k <= BlockShape::MAX_SOURCE_SYMBOLS {
            let extended = extended_source_block_symbols(k);
            let count = left_out(k);
            let rows = unit_block(extended).repair_packets(0, count + 1);
            for (index, row) in rows.iter().enumerate() {
                let has_zero = row.data().contains(&0);
                assert_eq!(has_zero, (index as u32) < count, "row {index} of {k} to {extended} symbols");
            }
            for k in k..=extended.min(BlockShape::MAX_SOURCE_SYMBOLS) {
                assert_eq!(left_out(k), count, "{k} symbols");
            }
            k = extended + 1;
        }
    }

    #[test]
    fn ids_end_where_24_bits_do() {
        let id = |value| SymbolId::new(value).unwrap();
        assert_eq!(Place::of(id(9), 10), Some(Place::Source(9)));
        assert_eq!(Place::of(id(10), 10), Some(Place::Repair(0)));
        assert_eq!(Place::of(id(0xff_ffff), 10), Some(Place::Repair(0xff_ffff - 10)));
        // 55 symbols: one is left out. 54 are extended to 55.
        assert_eq!(Place::of(id(55), 55), Some(Place::Repair(1)));
        assert_eq!(Place::of(id(0xff_fffe), 55), Some(Place::Repair(0xff_ffff - 55)));
        assert_eq!(Place::of(id(0xff_ffff), 55), None);
        assert_eq!(Place::of(id(0xff_fffe), 54), None);
        assert_eq!(Place::of(id(0xff_fffd), 54), Some(Place::Repair(0xff_ffff - 55)));
    }
}
