//! Giving back the room of what no key opens any more.

use crate::Error;
use crate::error::db;
use crate::fade::FRAME_GROUPS;
use crate::retention::Group;
use crate::row::{Number, Position, block_range, frame_key};
use crate::store::Store;
use crate::tables::{self, meta};
use core_types::{Epoch, ObjectSeq};
use redb::{ReadableTable as _, WriteTransaction};

/// What [`Store::reclaim`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Bytes of blocks that were removed.
    pub bytes: u64,
    /// Whether there is more: call again.
    pub more: bool,
}

impl Store {
    /// Removes up to `most` blocks, or rows of frame groups, whose keys were destroyed. The database uses their pages again
    /// and, as far as they lie at its end, gives them back to the file system.
    ///
    /// # Errors
    /// [`Error::Database`]: nothing was removed.
    pub fn reclaim(&mut self, most: usize) -> Result<Reclaimed, Error> {
        let mut reclaimed = Reclaimed::default();
        let _letting_go = self.letting_go();
        let transaction = tables::durable(&self.shared.database)?;
        let mut left = most;
        while left > 0 {
            let next = {
                let table = transaction.open_table(tables::ERASED).map_err(db)?;
                table.first().map_err(db)?.map(|(key, _)| *key.value())
            };
            let Some(key) = next else { break };
            let [a, b, c, d, what] = key;
            let number = Number(u32::from_be_bytes([a, b, c, d]));
            let removed = match Group::ALL.get(usize::from(what)) {
                Some(group) => blocks(&transaction, number, *group, left, &mut reclaimed.bytes)?,
                None => frames(&transaction, number, left)?,
            };
            if removed < left {
                transaction.open_table(tables::ERASED).map_err(db)?.remove(&key).map_err(db)?;
            }
            left -= removed.clamp(1, left);
        }
        reclaimed.more = transaction.open_table(tables::ERASED).map_err(db)?.first().map_err(db)?.is_some();
        let so_far = tables::number(&transaction, meta::BLOCK_BYTES)?;
        tables::set_number(&transaction, meta::BLOCK_BYTES, so_far.saturating_sub(reclaimed.bytes))?;
        transaction.commit().map_err(db)?;
        if !reclaimed.more {
            self.fill_reserve()?;
        }
        Ok(reclaimed)
    }
}

fn blocks(
    transaction: &WriteTransaction,
    number: Number,
    group: Group,
    most: usize,
    bytes: &mut u64,
) -> Result<usize, Error> {
    let (first, last) = block_range(number, group);
    let mut table = transaction.open_table(tables::BLOCKS).map_err(db)?;
    let found = table.range::<&[u8; 25]>(&first..=&last).map_err(db)?.take(most);
    let names: Vec<[u8; 25]> =
        found.map(|entry| Ok(*entry.map_err(db)?.0.value())).collect::<Result<_, Error>>()?;
    for name in &names {
        if let Some(block) = table.remove(name).map_err(db)? {
            *bytes += block.value().len() as u64;
        }
    }
    Ok(names.len())
}

fn frames(transaction: &WriteTransaction, number: Number, most: usize) -> Result<usize, Error> {
    debug_assert_eq!(Group::ALL.len(), usize::from(FRAME_GROUPS));
    let at = |end: u64| Position { epoch: Epoch(end), object: ObjectSeq(end) };
    let (first, last) = (frame_key(number, at(0)), frame_key(number, at(u64::MAX)));
    let mut table = transaction.open_table(tables::FRAMES).map_err(db)?;
    let found = table.range::<&[u8; 20]>(&first..=&last).map_err(db)?.take(most);
    let names: Vec<[u8; 20]> =
        found.map(|entry| Ok(*entry.map_err(db)?.0.value())).collect::<Result<_, Error>>()?;
    for name in &names {
        table.remove(name).map_err(db)?;
    }
    Ok(names.len())
}
