//! What is kept of one content beside its symbols, as bytes (spec 82 section 3).

use crate::Error;
use crate::keys::Slot;
use crate::retention::Group;
use consent_decay::{ContentId, Item, Terms, Tier};
use core_types::{Epoch, ObjectSeq, WallTime};
use identity::canonical::{Reader, Writer};

/// Stands for a content in keys of tables: four bytes and not 32. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(pub(crate) u32);

/// Where a frame group begins: the epoch whose key opens it, and the number of its first object. Who can't read object
/// numbers, a relay, counts with the chunk number of each object's first chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The epoch.
    pub epoch: Epoch,
    /// The object.
    pub object: ObjectSeq,
}

/// What there is of one group of a content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupStats {
    /// Symbols.
    pub symbols: u64,
    /// Their bytes, as they were given.
    pub bytes: u64,
    /// Bytes that they take in the database.
    pub stored: u64,
    /// Sum of the retention priorities.
    pub(crate) priorities: u64,
}

impl GroupStats {
    /// The mean retention priority of its symbols; 0 of none.
    pub fn mean_priority(&self) -> u8 {
        u8::try_from(self.priorities / self.symbols.max(1)).unwrap_or(u8::MAX)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) number: Number,
    pub(crate) slot: Slot,
    pub(crate) tier: Tier,
    pub(crate) frozen_since: Option<WallTime>,
    pub(crate) due: Option<WallTime>,
    /// `None` when the bytes say nothing that can be understood.
    pub(crate) terms: Option<Terms>,
    pub(crate) next_block: u32,
    pub(crate) groups: [GroupStats; 4],
}

const VERSION: u8 = 1;

impl Row {
    pub(crate) fn item(&self, content: ContentId) -> Item {
        Item { content, held: self.tier, terms: self.terms.clone(), frozen_since: self.frozen_since }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::with_capacity(256);
        writer.u8(VERSION).u32(self.number.0).u32(self.slot.0).u8(self.tier.code());
        for time in [self.frozen_since, self.due] {
            writer.u8(time.is_some().into()).u64(time.unwrap_or_default().0);
        }
        writer.u32(self.next_block);
        for group in &self.groups {
            writer.u64(group.symbols).u64(group.bytes).u64(group.stored).u64(group.priorities);
        }
        if let Some(terms) = &self.terms {
            writer.u64(terms.serial).u64(terms.from.0);
            writer.bytes("class", terms.class.as_str().as_bytes(), 32)?;
        }
        Ok(writer.into_bytes())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |_| Error::Damaged("a content's row can't be read");
        let mut reader = Reader::new(bytes);
        Self::read(&mut reader).map_err(damaged)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, consent_decay::Error> {
        use consent_decay::Error::Record;
        if reader.u8()? != VERSION {
            return Err(Record("a row is of another version than 1"));
        }
        let (number, slot) = (Number(reader.u32()?), Slot(reader.u32()?));
        let tier = Tier::from_code(reader.u8()?)?;
        let mut times = [None; 2];
        for time in &mut times {
            let (is_there, at) = (reader.u8()?, WallTime(reader.u64()?));
            *time = (is_there == 1).then_some(at);
        }
        let next_block = reader.u32()?;
        let mut groups = [GroupStats::default(); 4];
        for group in &mut groups {
            let [symbols, bytes, stored, priorities] =
                [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
            *group = GroupStats { symbols, bytes, stored, priorities };
        }
        let [frozen_since, due] = times;
        // What follows may be damaged by itself: then the content freezes, and is not lost.
        let terms = terms(reader).ok();
        Ok(Self { number, slot, tier, frozen_since, due, terms, next_block, groups })
    }
}

fn terms(reader: &mut Reader<'_>) -> Result<Terms, consent_decay::Error> {
    let (serial, from) = (reader.u64()?, WallTime(reader.u64()?));
    let class = str::from_utf8(reader.bytes(32)?);
    let class = class.map_err(|_| consent_decay::Error::Record("a class name is ASCII text"))?.parse()?;
    reader.clone().finish()?;
    Ok(Terms { class, from, serial })
}

/// Key of a frame group.
pub(crate) fn frame_key(number: Number, at: Position) -> [u8; 20] {
    let mut key = [0; 20];
    key[..4].copy_from_slice(&number.0.to_be_bytes());
    key[4..12].copy_from_slice(&at.epoch.0.to_be_bytes());
    key[12..].copy_from_slice(&at.object.0.to_be_bytes());
    key
}

/// Where a frame group begins, from its key.
pub(crate) fn position(key: &[u8; 20]) -> Position {
    let word = |at: usize| key[at..].first_chunk().map_or(0, |word| u64::from_be_bytes(*word));
    Position { epoch: Epoch(word(4)), object: ObjectSeq(word(12)) }
}

/// Key of a block.
pub(crate) fn block_key(number: Number, group: Group, at: Position, block: u32) -> [u8; 25] {
    let mut key = [0; 25];
    key[..4].copy_from_slice(&number.0.to_be_bytes());
    key[4] = group as u8;
    key[5..13].copy_from_slice(&at.epoch.0.to_be_bytes());
    key[13..21].copy_from_slice(&at.object.0.to_be_bytes());
    key[21..].copy_from_slice(&block.to_be_bytes());
    key
}

/// First and last key that blocks of a group can have.
pub(crate) fn block_range(number: Number, group: Group) -> ([u8; 25], [u8; 25]) {
    let end = Position { epoch: Epoch(u64::MAX), object: ObjectSeq(u64::MAX) };
    let start = Position { epoch: Epoch(0), object: ObjectSeq(0) };
    (block_key(number, group, start, 0), block_key(number, group, end, u32::MAX))
}

/// Key in the index of what is due.
pub(crate) fn due_key(at: WallTime, content: ContentId) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&at.0.to_be_bytes());
    key[8..].copy_from_slice(&content.0);
    key
}

/// Time and content from that key.
pub(crate) fn due_of(key: &[u8; 40]) -> consent_decay::Due {
    let at = key.first_chunk().map_or(0, |at| u64::from_be_bytes(*at));
    let mut content = [0; 32];
    content.copy_from_slice(&key[8..]);
    consent_decay::Due { at: WallTime(at), content: ContentId(content) }
}

/// Key of what waits to be removed: a group's blocks, or with 4 the list of frame groups.
pub(crate) fn erased_key(number: Number, what: u8) -> [u8; 5] {
    let [a, b, c, d] = number.0.to_be_bytes();
    [a, b, c, d, what]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row() -> Row {
        let group = GroupStats { symbols: 3, bytes: 3_300, stored: 3_400, priorities: 120 };
        Row {
            number: Number(7),
            slot: Slot(9),
            tier: Tier::DropRepair,
            frozen_since: None,
            due: Some(WallTime(5)),
            terms: Some(Terms { class: "standard".parse().unwrap(), from: WallTime(4), serial: 2 }),
            next_block: 11,
            groups: [group; 4],
        }
    }

    #[test]
    fn rows_round_trip() {
        for row in [row(), Row { frozen_since: Some(WallTime(0)), due: None, terms: None, ..row() }] {
            assert_eq!(Row::from_bytes(&row.to_bytes().unwrap()).unwrap(), row);
        }
    }

    #[test]
    fn damaged_terms_cost_the_terms_alone() {
        let mut bytes = row().to_bytes().unwrap();
        let last = bytes.len() - 1;
        bytes[last] = b'!';
        assert_eq!(Row::from_bytes(&bytes).unwrap(), Row { terms: None, ..row() });
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_row_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Row::from_bytes(&bytes);
        }

        /// Keys sort as what they say.
        #[test]
        fn keys_are_in_order(a: (u32, u64, u64), b: (u32, u64, u64)) {
            let at = |(_, epoch, object): (u32, u64, u64)| Position { epoch: Epoch(epoch), object: ObjectSeq(object) };
            let key = |x: (u32, u64, u64)| frame_key(Number(x.0), at(x));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert_eq!(position(&key(a)), at(a));
        }
    }
}
