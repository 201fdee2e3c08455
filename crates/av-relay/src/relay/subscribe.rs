//! Subscriptions: who gets what.

use super::Relay;
use crate::subscription::{NONE, Subscription};
use crate::{Ended, Error, Event, Measure, StartAt};
use core_types::{LayerPolicy, LinkId, MonoTime, StreamId, StripeSet};

impl Relay {
    /// Subscribes `link`, or changes the policy and stripes of the subscription that it has, which keeps its place: `start`
    /// counts for a new one alone. A lower cap takes effect with the next object, a higher one with the next object of that
    /// layer that can be decoded with what the subscriber has.
    ///
    /// # Errors
    /// [`Error::UnknownLink`], [`Error::UnknownStream`], [`Error::NotPermitted`], [`Error::Full`], [`Error::OverQuota`].
    pub fn subscribe(
        &mut self,
        now: MonoTime,
        link: LinkId,
        stream: StreamId,
        policy: LayerPolicy,
        stripes: StripeSet,
        start: StartAt,
    ) -> Result<(), Error> {
        self.tick(now);
        let slot = self.known(link)?;
        let (at, _) = self.stream(stream).ok_or(Error::UnknownStream(stream))?;
        self.check_permission(now, slot, stream)?;
        if let Some(known) = self.find_subscription(slot, at) {
            let Some(state) = self.streams[at as usize].as_ref() else {
                return Err(Error::UnknownStream(stream));
            };
            let sub = &mut self.subscriptions[known as usize];
            sub.set_policy(policy, &state.layers);
            sub.stripes = stripes;
            self.report_layer(known);
            return Ok(());
        }
        self.check_room(slot, at)?;
        let sub = self.new_subscription(slot, at, policy, stripes);
        self.start(now, sub, start);
        self.mark_if_pending(slot);
        Ok(())
    }

    /// Ends a subscription; unknown ones are ignored.
    pub fn unsubscribe(&mut self, link: LinkId, stream: StreamId) {
        let slots = self.slot_of(link).zip(self.stream_slots.get(&stream).copied());
        if let Some((link, stream)) = slots {
            self.end_subscription(link, stream, None);
        }
    }

    /// Streams that a link is subscribed to, those of which it gets no stripes included.
    pub fn subscriptions(&self, link: LinkId) -> usize {
        self.link_slots.get(&link).map_or(0, |slot| self.links[*slot as usize].subscriptions as usize)
    }

    /// Bounds and quotas for one more subscription.
    fn check_room(&mut self, link: u32, stream: u32) -> Result<(), Error> {
        let (id, limits) = (self.links[link as usize].id, &self.limits);
        let Some(state) = self.streams[stream as usize].as_ref() else { return Ok(()) };
        let held = state.members.len();
        if held >= limits.subscribers_per_stream {
            return Err(Error::Full {
                what: "subscribers of that stream",
                limit: limits.subscribers_per_stream,
            });
        }
        let (owner, own) =
            (&self.identities[self.links[link as usize].identity as usize], &self.links[link as usize]);
        let quotas = [
            (held, state.carriage.quota.subscribers, Measure::Subscribers),
            (own.subscriptions as usize, own.quota.streams, Measure::Streams),
            (owner.subscriptions, owner.quota.streams, Measure::Streams),
        ];
        let over = quotas.into_iter().find(|(held, limit, _)| held >= limit);
        if let Some((_, limit, what)) = over {
            self.count(Some(link), Some(stream), |stats| stats.quota_hits += 1);
            return Err(Error::OverQuota { link: id, what, limit });
        }
        Ok(())
    }

    fn new_subscription(&mut self, link: u32, stream: u32, policy: LayerPolicy, stripes: StripeSet) -> u32 {
        let mut new = Subscription::new(link, stream, policy, stripes);
        if let Some(state) = self.streams[stream as usize].as_mut() {
            state.members.set(link);
            new.first_class = state.is_alone();
            new.learn_layers(&state.layers);
        }
        let first_class = new.first_class;
        let at = match self.free_subscriptions.pop() {
            Some(at) => {
                self.subscriptions[at as usize] = new;
                at
            }
            None => {
                self.subscriptions.push(new);
                (self.subscriptions.len() - 1) as u32
            }
        };
        // Behind the last one of its class.
        let is_before = |other: &u32| !first_class || self.subscriptions[*other as usize].first_class;
        let last = self.subscriptions_of(link).take_while(is_before).last();
        let next = match last {
            Some(last) => &mut self.subscriptions[last as usize].next,
            None => &mut self.links[link as usize].first,
        };
        let after = core::mem::replace(next, at);
        self.subscriptions[at as usize].next = after;
        self.links[link as usize].subscriptions += 1;
        let owner = self.links[link as usize].identity;
        self.identities[owner as usize].subscriptions += 1;
        at
    }

    /// Puts a new subscription at its place in the ring.
    fn start(&mut self, now: MonoTime, at: u32, start: StartAt) {
        let sub = &mut self.subscriptions[at as usize];
        let stream = sub.stream;
        let Some(state) = self.streams[stream as usize].as_mut() else { return };
        let head = state.ring.head();
        let whole = state.keys.last.filter(|key| key.index >= state.ring.first());
        let newest =
            head.checked_sub(1).and_then(|last| state.ring.chunk(last)).map(|chunk| chunk.header().epoch);
        let live = match start {
            StartAt::KeyFrameGroup => false,
            // Of what comes before that epoch it could open nothing, and the epoch begins with a key frame.
            StartAt::Kept { from } if newest.is_some_and(|epoch| epoch < from) && !sub.first_class => {
                return sub.start_anew(head);
            }
            StartAt::Kept { from } => whole.is_none_or(|key| key.epoch < from),
            StartAt::Live => true,
        };
        if live || sub.first_class {
            return sub.start_live(head);
        }
        let link = sub.link;
        if let Some(key) = whole {
            sub.start_anew(key.index);
            sub.live_from = head;
            self.count(Some(link), Some(stream), |stats| stats.late_joins += 1);
            return;
        }
        sub.start_anew(head);
        if head == 0 {
            // Nothing has come yet: a stream begins with a key frame, however long that takes. If it is the relay that comes late,
            // the first chunk shows it, and it is asked for then.
            state.keys.ask_at.get_or_insert(MonoTime(u64::MAX));
            return;
        }
        self.count(Some(link), Some(stream), |stats| stats.late_waits += 1);
        self.want_key_frame(now, at);
    }

    /// Ends a subscription, and says why if the subscriber does not know.
    pub(super) fn end_subscription(&mut self, link: u32, stream: u32, why: Option<Ended>) {
        let Some(at) = self.find_subscription(link, stream) else { return };
        let next = self.subscriptions[at as usize].next;
        let before = self.subscriptions_of(link).find(|other| self.subscriptions[*other as usize].next == at);
        match before {
            Some(before) => self.subscriptions[before as usize].next = next,
            None => self.links[link as usize].first = next,
        }
        let gone = &mut self.subscriptions[at as usize];
        (gone.next, gone.link, gone.stream) = (NONE, NONE, NONE);
        gone.again = Vec::new();
        self.free_subscriptions.push(at);
        let owner = &mut self.links[link as usize];
        owner.subscriptions -= 1;
        let (id, identity) = (owner.id, owner.identity);
        self.identities[identity as usize].subscriptions -= 1;
        let Some(state) = self.streams[stream as usize].as_mut() else { return };
        state.members.clear(link);
        if let Some(why) = why {
            let stream = state.id;
            self.tell(Event::SubscriptionEnded { link: id, stream, why });
        }
    }

    /// Says which layer a subscriber gets, if it is another one than was said last.
    pub(super) fn report_layer(&mut self, at: u32) {
        let sub = &mut self.subscriptions[at as usize];
        let Some(state) = self.streams.get(sub.stream as usize).and_then(Option::as_ref) else { return };
        let (now, before) = (sub.effective(&state.layers), sub.told);
        if now == before {
            return;
        }
        sub.told = now;
        let (link, stream) = (self.links[sub.link as usize].id, state.id);
        let layer = state.layers.top(now);
        if layer != state.layers.top(before) {
            self.tell(Event::EffectiveLayer { link, stream, layer });
        }
    }
}
