//! What goes out: which link is served next, and what it gets.

use super::Relay;
use crate::link::Link;
use crate::ring::Ring;
use crate::serve::{Pick, Rules, Take, serve};
use crate::stats::{Stats, Tally};
use crate::stream::StreamState;
use crate::subscription::{NONE, Subscription};
use av_wire::{KeptChunk, SealedChunk};
use bytes::Bytes;
use core::time::Duration;
use core_types::{LinkId, MonoTime};

/// A link over its quota is not looked at again before: many small bursts cost more than a few larger ones.
const QUOTA_PAUSE: Duration = Duration::from_millis(2);

/// Chunks for one link, lent by the relay: to be sealed and sent at once and in order. What is not sent is lost.
#[derive(Debug)]
pub struct Burst<'a> {
    streams: &'a [Option<StreamState>],
    picks: &'a [Pick],
    bytes: u64,
    rest: Rest,
}

/// What is left for a link after a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// Something that the budget had no room for: the link is not ready before [`Relay::resume`].
    Budget,
    /// Something that would have been more chunks than were asked for: the link is ready again at once.
    Count,
    /// Something that a quota holds back: the link is ready again when [`Relay::handle_timeout`] was called then.
    Quota(MonoTime),
}

impl<'a> Burst<'a> {
    /// Chunks in it.
    pub const fn len(&self) -> usize {
        self.picks.len()
    }

    /// True if there are none.
    pub const fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }

    /// Bytes of its chunks.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is left for the link.
    pub const fn rest(&self) -> Rest {
        self.rest
    }

    /// The chunks, as a link's sender wants them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = SealedChunk<'a>> + use<'a> {
        self.kept().map(KeptChunk::as_chunk)
    }

    /// The chunks as they are kept: for a transport that wants their bytes for itself, which it gets without a copy.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = &'a KeptChunk<Bytes>> + use<'a> {
        let streams = self.streams;
        Kept { streams, picks: self.picks.iter() }
    }
}

struct Kept<'a> {
    streams: &'a [Option<StreamState>],
    picks: core::slice::Iter<'a, Pick>,
}

impl<'a> Iterator for Kept<'a> {
    type Item = &'a KeptChunk<Bytes>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let pick = self.picks.next()?;
        self.streams.get(pick.stream as usize)?.as_ref()?.ring.chunk(pick.index)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.picks.size_hint()
    }
}

impl ExactSizeIterator for Kept<'_> {}

impl Relay {
    /// A link that has something to be sent and may be served: to be [pulled](Self::pull). In order of the links' slots, round
    /// and round.
    pub fn poll_ready(&mut self) -> Option<LinkId> {
        let Some(slot) = self.ready.next_from(self.scan).or_else(|| self.ready.next_from(0)) else {
            self.scan = 0;
            return None;
        };
        self.ready.clear(slot);
        self.scan = slot + 1;
        self.recent = (self.links[slot as usize].id, slot);
        Some(self.recent.0)
    }

    /// A link has room again: it is ready if something waits for it.
    pub fn resume(&mut self, link: LinkId) {
        let Some(slot) = self.slot_of(link) else { return };
        self.blocked.clear(slot);
        self.mark_if_pending(slot);
    }

    /// Takes what waits for a link, as far as it fits `budget_bytes` of chunks and `max_chunks`: chunks asked for again before
    /// others of their stream, sound and other small streams before pictures, those in the order in which they came.
    ///
    /// What counts is the chunks' own length. A hop header is shorter than the chunk header that it stands for, and makes up
    /// for the second seal, but for the datagrams that say the whole header.
    pub fn pull(&mut self, now: MonoTime, link: LinkId, budget_bytes: usize, max_chunks: usize) -> Burst<'_> {
        self.tick(now);
        self.picks.clear();
        let (bytes, rest) = match self.slot_of(link) {
            Some(slot) => self.fill(now, slot, budget_bytes as u64, max_chunks as u64),
            None => (0, Rest::Nothing),
        };
        Burst { streams: &self.streams, picks: &self.picks, bytes, rest }
    }

    fn fill(&mut self, now: MonoTime, slot: u32, budget: u64, max: u64) -> (u64, Rest) {
        for set in [&mut self.ready, &mut self.blocked, &mut self.throttled] {
            set.clear(slot);
        }
        let link = &mut self.links[slot as usize];
        let owner = &mut self.identities[link.identity as usize];
        let limited = link.out.is_limited() || owner.out.is_limited();
        let (mut bytes, mut chunks) = (budget, max);
        if limited {
            for (by_bytes, by_chunks) in [link.out.room(now), owner.out.room(now)] {
                (bytes, chunks) = (bytes.min(by_bytes), chunks.min(by_chunks));
            }
        }
        let take = Take {
            now,
            bytes_left: bytes,
            chunks_left: chunks,
            share: link.share,
            picks: &mut self.picks,
            lanes: &mut self.lanes,
            tally: Tally::default(),
            want_key: false,
            no_room_for: 0,
        };
        let mut round = Round {
            rules: &self.rules,
            streams: &mut self.streams,
            link,
            stats: &mut self.stats,
            noticed: &mut self.noticed,
            take,
        };
        let done = round.serve_all(&mut self.subscriptions);
        let (bytes_left, chunks_left, next) =
            (round.take.bytes_left, round.take.chunks_left, u64::from(round.take.no_room_for));
        if limited {
            link.out.spend(bytes - bytes_left, chunks - chunks_left);
            owner.out.spend(bytes - bytes_left, chunks - chunks_left);
        }
        let rest = if done {
            Rest::Nothing
        } else {
            // Who wants no chunk at all is not ready again at once.
            let by_count = chunks_left == 0 && max > 0;
            let by_quota = if by_count { chunks < max } else { bytes < budget };
            self.hold(now, slot, next, by_count, by_quota)
        };
        while let Some((at, wants_key)) = self.noticed.pop() {
            self.report_layer(at);
            if wants_key {
                self.want_key_frame(now, at);
            }
        }
        (bytes - bytes_left, rest)
    }

    /// Notes why a link did not get everything, with a chunk of `next` bytes to come.
    fn hold(&mut self, now: MonoTime, slot: u32, next: u64, by_count: bool, by_quota: bool) -> Rest {
        if !by_quota && by_count {
            self.ready.set(slot);
            return Rest::Count;
        }
        if !by_quota {
            self.blocked.set(slot);
            return Rest::Budget;
        }
        let link = &mut self.links[slot as usize];
        let owner = &mut self.identities[link.identity as usize];
        let over = link.out.obstacle(now, next).or_else(|| owner.out.obstacle(now, next));
        let ready_at = link.out.ready_at(next).zip(owner.out.ready_at(next)).map(|(a, b)| a.max(b));
        let wake_at = ready_at.map_or(MonoTime(u64::MAX), |at| at.max(now.plus(QUOTA_PAUSE)));
        link.wake_at = wake_at;
        self.throttled.set(slot);
        self.arm(wake_at);
        if let Some((obstacle, limit)) = over {
            self.over_quota(now, slot, None, obstacle.outgoing(), limit);
        }
        Rest::Quota(wake_at)
    }

    /// A link is ready if something waits for it, and it was not found to have no room.
    pub(super) fn mark_if_pending(&mut self, link: u32) {
        let pending = self.subscriptions_of(link).any(|at| {
            let sub = &self.subscriptions[at as usize];
            let head =
                self.streams.get(sub.stream as usize).and_then(Option::as_ref).map_or(0, |s| s.ring.head());
            sub.cursor < head || !sub.again.is_empty()
        });
        if pending && !self.blocked.has(link) && !self.throttled.has(link) {
            self.ready.set(link);
        }
    }
}

/// One link's turn.
struct Round<'a> {
    rules: &'a Rules,
    streams: &'a mut [Option<StreamState>],
    link: &'a mut Link,
    stats: &'a mut Stats,
    /// Subscriptions about which something is to be said afterwards; true if one needs a key frame.
    noticed: &'a mut Vec<(u32, bool)>,
    take: Take<'a>,
}

impl Round<'_> {
    /// False if room ran out.
    fn serve_all(&mut self, subscriptions: &mut [Subscription]) -> bool {
        let mut at = self.link.first;
        while let Some(sub) = subscriptions.get_mut(at as usize).filter(|sub| sub.first_class) {
            if !self.serve(at, sub, u64::MAX) {
                return false;
            }
            at = sub.next;
        }
        let others = at;
        while let Some(sub) = subscriptions.get_mut(at as usize) {
            if !sub.again.is_empty() && !self.serve(at, sub, 0) {
                return false;
            }
            at = sub.next;
        }
        loop {
            // Whose next chunk came first, and when the next chunk of another one came.
            let (mut first, mut until) = ((NONE, u64::MAX), u64::MAX);
            at = others;
            while let Some(sub) = subscriptions.get(at as usize) {
                if let Some(order) = self.next_order(sub) {
                    if order < first.1 {
                        until = first.1;
                        first = (at, order);
                    } else {
                        until = until.min(order);
                    }
                }
                at = sub.next;
            }
            let Some(sub) = subscriptions.get_mut(first.0 as usize) else { return true };
            if !self.serve(first.0, sub, until) {
                return false;
            }
            if until == u64::MAX {
                return true;
            }
        }
    }

    fn next_order(&self, sub: &Subscription) -> Option<u64> {
        let ring = &self.streams.get(sub.stream as usize)?.as_ref()?.ring;
        Some(ring.meta(sub.cursor.max(ring.first()))?.order)
    }

    /// Serves one subscription up to the chunk that came at `until`. False if room ran out.
    fn serve(&mut self, at: u32, sub: &mut Subscription, until: u64) -> bool {
        let Some(state) = self.streams.get_mut(sub.stream as usize).and_then(Option::as_mut) else {
            return true;
        };
        let take = &mut self.take;
        let again = sub.again.is_empty() || send_again(sub, &state.ring, take);
        let room = again && serve(sub, &state.ring, &state.layers, self.rules, until, take);
        let tally = core::mem::take(&mut take.tally);
        state.stats.add(&tally);
        self.link.stats.add(&tally);
        self.stats.add(&tally);
        let wants_key = core::mem::take(&mut take.want_key) && sub.have == 0;
        if wants_key || sub.effective(&state.layers) != sub.told {
            self.noticed.push((at, wants_key));
        }
        room
    }
}

/// Sends what was asked for again, as far as it is still kept. False if room ran out.
#[cold]
fn send_again(sub: &mut Subscription, ring: &Ring, take: &mut Take<'_>) -> bool {
    take.tally.rare = true;
    let mut done = 0;
    for index in &sub.again {
        match ring.meta(*index) {
            Some(meta) if !take.pick(sub.stream, *index, meta.len) => break,
            Some(_) => take.tally.repaired += 1,
            None => take.tally.repair_misses += 1,
        }
        done += 1;
    }
    sub.again.drain(..done);
    sub.again.is_empty()
}
