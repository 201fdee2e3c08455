//! Writes the conformance vectors of stripes, trees, plans and claims earned as JSON: `alm_mesh_vectors OUTDIR`.

use alm::topology::{Offer, Shape, arrange};
use core_types::{BitRate, ChunkSeq, Epoch, KeyId, StreamId, StripeSet};
use serde_json::{Value, json};
use vector_kit::write::{counting, hex, write};

#[path = "mesh/estimator.rs"]
mod estimator;
#[path = "mesh/planner.rs"]
mod planner;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    write("alm/striping.json", &striping()?)?;
    write("alm/topology.json", &topology()?)?;
    write("alm/planner.json", &planner::vectors()?)?;
    write("alm/estimator.json", &estimator::vectors()?)
}

/// Which chunks a subscription to some stripes brings.
fn striping() -> Result<Value, Failed> {
    let far = (1 << 48) - 16;
    let numbers: Vec<u64> = (0..20).chain(far..far + 16).collect();
    let mut cases = Vec::new();
    for (count, mask) in
        [(1, 1), (1, 0), (2, 2), (3, 5), (4, 1), (4, 8), (4, 15), (7, 0x42), (16, 0x8001), (16, 0xffff)]
    {
        let set = StripeSet::new(count, mask)?;
        let carried: Vec<u64> = numbers.iter().copied().filter(|seq| set.contains(ChunkSeq(*seq))).collect();
        cases.push(json!({ "id": format!("{count}-{mask:x}"), "count": count, "mask": mask, "numbers": numbers, "carried": carried }));
    }
    let mut negative = Vec::new();
    for (id, count, mask) in [
        ("no-stripes", 0, 0),
        ("seventeen-stripes", 17, 1),
        ("bit-at-the-count", 4, 0x10),
        ("highest-bit", 15, 0x8000),
        ("bit-of-none", 1, 2),
    ] {
        let error = StripeSet::new(count, mask).err().map(|_| "value");
        negative.push(json!({ "id": id, "error": error, "count": count, "mask": mask }));
    }
    Ok(
        json!({ "id": "alm/striping", "spec": "50-multicast.md section 1", "cases": cases, "negative": negative }),
    )
}

const RATE: u64 = 3_999_999;
const PUBLISHER: KeyId = KeyId([0x77; 32]);

/// A peer by number, with keys in no order.
fn key(number: u64) -> KeyId {
    KeyId(counting((number * 89 + 13) as u8))
}

/// Numbers that look drawn.
fn drawn(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn shape(parents: u8) -> Shape {
    Shape {
        publisher: PUBLISHER,
        stream: StreamId(counting(1)),
        epoch: Epoch(7),
        rate: BitRate(RATE),
        parents,
    }
}

/// The publisher with so many slots, and peers with the slots listed.
fn offers(parents: u8, publisher: u64, peers: &[u64]) -> Vec<Offer> {
    let stripe = RATE.div_ceil(u64::from(parents));
    let peers = peers.iter().zip(0..).map(|(slots, n)| Offer::new(key(n), BitRate(slots * stripe), 500));
    std::iter::once(Offer::new(PUBLISHER, BitRate(publisher * stripe), 500)).chain(peers).collect()
}

fn topology() -> Result<Value, Failed> {
    let mut draw = drawn(1);
    let mut mixed: Vec<u64> = (0..40).map(|_| draw(12)).collect();
    mixed[3] = 64;
    let mut told = offers(4, 8, &mixed);
    for (at, offer) in told.iter_mut().enumerate().skip(1) {
        (offer.trust, offer.reach) = ([1_000, 900, 0, 500, 1_000][at % 5], [1_000, 499, 500, 2_000][at % 4]);
    }
    let mut few = offers(4, 9, &[16; 12]);
    few.iter_mut().skip(1).zip(1..).for_each(|(offer, n)| offer.max_subscribers = n);
    // Pairs that differ in two of room, trust and reach, one more in favor of either.
    let close = [
        (9, 975, 901),
        (8, 1_000, 900),
        (9, 950, 800),
        (8, 975, 801),
        (15, 600, 700),
        (8, 781, 700),
        (15, 500, 600),
        (8, 682, 600),
        (8, 500, 951),
        (8, 700, 650),
        (8, 400, 899),
        (8, 600, 600),
    ];
    let mut scores = offers(4, 8, &close.map(|(slots, _, _)| slots));
    for (offer, (_, trust, reach)) in scores.iter_mut().skip(1).zip(close) {
        (offer.trust, offer.reach) = (trust, reach);
    }
    let uneven: Vec<u64> = (0..30).map(|n| [0, 9, 1, 0, 7, 3][n % 6]).collect();
    let cases = [
        ("nobody-else", 4, offers(4, 4, &[])),
        ("one-peer", 4, offers(4, 4, &[0])),
        ("source-too-small", 4, offers(4, 3, &[20, 20])),
        ("room-for-all", 4, offers(4, 8, &[8; 20])),
        ("just-enough", 4, offers(4, 4, &[4, 4, 4, 4, 4, 4, 4, 4, 4])),
        ("uneven", 4, offers(4, 7, &uneven)),
        ("a-few-with-much", 4, offers(4, 5, &[0, 40, 0, 0, 3, 0, 0, 0, 0, 0, 0])),
        ("room-is-short", 4, offers(4, 6, &[0, 1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0])),
        ("trust-and-reach", 4, told),
        ("scores", 4, scores),
        ("subscribers-at-most", 4, few),
        ("one-stripe", 1, offers(1, 2, &[3, 1, 0, 2, 0, 1, 0, 0])),
        ("three-stripes", 3, offers(3, 4, &mixed[..16])),
        ("sixteen-stripes", 16, offers(16, 33, &[20; 10])),
    ];
    let cases = cases.into_iter().map(|(id, parents, offers)| case(id, parents, &offers));
    let cases = cases.collect::<Result<Vec<_>, _>>()?;

    let good = offers(4, 4, &[4]);
    let twice = [&good[..], &good[1..]].concat();
    let mut negative = Vec::new();
    for (id, shape, offers) in [
        ("no-rate", Shape { rate: BitRate(0), ..shape(4) }, &good[..]),
        ("no-parents", shape(0), &good),
        ("seventeen-parents", shape(17), &good),
        ("no-publisher", shape(4), &good[1..]),
        ("a-peer-twice", shape(4), &twice),
    ] {
        let error = arrange(&shape, offers).err().map(|error| match error {
            alm::Error::Input { .. } => "input",
            _ => "another",
        });
        negative.push(json!({ "id": id, "error": error, "shape": said(&shape), "offers": all(offers) }));
    }
    Ok(
        json!({ "id": "alm/topology", "spec": "58-topology.md sections 2 and 3", "cases": cases, "negative": negative }),
    )
}

fn said(shape: &Shape) -> Value {
    json!({
        "publisher": hex(&shape.publisher.0), "stream": hex(&shape.stream.0), "epoch": shape.epoch.0.to_string(),
        "rate": shape.rate.0, "parents": shape.parents,
    })
}

fn all(offers: &[Offer]) -> Vec<Value> {
    let said = |offer: &Offer| {
        json!({
            "peer": hex(&offer.peer.0), "uplink": offer.uplink.0, "max_subscribers": offer.max_subscribers,
            "trust": offer.trust, "reach": offer.reach,
        })
    };
    offers.iter().map(said).collect()
}

/// Trees, as the parent of each that is served in each stripe.
fn case(id: &str, parents: u8, offers: &[Offer]) -> Result<Value, Failed> {
    let shape = shape(parents);
    let topology = arrange(&shape, offers)?;
    let served = topology.served().map(|peer| {
        let above: Vec<String> = topology.parents(peer).iter().map(|parent| hex(&parent.0)).collect();
        json!({ "peer": hex(&peer.0), "parents": above, "depth": topology.depth(peer) })
    });
    let unserved: Vec<String> = topology.unserved().map(|peer| hex(&peer.0)).collect();
    Ok(json!({
        "id": id, "shape": said(&shape), "offers": all(offers), "served": served.collect::<Vec<_>>(),
        "unserved": unserved, "max_depth": topology.max_depth(),
    }))
}
