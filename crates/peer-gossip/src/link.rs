//! What a link was told and is to be told.

use crate::bucket::Bucket;
use crate::config::{Limits, SENT_AT_ONCE, SENT_EVERY};
use crate::entry::MAX_ENTRIES;
use crate::peer::Said;
use core::time::Duration;
use core_types::{KeyId, MonoTime, WallTime};
use std::collections::{BTreeMap, VecDeque};

/// One link. There is at most one mark and one place in the queue for each peer that is known, so this grows with those alone.
#[derive(Debug)]
pub(crate) struct Link {
    /// What is looked at of what comes.
    pub(crate) incoming: Bucket,
    outgoing: Bucket,
    marks: BTreeMap<KeyId, Mark>,
    /// Of whom there is something to tell: what it is, is found out when it goes out, so the newest takes the place of what waited.
    queue: VecDeque<KeyId>,
    /// Until when it may say nothing, since it has said as much as it may.
    pub(crate) waits_until: Option<MonoTime>,
    /// It is told of some peers alone, and then again of some.
    pub(crate) sampled_at: Option<MonoTime>,
}

/// What the other side has of a peer, told by this side or by that one.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// When the newest card of it was made.
    card: Option<WallTime>,
    /// The highest counter of a claim of it.
    claim: Option<u64>,
    is_queued: bool,
}

impl Mark {
    fn lacks_card(&self, said: &Said) -> bool {
        self.card < Some(said.issued_at)
    }

    fn lacks_claim(&self, said: &Said, now: WallTime) -> bool {
        said.claim.as_ref().is_some_and(|claim| self.claim < Some(claim.counter) && now < claim.valid_until)
    }
}

impl Link {
    pub(crate) fn new(now: MonoTime, limits: &Limits) -> Self {
        let period = Duration::from_secs(1) / limits.entries_per_second.max(1);
        Self {
            incoming: Bucket::new(now, period, limits.burst),
            outgoing: Bucket::new(now, SENT_EVERY, SENT_AT_ONCE),
            marks: BTreeMap::new(),
            queue: VecDeque::new(),
            waits_until: None,
            sampled_at: None,
        }
    }

    /// The other side has this card, since it sent it.
    pub(crate) fn has_card(&mut self, peer: KeyId, issued_at: WallTime) {
        let mark = self.marks.entry(peer).or_default();
        mark.card = mark.card.max(Some(issued_at));
    }

    /// The other side has this claim, since it sent it.
    pub(crate) fn has_claim(&mut self, peer: KeyId, counter: u64) {
        let mark = self.marks.entry(peer).or_default();
        mark.claim = mark.claim.max(Some(counter));
    }

    /// The other side may have dropped the card.
    pub(crate) fn may_lack_card(&mut self, peer: KeyId) {
        if let Some(mark) = self.marks.get_mut(&peer) {
            mark.card = None;
        }
    }

    /// Puts a peer into the queue, if the other side lacks something that was said by it. True if it did.
    pub(crate) fn queue(&mut self, peer: KeyId, said: &Said, now: WallTime) -> bool {
        let mark = self.marks.entry(peer).or_default();
        let lacks = mark.lacks_card(said) || mark.lacks_claim(said, now);
        if lacks && !mark.is_queued {
            mark.is_queued = true;
            self.queue.push_back(peer);
        }
        lacks
    }

    /// Drops all that is known of what the other side has of a peer.
    pub(crate) fn forget(&mut self, peer: KeyId) {
        if self.marks.remove(&peer).is_some_and(|mark| mark.is_queued) {
            self.queue.retain(|queued| *queued != peer);
        }
    }

    /// Makes it wait if there is more to tell, until when it gives. Not for each entry by itself, if more than one waits.
    pub(crate) fn wait(&mut self) -> Option<MonoTime> {
        let wanted = self.queue.len().min(SENT_AT_ONCE as usize / 4) as u32;
        self.waits_until = (wanted > 0).then(|| self.outgoing.due(wanted));
        self.waits_until
    }

    /// The next message; empty when nothing is to be told, or nothing may be told now.
    pub(crate) fn message<'a>(
        &mut self,
        now: (MonoTime, WallTime),
        said_by: impl Fn(KeyId) -> Option<&'a Said>,
    ) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        while let Some(peer) = self.queue.front().copied() {
            let mark = self.marks.entry(peer).or_default();
            if let Some(said) = said_by(peer) {
                // The card first: a claim is worth nothing to who does not have it.
                if mark.lacks_card(said) {
                    if entries.len() == MAX_ENTRIES || !self.outgoing.take(now.0) {
                        break;
                    }
                    mark.card = Some(said.issued_at);
                    entries.push(said.card.to_vec());
                }
                if let Some(claim) = said.claim.as_ref().filter(|_| mark.lacks_claim(said, now.1)) {
                    if entries.len() == MAX_ENTRIES || !self.outgoing.take(now.0) {
                        break;
                    }
                    mark.claim = Some(claim.counter);
                    entries.push(claim.entry.to_vec());
                }
            }
            mark.is_queued = false;
            self.queue.pop_front();
        }
        entries
    }

    #[cfg(test)]
    pub(crate) fn footprint(&self) -> (usize, usize) {
        (self.marks.len(), self.queue.len())
    }
}
