//! A subscription in a small seeded network: parents that send what they were told to, lose chunks, fall silent.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use alm::{Action, Config, Subscription};
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime, StripeSet};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const EPOCH: Epoch = Epoch(1);

/// Parents that obey, seen from the watcher.
struct Net {
    now: MonoTime,
    subscription: Subscription,
    told: BTreeMap<LinkId, StripeSet>,
    dead: BTreeSet<LinkId>,
    got: BTreeSet<u64>,
    suspected: Vec<LinkId>,
    rebuilds: u32,
}

impl Net {
    fn new(stripes: u8, parents: u64) -> Self {
        let subscription = Subscription::new(Config { stripes, ..Config::default() }).unwrap();
        let mut net = Self {
            now: MonoTime(1_000_000),
            subscription,
            told: BTreeMap::new(),
            dead: BTreeSet::new(),
            got: BTreeSet::new(),
            suspected: Vec::new(),
            rebuilds: 0,
        };
        for link in 0..parents {
            net.subscription.add_parent(net.now, LinkId(link));
        }
        net.act();
        net
    }

    fn act(&mut self) {
        while let Some(action) = self.subscription.poll_action() {
            match action {
                Action::Assign { parent, stripes } => {
                    self.told.insert(parent, stripes);
                }
                Action::Request { parent, epoch, chunks } if !self.dead.contains(&parent) => {
                    assert_eq!(epoch, EPOCH);
                    for seq in chunks {
                        self.deliver(parent, seq.0);
                    }
                }
                Action::Suspect { parent } => self.suspected.push(parent),
                Action::Rebuild => self.rebuilds += 1,
                _ => {}
            }
        }
    }

    fn deliver(&mut self, from: LinkId, seq: u64) {
        if self.got.insert(seq) {
            self.subscription.handle_chunk(self.now, from, EPOCH, ChunkSeq(seq));
        } else {
            self.subscription.handle_duplicate(self.now, from, EPOCH, ChunkSeq(seq));
        }
    }

    /// The publisher sends chunk `seq`; each parent forwards it if it was told to, unless it is dead or `lost`.
    fn send(&mut self, seq: u64, lost: bool) {
        let carriers: Vec<LinkId> = self
            .told
            .iter()
            .filter(|(link, stripes)| !self.dead.contains(*link) && stripes.contains(ChunkSeq(seq)))
            .map(|(link, _)| *link)
            .collect();
        for link in carriers {
            if !lost {
                self.deliver(link, seq);
            }
        }
        self.act();
    }

    fn pass(&mut self, by: Duration) {
        let end = self.now.plus(by);
        while let Some(due) = self.subscription.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.subscription.handle_timeout(self.now);
            self.act();
        }
        self.now = end;
    }

    fn coverage(&self) -> u16 {
        self.told.iter().filter(|(l, _)| !self.dead.contains(*l)).fold(0, |all, (_, s)| all | s.mask())
    }
}

proptest! {
    #[test]
    fn every_stripe_is_carried_once_and_evenly(stripes in 1u8..=16, parents in 1u64..=20) {
        let net = Net::new(stripes, parents);
        let shares: Vec<u32> = net.told.values().map(|s| s.len()).collect();
        prop_assert_eq!(shares.iter().sum::<u32>(), u32::from(stripes), "{:?}", net.told);
        let carrying: Vec<u32> = shares.into_iter().filter(|n| *n > 0).collect();
        prop_assert!(carrying.iter().max().unwrap() - carrying.iter().min().unwrap() <= 1, "{:?}", net.told);
        prop_assert_eq!(carrying.len() as u64, parents.min(u64::from(stripes)));
    }

    #[test]
    fn lost_chunks_are_asked_for_and_come(losses in prop::collection::btree_set(0u64..300, 0..60)) {
        let mut net = Net::new(4, 4);
        for seq in 0..310 {
            net.send(seq, losses.contains(&seq));
            net.pass(Duration::from_millis(7));
        }
        net.pass(Duration::from_secs(1));
        prop_assert_eq!(net.got.len(), 310, "missing {:?}", (0..310).filter(|s| !net.got.contains(s)).collect::<Vec<_>>());
        prop_assert!(net.suspected.is_empty() || losses.len() > 12, "{} losses must not make a parent suspect", losses.len());
    }

    #[test]
    fn a_dead_parent_is_found_and_its_stripes_move(victim in 0u64..4, at in 20u64..60) {
        let mut net = Net::new(4, 4);
        for seq in 0..at { net.send(seq, false); net.pass(Duration::from_millis(7)); }
        net.dead.insert(LinkId(victim));
        let died = net.now;
        let mut healed = None;
        for seq in at..at + 300 {
            net.send(seq, false);
            net.pass(Duration::from_millis(7));
            if healed.is_none() && net.coverage() == 0b1111 { healed = Some(net.now); }
        }
        net.pass(Duration::from_secs(1));
        prop_assert_eq!(&net.suspected[..1], &[LinkId(victim)]);
        let took = healed.expect("healed").since(died);
        prop_assert!(took <= Duration::from_millis(160), "{took:?}");
        prop_assert_eq!(net.got.len() as u64, at + 300, "every chunk came in the end");
    }
}

#[test]
fn parents_that_forgot_are_told_their_shares_again_and_nothing_else_changes() {
    let mut net = Net::new(4, 3);
    let told = std::mem::take(&mut net.told);
    net.subscription.assign_again();
    net.act();
    assert_eq!(net.told, told);
    assert_eq!(net.told.values().map(|stripes| stripes.len()).sum::<u32>(), 4);
}

#[test]
fn a_parent_that_is_merely_slow_with_a_still_picture_is_not_suspected() {
    let mut net = Net::new(4, 4);
    for seq in 0..8 {
        net.send(seq, false);
        net.pass(Duration::from_secs(3));
    }
    assert!(net.suspected.is_empty());
}

#[test]
fn a_burst_after_a_pause_makes_nobody_suspect() {
    let mut net = Net::new(4, 4);
    for burst in 0..10u64 {
        // Each parent's share of a large frame comes in one piece, one parent a little after the other.
        for parent in 0..4u64 {
            for n in 0..8u64 {
                let seq = burst * 32 + n * 4;
                for stripe in 0..4 {
                    let carries = net.told[&LinkId(parent)].contains(ChunkSeq(seq + stripe));
                    if carries {
                        net.deliver(LinkId(parent), seq + stripe);
                    }
                }
            }
            net.act();
            net.pass(Duration::from_millis(3));
        }
        net.pass(Duration::from_millis(400));
    }
    assert_eq!(net.suspected, []);
    assert_eq!(net.subscription.stats().requested, 0);
}

#[test]
fn chunks_of_a_complete_object_are_not_asked_for() {
    let mut net = Net::new(4, 4);
    net.send(0, false);
    net.send(1, true);
    net.send(2, true);
    net.subscription.settle(EPOCH, ChunkSeq(0)..ChunkSeq(4));
    net.send(4, false); // 3 was lost as well, and is found missing only now
    net.pass(Duration::from_secs(1));
    assert_eq!(net.got, BTreeSet::from([0, 4]));
    assert_eq!(net.subscription.stats().requested, 0);
}

#[test]
fn chunks_that_overtake_one_another_make_it_patient() {
    let mut net = Net::new(2, 2);
    // Every odd chunk comes 40 ms after the even one that follows it.
    for pair in 0..50u64 {
        net.deliver(LinkId(0), pair * 2);
        net.act();
        net.pass(Duration::from_millis(40));
        if pair > 0 {
            net.deliver(LinkId(1), pair * 2 - 1);
        }
        net.act();
    }
    let asked = net.subscription.stats().requested;
    assert!(asked <= 2, "{asked} chunks were asked for although none was lost");
}

#[test]
fn the_last_parent_is_asked_itself_and_its_end_calls_for_new_ones() {
    let mut net = Net::new(4, 1);
    net.send(0, false);
    net.send(1, true);
    net.send(2, false);
    net.pass(Duration::from_millis(20));
    assert!(net.got.contains(&1), "asked the only parent");
    net.subscription.remove_parent(net.now, LinkId(0));
    net.act();
    assert_eq!(net.rebuilds, 1);
    net.subscription.add_parent(net.now, LinkId(9));
    net.act();
    assert_eq!(net.told[&LinkId(9)].len(), 4);
}

#[test]
fn a_new_parent_takes_over_without_a_gap() {
    let mut net = Net::new(4, 2);
    for seq in 0..8 {
        net.send(seq, false);
    }
    net.subscription.add_parent(net.now, LinkId(5));
    net.act();
    let share = |net: &Net, link| net.told[&LinkId(link)].mask();
    let moved = share(&net, 5);
    assert_eq!(moved.count_ones(), 1);
    assert_ne!((share(&net, 0) | share(&net, 1)) & moved, 0, "the former carrier goes on");
    for seq in 8..12 {
        net.send(seq, false);
    }
    assert_eq!((share(&net, 0) | share(&net, 1)) & moved, 0, "until the new one has delivered");
    net.subscription.remove_parent(net.now, LinkId(0));
    net.told.remove(&LinkId(0));
    net.act();
    assert_eq!(net.coverage(), 0b1111);
    assert_eq!(net.told[&LinkId(5)].len(), 2);
}

#[test]
fn a_parent_that_comes_back_is_given_a_share_again() {
    let mut net = Net::new(4, 4);
    let mut seq = 0;
    let mut run = |net: &mut Net, chunks: u64| {
        for _ in 0..chunks {
            net.send(seq, false);
            net.pass(Duration::from_millis(7));
            seq += 1;
        }
    };
    run(&mut net, 40);
    net.dead.insert(LinkId(2));
    run(&mut net, 100);
    assert_eq!(net.suspected, [LinkId(2)]);
    assert!(net.told[&LinkId(2)].is_empty());
    net.dead.remove(&LinkId(2));
    run(&mut net, 1_000);
    assert_eq!(net.told[&LinkId(2)].len(), 1, "{:?}", net.told);
    assert_eq!(net.told.values().map(|s| s.len()).sum::<u32>(), 4);
}

#[test]
fn the_last_parent_keeps_its_stripes_when_it_falls_silent_and_new_ones_are_called_for() {
    let mut net = Net::new(4, 2);
    for seq in 0..20 {
        net.send(seq, false);
        net.pass(Duration::from_millis(7));
    }
    net.subscription.suspect_parent(net.now, LinkId(0));
    net.act();
    net.subscription.suspect_parent(net.now, LinkId(1));
    net.act();
    assert_eq!((net.told[&LinkId(1)].len(), net.rebuilds), (4, 1));
}

#[test]
fn a_jump_ahead_costs_bounded_memory_and_requests() {
    let mut net = Net::new(4, 4);
    net.send(0, false);
    net.subscription.handle_chunk(net.now, LinkId(1), EPOCH, ChunkSeq(1 << 50));
    net.now = net.now.plus(Duration::from_millis(20));
    net.subscription.handle_timeout(net.now);
    let mut asked = 0;
    while let Some(action) = net.subscription.poll_action() {
        if let Action::Request { chunks, .. } = action {
            assert!(chunks.len() <= 256, "more than a relay takes at once");
            asked += chunks.len();
        }
    }
    assert!(asked <= 1_024, "{asked}");
}

/// Of the frames of so many symbols, how many source symbols and symbols for repair each parent carries.
fn shares(frames: u64, source: u64, repair: u64) -> Vec<(u64, u64)> {
    let net = Net::new(4, 4);
    let mut shares = vec![(0, 0); 4];
    for seq in 0..frames * (source + repair) {
        let carrier = net.told.iter().find(|(_, stripes)| stripes.contains(ChunkSeq(seq))).unwrap().0;
        let share = &mut shares[carrier.0 as usize];
        if seq % (source + repair) < source { share.0 += 1 } else { share.1 += 1 }
    }
    shares.sort_unstable();
    shares
}

#[test]
fn who_carries_the_repair_rotates_unless_the_symbols_of_a_frame_are_a_multiple_of_the_parents() {
    // 5 symbols on 4 parents: the next frame starts one parent further.
    assert_eq!(shares(400, 4, 1), [(400, 100); 4]);
    // 16 symbols: each frame starts at the same parent, and 12 and 4 fall evenly all the same.
    assert_eq!(shares(400, 12, 4), [(1_200, 400); 4]);
    // 4 symbols, 3 of source: one parent carries all of the repair and nothing else, …
    assert_eq!(shares(400, 3, 1), [(0, 400), (400, 0), (400, 0), (400, 0)]);
    // … until the publisher makes one more.
    assert_eq!(shares(400, 3, 2), [(300, 200); 4]);
    // 6 symbols: two places to start at.
    assert_eq!(shares(400, 4, 2), [(400, 200); 4]);
}

proptest! {
    #[test]
    fn no_parent_is_ahead_by_more_than_a_symbol_a_frame(source in 1u64..200) {
        let repair = source.div_ceil(3);
        let shares = shares(60, source, repair);
        let (least, most) = (shares[0].0, shares[3].0);
        prop_assert!(most - least <= 60, "{shares:?}");
    }
}
