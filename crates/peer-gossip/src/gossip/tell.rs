//! What goes out: to whom, and when (spec 53 section 4).

use super::Gossip;
use crate::link::Link;
use crate::peer::{Peer, Said};
use core_types::{KeyId, LinkId};
use std::collections::BTreeMap;

impl Gossip {
    /// The next message, and the link that it is for: at most [`MAX_ENTRIES`](crate::MAX_ENTRIES), each at most
    /// [`MAX_ENTRY_LEN`](crate::MAX_ENTRY_LEN) bytes. `None`: nothing is to be told at the time that was said last.
    pub fn poll_message(&mut self) -> Option<(LinkId, Vec<Vec<u8>>)> {
        let (me, clock) = (self.config.me, (self.now, self.wall));
        while let Some(id) = self.ready.first().copied() {
            let entries = self.links.get_mut(&id).map_or_else(Vec::new, |link| {
                link.message(clock, |key| said_by(key, me, self.own.as_ref(), &self.peers))
            });
            if !entries.is_empty() {
                // It stays ready: there may be more. What goes out is counted, so this ends.
                self.stats.sent += entries.len() as u64;
                return Some((id, entries));
            }
            self.ready.remove(&id);
            if let Some(due) = self.links.get_mut(&id).and_then(Link::wait) {
                self.waiting.insert((due, id));
            }
        }
        None
    }

    /// Puts what was said by that peer, or by this node, into the queue of each link that is told of all and lacks it.
    pub(super) fn tell(&mut self, key: KeyId) {
        let whole = self.links.iter().filter(|(_, link)| link.sampled_at.is_none());
        let ids: Vec<LinkId> = whole.map(|(id, _)| *id).collect();
        for id in ids {
            self.tell_one(id, key);
        }
    }

    pub(super) fn tell_one(&mut self, id: LinkId, key: KeyId) {
        let said = said_by(key, self.config.me, self.own.as_ref(), &self.peers);
        let (Some(said), Some(link)) = (said, self.links.get_mut(&id)) else { return };
        if link.queue(key, said, self.wall) && link.waits_until.is_none() {
            self.ready.insert(id);
        }
    }

    /// What a new link is told, and a sampled one again: of this node first, then of others that are good now, as they are drawn.
    pub(super) fn greet(&mut self, id: LinkId) {
        let others: Vec<KeyId> = self.peers(self.wall).map(|peer| peer.key).collect();
        let own = self.own.is_some().then_some(self.config.me);
        let places = self.config.limits.greeting.saturating_sub(usize::from(own.is_some()));
        let drawn = self.draw.some(others, places);
        for key in own.into_iter().chain(drawn) {
            self.tell_one(id, key);
        }
    }
}

fn said_by<'a>(
    key: KeyId,
    me: KeyId,
    own: Option<&'a Said>,
    peers: &'a BTreeMap<KeyId, Peer>,
) -> Option<&'a Said> {
    if key == me { own } else { peers.get(&key).map(|peer| &peer.said) }
}
