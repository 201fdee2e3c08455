//! Whom a watcher asks for a place, out of those it has heard of, with the real planner.

use super::join::SERVES_FOR;
use super::node::{Asked, Id, Need};
use super::world::{EPOCH, World};
use crate::planner::{Candidate, Request, plan};
use core_types::{KeyId, Layer};

/// Steps up the tree that are followed.
const MAX_PATH: usize = 64;

impl World<'_> {
    /// Whom to ask for a place in each stripe that is wanted, and whom for one as a spare, best first.
    ///
    /// Who feeds others in a stripe should have it from the publisher. Whoever can't is fed by those who feed in it, able ones
    /// first. If they all have enough to do, they are asked once more, and next time anybody, if the stripe is needed.
    pub(super) fn offers(&mut self, id: Id, wanted: u16, needed: u16) -> (Vec<Asked>, Vec<Id>) {
        let order = self.candidates(id);
        let parents = u32::from(self.scenario.parents);
        let mut offers = Vec::new();
        let fails = self.live(id).is_some_and(|live| live.failures > 0);
        let has_publisher = self.live(id).is_some_and(|live| live.has_parent(Id::PUBLISHER));
        for stripe in (0..16).map(|stripe| 1_u16 << stripe).filter(|stripe| wanted & stripe != 0) {
            let mut offer = |parent, need| offers.push(Asked { parent, stripes: stripe, need });
            let home = |peer: &Id| self.node(*peer).is_some_and(|node| node.home == stripe);
            let publisher = core::iter::once(Id::PUBLISHER).filter(|_| !has_publisher);
            let relays = || order.iter().copied().filter(|peer| *peer != Id::PUBLISHER);
            let feeds = self.rank(id, stripe) > 0;
            publisher.clone().filter(|_| feeds).for_each(|peer| offer(peer, Need::Place));
            let mut able: Vec<Id> = relays().filter(|p| home(p) && self.slots(*p) >= parents).collect();
            if feeds {
                able.sort_by_key(|peer| self.hops(*peer));
            }
            able.into_iter().for_each(|peer| offer(peer, Need::Place));
            publisher.filter(|_| !feeds).for_each(|peer| offer(peer, Need::Place));
            relays().filter(home).for_each(|peer| offer(peer, Need::More));
            if needed & stripe != 0 && fails {
                relays().for_each(|peer| offer(peer, Need::Any));
            }
        }
        self.live_mut(id).into_iter().for_each(|live| live.watch.rivals.clone_from(&order));
        (offers, order.into_iter().filter(|peer| *peer != Id::PUBLISHER).collect())
    }

    /// Whom the planner would ask, best first.
    fn candidates(&mut self, id: Id) -> Vec<Id> {
        let ids = self.heard_of(id);
        self.learn(id, &ids);
        let me = self.node(id).map_or(KeyId([0; 32]), |node| node.key);
        let mut paths: Vec<KeyId> = Vec::new();
        let mut ends = Vec::with_capacity(ids.len());
        for peer in &ids {
            self.tell_load(*peer);
            self.path(*peer, &mut paths);
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
                trust: if own.avoids(*peer, self.now) { 0 } else { self.trust(own, *peer) },
            });
        }
        let request = Request {
            me,
            stream: self.stream,
            epoch: Some(EPOCH),
            rate: self.scenario.rate(),
            layers: Layer::BASE,
            parents: self.scenario.parents,
            spares: self.scenario.spares,
            now: self.wall(),
            seed: self.scenario.seed ^ u64::from(id.0),
        };
        let Ok(plan) = plan(&request, &candidates) else { return Vec::new() };
        let named = plan.parents.iter().chain(&plan.spares).chain(&plan.rest);
        let of_key = |key: &KeyId| {
            ids.iter().copied().find(|peer| self.node(*peer).is_some_and(|node| node.key == *key))
        };
        named.filter_map(of_key).collect()
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

    /// Appends the way from a node up to the publisher, in the stripe in which it feeds others.
    fn path(&self, id: Id, path: &mut Vec<KeyId>) {
        let stripe = self.node(id).map_or(0, |node| node.home);
        let mut at = id;
        for _ in 0..MAX_PATH {
            let Some(parent) = self.feeders(at, stripe).next() else { return };
            let Some(node) = self.node(parent) else { return };
            path.push(node.key);
            at = parent;
        }
    }

    /// How far a node is from the publisher in the stripe in which it feeds others.
    pub(super) fn hops(&self, id: Id) -> usize {
        let mut path = Vec::new();
        self.path(id, &mut path);
        path.len()
    }
}
