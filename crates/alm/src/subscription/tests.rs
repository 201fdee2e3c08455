//! What holds whatever happens, in whatever order.

use super::*;
use crate::gaps::{CAME_KEPT, MISSING_KEPT};
use core::time::Duration;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Add(u64),
    Remove(u64),
    Suspect(u64),
    Sign(u64),
    Chunk { from: u64, epoch: u64, seq: u64 },
    Again { from: u64, epoch: u64, seq: u64 },
    Expect { epoch: u64, start: u64, len: u64, needed: u64 },
    Settle { epoch: u64, start: u64, len: u64 },
    AssignAgain,
    AddFor(u64, u16),
    AddOnly(u64, u16),
    StandIn(u64),
    Prefer(u64, u16),
    Refused(u64, u16),
    Retire(u64, u16),
    PassOn(u16),
    Pass(u64),
}

/// Numbers near one another, and some that jump.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..400, 1 => 0u64..20_000, 1 => any::<u64>()]
}

fn step() -> impl Strategy<Value = Step> {
    let link = || 0u64..7;
    let epoch = || prop_oneof![6 => Just(2u64), 1 => 0u64..4];
    prop_oneof![
        2 => link().prop_map(Step::Add),
        1 => link().prop_map(Step::Remove),
        1 => link().prop_map(Step::Suspect),
        1 => link().prop_map(Step::Sign),
        12 => (link(), epoch(), number()).prop_map(|(from, epoch, seq)| Step::Chunk { from, epoch, seq }),
        2 => (link(), epoch(), number()).prop_map(|(from, epoch, seq)| Step::Again { from, epoch, seq }),
        4 => (epoch(), number(), 0u64..5_000, any::<u64>())
            .prop_map(|(epoch, start, len, needed)| Step::Expect { epoch, start, len, needed }),
        2 => (epoch(), number(), 0u64..50).prop_map(|(epoch, start, len)| Step::Settle { epoch, start, len }),
        1 => Just(Step::AssignAgain),
        1 => (link(), any::<u16>()).prop_map(|(link, stripes)| Step::AddFor(link, stripes)),
        1 => (link(), any::<u16>()).prop_map(|(link, stripes)| Step::AddOnly(link, stripes)),
        1 => link().prop_map(Step::StandIn),
        1 => (link(), any::<u16>()).prop_map(|(link, stripes)| Step::Prefer(link, stripes)),
        1 => (link(), any::<u16>()).prop_map(|(link, stripes)| Step::Refused(link, stripes)),
        1 => (link(), any::<u16>()).prop_map(|(link, stripes)| Step::Retire(link, stripes)),
        1 => any::<u16>().prop_map(Step::PassOn),
        6 => prop_oneof![0u64..50, 0u64..5_000].prop_map(Step::Pass),
    ]
}

/// Does a step, and returns the actions. Fails if there is no end to them.
fn perform(subscription: &mut Subscription, now: &mut MonoTime, step: Step) -> Vec<Action> {
    let range = |start: u64, len: u64| ChunkSeq(start)..ChunkSeq(start.saturating_add(len));
    let count = subscription.config.stripes;
    let set = |mask: u16| StripeSet::new(count, mask & ((1_u32 << count) - 1) as u16).unwrap();
    let mut actions = Vec::new();
    match step {
        Step::AddFor(link, stripes) => subscription.add_parent_for(*now, LinkId(link), set(stripes)),
        Step::AddOnly(link, stripes) => subscription.add_parent_only(*now, LinkId(link), set(stripes)),
        Step::StandIn(link) => subscription.add_stand_in(*now, LinkId(link)),
        Step::Prefer(link, stripes) => subscription.prefer(*now, LinkId(link), set(stripes)),
        Step::Refused(link, stripes) => subscription.handle_refused(*now, LinkId(link), set(stripes)),
        Step::Retire(link, stripes) => subscription.retire(*now, LinkId(link), set(stripes)),
        Step::PassOn(stripes) => subscription.pass_on(set(stripes)),
        Step::Add(link) => subscription.add_parent(*now, LinkId(link)),
        Step::Remove(link) => subscription.remove_parent(*now, LinkId(link)),
        Step::Suspect(link) => subscription.suspect_parent(*now, LinkId(link)),
        Step::Sign(link) => subscription.handle_sign(*now, LinkId(link)),
        Step::Chunk { from, epoch, seq } => {
            subscription.handle_chunk(*now, LinkId(from), Epoch(epoch), ChunkSeq(seq));
        }
        Step::Again { from, epoch, seq } => {
            subscription.handle_duplicate(*now, LinkId(from), Epoch(epoch), ChunkSeq(seq));
        }
        Step::Expect { epoch, start, len, needed } => {
            subscription.expect(*now, Epoch(epoch), range(start, len), needed);
        }
        Step::Settle { epoch, start, len } => subscription.settle(Epoch(epoch), range(start, len)),
        Step::AssignAgain => subscription.assign_again(),
        Step::Pass(millis) => {
            let end = now.plus(Duration::from_millis(millis));
            let mut wakes = 0;
            while let Some(due) = subscription.poll_timeout().filter(|due| *due <= end) {
                *now = (*now).max(due);
                subscription.handle_timeout(*now);
                assert!(subscription.poll_timeout().is_none_or(|next| next > *now), "what was due is done");
                wakes += 1;
                assert!(wakes <= 200 + 5 * millis, "woken for ever");
                actions.extend(std::iter::from_fn(|| subscription.poll_action()));
            }
            *now = end;
        }
    }
    assert!(subscription.actions.len() <= 64, "{} actions of one event", subscription.actions.len());
    actions.extend(std::iter::from_fn(|| subscription.poll_action()));
    actions
}

/// Every stripe that not all refuse has one carrier, and the parents were told so.
fn check(subscription: &Subscription, told: &BTreeMap<LinkId, u16>) {
    let all = subscription.parents.iter().fold(0u32, |sum, p| sum + u32::from(p.mask));
    let union = subscription.parents.iter().fold(0, |all, p| all | p.mask);
    assert_eq!(all, u32::from(union), "a stripe has two carriers: {:?}", subscription.parents);
    let whole = ((1u32 << subscription.config.stripes) - 1) as u16;
    let expected = if subscription.parents.is_empty() { 0 } else { whole };
    let refused = (0..16).map(|stripe| 1 << stripe).filter(|stripe| expected & !union & stripe != 0);
    for stripe in refused {
        let able = subscription.parents.iter().find(|p| p.takes(stripe));
        assert!(able.is_none(), "a stripe has no carrier: {able:?}");
        assert!(subscription.parents.iter().any(|p| (p.refused | p.retired) & stripe != 0));
    }
    assert_eq!(subscription.uncarried().mask(), whole & !union);
    for parent in &subscription.parents {
        let pending =
            subscription.handovers.iter().filter(|h| h.from == parent.link).fold(0, |all, h| all | h.stripe);
        let known = told.get(&parent.link).copied().unwrap_or(0);
        assert_eq!(known, parent.mask | pending, "{parent:?} was told something else");
        assert_eq!(subscription.sends(parent.link), known != 0);
        assert!(parent.is_live() || parent.mask == 0, "{parent:?} is suspected and carries");
    }
    assert!(subscription.handovers.len() <= usize::from(subscription.config.stripes));
}

proptest! {
    #[test]
    fn every_stripe_has_one_carrier_who_knows_it_whatever_happens(
        stripes in 1u8..=16,
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut subscription = Subscription::new(Config { stripes, ..Config::default() }).unwrap();
        let (mut now, mut told) = (MonoTime(0), BTreeMap::new());
        for step in steps {
            let removed = match step { Step::Remove(link) => Some(LinkId(link)), _ => None };
            for action in perform(&mut subscription, &mut now, step) {
                if let Action::Assign { parent, stripes } = action {
                    told.insert(parent, stripes.mask());
                }
            }
            removed.map(|link| told.remove(&link));
            check(&subscription, &told);
        }
    }

    #[test]
    fn nothing_grows_whatever_a_peer_sends(steps in prop::collection::vec(step(), 1..300)) {
        let mut subscription = Subscription::new(Config::default()).unwrap();
        let mut now = MonoTime(0);
        for link in 0..4 { subscription.add_parent(now, LinkId(link)); }
        for step in steps {
            perform(&mut subscription, &mut now, step);
            let [came, missing, settled, asked] = subscription.gaps.sizes();
            prop_assert!(came <= CAME_KEPT && missing <= MISSING_KEPT && settled <= 256 && asked <= 64);
            prop_assert!(subscription.objects.len() <= 64 && subscription.parents.len() <= 7);
        }
    }
}

#[test]
fn no_more_parents_are_taken_than_said_and_none_twice() {
    let mut subscription = Subscription::new(Config { max_parents: 3, ..Config::default() }).unwrap();
    for link in [1, 1, 2, 3, 4, 5] {
        subscription.add_parent(MonoTime(0), LinkId(link));
    }
    assert_eq!(subscription.parents.iter().map(|p| p.link.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_large_object_is_looked_for_in_bounds_and_a_forged_one_not_at_all() {
    let mut subscription = Subscription::new(Config::default()).unwrap();
    subscription.add_parent(MonoTime(0), LinkId(1));
    subscription.handle_chunk(MonoTime(0), LinkId(1), Epoch(1), ChunkSeq(5));
    subscription.expect(MonoTime(0), Epoch(1), ChunkSeq(100)..ChunkSeq(200), 10);
    assert_eq!(subscription.objects.len(), 0, "nothing of it came");
    subscription.expect(MonoTime(0), Epoch(1), ChunkSeq(0)..ChunkSeq(u64::MAX), u64::MAX);
    subscription.expect(MonoTime(0), Epoch(1), ChunkSeq(3)..ChunkSeq(9), 2);
    assert_eq!(subscription.objects.len(), 1, "no two share a number");
    subscription.handle_timeout(MonoTime::from_millis(500));
    assert_eq!(subscription.gaps.sizes()[1], MAX_CHUNKS as usize - 1);
}

/// Two stripes, parents 1 (even numbers) and 2 (odd numbers).
fn pair() -> Subscription {
    let mut subscription = Subscription::new(Config { stripes: 2, ..Config::default() }).unwrap();
    subscription.add_parent(MonoTime(0), LinkId(1));
    subscription.add_parent(MonoTime(0), LinkId(2));
    while subscription.poll_action().is_some() {}
    subscription
}

fn at(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

#[test]
fn what_a_slow_carrier_still_sends_in_order_is_waited_for() {
    let mut subscription = pair();
    for seq in [0, 2, 4, 6] {
        subscription.handle_chunk(at(0), LinkId(1), Epoch(1), ChunkSeq(seq));
    }
    for (millis, seq) in [(12, 1), (24, 3), (36, 5)] {
        subscription.handle_timeout(at(millis));
        subscription.handle_chunk(at(millis), LinkId(2), Epoch(1), ChunkSeq(seq));
    }
    assert_eq!(subscription.stats().requested, 0);
}

#[test]
fn chunks_before_the_first_of_an_object_are_owed_as_an_object() {
    let mut subscription = pair();
    subscription.handle_chunk(at(0), LinkId(1), Epoch(1), ChunkSeq(12));
    assert!(subscription.parents.iter().all(|p| p.missed >= 4), "{:?}", subscription.parents);
    subscription.expect(at(0), Epoch(1), ChunkSeq(0)..ChunkSeq(20), 15);
    let owed: Vec<_> = subscription.parents.iter().map(|p| (p.missed, p.owed)).collect();
    assert_eq!(owed, [(0, 0), (0, 1)]);
}

#[test]
fn what_was_asked_of_a_parent_that_goes_is_asked_of_another_at_once() {
    let mut subscription = pair();
    subscription.handle_chunk(at(0), LinkId(1), Epoch(1), ChunkSeq(0));
    subscription.handle_chunk(at(0), LinkId(2), Epoch(1), ChunkSeq(3));
    subscription.handle_timeout(at(20));
    let asked = std::iter::from_fn(|| subscription.poll_action()).count();
    assert_eq!(asked, 2, "each the other one's chunk");
    subscription.remove_parent(at(25), LinkId(2));
    subscription.handle_timeout(at(25));
    let again = std::iter::from_fn(|| subscription.poll_action());
    let chunks = vec![ChunkSeq(2)];
    assert_eq!(again.last(), Some(Action::Request { parent: LinkId(1), epoch: Epoch(1), chunks }));
}

#[test]
fn what_a_parent_was_asked_for_and_another_one_has_sent_is_not_its_share() {
    for asks in [false, true] {
        let mut subscription = pair();
        for (from, seq) in [(1, 0), (2, 1), (1, 2), (1, 4)] {
            subscription.handle_chunk(at(0), LinkId(from), Epoch(1), ChunkSeq(seq));
        }
        let mut now = 0;
        let mut is_asked = false;
        while asks && !is_asked {
            now += 1;
            subscription.handle_timeout(at(now));
            let mut requests = std::iter::from_fn(|| subscription.poll_action());
            is_asked = requests.any(|action| matches!(action, Action::Request { parent: LinkId(2), .. }));
        }
        subscription.handle_chunk(at(now), LinkId(1), Epoch(1), ChunkSeq(3));
        let counts = subscription.handle_duplicate(at(now), LinkId(2), Epoch(1), ChunkSeq(3));
        assert_eq!(counts, !asks);
    }
}

#[test]
fn who_is_doubtful_is_not_asked_while_there_are_others() {
    let mut subscription = pair();
    subscription.add_parent(at(0), LinkId(3));
    subscription.parent_mut(LinkId(2), |p| p.owes(at(0), 2, 0));
    for attempts in 0..4 {
        assert_ne!(subscription.whom_to_ask(ChunkSeq(0), attempts), Some(LinkId(2)));
    }
}

#[test]
fn a_chunk_of_anothers_stripe_clears_no_debt() {
    let mut subscription = pair();
    subscription.parent_mut(LinkId(2), |p| p.owes(at(0), 2, 0));
    subscription.handle_chunk(at(1), LinkId(2), Epoch(1), ChunkSeq(0));
    assert_eq!(subscription.parent(LinkId(2)).map(|p| p.owed), Some(2));
    subscription.handle_chunk(at(1), LinkId(2), Epoch(1), ChunkSeq(1));
    assert_eq!(subscription.parent(LinkId(2)).map(|p| p.owed), Some(0));
}

#[test]
fn a_parent_that_did_well_for_long_is_trusted_as_if_it_had_never_failed() {
    for (well, most) in [(29_000, 4_000), (31_000, 2_000)] {
        let mut subscription = pair();
        subscription.suspect_parent(at(0), LinkId(2));
        subscription.handle_timeout(at(2_000));
        assert_eq!(subscription.parent(LinkId(2)).map(|p| p.mask), Some(2));
        subscription.handle_chunk(at(3_000), LinkId(2), Epoch(1), ChunkSeq(1));
        subscription.handle_chunk(at(3_000 + well), LinkId(2), Epoch(1), ChunkSeq(3));
        subscription.suspect_parent(at(50_000), LinkId(2));
        let until = subscription.parent(LinkId(2)).and_then(|p| p.suspect_until).unwrap();
        let rest = until.since(at(50_000));
        assert!(
            rest <= Duration::from_millis(most) && rest >= Duration::from_millis(most * 3 / 4),
            "{rest:?}"
        );
    }
}

#[test]
fn who_is_preferred_takes_over_and_others_have_it_only_while_that_one_can_not() {
    let all = StripeSet::new(1, 1).unwrap();
    let none = StripeSet::new(1, 0).unwrap();
    let mut subscription = Subscription::new(Config { stripes: 1, ..Config::default() }).unwrap();
    for link in [1, 2, 3] {
        subscription.add_parent_for(at(0), LinkId(link), none);
    }
    let carrying =
        |subscription: &Subscription| subscription.carrying().map(|link| link.0).collect::<Vec<_>>();
    assert_eq!(carrying(&subscription), [1]);
    subscription.prefer(at(0), LinkId(2), all);
    assert_eq!(carrying(&subscription), [2]);
    // Also from one that was preferred before.
    subscription.prefer(at(0), LinkId(3), all);
    assert_eq!(carrying(&subscription), [3]);
    subscription.suspect_parent(at(1), LinkId(3));
    assert_eq!(carrying(&subscription), [1]);
    assert_eq!(subscription.ready().map(|link| link.0).collect::<Vec<_>>(), [1, 2]);
    subscription.handle_timeout(at(3_000));
    assert_eq!(carrying(&subscription), [3], "it is back");
    assert_eq!(subscription.ready().count(), 3);
}
