//! A tick of the scheduler: a hundred that are due among a million.

use crate::ingest::{NOW, Person, open_store, rng};
use anyhow::{Result, ensure};
use bench_harness::{Limit, Pair, Row, Unit};
use consent_decay::{
    Classes, ConsentClass, ContentId, Item, Ledger as _, MemoryLedger, Scheduler, Terms, Tier, Trigger,
    decide,
};
use core_types::WallTime;
use std::path::Path;
use std::time::Instant;

const ITEMS: u64 = 1_000_000;
const DUE: u64 = 100;
const DAY: u64 = 86_400_000;

fn content(n: u64) -> ContentId {
    let mut id = [0; 32];
    // Spread, as hashes are.
    id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id[8..16].copy_from_slice(&n.to_be_bytes());
    ContentId(id)
}

pub(crate) fn run(folder: &Path, rounds: usize) -> Result<Vec<Row>> {
    let classes = Classes::built_in();
    let mut ledger = MemoryLedger::new();
    for n in 0..ITEMS {
        // A hundred come of age each day.
        let from = WallTime(NOW.0 + n / DUE * DAY);
        let terms = Terms { class: ConsentClass::Temporary.into(), from, serial: 1 };
        let item = Item { content: content(n), held: Tier::Full, terms: Some(terms), frozen_since: None };
        let due = decide(&item, &classes, Trigger::Time, from).due;
        ledger.insert(item, due);
    }
    let mut scheduler = Scheduler::new(classes.clone(), 1_000);
    let mut pair = Pair::default();
    for round in 0..rounds as u64 + 1 {
        let now = WallTime(NOW.0 + (4 + round) * DAY);
        // What the predecessor did: a look at each.
        let start = Instant::now();
        let mut would_change = 0;
        for n in 0..ITEMS {
            let item = ledger.item(content(n))?;
            would_change += u64::from(decide(&item, &classes, Trigger::Time, now).is_news);
        }
        let walk = start.elapsed();
        let start = Instant::now();
        let tick = scheduler.tick(now, &mut ledger)?;
        let ours = start.elapsed();
        ensure!(tick.transitions.len() as u64 >= DUE && !tick.more, "{} were due", tick.transitions.len());
        ensure!(tick.transitions.len() as u64 == would_change, "the walk finds {would_change}");
        if round > 0 {
            pair.push(1, ours, walk);
        }
    }
    let mut rows = vec![
        pair.row_in(Unit::Millis, "tick: 100 due of 1,000,000", "a walk over all")?
            .target(&[Limit::Ours(5.0)]),
    ];
    rows.extend(on_disk(folder, rounds)?);
    Ok(rows)
}

/// The same hundred in a store: keys destroyed on the disk, rows rewritten, audit entries; and the sync after which these last too.
fn on_disk(folder: &Path, rounds: usize) -> Result<Vec<Row>> {
    let kept = folder.join("fading");
    let mut store = open_store(&kept)?;
    let person = Person::new()?;
    for n in 0..DUE {
        let mut source = [0; 32];
        source[..8].copy_from_slice(&n.to_be_bytes());
        store.admit(NOW, &person.consent(source, NOW)?, &mut rng())?;
    }
    let (mut pair, mut whole) = (Pair::default(), Pair::default());
    // The standard class has four bands.
    for days in [26, 51, 70, 90].into_iter().take(rounds.clamp(1, 4)) {
        let now = WallTime(NOW.0 + days * DAY);
        let start = Instant::now();
        let tick = store.fade(now)?;
        let ours = start.elapsed();
        ensure!(tick.transitions.len() as u64 == DUE, "{} were due", tick.transitions.len());
        store.sync()?;
        let synced = start.elapsed();
        // The least that can be asked of a disk: one small write and its sync.
        let probe = kept.join("probe");
        let start = Instant::now();
        std::fs::write(&probe, [0; 4_096])?;
        std::fs::File::open(&probe)?.sync_all()?;
        let probed = start.elapsed();
        pair.push(1, ours, probed);
        whole.push(1, synced, probed);
    }
    drop(store);
    std::fs::remove_dir_all(&kept)?;
    let baseline = "one write of 4 KiB, synced";
    Ok(vec![
        pair.row_in(Unit::Millis, "tick: 100 due, in a store, keys on the disk", baseline)?
            .target(&[Limit::Ours(5.0)]),
        whole.row_in(Unit::Millis, "the same and a sync of the database", baseline)?,
    ])
}
