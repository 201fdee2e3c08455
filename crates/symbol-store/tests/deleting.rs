//! What is gone is gone: from the files, and for good.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::disk::{Disk, Fate};
use common::*;
use consent_decay::{ContentId, Reason, Tier, Tombstone};
use core::convert::Infallible;
use identity::{Identity, Seed};
use rand::rngs::StdRng;
use rand_core::{Rng as _, TryCryptoRng, TryRng};
use std::path::Path;
use std::sync::{Arc, Mutex};
use symbol_store::{Error, Flush, Manifest, Options, Store};

/// Remembers all 32 bytes that were drawn at once: every key is among them.
struct Remembering {
    inner: StdRng,
    keys: Vec<[u8; 32]>,
}

impl TryRng for Remembering {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.inner.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.inner.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.inner.fill_bytes(bytes);
        self.keys.extend(<[u8; 32]>::try_from(&*bytes));
        Ok(())
    }
}

impl TryCryptoRng for Remembering {}

fn files(dir: &Path) -> [Vec<u8>; 2] {
    ["symbols.redb", "keys"].map(|name| std::fs::read(dir.join(name)).unwrap())
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// The cells of all slots: nonce, wrapped key, tag.
fn slots(keys: &[u8]) -> Vec<&[u8]> {
    // A slot has five cells of 64 bytes.
    keys[4_096..].chunks_exact(64).map(|cell| &cell[..60]).collect()
}

#[test]
fn after_a_hard_delete_neither_bytes_nor_keys_are_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Remembering { inner: rng(), keys: Vec::new() };
    let mut store = Store::open(dir.path(), &KEY, Options::default(), &mut rng).unwrap();
    for n in [1, 2] {
        store.admit(day(0), &consent(n), &mut rng).unwrap();
        record(&mut store, n, 0);
    }
    store
        .put_manifest(
            &Manifest {
                content: content(1),
                recorder: person().public().clone(),
                made_at: day(0),
                announcement: b"the camera in the kitchen".to_vec(),
                first: at(0),
                last: at(0),
                symbols: [0; 4],
            }
            .sign(&person())
            .unwrap(),
            &mut rng,
        )
        .unwrap();
    let [_, keys] = files(dir.path());
    let wrapped: Vec<Vec<u8>> = slots(&keys)[..5].iter().map(|cell| cell.to_vec()).collect();
    let others: Vec<Vec<u8>> = slots(&keys)[5..].iter().map(|cell| cell.to_vec()).collect();
    assert_eq!((wrapped.len(), others.len()), (5, 5));
    assert!(wrapped.iter().all(|cell| cell.iter().any(|byte| *byte != 0)));
    // The salt and ten keys; more of them are nonces' and no keys.
    assert_eq!(rng.keys.len(), 11);
    let plain = |dir: &Path| {
        let [database, keys] = files(dir);
        let sealed =
            (0..12).any(|n| has(&database, &sealed(0, n, 100)) || has(&database, &sealed(0, n, 100)[..24]));
        // The salt is the first, and no secret.
        let key = rng.keys[1..].iter().any(|key| has(&database, key) || has(&keys, key));
        sealed || key || has(&database, b"kitchen") || has(&database, &consent(1)[2_040..2_200])
    };
    assert!(!plain(dir.path()), "something lies there that was not wrapped");

    assert!(store.revoke(day(0), &tombstone(1)).unwrap());
    let check = |dir: &Path| {
        let [database, keys] = files(dir);
        for cell in &wrapped {
            assert!(!has(&keys, &cell[12..]) && !has(&database, &cell[12..]), "a wrapped key is left");
        }
        for cell in &others {
            assert!(has(&keys, cell), "another content's key is gone");
        }
        assert!(!plain(dir));
    };
    check(dir.path());
    while store.reclaim(10).unwrap().more {}
    store.compact().unwrap();
    drop(store);
    check(dir.path());
    let store = open(dir.path());
    assert_eq!(readable(&store.reader(), day(0), 2, 0).unwrap(), KEPT[0]);
}

#[test]
fn a_tier_takes_its_key_with_it_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    record(&mut store, 1, 0);
    let [_, before] = files(dir.path());
    // Cells: key frames, base, enhancement, repair, envelope.
    for (day_of, left) in [(4, 3), (8, 2), (11, 1), (14, 0)] {
        store.fade(day(day_of)).unwrap();
        let [_, now] = files(dir.path());
        for (cell, (was, is)) in slots(&before).into_iter().zip(slots(&now)).enumerate() {
            if cell < left || cell == 4 {
                assert_eq!(was, is, "day {day_of}, cell {cell}");
            } else {
                assert_eq!(is, [0; 60], "day {day_of}, cell {cell}");
            }
        }
    }
}

#[test]
fn what_was_revoked_is_refused_from_wherever_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    record(&mut store, 1, 0);
    // Of what was never here, too.
    assert!(store.revoke(day(0), &tombstone(1)).unwrap());
    assert!(!store.revoke(day(0), &tombstone(2)).unwrap());
    assert!(!store.revoke(day(0), &tombstone(2)).unwrap());
    for _ in 0..2 {
        for n in [1, 2] {
            let is_revoked = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Revoked(_))));
            let newer = signed_consent(n, "persistent", day(1), 99);
            is_revoked(store.admit(day(1), &newer, &mut rng()).map(drop));
            is_revoked(try_record(&mut store, n, 0, Flush::Now, day(0)).map(drop));
            is_revoked(readable(&store.reader(), day(0), n, 0).map(drop));
            is_revoked(store.reader().consent(content(n)).map(drop));
            assert_eq!(store.reader().tombstone(content(n)).unwrap(), Some(tombstone(n)));
        }
        drop(store);
        store = open(dir.path());
    }
    assert_eq!(store.reader().usage().unwrap().tombstones, 2);
    let last = store.reader().audit(0, 10).unwrap().pop().unwrap().1;
    assert_eq!((last.content, last.after, last.reason), (content(1), Tier::HardDelete, Reason::Revoked));
}

#[test]
fn a_tombstone_counts_only_from_the_person_that_it_is_about() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    let other = Identity::from_seed(&Seed([2; 64])).unwrap();
    let theirs = Tombstone { subject: other.public().clone(), source: source(1), revoked_at: day(0) };
    assert_ne!(theirs.content(), content(1));
    store.revoke(day(0), &theirs.sign(&other).unwrap()).unwrap();
    let mut forged = tombstone(1);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(matches!(store.revoke(day(0), &forged), Err(Error::Consent(_))));
    assert!(store.reader().describe(day(0), content(1)).is_ok());
}

#[test]
fn tombstones_of_what_is_not_held_are_bounded_and_those_of_what_is_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { foreign_tombstones: 2, ..Options::default() };
    let mut store = Store::open(dir.path(), &KEY, options, &mut rng()).unwrap();
    store.admit(day(0), &consent(9), &mut rng()).unwrap();
    assert!(store.revoke(day(0), &tombstone(1)).is_ok());
    assert!(store.revoke(day(0), &tombstone(2)).is_ok());
    assert!(matches!(store.revoke(day(0), &tombstone(3)), Err(Error::Refused(_))));
    assert!(store.revoke(day(0), &tombstone(9)).unwrap());
    assert_eq!(store.reader().tombstone(content(3)).unwrap(), None);
}

#[test]
fn room_is_given_back_in_bounded_steps_and_slots_are_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let keys_len = || std::fs::metadata(dir.path().join("keys")).unwrap().len();
    for n in 0..4 {
        store.admit(day(0), &consent(n), &mut rng()).unwrap();
        for group in 0..5 {
            record(&mut store, n, group * 10);
        }
    }
    let (held, len) = (store.reader().usage().unwrap().blocks, keys_len());
    store.revoke(day(0), &tombstone(0)).unwrap();
    assert_eq!(store.reader().usage().unwrap().blocks, held);
    let (mut steps, mut bytes) = (0, 0);
    loop {
        let step = store.reclaim(3).unwrap();
        steps += 1;
        bytes += step.bytes;
        if !step.more {
            break;
        }
    }
    assert!(steps > 6, "twenty blocks and five rows by threes: {steps}");
    assert_eq!((bytes, store.reader().usage().unwrap().blocks), (held / 4, held - held / 4));
    store.admit(day(0), &consent(7), &mut rng()).unwrap();
    assert_eq!(keys_len(), len);
    record(&mut store, 7, 0);
    assert_eq!(readable(&store.reader(), day(0), 7, 0).unwrap(), KEPT[0]);
    assert_eq!(readable(&store.reader(), day(0), 3, 40).unwrap(), KEPT[0]);
}

#[test]
fn a_full_disk_refuses_symbols_and_still_deletes() {
    let fate = Arc::new(Mutex::new(Fate::default()));
    let [database, keys] = [Disk::new(&fate), Disk::new(&fate)];
    let open = |[database, keys]: [Disk; 2]| {
        Store::open_on(database, keys, &KEY, Options::default(), &mut rng()).unwrap()
    };
    let mut store = open([database.clone(), keys.clone()]);
    for n in [1, 2] {
        store.admit(day(0), &consent(n), &mut rng()).unwrap();
        record(&mut store, n, 0);
    }
    fate.lock().unwrap().room = Some(4 << 20);
    let mut kept = 0;
    let refused = loop {
        let bytes = bytes_of(kept * 10 + 10, 60_000);
        let symbols = symbols(kept * 10 + 10, &bytes);
        let group =
            symbol_store::FrameGroup { content: content(1), at: at(kept * 10 + 10), symbols: &symbols };
        match store.record(day(0), &group, Flush::Now, &mut rng()) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the disk is never full");
    };
    assert!(matches!(refused, Error::Database(_)), "{refused}");
    // Whatever the database says to it, nothing of it can be read.
    let outcome = store.revoke(day(0), &tombstone(1));
    let is_gone = |store: &Store, n| readable(&store.reader(), day(0), n, 0).is_err();
    if outcome.is_ok() {
        assert!(is_gone(&store, 1));
    }
    drop(store);
    // As the error says: opened anew, all that was acknowledged is there, and deleting works though there is no room.
    let mut store = open([database.after_death(&fate), keys.after_death(&fate)]);
    assert_eq!(readable(&store.reader(), day(0), 2, 0).unwrap(), KEPT[0]);
    let groups = store.reader().frame_groups(day(0), content(2), None, 10).unwrap().len();
    assert_eq!(groups, 1);
    store.revoke(day(0), &tombstone(2)).unwrap();
    store.revoke(day(0), &tombstone(1)).unwrap();
    assert!(is_gone(&store, 1) && is_gone(&store, 2));
    // And what it gives back can be used.
    while store.reclaim(100).unwrap().more {}
    store.admit(day(0), &consent(3), &mut rng()).unwrap();
    record(&mut store, 3, 0);
}

#[test]
fn debugging_output_has_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    record(&mut store, 1, 0);
    let read = store.reader().read(day(0), content(1), at(0)).unwrap();
    let said = format!("{store:?} {:?} {read:?} {:?}", store.reader(), KEY);
    assert!(said.contains("redacted"), "{said}");
    assert!(!said.contains("7, 7") && !said.contains("sealed symbol"), "{said}");
    let _: ContentId = content(1);
}
