//! What is due at a time: requests, layers that are gone, permissions and streams whose time is up, quotas that let go on.

use super::Relay;
use crate::{Ended, Event};
use core_types::MonoTime;

impl Relay {
    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` if nothing will be due.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        (self.deadline < MonoTime(u64::MAX)).then_some(self.deadline)
    }

    /// Time has passed. Links may be ready afterwards.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        self.tick(now);
    }

    /// Does what is due.
    #[inline]
    pub(super) fn tick(&mut self, now: MonoTime) {
        if now >= self.deadline {
            self.expire(now);
        }
    }

    #[cold]
    fn expire(&mut self, now: MonoTime) {
        self.deadline = MonoTime(u64::MAX);
        for slot in 0..self.streams.len() {
            self.expire_stream(now, slot);
        }
        while let Some((until, link)) = self.expiries.first().copied() {
            if until > now {
                self.arm(until);
                break;
            }
            self.expiries.pop_first();
            self.end_unpermitted(now, link, Ended::Expired);
        }
        let mut from = self.throttled.next_from(0);
        while let Some(link) = from {
            let wake_at = self.links[link as usize].wake_at;
            if wake_at > now {
                self.arm(wake_at);
            } else {
                self.throttled.clear(link);
                if !self.blocked.has(link) {
                    self.ready.set(link);
                }
            }
            from = self.throttled.next_from(link + 1);
        }
    }

    fn expire_stream(&mut self, now: MonoTime, slot: usize) {
        let Some(state) = self.streams[slot].as_mut() else { return };
        let (id, until) = (state.id, state.carriage.until);
        if until <= now {
            self.end_stream(id, Ended::Expired);
            self.tell(Event::StreamExpired { stream: id });
            return;
        }
        let mut gone = Vec::new();
        state.layers.expire(now, |layer| gone.push(layer));
        let next_layer = state.layers.deadline();
        for layer in gone {
            self.tell(Event::LayerGone { stream: id, layer });
        }
        self.ask_for_key_frame(now, slot as u32);
        let ask_at = self.streams[slot].as_ref().and_then(|state| state.keys.ask_at);
        for at in [Some(until), next_layer, ask_at].into_iter().flatten() {
            self.arm(at);
        }
    }
}
