//! Ten thousand log records in a store, fountain-coded: what each tier still shows of them, and the odds of reading one when symbols
//! are lost.
//!
//! `cargo run --release -p symbol-store --example traces`

use codec_fountain::{BlockShape, Encoder, ObjectDecoder};
use consent_decay::{ConsentClass, ConsentRecord, ContentId, SourceId, Terms, Tier};
use core_types::{Epoch, ObjectSeq, SymbolId, SymbolSize, WallTime};
use identity::{Identity, Seed};
use rand::rngs::{SmallRng, StdRng};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use std::collections::BTreeMap;
use symbol_store::trace::{Batch, Importance, Object, Packer, Symbols, gaps};
use symbol_store::{Flush, FrameGroup, Options, Position, Reader, Store, StoreKey};

type Failed = Box<dyn std::error::Error>;

const RECORDS: usize = 10_000;
const A_BATCH: u32 = 250;
/// Objects of up to 16 KiB in symbols of 512 bytes: 32 source symbols, and one repair symbol for every four.
const OBJECT: usize = 16 * 1_024;
const SYMBOL: u32 = 512;
const REPAIR: u32 = 4;
const LOSSES: [f64; 5] = [0.0, 0.05, 0.1, 0.2, 0.3];
/// How often symbols are lost anew.
const DRAWS: u32 = 10;
const NOW: WallTime = WallTime(1_767_225_600_000);
const DAY: u64 = 86_400_000;

fn main() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let mut rng = StdRng::seed_from_u64(1); // the system's in real use
    let mut store = Store::open(dir.path(), &StoreKey([7; 32]), Options::default(), &mut rng)?;
    let owner = Identity::from_seed(&Seed([1; 64]))?;
    let terms = Terms { class: ConsentClass::Temporary.into(), from: NOW, serial: 1 };
    let consent = ConsentRecord { subject: owner.public().clone(), source: SourceId([2; 32]), terms };
    let content = store.admit(NOW, &consent.sign(&owner)?, &mut rng)?;

    let written = records();
    let mut packer = Packer::new(Position { epoch: Epoch(0), object: ObjectSeq(0) }, OBJECT)?;
    for (n, (importance, record)) in written.iter().enumerate() {
        packer.put(*importance, record)?;
        if (n + 1).is_multiple_of(A_BATCH as usize)
            && let Some(batch) = packer.finish()
        {
            keep(&mut store, content, &batch, &mut rng)?;
        }
    }
    store.sync()?;

    let total: usize = written.iter().map(|(_, record)| record.len()).sum();
    println!(
        "{RECORDS} records, {total} bytes: {}\n",
        Importance::ALL
            .map(|importance| format!(
                "{} {}",
                written.iter().filter(|(of, _)| *of == importance).count(),
                name(importance)
            ))
            .join(", ")
    );
    let reader = store.reader();
    println!("| tier | bytes kept | records read | vital | normal | detail | missing, as ranges |");
    println!("|---|---|---|---|---|---|---|");
    let mut odds = Vec::new();
    // The temporary class lets go of a tier on these days.
    for days in [0, 4, 8, 11, 14] {
        let now = WallTime(NOW.0 + days * DAY);
        store.fade(now)?;
        let described = reader.describe(now, content)?;
        let kept: u64 = described.groups.iter().map(|group| group.stored).sum();
        let objects = objects(&reader, now, content)?;
        let read = read(&objects, &written, |_| true)?;
        let missing = gaps(0..RECORDS as u64, read.iter().copied());
        let by = Importance::ALL.map(|importance| share(&read, &written, importance));
        println!(
            "| {} | {kept} | {} | {:.0} % | {:.0} % | {:.0} % | {} |",
            described.tier,
            read.len(),
            by[0],
            by[1],
            by[2],
            missing.len()
        );
        if described.tier >= Tier::MinViable {
            odds.push((described.tier, lossy(&objects, &written)?));
        }
    }
    println!(
        "\nOdds in percent that a record which the tier keeps can be read, when each symbol is lost by itself with this"
    );
    println!(
        "probability: measured over {DRAWS} draws, calculated in brackets. All or nothing: a record goes with its object.\n"
    );
    println!("| tier | {} |", LOSSES.map(|loss| format!("{:.0} % lost", loss * 100.0)).join(" | "));
    println!("|---|{}", "---|".repeat(LOSSES.len()));
    for (tier, odds) in odds {
        println!(
            "| {tier} | {} |",
            odds.map(|(measured, said)| format!("{measured:.2} ({said:.2})")).join(" | ")
        );
        for (measured, said) in odds {
            if (measured - said).abs() > 5.0 {
                return Err(format!("{tier}: {measured:.2} % measured, {said:.2} % calculated").into());
            }
        }
    }
    Ok(())
}

const fn name(importance: Importance) -> &'static str {
    match importance {
        Importance::Vital => "vital",
        Importance::Normal => "normal",
        Importance::Detail => "detail",
    }
}

/// Records as a service writes them: what began, ended and failed; requests; and what only helps to find faults.
fn records() -> Vec<(Importance, Vec<u8>)> {
    let mut rng = SmallRng::seed_from_u64(2);
    let services = ["ingest", "relay", "store", "gateway"];
    (0..RECORDS)
        .map(|n| {
            let head = |level: &str, event: &str| {
                json!({ "at_ms": NOW.0 + n as u64 * 37, "seq": n, "level": level, "event": event,
                    "service": services[n % services.len()] })
            };
            let (importance, mut record) = match rng.random_range(0..100) {
                0..2 => (Importance::Vital, head("info", ["started", "stopped"][n % 2])),
                2..6 => (Importance::Vital, head("error", "request failed")),
                6..65 => (Importance::Normal, head("info", "request")),
                _ => (Importance::Detail, head("debug", "cache")),
            };
            record["peer"] = format!("{:016x}", rng.random::<u64>()).into();
            record["took_us"] = rng.random_range(80..90_000).into();
            if importance == Importance::Vital {
                record["why"] = "connection reset while the body was read".into();
            }
            if importance == Importance::Detail {
                let keys = (0..rng.random_range(1..24)).map(|_| format!("{:08x}", rng.random::<u32>()));
                record["keys"] = keys.collect::<Vec<_>>().into();
            }
            (importance, record.to_string().into_bytes())
        })
        .collect()
}

/// Codes the objects of a batch and records their symbols as one frame group.
fn keep(store: &mut Store, content: ContentId, batch: &Batch, rng: &mut StdRng) -> Result<(), Failed> {
    let mut encoder = Encoder::new(SymbolSize::new(SYMBOL)?);
    let mut coded = Vec::new();
    for object in &batch.objects {
        let sources = BlockShape::new(object.bytes.len(), encoder.symbol_size())?.source_symbols();
        for symbol in encoder.encode(&object.bytes, sources.div_ceil(REPAIR))? {
            coded.push((object, symbol.id, sources, Symbols::kept(object.bytes.len(), &symbol.data)?));
        }
    }
    let symbols: Vec<_> =
        coded.iter().map(|(object, id, sources, kept)| object.symbol(*id, *sources, kept)).collect();
    store.record(NOW, &FrameGroup { content, at: batch.at, symbols: &symbols }, Flush::Later, rng)?;
    Ok(())
}

/// The symbols that are held of each object.
type Held = BTreeMap<ObjectSeq, Vec<(SymbolId, Vec<u8>)>>;

fn objects(reader: &Reader, now: WallTime, content: ContentId) -> Result<Held, Failed> {
    let mut objects = Held::new();
    let batches = match reader.frame_groups(now, content, None, RECORDS) {
        // Only the envelope is left.
        Err(symbol_store::Error::Faded { .. }) => return Ok(objects),
        batches => batches?,
    };
    for batch in batches {
        for symbol in reader.read(now, content, batch.at)?.iter() {
            objects.entry(symbol.object).or_default().push((symbol.id, symbol.bytes.to_vec()));
        }
    }
    Ok(objects)
}

/// The numbers of the records that can be read from the symbols that arrive; each is what was written.
fn read(
    objects: &Held,
    written: &[(Importance, Vec<u8>)],
    mut arrives: impl FnMut(SymbolId) -> bool,
) -> Result<Vec<u64>, Failed> {
    let mut read = Vec::new();
    for symbols in objects.values() {
        let mut decoder = None;
        let mut decoded = None;
        for (id, kept) in symbols.iter().filter(|(id, _)| arrives(*id)) {
            let (len, symbol) = Symbols::open(kept)?;
            let shape = BlockShape::new(len, SymbolSize::new(SYMBOL)?)?;
            let decoder = decoder.get_or_insert_with(|| ObjectDecoder::new(shape));
            decoded = decoder.push(*id, symbol)?.or(decoded);
        }
        let Some(object) = decoded else { continue };
        for record in Object::open(&object)?.records {
            if written[record.number as usize].1 != record.bytes {
                return Err(format!("record {} is not what was written", record.number).into());
            }
            read.push(record.number);
        }
    }
    Ok(read)
}

fn share(read: &[u64], written: &[(Importance, Vec<u8>)], importance: Importance) -> f64 {
    let all = written.iter().filter(|(of, _)| *of == importance).count();
    let read = read.iter().filter(|number| written[**number as usize].0 == importance).count();
    100.0 * read as f64 / all as f64
}

/// For each share that is lost: percent of the records that the tier keeps which could be read, and which should be.
fn lossy(objects: &Held, written: &[(Importance, Vec<u8>)]) -> Result<[(f64, f64); LOSSES.len()], Failed> {
    let mut rng = SmallRng::seed_from_u64(3);
    let mut odds = [(0.0, 0.0); LOSSES.len()];
    // How many records each object has, how many symbols there are of it, and how many it takes.
    let mut shapes = Vec::new();
    for symbols in objects.values() {
        let one = BTreeMap::from([(ObjectSeq(0), symbols.clone())]);
        let (len, _) = Symbols::open(&symbols[0].1)?;
        let sources = BlockShape::new(len, SymbolSize::new(SYMBOL)?)?.source_symbols();
        shapes.push((read(&one, written, |_| true)?.len(), symbols.len() as u32, sources));
    }
    let kept: usize = shapes.iter().map(|(records, ..)| records).sum();
    for (odds, loss) in odds.iter_mut().zip(LOSSES) {
        let mut could = 0;
        for _ in 0..DRAWS {
            could += read(objects, written, |_| !rng.random_bool(loss))?.len();
        }
        let should: f64 = shapes
            .iter()
            .map(|(records, symbols, sources)| *records as f64 * at_least(*sources, *symbols, 1.0 - loss))
            .sum();
        let percent = |records: f64| 100.0 * records / kept as f64;
        *odds = (percent(could as f64 / f64::from(DRAWS)), percent(should));
    }
    Ok(odds)
}

/// The probability that of `of` symbols, each of which arrives with probability `p`, at least `k` do. That so many decode all but always
/// is the code's own claim, and measured here.
fn at_least(k: u32, of: u32, p: f64) -> f64 {
    let (mut term, mut sum) = (p.powi(of as i32), 0.0);
    if p >= 1.0 {
        return 1.0;
    }
    for arrived in (k..=of).rev() {
        sum += term;
        term *= f64::from(arrived) / f64::from(of - arrived + 1) * (1.0 - p) / p;
    }
    sum
}
