//! Records of any bytes: what each tier shows of them, and what a lost symbol costs.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use codec_fountain::{BlockShape, Encoder, ObjectDecoder};
use common::*;
use core_types::{Epoch, ObjectSeq, SymbolId, SymbolSize, WallTime};
use std::collections::{BTreeMap, BTreeSet};
use symbol_store::trace::{Importance, Object, Packer, Symbols, gaps};
use symbol_store::{Error, Flush, FrameGroup, Position, Reader, Store};

const RECORDS: u64 = 300;
const A_BATCH: u64 = 100;

fn size() -> SymbolSize {
    SymbolSize::new(64).unwrap()
}

fn importance(number: u64) -> Importance {
    Importance::ALL[(number % 7).min(2) as usize]
}

fn record_bytes(number: u64) -> Vec<u8> {
    format!("{{\"n\":{number},\"pad\":\"{}\"}}", "x".repeat((number * 13 % 90) as usize)).into_bytes()
}

/// Three batches, coded with a repair symbol for every four source symbols.
fn written(store: &mut Store) {
    let first = Position { epoch: Epoch(0), object: ObjectSeq(0) };
    let mut packer = Packer::new(first, 1_024).unwrap();
    let mut encoder = Encoder::new(size());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    for number in 0..RECORDS {
        assert_eq!(packer.put(importance(number), &record_bytes(number)).unwrap(), number);
        if (number + 1) % A_BATCH > 0 {
            continue;
        }
        let batch = packer.finish().unwrap();
        let mut coded = Vec::new();
        for object in &batch.objects {
            let sources = BlockShape::new(object.bytes.len(), size()).unwrap().source_symbols();
            for symbol in encoder.encode(&object.bytes, sources.div_ceil(4)).unwrap() {
                let kept = Symbols::kept(object.bytes.len(), &symbol.data).unwrap();
                coded.push((object, symbol.id, sources, kept));
            }
        }
        let symbols: Vec<_> =
            coded.iter().map(|(object, id, sources, kept)| object.symbol(*id, *sources, kept)).collect();
        let group = FrameGroup { content: content(1), at: batch.at, symbols: &symbols };
        store.record(day(0), &group, Flush::Now, &mut rng()).unwrap();
    }
}

/// The numbers of the records that can be read, by object, when these symbols arrive; their bytes are compared.
fn read(
    reader: &Reader,
    now: WallTime,
    arrives: impl Fn(ObjectSeq, SymbolId) -> bool,
) -> BTreeMap<ObjectSeq, Vec<u64>> {
    let mut read = BTreeMap::new();
    for batch in reader.frame_groups(now, content(1), None, 10).unwrap() {
        let mut decoders = BTreeMap::new();
        for symbol in reader.read(now, content(1), batch.at).unwrap().iter() {
            if !arrives(symbol.object, symbol.id) {
                continue;
            }
            let (len, coded) = Symbols::open(symbol.bytes).unwrap();
            let new = || ObjectDecoder::new(BlockShape::new(len, size()).unwrap());
            let Some(object) =
                decoders.entry(symbol.object).or_insert_with(new).push(symbol.id, coded).unwrap()
            else {
                continue;
            };
            let object = Object::open(&object).unwrap();
            assert_eq!(object.batch, batch.at.object.0..batch.at.object.0 + A_BATCH);
            for record in &object.records {
                assert_eq!(record.bytes, record_bytes(record.number));
                assert_eq!(object.importance, importance(record.number));
            }
            read.insert(symbol.object, object.records.iter().map(|record| record.number).collect());
        }
    }
    read
}

#[test]
fn each_tier_shows_records_down_to_an_importance() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    written(&mut store);
    let reader = store.reader();
    for (days, least) in
        [(0, Importance::Detail), (4, Importance::Detail), (8, Importance::Normal), (11, Importance::Vital)]
    {
        store.fade(day(days)).unwrap();
        let numbers: BTreeSet<u64> = read(&reader, day(days), |_, _| true).into_values().flatten().collect();
        let expected: BTreeSet<u64> = (0..RECORDS).filter(|number| importance(*number) <= least).collect();
        assert_eq!(numbers, expected, "day {days}");
        let missing: u64 = gaps(0..RECORDS, numbers).iter().map(|gap| gap.end - gap.start).sum();
        assert_eq!(missing, RECORDS - expected.len() as u64);
    }
    store.fade(day(14)).unwrap();
    assert!(matches!(reader.frame_groups(day(14), content(1), None, 10), Err(Error::Faded { .. })));
}

/// All or nothing: repair symbols make up for a lost one; without them it takes its object along, and no other.
#[test]
fn a_lost_symbol_costs_nothing_or_its_whole_object() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    written(&mut store);
    let reader = store.reader();
    let all = read(&reader, day(0), |_, _| true);
    let (hit, gone) = all.iter().find(|(_, records)| records.len() > 5).unwrap();
    let lost = |object, id: SymbolId| object == *hit && id.value() == 1;
    assert_eq!(read(&reader, day(0), |object, id| !lost(object, id)), all);
    store.fade(day(4)).unwrap();
    let left = read(&reader, day(4), |object, id| !lost(object, id));
    let before: Vec<u64> = all.values().flatten().copied().filter(|number| !gone.contains(number)).collect();
    assert_eq!(left.values().flatten().copied().collect::<Vec<_>>(), before);
}
