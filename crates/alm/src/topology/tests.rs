//! From claims to trees.

use super::*;
use crate::{CapacityClaim, Commitment, Load, SubStreamPath};
use core_types::WallTime;
use proptest::prelude::*;

const RATE: BitRate = BitRate(1_000_000);
const SOURCE: KeyId = KeyId([0xff; 32]);
const STREAM: StreamId = StreamId([5; 32]);

fn claim(advertiser: KeyId, streams: u64) -> CapacityClaim {
    CapacityClaim {
        advertiser,
        stream: None,
        epoch: Epoch(3),
        counter: 10,
        uplink: BitRate(streams * RATE.0),
        max_streams: 4,
        max_subscribers: 500,
        layers: Layer::BASE,
        commitments: Vec::new(),
        load: Load::default(),
        way: Vec::new(),
        issued_at: WallTime(1_000),
        valid_until: WallTime(31_000),
    }
}

fn verified(claims: impl IntoIterator<Item = CapacityClaim>) -> Vec<VerifiedClaim> {
    claims.into_iter().map(VerifiedClaim::assume).collect()
}

fn build_from(claims: &[VerifiedClaim]) -> Result<Topology, Error> {
    build_with(claims, Layer::BASE, &BTreeMap::new(), &BTreeMap::new())
}

fn build_with(
    claims: &[VerifiedClaim],
    layers: Layer,
    trust: &BTreeMap<KeyId, u16>,
    reach: &BTreeMap<KeyId, u16>,
) -> Result<Topology, Error> {
    let shape = Shape { publisher: SOURCE, stream: STREAM, epoch: Epoch(3), rate: RATE, parents: 4 };
    build(&Input { shape, layers, claims, trust, reach })
}

fn feeds(topology: &Topology, peer: KeyId) -> usize {
    (0..topology.stripes()).map(|stripe| topology.children(peer, stripe).count()).sum()
}

/// The trees of a source with room for one stream, one peer with a claim as `change` makes it, and ten that feed nobody
/// but need to be fed. With a good claim all are served, without it the peer alone.
fn with(change: impl Fn(&mut CapacityClaim)) -> Topology {
    let mut one = claim(KeyId([1; 32]), 20);
    change(&mut one);
    let others = (2..12).map(|n| claim(KeyId([n; 32]), 0));
    build_from(&verified([claim(SOURCE, 1), one].into_iter().chain(others))).unwrap()
}

#[test]
fn a_claim_that_does_not_cover_the_stream_gives_nothing() {
    assert_eq!(with(|_| ()).served().count(), 11);
    assert_eq!(with(|claim| claim.stream = Some(STREAM)).served().count(), 11);
    assert_eq!(with(|claim| claim.max_streams = 0).served().count(), 1);
    assert_eq!(with(|claim| claim.max_subscribers = 0).served().count(), 1);
    assert_eq!(with(|claim| claim.uplink = BitRate(RATE.0 / 4 - 1)).served().count(), 1);
    // A claim for another stream or epoch is none at all: who has no other is not there.
    let elsewhere = with(|claim| claim.stream = Some(StreamId([6; 32])));
    assert_eq!(elsewhere.served().len() + elsewhere.unserved().len(), 10);
    let before = with(|claim| claim.epoch = Epoch(2));
    assert_eq!(before.served().len() + before.unserved().len(), 10);
}

#[test]
fn who_does_not_carry_all_layers_feeds_nobody() {
    let high = Layer { spatial: 1, temporal: 2, quality: 0 };
    for (layers, served) in [(high, 3), (Layer { temporal: 1, ..high }, 1), (Layer { spatial: 0, ..high }, 1)]
    {
        let claims = verified([
            CapacityClaim { layers: high, ..claim(SOURCE, 1) },
            CapacityClaim { layers, ..claim(KeyId([1; 32]), 20) },
            claim(KeyId([2; 32]), 0),
            claim(KeyId([3; 32]), 0),
        ]);
        let topology = build_with(&claims, high, &BTreeMap::new(), &BTreeMap::new()).unwrap();
        assert_eq!(topology.served().count(), served, "{layers:?}");
    }
}

#[test]
fn with_commitments_only_the_one_to_the_whole_stream_counts() {
    let commit = |path: &[u8], streams: u64, max_subscribers| Commitment {
        path: SubStreamPath(path.to_vec()),
        budget: BitRate(streams * RATE.0),
        max_subscribers,
    };
    let served = |commitments: Vec<Commitment>| {
        with(|claim| claim.commitments.clone_from(&commitments)).served().count()
    };
    assert_eq!(served(vec![commit(&[0], 20, 500)]), 1);
    assert_eq!(served(vec![commit(&[], 20, 500), commit(&[0], 20, 500)]), 11);
    // Two streams more than its own: two peers more.
    assert_eq!(served(vec![commit(&[], 2, 500)]), 3);
    assert_eq!(served(vec![commit(&[], 20, 8)]), 3);
    // More than all that it has can't be set aside.
    assert_eq!(served(vec![commit(&[], 1_000, 500)]), 11);
    let poor = with(|claim| {
        claim.uplink = BitRate(RATE.0);
        claim.commitments = vec![commit(&[], 20, 500)];
    });
    assert_eq!(poor.served().count(), 2);
    let few = with(|claim| {
        claim.max_subscribers = 8;
        claim.commitments = vec![commit(&[], 20, 500)];
    });
    assert_eq!(few.served().count(), 3);
}

#[test]
fn trust_and_reach_are_those_of_the_peer_and_full_for_who_is_not_named() {
    let claims = verified((1..4).map(|n| claim(KeyId([n; 32]), 20)).chain([claim(SOURCE, 1)]));
    let low = BTreeMap::from([(KeyId([1; 32]), 0)]);
    let none = BTreeMap::new();
    let plain = build_with(&claims, Layer::BASE, &none, &none).unwrap();
    for n in 1..4 {
        let high = BTreeMap::from([(KeyId([n; 32]), 1_000)]);
        assert_eq!(plain, build_with(&claims, Layer::BASE, &high, &high).unwrap());
    }
    for (trust, reach) in [(&low, &none), (&none, &low)] {
        let topology = build_with(&claims, Layer::BASE, trust, reach).unwrap();
        assert_eq!(topology.unserved().count(), 0);
        assert_eq!(feeds(&topology, KeyId([1; 32])), 0);
    }
}

#[test]
fn the_claim_with_the_highest_counter_counts() {
    for (older, newer, served) in [(0, 20, 4), (20, 0, 1)] {
        let mut claims = vec![
            claim(SOURCE, 1),
            claim(KeyId([2; 32]), 0),
            claim(KeyId([3; 32]), 0),
            claim(KeyId([4; 32]), 0),
            CapacityClaim { counter: 9, ..claim(KeyId([1; 32]), older) },
            CapacityClaim { counter: 11, ..claim(KeyId([1; 32]), newer) },
        ];
        for _ in 0..2 {
            assert_eq!(build_from(&verified(claims.clone())).unwrap().served().count(), served);
            claims.reverse();
        }
    }
}

#[test]
fn a_source_without_a_claim_or_with_two_is_an_error_of_whose_fault_it_is() {
    let peers = || (1..4).map(|n| claim(KeyId([n; 32]), 4));
    let without = build_from(&verified(peers())).unwrap_err();
    assert_eq!(without.fault(), crate::Fault::Caller);
    let two = peers().chain([claim(SOURCE, 4), claim(SOURCE, 5)]);
    assert_eq!(build_from(&verified(two)).unwrap_err().fault(), crate::Fault::Peer);
}

#[test]
fn more_claims_than_two_for_each_peer_there_can_be_are_refused() {
    let claims = vec![VerifiedClaim::assume(claim(SOURCE, 4)); MAX_CLAIMS + 1];
    assert!(matches!(build_from(&claims), Err(Error::Limit { .. })));
    assert!(build_from(&claims[1..]).is_ok());
}

#[test]
fn defect_two_claims_with_the_same_time_depend_on_order() {
    let mut claims: Vec<CapacityClaim> = (1..20).map(|n| claim(KeyId([n; 32]), 4)).collect();
    claims.push(claim(SOURCE, 1));
    claims.push(claim(KeyId([1; 32]), 30));
    let forward = build_from(&verified(claims.clone())).unwrap();
    claims.reverse();
    assert_eq!(forward, build_from(&verified(claims.clone())).unwrap());
    // Neither of the two counts, nor does one that is older; a newer one ends it.
    assert_eq!(feeds(&forward, KeyId([1; 32])), 0);
    assert_eq!(forward.unserved().count(), 0);
    claims.push(CapacityClaim { counter: 9, ..claim(KeyId([1; 32]), 30) });
    assert_eq!(forward, build_from(&verified(claims.clone())).unwrap());
    claims.push(CapacityClaim { counter: 11, ..claim(KeyId([1; 32]), 30) });
    assert!(feeds(&build_from(&verified(claims)).unwrap(), KeyId([1; 32])) > 0);
}

proptest! {
    #[test]
    fn the_same_trees_come_of_the_claims_in_any_order_and_any_number_of_times(
        (claims, shuffled) in prop::collection::vec((0_u8..30, 0_u64..6, 0_u64..4), 0..60)
            .prop_map(|raw| {
                let peers = raw.into_iter().map(|(n, counter, streams)| {
                    CapacityClaim { counter, ..claim(KeyId([n; 32]), streams) }
                });
                verified(peers.chain([claim(SOURCE, 3)]))
            })
            .prop_flat_map(|claims| {
                let twice = [claims.clone(), claims.clone()].concat();
                (Just(claims), Just(twice).prop_shuffle())
            }),
    ) {
        prop_assert_eq!(build_from(&claims).unwrap(), build_from(&shuffled).unwrap());
    }
}
