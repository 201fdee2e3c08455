//! What the state machine promises.

use super::*;
use crate::testing::{SESSION, START, host, peer, signed_card, signed_claim};

const NOW: MonoTime = MonoTime(1_000_000);

/// Of peer `n`.
fn node(n: usize) -> Gossip {
    Gossip::new(Config::new(SESSION, peer(n).key_id(), host().public().clone(), n as u64))
}

fn keys(gossip: &Gossip, wall: WallTime) -> Vec<KeyId> {
    gossip.peers(wall).map(|known| known.key).collect()
}

#[test]
fn what_a_peer_says_of_itself_reaches_the_other_end_of_a_chain() {
    let mut nodes: Vec<Gossip> = (1..=4).map(node).collect();
    // Link n joins nodes n and n + 1.
    for at in 0..3 {
        nodes[at].add_link(NOW, LinkId(at as u64));
        nodes[at + 1].add_link(NOW, LinkId(at as u64));
    }
    nodes[0].set_own(NOW, START, signed_card(1, START), signed_claim(1, START)).unwrap();
    for at in 0..3 {
        let (link, entries) = nodes[at].poll_message().unwrap();
        assert_eq!((link, entries.len(), nodes[at].poll_message()), (LinkId(at as u64), 2, None));
        nodes[at + 1].handle(NOW, START, link, &entries).unwrap();
        let known: Vec<_> = nodes[at + 1].peers(START).collect();
        assert_eq!((known.len(), known[0].key, known[0].heard_from), (1, peer(1).key_id(), Some(link)));
    }
    assert_eq!(nodes[3].poll_message(), None, "nothing goes back");
    assert_eq!(keys(&nodes[0], START), [], "nobody hears of itself");
}
