//! What watchers make of their parents: each is measured against its share, and what does not come is said to the publisher.

#[cfg(test)]
mod tests;

use super::join::STARVES_AFTER;
use super::node::{Id, Live, Role};
use super::queue::Event;
use super::world::{AVOID, SERVED, World};
use crate::delivery::{Court, Inserted, Path, Shares, Verdict, VerifiedEvidence};
use crate::planner::Damping;
use core::time::Duration;
use core_types::{LinkId, MonoTime, WallTime};

/// How often a watcher looks at its parents, and asks each whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A relay to which nothing of a stripe has come for so long says so to those whom it feeds.
pub(super) const LACKS_AFTER: Duration = Duration::from_millis(200);
/// … and to who stops taking it, also when it has come again for no longer than this.
const LACKED: Duration = Duration::from_secs(1);
/// Chunks that wait longer than this at a parent's uplink are a standing queue.
const QUEUES: Duration = Duration::from_millis(50);
/// Evidence that a watcher keeps.
const OWN_CAPACITY: usize = 256;
/// Evidence against one peer that the publisher passes on: enough for three voices of which some do not count.
const PASSED_ON: usize = 8;
/// Evidence that is older than a court takes is not passed on.
const FRESH_MS: u64 = 60_000;

/// What a node holds of others.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) shares: Shares<Id>,
    pub(super) court: Court,
    pub(super) damping: Damping,
    /// Whom the planner would have asked when it was last asked, best first.
    pub(super) rivals: Vec<Id>,
    /// It has looked for a better place to feed others from since it found the one it has.
    pub(super) settled: bool,
}

/// Evidence on its way.
#[derive(Debug)]
pub(super) struct Said {
    evidence: VerifiedEvidence,
    accused: Id,
    observer: Id,
    origin: u64,
}

impl Watch {
    pub(super) fn new(id: Id, parents: u8) -> Self {
        let capacity = if matches!(id, Id::PUBLISHER) { Court::MAX_CAPACITY } else { OWN_CAPACITY };
        Self {
            shares: Shares::new(parents),
            court: Court::with_capacity(capacity),
            damping: Damping::default(),
            rivals: Vec::new(),
            settled: false,
        }
    }
}

impl World<'_> {
    /// The first chunk of a frame came: so all of its numbers are used.
    pub(super) fn frame_begins(&self, live: &mut Live, frame: u32) {
        let per_frame = u64::from(self.scenario.per_frame());
        let first = u64::from(frame) * per_frame;
        live.watch.shares.handle_object(self.now, first..first + per_frame);
    }

    /// Looks at the parents: who is there, who delivers. Comes again by itself.
    pub(super) fn look(&mut self, id: Id) {
        let starves = self.with(id, |world, live| {
            world.question(id, live);
            live.watch.shares.expect(world.now);
            world.judge(id, live);
            let lacking = world.lacking(id, live, Duration::ZERO);
            for child in live.children.iter().filter(|child| child.mask & lacking != 0) {
                world.tell(id, child.id, Event::Lacks { child: child.id, parent: id });
            }
            world.starve(live)
        });
        if starves == Some(true) {
            self.search(id);
        }
        if starves.is_some() {
            self.consider(id);
            self.queue.push(self.now.plus(LOOK_EVERY), Event::Look(id));
        }
    }

    /// Asks all parents whether they are there, and sees how their uplinks do.
    fn question(&self, id: Id, live: &mut Live) {
        let now = self.now;
        for parent in live.parents.iter().map(|parent| parent.id) {
            let Some(key) = self.node(parent).map(|node| node.key) else { continue };
            live.watch.shares.keep(now, parent, key, self.latency(id, parent) * 2);
        }
        live.watch.shares.look(now, |parent| {
            if self.live(parent).is_none() || !self.can_reach(id, parent) {
                return Path::Unheard;
            }
            Path::Heard { queueing: Some(self.queues(parent)) }
        });
    }

    /// Whether there is a standing queue on the way from a parent.
    fn queues(&self, parent: Id) -> bool {
        let busy_until = self.live(parent).map_or(0, |live| live.busy_until);
        let waits = busy_until.saturating_sub(self.now.0 * 1_000);
        u128::from(waits) > QUEUES.as_nanos()
    }

    /// Tells the measurement of a parent's new share.
    pub(super) fn share(&self, id: Id, live: &mut Live, parent: Id, mask: u16) {
        let Some(key) = self.node(parent).filter(|_| live.has_parent(parent)).map(|node| node.key) else {
            return;
        };
        live.watch.shares.set_share(self.now, parent, key, self.latency(id, parent) * 2, mask);
        live.watch.shares.handle_path(self.now, parent, self.queues(parent));
    }

    /// Leaves parents that do not deliver, and says so of those for whom there is no excuse.
    fn judge(&mut self, id: Id, live: &mut Live) {
        let begun = self.now >= self.start().plus(STARVES_AFTER);
        let silent = begun && live.heard.is_none_or(|at| self.now.since(at) >= STARVES_AFTER);
        live.watch.shares.look_for_trouble(self.now, silent);
        let parents: Vec<Id> = live.watch.shares.verdicts(self.now).map(|(parent, _)| parent).collect();
        for parent in parents {
            // Who was judged before it may be held against it: it is looked at anew.
            let verdict = live.watch.shares.verdicts(self.now).find(|(known, _)| *known == parent);
            let Some((_, verdict)) = verdict else { continue };
            let mut found = false;
            match verdict {
                Verdict::Good | Verdict::Unknown => {}
                Verdict::Unreachable | Verdict::Congested => self.give_up(id, live, parent, SERVED),
                Verdict::Short { .. } => {
                    found = live.watch.shares.is_found(parent) || self.accuse(id, live, parent);
                    self.give_up(id, live, parent, if found { AVOID } else { SERVED });
                }
            }
            live.watch.shares.set_found(parent, found);
        }
    }

    /// Gives a parent's stripes to others, and looks for another one.
    fn give_up(&mut self, id: Id, live: &mut Live, parent: Id, pause: Duration) {
        let Some(known) = live.parents.iter_mut().find(|known| known.id == parent && !known.suspect) else {
            return;
        };
        known.suspect = true;
        if let Some(subscription) = &mut live.subscription {
            subscription.suspect_parent(self.now, LinkId(u64::from(parent.0)));
        }
        self.drain(id, live);
        if parent != Id::PUBLISHER {
            live.avoid(parent, self.now.plus(pause));
        }
        self.queue.push(self.now, Event::Search(id));
    }

    /// A relay that lacks what it should pass on to a child says so.
    pub(super) fn own_up(&mut self, parent: Id, child: Id, stripes: u16) {
        if self.live(parent).is_some_and(|live| stripes & self.lacking(parent, live, LACKED) != 0) {
            self.tell(parent, child, Event::Lacks { child, parent });
        }
    }

    /// The stripes of which nothing comes to a node though it should. Who does not forward what it has does not say so.
    /// What it lacked so short a time ago counts too.
    fn lacking(&self, id: Id, live: &Live, lately: Duration) -> u16 {
        let honest = self.node(id).is_some_and(|node| matches!(node.role, Role::Honest | Role::Slow));
        if !honest || id == Id::PUBLISHER || self.now < self.start().plus(LACKS_AFTER) {
            return 0;
        }
        let within = |at: &Option<MonoTime>, time| at.is_some_and(|at| self.now.since(at) <= time);
        let heard = live.heard_of.iter().zip(&live.resumed).zip(0_u16..);
        let lacks = heard.filter(|((heard, resumed), _)| {
            !within(heard, LACKS_AFTER) || (!lately.is_zero() && within(resumed, lately))
        });
        lacks.fold(0, |all, (_, stripe)| all | 1 << stripe)
    }

    /// A parent says that it lacks something itself.
    pub(super) fn excuse(&mut self, child: Id, parent: Id) {
        let now = self.now;
        if let Some(live) = self.live_mut(child) {
            live.watch.shares.handle_shedding(now, parent);
        }
    }

    /// Signs that a parent does not deliver, and sends that to the publisher, if there is no excuse for it.
    fn accuse(&mut self, id: Id, live: &mut Live, accused: Id) -> bool {
        let (now, wall, stream) = (self.now, self.wall(), self.stream);
        let Some((observer, origin)) = self.node(id).map(|node| (node.key, node.network)) else {
            return false;
        };
        let claim = self.live(accused).map(|live| &live.claim);
        let found =
            claim.and_then(|claim| live.watch.shares.evidence(now, wall, observer, stream, (accused, claim)));
        let Some(evidence) = found else { return false };
        self.count_evidence(id, accused);
        let said = Said { evidence: VerifiedEvidence::assume(evidence), accused, observer: id, origin };
        let advertisers = self.serving.len() as u32;
        weigh(&mut live.watch.court, now, wall, advertisers, &said);
        let number = self.said.len() as u32;
        self.said.push(said);
        self.tell(id, Id::PUBLISHER, Event::Evidence(number));
        true
    }

    fn count_evidence(&mut self, id: Id, accused: Id) {
        let honest = self.node(accused).is_some_and(|node| node.role == Role::Honest);
        self.report(id, |report| {
            report.accusations += 1;
            report.false_accusations += u64::from(honest);
        });
    }

    /// Evidence has come to the publisher, which weighs it, and keeps it for who hears of the accused.
    pub(super) fn hear_evidence(&mut self, number: u32) {
        let (now, wall) = (self.now, self.wall());
        let advertisers = self.serving.len() as u32;
        let Some(said) = self.said.get(number as usize) else { return };
        let (accused, observer) = (said.accused, said.observer);
        let Some(live) = self.nodes.first_mut().and_then(|node| node.live.as_deref_mut()) else { return };
        let Some(found) = weigh(&mut live.watch.court, now, wall, advertisers, said) else { return };
        let kept = self.accused.entry(accused).or_default();
        kept.retain(|old| self.said.get(*old as usize).is_some_and(|old| old.observer != observer));
        if kept.len() >= PASSED_ON {
            kept.remove(0);
        }
        kept.push(number);
        if found == Inserted::Convicted {
            self.report(accused, |report| report.found_lying = true);
        }
    }

    /// With the names of peers comes what the publisher holds against them. Each judges that for itself.
    pub(super) fn learn(&mut self, id: Id, of: &[Id]) {
        let (now, wall) = (self.now, self.wall());
        let advertisers = self.serving.len() as u32;
        self.with(id, |world, live| {
            let numbers = of.iter().filter_map(|peer| world.accused.get(peer)).flatten();
            for said in numbers.filter_map(|number| world.said.get(*number as usize)) {
                if said.evidence.until.0 + FRESH_MS >= wall.0 {
                    weigh(&mut live.watch.court, now, wall, advertisers, said);
                }
            }
        });
    }

    /// How far a node believes what another one claims, in permille.
    pub(super) fn trust(&self, own: &Live, peer: Id) -> u16 {
        let key = self.node(peer).map(|node| node.key);
        key.map_or(0, |key| own.watch.court.standing(self.now, key).trust)
    }
}

/// Puts evidence before a court. `None` if it was not taken or is known.
fn weigh(
    court: &mut Court,
    now: MonoTime,
    wall: WallTime,
    advertisers: u32,
    said: &Said,
) -> Option<Inserted> {
    court.set_advertisers(advertisers);
    let found = court.insert(now, wall, said.origin, &said.evidence).ok();
    found.filter(|found| *found != Inserted::Known)
}
