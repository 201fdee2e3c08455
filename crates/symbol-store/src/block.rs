//! Symbols of one group of a frame group, packed into blocks and sealed (spec 82 section 5).

use crate::crypto::{SEAL_LEN, SealKey, TAG_LEN};
use crate::error::db;
use crate::row::{Number, Position, block_key};
use crate::{Error, Group, Retention};
use core_types::{ObjectSeq, SymbolId};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// One sealed symbol, as it was on the wire or as far as the caller wants it kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its object.
    pub object: ObjectSeq,
    /// Which symbol of the object.
    pub id: SymbolId,
    /// How long it is kept.
    pub retention: Retention,
    /// What it is dropped with.
    pub group: Group,
    /// The sealed bytes: 1 to [`Symbol::MAX_LEN`].
    pub bytes: &'a [u8],
}

impl Symbol<'_> {
    /// Bytes of a symbol at most: those of a chunk.
    pub const MAX_LEN: usize = 64 * 1024;
}

/// Object as an offset from the frame group's first, id, priority, length.
const HEAD_LEN: usize = 4 + 3 + 1 + 3;
const PAGE: usize = 4_096;
/// What the database adds to a page with one value: its own head, our key.
const PAGE_OVERHEAD: usize = 48;
/// Blocks are of this many pages at most: 128 KiB. Reading one symbol opens a block.
const LARGEST: u32 = 5;

/// The database gives a value that is larger than a page a power of two of pages. So blocks are as large as those are.
const fn capacity(order: u32) -> usize {
    (PAGE << order) - PAGE_OVERHEAD - SEAL_LEN
}

/// How large the next block is to be, when `left` bytes are still to go and the next symbol takes `next`.
fn size_for(left: usize, next: usize) -> usize {
    let mut best = 0;
    for order in 0..=LARGEST {
        // All that is left, if little room goes to waste; otherwise no more than can be filled.
        if capacity(order) <= left || capacity(order) - left <= capacity(order) / 16 {
            best = capacity(order);
        }
    }
    let fits = (0..=LARGEST).map(capacity).find(|capacity| *capacity >= next).unwrap_or(next);
    best.max(fits)
}

/// What was written of one group.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    pub(crate) symbols: u64,
    pub(crate) bytes: u64,
    pub(crate) stored: u64,
    pub(crate) priorities: u64,
}

/// Where blocks go.
pub(crate) struct Place {
    pub(crate) number: Number,
    pub(crate) group: Group,
    pub(crate) at: Position,
}

/// Packs, seals and writes the symbols of one group; all have been checked.
pub(crate) fn write(
    table: &mut redb::Table<'_, &'static [u8; 25], &'static [u8]>,
    place: &Place,
    next_block: &mut u32,
    symbols: &[&Symbol<'_>],
    key: &SealKey,
    rng: &mut dyn CryptoRng,
) -> Result<Written, Error> {
    let mut written = Written::default();
    let record = |symbol: &Symbol<'_>| HEAD_LEN + symbol.bytes.len();
    let mut left: usize = symbols.iter().map(|symbol| record(symbol)).sum();
    let mut rest = symbols;
    while let Some(first) = rest.first() {
        let size = size_for(left, record(first));
        let mut len = 0;
        let taken = rest.iter().take_while(|symbol| {
            len += record(symbol);
            len <= size
        });
        let (now, later) = rest.split_at(taken.count());
        let len: usize = now.iter().map(|symbol| record(symbol)).sum();
        let block = *next_block;
        *next_block = block.checked_add(1).ok_or(Error::Refused("a content has too many blocks"))?;
        let name = block_key(place.number, place.group, place.at, block);
        let mut room = table.insert_reserve(&name, len + SEAL_LEN).map_err(db)?;
        let slot = room.as_mut();
        let mut at = SEAL_LEN - TAG_LEN;
        for symbol in now {
            at = put(slot, at, symbol, place.at.object);
            written.bytes += symbol.bytes.len() as u64;
            written.priorities += u64::from(symbol.retention.0);
        }
        key.seal(&name, slot, rng)?;
        written.symbols += now.len() as u64;
        written.stored += slot.len() as u64;
        (rest, left) = (later, left - len);
    }
    Ok(written)
}

fn put(slot: &mut [u8], at: usize, symbol: &Symbol<'_>, start: ObjectSeq) -> usize {
    // Checked by the caller: within u32, and within u24.
    let offset = (symbol.object.0 - start.0) as u32;
    let len = symbol.bytes.len() as u32;
    let head = &mut slot[at..at + HEAD_LEN];
    head[..4].copy_from_slice(&offset.to_be_bytes());
    head[4..7].copy_from_slice(&symbol.id.value().to_be_bytes()[1..]);
    head[7] = symbol.retention.0;
    head[8..].copy_from_slice(&len.to_be_bytes()[1..]);
    let end = at + HEAD_LEN + symbol.bytes.len();
    slot[at + HEAD_LEN..end].copy_from_slice(symbol.bytes);
    end
}

/// An opened block.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) group: Group,
    start: ObjectSeq,
    plain: Zeroizing<Vec<u8>>,
}

impl Opened {
    /// Opens a block and checks that all of it can be read. `None` if it is damaged.
    pub(crate) fn new(
        key: &SealKey,
        name: &[u8; 25],
        sealed: &[u8],
        group: Group,
        start: ObjectSeq,
    ) -> Option<Self> {
        let plain = key.open(name, sealed)?;
        let block = Self { group, start, plain };
        let read: usize = block.symbols().map(|symbol| HEAD_LEN + symbol.bytes.len()).sum();
        (read == block.plain.len()).then_some(block)
    }

    /// Its symbols, in the order in which they were given.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = Symbol<'_>> {
        let mut rest = self.plain.as_slice();
        core::iter::from_fn(move || {
            let (head, behind) = rest.split_first_chunk::<HEAD_LEN>()?;
            let [a, b, c, d, e, f, g, priority, h, i, j] = *head;
            let len = u32::from_be_bytes([0, h, i, j]) as usize;
            let (bytes, behind) = behind.split_at_checked(len)?;
            rest = behind;
            let object = self.start.0.checked_add(u64::from(u32::from_be_bytes([a, b, c, d])))?;
            Some(Symbol {
                object: ObjectSeq(object),
                id: SymbolId::new(u32::from_be_bytes([0, e, f, g])).ok()?,
                retention: Retention(priority),
                group: self.group,
                bytes,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The database's page of each order, used as `write` uses it: what does not fit is wasted.
    fn waste(total: usize, record: usize) -> f64 {
        let (mut left, mut pages) = (total / record * record, 0);
        let given = left;
        while left > 0 {
            let size = size_for(left, record);
            let taken = (size / record * record).min(left);
            let order = (0..).find(|order| capacity(*order) >= taken).unwrap();
            pages += PAGE << order;
            left -= taken;
        }
        pages as f64 / given as f64 - 1.0
    }

    #[test]
    fn little_room_is_wasted_whatever_a_frame_group_has() {
        for total in (100_000..1_500_000).step_by(3_777) {
            assert!(waste(total, 1_099) < 0.05, "{total}: {}", waste(total, 1_099));
        }
    }

    #[test]
    fn the_largest_symbol_fits_a_block() {
        assert!(size_for(1, HEAD_LEN + Symbol::MAX_LEN) >= HEAD_LEN + Symbol::MAX_LEN);
        assert!(capacity(LARGEST) >= HEAD_LEN + Symbol::MAX_LEN);
    }
}
