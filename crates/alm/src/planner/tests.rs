//! Who is picked, who is left out, and what many joiners do at once.

use super::*;
use crate::{CapacityClaim, Commitment, SubStreamPath};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const RATE: BitRate = BitRate(1_000_000);
const NOW: WallTime = WallTime(1_000_000);
const STREAM: StreamId = StreamId([5; 32]);
const ME: KeyId = KeyId([0xee; 32]);

fn request() -> Request {
    Request {
        me: ME,
        stream: STREAM,
        epoch: Some(Epoch(3)),
        rate: RATE,
        layers: Layer::BASE,
        parents: PARENTS,
        spares: SPARES,
        now: NOW,
        seed: 7,
    }
}

fn key(number: u16) -> KeyId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    KeyId(bytes)
}

fn claim(number: u16, streams: u64) -> CapacityClaim {
    CapacityClaim {
        advertiser: key(number),
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
        issued_at: NOW,
        valid_until: WallTime(NOW.0 + 30_000),
    }
}

fn verified(claims: impl IntoIterator<Item = CapacityClaim>) -> Vec<VerifiedClaim> {
    claims.into_iter().map(VerifiedClaim::assume).collect()
}

/// A candidate with nothing against it, in a network of its own.
fn candidate(claim: &VerifiedClaim) -> Candidate<'_> {
    Candidate {
        claim,
        rtt: Some(Duration::from_millis(10)),
        load: Load::default(),
        reach: 1_000,
        path_to_source: None,
        network: u64::from_be_bytes(claim.advertiser.0[..8].try_into().unwrap()),
        discovered_by: claim.advertiser.0[1],
        trust: 1_000,
    }
}

fn refusals(result: Result<Plan, Error>) -> Refusals {
    match result {
        Err(Error::NoParent(refusals)) => refusals,
        other => panic!("{other:?}"),
    }
}

/// What becomes of a single candidate: `None` if it is picked.
fn alone(change: impl Fn(&mut CapacityClaim), shape: impl Fn(&mut Candidate<'_>)) -> Option<Cause> {
    alone_for(&request(), change, shape)
}

fn alone_for(
    request: &Request,
    change: impl Fn(&mut CapacityClaim),
    shape: impl Fn(&mut Candidate<'_>),
) -> Option<Cause> {
    let mut claim = claim(1, 1);
    change(&mut claim);
    let claim = VerifiedClaim::assume(claim);
    let mut candidate = candidate(&claim);
    shape(&mut candidate);
    match plan(request, &[candidate]) {
        Ok(plan) => {
            assert_eq!(plan.parents, [claim.advertiser]);
            None
        }
        Err(error) => Some(refusals(Err(error)).single_cause().unwrap()),
    }
}

#[test]
fn a_claim_is_taken_from_when_it_is_made_until_it_ends() {
    assert_eq!(alone(|_| (), |_| ()), None);
    assert_eq!(alone(|claim| claim.valid_until = NOW, |_| ()), Some(Cause::Stale));
    assert_eq!(alone(|claim| claim.valid_until = WallTime(NOW.0 + 1), |_| ()), None);
    assert_eq!(alone(|claim| claim.issued_at = WallTime(NOW.0 + 120_000), |_| ()), None);
    assert_eq!(alone(|claim| claim.issued_at = WallTime(NOW.0 + 120_001), |_| ()), Some(Cause::Stale));
}

#[test]
fn a_claim_for_another_stream_or_epoch_is_of_no_use() {
    assert_eq!(alone(|claim| claim.stream = Some(STREAM), |_| ()), None);
    assert_eq!(alone(|claim| claim.stream = Some(StreamId([6; 32])), |_| ()), Some(Cause::OtherStream));
    assert_eq!(alone(|claim| claim.epoch = Epoch(2), |_| ()), Some(Cause::OtherEpoch));
}

#[test]
fn all_layers_that_are_wanted_have_to_be_carried_on_each_axis() {
    let wanted = Layer { spatial: 1, temporal: 1, quality: 1 };
    let request = Request { layers: wanted, ..request() };
    let with = |layers| alone_for(&request, |claim| claim.layers = layers, |_| ());
    assert_eq!(with(wanted), None);
    assert_eq!(with(Layer { spatial: 2, ..wanted }), None);
    assert_eq!(with(Layer { spatial: 0, temporal: 9, ..wanted }), Some(Cause::Layers));
    assert_eq!(with(Layer { temporal: 0, ..wanted }), Some(Cause::Layers));
    assert_eq!(with(Layer { quality: 0, ..wanted }), Some(Cause::Layers));
}

#[test]
fn who_is_unreachable_untrusted_or_fed_by_the_joiner_is_left_out() {
    assert_eq!(alone(|_| (), |candidate| candidate.reach = 500), None);
    assert_eq!(alone(|_| (), |candidate| candidate.reach = 499), Some(Cause::Unreachable));
    assert_eq!(alone(|_| (), |candidate| candidate.trust = 1), None);
    assert_eq!(alone(|_| (), |candidate| candidate.trust = 0), Some(Cause::Untrusted));
    assert_eq!(alone(|_| (), |candidate| candidate.path_to_source = Some(&[KeyId([1; 32])])), None);
    let through_me = [KeyId([1; 32]), ME, KeyId([2; 32])];
    let looped = alone_for(&request(), |_| (), |candidate| candidate.path_to_source = Some(&[ME]));
    assert_eq!(looped, Some(Cause::Loop));
    let claims = verified([claim(1, 1)]);
    let far = Candidate { path_to_source: Some(&through_me), ..candidate(&claims[0]) };
    assert_eq!(refusals(plan(&request(), &[far])).looped, 1);
}

#[test]
fn room_is_what_the_claim_says_less_what_is_in_use() {
    let used = |bits| alone(|_| (), move |candidate| candidate.load.used = BitRate(bits));
    assert_eq!(used(0), None);
    // A single parent has to carry all four stripes.
    assert_eq!(used(1), Some(Cause::NoRoom));
    assert_eq!(used(u64::MAX), Some(Cause::NoRoom));
    assert_eq!(alone(|_| (), |candidate| candidate.load.subscribers = 499), None);
    assert_eq!(alone(|_| (), |candidate| candidate.load.subscribers = 500), Some(Cause::NoRoom));
    // It carries four other streams; then one of the four is this one.
    let four = |subscribers| Load { streams: 4, subscribers, used: BitRate(0) };
    assert_eq!(alone(|_| (), |candidate| candidate.load = four(0)), Some(Cause::NoRoom));
    assert_eq!(alone(|_| (), |candidate| candidate.load = four(1)), None);
    let half = Commitment { path: SubStreamPath(vec![0]), budget: RATE, max_subscribers: 9 };
    assert_eq!(alone(|claim| claim.commitments = vec![half.clone()], |_| ()), Some(Cause::NoRoom));
}

#[test]
fn fewer_parents_are_picked_when_they_have_to_carry_more_each() {
    let quarter = RATE.0 / 4;
    // Room for 1, 1, 2, 2 and 3 stripes: four with one each are there. Without the small ones two carry two.
    let claims =
        verified([1, 1, 2, 2, 3].into_iter().zip(1..).map(|(stripes, number)| CapacityClaim {
            uplink: BitRate(stripes * quarter),
            ..claim(number, 0)
        }));
    let all: Vec<Candidate<'_>> = claims.iter().map(candidate).collect();
    assert_eq!(plan(&request(), &all).unwrap().parents.len(), 4);
    let three = plan(&request(), &all[2..]).unwrap();
    assert_eq!((three.parents.len(), three.spares.len()), (3, 0));
    for joiner in 0..20 {
        let two = plan(&Request { me: key(10_000 + joiner), ..request() }, &all[1..4]).unwrap();
        assert_eq!(two.parents.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([key(3), key(4)]));
        assert!(two.spares.is_empty());
    }
    assert_eq!(refusals(plan(&request(), &all[..2])).no_room, 2);
    assert_eq!(refusals(plan(&request(), &all[4..])).single_cause(), Some(Cause::NoRoom));
}

#[test]
fn the_nearest_are_picked_and_spares_and_the_rest_follow() {
    let claims = verified((1..=9).map(|number| claim(number, 4)));
    let candidates: Vec<Candidate<'_>> = claims
        .iter()
        .zip([180, 20, 140, 40, 120, 60, 100, 80, 160])
        .map(|(claim, rtt)| Candidate { rtt: Some(Duration::from_millis(rtt)), ..candidate(claim) })
        .collect();
    let plan = plan(&request(), &candidates).unwrap();
    assert_eq!(plan.parents, [key(2), key(4), key(6), key(8)]);
    assert_eq!(plan.spares, [key(7), key(5)]);
    assert_eq!(plan.rest, [key(3), key(9), key(1)]);
}

#[test]
fn who_was_not_measured_comes_last_however_far_the_others_are() {
    let claims = verified([claim(1, 500), claim(2, 1)]);
    let unknown = Candidate { rtt: None, ..candidate(&claims[0]) };
    let far = Candidate { rtt: Some(Duration::from_secs(3_600)), ..candidate(&claims[1]) };
    for list in [[unknown, far], [far, unknown]] {
        let request = Request { parents: 1, spares: 0, ..request() };
        assert_eq!(plan(&request, &list).unwrap().parents, [key(2)]);
    }
}

/// How often each of two candidates comes first, over 1,000 joiners.
fn firsts(candidates: &[Candidate<'_>; 2]) -> (u32, u32) {
    let mut wins = (0, 0);
    for joiner in 0..1_000 {
        let request = Request { me: key(10_000 + joiner), parents: 1, spares: 0, ..request() };
        if plan(&request, candidates).unwrap().parents == [candidates[0].claim.advertiser] {
            wins.0 += 1;
        } else {
            wins.1 += 1;
        }
    }
    wins
}

#[test]
fn within_20_ms_it_is_the_lot_that_decides_and_beyond_the_distance() {
    let claims = verified([claim(1, 4), claim(2, 4)]);
    let at = |place: usize, millis| Candidate {
        rtt: Some(Duration::from_millis(millis)),
        ..candidate(&claims[place])
    };
    let (near, far) = firsts(&[at(0, 20), at(1, 39)]);
    assert!(near.abs_diff(far) < 120, "{near} and {far}");
    assert_eq!(firsts(&[at(0, 19), at(1, 20)]), (1_000, 0));
    assert_eq!(firsts(&[at(0, 40), at(1, 39)]), (0, 1_000));
}

#[test]
fn a_hop_to_the_source_counts_as_much_as_20_ms() {
    let claims = verified([claim(1, 4), claim(2, 4)]);
    let path = [1, 2, 3, 4, 5].map(|byte| KeyId([byte; 32]));
    let at = |place: usize, hops: usize| Candidate {
        path_to_source: path.get(..hops),
        ..candidate(&claims[place])
    };
    assert_eq!(firsts(&[at(0, 1), at(1, 2)]), (1_000, 0));
    // Who does not say counts as four hops away.
    assert_eq!(firsts(&[at(0, 3), Candidate { path_to_source: None, ..at(1, 0) }]), (1_000, 0));
    assert_eq!(firsts(&[at(0, 5), Candidate { path_to_source: None, ..at(1, 0) }]), (0, 1_000));
    let farther = Candidate { rtt: Some(Duration::from_millis(20)), ..at(0, 1) };
    let (a, b) = firsts(&[farther, at(1, 2)]);
    assert!(a.abs_diff(b) < 120, "{a} and {b}");
}

#[test]
fn who_has_three_times_the_room_trust_or_reach_comes_first_three_times_as_often() {
    let claims = verified([claim(1, 30), claim(2, 10), claim(3, 30), claim(4, 30)]);
    let plain = candidate(&claims[0]);
    let poor = candidate(&claims[1]);
    let distrusted = Candidate { trust: 333, ..candidate(&claims[2]) };
    let busy = Candidate {
        load: Load { streams: 1, subscribers: 20, used: BitRate(20 * RATE.0) },
        ..candidate(&claims[3])
    };
    for other in [poor, distrusted, busy] {
        let (more, less) = firsts(&[plain, other]);
        assert!((690..=810).contains(&more), "{more} and {less}");
    }
    let hardly = Candidate { reach: 500, ..candidate(&claims[2]) };
    let (more, less) = firsts(&[plain, hardly]);
    assert!((600..=730).contains(&more), "{more} and {less}");
}

#[test]
fn room_for_more_than_32_streams_makes_nobody_come_first_more_often() {
    let claims = verified([claim(1, 32), claim(2, 32_000), claim(3, 16)]);
    let [full, boast, half] = [&claims[0], &claims[1], &claims[2]].map(candidate);
    let (a, b) = firsts(&[full, boast]);
    assert!(a.abs_diff(b) < 120, "{a} and {b}");
    let (more, less) = firsts(&[full, half]);
    assert!((610..=730).contains(&more), "{more} and {less}");
}

#[test]
fn the_lot_is_the_joiners_own_and_differs_by_seed_and_stream() {
    let claims = verified((1..=40).map(|number| claim(number, 4)));
    let candidates: Vec<Candidate<'_>> = claims.iter().map(candidate).collect();
    let parents = |request: &Request| plan(request, &candidates).unwrap().parents;
    let first = parents(&request());
    assert_eq!(first, parents(&request()));
    assert_ne!(first, parents(&Request { me: KeyId([1; 32]), ..request() }));
    assert_ne!(first, parents(&Request { seed: 8, ..request() }));
    assert_ne!(first, parents(&Request { stream: StreamId([6; 32]), ..request() }));
}

#[test]
fn parents_and_spares_are_in_different_networks_unless_that_is_100_ms_further() {
    let claims = verified((1..=10).map(|number| claim(number, 4)));
    let with = |extra: u64, joiner: u16| {
        let candidates: Vec<Candidate<'_>> = claims
            .iter()
            .zip(0_u64..)
            .map(|(claim, number)| Candidate {
                // Five are near, in one network; five are each in their own.
                network: if number < 5 { 0 } else { number },
                rtt: Some(Duration::from_millis(if number < 5 { 0 } else { extra })),
                ..candidate(claim)
            })
            .collect();
        let plan = plan(&Request { me: key(10_000 + joiner), ..request() }, &candidates).unwrap();
        plan.parents.iter().chain(&plan.spares).filter(|peer| **peer <= key(5)).count()
    };
    for joiner in 0..20 {
        assert_eq!(with(80, joiner), 1);
        // A second one is worth it then, a third is not.
        assert_eq!(with(120, joiner), 2);
    }
}

#[test]
fn parents_come_from_different_sources_unless_that_is_40_ms_further() {
    let claims = verified((1..=10).map(|number| claim(number, 4)));
    let with = |extra: u64, joiner: u16| {
        let candidates: Vec<Candidate<'_>> = claims
            .iter()
            .zip(0_u8..)
            .map(|(claim, number)| Candidate {
                discovered_by: if number < 5 { 0 } else { number },
                rtt: Some(Duration::from_millis(if number < 5 { 0 } else { extra })),
                ..candidate(claim)
            })
            .collect();
        let plan = plan(&Request { me: key(10_000 + joiner), ..request() }, &candidates).unwrap();
        plan.parents.iter().filter(|peer| **peer <= key(5)).count()
    };
    for joiner in 0..20 {
        assert_eq!(with(20, joiner), 1);
        assert_eq!(with(60, joiner), 2);
    }
}

#[test]
fn who_is_fed_by_one_that_was_picked_is_picked_later() {
    let claims = verified((1..=5).map(|number| claim(number, 4)));
    let below = [key(1)];
    let other = [KeyId([9; 32])];
    let candidates: Vec<Candidate<'_>> = claims
        .iter()
        .map(|claim| Candidate {
            // The first is nearest. Two to four get the stream by way of it; five does not, and is a little further.
            path_to_source: Some(if (key(2)..=key(4)).contains(&claim.advertiser) { &below } else { &other }),
            rtt: Some(Duration::from_millis(match claim.advertiser {
                first if first == key(1) => 0,
                last if last == key(5) => 60,
                _ => 20,
            })),
            ..candidate(claim)
        })
        .collect();
    let request = Request { parents: 2, spares: 0, ..request() };
    assert_eq!(plan(&request, &candidates).unwrap().parents, [key(1), key(5)]);
    // Likewise who feeds one that was picked: now the second feeds the first.
    let feeder = [key(2)];
    let first = Candidate { path_to_source: Some(&feeder), ..candidates[0] };
    let second = Candidate { path_to_source: Some(&other), ..candidates[1] };
    assert_eq!(plan(&request, &[first, second, candidates[4]]).unwrap().parents, [key(1), key(5)]);
}

#[test]
fn of_several_claims_of_one_peer_the_newest_counts_and_two_with_one_counter_cost_it_its_trust() {
    let older = CapacityClaim { counter: 9, ..claim(1, 9) };
    let newest = claim(1, 0);
    let rival = claim(1, 5);
    let claims = verified([older, newest, rival]);
    let [older, newest, rival] = [0, 1, 2].map(|place: usize| candidate(&claims[place]));
    for list in [[older, newest], [newest, older]] {
        let refusals = refusals(plan(&request(), &list));
        assert_eq!((refusals.duplicate, refusals.no_room, refusals.total()), (1, 1, 2));
    }
    for list in [[older, newest, rival], [rival, older, newest]] {
        let refusals = refusals(plan(&request(), &list));
        assert_eq!((refusals.duplicate, refusals.untrusted, refusals.total()), (2, 1, 3));
    }
    let near = Candidate { rtt: Some(Duration::from_millis(1)), ..rival };
    let unknown = Candidate { rtt: None, ..rival };
    let other = verified([claim(2, 5)]);
    for list in [[near, unknown, candidate(&other[0])], [unknown, near, candidate(&other[0])]] {
        // Only if the measured one stands is it in the same step as the other.
        let both = plan(&Request { parents: 2, ..request() }, &list).unwrap();
        assert_eq!(both.parents.len(), 2);
        let wins = (0..200).filter(|joiner| {
            let request = Request { me: key(10_000 + joiner), parents: 1, ..request() };
            plan(&request, &list).unwrap().parents == [key(1)]
        });
        assert!(wins.count() > 50);
    }
}

#[test]
fn a_single_cause_is_named_only_if_all_fell_to_it() {
    let claims = verified((1..=3).map(|number| claim(number, 1)));
    let unreachable = |place: usize| Candidate { reach: 0, ..candidate(&claims[place]) };
    let all = refusals(plan(&request(), &[unreachable(0), unreachable(1), unreachable(2)]));
    assert_eq!(all.single_cause(), Some(Cause::Unreachable));
    assert_eq!(
        Error::NoParent(all).to_string(),
        "no parent: all 3 candidates are not reachable; look at the network, or ask the host for a relay"
    );
    let untrusted = Candidate { trust: 0, ..candidate(&claims[0]) };
    let some = refusals(plan(&request(), &[untrusted, unreachable(1), unreachable(2)]));
    assert_eq!(some.single_cause(), None);
    assert_eq!(
        Error::NoParent(some).to_string(),
        "no parent: of 3 candidates 1 are not trusted, 2 are not reachable; look at the network, or ask the host \
         for a relay"
    );
    assert_eq!(refusals(plan(&request(), &[])).single_cause(), None);
    assert_eq!(Error::NoParent(some).fault(), crate::Fault::Nobody);
}

#[test]
fn what_can_not_be_asked_for_is_refused() {
    let input = |request: Request| matches!(plan(&request, &[]), Err(Error::Input { .. }));
    assert!(input(Request { rate: BitRate(0), ..request() }));
    assert!(input(Request { parents: 0, ..request() }));
    assert!(input(Request { parents: 17, ..request() }));
    let claims = verified([claim(1, 1)]);
    let many = vec![candidate(&claims[0]); MAX_CANDIDATES + 1];
    assert!(matches!(plan(&request(), &many), Err(Error::Limit { .. })));
    assert_eq!(plan(&request(), &many[1..]).unwrap().parents, [key(1)]);
}

#[test]
fn defect_self_loops_and_duplicates_are_not_left_out() {
    let mine = CapacityClaim { advertiser: ME, ..claim(1, 9) };
    let claims = verified([mine, claim(1, 9), claim(2, 9)]);
    let fed_by_me = Candidate { path_to_source: Some(&[ME]), ..candidate(&claims[1]) };
    let list = [candidate(&claims[0]), fed_by_me, candidate(&claims[2]), candidate(&claims[2])];
    let plan = plan(&request(), &list).unwrap();
    assert_eq!(plan.parents, [key(2)]);
    assert!(plan.spares.is_empty() && plan.rest.is_empty());
}

/// Relays that count for themselves, and joiners that all know the same old loads.
#[test]
fn defect_500_joiners_choose_one_parent() {
    // Full streams that the 100 relays can feed.
    let streams = |number: u16| match number % 3 {
        0 => 8,
        1 => 12,
        _ => 20,
    };
    let claims = verified((0..100).map(|number| claim(number, streams(number))));
    let candidates: Vec<Candidate<'_>> = claims.iter().map(candidate).collect();
    let mut taken: BTreeMap<KeyId, u64> = BTreeMap::new();
    for joiner in 0..500 {
        let plan = plan(&Request { me: key(10_000 + joiner), ..request() }, &candidates).unwrap();
        let mut granted = 0;
        for relay in plan.parents.iter().chain(&plan.spares).chain(&plan.rest) {
            let number = u16::from_be_bytes([relay.0[0], relay.0[1]]);
            let used = taken.entry(*relay).or_default();
            // The relay's own check: a stripe is a quarter of a stream.
            if granted < 4 && *used < streams(number) * 4 {
                *used += 1;
                granted += 1;
            }
        }
        assert_eq!(granted, 4, "joiner {joiner} is not served");
    }
    for class in 0..3 {
        let of_class: Vec<u64> = (0..100)
            .filter(|number| number % 3 == class)
            .map(|number| taken.get(&key(number)).copied().unwrap_or(0))
            .collect();
        let (busiest, sum) = (of_class.iter().max().unwrap(), of_class.iter().sum::<u64>());
        assert!(busiest * of_class.len() as u64 <= 2 * sum, "{of_class:?}");
        // And room is used as it is there: 2,000 stripes over 5,312 places.
        let expected = of_class.len() as u64 * streams(class) * 4 * 2_000 / 5_312;
        assert!(sum * 10 >= expected * 8 && sum * 10 <= expected * 12, "{sum} for {expected}");
    }
}

proptest! {
    #[test]
    fn a_plan_names_each_peer_once_none_that_is_unfit_and_as_many_as_it_can(
        raw in prop::collection::vec(
            (1_u16..30, 0_u64..5, 0_u64..3, prop::option::of(0_u64..200), 400_u16..700, 0_u16..3, 0_u64..4),
            0..40,
        ),
        parents in 1_u8..=16,
        spares in 0_u8..4,
        shuffle in any::<prop::sample::Index>(),
    ) {
        let claims = verified(raw.iter().map(|&(number, streams, counter, ..)| {
            CapacityClaim { counter, ..claim(number, streams) }
        }));
        let mut candidates: Vec<Candidate<'_>> = claims
            .iter()
            .zip(&raw)
            .map(|(claim, &(_, _, _, rtt, reach, trust, network))| Candidate {
                rtt: rtt.map(Duration::from_millis),
                reach,
                trust,
                network,
                ..candidate(claim)
            })
            .collect();
        let request = Request { parents, spares, ..request() };
        let result = plan(&request, &candidates);
        match &result {
            Ok(plan) => {
                let named: Vec<KeyId> =
                    plan.parents.iter().chain(&plan.spares).chain(&plan.rest).copied().collect();
                prop_assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len());
                prop_assert!(!plan.parents.is_empty() && plan.parents.len() <= usize::from(parents));
                prop_assert!(plan.spares.len() <= usize::from(spares));
                prop_assert!(plan.rest.is_empty() || plan.spares.len() == usize::from(spares));
                for peer in named {
                    let usable = candidates.iter().any(|c| {
                        c.claim.advertiser == peer && c.reach >= 500 && c.trust > 0 && c.claim.uplink >= RATE
                    });
                    prop_assert!(usable);
                }
            }
            Err(Error::NoParent(refusals)) => {
                prop_assert_eq!(refusals.total() as usize, candidates.len());
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
        // Entries that differ in more than the claim are told apart by distance alone; leave ties of those out.
        let mut entries: Vec<_> = raw.iter().map(|entry| (entry.0, entry.2)).collect();
        entries.sort_unstable();
        entries.dedup();
        if entries.len() == raw.len() && !raw.is_empty() {
            candidates.rotate_left(shuffle.index(raw.len()));
            prop_assert_eq!(result, plan(&request, &candidates));
        }
    }
}
