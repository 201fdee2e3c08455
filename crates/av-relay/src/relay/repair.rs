//! Chunks that a subscriber missed, once more.

use super::Relay;
use crate::Error;
use crate::ring::Flags;
use crate::subscription::Verdict;
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime, StreamId};

impl Relay {
    /// Sends chunks again to a subscriber that missed them, as far as they are kept, and their objects were forwarded to it:
    /// what was shed or withheld is not to come in by the back door. While it is behind, the base alone is sent again, without
    /// repair symbols and discardable objects. They go with its next burst, before anything else of the stream. Its stripes don't
    /// matter: it asks because another parent failed it. Chunks that are on their way to it anyway, or asked for already, are sent
    /// once. Returns how many are sent.
    ///
    /// # Errors
    /// [`Error::UnknownLink`], [`Error::UnknownStream`], [`Error::NotSubscribed`], [`Error::NotPermitted`],
    /// [`Error::TooManyRequested`].
    pub fn handle_repair_request(
        &mut self,
        now: MonoTime,
        link: LinkId,
        stream: StreamId,
        epoch: Epoch,
        wanted: &[ChunkSeq],
    ) -> Result<usize, Error> {
        self.tick(now);
        let limit = self.limits.chunks_per_request;
        if wanted.len() > limit {
            return Err(Error::TooManyRequested { link, limit, have: wanted.len() });
        }
        let slot = self.known(link)?;
        let (at, _) = self.stream(stream).ok_or(Error::UnknownStream(stream))?;
        self.check_permission(now, slot, stream)?;
        let known = self.find_subscription(slot, at).ok_or(Error::NotSubscribed { link, stream })?;
        let Some(state) = self.streams[at as usize].as_ref() else {
            return Err(Error::UnknownStream(stream));
        };
        let sub = &mut self.subscriptions[known as usize];
        sub.learn_layers(&state.layers);
        let behind = state.ring.meta(sub.cursor).is_some_and(|oldest| self.rules.is_behind(now, oldest));
        let (mut found, mut missed) = (0, 0);
        for seq in wanted {
            let kept = state.ring.find(epoch, *seq).and_then(|index| Some((index, *state.ring.meta(index)?)));
            let Some((index, meta)) = kept else {
                missed += 1;
                continue;
            };
            // Asking for one chunk many times must not be a way to make traffic.
            let coming = index >= sub.cursor && sub.stripes.contains(*seq) || sub.again.contains(&index);
            let forwarded = sub.verdict(&meta) == Verdict::Forward;
            if coming {
                continue;
            }
            // What waits is more urgent than what could be shed anyway.
            let may_wait = meta.is(Flags::REPAIR) || meta.is(Flags::DISCARDABLE) || !meta.is(Flags::BASE);
            if forwarded && !(behind && may_wait) && sub.again.len() < limit {
                sub.again.push(index);
                found += 1;
            } else {
                missed += 1;
            }
        }
        self.count(Some(slot), Some(at), |stats| stats.repair_misses += missed);
        if found > 0 {
            self.mark_if_pending(slot);
        }
        Ok(found)
    }
}
