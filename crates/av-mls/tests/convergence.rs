//! Commits at once, out of order and lost, with nobody to order them: all end in one epoch with one secret.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use av_mls::{Arbiter, CATCH_UP_TIME, Change, Event, KeyId, MonoTime};
use common::{Peer, session_of};
use core::time::Duration;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// How long a message takes at most; below the time that commits are waited for.
const SLOWEST: u64 = 250;

struct Node {
    peer: Peer,
    arbiter: Arbiter,
    /// Own changes that are still to be done.
    wishes: Vec<Change>,
    asks: bool,
}

#[derive(Clone)]
enum Message {
    Commit(Vec<u8>),
    GroupInfo(Vec<u8>),
}

/// Members on a network with a clock, delays and losses.
struct Network {
    nodes: Vec<Node>,
    now: MonoTime,
    random: StdRng,
    /// Of 100 messages.
    lost: u32,
    /// When, to whom, what.
    on_the_way: Vec<(MonoTime, usize, Message)>,
}

impl Network {
    fn new(members: u8, seed: u64, lost: u32) -> Self {
        let (mut host, mut members) = session_of(members);
        // Two besides the host have a say.
        let named: Vec<KeyId> = members.iter().take(2).map(Peer::id).collect();
        let staged = host.member.stage_committers(&host.identity, &named).unwrap();
        host.member.merge_staged().unwrap();
        for member in &mut members {
            member.member.process_commit(&staged.commit).unwrap();
        }
        let node = |peer| Node { peer, arbiter: Arbiter::default(), wishes: Vec::new(), asks: false };
        Self {
            nodes: std::iter::once(host).chain(members).map(node).collect(),
            now: MonoTime::from_millis(0),
            random: StdRng::seed_from_u64(seed),
            lost,
            on_the_way: Vec::new(),
        }
    }

    fn broadcast(&mut self, from: usize, message: &Message) {
        for to in 0..self.nodes.len() {
            if to != from && self.random.random_range(0..100) >= self.lost {
                let delay = Duration::from_millis(self.random.random_range(1..SLOWEST));
                self.on_the_way.push((self.now.plus(delay), to, message.clone()));
            }
        }
    }

    fn stage(&mut self, who: usize, change: Change) {
        let node = &mut self.nodes[who];
        if node.peer.member.is_staged() {
            node.wishes.push(change);
            return;
        }
        if let Some(staged) = node.peer.member.stage_again(change).unwrap() {
            let event = node.arbiter.stage(self.now, &staged);
            self.act(who, vec![event]);
        }
    }

    fn act(&mut self, who: usize, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Send(commit) => self.broadcast(who, &Message::Commit(commit)),
                Event::Overtaken(change) => self.nodes[who].wishes.push(change),
                Event::NeedsRejoin => self.nodes[who].asks = true,
                Event::Epoch(outcome) => assert!(!outcome.removed_self),
                Event::Welcome(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn step(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        let now = self.now;
        let (mut due, rest): (Vec<_>, Vec<_>) = self.on_the_way.drain(..).partition(|(at, ..)| *at <= now);
        self.on_the_way = rest;
        due.sort_by_key(|(at, ..)| *at);
        for (_, to, message) in due {
            let node = &mut self.nodes[to];
            let events = match message {
                Message::Commit(commit) => node.arbiter.handle_commit(now, &mut node.peer.member, &commit),
                Message::GroupInfo(info) => node.arbiter.handle_group_info(now, &mut node.peer.member, &info),
            };
            // What was sealed on another branch does not open here.
            self.act(to, events.unwrap_or_default());
        }
        for who in 0..self.nodes.len() {
            let node = &mut self.nodes[who];
            if node.arbiter.next_timeout().is_some_and(|due| due <= now) {
                let events = node.arbiter.handle_timeout(now, &mut node.peer.member).unwrap();
                self.act(who, events);
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while self.now < end {
            self.step(Duration::from_millis(50));
        }
    }

    /// The host says where it is.
    fn announce(&mut self) {
        let info = self.nodes[0].peer.member.group_info().unwrap();
        self.broadcast(0, &Message::GroupInfo(info));
    }

    fn agree(&self) -> bool {
        let host = &self.nodes[0].peer;
        self.nodes.iter().all(|node| {
            node.peer.member.epoch() == host.member.epoch()
                && node.peer.secret() == host.secret()
                && node.peer.member.roster() == host.member.roster()
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 10, ..ProptestConfig::default() })]

    #[test]
    fn all_end_in_one_epoch_with_one_secret(
        members in 2u8..6,
        seed: u64,
        lost in prop_oneof![Just(0u32), 0u32..60],
        rounds in proptest::collection::vec(proptest::collection::vec(0usize..6, 0..4), 1..5),
    ) {
        let mut network = Network::new(members, seed, lost);
        for committers in rounds {
            for who in committers {
                let who = who % network.nodes.len();
                network.stage(who, Change { update: true, ..Change::default() });
            }
            let pause = Duration::from_millis(network.random.random_range(50..900));
            network.run(pause);
        }
        // From here on nothing new: the losses end, and the host says now and then where it is.
        network.lost = 0;
        let mut quiet = 0;
        for _ in 0..40 {
            network.announce();
            network.run(CATCH_UP_TIME);
            quiet = if network.agree() { quiet + 1 } else { 0 };
            if quiet == 2 {
                break;
            }
        }
        prop_assert!(network.agree(), "{:?}", network.nodes.iter().map(|n| n.peer.member.epoch()).collect::<Vec<_>>());
        // And they go on together.
        let staged = network.nodes[1].peer.member.stage_update().unwrap();
        network.nodes[1].peer.member.merge_staged().unwrap();
        for node in network.nodes.iter_mut().enumerate().filter(|(n, _)| *n != 1).map(|(_, node)| node) {
            node.peer.member.process_commit(&staged.commit).unwrap();
        }
        prop_assert!(network.agree());
    }
}

#[test]
fn without_losses_the_smallest_hash_holds_and_nobody_has_to_rejoin() {
    let mut network = Network::new(5, 3, 0);
    let epoch = network.nodes[0].peer.member.epoch().unwrap();
    for who in 0..6 {
        network.stage(who, Change { update: true, ..Change::default() });
    }
    let hashes: Vec<_> = network.nodes.iter().flat_map(|node| node.peer.member.verified_commits()).collect();
    let smallest = hashes.iter().min().unwrap();
    network.run(Duration::from_secs(1));
    assert!(network.agree() && network.nodes.iter().all(|node| !node.asks));
    assert_eq!(network.nodes[0].peer.member.epoch(), Some(epoch.next()));
    // Five were overtaken, each by the one with the smallest hash.
    assert_eq!(network.nodes.iter().map(|node| node.wishes.len()).sum::<usize>(), 5);
    let winner = hashes.iter().position(|hash| hash == smallest).unwrap();
    assert!(network.nodes[winner].wishes.is_empty());
    // The losers propose anew, one after another.
    for _ in 0..5 {
        let who = network.nodes.iter().position(|node| !node.wishes.is_empty()).unwrap();
        let change = network.nodes[who].wishes.pop().unwrap();
        network.stage(who, change);
        network.run(Duration::from_secs(1));
        assert!(network.agree());
    }
    assert_eq!(network.nodes[0].peer.member.epoch().unwrap().0, epoch.0 + 6);
}
