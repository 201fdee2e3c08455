//! Writes the conformance vectors of gossip as JSON: `peer_gossip_vectors OUTDIR`.
//!
//! ML-DSA signatures may be hedged; these come from the backend that signs deterministically, so that the file is the same
//! each time.

use av_wire::permit::{Permit, PermitRole, PermitStreams};
use control_wire::{DirectPort, PeerAddress};
use core_types::{KeyId, SessionId, StreamId, WallTime};
use identity::{Backend, Domain, HybridSignature, Identity, Seed};
use peer_gossip::{Card, Fault, Kind, MAX_CARD_LEN};
use serde_json::{Value, json};
use std::net::SocketAddr;
use vector_kit::write::{counting, hex, write};

type Failed = Box<dyn std::error::Error>;

const SESSION: SessionId = SessionId([0x5e; 32]);
/// 2026-01-01 00:00 UTC, in milliseconds.
const START: u64 = 1_767_225_600_000;
const END: u64 = START + 600_000;
const DOMAIN: &str = "holomesh peer card v1";

fn main() -> Result<(), Failed> {
    write("gossip/gossip.json", &Makers::new()?.gossip()?)
}

struct Makers {
    host: Identity,
    relay: Identity,
    other: Identity,
}

impl Makers {
    fn new() -> Result<Self, Failed> {
        let from = |seed| Identity::from_seed_with(Backend::Portable, &Seed(seed));
        Ok(Self { host: from(counting(0))?, relay: from(counting(64))?, other: from([9; 64])? })
    }

    /// A relay's, of the session, by its host.
    fn permit(&self) -> Permit {
        Permit {
            session: SESSION,
            issuer: self.host.key_id(),
            holder: self.relay.key_id(),
            role: PermitRole::Relay,
            serial: 1,
            not_before: WallTime(START),
            not_after: WallTime(END),
            streams: PermitStreams::All,
            max_bytes_per_second: 0,
            max_subscribers: 2_000,
        }
    }

    fn card(&self, permit: &Permit) -> Result<Card, Failed> {
        Ok(Card {
            session: SESSION,
            identity: self.relay.public().clone(),
            address: PeerAddress {
                endpoint: counting(1),
                addresses: vec!["192.0.2.7:4433".parse()?, "[2001:db8::7]:443".parse()?],
                direct: Some(DirectPort { port: 4434, key_id: self.relay.key_id().0 }),
            },
            kind: Kind::Relay,
            issued_at: WallTime(START + 1_000),
            permit: permit.sign(&self.host)?,
        })
    }

    fn gossip(&self) -> Result<Value, Failed> {
        let relay = self.card(&self.permit())?;
        let member = Permit { role: PermitRole::Member, serial: 2, max_subscribers: 0, ..self.permit() };
        let watcher = Card {
            kind: Kind::Watcher,
            address: PeerAddress { endpoint: [0xff; 32], addresses: Vec::new(), direct: None },
            ..self.card(&member)?
        };
        let listed = PermitStreams::Only((0..64).map(|n| StreamId([n; 32])).collect());
        let longest = Card {
            address: PeerAddress {
                addresses: (1..=8_u16).map(|n| SocketAddr::from(([0x20; 16], n))).collect(),
                ..relay.address.clone()
            },
            ..self.card(&Permit { streams: listed, ..self.permit() })?
        };
        let mut cases = Vec::new();
        for (id, card) in [("relay", &relay), ("watcher", &watcher), ("longest", &longest)] {
            let signed = card.sign(&self.relay)?;
            let canonical = &signed[..signed.len() - HybridSignature::LEN];
            let addresses: Vec<String> = card.address.addresses.iter().map(ToString::to_string).collect();
            cases.push(json!({
                "id": id, "session": hex(card.session.as_bytes()),
                "kind": if card.kind == Kind::Relay { "relay" } else { "watcher" },
                "issued_at_ms": card.issued_at.0.to_string(), "endpoint": hex(&card.address.endpoint),
                "addresses": addresses, "direct_port": card.address.direct.map(|direct| direct.port),
                "permit": hex(&card.permit), "canonical": hex(canonical), "bytes": hex(&signed),
            }));
        }
        Ok(json!({
            "id": "gossip/gossip", "spec": "53-gossip.md section 2", "domain": DOMAIN, "seed": hex(&counting::<64>(64)),
            "host": hex(&self.host.public().to_bytes()), "session": hex(SESSION.as_bytes()),
            "now_ms": (START + 2_000).to_string(), "cases": cases, "negative": self.negative(&relay)?,
            "times": self.times(&relay)?,
        }))
    }

    fn sign(&self, signer: &Identity, domain: &'static str, bytes: &[u8]) -> Result<Vec<u8>, Failed> {
        Ok([bytes, &signer.sign(Domain::new(domain), bytes)?.to_bytes()].concat())
    }

    /// What is refused at `now_ms`. All but those about the signature are signed as they are.
    fn negative(&self, relay: &Card) -> Result<Vec<Value>, Failed> {
        let signed = relay.sign(&self.relay)?;
        let payload = &signed[..signed.len() - HybridSignature::LEN];
        let altered = |at: usize, to: &[u8]| {
            let mut bytes = payload.to_vec();
            bytes[at..at + to.len()].copy_from_slice(to);
            bytes
        };
        // Where fields are: version 0, session 1, identity 33, kind 2017, issued 2018, endpoint 2026, how many addresses 2058, those
        // at 2059 and 2066, direct links 2085, their port 2086, the permit's length 2088, the permit 2092.
        let (head, first) = (&payload[..2058], &payload[2059..2066]);
        let tail = &payload[2085..];
        let many = [head, &[9], &first.repeat(9), tail].concat();
        let twice = [head, &[2], first, first, tail].concat();
        let malformed = [
            ("version", altered(0, &[2])),
            ("kind-zero", altered(2017, &[0])),
            ("kind-unknown", altered(2017, &[3])),
            ("neither-ipv4-nor-ipv6", altered(2059, &[5])),
            ("address-without-port", altered(2064, &[0, 0])),
            ("address-unspecified", altered(2060, &[0; 4])),
            ("address-twice", twice),
            ("nine-addresses", many),
            ("more-addresses-than-said", altered(2058, &[1])),
            ("direct-neither-nor", altered(2085, &[2])),
            ("direct-port-zero", altered(2086, &[0, 0])),
        ];
        let encoding = [
            ("cut", payload[..payload.len() - 1].to_vec()),
            ("permit-empty", [&payload[..2088], &[0; 4]].concat()),
            ("left-over", [payload, &[0]].concat()),
            ("permit-longer-than-any", altered(2088, &5_558_u32.to_be_bytes())),
        ];
        let mut all = Vec::new();
        let mut bad = |id: &str, error: &str, fault: Fault, bytes: &[u8]| {
            let blames = fault == Fault::Peer;
            all.push(json!({ "id": id, "error": error, "blames_peer": blames, "bytes": hex(bytes) }));
        };
        for (id, bytes) in malformed {
            bad(id, "malformed", Fault::Peer, &self.sign(&self.relay, DOMAIN, &bytes)?);
        }
        for (id, bytes) in encoding {
            bad(id, "encoding", Fault::Peer, &self.sign(&self.relay, DOMAIN, &bytes)?);
        }
        bad("longer-than-any", "too-large", Fault::Peer, &[1; MAX_CARD_LEN + 1]);
        bad("shorter-than-a-signature", "malformed", Fault::Peer, &signed[..HybridSignature::LEN - 1]);
        let flipped = |at: usize| {
            let mut bytes = signed.clone();
            bytes[at] ^= 1;
            bytes
        };
        for (id, at) in [
            ("issue-altered", 2025),
            ("endpoint-altered", 2026),
            ("address-altered", 2060),
            ("direct-port-altered", 2087),
            ("permit-altered", payload.len() - 1),
            ("ed25519-half", payload.len()),
            ("ml-dsa-half", signed.len() - 1),
        ] {
            bad(id, "signature", Fault::Peer, &flipped(at));
        }
        bad("other-signer", "signature", Fault::Peer, &self.sign(&self.other, DOMAIN, payload)?);
        let domain = "holomesh capacity claim v4";
        bad("other-domain", "signature", Fault::Peer, &self.sign(&self.relay, domain, payload)?);
        // Cards that their advertiser signed, and that do not show that it belongs to the session.
        let card = |change: &dyn Fn(&mut Permit)| -> Result<Vec<u8>, Failed> {
            let mut permit = self.permit();
            change(&mut permit);
            Ok(self.card(&permit)?.sign(&self.relay)?)
        };
        let elsewhere = SessionId([0x5f; 32]);
        let foreign = Card { session: elsewhere, ..relay.clone() };
        bad("other-session", "other-session", Fault::Peer, &foreign.sign(&self.relay)?);
        bad("permit-of-another-session", "permit", Fault::Peer, &card(&|permit| permit.session = elsewhere)?);
        let another = KeyId(self.other.key_id().0);
        bad("permit-of-another-peer", "malformed", Fault::Peer, &card(&|permit| permit.holder = another)?);
        let member = card(&|permit| (permit.role, permit.max_subscribers) = (PermitRole::Member, 0))?;
        bad("relay-with-a-members-permit", "permit", Fault::Peer, &member);
        let permit = Permit { issuer: self.other.key_id(), ..self.permit() }.sign(&self.other)?;
        let own_host = Card { permit, ..relay.clone() };
        bad("permit-of-another-host", "permit", Fault::Peer, &own_host.sign(&self.relay)?);
        let over = card(&|permit| (permit.not_before.0, permit.not_after.0) = (0, START - 300_000))?;
        bad("permit-over", "permit", Fault::Nobody, &over);
        let early = card(&|permit| permit.not_before.0 = START + 122_001)?;
        bad("permit-not-yet", "permit", Fault::Nobody, &early);
        let early = Card { issued_at: WallTime(START + 7_001), ..relay.clone() };
        bad("from-the-future", "not-yet", Fault::Nobody, &early.sign(&self.relay)?);
        Ok(all)
    }

    /// When the first case is good.
    fn times(&self, relay: &Card) -> Result<Vec<Value>, Failed> {
        let signed = relay.sign(&self.relay)?;
        let issued = relay.issued_at.0;
        let times = [0, issued - 5_001, issued - 5_000, issued, END + 300_000, END + 300_001, u64::MAX];
        let good = |now| Card::verify(&signed, SESSION, self.host.public(), WallTime(now)).is_ok();
        Ok(times.into_iter().map(|now| json!({ "now_ms": now.to_string(), "good": good(now) })).collect())
    }
}
