//! How watchers find parents, with the real planner, and what they do when one fails.

use super::node::{Asked, Id, Live, Parent, Search};
use super::queue::Event;
use super::world::{EPOCH, World};
use crate::planner::{Candidate, Request, plan};
use core::time::Duration;
use core_types::{KeyId, Layer, LinkId};

/// How long an answer from somebody who is not there is waited for.
const NO_ANSWER: Duration = Duration::from_secs(1);
/// After this a watcher takes the parents that have said yes, and does not wait for the others.
const PATIENCE: Duration = Duration::from_millis(300);
/// Who has had nothing of the stream for this long is not asked for it; and after twice as long looks for others itself.
const SERVES_FOR: Duration = Duration::from_secs(1);
/// A watcher without anything gives up those it has for so long.
const STARVED: Duration = Duration::from_secs(10);
/// The first pause after a search that did not find enough; twice as long each further time, up to 16 times that.
const PAUSE: Duration = Duration::from_millis(250);
/// Steps up the tree that are followed.
const MAX_PATH: usize = 64;

impl World<'_> {
    /// Looks for as many parents as are missing.
    pub(super) fn search(&mut self, id: Id) {
        let (wanted, all) = {
            let Some(live) = self.live(id) else { return };
            if live.search.is_some() || live.subscription.is_none() {
                return;
            }
            let good = live.good_parents();
            let main = usize::from(self.scenario.parents).saturating_sub(good);
            let main = if live.short { main.max(1) } else { main };
            (
                main,
                (usize::from(self.scenario.parents) + usize::from(self.scenario.spares))
                    .saturating_sub(good)
                    .max(main),
            )
        };
        if all == 0 {
            return;
        }
        self.report(id, |report| report.searches += 1);
        let (mut next, parents) = self.candidates(id);
        next.reverse();
        let share = usize::from(self.scenario.parents).div_ceil(parents.max(1));
        let search = Search {
            next,
            waiting: Vec::new(),
            granted: Vec::new(),
            carriers: wanted,
            spares: all - wanted,
            stripes: if wanted >= usize::from(self.scenario.parents) { share as u8 } else { 1 },
        };
        self.with(id, |world, live| {
            live.search = Some(search);
            world.ask_on(id, live);
        });
        self.queue.push(self.now.plus(PATIENCE), Event::Settle(id));
    }

    /// Whom the planner would ask, best first, and how many parents that is to be.
    fn candidates(&mut self, id: Id) -> (Vec<Id>, usize) {
        let ids = self.heard_of(id);
        let me = self.node(id).map_or(KeyId([0; 32]), |node| node.key);
        self.mark_below(id);
        let mut paths: Vec<KeyId> = Vec::new();
        let mut ends = Vec::with_capacity(ids.len());
        for peer in &ids {
            self.tell_load(*peer);
            self.path(*peer, &mut paths);
            if self.is_marked(*peer) {
                paths.push(me);
            }
            ends.push(paths.len());
        }
        let mut begin = 0;
        let mut candidates = Vec::with_capacity(ids.len());
        for (peer, end) in ids.iter().zip(ends) {
            let path = paths.get(begin..end);
            begin = end;
            let (Some(node), Some(own)) = (self.node(*peer), self.live(id)) else { continue };
            let Some(live) = node.live.as_deref() else { continue };
            candidates.push(Candidate {
                claim: &live.claim,
                rtt: Some(self.latency(id, *peer) * 2),
                load: live.told.1,
                reach: 1_000,
                path_to_source: path,
                network: node.network,
                discovered_by: (peer.0 % 4) as u8,
                trust: if own.avoids(*peer, self.now) { 0 } else { 1_000 },
            });
        }
        let request = Request {
            me,
            stream: self.stream,
            epoch: EPOCH,
            rate: self.scenario.rate(),
            layers: Layer::BASE,
            parents: self.scenario.parents,
            spares: self.scenario.spares,
            now: self.wall(),
            seed: self.scenario.seed ^ u64::from(id.0),
        };
        let Ok(plan) = plan(&request, &candidates) else { return (Vec::new(), 1) };
        let named = plan.parents.iter().chain(&plan.spares).chain(&plan.rest);
        let of_key = |key: &KeyId| {
            ids.iter().copied().find(|peer| self.node(*peer).is_some_and(|node| node.key == *key))
        };
        (named.filter_map(of_key).collect(), plan.parents.len())
    }

    /// The publisher, and some of those who have the stream; none that is a parent already.
    fn heard_of(&mut self, id: Id) -> Vec<Id> {
        let known = usize::from(self.scenario.known);
        let mut ids = vec![Id::PUBLISHER];
        // Drawn with repetition, and each taken once: so a small crowd is not searched for ever.
        for _ in 0..known * 2 {
            let at = self.choices.below(self.serving.len() as u64) as usize;
            let Some(peer) = self.serving.get(at).copied() else { break };
            if ids.len() <= known && peer != id && !ids.contains(&peer) && self.is_served(peer) {
                ids.push(peer);
            }
        }
        let Some(live) = self.live(id) else { return Vec::new() };
        ids.retain(|peer| !live.has_parent(*peer));
        ids
    }

    /// It gets the stream, or the stream has not begun.
    fn is_served(&self, id: Id) -> bool {
        let begins = self.start().plus(SERVES_FOR);
        self.live(id).is_some_and(|live| {
            self.now < begins || live.heard.is_some_and(|at| self.now.since(at) < SERVES_FOR)
        })
    }

    /// Appends the way from a node up to the publisher, by the first parent of each.
    fn path(&self, id: Id, path: &mut Vec<KeyId>) {
        let mut at = id;
        for _ in 0..MAX_PATH {
            let Some(parent) = self.live(at).and_then(|live| live.parents.first()).map(|parent| parent.id)
            else {
                return;
            };
            let Some(node) = self.node(parent) else { return };
            path.push(node.key);
            at = parent;
        }
    }

    /// Asks the next ones: for carriers, as many at a time as are still wanted, and when those are found, for spares.
    fn ask_on(&mut self, id: Id, live: &mut Live) {
        let Some(search) = &mut live.search else { return };
        loop {
            let is_spare = search.carriers == 0;
            let missing = if is_spare { search.spares } else { search.carriers };
            if search.waiting.len() >= missing
                || (is_spare && search.waiting.iter().any(|asked| asked.stripes > 0))
            {
                break;
            }
            let Some(parent) = search.next.pop() else { break };
            let stripes = if is_spare { 0 } else { search.stripes };
            search.waiting.push(Asked { parent, stripes });
            if self.can_reach(id, parent) && self.live(parent).is_some() {
                self.tell(id, parent, Event::Place { child: id, parent, stripes });
            } else {
                self.queue
                    .push(self.now.plus(NO_ANSWER), Event::Placed { child: id, parent, granted: false });
            }
        }
        if search.waiting.is_empty() || (search.carriers == 0 && !search.granted.is_empty()) {
            self.attach(id, live);
        }
    }

    pub(super) fn placed(&mut self, child: Id, parent: Id, granted: bool) {
        let used = self.with(child, |world, live| {
            let Some(search) = &mut live.search else { return false };
            let Some(at) = search.waiting.iter().position(|asked| asked.parent == parent) else {
                return false;
            };
            let asked = search.waiting.swap_remove(at);
            if granted {
                search.granted.push(parent);
                let missing = if asked.stripes > 0 { &mut search.carriers } else { &mut search.spares };
                *missing = missing.saturating_sub(1);
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

    /// Takes all who have said yes as parents, and leaves those who fell silent if there are enough others.
    fn attach(&mut self, id: Id, live: &mut Live) {
        let now = self.now;
        let (Some(search), Some(subscription)) = (&mut live.search, &mut live.subscription) else { return };
        for parent in search.granted.drain(..) {
            live.parents.push(Parent { id: parent, suspect: false });
            subscription.add_parent(now, LinkId(u64::from(parent.0)));
        }
        if search.waiting.is_empty() && (search.next.is_empty() || search.carriers + search.spares == 0) {
            let found = search.carriers == 0;
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
        if live.good_parents() >= usize::from(self.scenario.parents) {
            let left: Vec<Id> =
                live.parents.iter().filter(|parent| parent.suspect).map(|parent| parent.id).collect();
            live.parents.retain(|parent| !parent.suspect);
            for parent in left {
                if let Some(subscription) = &mut live.subscription {
                    subscription.remove_parent(now, LinkId(u64::from(parent.0)));
                }
                self.tell(id, parent, Event::Left { child: id, parent });
            }
        }
        self.list(id, !live.parents.is_empty());
        self.drain(id, live);
    }

    /// A parent has no room for all that it was told to send. One that sends nothing is of no use; whoever sends some goes on.
    pub(super) fn fall_short(&mut self, child: Id, parent: Id, nothing: bool) {
        let until = self.now.plus(STARVED);
        self.live_mut(child).into_iter().for_each(|live| live.short = true);
        if nothing {
            self.live_mut(child).into_iter().for_each(|live| live.avoid(parent, until));
            self.tell(child, parent, Event::Left { child, parent });
            self.lose_parent(child, parent);
        }
        self.search(child);
    }

    /// Once a second: is there enough, and enough parents?
    pub(super) fn check(&mut self, id: Id) {
        let now = self.now;
        let patience = SERVES_FOR * 2;
        let begun = now >= self.start().plus(patience);
        let found = self.with(id, |world, live| {
            world.account(id, live);
            if begun && live.heard.is_none_or(|at| now.since(at) > patience) {
                // Nothing is missing where nothing comes, so the subscription notices nothing.
                for at in 0..live.parents.len() {
                    let Some(parent) = live.parents.get_mut(at) else { break };
                    parent.suspect = true;
                    let parent = parent.id;
                    live.avoid(parent, now.plus(STARVED));
                }
            }
            if core::mem::take(&mut live.short) {
                if let Some(subscription) = &mut live.subscription {
                    subscription.assign_again();
                }
                world.drain(id, live);
            }
            live.good_parents() < usize::from(world.scenario.parents)
        });
        if found == Some(true) {
            self.search(id);
        }
        if found.is_some() {
            self.queue.push(now.plus(Duration::from_secs(1)), Event::Check(id));
        }
    }

    pub(super) fn lose_parent(&mut self, child: Id, parent: Id) {
        let now = self.now;
        let lost = self.with(child, |world, live| {
            if !live.has_parent(parent) {
                return false;
            }
            live.parents.retain(|known| known.id != parent);
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
