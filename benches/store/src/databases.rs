//! The databases that the store could have stood on, each in the way that its manual recommends for this: the same blocks, a
//! transaction for each frame group, a sync each second (decision 0011).

use crate::disk;
use crate::files::{Ticker, noise};
use anyhow::{Result, ensure};
use bench_harness::Row;
use redb::{ReadableDatabase as _, TableDefinition};
use std::path::Path;
use std::time::Instant;

/// Bytes of a block: as large as the store's, a little below a power of two.
const BLOCK: usize = 130_000;
/// Blocks of a frame group.
const BLOCKS: usize = 5;
/// A group of a content whose blocks are deleted: every second block.
const GROUPS: u8 = 2;

/// What a database has to do.
trait Candidate: Sized {
    const NAME: &'static str;
    fn open(folder: &Path) -> Result<Self>;
    /// One transaction; on the disk if `sync`.
    fn put(&mut self, blocks: &[([u8; 9], &[u8])], sync: bool) -> Result<()>;
    fn get(&self, key: [u8; 9]) -> Result<usize>;
    /// All of a group, on the disk.
    fn delete_group(&mut self, group: u8, numbers: u64) -> Result<()>;
    /// Whatever it offers to make files smaller.
    fn compact(&mut self, folder: &Path) -> Result<()>;
}

fn key(group: u8, number: u64) -> [u8; 9] {
    let mut key = [0; 9];
    key[0] = group;
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

struct Redb(redb::Database);

const TABLE: TableDefinition<'_, &[u8; 9], &[u8]> = TableDefinition::new("blocks");

impl Candidate for Redb {
    const NAME: &'static str = "redb";

    fn open(folder: &Path) -> Result<Self> {
        Ok(Self(redb::Builder::new().set_cache_size(64 << 20).create(folder.join("db"))?))
    }

    fn put(&mut self, blocks: &[([u8; 9], &[u8])], sync: bool) -> Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(if sync {
            redb::Durability::Immediate
        } else {
            redb::Durability::None
        })?;
        transaction.set_quick_repair(sync);
        {
            let mut table = transaction.open_table(TABLE)?;
            for (key, block) in blocks {
                table.insert(key, *block)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: [u8; 9]) -> Result<usize> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        Ok(table.get(&key)?.map_or(0, |block| block.value().len()))
    }

    fn delete_group(&mut self, group: u8, numbers: u64) -> Result<()> {
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for number in 0..numbers {
                table.remove(&key(group, number))?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn compact(&mut self, _: &Path) -> Result<()> {
        while self.0.compact()? {}
        Ok(())
    }
}

struct Fjall {
    database: fjall::Database,
    blocks: fjall::Keyspace,
}

impl Candidate for Fjall {
    const NAME: &'static str = "fjall";

    fn open(folder: &Path) -> Result<Self> {
        let database = fjall::Database::builder(folder.join("db")).cache_size(64 << 20).open()?;
        let options = || {
            fjall::KeyspaceCreateOptions::default()
                .with_kv_separation(Some(fjall::KvSeparationOptions::default()))
        };
        let blocks = database.keyspace("blocks", options)?;
        Ok(Self { database, blocks })
    }

    fn put(&mut self, blocks: &[([u8; 9], &[u8])], sync: bool) -> Result<()> {
        let mut batch = self.database.batch();
        for (key, block) in blocks {
            batch.insert(&self.blocks, *key, *block);
        }
        batch.commit()?;
        if sync {
            self.database.persist(fjall::PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn get(&self, key: [u8; 9]) -> Result<usize> {
        Ok(self.blocks.get(key)?.map_or(0, |block| block.len()))
    }

    fn delete_group(&mut self, group: u8, numbers: u64) -> Result<()> {
        let mut batch = self.database.batch();
        for number in 0..numbers {
            batch.remove(&self.blocks, key(group, number));
        }
        batch.commit()?;
        Ok(self.database.persist(fjall::PersistMode::SyncAll)?)
    }

    fn compact(&mut self, _: &Path) -> Result<()> {
        self.blocks.rotate_memtable_and_wait()?;
        Ok(self.blocks.major_compact()?)
    }
}

struct Sqlite(rusqlite::Connection);

impl Candidate for Sqlite {
    const NAME: &'static str = "SQLite";

    fn open(folder: &Path) -> Result<Self> {
        let connection = rusqlite::Connection::open(folder.join("db"))?;
        connection.execute_batch(
            "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;
             PRAGMA secure_delete=ON; CREATE TABLE IF NOT EXISTS blocks (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID;",
        )?;
        Ok(Self(connection))
    }

    fn put(&mut self, blocks: &[([u8; 9], &[u8])], sync: bool) -> Result<()> {
        // A transaction of its own is synced when it says FULL.
        self.0.execute_batch(if sync { "PRAGMA synchronous=FULL" } else { "PRAGMA synchronous=NORMAL" })?;
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO blocks VALUES (?1, ?2)")?;
            for (key, block) in blocks {
                insert.execute((key.as_slice(), block))?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: [u8; 9]) -> Result<usize> {
        let mut select = self.0.prepare_cached("SELECT v FROM blocks WHERE k = ?1")?;
        Ok(select.query_row([key.as_slice()], |row| row.get::<_, Vec<u8>>(0))?.len())
    }

    fn delete_group(&mut self, group: u8, numbers: u64) -> Result<()> {
        self.0.execute_batch("PRAGMA synchronous=FULL")?;
        let last = key(group, numbers);
        self.0.execute(
            "DELETE FROM blocks WHERE k >= ?1 AND k < ?2",
            (key(group, 0).as_slice(), last.as_slice()),
        )?;
        Ok(self.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    fn compact(&mut self, _: &Path) -> Result<()> {
        Ok(self.0.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?)
    }
}

struct Figures {
    megabytes_a_second: f64,
    written: f64,
    taken: f64,
    open_ms: f64,
    get_us: f64,
    delete_ms: f64,
    taken_after: f64,
    still_there: bool,
    compact_ms: f64,
    taken_compact: f64,
    still_there_compact: bool,
}

fn measure<C: Candidate>(folder: &Path, noise: &[u8], total: u64) -> Result<Figures> {
    let folder = folder.join(C::NAME);
    std::fs::create_dir(&folder)?;
    let mut database = C::open(&folder)?;
    let before = disk::written()?;
    let start = Instant::now();
    let mut ticker = Ticker::new();
    let (mut given, mut numbers) = (0_u64, 0);
    // Each block has bytes of its own at its beginning: some look for them later.
    let mark = |group: u8, number: u64| [b"block of".as_slice(), &key(group, number)].concat();
    while given < total {
        let mut owned = Vec::new();
        for n in 0..BLOCKS {
            let group = n as u8 % GROUPS;
            let at = (numbers as usize * 7_919 + n * BLOCK) % (noise.len() - BLOCK);
            let mut block = noise[at..at + BLOCK].to_vec();
            let mark = mark(group, numbers + n as u64);
            block[..mark.len()].copy_from_slice(&mark);
            given += BLOCK as u64;
            owned.push((key(group, numbers + n as u64), block));
        }
        numbers += BLOCKS as u64;
        let blocks: Vec<_> = owned.iter().map(|(key, block)| (*key, block.as_slice())).collect();
        database.put(&blocks, ticker.is_due() || given >= total)?;
    }
    let took = start.elapsed().as_secs_f64();
    drop(database);
    let written = (disk::written()? - before) as f64 / given as f64;
    let taken = disk::taken(&folder)? as f64 / given as f64;
    let start = Instant::now();
    let mut database = C::open(&folder)?;
    ensure!(database.get(key(0, 0))? == BLOCK, "{}: the first block is gone", C::NAME);
    let open_ms = start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let looks = 200;
    for n in 0..looks {
        // Block n of a frame group is of group n mod 2.
        let number = n * 37 % (numbers / BLOCKS as u64) * BLOCKS as u64;
        ensure!(database.get(key(0, number))? == BLOCK, "{}: block {number} is gone", C::NAME);
    }
    let get_us = start.elapsed().as_secs_f64() * 1e6 / looks as f64;
    let start = Instant::now();
    database.delete_group(0, numbers)?;
    let delete_ms = start.elapsed().as_secs_f64() * 1e3;
    let taken_after = disk::taken(&folder)? as f64 / given as f64;
    let needle = mark(0, BLOCKS as u64);
    let still_there = disk::holds(&folder, &needle)?;
    let start = Instant::now();
    database.compact(&folder)?;
    let compact_ms = start.elapsed().as_secs_f64() * 1e3;
    drop(database);
    let taken_compact = disk::taken(&folder)? as f64 / given as f64;
    let still_there_compact = disk::holds(&folder, &needle)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(Figures {
        megabytes_a_second: given as f64 / 1e6 / took,
        written,
        taken,
        open_ms,
        get_us,
        delete_ms,
        taken_after,
        still_there,
        compact_ms,
        taken_compact,
        still_there_compact,
    })
}

/// The rows: each database beside redb.
pub(crate) fn run(folder: &Path, megabytes: u64) -> Result<Vec<Row>> {
    let noise = noise(16);
    let total = megabytes * 1_000_000;
    let redb = measure::<Redb>(folder, &noise, total)?;
    let others = [
        (Redb::NAME, measure::<Redb>(folder, &noise, total)?),
        (Fjall::NAME, measure::<Fjall>(folder, &noise, total)?),
        (Sqlite::NAME, measure::<Sqlite>(folder, &noise, total)?),
    ];
    let mut rows = Vec::new();
    for (name, other) in &others {
        let mut row = |what: &str, unit: &str, of: fn(&Figures) -> f64| {
            rows.push(Row::of(&format!("{name}: {what}"), unit, (of(other), of(&redb)), Redb::NAME, 1));
        };
        let flag = |is: bool| 1.0 + f64::from(u8::from(is));
        row("a gigabyte recorded", "ms", |figures| 1e6 / figures.megabytes_a_second);
        row("written for each byte", "bytes", |figures| figures.written);
        row("taken for each byte", "bytes", |figures| figures.taken);
        row("open", "ms", |figures| figures.open_ms);
        row("read a block", "us", |figures| figures.get_us);
        row("delete half", "ms", |figures| figures.delete_ms);
        row("taken then", "bytes", |figures| figures.taken_after);
        row("compact", "ms", |figures| figures.compact_ms);
        row("taken then", "bytes", |figures| figures.taken_compact);
        let (after, compact) = (flag(other.still_there), flag(other.still_there_compact));
        let (of_redb, redb_compact) = (flag(redb.still_there), flag(redb.still_there_compact));
        let deleted = format!("{name}: deleted bytes in its files (1: no, 2: yes)");
        rows.push(Row::of(&deleted, "", (after, of_redb), Redb::NAME, 1));
        rows.push(Row::of(&format!("{deleted}, compact"), "", (compact, redb_compact), Redb::NAME, 1));
    }
    Ok(rows)
}
