//! How watchers find parents, and what they do when one fails.

use super::node::{Asked, Id, Live, Need, Parent, Search};
use super::queue::Event;
use super::world::{SERVED, World};
use core::time::Duration;
use core_types::{LinkId, StripeSet};

/// How long an answer from somebody who is not there is waited for.
const NO_ANSWER: Duration = Duration::from_secs(1);
/// After this a watcher takes the parents that have said yes, and does not wait for the others.
const PATIENCE: Duration = Duration::from_millis(300);
/// Who has had nothing of the stream for this long is not asked for it; and after twice as long looks for others itself.
pub(super) const SERVES_FOR: Duration = Duration::from_secs(1);
/// To whom nothing has come for this long, though the stream goes on, has nobody who sends anything.
pub(super) const STARVES_AFTER: Duration = Duration::from_millis(500);
/// A watcher without anything gives up those for so long that never sent any.
const STARVED: Duration = Duration::from_secs(10);
/// The first pause after a search that did not find enough; twice as long each further time, up to 16 times that.
const PAUSE: Duration = Duration::from_millis(250);

impl World<'_> {
    /// Looks for parents in the stripes that lack one, and for spares.
    pub(super) fn search(&mut self, id: Id) {
        self.search_from(id, None);
    }

    /// The same, asking somebody before all others.
    fn search_from(&mut self, id: Id, first: Option<Asked>) {
        let Some(live) = self.live(id) else { return };
        let Some(subscription) = &live.subscription else { return };
        if live.search.is_some() {
            return;
        }
        let all = usize::from(self.scenario.parents) + usize::from(self.scenario.spares);
        let needed = subscription.uncarried().mask();
        let wanted = needed | (self.whole() & !live.good_stripes());
        let spares = all.saturating_sub(live.good_parents() + wanted.count_ones() as usize);
        if wanted == 0 && spares == 0 {
            return;
        }
        self.report(id, |report| report.searches += 1);
        let (mut next, mut others) = self.offers(id, wanted, needed);
        next.reverse();
        next.extend(first);
        others.reverse();
        let search = Search { next, others, wanted, spares, ..Search::default() };
        self.start_search(id, search);
    }

    pub(super) fn start_search(&mut self, id: Id, search: Search) {
        self.with(id, |world, live| {
            live.search = Some(search);
            world.ask_on(id, live);
        });
        self.queue.push(self.now.plus(PATIENCE), Event::Settle(id));
    }

    /// All stripes.
    pub(super) const fn whole(&self) -> u16 {
        (1_u32 << self.scenario.parents).wrapping_sub(1) as u16
    }

    /// Asks the next ones: one at a time for each stripe, and when all have a parent, for spares.
    fn ask_on(&mut self, id: Id, live: &mut Live) {
        let Some(search) = &mut live.search else { return };
        let asked = search.waiting.iter().fold(0, |all, asked| all | asked.stripes);
        let open = search.wanted & !asked;
        let mut asking = Vec::new();
        for stripe in (0..16).map(|stripe| 1_u16 << stripe).filter(|stripe| open & stripe != 0) {
            // One thing at a time of each.
            let busy =
                |parent| search.waiting.iter().chain(&asking).any(|asked: &Asked| asked.parent == parent);
            let next = search.next.iter().rposition(|offer| offer.stripes == stripe && !busy(offer.parent));
            asking.extend(next.map(|at| search.next.remove(at)));
        }
        if search.wanted == 0 {
            let waiting = search.waiting.iter().filter(|asked| asked.stripes == 0).count();
            while waiting + asking.len() < search.spares {
                let Some(parent) = search.others.pop() else { break };
                let is_used = search.granted.iter().any(|(granted, _)| *granted == parent);
                if !is_used && !live.parents.iter().any(|known| known.id == parent) {
                    asking.push(Asked { parent, stripes: 0, need: Need::Place });
                }
            }
        }
        search.waiting.extend(&asking);
        let is_done = search.waiting.is_empty() || (search.wanted == 0 && !search.granted.is_empty());
        for Asked { parent, stripes, need } in asking {
            if self.can_reach(id, parent) && self.live(parent).is_some() {
                self.tell(id, parent, Event::Place { child: id, parent, stripes, need });
            } else {
                let answer = Event::Placed { child: id, parent, answer: parent };
                self.queue.push(self.now.plus(NO_ANSWER), answer);
            }
        }
        if is_done {
            self.attach(id, live);
        }
    }

    pub(super) fn placed(&mut self, child: Id, parent: Id, answer: Id) {
        let granted = answer == child;
        let used = self.with(child, |world, live| {
            let is_known = live.has_parent(parent);
            let is_new = answer != parent
                && !live.has_parent(answer)
                && !live.avoids(answer, world.now)
                && world.trust(live, answer) > 0;
            let Some(search) = &mut live.search else { return is_known };
            let at = search.waiting.iter().position(|asked| asked.parent == parent);
            let Some(at) = at else { return is_known };
            let stripes = search.waiting.swap_remove(at).stripes;
            if granted {
                search.granted.push((parent, stripes));
                search.wanted &= !stripes;
                search.spares = search.spares.saturating_sub(usize::from(stripes == 0));
            } else if is_new
                && search.wanted & stripes != 0
                && search.nearer.is_none_or(|hops| world.hops(answer) + 1 < hops)
            {
                search.next.push(Asked { parent: answer, stripes, need: Need::Place });
            }
            world.ask_on(child, live);
            true
        });
        if granted && used != Some(true) {
            self.tell(child, parent, Event::Left { child, parent });
        }
    }

    pub(super) fn settle_for(&mut self, id: Id) {
        self.with(id, |world, live| {
            if live.search.as_ref().is_some_and(|search| !search.granted.is_empty()) {
                world.attach(id, live);
            }
        });
    }

    /// Takes all who have said yes as parents, and leaves those who fell silent if there are others in their stripes.
    fn attach(&mut self, id: Id, live: &mut Live) {
        let now = self.now;
        let set = |stripes| StripeSet::new(self.scenario.parents, stripes).unwrap_or(StripeSet::ALL);
        let (Some(search), Some(subscription)) = (&mut live.search, &mut live.subscription) else { return };
        for (parent, stripes) in search.granted.drain(..) {
            if search.nearer.is_some() {
                self.report(id, |report| report.switches += u64::from(search.voluntary));
                for known in live.parents.iter_mut().filter(|known| known.stripes & stripes != 0) {
                    known.stripes &= !stripes;
                    known.leaving |= stripes;
                }
            } else if self.node(id).is_some_and(|node| node.home & stripes != 0) {
                live.watch.settled = false;
            }
            let home = self.node(parent).map_or(0, |node| node.home);
            // Another stripe than its own it carries until somebody is found who feeds in that one.
            let stripes = if parent == Id::PUBLISHER { stripes } else { stripes & home };
            if let Some(known) = live.parents.iter_mut().find(|known| known.id == parent) {
                (known.stripes, known.suspect) = (known.stripes | stripes, false);
            } else {
                live.parents.push(Parent { id: parent, stripes, leaving: 0, served: false, suspect: false });
            }
            subscription.add_parent_for(now, LinkId(u64::from(parent.0)), set(stripes | home));
            for known in live.parents.iter_mut().filter(|known| known.leaving & stripes != 0) {
                subscription.retire(now, LinkId(u64::from(known.id.0)), set(known.leaving & stripes));
                known.leaving &= !stripes;
            }
        }
        let open = search.next.iter().any(|offer| search.wanted & offer.stripes != 0);
        let spares = search.wanted == 0 && search.spares > 0 && !search.others.is_empty();
        if search.waiting.is_empty() && !open && !spares {
            let found = search.wanted == 0 || search.nearer.is_some();
            live.search = None;
            if found {
                live.failures = 0;
            } else {
                let pause = PAUSE * (1 << live.failures.min(4));
                live.failures = live.failures.saturating_add(1);
                let jitter = Duration::from_micros(self.choices.below(pause.as_micros() as u64));
                self.queue.push(now.plus(pause + jitter), Event::Search(id));
            }
        }
        let good = live.good_stripes();
        self.leave(id, live, |parent| parent.suspect && parent.stripes & !good == 0);
        self.list(id, !live.parents.is_empty());
        self.drain(id, live);
    }

    /// Leaves some parents.
    fn leave(&mut self, id: Id, live: &mut Live, which: impl Fn(&Parent) -> bool) {
        let left: Vec<Id> =
            live.parents.iter().filter(|parent| which(parent)).map(|parent| parent.id).collect();
        live.parents.retain(|parent| !which(parent));
        for parent in left {
            live.watch.shares.end(self.now, parent);
            if let Some(subscription) = &mut live.subscription {
                subscription.remove_parent(self.now, LinkId(u64::from(parent.0)));
            }
            self.tell(id, parent, Event::Left { child: id, parent });
        }
    }

    /// A parent does not send what it was told to.
    pub(super) fn fall_short(&mut self, child: Id, parent: Id, stripes: u16) {
        let Ok(set) = StripeSet::new(self.scenario.parents, stripes) else { return };
        self.excuse(child, parent);
        self.with(child, |world, live| {
            for known in live.parents.iter_mut().filter(|known| known.id == parent) {
                known.stripes &= !stripes;
                known.leaving &= !stripes;
            }
            if let Some(subscription) = &mut live.subscription {
                subscription.handle_refused(world.now, LinkId(u64::from(parent.0)), set);
            }
            world.drain(child, live);
        });
        self.search(child);
    }

    /// A parent has given a place to another one, who has room instead.
    pub(super) fn move_to(&mut self, child: Id, parent: Id, to: Id) {
        let stripes = self.node(to).map_or(0, |node| node.home);
        let first = Asked { parent: to, stripes, need: Need::More };
        let searches = self.with(child, |world, live| {
            for known in live.parents.iter_mut().filter(|known| known.id == parent) {
                known.stripes &= !stripes;
                known.leaving |= stripes;
            }
            let Some(search) = &mut live.search else { return true };
            search.wanted |= stripes;
            search.next.push(first);
            world.ask_on(child, live);
            false
        });
        if searches == Some(true) {
            self.search_from(child, Some(first));
        }
    }

    /// Once a second: is there enough, and enough parents?
    pub(super) fn check(&mut self, id: Id) {
        let now = self.now;
        let enough = usize::from(self.scenario.parents);
        let found = self.with(id, |world, live| {
            world.account(id, live);
            // Others need the publisher's repair more than who lost its place there; and too many spares are of no use.
            let carrying: Vec<Id> = live.carrying().collect();
            let mut surplus = live.parents.len().saturating_sub(enough + usize::from(world.scenario.spares));
            let mut left = Vec::new();
            for parent in live.parents.iter().rev().filter(|parent| !carrying.contains(&parent.id)) {
                let is_source = parent.id == Id::PUBLISHER && live.parents.len() > enough;
                if parent.stripes | parent.leaving == 0 && (is_source || surplus > 0) {
                    surplus = surplus.saturating_sub(1);
                    left.push(parent.id);
                }
            }
            if !left.is_empty() {
                world.leave(id, live, |parent| left.contains(&parent.id));
                world.drain(id, live);
            }
        });
        if found.is_some() {
            self.search(id);
            self.queue.push(now.plus(Duration::from_secs(1)), Event::Check(id));
        }
    }

    /// To whom nothing comes gives up all its parents: nothing is missing where nothing comes, so the subscription notices nothing.
    pub(super) fn starve(&self, live: &mut Live) -> bool {
        let now = self.now;
        let begun = now >= self.start().plus(STARVES_AFTER);
        if !begun || live.heard.is_some_and(|at| now.since(at) <= STARVES_AFTER) {
            return false;
        }
        for at in 0..live.parents.len() {
            let Some(parent) = live.parents.get_mut(at) else { break };
            parent.suspect = true;
            let (parent, pause) = (parent.id, if parent.served { SERVED } else { STARVED });
            live.avoid(parent, now.plus(pause));
        }
        true
    }

    pub(super) fn lose_parent(&mut self, child: Id, parent: Id) {
        let now = self.now;
        let lost = self.with(child, |world, live| {
            if !live.has_parent(parent) {
                return false;
            }
            live.parents.retain(|known| known.id != parent);
            live.watch.shares.forget(parent);
            if let Some(subscription) = &mut live.subscription {
                subscription.remove_parent(now, LinkId(u64::from(parent.0)));
            }
            world.list(child, !live.parents.is_empty());
            world.drain(child, live);
            true
        });
        if lost == Some(true) {
            self.search(child);
        }
    }

    /// Puts a node on the list of those who can be heard of, or takes it off.
    pub(super) fn list(&mut self, id: Id, listed: bool) {
        let Some(place) = self.node(id).map(|node| node.listed) else { return };
        match place {
            None if listed => {
                let place = u32::try_from(self.serving.len()).ok();
                self.serving.push(id);
                self.node_mut(id).into_iter().for_each(|node| node.listed = place);
            }
            Some(place) if !listed => {
                self.serving.swap_remove(place as usize);
                if let Some(moved) = self.serving.get(place as usize).copied() {
                    self.node_mut(moved).into_iter().for_each(|node| node.listed = Some(place));
                }
                self.node_mut(id).into_iter().for_each(|node| node.listed = None);
            }
            _ => {}
        }
    }
}
