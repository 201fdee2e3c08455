//! Whom a relay serves: the sessions that signed it a permit, and their members as far as theirs says.

use av_relay::{Permission, Streams};
use av_wire::permit::{Permit, PermitRefusal, PermitRole, PermitStreams};
use core_types::{KeyId, LinkId, MonoTime, SessionId, WallTime};
use identity::PublicIdentity;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// Revocations that are remembered; those of the longest ago are forgotten, and their permits have ended by then.
const MAX_REVOKED: usize = 4_096;

/// What permits say here.
#[derive(Debug)]
pub(crate) struct PermitDesk {
    session: SessionId,
    own: KeyId,
    /// Permits of a holder up to this serial are void.
    revoked: BTreeMap<KeyId, u64>,
    /// Of what was shown over a link, the one that counts.
    shown: BTreeMap<LinkId, Shown>,
}

/// A permit that was verified: its holder is who is at the other end of the link.
#[derive(Debug)]
struct Shown {
    permit: Permit,
    /// Of its signed bytes: shown again, it is not verified again.
    digest: [u8; 32],
}

/// What the host's permit for this relay comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// It holds until then, in milliseconds of the calendar, for these streams, and no more than so much of them.
    Holds(WallTime, PermitStreams, Figures),
    /// Not by this machine's clock, for this reason.
    Untimely(String),
}

/// What a permit limits beside the streams; `None` where it says nothing of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) bytes_per_second: Option<u64>,
    pub(super) subscribers: Option<usize>,
}

impl Figures {
    fn of(permit: &Permit) -> Self {
        let subscribers = usize::try_from(permit.max_subscribers).unwrap_or(usize::MAX);
        Self {
            bytes_per_second: (permit.max_bytes_per_second > 0).then_some(permit.max_bytes_per_second),
            subscribers: (subscribers > 0).then_some(subscribers),
        }
    }
}

impl PermitDesk {
    pub(crate) const fn new(session: SessionId, own: KeyId) -> Self {
        Self { session, own, revoked: BTreeMap::new(), shown: BTreeMap::new() }
    }

    /// Checks the permit that the host has signed for this relay.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it, if that is not the time.
    pub(super) fn check_own(
        &self,
        now: WallTime,
        signed: &[u8],
        host: &PublicIdentity,
    ) -> Result<Own, String> {
        let permit = Permit::verify(signed, host).map_err(sentence)?;
        match permit.check(now, self.session, self.own, PermitRole::Relay) {
            Ok(()) => {
                let figures = Figures::of(&permit);
                Ok(Own::Holds(permit.not_after, permit.streams, figures))
            }
            Err(
                error @ av_wire::Error::Permit { why: PermitRefusal::NotYet | PermitRefusal::Expired, .. },
            ) => Ok(Own::Untimely(sentence(error))),
            Err(error) => Err(sentence(error)),
        }
    }

    /// Checks a child's permit; what it may have, and how much of it. Where it has shown one of a later time, that one counts (spec 56.4.5).
    ///
    /// # Errors
    /// A sentence for the child.
    pub(crate) fn check_child(
        &mut self,
        now: (MonoTime, WallTime),
        signed: &[u8],
        host: &PublicIdentity,
        (link, child): (LinkId, KeyId),
    ) -> Result<(Permission, Figures), String> {
        let digest = Sha256::digest(signed).into();
        if self.shown.get(&link).is_none_or(|shown| shown.digest != digest) {
            let permit = Permit::verify(signed, host).map_err(sentence)?;
            permit.check(now.1, self.session, child, PermitRole::Member).map_err(sentence)?;
            if self.shown.get(&link).is_none_or(|known| known.permit.serial < permit.serial) {
                self.shown.insert(link, Shown { permit, digest });
            }
        }
        let shown = self.shown.values().filter(|shown| shown.permit.holder == child);
        let Some(Shown { permit, .. }) = shown.max_by_key(|shown| shown.permit.serial) else {
            return Err("show a permit of your own".into());
        };
        permit.check(now.1, self.session, child, PermitRole::Member).map_err(sentence)?;
        if self.revoked.get(&child).is_some_and(|void| permit.serial <= *void) {
            return Err("your permit was revoked".into());
        }
        let streams = match &permit.streams {
            PermitStreams::All => Streams::All,
            PermitStreams::Only(streams) => Streams::Only(streams.clone()),
        };
        Ok((Permission { streams, until: until(now, permit.not_after) }, Figures::of(permit)))
    }

    /// The host takes back what it signed for somebody up to that serial. True if what it has shown here is among that: who
    /// came back meanwhile may have shown a permit of its new membership.
    pub(super) fn revoke(&mut self, holder: KeyId, serial: u64) -> bool {
        remember(&mut self.revoked, holder, serial);
        self.shown.values().all(|shown| shown.permit.holder != holder || shown.permit.serial <= serial)
    }

    /// A link is gone, and with it what was shown over it.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.shown.remove(&link);
    }

    /// Links over which something was shown.
    pub(super) fn shown(&self) -> usize {
        self.shown.len()
    }
}

fn sentence(error: av_wire::Error) -> String {
    format!("permit: {error}")
}

/// Keeps the highest serial of a holder. Where there is no room, the lowest of all is forgotten: it is the oldest.
fn remember(serials: &mut BTreeMap<KeyId, u64>, holder: KeyId, serial: u64) {
    if serials.len() >= MAX_REVOKED && !serials.contains_key(&holder) {
        let oldest = serials.iter().min_by_key(|(_, serial)| **serial).map(|(who, _)| *who);
        if let Some(oldest) = oldest {
            serials.remove(&oldest);
        }
    }
    let kept = serials.entry(holder).or_default();
    *kept = serial.max(*kept);
}

/// A date as a time of the monotonic clock, by what both say now.
pub(super) fn until((mono, wall): (MonoTime, WallTime), date: WallTime) -> MonoTime {
    let slack = u64::try_from(av_wire::permit::LATE_BY.as_millis()).unwrap_or(0);
    mono.plus(Duration::from_millis(date.0.saturating_add(slack).saturating_sub(wall.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::StreamId;
    use identity::{Identity, Seed};

    const SESSION: SessionId = SessionId([2; 32]);
    const LINK: LinkId = LinkId(5);
    const CHILD: KeyId = KeyId([7; 32]);
    const OWN: KeyId = KeyId([8; 32]);
    const NOW: (MonoTime, WallTime) = (MonoTime(5_000_000), WallTime(1_700_000_000_000));

    fn host(seed: u8) -> Identity {
        Identity::from_seed(&Seed([seed; 64])).unwrap()
    }

    fn permit(host: &Identity, holder: KeyId, role: PermitRole, serial: u64) -> Permit {
        Permit {
            session: SESSION,
            issuer: host.key_id(),
            holder,
            role,
            serial,
            not_before: NOW.1,
            not_after: WallTime(NOW.1.0 + 600_000),
            streams: PermitStreams::All,
            max_bytes_per_second: 0,
            max_subscribers: 0,
        }
    }

    #[test]
    fn a_permit_that_is_shown_again_is_not_verified_again() {
        let (host, other) = (host(1), host(2));
        let mut desk = PermitDesk::new(SESSION, OWN);
        let mut signed = permit(&host, CHILD, PermitRole::Member, 3).sign(&host).unwrap();
        assert!(desk.check_child(NOW, &signed, other.public(), (LINK, CHILD)).is_err());
        desk.check_child(NOW, &signed, host.public(), (LINK, CHILD)).unwrap();
        // Whether the signature is the host's is not asked again …
        desk.check_child(NOW, &signed, other.public(), (LINK, CHILD)).unwrap();
        // … but whose it is, and whether it still holds.
        assert!(desk.check_child(NOW, &signed, host.public(), (LINK, KeyId([9; 32]))).is_err());
        let late = (NOW.0, WallTime(NOW.1.0 + 1_000_000));
        assert!(
            desk.check_child(late, &signed, host.public(), (LINK, CHILD))
                .unwrap_err()
                .contains("time is over")
        );
        assert!(desk.revoke(CHILD, 3));
        assert!(
            desk.check_child(NOW, &signed, host.public(), (LINK, CHILD)).unwrap_err().contains("revoked")
        );
        let last = signed.len() - 1;
        signed[last] ^= 1;
        assert!(
            desk.check_child(NOW, &signed, host.public(), (LINK, CHILD)).unwrap_err().starts_with("permit:")
        );
    }

    #[test]
    fn of_two_permits_the_one_with_the_higher_serial_counts() {
        let host = host(1);
        let mut desk = PermitDesk::new(SESSION, OWN);
        let only = |id: u8| PermitStreams::Only([StreamId([id; 32])].into());
        let [former, later] = [(3, only(3)), (4, only(4))].map(|(serial, streams)| {
            Permit { streams, ..permit(&host, CHILD, PermitRole::Member, serial) }.sign(&host).unwrap()
        });
        let mut streams = |link, signed: &[u8]| {
            desk.check_child(NOW, signed, host.public(), (link, CHILD)).unwrap().0.streams
        };
        let named = |id: u8| Streams::Only([StreamId([id; 32])].into());
        let other = LinkId(6);
        assert_eq!(streams(LINK, &former), named(3));
        assert_eq!(streams(LINK, &later), named(4));
        assert_eq!(streams(LINK, &former), named(4));
        assert_eq!(streams(other, &former), named(4), "over whatever link");
        desk.forget(LINK);
        assert!(!desk.revoke(CHILD, 2) && desk.revoke(CHILD, 3), "what was shown over the other link counts");
    }

    #[test]
    fn a_permit_out_of_time_is_waited_out_and_any_other_fault_is_the_hosts() {
        let host = host(1);
        let desk = PermitDesk::new(SESSION, OWN);
        let signed = permit(&host, OWN, PermitRole::Relay, 3).sign(&host).unwrap();
        let holds = Own::Holds(WallTime(NOW.1.0 + 600_000), PermitStreams::All, Figures::default());
        assert_eq!(desk.check_own(NOW.1, &signed, host.public()), Ok(holds));
        for off in [NOW.1.0 - 200_000, NOW.1.0 + 1_000_000] {
            let own = desk.check_own(WallTime(off), &signed, host.public());
            assert!(matches!(own, Ok(Own::Untimely(_))), "{own:?}");
        }
        for (holder, role) in [(CHILD, PermitRole::Relay), (OWN, PermitRole::Member)] {
            let signed = permit(&host, holder, role, 3).sign(&host).unwrap();
            desk.check_own(NOW.1, &signed, host.public()).unwrap_err();
        }
    }

    #[test]
    fn a_figure_of_zero_says_nothing() {
        let host = host(1);
        let mut desk = PermitDesk::new(SESSION, OWN);
        let mut figures = |serial, max_bytes_per_second| {
            let permit = permit(&host, CHILD, PermitRole::Member, serial);
            let signed = Permit { max_bytes_per_second, ..permit }.sign(&host).unwrap();
            desk.check_child(NOW, &signed, host.public(), (LINK, CHILD)).unwrap().1
        };
        assert_eq!(figures(1, 0), Figures::default());
        assert_eq!(figures(2, 5_000), Figures { bytes_per_second: Some(5_000), subscribers: None });
        let own = Permit { max_subscribers: 7, ..permit(&host, OWN, PermitRole::Relay, 3) };
        let Ok(Own::Holds(_, _, own)) = desk.check_own(NOW.1, &own.sign(&host).unwrap(), host.public())
        else {
            panic!("it does not hold");
        };
        assert_eq!(own, Figures { bytes_per_second: None, subscribers: Some(7) });
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes() {
        let mut desk = PermitDesk::new(SESSION, OWN);
        let holder = |n: u64| KeyId(std::array::from_fn(|at| n.to_le_bytes()[at % 8]));
        for serial in 0..=MAX_REVOKED as u64 {
            desk.revoke(holder(serial), serial);
        }
        assert_eq!(desk.revoked.len(), MAX_REVOKED);
        assert!(!desk.revoked.contains_key(&holder(0)) && desk.revoked.contains_key(&holder(1)));
    }
}
