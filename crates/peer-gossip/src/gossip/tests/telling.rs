//! What goes out, to whom, and when.

use super::*;
use crate::testing::{card_entry, claim_entry};

fn take(gossip: &mut Gossip, link: LinkId, seconds: u64, entries: &[Vec<u8>]) {
    let (now, wall) = at(seconds);
    gossip.handle(now, wall, link, entries).unwrap();
}

#[test]
fn what_is_new_goes_once_to_every_link_but_the_one_that_it_came_from() {
    let mut gossip = node(1);
    gossip.add_link(NOW, LinkId(3));
    let entries = vec![card_entry(2, START), claim_entry(2, START)];
    take(&mut gossip, A, 0, &entries);
    // Meanwhile link 3 has sent the same: it needs not be told.
    take(&mut gossip, LinkId(3), 0, &entries);
    assert_eq!(told(&mut gossip), BTreeMap::from([(B, entries.clone())]));
    // A new card goes without the claim.
    let moved = vec![card_entry(2, at(5).1)];
    take(&mut gossip, A, 5, &moved);
    assert_eq!(told(&mut gossip), BTreeMap::from([(B, moved.clone()), (LinkId(3), moved)]));
    take(&mut gossip, B, 5, &entries);
    assert!(told(&mut gossip).is_empty());
    // A renewal goes without the card.
    let renewed = vec![claim_entry(2, at(25).1)];
    take(&mut gossip, B, 25, &renewed);
    assert_eq!(told(&mut gossip), BTreeMap::from([(A, renewed.clone()), (LinkId(3), renewed)]));
}

#[test]
fn a_claim_goes_behind_the_card_to_a_link_that_was_not_told_it() {
    let mut gossip = node_with(1, Limits { greeting: 0, ..Limits::default() });
    gossip.add_link(NOW, A);
    take(&mut gossip, A, 0, &[card_entry(2, START), claim_entry(2, START)]);
    gossip.add_link(NOW, B);
    assert!(told(&mut gossip).is_empty());
    let renewed = claim_entry(2, at(25).1);
    take(&mut gossip, A, 25, std::slice::from_ref(&renewed));
    let to_b = told(&mut gossip).remove(&B).unwrap();
    assert_eq!((to_b[0][0], &to_b[1], to_b.len()), (0, &renewed, 2));
    take(&mut gossip, A, 50, &[claim_entry(2, at(50).1)]);
    assert_eq!(told(&mut gossip)[&B].len(), 1);
}

#[test]
fn a_card_goes_once_more_after_a_silence_in_which_others_may_have_dropped_it() {
    for (silence, sent) in [(60, 1), (61, 2)] {
        let mut gossip = node(1);
        take(&mut gossip, A, 0, &[card_entry(2, START), claim_entry(2, START)]);
        told(&mut gossip);
        take(&mut gossip, A, silence, &[claim_entry(2, at(silence).1)]);
        let told = told(&mut gossip);
        assert_eq!((told[&B].len(), told.len()), (sent, 1), "after {silence} s");
    }
}

#[test]
fn a_newer_claim_takes_the_place_of_one_that_waits() {
    let mut gossip = node(1);
    take(&mut gossip, A, 0, &[card_entry(2, START), claim_entry(2, START)]);
    let newest = claim_entry(2, at(1).1);
    take(&mut gossip, A, 1, std::slice::from_ref(&newest));
    let to_b = told(&mut gossip).remove(&B).unwrap();
    assert_eq!((to_b.len(), &to_b[1]), (2, &newest));
}

#[test]
fn what_is_over_is_not_sent() {
    let mut gossip = node(1);
    take(&mut gossip, A, 0, &[card_entry(2, START), claim_entry(2, START)]);
    gossip.handle_timeout(at(60).0, at(60).1);
    assert_eq!(told(&mut gossip)[&B].len(), 1, "the card alone");
    speak(&mut gossip, 1, 60, START);
    assert_eq!(told(&mut gossip).len(), 2);
    gossip.handle_timeout(at(120).0, at(120).1);
    gossip.add_link(at(120).0, LinkId(3));
    assert_eq!(told(&mut gossip)[&LinkId(3)].len(), 1);
}

#[test]
fn a_new_link_is_told_of_this_node_first_and_of_eight_in_all_as_the_seed_draws_them() {
    let greeted = |seed| {
        let mut gossip = node(1);
        gossip.draw = Draw(seed);
        speak(&mut gossip, 1, 0, START);
        for n in 2..=20 {
            take(&mut gossip, A, 0, &[card_entry(n, START), claim_entry(n, START)]);
        }
        // This one is silent.
        take(&mut gossip, A, 0, &[card_entry(21, START)]);
        while gossip.poll_message().is_some() {}
        gossip.add_link(NOW, LinkId(3));
        let told = told(&mut gossip).remove(&LinkId(3)).unwrap();
        let advertisers: Vec<KeyId> =
            told.iter().map(|entry| entry::Entry::read(entry).unwrap().advertiser()).collect();
        assert!(told.iter().enumerate().all(|(at, entry)| usize::from(entry[0]) == at % 2));
        advertisers.into_iter().step_by(2).collect::<Vec<_>>()
    };
    let one = greeted(1);
    assert_eq!((one.len(), one[0]), (8, peer(1).key_id()));
    assert!(!one.contains(&peer(21).key_id()));
    assert_eq!(one, greeted(1));
    assert_ne!(one, greeted(2));
}

/// It has heard over A of peers 2 to `last`, and has told B nothing yet.
fn well_informed(last: usize) -> Gossip {
    let mut gossip = node_with(1, Limits { burst: 1_000, ..Limits::default() });
    gossip.add_link(NOW, A);
    gossip.add_link(NOW, B);
    for n in 2..=last {
        take(&mut gossip, A, 0, &[card_entry(n, START), claim_entry(n, START)]);
    }
    gossip
}

#[test]
fn a_link_that_has_said_enough_waits_and_when_it_is_gone_is_not_waited_for() {
    let mut gossip = well_informed(40);
    told(&mut gossip);
    let due = gossip.poll_timeout().unwrap();
    assert!(due.since(NOW) < Duration::from_secs(1));
    // What is new meanwhile waits with the rest, though there would be room for it alone.
    let (now, wall) = (NOW.plus(Duration::from_millis(100)), WallTime(START.0 + 100));
    gossip.handle(now, wall, A, &[claim_entry(41, wall), card_entry(41, wall)]).unwrap();
    assert_eq!((told(&mut gossip).get(&B), gossip.waiting.len()), (None, 1));
    assert_eq!(gossip.poll_timeout(), Some(due));
    gossip.remove_link(B);
    assert_eq!(
        gossip.poll_timeout(),
        Some(NOW.plus(Duration::from_secs(5))),
        "the next look at what is over"
    );
    gossip.handle_timeout(due, START);
    assert_eq!(gossip.poll_message(), None);
}

#[test]
fn a_link_that_is_added_twice_is_told_once() {
    let mut gossip = node(1);
    speak(&mut gossip, 1, 0, START);
    assert_eq!(told(&mut gossip).len(), 2);
    gossip.add_link(NOW, A);
    assert_eq!((told(&mut gossip).len(), gossip.stats().links), (0, 2));
}

#[test]
fn no_more_than_32_entries_at_once_and_32_a_second_go_over_a_link() {
    let mut gossip = well_informed(60);
    let mut sent = told(&mut gossip)[&B].len();
    assert_eq!(sent, 32);
    let mut rounds = 0;
    while sent < 118 {
        let due = gossip.poll_timeout().unwrap();
        gossip.handle_timeout(due, START);
        sent += told(&mut gossip).remove(&B).map_or(0, |entries| entries.len());
        let allowed = 32 + due.since(NOW).as_micros() as usize * 32 / 1_000_000;
        assert!(sent <= allowed, "{sent} of {allowed}");
        rounds += 1;
    }
    assert!(gossip.now.since(NOW).as_millis() < 3_000 && rounds <= 20, "{rounds} rounds");
    // To A goes nothing: all of it came from there.
    assert_eq!(footprint(&gossip)[4], 0);
}

#[test]
fn what_was_held_up_for_three_seconds_is_taken_all_at_once() {
    let mut gossip = well_informed(64);
    let mut held_up = told(&mut gossip).remove(&B).unwrap();
    while let Some(due) = gossip.poll_timeout().filter(|due| *due <= at(3).0) {
        gossip.handle_timeout(due, START);
        held_up.extend(told(&mut gossip).remove(&B).unwrap_or_default());
    }
    assert_eq!(held_up.len(), 126, "as much as there is");
    let mut other = node(1);
    for message in held_up.chunks(32) {
        take(&mut other, A, 3, message);
    }
    assert_eq!((other.stats().over_rate, there(&other, 3).len()), (0, 63));
}

/// It has two links that are told of all, and one more, C.
fn with_a_sampled_link() -> Gossip {
    let mut gossip = node_with(1, Limits { burst: 1_000, whole_links: 2, ..Limits::default() });
    for link in [A, B, C] {
        gossip.add_link(NOW, link);
    }
    gossip
}

const C: LinkId = LinkId(3);

#[test]
fn a_link_beyond_those_that_are_told_of_all_is_told_of_some_again_and_again() {
    let mut gossip = with_a_sampled_link();
    for n in 2..=30 {
        take(&mut gossip, A, 0, &[card_entry(n, START), claim_entry(n, START)]);
    }
    let mut first = told(&mut gossip);
    assert!(first.remove(&B).is_some_and(|entries| entries.len() == 32));
    assert_eq!(first.remove(&C), None, "nobody was known when it came");
    let mut heard = BTreeSet::new();
    for round in 1..=4 {
        let (now, wall) = at(25 * round);
        for n in 2..=30 {
            take(&mut gossip, A, 25 * round, &[claim_entry(n, wall)]);
        }
        assert_eq!(told(&mut gossip).remove(&C), None);
        gossip.handle_timeout(now, wall);
        let entries = told(&mut gossip).remove(&C).unwrap();
        // A claim of each of eight, and the card of those that were not drawn before.
        assert!((8..=16).contains(&entries.len()), "{}", entries.len());
        heard.extend(entries.into_iter().filter(|entry| entry[0] == 0));
        assert_eq!(gossip.sampled.first(), Some(&(now.plus(Duration::from_secs(25)), C)));
    }
    assert!((16..=32).contains(&heard.len()), "{} cards in four rounds", heard.len());
}

#[test]
fn what_comes_over_a_sampled_link_goes_to_the_others_and_when_one_of_those_is_gone_it_takes_its_place() {
    let mut gossip = with_a_sampled_link();
    take(&mut gossip, C, 0, &[card_entry(2, START), claim_entry(2, START)]);
    let mut to = told(&mut gossip);
    assert_eq!((to.remove(&A).map(|e| e.len()), to.remove(&B).map(|e| e.len())), (Some(2), Some(2)));
    gossip.remove_link(B);
    assert!(gossip.sampled.is_empty());
    take(&mut gossip, A, 1, &[card_entry(3, START), claim_entry(3, START)]);
    assert_eq!(told(&mut gossip).remove(&C).map(|entries| entries.len()), Some(2));
    // A link that comes now is one too many again, and when it goes nobody is promoted for it.
    gossip.add_link(NOW, B);
    assert_eq!(gossip.sampled.len(), 1);
    gossip.remove_link(B);
    assert_eq!((gossip.sampled.len(), gossip.links.len()), (0, 2));
}
