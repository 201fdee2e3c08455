//! Reading: what is held, and the symbols themselves, for playing and for serving.

use crate::Error;
use crate::admit::{Kind, envelope_key};
use crate::block::{Opened, Symbol};
use crate::error::db;
use crate::keys::ENVELOPE;
use crate::record::FrameRow;
use crate::retention::Group;
use crate::row::{GroupStats, Position, Row, block_key, due_of, frame_key, position};
use crate::store::Shared;
use crate::tables::{self, meta};
use consent_decay::{ContentId, Decision, Terms, Tier, Transition, Trigger, decide};
use core::fmt;
use core_types::{Epoch, ObjectSeq, WallTime};
use redb::{ReadTransaction, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _};
use std::sync::Arc;

/// Reads a store. Cheap to clone; each call sees what was committed before it. It says nothing of what consent does not allow
/// at the time that the caller gives, whether or not [`Store::fade`](crate::Store::fade) has come to it.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

/// What is held of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Which.
    pub content: ContentId,
    /// The tier that may be read now.
    pub tier: Tier,
    /// Since when it is frozen, if it is.
    pub frozen_since: Option<WallTime>,
    /// When that changes next by age.
    pub due: Option<WallTime>,
    /// What its consent says, if that can be read.
    pub terms: Option<Terms>,
    /// By group: key frames, base, enhancement, repair.
    pub groups: [GroupStats; 4],
}

/// A frame group that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameGroupInfo {
    /// Where it begins.
    pub at: Position,
    /// Symbols by group that were recorded; what the tier does not keep counts as none.
    pub symbols: [u32; 4],
}

/// Bytes of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Contents that are held, envelopes included.
    pub contents: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Bytes of blocks in the database, those that no key opens any more and that wait for
    /// [`Store::reclaim`](crate::Store::reclaim) included.
    pub blocks: u64,
}

/// The symbols of one frame group. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Symbols {
    blocks: Vec<Opened>,
}

impl Symbols {
    /// All of them: key frames first, then base, enhancement, repair; each in the order in which they were recorded.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.blocks.iter().flat_map(Opened::symbols)
    }

    /// Those of one object.
    pub fn of(&self, object: ObjectSeq) -> impl Iterator<Item = Symbol<'_>> {
        self.iter().filter(move |symbol| symbol.object == object)
    }
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbols").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl Reader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Contents in the order of their ids, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Damaged`].
    pub fn contents(
        &self,
        now: WallTime,
        after: Option<ContentId>,
        limit: usize,
    ) -> Result<Vec<Description>, Error> {
        use core::ops::Bound::{Excluded, Unbounded};
        let transaction = self.begin()?;
        let table = transaction.open_table(tables::CONTENTS).map_err(db)?;
        let from = after.as_ref().map_or(Unbounded, |content| Excluded(content.as_bytes()));
        let entries = table.range::<&[u8; 32]>((from, Unbounded)).map_err(db)?.take(limit);
        entries
            .map(|entry| {
                let (content, row) = entry.map_err(db)?;
                let content = ContentId(*content.value());
                self.description(content, &Row::from_bytes(row.value())?, now)
            })
            .collect()
    }

    /// What is held of one content.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Revoked`].
    pub fn describe(&self, now: WallTime, content: ContentId) -> Result<Description, Error> {
        let row = row(&self.begin()?, content)?;
        self.description(content, &row, now)
    }

    /// The frame groups of a content in order, from `from` on, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Revoked`], [`Error::Frozen`], [`Error::Faded`] when only the envelope is left.
    pub fn frame_groups(
        &self,
        now: WallTime,
        content: ContentId,
        from: Option<Position>,
        limit: usize,
    ) -> Result<Vec<FrameGroupInfo>, Error> {
        let transaction = self.begin()?;
        let (row, decision) = self.readable(&transaction, content, now)?;
        let from = from.unwrap_or(Position { epoch: Epoch(0), object: ObjectSeq(0) });
        let end = Position { epoch: Epoch(u64::MAX), object: ObjectSeq(u64::MAX) };
        let range = frame_key(row.number, from)..=frame_key(row.number, end);
        let table = transaction.open_table(tables::FRAMES).map_err(db)?;
        let mut found = Vec::new();
        for entry in table.range::<&[u8; 20]>(range.start()..=range.end()).map_err(db)? {
            let (at, frame) = entry.map_err(db)?;
            let mut symbols = FrameRow::from_bytes(frame.value())?.symbols;
            for group in Group::ALL.into_iter().filter(|group| !group.is_kept_at(decision.after)) {
                symbols[group.index()] = 0;
            }
            if symbols != [0; 4] {
                found.push(FrameGroupInfo { at: position(at.value()), symbols });
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// The frame group that an object belongs to: the last one of its epoch that begins with it or before it.
    ///
    /// # Errors
    /// As [`frame_groups`](Self::frame_groups).
    pub fn frame_group_of(
        &self,
        now: WallTime,
        content: ContentId,
        object: Position,
    ) -> Result<Option<Position>, Error> {
        let transaction = self.begin()?;
        let (row, _) = self.readable(&transaction, content, now)?;
        let first = Position { object: ObjectSeq(0), ..object };
        let table = transaction.open_table(tables::FRAMES).map_err(db)?;
        let range = frame_key(row.number, first)..=frame_key(row.number, object);
        let last = table.range::<&[u8; 20]>(range.start()..=range.end()).map_err(db)?.next_back();
        last.map(|entry| Ok(position(entry.map_err(db)?.0.value()))).transpose()
    }

    /// The symbols of a frame group, as far as the tier keeps them.
    ///
    /// # Errors
    /// As [`frame_groups`](Self::frame_groups), and [`Error::Damaged`] when a block is not what was written.
    pub fn read(&self, now: WallTime, content: ContentId, at: Position) -> Result<Symbols, Error> {
        let transaction = self.begin()?;
        let (row, decision) = self.readable(&transaction, content, now)?;
        let table = transaction.open_table(tables::BLOCKS).map_err(db)?;
        let mut blocks = Vec::new();
        for group in Group::ALL.into_iter().filter(|group| group.is_kept_at(decision.after)) {
            let (first, last) =
                (block_key(row.number, group, at, 0), block_key(row.number, group, at, u32::MAX));
            let mut key = None;
            for entry in table.range::<&[u8; 25]>(&first..=&last).map_err(db)? {
                let (name, sealed) = entry.map_err(db)?;
                if key.is_none() {
                    key = self.shared.keys.key(row.slot, content, group.index())?;
                }
                // Destroyed since this call began.
                let key = key.as_ref().ok_or(Error::Faded { content, held: decision.after })?;
                let opened = Opened::new(key, name.value(), sealed.value(), group, at.object);
                blocks.push(opened.ok_or(Error::Damaged("a block of symbols can't be opened"))?);
            }
        }
        Ok(Symbols { blocks })
    }

    /// The consent as it was signed.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Revoked`], [`Error::Damaged`].
    pub fn consent(&self, content: ContentId) -> Result<Vec<u8>, Error> {
        self.envelope(content, Kind::Consent)?.ok_or(Error::Damaged("a content has no consent"))
    }

    /// The manifest as it was signed, if there is one.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Revoked`], [`Error::Damaged`].
    pub fn manifest(&self, content: ContentId) -> Result<Option<Vec<u8>>, Error> {
        self.envelope(content, Kind::Manifest)
    }

    /// The tombstone as it was signed, if there is one: to be shown to whoever offers the content.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn tombstone(&self, content: ContentId) -> Result<Option<Vec<u8>>, Error> {
        let table = self.begin()?.open_table(tables::TOMBSTONES).map_err(db)?;
        Ok(table.get(content.as_bytes()).map_err(db)?.map(|signed| signed.value().to_vec()))
    }

    /// The audit log from entry `from` on, at most `limit` entries with their numbers.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Consent`] for an entry that can't be read.
    pub fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Transition)>, Error> {
        let table = self.begin()?.open_table(tables::AUDIT).map_err(db)?;
        let entries = table.range(from..).map_err(db)?.take(limit);
        entries
            .map(|entry| {
                let (number, entry) = entry.map_err(db)?;
                Ok((number.value(), Transition::from_bytes(entry.value())?))
            })
            .collect()
    }

    /// When [`Store::fade`](crate::Store::fade) has something to look at.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn next_due(&self) -> Result<Option<WallTime>, Error> {
        let table = self.begin()?.open_table(tables::DUE).map_err(db)?;
        Ok(table.first().map_err(db)?.map(|(key, _)| due_of(key.value()).at))
    }

    /// Bytes and counts.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub fn usage(&self) -> Result<Usage, Error> {
        let transaction = self.begin()?;
        let meta = transaction.open_table(tables::META).map_err(db)?;
        let blocks = meta.get(meta::BLOCK_BYTES).map_err(db)?.map_or(0, |bytes| bytes.value());
        let contents = transaction.open_table(tables::CONTENTS).map_err(db)?.len().map_err(db)?;
        let tombstones = transaction.open_table(tables::TOMBSTONES).map_err(db)?.len().map_err(db)?;
        Ok(Usage { contents, tombstones, blocks })
    }

    fn begin(&self) -> Result<ReadTransaction, Error> {
        self.shared.database.begin_read().map_err(db)
    }

    fn description(&self, content: ContentId, row: &Row, now: WallTime) -> Result<Description, Error> {
        let decision = decide(&row.item(content), &self.shared.classes, Trigger::Time, now);
        Ok(Description {
            content,
            tier: self.shared.keys.tier(row.slot)?.min(decision.after),
            frozen_since: decision.frozen_since,
            due: decision.due,
            terms: row.terms.clone(),
            groups: row.groups,
        })
    }

    fn readable(
        &self,
        transaction: &ReadTransaction,
        content: ContentId,
        now: WallTime,
    ) -> Result<(Row, Decision), Error> {
        let row = row(transaction, content)?;
        let mut decision = decide(&row.item(content), &self.shared.classes, Trigger::Time, now);
        if decision.frozen_since.is_some() {
            return Err(Error::Frozen(content));
        }
        // What keys do not open any more is gone, whether or not the database could say so.
        decision.after = decision.after.min(self.shared.keys.tier(row.slot)?);
        if decision.after <= Tier::EnvelopeOnly {
            return Err(Error::Faded { content, held: decision.after });
        }
        Ok((row, decision))
    }

    fn envelope(&self, content: ContentId, kind: Kind) -> Result<Option<Vec<u8>>, Error> {
        let transaction = self.begin()?;
        let row = row(&transaction, content)?;
        let name = envelope_key(content, kind);
        let table = transaction.open_table(tables::ENVELOPES).map_err(db)?;
        let Some(sealed) = table.get(&name).map_err(db)? else { return Ok(None) };
        let key = self.shared.keys.key(row.slot, content, ENVELOPE)?.ok_or(Error::Revoked(content))?;
        let opened = key.open(&name, sealed.value()).ok_or(Error::Damaged("an envelope can't be opened"))?;
        Ok(Some(opened.to_vec()))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader(..)")
    }
}

fn row(transaction: &ReadTransaction, content: ContentId) -> Result<Row, Error> {
    let table = transaction.open_table(tables::CONTENTS).map_err(db)?;
    if let Some(row) = table.get(content.as_bytes()).map_err(db)? {
        return Row::from_bytes(row.value());
    }
    let tombstones = transaction.open_table(tables::TOMBSTONES).map_err(db)?;
    let is_revoked = tombstones.get(content.as_bytes()).map_err(db)?.is_some();
    Err(if is_revoked { Error::Revoked(content) } else { Error::Unknown(content) })
}
