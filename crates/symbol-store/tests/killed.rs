//! A process that is killed loses nothing that it acknowledged, and nothing that it deleted comes back.
//!
//! A thousand rounds: `SYMBOL_STORE_ROUNDS=1000 cargo test -p symbol-store --test killed`
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use consent_decay::{Level, Tier};
use core_types::WallTime;
use rand::rngs::{SmallRng, StdRng};
use rand::{RngExt as _, SeedableRng as _};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use symbol_store::{Error, Fault, Flush, Group};

/// Where the child process keeps its store; it is the same test, told so.
const CHILD: &str = "SYMBOL_STORE_CRASH_CHILD";
const CONTENTS: u8 = 4;

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(Path::new(&dir));
    }
    // Killing loses nothing that the kernel has, so it is the same in memory as on a disk, and many times as fast.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let signed = tempfile::tempdir_in(&base).unwrap();
    // Once, and not in each process: signing costs more than all that it does.
    for n in 0..CONTENTS {
        std::fs::write(signed.path().join(format!("consent-{n}")), consent(n)).unwrap();
    }
    std::fs::write(signed.path().join("tombstone"), tombstone(2)).unwrap();
    let mut rng = SmallRng::seed_from_u64(9);
    let mut heard = [0; 4];
    for _ in 0..rounds(8) {
        let dir = tempfile::tempdir_in(&base).unwrap();
        for _ in 0..2 {
            kill_one(dir.path(), signed.path(), &mut rng, &mut heard);
        }
    }
    println!("acknowledged: {heard:?} of kept, synced, revoked, lowered");
    assert!(heard[0] > 0, "no process came as far as keeping something");
}

/// Records, syncs, lowers and revokes for ever, and says what is done.
fn child(dir: &Path) {
    let signed = std::env::var_os("SYMBOL_STORE_SIGNED").unwrap();
    let signed = |name: &str| std::fs::read(Path::new(&signed).join(name)).unwrap();
    let mut out = std::io::stdout();
    let mut store = open(dir);
    let mut rng = StdRng::seed_from_u64(u64::from(std::process::id()));
    let mut next = 0;
    for n in 0..CONTENTS {
        // It is there after the first death, or gone for good.
        let _ = store.admit(day(0), &signed(&format!("consent-{n}")), &mut rng);
        let groups = store.reader().frame_groups(day(0), content(n), None, 100_000).unwrap_or_default();
        next = groups.last().map_or(next, |last| next.max(last.at.object.0 + 10));
    }
    for life in 0_u64.. {
        let now = life % 2 == 0;
        for n in 0..CONTENTS {
            let flush = if now { Flush::Now } else { Flush::Later };
            if try_record(&mut store, n, next, flush, WallTime(START)).is_ok() && now {
                writeln!(out, "\nkept {n} {next}").unwrap();
            }
        }
        next += 10;
        match life % 4 {
            1 => {
                store.sync().unwrap();
                writeln!(out, "\nsynced {}", next - 10).unwrap();
            }
            2 if life >= 6 => {
                store.relieve(day(0), Level::Repair, u64::MAX).unwrap();
                writeln!(out, "\nlowered").unwrap();
            }
            3 => {
                store.revoke(day(0), &signed("tombstone")).unwrap();
                writeln!(out, "\nrevoked 2").unwrap();
            }
            _ => drop(store.reclaim(3).unwrap()),
        }
        out.flush().unwrap();
    }
}

fn kill_one(dir: &Path, signed: &Path, rng: &mut SmallRng, heard: &mut [u32; 4]) {
    let name = "a_killed_process_loses_nothing_that_it_acknowledged";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, dir)
        .env("SYMBOL_STORE_SIGNED", signed)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // After some words, and somewhere in what it does then.
    let wanted = rng.random_range(1..40);
    let more = Duration::from_micros(rng.random_range(0..2_000));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = lines.by_ref().filter(|line| !line.is_empty()).take(wanted).collect();
    let start = Instant::now();
    while start.elapsed() < more {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said until it died.
    said.extend(lines);
    let mut store = open(dir);
    let reader = store.reader();
    let kept = |n: u8, group: u64| match readable(&reader, day(0), n, group) {
        Ok(read) => assert!(KEPT[..2].contains(&&read[..]), "{read:?}"),
        Err(Error::Revoked(_)) if n == 2 => {}
        // The key is destroyed before the database says so.
        Err(Error::Faded { .. }) => {}
        Err(error) => panic!("{n}, group {group}: {error}"),
    };
    let mut is_lowered = false;
    for line in &said {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["kept", n, group] => {
                heard[0] += 1;
                kept(n.parse().unwrap(), group.parse().unwrap());
            }
            ["synced", group] => {
                heard[1] += 1;
                (0..CONTENTS).for_each(|n| kept(n, group.parse().unwrap()));
            }
            ["revoked", "2"] => {
                heard[2] += 1;
                assert!(matches!(reader.describe(day(0), content(2)), Err(Error::Revoked(_))));
            }
            ["lowered"] => {
                heard[3] += 1;
                is_lowered = true;
            }
            _ => {}
        }
    }
    if is_lowered {
        for n in [0, 1, 3] {
            let described = reader.describe(day(0), content(n)).unwrap();
            assert_eq!(
                (described.tier, described.groups[Group::Repair as usize].symbols),
                (Tier::DropRepair, 0)
            );
        }
    }
    drop(reader);
    for fault in store.check(day(0), true).unwrap().faults {
        assert!(matches!(fault, Fault::Key(..)), "{fault:?}");
    }
    assert_eq!(store.check(day(0), false).unwrap().faults, []);
}
