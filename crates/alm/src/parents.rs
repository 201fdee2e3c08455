//! The parents of a subscription and which stripes each of them carries.

use core_types::{LinkId, MonoTime};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    pub(crate) link: LinkId,
    /// Stripes that it was told to send.
    pub(crate) mask: u16,
    pub(crate) last_heard: MonoTime,
    /// Chunks of its stripes that are known to be missing since it was last heard.
    pub(crate) missed: u32,
    /// When the first of them was missed: silence counts from there, not from when it was last heard, or everybody would
    /// be silent after a pause of the publisher.
    pub(crate) missed_since: MonoTime,
    /// Until then it is not given stripes: it fell silent.
    pub(crate) suspect_until: Option<MonoTime>,
}

impl Parent {
    pub(crate) const fn new(now: MonoTime, link: LinkId) -> Self {
        Self { link, mask: 0, last_heard: now, missed: 0, missed_since: now, suspect_until: None }
    }

    pub(crate) fn is_live(&self, now: MonoTime) -> bool {
        self.suspect_until.is_none_or(|until| now >= until)
    }
}

/// A stripe on its way from one parent to another: the old one goes on until the new one has delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handover {
    pub(crate) stripe: u16,
    pub(crate) from: LinkId,
    pub(crate) to: LinkId,
}

/// Gives every stripe without a parent to the live parent that has the fewest. Returns the links whose share changed.
pub(crate) fn deal(parents: &mut [Parent], stripes: u8, now: MonoTime) -> Vec<LinkId> {
    let mut changed = Vec::new();
    for stripe in 0..stripes {
        let bit = 1 << stripe;
        if parents.iter().any(|p| p.mask & bit != 0) {
            continue;
        }
        // Ties go to the parent that joined first, so that the outcome depends on nothing but the history.
        let Some(parent) = parents.iter_mut().filter(|p| p.is_live(now)).min_by_key(|p| p.mask.count_ones())
        else {
            break;
        };
        parent.mask |= bit;
        if !changed.contains(&parent.link) {
            changed.push(parent.link);
        }
    }
    changed
}

/// The stripe that `to` should take over, if another parent has at least two more than it.
pub(crate) fn surplus(parents: &[Parent], to: LinkId) -> Option<Handover> {
    let have = parents.iter().find(|p| p.link == to)?.mask.count_ones();
    let richest = parents.iter().filter(|p| p.link != to).max_by_key(|p| p.mask.count_ones())?;
    if richest.mask.count_ones() < have + 2 {
        return None;
    }
    // The highest stripe, so that a series of joins does not always move the same one.
    let stripe = 1 << (15 - richest.mask.leading_zeros());
    Some(Handover { stripe, from: richest.link, to })
}
