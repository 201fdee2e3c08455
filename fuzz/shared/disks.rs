//! A store in memory to be altered, and what has to hold of it afterwards.

use consent_decay::{ConsentRecord, ContentId, Level, SourceId, Terms, Tombstone};
use core_types::{Epoch, Layer, Marks, ObjectClass, ObjectSeq, SymbolId, WallTime};
use identity::{Identity, Seed};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use symbol_store::{Error, Flush, FrameGroup, Group, Options, Position, Retention, Store, StoreKey, Symbol};

pub(crate) const NOW: WallTime = WallTime(1_767_225_600_000);
const DAY: u64 = 86_400_000;
/// Symbols of a frame group.
const SYMBOLS: [(u64, u32); 4] = [(0, 0), (1, 0), (2, 0), (0, 1)];

/// Bytes in memory: at most as many as a damaged number may not exceed here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().expect("nothing panics"))
    }
}

impl StorageBackend for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().expect("nothing panics").len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().expect("nothing panics");
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = from.checked_add(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes.get(from..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > 64 << 20 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.lock().expect("nothing panics").resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().expect("nothing panics");
        let from = offset as usize;
        bytes.get_mut(from..from + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }
}

pub(crate) fn open(database: Bytes, keys: Bytes) -> Result<Store, Error> {
    let options = Options { audit_entries: 8, cache_bytes: 1 << 20, ..Options::default() };
    Store::open_on(database, keys, &StoreKey([7; 32]), options, &mut StdRng::seed_from_u64(1))
}

/// Two contents, the second at a lower tier, and a tombstone: database, key file, consent and tombstone of each.
pub(crate) struct Prepared {
    pub(crate) database: Vec<u8>,
    pub(crate) keys: Vec<u8>,
    pub(crate) contents: [ContentId; 2],
    consents: [Vec<u8>; 3],
    tombstones: [Vec<u8>; 3],
}

pub(crate) static PREPARED: LazyLock<Prepared> = LazyLock::new(|| prepare().expect("a store can be made"));

fn prepare() -> Result<Prepared, Error> {
    let person = Identity::from_seed(&Seed([1; 64]))?;
    let subject = || person.public().clone();
    let source = |n: u8| SourceId([n; 32]);
    let consent = |n: u8| {
        let terms = Terms { class: consent_decay::ConsentClass::Temporary.into(), from: NOW, serial: 1 };
        ConsentRecord { subject: subject(), source: source(n), terms }.sign(&person)
    };
    let tombstone =
        |n: u8| Tombstone { subject: subject(), source: source(n), revoked_at: NOW }.sign(&person);
    let (database, keys) = (Bytes::default(), Bytes::default());
    let mut store = open(database.clone(), keys.clone())?;
    let rng = &mut StdRng::seed_from_u64(2);
    let consents = [consent(1)?, consent(2)?, consent(3)?];
    let tombstones = [tombstone(1)?, tombstone(2)?, tombstone(3)?];
    let [second, first] = [store.admit(NOW, &consents[1], rng)?, store.admit(NOW, &consents[0], rng)?];
    for at in [0, 100] {
        record(&mut store, second, at)?;
    }
    store.relieve(NOW, Level::Repair, u64::MAX)?;
    for at in [0, 100] {
        record(&mut store, first, at)?;
    }
    store.admit(NOW, &consents[2], rng)?;
    store.revoke(NOW, &tombstones[2])?;
    drop(store);
    let contents = [first, second];
    Ok(Prepared { database: database.take(), keys: keys.take(), contents, consents, tombstones })
}

fn bytes(at: u64, object: u64, id: u32) -> Vec<u8> {
    format!("group {at}, object {object}, symbol {id}").into_bytes()
}

fn record(store: &mut Store, content: ContentId, at: u64) -> Result<(), Error> {
    let bytes = SYMBOLS.map(|(object, id)| bytes(at, object, id));
    let mut symbols = Vec::new();
    for ((object, id), bytes) in SYMBOLS.into_iter().zip(&bytes) {
        let class = if object == 0 { ObjectClass::KeyFrame } else { ObjectClass::Plain };
        let marks = Marks { class, start: id == 0, repair: id == 1 };
        let layer = Layer { spatial: u8::from(object == 2), ..Layer::BASE };
        let id = SymbolId::new(id).expect("it is small");
        let (retention, group) = (Retention::of(layer, id, 1), Group::of(layer, marks, false));
        symbols.push(Symbol { object: ObjectSeq(at + object), id, retention, group, bytes });
    }
    let at = Position { epoch: Epoch(1), object: ObjectSeq(at) };
    let group = FrameGroup { content, at, symbols: &symbols };
    store.record(NOW, &group, Flush::Later, &mut StdRng::seed_from_u64(3)).map(drop)
}

/// Uses a store that was altered in every way. Nothing panics, no symbol has other bytes than it was recorded with, what is revoked is gone,
/// and what is mended stays so.
pub(crate) fn use_it(database: Bytes, keys: Bytes) {
    let Ok(mut store) = open(database, keys) else { return };
    read(&store);
    let rng = &mut StdRng::seed_from_u64(4);
    for (n, content) in PREPARED.contents.into_iter().enumerate() {
        let _ = record(&mut store, content, 200);
        let _ = store.admit(NOW, &PREPARED.consents[n], rng);
    }
    let _ = store.admit(NOW, &PREPARED.consents[2], rng);
    let _ = store.relieve(NOW, Level::HighQuality, 100);
    read(&store);
    let _ = store.fade(WallTime(NOW.0 + 5 * DAY));
    let _ = store.reclaim(2);
    if store.check(NOW, true).is_ok() {
        read(&store);
        let again = store.check(NOW, false).expect("it could be checked before");
        assert_eq!(again.faults, [], "what was mended is not");
    }
    let _ = store.fade(WallTime(NOW.0 + 20 * DAY));
    for (content, tombstone) in PREPARED.contents.into_iter().zip(&PREPARED.tombstones) {
        if store.revoke(NOW, tombstone).is_ok() {
            let said = store.reader().describe(NOW, content);
            assert!(matches!(said, Err(Error::Revoked(_))), "{said:?}");
        }
    }
    let _ = store.reclaim(1_000);
}

fn read(store: &Store) {
    let reader = store.reader();
    let _ = (reader.contents(NOW, None, 10), reader.audit(0, 10), reader.next_due(), reader.usage());
    for content in PREPARED.contents {
        let _ = (reader.consent(content), reader.manifest(content), reader.tombstone(content));
        let _ = reader.describe(NOW, content);
        for group in reader.frame_groups(NOW, content, None, 10).unwrap_or_default() {
            let _ = reader.frame_group_of(NOW, content, group.at);
            let Ok(symbols) = reader.read(NOW, content, group.at) else { continue };
            for symbol in symbols.iter() {
                let at = group.at.object.0;
                let expected = bytes(at, symbol.object.0 - at, symbol.id.value());
                assert_eq!(symbol.bytes, expected, "other bytes than were recorded");
            }
        }
    }
}
