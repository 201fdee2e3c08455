//! Parents that are meant for some of the stripes, that refuse some, or that will send some no more.
#![allow(clippy::unwrap_used, reason = "tests")]

mod stand_in;

use alm::{Action, Config, Subscription};
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime, StripeSet};
use std::collections::BTreeMap;

const EPOCH: Epoch = Epoch(1);

fn at(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

fn set(mask: u16) -> StripeSet {
    StripeSet::new(4, mask).unwrap()
}

/// What the parents of four stripes were told last, the calls for new ones, and the chunks that were asked for.
#[derive(Default)]
struct Told {
    shares: BTreeMap<u64, u16>,
    rebuilds: u32,
    asked: Vec<u64>,
}

impl Told {
    fn drain(&mut self, subscription: &mut Subscription) {
        while let Some(action) = subscription.poll_action() {
            match action {
                Action::Assign { parent, stripes } => {
                    self.shares.insert(parent.0, stripes.mask());
                }
                Action::Rebuild => self.rebuilds += 1,
                Action::Request { chunks, .. } => self.asked.extend(chunks.iter().map(|seq| seq.0)),
                _ => {}
            }
        }
    }

    fn of(&self, parent: u64) -> u16 {
        self.shares.get(&parent).copied().unwrap_or(0)
    }
}

/// Parent n is meant for stripe n.
fn four() -> (Subscription, Told) {
    let (mut subscription, mut told) = (Subscription::new(Config::default()).unwrap(), Told::default());
    for link in 0..4 {
        subscription.add_parent_for(at(0), LinkId(link), set(1 << link));
    }
    told.drain(&mut subscription);
    (subscription, told)
}

#[test]
fn each_parent_carries_what_it_is_meant_for_in_whatever_order_they_come() {
    for order in [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]] {
        let (mut subscription, mut told) = (Subscription::new(Config::default()).unwrap(), Told::default());
        for link in order {
            subscription.add_parent_for(at(0), LinkId(link), set(1 << link));
        }
        told.drain(&mut subscription);
        assert_eq!((0..4).map(|link| told.of(link)).collect::<Vec<_>>(), [1, 2, 4, 8]);
    }
}

#[test]
fn what_a_parent_refuses_goes_to_another_at_once() {
    let (mut subscription, mut told) = four();
    subscription.handle_refused(at(10), LinkId(2), set(4));
    told.drain(&mut subscription);
    assert_eq!(told.of(2), 0);
    assert_eq!([0, 1, 3].map(|link| told.of(link) & 4).iter().sum::<u16>(), 4, "{:?}", told.shares);
    assert_eq!((subscription.uncarried().mask(), told.rebuilds), (0, 0));
}

#[test]
fn what_all_refuse_nobody_carries_until_somebody_comes_or_it_is_time_to_ask_again() {
    let (mut subscription, mut told) = four();
    (0..4).for_each(|link| subscription.handle_refused(at(10), LinkId(link), set(4)));
    told.drain(&mut subscription);
    assert_eq!((subscription.uncarried(), told.rebuilds), (set(4), 1));
    subscription.handle_timeout(at(2_009));
    assert_eq!(subscription.uncarried(), set(4));
    // It is told to the one that is meant for it first.
    subscription.handle_timeout(at(2_010));
    told.drain(&mut subscription);
    assert_eq!((subscription.uncarried(), told.of(2)), (set(0), 4));

    let (mut subscription, mut told) = four();
    (0..4).for_each(|link| subscription.handle_refused(at(10), LinkId(link), set(4)));
    subscription.add_parent_for(at(20), LinkId(9), set(8));
    told.drain(&mut subscription);
    assert_eq!((subscription.uncarried(), told.of(9)), (set(0), 4), "better it than nobody");
}

/// What one that had no place is told, and when, in milliseconds after `from`.
fn told_again(subscription: &mut Subscription, from: u64, parent: u64) -> (u64, u16) {
    for millis in from.. {
        subscription.handle_timeout(at(millis));
        let told = std::iter::from_fn(|| subscription.poll_action()).find_map(|action| match action {
            Action::Assign { parent: link, stripes } if link == LinkId(parent) => Some(stripes.mask()),
            _ => None,
        });
        if let Some(told) = told {
            return (millis - from, told);
        }
    }
    unreachable!()
}

#[test]
fn a_parent_without_a_place_is_asked_for_nothing_until_it_is_asked_for_a_place_again() {
    let (mut subscription, mut told) = four();
    assert_eq!((subscription.has_place(LinkId(2)), subscription.has_place(LinkId(9))), (Some(true), None));
    subscription.handle_full(at(10), LinkId(2));
    told.shares.remove(&2);
    told.drain(&mut subscription);
    assert_eq!(told.shares.get(&2), None, "it knows");
    assert_eq!([0, 1, 3].map(|link| told.of(link) & 4).iter().sum::<u16>(), 4, "{:?}", told.shares);
    assert_eq!((subscription.uncarried().mask(), told.rebuilds), (0, 0));
    assert_eq!(subscription.has_place(LinkId(2)), Some(false));
    // It says so to each thing that was under way; that makes it no longer.
    subscription.handle_full(at(11), LinkId(2));

    // What is missing is asked of the others.
    (0..4).for_each(|n| subscription.handle_chunk(at(20), LinkId(n % 2), EPOCH, ChunkSeq(n)));
    subscription.handle_chunk(at(20), LinkId(0), EPOCH, ChunkSeq(40));
    let mut asked = Vec::new();
    for millis in 20..600 {
        subscription.handle_timeout(at(millis));
        while let Some(action) = subscription.poll_action() {
            if let Action::Request { parent, chunks, .. } = action {
                asked.extend(chunks.iter().map(|_| parent.0));
            }
        }
    }
    assert!(asked.len() >= 36 && !asked.contains(&2), "{asked:?}");

    // It is asked for a place ever less often: for what others have in its stead, or as a spare if it was asked for that a moment ago.
    assert_eq!(told_again(&mut subscription, 600, 2), (1_410, 4));
    assert_eq!(subscription.has_place(LinkId(2)), Some(true));
    let mut now = 2_010;
    for (wait, share) in [(4_000, 0), (8_000, 4), (16_000, 4), (30_000, 4), (30_000, 4)] {
        subscription.handle_full(at(now), LinkId(2));
        assert_eq!(told_again(&mut subscription, now, 2), (wait, share));
        now += wait;
    }
    // Until it has sent something.
    subscription.prefer(at(now), LinkId(2), set(4));
    subscription.handle_chunk(at(now), LinkId(2), EPOCH, ChunkSeq(42));
    told.drain(&mut subscription);
    subscription.handle_full(at(now), LinkId(2));
    assert_eq!(told_again(&mut subscription, now, 2).0, 2_000);
}

#[test]
fn who_has_no_place_gets_nothing_by_being_meant_for_more() {
    let (mut subscription, mut told) = four();
    subscription.handle_full(at(10), LinkId(2));
    told.drain(&mut subscription);
    told.shares.remove(&2);
    subscription.add_parent_for(at(20), LinkId(2), set(15));
    told.drain(&mut subscription);
    assert_eq!((told.shares.get(&2), subscription.uncarried().mask()), (None, 0), "it would not send it");
    assert_eq!([0, 1, 3].map(|link| told.of(link)).iter().sum::<u16>(), 15, "{:?}", told.shares);
    subscription.handle_timeout(at(2_010));
    assert_eq!(subscription.has_place(LinkId(2)), Some(true), "and then it is asked again");
}

#[test]
fn where_nobody_has_a_place_others_are_called_for_and_all_are_asked_again() {
    let (mut subscription, mut told) = four();
    (0..4).for_each(|link| subscription.handle_full(at(10), LinkId(link)));
    told.drain(&mut subscription);
    assert_eq!((subscription.uncarried(), told.rebuilds), (set(15), 1));
    subscription.handle_timeout(at(2_010));
    told.drain(&mut subscription);
    assert_eq!((0..4).map(|link| told.of(link)).collect::<Vec<_>>(), [1, 2, 4, 8]);
}

#[test]
fn a_refusal_of_what_was_about_to_move_leaves_it_where_it_was() {
    let (mut subscription, mut told) = (Subscription::new(Config::default()).unwrap(), Told::default());
    subscription.add_parent(at(0), LinkId(1));
    subscription.handle_chunk(at(0), LinkId(1), EPOCH, ChunkSeq(0));
    subscription.add_parent_for(at(0), LinkId(2), set(1));
    told.drain(&mut subscription);
    assert_eq!((told.of(1), told.of(2) & 1), (15, 1), "the first goes on until the second delivers");
    subscription.handle_refused(at(10), LinkId(2), set(15));
    told.drain(&mut subscription);
    assert_eq!((told.of(1), told.of(2), subscription.uncarried().mask()), (15, 0, 0));
}

#[test]
fn a_parent_that_will_stop_is_told_to_when_another_one_delivers() {
    let (mut subscription, mut told) = four();
    (0..4).for_each(|n| subscription.handle_chunk(at(0), LinkId(n), EPOCH, ChunkSeq(n)));
    subscription.add_parent_for(at(5), LinkId(9), set(4));
    told.drain(&mut subscription);
    assert_eq!((told.of(2), told.of(9)), (4, 0), "a spare");
    subscription.retire(at(10), LinkId(2), set(4));
    told.drain(&mut subscription);
    assert_eq!((told.of(2), told.of(9)), (4, 4));
    subscription.handle_chunk(at(40), LinkId(9), EPOCH, ChunkSeq(6));
    told.drain(&mut subscription);
    assert_eq!((told.of(2), told.of(9)), (0, 4));
    // It is not given back what it will not send.
    subscription.remove_parent(at(50), LinkId(9));
    told.drain(&mut subscription);
    assert_eq!((told.of(2), subscription.uncarried().mask()), (0, 0));
}

/// Everything of frame 0 but chunks 2, 3 and 6 has come, and ten of twelve suffice.
fn all_but_three(subscription: &mut Subscription) {
    for seq in (0..12).filter(|seq| ![2, 3, 6].contains(seq)) {
        subscription.handle_chunk(at(0), LinkId(seq % 4), EPOCH, ChunkSeq(seq));
        subscription.expect(at(0), EPOCH, ChunkSeq(0)..ChunkSeq(12), 9);
    }
    subscription.settle(EPOCH, ChunkSeq(0)..ChunkSeq(12));
}

#[test]
fn what_is_passed_on_is_asked_for_also_when_the_object_is_complete() {
    for (passed_on, expected) in [(0, vec![]), (4, vec![2, 6]), (8, vec![3])] {
        let (mut subscription, mut told) = four();
        subscription.pass_on(set(passed_on));
        all_but_three(&mut subscription);
        for millis in 0..45 {
            subscription.handle_timeout(at(millis));
        }
        told.drain(&mut subscription);
        told.asked.sort_unstable();
        assert_eq!(told.asked, expected, "{passed_on:b}");
    }
}

#[test]
fn the_end_of_an_object_that_is_complete_is_looked_for_where_it_is_passed_on() {
    let (mut subscription, mut told) = four();
    subscription.pass_on(set(8));
    for seq in 0..9 {
        subscription.handle_chunk(at(0), LinkId(seq % 4), EPOCH, ChunkSeq(seq));
        subscription.expect(at(0), EPOCH, ChunkSeq(0)..ChunkSeq(12), 9);
    }
    subscription.settle(EPOCH, ChunkSeq(0)..ChunkSeq(12));
    for millis in 0..45 {
        subscription.handle_timeout(at(millis));
    }
    told.drain(&mut subscription);
    assert_eq!(told.asked, [11]);
}

/// One that would have the others from here: it has them by itself from nobody, and two such would wait for one another.
#[test]
fn who_is_there_for_one_stripe_only_is_told_no_other_whoever_goes() {
    let (mut subscription, mut told) = (Subscription::new(Config::default()).unwrap(), Told::default());
    subscription.add_parent(at(0), LinkId(0));
    subscription.add_parent_only(at(1), LinkId(1), set(2));
    told.drain(&mut subscription);
    assert_eq!((told.of(0), told.of(1), told.rebuilds), (13, 2, 0));
    subscription.handle_chunk(at(2), LinkId(1), EPOCH, ChunkSeq(1));

    subscription.remove_parent(at(3), LinkId(0));
    told.drain(&mut subscription);
    assert_eq!((told.of(1), subscription.uncarried(), told.rebuilds), (2, set(13), 1));
    // What comes from it is no reason to wait for others less.
    subscription.handle_chunk(at(4), LinkId(1), EPOCH, ChunkSeq(5));
    subscription.handle_timeout(at(2_100));
    told.drain(&mut subscription);
    assert_eq!(told.rebuilds, 2);

    subscription.add_parent(at(2_200), LinkId(2));
    subscription.handle_chunk(at(2_201), LinkId(2), EPOCH, ChunkSeq(8));
    subscription.handle_timeout(at(9_000));
    told.drain(&mut subscription);
    assert_eq!((told.of(2), told.of(1), subscription.uncarried(), told.rebuilds), (13, 2, set(0), 2));
}

#[test]
fn what_was_seen_before_counts_once_and_while_its_stripe_moves() {
    let (mut subscription, mut told) = four();
    (0..8).for_each(|n| subscription.handle_chunk(at(0), LinkId(n % 4), EPOCH, ChunkSeq(n)));
    let again = |subscription: &mut Subscription, from, seq| {
        subscription.handle_duplicate(at(5), LinkId(from), EPOCH, ChunkSeq(seq))
    };
    assert!(!again(&mut subscription, 1, 5), "it is no newer than its last one");
    assert!(!again(&mut subscription, 1, 1) && !again(&mut subscription, 1, 6), "nor another one's");
    // Stripe 1 moves: both send it, and each chunk comes first from one of them.
    subscription.add_parent_for(at(10), LinkId(9), set(2));
    subscription.retire(at(10), LinkId(1), set(2));
    told.drain(&mut subscription);
    assert_eq!((told.of(1), told.of(9)), (2, 2));
    subscription.handle_chunk(at(20), LinkId(9), EPOCH, ChunkSeq(9));
    assert!(!again(&mut subscription, 1, 9), "that was the end of it");
    subscription.handle_chunk(at(30), LinkId(0), EPOCH, ChunkSeq(13));
    assert!(again(&mut subscription, 9, 13) && !again(&mut subscription, 9, 13));
}
