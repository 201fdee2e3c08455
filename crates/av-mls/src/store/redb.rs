//! A store in one file, by the embedded database `redb`.

use super::{Batch, Record, RecordKey, StateStore, StoreFault, Write};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256};
use aws_lc_rs::hmac;
use core::fmt;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::path::Path;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("mls state v1");
/// A value that is larger than a full session's state is none of ours.
const MAX_VALUE: usize = 256 << 20;

/// What a [`RedbStore`] seals with. Keep it where the file is not. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct StorageKey(pub [u8; 32]);

/// Keeps records in a file. Every value is sealed with AES-256-GCM under a key of the caller's, so the file holds no plain
/// secret; record names (kinds and numbers) and sizes are plain. A batch is one transaction that is on the disk when
/// [`commit`](StateStore::commit) returns.
///
/// The database never overwrites a page that is in use, so a record that was deleted stays in the file, sealed, until its
/// page is used again. Whoever gets the file *and* the storage key can read such a record, and with it secrets of earlier
/// epochs. To end that, open a new file under a new key and checkpoint into it.
///
/// The nonce is the start of HMAC-SHA256 over name and value under a key of its own: no state and no randomness is needed,
/// and putting an old copy of the file back makes no nonce serve two values. It shows when a record has the same name and
/// value as before.
pub struct RedbStore {
    database: Database,
    seal: LessSafeKey,
    nonce: hmac::Key,
}

impl RedbStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// When the file can't be opened or made, is held by another process, or is no such database. Whether the key is the
    /// right one shows when it is read.
    pub fn open(path: &Path, key: &StorageKey) -> Result<Self, StoreFault> {
        let database = Database::create(path).map_err(fault)?;
        Self::over(database, key)
    }

    /// A database that is open already.
    fn over(database: Database, key: &StorageKey) -> Result<Self, StoreFault> {
        let root = hkdf::Prk::new_less_safe(HKDF_SHA256, &key.0);
        let seal = Zeroizing::new(derive(&root, b"holomesh mls state seal v1")?);
        let nonce = Zeroizing::new(derive(&root, b"holomesh mls state nonce v1")?);
        let seal = UnboundKey::new(&AES_256_GCM, seal.as_slice()).map_err(|_| unsealed("making a key"))?;
        let nonce = hmac::Key::new(hmac::HMAC_SHA256, nonce.as_slice());
        Ok(Self { database, seal: LessSafeKey::new(seal), nonce })
    }

    fn seal(&self, name: &RecordKey, value: &[u8]) -> Result<Vec<u8>, StoreFault> {
        let mut context = hmac::Context::with_key(&self.nonce);
        context.update(&(name.0.len() as u64).to_be_bytes());
        context.update(&name.0);
        context.update(value);
        let tag = context.sign();
        let nonce = tag.as_ref().first_chunk::<NONCE_LEN>().ok_or_else(|| unsealed("making a nonce"))?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + value.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(value);
        self.seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(name.0.as_slice()),
                &mut sealed,
            )
            .map_err(|_| unsealed("sealing a record"))?;
        sealed.splice(..0, *nonce);
        Ok(sealed)
    }

    fn open_value(&self, name: &RecordKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreFault> {
        let (nonce, sealed) =
            sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(|| unsealed("a record is too short"))?;
        let mut value = Zeroizing::new(sealed.to_vec());
        let len = self
            .seal
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(name.0.as_slice()),
                value.as_mut_slice(),
            )
            .map_err(|_| unsealed("a record does not open: another storage key, or the file was altered"))?
            .len();
        value.truncate(len);
        Ok(value)
    }
}

impl StateStore for RedbStore {
    fn load(&self) -> Result<Vec<Record>, StoreFault> {
        let transaction = self.database.begin_read().map_err(fault)?;
        let table = match transaction.open_table(TABLE) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(fault(error)),
        };
        let mut records = Vec::new();
        for record in table.iter().map_err(fault)? {
            let (name, value) = record.map_err(fault)?;
            let key = RecordKey(name.value().to_vec());
            if value.value().len() > MAX_VALUE {
                return Err(unsealed("a record is too large"));
            }
            let value = self.open_value(&key, value.value())?;
            records.push(Record { key, value });
        }
        Ok(records)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault> {
        let mut transaction = self.database.begin_write().map_err(fault)?;
        transaction.set_durability(Durability::Immediate).map_err(fault)?;
        {
            let mut table = transaction.open_table(TABLE).map_err(fault)?;
            for write in batch.writes() {
                match write {
                    Write::Put(name, value) => {
                        let sealed = self.seal(name, value)?;
                        table.insert(name.0.as_slice(), sealed.as_slice()).map_err(fault)?;
                    }
                    Write::Delete(name) => {
                        table.remove(name.0.as_slice()).map_err(fault)?;
                    }
                }
            }
        }
        transaction.commit().map_err(fault)
    }
}

impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageKey(redacted)")
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedbStore(..)")
    }
}

fn derive(root: &hkdf::Prk, label: &[u8]) -> Result<[u8; 32], StoreFault> {
    let mut key = [0; 32];
    root.expand(&[label], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .map_err(|_| unsealed("deriving a key"))?;
    Ok(key)
}

fn fault(error: impl ToString) -> StoreFault {
    StoreFault(error.to_string())
}

fn unsealed(what: &str) -> StoreFault {
    StoreFault(what.to_owned())
}
