//! Whom a joiner asks, where the distance decides and the lot, which is each joiner's own, does not.

use alm::planner::{Candidate, Load, Request, plan};
use alm::{CapacityClaim, Commitment, Error, SubStreamPath};
use core_types::{BitRate, Epoch, KeyId, Layer, StreamId, WallTime};
use identity::{Backend, Identity, Seed};
use serde_json::{Value, json};
use std::time::Duration;
use vector_kit::write::hex;

type Failed = Box<dyn std::error::Error>;

const NOW: u64 = 1_767_225_600_000;
const RATE: u64 = 2_500_001;
const STREAM: StreamId = StreamId([0x22; 32]);
const TOP: Layer = Layer { spatial: 1, temporal: 1, quality: 0 };

/// A candidate before its claim is signed.
#[derive(Clone)]
struct Told {
    person: u8,
    claim: CapacityClaim,
    rtt_ms: Option<u64>,
    load: Load,
    reach: u16,
    trust: u16,
    path: Option<Vec<u8>>,
    network: u64,
    discovered_by: u8,
}

fn person(number: u8) -> Result<Identity, Failed> {
    Ok(Identity::from_seed_with(Backend::Portable, &Seed([number; 64]))?)
}

/// With nothing against it, and a network and discovery of its own.
fn told(number: u8, rtt_ms: u64, streams: u64) -> Result<Told, Failed> {
    let claim = CapacityClaim {
        advertiser: person(number)?.key_id(),
        stream: None,
        epoch: Epoch(3),
        counter: 10,
        uplink: BitRate::from_kbit(streams * 2_501),
        max_streams: 4,
        max_subscribers: 50,
        layers: Layer { spatial: 2, temporal: 2, quality: 2 },
        commitments: Vec::new(),
        load: Load::default(),
        way: Vec::new(),
        issued_at: WallTime(NOW),
        valid_until: WallTime(NOW + 30_000),
    };
    let load = Load { streams: 0, subscribers: 0, used: BitRate(0) };
    Ok(Told {
        person: number,
        claim,
        rtt_ms: Some(rtt_ms),
        load,
        reach: 1_000,
        trust: 1_000,
        path: Some(Vec::new()),
        network: u64::from(number),
        discovered_by: number,
    })
}

fn request(parents: u8, spares: u8) -> Result<Request, Failed> {
    Ok(Request {
        me: person(200)?.key_id(),
        stream: STREAM,
        epoch: Some(Epoch(3)),
        rate: BitRate(RATE),
        layers: TOP,
        parents,
        spares,
        now: WallTime(NOW),
        seed: 42,
    })
}

/// 20 ms apart from one another.
fn in_a_row(count: u8, streams: u64) -> Result<Vec<Told>, Failed> {
    (1..=count).map(|number| told(number, 20 * u64::from(number), streams)).collect()
}

pub(crate) fn vectors() -> Result<Value, Failed> {
    let mut unfit = in_a_row(14, 4)?;
    unfit[0] = Told { person: 200, claim: told(200, 20, 4)?.claim, ..unfit[0].clone() };
    unfit[1].claim.stream = Some(StreamId([0x23; 32]));
    unfit[2].claim.epoch = Epoch(4);
    unfit[3].trust = 0;
    unfit[4].claim.valid_until = WallTime(NOW);
    unfit[4].claim.issued_at = WallTime(NOW - 1_000);
    unfit[5].claim.issued_at = WallTime(NOW + 120_001);
    unfit[5].claim.valid_until = WallTime(NOW + 150_000);
    unfit[6].claim.layers.temporal = 0;
    unfit[7].path = Some(vec![3, 200, 100]);
    unfit[8].reach = 499;
    unfit[9].claim.uplink = BitRate::from_kbit(0);
    let mut older = unfit[12].clone();
    (older.claim.counter, older.rtt_ms) = (9, Some(0));
    unfit.push(older);
    let mut other = unfit[13].clone();
    other.claim.max_subscribers = 51;
    unfit.push(other);
    let none: Vec<Told> = [&unfit[..10], &unfit[13..14], &unfit[15..]].concat();

    let mut hops = in_a_row(6, 4)?;
    hops[0].path = Some(vec![101, 102, 103, 104, 105, 106, 107]);
    hops[1].path = None;
    hops[3].rtt_ms = None;
    (hops[4].rtt_ms, hops[5].rtt_ms) = (Some(19), Some(159));

    let mut fates = in_a_row(8, 4)?;
    (fates[1].network, fates[3].discovered_by) = (1, 1);
    for (told, steps) in fates.iter_mut().skip(5).zip([9, 10, 13]) {
        told.rtt_ms = Some(20 * steps);
    }
    fates[4].path = Some(vec![3]);
    fates[6].network = fates[2].network;

    let mut loads = in_a_row(8, 1)?;
    loads[0].load.used = BitRate::from_kbit(2_501);
    loads[1].load = Load { streams: 4, subscribers: 0, used: BitRate(0) };
    loads[2].load = Load { streams: 4, subscribers: 1, used: BitRate::from_kbit(1_000) };
    loads[3].load.subscribers = 50;
    loads[4].claim.commitments = vec![part(&[0], 1_000, 5)?];
    loads[5].claim.commitments = vec![part(&[], 626, 5)?, part(&[1], 100, 5)?];
    loads[6].claim.max_streams = 0;

    let mut much = in_a_row(6, 0)?;
    for (told, kbit) in much.iter_mut().zip([626, 1_300, 2_600, 626, 1_252, 600]) {
        told.claim.uplink = BitRate::from_kbit(kbit);
    }
    let cases = [
        ("nearest", request(4, 2)?, in_a_row(9, 4)?),
        ("no-more-than-asked-for", request(4, 2)?, in_a_row(4, 4)?),
        ("unfit", request(4, 2)?, unfit),
        ("hops-and-unmeasured", request(4, 1)?, hops),
        ("apart", request(3, 2)?, fates),
        ("room", request(4, 0)?, loads),
        ("fewer-with-more-room", request(4, 2)?, much.clone()),
        ("one-parent", request(1, 0)?, much),
        ("sixteen-parents", request(16, 1)?, in_a_row(5, 4)?),
    ];
    let cases = cases.into_iter().map(|(id, request, told)| case(id, &request, &told));
    let cases = cases.collect::<Result<Vec<_>, _>>()?;
    let mut negative = Vec::new();
    for (id, request, told) in [
        ("nobody", request(4, 2)?, Vec::new()),
        ("nobody-fit", request(4, 2)?, none),
        ("no-rate", Request { rate: BitRate(0), ..request(4, 2)? }, in_a_row(4, 4)?),
        ("no-parents", request(0, 2)?, in_a_row(4, 4)?),
        ("seventeen-parents", request(17, 2)?, in_a_row(4, 4)?),
    ] {
        negative.push(case(id, &request, &told)?);
    }
    Ok(
        json!({ "id": "alm/planner", "spec": "58-topology.md section 4", "cases": cases, "negative": negative }),
    )
}

fn part(path: &[u8], kbit: u64, max_subscribers: u16) -> Result<Commitment, Failed> {
    Ok(Commitment { path: SubStreamPath(path.to_vec()), budget: BitRate::from_kbit(kbit), max_subscribers })
}

fn case(id: &str, request: &Request, told: &[Told]) -> Result<Value, Failed> {
    let mut claims = Vec::new();
    for told in told {
        let signer = person(told.person)?;
        claims.push(CapacityClaim::verify(&told.claim.sign(&signer)?, signer.public())?);
    }
    let mut paths = Vec::new();
    for told in told {
        let keys = |path: &Vec<u8>| {
            path.iter().map(|n| Ok(person(*n)?.key_id())).collect::<Result<Vec<KeyId>, Failed>>()
        };
        paths.push(told.path.as_ref().map(keys).transpose()?);
    }
    let candidates = told.iter().zip(&claims).zip(&paths).map(|((told, claim), path)| Candidate {
        claim,
        rtt: told.rtt_ms.map(Duration::from_millis),
        load: told.load,
        reach: told.reach,
        path_to_source: path.as_deref(),
        network: told.network,
        discovered_by: told.discovered_by,
        trust: told.trust,
    });
    let planned = plan(request, &candidates.collect::<Vec<_>>());
    let mut case = json!({
        "id": id,
        "request": {
            "me": 200, "stream": hex(&request.stream.0), "epoch": request.epoch.map(|epoch| epoch.0.to_string()), "rate": request.rate.0,
            "layers": layers(request.layers), "parents": request.parents, "spares": request.spares,
            "now_ms": request.now.0.to_string(),
        },
        "candidates": told.iter().map(said).collect::<Vec<_>>(),
    });
    let keys = |keys: &[KeyId]| keys.iter().map(|key| hex(&key.0)).collect::<Vec<_>>();
    match planned {
        Ok(plan) => {
            case["parents"] = keys(&plan.parents).into();
            case["spares"] = keys(&plan.spares).into();
            case["rest"] = keys(&plan.rest).into();
        }
        Err(Error::NoParent(refusals)) => {
            case["error"] = "no-parents".into();
            case["refusals"] = json!({
                "myself": refusals.myself, "other_stream": refusals.other_stream, "other_epoch": refusals.other_epoch,
                "duplicate": refusals.duplicate, "untrusted": refusals.untrusted, "stale": refusals.stale,
                "layers_missing": refusals.layers, "looped": refusals.looped, "unreachable": refusals.unreachable,
                "no_room": refusals.no_room,
            });
        }
        Err(error) => {
            case["error"] = if matches!(error, Error::Input { .. }) { "input" } else { "another" }.into();
        }
    }
    Ok(case)
}

fn layers(layer: Layer) -> [u8; 3] {
    [layer.spatial, layer.temporal, layer.quality]
}

/// A person stands for the identity of the seed with so many bytes of that number.
fn said(told: &Told) -> Value {
    let claim = &told.claim;
    let parts: Vec<Value> = claim
        .commitments
        .iter()
        .map(|part| {
            json!({
                "path": hex(&part.path.0), "budget_kbit": part.budget.0 / 1_000, "max_subscribers": part.max_subscribers,
            })
        })
        .collect();
    json!({
        "person": told.person, "stream": claim.stream.map(|stream| hex(&stream.0)), "epoch": claim.epoch.0.to_string(),
        "counter": claim.counter.to_string(), "uplink_kbit": claim.uplink.0 / 1_000, "max_streams": claim.max_streams,
        "max_subscribers": claim.max_subscribers, "layers": layers(claim.layers), "commitments": parts,
        "issued_at_ms": claim.issued_at.0.to_string(), "valid_until_ms": claim.valid_until.0.to_string(),
        "rtt_ms": told.rtt_ms, "used": told.load.used.0, "streams_now": told.load.streams,
        "subscribers_now": told.load.subscribers, "reach": told.reach, "trust": told.trust, "path": told.path,
        "network": told.network, "discovered_by": told.discovered_by,
    })
}
