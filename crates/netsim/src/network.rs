//! All paths, and what is on its way.

use crate::Error;
use crate::model::PathModel;
use crate::path::{Counters, Path};
use crate::prng::Prng;
use core::cmp::{Ordering, Reverse};
use core::time::Duration;
use core_types::MonoTime;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, SocketAddr};

/// A datagram that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When it arrived.
    pub at: MonoTime,
    /// Where it seems to come from: not the sender's own address after a rebinding.
    pub from: SocketAddr,
    /// The receiver's own address, whatever address it was sent to.
    pub to: SocketAddr,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// What a network may hold at one time. What is above is lost and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams on their way.
    pub datagrams: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

impl Default for Limits {
    /// 262,144 datagrams, 256 MiB.
    fn default() -> Self {
        Self { datagrams: 1 << 18, bytes: 256 << 20 }
    }
}

/// A virtual network. See the crate's front page.
#[derive(Debug)]
pub struct Network {
    prng: Prng,
    limits: Limits,
    now: MonoTime,
    paths: BTreeMap<(SocketAddr, SocketAddr), Path>,
    /// The addresses that a node's datagrams seem to come from, from which time on.
    outside: BTreeMap<SocketAddr, Vec<(MonoTime, SocketAddr)>>,
    flying: BinaryHeap<Reverse<Flying>>,
    flying_bytes: usize,
    order: u64,
    unroutable: u64,
}

impl Network {
    /// An empty network.
    pub fn new(seed: u64) -> Self {
        Self::with_limits(seed, Limits::default())
    }

    /// An empty network with other limits.
    pub fn with_limits(seed: u64, limits: Limits) -> Self {
        Self {
            prng: Prng::new(seed),
            limits,
            now: MonoTime(0),
            paths: BTreeMap::new(),
            outside: BTreeMap::new(),
            flying: BinaryHeap::new(),
            flying_bytes: 0,
            order: 0,
            unroutable: 0,
        }
    }

    /// Makes a path, or changes its model from here on: counters, queue and what is on its way stay.
    ///
    /// # Errors
    /// A model that no path can have.
    pub fn set_path(&mut self, from: SocketAddr, to: SocketAddr, model: PathModel) -> Result<(), Error> {
        model.check()?;
        if let Some(path) = self.paths.get_mut(&(from, to)) {
            path.model = model;
        } else {
            let prng = self.prng.fork(&label(from)).fork(&label(to));
            self.paths.insert((from, to), Path::new(model, prng));
        }
        Ok(())
    }

    /// The same model in both directions, each with faults of its own.
    ///
    /// # Errors
    /// A model that no path can have.
    pub fn set_both(&mut self, a: SocketAddr, b: SocketAddr, model: PathModel) -> Result<(), Error> {
        self.set_path(a, b, model.clone())?;
        self.set_path(b, a, model)
    }

    /// From `since` on, what `node` sends seems to come from `outside`, as after the rebinding of a NAT. What is sent to
    /// `outside` reaches the node; what is sent to any of its earlier addresses is lost.
    pub fn rebind(&mut self, node: SocketAddr, since: MonoTime, outside: SocketAddr) {
        let addresses = self.outside.entry(node).or_default();
        let place = addresses.partition_point(|(at, _)| *at <= since);
        addresses.insert(place, (since, outside));
    }

    /// Sends a datagram. Like a real network, it does not say what becomes of it.
    pub fn send(&mut self, now: MonoTime, from: SocketAddr, to: SocketAddr, bytes: impl Into<Vec<u8>>) {
        self.now = self.now.max(now);
        let now = self.now;
        let node = self.node_behind(to);
        let Some(path) = node.and_then(|node| self.paths.get_mut(&(from, node))) else {
            self.unroutable += 1;
            return;
        };
        let mut bytes = bytes.into();
        let Some(fate) = path.carry(now, &mut bytes) else { return };
        let seems = self.address_of(from);
        let to = node.unwrap_or(to);
        if let Some(at) = fate.copy {
            self.fly(from, Delivery { at, from: seems, to, bytes: bytes.clone() });
        }
        self.fly(from, Delivery { at: fate.at, from: seems, to, bytes });
    }

    /// When the next datagram arrives.
    pub fn next_delivery(&self) -> Option<MonoTime> {
        self.flying.peek().map(|next| next.0.delivery.at)
    }

    /// Takes out what has arrived by `now`, in order of arrival. What the iterator is not asked for stays.
    pub fn deliver(&mut self, now: MonoTime) -> impl Iterator<Item = Delivery> + '_ {
        self.now = self.now.max(now);
        std::iter::from_fn(move || self.take(self.now))
    }

    /// Datagrams on their way.
    pub fn in_flight(&self) -> usize {
        self.flying.len()
    }

    /// What a path did so far; `None` when it was never made.
    pub fn counters(&self, from: SocketAddr, to: SocketAddr) -> Option<Counters> {
        self.paths.get(&(from, to)).map(|path| path.counters)
    }

    /// Bytes that wait at the bottleneck of a path; 0 for one that was never made.
    pub fn queue_bytes(&mut self, now: MonoTime, from: SocketAddr, to: SocketAddr) -> usize {
        self.paths.get_mut(&(from, to)).map_or(0, |path| path.queue_bytes(now))
    }

    /// How long a datagram that is sent now would wait at the bottleneck of a path.
    pub fn queue_delay(&self, now: MonoTime, from: SocketAddr, to: SocketAddr) -> Duration {
        self.paths.get(&(from, to)).map_or(Duration::ZERO, |path| path.queue_delay(now))
    }

    /// Datagrams sent where no path leads, or to an address that a node no longer has.
    pub const fn unroutable(&self) -> u64 {
        self.unroutable
    }

    fn take(&mut self, now: MonoTime) -> Option<Delivery> {
        self.next_delivery().filter(|due| *due <= now)?;
        let Reverse(Flying { sender, delivery, .. }) = self.flying.pop()?;
        self.flying_bytes -= delivery.bytes.len();
        if let Some(path) = self.paths.get_mut(&(sender, delivery.to)) {
            path.counters.delivered += 1;
            path.counters.delivered_bytes += delivery.bytes.len() as u64;
        }
        Some(delivery)
    }

    fn fly(&mut self, sender: SocketAddr, delivery: Delivery) {
        let bytes = self.flying_bytes + delivery.bytes.len();
        if self.flying.len() >= self.limits.datagrams || bytes > self.limits.bytes {
            if let Some(path) = self.paths.get_mut(&(sender, delivery.to)) {
                path.counters.lost_limit += 1;
            }
            return;
        }
        self.flying_bytes = bytes;
        self.order += 1;
        self.flying.push(Reverse(Flying { order: self.order, sender, delivery }));
    }

    /// The address that a node's datagrams seem to come from.
    fn address_of(&self, node: SocketAddr) -> SocketAddr {
        let addresses = self.outside.get(&node).map_or(&[][..], Vec::as_slice);
        addresses.iter().rev().find(|(since, _)| *since <= self.now).map_or(node, |(_, outside)| *outside)
    }

    /// The node that an address leads to.
    fn node_behind(&self, address: SocketAddr) -> Option<SocketAddr> {
        if self.outside.is_empty() {
            return Some(address);
        }
        let rebound = self.outside.keys().find(|node| self.address_of(**node) == address);
        match rebound {
            Some(node) => Some(*node),
            None => (self.address_of(address) == address).then_some(address),
        }
    }
}

#[derive(Debug)]
struct Flying {
    order: u64,
    sender: SocketAddr,
    delivery: Delivery,
}

impl Flying {
    const fn key(&self) -> (MonoTime, u64) {
        (self.delivery.at, self.order)
    }
}

impl PartialEq for Flying {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Flying {}

impl PartialOrd for Flying {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flying {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Bytes that differ between any two addresses.
fn label(address: SocketAddr) -> Vec<u8> {
    let mut label = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    label.extend_from_slice(&address.port().to_be_bytes());
    label
}
