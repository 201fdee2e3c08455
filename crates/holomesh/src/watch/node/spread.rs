//! Descriptions go their own ways: each is taken from a parent of its own, as long as there are as many of them.

use super::Watcher;
use super::first_contact::whole;
use super::serving::home_of;
use crate::publish::StreamKind;
use crate::watch::receive::InStream;
use av_wire::Media;
use core_types::{BitRate, LinkId, StreamId, StripeSet};
use std::collections::BTreeSet;
use std::time::Duration;

/// A description of which nothing came for so long, or for the time of so many pictures, while others went on has lost its parent. Where
/// there is little room, relays leave out what nothing refers to, and that is most of it.
const LOST_AFTER: Duration = Duration::from_millis(400);
const LOST_PICTURES: u32 = 12;

/// Into how many parts something is dealt, and which of them a stream has: its stripes, or those of its description.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dealt {
    stripes: u8,
    index: u8,
    of: u8,
}

impl Dealt {
    pub(super) fn of(stream: &InStream) -> Self {
        let (index, of) = stream.description.map_or((0, 1), |d| (d.index() as u8, d.of().count() as u8));
        Self { stripes: stream.announce.parents, index, of }
    }

    #[cfg(test)]
    pub(super) const fn whole(stripes: u8) -> Self {
        Self { stripes, index: 0, of: 1 }
    }

    pub(super) const fn parts(self) -> u8 {
        self.stripes.saturating_mul(self.of)
    }

    /// The part in which a peer feeds others, as far as this stream has it: in one alone, so that it is fed by few itself, and in all others
    /// by who has theirs.
    pub(super) fn home(self, home: u64) -> StripeSet {
        let part = home.checked_rem(self.parts().into()).unwrap_or(0) as u8;
        let (index, stripe) = (part / self.stripes.max(1), part % self.stripes.max(1));
        let mask = if index == self.index { 1 << stripe } else { 0 };
        StripeSet::new(self.stripes, mask).unwrap_or(StripeSet::ALL)
    }
}

/// Where one description could be taken from.
#[derive(Debug, Default, Clone)]
struct Ways {
    carrying: Option<LinkId>,
    /// The best first.
    ready: Vec<LinkId>,
}

/// Which parent is to carry each description: as many different ones as can be, those that do already before others. Nothing for
/// those that there is no parent of their own for.
fn choose(ways: &[Ways]) -> Vec<Option<LinkId>> {
    let mut chosen: Vec<Option<LinkId>> = Vec::with_capacity(ways.len());
    for way in ways {
        let keeps = way.carrying.filter(|link| way.ready.contains(link) && !chosen.contains(&Some(*link)));
        chosen.push(keeps);
    }
    for at in 0..ways.len() {
        if chosen.get(at).is_some_and(Option::is_none) {
            find(ways, &mut chosen, at, &mut BTreeSet::new());
        }
    }
    chosen
}

/// Finds a parent for one description: one that nobody has, or one whose description can have another.
fn find(ways: &[Ways], chosen: &mut [Option<LinkId>], at: usize, tried: &mut BTreeSet<LinkId>) -> bool {
    let Some(way) = ways.get(at) else { return false };
    let holder = |chosen: &[Option<LinkId>], link| chosen.iter().position(|other| *other == Some(link));
    let mut found = way.ready.iter().copied().find(|link| holder(chosen, *link).is_none());
    for link in &way.ready {
        if found.is_some() || !tried.insert(*link) {
            continue;
        }
        let gives_way = holder(chosen, *link).is_some_and(|holder| find(ways, chosen, holder, tried));
        found = gives_way.then_some(*link);
    }
    if let (Some(link), Some(slot)) = (found, chosen.get_mut(at)) {
        *slot = Some(link);
    }
    found.is_some()
}

impl Watcher {
    /// The descriptions that are taken whole from one parent each, in their order.
    fn described(&mut self) -> Vec<&mut InStream> {
        let mut described: Vec<&mut InStream> = self
            .streams
            .values_mut()
            .filter(|stream| stream.description.is_some() && stream.announce.parents == 1)
            .collect();
        described.sort_by_key(|stream| Dealt::of(stream).index);
        described
    }

    /// Takes descriptions that come from one parent from several, if there are.
    pub(super) fn spread(&mut self) {
        let (now, host) = (self.clock.now(), self.host);
        let turn = home_of(self.net.identity().key_id()) as usize;
        let described = self.described();
        if described.len() < 2 {
            return;
        }
        // The host is there for what nobody else carries, and not to be one more of them.
        let ways = |stream: &&mut InStream| {
            let mut ready: Vec<LinkId> = stream.subscription.ready().filter(|link| *link != host).collect();
            // Not everybody takes the same description from the same relay.
            let by = turn.checked_rem(ready.len()).unwrap_or(0);
            ready.rotate_left(by);
            Ways { carrying: stream.subscription.carrying().next().filter(|link| *link != host), ready }
        };
        let ways: Vec<Ways> = described.iter().map(ways).collect();
        for ((stream, way), chosen) in described.into_iter().zip(&ways).zip(choose(&ways)) {
            if let Some(link) = chosen.filter(|link| way.carrying != Some(*link)) {
                stream.subscription.prefer(now, link, whole(1));
            }
        }
    }

    /// Sees which descriptions have lost their parent. Where nothing else of a stream comes the stream itself can't tell that from a pause.
    pub(super) fn look_for_lost(&mut self) {
        let now = self.clock.now();
        let mut described = self.described();
        let newest = described.iter().filter_map(|stream| stream.dues.heard()).max();
        let Some(newest) = newest.filter(|_| described.len() > 1) else { return };
        for stream in &mut described {
            let Media::Video { rate, .. } = stream.announce.media else { continue };
            let long = LOST_AFTER.max(rate.frame_interval() * LOST_PICTURES) / 2;
            let heard = stream.dues.heard().unwrap_or_default().max(stream.assigned_at);
            if newest.since(heard) < long {
                stream.behind_since = None;
            } else if now.since(*stream.behind_since.get_or_insert(now)) >= long {
                stream.behind_since = None;
                stream.assigned_at = now;
                let carrier = stream.subscription.carrying().next();
                if let Some(parent) = carrier {
                    tracing::info!(link = %parent, stream = %stream.id.short(), "nothing comes of a description");
                    stream.subscription.suspect_parent(now, parent);
                }
            }
        }
    }

    /// Of the pictures, or the sound where there are none: a stream, what all take, and in how many parts they are dealt.
    pub(super) fn dealt(&self) -> Option<(StreamId, BitRate, u8)> {
        let first = self.streams.values().max_by_key(|stream| stream.kind == StreamKind::Video)?;
        let alike = self.streams.values().filter(|stream| stream.kind == first.kind);
        Some((first.id, BitRate(alike.map(|stream| stream.rate().0).sum()), Dealt::of(first).parts()))
    }

    /// Links that carry some of the pictures, or of the sound where there are none.
    pub(super) fn carriers(&self) -> BTreeSet<LinkId> {
        let is_video = |stream: &&InStream| stream.kind == StreamKind::Video;
        let has_video = self.streams.values().any(|stream| is_video(&stream));
        let shown = self.streams.values().filter(|stream| is_video(stream) == has_video);
        shown.flat_map(|stream| stream.subscription.carrying()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ways(carrying: Option<u64>, ready: &[u64]) -> Ways {
        Ways { carrying: carrying.map(LinkId), ready: ready.iter().copied().map(LinkId).collect() }
    }

    fn chosen(ways: &[Ways]) -> Vec<Option<u64>> {
        choose(ways).into_iter().map(|link| link.map(|link| link.0)).collect()
    }

    #[test]
    fn each_description_has_a_parent_of_its_own_where_there_are_enough() {
        assert_eq!(chosen(&[ways(Some(1), &[1, 2]), ways(Some(1), &[1, 2])]), [Some(1), Some(2)]);
        assert_eq!(chosen(&[ways(Some(1), &[1]), ways(Some(1), &[1])]), [Some(1), None]);
        // What goes well stays where it is.
        assert_eq!(chosen(&[ways(Some(3), &[1, 2, 3]), ways(Some(2), &[1, 2, 3])]), [Some(3), Some(2)]);
        // One that is not ready any more is left.
        assert_eq!(chosen(&[ways(Some(3), &[1, 2]), ways(Some(2), &[1, 2])]), [Some(1), Some(2)]);
        // The first gives way to one that has no choice.
        assert_eq!(chosen(&[ways(Some(1), &[1, 2]), ways(None, &[1])]), [Some(2), Some(1)]);
    }

    proptest! {
        #[test]
        fn as_many_different_parents_are_chosen_as_can_be(
            sets in prop::collection::vec((prop::option::of(0u64..5), prop::collection::btree_set(0u64..5, 0..5)), 1..5),
        ) {
            let ways: Vec<Ways> = sets.iter()
                .map(|(carrying, ready)| ways(*carrying, &ready.iter().copied().collect::<Vec<_>>()))
                .collect();
            let chosen = chosen(&ways);
            let some: Vec<u64> = chosen.iter().flatten().copied().collect();
            prop_assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), some.len(), "none is chosen twice");
            for (link, (_, ready)) in chosen.iter().zip(&sets) {
                prop_assert!(link.is_none_or(|link| ready.contains(&link)));
            }
            // By trying all.
            fn most(sets: &[(Option<u64>, BTreeSet<u64>)], used: &BTreeSet<u64>) -> usize {
                let Some(((_, ready), rest)) = sets.split_first() else { return 0 };
                let with = ready.difference(used).map(|link| {
                    let mut used = used.clone();
                    used.insert(*link);
                    1 + most(rest, &used)
                });
                with.max().unwrap_or(0).max(most(rest, used))
            }
            prop_assert_eq!(some.len(), most(&sets, &BTreeSet::new()));
        }
    }

    #[test]
    fn who_feeds_others_has_one_part_of_all_descriptions_together() {
        for (stripes, of) in [(1, 2), (1, 4), (2, 2), (4, 1)] {
            for home in 0..64 {
                let parts: Vec<u32> =
                    (0..of).map(|index| Dealt { stripes, index, of }.home(home).len()).collect();
                assert_eq!(parts.iter().sum::<u32>(), 1, "{stripes} {of} {home}: {parts:?}");
            }
        }
    }
}
