//! A tick of the scheduler has its keys destroyed on the disk, and the rest of it with the next sync.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::disk::{Disk, Fate};
use common::*;
use consent_decay::{Classes, Reason, Tier};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use std::sync::{Arc, Mutex};
use symbol_store::{Options, Store};

/// A tick syncs the keys alone. Power fails before the database has said why: nothing comes back, the rest can be used at once, and
/// the next tick says it, once.
#[test]
fn a_tick_that_power_failure_takes_back_is_done_again_and_said_once() {
    let fate = || Arc::new(Mutex::new(Fate::default()));
    let failing = fate();
    let mut disks = [Disk::new(&failing), Disk::new(&failing)];
    let mut store = open_on(disks.clone(), 1).unwrap();
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    record(&mut store, 1, 0);
    assert_eq!(store.fade(day(8)).unwrap().transitions.len(), 1);
    let mut lost = SmallRng::seed_from_u64(0);
    disks = disks.map(|disk| disk.after_losing_all(&fate()));
    for group in [10, 20] {
        let mut store = open_on(disks.clone(), 2).unwrap();
        let reader = store.reader();
        assert_eq!(reader.audit(0, 10).unwrap().len(), 1, "what was to be lost is there");
        // A clock that has gone back gives nothing back either.
        assert_eq!(reader.describe(day(0), content(1)).unwrap().tier, Tier::DropHighQuality);
        assert_eq!(readable(&reader, day(0), 1, 0).unwrap(), KEPT[2]);
        record(&mut store, 1, group);
        assert_eq!(readable(&reader, day(0), 1, group).unwrap(), KEPT[2]);
        disks = disks.map(|disk| disk.after_power_failure(&mut lost, &fate()));
    }
    let mut store = open_on(disks, 3).unwrap();
    assert_eq!(store.fade(day(8)).unwrap().transitions.len(), 1);
    for _ in 0..2 {
        assert_eq!(store.fade(day(8)).unwrap().transitions, []);
    }
    let log = store.reader().audit(0, 10).unwrap();
    assert_eq!(log.iter().filter(|(_, entry)| entry.reason == Reason::Age).count(), 1);
    assert_eq!(store.check(day(8), false).unwrap().faults, []);
}

/// Who calls again and finds nothing due has it on the disk.
#[test]
fn a_tick_that_finds_nothing_due_syncs_what_those_before_have_said() {
    let fate = || Arc::new(Mutex::new(Fate::default()));
    let disks = [Disk::new(&fate()), Disk::new(&fate())];
    let mut store = open_on(disks.clone(), 1).unwrap();
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    store.fade(day(4)).unwrap();
    let said = |disks: &[Disk; 2]| {
        let disks = disks.each_ref().map(|disk| disk.after_losing_all(&fate()));
        open_on(disks, 2).unwrap().reader().audit(0, 10).unwrap().len()
    };
    assert_eq!(said(&disks), 1);
    store.fade(day(4)).unwrap();
    assert_eq!(said(&disks), 2);
}

/// The seven days of what nobody can say begin once, and not with each crash.
#[test]
fn what_freezes_is_synced_with_its_tick() {
    let fate = || Arc::new(Mutex::new(Fate::default()));
    let disks = [Disk::new(&fate()), Disk::new(&fate())];
    let bands = "full = 1\ndrop_repair = 2\ndrop_high_quality = 3\nmin_viable = 4\n";
    let classes = Classes::from_toml(&format!("[class.interview]\n{bands}")).unwrap();
    let [database, keys] = disks.clone();
    let options = Options { classes, ..Options::default() };
    let mut store = Store::open_on(database, keys, &KEY, options, &mut rng()).unwrap();
    store.admit(day(0), &signed_consent(1, "interview", day(0), 1), &mut rng()).unwrap();
    drop(store);
    // This program knows no such class.
    let mut store = open_on(disks.clone(), 2).unwrap();
    assert_eq!(store.fade(day(1)).unwrap().transitions[0].reason, Reason::Frozen);
    let disks = disks.map(|disk| disk.after_losing_all(&fate()));
    drop(store);
    let mut store = open_on(disks, 3).unwrap();
    let last = store.fade(day(8)).unwrap().transitions[0];
    assert_eq!((last.after, last.reason), (Tier::EnvelopeOnly, Reason::Unreadable));
}
