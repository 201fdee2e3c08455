//! The parent's side: what nodes claim, whom they take as children, and what they send them.

use super::node::{Child, Id, Role};
use super::queue::Event;
use super::world::{EPOCH, World};
use crate::planner::Load;
use crate::{CapacityClaim, SubStreamPath, VerifiedClaim};
use core::time::Duration;
use core_types::{BitRate, KeyId, Layer, MonoTime, WallTime};

/// Peers say at most this often what they carry.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Claims are made anew in time before they run out.
const CLAIM_FOR_MS: u64 = 60_000;

impl World<'_> {
    /// A watcher asks for a place.
    pub(super) fn place(&mut self, child: Id, parent: Id, stripes: u8) {
        let granted = self.grants(child, parent, stripes);
        let now = self.now;
        if granted {
            self.with(parent, |_, live| {
                live.children.retain(|known| known.id != child);
                live.children.push(Child {
                    id: child,
                    mask: 0,
                    reserved: stripes,
                    since: now,
                    bad_times: false,
                });
            });
            self.check_capacity(parent);
        }
        self.tell(parent, child, Event::Placed { child, parent, granted });
    }

    /// True if there is room by the parent's own claim, and the child does not feed it.
    fn grants(&mut self, child: Id, parent: Id, stripes: u8) -> bool {
        self.mark_below(child);
        if self.is_marked(parent) || self.live(child).is_none() {
            return false;
        }
        self.renew_claim(parent);
        let each = self.stripe_rate().0;
        let Some(live) = self.live(parent) else { return false };
        let used = BitRate(u64::from(live.stripes(self.now)) * each);
        let wants = BitRate(u64::from(stripes) * each);
        live.claim.room(&SubStreamPath::WHOLE, wants, 0, live.children.len() as u32, used)
    }

    /// A child has said which stripes it wants. It gets what there is room for, and keeps what it had.
    pub(super) fn give(&mut self, child: Id, parent: Id, mask: u16) {
        let (now, each) = (self.now, self.stripe_rate().0);
        self.renew_claim(parent);
        let given = self.with(parent, |_, live| {
            let used = live.stripes(now);
            let room = u32::try_from(live.claim.uplink.0 / each.max(1)).unwrap_or(u32::MAX);
            let known = live.child(child)?;
            let others = used - known.stripes(now);
            let mut given = known.mask & mask;
            for stripe in 0..16 {
                let bit = 1 << stripe;
                if mask & bit != 0 && given.count_ones() + others < room {
                    given |= bit;
                }
            }
            known.mask = given;
            known.reserved = 0;
            Some(given)
        });
        self.check_capacity(parent);
        match given {
            Some(Some(given)) if given != mask => {
                self.tell(parent, child, Event::Short { child, parent, nothing: given == 0 });
            }
            Some(None) => self.tell(parent, child, Event::Cut { child, parent }),
            _ => {}
        }
    }

    /// Notes how many are fed, and whether that is more than can be.
    fn check_capacity(&mut self, id: Id) {
        let (now, each) = (self.now, self.stripe_rate().0);
        let Some(live) = self.live(id) else { return };
        let used = u64::from(live.stripes(now)) * each;
        let children = live.children.iter().filter(|child| child.mask != 0).count() as u64;
        let Some(node) = self.node_mut(id) else { return };
        node.report.children = node.report.children.max(children);
        node.report.over_capacity |= used > node.uplink.0;
    }

    pub(super) fn forget_child(&mut self, child: Id, parent: Id) {
        if let Some(live) = self.live_mut(parent) {
            live.children.retain(|known| known.id != child);
        }
    }

    /// A peer says what it carries, and renews its claim.
    pub(super) fn tell_load(&mut self, id: Id) {
        self.renew_claim(id);
        let (now, each) = (self.now, self.stripe_rate().0);
        let Some(live) = self.live_mut(id) else { return };
        if now.since(live.told.0) >= TELL_EVERY || live.told.0 == MonoTime(0) {
            let used = BitRate(u64::from(live.stripes(now)) * each);
            let subscribers = u16::try_from(live.children.len()).unwrap_or(u16::MAX);
            live.told = (now, Load { streams: 1, subscribers, used });
        }
    }

    /// What a node claims now.
    pub(super) fn claim(&self, id: Id) -> VerifiedClaim {
        let (key, uplink) = self.node(id).map_or((KeyId([0; 32]), 0), |node| {
            let honest = node.uplink.0 / 1_000 * u64::from(self.scenario.claim_permille);
            (node.key, if node.role == Role::Lying { node.uplink.0 * 10 } else { honest })
        });
        let uplink = BitRate::from_kbit(uplink / 1_000);
        // Each stripe may go to another subscriber, and spares need a place too.
        let subscribers = uplink.0 / self.stripe_rate().0.max(1) * 2;
        let WallTime(now) = self.wall();
        VerifiedClaim::assume(CapacityClaim {
            advertiser: key,
            stream: Some(self.stream),
            epoch: EPOCH,
            counter: now,
            uplink,
            max_streams: 8,
            max_subscribers: u16::try_from(subscribers).unwrap_or(u16::MAX),
            layers: Layer::BASE,
            commitments: Vec::new(),
            issued_at: WallTime(now),
            valid_until: WallTime(now + CLAIM_FOR_MS),
        })
    }

    fn renew_claim(&mut self, id: Id) {
        let WallTime(now) = self.wall();
        if self.live(id).is_some_and(|live| live.claim.valid_until.0 < now + CLAIM_FOR_MS / 2) {
            let claim = self.claim(id);
            if let Some(live) = self.live_mut(id) {
                live.claim = claim;
            }
        }
    }

    /// Marks a node and all whom it feeds, they feed, and so on.
    pub(super) fn mark_below(&mut self, id: Id) {
        self.walk += 1;
        self.met.resize(self.nodes.len(), 0);
        let mut open = vec![id];
        while let Some(at) = open.pop() {
            let Some(met) = self.met.get_mut(at.index()) else { continue };
            let is_new = core::mem::replace(met, self.walk) != self.walk;
            if let Some(live) = self.live(at).filter(|_| is_new) {
                open.extend(live.children.iter().map(|child| child.id));
            }
        }
    }

    /// The last walk met it.
    pub(super) fn is_marked(&self, id: Id) -> bool {
        self.met.get(id.index()).is_some_and(|met| *met == self.walk)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{Class, Scenario};
    use super::*;

    fn scenario() -> Scenario {
        let class =
            Class { share: 1, uplink: BitRate::from_kbit(8_000), latency: (Duration::ZERO, Duration::ZERO) };
        Scenario { nodes: 0, classes: vec![class], ..Scenario::default() }
    }

    fn feeds(world: &mut World<'_>, parent: Id, child: Id, mask: u16) {
        let child = Child { id: child, mask, reserved: 0, since: world.now, bad_times: false };
        world.live_mut(parent).unwrap().children.push(child);
    }

    #[test]
    fn whoever_feeds_a_node_however_indirectly_is_not_taken_as_its_child() {
        let scenario = scenario();
        let mut world = World::new(&scenario).unwrap();
        (0..4).for_each(|_| world.join());
        feeds(&mut world, Id(1), Id(2), 0);
        feeds(&mut world, Id(2), Id(3), 1);
        assert!(
            !world.grants(Id(1), Id(3), 1)
                && !world.grants(Id(1), Id(2), 0)
                && !world.grants(Id(1), Id(1), 0)
        );
        assert!(world.grants(Id(1), Id(4), 1) && world.grants(Id(3), Id(1), 1));
    }

    #[test]
    fn places_that_are_held_count_as_taken_for_two_seconds() {
        let scenario = scenario();
        let mut world = World::new(&scenario).unwrap();
        (0..3).for_each(|_| world.join());
        // 6,000 of 8,000 kbit/s are claimed: room for 12 stripes of 480.
        feeds(&mut world, Id(1), Id(3), 0b111);
        world.place(Id(2), Id(1), 8);
        assert!(world.grants(Id(3), Id(1), 1) && !world.grants(Id(3), Id(1), 2));
        world.now = MonoTime::from_millis(2_000);
        assert!(world.grants(Id(3), Id(1), 9) && !world.grants(Id(3), Id(1), 10));
    }
}
