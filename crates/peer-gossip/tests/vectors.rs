//! Every case of the committed vectors of gossip, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "tests")]

use control_wire::{DirectPort, PeerAddress};
use core_types::{LinkId, MonoTime, SessionId, WallTime};
use identity::{Backend, Domain, HybridSignature, Identity, PublicIdentity, Seed};
use peer_gossip::{Card, Config, Error, Gossip, Kind};
use serde_json::Value;
use vector_kit::read::{array, hex, list, load};

const FILE: &str = "gossip/gossip.json";

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn host(file: &Value) -> PublicIdentity {
    PublicIdentity::from_bytes(&hex(&file["host"])).unwrap()
}

fn session(file: &Value) -> SessionId {
    SessionId(array(&file["session"]))
}

fn now(file: &Value) -> WallTime {
    WallTime(number(&file["now_ms"]))
}

fn advertiser(file: &Value) -> Identity {
    Identity::from_seed_with(Backend::Portable, &Seed(array(&file["seed"]))).unwrap()
}

fn read(case: &Value, advertiser: &Identity) -> Card {
    let direct = case["direct_port"].as_u64();
    let addresses = case["addresses"].as_array().unwrap().iter();
    Card {
        session: SessionId(array(&case["session"])),
        identity: advertiser.public().clone(),
        address: PeerAddress {
            endpoint: array(&case["endpoint"]),
            addresses: addresses.map(|at| at.as_str().unwrap().parse().unwrap()).collect(),
            direct: direct
                .map(|port| DirectPort { port: port.try_into().unwrap(), key_id: advertiser.key_id().0 }),
        },
        kind: if case["kind"] == "relay" { Kind::Relay } else { Kind::Watcher },
        issued_at: WallTime(number(&case["issued_at_ms"])),
        permit: hex(&case["permit"]),
    }
}

/// A node that takes no part in the vectors, with one link.
fn node(file: &Value) -> Gossip {
    let me = Identity::from_seed(&Seed([0xee; 64])).unwrap().key_id();
    let mut node = Gossip::new(Config::new(session(file), me, host(file), 1));
    node.add_link(MonoTime(0), LinkId(1));
    node
}

#[test]
fn cards_have_the_bytes_of_the_vectors_and_are_taken() {
    let file = load(FILE);
    let (advertiser, host, session) = (advertiser(&file), host(&file), session(&file));
    assert_eq!(file["domain"], "holomesh peer card v1");
    for case in list(&file, "cases") {
        let card = read(case, &advertiser);
        let (canonical, bytes) = (hex(&case["canonical"]), hex(&case["bytes"]));
        assert_eq!(card.sign(&advertiser).unwrap(), bytes, "{}", case["id"]);
        assert_eq!(*Card::verify(&bytes, session, &host, now(&file)).unwrap(), card, "{}", case["id"]);
        let (payload, signature) = bytes.split_at(canonical.len());
        assert_eq!(payload, canonical, "{}", case["id"]);
        // What an implementation that knows nothing but the specification of signatures checks.
        let signature = HybridSignature::from_bytes(signature).unwrap();
        advertiser.public().verify(Domain::new("holomesh peer card v1"), &canonical, &signature).unwrap();

        let mut node = node(&file);
        let entry = [&[0], &bytes[..]].concat();
        node.handle(MonoTime(0), now(&file), LinkId(1), &[entry]).unwrap();
        assert_eq!(node.stats().cards, 1, "{}", case["id"]);
    }
}

#[test]
fn bad_cards_of_the_vectors_are_refused_for_what_is_wrong_with_them() {
    let file = load(FILE);
    for case in list(&file, "negative") {
        let bytes = hex(&case["bytes"]);
        let error = Card::verify(&bytes, session(&file), &host(&file), now(&file)).unwrap_err();
        let class = match &error {
            Error::Malformed { .. } => "malformed",
            Error::TooLarge { .. } => "too-large",
            Error::Identity { source: identity::Error::BadSignature { .. }, .. } => "signature",
            Error::Identity { .. } => "encoding",
            Error::OtherSession { .. } => "other-session",
            Error::Permit { .. } => "permit",
            Error::NotYet { .. } => "not-yet",
            _ => "another",
        };
        assert_eq!(class, case["error"], "{}: {error}", case["id"]);
        assert_eq!(error.is_peer_fault(), case["blames_peer"], "{}: {error}", case["id"]);

        let mut node = node(&file);
        let entry = [&[0], &bytes[..]].concat();
        let taken = node.handle(MonoTime(0), now(&file), LinkId(1), &[entry]);
        assert_eq!(taken.is_err(), case["blames_peer"], "{}", case["id"]);
        assert_eq!((node.stats().peers, node.stats().cards), (0, 0), "{}", case["id"]);
    }
}

#[test]
fn cards_are_good_when_the_vectors_say() {
    let file = load(FILE);
    let bytes = hex(&list(&file, "cases")[0]["bytes"]);
    let card = Card::verify(&bytes, session(&file), &host(&file), now(&file)).unwrap();
    for row in list(&file, "times") {
        let now = WallTime(number(&row["now_ms"]));
        assert_eq!(card.check_time(now).is_ok(), row["good"], "{row}");
        assert_eq!(Card::verify(&bytes, session(&file), &host(&file), now).is_ok(), row["good"], "{row}");
    }
}
