//! What watchers make of their parents: each is measured against its share, and what does not come is said to the publisher.

#[cfg(test)]
mod tests;

use super::join::STARVES_AFTER;
use super::node::{Id, Live, Role};
use super::queue::Event;
use super::world::{AVOID, SERVED, World};
use crate::delivery::{Court, DeliveryMeter, Inserted, Verdict, VerifiedEvidence};
use crate::planner::Damping;
use core::time::Duration;
use core_types::{KeyId, LinkId, MonoTime, WallTime};
use std::collections::VecDeque;

/// How often a watcher looks at its parents, and asks each whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A frame counts as expected of a parent that has had its share for so long before the frame's first chunk came, beside the
/// time to it and back: what is older it was never sent itself, or sent to nobody here.
const SETTLED_IN: Duration = Duration::from_millis(50);
/// … and that has it still so long after that: those far from the publisher are later than others.
const STILL: Duration = Duration::from_millis(150);
/// A relay to which nothing of a stripe has come for so long says so to those whom it feeds.
pub(super) const LACKS_AFTER: Duration = Duration::from_millis(200);
/// … and to who stops taking it, also when it has come again for no longer than this.
const LACKED: Duration = Duration::from_secs(1);
/// Chunks that wait longer than this at a parent's uplink are a standing queue.
const QUEUES: Duration = Duration::from_millis(50);
/// For so long after that nobody is accused.
const TROUBLED: Duration = Duration::from_secs(4);
/// How long somebody is measured who has no share any more: verdicts look back for two seconds.
const MEASURED: Duration = Duration::from_millis(2_500);
/// Evidence that a watcher keeps.
const OWN_CAPACITY: usize = 256;
/// Evidence against one peer that the publisher passes on: enough for three voices of which some do not count.
const PASSED_ON: usize = 8;
/// Evidence that is older than a court takes is not passed on.
const FRESH_MS: u64 = 60_000;

/// A parent, or one that was one a moment ago.
#[derive(Debug, Clone, Copy)]
struct Measured {
    id: Id,
    key: KeyId,
    /// What it was told to send, and the last share before that.
    mask: u16,
    before: u16,
    /// Since when it has all of that.
    since: MonoTime,
    /// To it and back.
    rtt: Duration,
    /// When it last had a share, or was a parent.
    last: MonoTime,
    /// It was found short, and that was said.
    found: bool,
}

/// What a node holds of others.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) meter: DeliveryMeter,
    pub(super) court: Court,
    pub(super) damping: Damping,
    /// Whom the planner would have asked when it was last asked, best first.
    pub(super) rivals: Vec<Id>,
    /// It has looked for a better place to feed others from since it found the one it has.
    pub(super) settled: bool,
    measured: Vec<Measured>,
    /// When more was wrong than single parents.
    troubled: Option<MonoTime>,
    /// Frames of which something came, and when.
    begun: VecDeque<(u32, MonoTime)>,
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
    pub(super) fn new(id: Id) -> Self {
        let capacity = if matches!(id, Id::PUBLISHER) { Court::MAX_CAPACITY } else { OWN_CAPACITY };
        Self {
            meter: DeliveryMeter::new(),
            court: Court::with_capacity(capacity),
            damping: Damping::default(),
            rivals: Vec::new(),
            settled: false,
            measured: Vec::new(),
            troubled: None,
            begun: VecDeque::new(),
        }
    }

    /// A parent was told to send these stripes.
    fn share(&mut self, now: MonoTime, (id, key): (Id, KeyId), rtt: Duration, mask: u16) {
        if let Some(known) = self.measured.iter_mut().find(|known| known.id == id) {
            if mask & !known.mask != 0 {
                known.since = now;
            }
            (known.before, known.mask, known.last) = (known.mask, mask, now);
        } else if self.measured.len() < DeliveryMeter::MAX_PARENTS {
            self.measured.push(Measured {
                id,
                key,
                mask,
                before: 0,
                since: now,
                rtt,
                last: now,
                found: false,
            });
        }
    }

    /// Somebody is no parent any more.
    pub(super) fn end(&mut self, now: MonoTime, id: Id) {
        for known in self.measured.iter_mut().filter(|known| known.id == id) {
            (known.before, known.mask, known.last) = (known.mask, 0, now);
        }
    }

    /// A parent sends somebody away, or its link is dead: there is nothing to hold against it.
    pub(super) fn forget(&mut self, id: Id) {
        if let Some(at) = self.measured.iter().position(|known| known.id == id) {
            let known = self.measured.swap_remove(at);
            self.meter.remove_parent(known.key);
        }
    }

    /// A chunk came. It counts if it is of the sender's share; also if it was seen before, unless it was asked for: while a
    /// stripe moves two send it.
    pub(super) fn came(&mut self, now: MonoTime, from: Id, stripe: u16, bytes: u16) {
        let known = self.measured.iter().find(|known| known.id == from);
        if let Some(known) = known.filter(|known| (known.mask | known.before) & stripe != 0) {
            // No more are measured than the meter takes.
            let _ = self.meter.handle_delivered(now, known.key, 1, u64::from(bytes));
        }
    }

    /// How much of its share a parent that carries something delivers, in permille.
    pub(super) fn delivered(&self, now: MonoTime, id: Id) -> Option<u16> {
        let known = self.measured.iter().find(|known| known.id == id && known.mask != 0)?;
        self.meter.delivered_permille(now, known.key)
    }

    /// The stripes that a parent was told to send.
    pub(super) fn share_of(&self, id: Id) -> u16 {
        self.measured.iter().find(|known| known.id == id).map_or(0, |known| known.mask)
    }
}

impl World<'_> {
    /// The first chunk of a frame came: so all of its numbers are used.
    pub(super) fn frame_begins(&self, live: &mut Live, frame: u32) {
        live.watch.begun.push_back((frame, self.now));
        self.expect(live);
    }

    /// Notes what parents should have sent by now.
    fn expect(&self, live: &mut Live) {
        let (per_frame, parents) = (self.scenario.per_frame(), u32::from(self.scenario.parents));
        let watch = &mut live.watch;
        while let Some((frame, at)) = watch.begun.front().copied() {
            if at.plus(STILL) > self.now {
                return;
            }
            watch.begun.pop_front();
            for known in watch.measured.iter().filter(|known| known.mask != 0) {
                if known.since.plus(known.rtt).plus(SETTLED_IN) > at {
                    continue;
                }
                let first = frame * per_frame;
                let its = |chunk: &u32| known.mask & (1 << (chunk % parents)) != 0;
                let chunks = (first..first + per_frame).filter(its).count() as u32;
                let _ = watch.meter.handle_expected(self.now, known.key, chunks);
            }
        }
    }

    /// Looks at the parents: who is there, who delivers. Comes again by itself.
    pub(super) fn look(&mut self, id: Id) {
        let starves = self.with(id, |world, live| {
            world.question(id, live);
            world.expect(live);
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
        let watch = &mut live.watch;
        for parent in live.parents.iter().map(|parent| parent.id) {
            let Some(key) = self.node(parent).map(|node| node.key) else { continue };
            match watch.measured.iter_mut().find(|known| known.id == parent) {
                Some(known) => known.last = now,
                None => watch.share(now, (parent, key), self.latency(id, parent) * 2, 0),
            }
        }
        // Also those who were left a moment ago: nobody is accused who is not there.
        for known in &watch.measured {
            if self.live(known.id).is_none() || !self.can_reach(id, known.id) {
                let _ = watch.meter.handle_unanswered(now, known.key);
                continue;
            }
            let _ = watch.meter.handle_answered(now, known.key);
            if known.mask != 0 {
                self.look_at_path(&mut watch.meter, known.id, known.key);
            }
        }
        let (measured, meter) = (&mut watch.measured, &mut watch.meter);
        measured.retain(|known| {
            let stays = now.since(known.last) < MEASURED;
            if !stays {
                meter.remove_parent(known.key);
            }
            stays
        });
    }

    /// Sees whether there is a standing queue on the way from a parent: while it has a share, for later it says nothing of that.
    fn look_at_path(&self, meter: &mut DeliveryMeter, parent: Id, key: KeyId) {
        let busy_until = self.live(parent).map_or(0, |live| live.busy_until);
        let waits = busy_until.saturating_sub(self.now.0 * 1_000);
        let _ = meter.handle_congestion(self.now, key, u128::from(waits) > QUEUES.as_nanos());
    }

    /// Tells the measurement of a parent's new share.
    pub(super) fn share(&self, id: Id, live: &mut Live, parent: Id, mask: u16) {
        let Some(key) = self.node(parent).filter(|_| live.has_parent(parent)).map(|node| node.key) else {
            return;
        };
        live.watch.share(self.now, (parent, key), self.latency(id, parent) * 2, mask);
        self.look_at_path(&mut live.watch.meter, parent, key);
    }

    /// Leaves parents that do not deliver, and says so of those for whom there is no excuse.
    fn judge(&mut self, id: Id, live: &mut Live) {
        if self.is_in_trouble(live) {
            live.watch.troubled = Some(self.now);
        }
        let sure = live.watch.troubled.is_none_or(|at| self.now.since(at) >= TROUBLED);
        for at in 0..live.watch.measured.len() {
            let Some(known) = live.watch.measured.get(at).copied() else { break };
            let verdict = live.watch.meter.verdict(self.now, known.key);
            let mut found = false;
            match verdict {
                Verdict::Good | Verdict::Unknown => {}
                Verdict::Unreachable | Verdict::Congested => self.give_up(id, live, known.id, SERVED),
                Verdict::Short { .. } => {
                    let said = known.found || (sure && self.accuse(id, live, known.id));
                    self.give_up(id, live, known.id, if said { AVOID } else { SERVED });
                    found = said;
                }
            }
            if let Some(known) = live.watch.measured.get_mut(at) {
                known.found = found;
            }
        }
    }

    /// True if nothing comes, or several parents do not deliver and no more do: then it is hardly their fault.
    fn is_in_trouble(&self, live: &Live) -> bool {
        let verdicts = live.watch.measured.iter().map(|known| live.watch.meter.verdict(self.now, known.key));
        let (good, bad) = verdicts.fold((0, 0), |(good, bad), verdict| match verdict {
            Verdict::Good => (good + 1, bad),
            Verdict::Unknown => (good, bad),
            Verdict::Unreachable | Verdict::Congested | Verdict::Short { .. } => (good, bad + 1),
        });
        let begun = self.now >= self.start().plus(STARVES_AFTER);
        let silent = begun && live.heard.is_none_or(|at| self.now.since(at) >= STARVES_AFTER);
        silent || (bad >= 2 && bad >= good)
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
        let (now, key) = (self.now, self.node(parent).map(|node| node.key));
        if let (Some(live), Some(key)) = (self.live_mut(child), key) {
            let _ = live.watch.meter.handle_shedding(now, key);
        }
    }

    /// Signs that a parent does not deliver, and sends that to the publisher, if there is no excuse for it.
    fn accuse(&mut self, id: Id, live: &mut Live, accused: Id) -> bool {
        let (now, wall, stream) = (self.now, self.wall(), self.stream);
        let Some((observer, origin)) = self.node(id).map(|node| (node.key, node.network)) else {
            return false;
        };
        let claim = self.live(accused).map(|live| &live.claim);
        let evidence = claim.and_then(|claim| live.watch.meter.evidence(now, wall, observer, stream, claim));
        // Of a share that is over the end may have been on its way.
        let is_over = live.watch.share_of(accused) == 0;
        let Some(evidence) = evidence.filter(|evidence| evidence.delivered == 0 || !is_over) else {
            return false;
        };
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
