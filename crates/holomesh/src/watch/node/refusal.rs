//! Parents that have no place for this watcher: others carry what they were to, and they are asked again later over the same link.

use super::Watcher;
use super::parents::{Reached, SPARES};
use control_wire::NoRoom;
use core_types::{LinkId, StreamId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Links that are kept to parents without a place: what peers tell of one another comes over them, and a place that becomes free is had
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
        if link != self.host && self.is_full(link) && self.full().len() > KEPT {
            self.close_full(link);
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

    /// Who is dialled, or is there and not known to have no place.
    pub(super) fn is_of_use(&self, reached: &Reached) -> bool {
        match reached {
            Reached::Dialling { .. } => true,
            Reached::Linked { link, .. } => !self.is_full(*link),
            Reached::Resting { .. } => false,
        }
    }

    fn full(&self) -> BTreeSet<LinkId> {
        self.parents.iter().copied().filter(|link| self.is_full(*link)).collect()
    }

    fn close_full(&mut self, link: LinkId) {
        self.forget(link);
        if let Some(endpoint) = self.endpoint_of(link) {
            self.rest(endpoint, LEFT_ALONE, 0);
        }
        self.remove_parent(link);
    }
}
