//! What the state machine promises: here how it is asked in the tests, and what it tells the caller.

mod bounds;
mod network;
mod taking;
mod telling;

use super::*;
use crate::testing::{
    SESSION, START, card as card_of, card_entry, claim_entry, host, later, peer, permit, signed_card,
    signed_claim,
};
use crate::{Fault, Kind, Limits};
use av_wire::permit::Permit;

const NOW: MonoTime = MonoTime(1_000_000);
const A: LinkId = LinkId(1);
const B: LinkId = LinkId(2);

fn at(seconds: u64) -> (MonoTime, WallTime) {
    (NOW.plus(Duration::from_secs(seconds)), later(START, seconds))
}

fn node_with(n: usize, limits: Limits) -> Gossip {
    let config = Config::new(SESSION, peer(n).key_id(), host().public().clone(), n as u64);
    Gossip::new(Config { limits, ..config })
}

/// Of peer `n`, with links A and B.
fn node(n: usize) -> Gossip {
    let mut node = node_with(n, Limits::default());
    node.add_link(NOW, A);
    node.add_link(NOW, B);
    node
}

/// Says something of itself, card as of `issued_at`.
fn speak(gossip: &mut Gossip, n: usize, seconds: u64, issued_at: WallTime) {
    let (now, wall) = at(seconds);
    gossip.set_own(now, wall, signed_card(n, issued_at), signed_claim(n, wall)).unwrap();
}

/// Who is there, by number.
fn there(gossip: &Gossip, seconds: u64) -> Vec<usize> {
    let number = |key| (1..=64).find(|n| peer(*n).key_id() == key).unwrap();
    let mut there: Vec<usize> = gossip.peers(at(seconds).1).map(|known| number(known.key)).collect();
    there.sort_unstable();
    there
}

/// All that is to be told now: for each link its entries, in order.
fn told(gossip: &mut Gossip) -> BTreeMap<LinkId, Vec<Vec<u8>>> {
    let mut told = BTreeMap::<_, Vec<_>>::new();
    while let Some((link, entries)) = gossip.poll_message() {
        assert!(!entries.is_empty() && entries.len() <= 32);
        told.entry(link).or_default().extend(entries);
    }
    told
}

/// How much is kept: peers, claims, what is remembered, marks and places in queues of all links.
fn footprint(gossip: &Gossip) -> [usize; 5] {
    let links = gossip.links.values().map(Link::footprint);
    let (marks, queued) = links.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    let [past, forgotten] = [gossip.past.len(), gossip.forgotten.len()];
    let remembered = past + forgotten + gossip.aside.len() + gossip.revoked.len();
    [gossip.peers.len(), gossip.claims.len(), remembered, marks, queued]
}

#[test]
fn what_others_would_refuse_this_node_does_not_say_of_itself() {
    let mut gossip = node(1);
    let card = || signed_card(1, START);
    let mut say = |seconds, card: Vec<u8>, claim: Vec<u8>| {
        let before = gossip.own.clone().map(|own| (own.card, own.claim.map(|claim| claim.entry)));
        let (now, wall) = at(seconds);
        let said = gossip.set_own(now, wall, card, claim);
        let after = gossip.own.clone().map(|own| (own.card, own.claim.map(|claim| claim.entry)));
        assert!(said.is_ok() || before == after, "nothing changes");
        assert!(said.as_ref().map_or_else(|error| !error.is_peer_fault(), |()| true), "{said:?}");
        said.map_err(|error| (error.fault(), error.to_string()))
    };
    let (caller, nobody) = (Fault::Caller, Fault::Nobody);
    let mut altered = card();
    altered[40] ^= 1;
    assert_eq!(say(0, altered, signed_claim(1, START)).unwrap_err().0, caller);
    assert_eq!(say(0, signed_card(2, START), signed_claim(2, START)).unwrap_err().0, caller);
    assert_eq!(say(0, card(), signed_claim(2, START)).unwrap_err().0, caller);
    assert_eq!(say(60, card(), signed_claim(1, START)).unwrap_err().0, nobody, "over");
    assert_eq!(say(0, signed_card(1, later(START, 6)), signed_claim(1, START)).unwrap_err().0, nobody);
    let stale = say(4_000, card(), signed_claim(1, later(START, 4_000))).unwrap_err();
    assert!(stale.0 == nobody && stale.1.contains("ask the host for another"), "{}", stale.1);

    let (one, claim) = (signed_card(1, later(START, 1)), signed_claim(1, later(START, 2)));
    say(2, one.clone(), claim.clone()).unwrap();
    say(3, one.clone(), claim.clone()).unwrap();
    assert!(say(3, card(), claim.clone()).unwrap_err().1.contains("later time of issue"));
    assert!(say(3, one.clone(), signed_claim(1, START)).unwrap_err().1.contains("higher counter"));
    let other = Card { kind: Kind::Watcher, ..card_of(1, later(START, 1)) };
    let permit = permit(peer(1).key_id(), Kind::Watcher).sign(host()).unwrap();
    let other = Card { permit, ..other }.sign(peer(1)).unwrap();
    assert!(say(3, other, claim).unwrap_err().1.contains("later time of issue"));
    say(3, one, signed_claim(1, later(START, 3))).unwrap();
}

#[test]
fn a_node_that_withdraws_says_nothing_any_more() {
    let mut gossip = node(1);
    speak(&mut gossip, 1, 0, START);
    gossip.withdraw_own();
    assert!(told(&mut gossip).is_empty(), "not even what waited");
    gossip.add_link(NOW, LinkId(3));
    assert!(told(&mut gossip).is_empty());
    speak(&mut gossip, 1, 1, START);
    assert_eq!(told(&mut gossip).len(), 3);
}

#[test]
fn who_is_forgotten_is_not_taken_again_for_a_while_and_who_is_set_aside_is_passed_on() {
    let entries = |seconds| {
        let wall = at(seconds).1;
        vec![card_entry(2, wall), claim_entry(2, wall)]
    };
    let mut gossip = node(1);
    gossip.handle(NOW, START, A, &entries(0)).unwrap();
    let key = peer(2).key_id();
    gossip.forget(NOW, key, Duration::from_secs(20));
    assert!(there(&gossip, 0).is_empty() && told(&mut gossip).is_empty());
    let before = gossip.stats();
    let (now, wall) = at(19);
    gossip.handle(now, wall, A, &entries(19)).unwrap();
    assert!(there(&gossip, 19).is_empty() && told(&mut gossip).is_empty());
    let after = gossip.stats();
    assert_eq!((after.unwanted, after.verifications), (before.unwanted + 2, before.verifications));
    let (now, wall) = at(20);
    gossip.handle(now, wall, A, &entries(20)).unwrap();
    assert_eq!(there(&gossip, 20), [2]);

    told(&mut gossip);
    gossip.set_aside(now, key, Duration::from_secs(10));
    let (now, wall) = at(25);
    gossip.handle(now, wall, A, &entries(25)).unwrap();
    assert_eq!((there(&gossip, 25).len(), told(&mut gossip)[&B].len()), (0, 2));
    gossip.handle_timeout(at(30).0, at(30).1);
    assert_eq!(there(&gossip, 30), [2]);

    gossip.forget(now, peer(1).key_id(), Duration::MAX);
    speak(&mut gossip, 1, 30, START);
    assert_eq!(told(&mut gossip).len(), 2, "nobody forgets itself");
}

#[test]
fn whose_permit_is_revoked_comes_back_with_a_later_one_alone() {
    let card = |serial, issued_at| {
        let permit = Permit { serial, ..permit(peer(2).key_id(), Kind::Watcher) };
        let card = Card { permit: permit.sign(host()).unwrap(), ..card_of(2, issued_at) };
        [&[0], &card.sign(peer(2)).unwrap()[..]].concat()
    };
    let (key, mut gossip) = (peer(2).key_id(), node(1));
    let take = |gossip: &mut Gossip, seconds, card| {
        let (now, wall) = at(seconds);
        gossip.handle(now, wall, A, &[card, claim_entry(2, wall)]).unwrap();
        there(gossip, seconds)
    };
    assert_eq!(take(&mut gossip, 0, card(5, START)), [2]);
    gossip.revoke(NOW, key, 4, Duration::from_secs(900));
    assert_eq!(there(&gossip, 0), [2], "its permit is a later one");
    gossip.revoke(NOW, key, 5, Duration::from_secs(900));
    assert!(there(&gossip, 0).is_empty() && told(&mut gossip).is_empty());
    gossip.revoke(NOW, key, 3, Duration::from_secs(900));
    let before = gossip.stats().verifications;
    for seconds in [1, 899] {
        assert!(take(&mut gossip, seconds, card(5, at(seconds).1)).is_empty(), "numbers only go up");
    }
    assert_eq!(gossip.stats().verifications, before);
    assert_eq!(take(&mut gossip, 899, card(6, at(899).1)), [2]);
    let mut gossip = node(1);
    gossip.revoke(NOW, key, 5, Duration::from_secs(900));
    assert_eq!(take(&mut gossip, 900, card(5, START)), [2]);
}

#[test]
fn a_link_that_is_gone_is_named_no_more_and_nothing_is_taken_of_it() {
    let mut gossip = node(1);
    let entries = [card_entry(2, START), claim_entry(2, START)];
    gossip.handle(NOW, START, A, &entries).unwrap();
    let heard = |gossip: &Gossip| gossip.peers(START).map(|known| known.heard_from).collect::<Vec<_>>();
    assert_eq!(heard(&gossip), [Some(A)]);
    gossip.remove_link(B);
    assert_eq!(heard(&gossip), [Some(A)]);
    gossip.remove_link(A);
    assert_eq!((heard(&gossip), gossip.stats().links), (vec![None], 0));
    let refused = gossip.handle(NOW, START, A, &entries).unwrap_err();
    assert_eq!((&refused, refused.fault()), (&Error::UnknownLink(A), Fault::Caller));
    assert_eq!(gossip.poll_message(), None);
}
