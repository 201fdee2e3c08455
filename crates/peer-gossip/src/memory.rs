//! What is remembered of peers that are not known, or not wanted: bounded, and by time.

use core_types::KeyId;
use std::collections::BTreeMap;

/// Something about at most `most` peers, each until a time of its own. When it is full, what ends first leaves.
#[derive(Debug)]
pub(crate) struct Memory<Time, T> {
    most: usize,
    kept: BTreeMap<KeyId, (Time, T)>,
}

impl<Time: Ord + Copy, T> Memory<Time, T> {
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, kept: BTreeMap::new() }
    }

    /// Keeps it until then. What was kept of that peer is replaced.
    pub(crate) fn keep(&mut self, peer: KeyId, until: Time, what: T) {
        if !self.kept.contains_key(&peer) && self.kept.len() >= self.most {
            let first = self.kept.iter().map(|(peer, (until, _))| (*until, *peer)).min();
            if let Some((_, first)) = first {
                self.kept.remove(&first);
            }
        }
        if self.most > 0 {
            self.kept.insert(peer, (until, what));
        }
    }

    /// What is kept of that peer, if its time is not over.
    pub(crate) fn get(&self, now: Time, peer: KeyId) -> Option<&T> {
        self.kept.get(&peer).filter(|(until, _)| now < *until).map(|(_, what)| what)
    }

    /// Takes out what is kept of that peer.
    pub(crate) fn take(&mut self, peer: KeyId) -> Option<T> {
        self.kept.remove(&peer).map(|(_, what)| what)
    }

    /// Drops what is over.
    pub(crate) fn expire(&mut self, now: Time) {
        self.kept.retain(|_, (until, _)| now < *until);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_first_leaves_and_what_is_over_is_not_given_out() {
        let peer = |n| KeyId([n; 32]);
        let mut memory = Memory::new(2);
        memory.keep(peer(1), 30, 'a');
        memory.keep(peer(2), 20, 'b');
        memory.keep(peer(1), 25, 'c');
        assert_eq!((memory.get(24, peer(1)), memory.get(25, peer(1))), (Some(&'c'), None));
        memory.keep(peer(3), 10, 'd');
        assert_eq!((memory.get(0, peer(2)), memory.get(0, peer(3)), memory.len()), (None, Some(&'d'), 2));
        memory.expire(10);
        assert_eq!(memory.len(), 1);
        assert_eq!((memory.take(peer(1)), memory.take(peer(1))), (Some('c'), None));
        assert!(memory.is_empty());
        let mut none = Memory::new(0);
        none.keep(peer(1), 9, ());
        assert!(none.is_empty());
    }
}
