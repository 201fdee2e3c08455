//! The parent's side: what nodes claim, whom they take as children, and what they send them.

use super::join::SERVES_FOR;
use super::node::{Child, Id, Need, Role};
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

/// How long who has lost a place is still sent what it had there: it finds another one meanwhile.
const NOTICE: Duration = Duration::from_secs(2);

impl World<'_> {
    /// A watcher asks for a place in one stripe, or for one as a spare.
    pub(super) fn place(&mut self, child: Id, parent: Id, stripes: u16, need: Need) {
        let granted = self.live(child).is_some()
            && if stripes == 0 {
                self.has_room(parent, 0)
            } else {
                self.grants(child, parent, stripes, need) || self.makes_room(child, parent, stripes)
            };
        let now = self.now;
        if granted {
            self.with(parent, |_, live| match live.child(child) {
                Some(known) => {
                    let held = known.taken(now) & !known.mask;
                    (known.reserved, known.since) = (held | stripes, now);
                }
                None => live.children.push(Child {
                    id: child,
                    mask: 0,
                    leaving: 0,
                    reserved: stripes,
                    since: now,
                    bad_times: false,
                }),
            });
            self.check_capacity(parent);
        }
        let answer = if granted { child } else { self.instead(child, parent, stripes) };
        self.tell(parent, child, Event::Placed { child, parent, answer });
    }

    /// Whom to ask instead: of those whom it feeds in a stripe and who feed others in it the one that feeds fewest.
    fn instead(&self, child: Id, parent: Id, stripe: u16) -> Id {
        let fed = self.live(parent).map_or(&[][..], |live| &live.children);
        let able = fed.iter().filter(|known| known.mask & stripe != 0 && known.id != child);
        let able = able.map(|known| known.id).filter(|id| self.rank_for(parent, *id, stripe) > 0);
        able.min_by_key(|id| self.live(*id).map_or(usize::MAX, |live| live.children.len())).unwrap_or(parent)
    }

    /// True if the parent has this stripe, feeds others in it, is not fed by the child, and has room.
    fn grants(&mut self, child: Id, parent: Id, stripe: u16, need: Need) -> bool {
        self.could_feed(child, parent, stripe, need)
            && self.has_room(parent, 1)
            && self.has_place(parent, stripe, need)
    }

    fn could_feed(&mut self, child: Id, parent: Id, stripe: u16, need: Need) -> bool {
        let at_home = parent == Id::PUBLISHER || self.node(parent).is_some_and(|node| node.home == stripe);
        (at_home || need == Need::Any)
            && self.has_stripe(parent, stripe)
            && !self.is_fed_by(parent, child, stripe)
    }

    /// True if there is room by the parent's own claim.
    fn has_room(&mut self, parent: Id, stripes: u64) -> bool {
        self.renew_claim(parent);
        let each = self.stripe_rate().0;
        let Some(live) = self.live(parent) else { return false };
        let used = BitRate(u64::from(live.stripes(self.now)) * each);
        let wants = BitRate(stripes * each);
        live.claim.room(&SubStreamPath::WHOLE, wants, 0, live.children.len() as u32, used)
    }

    /// True if it has a place to give to who needs it so much. The publisher deals its places out to the stripes evenly. Others
    /// feed twice as many as they have parents, and a quarter more at need: so all do about alike while there is enough.
    fn has_place(&self, parent: Id, stripe: u16, need: Need) -> bool {
        let Some(live) = self.live(parent) else { return false };
        let parents = u32::from(self.scenario.parents);
        if need == Need::Any {
            return true;
        }
        if parent != Id::PUBLISHER {
            let fed = live.children.iter().filter(|child| child.taken(self.now) != 0).count() as u32;
            return fed < if need == Need::Place { 2 * parents } else { 5 * parents / 2 };
        }
        let slots = self.slots(parent);
        let taken = live.children.iter().filter(|child| child.taken(self.now) & stripe != 0).count() as u32;
        taken < slots / parents + u32::from(stripe.trailing_zeros() < slots % parents)
    }

    /// Gives the place of who feeds fewest in this stripe to who feeds more. The other one can have a place there: so the
    /// tree grows from the middle.
    fn makes_room(&mut self, child: Id, parent: Id, stripe: u16) -> bool {
        if !self.could_feed(child, parent, stripe, Need::Place) {
            return false;
        }
        let Some(live) = self.live(parent) else { return false };
        // No more than the uplink really carries, with what it was not asked for yet.
        let sent: u32 = live.children.iter().map(|child| (child.mask | child.reserved).count_ones()).sum();
        let most = self.node(parent).map_or(0, |node| node.uplink.0 / self.stripe_rate().0.max(1));
        let fed = live.children.iter().filter(|child| child.mask | child.reserved != 0).count();
        let is_busy = parent != Id::PUBLISHER && fed >= 3 * usize::from(self.scenario.parents);
        if u64::from(sent) + 2 > most || is_busy {
            return false;
        }
        let placed = live.children.iter().filter(|known| known.mask & !known.leaving & stripe != 0);
        let least = placed.map(|known| (self.rank_for(parent, known.id, stripe), known.id)).min();
        let Some((_, least)) = least.filter(|(rank, _)| *rank < self.rank_for(parent, child, stripe)) else {
            return false;
        };
        if let Some(known) = self.live_mut(parent).and_then(|live| live.child(least)) {
            known.leaving |= stripe;
        }
        self.tell(parent, least, Event::Move { child: least, parent, to: child });
        self.queue.push(self.now.plus(NOTICE), Event::Expel { child: least, parent, stripes: stripe });
        true
    }

    /// How much it helps others in a stripe that a node has it from high up.
    pub(super) fn rank(&self, id: Id, stripe: u16) -> u8 {
        if self.node(id).is_none_or(|node| node.home != stripe) {
            return 0;
        }
        let (slots, parents) = (self.slots(id), u32::from(self.scenario.parents));
        u8::from(slots >= parents) + u8::from(slots >= 2 * parents)
    }

    /// The same as another node sees it: whose claims it does not believe helps nobody.
    pub(super) fn rank_for(&self, by: Id, id: Id, stripe: u16) -> u8 {
        let believed = self.live(by).is_some_and(|live| self.trust(live, id) > 0);
        if believed { self.rank(id, stripe) } else { 0 }
    }

    /// Stripes that a node can send, by its claim.
    pub(super) fn slots(&self, id: Id) -> u32 {
        let uplink = self.live(id).map_or(0, |live| live.claim.uplink.0);
        u32::try_from(uplink / self.stripe_rate().0.max(1)).unwrap_or(u32::MAX)
    }

    /// It gets the stripe itself, or nothing has come to it of any: then the stream has not begun.
    fn has_stripe(&self, id: Id, stripe: u16) -> bool {
        let Some(live) = self.live(id) else { return false };
        let heard = live.heard_of.get(stripe.trailing_zeros() as usize).copied().flatten();
        id == Id::PUBLISHER || live.heard.is_none() || heard.is_some_and(|at| self.now.since(at) < SERVES_FOR)
    }

    /// A child has said which stripes it wants. It gets what there is room for, and keeps what it had.
    pub(super) fn give(&mut self, child: Id, parent: Id, mask: u16) {
        let now = self.now;
        self.renew_claim(parent);
        let Some(live) = self.live_mut(parent) else { return };
        let used = live.stripes(now);
        let Some(known) = live.child(child).map(|known| *known) else {
            self.tell(parent, child, Event::Cut { child, parent });
            return;
        };
        let others = used - known.stripes(now);
        let held = known.taken(now);
        let room = self.slots(parent);
        let mut given = known.mask & mask;
        let more = mask & !given;
        for stripe in (0..16).map(|stripe| 1_u16 << stripe).filter(|stripe| more & stripe != 0) {
            let fits = (given & !known.leaving).count_ones() + others < room;
            // Nobody has asked for a place here: it is one of a few more, unless it is fed from here anyhow.
            let is_fed = given | held != 0 && parent != Id::PUBLISHER;
            let is_due = held & stripe != 0 || is_fed || self.has_place(parent, stripe, Need::More);
            if fits && is_due && self.could_feed(child, parent, stripe, Need::Any) {
                given |= stripe;
            }
        }
        // Also when it is told to stop: the child may have waited in vain.
        self.own_up(parent, child, known.mask | mask);
        if let Some(known) = self.live_mut(parent).and_then(|live| live.child(child)) {
            known.mask = given;
            known.reserved = 0;
            known.leaving &= given;
        }
        self.check_capacity(parent);
        if given != mask {
            self.tell(parent, child, Event::Short { child, parent, stripes: mask & !given });
        }
    }

    /// Who has lost a place has had time to find another.
    pub(super) fn expel(&mut self, child: Id, parent: Id, stripes: u16) {
        let Some(known) = self.live_mut(parent).and_then(|live| live.child(child)) else { return };
        let over = known.leaving & stripes;
        known.mask &= !over;
        known.leaving &= !over;
        if over != 0 {
            self.tell(parent, child, Event::Short { child, parent, stripes: over });
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
            load: Load::default(),
            way: Vec::new(),
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

    /// True if a node gets a stripe from another one, directly or not, or is that one.
    pub(super) fn is_fed_by(&mut self, id: Id, above: Id, stripe: u16) -> bool {
        self.walk += 1;
        self.met.resize(self.nodes.len(), 0);
        let mut open = vec![id];
        while let Some(at) = open.pop() {
            if at == above {
                return true;
            }
            let Some(met) = self.met.get_mut(at.index()) else { continue };
            if core::mem::replace(met, self.walk) != self.walk {
                open.extend(self.feeders(at, stripe));
            }
        }
        false
    }

    /// Who sends a stripe to a node: two while it moves from one to the other.
    pub(super) fn feeders(&self, id: Id, stripe: u16) -> impl Iterator<Item = Id> {
        let parents = self.live(id).map_or(&[][..], |live| &live.parents);
        let sends = move |parent: &Id| {
            let children = self.live(*parent).map_or(&[][..], |live| &live.children);
            children.iter().any(|child| child.id == id && child.mask & stripe != 0)
        };
        parents.iter().map(|parent| parent.id).filter(sends)
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::Parent;
    use super::super::scenario::{Class, Scenario};
    use super::*;

    fn scenario() -> Scenario {
        let class =
            Class { share: 1, uplink: BitRate::from_kbit(8_000), latency: (Duration::ZERO, Duration::ZERO) };
        Scenario { nodes: 0, classes: vec![class], ..Scenario::default() }
    }

    fn feeds(world: &mut World<'_>, parent: Id, child: Id, mask: u16) {
        let known = Child { id: child, mask, leaving: 0, reserved: 0, since: world.now, bad_times: false };
        world.live_mut(parent).unwrap().children.push(known);
        let known = Parent { id: parent, stripes: mask, leaving: 0, served: false, suspect: false };
        world.live_mut(child).unwrap().parents.push(known);
    }

    #[test]
    fn whoever_feeds_a_node_however_indirectly_is_not_taken_as_its_child() {
        let scenario = scenario();
        let mut world = World::new(&scenario).unwrap();
        (0..4).for_each(|_| world.join());
        feeds(&mut world, Id(1), Id(2), 1);
        feeds(&mut world, Id(2), Id(3), 1);
        assert!(
            !world.grants(Id(1), Id(3), 1, Need::Any)
                && !world.grants(Id(1), Id(2), 1, Need::Any)
                && !world.grants(Id(1), Id(1), 1, Need::Any)
        );
        assert!(world.grants(Id(1), Id(4), 1, Need::Any) && world.grants(Id(3), Id(1), 1, Need::Any));
        // It feeds nobody in another stripe.
        assert!(world.grants(Id(1), Id(3), 2, Need::Any));
        world.place(Id(1), Id(3), 2, Need::Any);
        world.give(Id(1), Id(3), 3);
        assert_eq!(world.live_mut(Id(3)).unwrap().child(Id(1)).map(|child| child.mask), Some(2));
    }

    #[test]
    fn places_that_are_held_count_as_taken_for_two_seconds() {
        let scenario = scenario();
        let mut world = World::new(&scenario).unwrap();
        (0..14).for_each(|_| world.join());
        // 6,000 of 8,000 kbit/s are claimed: room for 12 stripes of 480.
        feeds(&mut world, Id(1), Id(3), 0b111);
        (4..12).for_each(|child| world.place(Id(child), Id(1), 1, Need::Any));
        assert!(world.grants(Id(2), Id(1), 1, Need::Any));
        world.place(Id(2), Id(1), 1, Need::Any);
        assert!(!world.grants(Id(12), Id(1), 1, Need::Any));
        world.now = MonoTime::from_millis(2_000);
        (4..12).for_each(|child| world.place(Id(child), Id(1), 2, Need::Any));
        assert!(world.grants(Id(12), Id(1), 1, Need::Any));
        world.place(Id(2), Id(1), 2, Need::Any);
        assert!(!world.grants(Id(12), Id(1), 1, Need::Any));
    }

    #[test]
    fn who_feeds_more_takes_the_place_of_who_feeds_less_and_that_one_is_sent_the_stripe_meanwhile() {
        let able =
            Class { share: 1, uplink: BitRate::from_kbit(8_000), latency: (Duration::ZERO, Duration::ZERO) };
        let scenario = Scenario { nodes: 0, classes: vec![able], parents: 1, ..Scenario::default() };
        let mut world = World::new(&scenario).unwrap();
        (0..9).for_each(|_| world.join());
        let weak = Id(9);
        world.node_mut(weak).unwrap().uplink = BitRate(0);
        let claim = world.claim(weak);
        world.live_mut(weak).unwrap().claim = claim;
        // 15 of 20 Mbit/s are claimed: seven streams.
        feeds(&mut world, Id::PUBLISHER, weak, 1);
        (1..7).for_each(|child| feeds(&mut world, Id::PUBLISHER, Id(child), 1));
        world.place(weak, Id::PUBLISHER, 1, Need::Place);
        world.place(Id(7), Id::PUBLISHER, 1, Need::Place);
        let places = |world: &World<'_>, id| {
            let children = &world.live(Id::PUBLISHER).unwrap().children;
            children
                .iter()
                .find(|child| child.id == id)
                .map(|child| (child.mask, child.leaving, child.reserved))
        };
        assert_eq!((places(&world, weak).unwrap().1, places(&world, Id(7))), (1, Some((0, 0, 1))));
        world.give(Id(7), Id::PUBLISHER, 1);
        world.expel(weak, Id::PUBLISHER, 1);
        assert_eq!(places(&world, weak).map(|(mask, leaving, _)| (mask, leaving)), Some((0, 0)));
        // Nobody goes for the sake of his like.
        world.place(Id(8), Id::PUBLISHER, 1, Need::Place);
        assert_eq!(places(&world, Id(8)), None);
    }
}
