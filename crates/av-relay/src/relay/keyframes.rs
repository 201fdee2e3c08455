//! Key frames that are wanted: many subscribers, one request.

use super::Relay;
use crate::stream::{Asker, KEY_FRAME_GAP, KEY_FRAME_GAP_MOST, KeyFrames};
use crate::{Error, Upstream};
use core::time::Duration;
use core_types::{KeyId, LinkId, MonoTime, StreamId};

/// A key frame that passed so shortly ago answers a request that it met on the way.
const JUST_PASSED: Duration = Duration::from_millis(100);
/// Requests of one identity are at most so many doublings of [`KEY_FRAME_GAP`] apart.
const MOST_DOUBLINGS: u8 = 4;
/// Who asked for nothing for so long starts over.
const FORGIVEN: Duration = Duration::from_secs(10);
/// Identities of which it is remembered how often they asked for key frames of one stream.
const MAX_ASKERS: usize = 4_096;

impl Relay {
    /// A subscriber needs a key frame. It is asked for upstream at most once in 500 ms for all of them, and not if one is on its
    /// way to this subscriber or has just passed. An identity that asks again and again waits longer each time, up to 8 s, also over
    /// other links and subscriptions: its losses should not cost the others their picture quality.
    ///
    /// # Errors
    /// [`Error::UnknownLink`], [`Error::UnknownStream`], [`Error::NotSubscribed`].
    pub fn request_key_frame(&mut self, now: MonoTime, link: LinkId, stream: StreamId) -> Result<(), Error> {
        self.tick(now);
        let slot = self.known(link)?;
        let (at, _) = self.stream(stream).ok_or(Error::UnknownStream(stream))?;
        let sub = self.find_subscription(slot, at).ok_or(Error::NotSubscribed { link, stream })?;
        self.want_key_frame(now, sub);
        Ok(())
    }

    /// A subscription needs a key frame.
    pub(super) fn want_key_frame(&mut self, now: MonoTime, at: u32) {
        let sub = &self.subscriptions[at as usize];
        let (link, stream) = (sub.link, sub.stream);
        let who = self.identities[self.links[link as usize].identity as usize].id;
        let Some(state) = self.streams.get_mut(stream as usize).and_then(Option::as_mut) else { return };
        if state.is_alone() {
            return;
        }
        let coming = state
            .keys
            .last
            .is_some_and(|key| key.index >= sub.cursor || (sub.have != 0 && now.since(key.at) < JUST_PASSED));
        let after_last = state.keys.sent_at.map_or(MonoTime(0), |sent| sent.plus(KEY_FRAME_GAP));
        let asker = state.keys.askers.get(&who).copied().unwrap_or_default();
        let due = now.max(after_last).max(asker.next);
        let asked = coming || state.keys.ask_at.is_some_and(|at| at <= due);
        if !asked {
            let level = if is_forgiven(now, &asker) { 0 } else { asker.level };
            let next = due.plus(KEY_FRAME_GAP * (1 << level));
            state.keys.remember(now, who, Asker { level: (level + 1).min(MOST_DOUBLINGS), next });
            (state.keys.ask_at, state.keys.gap) = (Some(due), KEY_FRAME_GAP);
            self.arm(due);
        }
        self.count(Some(link), Some(stream), |stats| {
            stats.key_frame_requests += 1;
            stats.key_frame_merged += u64::from(asked);
        });
        self.ask_for_key_frame(now, stream);
    }

    /// Sends the request of a stream upstream, if it is due.
    pub(super) fn ask_for_key_frame(&mut self, now: MonoTime, stream: u32) {
        let Some(state) = self.streams.get_mut(stream as usize).and_then(Option::as_mut) else { return };
        if state.keys.ask_at.is_none_or(|at| at > now) {
            return;
        }
        if state.members.is_empty() {
            state.keys.ask_at = None;
            return;
        }
        let again = now.plus(state.keys.gap.max(KEY_FRAME_GAP));
        state.keys.gap = (state.keys.gap * 2).clamp(KEY_FRAME_GAP, KEY_FRAME_GAP_MOST);
        (state.keys.sent_at, state.keys.ask_at) = (Some(now), Some(again));
        let id = state.id;
        self.arm(again);
        let request = Upstream::KeyFrameWanted { stream: id };
        // A driver that does not ask for them must not make a heap of them.
        if !self.upstream.contains(&request) {
            self.upstream.push_back(request);
        }
        self.count(None, Some(stream), |stats| stats.key_frame_forwarded += 1);
    }
}

fn is_forgiven(now: MonoTime, asker: &Asker) -> bool {
    now.since(asker.next) >= FORGIVEN
}

impl KeyFrames {
    /// Keeps how often somebody asked. Where there is no room, who is forgiven is forgotten, or else who waited longest.
    fn remember(&mut self, now: MonoTime, who: KeyId, asker: Asker) {
        if self.askers.len() >= MAX_ASKERS && !self.askers.contains_key(&who) {
            self.askers.retain(|_, asker| !is_forgiven(now, asker));
            if self.askers.len() >= MAX_ASKERS
                && let Some(first) = self.askers.iter().min_by_key(|(_, a)| a.next).map(|(who, _)| *who)
            {
                self.askers.remove(&first);
            }
        }
        self.askers.insert(who, asker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn askers_are_remembered_until_they_are_forgiven_and_only_so_many() {
        let mut keys = KeyFrames::default();
        let who = |n: u64| KeyId(std::array::from_fn(|at| n.to_le_bytes()[at % 8]));
        let asker = |next| Asker { level: 1, next };
        let start = MonoTime(1_000_000);
        for n in 0..MAX_ASKERS as u64 + 5 {
            keys.remember(start, who(n), asker(start.plus(Duration::from_micros(n))));
        }
        assert_eq!(keys.askers.len(), MAX_ASKERS);
        assert!(!keys.askers.contains_key(&who(4)) && keys.askers.contains_key(&who(5)));
        let later = start.plus(FORGIVEN * 2);
        keys.remember(later, who(9_999), asker(later));
        assert_eq!(keys.askers.len(), 1);
    }
}
