//! Recordings: the sealed symbols of streams in a store of this node's, for as long as their publisher's consent allows.
//!
//! - [`Recorder`] takes what a node gets: a watcher what it opens, a relay what it passes on and can't read. Nothing is kept
//!   without the publisher's signed consent, which the host tells everybody who comes.
//! - A member that records keeps the keys of the epochs too, in files sealed under its own key, apart from the store's.
//! - `holomesh play` reads a recording back into pictures and sound.
//! - A recorder serves what is stored to those who may have it, and takes tombstones from anybody.

mod desk;
pub mod fade;
mod fetch;
mod groups;
mod place;
mod play;
mod serve;
mod settle;
#[cfg(test)]
mod sound_tests;
mod upkeep;
mod vault;
mod writer;

pub use fetch::{Fetched, fetch, tell};
pub use place::Place;
pub use play::Played;
pub(crate) use play::{play, what_is};
pub use serve::serve;
pub(crate) use settle::Piece;
pub(crate) use vault::Vault;

use crate::Error;
use crate::net::{Control, Link};
use av_wire::{ChunkHeader, StreamAnnounce, StreamSecret};
use bytes::Bytes;
use consent_decay::{Classes, ContentId, Watermarks};
use core_types::{Epoch, StreamId};
use desk::{Ask, Desk};
use hkdf::Hkdf;
use identity::{PublicIdentity, Seed};
use rand::rngs::StdRng;
use sha2::Sha256;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use symbol_store::{Options, Reader, Store, StoreKey};
use writer::{Order, Said, Shared, Writer};
use zeroize::Zeroizing;

/// Orders that wait for the recorder at most.
const ORDERS: usize = 4_096;
/// Bytes of chunks that wait at most, each order counted as so many more: what a slow disk does not take in time is counted as lost,
/// and there always is room for keys and consent.
const QUEUED: usize = 64 << 20;
const ORDER: usize = 32 << 10;

/// Where and how a node keeps recordings.
#[derive(Debug)]
pub struct Config {
    /// The store's folder.
    pub dir: PathBuf,
    /// The node's identity. What the store is sealed under is derived from it.
    pub seed: Seed,
    /// The classes of consent that this node knows.
    pub classes: Classes,
    /// When the disk is full.
    pub marks: Watermarks,
}

impl Config {
    /// The usual classes and watermarks.
    pub fn new(dir: PathBuf, seed: Seed) -> Self {
        Self { dir, seed, classes: Classes::built_in(), marks: Watermarks::default() }
    }

    /// Opens the store, or makes one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn open(&self, rng: &mut StdRng) -> Result<Store, Error> {
        let key = StoreKey(*derived(&self.seed, b"holomesh store key v1")?);
        let options = Options { classes: self.classes.clone(), ..Options::default() };
        Ok(Store::open(&self.dir, &key, options, rng)?)
    }

    pub(crate) fn vault(&self) -> Result<Vault, Error> {
        Vault::open(&self.dir, &*derived(&self.seed, b"holomesh epoch keys v1")?)
    }
}

/// A key for one purpose, from a node's seed.
fn derived(seed: &Seed, label: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, &seed.0)
        .expand(label, key.as_mut_slice())
        .map_err(|_| Error::codec("key derivation", "HKDF-Expand"))?;
    Ok(key)
}

/// What was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordStats {
    /// The contents of the streams that there are, with consent or without.
    pub contents: Vec<ContentId>,
    /// Symbols that are kept.
    pub symbols: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Symbols that the tier of their content does not keep.
    pub left_out: u64,
    /// Symbols of streams whose publisher has not consented, or has taken consent back.
    pub without_consent: u64,
    /// Bytes that came faster than the disk took them, or while it failed.
    pub lost: u64,
    /// Times that the store failed and was opened anew.
    pub failures: u64,
}

/// A node's handle on its recorder's thread.
#[derive(Debug)]
pub struct Recorder {
    orders: SyncSender<Order>,
    shared: Arc<Shared>,
    desk: Desk,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Opens the store and starts the thread.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::File`].
    pub fn start(config: Config) -> Result<Self, Error> {
        let shared = Arc::<Shared>::default();
        let writer = Writer::new(config, shared.clone())?;
        let (orders, inbox) = sync_channel(ORDERS);
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || writer.run(&inbox))
            .map_err(|e| Error::Network(format!("can't start a thread: {e}")))?;
        let desk = Desk::open(shared.clone())?;
        Ok(Self { orders, shared, desk, thread })
    }

    /// A stream that is to be recorded, as its publisher has signed it.
    pub(crate) fn stream(&self, signed: &[u8], announce: &StreamAnnounce, publisher: &PublicIdentity) {
        let (announce, publisher) = (Box::new(announce.clone()), Box::new(publisher.clone()));
        self.order(Order::Stream { signed: signed.to_vec(), announce, publisher });
    }

    /// What the session's host says of consent to its streams.
    pub(crate) fn hear_host(&self, message: Control) {
        match message {
            Control::Consent { consents } => consents.into_iter().for_each(|signed| {
                self.order(Order::Said(Said::Consent { signed, is_hosts: true }));
            }),
            Control::Tombstone { tombstone } => {
                self.order(Order::Said(Said::Tombstone { signed: tombstone, is_hosts: true }));
            }
            _ => {}
        }
    }

    /// What opens a stream in an epoch.
    pub(crate) fn keys(&self, stream: StreamId, epoch: Epoch, secret: StreamSecret) {
        self.order(Order::Keys { stream, epoch, secret });
    }

    /// Chunks that were opened, sealed as they came.
    pub(crate) fn opened(&self, stream: StreamId, pieces: Vec<Piece>) {
        let bytes = pieces.iter().map(|piece| piece.chunk.len()).sum::<usize>();
        self.media(bytes, Order::Opened { stream, pieces });
    }

    /// Chunks that nobody here can open.
    pub(crate) fn sealed(&self, stream: StreamId, chunks: Vec<(ChunkHeader, Bytes)>) {
        let bytes = chunks.iter().map(|(_, chunk)| chunk.len()).sum::<usize>();
        self.media(bytes, Order::Sealed { stream, chunks });
    }

    fn media(&self, bytes: usize, order: Order) {
        if bytes == 0 {
            return;
        }
        let queued = self.shared.queued.fetch_add(bytes + ORDER, Ordering::Relaxed);
        if queued > QUEUED || !self.order(order) {
            self.shared.queued.fetch_sub(bytes + ORDER, Ordering::Relaxed);
            self.shared.stats(|stats| stats.lost += bytes as u64);
        }
    }

    /// A node does not wait for its disk. False if there is no room.
    fn order(&self, order: Order) -> bool {
        match self.orders.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Whether a message is for who has a store: see [`handle`](Self::handle).
    pub(crate) const fn takes(message: &Control) -> bool {
        matches!(message, Control::Fetch { .. } | Control::Tombstone { .. } | Control::Consent { .. })
    }

    /// Answers who asks for what is stored, and takes what anybody shows that persons concerned have signed.
    pub(crate) fn handle(&self, link: &Link, message: Control) {
        match message {
            Control::Fetch { content, from, grant } => {
                self.desk.ask(Ask { who: link.speaker(), content: ContentId(content), from, grant });
            }
            Control::Tombstone { tombstone } => {
                self.order(Order::Said(Said::Tombstone { signed: tombstone, is_hosts: false }));
            }
            Control::Consent { consents } => consents.into_iter().for_each(|signed| {
                self.order(Order::Said(Said::Consent { signed, is_hosts: false }));
            }),
            _ => {}
        }
    }

    /// What was recorded so far.
    pub fn stats(&self) -> RecordStats {
        self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads what is there; nothing while the store is opened anew.
    pub fn reader(&self) -> Option<Reader> {
        self.shared.reader()
    }

    /// Writes what is still on its way, and ends. Blocks for as long.
    ///
    /// # Errors
    /// [`Error::Ended`] if the thread broke.
    pub fn finish(self) -> Result<RecordStats, Error> {
        let _ = self.orders.send(Order::End);
        self.thread.join().map_err(|_| Error::Ended("the recorder"))?;
        Ok(self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
