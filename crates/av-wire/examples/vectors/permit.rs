//! Permits: what is taken, what is not, and what is good for whom and when.
//!
//! ML-DSA signatures may be hedged; these come from the backend that signs deterministically, so that the file is the same
//! each time.

use super::{counting, hex};
use av_wire::Error;
use av_wire::permit::{Permit, PermitRefusal, PermitRole, PermitStreams};
use core_types::{KeyId, SessionId, StreamId, WallTime};
use identity::{Backend, Domain, HybridSignature, Identity, Seed};
use serde_json::{Value, json};

type Failed = Box<dyn std::error::Error>;

const SESSION: SessionId = SessionId([0x5e; 32]);
const HOLDER: KeyId = KeyId([0xa1; 32]);
/// 2026-01-01 00:00 UTC, in milliseconds.
const START: u64 = 1_767_225_600_000;
const END: u64 = START + 600_000;

fn role(role: PermitRole) -> &'static str {
    match role {
        PermitRole::Relay => "relay",
        PermitRole::Member => "member",
    }
}

fn outcome(result: &Result<(), Error>) -> &'static str {
    match result {
        Ok(()) => "good",
        Err(Error::Permit { why, .. }) => match why {
            PermitRefusal::NotYet => "not-yet",
            PermitRefusal::Expired => "expired",
            PermitRefusal::OtherSession => "other-session",
            PermitRefusal::OtherHolder => "other-holder",
            PermitRefusal::OtherRole => "other-role",
            _ => "another",
        },
        Err(_) => "another",
    }
}

pub(super) fn permits() -> Result<Value, Failed> {
    let seed: [u8; 64] = counting(0);
    let host = Identity::from_seed_with(Backend::Portable, &Seed(seed))?;
    let other = Identity::from_seed_with(Backend::Portable, &Seed([9; 64]))?;
    let relay = Permit {
        session: SESSION,
        issuer: host.key_id(),
        holder: HOLDER,
        role: PermitRole::Relay,
        serial: 1,
        not_before: WallTime(START),
        not_after: WallTime(END),
        streams: PermitStreams::All,
        max_bytes_per_second: 0,
        max_subscribers: 2_000,
    };
    let streams = [counting(1), counting(2), [0xff; 32]].map(StreamId);
    let member = Permit {
        role: PermitRole::Member,
        serial: u64::MAX,
        streams: PermitStreams::Only(streams.into_iter().collect()),
        max_bytes_per_second: 1 << 40,
        max_subscribers: 0,
        ..relay.clone()
    };
    let most = PermitStreams::Only((0..64).map(|n| StreamId([n; 32])).collect());
    let longest = Permit { serial: 0, streams: most, not_after: WallTime(u64::MAX), ..relay.clone() };
    let mut cases = Vec::new();
    for (id, permit) in [("relay-all", &relay), ("member-listed", &member), ("longest", &longest)] {
        let listed: Option<Vec<String>> = match &permit.streams {
            PermitStreams::All => None,
            PermitStreams::Only(streams) => Some(streams.iter().map(|id| hex(id.as_bytes())).collect()),
        };
        cases.push(json!({
            "id": id, "session": hex(permit.session.as_bytes()), "holder": hex(permit.holder.as_bytes()),
            "role": role(permit.role), "serial": permit.serial.to_string(),
            "not_before_ms": permit.not_before.0.to_string(), "not_after_ms": permit.not_after.0.to_string(),
            "streams": listed, "max_bytes_per_second": permit.max_bytes_per_second.to_string(),
            "max_subscribers": permit.max_subscribers, "bytes": hex(&permit.sign(&host)?),
        }));
    }
    Ok(json!({
        "id": "permit/permit", "spec": "56-permits.md sections 2 and 4", "seed": hex(&seed), "issuer": hex(&host.public().to_bytes()),
        "cases": cases, "negative": negative(&host, &other, &member)?, "checks": checks(&relay),
    }))
}

/// What is refused whoever shows it. All but those about the signature are signed as they are.
fn negative(host: &Identity, other: &Identity, member: &Permit) -> Result<Vec<Value>, Failed> {
    let domain = Domain::new("holomesh permit v1");
    let signed = member.sign(host)?;
    let payload = &signed[..signed.len() - HybridSignature::LEN];
    let sign = |signer: &Identity, domain, bytes: &[u8]| -> Result<Vec<u8>, Failed> {
        Ok([bytes, &signer.sign(domain, bytes)?.to_bytes()].concat())
    };
    let altered = |at: usize, to: u8| {
        let mut bytes = payload.to_vec();
        bytes[at] = to;
        bytes
    };
    // Where fields are: version 0, session 1, issuer 33, holder 65, role 97, serial 98, not before 106, not after 114, all
    // or listed 122, how many 123, the streams 124, 156 and 188, bytes a second 220, subscribers 228 to 231.
    let swapped = [&payload[..124], &payload[156..188], &payload[124..156], &payload[188..]].concat();
    let doubled = [&payload[..156], &payload[124..156], &payload[188..]].concat();
    let none = [&payload[..123], &[0], &payload[220..]].concat();
    let many: Vec<u8> = (0..65).flat_map(|n| [n; 32]).collect();
    let many = [&payload[..123], &[65], &many[..], &payload[220..]].concat();
    let backwards = [&payload[..106], &payload[114..122], &payload[106..114], &payload[122..]].concat();
    let malformed = [
        ("version", altered(0, 2)),
        ("issuer-is-another", altered(33, payload[33] ^ 1)),
        ("role-zero", altered(97, 0)),
        ("role-unknown", altered(97, 3)),
        ("neither-all-nor-listed", altered(122, 2)),
        ("no-stream-listed", none),
        ("streams-out-of-order", swapped),
        ("stream-listed-twice", doubled),
        ("ends-before-it-begins", backwards),
        ("member-with-subscribers", altered(231, 1)),
    ];
    let encoding = [
        ("cut", payload[..payload.len() - 1].to_vec()),
        ("left-over", [payload, &[0]].concat()),
        ("fewer-streams-than-said", altered(123, 4)),
    ];
    let flipped = |at: usize| {
        let mut bytes = signed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut all = Vec::new();
    let mut bad = |id: &str, error: &str, bytes: &[u8]| {
        all.push(json!({ "id": id, "error": error, "bytes": hex(bytes) }));
    };
    for (id, bytes) in malformed {
        bad(id, "malformed", &sign(host, domain, &bytes)?);
    }
    for (id, bytes) in encoding {
        bad(id, "encoding", &sign(host, domain, &bytes)?);
    }
    bad("sixty-five-streams", "too-large", &sign(host, domain, &many)?);
    bad("shorter-than-a-signature", "truncated", &signed[..HybridSignature::LEN - 1]);
    bad("serial-altered", "signature", &flipped(105));
    bad("holder-altered", "signature", &flipped(65));
    bad("ed25519-half", "signature", &flipped(payload.len()));
    bad("ml-dsa-half", "signature", &flipped(signed.len() - 1));
    bad("other-signer", "signature", &sign(other, domain, payload)?);
    bad("other-domain", "signature", &sign(host, Domain::new("holomesh stream-announce v1"), payload)?);
    Ok(all)
}

/// What the first case is good for.
fn checks(permit: &Permit) -> Vec<Value> {
    let (relay, member) = (PermitRole::Relay, PermitRole::Member);
    let (elsewhere, stranger) = (SessionId([0x5f; 32]), KeyId([0xa2; 32]));
    let mut checks = Vec::new();
    for (now, session, holder, as_role) in [
        (START, SESSION, HOLDER, relay),
        (START - 120_000, SESSION, HOLDER, relay),
        (START - 120_001, SESSION, HOLDER, relay),
        (END + 300_000, SESSION, HOLDER, relay),
        (END + 300_001, SESSION, HOLDER, relay),
        (0, SESSION, HOLDER, relay),
        (u64::MAX, SESSION, HOLDER, relay),
        (START, elsewhere, HOLDER, relay),
        (START, SESSION, stranger, relay),
        (START, SESSION, HOLDER, member),
    ] {
        let result = permit.check(WallTime(now), session, holder, as_role);
        checks.push(json!({
            "now_ms": now.to_string(), "session": hex(session.as_bytes()), "holder": hex(holder.as_bytes()),
            "role": role(as_role), "outcome": outcome(&result),
        }));
    }
    checks
}
