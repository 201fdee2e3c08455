//! What a peer can make a node do, and keep.

use super::*;
use crate::testing::{card, card_entry, claim, claim_entry};
use crate::{Card, Kind};

fn take(gossip: &mut Gossip, seconds: u64, entries: &[Vec<u8>]) {
    let (now, wall) = at(seconds);
    gossip.handle(now, wall, A, entries).unwrap();
}

#[test]
fn a_flood_over_a_link_costs_so_many_signatures_and_no_more() {
    // Forged, each another one: the worst there is, if the caller lets the link live.
    let mut gossip = node(1);
    take(&mut gossip, 0, &[card_entry(2, START)]);
    let mut forged = claim_entry(2, later(START, 1));
    for n in 0..5_000_u64 {
        // The counter, and within the signature.
        forged[75..83].copy_from_slice(&n.to_be_bytes());
        let now = NOW.plus(Duration::from_millis(n));
        let _ = gossip.handle(now, START, A, std::slice::from_ref(&forged));
    }
    let stats = gossip.stats();
    assert!(stats.verifications <= 2 + 128 + 5 * 64, "{}", stats.verifications);
    assert!(stats.verifications >= 5 * 64, "what may come is looked at: {}", stats.verifications);
    assert_eq!((stats.over_rate + stats.faults, stats.claims), (5_000, 0));
    // Another link has a rate of its own.
    gossip.handle(NOW, START, B, &[claim_entry(2, START)]).unwrap();
    assert_eq!(gossip.stats().claims, 1);
}

#[test]
fn news_of_one_advertiser_is_taken_and_passed_on_at_a_bounded_rate() {
    for entry in [claim_entry, card_entry] {
        let mut gossip = node(1);
        take(&mut gossip, 0, &[card_entry(2, START)]);
        told(&mut gossip);
        let mut passed_on = 0;
        for tenth in 1..=200 {
            let (now, wall) = (NOW.plus(Duration::from_millis(100 * tenth)), WallTime(START.0 + 100 * tenth));
            gossip.handle(now, wall, A, &[entry(2, wall)]).unwrap();
            passed_on += told(&mut gossip).remove(&B).map_or(0, |entries| entries.len());
        }
        // Four at once, of which the first card was one, and one in two seconds for 20 s.
        assert_eq!((gossip.stats().cards + gossip.stats().claims, passed_on), (1 + 3 + 10, 3 + 10));
        assert_eq!(gossip.stats().too_often, 200 - 13);
        // The others' news are none of it.
        take(&mut gossip, 20, &[card_entry(3, START), claim_entry(3, at(20).1)]);
        assert!(there(&gossip, 20).contains(&3));
    }
}

#[test]
fn forged_news_do_not_use_up_what_its_advertiser_may_say() {
    let mut gossip = node(1);
    take(&mut gossip, 0, &[card_entry(2, START)]);
    let mut forged = claim_entry(2, START);
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..100 {
        assert!(gossip.handle(NOW, START, A, std::slice::from_ref(&forged)).is_err());
    }
    gossip.handle(NOW, START, B, &[claim_entry(2, START)]).unwrap();
    assert_eq!(there(&gossip, 0), [2]);
}

#[test]
fn a_full_node_refuses_strangers_and_who_is_silent_leaves_first() {
    let mut gossip = node_with(1, Limits { peers: 3, ..Limits::default() });
    gossip.add_link(NOW, A);
    for n in [2, 3] {
        take(&mut gossip, 0, &[card_entry(n, START), claim_entry(n, START)]);
    }
    // Two without a claim: the one that was heard first leaves for the other.
    take(&mut gossip, 1, &[card_entry(4, START)]);
    take(&mut gossip, 2, &[card_entry(5, START)]);
    let known = |gossip: &Gossip| gossip.peers.keys().copied().collect::<BTreeSet<_>>();
    assert_eq!(known(&gossip), [2, 3, 5].map(|n| peer(n).key_id()).into());
    take(&mut gossip, 3, &[claim_entry(5, START)]);
    let before = gossip.stats();
    take(&mut gossip, 4, &[card_entry(6, START), claim_entry(6, START)]);
    let after = gossip.stats();
    assert_eq!((there(&gossip, 4), after.no_room, after.without_card), (vec![2, 3, 5], 1, 1));
    assert_eq!(after.verifications, before.verifications, "a stranger costs nothing");
    // Who is known renews all the same, also its card.
    take(&mut gossip, 5, &[card_entry(2, at(5).1), claim_entry(2, at(5).1)]);
    assert_eq!(gossip.stats().cards, after.cards + 1);
    // When the claim of 3 is over, it leaves.
    take(&mut gossip, 61, &[card_entry(6, START), claim_entry(6, at(61).1)]);
    assert_eq!(there(&gossip, 61), [2, 6]);
    // A forged stranger makes nobody leave.
    let mut forged = card_entry(7, START);
    *forged.last_mut().unwrap() ^= 1;
    let all = known(&gossip);
    assert!(gossip.handle(at(62).0, at(62).1, A, &[forged]).is_err());
    assert_eq!(known(&gossip), all);
}

#[test]
fn whoever_is_forgotten_makes_room() {
    let mut gossip = node_with(1, Limits { peers: 1, ..Limits::default() });
    gossip.add_link(NOW, A);
    take(&mut gossip, 0, &[card_entry(2, START), claim_entry(2, START)]);
    gossip.forget(NOW, peer(2).key_id(), Duration::from_secs(9));
    take(&mut gossip, 0, &[card_entry(3, START), claim_entry(3, START)]);
    assert_eq!(there(&gossip, 0), [3]);
}

#[test]
fn a_peer_that_is_there_is_kept_however_short_cards_are() {
    let mut gossip = node_with(1, Limits { card_kept: Duration::from_secs(7), ..Limits::default() });
    gossip.add_link(NOW, A);
    take(&mut gossip, 0, &[card_entry(2, START), claim_entry(2, START)]);
    for (seconds, peers) in [(10, 1), (59, 1), (65, 0)] {
        gossip.handle_timeout(at(seconds).0, at(seconds).1);
        assert_eq!(gossip.stats().peers, peers, "{seconds} s");
    }
}

#[test]
fn whoever_is_dropped_for_want_of_room_has_no_more_to_say_for_it() {
    let mut gossip = node_with(1, Limits { peers: 1, ..Limits::default() });
    gossip.add_link(NOW, A);
    gossip.add_link(NOW, B);
    // Two that make room for one another, each time anew.
    let cards = [card_entry(2, START), card_entry(3, START)];
    for _ in 0..50 {
        take(&mut gossip, 0, &cards);
        told(&mut gossip);
    }
    let stats = gossip.stats();
    assert_eq!(stats.cards, 2 * 4);
    assert!(stats.too_often > 0 && stats.sent <= 2 * 4 && stats.verifications == 2 * 8);
}

#[test]
fn nothing_grows_whatever_members_say() {
    let limits = Limits { peers: 4, entries_per_second: 100_000, burst: 100_000, ..Limits::default() };
    let mut gossip = node_with(1, limits);
    for link in [A, B, LinkId(3)] {
        gossip.add_link(NOW, link);
    }
    for seconds in 0..300_u64 {
        let wall = at(seconds).1;
        for n in [2 + (seconds as usize * 7) % 60, 2 + (seconds as usize * 11) % 60] {
            take(&mut gossip, seconds, &[card_entry(n, wall), claim_entry(n, wall)]);
            let away = Duration::from_secs(seconds % 90);
            match seconds % 5 {
                0 => gossip.forget(at(seconds).0, peer(n).key_id(), away),
                1 => gossip.set_aside(at(seconds).0, peer(n).key_id(), away),
                2 => gossip.revoke(at(seconds).0, peer(n).key_id(), seconds % 2, away),
                _ => {}
            }
        }
        // Nothing is drained from B and 3 for long: what waits does not grow.
        if seconds % 50 == 0 {
            told(&mut gossip);
        }
        let [peers, claims, remembered, marks, queued] = footprint(&gossip);
        assert!(peers <= 4 && claims <= 4 && remembered <= 4 * 16, "{peers} {claims} {remembered}");
        assert!(marks <= 3 * 5 && queued <= 3 * 5, "{marks} {queued}");
        assert!(gossip.waiting.len() + gossip.ready.len() <= 3);
        gossip.handle_timeout(at(seconds).0, wall);
    }
    for link in [A, B, LinkId(3)] {
        gossip.remove_link(link);
    }
    gossip.handle_timeout(at(4_000).0, at(4_000).1);
    assert_eq!((footprint(&gossip), gossip.poll_timeout()), ([0; 5], None));
    assert!(gossip.waiting.is_empty() && gossip.ready.is_empty() && gossip.poll_message().is_none());
}

#[test]
fn the_longest_entries_fill_a_message_that_fits_a_frame() {
    let claim = claim(2, START).sign(peer(2)).unwrap();
    let longest = vec![vec![0; crate::MAX_ENTRY_LEN]; crate::MAX_ENTRIES];
    let frame = control_wire::encode(&control_wire::Control::Gossip { entries: longest }).unwrap();
    assert!(frame.len() < control_wire::FRAME_LIMIT && claim.len() < crate::MAX_ENTRY_LEN);
    assert_eq!((crate::MAX_CARD_LEN, crate::MAX_ENTRY_LEN), (11_148, 11_149), "as the specification says");
}

#[test]
fn cards_that_make_no_sense_are_not_signed() {
    let good = card(1, START);
    let with = |addresses: &[&str]| {
        let mut bad = good.clone();
        bad.address.addresses = addresses.iter().map(|at| at.parse().unwrap()).collect();
        bad
    };
    let direct = |port, key_id| {
        let mut bad = good.clone();
        bad.address.direct = Some(control_wire::DirectPort { port, key_id });
        bad
    };
    let me = peer(1).key_id().0;
    let many: Vec<String> = (1..=9).map(|n| format!("192.0.2.{n}:1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let nonsense = [
        with(&["192.0.2.1:0"]),
        with(&["0.0.0.0:1"]),
        with(&["[::]:1"]),
        with(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.1:1"]),
        with(&["[2001:db8::1%1]:1", "[2001:db8::1%2]:1"]),
        with(&many),
        direct(0, me),
        direct(1, [9; 32]),
        Card { permit: vec![0; av_wire::permit::MAX_PERMIT_LEN + 1], ..good.clone() },
    ];
    for bad in nonsense {
        let error = bad.sign(peer(1)).unwrap_err();
        assert_eq!(error.fault(), Fault::Caller, "{error}");
    }
    assert!(good.sign(peer(2)).is_err(), "in another's name");
    for fine in [with(&[]), with(&many[..8]), with(&["192.0.2.1:1", "192.0.2.1:2"]), direct(1, me)] {
        let signed = fine.sign(peer(1)).unwrap();
        assert_eq!(*Card::verify(&signed, SESSION, host().public(), START).unwrap(), fine);
    }
    assert_eq!(good.kind, Kind::Relay);
}
