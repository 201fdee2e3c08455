//! The recorder's thread: takes what a node hands over, and writes it, a group at a time, once a second.

use super::groups::Groups;
use super::settle::{ByMark, ByObject, Piece, Settled};
use super::upkeep::{RECLAIM, Strangers, disk, make_room};
use super::vault::Vault;
use super::{Config, ORDER, RecordStats};
use crate::clock::wall_now;
use crate::{Clock, Error};
use av_wire::{ChunkHeader, Media, StreamAnnounce, StreamSecret};
use bytes::Bytes;
use consent_decay::{ConsentRecord, ContentId, Level, Pressure, Tombstone};
use core_types::{Epoch, StreamId, SymbolId};
use identity::{Identity, PublicIdentity};
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use symbol_store::{Flush, FrameGroup, Group, Manifest, Position, Reader, Retention, Store, Symbol};

/// How often what has settled is written.
const WRITE: Duration = Duration::from_secs(1);
/// How often is looked at what is due and how full the disk is.
const TEND: Duration = Duration::from_secs(5);
/// How often it is said what a recording has.
const DESCRIBE: Duration = Duration::from_secs(30);
/// After a failure the store is opened anew; so long is waited for that.
const RETRY: Duration = Duration::from_secs(2);
/// Streams that are recorded at once at most.
const STREAMS: usize = 64;
/// What was said while there is no store, at most.
const PUT_OFF: usize = 256;
/// Epochs of a stream whose keys wait for consent at most.
const SECRETS: usize = 64;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    Stream { signed: Vec<u8>, announce: Box<StreamAnnounce>, publisher: Box<PublicIdentity> },
    Said(Said),
    Keys { stream: StreamId, epoch: Epoch, secret: StreamSecret },
    Opened { stream: StreamId, pieces: Vec<Piece> },
    Sealed { stream: StreamId, chunks: Vec<(ChunkHeader, Bytes)> },
    End,
}

/// What a person concerned has signed, from the session's host or from anybody.
#[derive(Debug)]
pub(super) enum Said {
    /// From who is not the host it counts for what is held already.
    Consent {
        signed: Vec<u8>,
        is_hosts: bool,
    },
    Tombstone {
        signed: Vec<u8>,
        is_hosts: bool,
    },
}

impl Said {
    const fn is_hosts(&self) -> bool {
        match self {
            Self::Consent { is_hosts, .. } | Self::Tombstone { is_hosts, .. } => *is_hosts,
        }
    }
}

/// What the thread shares with those who ask.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stats: Mutex<RecordStats>,
    reader: Mutex<Option<Reader>>,
    /// Bytes that wait in the channel.
    pub(super) queued: AtomicUsize,
}

impl Shared {
    /// Reads what is there; nothing while the store is opened anew.
    pub(super) fn reader(&self) -> Option<Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_reader(&self, reader: Option<Reader>) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = reader;
    }

    pub(super) fn stats(&self, change: impl FnOnce(&mut RecordStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

struct Recording {
    content: ContentId,
    signed: Vec<u8>,
    groups: Groups,
    /// A node has one of the two: it opens what it gets, or can't.
    opened: ByObject,
    sealed: ByMark,
    /// The first and the last group, and symbols by group.
    span: Option<(Position, Position)>,
    /// What opens it, until there is consent to keep it.
    secrets: Vec<(Epoch, StreamSecret)>,
    symbols: [u64; 4],
    is_news: bool,
    is_described: bool,
}

pub(super) struct Writer {
    config: Config,
    identity: Identity,
    store: Option<Store>,
    vault: Vault,
    rng: StdRng,
    clock: Clock,
    pressure: Pressure,
    streams: BTreeMap<StreamId, Recording>,
    shared: Arc<Shared>,
    strangers: Strangers,
    /// What was said while the store could not be written to.
    put_off: Vec<Said>,
    write_at: Instant,
    tend_at: Instant,
    describe_at: Instant,
}

impl Writer {
    pub(super) fn new(config: Config, shared: Arc<Shared>) -> Result<Self, Error> {
        let mut rng = crate::random::generator()?;
        let identity = Identity::from_seed(&config.seed).map_err(|e| Error::codec("identity", e))?;
        let store = config.open(&mut rng)?;
        shared.set_reader(Some(store.reader()));
        let vault = config.vault()?;
        let pressure = Pressure::new(config.marks);
        let now = Instant::now();
        Ok(Self {
            config,
            identity,
            store: Some(store),
            vault,
            rng,
            clock: Clock::start(),
            pressure,
            streams: BTreeMap::new(),
            shared,
            strangers: Strangers::default(),
            put_off: Vec::new(),
            write_at: now + WRITE,
            tend_at: now,
            describe_at: now + DESCRIBE,
        })
    }

    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let next = self.write_at.min(self.tend_at).min(self.describe_at);
            match orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look(Instant::now());
        }
        self.write(true);
        self.describe();
    }

    fn take(&mut self, order: Order) {
        let outcome = match order {
            Order::Stream { signed, announce, publisher } => self.begin(signed, &announce, &publisher),
            Order::Said(said) if !said.is_hosts() && !self.strangers.allows(Instant::now()) => {
                tracing::debug!("more from strangers than is looked at");
                Ok(())
            }
            Order::Said(said) => self.hear(said),
            Order::Keys { stream, epoch, secret } => self.keep_key(stream, epoch, secret),
            Order::Opened { stream, pieces } => {
                let (now, bytes) =
                    (self.clock.now(), pieces.iter().map(|piece| piece.chunk.len()).sum::<usize>());
                self.shared.queued.fetch_sub(bytes + ORDER, Ordering::Relaxed);
                if let Some(recording) = self.streams.get_mut(&stream) {
                    pieces.into_iter().for_each(|piece| recording.opened.take(now, piece));
                }
                Ok(())
            }
            Order::Sealed { stream, chunks } => {
                let (now, bytes) =
                    (self.clock.now(), chunks.iter().map(|(_, chunk)| chunk.len()).sum::<usize>());
                self.shared.queued.fetch_sub(bytes + ORDER, Ordering::Relaxed);
                if let Some(recording) = self.streams.get_mut(&stream) {
                    let sealed = &mut recording.sealed;
                    chunks.into_iter().for_each(|(header, chunk)| sealed.take(now, &header, chunk));
                }
                Ok(())
            }
            Order::End => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "not taken into the store");
        }
    }

    fn look(&mut self, now: Instant) {
        if now >= self.write_at {
            self.write_at = now + WRITE;
            self.write(false);
        }
        if now >= self.tend_at {
            self.tend_at = now + TEND;
            self.tend();
        }
        if now >= self.describe_at {
            self.describe_at = now + DESCRIBE;
            self.describe();
        }
    }

    /// A store that fails loses nothing of what was signed: it is heard again when that is open.
    fn hear(&mut self, said: Said) -> Result<(), Error> {
        let outcome = match &said {
            Said::Consent { signed, is_hosts } => self.admit(signed, *is_hosts),
            Said::Tombstone { signed, .. } => self.revoke(signed),
        };
        match outcome {
            Err(Error::Store(
                error @ (symbol_store::Error::Database(_) | symbol_store::Error::KeyFile { .. }),
            )) => self.failed(error),
            Ok(()) if self.store.is_none() => {}
            outcome => return outcome,
        }
        if self.put_off.len() < PUT_OFF {
            self.put_off.push(said);
        }
        Ok(())
    }

    fn begin(
        &mut self,
        signed: Vec<u8>,
        announce: &StreamAnnounce,
        publisher: &PublicIdentity,
    ) -> Result<(), Error> {
        let stream = announce.stream_id()?;
        if self.streams.contains_key(&stream) {
            return Ok(());
        }
        if self.streams.len() >= STREAMS {
            return Err(Error::input("recording", format!("{STREAMS} streams are recorded already")));
        }
        let content = ContentId::of(publisher.key_id(), stream.into());
        let is_sound = matches!(announce.media, Media::Audio { .. });
        let recording = Recording {
            content,
            signed,
            groups: Groups::new(is_sound),
            opened: ByObject::default(),
            sealed: ByMark::default(),
            span: None,
            secrets: Vec::new(),
            symbols: [0; 4],
            is_news: false,
            is_described: false,
        };
        self.streams.insert(stream, recording);
        self.shared.stats(|stats| stats.contents.push(content));
        Ok(())
    }

    fn admit(&mut self, signed: &[u8], is_hosts: bool) -> Result<(), Error> {
        let record = ConsentRecord::verify(signed).map_err(symbol_store::Error::from)?;
        let Self { store: Some(store), rng, .. } = self else { return Ok(()) };
        if !is_hosts {
            // Anybody can consent to content of its own: that opens none here.
            store.reader().describe(wall_now(), record.content())?;
        }
        match store.admit(wall_now(), signed, rng) {
            // It is told each time that somebody comes back to the host.
            Err(symbol_store::Error::Consent(consent_decay::Error::OldSerial { held, got }))
                if held == got =>
            {
                Ok(())
            }
            Ok(content) => {
                tracing::info!(%content, class = %record.terms.class, "there is consent to record");
                self.keep_keys()
            }
            Err(error) => Err(error.into()),
        }
    }

    fn revoke(&mut self, signed: &[u8]) -> Result<(), Error> {
        let content = Tombstone::verify(signed).map_err(symbol_store::Error::from)?.content();
        // Whatever becomes of the store, nobody here reads it any more.
        self.vault.destroy(content)?;
        let Some(store) = &mut self.store else { return Ok(()) };
        let was_held = store.revoke(wall_now(), signed)?;
        self.streams.retain(|_, recording| recording.content != content);
        tracing::info!(%content, was_held, "consent was taken back");
        Ok(())
    }

    fn keep_key(&mut self, stream: StreamId, epoch: Epoch, secret: StreamSecret) -> Result<(), Error> {
        let Some(recording) = self.streams.get_mut(&stream) else { return Ok(()) };
        if recording.secrets.len() >= SECRETS {
            recording.secrets.remove(0);
        }
        recording.secrets.push((epoch, secret));
        self.keep_keys()
    }

    /// Without consent there is nothing to be read later, and so no key is kept.
    fn keep_keys(&mut self) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        let reader = store.reader();
        for recording in self.streams.values_mut().filter(|recording| !recording.secrets.is_empty()) {
            match reader.describe(wall_now(), recording.content) {
                Ok(_) => {
                    for (epoch, secret) in std::mem::take(&mut recording.secrets) {
                        self.vault.keep(recording.content, epoch, &secret)?;
                    }
                }
                Err(symbol_store::Error::Unknown(_) | symbol_store::Error::Revoked(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes what has settled; with `all`, all that came.
    fn write(&mut self, all: bool) {
        let now = self.clock.now();
        let mut streams = std::mem::take(&mut self.streams);
        for recording in streams.values_mut() {
            let mut settled = recording.opened.settle(now, all);
            settled.extend(recording.sealed.settle(now, all));
            if let Err(error) = self.write_one(recording, settled) {
                self.failed(error);
            }
        }
        let is_first = streams.values().any(|recording| recording.is_news && !recording.is_described);
        self.streams = streams;
        if is_first {
            self.describe();
        }
    }

    fn write_one(
        &mut self,
        recording: &mut Recording,
        settled: Vec<Settled>,
    ) -> Result<(), symbol_store::Error> {
        let mut groups: BTreeMap<Position, Vec<Settled>> = BTreeMap::new();
        for object in settled {
            groups.entry(recording.groups.place(&object)).or_default().push(object);
        }
        for (at, objects) in groups {
            let symbols = symbols(&objects);
            let group = FrameGroup { content: recording.content, at, symbols: &symbols };
            let bytes: u64 = symbols.iter().map(|symbol| symbol.bytes.len() as u64).sum();
            let Some(store) = &mut self.store else {
                self.shared.stats(|stats| stats.lost += bytes);
                continue;
            };
            match store.record(wall_now(), &group, Flush::Now, &mut self.rng) {
                Ok(recorded) => {
                    let (first, last) = recording.span.get_or_insert((at, at));
                    (*first, *last) = ((*first).min(at), (*last).max(at));
                    symbols.iter().for_each(|symbol| recording.symbols[symbol.group as usize] += 1);
                    recording.is_news = true;
                    self.shared.stats(|stats| {
                        stats.symbols += recorded.kept;
                        stats.bytes += bytes;
                        stats.left_out += recorded.left_out;
                    });
                }
                // Nobody said that it may be kept, or it may not any more.
                Err(
                    symbol_store::Error::Unknown(_)
                    | symbol_store::Error::Revoked(_)
                    | symbol_store::Error::Frozen(_)
                    | symbol_store::Error::Faded { .. },
                ) => self.shared.stats(|stats| stats.without_consent += symbols.len() as u64),
                // More of one group than any has: a publisher can see to that.
                Err(error @ symbol_store::Error::Refused(_)) => {
                    tracing::warn!(%error, content = %recording.content, "symbols are left out");
                    self.shared.stats(|stats| stats.lost += bytes);
                }
                Err(error) => {
                    self.shared.stats(|stats| stats.lost += bytes);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// A store that failed is opened anew: what was not synced may be lost, and nothing else.
    fn failed(&mut self, error: symbol_store::Error) {
        tracing::warn!(%error, "the store failed, and is opened anew");
        self.shared.stats(|stats| stats.failures += 1);
        self.store = None;
        self.shared.set_reader(None);
        self.tend_at = Instant::now() + RETRY;
    }

    /// Hears what was said meanwhile.
    fn catch_up(&mut self) {
        for said in std::mem::take(&mut self.put_off) {
            if let Err(error) = self.hear(said) {
                tracing::warn!(%error, "not taken into the store");
            }
        }
        if let Err(error) = self.keep_keys() {
            tracing::warn!(%error, "keys of a recording are not kept");
        }
    }

    /// Lets go of what is due, and of what the disk has no room for.
    fn tend(&mut self) {
        if self.store.is_none() {
            match self.config.open(&mut self.rng) {
                Ok(mut store) => {
                    // A full disk is what fails most: what may go makes room first, while nobody reads.
                    make_room(&mut store, &self.config.dir, &mut self.pressure);
                    self.shared.set_reader(Some(store.reader()));
                    self.store = Some(store);
                    self.catch_up();
                }
                Err(error) => return tracing::warn!(%error, "the store can't be opened"),
            }
        }
        if let Err(error) = self.let_go() {
            self.failed(error);
        }
    }

    fn let_go(&mut self) -> Result<(), symbol_store::Error> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let now = wall_now();
        let tick = store.fade(now)?;
        let mut freed = !tick.transitions.is_empty();
        for transition in &tick.transitions {
            tracing::info!(content = %transition.content, before = %transition.before, after = %transition.after, "faded");
        }
        if let Some(disk) = disk(&self.config.dir) {
            let level = self.pressure.observe(disk);
            if level > Level::Calm {
                let relieved = store.relieve(now, level, self.pressure.need(disk))?;
                freed |= relieved.freed > 0;
                tracing::warn!(free = disk.free, %level, freed = relieved.freed, "the disk is nearly full");
            }
        }
        if freed || tick.more {
            store.reclaim(RECLAIM)?;
        }
        Ok(())
    }

    /// Says, signed, what each recording has.
    fn describe(&mut self) {
        let Some(store) = &mut self.store else { return };
        for recording in self.streams.values_mut().filter(|recording| recording.is_news) {
            let Some((first, last)) = recording.span else { continue };
            let manifest = Manifest {
                content: recording.content,
                recorder: self.identity.public().clone(),
                made_at: wall_now(),
                announcement: recording.signed.clone(),
                first,
                last,
                symbols: recording.symbols,
            };
            let kept =
                manifest.sign(&self.identity).and_then(|signed| store.put_manifest(&signed, &mut self.rng));
            match kept {
                Ok(_) => (recording.is_news, recording.is_described) = (false, true),
                Err(error) => tracing::warn!(%error, content = %recording.content, "no manifest"),
            }
        }
    }
}

/// The symbols of a group as the store takes them.
pub(super) fn symbols(objects: &[Settled]) -> Vec<Symbol<'_>> {
    let of = |object: &'_ Settled| object.symbols.len();
    let mut symbols = Vec::with_capacity(objects.iter().map(of).sum());
    for object in objects {
        for symbol in &object.symbols {
            let Ok(id) = SymbolId::new(symbol.id) else { continue };
            // A proof is kept as long as any of what it may prove.
            let group = match symbol.is_proof {
                true => Group::KeyFrames,
                false => Group::of(symbol.layer, symbol.marks, symbol.stands_in),
            };
            let retention = Retention::of(symbol.layer, id, object.sources);
            symbols.push(Symbol { object: object.object, id, retention, group, bytes: &symbol.chunk });
        }
    }
    symbols
}

#[cfg(test)]
mod tests;
