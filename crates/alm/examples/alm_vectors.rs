//! Writes the conformance vectors of capacity claims and delivery evidence as JSON: `alm_vectors OUTDIR`.
//!
//! ML-DSA signatures may be hedged; these come from the backend that signs deterministically, so that the files are the same
//! each time.

use alm::delivery::{Court, Evidence};
use alm::{CapacityClaim, Commitment, Load, SubStreamPath};
use core_types::{BitRate, Epoch, KeyId, Layer, MonoTime, StreamId, WallTime};
use identity::{Backend, Domain, HybridSignature, Identity, Seed};
use serde_json::{Value, json};
use vector_kit::write::{counting, hex, write};

type Failed = Box<dyn std::error::Error>;

/// 2026-01-01 00:00 UTC, in milliseconds.
const START: u64 = 1_767_225_600_000;
const DOMAIN: &str = "holomesh capacity claim v4";

fn main() -> Result<(), Failed> {
    write("claim/claim.json", &claims()?)?;
    write("claim/legacy.json", &legacy())?;
    write("delivery/evidence.json", &evidence()?)
}

fn kbit(rate: BitRate) -> u64 {
    rate.0 / 1_000
}

fn commitment(path: &[u8], kbit: u64, max_subscribers: u16) -> Commitment {
    Commitment { path: SubStreamPath(path.to_vec()), budget: BitRate::from_kbit(kbit), max_subscribers }
}

fn claims() -> Result<Value, Failed> {
    let seed: [u8; 64] = counting(0);
    let relay = Identity::from_seed_with(Backend::Portable, &Seed(seed))?;
    let other = Identity::from_seed_with(Backend::Portable, &Seed([9; 64]))?;
    let any = CapacityClaim {
        advertiser: relay.key_id(),
        stream: None,
        epoch: Epoch(0),
        counter: 0,
        uplink: BitRate(0),
        max_streams: 0,
        max_subscribers: 0,
        layers: Layer::BASE,
        commitments: Vec::new(),
        load: Load::default(),
        way: Vec::new(),
        issued_at: WallTime(START),
        valid_until: WallTime(START + 1),
    };
    let one = CapacityClaim {
        stream: Some(StreamId(counting(1))),
        epoch: Epoch(7),
        counter: 42,
        uplink: BitRate::from_kbit(10_000),
        max_streams: 4,
        max_subscribers: 16,
        layers: Layer { spatial: 2, temporal: 1, quality: 3 },
        load: Load { streams: 2, subscribers: 3, used: BitRate::from_kbit(4_000) },
        way: vec![KeyId(counting(2)), KeyId(counting(3))],
        valid_until: WallTime(START + 30_000),
        ..any.clone()
    };
    let parts = CapacityClaim {
        commitments: vec![
            commitment(&[0], 5_000, 8),
            commitment(&[0, 1], 2_500, 4),
            commitment(&[1], 2_500, 2),
        ],
        ..one.clone()
    };
    let longest = CapacityClaim {
        epoch: Epoch(u64::MAX),
        counter: u64::MAX,
        uplink: BitRate::from_kbit(u64::from(u32::MAX)),
        max_streams: u16::MAX,
        max_subscribers: u16::MAX,
        layers: Layer { spatial: 255, temporal: 255, quality: 255 },
        commitments: (0..64).map(|n| commitment(&[n; 16], 67_108_863, u16::MAX)).collect(),
        load: Load {
            streams: u16::MAX,
            subscribers: u16::MAX,
            used: BitRate::from_kbit(u64::from(u32::MAX)),
        },
        way: (0..8).map(|n| KeyId([n; 32])).collect(),
        issued_at: WallTime(u64::MAX - 60_000),
        valid_until: WallTime(u64::MAX),
        ..one.clone()
    };
    let mut cases = Vec::new();
    for (id, claim) in [("any-stream", &any), ("one-stream", &one), ("parts", &parts), ("longest", &longest)]
    {
        let signed = claim.sign(&relay)?;
        let (canonical, _) = signed.split_at(signed.len() - HybridSignature::LEN);
        cases.push(json!({
            "id": id, "stream": claim.stream.map(|stream| hex(stream.as_bytes())),
            "epoch": claim.epoch.0.to_string(), "counter": claim.counter.to_string(),
            "uplink_kbit": kbit(claim.uplink), "max_streams": claim.max_streams,
            "max_subscribers": claim.max_subscribers,
            "layers": [claim.layers.spatial, claim.layers.temporal, claim.layers.quality],
            "issued_at_ms": claim.issued_at.0.to_string(), "valid_until_ms": claim.valid_until.0.to_string(),
            "commitments": claim.commitments.iter().map(|own| json!({
                "path": hex(&own.path.0), "budget_kbit": kbit(own.budget), "max_subscribers": own.max_subscribers,
            })).collect::<Vec<_>>(),
            "streams_now": claim.load.streams, "subscribers_now": claim.load.subscribers,
            "used_kbit": kbit(claim.load.used),
            "way": claim.way.iter().map(|peer| hex(peer.as_bytes())).collect::<Vec<_>>(),
            "canonical": hex(canonical), "bytes": hex(&signed),
        }));
    }
    Ok(json!({
        "id": "claim/claim", "spec": "55-claims.md sections 2 to 4", "domain": DOMAIN, "seed": hex(&seed),
        "advertiser": hex(&relay.public().to_bytes()), "cases": cases,
        "negative": negative(&relay, &other, &parts)?, "times": times(&one), "room": room(&one, &parts),
    }))
}

/// What is refused whoever shows it. All but those about the signature are signed as they are.
fn negative(relay: &Identity, other: &Identity, parts: &CapacityClaim) -> Result<Vec<Value>, Failed> {
    let domain = Domain::new(DOMAIN);
    let signed = parts.sign(relay)?;
    let payload = &signed[..signed.len() - HybridSignature::LEN];
    let sign = |signer: &Identity, domain, bytes: &[u8]| -> Result<Vec<u8>, Failed> {
        Ok([bytes, &signer.sign(domain, bytes)?.to_bytes()].concat())
    };
    let altered = |at: usize, to: &[u8]| {
        let mut bytes = payload.to_vec();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    // Where fields are: version 0, advertiser 1, any stream or one 33, which 34, epoch 66, counter 74, uplink 82, streams 86,
    // subscribers 88, layers 90, issued 93, until 101, how many commitments 109, those at 110, 121 and 133 to 143, load 144, how many
    // peers are on the way 152, and those at 153 and 185.
    let (head, first, second) = (&payload[..110], &payload[110..121], &payload[121..133]);
    let (third, tail) = (&payload[133..144], &payload[144..]);
    let with = |commitments: &[&[u8]]| {
        let mut bytes = [&head[..109], &[commitments.len() as u8]].concat();
        bytes.extend(commitments.concat());
        bytes.extend(tail);
        bytes
    };
    let by_way_of = |peers: &[[u8; 32]]| {
        let mut bytes = [&payload[..152], &[peers.len() as u8]].concat();
        bytes.extend(peers.concat());
        bytes
    };
    let nine: Vec<[u8; 32]> = (0..9).map(|n| [n; 32]).collect();
    let many: Vec<Vec<u8>> = (0..65_u8).map(|n| [&[0, 0, 0, 1, n], &[0; 6][..]].concat()).collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    let long = [&[0, 0, 0, 17][..], &[0; 17], &[0; 6]].concat();
    let malformed = [
        ("version-3", altered(0, &[3])),
        ("version-5", altered(0, &[5])),
        ("advertiser-is-another", altered(1, &[payload[1] ^ 1])),
        ("neither-any-stream-nor-one", altered(33, &[2])),
        ("ends-when-it-begins", altered(101, &START.to_be_bytes())),
        ("ends-before-it-begins", altered(101, &(START - 1).to_be_bytes())),
        ("good-for-too-long", altered(101, &(START + 60_001).to_be_bytes())),
        ("sixty-five-commitments", with(&many)),
        ("commitments-out-of-order", with(&[second, first, third])),
        ("commitment-twice", with(&[first, first])),
        ("commitments-above-the-uplink", altered(82, &9_999_u32.to_be_bytes())),
        ("more-commitments-than-said", altered(109, &[2])),
        ("nine-peers-on-the-way", by_way_of(&nine)),
        ("a-peer-on-the-way-twice", by_way_of(&[[1; 32], [2; 32], [1; 32]])),
        ("by-way-of-itself", by_way_of(&[[1; 32], relay.key_id().0])),
    ];
    let encoding = [
        ("cut", payload[..payload.len() - 1].to_vec()),
        ("left-over", [payload, &[0]].concat()),
        ("fewer-commitments-than-said", altered(109, &[4])),
        ("fewer-peers-than-said", altered(152, &[3])),
        ("more-peers-than-said", altered(152, &[1])),
        ("path-too-long", with(&[&long])),
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
        bad(id, "malformed", &sign(relay, domain, &bytes)?);
    }
    for (id, bytes) in encoding {
        bad(id, "encoding", &sign(relay, domain, &bytes)?);
    }
    bad("longer-than-any", "malformed", &[1; alm::claim::MAX_CLAIM_LEN + 1]);
    bad("shorter-than-a-signature", "malformed", &signed[..HybridSignature::LEN - 1]);
    bad("counter-altered", "signature", &flipped(81));
    bad("uplink-altered", "signature", &flipped(82));
    bad("layers-altered", "signature", &flipped(90));
    bad("issue-altered", "signature", &flipped(100));
    bad("commitment-altered", "signature", &flipped(143));
    bad("subscribers-now-altered", "signature", &flipped(147));
    bad("uplink-in-use-altered", "signature", &flipped(151));
    bad("way-altered", "signature", &flipped(153));
    bad("ed25519-half", "signature", &flipped(payload.len()));
    bad("ml-dsa-half", "signature", &flipped(signed.len() - 1));
    bad("other-signer", "signature", &sign(other, domain, payload)?);
    bad("other-domain", "signature", &sign(relay, Domain::new("holomesh permit v1"), payload)?);
    Ok(all)
}

/// When the second case is good.
fn times(claim: &CapacityClaim) -> Vec<Value> {
    let (from, until) = (claim.issued_at.0, claim.valid_until.0);
    let times = [0, from - 5_001, from - 5_000, from, until - 1, until, u64::MAX];
    let good = |now: u64| claim.check_time(WallTime(now)).is_ok();
    times.into_iter().map(|now| json!({ "now_ms": now.to_string(), "good": good(now) })).collect()
}

/// What there is room for in the second and the third case.
fn room(one: &CapacityClaim, parts: &CapacityClaim) -> Vec<Value> {
    let mut rows = Vec::new();
    for (id, claim, path, rate, streams, subscribers, used) in [
        ("one-stream", one, &[][..], 10_000, 3, 15, 0),
        ("one-stream", one, &[], 4_000, 3, 15, 6_000),
        ("one-stream", one, &[], 4_001, 3, 15, 6_000),
        ("one-stream", one, &[], 1, 4, 0, 0),
        ("one-stream", one, &[], 1, 0, 16, 0),
        ("one-stream", one, &[1, 1], 10_000, 0, 0, 0),
        ("one-stream", one, &[], u64::MAX / 1_000, 0, 0, u64::MAX / 1_000),
        ("parts", parts, &[0], 5_000, 3, 7, 0),
        ("parts", parts, &[0], 5_001, 3, 7, 0),
        ("parts", parts, &[0], 5_000, 3, 8, 0),
        ("parts", parts, &[0, 1], 2_500, 0, 3, 0),
        ("parts", parts, &[0, 1], 2_501, 0, 3, 0),
        ("parts", parts, &[], 1, 0, 0, 0),
        ("parts", parts, &[0, 0], 1, 0, 0, 0),
    ] {
        let part = SubStreamPath(path.to_vec());
        let has_room =
            claim.room(&part, BitRate::from_kbit(rate), streams, subscribers, BitRate::from_kbit(used));
        rows.push(json!({
            "case": id, "path": hex(path), "rate_kbit": rate.to_string(), "streams": streams,
            "subscribers": subscribers, "used_kbit": used.to_string(), "room": has_room,
        }));
    }
    rows
}

/// What the predecessor signed. Known answers: no code of this project made them.
fn legacy() -> Value {
    const NOTE: &str = "Facts, which no code of this project makes: worked out from the predecessor's published layouts by \
                        another program; the last one is the predecessor's own vector.";
    const WIDE: &str = "4349524953414c4d2d434150763200001111111111111111111111111111111111111111111111111111111111111111\
                        000000000000000141200000000400100000018bcfe56800020202";
    json!({
        "id": "claim/legacy", "spec": "55-claims.md section 6", "note": NOTE,
        "wide": [
            {
                "id": "no-commitments", "stream": "11".repeat(32), "epoch": 1, "uplink_kbit": 10_000, "max_streams": 4,
                "max_subscribers": 16, "measured_at_ms": 1_700_000_000_000_u64, "layers": [2, 2, 2],
                "commitments": [], "bytes": format!("{WIDE}00000000"),
            },
            {
                "id": "two-commitments", "stream": "11".repeat(32), "epoch": 1, "uplink_kbit": 10_000, "max_streams": 4,
                "max_subscribers": 16, "measured_at_ms": 1_700_000_000_000_u64, "layers": [2, 2, 2],
                "commitments": [
                    { "path": "", "budget_kbit": 5_000, "max_subscribers": 8 },
                    { "path": "0001", "budget_kbit": 2_500, "max_subscribers": 4 },
                ],
                "bytes": format!("{WIDE}00000002000040a00000000800020001402000000004"),
            },
        ],
        "narrow": [
            {
                "id": "relay-1", "name": "relay-1", "uplink_mbit": 500, "epoch": 3,
                "bytes": "4349524953414c4d2d434150763200000000000772656c61792d31000001f40000000000000003",
            },
            {
                "id": "node-b7", "name": "node-b7", "uplink_mbit": 250, "epoch": 42,
                "bytes": "4349524953414c4d2d43415076320000000000076e6f64652d6237000000fa000000000000002a",
            },
        ],
    })
}

const EVIDENCE: &str = "holomesh delivery evidence v1";

fn evidence() -> Result<Value, Failed> {
    let seed: [u8; 64] = counting(0);
    let observer = Identity::from_seed_with(Backend::Portable, &Seed(seed))?;
    let other = Identity::from_seed_with(Backend::Portable, &Seed([9; 64]))?;
    let usual = Evidence {
        observer: observer.key_id(),
        accused: KeyId(counting(100)),
        stream: StreamId(counting(1)),
        epoch: Epoch(7),
        claim_counter: 42,
        expected: 60,
        delivered: 12,
        from: WallTime(START),
        until: WallTime(START + 2_000),
    };
    let least = Evidence {
        epoch: Epoch(0),
        claim_counter: 0,
        expected: 6,
        delivered: 0,
        until: WallTime(START + 1),
        ..usual.clone()
    };
    let most = Evidence {
        epoch: Epoch(u64::MAX),
        claim_counter: u64::MAX,
        expected: u32::MAX,
        delivered: u32::MAX / 2,
        from: WallTime(u64::MAX - 10_000),
        until: WallTime(u64::MAX),
        ..usual.clone()
    };
    let mut cases = Vec::new();
    for (id, case) in [("usual", &usual), ("least", &least), ("most", &most)] {
        let signed = case.sign(&observer)?;
        let (canonical, _) = signed.split_at(Evidence::LEN - HybridSignature::LEN);
        cases.push(json!({
            "id": id, "accused": hex(case.accused.as_bytes()), "stream": hex(case.stream.as_bytes()),
            "epoch": case.epoch.0.to_string(), "claim_counter": case.claim_counter.to_string(),
            "expected": case.expected, "delivered": case.delivered,
            "from_ms": case.from.0.to_string(), "until_ms": case.until.0.to_string(),
            "canonical": hex(canonical), "bytes": hex(&signed),
        }));
    }
    Ok(json!({
        "id": "delivery/evidence", "spec": "57-delivery.md sections 4 and 5", "domain": EVIDENCE, "seed": hex(&seed),
        "observer": hex(&observer.public().to_bytes()), "cases": cases,
        "negative": bad_evidence(&observer, &other, &usual)?, "times": taken_when(&observer, &usual)?,
    }))
}

/// What is refused whoever shows it. All but those about the signature are signed as they are.
fn bad_evidence(observer: &Identity, other: &Identity, usual: &Evidence) -> Result<Vec<Value>, Failed> {
    let signed = usual.sign(observer)?;
    let payload = &signed[..Evidence::LEN - HybridSignature::LEN];
    // Where fields are: version 0, observer 1, accused 33, stream 65, epoch 97, counter 105, expected 113, delivered 117,
    // from 121, until 129.
    let altered = |at: usize, to: &[u8]| {
        let mut bytes = payload.to_vec();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let until = |millis: u64| altered(129, &(START + millis).to_be_bytes());
    let malformed = [
        ("version-0", altered(0, &[0])),
        ("version-2", altered(0, &[2])),
        ("observer-is-another", altered(1, &[payload[1] ^ 1])),
        ("accuses-itself", altered(33, usual.observer.as_bytes())),
        ("five-expected", altered(113, &[5_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat())),
        ("half-delivered", altered(117, &30_u32.to_be_bytes())),
        ("more-delivered-than-expected", altered(117, &61_u32.to_be_bytes())),
        ("ends-when-it-begins", until(0)),
        ("ends-before-it-begins", altered(129, &(START - 1).to_be_bytes())),
        ("about-too-long", until(10_001)),
        ("cut", payload[..payload.len() - 1].to_vec()),
        ("left-over", [payload, &[0]].concat()),
    ];
    let flipped = |at: usize| {
        let mut bytes = signed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let domain = Domain::new(EVIDENCE);
    let sign = |signer: &Identity, domain, bytes: &[u8]| -> Result<Vec<u8>, Failed> {
        Ok([bytes, &signer.sign(domain, bytes)?.to_bytes()].concat())
    };
    let mut all = Vec::new();
    let mut bad = |id: &str, error: &str, bytes: &[u8]| {
        all.push(json!({ "id": id, "error": error, "bytes": hex(bytes) }));
    };
    for (id, bytes) in malformed {
        bad(id, "malformed", &sign(observer, domain, &bytes)?);
    }
    bad("nothing", "malformed", &[]);
    bad("accused-altered", "signature", &flipped(33));
    bad("stream-altered", "signature", &flipped(65));
    bad("counter-altered", "signature", &flipped(112));
    bad("delivered-altered", "signature", &flipped(120));
    bad("until-altered", "signature", &flipped(136));
    bad("ed25519-half", "signature", &flipped(payload.len()));
    bad("ml-dsa-half", "signature", &flipped(signed.len() - 1));
    bad("other-signer", "signature", &sign(other, domain, payload)?);
    bad("other-domain", "signature", &sign(observer, Domain::new(DOMAIN), payload)?);
    Ok(all)
}

/// When a court takes the first case.
fn taken_when(observer: &Identity, usual: &Evidence) -> Result<Vec<Value>, Failed> {
    let verified = Evidence::verify(&usual.sign(observer)?, observer.public())?;
    let until = usual.until.0;
    let times = [0, until - 5_001, until - 5_000, until, until + 60_000, until + 60_001, u64::MAX];
    let taken = |now: u64| Ok(Court::new(1)?.insert(MonoTime(0), WallTime(now), 1, &verified).is_ok());
    times
        .into_iter()
        .map(|now| Ok(json!({ "now_ms": now.to_string(), "taken": taken(now).map_err(|e: alm::Error| e)? })))
        .collect()
}
