//! Repair symbols as rows of factors over GF(256).
//!
//! A repair symbol is a linear combination of the source symbols, and its factors depend on the extended number of source
//! symbols and the symbol's place alone. They are what `raptorq` makes of unit vectors: of a block whose symbol `j` is
//! one at byte `j` and zero elsewhere, a repair symbol's byte `j` is the factor of source symbol `j`.

use gf256::Backend;
use raptorq::{
    ObjectTransmissionInformation, SourceBlockEncoder, SourceBlockEncodingPlan, extended_source_block_symbols,
};
use std::sync::OnceLock;

/// Up to this many source symbols, factors are kept and multiplied; above, `raptorq` does it all.
pub(crate) const MAX_DENSE: u32 = 256;
/// The same where there are no vector instructions: multiplying then takes longer than solving, but for few symbols.
const MAX_DENSE_PORTABLE: u32 = 16;
/// What [`MAX_DENSE`] is extended to.
const MAX_EXTENDED: usize = 257;
/// Rows that are made in one go.
const RUN: usize = 16;

/// The factors of all blocks that are extended to the same number of source symbols.
///
/// Making one takes a millisecond at most (`raptorq` solves the constraint system once), and a run of rows some
/// microseconds; both are kept as long as the process lives. There are 46, whose source and intermediate symbols take 2.1 MB in
/// all, and whose rows, should all be asked for, another 1 MB.
pub(crate) struct Generator {
    /// `K'`, the bytes of a row.
    width: usize,
    units: SourceBlockEncoder,
    runs: Vec<OnceLock<Box<[u8]>>>,
}

/// Rows of factors, one after another.
pub(crate) struct Rows<'a> {
    /// How many there are at `bytes`.
    pub(crate) count: usize,
    pub(crate) bytes: &'a [u8],
}

impl Generator {
    /// The generator for blocks of `k` symbols; `None` if they are so many that `raptorq` is to do it.
    pub(crate) fn of(k: u32) -> Option<&'static Self> {
        let is_portable = Backend::best() == Backend::PORTABLE;
        if k > if is_portable { MAX_DENSE_PORTABLE } else { MAX_DENSE } {
            return None;
        }
        static BY_EXTENDED: [OnceLock<Generator>; MAX_EXTENDED + 1] = [const { OnceLock::new() }; _];
        static BY_K: [OnceLock<&Generator>; MAX_DENSE as usize + 1] = [const { OnceLock::new() }; _];
        let by_k = BY_K.get(k as usize).filter(|_| k > 0)?;
        if let Some(generator) = by_k.get() {
            return Some(generator);
        }
        let extended = extended_source_block_symbols(k);
        let generator = BY_EXTENDED.get(extended as usize)?.get_or_init(|| Self::new(extended));
        Some(by_k.get_or_init(|| generator))
    }

    fn new(extended: u32) -> Self {
        let width = extended as usize;
        // As many as there are source symbols, and those that are left out: more are asked for by nobody who is honest.
        let runs = width / RUN + 2;
        Self { width, units: unit_block(extended), runs: (0..runs).map(|_| OnceLock::new()).collect() }
    }

    /// Bytes of a row: a factor for each of `K'` source symbols, those of the padding last.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// Rows from place `first` on, one at least, `most` at most. What is not kept is made in `scratch`.
    pub(crate) fn rows<'a>(&'a self, first: u32, most: usize, scratch: &'a mut Vec<u8>) -> Rows<'a> {
        let (run, skip) = (first as usize / RUN, first as usize % RUN);
        let kept = self.runs.get(run).map(|kept| {
            kept.get_or_init(|| {
                let mut bytes = Vec::with_capacity(RUN * self.width);
                self.make((run * RUN) as u32, RUN, &mut bytes);
                bytes.into_boxed_slice()
            })
        });
        if let Some(kept) = kept {
            return Rows { count: (RUN - skip).min(most), bytes: &kept[skip * self.width..] };
        }
        let count = most.min(RUN);
        scratch.clear();
        self.make(first, count, scratch);
        Rows { count, bytes: scratch }
    }

    fn make(&self, first: u32, count: usize, bytes: &mut Vec<u8>) {
        for packet in self.units.repair_packets(first, count as u32) {
            bytes.extend_from_slice(packet.data());
        }
    }
}

/// A block of `extended` unit vectors.
pub(crate) fn unit_block(extended: u32) -> SourceBlockEncoder {
    let width = extended as usize;
    let mut units = vec![0; width * width];
    units.iter_mut().step_by(width + 1).for_each(|one| *one = 1);
    let information = ObjectTransmissionInformation::new(units.len() as u64, extended as u16, 1, 1, 1);
    let plan = SourceBlockEncodingPlan::generate(extended as u16);
    SourceBlockEncoder::with_encoding_plan(0, &information, &units, &plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_for_each_extended_length() {
        assert!(Generator::of(0).is_none() && Generator::of(MAX_DENSE + 1).is_none());
        let [fifty, last] = [50, 55].map(|k| Generator::of(k).unwrap());
        assert!(std::ptr::eq(fifty, last) && fifty.width() == 55);
        assert_eq!(Generator::of(MAX_DENSE).unwrap().width(), MAX_EXTENDED);
        let mut widths: Vec<_> = (1..=MAX_DENSE).map(|k| extended_source_block_symbols(k) as usize).collect();
        widths.dedup();
        assert_eq!(widths.len(), 46);
        // What the documentation says of memory.
        let rows: usize = widths.iter().map(|width| (width / RUN + 2) * RUN * width).sum();
        assert!((1_000_000..1_010_000).contains(&rows), "{rows} bytes of rows");
    }

    #[test]
    fn rows_that_are_kept_and_rows_that_are_not_are_the_same() {
        let generator = Generator::of(10).unwrap();
        let mut all = Vec::new();
        generator.make(0, 80, &mut all);
        let mut scratch = Vec::new();
        for first in 0..80 {
            let rows = generator.rows(first, 5, &mut scratch);
            assert!((1..=5).contains(&rows.count));
            let bytes = rows.count * generator.width();
            let start = first as usize * generator.width();
            let wanted = &all[start..(start + bytes).min(all.len())];
            assert_eq!(&rows.bytes[..wanted.len()], wanted, "from {first} on");
        }
    }

    #[test]
    fn threads_share_it() {
        let rows = || Generator::of(77).unwrap().rows(3, 1, &mut Vec::new()).bytes[..84].to_vec();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(rows)).collect();
        let rows: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(rows.iter().all(|other| *other == rows[0]));
    }
}
