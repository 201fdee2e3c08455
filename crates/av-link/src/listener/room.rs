//! Who has to go when a listener knows of as many handshakes as it may.

use super::Listener;
use super::slot::{Key, Slot};
use crate::Error;
use crate::packet::HandshakeId;
use core::net::IpAddr;
use core_types::MonoTime;
use std::collections::BTreeMap;

impl Listener {
    /// Sees to it that there is room for one more: what has expired goes first, then, of all or of this IP address, the
    /// oldest that is done, and of all the oldest that waits for its caller. What waits for a decision stays.
    pub(super) fn make_room(&mut self, now: MonoTime, key: Key) -> Result<(), Error> {
        let of_this_ip = |slots: &BTreeMap<Key, Slot>| {
            slots.range((key.0, 0, HandshakeId::FIRST)..=(key.0, u16::MAX, HandshakeId::LAST)).count()
        };
        if self.slots.len() < self.limits.handshakes && of_this_ip(&self.slots) < self.limits.per_ip {
            return Ok(());
        }
        self.handle_timeout(now);
        if of_this_ip(&self.slots) >= self.limits.per_ip {
            let what = "handshakes of one IP address";
            self.evict(Some(key.0), Slot::is_over).ok_or(Error::Limit { what, max: self.limits.per_ip })?;
        }
        if self.slots.len() >= self.limits.handshakes {
            let what = "handshakes under way";
            self.evict(None, Slot::waits_for_its_caller)
                .or_else(|| self.evict(None, Slot::is_over))
                .ok_or(Error::Limit { what, max: self.limits.handshakes })?;
        }
        Ok(())
    }

    fn evict(&mut self, ip: Option<IpAddr>, which: fn(&Slot) -> bool) -> Option<()> {
        let candidates =
            self.slots.iter().filter(|(key, slot)| ip.is_none_or(|ip| ip == key.0) && which(slot));
        let oldest = *candidates.min_by_key(|(_, slot)| slot.since)?.0;
        self.slots.remove(&oldest);
        self.stats.evicted += 1;
        Some(())
    }
}
