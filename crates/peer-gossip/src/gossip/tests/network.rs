//! Many nodes that tell one another, in virtual time: over random graphs, in whatever order messages come, while links break and
//! nodes come and go.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const RENEWED_EVERY: u64 = 25;

/// Nodes and what is between them. A link's messages come in order, and those of different links in whatever order is drawn.
struct Network {
    nodes: BTreeMap<usize, Gossip>,
    ends: BTreeMap<LinkId, (usize, usize)>,
    /// What is under way, by link and receiver.
    wires: BTreeMap<(LinkId, usize), VecDeque<Vec<Vec<u8>>>>,
    crossed: BTreeSet<(LinkId, usize, Vec<u8>)>,
    seconds: u64,
    draw: Draw,
    next_link: u64,
    sent: u64,
    /// After long silences cards go out once more.
    are_silent: bool,
}

impl Network {
    fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::new(),
            ends: BTreeMap::new(),
            wires: BTreeMap::new(),
            crossed: BTreeSet::new(),
            seconds: 0,
            draw: Draw(seed),
            next_link: 0,
            sent: 0,
            are_silent: false,
        }
    }

    fn one<T>(&mut self, of: Vec<T>) -> T {
        self.draw.some(of, 1).remove(0)
    }

    fn join(&mut self, n: usize) {
        let mut gossip = node_with(n, Limits::default());
        speak(&mut gossip, n, self.seconds, at(self.seconds).1);
        self.nodes.insert(n, gossip);
    }

    fn connect(&mut self, one: usize, other: usize) {
        let is_there = |ends: &(usize, usize)| *ends == (one, other) || *ends == (other, one);
        if one == other || self.ends.values().any(is_there) {
            return;
        }
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.ends.insert(link, (one, other));
        for n in [one, other] {
            self.nodes.get_mut(&n).unwrap().add_link(at(self.seconds).0, link);
        }
    }

    /// What is under way is lost.
    fn cut(&mut self, link: LinkId) {
        let (one, other) = self.ends.remove(&link).unwrap();
        for n in [one, other] {
            self.wires.remove(&(link, n));
            if let Some(node) = self.nodes.get_mut(&n) {
                node.remove_link(link);
            }
        }
    }

    fn vanish(&mut self, n: usize) {
        let links: Vec<LinkId> =
            self.ends.iter().filter(|(_, ends)| ends.0 == n || ends.1 == n).map(|(link, _)| *link).collect();
        for link in links {
            self.cut(link);
        }
        self.nodes.remove(&n);
    }

    /// Lets all messages come that are to be told now.
    fn settle(&mut self) {
        self.deliver(usize::MAX);
    }

    /// Lets so many messages come.
    fn deliver(&mut self, most: usize) {
        let (now, wall) = at(self.seconds);
        for _ in 0..most {
            for (n, node) in &mut self.nodes {
                while let Some((link, entries)) = node.poll_message() {
                    let (one, other) = self.ends[&link];
                    let to = if one == *n { other } else { one };
                    for entry in &entries {
                        self.sent += 1;
                        let is_first = self.crossed.insert((link, to, entry.clone()));
                        let may_repeat = self.are_silent && entry[0] == 0;
                        assert!(is_first || may_repeat, "an entry crosses a link once in a direction");
                    }
                    self.wires.entry((link, to)).or_default().push_back(entries);
                }
            }
            let full: Vec<(LinkId, usize)> = self.wires.keys().copied().collect();
            if full.is_empty() {
                return;
            }
            let (link, to) = self.one(full);
            let wire = self.wires.get_mut(&(link, to)).unwrap();
            let entries = wire.pop_front().unwrap();
            if wire.is_empty() {
                self.wires.remove(&(link, to));
            }
            self.nodes.get_mut(&to).unwrap().handle(now, wall, link, &entries).unwrap();
        }
    }

    /// A second goes by; each node renews its claim when it is its turn. So many messages come.
    fn second(&mut self, messages: usize) {
        self.seconds += 1;
        let (now, wall) = at(self.seconds);
        for (n, node) in &mut self.nodes {
            if node.poll_timeout().is_some_and(|due| due <= now) {
                node.handle_timeout(now, wall);
            }
            if (self.seconds + *n as u64).is_multiple_of(RENEWED_EVERY) {
                let own = node.own.as_ref().unwrap();
                let card = own.card[1..].to_vec();
                node.set_own(now, wall, card, signed_claim(*n, wall)).unwrap();
            }
        }
        self.deliver(messages);
    }

    fn seconds(&mut self, count: u64) {
        for _ in 0..count {
            self.second(usize::MAX);
        }
    }

    /// Everybody knows everybody else that is there, and nobody else, each by its newest claim.
    fn assert_agreed(&self) {
        let wall = at(self.seconds).1;
        for (n, node) in &self.nodes {
            let others: Vec<usize> = self.nodes.keys().copied().filter(|other| other != n).collect();
            assert_eq!(there(node, self.seconds), others, "at {n}");
            for known in node.peers(wall) {
                let other = self.nodes.values().find(|other| other.config.me == known.key).unwrap();
                let newest = other.own.as_ref().unwrap().claim.as_ref().unwrap().counter;
                assert_eq!(known.claim.counter, newest, "at {n}");
            }
            assert_eq!((node.stats().faults, node.stats().over_rate, node.stats().too_often), (0, 0, 0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_graph_and_order_all_end_with_the_same_peers(seed: u64, size in 2..9_usize, more in 0..8_usize, losses in 0..12_usize) {
        let mut net = Network::new(seed);
        for n in 1..=size {
            net.join(n);
            if n > 1 {
                let other = net.one((1..n).collect());
                net.connect(n, other);
            }
        }
        for _ in 0..more {
            let (one, other) = (net.one((1..=size).collect()), net.one((1..=size).collect()));
            net.connect(one, other);
        }
        net.settle();
        // Links are lost with what is under way, and others come in their place, so that it stays connected.
        for _ in 0..losses {
            // Some way into what two nodes say, on average.
            for _ in 0..5 {
                let messages = net.one((0..2 * size).collect());
                net.second(messages);
            }
            let link = net.one(net.ends.keys().copied().collect());
            let (one, other) = net.ends[&link];
            net.cut(link);
            net.connect(one, other);
        }
        net.seconds(RENEWED_EVERY + 2);
        net.assert_agreed();
        // Each claim is verified once at each node, whatever ways it takes.
        let taken = |stats: Stats| stats.cards * 2 + stats.claims;
        for node in net.nodes.values() {
            prop_assert_eq!(node.stats().verifications, taken(node.stats()));
        }
    }
}

#[test]
fn fifty_nodes_know_one_another_while_others_come_and_go() {
    let mut net = Network::new(7);
    let join = |net: &mut Network, n: usize| {
        net.join(n);
        for _ in 0..4 {
            let other = net.one(net.nodes.keys().copied().collect());
            net.connect(n, other);
        }
    };
    for n in 1..=50 {
        join(&mut net, n);
    }
    net.settle();
    net.seconds(RENEWED_EVERY + 5);
    net.assert_agreed();

    let mut away: VecDeque<usize> = (51..=60).collect();
    for _ in 0..12 {
        let gone = net.one(net.nodes.keys().copied().collect());
        net.vanish(gone);
        away.push_back(gone);
        // Who lost its last link finds another one, as nodes do.
        for n in net.nodes.keys().copied().collect::<Vec<_>>() {
            while net.ends.values().filter(|ends| ends.0 == n || ends.1 == n).count() < 2 {
                let other = net.one(net.nodes.keys().copied().collect());
                net.connect(n, other);
            }
        }
        let new = away.pop_front().unwrap();
        join(&mut net, new);
        net.seconds(5);
        assert!(there(&net.nodes[&new], net.seconds).len() >= 8, "a newcomer hears of some at once");
    }
    // All that vanished is over after 60 s.
    net.seconds(62);
    net.assert_agreed();

    // In the quiet: a claim goes over each link once or twice.
    let (before, seconds) = (net.sent, 2 * RENEWED_EVERY);
    net.seconds(seconds);
    let claims = net.nodes.len() as u64 * seconds / RENEWED_EVERY;
    let per_link = (net.sent - before) as f64 / net.ends.len() as f64 / claims as f64;
    assert!((1.0..2.0).contains(&per_link), "{per_link}");
}

#[test]
fn halves_that_were_apart_find_together_again_however_long_it_was() {
    for apart in [10, 45, 61, 100, 119, 121, 130, 300] {
        let mut net = Network::new(apart);
        net.are_silent = true;
        for n in 1..=8 {
            net.join(n);
            if n != 1 && n != 5 {
                net.connect(n - 1, n);
            }
        }
        net.connect(4, 5);
        net.settle();
        net.seconds(30);
        net.assert_agreed();
        let between = LinkId(net.next_link - 1);
        net.cut(between);
        net.seconds(apart);
        assert_eq!(there(&net.nodes[&1], net.seconds).len() > 3, apart < 60, "apart for {apart} s");
        net.connect(1, 8);
        net.seconds(RENEWED_EVERY + 2);
        net.assert_agreed();
    }
}
