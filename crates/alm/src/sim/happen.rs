//! Who comes and goes, and what else the scenario says.

use super::node::{Id, Live, Node, Role};
use super::queue::Event;
use super::report::NodeReport;
use super::scenario::Happening;
use super::world::World;
use crate::topology::tie;
use core::time::Duration;
use core_types::{BitRate, KeyId, MonoTime};

/// Steps in which churn goes on.
const CHURN_STEP: Duration = Duration::from_millis(100);
/// Networks that nodes are spread over.
const NETWORKS: u64 = 64;
/// Draws to find somebody to whom something can happen.
const DRAWS: u32 = 256;

impl World<'_> {
    pub(super) fn add_publisher(&mut self) {
        let key = KeyId(self.layout.id());
        let latency = Duration::from_millis(5);
        self.now = self.start();
        self.add(Node {
            key,
            role: Role::Honest,
            latency,
            first_uplink: self.scenario.publisher_uplink,
            uplink: self.scenario.publisher_uplink,
            uplink_since: MonoTime(0),
            home: 0,
            network: NETWORKS,
            cut_off: false,
            listed: None,
            live: None,
            report: NodeReport { key: Some(key), joined: self.now.0, ..NodeReport::default() },
        });
        self.now = MonoTime(0);
    }

    /// Puts in what is known from the beginning.
    pub(super) fn begin(&mut self) {
        if self.scenario.frames() > 0 {
            self.queue.push(self.captured_at(0), Event::Frame(0));
        }
        self.crowd(MonoTime(0), self.scenario.nodes, self.scenario.join_within);
        for (index, event) in self.scenario.events.iter().enumerate() {
            self.queue.push(MonoTime(0).plus(event.at()), Event::Happen(index as u16));
        }
    }

    /// So many join from `from` on, evenly spread over `within`.
    fn crowd(&mut self, from: MonoTime, count: u32, within: Duration) {
        for number in 0..count {
            let after = within.as_micros() as u64 * u64::from(number) / u64::from(count);
            self.queue.push(from.plus(Duration::from_micros(after)), Event::Join);
        }
    }

    fn add(&mut self, node: Node) -> Id {
        let id = Id(self.nodes.len() as u32);
        self.nodes.push(node);
        let subscription = if id == Id::PUBLISHER { None } else { self.subscription(id) };
        let live = Live::new(id, subscription, self.claim(id), self.first_frame(self.now), self.scenario);
        if let Some(node) = self.nodes.last_mut() {
            node.live = Some(Box::new(live));
        }
        id
    }

    pub(super) fn join(&mut self) {
        if self.nodes.len() > super::Scenario::MAX_NODES as usize {
            return;
        }
        let shares: u64 = self.scenario.classes.iter().map(|class| u64::from(class.share)).sum();
        let mut at = self.layout.below(shares);
        let mut classes = self.scenario.classes.iter();
        let Some(class) = classes.find(|class| {
            let hit = at < u64::from(class.share);
            at = at.saturating_sub(u64::from(class.share));
            hit
        }) else {
            return;
        };
        let (low, high) = (class.latency.0.as_micros() as u64, class.latency.1.as_micros() as u64);
        let latency = Duration::from_micros(self.layout.between(low, high));
        let role = self.role();
        let key = KeyId(self.layout.id());
        let network = self.layout.below(NETWORKS);
        let node = Node {
            key,
            role,
            latency,
            first_uplink: class.uplink,
            uplink: class.uplink,
            uplink_since: self.now,
            home: self.home(key),
            network,
            cut_off: false,
            listed: None,
            live: None,
            report: NodeReport {
                key: Some(key),
                honest: role == Role::Honest,
                joined: self.now.0,
                ..NodeReport::default()
            },
        };
        let id = self.add(node);
        self.queue.push(self.now.plus(Duration::from_secs(1)), Event::Check(id));
        self.queue.push(self.now.plus(Duration::from_secs(1)), Event::Look(id));
        self.search(id);
    }

    /// In which stripe a node feeds others.
    fn home(&self, key: KeyId) -> u16 {
        let lot = tie::mix_id(tie::mix_id(0, self.stream.as_bytes()), &key.0);
        1 << (lot % u64::from(self.scenario.parents))
    }

    fn role(&mut self) -> Role {
        let roles = self.scenario.roles;
        let drawn = self.layout.below(1_000) as u16;
        if drawn < roles.lying {
            Role::Lying
        } else if drawn < roles.lying + roles.stalling {
            Role::Stalling
        } else if drawn < roles.lying + roles.stalling + roles.slow {
            Role::Slow
        } else {
            Role::Honest
        }
    }

    /// A node is gone. Its children and parents do not know until the link counts as dead.
    pub(super) fn die(&mut self, id: Id) {
        self.finish(id);
        let Some(live) = self.node_mut(id).and_then(|node| node.live.take()) else { return };
        let known = self.now.plus(self.scenario.link_timeout);
        let now = self.now;
        for child in &live.children {
            self.queue.push(known, Event::Cut { child: child.id, parent: id });
            if let Some(hurt) = self.live_mut(child.id).filter(|_| child.mask != 0) {
                hurt.hurt_at = hurt.hurt_at.or(Some(now));
            }
        }
        for parent in &live.parents {
            self.queue.push(known, Event::Left { child: id, parent: parent.id });
        }
        self.list(id, false);
    }

    pub(super) fn happen(&mut self, index: u16) {
        let Some(event) = self.scenario.events.get(usize::from(index)) else { return };
        match *event {
            Happening::FlashCrowd { count, within, .. } => self.crowd(self.now, count, within),
            Happening::Churn { until, permille_per_second, .. } => {
                if self.now < MonoTime(0).plus(until) {
                    self.churn(permille_per_second);
                    self.queue.push(self.now.plus(CHURN_STEP), Event::Happen(index));
                }
            }
            Happening::Kill { parents, within, .. } => self.kill(parents, within),
            Happening::Bandwidth { share, to, .. } => self.change_uplinks(share, to),
            Happening::Partition { until, share, .. } => {
                self.part(share);
                self.queue.push(MonoTime(0).plus(until), Event::Over(index));
                self.queue.push(self.now.plus(self.scenario.link_timeout), Event::Sever);
            }
        }
    }

    pub(super) fn over(&mut self, index: u16) {
        if let Some(Happening::Partition { .. }) = self.scenario.events.get(usize::from(index)) {
            self.is_partitioned = false;
        }
    }

    fn churn(&mut self, permille_per_second: u16) {
        let steps = Duration::from_secs(1).as_micros() / CHURN_STEP.as_micros();
        self.churn_debt += self.serving.len() as u64 * u64::from(permille_per_second) / steps as u64;
        while self.churn_debt >= 1_000 {
            self.churn_debt -= 1_000;
            let at = self.choices.below(self.serving.len() as u64) as usize;
            if let Some(id) = self.serving.get(at).copied() {
                self.die(id);
            }
            self.queue.push(self.now, Event::Join);
        }
    }

    fn kill(&mut self, count: u8, within: Duration) {
        let mut best: Vec<Id> = Vec::new();
        for _ in 0..DRAWS {
            let at = self.choices.below(self.serving.len() as u64) as usize;
            let Some(victim) = self.serving.get(at).copied() else { return };
            let Some(live) = self.live(victim) else { continue };
            let found: Vec<Id> = live.carrying().filter(|id| *id != Id::PUBLISHER).collect();
            if found.len() > best.len() {
                best = found;
            }
            if best.len() >= usize::from(count) {
                break;
            }
        }
        best.truncate(usize::from(count));
        for (number, id) in best.into_iter().enumerate() {
            let later = if number == 0 { 0 } else { self.choices.below(within.as_micros() as u64 + 1) };
            self.queue.push(self.now.plus(Duration::from_micros(later)), Event::Die(id));
        }
    }

    fn change_uplinks(&mut self, share: u16, to: u16) {
        for index in 1..self.nodes.len() {
            let id = Id(index as u32);
            if !self.choices.chance(share) || self.live(id).is_none() {
                continue;
            }
            self.account_uplink(id);
            if let Some(node) = self.node_mut(id) {
                node.uplink = BitRate(node.first_uplink.0 / 1_000 * u64::from(to));
            }
            // It takes a second until the node has measured that.
            self.queue.push(self.now.plus(Duration::from_secs(1)), Event::Shrink(id));
        }
    }

    /// Claims what there is now, and sends the newest children away until that is enough for the others.
    pub(super) fn shrink(&mut self, id: Id) {
        let (now, each) = (self.now, self.stripe_rate().0);
        let claim = self.claim(id);
        let sent_away = self.with(id, |_, live| {
            live.claim = claim;
            let room = live.claim.uplink.0 / each.max(1);
            let mut sent_away = Vec::new();
            while u64::from(live.stripes(now)) > room {
                let Some(child) = live.children.pop() else { break };
                sent_away.push(child.id);
            }
            sent_away
        });
        for child in sent_away.into_iter().flatten() {
            self.tell(id, child, Event::Cut { child, parent: id });
        }
    }

    fn part(&mut self, share: u16) {
        self.is_partitioned = true;
        for index in 1..self.nodes.len() {
            let cut_off = self.choices.chance(share);
            if let Some(node) = self.nodes.get_mut(index) {
                node.cut_off = cut_off;
            }
        }
    }

    /// All links across the partition are given up, unless it has healed in time.
    pub(super) fn sever(&mut self) {
        if !self.is_partitioned {
            return;
        }
        for index in 0..self.nodes.len() {
            let parent = Id(index as u32);
            let Some(live) = self.live(parent) else { continue };
            let cut: Vec<Id> = live
                .children
                .iter()
                .map(|child| child.id)
                .filter(|id| !self.can_reach(parent, *id))
                .collect();
            for child in cut {
                self.forget_child(child, parent);
                self.lose_parent(child, parent);
            }
        }
    }
}
