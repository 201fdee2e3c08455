//! A parent that is there only until somebody else is.

use super::{EPOCH, Told, at, set};
use alm::{Action, Config, Subscription};
use core_types::{ChunkSeq, LinkId};

/// One that stands in carries all four stripes, and something of each has come.
fn stand_in() -> (Subscription, Told) {
    let (mut subscription, mut told) = (Subscription::new(Config::default()).unwrap(), Told::default());
    subscription.add_stand_in(at(0), LinkId(0));
    (0..4).for_each(|n| subscription.handle_chunk(at(0), LinkId(0), EPOCH, ChunkSeq(n)));
    told.drain(&mut subscription);
    assert_eq!(told.of(0), 15);
    (subscription, told)
}

#[test]
fn who_stands_in_keeps_nothing_that_anybody_else_may_have_and_stops_when_that_comes() {
    let (mut subscription, mut told) = stand_in();
    for (link, home) in [(1, 1), (2, 2), (3, 4)] {
        subscription.add_parent_only(at(10), LinkId(link), set(home));
        subscription.handle_chunk(at(20), LinkId(link), EPOCH, ChunkSeq(3 + link));
    }
    told.drain(&mut subscription);
    assert_eq!(told.of(0), 8, "one stripe is all that is left to it");
    subscription.add_parent_only(at(30), LinkId(4), set(8));
    told.drain(&mut subscription);
    assert_eq!((told.of(0), told.of(4), subscription.sends(LinkId(0))), (8, 8, true));
    subscription.handle_chunk(at(40), LinkId(4), EPOCH, ChunkSeq(7));
    told.drain(&mut subscription);
    assert_eq!((told.of(0), subscription.sends(LinkId(0))), (0, false));
    // It has none of theirs by being there once more, and what they leave, also if it was to send nothing any more.
    subscription.retire(at(50), LinkId(0), set(15));
    subscription.add_stand_in(at(50), LinkId(0));
    told.drain(&mut subscription);
    assert_eq!(told.of(0), 0);
    subscription.remove_parent(at(60), LinkId(2));
    told.drain(&mut subscription);
    assert_eq!((told.of(0), told.rebuilds), (2, 0));
}

#[test]
fn who_stands_in_has_nothing_that_somebody_else_takes_who_is_meant_for_nothing_either() {
    let (mut subscription, mut told) = stand_in();
    for link in [1, 2] {
        subscription.add_parent_for(at(10), LinkId(link), set(0));
    }
    (4..8).for_each(|n| subscription.handle_chunk(at(20), LinkId(1 + n / 6), EPOCH, ChunkSeq(n)));
    subscription.remove_parent(at(30), LinkId(2));
    told.drain(&mut subscription);
    assert_eq!((told.of(0), told.of(1)), (0, 15));
}

#[test]
fn while_it_is_not_known_that_a_parent_has_a_place_who_stands_in_goes_on() {
    let (mut subscription, mut told) = stand_in();
    let all_are_sent = |subscription: &mut Subscription, told: &mut Told| {
        while let Some(action) = subscription.poll_action() {
            let Action::Assign { parent, stripes } = action else { continue };
            told.shares.insert(parent.0, stripes.mask());
            assert_eq!(told.of(0), 15, "nobody else sends anything");
        }
    };
    subscription.add_parent(at(10), LinkId(1));
    all_are_sent(&mut subscription, &mut told);
    assert_eq!(told.of(1), 15);
    for (refused, again) in [(300, 2_300), (2_600, 6_600), (6_900, 14_900)] {
        subscription.handle_full(at(refused), LinkId(1));
        all_are_sent(&mut subscription, &mut told);
        assert_eq!(subscription.uncarried().mask(), 0);
        subscription.handle_timeout(at(again));
        all_are_sent(&mut subscription, &mut told);
        assert_eq!(subscription.has_place(LinkId(1)), Some(true), "it is asked again");
    }
    // Now it has one: it takes over what it delivers, one stripe in ten seconds.
    assert_eq!(told.of(1), 8);
    subscription.handle_chunk(at(15_000), LinkId(1), EPOCH, ChunkSeq(7));
    told.drain(&mut subscription);
    assert_eq!((told.of(0), told.of(1)), (7, 8));
    subscription.handle_timeout(at(24_900));
    told.drain(&mut subscription);
    assert_eq!((told.of(0), told.of(1)), (7, 12));
}

#[test]
fn who_stands_in_has_half_of_what_the_only_parent_may_not_send_and_all_when_it_does_not() {
    let (mut subscription, mut told) = (Subscription::new(Config::default()).unwrap(), Told::default());
    subscription.add_parent(at(0), LinkId(1));
    subscription.handle_chunk(at(0), LinkId(1), EPOCH, ChunkSeq(0));
    subscription.add_stand_in(at(10), LinkId(0));
    told.drain(&mut subscription);
    assert_eq!((told.of(0).count_ones(), told.of(1)), (2, 15));
    subscription.suspect_parent(at(20), LinkId(1));
    told.drain(&mut subscription);
    assert_eq!((told.of(0), told.of(1)), (15, 0));
    assert_eq!(
        [1, 0, 9].map(|link| subscription.is_suspected(LinkId(link))),
        [Some(true), Some(false), None]
    );
}

#[test]
fn a_parent_is_told_all_of_its_first_share_at_once() {
    let (mut subscription, _) = stand_in();
    subscription.add_parent(at(10), LinkId(1));
    let first = std::iter::from_fn(|| subscription.poll_action()).find_map(|action| match action {
        Action::Assign { parent: LinkId(1), stripes } => Some(stripes),
        _ => None,
    });
    assert_eq!(first, Some(set(15)), "its first word says from where on it is to send");
}
