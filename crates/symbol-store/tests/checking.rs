//! Damage is found, named and mended.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::disk::{Disk, Fate};
use common::*;
use consent_decay::{Reason, Tier};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::path::Path;
use std::sync::{Arc, Mutex};
use symbol_store::{Error, Fault, Group, Health, Options, Store};

fn two() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for n in [1, 2] {
        store.admit(day(0), &consent(n), &mut rng()).unwrap();
        record(&mut store, n, 0);
        record(&mut store, n, 10);
    }
    dir
}

const BLOCKS: TableDefinition<'_, &[u8; 25], &[u8]> = TableDefinition::new("blocks");
const CONTENTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("contents");
const DUE: TableDefinition<'_, &[u8; 40], ()> = TableDefinition::new("due");

fn altered(dir: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::create(dir.join("symbols.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

/// Finds the faults, mends them, and finds no more.
fn mended(dir: &Path) -> Health {
    let mut store = open(dir);
    let found = store.check(day(0), false).unwrap();
    assert!(!found.repaired);
    let repaired = store.check(day(0), true).unwrap();
    assert_eq!(repaired.faults, found.faults);
    let after = store.check(day(0), false).unwrap();
    assert_eq!(after.faults, []);
    drop(store);
    assert_eq!(open(dir).check(day(0), false).unwrap().faults, []);
    repaired
}

#[test]
fn a_sound_store_has_no_faults_and_all_is_counted() {
    let dir = two();
    let health = open(dir.path()).check(day(0), true).unwrap();
    assert_eq!(health, Health { contents: 2, blocks: 16, symbols: 48, ..Health::default() });
}

#[test]
fn a_check_needs_the_store_to_itself() {
    let dir = two();
    let mut store = open(dir.path());
    let reader = store.reader();
    assert!(matches!(store.check(day(0), false), Err(Error::Refused(_))));
    drop(reader);
    assert!(store.check(day(0), false).is_ok());
}

#[test]
fn a_damaged_block_is_named_and_costs_itself_alone() {
    let dir = two();
    let mut number = None;
    altered(dir.path(), |transaction| {
        let mut table = transaction.open_table(BLOCKS).unwrap();
        let (name, mut block) =
            table.first().unwrap().map(|(name, block)| (*name.value(), block.value().to_vec())).unwrap();
        block[20] ^= 1;
        table.insert(&name, block.as_slice()).unwrap();
        number = Some(name);
    });
    // Content number 0 is the first that was admitted; group 0; frame group 0.
    assert_eq!(number.unwrap()[..5], [0; 5]);
    let reader_says = readable(&open(dir.path()).reader(), day(0), 1, 0);
    assert!(matches!(reader_says, Err(Error::Damaged(_))));
    let health = mended(dir.path());
    assert_eq!(health.faults, [Fault::Block(content(1), Group::KeyFrames, at(0))]);
    let reader = open(dir.path()).reader();
    assert_eq!(readable(&reader, day(0), 1, 0).unwrap(), KEPT[0][2..].to_vec());
    assert_eq!(readable(&reader, day(0), 1, 10).unwrap(), KEPT[0]);
    assert_eq!(readable(&reader, day(0), 2, 0).unwrap(), KEPT[0]);
    assert_eq!(reader.describe(day(0), content(1)).unwrap().groups[0].symbols, 2);
}

#[test]
fn blocks_that_changed_places_are_damaged() {
    let dir = two();
    altered(dir.path(), |transaction| {
        let mut table = transaction.open_table(BLOCKS).unwrap();
        let all: Vec<_> = table
            .iter()
            .unwrap()
            .map(|entry| entry.map(|(name, block)| (*name.value(), block.value().to_vec())).unwrap())
            .collect();
        table.insert(&all[0].0, all[1].1.as_slice()).unwrap();
    });
    assert_eq!(mended(dir.path()).faults, [Fault::Block(content(1), Group::KeyFrames, at(0))]);
}

#[test]
fn a_content_missing_in_the_index_is_found_and_put_back() {
    let dir = two();
    altered(dir.path(), |transaction| {
        let mut table = transaction.open_table(DUE).unwrap();
        while table.pop_first().unwrap().is_some() {}
    });
    assert_eq!(mended(dir.path()).fault_count, 2);
    let mut store = open(dir.path());
    store.fade(day(4)).unwrap();
    assert_eq!(readable(&store.reader(), day(0), 1, 0).unwrap(), KEPT[1]);
}

#[test]
fn keys_that_are_gone_lower_the_tier_and_are_said_in_the_log() {
    let dir = two();
    let keys = dir.path().join("keys");
    let mut bytes = std::fs::read(&keys).unwrap();
    // The key of the first content's base layer.
    bytes[4_096 + 64..4_096 + 128].fill(0);
    std::fs::write(&keys, bytes).unwrap();
    assert_eq!(mended(dir.path()).faults, [Fault::Key(content(1), Group::Base)]);
    let mut store = open(dir.path());
    let reader = store.reader();
    assert_eq!(readable(&reader, day(0), 1, 0).unwrap(), KEPT[3]);
    assert_eq!(readable(&reader, day(0), 2, 0).unwrap(), KEPT[0]);
    let last = reader.audit(0, 10).unwrap().pop().unwrap().1;
    assert_eq!((last.reason, last.after), (Reason::KeysGone, Tier::MinViable));
    let held = reader.usage().unwrap().blocks;
    while store.reclaim(100).unwrap().more {}
    assert!(reader.usage().unwrap().blocks < held);
}

#[test]
fn keys_that_should_be_gone_are_found_and_destroyed() {
    let dir = two();
    let keys = dir.path().join("keys");
    let before = std::fs::read(&keys).unwrap();
    open(dir.path()).fade(day(4)).unwrap();
    // Somebody put an old copy back.
    std::fs::write(&keys, before).unwrap();
    let faults = mended(dir.path()).faults;
    assert_eq!(faults.len(), 2);
    assert!(faults.contains(&Fault::KeyLeft(content(1), Group::Repair)), "{faults:?}");
    let cell = &std::fs::read(&keys).unwrap()[4_096 + 3 * 64..4_096 + 4 * 64];
    assert_eq!(cell, [0; 64]);
}

#[test]
fn a_row_that_can_not_be_read_is_named_and_stops_nothing_else() {
    let dir = two();
    altered(dir.path(), |transaction| {
        let mut table = transaction.open_table(CONTENTS).unwrap();
        table.insert(&content(1).0, [9].as_slice()).unwrap();
    });
    let mut store = open(dir.path());
    let tick = store.fade(day(4)).unwrap();
    assert_eq!((tick.transitions.len(), tick.failed.len()), (1, 1));
    assert_eq!(store.relieve(day(4), consent_decay::Level::Last, 1).unwrap().transitions.len(), 1);
    drop(store);
    let faults = mended(dir.path()).faults;
    assert!(faults.contains(&Fault::Row(content(1))), "{faults:?}");
    assert!(matches!(open(dir.path()).reader().describe(day(0), content(1)), Err(Error::Unknown(_))));
}

/// Any byte of either file may be wrong: that is found or harmless, and nothing panics.
#[test]
fn no_damaged_byte_makes_wrong_symbols() {
    let fate = || Arc::new(Mutex::new(Fate::default()));
    let [database, keys] = [Disk::new(&fate()), Disk::new(&fate())];
    let mut store =
        Store::open_on(database.clone(), keys.clone(), &KEY, Options::default(), &mut rng()).unwrap();
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    record(&mut store, 1, 0);
    drop(store);
    let (mut rng, mut refused) = (SmallRng::seed_from_u64(5), 0);
    for round in 0..60 {
        let [database, keys] = [database.after_death(&fate()), keys.after_death(&fate())];
        if round % 4 == 0 {
            keys.damage(&mut rng)
        } else {
            database.damage(&mut rng)
        }
        let opened = Store::open_on(database, keys, &KEY, Options::default(), &mut common::rng());
        let read = opened.and_then(|store| readable(&store.reader(), day(0), 1, 0));
        // `readable` compares the bytes.
        refused += u32::from(read.is_err());
    }
    assert!(refused > 0, "no damage was noticed");
}

#[test]
fn readers_of_the_database_itself_find_the_tables_of_the_specification() {
    let dir = two();
    let database = Database::create(dir.path().join("symbols.redb")).unwrap();
    let reading = database.begin_read().unwrap();
    let mut names: Vec<_> =
        reading.list_tables().unwrap().map(|table| redb::TableHandle::name(&table).to_owned()).collect();
    names.sort();
    let expected = [
        "audit",
        "blocks",
        "contents",
        "due",
        "envelopes",
        "erased",
        "frame groups",
        "free slots",
        "meta",
        "salt",
        "tombstones",
    ];
    assert_eq!(names, expected);
}
