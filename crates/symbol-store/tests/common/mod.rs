//! What the tests share: people, symbols, stores in folders and on disks that fail.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

pub(crate) mod disk;

use consent_decay::{ClassName, ConsentClass, ConsentRecord, ContentId, SourceId, Terms, Tombstone};
use core_types::{Epoch, Layer, Marks, ObjectClass, ObjectSeq, SymbolId, WallTime};
use identity::{Backend, Identity, Seed};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::path::Path;
use symbol_store::{
    Error, Flush, FrameGroup, Group, Options, Position, Reader, Recorded, Retention, Store, StoreKey, Symbol,
};

pub(crate) const START: u64 = 1_767_225_600_000;
pub(crate) const DAY: u64 = 86_400_000;
pub(crate) const KEY: StoreKey = StoreKey([7; 32]);

pub(crate) fn day(days: u64) -> WallTime {
    WallTime(START + days * DAY)
}

pub(crate) fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

pub(crate) fn person() -> Identity {
    // The backend whose signatures are the same each time.
    Identity::from_seed_with(Backend::Portable, &Seed([1; 64])).unwrap()
}

pub(crate) fn source(n: u8) -> SourceId {
    SourceId([n; 32])
}

pub(crate) fn content(n: u8) -> ContentId {
    ContentId::of(person().key_id(), source(n))
}

pub(crate) fn signed_consent(n: u8, class: &str, from: WallTime, serial: u64) -> Vec<u8> {
    let terms = Terms { class: class.parse().unwrap(), from, serial };
    ConsentRecord { subject: person().public().clone(), source: source(n), terms }.sign(&person()).unwrap()
}

pub(crate) fn consent(n: u8) -> Vec<u8> {
    signed_consent(n, ClassName::from(ConsentClass::Temporary).as_str(), day(0), 1)
}

pub(crate) fn tombstone(n: u8) -> Vec<u8> {
    Tombstone { subject: person().public().clone(), source: source(n), revoked_at: day(0) }
        .sign(&person())
        .unwrap()
}

/// How many rounds of a crash test: `SYMBOL_STORE_ROUNDS` if it says so.
pub(crate) fn rounds(usual: u64) -> u64 {
    std::env::var("SYMBOL_STORE_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(dir, &KEY, Options::default(), &mut rng()).unwrap()
}

pub(crate) fn open_on(disks: [disk::Disk; 2], seed: u64) -> Result<Store, Error> {
    let [database, keys] = disks;
    Store::open_on(database, keys, &KEY, Options::default(), &mut StdRng::seed_from_u64(seed))
}

pub(crate) fn at(object: u64) -> Position {
    Position { epoch: Epoch(1), object: ObjectSeq(object) }
}

/// Bytes that occur nowhere else: of a frame group, and of a symbol in it.
pub(crate) fn sealed(group: u64, symbol: u8, len: usize) -> Vec<u8> {
    let mut bytes = format!("sealed symbol {symbol} of group {group} ").into_bytes();
    bytes.resize(len.max(bytes.len()), symbol);
    bytes
}

/// A frame group of four objects: a key frame, a picture, one of a higher rate, and one of a higher resolution; each of two
/// source symbols and a repair symbol.
pub(crate) fn symbols(group: u64, bytes: &[Vec<u8>]) -> Vec<Symbol<'_>> {
    let layers = [
        (0, 0, ObjectClass::KeyFrame),
        (0, 0, ObjectClass::Plain),
        (0, 1, ObjectClass::Plain),
        (1, 0, ObjectClass::Plain),
    ];
    let mut symbols = Vec::new();
    for (n, bytes) in bytes.iter().enumerate() {
        let (object, id) = (n / 3, n % 3);
        let (spatial, temporal, class) = layers[object];
        let layer = Layer { spatial, temporal, ..Layer::BASE };
        let id = SymbolId::new(id as u32).unwrap();
        let marks = Marks { class, start: id.value() == 0, repair: id.value() == 2 };
        symbols.push(Symbol {
            object: ObjectSeq(group + object as u64),
            id,
            retention: Retention::of(layer, id, 2),
            group: Group::of(layer, marks, false),
            bytes,
        });
    }
    symbols
}

/// The bytes of such a frame group.
pub(crate) fn bytes_of(group: u64, len: usize) -> Vec<Vec<u8>> {
    (0..12).map(|n| sealed(group, n, len)).collect()
}

pub(crate) fn try_record(
    store: &mut Store,
    n: u8,
    group: u64,
    flush: Flush,
    now: WallTime,
) -> Result<Recorded, Error> {
    let bytes = bytes_of(group, 100);
    let symbols = symbols(group, &bytes);
    store.record(
        now,
        &FrameGroup { content: content(n), at: at(group), symbols: &symbols },
        flush,
        &mut rng(),
    )
}

pub(crate) fn record(store: &mut Store, n: u8, group: u64) -> Recorded {
    try_record(store, n, group, Flush::Now, day(0)).unwrap()
}

/// Which symbols of a frame group can be read, by their place in [`symbols`]; checks their bytes.
pub(crate) fn readable(reader: &Reader, now: WallTime, n: u8, group: u64) -> Result<Vec<u8>, Error> {
    let read = reader.read(now, content(n), at(group))?;
    let mut places = Vec::new();
    for symbol in read.iter() {
        let place = (symbol.object.0 - group) * 3 + u64::from(symbol.id.value());
        assert_eq!(symbol.bytes, sealed(group, place as u8, 100));
        places.push(place as u8);
    }
    places.sort_unstable();
    Ok(places)
}

/// What each tier keeps of such a frame group, from full to nothing.
pub(crate) const KEPT: [&[u8]; 5] =
    [&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], &[0, 1, 3, 4, 6, 7, 9, 10], &[0, 1, 3, 4], &[0, 1], &[]];
