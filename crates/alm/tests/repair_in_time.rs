//! That repair comes in time for the screen: neither rare lateness nor an answer that does not come costs much.
#![allow(clippy::unwrap_used, reason = "tests")]

use alm::{Action, Config, Subscription};
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime, StripeSet};
use std::time::Duration;

const EPOCH: Epoch = Epoch(1);

fn at(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

fn with_parents(stripes: u8) -> Subscription {
    let mut subscription = Subscription::new(Config { stripes, ..Config::default() }).unwrap();
    (0..u64::from(stripes)).for_each(|link| subscription.add_parent(at(0), LinkId(link)));
    subscription
}

/// Lets time pass up to `end`, millisecond by millisecond. Returns what is asked for, when and of whom.
fn pass(subscription: &mut Subscription, from: u64, end: u64) -> Vec<(u64, u64, Vec<u64>)> {
    let mut asked = Vec::new();
    for millis in from..end {
        if subscription.poll_timeout().is_some_and(|due| due <= at(millis)) {
            subscription.handle_timeout(at(millis));
        }
        while let Some(action) = subscription.poll_action() {
            if let Action::Request { parent, chunks, .. } = action {
                asked.push((millis, parent.0, chunks.iter().map(|seq| seq.0).collect()));
            }
        }
    }
    asked
}

#[test]
fn one_chunk_in_twenty_that_is_late_makes_nobody_patient() {
    let mut subscription = with_parents(2);
    let chunk = |subscription: &mut Subscription, millis, seq: u64| {
        subscription.handle_chunk(at(millis), LinkId(seq % 2), EPOCH, ChunkSeq(seq));
    };
    // An even one every 100 ms, and an odd one behind it, which its carrier had to ask for now and then.
    for pair in 0..100 {
        let now = pair * 100;
        chunk(&mut subscription, now, 2 * pair);
        let late = if pair % 20 == 5 { 80 } else { 1 };
        pass(&mut subscription, now, now + late);
        chunk(&mut subscription, now + late, 2 * pair + 1);
        pass(&mut subscription, now + late, now + 100);
    }
    chunk(&mut subscription, 10_000, 200);
    chunk(&mut subscription, 10_000, 202);
    let asked = pass(&mut subscription, 10_000, 10_200);
    assert!(matches!(asked.first(), Some((..=10_040, 0, chunks)) if chunks == &[201]), "{asked:?}");
}

#[test]
fn each_of_the_others_is_asked_before_anybody_is_given_more_time() {
    let mut subscription = with_parents(4);
    for seq in [0, 1, 3] {
        subscription.handle_chunk(at(0), LinkId(seq), EPOCH, ChunkSeq(seq));
    }
    let asked = pass(&mut subscription, 0, 90);
    let whom: Vec<u64> = asked.iter().map(|(_, parent, _)| *parent).collect();
    assert!(whom.len() == 2 && whom[0] != whom[1], "{asked:?}");
    assert_eq!(asked[1].0 - asked[0].0, 50);
    let again = pass(&mut subscription, 90, 1_000);
    let times: Vec<u64> = asked.iter().chain(&again).map(|(time, ..)| *time).collect();
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits, [50, 50, 50], "{again:?}");
}

#[test]
fn what_was_asked_for_in_vain_is_asked_for_with_another_chunk_of_the_object() {
    let mut subscription = with_parents(4);
    // Eight of twelve have come, and nine are needed.
    for seq in [0, 1, 2, 4, 5, 7, 8, 11] {
        subscription.handle_chunk(at(0), LinkId(seq % 4), EPOCH, ChunkSeq(seq));
        subscription.expect(at(0), EPOCH, ChunkSeq(0)..ChunkSeq(12), 9);
    }
    let asked = pass(&mut subscription, 0, 100);
    let chunks: Vec<_> = asked.iter().map(|(_, _, chunks)| chunks.len()).collect();
    assert_eq!(asked[0].2, [3], "no more than is needed: {asked:?}");
    let in_vain = asked[0].0 + 50;
    let again: usize =
        asked.iter().filter(|(time, ..)| *time == in_vain).map(|(.., chunks)| chunks.len()).sum();
    assert_eq!((again, chunks[0]), (2, 1), "{asked:?}");
}

#[test]
fn what_a_carrier_came_past_is_not_waited_for_as_long_as_it_is_late() {
    let owner = |seq: u64| LinkId(seq % 2);
    for (passed, expected) in [(true, 10_015..10_025), (false, 10_060..10_102)] {
        let mut subscription = with_parents(2);
        // Two even ones every 200 ms, and two odd ones with them or 60 ms later: nobody knows how late the next ones are.
        for frame in 0..50 {
            let (now, first) = (frame * 200, frame * 4);
            [first, first + 2]
                .into_iter()
                .for_each(|seq| subscription.handle_chunk(at(now), owner(seq), EPOCH, ChunkSeq(seq)));
            let late = if frame % 2 == 0 { 60 } else { 1 };
            pass(&mut subscription, now, now + late);
            [first + 1, first + 3]
                .into_iter()
                .for_each(|seq| subscription.handle_chunk(at(now + late), owner(seq), EPOCH, ChunkSeq(seq)));
            pass(&mut subscription, now + late, now + 200);
        }
        [200, 202]
            .into_iter()
            .for_each(|seq| subscription.handle_chunk(at(10_000), owner(seq), EPOCH, ChunkSeq(seq)));
        if passed {
            subscription.handle_chunk(at(10_000), owner(203), EPOCH, ChunkSeq(203));
        }
        let asked = pass(&mut subscription, 10_000, 10_300);
        let first = asked.iter().find(|(.., chunks)| chunks.contains(&201)).map(|(time, ..)| *time);
        assert!(first.is_some_and(|time| expected.contains(&time)), "{passed}: {asked:?}");
    }
}

#[test]
fn one_more_than_needed_is_asked_for_when_an_object_has_taken_long() {
    for (pace, expected) in [(5, 1), (14, 2)] {
        let mut subscription = Subscription::new(Config::default()).unwrap();
        for link in 0..4 {
            let stripe = StripeSet::single(4, link).unwrap();
            subscription.add_parent_for(at(0), LinkId(u64::from(link)), stripe);
        }
        // Eight of twelve, one after the other, and nine are needed.
        let mut asked = Vec::new();
        for seq in 0..8 {
            subscription.handle_chunk(at(seq * pace), LinkId(seq % 4), EPOCH, ChunkSeq(seq));
            subscription.expect(at(seq * pace), EPOCH, ChunkSeq(0)..ChunkSeq(12), 9);
            asked.extend(pass(&mut subscription, seq * pace, (seq + 1) * pace));
        }
        assert!(asked.is_empty(), "{asked:?}");
        let asked = pass(&mut subscription, 8 * pace, 8 * pace + 30);
        assert_eq!(asked.iter().map(|(.., chunks)| chunks.len()).sum::<usize>(), expected, "{asked:?}");
    }
}

#[test]
fn the_longer_an_object_takes_the_more_is_asked_for_beside_what_is_under_way() {
    // An answer may take 300 ms: what is asked for stays under way.
    let patient = Config { retry_after: Duration::from_millis(300), ..Config::default() };
    let mut subscription = Subscription::new(patient).unwrap();
    for link in 0..4 {
        let stripe = StripeSet::single(4, link).unwrap();
        subscription.add_parent_for(at(0), LinkId(u64::from(link)), stripe);
    }
    // Eight of twelve at once, and nine are needed.
    for seq in 0..8 {
        subscription.handle_chunk(at(0), LinkId(seq % 4), EPOCH, ChunkSeq(seq));
        subscription.expect(at(0), EPOCH, ChunkSeq(0)..ChunkSeq(12), 9);
    }
    let asked = pass(&mut subscription, 0, 300);
    let times: Vec<u64> = asked.iter().flat_map(|(time, _, chunks)| vec![*time; chunks.len()]).collect();
    assert_eq!(times.len(), 4, "{asked:?}");
    for (time, due) in times.iter().zip([15, 100, 150, 200]) {
        assert!((due..due + 16).contains(time), "{asked:?}");
    }
}

#[test]
fn when_an_object_has_taken_long_what_was_not_needed_before_is_looked_at_with_what_is_due() {
    let mut subscription = with_parents(4);
    // 24 of 26 are needed. Number 2 is not, as long as the others come; number 20 is missing too in the end.
    let times = [(0, 0), (1, 5), (3, 9)].into_iter().chain((4..20).map(|seq| (seq, 5 * (seq - 1))));
    let times = times.chain((21..25).map(|seq| (seq, 5 * (seq - 2))));
    let mut asked = Vec::new();
    let mut now = 0;
    for (seq, time) in times {
        asked.extend(pass(&mut subscription, now, time));
        now = time;
        subscription.handle_chunk(at(time), LinkId(seq % 4), EPOCH, ChunkSeq(seq));
        subscription.expect(at(time), EPOCH, ChunkSeq(0)..ChunkSeq(26), 24);
    }
    assert!(asked.is_empty(), "{asked:?}");
    // Number 20 is due at 110 ms and number 2 is looked at every 15 ms, at 99 and 114 ms. The lowest is asked for first.
    let asked = pass(&mut subscription, now, 113);
    assert!(matches!(asked.first(), Some((110, _, chunks)) if chunks == &[2]), "{asked:?}");
}

#[test]
fn where_much_is_late_no_more_is_asked_for_than_is_needed_and_one() {
    for (objects, expected) in [(1, 4), (5, 5)] {
        // An answer may take 300 ms: what is asked for stays under way.
        let patient = Config { retry_after: Duration::from_millis(300), ..Config::default() };
        let mut subscription = Subscription::new(patient).unwrap();
        (0..4).for_each(|link| subscription.add_parent(at(0), LinkId(link)));
        // Of each eight of twelve at once, and nine are needed.
        for object in 0..objects {
            for seq in object * 12..object * 12 + 8 {
                subscription.handle_chunk(at(0), LinkId(seq % 4), EPOCH, ChunkSeq(seq));
                let range = ChunkSeq(object * 12)..ChunkSeq(object * 12 + 12);
                subscription.expect(at(0), EPOCH, range, 9);
            }
        }
        let asked = pass(&mut subscription, 0, 290);
        assert_eq!(asked.iter().map(|(.., chunks)| chunks.len()).sum::<usize>(), expected, "{asked:?}");
    }
}

#[test]
fn after_an_outage_nothing_is_asked_for_that_was_made_more_than_a_second_ago() {
    let mut subscription = with_parents(4);
    let frame = |subscription: &mut Subscription, number: u64| {
        let (now, first) = (number * 40, number * 12);
        for seq in first..first + 12 {
            subscription.handle_chunk(at(now), LinkId(seq % 4), EPOCH, ChunkSeq(seq));
            subscription.expect(at(now), EPOCH, ChunkSeq(first)..ChunkSeq(first + 12), 9);
        }
        subscription.settle(EPOCH, ChunkSeq(first)..ChunkSeq(first + 12));
        pass(subscription, now, now + 40)
    };
    (0..20).for_each(|number| assert!(frame(&mut subscription, number).is_empty()));
    // Three seconds are missing.
    let asked: Vec<u64> = frame(&mut subscription, 95).into_iter().flat_map(|(.., chunks)| chunks).collect();
    let oldest = asked.iter().min().copied().unwrap();
    assert!((90 * 12 - 300..=95 * 12 - 200).contains(&oldest), "{oldest} of {}", 95 * 12);
}
