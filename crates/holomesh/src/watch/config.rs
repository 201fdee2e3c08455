//! How a watcher is set up, and how it is doing.

use super::player::PlayStats;
use super::proofs::{ProofStats, Proofs};
use crate::net::{LossConfig, Underlay};
use crate::record::{RecordStats, Recorder};
use crate::ticket::Ticket;
use core_types::{BitRate, Epoch, KeyId, LayerPolicy};
use identity::Seed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a watcher runs.
#[derive(Debug)]
pub struct Config {
    /// Its identity.
    pub seed: Seed,
    /// The session.
    pub ticket: Ticket,
    /// Where it listens; port 0 for any.
    pub listen: SocketAddr,
    /// What its links run over.
    pub underlay: Underlay,
    /// Loss to inject into what it sends.
    pub loss: LossConfig,
    /// Whether parents may send over UDP lanes.
    pub lanes: bool,
    /// Whether links may be over UDP alone, with peers that do the same.
    pub direct: bool,
    /// From when an object could have arrived to when it is played. [`Proofs::added_delay`] comes on top.
    pub delay: Duration,
    /// The highest layers of pictures that are wanted; those above are not sent here.
    pub layers: LayerPolicy,
    /// What to do with objects that are not proven to be the publisher's yet.
    pub proofs: Proofs,
    /// What it lends of its uplink to feed other watchers of the session; `None`: nothing.
    pub uplink: Option<BitRate>,
    /// Keeps what comes, as far as its publisher has consented.
    pub recorder: Option<Recorder>,
    /// Go on receiving after being removed, and try to open what comes: for showing that it can't.
    pub linger_after_removal: bool,
    /// Is kept up to date while the watcher runs.
    pub state: Arc<WatchState>,
}

impl Config {
    /// The usual configuration: 100 ms of delay, listening where it can reach the ticket's addresses.
    pub fn new(seed: Seed, ticket: Ticket) -> Self {
        Self {
            seed,
            listen: reachable_from(&ticket),
            ticket,
            underlay: Underlay::Quic,
            loss: LossConfig::NONE,
            lanes: true,
            direct: false,
            delay: Duration::from_millis(100),
            layers: LayerPolicy::UNCAPPED,
            proofs: Proofs::default(),
            uplink: None,
            recorder: None,
            linger_after_removal: false,
            state: Arc::default(),
        }
    }
}

/// Where to listen so that the ticket's host can be reached: on loopback if it is there, everywhere otherwise.
pub(crate) fn reachable_from(ticket: &Ticket) -> SocketAddr {
    let loopback = ticket.addresses.iter().all(|address| address.ip().is_loopback());
    let v6 = !ticket.addresses.is_empty() && ticket.addresses.iter().all(SocketAddr::is_ipv6);
    let ip: IpAddr = match (v6, loopback) {
        (false, true) => Ipv4Addr::LOCALHOST.into(),
        (false, false) => Ipv4Addr::UNSPECIFIED.into(),
        (true, true) => Ipv6Addr::LOCALHOST.into(),
        (true, false) => Ipv6Addr::UNSPECIFIED.into(),
    };
    (ip, 0).into()
}

/// How a watcher is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The epoch whose keys it has; `None` before it was let in.
    pub epoch: Option<Epoch>,
    /// The epoch that it came in with.
    pub first_epoch: Option<Epoch>,
    /// The first epoch that it is no member of any more.
    pub removed_in: Option<Epoch>,
    /// Links that carry at least one stripe of the pictures (or the sound, where there are none).
    pub parents: u32,
    /// Watchers that this one feeds.
    pub children: u32,
    /// What it claims to others that it can carry of their streams; 0 if it lends nothing.
    pub claimed: BitRate,
    /// What was played.
    pub played: PlayStats,
    /// Chunks received while a member.
    pub chunks: u64,
    /// Bytes that they took on the links, hop headers included, QUIC's own left out.
    pub bytes: u64,
    /// Chunks that no key fitted.
    pub undecryptable: u64,
    /// Chunks that were missing when a later one came.
    pub missing: u64,
    /// Chunks that came after they were asked for.
    pub repaired: u64,
    /// Packets of sound that were not here and that units of repair gave back, in time to be played or not.
    pub sound_by_units: u64,
    /// What the proofs of authorship said.
    pub proofs: ProofStats,
    /// Times that a commit was missing or did not fit, so that it had to come back by an external commit.
    pub rejoins: u64,
    /// Parents that fell silent.
    pub suspected: u64,
    /// Times that a parent had no place for this watcher in a stream.
    pub refused: u64,
    /// Times that a parent was left because less than half of its share came.
    pub left: u64,
    /// Watchers that were said not to deliver what they claim.
    pub accused: u64,
    /// Times that a spare took the place of a parent that delivered less.
    pub switched: u64,
    /// Chunks seen of epochs after the removal.
    pub seen_after_removal: u64,
    /// Of these, opened with any key it ever had.
    pub opened_after_removal: u64,
}

/// A [`Snapshot`] that is kept up to date, and who feeds the watcher.
#[derive(Debug, Default)]
pub struct WatchState(Mutex<(Snapshot, Vec<KeyId>)>);

impl WatchState {
    /// How it is now.
    pub fn snapshot(&self) -> Snapshot {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Those who carry some of the pictures to it, or of the sound where there are none: [`Snapshot::parents`], by name.
    pub fn feeders(&self) -> Vec<KeyId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    pub(super) fn set(&self, snapshot: Snapshot) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = snapshot;
    }

    pub(super) fn set_feeders(&self, feeders: impl Iterator<Item = KeyId>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.clear();
        state.1.extend(feeders);
    }
}

/// How a watcher did: its last snapshot, with everything played out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Pictures shown.
    pub frames_shown: u64,
    /// The last snapshot.
    pub last: Snapshot,
    /// What was recorded, by who does.
    pub recorded: Option<RecordStats>,
}
