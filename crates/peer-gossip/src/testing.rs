//! Peers for tests: an identity, its permit, its cards and claims.

use crate::{Card, Kind};
use alm::{CapacityClaim, Load};
use av_wire::permit::{Permit, PermitRole, PermitStreams};
use control_wire::PeerAddress;
use core_types::{BitRate, Epoch, KeyId, Layer, SessionId, WallTime};
use identity::{Identity, Seed};
use std::sync::LazyLock;

pub(crate) const SESSION: SessionId = SessionId([0x5e; 32]);
/// When tests begin, by the wall clock.
pub(crate) const START: WallTime = WallTime(1_000_000_000);

/// Identities are made once for all tests of a run: each takes longer than what it is used for.
static IDENTITIES: LazyLock<Vec<Identity>> = LazyLock::new(|| (0..=64).map(identity).collect());

fn identity(n: u8) -> Identity {
    Identity::from_seed(&Seed([n; 64])).unwrap()
}

pub(crate) fn host() -> &'static Identity {
    &IDENTITIES[0]
}

/// Peer `n`, from 1 to 64.
pub(crate) fn peer(n: usize) -> &'static Identity {
    assert!(n > 0);
    &IDENTITIES[n]
}

pub(crate) fn permit(holder: KeyId, kind: Kind) -> Permit {
    Permit {
        session: SESSION,
        issuer: host().key_id(),
        holder,
        role: kind.role(),
        serial: 1,
        not_before: START,
        not_after: WallTime(START.0 + 3_600_000),
        streams: PermitStreams::All,
        max_bytes_per_second: 0,
        max_subscribers: if kind.role() == PermitRole::Relay { 9 } else { 0 },
    }
}

pub(crate) fn card(n: usize, issued_at: WallTime) -> Card {
    let (identity, kind) = (peer(n), if n.is_multiple_of(2) { Kind::Watcher } else { Kind::Relay });
    let addresses = vec![([192, 0, 2, n as u8], 4433).into()];
    Card {
        session: SESSION,
        identity: identity.public().clone(),
        address: PeerAddress { endpoint: [n as u8; 32], addresses, direct: None },
        kind,
        issued_at,
        permit: permit(identity.key_id(), kind).sign(host()).unwrap(),
    }
}

pub(crate) fn signed_card(n: usize, issued_at: WallTime) -> Vec<u8> {
    card(n, issued_at).sign(peer(n)).unwrap()
}

/// Good for 60 s, with the time of issue for a counter.
pub(crate) fn claim(n: usize, issued_at: WallTime) -> CapacityClaim {
    CapacityClaim {
        advertiser: peer(n).key_id(),
        stream: None,
        epoch: Epoch(1),
        counter: issued_at.0,
        uplink: BitRate::from_kbit(1_000),
        max_streams: 1,
        max_subscribers: 4,
        layers: Layer::BASE,
        commitments: Vec::new(),
        load: Load::default(),
        way: Vec::new(),
        issued_at,
        valid_until: WallTime(issued_at.0 + 60_000),
    }
}

pub(crate) fn signed_claim(n: usize, issued_at: WallTime) -> Vec<u8> {
    claim(n, issued_at).sign(peer(n)).unwrap()
}

pub(crate) fn later(from: WallTime, seconds: u64) -> WallTime {
    WallTime(from.0 + 1_000 * seconds)
}

/// As they go over a link.
pub(crate) fn card_entry(n: usize, issued_at: WallTime) -> Vec<u8> {
    [&[0], &signed_card(n, issued_at)[..]].concat()
}

/// As they go over a link.
pub(crate) fn claim_entry(n: usize, issued_at: WallTime) -> Vec<u8> {
    [&[1], &signed_claim(n, issued_at)[..]].concat()
}
