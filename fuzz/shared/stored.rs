//! Rows of the database from anybody, and objects of traces. Shared by the fuzz target and the test that replays its seeds.

use crate::disks::{Bytes, PREPARED, use_it};
use redb::{Database, ReadableTable as _, TableDefinition, WriteTransaction};
use symbol_store::trace::{Object, Symbols};

pub(crate) fn check(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    if kind % 2 == 0 {
        trace(data);
    } else {
        rows(data).expect("a database in memory does what it is told");
    }
}

fn trace(data: &[u8]) {
    if let Ok((len, symbol)) = Symbols::open(data) {
        assert_eq!(Symbols::kept(len, symbol).ok().as_deref(), Some(data).filter(|_| data.len() <= 65_536));
    }
    let Ok(object) = Object::open(data) else { return };
    for record in &object.records {
        assert!(object.batch.contains(&record.number));
    }
    let bytes: usize = object.records.iter().map(|record| 8 + record.bytes.len()).sum();
    assert_eq!(bytes + 18, data.len());
}

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const CONTENTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("contents");
const ENVELOPES: TableDefinition<'_, &[u8; 33], &[u8]> = TableDefinition::new("envelopes");
const FRAMES: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("frame groups");
const BLOCKS: TableDefinition<'_, &[u8; 25], &[u8]> = TableDefinition::new("blocks");
const DUE: TableDefinition<'_, &[u8; 40], ()> = TableDefinition::new("due");
const ERASED: TableDefinition<'_, &[u8; 5], ()> = TableDefinition::new("erased");
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
const FREE_SLOTS: TableDefinition<'_, u32, ()> = TableDefinition::new("free slots");
const NAMES: [&str; 6] =
    ["schema", "next content number", "next slot", "next audit entry", "tombstones", "bytes of blocks"];

/// Changes, each of a table, which row, how many bytes, and those.
fn rows(mut data: &[u8]) -> Result<(), redb::Error> {
    let (bytes, keys) = (Bytes::new(PREPARED.database.clone()), Bytes::new(PREPARED.keys.clone()));
    {
        let database = Database::builder().set_cache_size(1 << 20).create_with_backend(bytes.clone())?;
        let transaction = database.begin_write()?;
        for _ in 0..16 {
            let Some((&[table, row, len], rest)) = data.split_first_chunk() else { break };
            let (value, rest) = rest.split_at(usize::from(len).min(rest.len()));
            change(&transaction, table, row, value)?;
            data = rest;
        }
        transaction.commit()?;
    }
    use_it(bytes, keys);
    Ok(())
}

fn array<const N: usize>(value: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let len = value.len().min(N);
    array[..len].copy_from_slice(&value[..len]);
    array
}

/// What was there, with these bytes over it: the first of them says from where on.
fn over(old: &[u8], value: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    if let Some((from, value)) = value.split_first() {
        let from = usize::from(*from).min(new.len());
        let end = (from + value.len()).min(new.len());
        new[from..end].copy_from_slice(&value[..end - from]);
        new.extend_from_slice(&value[end - from..]);
    }
    new
}

fn change(transaction: &WriteTransaction, table: u8, row: u8, value: &[u8]) -> Result<(), redb::Error> {
    let content = PREPARED.contents[usize::from(row & 1)];
    match table % 9 {
        0 => {
            let name = NAMES[usize::from(row) % NAMES.len()];
            transaction.open_table(META)?.insert(name, u64::from_be_bytes(array(value)))?;
        }
        1 => {
            let mut table = transaction.open_table(CONTENTS)?;
            let old = table.get(&content.0)?.map(|old| old.value().to_vec()).unwrap_or_default();
            table.insert(&content.0, over(&old, value).as_slice())?;
        }
        2 => {
            let mut key = [row >> 1 & 1; 33];
            key[..32].copy_from_slice(&content.0);
            transaction.open_table(ENVELOPES)?.insert(&key, value)?;
        }
        3 | 4 => {
            let mut key = [0; 20];
            // Number, epoch and object.
            (key[3], key[11], key[19]) = (row & 3, row >> 2 & 1, if row >> 3 & 1 == 1 { 100 } else { 0 });
            if table % 9 == 3 {
                transaction.open_table(FRAMES)?.insert(&key, value)?;
            } else {
                let mut block = [0; 25];
                block[..4].copy_from_slice(&key[..4]);
                block[4] = row >> 4 & 3;
                block[5..21].copy_from_slice(&key[4..]);
                block[24] = value.first().copied().unwrap_or_default();
                transaction.open_table(BLOCKS)?.insert(&block, value)?;
            }
        }
        5 => {
            let mut key = [0; 40];
            key[..8].copy_from_slice(&array::<8>(value));
            key[8..].copy_from_slice(&content.0);
            transaction.open_table(DUE)?.insert(&key, ())?;
        }
        6 => drop(transaction.open_table(ERASED)?.insert(&array(value), ())?),
        7 => drop(transaction.open_table(AUDIT)?.insert(u64::from(row), value)?),
        _ => drop(transaction.open_table(FREE_SLOTS)?.insert(u32::from_be_bytes(array(value)), ())?),
    }
    Ok(())
}
