//! The relays that serve the session, and when members get the list of them.

use super::Host;
use crate::net::{Control, PeerAddress};
use core_types::{KeyId, LinkId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Relays of one session, and addresses of one relay: both go to every member.
const MAX_RELAYS: usize = 256;
const MAX_ADDRESSES: usize = 16;
/// Between two lists, and after twice as long each further time while changes go on: whoever may serve can come and go as
/// often as it likes, and members are to have room for what else the host says.
const GAP: Duration = Duration::from_millis(100);
const GAP_MOST: Duration = Duration::from_millis(1_600);
/// Without a change for so long, the next list goes out at once again.
const QUIET: Duration = Duration::from_secs(5);

impl Host {
    pub(super) fn relay_list(&self) -> Control {
        Control::Relays { relays: self.relays.list() }
    }

    pub(super) fn spread_relay_list(&self) {
        let list = self.relay_list();
        // Who has no permit yet gets the list with it.
        for link in self.authority.member_links().filter(|link| !self.permits.is_awaited(*link)) {
            self.send(link, &list);
        }
    }
}

#[derive(Debug)]
struct Relay {
    who: KeyId,
    address: PeerAddress,
    carrying: bool,
}

/// Who serves the session.
#[derive(Debug)]
pub(super) struct Relays {
    known: BTreeMap<LinkId, Relay>,
    /// When the list became another than members know.
    changed: Option<Instant>,
    /// When they got it last, and how long the next one is to wait from then on.
    spread: Option<Instant>,
    gap: Duration,
}

impl Relays {
    pub(super) const fn new() -> Self {
        Self { known: BTreeMap::new(), changed: None, spread: None, gap: GAP }
    }

    /// A relay is at the session's service. It may only send members to itself, and an identity has one place: gives the link
    /// over which it served before.
    ///
    /// # Errors
    /// A sentence for the peer.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        link: LinkId,
        who: KeyId,
        transport_key: [u8; 32],
        address: PeerAddress,
    ) -> Result<Option<LinkId>, String> {
        let own_identity = address.direct.is_none_or(|direct| direct.key_id == who.0);
        let own_key = transport_key == address.endpoint && own_identity;
        if !own_key || address.addresses.is_empty() || address.addresses.len() > MAX_ADDRESSES {
            return Err("a relay must name its own transport key and 1 to 16 addresses".into());
        }
        if self.serves(link) {
            return Err("this link serves the session already".into());
        }
        let former = self.known.iter().find(|(_, relay)| relay.who == who).map(|(link, _)| *link);
        match former {
            Some(former) => {
                self.remove(now, former);
            }
            None if self.known.len() >= MAX_RELAYS => {
                return Err(format!("this session has {MAX_RELAYS} relays already"));
            }
            None => {}
        }
        self.known.insert(link, Relay { who, address, carrying: false });
        Ok(former)
    }

    pub(super) fn serves(&self, link: LinkId) -> bool {
        self.known.contains_key(&link)
    }

    /// A relay says whether members may come to it. False if it is none.
    pub(super) fn set_carrying(&mut self, now: Instant, link: LinkId, carrying: bool) -> bool {
        let Some(relay) = self.known.get_mut(&link) else { return false };
        if std::mem::replace(&mut relay.carrying, carrying) != carrying {
            self.changed.get_or_insert(now);
        }
        true
    }

    /// A link is gone. False if it was not a relay's.
    pub(super) fn remove(&mut self, now: Instant, link: LinkId) -> bool {
        let Some(gone) = self.known.remove(&link) else { return false };
        if gone.carrying {
            self.changed.get_or_insert(now);
        }
        true
    }

    /// Where members find those that carry the streams.
    pub(super) fn list(&self) -> Vec<PeerAddress> {
        self.known.values().filter(|relay| relay.carrying).map(|relay| relay.address.clone()).collect()
    }

    /// True if members are to get the list now.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return false;
        }
        let is_restless = self.spread.is_some_and(|last| now.duration_since(last) < QUIET);
        self.gap = if is_restless { (self.gap * 2).min(GAP_MOST) } else { GAP };
        (self.changed, self.spread) = (None, Some(now));
        true
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let changed = self.changed?;
        Some(self.spread.map_or(changed, |last| changed.max(last + self.gap)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use control_wire::DirectPort;

    fn address(key: u8) -> PeerAddress {
        let direct = Some(DirectPort { port: 9, key_id: [key; 32] });
        PeerAddress { endpoint: [key; 32], addresses: vec!["192.0.2.1:9".parse().unwrap()], direct }
    }

    fn serve(relays: &mut Relays, now: Instant, link: u64, who: u8) -> Result<Option<LinkId>, String> {
        relays.serve(now, LinkId(link), KeyId([who; 32]), [who; 32], address(who))
    }

    #[test]
    fn a_relay_that_comes_and_goes_all_the_time_costs_members_a_few_lists() {
        let (mut relays, start) = (Relays::new(), Instant::now());
        serve(&mut relays, start, 1, 1).unwrap();
        assert!(!relays.take_due(start), "it carries nothing yet");
        let (mut lists, mut at) = (Vec::new(), start);
        for n in 0..20_000 {
            at = start + Duration::from_millis(n);
            relays.set_carrying(at, LinkId(1), n % 2 == 0);
            if relays.take_due(at) {
                lists.push(n);
            }
        }
        assert_eq!(lists[..6], [0, 100, 300, 700, 1_500, 3_100]);
        assert!(lists.len() < 20, "{lists:?}");
        // The last word is not lost, and after a quiet time there is no wait.
        let due = relays.poll_timeout().unwrap();
        assert!(relays.take_due(due) && relays.list().is_empty() && due < at + GAP_MOST);
        let later = due + QUIET;
        relays.set_carrying(later, LinkId(1), true);
        assert!(relays.take_due(later));
        assert_eq!(relays.list(), [address(1)]);
    }

    #[test]
    fn what_changes_nothing_is_told_to_nobody() {
        let (mut relays, now) = (Relays::new(), Instant::now());
        serve(&mut relays, now, 1, 1).unwrap();
        assert!(relays.set_carrying(now, LinkId(1), false), "it may say so before it carries");
        assert_eq!(relays.poll_timeout(), None);
        relays.set_carrying(now, LinkId(1), true);
        assert!(relays.take_due(now));
        relays.set_carrying(now, LinkId(1), true);
        assert_eq!(relays.poll_timeout(), None);
        assert!(!relays.set_carrying(now, LinkId(2), true), "no relay");
        assert!(relays.remove(now, LinkId(1)) && !relays.remove(now, LinkId(1)));
        assert!(relays.take_due(now + GAP));
    }

    #[test]
    fn an_identity_serves_once_and_keeps_no_other_one_out() {
        let (mut relays, now) = (Relays::new(), Instant::now());
        assert_eq!(serve(&mut relays, now, 1, 1), Ok(None));
        assert!(serve(&mut relays, now, 1, 1).is_err(), "over one link once");
        relays.set_carrying(now, LinkId(1), true);
        assert!(relays.take_due(now));
        assert_eq!(serve(&mut relays, now, 2, 1), Ok(Some(LinkId(1))), "over another one, it came back");
        assert!(!relays.serves(LinkId(1)) && relays.serves(LinkId(2)));
        assert!(relays.take_due(now + GAP) && relays.list().is_empty(), "it carries nothing yet");
        for who in 2..=255 {
            serve(&mut relays, now, 1_000 + u64::from(who), who).unwrap();
        }
        serve(&mut relays, now, 2_000, 0).unwrap();
        let other = relays.serve(now, LinkId(3_000), KeyId([9; 32]), [9; 32], address(9));
        assert_eq!(other, Ok(Some(LinkId(1_009))), "its own place is there for it");
        let mut full = Relays::new();
        for n in 0..MAX_RELAYS as u16 {
            let who = KeyId(std::array::from_fn(|at| n.to_le_bytes()[at % 2]));
            full.serve(now, LinkId(n.into()), who, [1; 32], PeerAddress { direct: None, ..address(1) })
                .unwrap();
        }
        assert!(serve(&mut full, now, 9_000, 200).unwrap_err().contains("256 relays already"));
    }

    #[test]
    fn a_relay_names_itself_and_not_too_many_addresses() {
        let (mut relays, now) = (Relays::new(), Instant::now());
        let many = vec!["192.0.2.1:9".parse().unwrap(); MAX_ADDRESSES + 1];
        for (endpoint, addresses) in [([2; 32], many[..1].to_vec()), ([1; 32], Vec::new()), ([1; 32], many)] {
            let address = PeerAddress { endpoint, addresses, direct: None };
            assert!(relays.serve(now, LinkId(1), KeyId([1; 32]), [1; 32], address).is_err());
        }
        let direct = Some(DirectPort { port: 9, key_id: [2; 32] });
        let others_door = PeerAddress { direct, ..address(1) };
        assert!(relays.serve(now, LinkId(1), KeyId([1; 32]), [1; 32], others_door).is_err());
        assert!(!relays.serves(LinkId(1)));
    }
}
