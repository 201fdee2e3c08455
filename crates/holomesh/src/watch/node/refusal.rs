//! Parents that have no place for this watcher, or that fell silent: others carry what they were to, and they are asked again later over
//! the same link.

use super::Watcher;
use super::reach::{Reached, SPARES};
use control_wire::NoRoom;
use core_types::{LinkId, StreamId};
use std::time::Duration;

/// Links that are kept to parents of no use: what peers tell of one another comes over them, and a place that becomes free is had
/// without dialling. Beyond that the link is closed and its peer is left alone for a while.
const KEPT: usize = 2 * SPARES;
const LEFT_ALONE: Duration = Duration::from_secs(30);

impl Watcher {
    /// A parent has no place for this watcher in a stream. Somebody else is asked at once.
    pub(super) fn no_place(&mut self, link: LinkId, stream: StreamId, why: NoRoom) {
        if !self.parents.contains(&link) {
            return;
        }
        let now = self.clock.now();
        let Some(stream) = self.streams.get_mut(&stream) else { return };
        if stream.subscription.has_place(link) != Some(true) {
            return;
        }
        tracing::info!(%link, stream = %stream.id.short(), ?why, "a parent has no place for us");
        self.snapshot.refused += 1;
        stream.subscription.handle_full(now, link);
        // What it did not take on it does not owe.
        stream.dues.shares.end(now, link);
        self.spread();
        self.act();
        if link != self.host && self.is_full(link) && self.useless().count() > KEPT {
            self.close_and_rest(link);
        }
        // Its place among those that are dialled is for somebody else.
        self.reach_relays();
        self.serve_by_host_if_alone();
    }

    /// Whether a parent has a place for this watcher in none of the streams that it was asked for.
    pub(super) fn is_full(&self, link: LinkId) -> bool {
        let mut known =
            self.streams.values().filter_map(|stream| stream.subscription.has_place(link)).peekable();
        known.peek().is_some() && known.all(|has_place| !has_place)
    }

    /// Whether a parent fell silent in all of the streams that it was asked for.
    fn is_silent(&self, link: LinkId) -> bool {
        let mut known =
            self.streams.values().filter_map(|stream| stream.subscription.is_suspected(link)).peekable();
        known.peek().is_some() && known.all(|is_suspected| is_suspected)
    }

    /// Whether a parent could be given something.
    pub(super) fn may_carry(&self, link: LinkId) -> bool {
        !self.is_full(link) && !self.is_silent(link)
    }

    /// Who is dialled, or is there and may carry something.
    pub(super) fn is_of_use(&self, reached: &Reached) -> bool {
        match reached {
            Reached::Dialling { .. } => true,
            Reached::Linked { link, .. } => self.may_carry(*link),
            Reached::Resting { .. } => false,
        }
    }

    fn useless(&self) -> impl Iterator<Item = LinkId> {
        self.parents.iter().copied().filter(|link| *link != self.host && !self.may_carry(*link))
    }

    /// Of the parents of no use so many are kept. The others make room for who may be of use.
    pub(super) fn close_useless(&mut self) {
        for link in self.useless().skip(KEPT).collect::<Vec<_>>() {
            self.close_and_rest(link);
        }
    }

    fn close_and_rest(&mut self, link: LinkId) {
        self.forget(link);
        if let Some((address, _)) = self.failing(link) {
            self.rest(address, LEFT_ALONE, 0);
        }
        self.remove_parent(link);
    }
}
