//! Cards and claims told over a link: from anybody, and from an advertiser that means harm, which signs whatever it likes. What is
//! accepted is written back to the same bytes, is good, and is passed on as it came; nothing else is.
#![no_main]

use std::sync::LazyLock;

use av_wire::permit::{Permit, PermitRole, PermitStreams};
use core_types::{KeyId, LinkId, MonoTime, SessionId, WallTime};
use identity::{Domain, HybridSignature, Identity, PublicIdentity, Seed};
use libfuzzer_sys::fuzz_target;
use peer_gossip::{Card, Config, Error, Gossip, MAX_CARD_LEN, MAX_ENTRY_LEN};

const SESSION: SessionId = SessionId([0x5e; 32]);
const NOW: WallTime = WallTime(1_767_225_602_000);
/// Where the identity stands in a card: after version and session.
const IDENTITY: std::ops::Range<usize> = 33..33 + PublicIdentity::LEN;

struct Peers {
    host: Identity,
    advertiser: Identity,
    /// A relay's permit and a member's, each behind its length, as a card ends.
    permits: [Vec<u8>; 2],
}

static PEERS: LazyLock<Peers> = LazyLock::new(|| {
    let from = |n| Identity::from_seed(&Seed([n; 64])).expect("a seed gives an identity");
    let (host, advertiser) = (from(7), from(8));
    let permit = |role| {
        let permit = Permit {
            session: SESSION,
            issuer: host.key_id(),
            holder: advertiser.key_id(),
            role,
            serial: 1,
            not_before: NOW,
            not_after: NOW,
            streams: PermitStreams::All,
            max_bytes_per_second: 0,
            max_subscribers: 0,
        };
        let signed = permit.sign(&host).expect("a permit that makes sense");
        [&(signed.len() as u32).to_be_bytes(), &signed[..]].concat()
    };
    let permits = [PermitRole::Relay, PermitRole::Member].map(permit);
    Peers { host, advertiser, permits }
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let peers = &*PEERS;
    match kind % 4 {
        0 | 1 => card(&[data, &peers.permits[usize::from(*kind % 2)]].concat()),
        2 => card(data),
        _ => anybodys(data),
    }
});

/// What the advertiser signs: a card in its own name, whatever else is in it.
fn card(payload: &[u8]) {
    let peers = &*PEERS;
    let mut payload = payload.to_vec();
    if let Some(identity) = payload.get_mut(IDENTITY) {
        identity.copy_from_slice(&peers.advertiser.public().to_bytes());
    }
    let domain = Domain::new("holomesh peer card v1");
    let signature = peers.advertiser.sign(domain, &payload).expect("anything can be signed");
    let signed = [&payload[..], &signature.to_bytes()].concat();
    let outcome = Card::verify(&signed, SESSION, peers.host.public(), NOW);
    let mut gossip = node();
    let entry = [&[0], &signed[..]].concat();
    let handled = gossip.handle(MonoTime(0), NOW, LinkId(1), &[entry.clone()]);
    match outcome {
        Ok(card) => {
            assert!(signed.len() <= MAX_CARD_LEN && entry.len() <= MAX_ENTRY_LEN);
            let again = card.sign(&peers.advertiser).expect("what was read can be written");
            assert_eq!(again[..again.len() - HybridSignature::LEN], payload);
            assert_eq!(handled, Ok(()));
            assert_eq!(gossip.poll_message(), Some((LinkId(2), vec![entry])));
        }
        Err(error) => {
            assert_eq!(handled.is_err(), error.is_peer_fault());
            assert_eq!(gossip.stats().peers, 0);
        }
    }
    assert_eq!(gossip.poll_message(), None);
}

/// An entry that nobody signed.
fn anybodys(entry: &[u8]) {
    let mut gossip = node();
    let handled = gossip.handle(MonoTime(0), NOW, LinkId(1), &[entry.to_vec()]);
    assert!(handled.as_ref().map_or_else(Error::is_peer_fault, |()| true));
    assert_eq!((gossip.stats().peers, gossip.poll_message()), (0, None));
}

/// A node with two links that knows nobody.
fn node() -> Gossip {
    let mut gossip = Gossip::new(Config::new(SESSION, KeyId([1; 32]), PEERS.host.public().clone(), 1));
    gossip.add_link(MonoTime(0), LinkId(1));
    gossip.add_link(MonoTime(0), LinkId(2));
    gossip
}
