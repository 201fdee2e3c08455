//! What a card promises: there is one encoding of each, nobody else signs one, and nothing in it can be altered.

use super::*;
use crate::entry::Entry;
use crate::testing::{SESSION, START, card, host, peer, permit};
use control_wire::DirectPort;
use identity::{Domain, HybridSignature};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::sync::LazyLock;

/// Signed once, for each kind: signing is no part of what is tested.
static PERMITS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    [Kind::Relay, Kind::Watcher].map(|kind| permit(peer(1).key_id(), kind).sign(host()).unwrap())
});

/// Signs whatever it is given.
fn signed(payload: &[u8]) -> Vec<u8> {
    let signature = peer(1).sign(Domain::new("holomesh peer card v1"), payload).unwrap();
    [payload, &signature.to_bytes()].concat()
}

fn payload(card: &Card) -> Vec<u8> {
    let mut signed = card.sign(peer(1)).unwrap();
    signed.truncate(signed.len() - HybridSignature::LEN);
    signed
}

fn verify(bytes: &[u8]) -> Result<VerifiedCard, Error> {
    Card::verify(bytes, SESSION, host().public(), START)
}

fn some() -> impl Strategy<Value = Card> {
    let octets =
        prop_oneof![any::<[u8; 4]>().prop_map(|ip| ip.to_vec()), any::<[u8; 16]>().prop_map(Vec::from)];
    let address = (octets, 1..=u16::MAX).prop_filter_map("unspecified", |(octets, port)| {
        let at: SocketAddr = match <[u8; 4]>::try_from(&octets[..]) {
            Ok(v4) => (v4, port).into(),
            Err(_) => (<[u8; 16]>::try_from(&octets[..]).unwrap(), port).into(),
        };
        (!at.ip().is_unspecified()).then_some(at)
    });
    let addresses = prop::collection::btree_set(address, 0..=MAX_ADDRESSES);
    let addresses = addresses.prop_map(Vec::from_iter).prop_shuffle();
    let direct = prop::option::of(1..=u16::MAX);
    (any::<bool>(), 0..=START.0 + 5_000, any::<[u8; 32]>(), addresses, direct).prop_map(
        |(is_relay, issued_at, endpoint, addresses, direct)| Card {
            session: SESSION,
            identity: peer(1).public().clone(),
            address: PeerAddress {
                endpoint,
                addresses,
                direct: direct.map(|port| DirectPort { port, key_id: peer(1).key_id().0 }),
            },
            kind: if is_relay { Kind::Relay } else { Kind::Watcher },
            issued_at: WallTime(issued_at),
            permit: PERMITS[usize::from(!is_relay)].clone(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn cards_round_trip(card in some()) {
        let signed = card.sign(peer(1)).unwrap();
        prop_assert!(signed.len() <= MAX_CARD_LEN);
        prop_assert_eq!((*verify(&signed).unwrap()).clone(), card);
    }

    #[test]
    fn parsing_never_panics_and_accepts_only_what_writing_makes(
        card in some(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index, noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let whole = payload(&card);
        // Behind the identity and before the permit there are few bytes, so they are picked by themselves.
        let fields = 2017..whole.len() - card.permit.len();
        let mut altered = [whole.clone(), whole.clone()];
        altered[0][at.index(whole.len())] = byte;
        altered[1][fields.start + at.index(fields.len())] = byte;
        let cut = whole[..cut.index(whole.len())].to_vec();
        for bytes in altered.iter().chain([&cut, &[&whole[..], &[0]].concat(), &noise]) {
            if let Ok(read) = verify(&signed(bytes)) {
                prop_assert_eq!(&payload(&read), bytes);
            }
        }
        let _ = (verify(&noise), Entry::read(&noise).map(|entry| entry.advertiser()));
    }
}

#[test]
fn no_flipped_bit_of_a_card_goes_unnoticed() {
    let mut signed = card(1, START).sign(peer(1)).unwrap();
    assert!(verify(&signed).is_ok());
    let all = 0..signed.len();
    // All of what is not a key or a signature, and a few of those.
    for at in all.filter(|at| (2000..2200).contains(at) || at % 97 == 0) {
        signed[at] ^= 1;
        assert!(verify(&signed).is_err(), "byte {at}");
        signed[at] ^= 1;
    }
    *signed.last_mut().unwrap() ^= 0x80;
    assert!(verify(&signed).is_err());
}

#[test]
fn a_signature_for_another_purpose_is_none() {
    let bytes = payload(&card(1, START));
    let signature = peer(1).sign(Domain::new("holomesh permit v1"), &bytes).unwrap();
    let error = verify(&[&bytes[..], &signature.to_bytes()].concat()).unwrap_err();
    assert!(matches!(error, Error::Identity { .. }) && error.is_peer_fault(), "{error}");
}

#[test]
fn somebody_elses_permit_is_noticed_before_a_signature_is_looked_at() {
    let mut card = card(1, START);
    card.permit = permit(peer(2).key_id(), Kind::Relay).sign(host()).unwrap();
    let mut signed = card.sign(peer(1)).unwrap();
    *signed.last_mut().unwrap() ^= 1;
    let error = verify(&signed).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }) && error.is_peer_fault(), "{error}");
}

#[test]
fn a_card_shown_is_short_and_says_whose_it_is() {
    let card = card(1, START);
    let shown = format!("{card:?}");
    assert!(shown.len() < 700 && shown.contains("192.0.2.1:4433") && shown.contains("Relay"), "{shown}");
}
