//! A disk that is really full: nothing that was acknowledged is lost, nothing that was deleted comes back, and what is let go of makes room.
//!
//! The same run takes place under a limit of the file's size, which needs no rights; on a tmpfs of 24 MiB in a mount namespace of its
//! own; and on an ext4 of 48 MiB on a loop device. The test says which could be had. With `SYMBOL_STORE_MOUNT=1` all have to.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use consent_decay::{Level, Tier};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use symbol_store::{Error, Flush, FrameGroup, Reader, Store};

const CHILD: &str = "SYMBOL_STORE_FULL_DISK_CHILD";
const NAME: &str = "a_full_disk_loses_nothing_and_deletes_and_goes_on";
/// Bytes of a symbol, of which a frame group has twelve: so many as long as they fit, and then few, until even those do not.
const LENGTHS: [usize; 2] = [20_000, 200];

#[test]
fn a_full_disk_loses_nothing_and_deletes_and_goes_on() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(Path::new(&dir));
    }
    // In blocks of 512 bytes. The signal is ignored, so that writing says that there is no room.
    const LIMITED: &str = "trap '' XFSZ; ulimit -f 49152 || exit; echo; echo ready; exec \"$@\"";
    const TMPFS: &str = "mount -t tmpfs -o size=24m tmpfs \"$DIR\" || exit; echo; echo ready; exec \"$@\"";
    const EXT4: &str = "truncate -s 48M \"$DIR.img\" && mkfs.ext4 -q -m 0 \"$DIR.img\" && \
        mount -o loop \"$DIR.img\" \"$DIR\" || exit; echo; echo ready; exec \"$@\"";
    assert!(run(&[], LIMITED), "a file's size can't be limited");
    let alone = ["unshare", "--mount"];
    let alone_as_root = ["unshare", "--user", "--map-root-user", "--mount"];
    let tmpfs = run(&alone, TMPFS) || run(&alone_as_root, TMPFS);
    let ext4 = run(&alone, EXT4);
    println!("ran under a limit of the file's size; on a tmpfs: {tmpfs}; on an ext4: {ext4}");
    assert!(
        (tmpfs && ext4) || std::env::var_os("SYMBOL_STORE_MOUNT").is_none(),
        "nothing can be mounted here"
    );
}

/// Runs this test as a child of a shell that makes a small disk first. False if it could not.
fn run(prefix: &[&str], script: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("disk");
    std::fs::create_dir(&at).unwrap();
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(prefix.first().unwrap_or(&"sh"));
    command.args(prefix.iter().skip(1));
    if !prefix.is_empty() {
        command.arg("sh");
    }
    command.args(["-c", script, "sh"]).arg(program).args(["--exact", NAME, "--nocapture"]);
    let output = command.env("DIR", &at).env(CHILD, &at).output();
    let Ok(output) = output else { return false };
    let said = String::from_utf8_lossy(&output.stdout);
    let is_ready = said.lines().any(|line| line == "ready");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(!is_ready || output.status.success(), "{prefix:?}: {said}\n{complained}");
    is_ready
}

/// What was acknowledged: by content, frame groups and the length of their symbols.
type Kept = BTreeMap<u8, Vec<(u64, usize)>>;

/// Records contents in turn until there is no room, and says what was refused.
fn fill(store: &mut Store, contents: &[u8], len: usize, next: &mut u64, kept: &mut Kept) -> Error {
    for round in 0.. {
        let n = contents[round % contents.len()];
        let bytes = bytes_of(*next, len);
        let symbols = symbols(*next, &bytes);
        let group = FrameGroup { content: content(n), at: at(*next), symbols: &symbols };
        match store.record(day(0), &group, Flush::Now, &mut rng()) {
            Ok(_) => kept.entry(n).or_default().push((*next, len)),
            Err(error) => return error,
        }
        *next += 10;
        assert!(round < 10_000, "the disk is never full");
    }
    unreachable!()
}

/// All of it, as far as the tier keeps it, and nothing else.
fn compare(reader: &Reader, n: u8, kept: &Kept, tier: usize) {
    for (group, len) in &kept[&n] {
        let read = reader.read(day(0), content(n), at(*group)).unwrap();
        let mut places = Vec::new();
        for symbol in read.iter() {
            let place = ((symbol.object.0 - group) * 3) as u8 + symbol.id.value() as u8;
            assert!(symbol.bytes == sealed(*group, place, *len), "other bytes");
            places.push(place);
        }
        places.sort_unstable();
        assert_eq!(places, KEPT[tier], "content {n}, group {group}");
    }
}

fn child(dir: &Path) {
    let (mut next, mut kept) = (0, Kept::new());
    let mut store = open(dir);
    for n in 1..=4 {
        store.admit(day(0), &consent(n), &mut rng()).unwrap();
    }
    for len in LENGTHS {
        let refused = fill(&mut store, &[1, 2, 3], len, &mut next, &mut kept);
        assert!(matches!(refused, Error::Database(_)), "{refused}");
        println!("full after {} groups, the last of {len}: {refused}", next / 10);
        // Opened anew, what was acknowledged is there.
        drop(store);
        store = open(dir);
    }
    let large = kept.values().flatten().filter(|(_, len)| *len == LENGTHS[0]).count();
    assert!(large >= 10, "there was hardly any room");
    for n in 1..=3 {
        compare(&store.reader(), n, &kept, 0);
    }
    assert!(store.revoke(day(0), &tombstone(3)).unwrap(), "a full disk kept what was revoked");
    kept.remove(&3);
    // Of the others repair symbols go.
    let relieved = store.relieve(day(0), Level::Repair, u64::MAX).unwrap();
    assert!(relieved.transitions.iter().all(|entry| entry.after == Tier::DropRepair) && relieved.freed > 0);
    while store.reclaim(16).unwrap().more {}
    // The file has pages for which the disk never had room: they are cut off.
    store.compact().unwrap();
    // Recording goes on, in the room that this has made: a third of all, and of the rest what repair symbols had.
    let mut again = Kept::new();
    let refused = fill(&mut store, &[4], LENGTHS[0], &mut next, &mut again);
    let more = again[&4].len();
    println!("full again after {more} groups more: {refused}");
    assert!(more > large / 4, "{large} groups were kept, of a half there is room for {more}");
    drop(store);
    let mut store = open(dir);
    for n in [1, 2] {
        compare(&store.reader(), n, &kept, 1);
    }
    compare(&store.reader(), 4, &again, 0);
    // Nothing of what was revoked comes back.
    assert!(matches!(store.admit(day(0), &consent(3), &mut rng()), Err(Error::Revoked(_))));
    assert!(matches!(store.reader().read(day(0), content(3), at(20)), Err(Error::Revoked(_))));
    // Time takes what it takes on a full disk too, and that makes room.
    let tick = store.fade(day(14)).unwrap();
    assert_eq!((tick.transitions.len(), tick.failed.len()), (3, 0));
    while store.reclaim(16).unwrap().more {}
    assert_eq!(store.check(day(14), false).unwrap().faults, []);
    assert_eq!(store.reader().usage().unwrap().blocks, 0);
}
