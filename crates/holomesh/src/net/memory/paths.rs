//! The paths between nodes: netsim's, with a model for those that nobody has set, and cuts.

use core::time::Duration;
use core_types::MonoTime;
use netsim::{Counters, Delivery, Error, Network, PathModel};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// A path by its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    from: SocketAddr,
    to: SocketAddr,
}

impl Way {
    const fn both(a: SocketAddr, b: SocketAddr) -> [Self; 2] {
        [Self { from: a, to: b }, Self { from: b, to: a }]
    }
}

#[derive(Debug)]
pub(super) struct Paths {
    network: Network,
    default: PathModel,
    own: BTreeMap<Way, PathModel>,
    /// Those that netsim knows of.
    made: BTreeSet<Way>,
    /// Closed, and how many datagrams that took.
    cuts: BTreeMap<Way, u64>,
    /// What former cuts took.
    taken: BTreeMap<Way, u64>,
    /// Where nodes seem to be that were rebound.
    outside: BTreeMap<SocketAddr, SocketAddr>,
}

impl Paths {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            network: Network::new(seed),
            default: PathModel::default(),
            own: BTreeMap::new(),
            made: BTreeSet::new(),
            cuts: BTreeMap::new(),
            taken: BTreeMap::new(),
            outside: BTreeMap::new(),
        }
    }

    pub(super) fn set_default(&mut self, model: PathModel) -> Result<(), Error> {
        // Whether it is one, whatever paths there are.
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Network::new(0).set_path(nowhere, nowhere, model.clone())?;
        for way in self.made.iter().filter(|way| !self.own.contains_key(way)) {
            self.network.set_path(way.from, way.to, model.clone())?;
        }
        self.default = model;
        Ok(())
    }

    pub(super) fn set(&mut self, from: SocketAddr, to: SocketAddr, model: PathModel) -> Result<(), Error> {
        self.network.set_path(from, to, model.clone())?;
        self.made.insert(Way { from, to });
        self.own.insert(Way { from, to }, model);
        Ok(())
    }

    /// Makes the paths between two nodes that have none yet.
    pub(super) fn make(&mut self, a: SocketAddr, b: SocketAddr) {
        for way in Way::both(a, b) {
            if self.made.insert(way) && self.network.set_path(way.from, way.to, self.default.clone()).is_err()
            {
                tracing::error!("a model that was taken is refused");
            }
        }
    }

    pub(super) fn cut(&mut self, a: SocketAddr, b: SocketAddr) {
        for way in Way::both(a, b) {
            self.cuts.entry(way).or_default();
        }
    }

    pub(super) fn heal(&mut self, a: SocketAddr, b: SocketAddr) {
        for way in Way::both(a, b) {
            if let Some(taken) = self.cuts.remove(&way) {
                *self.taken.entry(way).or_default() += taken;
            }
        }
    }

    pub(super) fn heal_all(&mut self) {
        for (way, taken) in std::mem::take(&mut self.cuts) {
            *self.taken.entry(way).or_default() += taken;
        }
    }

    pub(super) fn rebind(&mut self, now: MonoTime, node: SocketAddr, outside: SocketAddr) {
        self.outside.insert(node, outside);
        self.network.rebind(node, now, outside);
    }

    /// Where a node seems to be.
    pub(super) fn outside(&self, node: SocketAddr) -> SocketAddr {
        self.outside.get(&node).copied().unwrap_or(node)
    }

    pub(super) fn model(&self, from: SocketAddr, to: SocketAddr) -> &PathModel {
        self.own.get(&Way { from, to }).unwrap_or(&self.default)
    }

    /// True while nothing comes through.
    pub(super) fn is_closed(&self, now: MonoTime, from: SocketAddr, to: SocketAddr) -> bool {
        let dark =
            |model: &PathModel| model.blackouts.iter().any(|(since, until)| (*since..*until).contains(&now));
        self.cuts.contains_key(&Way { from, to }) || dark(self.model(from, to))
    }

    /// How long something that is sent now is on its way.
    pub(super) fn latency(&self, now: MonoTime, from: SocketAddr, to: SocketAddr) -> Duration {
        self.model(from, to).delay + self.queue_delay(now, from, to)
    }

    pub(super) fn queue_delay(&self, now: MonoTime, from: SocketAddr, to: SocketAddr) -> Duration {
        self.network.queue_delay(now, from, to)
    }

    pub(super) fn queue_bytes(&mut self, now: MonoTime, from: SocketAddr, to: SocketAddr) -> usize {
        self.network.queue_bytes(now, from, to)
    }

    /// Sends a datagram from a node to where another is, or was: `to` is where the sender believes that `node` is.
    pub(super) fn send(
        &mut self,
        now: MonoTime,
        from: SocketAddr,
        node: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    ) {
        match self.cuts.get_mut(&Way { from, to: node }) {
            Some(taken) => *taken += 1,
            None => self.network.send(now, from, to, bytes),
        }
    }

    pub(super) fn deliver(&mut self, now: MonoTime) -> impl Iterator<Item = Delivery> {
        self.network.deliver(now)
    }

    pub(super) fn next_delivery(&self) -> Option<MonoTime> {
        self.network.next_delivery()
    }

    pub(super) fn counters(&self, from: SocketAddr, to: SocketAddr) -> Option<Counters> {
        let mut counters = self.network.counters(from, to)?;
        let way = Way { from, to };
        let cut = self.cuts.get(&way).unwrap_or(&0) + self.taken.get(&way).unwrap_or(&0);
        counters.sent += cut;
        counters.lost_blackout += cut;
        Some(counters)
    }

    pub(super) const fn unroutable(&self) -> u64 {
        self.network.unroutable()
    }
}
