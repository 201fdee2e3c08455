//! Links, identities, and streams: coming and going.

use super::Relay;
use crate::limits::{Carriage, Quota};
use crate::link::{Identity, Link};
use crate::meter::Meter;
use crate::stream::StreamState;
use crate::subscription::NONE;
use crate::{Ended, Error, Measure};
use core_types::{KeyId, LinkId, StreamId};

impl Relay {
    /// A link to a peer of that identity is up. Done again, it changes the quota.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::OverQuota`] if the identity has all the links that it may have, [`Error::LinkInUse`] if the id
    /// was given to another identity.
    pub fn add_link(&mut self, link: LinkId, identity: KeyId, quota: Quota) -> Result<(), Error> {
        if let Some(slot) = self.link_slots.get(&link).copied() {
            let known = &mut self.links[slot as usize];
            if self.identities[known.identity as usize].id != identity {
                return Err(Error::LinkInUse(link));
            }
            known.quota = quota;
            known.out.set(&quota);
            if let Some(fed) = &mut known.fed {
                fed.set(&quota);
            }
            self.unthrottle(slot);
            return Ok(());
        }
        if self.link_slots.len() >= self.limits.links {
            return Err(Error::Full { what: "links", limit: self.limits.links });
        }
        let owner = self.identity(identity);
        let (held, limit) =
            (self.identities[owner as usize].links, self.identities[owner as usize].quota.subscribers);
        if held >= limit {
            self.stats.quota_hits += 1;
            self.drop_identity_if_unused(owner);
            return Err(Error::OverQuota { link, what: Measure::Links, limit });
        }
        self.identities[owner as usize].links += 1;
        let new = Link::new(link, owner, quota);
        let slot = match self.free_links.pop() {
            Some(slot) => {
                self.links[slot as usize] = new;
                slot
            }
            None => {
                self.links.push(new);
                (self.links.len() - 1) as u32
            }
        };
        self.link_slots.insert(link, slot);
        Ok(())
    }

    /// Forgets a link: its subscriptions, its right to feed streams, and what it may have. Unknown ones are ignored.
    pub fn remove_link(&mut self, link: LinkId) {
        let Some(slot) = self.link_slots.remove(&link) else { return };
        self.recent = (LinkId(u64::MAX), NONE);
        while let Some(first) = self.subscriptions.get(self.links[slot as usize].first as usize) {
            let stream = first.stream;
            self.end_subscription(slot, stream, None);
        }
        for state in self.streams.iter_mut().flatten() {
            state.upstreams.retain(|upstream| *upstream != slot);
        }
        let gone = &mut self.links[slot as usize];
        if let Some(permission) = gone.permission.take() {
            self.expiries.remove(&(permission.until, slot));
        }
        let owner = gone.identity;
        self.identities[owner as usize].links -= 1;
        self.drop_identity_if_unused(owner);
        for set in [&mut self.ready, &mut self.blocked, &mut self.throttled] {
            set.clear(slot);
        }
        self.free_links.push(slot);
    }

    /// Sets the quota of an identity, over all of its links, those included that come later. The one of the
    /// [limits](crate::Limits::identity_quota) is set by forgetting it.
    ///
    /// # Errors
    /// [`Error::Full`] if as many identities as there may be links have one already.
    pub fn set_identity_quota(&mut self, identity: KeyId, quota: Quota) -> Result<(), Error> {
        let limit = self.limits.links;
        if !self.identity_quotas.contains_key(&identity) && self.identity_quotas.len() >= limit {
            return Err(Error::Full { what: "quotas of identities", limit });
        }
        if quota == self.limits.identity_quota {
            self.identity_quotas.remove(&identity);
        } else {
            self.identity_quotas.insert(identity, quota);
        }
        if let Some(slot) = self.identity_slots.get(&identity).copied() {
            let known = &mut self.identities[slot as usize];
            known.quota = quota;
            known.out.set(&quota);
            known.fed.set(&quota);
            let is_theirs = |link: &u32| self.links[*link as usize].identity == slot;
            let links: Vec<u32> = self.link_slots.values().copied().filter(is_theirs).collect();
            links.into_iter().for_each(|link| self.unthrottle(link));
        }
        Ok(())
    }

    /// What a link had to wait for by its former quota, it need not by another one.
    fn unthrottle(&mut self, link: u32) {
        self.throttled.clear(link);
        self.mark_if_pending(link);
    }

    /// Sets which share of the repair symbols of each object a link gets, in thousandths and rounded up: what the measured loss
    /// of that hop asks for. All of them at first.
    ///
    /// A relay can only forward fewer or more of those that the publisher made. To make others it would need the source
    /// symbols' content, which is sealed; sealed symbols can't be combined either, since each has its own nonce and tag.
    ///
    /// # Errors
    /// [`Error::UnknownLink`].
    pub fn set_repair_share(&mut self, link: LinkId, permille: u16) -> Result<(), Error> {
        let slot = self.known(link)?;
        self.links[slot as usize].share = permille.min(1_000);
        Ok(())
    }

    /// Carries a stream from now on. Done again, it changes until when and the quota; with another codec it is another stream.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn carry(&mut self, stream: StreamId, carriage: Carriage) -> Result<(), Error> {
        if let Some((_, state)) = self.stream_mut(stream)
            && state.carriage.codec == carriage.codec
        {
            state.carriage = carriage;
            state.meter.set(&carriage.quota);
            self.arm(carriage.until);
            return Ok(());
        }
        self.remove_stream(stream);
        if self.stream_slots.len() >= self.limits.streams {
            return Err(Error::Full { what: "streams", limit: self.limits.streams });
        }
        let state = Some(StreamState::new(stream, carriage, &self.limits));
        let slot = match self.free_streams.pop() {
            Some(slot) => {
                self.streams[slot as usize] = state;
                slot
            }
            None => {
                self.streams.push(state);
                (self.streams.len() - 1) as u32
            }
        };
        self.stream_slots.insert(stream, slot);
        self.arm(carriage.until);
        Ok(())
    }

    /// Lets a link feed a stream. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownLink`], [`Error::UnknownStream`] unless the stream is carried, [`Error::Full`].
    pub fn add_upstream(&mut self, stream: StreamId, link: LinkId) -> Result<(), Error> {
        let slot = self.known(link)?;
        let limit = self.limits.upstreams_per_stream;
        let (_, state) = self.stream_mut(stream).ok_or(Error::UnknownStream(stream))?;
        if !state.upstreams.contains(&slot) {
            if state.upstreams.len() >= limit {
                return Err(Error::Full { what: "upstream links of that stream", limit });
            }
            state.upstreams.push(slot);
            let link = &mut self.links[slot as usize];
            link.fed.get_or_insert_with(|| Box::new(Meter::new(&link.quota)));
        }
        Ok(())
    }

    /// Takes a link's right to feed a stream.
    pub fn remove_upstream(&mut self, stream: StreamId, link: LinkId) {
        let Some(slot) = self.slot_of(link) else { return };
        if let Some((_, state)) = self.stream_mut(stream) {
            state.upstreams.retain(|upstream| *upstream != slot);
        }
    }

    /// Stops carrying a stream; its subscriptions end. Unknown ones are ignored.
    pub fn remove_stream(&mut self, stream: StreamId) {
        self.end_stream(stream, Ended::StreamRemoved);
    }

    pub(super) fn end_stream(&mut self, stream: StreamId, why: Ended) {
        let Some(slot) = self.stream_slots.get(&stream).copied() else { return };
        while let Some(link) = self.streams[slot as usize].as_ref().and_then(|s| s.members.next_from(0)) {
            self.end_subscription(link, slot, Some(why));
        }
        self.dedup.forget(stream);
        self.stream_slots.remove(&stream);
        self.streams[slot as usize] = None;
        self.free_streams.push(slot);
    }

    fn identity(&mut self, id: KeyId) -> u32 {
        if let Some(slot) = self.identity_slots.get(&id) {
            return *slot;
        }
        let quota = self.identity_quotas.get(&id).copied().unwrap_or(self.limits.identity_quota);
        let new = Identity::new(id, quota);
        let slot = match self.free_identities.pop() {
            Some(slot) => {
                self.identities[slot as usize] = new;
                slot
            }
            None => {
                self.identities.push(new);
                (self.identities.len() - 1) as u32
            }
        };
        self.identity_slots.insert(id, slot);
        slot
    }

    fn drop_identity_if_unused(&mut self, slot: u32) {
        let identity = &self.identities[slot as usize];
        if identity.links == 0 {
            self.identity_slots.remove(&identity.id);
            self.free_identities.push(slot);
        }
    }
}
