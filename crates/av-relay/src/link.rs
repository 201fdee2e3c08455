//! One link as the relay sees it, and the identity behind it.

use crate::limits::{Permission, Quota};
use crate::meter::Meter;
use crate::stats::Stats;
use crate::subscription::NONE;
use core_types::{KeyId, LinkId, MonoTime};

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    /// Slot of its identity.
    pub(crate) identity: u32,
    /// Slot of its first subscription.
    pub(crate) first: u32,
    pub(crate) subscriptions: u32,
    /// Thousandths of the repair symbols that it gets.
    pub(crate) share: u16,
    /// Rates to it.
    pub(crate) out: Meter,
    /// Rates from it: made when it feeds its first stream.
    pub(crate) fed: Option<Box<Meter>>,
    pub(crate) quota: Quota,
    /// What it may have; `None` if nobody has said so.
    pub(crate) permission: Option<Box<Permission>>,
    /// When a quota lets it go on.
    pub(crate) wake_at: MonoTime,
    /// When it was last told that it is over a quota.
    pub(crate) told_at: Option<MonoTime>,
    pub(crate) stats: Stats,
}

impl Link {
    pub(crate) fn new(id: LinkId, identity: u32, quota: Quota) -> Self {
        Self {
            id,
            identity,
            first: NONE,
            subscriptions: 0,
            share: 1_000,
            out: Meter::new(&quota),
            fed: None,
            quota,
            permission: None,
            wake_at: MonoTime(0),
            told_at: None,
            stats: Stats::default(),
        }
    }
}

/// Somebody with links: quotas hold for all of them together.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) id: KeyId,
    pub(crate) links: usize,
    pub(crate) subscriptions: usize,
    pub(crate) quota: Quota,
    pub(crate) out: Meter,
    pub(crate) fed: Meter,
}

impl Identity {
    pub(crate) fn new(id: KeyId, quota: Quota) -> Self {
        Self { id, links: 0, subscriptions: 0, quota, out: Meter::new(&quota), fed: Meter::new(&quota) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::Subscription;

    #[test]
    fn a_subscriber_of_sound_and_video_costs_a_few_hundred_bytes() {
        let (link, subscription) = (size_of::<Link>(), size_of::<Subscription>());
        assert!(link <= 448 && subscription <= 192, "{link} and {subscription}");
    }
}
