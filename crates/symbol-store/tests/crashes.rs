//! Nothing that was acknowledged is lost, and nothing that was deleted comes back, wherever power fails, or a write or a sync
//! does. `SYMBOL_STORE_ROUNDS` says how many rounds there are: a thousand take a minute.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::disk::{Disk, Fate};
use common::*;
use consent_decay::{ContentId, Level, Tier};
use rand::rngs::{SmallRng, StdRng};
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use symbol_store::{Error, Fault, Flush, Options, Store};

const CONTENTS: u8 = 5;

/// Signing costs more than the rest of a round.
static SIGNED: LazyLock<Vec<[Vec<u8>; 2]>> =
    LazyLock::new(|| (0..CONTENTS).map(|n| [consent(n), tombstone(n)]).collect());

#[derive(Debug, Clone, Copy)]
enum Step {
    Admit(u8),
    Record(u8, Flush),
    Sync,
    Revoke(u8),
    Fade(u64),
    Relieve(Level, u64),
    Reclaim(usize),
}

fn step(rng: &mut SmallRng) -> Step {
    let n = rng.random_range(0..CONTENTS);
    match rng.random_range(0..20) {
        0..=3 => Step::Admit(n),
        4..=8 => Step::Record(n, Flush::Later),
        9..=12 => Step::Record(n, Flush::Now),
        13..=14 => Step::Sync,
        15 => Step::Revoke(n),
        16 => Step::Fade(rng.random_range(0..15)),
        17..=18 => {
            let level =
                [Level::Repair, Level::HighQuality, Level::Least, Level::Last][rng.random_range(0..4)];
            Step::Relieve(level, rng.random_range(1..3_000))
        }
        _ => Step::Reclaim(rng.random_range(1..9)),
    }
}

/// What the store has promised.
#[derive(Debug, Clone, Default)]
struct Promised {
    /// By content, the tier and the frame groups, each with the tier at which it was recorded.
    held: BTreeMap<u8, (Tier, BTreeMap<u64, Tier>)>,
    revoked: BTreeSet<u8>,
}

/// What has happened but may be lost: it was recorded and not synced.
#[derive(Debug, Default)]
struct World {
    promised: Promised,
    unsynced: Vec<(u8, u64, Tier)>,
    /// Contents that a tick took down: their keys are gone for good, though the database may forget why.
    unsaid: BTreeSet<u8>,
    next_group: u64,
}

impl World {
    fn synced(&mut self) {
        self.unsaid.clear();
        for (n, group, tier) in self.unsynced.drain(..) {
            if let Some((_, groups)) = self.promised.held.get_mut(&n) {
                groups.insert(group, tier);
            }
        }
    }

    fn lower(&mut self, content_id: ContentId, after: Tier) {
        let n = (0..CONTENTS).find(|n| content(*n) == content_id).unwrap();
        self.promised.held.get_mut(&n).unwrap().0 = after;
    }

    /// Does one step, and notes what it promised. Every step but recording for later syncs what came before it.
    fn take(&mut self, store: &mut Store, step: Step) -> Result<(), Error> {
        let held = |world: &Self, n| world.promised.held.get(&n).map(|held| held.0);
        match step {
            Step::Admit(n) => {
                match store.admit(
                    day(0),
                    &SIGNED[usize::from(n)][0],
                    &mut StdRng::seed_from_u64(u64::from(n) + 77),
                ) {
                    Ok(_) => drop(self.promised.held.insert(n, (Tier::Full, BTreeMap::new()))),
                    // It is there already, or gone for good: nothing was written.
                    Err(Error::Consent(_)) if held(self, n).is_some() => return Ok(()),
                    Err(Error::Revoked(_)) if self.promised.revoked.contains(&n) => return Ok(()),
                    Err(error) => return Err(error),
                }
                self.synced();
            }
            Step::Record(n, flush) => {
                let group = self.next_group;
                // What was refused may be there all the same.
                self.next_group += 10;
                match try_record(store, n, group, flush, day(0)) {
                    Ok(_) => {
                        self.unsynced.push((n, group, held(self, n).unwrap()));
                        if flush == Flush::Now {
                            self.synced();
                        }
                    }
                    Err(Error::Unknown(_)) if held(self, n).is_none() => {}
                    Err(Error::Revoked(_)) if self.promised.revoked.contains(&n) => {}
                    Err(Error::Faded { .. }) if held(self, n) == Some(Tier::EnvelopeOnly) => {}
                    Err(error) => return Err(error),
                }
            }
            Step::Sync => {
                store.sync()?;
                self.synced();
            }
            Step::Revoke(n) => {
                store.revoke(day(0), &SIGNED[usize::from(n)][1])?;
                self.promised.held.remove(&n);
                self.promised.revoked.insert(n);
                self.synced();
            }
            Step::Fade(days) => {
                let tick = store.fade(day(days))?;
                assert_eq!(tick.failed, []);
                for entry in tick.transitions {
                    self.lower(entry.content, entry.after);
                    self.unsaid.extend((0..CONTENTS).find(|n| content(*n) == entry.content));
                }
            }
            Step::Relieve(level, need) => {
                let relieved = store.relieve(day(0), level, need)?;
                self.synced();
                for entry in relieved.transitions {
                    self.lower(entry.content, entry.after);
                }
            }
            Step::Reclaim(blocks) => {
                store.reclaim(blocks)?;
                self.synced();
            }
        }
        Ok(())
    }

    /// Holds the store against what was promised. `broken` is the step that did not come to its end.
    fn check(&mut self, store: &mut Store, broken: Option<Step>) {
        let reader = store.reader();
        // A clock that says the first day: nothing but what was done hides anything.
        let now = day(0);
        let may_be_lower = |n: u8| match broken {
            Some(Step::Revoke(which)) => which == n,
            Some(Step::Fade(_) | Step::Relieve(..)) => true,
            _ => false,
        };
        for n in &self.promised.revoked {
            assert!(matches!(reader.describe(now, content(*n)), Err(Error::Revoked(_))), "{n} came back");
            assert_eq!(reader.tombstone(content(*n)).unwrap().as_ref(), Some(&SIGNED[usize::from(*n)][1]));
        }
        for n in 0..CONTENTS {
            let promised = self.promised.held.get(&n);
            let Some((tier, groups)) = promised else { continue };
            let described = match reader.describe(now, content(n)) {
                Ok(described) => described,
                Err(Error::Revoked(_)) if may_be_lower(n) => continue,
                Err(error) => panic!("content {n} is gone: {error}"),
            };
            assert!(described.tier <= *tier, "{n} rose from {tier} to {}", described.tier);
            assert!(described.tier == *tier || may_be_lower(n), "{n} fell from {tier} to {}", described.tier);
            for (group, recorded_at) in groups {
                let kept = |tier: Tier| KEPT[5 - tier.code() as usize];
                match readable(&reader, now, n, *group) {
                    Ok(read) => {
                        let most = kept((*tier).min(*recorded_at));
                        assert!(
                            read.iter().all(|place| most.contains(place)),
                            "{n}: what was dropped came back"
                        );
                        assert!(read == most || may_be_lower(n), "{n}: {read:?} of {most:?}");
                    }
                    // Keys are destroyed before the database says so.
                    Err(Error::Faded { .. }) => assert!(*tier <= Tier::EnvelopeOnly || may_be_lower(n)),
                    Err(error) => panic!("{n}, group {group}: {error}"),
                }
            }
        }
        drop(reader);
        let health = store.check(now, true).unwrap();
        for fault in &health.faults {
            let Fault::Key(which, _) = fault else { panic!("{fault:?} after {broken:?}") };
            let n = (0..CONTENTS).find(|n| content(*n) == *which).unwrap();
            assert!(may_be_lower(n) || self.unsaid.contains(&n), "{fault:?} after {broken:?}");
        }
        assert_eq!(store.check(now, false).unwrap().faults, []);
        // From here on what is there counts.
        self.unsynced.clear();
        self.unsaid.clear();
        let reader = store.reader();
        for n in 0..CONTENTS {
            match reader.describe(now, content(n)) {
                Ok(described) => self.promised.held.entry(n).or_default_with(described.tier),
                Err(Error::Revoked(_)) => {
                    self.promised.held.remove(&n);
                    self.promised.revoked.insert(n);
                }
                Err(_) => assert!(!self.promised.held.contains_key(&n)),
            }
        }
    }
}

/// An entry whose tier is what the store says it is.
trait OrDefaultWith {
    fn or_default_with(self, tier: Tier);
}

impl OrDefaultWith for std::collections::btree_map::Entry<'_, u8, (Tier, BTreeMap<u64, Tier>)> {
    fn or_default_with(self, tier: Tier) {
        self.or_insert_with(|| (tier, BTreeMap::new())).0 = tier;
    }
}

/// One round: steps until the disks fail at a random operation, what is left is opened, three times over.
fn round(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut world = World::default();
    let fate = || Arc::new(Mutex::new(Fate::default()));
    let mut disks = [Disk::new(&fate()), Disk::new(&fate())];
    for life in 0..3_u64 {
        let failing = fate();
        disks = disks.map(|disk| disk.after_death(&failing));
        {
            let mut failing = failing.lock().unwrap();
            // In the first life the store is made before anything fails.
            failing.left = (life > 0 || rng.random_ratio(1, 4)).then(|| rng.random_range(0..120));
            failing.only_once = rng.random_ratio(1, 3);
        }
        let mut broken = None;
        // Opening writes too.
        if let Ok(mut store) = open_on(disks.clone(), seed * 10 + life) {
            if failing.lock().unwrap().left.is_none() {
                failing.lock().unwrap().left = Some(rng.random_range(0..120));
            }
            for _ in 0..60 {
                let step = step(&mut rng);
                if world.take(&mut store, step).is_err() {
                    broken = Some(step);
                    break;
                }
            }
        }
        let whole = fate();
        let by_power = rng.random_ratio(3, 4);
        disks = disks.map(|disk| {
            if by_power { disk.after_power_failure(&mut rng, &whole) } else { disk.after_death(&whole) }
        });
        let mut store = open_on(disks.clone(), seed * 10 + life + 5).unwrap_or_else(|error| {
            panic!("seed {seed}, life {life}, after {broken:?}: {error}");
        });
        world.check(&mut store, broken);
    }
}

#[test]
fn whatever_fails_promises_are_kept() {
    for seed in 0..rounds(100) {
        round(seed);
    }
}

/// A store that was never finished hinders nobody; a store whose database was overwritten is not taken for one.
#[test]
fn a_crash_while_the_store_is_made_leaves_one_that_can_be_made() {
    let fate = |left| Arc::new(Mutex::new(Fate { left, ..Fate::default() }));
    let mut failed = 0;
    for left in 0..60 {
        for seed in 0..4 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let failing = fate(Some(left));
            let disks = [Disk::new(&failing), Disk::new(&failing)];
            failed += u32::from(open_on(disks.clone(), 1).is_err());
            let whole = fate(None);
            let disks = disks.map(|disk| disk.after_power_failure(&mut rng, &whole));
            let mut store = open_on(disks, 2).unwrap_or_else(|error| panic!("{left}, {seed}: {error}"));
            store.admit(day(0), &SIGNED[0][0], &mut StdRng::seed_from_u64(3)).unwrap();
        }
    }
    assert!((40..240).contains(&failed), "{failed} of 240 failed");
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    std::fs::write(dir.path().join("symbols.redb"), [1; 8_192]).unwrap();
    let refused = Store::open(dir.path(), &KEY, Options::default(), &mut rng());
    assert!(matches!(refused, Err(Error::Database(_))));
    assert_eq!(std::fs::read(dir.path().join("symbols.redb")).unwrap(), [1; 8_192]);
}

/// Keys are on the disk before the database says whose they are. Those of a content that never came to be are destroyed when the store is
/// opened, in new slots and in those that are used again.
#[test]
fn no_keys_are_left_of_what_was_never_admitted() {
    let slots = |keys: &Disk| {
        let bytes = keys.bytes();
        let slots = bytes[4_096..].chunks(320);
        slots.filter(|slot| slot.iter().any(|byte| *byte != 0)).count()
    };
    let mut left_behind = 0;
    for used_again in [false, true] {
        for left in 0..30 {
            let fate = Arc::new(Mutex::new(Fate::default()));
            let disks = [Disk::new(&fate), Disk::new(&fate)];
            let mut store = open_on(disks.clone(), 1).unwrap();
            for n in [1, 2] {
                store.admit(day(0), &SIGNED[n][0], &mut rng()).unwrap();
            }
            if used_again {
                store.revoke(day(0), &SIGNED[1][1]).unwrap();
            }
            fate.lock().unwrap().left = Some(left);
            let is_admitted = store.admit(day(0), &SIGNED[3][0], &mut rng()).is_ok();
            drop(store);
            let whole = Arc::new(Mutex::new(Fate::default()));
            let disks = disks.map(|disk| disk.after_death(&whole));
            let contents = 2 + usize::from(is_admitted) - usize::from(used_again);
            left_behind += u32::from(slots(&disks[1]) > contents);
            let store = open_on(disks.clone(), 2).unwrap();
            let held = store.reader().contents(day(0), None, 9).unwrap().len();
            assert!(held == contents || held == contents + 1);
            assert_eq!(slots(&disks[1]), held, "after {left} operations");
        }
    }
    assert!(left_behind > 4, "no crash left keys behind");
}
