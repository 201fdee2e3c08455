//! Opening, and what is about the store as a whole.

use crate::Error;
use crate::crypto::{SealKey, StoreKey};
use crate::error::db;
use crate::keys::{KeyTable, Slot};
use crate::read::Reader;
use crate::reserve::{Backed, LettingGo, Reserve};
use crate::row::Row;
use crate::tables::{self, meta};
use consent_decay::{Classes, ContentId, Scheduler};
use core::fmt;
use rand_core::CryptoRng;
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, WriteTransaction};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

/// How a store behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The classes of consent that this node knows.
    pub classes: Classes,
    /// Contents that one [`Store::fade`] looks at, at most.
    pub batch: usize,
    /// Bytes of memory that the database may use for its cache, and for what was not written yet.
    pub cache_bytes: usize,
    /// Entries that the audit log keeps, the newest.
    pub audit_entries: u64,
    /// Tombstones that are taken of what is not held here. Those of what is held are always taken.
    pub foreign_tombstones: u64,
    /// Bytes on the disk that recording does not get, so that something can be let go of when it is full.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            classes: Classes::built_in(),
            batch: 256,
            cache_bytes: 64 << 20,
            audit_entries: 1_000_000,
            foreign_tombstones: 1_000_000,
            reserve_bytes: 8 << 20,
        }
    }
}

/// Keeps sealed symbols. One writer; readers as many as wanted ([`Store::reader`]), none of which waits for the writer or
/// makes it wait.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) scheduler: Scheduler,
    /// Keys of what is being recorded, dropped with what they open.
    pub(crate) sealing: Sealing,
    pub(crate) options: Options,
    /// Whether the disk has all that ticks have said.
    pub(crate) is_said: bool,
    /// Of a store in a folder.
    pub(crate) reserve: Option<Arc<Reserve>>,
}

/// By content, a key for each group that is kept.
pub(crate) type Sealing = HashMap<ContentId, [Option<SealKey>; 4]>;

pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) keys: KeyTable,
    pub(crate) classes: Classes,
}

impl Store {
    /// Opens the store in a folder, or makes one there: `symbols.redb`, `keys` and `reserve`, for their owner alone.
    ///
    /// # Errors
    /// [`Error::Database`] when the files can't be opened or another process holds them, [`Error::WrongKey`],
    /// [`Error::Schema`], [`Error::Damaged`] when the two files do not belong together.
    pub fn open(
        dir: &Path,
        key: &StoreKey,
        options: Options,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let failed = |source| Error::KeyFile { what: "opening it", source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let reserve = Arc::new(Reserve::new(file(&dir.join("reserve"))?, options.reserve_bytes));
        let backed = |name| -> Result<Backed, Error> {
            let file = FileBackend::new(file(&dir.join(name))?).map_err(db)?;
            Ok(Backed { file, reserve: Arc::clone(&reserve) })
        };
        let (database, keys) = (backed("symbols.redb")?, backed("keys")?);
        // The names, too, have to be on the disk before anything is acknowledged.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        // Opening sets right what a crash left, on a full disk too.
        let letting_go = reserve.letting_go();
        let mut store = Self::open_on(database, keys, key, options, rng)?;
        drop(letting_go);
        reserve.fill()?;
        store.reserve = Some(reserve);
        Ok(store)
    }

    /// Opens a store on storage of the caller's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(
        database: impl StorageBackend,
        keys: impl StorageBackend,
        key: &StoreKey,
        options: Options,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        clear_unborn(&database, &keys)?;
        let database =
            Builder::new().set_cache_size(options.cache_bytes).create_with_backend(database).map_err(db)?;
        let keys = Box::new(keys);
        let keys = match tables::schema(&database)? {
            None => {
                let keys = KeyTable::create(keys, key, rng)?;
                begin(&database, keys.salt())?;
                keys
            }
            Some(_) => {
                tables::migrate(&database, tables::MIGRATIONS)?;
                let keys = KeyTable::open(keys, key, &salt(&database)?)?;
                settle_slots(&database, &keys)?;
                keys
            }
        };
        let scheduler = Scheduler::new(options.classes.clone(), options.batch);
        let shared = Arc::new(Shared { database, keys, classes: options.classes.clone() });
        Ok(Self { shared, scheduler, sealing: HashMap::new(), options, reserve: None, is_said: true })
    }

    /// A handle for reading, for any thread. It sees what was committed when it looks.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Puts on the disk all that was recorded before with [`Flush::Later`](crate::Flush::Later).
    ///
    /// # Errors
    /// [`Error::Database`]: what was not acknowledged by an earlier sync may be lost. Open the store anew.
    pub fn sync(&mut self) -> Result<(), Error> {
        tables::durable(&self.shared.database)?.commit().map_err(db)?;
        self.is_said = true;
        Ok(())
    }

    /// Makes the database's file as small as it can be. Takes long, and nothing else can be done meanwhile. After a write has failed
    /// for want of room, and room was made, recording needs it: the file has pages that the disk could never hold.
    ///
    /// # Errors
    /// [`Error::Refused`] while there are readers, [`Error::Database`] when it fails.
    pub fn compact(&mut self) -> Result<(), Error> {
        let _letting_go = self.letting_go();
        let shared = self.alone()?;
        while shared.database.compact().map_err(db)? {}
        self.fill_reserve()
    }

    /// While it lives, writes may use the reserve.
    pub(crate) fn letting_go(&self) -> Option<LettingGo> {
        self.reserve.as_ref().map(Reserve::letting_go)
    }

    /// Before anything else gets the room that was made.
    pub(crate) fn fill_reserve(&self) -> Result<(), Error> {
        self.reserve.as_ref().map_or(Ok(()), |reserve| reserve.fill())
    }

    /// The parts, when no reader has them too.
    pub(crate) fn alone(&mut self) -> Result<&mut Shared, Error> {
        Arc::get_mut(&mut self.shared).ok_or(Error::Refused("there are readers: drop them first"))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The row of a content.
pub(crate) fn row(transaction: &WriteTransaction, content: ContentId) -> Result<Option<Row>, Error> {
    let table = transaction.open_table(tables::CONTENTS).map_err(db)?;
    let row = table.get(content.as_bytes()).map_err(db)?;
    row.map(|row| Row::from_bytes(row.value())).transpose()
}

/// Writes the row of a content.
pub(crate) fn put_row(transaction: &WriteTransaction, content: ContentId, row: &Row) -> Result<(), Error> {
    let mut table = transaction.open_table(tables::CONTENTS).map_err(db)?;
    table.insert(content.as_bytes(), row.to_bytes()?.as_slice()).map_err(db)?;
    Ok(())
}

/// The row, or why there is none.
pub(crate) fn row_or_why(transaction: &WriteTransaction, content: ContentId) -> Result<Row, Error> {
    if let Some(row) = row(transaction, content)? {
        return Ok(row);
    }
    let tombstones = transaction.open_table(tables::TOMBSTONES).map_err(db)?;
    let is_revoked = tombstones.get(content.as_bytes()).map_err(db)?.is_some();
    Err(if is_revoked { Error::Revoked(content) } else { Error::Unknown(content) })
}

fn file(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| Error::KeyFile { what: "opening it", source })
}

/// Clears what a crash left of a database that was being made: one without the mark that is written last, and without a key
/// table, which is made after that. Nothing was ever acknowledged of it.
fn clear_unborn(database: &impl StorageBackend, keys: &impl StorageBackend) -> Result<(), Error> {
    const MARK: &[u8; 4] = b"redb";
    let failed = |source| Error::KeyFile { what: "looking for what a crash left", source };
    if keys.len().map_err(failed)? > 0 || database.len().map_err(failed)? < MARK.len() as u64 {
        return Ok(());
    }
    let mut mark = [0; MARK.len()];
    database.read(0, &mut mark).map_err(failed)?;
    if mark == *MARK {
        return Ok(());
    }
    database.set_len(0).and_then(|()| database.sync_data()).map_err(failed)
}

fn begin(database: &Database, salt: &[u8; 32]) -> Result<(), Error> {
    let transaction = tables::durable(database)?;
    tables::make(&transaction)?;
    transaction.open_table(tables::SALT).map_err(db)?.insert("salt", salt).map_err(db)?;
    tables::set_number(&transaction, meta::SCHEMA, tables::MIGRATIONS.len() as u64 + 1)?;
    transaction.commit().map_err(db)
}

fn salt(database: &Database) -> Result<[u8; 32], Error> {
    let table = database.begin_read().map_err(db)?.open_table(tables::SALT).map_err(db)?;
    let salt = table.get("salt").map_err(db)?.ok_or(Error::Damaged("the database has no salt"))?;
    Ok(*salt.value())
}

/// Destroys keys that a crash left behind: those drawn for what was never committed.
fn settle_slots(database: &Database, keys: &KeyTable) -> Result<(), Error> {
    let transaction = database.begin_read().map_err(db)?;
    let meta = transaction.open_table(tables::META).map_err(db)?;
    let next = meta.get(meta::NEXT_SLOT).map_err(db)?.map_or(0, |next| next.value());
    keys.cut(Slot(u32::try_from(next).map_err(|_| Error::Damaged("there are too many slots"))?))?;
    let mut wiped = false;
    for free in transaction.open_table(tables::FREE_SLOTS).map_err(db)?.iter().map_err(db)? {
        let slot = Slot(free.map_err(db)?.0.value());
        if keys.is_in_use(slot)? {
            keys.wipe(slot, 0..crate::keys::CELLS)?;
            wiped = true;
        }
    }
    if wiped { keys.sync() } else { Ok(()) }
}
