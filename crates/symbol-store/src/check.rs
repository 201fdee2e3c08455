//! Looking whether the store is what it should be, and mending what can be mended.

use crate::Error;
use crate::block::Opened;
use crate::error::db;
use crate::fade::{self, Change, FRAME_GROUPS, Wipe};
use crate::record::FrameRow;
use crate::retention::Group;
use crate::row::{GroupStats, Position, Row, block_range, due_key, due_of, erased_key, frame_key, position};
use crate::store::{Shared, Store, put_row};
use crate::tables;
use consent_decay::{ContentId, Decision, Reason, Tier};
use core_types::{Epoch, ObjectSeq, WallTime};
use redb::{ReadableTable as _, WriteTransaction};
use std::collections::{BTreeMap, HashSet};

/// What [`Store::check`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Contents that were looked at.
    pub contents: u64,
    /// Blocks that were opened.
    pub blocks: u64,
    /// Symbols in them.
    pub symbols: u64,
    /// What is wrong, the first thousand.
    pub faults: Vec<Fault>,
    /// How many things are wrong.
    pub fault_count: u64,
    /// Whether what is wrong was mended.
    pub repaired: bool,
}

/// Something that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The database itself was damaged; it mended itself as far as it could.
    Database,
    /// A content's row can't be read, or says that it has what is another's. Mending removes it: nobody can say which keys it
    /// had.
    Row(ContentId),
    /// A block can't be opened, or holds what no block holds. Mending removes it.
    Block(ContentId, Group, Position),
    /// The key of a group that should be there is gone: a crash ended what destroyed it. Mending says so.
    Key(ContentId, Group),
    /// The key of a group that should be gone is there. Mending destroys it.
    KeyLeft(ContentId, Group),
    /// The counts of a content are not those of its blocks.
    Counts(ContentId),
    /// It is not in the index of what is due, or at another time.
    Due(ContentId),
}

impl Store {
    /// Opens every block and compares everything with everything. With `repair` it mends what it can; damaged blocks are
    /// lost. Takes as long as reading all that is held, in little memory, a few bytes for each content; nothing else can be
    /// done meanwhile.
    ///
    /// # Errors
    /// [`Error::Refused`] while there are readers, [`Error::Database`] and [`Error::KeyFile`] when reading fails.
    pub fn check(&mut self, now: WallTime, repair: bool) -> Result<Health, Error> {
        let mut health = Health::default();
        let _letting_go = self.letting_go();
        let shared = self.alone()?;
        if !shared.database.check_integrity().map_err(db)? {
            fault(&mut health, Fault::Database);
        }
        let transaction = tables::durable(&self.shared.database)?;
        let mut wipes = Vec::new();
        let mut after = None;
        let mut numbers = HashSet::new();
        while let Some((content, bytes)) = next(&transaction, after)? {
            after = Some(content);
            health.contents += 1;
            let row = Row::from_bytes(&bytes).ok();
            // Nor may it have what is another's: mending would take that away.
            let row = match row {
                Some(row) if self.shared.keys.is_anothers(row.slot, content)? => None,
                row => row.filter(|row| numbers.insert(row.number)),
            };
            let Some(row) = row else {
                fault(&mut health, Fault::Row(content));
                transaction.open_table(tables::CONTENTS).map_err(db)?.remove(&content.0).map_err(db)?;
                continue;
            };
            let mut change = Change::new(&transaction);
            one(&self.shared, &transaction, &mut change, content, row, now, &mut health)?;
            wipes.extend(change.finish(self.options.audit_entries)?);
        }
        stray_dues(&transaction, &mut health)?;
        if repair && health.fault_count > 0 {
            let wipes: Vec<Wipe> = wipes;
            fade::commit(&self.shared, &mut self.sealing, transaction, &wipes)?;
            health.repaired = true;
        }
        Ok(health)
    }
}

fn fault(health: &mut Health, fault: Fault) {
    const KEPT: usize = 1_000;
    health.fault_count += 1;
    if health.faults.len() < KEPT {
        health.faults.push(fault);
    }
}

fn next(
    transaction: &WriteTransaction,
    after: Option<ContentId>,
) -> Result<Option<(ContentId, Vec<u8>)>, Error> {
    use core::ops::Bound::{Excluded, Unbounded};
    let table = transaction.open_table(tables::CONTENTS).map_err(db)?;
    let from = after.as_ref().map_or(Unbounded, |content| Excluded(content.as_bytes()));
    let mut range = table.range::<&[u8; 32]>((from, Unbounded)).map_err(db)?;
    let entry = range.next().transpose().map_err(db)?;
    Ok(entry.map(|(content, row)| (ContentId(*content.value()), row.value().to_vec())))
}

fn one(
    shared: &Shared,
    transaction: &WriteTransaction,
    change: &mut Change<'_>,
    content: ContentId,
    mut row: Row,
    now: WallTime,
    health: &mut Health,
) -> Result<(), Error> {
    let written = row.clone();
    let faults = health.fault_count;
    let mut found = BTreeMap::<Position, FrameRow>::new();
    let mut lowest = row.tier;
    for group in Group::ALL {
        if !group.is_kept_at(row.tier) {
            if shared.keys.key(row.slot, content, group.index())?.is_some() {
                fault(health, Fault::KeyLeft(content, group));
                change.wipe(&row, content, group.index());
            }
            continue;
        }
        let Some(key) = shared.keys.key(row.slot, content, group.index())? else {
            fault(health, Fault::Key(content, group));
            lowest = lowest.min(below(group));
            continue;
        };
        let (first, last) = block_range(row.number, group);
        let mut damaged = Vec::new();
        let mut stats = GroupStats::default();
        let mut table = transaction.open_table(tables::BLOCKS).map_err(db)?;
        for entry in table.range::<&[u8; 25]>(&first..=&last).map_err(db)? {
            let (name, sealed) = entry.map_err(db)?;
            let (name, sealed) = (name.value(), sealed.value());
            let at = block_position(name);
            health.blocks += 1;
            let Some(block) = Opened::new(&key, name, sealed, group, at.object) else {
                fault(health, Fault::Block(content, group, at));
                damaged.push(*name);
                continue;
            };
            let frame = found.entry(at).or_default();
            for symbol in block.symbols() {
                stats.symbols += 1;
                stats.bytes += symbol.bytes.len() as u64;
                stats.priorities += u64::from(symbol.retention.0);
                frame.symbols[group.index()] = frame.symbols[group.index()].saturating_add(1);
                frame.bytes += symbol.bytes.len() as u64;
            }
            stats.stored += sealed.len() as u64;
        }
        for name in &damaged {
            table.remove(name).map_err(db)?;
        }
        health.symbols += stats.symbols;
        row.groups[group.index()] = stats;
    }
    let counts_differ = lowest == row.tier && row.groups != written.groups;
    if counts_differ && health.fault_count == faults {
        fault(health, Fault::Counts(content));
    }
    let dues = transaction.open_table(tables::DUE).map_err(db)?;
    let is_indexed = row.due.is_none_or(|due| dues.get(&due_key(due, content)).is_ok_and(|at| at.is_some()));
    drop(dues);
    if !is_indexed {
        fault(health, Fault::Due(content));
    }
    if health.fault_count == faults {
        return Ok(());
    }
    rewrite_frames(transaction, &row, &found)?;
    if lowest == row.tier {
        // At once due: whatever is wrong with the time, the next look sets it right.
        change.index(&mut row, content, Some(now))?;
        return put_row(transaction, content, &row);
    }
    let decision = Decision {
        content,
        before: row.tier,
        after: lowest,
        reason: Reason::KeysGone,
        frozen_since: row.frozen_since,
        due: (lowest > Tier::EnvelopeOnly).then_some(now),
        is_news: true,
    };
    let number = row.number;
    change.settle(row, &decision, now)?;
    // The counts of a group without a key may say none where there are blocks.
    let mut erased = transaction.open_table(tables::ERASED).map_err(db)?;
    for group in Group::ALL.into_iter().filter(|group| !group.is_kept_at(lowest)) {
        erased.insert(&erased_key(number, group as u8), ()).map_err(db)?;
    }
    if lowest <= Tier::EnvelopeOnly {
        erased.insert(&erased_key(number, FRAME_GROUPS), ()).map_err(db)?;
    }
    Ok(())
}

/// The highest tier that does without a group.
fn below(group: Group) -> Tier {
    match group {
        Group::KeyFrames => Tier::EnvelopeOnly,
        Group::Base => Tier::MinViable,
        Group::Enhancement => Tier::DropHighQuality,
        Group::Repair => Tier::DropRepair,
    }
}

/// Where the frame group of a block begins: its key without group and number of the block.
fn block_position(name: &[u8; 25]) -> Position {
    let mut frame = [0; 20];
    frame[..4].copy_from_slice(&name[..4]);
    frame[4..].copy_from_slice(&name[5..21]);
    position(&frame)
}

fn rewrite_frames(
    transaction: &WriteTransaction,
    row: &Row,
    found: &BTreeMap<Position, FrameRow>,
) -> Result<(), Error> {
    let at = |end: u64| Position { epoch: Epoch(end), object: ObjectSeq(end) };
    let (first, last) = (frame_key(row.number, at(0)), frame_key(row.number, at(u64::MAX)));
    let mut table = transaction.open_table(tables::FRAMES).map_err(db)?;
    table.retain_in::<&[u8; 20], _>(&first..=&last, |_, _| false).map_err(db)?;
    for (at, frame) in found {
        table.insert(&frame_key(row.number, *at), frame.to_bytes().as_slice()).map_err(db)?;
    }
    Ok(())
}

/// Entries of the index that belong to no content, or say another time than it does.
fn stray_dues(transaction: &WriteTransaction, health: &mut Health) -> Result<(), Error> {
    let contents = transaction.open_table(tables::CONTENTS).map_err(db)?;
    let mut dues = transaction.open_table(tables::DUE).map_err(db)?;
    let mut stray = Vec::new();
    for entry in dues.iter().map_err(db)? {
        let key = *entry.map_err(db)?.0.value();
        let due = due_of(&key);
        let row = contents.get(due.content.as_bytes()).map_err(db)?;
        let says = row.and_then(|row| Row::from_bytes(row.value()).ok()).and_then(|row| row.due);
        if says != Some(due.at) {
            fault(health, Fault::Due(due.content));
            stray.push(key);
        }
    }
    for key in &stray {
        dues.remove(key).map_err(db)?;
    }
    Ok(())
}
