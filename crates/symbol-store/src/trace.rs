//! Bytes that are no pictures as content: structured logs, documents, whatever comes as records (spec 82 section 10).
//!
//! A [`Packer`] puts records of one importance together into objects, which the caller codes into symbols; an object's importance
//! says which [`Group`] its symbols belong to, so that a tier means the same as it does of pictures:
//!
//! | tier | what can be read |
//! |---|---|
//! | full | everything, with symbols lost as far as there are repair symbols |
//! | drop-repair | everything, if no symbol is lost |
//! | drop-high-quality | vital and normal records |
//! | min-viable | vital records |
//! | envelope-only | that it existed |
//!
//! A fountain block is all or nothing: a record can be read when its whole object can. Larger objects cost fewer repair symbols for the
//! same odds, and take more records with them when they go.
//!
//! Coding is not done here: a store knows no codec. What is recorded is sealed under the store's keys and no others, unless the
//! caller seals the symbols before.
//!
//! ```
//! use symbol_store::trace::{Importance, Object, Packer, Symbols};
//! use symbol_store::{Group, Position};
//! use core_types::{Epoch, ObjectSeq, SymbolId};
//!
//! let mut packer = Packer::new(Position { epoch: Epoch(0), object: ObjectSeq(0) }, 4_096)?;
//! packer.put(Importance::Vital, br#"{"event":"started"}"#)?;
//! packer.put(Importance::Detail, br#"{"event":"cache","hit":true}"#)?;
//! let batch = packer.finish().expect("there are records");
//! assert_eq!((batch.objects.len(), batch.records), (2, 2));
//!
//! // Where there is a fountain code, its symbols; here one that is the object itself.
//! let object = &batch.objects[0];
//! let kept = Symbols::kept(object.bytes.len(), &object.bytes)?;
//! let symbol = object.symbol(SymbolId::new(0)?, 1, &kept);
//! assert_eq!(symbol.group, Group::KeyFrames);
//!
//! // Read back.
//! let (len, coded) = Symbols::open(symbol.bytes)?;
//! let opened = Object::open(&coded[..len])?;
//! assert_eq!(opened.batch, 0..2);
//! assert_eq!(opened.records[0].bytes, br#"{"event":"started"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{Error, Group, Position, Retention, Symbol};
use core::ops::Range;
use core_types::{Layer, Marks, ObjectClass, ObjectSeq, SymbolId};
use identity::canonical::{Reader, Writer};

const VERSION: u8 = 1;
const OBJECT_HEAD: usize = 1 + 1 + 8 + 4 + 4;
const RECORD_HEAD: usize = 4 + 4;

/// How long a record is to be read. Closed on purpose: each is a group of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Importance {
    /// As long as anything is: what began and ended, what failed; a document's outline.
    Vital = 0,
    /// What makes it whole.
    Normal = 1,
    /// What can be done without: debugging output; pictures in a document.
    Detail = 2,
}

impl Importance {
    /// All of them, the one that is kept longest first.
    pub const ALL: [Self; 3] = [Self::Vital, Self::Normal, Self::Detail];

    /// The layer that stands for it.
    pub const fn layer(self) -> Layer {
        match self {
            Self::Vital | Self::Normal => Layer::BASE,
            Self::Detail => Layer { quality: 1, ..Layer::BASE },
        }
    }

    /// The group of its source symbols; that of repair symbols is [`Group::Repair`].
    pub fn group(self) -> Group {
        let class = if self == Self::Vital { ObjectClass::KeyFrame } else { ObjectClass::Plain };
        Group::of(self.layer(), Marks { class, ..Marks::NONE }, false)
    }
}

/// Puts records together. Holds [`Packer::MAX_BATCH`] bytes at most.
#[derive(Debug, Clone)]
pub struct Packer {
    at: Position,
    object_len: usize,
    records: u32,
    bytes: usize,
    /// By importance, objects of which the last may have room: how many records, and the records.
    objects: [Vec<(u32, Writer)>; 3],
}

impl Packer {
    /// Bytes of an object at most; codes have limits of their own.
    pub const MAX_OBJECT: usize = 1 << 20;
    /// Bytes of a record at most.
    pub const MAX_RECORD: usize = Self::MAX_OBJECT - OBJECT_HEAD - RECORD_HEAD;
    /// Bytes of a batch at most, with what the records' heads take.
    pub const MAX_BATCH: usize = 16 << 20;

    /// The first batch begins at `at`, whose object number is the number of its first record. Objects have up to `object_len`
    /// bytes, more only for a record that does not fit otherwise.
    ///
    /// # Errors
    /// [`Error::Refused`] unless objects have 64 bytes to [`Packer::MAX_OBJECT`].
    pub const fn new(at: Position, object_len: usize) -> Result<Self, Error> {
        if object_len < 64 || object_len > Self::MAX_OBJECT {
            return Err(Error::Refused("an object of a trace has 64 bytes to 1 MiB"));
        }
        Ok(Self { at, object_len, records: 0, bytes: 0, objects: [const { Vec::new() }; 3] })
    }

    /// Puts a record in; its number, one more than that of the record before.
    ///
    /// # Errors
    /// [`Error::Refused`] when the record is too long, or the batch too full for it: [`finish`](Self::finish) it first.
    pub fn put(&mut self, importance: Importance, record: &[u8]) -> Result<u64, Error> {
        if record.len() > Self::MAX_RECORD {
            return Err(Error::Refused("a record has at most 1 MiB, its heads included"));
        }
        let len = RECORD_HEAD + record.len();
        if self.bytes + len > Self::MAX_BATCH {
            return Err(Error::Refused("a batch of records has at most 16 MiB: finish it first"));
        }
        let number =
            self.at.object.0.checked_add(u64::from(self.records)).filter(|number| *number < u64::MAX);
        let number = number.ok_or(Error::Refused("there are no more numbers for records"))?;
        let objects = &mut self.objects[importance as usize];
        let (count, mut packed) = match objects.pop() {
            Some((count, packed)) if OBJECT_HEAD + packed.as_bytes().len() + len <= self.object_len => {
                (count, packed)
            }
            full => {
                objects.extend(full);
                (0, Writer::new())
            }
        };
        packed.u32(self.records).bytes("record", record, Self::MAX_RECORD)?;
        objects.push((count + 1, packed));
        self.records += 1;
        self.bytes += len;
        Ok(number)
    }

    /// Bytes that wait, with what the records' heads take.
    pub const fn waiting(&self) -> usize {
        self.bytes
    }

    /// The batch of all that waits; nothing if nothing does. To be one frame group.
    pub fn finish(&mut self) -> Option<Batch> {
        if self.records == 0 {
            return None;
        }
        let (at, records) = (self.at, self.records);
        let mut objects = Vec::new();
        for (importance, packed) in Importance::ALL.into_iter().zip(&mut self.objects) {
            for (count, packed) in core::mem::take(packed) {
                let mut writer = Writer::with_capacity(OBJECT_HEAD + packed.as_bytes().len());
                writer.u8(VERSION).u8(importance as u8).u64(at.object.0).u32(records).u32(count);
                writer.fixed(packed.as_bytes());
                // No more objects than records, so no number is of two batches.
                let number = ObjectSeq(at.object.0 + objects.len() as u64);
                objects.push(Packed { number, importance, bytes: writer.into_bytes() });
            }
        }
        self.at.object = ObjectSeq(at.object.0 + u64::from(records));
        (self.records, self.bytes) = (0, 0);
        Some(Batch { at, records, objects })
    }
}

/// Records that were put together: one frame group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Where the frame group begins: its object number is that of the first record.
    pub at: Position,
    /// How many records it has.
    pub records: u32,
    /// Its objects.
    pub objects: Vec<Packed>,
}

/// An object to be coded into symbols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Its number.
    pub number: ObjectSeq,
    /// The importance of its records.
    pub importance: Importance,
    /// What is to be coded.
    pub bytes: Vec<u8>,
}

impl Packed {
    /// One of its symbols, for a frame group: `kept` is what [`Symbols::kept`] made of it, `sources` how many source symbols the
    /// object has, the ids of which come before those of repair symbols.
    pub fn symbol<'a>(&self, id: SymbolId, sources: u32, kept: &'a [u8]) -> Symbol<'a> {
        let group = if id.value() < sources.max(1) { self.importance.group() } else { Group::Repair };
        let retention = Retention::of(self.importance.layer(), id, sources);
        Symbol { object: self.number, id, retention, group, bytes: kept }
    }
}

/// What is kept of a symbol: the length of its object comes first, which a decoder has to know and nothing else says.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Symbols;

impl Symbols {
    /// What to keep of a symbol of an object of that length.
    ///
    /// # Errors
    /// [`Error::Refused`] for an object or a symbol that is too long.
    pub fn kept(object_len: usize, symbol: &[u8]) -> Result<Vec<u8>, Error> {
        if object_len > Packer::MAX_OBJECT || 4 + symbol.len() > Symbol::MAX_LEN {
            return Err(Error::Refused("an object of a trace has at most 1 MiB, a symbol of it 65532 bytes"));
        }
        let mut writer = Writer::with_capacity(4 + symbol.len());
        writer.u32(object_len as u32).fixed(symbol);
        Ok(writer.into_bytes())
    }

    /// The length of the object, and the symbol.
    ///
    /// # Errors
    /// [`Error::Refused`] for bytes that are none of a trace.
    pub fn open(kept: &[u8]) -> Result<(usize, &[u8]), Error> {
        let (len, symbol) =
            kept.split_first_chunk().ok_or(Error::Refused("these bytes are no symbol of a trace"))?;
        let len = u32::from_be_bytes(*len) as usize;
        if len > Packer::MAX_OBJECT {
            return Err(Error::Refused("an object of a trace has at most 1 MiB"));
        }
        Ok((len, symbol))
    }
}

/// An object that was decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<'a> {
    /// The importance of its records.
    pub importance: Importance,
    /// The numbers of all records of its batch: those that come in none of its objects can't be read.
    pub batch: Range<u64>,
    /// Its records, in order.
    pub records: Vec<Record<'a>>,
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number.
    pub number: u64,
    /// What was put in.
    pub bytes: &'a [u8],
}

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Consent`] for bytes that are none.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > Packer::MAX_OBJECT {
            return Err(Error::Refused("an object of a trace has at most 1 MiB"));
        }
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Error::Refused("an object of a trace of another version than 1"));
        }
        let importance = Importance::ALL.get(usize::from(reader.u8()?)).copied();
        let importance = importance.ok_or(Error::Refused("no records of a trace have this importance"))?;
        let (first, in_all, count) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let end = first.checked_add(u64::from(in_all));
        let end = end.ok_or(Error::Refused("a batch of a trace has numbers beyond the last"))?;
        // A stated number is worth no memory: each record takes eight bytes at least.
        let mut records = Vec::with_capacity((count as usize).min(reader.remaining() / RECORD_HEAD));
        for _ in 0..count {
            // What is beyond the last number there can be is beyond the batch as well.
            let number = first.saturating_add(u64::from(reader.u32()?));
            let is_later = records.last().is_none_or(|last: &Record<'_>| last.number < number);
            if !is_later || number >= end {
                return Err(Error::Refused("records of a trace are out of order, or beyond their batch"));
            }
            records.push(Record { number, bytes: reader.bytes(Packer::MAX_RECORD)? });
        }
        reader.finish()?;
        Ok(Self { importance, batch: first..end, records })
    }
}

/// What is missing of the numbers of a batch, as ranges, when these could be read, in any order.
pub fn gaps(batch: Range<u64>, read: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
    let mut read: Vec<u64> = read.into_iter().filter(|number| batch.contains(number)).collect();
    read.sort_unstable();
    let mut gaps = Vec::new();
    let mut next = batch.start;
    for number in read {
        if number > next {
            gaps.push(next..number);
        }
        next = number + 1;
    }
    if next < batch.end {
        gaps.push(next..batch.end);
    }
    gaps
}

#[cfg(test)]
mod tests;
