//! Recording beside a plain file; what it takes; deleting; opening.

use crate::disk;
use crate::files::{self, GROUP, SYMBOL, Ticker};
use anyhow::{Result, ensure};
use bench_harness::{Limit, Pair, Row, Unit};
use consent_decay::{ConsentClass, ConsentRecord, ContentId, Terms, Tombstone};
use core_types::{Epoch, Layer, Marks, ObjectClass, ObjectSeq, StreamId, SymbolId, WallTime};
use identity::{Identity, Seed};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::path::Path;
use std::time::{Duration, Instant};
use symbol_store::{Flush, FrameGroup, Group, Options, Position, Retention, Store, StoreKey, Symbol};

pub(crate) const NOW: WallTime = WallTime(1_767_225_600_000);
const KEY: StoreKey = StoreKey([7; 32]);

/// A person whose recordings are kept.
pub(crate) struct Person(Identity);

impl Person {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Identity::from_seed(&Seed([1; 64]))?))
    }

    pub(crate) fn consent(&self, source: [u8; 32], from: WallTime) -> Result<Vec<u8>> {
        let terms = Terms { class: ConsentClass::Standard.into(), from, serial: 1 };
        let (subject, source) = (self.0.public().clone(), StreamId(source).into());
        Ok(ConsentRecord { subject, source, terms }.sign(&self.0)?)
    }

    fn tombstone(&self, source: [u8; 32]) -> Result<Vec<u8>> {
        let (subject, source) = (self.0.public().clone(), StreamId(source).into());
        Ok(Tombstone { subject, source, revoked_at: NOW }.sign(&self.0)?)
    }
}

pub(crate) fn open_store(folder: &Path) -> Result<Store> {
    Ok(Store::open(folder, &KEY, Options::default(), &mut rng())?)
}

pub(crate) fn rng() -> StdRng {
    StdRng::seed_from_u64(2)
}

/// A frame group as a stream with two rates of pictures and a quarter of repair makes it: 60 objects, the first a key frame.
fn symbols(bytes: &[u8], first: u64) -> Result<Vec<Symbol<'_>>> {
    let mut symbols = Vec::with_capacity(GROUP);
    let objects = 60;
    let a_symbol = bytes.chunks_exact(SYMBOL);
    for (n, bytes) in a_symbol.enumerate() {
        // The key frame has a fifth of all symbols.
        let object = if n < GROUP / 5 {
            0
        } else {
            1 + (n - GROUP / 5) as u64 * (objects - 1) / (GROUP - GROUP / 5) as u64
        };
        let repair = n % 5 == 4;
        let class = if object == 0 { ObjectClass::KeyFrame } else { ObjectClass::Plain };
        let layer = Layer { temporal: u8::from(object % 2 == 1), ..Layer::BASE };
        let id = SymbolId::new((n % 64) as u32)?;
        symbols.push(Symbol {
            object: ObjectSeq(first + object),
            id,
            retention: Retention::of(layer, id, 51),
            group: Group::of(layer, Marks { class, repair, start: false }, false),
            bytes,
        });
    }
    Ok(symbols)
}

/// Records `total` bytes, with a sync each second, and how long it took until all was on the disk.
fn record(store: &mut Store, content: ContentId, noise: &[u8], total: u64) -> Result<Duration> {
    let mut rng = rng();
    let start = Instant::now();
    let mut ticker = Ticker::new();
    let (mut left, mut first) = (total, 0);
    'all: loop {
        for bytes in noise.chunks(GROUP * SYMBOL) {
            let symbols = symbols(bytes, first)?;
            let at = Position { epoch: Epoch(0), object: ObjectSeq(first) };
            let group = FrameGroup { content, at, symbols: &symbols };
            store.record(NOW, &group, Flush::Later, &mut rng)?;
            if ticker.is_due() {
                store.sync()?;
            }
            first += 60;
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                break 'all;
            }
        }
    }
    store.sync()?;
    Ok(start.elapsed())
}

pub(crate) fn run(folder: &Path, megabytes: u64, rounds: usize) -> Result<Vec<Row>> {
    let noise = files::noise(64);
    let total = megabytes * 1_000_000;
    let given = total.div_ceil((GROUP * SYMBOL) as u64) * (GROUP * SYMBOL) as u64;
    let person = Person::new()?;
    let (mut times, mut space, mut deleting, mut giving_back) =
        (Pair::default(), Vec::new(), Pair::default(), Pair::default());
    let mut amplification = Vec::new();
    for round in 0..=rounds {
        let plain = folder.join("plain");
        std::fs::create_dir(&plain)?;
        let before = disk::written()?;
        let baseline = files::write(&plain.join("symbols"), &noise, total)?;
        let plain_written = disk::written()? - before;
        let plain_taken = disk::taken(&plain)?;

        let kept = folder.join("store");
        let mut store = open_store(&kept)?;
        let source = [round as u8; 32];
        let content = store.admit(NOW, &person.consent(source, NOW)?, &mut rng())?;
        let before = disk::written()?;
        let ours = record(&mut store, content, &noise, total)?;
        let our_written = disk::written()? - before;
        let usage = store.reader().usage()?;
        let our_taken = disk::taken(&kept)?;

        let tombstone = person.tombstone(source)?;
        let start = Instant::now();
        store.revoke(NOW, &tombstone)?;
        let revoked = start.elapsed();
        let start = Instant::now();
        while store.reclaim(1_024)?.more {}
        let reclaimed = start.elapsed();
        let start = Instant::now();
        std::fs::remove_file(plain.join("symbols"))?;
        let removed = start.elapsed();
        ensure!(store.reader().usage()?.blocks == 0, "blocks are left");
        drop(store);
        std::fs::remove_dir_all(&kept)?;
        std::fs::remove_dir_all(&plain)?;
        if round == 0 {
            continue;
        }
        times.push(1, ours, baseline);
        deleting.push(1, revoked, removed);
        giving_back.push(1, reclaimed, removed);
        space.push((our_taken as f64, plain_taken as f64, usage.blocks as f64));
        amplification.push((our_written as f64 / given as f64, plain_written as f64 / given as f64));
    }
    let a_megabyte = given as f64 / 1e6;
    let time = times.row_in(Unit::Millis, "", "")?;
    let rate = |ms: f64| a_megabyte / ms * 1e3;
    // Milliseconds a gigabyte, so that smaller is better: 200 MB/s are 5,000 ms, 60 % of the baseline are a ratio of 1.667.
    let a_giga = 1e3 / a_megabyte;
    let ingest = Row::of(
        &format!("record ({:.0} MB/s, plain {:.0} MB/s)", rate(time.ours), rate(time.baseline)),
        "ms/GB",
        (time.ours * a_giga, time.baseline * a_giga),
        "plain file, fsync each second",
        rounds,
    );
    // Whichever is lower: so either is enough.
    let limit = if time.ours * a_giga <= 5_000.0 { Limit::Ours(5_000.0) } else { Limit::Ratio(1.0 / 0.6) };
    let middle = |of: &dyn Fn(usize) -> f64| {
        let mut all: Vec<f64> = (0..rounds).map(of).collect();
        all.sort_unstable_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let megabytes = |bytes: f64| bytes / 1e6;
    let taken = (megabytes(middle(&|n| space[n].0)), megabytes(middle(&|n| space[n].1)));
    let blocks = megabytes(middle(&|n| space[n].2));
    let wrote = (middle(&|n| amplification[n].0), middle(&|n| amplification[n].1));
    Ok(vec![
        ingest.target(&[limit]),
        Row::of("space on disk", "MB", taken, "plain file", rounds).target(&[Limit::Ratio(1.08)]),
        Row::of("sealed blocks", "MB", (blocks, a_megabyte), "bytes given", rounds),
        Row::of("written to disk for each byte given", "bytes", wrote, "plain file", rounds),
        deleting
            .row_in(Unit::Millis, &format!("hard delete of {a_megabyte:.0} MB until unreadable"), "unlink")?
            .target(&[Limit::Ours(1_000.0)]),
        giving_back.row_in(Unit::Millis, "room of the same given back", "unlink")?,
    ])
}

/// Opening a store of so many symbols, after it was closed and after it was not.
pub(crate) fn open(folder: &Path, wanted: u64, rounds: usize) -> Result<Vec<Row>> {
    const SPARE: u64 = 4_000_000_000;
    let free = rustix::fs::statvfs(folder).map(|disk| disk.f_bavail * disk.f_frsize)?;
    let fits = free.saturating_sub(SPARE) / (SYMBOL as u64 * 5 / 4);
    let symbols = wanted.min(fits);
    ensure!(symbols > 0, "there is no room for a store to open");
    let noise = files::noise(64);
    let kept = folder.join("large");
    let person = Person::new()?;
    let mut store = open_store(&kept)?;
    // A hundred recordings.
    let mut recorded = 0;
    for n in 0..100_u8 {
        let content = store.admit(NOW, &person.consent([n; 32], NOW)?, &mut rng())?;
        let bytes = symbols * SYMBOL as u64 / 100;
        record(&mut store, content, &noise, bytes)?;
        recorded += bytes.div_ceil((GROUP * SYMBOL) as u64) * GROUP as u64;
    }
    drop(store);
    let (mut closed, mut crashed) = (Vec::new(), Vec::new());
    let timed = |folder: &Path| -> Result<(f64, Store)> {
        let start = Instant::now();
        let store = open_store(folder)?;
        let first = store.reader().contents(NOW, None, 1)?;
        ensure!(!first.is_empty(), "the store is empty");
        Ok((start.elapsed().as_secs_f64() * 1e3, store))
    };
    for _ in 0..rounds.max(1) {
        closed.push(timed(&kept)?.0);
        // Left as a killed process leaves it.
        let program = std::env::current_exe()?;
        let status = std::process::Command::new(program).arg("--die-with").arg(&kept).status()?;
        ensure!(!status.success(), "the process was to die");
        crashed.push(timed(&kept)?.0);
    }
    std::fs::remove_dir_all(&kept)?;
    let middle = |mut all: Vec<f64>| {
        all.sort_unstable_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let name = format!("open with {recorded} symbols");
    let (closed, crashed) = (middle(closed), middle(crashed));
    let n = rounds.max(1);
    Ok(vec![
        Row::of(&name, "ms", (closed, 1_000.0), "the target", n).target(&[Limit::Ours(1_000.0)]),
        Row::of(&format!("{name}, after a crash"), "ms", (crashed, closed), "after closing", n)
            .target(&[Limit::Ours(1_000.0)]),
    ])
}

/// Opens a store, commits something, and dies.
pub(crate) fn die_with(folder: &Path) -> Result<()> {
    let mut store = open_store(folder)?;
    store.sync()?;
    store.admit(NOW, &Person::new()?.consent([0xdd; 32], NOW)?, &mut rng()).ok();
    std::process::abort()
}
