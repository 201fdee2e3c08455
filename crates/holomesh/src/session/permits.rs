//! What the host signs for others to show: that a relay may serve this session, that a member may be served.

use crate::Error;
use crate::clock::wall_now;
use crate::net::Control;
use av_wire::permit::{LATE_BY, Permit, PermitRole, PermitStreams};
use core_types::{BitRate, KeyId, LinkId, SessionId, WallTime};
use identity::Identity;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How long a permit holds. Clocks of relays may be off by minutes.
const VALID: Duration = Duration::from_secs(600);
/// A permit is signed anew after this time, so that nobody is ever without, and up to so many seconds later: those who came
/// together do not all have to be signed for at once again.
const RENEW: Duration = Duration::from_secs(240);
const SPREAD: u64 = 60;
/// Permits that are signed in one turn of the node, which has other things to do: one takes half a millisecond or so.
const SIGNED_AT_ONCE: usize = 8;
/// A permit may be shown, and taken, for so long after it was signed.
const SHOWN: Duration = VALID.saturating_add(LATE_BY);
/// Revocations that are kept for relays that come back: as many as these remember.
const MAX_REVOKED: usize = 4_096;
/// Of these a relay is told so many at a time, and the next ones after a pause: no more than its link has room for.
const TOLD_AT_ONCE: usize = 64;
const TOLD_EACH: Duration = Duration::from_millis(10);

/// How much of the session a host lets each relay and each member have; `None` says nothing of it. Relays keep to it, beside
/// what they set themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shares {
    /// What a relay may send in all.
    pub relay_uplink: Option<BitRate>,
    /// How many may take a stream from one relay.
    pub relay_subscribers: Option<u32>,
    /// What a member may get from one relay.
    pub member_rate: Option<BitRate>,
}

/// The permits that are out.
#[derive(Debug)]
pub(super) struct Permits {
    session: SessionId,
    shares: Shares,
    last_serial: u64,
    /// How many there were.
    signed: u64,
    holders: BTreeMap<LinkId, Holder>,
    /// What was revoked, by when nobody can show it any more.
    revoked: VecDeque<(Instant, KeyId, u64)>,
    /// Relays that came back, what they are still to be told, and when.
    told: BTreeMap<LinkId, (Instant, VecDeque<(KeyId, u64)>)>,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    who: KeyId,
    role: PermitRole,
    renew_at: Instant,
    /// It has none yet.
    is_first: bool,
}

/// Something to be sent.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) link: LinkId,
    pub(super) message: Control,
    /// The holder's first permit.
    pub(super) is_first: bool,
}

impl Permits {
    pub(super) const fn new(session: SessionId, shares: Shares) -> Self {
        Self {
            session,
            shares,
            last_serial: 0,
            signed: 0,
            holders: BTreeMap::new(),
            revoked: VecDeque::new(),
            told: BTreeMap::new(),
        }
    }

    /// The member at the other end of `link` gets a permit, soon and again whenever it is due.
    pub(super) fn want(&mut self, now: Instant, link: LinkId, who: KeyId) {
        let holder = Holder { who, role: PermitRole::Member, renew_at: now, is_first: true };
        self.holders.insert(link, holder);
    }

    /// True for a member that has no permit yet.
    pub(super) fn is_awaited(&self, link: LinkId) -> bool {
        self.holders.get(&link).is_some_and(|holder| holder.is_first)
    }

    /// Signs a permit for who is at the other end of `link`, and again whenever it is due.
    ///
    /// # Errors
    /// [`Error::Wire`] if it can't be signed.
    pub(super) fn issue(
        &mut self,
        now: Instant,
        identity: &Identity,
        link: LinkId,
        who: KeyId,
        role: PermitRole,
    ) -> Result<Control, Error> {
        let WallTime(from) = wall_now();
        let serial = self.next_serial(from);
        self.signed += 1;
        let renew_at = now + RENEW + Duration::from_secs(self.signed % (SPREAD + 1));
        self.holders.insert(link, Holder { who, role, renew_at, is_first: false });
        let until = from.saturating_add(u64::try_from(VALID.as_millis()).unwrap_or(u64::MAX));
        let bytes = |rate: Option<BitRate>| rate.map_or(0, |rate| (rate.0 / 8).max(1));
        let (max_bytes_per_second, max_subscribers) = match role {
            PermitRole::Relay => {
                (bytes(self.shares.relay_uplink), self.shares.relay_subscribers.unwrap_or(0))
            }
            PermitRole::Member => (bytes(self.shares.member_rate), 0),
        };
        let permit = Permit {
            session: self.session,
            issuer: identity.key_id(),
            holder: who,
            role,
            serial,
            not_before: WallTime(from),
            not_after: WallTime(until),
            streams: PermitStreams::All,
            max_bytes_per_second,
            max_subscribers,
        };
        Ok(Control::Permit { permit: permit.sign(identity)? })
    }

    /// The permits that are due to be signed, those that wait longest first and a few at a time, and what relays that came back are
    /// to be told.
    pub(super) fn due(&mut self, now: Instant, identity: &Identity) -> Vec<Due> {
        let mut due: Vec<(LinkId, Holder)> =
            self.holders.iter().filter(|(_, h)| now >= h.renew_at).map(|(link, h)| (*link, *h)).collect();
        due.sort_by_key(|(_, holder)| holder.renew_at);
        let mut messages = Vec::new();
        for (link, holder) in due.into_iter().take(SIGNED_AT_ONCE) {
            match self.issue(now, identity, link, holder.who, holder.role) {
                Ok(message) => messages.push(Due { link, message, is_first: holder.is_first }),
                Err(error) => tracing::warn!(%error, "a permit could not be signed"),
            }
        }
        for (link, (at, waiting)) in self.told.iter_mut().filter(|(_, (at, _))| *at <= now) {
            *at = now + TOLD_EACH;
            let some = waiting.drain(..waiting.len().min(TOLD_AT_ONCE));
            let revoke = |(holder, serial): (KeyId, u64)| Control::Revoke { holder: holder.0, serial };
            messages.extend(some.map(|what| Due { link: *link, message: revoke(what), is_first: false }));
        }
        self.told.retain(|_, (_, waiting)| !waiting.is_empty());
        messages
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let told = self.told.values().map(|(at, _)| *at);
        self.holders.values().map(|holder| holder.renew_at).chain(told).min()
    }

    /// Takes back what was signed for somebody up to that serial.
    pub(super) fn revoke(&mut self, now: Instant, who: KeyId, serial: u64) -> Control {
        self.revoked.retain(|(until, ..)| *until > now);
        if self.revoked.len() >= MAX_REVOKED {
            self.revoked.pop_front();
        }
        self.revoked.push_back((now + SHOWN, who, serial));
        Control::Revoke { holder: who.0, serial }
    }

    /// A relay is to be told of what was revoked before it came (back).
    pub(super) fn tell_revoked(&mut self, now: Instant, link: LinkId) {
        let live = self.revoked.iter().filter(|(until, ..)| *until > now);
        let waiting: VecDeque<(KeyId, u64)> = live.map(|(_, who, serial)| (*who, *serial)).collect();
        if !waiting.is_empty() {
            self.told.insert(link, (now, waiting));
        }
    }

    /// Nobody at this link gets permits any more.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.holders.remove(&link);
        self.told.remove(&link);
    }

    /// The serial that nothing has gone beyond that was signed so far.
    pub(super) const fn last_serial(&self) -> u64 {
        self.last_serial
    }

    /// The relays to be told of a revocation.
    pub(super) fn relays(&self) -> impl Iterator<Item = LinkId> {
        self.holders.iter().filter(|(_, h)| h.role == PermitRole::Relay).map(|(link, _)| *link)
    }

    /// Goes up also over restarts of the host, as long as its clock does.
    fn next_serial(&mut self, wall: u64) -> u64 {
        self.last_serial = self.last_serial.saturating_add(1).max(wall);
        self.last_serial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::Seed;

    const SESSION: SessionId = SessionId([2; 32]);
    const WHO: KeyId = KeyId([7; 32]);

    fn host() -> Identity {
        Identity::from_seed(&Seed([1; 64])).unwrap()
    }

    fn serial(message: &Control, issuer: &Identity) -> u64 {
        let Control::Permit { permit } = message else { panic!("{message:?}") };
        Permit::verify(permit, issuer.public()).unwrap().serial
    }

    #[test]
    fn permits_are_renewed_before_they_end_and_a_revocation_covers_all_that_were_signed() {
        let (host, start, link) = (host(), Instant::now(), LinkId(3));
        let mut permits = Permits::new(SESSION, Shares::default());
        let first = permits.issue(start, &host, link, WHO, PermitRole::Member).unwrap();
        assert!(permits.due(start, &host).is_empty());
        let at = permits.poll_timeout().unwrap();
        assert!(at >= start + RENEW && at <= start + RENEW + Duration::from_secs(SPREAD));
        let again = permits.due(at, &host);
        assert_eq!(again.len(), 1);
        assert!(!again[0].is_first && serial(&again[0].message, &host) > serial(&first, &host));
        assert!(RENEW + Duration::from_secs(SPREAD) < VALID);
        let up_to = permits.last_serial();
        assert_eq!(up_to, serial(&again[0].message, &host));
        // Who comes back gets one that a revocation of the former ones leaves alone.
        permits.forget(link);
        let new = permits.issue(at, &host, LinkId(4), WHO, PermitRole::Member).unwrap();
        assert!(serial(&new, &host) > up_to);
        permits.forget(LinkId(4));
        assert!(permits.due(start + 3 * RENEW, &host).is_empty(), "nothing is signed for it any more");
    }

    #[test]
    fn a_relays_permit_and_a_members_say_what_the_host_lets_each_have() {
        let (host, start) = (host(), Instant::now());
        let shares = Shares {
            relay_uplink: Some(BitRate::from_kbit(8_000)),
            relay_subscribers: Some(5),
            member_rate: Some(BitRate::from_kbit(800)),
        };
        let figures = |shares, role| {
            let mut permits = Permits::new(SESSION, shares);
            let Control::Permit { permit } = permits.issue(start, &host, LinkId(1), WHO, role).unwrap()
            else {
                panic!("another message");
            };
            let permit = Permit::verify(&permit, host.public()).unwrap();
            (permit.max_bytes_per_second, permit.max_subscribers)
        };
        assert_eq!(figures(shares, PermitRole::Relay), (1_000_000, 5));
        assert_eq!(figures(shares, PermitRole::Member), (100_000, 0));
        assert_eq!(figures(Shares::default(), PermitRole::Relay), (0, 0));
    }

    #[test]
    fn members_that_come_together_are_signed_for_a_few_at_a_time_then_and_later() {
        const MEMBERS: u64 = 40;
        let (host, start) = (host(), Instant::now());
        let mut permits = Permits::new(SESSION, Shares::default());
        for link in 0..MEMBERS {
            permits.want(start, LinkId(link), KeyId([link as u8; 32]));
        }
        let mut served = Vec::new();
        while permits.poll_timeout() == Some(start) {
            let due = permits.due(start, &host);
            assert!((1..=SIGNED_AT_ONCE).contains(&due.len()));
            assert!(due.iter().all(|due| due.is_first && !permits.is_awaited(due.link)));
            served.extend(due.into_iter().map(|due| due.link));
        }
        assert_eq!(served, (0..MEMBERS).map(LinkId).collect::<Vec<_>>(), "each once");
        let mut in_a_second: BTreeMap<u64, u32> = BTreeMap::new();
        for holder in permits.holders.values() {
            *in_a_second.entry(holder.renew_at.duration_since(start).as_secs()).or_default() += 1;
        }
        assert_eq!(in_a_second.len() as u64, MEMBERS, "{in_a_second:?}");
    }

    #[test]
    fn a_relay_that_comes_back_hears_what_was_revoked_while_it_was_away() {
        let (host, start, relay) = (host(), Instant::now(), LinkId(9));
        let mut permits = Permits::new(SESSION, Shares::default());
        permits.tell_revoked(start, relay);
        assert_eq!(permits.poll_timeout(), None, "nothing yet");
        let who = |n: u64| KeyId(std::array::from_fn(|at| n.to_le_bytes()[at % 8]));
        let all = MAX_REVOKED as u64 + 3;
        for n in 0..all {
            permits.revoke(start, who(n), n);
        }
        permits.tell_revoked(start, relay);
        let mut told = Vec::new();
        while let Some(now) = permits.poll_timeout() {
            let due = permits.due(now, &host);
            assert!(due.len() <= TOLD_AT_ONCE);
            told.extend(due.into_iter().map(|due| match due.message {
                Control::Revoke { holder, serial } if due.link == relay => (KeyId(holder), serial),
                other => panic!("{other:?}"),
            }));
        }
        assert_eq!(told, (3..all).map(|n| (who(n), n)).collect::<Vec<_>>());
        // What nobody can show any more is forgotten.
        permits.tell_revoked(start + SHOWN, relay);
        assert_eq!(permits.poll_timeout(), None);
        permits.revoke(start + SHOWN, who(1), 9_999);
        assert_eq!(permits.revoked.len(), 1);
    }
}
