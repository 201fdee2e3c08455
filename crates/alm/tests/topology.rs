//! The trees, held against a checker that shares no code with what builds them.
#![allow(clippy::unwrap_used, reason = "tests")]

use alm::Error;
use alm::topology::{MAX_PARENTS, MAX_PEERS, Offer, Shape, Topology, arrange};
use core_types::{BitRate, Epoch, KeyId, StreamId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const RATE: BitRate = BitRate(1_000_000);
const SOURCE: KeyId = KeyId([0xff; 32]);

fn shape(parents: u8) -> Shape {
    Shape { publisher: SOURCE, stream: StreamId([5; 32]), epoch: Epoch(3), rate: RATE, parents }
}

/// A key whose place in any order is unlike its number's.
fn key(number: u32) -> KeyId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    KeyId(bytes)
}

/// Room for so many children of one stripe each, by uplink.
fn offer(peer: KeyId, slots: u64, parents: u8) -> Offer {
    Offer::new(peer, BitRate(slots * RATE.0.div_ceil(u64::from(parents))), u32::MAX)
}

/// The source and `n` peers that can each feed `streams` full streams.
fn alike(n: u32, streams: u64, parents: u8) -> Vec<Offer> {
    let slots = streams * u64::from(parents);
    let peers = (0..n).map(|number| offer(key(number), slots, parents));
    std::iter::once(offer(SOURCE, slots, parents)).chain(peers).collect()
}

/// Children that a peer may have, as the rules say it: counted by trying, not by dividing.
fn allowed(offer: &Offer, parents: u8) -> u64 {
    if offer.peer != SOURCE && (offer.trust == 0 || offer.reach < 500) {
        return 0;
    }
    let mut children = 0;
    while children < u64::from(offer.max_subscribers)
        && (children + 1) * RATE.0.div_ceil(u64::from(parents)) <= offer.uplink.0
    {
        children += 1;
    }
    children
}

/// Everything that has to hold of any topology.
fn check(topology: &Topology, offers: &[Offer], parents: u8) {
    let everybody: BTreeSet<KeyId> = offers.iter().map(|o| o.peer).filter(|peer| *peer != SOURCE).collect();
    let served: BTreeSet<KeyId> = topology.served().collect();
    let unserved: BTreeSet<KeyId> = topology.unserved().collect();
    assert_eq!(served.len() + unserved.len(), everybody.len());
    assert_eq!(&served | &unserved, everybody);
    assert_eq!(topology.publisher(), SOURCE);
    assert!(topology.parents(SOURCE).is_empty());

    let mut fed: BTreeMap<KeyId, u64> = BTreeMap::new();
    let mut deepest = 0;
    for peer in &served {
        assert_eq!(topology.parents(*peer).len(), usize::from(parents));
        let mut hops_most = 0;
        for (stripe, parent) in topology.parents(*peer).iter().enumerate() {
            *fed.entry(*parent).or_default() += 1;
            assert!(topology.children(*parent, stripe).any(|child| child == *peer));
            let (mut at, mut hops) = (*peer, 0);
            while at != SOURCE {
                at = topology.parents(at)[stripe];
                hops += 1;
                assert!(hops <= served.len(), "stripe {stripe} has a cycle above {peer:?}");
            }
            hops_most = hops_most.max(hops);
        }
        assert_eq!(topology.depth(*peer), Some(hops_most as u32));
        deepest = deepest.max(hops_most);
    }
    assert_eq!(topology.max_depth(), deepest as u32);
    for peer in &unserved {
        assert!(topology.parents(*peer).is_empty());
        assert_eq!(topology.depth(*peer), None);
    }
    for offer in offers {
        let children: usize =
            (0..usize::from(parents)).map(|stripe| topology.children(offer.peer, stripe).count()).sum();
        assert_eq!(children as u64, fed.get(&offer.peer).copied().unwrap_or(0));
        assert!(children as u64 <= allowed(offer, parents), "{:?} feeds {children}", offer.peer);
    }
}

/// How many can be served at most, by trying each number. Any k peers take `k · parents` places, and those places can
/// only be at the source and at themselves.
fn bound(offers: &[Offer], parents: u8) -> usize {
    let source = allowed(offers.iter().find(|o| o.peer == SOURCE).unwrap(), parents);
    let mut rooms: Vec<u64> =
        offers.iter().filter(|o| o.peer != SOURCE).map(|o| allowed(o, parents)).collect();
    rooms.sort_unstable();
    rooms.reverse();
    if source < u64::from(parents) {
        return 0;
    }
    (0..=rooms.len())
        .filter(|k| source + rooms[..*k].iter().sum::<u64>() >= *k as u64 * u64::from(parents))
        .max()
        .unwrap()
}

/// The stripes in which a peer feeds somebody.
fn carries(topology: &Topology, peer: KeyId) -> usize {
    (0..topology.stripes()).filter(|stripe| topology.children(peer, *stripe).next().is_some()).count()
}

/// ⌈log_4 n⌉.
fn log4(n: u32) -> u32 {
    (0..).find(|depth| 4_u64.pow(*depth) >= u64::from(n)).unwrap()
}

prop_compose! {
    fn any_offer()(
        slots in prop_oneof![3 => Just(0_u64), 3 => 0_u64..4, 3 => 4_u64..20, 1 => 20_u64..400],
        max_subscribers in prop_oneof![4 => Just(1_000_u32), 1 => 0_u32..8],
        trust in prop_oneof![5 => Just(1_000_u16), 1 => Just(0), 1 => 1_u16..2_000],
        reach in prop_oneof![5 => Just(1_000_u16), 1 => 0_u16..1_000],
        spare in 0_u64..100_000,
    ) -> (u64, u32, u16, u16, u64) {
        (slots, max_subscribers, trust, reach, spare)
    }
}

fn offers_of(raw: &[(u64, u32, u16, u16, u64)], source: u64, parents: u8) -> Vec<Offer> {
    let peers = raw.iter().zip(0..).map(|(&(slots, max_subscribers, trust, reach, spare), number)| {
        let uplink = offer(key(number), slots, parents).uplink.0 + spare % RATE.0.div_ceil(parents.into());
        Offer { peer: key(number), uplink: BitRate(uplink), max_subscribers, trust, reach }
    });
    std::iter::once(offer(SOURCE, source, parents)).chain(peers).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn trees_have_no_cycles_keep_every_limit_and_serve_as_many_as_can_be(
        raw in prop::collection::vec(any_offer(), 0..60),
        source in 0_u64..40,
        parents in 1_u8..=MAX_PARENTS,
    ) {
        let offers = offers_of(&raw, source, parents);
        let topology = arrange(&shape(parents), &offers).unwrap();
        check(&topology, &offers, parents);
        prop_assert_eq!(topology.served().count(), bound(&offers, parents));
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        raw in prop::collection::vec(any_offer(), 0..40),
        source in 0_u64..40,
        parents in 1_u8..=8,
        shuffle: u64,
    ) {
        let mut offers = offers_of(&raw, source, parents);
        let first = arrange(&shape(parents), &offers).unwrap();
        let turn = shuffle as usize % offers.len();
        offers.rotate_left(turn);
        let half = offers.len() / 2;
        offers[half..].reverse();
        prop_assert_eq!(first, arrange(&shape(parents), &offers).unwrap());
    }

    #[test]
    fn whoever_leaves_takes_at_most_one_stripe_from_each_where_there_is_room(
        streams in 2_u64..8,
        n in 8_u32..200,
        parents in 2_u8..=6,
    ) {
        let topology = arrange(&shape(parents), &alike(n, streams, parents)).unwrap();
        for peer in topology.served() {
            prop_assert!(carries(&topology, peer) <= 1);
            let peers: Vec<KeyId> =
                topology.parents(peer).iter().copied().filter(|parent| *parent != SOURCE).collect();
            prop_assert_eq!(peers.iter().collect::<BTreeSet<_>>().len(), peers.len());
        }
    }
}

/// Whether peers 1 to n − 1 can all be fed in `stripes` trees from node 0, by trying every way there is.
fn can_serve_all(rooms: &[u32], stripes: u32) -> bool {
    fn reaches_source(parents: &[usize]) -> bool {
        (0..parents.len()).all(|start| {
            let mut at = start + 1;
            (0..=parents.len()).any(|_| {
                at = if at == 0 { 0 } else { parents[at - 1] };
                at == 0
            })
        })
    }
    fn one_stripe(left: &[u32], parents: &mut Vec<usize>, stripes: u32) -> bool {
        if parents.len() + 1 == left.len() {
            return reaches_source(parents)
                && (stripes == 1 || one_stripe(left, &mut Vec::new(), stripes - 1));
        }
        let child = parents.len() + 1;
        (0..left.len()).any(|parent| {
            if parent == child || left[parent] == 0 {
                return false;
            }
            let mut left = left.to_vec();
            left[parent] -= 1;
            parents.push(parent);
            let done = one_stripe(&left, parents, stripes);
            parents.pop();
            done
        })
    }
    rooms.len() == 1 || one_stripe(rooms, &mut Vec::new(), stripes)
}

#[test]
fn nobody_could_arrange_few_peers_better_by_any_means() {
    let mut rooms = [0_u32; 4];
    for code in 0..6_u32 * 64 {
        rooms[0] = code % 6;
        for (place, room) in rooms.iter_mut().skip(1).enumerate() {
            *room = ((code / 6) >> (2 * place)) % 4;
        }
        for stripes in 1..=2 {
            let offers: Vec<Offer> = rooms
                .iter()
                .zip(0..)
                .map(|(room, n)| offer(if n == 0 { SOURCE } else { key(n) }, u64::from(*room), stripes))
                .collect();
            let topology = arrange(&shape(stripes), &offers).unwrap();
            let best = (0_u32..8)
                .filter(|chosen| {
                    let some = (0..3).filter(|place| chosen >> place & 1 == 1).map(|place| rooms[place + 1]);
                    can_serve_all(&std::iter::once(rooms[0]).chain(some).collect::<Vec<_>>(), stripes.into())
                })
                .map(u32::count_ones)
                .max();
            assert_eq!(Some(topology.served().count() as u32), best, "{rooms:?}, {stripes} stripes");
        }
    }
}

#[test]
fn with_room_for_four_streams_everywhere_the_trees_are_low() {
    for n in [1, 4, 5, 100, 1_000, 10_000, 100_000] {
        let topology = arrange(&shape(4), &alike(n, 4, 4)).unwrap();
        assert_eq!(topology.unserved().count(), 0);
        let bound = log4(n) + 1;
        assert!(topology.max_depth() <= bound, "{n} peers: depth {} > {bound}", topology.max_depth());
    }
}

#[test]
fn when_room_is_just_enough_all_are_served_though_some_feed_in_two_stripes() {
    // 30 places for each of four stripes: 4 at the source, 39 at each of two, 38 at the third.
    let mut offers = vec![offer(SOURCE, 4, 4)];
    offers.extend([39, 39, 38].into_iter().zip(0..).map(|(slots, n)| offer(key(n), slots, 4)));
    offers.extend((3..30).map(|n| offer(key(n), 0, 4)));
    let topology = arrange(&shape(4), &offers).unwrap();
    check(&topology, &offers, 4);
    assert_eq!(topology.unserved().count(), 0);
    assert!((0..3).any(|n| carries(&topology, key(n)) > 1));
}

#[test]
fn when_room_is_short_those_who_give_are_served_first() {
    let mut offers = alike(10, 1, 4);
    offers.extend((10..40).map(|n| offer(key(n), 0, 4)));
    let topology = arrange(&shape(4), &offers).unwrap();
    check(&topology, &offers, 4);
    assert_eq!(topology.served().count(), 11);
    for n in 0..10 {
        assert!(topology.depth(key(n)).is_some());
    }
}

#[test]
fn a_source_that_can_not_send_its_stream_once_serves_nobody() {
    let mut offers = alike(5, 4, 4);
    offers[0] = offer(SOURCE, 3, 4);
    assert_eq!(arrange(&shape(4), &offers).unwrap().unserved().count(), 5);
    offers[0] = offer(SOURCE, 4, 4);
    assert_eq!(arrange(&shape(4), &offers).unwrap().unserved().count(), 0);
}

#[test]
fn what_a_stripe_costs_is_rounded_up() {
    let mut offers = alike(5, 4, 3);
    for (uplink, served) in [(3 * 333_333, 0), (3 * 333_334 - 1, 0), (3 * 333_334, 5)] {
        offers[0] = Offer::new(SOURCE, BitRate(uplink), 100);
        assert_eq!(arrange(&shape(3), &offers).unwrap().served().count(), served, "{uplink}");
    }
}

#[test]
fn who_is_not_trusted_or_hardly_reachable_is_served_and_feeds_nobody() {
    for (trust, reach, feeds) in [(0, 1_000, false), (1_000, 499, false), (1, 500, true)] {
        let mut offers = vec![offer(SOURCE, 4, 4), Offer { trust, reach, ..offer(key(0), 1_000, 4) }];
        offers.extend((1..20).map(|n| offer(key(n), 8, 4)));
        let topology = arrange(&shape(4), &offers).unwrap();
        check(&topology, &offers, 4);
        assert_eq!(topology.unserved().count(), 0);
        assert_eq!(carries(&topology, key(0)) > 0, feeds, "trust {trust}, reach {reach}");
    }
}

#[test]
fn the_source_needs_no_trust() {
    let mut offers = alike(3, 4, 4);
    offers[0] = Offer { trust: 0, reach: 0, ..offers[0] };
    assert_eq!(arrange(&shape(4), &offers).unwrap().unserved().count(), 0);
}

/// Of 20 peers with equal room who are at depth 1, when the first four are as `better` makes them.
fn top_with(better: impl Fn(Offer) -> Offer) -> Vec<KeyId> {
    let mut offers = alike(20, 1, 1);
    offers[0] = offer(SOURCE, 4, 1);
    for offer in &mut offers[1..5] {
        *offer = better(*offer);
    }
    let topology = arrange(&shape(1), &offers).unwrap();
    topology.children(SOURCE, 0).collect()
}

#[test]
fn of_equal_room_trust_and_then_reach_decide_who_is_higher() {
    let worst = |o: Offer| Offer { trust: 900, reach: 900, ..o };
    assert!((0..4).all(|n| !top_with(worst).contains(&key(n))));
    // Ten points of trust are worth more than ten of reach, and less than twenty.
    let mut offers = alike(2, 1, 1);
    offers[0] = offer(SOURCE, 1, 1);
    for (reach, first) in [(989, 0), (980, 1), (985, 0)] {
        let trusted = Offer { trust: 1_000, reach, ..offers[1] };
        let reached = Offer { trust: 990, reach: 1_000, ..offers[2] };
        let topology = arrange(&shape(1), &[offers[0], trusted, reached]).unwrap();
        assert_eq!(topology.depth(key(first)), Some(1), "reach {reach}");
    }
}

#[test]
fn room_counts_half_of_the_score_up_to_16_streams() {
    // Four and seven are of one class; 3/16 of the room are worth 31.2 % of the trust. More than 16 are no better.
    for (slots, trust, first) in [((4, 7), 700, 1), ((4, 7), 680, 0), ((16, 31), 999, 0), ((14, 15), 999, 1)]
    {
        let offers =
            [offer(SOURCE, 1, 1), offer(key(0), slots.0, 1), Offer { trust, ..offer(key(1), slots.1, 1) }];
        let topology = arrange(&shape(1), &offers).unwrap();
        assert_eq!(topology.depth(key(first)), Some(1), "{slots:?}, trust {trust}");
    }
}

#[test]
fn much_room_is_higher_than_much_trust_so_trusted_peers_make_no_chain() {
    let mut offers = vec![offer(SOURCE, 4, 4)];
    offers.extend((0..400).map(|n| offer(key(n), 1, 4)));
    offers.extend((400..500).map(|n| Offer { trust: 10, reach: 500, ..offer(key(n), 16, 4) }));
    let topology = arrange(&shape(4), &offers).unwrap();
    check(&topology, &offers, 4);
    assert!(topology.max_depth() <= 6, "{}", topology.max_depth());
}

#[test]
fn ties_fall_otherwise_in_another_epoch_or_stream_and_not_by_the_key_itself() {
    let offers = alike(64, 4, 4);
    let order = |shape: Shape| arrange(&shape, &offers).unwrap().served().collect::<Vec<_>>();
    let first = order(shape(4));
    assert_ne!(first, order(Shape { epoch: Epoch(4), ..shape(4) }));
    assert_ne!(first, order(Shape { stream: StreamId([6; 32]), ..shape(4) }));
    // Small keys come first no more often than others: of the 16 smallest, some are in the last half.
    let mut by_key = first.clone();
    by_key.sort_unstable();
    let late = by_key[..16].iter().filter(|key| first[32..].contains(key)).count();
    assert!((3..=13).contains(&late), "{late}");
}

#[test]
fn every_key_is_first_about_as_often_as_the_others() {
    let offers = alike(8, 1, 1);
    let mut wins = BTreeMap::new();
    for epoch in 0..800 {
        let topology = arrange(&Shape { epoch: Epoch(epoch), ..shape(1) }, &offers).unwrap();
        *wins.entry(topology.served().next()).or_insert(0) += 1;
    }
    assert!(wins.values().all(|count| (60..=140).contains(count)), "{wins:?}");
}

/// The trees were computed by another program, written from the specification alone.
#[test]
fn ties_fall_as_they_always_did() {
    let peer = |number: u8| KeyId([number; 32]);
    let mut offers = vec![Offer::new(SOURCE, BitRate(4_000), 100)];
    offers.extend((1_u8..=10).map(|number| Offer {
        peer: peer(number),
        uplink: BitRate([0, 1, 2, 5, 9][usize::from(number % 5)] * 1_000 + u64::from(number)),
        max_subscribers: 100,
        trust: 1_000 - 10 * u16::from(number),
        reach: if number == 4 { 400 } else { 1_000 },
    }));
    let topology = arrange(&Shape { rate: BitRate(3_000), ..shape(3) }, &offers).unwrap();
    assert_eq!(topology.served().collect::<Vec<_>>(), [9, 3, 8, 2, 7, 1, 6, 5, 10].map(peer));
    assert_eq!(topology.unserved().collect::<Vec<_>>(), [peer(4)]);
    let parents = [
        [8, 0xff, 3],
        [8, 9, 0xff],
        [0xff, 9, 3],
        [8, 9, 3],
        [0xff, 9, 3],
        [8, 9, 3],
        [8, 9, 2],
        [7, 9, 2],
        [7, 9, 1],
    ];
    for (child, parents) in topology.served().zip(parents) {
        assert_eq!(topology.parents(child), parents.map(peer));
    }
    // Where all are alike, the tie alone decides.
    let mut offers = vec![Offer::new(SOURCE, BitRate(16_000), 100)];
    offers.extend((1..=12).map(|number| Offer::new(peer(number), BitRate(4_000), 100)));
    let topology = arrange(&Shape { rate: BitRate(4_000), ..shape(4) }, &offers).unwrap();
    let order = topology.served().collect::<Vec<_>>();
    assert_eq!(order, [5, 10, 12, 1, 9, 6, 4, 2, 8, 11, 3, 7].map(peer));
    assert_eq!(topology.parents(peer(6)), [5, 0xff, 12, 1].map(peer));
    assert_eq!(topology.parents(peer(7)), [9, 6, 4, 0xff].map(peer));
}

/// Likewise. Two stripes have two slots too many each, the third has four too few.
#[test]
fn stripes_are_levelled_as_they_always_were() {
    let peer = |number: u8| KeyId([number; 32]);
    let slots = [4, 14, 14, 4].into_iter().chain(std::iter::repeat(0));
    let mut offers = vec![Offer::new(SOURCE, BitRate(3_000), 100)];
    offers.extend(
        (1..=13).zip(slots).map(|(number, slots)| Offer::new(peer(number), BitRate(slots * 1_000), 100)),
    );
    let topology = arrange(&Shape { rate: BitRate(3_000), ..shape(3) }, &offers).unwrap();
    assert_eq!(topology.served().collect::<Vec<_>>(), [2, 3, 1, 4, 5, 10, 12, 9, 6, 13, 8, 11, 7].map(peer));
    let first = [[0xff, 3, 0xff], [2, 0xff, 2], [2, 3, 2], [2, 3, 3], [2, 3, 3]];
    let then = [[2, 3, 1]; 4].into_iter().chain([[2, 3, 4]; 4]);
    for (child, parents) in topology.served().zip(first.into_iter().chain(then)) {
        assert_eq!(topology.parents(child), parents.map(peer), "{child:?}");
    }
}

#[test]
fn what_can_not_be_is_refused() {
    let offers = alike(3, 4, 4);
    let input = |result: Result<Topology, Error>| matches!(result, Err(Error::Input { .. }));
    assert!(input(arrange(&Shape { rate: BitRate(0), ..shape(4) }, &offers)));
    assert!(input(arrange(&shape(0), &offers)));
    assert!(input(arrange(&shape(17), &offers)));
    assert!(input(arrange(&shape(4), &offers[1..])));
    assert!(input(arrange(&shape(4), &[offers[0], offers[1], offers[2], offers[1]])));
    let many = vec![offers[1]; MAX_PEERS + 1];
    assert!(matches!(arrange(&shape(4), &many), Err(Error::Limit { .. })));
}

#[test]
fn the_largest_of_claims_overflow_nothing() {
    let mut offers: Vec<Offer> = (0..50).map(|n| Offer::new(key(n), BitRate(u64::MAX), u32::MAX)).collect();
    offers.push(Offer::new(SOURCE, BitRate(u64::MAX), u32::MAX));
    for parents in [1, 3, 16] {
        let topology = arrange(&Shape { rate: BitRate(1), ..shape(parents) }, &offers).unwrap();
        assert_eq!(topology.unserved().count(), 0);
        assert_eq!(topology.max_depth(), 1);
    }
}

#[test]
fn strangers_have_no_place() {
    let topology = arrange(&shape(4), &alike(3, 4, 4)).unwrap();
    assert_eq!(topology.depth(KeyId([1; 32])), None);
    assert!(topology.parents(KeyId([1; 32])).is_empty());
    assert_eq!(topology.children(KeyId([1; 32]), 0).count(), 0);
    assert_eq!(topology.children(SOURCE, 4).count(), 0);
    assert_eq!(topology.depth(SOURCE), Some(0));
}

#[test]
fn defect_a_fully_mutual_mesh_of_100_is_a_chain() {
    let topology = arrange(&shape(4), &alike(100, 4, 4)).unwrap();
    assert_eq!(topology.unserved().count(), 0);
    assert_eq!(topology.max_depth(), 3);
}

#[test]
fn defect_four_early_peers_without_room_cut_off_fifty() {
    // The four are trusted and reachable as nobody else is, and the source has room for four.
    let mut offers = vec![offer(SOURCE, 16, 4)];
    offers.extend((0..4).map(|n| offer(key(n), 0, 4)));
    offers.extend((4..54).map(|n| Offer { trust: 500, reach: 600, ..offer(key(n), 16, 4) }));
    let topology = arrange(&shape(4), &offers).unwrap();
    check(&topology, &offers, 4);
    assert_eq!(topology.unserved().count(), 0);
}

#[test]
fn defect_the_publisher_is_no_input_and_uplink_no_constraint() {
    let mut offers = alike(30, 2, 4);
    for offer in &mut offers[1..] {
        offer.max_subscribers = 1_000;
    }
    let topology = arrange(&shape(4), &offers).unwrap();
    check(&topology, &offers, 4);
    assert_eq!(topology.unserved().count(), 0);
    let fed: usize = (0..4).map(|stripe| topology.children(SOURCE, stripe).count()).sum();
    assert_eq!(fed, 8);
}
