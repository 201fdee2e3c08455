//! Recording: one transaction for each frame group.

use crate::Error;
use crate::block::{self, Place, Symbol, Written};
use crate::crypto::SealKey;
use crate::error::db;
use crate::retention::Group;
use crate::row::{Position, Row, block_key, frame_key};
use crate::store::{Store, put_row, row_or_why};
use crate::tables::{self, meta};
use consent_decay::{ContentId, Tier, Trigger, decide};
use core_types::WallTime;
use rand_core::CryptoRng;
use redb::{ReadableTable as _, WriteTransaction};

/// A frame group, or a part of one: what depends on one key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameGroup<'a> {
    /// Of which content.
    pub content: ContentId,
    /// Where it begins. All of its objects are of that epoch and have that number or a higher one.
    pub at: Position,
    /// Symbols, in the order in which they are to be given back.
    pub symbols: &'a [Symbol<'a>],
}

impl FrameGroup<'_> {
    /// Symbols that are kept of one frame group at most.
    pub const MAX_SYMBOLS: u64 = 1 << 17;
    /// Bytes that are kept of one frame group at most: reading takes it whole.
    pub const MAX_BYTES: u64 = 256 << 20;
}

/// When what is recorded has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// When [`Store::sync`] returns, or the next call that says so. A crash before that may lose it, whole groups at a time.
    Later,
    /// When the call returns.
    Now,
}

/// What became of a frame group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Symbols that are kept.
    pub kept: u64,
    /// Symbols that the content's tier does not keep any more.
    pub left_out: u64,
    /// Bytes that were added to the database.
    pub stored: u64,
}

/// What is known of a frame group without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FrameRow {
    pub(crate) symbols: [u32; 4],
    pub(crate) bytes: u64,
}

impl FrameRow {
    pub(crate) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (room, symbols) in bytes.chunks_exact_mut(4).zip(self.symbols) {
            room.copy_from_slice(&symbols.to_be_bytes());
        }
        bytes[16..].copy_from_slice(&self.bytes.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: &[u8; 24] =
            bytes.try_into().map_err(|_| Error::Damaged("a frame group's row can't be read"))?;
        let symbols = core::array::from_fn(|n| {
            bytes[4 * n..].first_chunk().map_or(0, |symbols| u32::from_be_bytes(*symbols))
        });
        let sum = bytes[16..].first_chunk().map_or(0, |sum| u64::from_be_bytes(*sum));
        Ok(Self { symbols, bytes: sum })
    }
}

impl Store {
    /// Keeps the symbols of a frame group, as far as the content's tier still does. A symbol that is given twice is kept
    /// twice: who receives over several links leaves out what came before.
    ///
    /// # Errors
    /// [`Error::Unknown`] before consent was admitted, [`Error::Revoked`], [`Error::Frozen`], [`Error::Faded`] when only the
    /// envelope is kept; [`Error::Refused`] for symbols that break a limit. After [`Error::Database`] what was not synced
    /// may be lost, and the store has to be opened anew.
    pub fn record(
        &mut self,
        now: WallTime,
        group: &FrameGroup<'_>,
        flush: Flush,
        rng: &mut dyn CryptoRng,
    ) -> Result<Recorded, Error> {
        check(group)?;
        let content = group.content;
        let transaction = match flush {
            Flush::Now => tables::durable(&self.shared.database)?,
            Flush::Later => tables::deferred(&self.shared.database)?,
        };
        let mut row = row_or_why(&transaction, content)?;
        let decision = decide(&row.item(content), &self.shared.classes, Trigger::Time, now);
        if decision.frozen_since.is_some() {
            return Err(Error::Frozen(content));
        }
        // A crash may have ended what destroyed keys before the database could say so.
        let tier = decision.after.min(self.shared.keys.tier(row.slot)?);
        if tier <= Tier::EnvelopeOnly {
            return Err(Error::Faded { content, held: tier });
        }
        let recorded = self.write(&transaction, group, &mut row, tier, rng)?;
        leave_room(&transaction, &row, group.at)?;
        put_row(&transaction, content, &row)?;
        let so_far = tables::number(&transaction, meta::BLOCK_BYTES)?;
        tables::set_number(&transaction, meta::BLOCK_BYTES, so_far.saturating_add(recorded.stored))?;
        transaction.commit().map_err(db)?;
        Ok(recorded)
    }

    fn write(
        &mut self,
        transaction: &WriteTransaction,
        group: &FrameGroup<'_>,
        row: &mut Row,
        tier: Tier,
        rng: &mut dyn CryptoRng,
    ) -> Result<Recorded, Error> {
        let mut recorded = Recorded::default();
        let frame_name = frame_key(row.number, group.at);
        let mut frames = transaction.open_table(tables::FRAMES).map_err(db)?;
        let mut frame = match frames.get(&frame_name).map_err(db)? {
            Some(frame) => FrameRow::from_bytes(frame.value())?,
            None => FrameRow::default(),
        };
        let mut blocks = transaction.open_table(tables::BLOCKS).map_err(db)?;
        for of in Group::ALL {
            let symbols: Vec<&Symbol<'_>> =
                group.symbols.iter().filter(|symbol| symbol.group == of).collect();
            if symbols.is_empty() {
                continue;
            }
            if !of.is_kept_at(tier) {
                recorded.left_out += symbols.len() as u64;
                continue;
            }
            let key = self.sealing_key(group.content, row, of)?;
            let place = Place { number: row.number, group: of, at: group.at };
            let Written { symbols, bytes, stored, priorities } =
                block::write(&mut blocks, &place, &mut row.next_block, &symbols, key, rng)?;
            let stats = &mut row.groups[of.index()];
            stats.symbols = stats.symbols.saturating_add(symbols);
            stats.bytes = stats.bytes.saturating_add(bytes);
            stats.stored = stats.stored.saturating_add(stored);
            stats.priorities = stats.priorities.saturating_add(priorities);
            recorded.kept += symbols;
            recorded.stored += stored;
            frame.bytes = frame.bytes.saturating_add(bytes);
            frame.symbols[of.index()] = frame.symbols[of.index()].saturating_add(symbols as u32);
        }
        let in_all: u64 = frame.symbols.iter().map(|symbols| u64::from(*symbols)).sum();
        if in_all > FrameGroup::MAX_SYMBOLS || frame.bytes > FrameGroup::MAX_BYTES {
            return Err(Error::Refused("a frame group has at most 131072 symbols and 256 MiB"));
        }
        if recorded.kept > 0 {
            frames.insert(&frame_name, frame.to_bytes().as_slice()).map_err(db)?;
        }
        Ok(recorded)
    }

    fn sealing_key(&mut self, content: ContentId, row: &Row, group: Group) -> Result<&SealKey, Error> {
        /// Contents that are recorded at once and have their keys at hand.
        const MANY: usize = 256;
        if self.sealing.len() >= MANY && !self.sealing.contains_key(&content) {
            self.sealing.clear();
        }
        let keys = self.sealing.entry(content).or_default();
        let key = &mut keys[group.index()];
        if key.is_none() {
            *key = self.shared.keys.key(row.slot, content, group.index())?;
        }
        // There, and not to be opened: damaged.
        key.as_ref().ok_or(Error::Faded { content, held: row.tier })
    }
}

/// Fails unless the database's file has, or can be given, pages for what lets go of something: where a file can't grow any more it would
/// otherwise be recorded full to the last page, and then nothing could be deleted. Takes pages and gives them back at once; none is
/// written.
fn leave_room(transaction: &WriteTransaction, row: &Row, at: Position) -> Result<(), Error> {
    const PIECES: u32 = 8;
    const PIECE: usize = 30_000;
    let mut blocks = transaction.open_table(tables::BLOCKS).map_err(db)?;
    // No block has so high a number.
    let names = (0..PIECES)
        .map(|piece| block_key(row.number, Group::KeyFrames, at, u32::MAX - piece))
        .collect::<Vec<_>>();
    for name in &names {
        blocks.insert_reserve(name, PIECE).map_err(db)?;
    }
    for name in &names {
        blocks.remove(name).map_err(db)?;
    }
    Ok(())
}

fn check(group: &FrameGroup<'_>) -> Result<(), Error> {
    let start = group.at.object.0;
    if group.symbols.len() as u64 > FrameGroup::MAX_SYMBOLS {
        return Err(Error::Refused("a frame group has at most 131072 symbols"));
    }
    for symbol in group.symbols {
        if symbol.bytes.is_empty() || symbol.bytes.len() > Symbol::MAX_LEN {
            return Err(Error::Refused("a symbol has 1 to 65536 bytes"));
        }
        if symbol.object.0.checked_sub(start).is_none_or(|after| u32::try_from(after).is_err()) {
            return Err(Error::Refused("an object comes before its frame group, or 2^32 after it"));
        }
    }
    Ok(())
}
