//! Who may have what, and until when. The permits themselves are checked by whoever calls.

use super::Relay;
use crate::{Ended, Error, Permission, Streams};
use core_types::{KeyId, LinkId, MonoTime, StreamId};

/// Streams that a permission may name.
const STREAMS_NAMED: usize = 1_024;

impl Relay {
    /// Sets what a link may have. Subscriptions to other streams end.
    ///
    /// # Errors
    /// [`Error::UnknownLink`]; [`Error::Full`] for a permission that names more than 1,024 streams.
    pub fn set_permission(
        &mut self,
        now: MonoTime,
        link: LinkId,
        permission: Permission,
    ) -> Result<(), Error> {
        self.tick(now);
        let slot = self.known(link)?;
        if let Streams::Only(streams) = &permission.streams
            && streams.len() > STREAMS_NAMED
        {
            return Err(Error::Full { what: "streams in a permission", limit: STREAMS_NAMED });
        }
        self.permit(now, slot, permission, Ended::NotPermitted);
        Ok(())
    }

    /// True if a link may have any stream at that time. False for links that are not known.
    pub fn is_permitted(&self, now: MonoTime, link: LinkId) -> bool {
        let Some(slot) = self.link_slots.get(&link) else { return false };
        match &self.links[*slot as usize].permission {
            Some(permission) => {
                let names_some = !matches!(&permission.streams, Streams::Only(streams) if streams.is_empty());
                names_some && now < permission.until
            }
            None => !self.limits.permits_required,
        }
    }

    /// Takes everything from an identity: its links get no stream any more, and feed none. The links stay, for whoever calls to
    /// close.
    pub fn revoke(&mut self, now: MonoTime, identity: KeyId) {
        let Some(owner) = self.identity_slots.get(&identity).copied() else { return };
        let links: Vec<u32> = self
            .link_slots
            .values()
            .copied()
            .filter(|slot| self.links[*slot as usize].identity == owner)
            .collect();
        for slot in links {
            self.permit(now, slot, Permission::NONE, Ended::Revoked);
            for state in self.streams.iter_mut().flatten() {
                state.upstreams.retain(|upstream| *upstream != slot);
            }
        }
    }

    fn permit(&mut self, now: MonoTime, link: u32, permission: Permission, why: Ended) {
        let until = permission.until;
        if let Some(former) = self.links[link as usize].permission.replace(Box::new(permission)) {
            self.expiries.remove(&(former.until, link));
        }
        if until > now && until < MonoTime(u64::MAX) {
            self.expiries.insert((until, link));
            self.arm(until);
        }
        self.end_unpermitted(now, link, why);
    }

    /// Ends the subscriptions of a link that it may not have.
    pub(super) fn end_unpermitted(&mut self, now: MonoTime, link: u32, why: Ended) {
        let subscribed: Vec<u32> =
            self.subscriptions_of(link).map(|at| self.subscriptions[at as usize].stream).collect();
        for stream in subscribed {
            let id = self.streams.get(stream as usize).and_then(|s| Some(s.as_ref()?.id));
            if id.is_none_or(|id| self.check_permission(now, link, id).is_err()) {
                self.end_subscription(link, stream, Some(why));
            }
        }
    }

    pub(super) fn check_permission(&self, now: MonoTime, link: u32, stream: StreamId) -> Result<(), Error> {
        let link = &self.links[link as usize];
        let allowed = match &link.permission {
            Some(permission) => permission.allows(now, stream),
            None => !self.limits.permits_required,
        };
        if allowed { Ok(()) } else { Err(Error::NotPermitted { link: link.id, stream }) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "helpers of tests")]
mod tests {
    use super::*;
    use crate::{Limits, Quota};

    #[test]
    fn ends_of_permissions_that_are_no_more_are_not_kept() {
        let mut relay = Relay::new(Limits::default());
        for n in 0..50 {
            relay.add_link(LinkId(n), KeyId([1; 32]), Quota::UNLIMITED).unwrap();
            for at in 1..=10 {
                let permission = Permission { until: MonoTime(n * 100 + at), ..Permission::ALL };
                relay.set_permission(MonoTime(0), LinkId(n), permission).unwrap();
            }
            assert_eq!(relay.expiries.len(), 1, "of the last one alone");
            relay.remove_link(LinkId(n));
            assert!(relay.expiries.is_empty());
        }
    }
}
