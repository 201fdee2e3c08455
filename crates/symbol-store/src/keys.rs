//! The key table: a small file of slots that are overwritten in place and synced (spec 82 section 4).
//!
//! The database never overwrites a page in use, so a key that was deleted there would stay in the file. Here it does not:
//! destroying a key is writing zeros over it where it lies.

use crate::Error;
use crate::crypto::{SEAL_LEN, SealKey, StoreKey};
use crate::retention::Group;
use consent_decay::{ContentId, Tier};
use core::fmt;
use rand_core::CryptoRng;
use redb::StorageBackend;
use std::io;
use zeroize::Zeroizing;

/// What a slot has keys for.
pub(crate) const CELLS: usize = 5;
/// The cell of the envelope's key; the cells before it are the groups'.
pub(crate) const ENVELOPE: usize = 4;
const CELL_LEN: usize = 64;
const SLOT_LEN: u64 = (CELLS * CELL_LEN) as u64;
const HEADER_LEN: usize = 4_096;
const MAGIC: &[u8; 16] = b"holomesh keys v1";
const CHECK: &[u8] = b"holomesh store key v1";

/// Where a content's keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) u32);

pub(crate) struct KeyTable {
    file: Box<dyn StorageBackend>,
    wrap: SealKey,
    /// Also in the database, so that the two can't be mixed up.
    salt: [u8; 32],
}

impl KeyTable {
    /// A new table; whatever the file held is gone.
    pub(crate) fn create(
        file: Box<dyn StorageBackend>,
        key: &StoreKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        let wrap = key.table_key(&salt)?;
        let check = wrap.seal_vec(MAGIC, CHECK, rng)?;
        let mut header = vec![0; HEADER_LEN];
        header[..16].copy_from_slice(MAGIC);
        header[16..48].copy_from_slice(&salt);
        header[48..48 + check.len()].copy_from_slice(&check);
        let made = (file.set_len(0))
            .and_then(|()| file.set_len(HEADER_LEN as u64))
            .and_then(|()| file.write(0, &header))
            .and_then(|()| file.sync_data());
        made.map_err(|error| fault("making it", error))?;
        Ok(Self { file, wrap, salt })
    }

    /// The table that belongs to a database with this salt.
    pub(crate) fn open(
        file: Box<dyn StorageBackend>,
        key: &StoreKey,
        salt: &[u8; 32],
    ) -> Result<Self, Error> {
        let mut header = vec![0; HEADER_LEN];
        let len = file.len().map_err(|error| fault("reading its length", error))?;
        if len < HEADER_LEN as u64 {
            return Err(Error::Damaged("the key file is gone or cut off"));
        }
        file.read(0, &mut header).map_err(|error| fault("reading its head", error))?;
        if header[..16] != MAGIC[..] || header[16..48] != salt[..] {
            return Err(Error::Damaged("the key file belongs to another database"));
        }
        let wrap = key.table_key(salt)?;
        wrap.open(MAGIC, &header[48..48 + CHECK.len() + SEAL_LEN]).ok_or(Error::WrongKey)?;
        Ok(Self { file, wrap, salt: *salt })
    }

    pub(crate) const fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// Draws five keys for a content and writes them into its slot, synced.
    pub(crate) fn draw(&self, slot: Slot, content: ContentId, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        let mut bytes = vec![0; CELLS * CELL_LEN];
        for (cell, room) in bytes.chunks_exact_mut(CELL_LEN).enumerate() {
            let mut key = Zeroizing::new([0; 32]);
            rng.fill_bytes(key.as_mut_slice());
            let wrapped = self.wrap.seal_vec(&aad(slot, content, cell), key.as_slice(), rng)?;
            room[..wrapped.len()].copy_from_slice(&wrapped);
        }
        let end = offset(slot, CELLS);
        let len = self.file.len().map_err(|error| fault("reading its length", error))?;
        let grown = if len < end { self.file.set_len(end) } else { Ok(()) };
        let written = grown.and_then(|()| self.file.write(offset(slot, 0), &bytes));
        written.and_then(|()| self.file.sync_data()).map_err(|error| fault("writing keys", error))
    }

    /// A key; `None` when it was destroyed, or the slot is another content's.
    pub(crate) fn key(&self, slot: Slot, content: ContentId, cell: usize) -> Result<Option<SealKey>, Error> {
        let mut bytes = [0; 32 + SEAL_LEN];
        let len = self.file.len().map_err(|error| fault("reading its length", error))?;
        if offset(slot, cell) + CELL_LEN as u64 > len {
            return Ok(None);
        }
        self.file.read(offset(slot, cell), &mut bytes).map_err(|error| fault("reading a key", error))?;
        let Some(key) = self.wrap.open(&aad(slot, content, cell), &bytes) else { return Ok(None) };
        let key: Zeroizing<[u8; 32]> =
            Zeroizing::new(key.as_slice().try_into().map_err(|_| Error::Damaged("a key has another size"))?);
        SealKey::new(&key).map(Some)
    }

    /// The highest tier all of whose keys are there. A crash may have ended what destroyed keys before the database could say so:
    /// then this is lower than what it says.
    pub(crate) fn tier(&self, slot: Slot) -> Result<Tier, Error> {
        let mut bytes = [0; SLOT_LEN as usize];
        let len = self.file.len().map_err(|error| fault("reading its length", error))?;
        if offset(slot, CELLS) <= len {
            self.file.read(offset(slot, 0), &mut bytes).map_err(|error| fault("reading a key", error))?;
        }
        let is_there = |group: &Group| {
            let at = group.index() * CELL_LEN;
            bytes[at..at + CELL_LEN].iter().any(|byte| *byte != 0)
        };
        let lowest_first = Group::ALL.into_iter().take_while(is_there).last();
        Ok(lowest_first.map_or(Tier::EnvelopeOnly, Group::kept_down_to))
    }

    /// Whether the slot has the keys of another content, or none that can be read.
    pub(crate) fn is_anothers(&self, slot: Slot, content: ContentId) -> Result<bool, Error> {
        let len = self.file.len().map_err(|error| fault("reading its length", error))?;
        if offset(slot, CELLS) > len || self.key(slot, content, ENVELOPE)?.is_some() {
            return Ok(false);
        }
        let mut bytes = [0; CELL_LEN];
        self.file.read(offset(slot, ENVELOPE), &mut bytes).map_err(|error| fault("reading a key", error))?;
        Ok(bytes.iter().any(|byte| *byte != 0))
    }

    /// Whether a slot holds anything but zeros.
    pub(crate) fn is_in_use(&self, slot: Slot) -> Result<bool, Error> {
        let mut bytes = [0; SLOT_LEN as usize];
        let len = self.file.len().map_err(|error| fault("reading its length", error))?;
        if offset(slot, CELLS) > len {
            return Ok(false);
        }
        self.file.read(offset(slot, 0), &mut bytes).map_err(|error| fault("reading a key", error))?;
        Ok(bytes.iter().any(|byte| *byte != 0))
    }

    /// Destroys keys. They are gone when [`sync`](Self::sync) has returned.
    pub(crate) fn wipe(&self, slot: Slot, cells: impl IntoIterator<Item = usize>) -> Result<(), Error> {
        let len = self.file.len().map_err(|error| fault("reading its length", error))?;
        for cell in cells {
            if offset(slot, cell) + CELL_LEN as u64 <= len {
                let wiped = self.file.write(offset(slot, cell), &[0; CELL_LEN]);
                wiped.map_err(|error| fault("destroying a key", error))?;
            }
        }
        Ok(())
    }

    /// Puts all that was written on the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|error| fault("syncing it", error))
    }

    /// Cuts off the slots from `first` on, which nobody refers to: they were drawn for what a crash took back.
    pub(crate) fn cut(&self, first: Slot) -> Result<(), Error> {
        let len = self.file.len().map_err(|error| fault("reading its length", error))?;
        let end = offset(first, 0);
        if len <= end {
            return Ok(());
        }
        let zeros = vec![0; 64 * 1024];
        let mut at = end;
        while at < len {
            let n = (len - at).min(zeros.len() as u64);
            self.file.write(at, &zeros[..n as usize]).map_err(|error| fault("destroying a key", error))?;
            at += n;
        }
        self.sync()?;
        self.file.set_len(end).map_err(|error| fault("cutting it", error))
    }
}

impl Drop for KeyTable {
    fn drop(&mut self) {
        // Nothing is written that was not synced where it mattered.
        let _ = self.file.close();
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyTable(redacted)")
    }
}

const fn offset(slot: Slot, cell: usize) -> u64 {
    HEADER_LEN as u64 + slot.0 as u64 * SLOT_LEN + (cell * CELL_LEN) as u64
}

fn aad(slot: Slot, content: ContentId, cell: usize) -> Vec<u8> {
    let mut aad = b"holomesh store data key v1".to_vec();
    aad.extend_from_slice(&slot.0.to_be_bytes());
    aad.extend_from_slice(&content.0);
    aad.push(cell as u8);
    aad
}

fn fault(what: &'static str, source: io::Error) -> Error {
    Error::KeyFile { what, source }
}
