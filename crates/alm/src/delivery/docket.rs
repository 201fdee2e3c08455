//! Who accused whom and when: one entry for each pair, as many as there is room for.

use crate::Error;
use core::time::Duration;
use core_types::{KeyId, MonoTime, WallTime};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) counter: u64,
    pub(super) until: WallTime,
    pub(super) origin: u64,
    /// When it came, by this node's own clock.
    pub(super) at: MonoTime,
}

#[derive(Debug)]
pub(super) struct Docket {
    capacity: usize,
    /// By accused, then observer.
    entries: BTreeMap<(KeyId, KeyId), Entry>,
    /// Observer, then accused.
    by_observer: BTreeSet<(KeyId, KeyId)>,
    /// Oldest first; then accused, observer.
    by_time: BTreeSet<(MonoTime, KeyId, KeyId)>,
    /// Entries of each origin.
    by_origin: BTreeMap<u64, usize>,
}

const FIRST: KeyId = KeyId([0; 32]);
const LAST: KeyId = KeyId([0xff; 32]);

impl Docket {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: BTreeMap::new(),
            by_observer: BTreeSet::new(),
            by_time: BTreeSet::new(),
            by_origin: BTreeMap::new(),
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entry(&self, accused: KeyId, observer: KeyId) -> Option<&Entry> {
        self.entries.get(&(accused, observer))
    }

    /// All that is said against somebody.
    pub(super) fn against(&self, accused: KeyId) -> impl Iterator<Item = (KeyId, &Entry)> {
        self.entries
            .range((accused, FIRST)..=(accused, LAST))
            .map(|((_, observer), entry)| (*observer, entry))
    }

    /// All that somebody says.
    pub(super) fn by(&self, observer: KeyId) -> impl Iterator<Item = (KeyId, &Entry)> {
        self.by_observer
            .range((observer, FIRST)..=(observer, LAST))
            .filter_map(move |(_, accused)| Some((*accused, self.entry(*accused, observer)?)))
    }

    /// Forgets what came so long before `now`.
    pub(super) fn expire(&mut self, now: MonoTime, keep: Duration) {
        while let Some((at, accused, observer)) = self.by_time.first().copied() {
            if now.since(at) < keep {
                return;
            }
            self.remove(accused, observer);
        }
    }

    /// Puts an entry in the place of an older one of the pair. When it is full, the origin that has most gives way to one
    /// that has less: many identities in one place crowd out nobody but one another.
    pub(super) fn insert(&mut self, accused: KeyId, observer: KeyId, entry: Entry) -> Result<(), Error> {
        if self.entry(accused, observer).is_none() && self.len() >= self.capacity {
            let full = Error::Limit { what: "delivery evidence", max: self.capacity };
            let own = self.by_origin.get(&entry.origin).copied().unwrap_or(0);
            let Some((busiest, most)) = self.by_origin.iter().max_by_key(|(_, count)| **count) else {
                return Err(full);
            };
            if *most <= own + 1 {
                return Err(full);
            }
            let is_of_busiest = |(_, accused, observer): &&(MonoTime, KeyId, KeyId)| {
                self.entry(*accused, *observer).is_some_and(|old| old.origin == *busiest)
            };
            let Some((_, accused, observer)) = self.by_time.iter().find(is_of_busiest).copied() else {
                return Err(full);
            };
            self.remove(accused, observer);
        }
        self.remove(accused, observer);
        self.entries.insert((accused, observer), entry);
        self.by_observer.insert((observer, accused));
        self.by_time.insert((entry.at, accused, observer));
        *self.by_origin.entry(entry.origin).or_default() += 1;
        Ok(())
    }

    fn remove(&mut self, accused: KeyId, observer: KeyId) {
        let Some(entry) = self.entries.remove(&(accused, observer)) else { return };
        self.by_observer.remove(&(observer, accused));
        self.by_time.remove(&(entry.at, accused, observer));
        if let Some(count) = self.by_origin.get_mut(&entry.origin) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_origin.remove(&entry.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_indexes_say_the_same_whatever_comes_and_goes(
            list in prop::collection::vec((0_u8..5, 0_u8..5, 0_u64..4, 0_u64..30), 0..100),
            capacity in 1_usize..12,
        ) {
            let mut docket = Docket::new(capacity);
            let mut now = 0;
            for (accused, observer, origin, after) in list {
                now += after;
                docket.expire(MonoTime(now), Duration::from_micros(100));
                let entry = Entry { counter: now, until: WallTime(now), origin, at: MonoTime(now) };
                let _ = docket.insert(KeyId([accused; 32]), KeyId([observer; 32]), entry);
                prop_assert!(docket.len() <= capacity);
                prop_assert_eq!(docket.by_observer.len(), docket.len());
                prop_assert_eq!(docket.by_time.len(), docket.len());
                prop_assert_eq!(docket.by_origin.values().sum::<usize>(), docket.len());
                prop_assert!(docket.by_origin.values().all(|count| *count > 0));
                for ((accused, observer), entry) in &docket.entries {
                    prop_assert!(docket.by_observer.contains(&(*observer, *accused)));
                    prop_assert!(docket.by_time.contains(&(entry.at, *accused, *observer)));
                    prop_assert!(now - entry.at.0 < 100);
                }
            }
        }
    }
}
