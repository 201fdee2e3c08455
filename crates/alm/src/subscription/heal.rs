//! Who carries what: silence, back-off, moves, and the call for new parents.

use super::{Action, Subscription};
use crate::parents::{Handover, Parent, deal, surplus};
use core_types::{ChunkSeq, LinkId, MonoTime, StripeSet};

impl Subscription {
    /// Suspects who is silent, says who is quiet, gives stripes to who is back, calls for parents again.
    pub(super) fn heal(&mut self, now: MonoTime) {
        for link in self.links(|s, p| s.silent_at(p).is_some_and(|at| now >= at)) {
            self.suspect(now, link);
        }
        for link in self.links(|s, p| s.quiet_at(p).is_some_and(|at| now >= at)) {
            self.parent_mut(link, |p| p.quiet = true);
            if self.parent(link).is_some_and(|p| p.mask != 0) {
                self.suspect(now, link);
            } else {
                self.actions.push_back(Action::Quiet { parent: link });
            }
        }
        for link in self.links(|_, p| p.suspect_until.is_some_and(|at| now >= at)) {
            self.parent_mut(link, |p| {
                p.suspect_until = None;
                // Who is still quiet has a share again when it is heard.
                p.move_at = (!p.quiet).then_some(now);
            });
            self.deal(now);
        }
        let (mut is_over, mut again) = (false, Vec::new());
        for parent in self.parents.iter_mut().filter(|p| p.refused != 0 && now >= p.refused_until) {
            parent.refused = 0;
            is_over = true;
            if core::mem::take(&mut parent.full) {
                again.push(parent.link);
                // What somebody else has in its stead it may have again.
                parent.move_at.get_or_insert(now);
            }
        }
        if is_over {
            self.deal(now);
        }
        // Who is given nothing now may at least be a spare, if there is a place.
        again.retain(|link| self.parent(*link).is_some_and(|p| p.mask == 0));
        again.into_iter().for_each(|link| self.assign(link));
        for link in self.links(|_, p| p.move_at.is_some_and(|at| now >= at)) {
            self.move_back(now, link);
        }
        if self.rebuild_at.is_some_and(|at| now >= at) {
            self.call_for_parents(now);
        }
    }

    /// When there is something to heal next.
    pub(super) fn next_heal(&self) -> Option<MonoTime> {
        let each = self.parents.iter().flat_map(|p| {
            let again = (p.refused != 0).then_some(p.refused_until);
            [self.silent_at(p), self.quiet_at(p), p.suspect_until, again, p.move_at].into_iter().flatten()
        });
        each.chain(self.rebuild_at).min()
    }

    /// When this parent counts as silent, if nothing more comes from it.
    fn silent_at(&self, parent: &Parent) -> Option<MonoTime> {
        let config = &self.config;
        let by_objects = parent.owed >= config.silent_frames.max(1);
        let by_chunks = parent.missed >= config.silent_chunks.max(1);
        let expected = match (by_objects, by_chunks) {
            _ if parent.mask == 0 => return None,
            (true, _) => self.objects.interval().saturating_mul(config.silent_frames),
            (false, true) => parent.own_interval.saturating_mul(config.silent_chunks),
            (false, false) => return None,
        };
        let wait = config.silent_after.max(expected).saturating_add(parent.late.usual());
        // Of one that has sent nothing yet it is not known how far from the source it is.
        let wait = if parent.own.is_none() { wait.max(config.grace) } else { wait };
        Some(parent.missed_since.plus(wait).max(parent.grace_until))
    }

    /// When this parent has shown no life for too long.
    fn quiet_at(&self, parent: &Parent) -> Option<MonoTime> {
        (self.signs && !parent.quiet).then(|| parent.heard.plus(self.config.quiet_after))
    }

    /// Takes the stripes of a parent that is silent, and gives it none for a while.
    pub(super) fn suspect(&mut self, now: MonoTime, link: LinkId) {
        let Some(parent) = self.parent(link).filter(|p| p.is_live()) else { return };
        let (mask, failures) = (parent.mask, parent.failures.saturating_add(1));
        if mask != 0 && !self.parents.iter().any(|p| p.link != link && p.takes(mask)) {
            // A silent parent is better than none, until there is another for what it carries.
            self.parent_mut(link, Parent::clear);
            if self.rebuild_at.is_none() {
                self.call_for_parents(now);
            }
            return;
        }
        let until = now.plus(self.jitter.of(self.config.back_off(failures)));
        self.parent_mut(link, |p| {
            p.mask = 0;
            p.clear();
            p.failures = failures;
            p.well_since = None;
            p.move_at = None;
            p.suspect_until = Some(until);
        });
        // What it went on with until another one delivers is that one's alone.
        let before = self.handovers.len();
        self.handovers.retain(|h| h.from != link);
        if mask != 0 || self.handovers.len() != before {
            self.actions.push_back(Action::Suspect { parent: link });
            self.assign(link);
            self.release(now, link, mask);
        }
    }

    /// What a parent carried, who is gone or given nothing more, goes to others.
    pub(super) fn release(&mut self, now: MonoTime, gone: LinkId, mask: u16) {
        let (ended, going_on) = std::mem::take(&mut self.handovers).into_iter().partition(|h| h.to == gone);
        self.handovers = going_on;
        self.handovers.retain(|h| h.from != gone);
        let ended: Vec<Handover> = ended;
        for Handover { stripe, from, .. } in ended {
            // Who carried the stripe before was not told to stop yet: it is its again.
            if self.parent(from).is_some_and(Parent::is_live) {
                self.parent_mut(from, |p| p.goes_on_with(stripe));
            }
            self.assign(from);
        }
        let count = u64::from(self.config.stripes);
        self.gaps.hurry(now, gone, |seq| mask & (1 << (seq.0 % count)) != 0);
        if !self.parents.iter().any(Parent::is_live) {
            // Who is suspected is better than nobody. It does not need to be silent for long again.
            let next = self.parents.iter_mut().min_by_key(|p| (p.quiet, p.suspect_until));
            if let Some(parent) = next {
                parent.suspect_until = None;
            }
            self.call_for_parents(now);
        }
        self.deal(now);
        self.call_if_uncarried(now);
    }

    /// Whoever is left may not be there for all stripes.
    fn call_if_uncarried(&mut self, now: MonoTime) {
        if self.rebuild_at.is_none() && self.uncarried().mask() != 0 {
            self.call_for_parents(now);
        }
    }

    /// Somebody upstream sends something, or shows life: nobody is called for any more, if every stripe has a carrier.
    pub(super) fn is_fed(&mut self) {
        if self.rebuild_at.is_some() && self.uncarried().mask() == 0 {
            self.rebuild_at = None;
        }
    }

    /// A parent sends less than it was told to.
    pub(super) fn refused(&mut self, now: MonoTime, link: LinkId, stripes: u16) {
        let until = now.plus(self.config.refused_for.max(super::config::LEAST));
        self.refused_until(now, link, stripes, until);
    }

    /// A parent has no place for this receiver. What was sent to it before it said so may have it say so again.
    pub(super) fn full(&mut self, now: MonoTime, link: LinkId) {
        let config = self.config;
        let Some(parent) = self.parents.iter_mut().find(|p| p.link == link && !p.full) else { return };
        if now.since(parent.refused_until) >= config.forget_after {
            parent.refusals = 0;
        }
        parent.full = true;
        parent.refusals = parent.refusals.saturating_add(1);
        let until = now.plus(config.full_for(parent.refusals));
        self.refused_until(now, link, u16::MAX, until);
    }

    fn refused_until(&mut self, now: MonoTime, link: LinkId, stripes: u16, until: MonoTime) {
        let Some(parent) = self.parents.iter_mut().find(|p| p.link == link) else { return };
        parent.refused |= stripes;
        parent.refused_until = until;
        let is_full = parent.full;
        let lost = parent.mask & stripes;
        parent.mask &= !stripes;
        let (ended, going_on) = std::mem::take(&mut self.handovers)
            .into_iter()
            .partition::<Vec<_>, _>(|h| h.stripe & stripes != 0 && (h.to == link || h.from == link));
        self.handovers = going_on;
        // Who has no place for us has nothing to be told.
        let mut told = if is_full { Vec::new() } else { vec![link] };
        for handover in ended.iter().filter(|h| h.to == link) {
            // Who carried the stripe before goes on: it was not told to stop.
            let goes_on = |p: &Parent| p.is_live() && p.refused & handover.stripe == 0;
            if self.parent(handover.from).is_some_and(goes_on) {
                self.parent_mut(handover.from, |p| p.goes_on_with(handover.stripe));
            }
            told.push(handover.from);
        }
        told.dedup();
        told.into_iter().for_each(|link| self.assign(link));
        if lost == 0 {
            return;
        }
        let count = u64::from(self.config.stripes);
        self.gaps.hurry(now, link, |seq| lost & (1 << (seq.0 % count)) != 0);
        self.deal(now);
        self.call_if_uncarried(now);
    }

    /// Gives what a parent carries that is to go to others that can, and lets it go on until they deliver.
    pub(super) fn hand_on(&mut self, now: MonoTime, link: LinkId, stripes: u16) {
        let mask = self.parent(link).map_or(0, |p| p.mask) & stripes;
        for stripe in (0..16).map(|stripe| 1 << stripe).filter(|bit| mask & bit != 0) {
            let able = self.parents.iter().filter(|p| p.link != link && p.takes(stripe));
            if let Some(to) = able.min_by_key(|p| p.order(stripe)).map(|p| p.link) {
                self.hand_over(now, Handover { stripe, from: link, to });
            }
        }
    }

    /// Deals out what nobody carries.
    pub(super) fn deal(&mut self, now: MonoTime) {
        let idle: Vec<LinkId> = self.parents.iter().filter(|p| p.mask == 0).map(|p| p.link).collect();
        for link in deal(&mut self.parents, self.config.stripes) {
            if idle.contains(&link) {
                self.begin(now, link);
            }
            self.assign(link);
        }
    }

    /// A parent carries something from now on: it needs time to begin.
    fn begin(&mut self, now: MonoTime, link: LinkId) {
        let frames = self.objects.interval().saturating_mul(self.config.silent_frames);
        let until = now.plus(self.config.grace.max(frames));
        self.parent_mut(link, |p| {
            p.clear();
            p.own = None;
            p.well_since = None;
            p.grace_until = until;
        });
    }

    /// Gives `link` a stripe of who has two more. Make before break: the former carrier is told to stop only when the new one
    /// has delivered. Before the first chunk there is nothing to break.
    pub(super) fn take_over(&mut self, now: MonoTime, link: LinkId) -> bool {
        let Some(handover) = surplus(&self.parents, link) else { return false };
        self.hand_over(now, handover);
        true
    }

    fn hand_over(&mut self, now: MonoTime, handover: Handover) {
        let Handover { stripe, from, to } = handover;
        if self.parent(to).is_some_and(|p| p.mask == 0) {
            self.begin(now, to);
        }
        self.parent_mut(from, |p| p.mask &= !stripe);
        self.parent_mut(to, |p| p.mask |= stripe);
        if let Some(at) = self.handovers.iter().position(|h| h.stripe == stripe) {
            // `from` had not delivered yet: it is skipped, and the carrier before it goes on for longer.
            if self.handovers.get(at).is_some_and(|pending| pending.from == to) {
                self.handovers.swap_remove(at);
            } else if let Some(pending) = self.handovers.get_mut(at) {
                pending.to = to;
            }
            self.assign(from);
        } else if self.stats.chunks == 0 {
            self.assign(from);
        } else {
            self.handovers.push(handover);
        }
        self.assign(to);
    }

    /// A parent that is back takes a stripe over, one each time and not too often: a parent that comes and goes must not
    /// stir the others up.
    fn move_back(&mut self, now: MonoTime, link: LinkId) {
        let every = self.config.move_every;
        let Some(parent) = self.parent(link) else { return };
        let allowed = parent.moved.map_or(now, |at| at.plus(every));
        let able = parent.is_live() && !parent.quiet && surplus(&self.parents, link).is_some();
        let mut next = able.then_some(allowed);
        if able && allowed <= now {
            self.take_over(now, link);
            self.parent_mut(link, |p| p.moved = Some(now));
            next = surplus(&self.parents, link).map(|_| now.plus(every.max(super::config::LEAST)));
        }
        self.parent_mut(link, |p| p.move_at = next);
    }

    pub(super) fn finish_handover(&mut self, from: LinkId, seq: ChunkSeq) {
        let bit = self.stripe_bit(seq);
        if let Some(at) = self.handovers.iter().position(|h| h.to == from && h.stripe == bit) {
            let done = self.handovers.swap_remove(at);
            self.assign(done.from);
        }
    }

    fn call_for_parents(&mut self, now: MonoTime) {
        self.actions.push_back(Action::Rebuild);
        self.rebuild_at = Some(now.plus(self.jitter.of(self.config.rebuild_every)));
    }

    /// Tells a parent its stripes: those that it has, and those that it goes on with until somebody else delivers them. That is all that it
    /// is to be told: where the first word says from where on it is to send, it says so of all of them.
    pub(super) fn assign(&mut self, link: LinkId) {
        let Some(parent) = self.parent(link) else { return };
        let pending = self.handovers.iter().filter(|h| h.from == link).fold(0, |all, h| all | h.stripe);
        if let Ok(stripes) = StripeSet::new(self.config.stripes, parent.mask | pending) {
            let is_old = |action: &Action| matches!(action, Action::Assign { parent, .. } if *parent == link);
            self.actions.retain(|action| !is_old(action));
            self.actions.push_back(Action::Assign { parent: link, stripes });
        }
    }

    fn links(&self, which: impl Fn(&Self, &Parent) -> bool) -> Vec<LinkId> {
        self.parents.iter().filter(|p| which(self, p)).map(|p| p.link).collect()
    }
}
