//! The relay's state machine: what it holds, and what can be asked of it.

mod ingest;
mod keyframes;
mod links;
mod permits;
mod pull;
mod repair;
mod subscribe;
mod timers;

pub use pull::{Burst, Rest};

use crate::bits::Bits;
use crate::link::{Identity, Link};
use crate::serve::{Lanes, Pick, Rules};
use crate::stats::Stats;
use crate::stream::StreamState;
use crate::subscription::{NONE, Subscription};
use crate::{Error, Event, Limits, Measure, Upstream};
use av_wire::Dedup;
use core::time::Duration;
use core_types::{KeyId, Layer, LinkId, MonoTime, StreamId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Events that wait for the driver; older ones are dropped, and counted.
const EVENTS_KEPT: usize = 16_384;
/// A link is told at most once in this time that it is over a quota.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// A relay. See the crate's front page for what is called when.
#[derive(Debug)]
pub struct Relay {
    limits: Limits,
    rules: Rules,
    /// By slot; a slot that is free has no entry in `link_slots`.
    links: Vec<Link>,
    link_slots: BTreeMap<LinkId, u32>,
    free_links: Vec<u32>,
    identities: Vec<Identity>,
    identity_slots: BTreeMap<KeyId, u32>,
    free_identities: Vec<u32>,
    /// Quotas of identities that were given one of their own.
    identity_quotas: BTreeMap<KeyId, crate::Quota>,
    streams: Vec<Option<StreamState>>,
    stream_slots: BTreeMap<StreamId, u32>,
    free_streams: Vec<u32>,
    subscriptions: Vec<Subscription>,
    free_subscriptions: Vec<u32>,
    dedup: Dedup,
    /// Links that have something to be sent and may be served; that have, and had no room; that wait for a quota.
    ready: Bits,
    blocked: Bits,
    throttled: Bits,
    /// Where the next ready link is looked for.
    scan: u32,
    /// The link that was ready last, which is most likely the one that is served next.
    recent: (LinkId, u32),
    /// The stream of the last chunk that came.
    recent_stream: u32,
    picks: Vec<Pick>,
    lanes: Lanes,
    /// Subscriptions about which something is to be said when a pull is over.
    noticed: Vec<(u32, bool)>,
    /// Chunks taken so far.
    order: u64,
    events: VecDeque<Event>,
    upstream: VecDeque<Upstream>,
    /// When permissions end, and whose.
    expiries: BTreeSet<(MonoTime, u32)>,
    /// Nothing is due before then.
    deadline: MonoTime,
    stats: Stats,
}

impl Relay {
    /// A relay that carries nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            rules: Rules::new(&limits),
            links: Vec::new(),
            link_slots: BTreeMap::new(),
            free_links: Vec::new(),
            identities: Vec::new(),
            identity_slots: BTreeMap::new(),
            free_identities: Vec::new(),
            identity_quotas: BTreeMap::new(),
            streams: Vec::new(),
            stream_slots: BTreeMap::new(),
            free_streams: Vec::new(),
            subscriptions: Vec::new(),
            free_subscriptions: Vec::new(),
            dedup: Dedup::new(limits.streams),
            ready: Bits::default(),
            blocked: Bits::default(),
            throttled: Bits::default(),
            scan: 0,
            recent: (LinkId(u64::MAX), NONE),
            recent_stream: NONE,
            picks: Vec::new(),
            lanes: Lanes::new(),
            noticed: Vec::new(),
            order: 0,
            events: VecDeque::new(),
            upstream: VecDeque::new(),
            expiries: BTreeSet::new(),
            deadline: MonoTime(u64::MAX),
            stats: Stats::default(),
        }
    }

    /// The limits that it was made with.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Something that the driver or a peer should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Something to be said upstream.
    pub fn poll_upstream(&mut self) -> Option<Upstream> {
        self.upstream.pop_front()
    }

    /// The counters of the whole relay.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// The counters of a link.
    pub fn link_stats(&self, link: LinkId) -> Option<Stats> {
        self.link_slots.get(&link).map(|slot| self.links[*slot as usize].stats)
    }

    /// The counters of a stream.
    pub fn stream_stats(&self, stream: StreamId) -> Option<Stats> {
        self.stream(stream).map(|(_, state)| state.stats)
    }

    /// The streams carried, in order of their ids.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.stream_slots.keys().copied()
    }

    /// The links that are known, in order of their ids.
    pub fn links(&self) -> impl Iterator<Item = LinkId> {
        self.link_slots.keys().copied()
    }

    /// Links that are subscribed to a stream.
    pub fn subscribers(&self, stream: StreamId) -> usize {
        self.stream(stream).map_or(0, |(_, state)| state.members.len())
    }

    /// True if the link feeds the stream.
    pub fn is_upstream(&self, stream: StreamId, link: LinkId) -> bool {
        let slot = self.link_slots.get(&link);
        let state = self.stream(stream);
        slot.zip(state).is_some_and(|(slot, (_, state))| state.upstreams.contains(slot))
    }

    /// The links that feed a stream, in the order in which they were added: whom to ask for a key frame.
    pub fn upstreams(&self, stream: StreamId) -> impl Iterator<Item = LinkId> {
        let feeders = self.stream(stream).map(|(_, state)| state.upstreams.as_slice()).unwrap_or_default();
        feeders.iter().map(|slot| self.links[*slot as usize].id)
    }

    /// Bytes of chunks kept of a stream.
    pub fn stream_ring_bytes(&self, stream: StreamId) -> usize {
        self.stream(stream).map_or(0, |(_, state)| state.ring.bytes())
    }

    /// Bytes of recent chunks that are kept, over all streams.
    pub fn ring_bytes(&self) -> usize {
        self.streams.iter().flatten().map(|state| state.ring.bytes()).sum()
    }

    /// Bytes that wait for a link by its policies and stripes, and some of which may be shed before they are sent. Looks at
    /// every chunk that waits.
    pub fn backlog_bytes(&self, link: LinkId) -> u64 {
        let Some(slot) = self.link_slots.get(&link) else { return 0 };
        let mut lanes = Lanes::new();
        let waiting = self.subscriptions_of(*slot).filter_map(|at| {
            let sub = &self.subscriptions[at as usize];
            let state = self.streams.get(sub.stream as usize)?.as_ref()?;
            lanes.fill(sub, state.layers.admitted(sub.policy), &state.ring, &state.layers);
            Some(lanes.total())
        });
        waiting.sum()
    }

    /// The highest layer that a subscriber gets of what is there: by spatial, then quality, then temporal layer. `None` if it
    /// is not subscribed or gets no stripes, waits for a key frame, or nothing has come yet.
    pub fn effective_layer(&self, link: LinkId, stream: StreamId) -> Option<Layer> {
        let slot = *self.link_slots.get(&link)?;
        let (stream, state) = self.stream(stream)?;
        let sub = &self.subscriptions[self.find_subscription(slot, stream)? as usize];
        if sub.stripes.is_empty() { None } else { state.layers.top(sub.effective(&state.layers)) }
    }

    fn stream(&self, id: StreamId) -> Option<(u32, &StreamState)> {
        let slot = *self.stream_slots.get(&id)?;
        Some((slot, self.streams.get(slot as usize)?.as_ref()?))
    }

    fn stream_mut(&mut self, id: StreamId) -> Option<(u32, &mut StreamState)> {
        let slot = *self.stream_slots.get(&id)?;
        Some((slot, self.streams.get_mut(slot as usize)?.as_mut()?))
    }

    #[inline]
    fn slot_of(&self, link: LinkId) -> Option<u32> {
        if self.recent.0 == link && self.recent.1 != NONE {
            return Some(self.recent.1);
        }
        self.link_slots.get(&link).copied()
    }

    fn known(&self, link: LinkId) -> Result<u32, Error> {
        self.slot_of(link).ok_or(Error::UnknownLink(link))
    }

    /// Slots of a link's subscriptions, in the order in which they are served.
    fn subscriptions_of(&self, link: u32) -> impl Iterator<Item = u32> {
        let mut next = self.links[link as usize].first;
        core::iter::from_fn(move || {
            let at = next;
            next = self.subscriptions.get(at as usize)?.next;
            Some(at)
        })
    }

    fn find_subscription(&self, link: u32, stream: u32) -> Option<u32> {
        self.subscriptions_of(link).find(|at| self.subscriptions[*at as usize].stream == stream)
    }

    /// Counts something for the relay, and for the link and the stream that it is about.
    fn count(&mut self, link: Option<u32>, stream: Option<u32>, what: impl Fn(&mut Stats)) {
        what(&mut self.stats);
        if let Some(link) = link.and_then(|slot| self.links.get_mut(slot as usize)) {
            what(&mut link.stats);
        }
        if let Some(state) = stream.and_then(|slot| self.streams.get_mut(slot as usize)?.as_mut()) {
            what(&mut state.stats);
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() >= EVENTS_KEPT {
            self.events.pop_front();
            self.stats.events_lost += 1;
        }
        self.events.push_back(event);
    }

    /// Counts that a link is over a quota, and says so, unless it was said a moment ago.
    #[cold]
    fn over_quota(&mut self, now: MonoTime, link: u32, stream: Option<u32>, what: Measure, limit: u64) {
        self.count(Some(link), stream, |stats| stats.quota_hits += 1);
        let state = &mut self.links[link as usize];
        if state.told_at.is_none_or(|at| now.since(at) >= TOLD_EVERY) {
            state.told_at = Some(now);
            let link = state.id;
            let stream = stream.and_then(|slot| Some(self.streams.get(slot as usize)?.as_ref()?.id));
            self.tell(Event::OverQuota { link, stream, what, limit });
        }
    }

    fn arm(&mut self, at: MonoTime) {
        self.deadline = self.deadline.min(at);
    }
}
