//! Who is a parent, and for what.

use super::Subscription;
use crate::parents::Parent;
use core_types::{LinkId, MonoTime, StripeSet};

impl Subscription {
    /// Adds a parent: it gets the stripes that nobody carries, or one of a parent that has two more. A parent beyond the
    /// number of stripes stays a warm spare; one that is known, or beyond [`Config::max_parents`](crate::Config::max_parents), is not taken.
    pub fn add_parent(&mut self, now: MonoTime, link: LinkId) {
        self.add(now, Parent::new(now, link, u16::MAX));
    }

    /// As [`Subscription::add_parent`], for a parent that is meant for these stripes alone: it takes them over from who is
    /// not meant for them, and has others only while nobody else is there. One that is known is meant for these as well.
    pub fn add_parent_for(&mut self, now: MonoTime, link: LinkId, stripes: StripeSet) {
        let stripes = stripes.mask();
        if self.parent(link).is_none() {
            return self.add(now, Parent::new(now, link, stripes));
        }
        self.parent_mut(link, |p| {
            p.best |= stripes;
            // Who is full is asked again when its time has come.
            if !p.full {
                p.refused &= !stripes;
            }
            p.retired &= !stripes;
        });
        self.deal(now);
        while self.take_over(now, link) {}
    }

    /// As [`Subscription::add_parent_for`], for a parent that is never told to send anything else: one that would have it from
    /// here, directly or not. One that is known stays as it is.
    pub fn add_parent_only(&mut self, now: MonoTime, link: LinkId, stripes: StripeSet) {
        self.add(now, Parent { retired: !stripes.mask(), ..Parent::new(now, link, stripes.mask()) });
    }

    /// As [`Subscription::add_parent`], for one that stands in until somebody else is there: it has the stripes that nobody else
    /// may have, or half of those of the only parent, which may be silent, and every other parent takes over from it what it may
    /// have. One that is known stands in from now on, whatever it was to send no more before.
    pub fn add_stand_in(&mut self, now: MonoTime, link: LinkId) {
        if self.parent(link).is_none() {
            return self.add(now, Parent { stands_in: true, ..Parent::new(now, link, 0) });
        }
        self.parent_mut(link, |p| {
            (p.stands_in, p.best, p.retired) = (true, 0, 0);
            // Who is full is asked again when its time has come.
            if !p.full {
                p.refused = 0;
            }
        });
        self.deal(now);
        while self.take_over(now, link) {}
    }

    /// From now on that parent is meant for these stripes and no other one is: it takes them over from whoever carries them, and
    /// others have them only while it can't.
    pub fn prefer(&mut self, now: MonoTime, link: LinkId, stripes: StripeSet) {
        let stripes = stripes.mask();
        for parent in &mut self.parents {
            parent.best = if parent.link == link { parent.best | stripes } else { parent.best & !stripes };
        }
        self.deal(now);
        while self.take_over(now, link) {}
    }

    fn add(&mut self, now: MonoTime, parent: Parent) {
        let link = parent.link;
        let full = self.parents.len() >= usize::from(self.config.max_parents.max(1));
        if full || self.parents.iter().any(|p| p.link == link) {
            return;
        }
        self.parents.push(parent);
        self.deal(now);
        while self.take_over(now, link) {}
    }

    /// Forgets a parent whose link is gone; its stripes go to the others at once.
    pub fn remove_parent(&mut self, now: MonoTime, link: LinkId) {
        let before = self.parents.len();
        let mask = self.parent(link).map_or(0, |p| p.mask);
        self.parents.retain(|p| p.link != link);
        if self.parents.len() != before {
            self.release(now, link, mask);
        }
    }

    /// Says that a parent will soon send these stripes no more: others take them over, and it is told to stop each when that
    /// comes from there. What nobody can take it keeps until [`Subscription::handle_refused`].
    pub fn retire(&mut self, now: MonoTime, link: LinkId, stripes: StripeSet) {
        self.parent_mut(link, |p| {
            p.retired |= stripes.mask();
            p.best &= !stripes.mask();
        });
        self.hand_on(now, link, stripes.mask());
    }
}
