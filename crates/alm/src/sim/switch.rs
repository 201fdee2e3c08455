//! When a watcher changes a parent that works for a better one: by [`Damping`](crate::planner::Damping), and make before break.

use super::node::{Asked, Id, Live, Need, Search};
use super::world::World;

/// The score of a parent that delivers its whole share.
const WHOLE: u32 = 1_000;
/// A hop from the publisher counts as much less as one more does beside so many.
const HOPS: u32 = 4;

/// A change that might be for the better.
struct Change {
    incumbent: u32,
    to: Id,
    score: u32,
    stripe: u16,
    /// It has to be nearer to the publisher than so many hops.
    nearer: usize,
}

impl World<'_> {
    /// Compares a parent with another that might be better, and changes it when that has been so for long enough.
    pub(super) fn consider(&mut self, id: Id) {
        self.settle_in(id);
        let now = self.now;
        let Some(live) = self.live(id).filter(|live| live.search.is_none()) else { return };
        let changes = self.for_delivery(live).into_iter().chain(self.for_a_higher_place(id, live));
        let change = changes.max_by_key(Change::gain);
        let key = change.as_ref().and_then(|change| Some((self.node(change.to)?.key, change.score)));
        let incumbent = change.as_ref().map_or(WHOLE, |change| change.incumbent);
        let Some(live) = self.live_mut(id) else { return };
        let switch = live.watch.damping.handle_scores(now, incumbent, key);
        let (Some(change), Some(_)) = (change, switch) else { return };
        self.change(id, change, true);
    }

    /// Who has just found a place to feed others from may find a better one at once: that is part of joining.
    fn settle_in(&mut self, id: Id) {
        let unsettled = self.live(id).filter(|live| live.search.is_none() && !live.watch.settled);
        let Some(change) = unsettled.and_then(|live| self.for_a_higher_place(id, live)) else { return };
        if let Some(live) = self.live_mut(id) {
            live.watch.settled = true;
        }
        self.change(id, change, false);
    }

    fn change(&mut self, id: Id, change: Change, voluntary: bool) {
        let Change { to: parent, stripe, nearer, .. } = change;
        let first = Asked { parent, stripes: stripe, need: Need::Place };
        let search = Search {
            next: vec![first],
            wanted: stripe,
            nearer: Some(nearer),
            voluntary,
            ..Search::default()
        };
        self.start_search(id, search);
    }

    /// Another parent in the place of the one that delivers least of its share.
    fn for_delivery(&self, live: &Live) -> Option<Change> {
        let able = live.parents.iter().filter(|parent| !parent.suspect && parent.id != Id::PUBLISHER);
        let shares =
            able.filter_map(|parent| Some((live.watch.shares.delivered(self.now, parent.id)?, parent.id)));
        let (delivered, worst) = shares.min()?;
        let stripes = live.watch.shares.share_of(worst);
        let fits = |peer: &&Id| {
            self.node(**peer).is_some_and(|node| node.home & stripes != 0)
                && !live.has_parent(**peer)
                && !live.avoids(**peer, self.now)
                && self.live(**peer).is_some()
        };
        let rival = live.watch.rivals.iter().find(fits).copied()?;
        let score = u32::from(self.trust(live, rival)).min(WHOLE);
        let stripe = self.node(rival)?.home;
        Some(Change { incumbent: delivered.into(), to: rival, score, stripe, nearer: usize::MAX })
    }

    /// Who feeds others asks from the publisher downwards for a place that is nearer to it than its own, so the tree stays low
    /// whoever comes and goes.
    fn for_a_higher_place(&self, id: Id, live: &Live) -> Option<Change> {
        let home = self.node(id)?.home;
        let feeds = live.children.iter().any(|child| child.mask & home != 0);
        if !feeds || live.has_parent(Id::PUBLISHER) || self.rank(id, home) == 0 {
            return None;
        }
        let hops = self.hops(id);
        let far = |hops: usize| WHOLE * HOPS / (HOPS + u32::try_from(hops).unwrap_or(WHOLE));
        let (incumbent, score) = (far(hops), far(1));
        (hops > 2).then_some(Change { incumbent, to: Id::PUBLISHER, score, stripe: home, nearer: hops })
    }
}

impl Change {
    /// How much better it would be, in thousandths of what there is. Whether that is enough is for the damping to say.
    fn gain(&self) -> u32 {
        self.score.saturating_mul(1_000) / self.incumbent.max(1)
    }
}
