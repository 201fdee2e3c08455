//! A whole session over a network in this process.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crate::kit::{PATIENCE, Pictures, encoder, on_thread};
use av_relay::Stats;
use av_wire::ChunkHeader;
use codec_mdc::Descriptions;
use core_types::{BitRate, ChunkSeq, CodecId, Epoch, KeyId, ObjectClass, StreamId, SymbolSize};
use holomesh::Error;
use holomesh::keyfile::random_seed;
use holomesh::net::memory::{Counters, MemoryNet};
use holomesh::net::{LossConfig, Underlay};
use holomesh::publish::{Observer, Published, StreamKind, VideoConfig};
use holomesh::relay::Tap;
use holomesh::session::{self, Command, Shares};
use holomesh::ticket::Ticket;
use holomesh::watch::{self, Snapshot, WatchState};
use holomesh::{relay, watch::Report};
use identity::{Identity, Seed};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

pub(crate) const HOST: SocketAddr = at(0, 1);

/// Where the relay with this number is.
pub(crate) const fn relay_at(number: u8) -> SocketAddr {
    at(1, number)
}

/// Where the watcher with this number is: each in a network of its own, as far as others can tell.
pub(crate) const fn watcher_at(number: u8) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, number, 2, 1)), 1)
}

/// Where the watcher with this number is when all are in one network.
pub(crate) const fn neighbour_at(number: u8) -> SocketAddr {
    at(3, number)
}

const fn at(kind: u8, number: u8) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, kind, number)), 1)
}

/// Counts the pictures that went out, and keeps what happened.
#[derive(Debug, Default)]
struct Count(AtomicU64, Mutex<Vec<String>>);

impl Observer for Count {
    fn published(&self, object: Published) {
        if object.kind == StreamKind::Video {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn event(&self, kind: &str, _: String) {
        self.1.lock().unwrap().push(kind.to_owned());
    }
}

/// Sees what pictures relays get: counts symbols of repair, and key frames by the first chunk of each.
#[derive(Debug, Default)]
struct Carried {
    repair: AtomicU64,
    key_frames: Mutex<BTreeSet<(StreamId, Epoch, ChunkSeq)>>,
}

impl Tap for Carried {
    fn received(&self, bytes: &[u8]) {
        // Control messages are shown as well, and hardly read as a chunk of pictures.
        let header = ChunkHeader::parse(bytes).ok();
        let is_video = |header: &ChunkHeader| matches!(header.codec, CodecId::Av1 | CodecId::Mdc);
        let Some(header) = header.filter(is_video) else { return };
        if header.marks.repair {
            self.repair.fetch_add(1, Ordering::Relaxed);
        }
        if header.marks.start && header.marks.class == ObjectClass::KeyFrame {
            let chunk = (header.stream_id, header.epoch, header.chunk_seq);
            self.key_frames.lock().unwrap().insert(chunk);
        }
    }

    fn stats(&self, _: Stats) {}
}

pub(crate) struct Watcher {
    pub(crate) key: KeyId,
    state: Arc<WatchState>,
    ended: oneshot::Receiver<Result<Report, Error>>,
}

impl Watcher {
    pub(crate) fn now(&self) -> Snapshot {
        self.state.snapshot()
    }

    /// Who carries some of the pictures to it.
    pub(crate) fn feeders(&self) -> Vec<KeyId> {
        self.state.feeders()
    }

    /// Waits until it has shown so many more pictures than now.
    pub(crate) async fn shows(&self, more: u64) {
        let wanted = self.now().played.frames_shown + more;
        self.is(|now| now.played.frames_shown >= wanted).await;
    }

    /// Waits until it is like that.
    pub(crate) async fn is(&self, like: impl Fn(&Snapshot) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !like(&self.now()) {
            assert!(Instant::now() < deadline, "{:?}", self.now());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// How it ended.
    pub(crate) async fn report(self) -> Report {
        timeout(PATIENCE, self.ended).await.unwrap().unwrap().unwrap()
    }
}

/// Who takes part in a session.
pub(crate) struct Cast {
    pub(crate) relays: u8,
    pub(crate) watchers: u8,
    /// Stripes of each stream.
    pub(crate) parents: u8,
    /// What each watcher lends to others.
    pub(crate) uplink: Option<BitRate>,
    pub(crate) shares: Shares,
    /// Of the pictures' symbols: small ones make many chunks of a picture.
    pub(crate) symbol_size: SymbolSize,
    /// In which pictures go out.
    pub(crate) descriptions: Option<Descriptions>,
}

/// The host of a session with small pictures, relays and watchers, all linked up.
pub(crate) struct Stage {
    pub(crate) network: MemoryNet,
    pub(crate) ticket: Ticket,
    pub(crate) watchers: Vec<Watcher>,
    relays: u8,
    uplink: Option<BitRate>,
    commands: mpsc::Sender<Command>,
    published: Arc<Count>,
    carried: Arc<Carried>,
}

impl Stage {
    /// `pictures` to be shown in all; each relay carries a stripe.
    pub(crate) async fn new(network: MemoryNet, pictures: u64, relays: u8, watchers: u8) -> Self {
        Self::with_shares(network, pictures, relays, watchers, Shares::default()).await
    }

    /// Likewise, where permits limit how much anybody may have.
    pub(crate) async fn with_shares(
        network: MemoryNet,
        pictures: u64,
        relays: u8,
        watchers: u8,
        shares: Shares,
    ) -> Self {
        let symbol_size = SymbolSize::DEFAULT;
        let cast =
            Cast { relays, watchers, parents: relays, uplink: None, shares, symbol_size, descriptions: None };
        Self::of(network, pictures, cast).await
    }

    pub(crate) async fn of(network: MemoryNet, pictures: u64, cast: Cast) -> Self {
        let Cast { relays, watchers, parents, uplink, shares, symbol_size, descriptions } = cast;
        let published = Arc::<Count>::default();
        let mut video = VideoConfig { descriptions, ..encoder() };
        if descriptions.is_some() {
            // Key frames are those that are asked for.
            video.max_key_interval = 10_000;
        }
        let config = session::Config {
            underlay: Underlay::Memory(network.clone()),
            video: Some((Box::new(Pictures::new(pictures)), video)),
            parents,
            shares,
            symbol_size,
            autostart: false,
            observer: published.clone(),
            ..session::Config::new(random_seed().unwrap(), HOST)
        };
        let (commands, inbox) = mpsc::channel(4);
        let (ready, ticket) = oneshot::channel();
        on_thread(move || session::run(config, inbox, |ticket| drop(ready.send(ticket))));
        let ticket = ticket.await.unwrap();
        let watching = Vec::new();
        let carried = Arc::default();
        let mut stage =
            Self { network, ticket, watchers: watching, relays, uplink, commands, published, carried };
        for number in 1..=relays {
            stage.add_relay(number, LossConfig::NONE).await;
        }
        for number in 1..=watchers {
            stage.add_watcher(number);
        }
        for watcher in &stage.watchers {
            let most = descriptions.map_or(relays, |of| relays.min(of.count() as u8));
            let fewest = u32::from(if uplink.is_some() { 1 } else { most });
            watcher.is(|now| now.epoch.is_some() && now.parents >= fewest).await;
        }
        stage
    }

    /// `loss` is of what it sends, and nobody tells it of that.
    pub(crate) async fn add_relay(&self, number: u8, loss: LossConfig) {
        let config = relay::Config {
            loss,
            underlay: Underlay::Memory(self.network.clone()),
            tap: Some(self.carried.clone()),
            ..relay::Config::new(random_seed().unwrap(), self.ticket.clone(), relay_at(number))
        };
        let (ready, serves) = oneshot::channel();
        on_thread(move || async move {
            relay::run(config, std::future::pending(), || _ = ready.send(())).await.map(drop)
        });
        serves.await.unwrap();
    }

    pub(crate) fn add_watcher(&mut self, number: u8) {
        self.add(number, random_seed().unwrap(), |_| {});
    }

    /// One with that seed that lends `uplink`, and of what it should pass on loses so much on the way out.
    pub(crate) fn add_lossy(&mut self, number: u8, seed: Seed, uplink: Option<BitRate>, loss: LossConfig) {
        self.add(number, seed, |config| (config.uplink, config.loss) = (uplink, loss));
    }

    /// Likewise, in one network with all others that are added so.
    pub(crate) fn add_neighbour(
        &mut self,
        number: u8,
        seed: Seed,
        uplink: Option<BitRate>,
        loss: LossConfig,
    ) {
        let listen = neighbour_at(number);
        self.add(number, seed, |config| {
            (config.uplink, config.loss, config.listen) = (uplink, loss, listen);
        });
    }

    /// One that goes on listening when it was taken out.
    pub(crate) fn add_lingering(&mut self, number: u8) {
        self.add(number, random_seed().unwrap(), |config| config.linger_after_removal = true);
    }

    fn add(&mut self, number: u8, seed: Seed, change: impl FnOnce(&mut watch::Config)) {
        let key = Identity::from_seed(&seed).unwrap().key_id();
        let mut config = watch::Config {
            underlay: Underlay::Memory(self.network.clone()),
            listen: watcher_at(number),
            uplink: self.uplink,
            ..watch::Config::new(seed, self.ticket.clone())
        };
        change(&mut config);
        let state = config.state.clone();
        let ended = on_thread(move || watch::run(config, Vec::new()));
        self.watchers.push(Watcher { key, state, ended });
    }

    pub(crate) async fn tell(&self, command: Command) {
        self.commands.send(command).await.unwrap();
    }

    /// Waits for the end of the session. Every picture that went out must have been shown by each watcher, and nothing have
    /// come that it could not read.
    pub(crate) async fn every_picture_is_shown(self) {
        for watcher in self.watchers {
            let report = watcher.report().await;
            let published = self.published.0.load(Ordering::Relaxed);
            assert_eq!(report.frames_shown, published, "{:?}", report.last);
            assert_eq!(report.last.undecryptable, 0, "{:?}", report.last);
            assert!(published > 0);
        }
    }

    /// How often the host has said so.
    pub(crate) fn events(&self, kind: &str) -> usize {
        self.published.1.lock().unwrap().iter().filter(|event| *event == kind).count()
    }

    /// Repair symbols that came to relays.
    pub(crate) fn repair_symbols(&self) -> u64 {
        self.carried.repair.load(Ordering::Relaxed)
    }

    /// Key frames that came to relays, in each stream of pictures; the fewest first.
    pub(crate) fn key_frames(&self) -> Vec<usize> {
        let mut each = BTreeMap::<StreamId, usize>::new();
        for (stream, ..) in self.carried.key_frames.lock().unwrap().iter() {
            *each.entry(*stream).or_default() += 1;
        }
        let mut counts: Vec<usize> = each.into_values().collect();
        counts.sort_unstable();
        counts
    }

    /// What the paths have done that media took.
    pub(crate) fn faults(&self) -> Vec<Counters> {
        let relays = (1..=self.relays).map(relay_at);
        let down = relays.clone().map(|relay| (HOST, relay));
        let watchers = (1..=self.watchers.len() as u8).map(watcher_at);
        let out = relays.flat_map(|relay| watchers.clone().map(move |watcher| (relay, watcher)));
        down.chain(out).filter_map(|(from, to)| self.network.counters(from, to)).collect()
    }
}

pub(crate) fn network(seed: u64) -> MemoryNet {
    MemoryNet::start(seed, &Handle::current())
}
