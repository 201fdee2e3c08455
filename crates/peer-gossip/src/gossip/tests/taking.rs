//! What is taken, and who is to blame for what is not.

use super::*;
use crate::testing::{card, card_entry, claim, claim_entry, permit};
use crate::{Card, Kind};
use av_wire::permit::Permit;
use core_types::{BitRate, SessionId};
use identity::{Identity, Seed};

fn entry(tag: u8, signed: &[u8]) -> Vec<u8> {
    [&[tag], signed].concat()
}

fn signed(card: &Card, n: usize) -> Vec<u8> {
    entry(0, &card.sign(peer(n)).unwrap())
}

fn take(gossip: &mut Gossip, seconds: u64, entries: &[Vec<u8>]) -> Result<(), Error> {
    let (now, wall) = at(seconds);
    gossip.handle(now, wall, A, entries)
}

#[test]
fn what_a_peer_says_of_itself_reaches_the_other_end_of_a_chain() {
    let mut nodes: Vec<Gossip> = (1..=4).map(|n| node_with(n, Limits::default())).collect();
    // Link n joins nodes n and n + 1.
    for at in 0..3 {
        nodes[at].add_link(NOW, LinkId(at as u64));
        nodes[at + 1].add_link(NOW, LinkId(at as u64));
    }
    speak(&mut nodes[0], 1, 0, START);
    for at in 0..3 {
        let (link, entries) = nodes[at].poll_message().unwrap();
        assert_eq!((link, entries.len(), nodes[at].poll_message()), (LinkId(at as u64), 2, None));
        nodes[at + 1].handle(NOW, START, link, &entries).unwrap();
        let known: Vec<_> = nodes[at + 1].peers(START).collect();
        assert_eq!((known.len(), known[0].key, known[0].heard_from), (1, peer(1).key_id(), Some(link)));
        assert_eq!((known[0].card.kind, &known[0].card.address), (Kind::Relay, &card(1, START).address));
        assert_eq!(**known[0].claim, claim(1, START));
    }
    assert_eq!(nodes[3].poll_message(), None, "nothing goes back");
    assert!(there(&nodes[0], 0).is_empty(), "nobody hears of itself");
}

#[test]
fn the_newest_card_counts_and_an_older_one_is_no_way_back() {
    let mut gossip = node(1);
    let issued = |gossip: &Gossip| gossip.peers(START).map(|known| known.card.issued_at).collect::<Vec<_>>();
    let cards = [0, 2, 1].map(|seconds| card_entry(2, later(START, seconds)));
    take(&mut gossip, 2, &[cards[0].clone(), claim_entry(2, START)]).unwrap();
    take(&mut gossip, 2, &cards[1..]).unwrap();
    assert_eq!((issued(&gossip), gossip.stats().old), (vec![later(START, 2)], 1));
    // Equal in age, other in content: the first stays.
    let other = Card { address: card(3, START).address, ..card(2, later(START, 2)) };
    take(&mut gossip, 2, &[signed(&other, 2)]).unwrap();
    assert_eq!((issued(&gossip), gossip.stats().old), (vec![later(START, 2)], 2));
    assert_eq!(gossip.stats().cards, 2);
    // Also when the newest was dropped.
    let (now, wall) = at(200);
    gossip.handle_timeout(now, wall);
    assert_eq!(gossip.stats().peers, 0);
    take(&mut gossip, 200, &[cards[2].clone()]).unwrap();
    assert_eq!((gossip.stats().peers, gossip.stats().old), (0, 3));
    take(&mut gossip, 200, &[cards[1].clone(), claim_entry(2, wall)]).unwrap();
    assert_eq!(there(&gossip, 200), [2], "the last one is taken again");
}

#[test]
fn a_claim_counts_for_a_peer_whose_card_is_here_alone_and_the_newest_counts() {
    let mut gossip = node(1);
    take(&mut gossip, 0, &[claim_entry(2, START), card_entry(2, START)]).unwrap();
    assert_eq!((gossip.stats().without_card, there(&gossip, 0).len()), (1, 0));
    let claims = [0, 2, 1].map(|seconds| claim_entry(2, later(START, seconds)));
    take(&mut gossip, 2, &claims).unwrap();
    let counter = gossip.peers(at(2).1).next().unwrap().claim.counter;
    assert_eq!((counter, gossip.stats().old, gossip.stats().claims), (later(START, 2).0, 1, 2));
    // Over: the peer is not there, and the one before is no way back.
    assert!(there(&gossip, 62).is_empty());
    let mut long = claim(2, later(START, 2));
    (long.counter, long.issued_at.0) = (long.counter - 1, long.issued_at.0 + 50_000);
    long.valid_until.0 += 50_000;
    take(&mut gossip, 62, &[entry(1, &long.sign(peer(2)).unwrap())]).unwrap();
    assert!(there(&gossip, 62).is_empty());
    assert_eq!(gossip.stats().old, 2);
}

#[test]
fn what_no_honest_peer_passes_on_blames_the_link_and_changes_nothing() {
    let mallory = Identity::from_seed(&Seed([99; 64])).unwrap();
    let good = card(2, START);
    let alter = |mut entry: Vec<u8>, at: usize| {
        entry[at] ^= 1;
        entry
    };
    let last = |entry: &Vec<u8>| entry.len() - 1;
    let by_mallory = |change: &dyn Fn(&mut Permit)| {
        let mut permit = permit(peer(2).key_id(), Kind::Watcher);
        change(&mut permit);
        let signed_permit = if permit.issuer == mallory.key_id() {
            permit.sign(&mallory).unwrap()
        } else {
            permit.sign(host()).unwrap()
        };
        signed(&Card { permit: signed_permit, ..good.clone() }, 2)
    };
    let (card_bytes, claim_bytes) = (card_entry(2, START), claim_entry(2, later(START, 1)));
    let mallorys = Card { identity: mallory.public().clone(), ..good.clone() }.sign(&mallory).unwrap();
    let mut for_mallory = claim(2, later(START, 1));
    for_mallory.advertiser = mallory.key_id();
    // Signed by mallory, in the name of peer 2.
    let mut in_anothers_name = for_mallory.sign(&mallory).unwrap();
    in_anothers_name[1..33].copy_from_slice(peer(2).key_id().as_bytes());
    let bad = [
        ("empty", vec![]),
        ("another tag", vec![2; 4_000]),
        ("longer than any", vec![0; crate::MAX_ENTRY_LEN + 1]),
        ("a claim longer than any", vec![1; alm::claim::MAX_CLAIM_LEN + 2]),
        ("a card of nothing", vec![0]),
        ("a claim of nothing", vec![1]),
        ("a card that is cut", card_bytes[..card_bytes.len() - 1].to_vec()),
        ("an address altered", alter(card_entry(2, later(START, 1)), 1 + 2060)),
        ("a card's signature altered", alter(card_entry(2, later(START, 1)), last(&card_bytes))),
        ("a card of another session", signed(&Card { session: SessionId([9; 32]), ..good.clone() }, 2)),
        ("a permit of another peer", entry(0, &mallorys)),
        ("a permit of another session", by_mallory(&|permit| permit.session = SessionId([9; 32]))),
        ("a permit of another host", by_mallory(&|permit| permit.issuer = mallory.key_id())),
        ("a relay's permit", by_mallory(&|permit| permit.role = Kind::Relay.role())),
        ("a claim altered", alter(claim_bytes.clone(), 1 + 60)),
        ("a claim's signature altered", alter(claim_bytes.clone(), last(&claim_bytes))),
        ("a claim in another's name", entry(1, &in_anothers_name)),
    ];
    for (what, bad) in bad {
        let mut gossip = node(1);
        // For cards the peer is new; claims need its card.
        if bad.first() == Some(&1) {
            take(&mut gossip, 0, std::slice::from_ref(&card_bytes)).unwrap();
        }
        told(&mut gossip);
        let before = (gossip.stats().cards, footprint(&gossip));
        let behind = card_entry(3, START);
        let error = take(&mut gossip, 1, &[bad, behind]).expect_err(what);
        assert_eq!((error.fault(), gossip.stats().faults), (Fault::Peer, 1), "{what}: {error}");
        assert_eq!((gossip.stats().cards, footprint(&gossip)), before, "{what}");
        assert!(told(&mut gossip).is_empty(), "{what} is not passed on, nor what is behind it");
    }
    let many = vec![card_bytes; 33];
    assert!(take(&mut node(1), 0, &many).unwrap_err().is_peer_fault());
}

#[test]
fn what_comes_at_the_wrong_time_is_nobodys_fault() {
    let with = |change: &dyn Fn(&mut Permit)| {
        let mut permit = permit(peer(2).key_id(), Kind::Watcher);
        change(&mut permit);
        signed(&Card { permit: permit.sign(host()).unwrap(), ..card(2, START) }, 2)
    };
    let untimely = [
        card_entry(2, WallTime(START.0 + 5_001)),
        with(&|permit| permit.not_before.0 = START.0 + 120_001),
        with(&|permit| (permit.not_before.0, permit.not_after.0) = (0, START.0 - 300_001)),
    ];
    for card in untimely {
        let mut gossip = node(1);
        take(&mut gossip, 0, &[card, claim_entry(2, START)]).unwrap();
        assert_eq!((gossip.stats().not_now, gossip.stats().without_card, gossip.stats().peers), (1, 1, 0));
    }
    let mut gossip = node(1);
    take(&mut gossip, 0, &[card_entry(2, WallTime(START.0 + 5_000))]).unwrap();
    let (early, over) =
        (claim_entry(2, WallTime(START.0 + 5_001)), claim_entry(2, WallTime(START.0 - 60_000)));
    take(&mut gossip, 0, &[early, over]).unwrap();
    assert_eq!((gossip.stats().cards, gossip.stats().not_now, there(&gossip, 0).len()), (1, 2, 0));
}

#[test]
fn a_peer_whose_permit_is_over_is_not_there_whatever_it_claims() {
    let mut gossip = node(1);
    let mut short = permit(peer(2).key_id(), Kind::Watcher);
    short.not_after = later(START, 10);
    let short = signed(&Card { permit: short.sign(host()).unwrap(), ..card(2, START) }, 2);
    take(&mut gossip, 0, &[short]).unwrap();
    for (seconds, expected) in [(300, vec![2]), (310, vec![2]), (311, vec![])] {
        take(&mut gossip, seconds, &[claim_entry(2, at(seconds).1)]).unwrap();
        assert_eq!(there(&gossip, seconds), expected, "{seconds} s");
    }
    assert_eq!((gossip.stats().claims, gossip.stats().not_now), (2, 1));
}

#[test]
fn what_is_here_already_costs_no_signature() {
    let mut gossip = node(1);
    let entries = [card_entry(2, START), claim_entry(2, START)];
    take(&mut gossip, 0, &entries).unwrap();
    // Signed once more: ML-DSA signatures differ each time.
    let again = claim_entry(2, START);
    assert_ne!(again, entries[1]);
    for link in [A, B] {
        gossip.handle(NOW, START, link, &entries).unwrap();
        gossip.handle(NOW, START, link, std::slice::from_ref(&again)).unwrap();
    }
    // Older ones of another day, in another's hand: not looked at.
    let older = [card_entry(2, WallTime(START.0 - 1)), claim_entry(2, WallTime(START.0 - 1))];
    take(&mut gossip, 0, &older).unwrap();
    let stats = gossip.stats();
    assert_eq!((stats.verifications, stats.duplicates, stats.old), (3, 6, 2));
    assert_eq!((stats.cards, stats.claims), (1, 1));
}

#[test]
fn two_claims_of_equal_age_are_found_and_the_first_stays() {
    let mut gossip = node(1);
    take(&mut gossip, 0, &[card_entry(2, START), claim_entry(2, START)]).unwrap();
    told(&mut gossip);
    let mut other = claim(2, START);
    other.uplink = BitRate::from_kbit(2_000);
    take(&mut gossip, 0, &[entry(1, &other.sign(peer(2)).unwrap())]).unwrap();
    assert_eq!(gossip.stats().equivocations, 1);
    assert_eq!(gossip.peers(START).next().unwrap().claim.uplink, BitRate::from_kbit(1_000));
    assert!(told(&mut gossip).is_empty());
}

#[test]
fn a_peer_that_makes_a_new_card_is_not_silent() {
    let mut gossip = node(1);
    take(&mut gossip, 0, &[card_entry(2, START)]).unwrap();
    take(&mut gossip, 100, &[card_entry(2, at(100).1)]).unwrap();
    for (seconds, peers) in [(150, 1), (219, 1), (225, 0)] {
        gossip.handle_timeout(at(seconds).0, at(seconds).1);
        assert_eq!(gossip.stats().peers, peers, "{seconds} s");
    }
}

#[test]
fn a_silent_peer_is_gone_from_the_list_by_itself_and_from_memory_a_while_later() {
    let mut gossip = node(1);
    take(&mut gossip, 0, &[card_entry(2, START), claim_entry(2, START)]).unwrap();
    assert_eq!((there(&gossip, 59), there(&gossip, 60)), (vec![2], vec![]));
    let mut seconds = 0;
    while gossip.stats().peers > 0 {
        let due = gossip.poll_timeout().unwrap();
        seconds = due.since(NOW).as_secs();
        gossip.handle_timeout(due, later(START, seconds));
    }
    assert!((120..=125).contains(&seconds), "{seconds} s");
    assert_eq!(footprint(&gossip), [0, 0, 1, 0, 0], "but how new its card was");
    // That is over with its permit.
    gossip.handle_timeout(at(4_000).0, at(4_000).1);
    assert_eq!((footprint(&gossip), gossip.poll_timeout()), ([0; 5], None));
}
