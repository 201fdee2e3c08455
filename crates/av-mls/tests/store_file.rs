//! The store in a file: what is in it, and what opens it.
#![cfg(feature = "redb")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use av_mls::{Error, MAX_KEY_PACKAGES, Member, Record, RedbStore, StateStore as _, StorageKey};
use common::{Peer, SESSION, random};
use std::fs;
use std::path::{Path, PathBuf};

fn open(path: &Path, key: u8) -> Box<RedbStore> {
    Box::new(RedbStore::open(path, &StorageKey([key; 32])).unwrap())
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    (folder, path)
}

#[test]
fn the_file_holds_no_plain_secret() {
    let (_folder, path) = file();
    let mut host = Peer::open(1, open(&path, 3));
    host.member.create(SESSION).unwrap();
    _ = host.member.stage_change(vec![Peer::new(2).package()], &[]).unwrap();
    host.member.merge_staged().unwrap();
    host.member.checkpoint().unwrap();
    let records = {
        drop(host);
        open(&path, 3).load().unwrap()
    };
    let bytes = fs::read(&path).unwrap();
    assert!(records.iter().any(|record| record.key.0 == b"snapshot" && record.value.len() > 4_000));
    let contains = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(contains(b"snapshot"), "names are plain");
    for Record { key, value } in &records {
        for part in value.chunks_exact(24).step_by(7) {
            assert!(!contains(part), "{key:?}");
        }
    }
}

#[test]
fn another_key_or_an_altered_record_is_an_error() {
    let (_folder, path) = file();
    let mut host = Peer::open(1, open(&path, 3));
    host.member.create(SESSION).unwrap();
    let epoch = host.member.epoch();
    let identity = host.identity;
    drop(host.member);
    let wrong = Member::open(&identity, random(), open(&path, 4)).unwrap_err();
    assert!(matches!(wrong, Error::Store { .. }), "{wrong}");
    // Another identity does not open it either.
    let other = Peer::new(2).identity;
    assert!(matches!(Member::open(&other, random(), open(&path, 3)), Err(Error::State(_))));
    assert_eq!(Member::open(&identity, random(), open(&path, 3)).unwrap().epoch(), epoch);
}

#[test]
fn key_packages_survive_a_restart_and_serve() {
    let (_folder, path) = file();
    let mut joiner = Peer::open(2, open(&path, 3));
    let package = joiner.package();
    let last_resort = joiner.member.last_resort_package(&joiner.identity).unwrap().verify().unwrap();
    for _ in 0..MAX_KEY_PACKAGES {
        joiner.package();
    }
    drop(joiner);
    let mut joiner = Peer::open(2, open(&path, 3));
    let mut host = Peer::host();
    let mut welcome_for = |package| {
        let welcome = host.member.stage_change(vec![package], &[]).unwrap().welcome.unwrap();
        host.member.discard_staged().unwrap();
        welcome
    };
    let host_id = Peer::new(200).id();
    assert!(joiner.member.join(&welcome_for(package), host_id, SESSION).is_err(), "it was crowded out");
    joiner.member.join(&welcome_for(last_resort), host_id, SESSION).unwrap();
}

#[test]
fn a_journal_that_has_grown_long_starts_over() {
    let (_folder, path) = file();
    let mut host = Peer::open(1, open(&path, 3));
    host.member.create(SESSION).unwrap();
    let mut longest = 0;
    for _ in 0..150 {
        _ = host.member.stage_update().unwrap();
        host.member.merge_staged().unwrap();
        longest = longest.max(host.member.journal_len());
    }
    assert!((200..300).contains(&longest) && host.member.journal_len() < 100, "{longest}");
    let (epoch, secret) = (host.member.epoch(), host.secret());
    drop(host);
    let host = Peer::open(1, open(&path, 3));
    assert_eq!((host.member.epoch(), host.secret()), (epoch, secret));
}
