//! What is asked for, when, and how much.

use super::world::{EPOCH, FRAME, World, ms};
use alm::{Action, Config, Subscription};
use core_types::{ChunkSeq, LinkId, MonoTime};
use std::time::Duration;

const DELAYS: [u64; 4] = [5, 12, 9, 20];

fn four(seed: u64) -> World {
    World::new(Config { seed, ..Config::default() }, &DELAYS)
}

#[test]
fn without_loss_nothing_is_asked_for_and_the_downlink_carries_no_more_than_the_publisher_made() {
    let mut world = four(1);
    world.play(300, FRAME);
    world.pass(ms(500));
    assert_eq!(world.stats().requested, 0);
    let source = 300 * 12;
    assert!(world.received * 100 <= source * 140, "{} chunks for {source}", world.received);
}

#[test]
fn a_dead_parents_share_is_not_asked_for_where_the_others_suffice() {
    let mut world = four(2);
    world.play(30, FRAME);
    world.kill(1);
    world.play(60, FRAME);
    world.pass(ms(500));
    assert_eq!(world.stats().requested, 0);
    assert!(world.frames.iter().all(|frame| frame.done.is_some()));
}

#[test]
fn of_what_is_missing_only_as_much_is_asked_for_as_is_needed() {
    let mut world = four(3);
    world.play(10, FRAME);
    // Six of sixteen are missing, and twelve are needed: two are asked for.
    let start = world.frames.last().unwrap().start + 16;
    world.told.clear();
    world.frame(12, 4);
    for seq in 0..10 {
        world.arrive(LinkId(seq % 4), start + seq);
    }
    world.pass(ms(300));
    assert_eq!(world.stats().requested, 2, "{:?}", world.log);
    assert!(world.frames.last().unwrap().done.is_some());
}

#[test]
fn symbols_that_depend_on_one_another_bring_one_more_request_at_a_time() {
    let (mut subscription, link) = (Subscription::new(Config::default()).unwrap(), LinkId(1));
    subscription.add_parent(MonoTime(0), link);
    // Four of six suffice, in nearly every case; this is another one, so nobody settles it.
    for seq in 0..4 {
        subscription.handle_chunk(MonoTime(0), link, EPOCH, ChunkSeq(seq));
        subscription.expect(MonoTime(0), EPOCH, ChunkSeq(0)..ChunkSeq(6), 4);
    }
    subscription.handle_timeout(MonoTime::from_millis(40));
    let asked: Vec<_> = std::iter::from_fn(|| subscription.poll_action())
        .filter_map(|action| match action {
            Action::Request { chunks, .. } => Some(chunks),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [[ChunkSeq(4)]]);
}

#[test]
fn the_end_of_a_frame_is_asked_for_without_a_later_chunk() {
    let mut world = four(4);
    world.frame(12, 0);
    world.pass(ms(100));
    let dead = (0..4).find(|link| world.told[&LinkId(*link)].contains(ChunkSeq(12 + 11))).unwrap();
    world.kill(dead);
    let sent = world.now;
    world.frame(12, 0);
    world.pass(ms(300));
    let done = world.frames.last().unwrap().done.expect("the last chunk was asked for");
    assert!(done.since(sent) <= ms(20 + 15 + 41 + 5), "{:?}", done.since(sent));
}

#[test]
fn a_missing_share_is_asked_for_within_a_frame_interval_of_the_others() {
    for dead in 0..4 {
        let mut world = four(5);
        world.play(30, FRAME);
        world.kill(dead);
        let sent = world.now;
        // No repair, so that the share is needed.
        world.frame(12, 0);
        world.pass(ms(300));
        let others = sent.plus(ms(20));
        let asked = world.times(|action| matches!(action, Action::Request { .. }));
        let first = asked.first().expect("asked").0;
        assert!(first.since(others) <= FRAME, "{:?} after the other shares", first.since(others));
        let names: Vec<LinkId> = asked
            .iter()
            .filter_map(|(_, action)| match action {
                Action::Request { parent, .. } => Some(*parent),
                _ => None,
            })
            .collect();
        assert!(!names.contains(&LinkId(dead)), "{names:?}");
        assert!(world.frames.last().unwrap().done.is_some());
    }
}

#[test]
fn the_end_of_an_epoch_is_asked_for_too() {
    let (mut subscription, link) = (Subscription::new(Config::default()).unwrap(), LinkId(1));
    subscription.add_parent(MonoTime(0), link);
    subscription.handle_chunk(MonoTime(0), link, EPOCH, ChunkSeq(0));
    subscription.expect(MonoTime(0), EPOCH, ChunkSeq(0)..ChunkSeq(3), 3);
    subscription.handle_chunk(MonoTime(0), link, core_types::Epoch(2), ChunkSeq(0));
    subscription.handle_timeout(MonoTime::from_millis(40));
    let request = std::iter::from_fn(|| subscription.poll_action()).last();
    let chunks = vec![ChunkSeq(1), ChunkSeq(2)];
    assert_eq!(request, Some(Action::Request { parent: link, epoch: EPOCH, chunks }));
}

/// How often one chunk after the other is asked for that is lost, where answers take 240 ms.
fn requests_for_each(parents: &[u64]) -> Vec<u64> {
    let mut world = World::new(Config { stripes: 1, ..Config::default() }, parents);
    let mut asked = Vec::new();
    for _ in 0..12 {
        let before = world.stats().requested;
        world.frame(4, 0);
        world.loss = 0;
        world.pass(ms(100));
        world.loss = 1_000;
        world.frame(1, 0);
        world.loss = 0;
        world.pass(ms(50));
        world.frame(1, 0);
        world.pass(ms(1_000));
        asked.push(world.stats().requested - before);
    }
    asked
}

#[test]
fn a_second_request_waits_for_as_long_as_the_path_takes() {
    // Asked again after 50 ms at first, then no more than once.
    let asked = requests_for_each(&[120, 120]);
    assert!(asked[0] > 1 && asked[6..].iter().all(|n| *n == 1), "{asked:?}");
}

#[test]
fn the_only_parent_is_asked_again_without_waiting_for_that() {
    let asked = requests_for_each(&[120]);
    assert!(asked.iter().all(|n| *n == 3), "{asked:?}");
}

#[test]
fn no_wait_for_an_answer_is_longer_than_said_and_no_chunk_is_asked_for_without_end() {
    let config = Config { stripes: 1, ..Config::default() };
    let (mut subscription, link) = (Subscription::new(config).unwrap(), LinkId(1));
    subscription.add_parent(MonoTime(0), link);
    subscription.handle_chunk(MonoTime(0), link, EPOCH, ChunkSeq(0));
    subscription.handle_chunk(MonoTime(0), link, EPOCH, ChunkSeq(2));
    let mut asked = Vec::new();
    while let Some(due) = subscription.poll_timeout().filter(|due| *due < MonoTime::from_millis(60_000)) {
        subscription.handle_timeout(due);
        while let Some(action) = subscription.poll_action() {
            if matches!(action, Action::Request { .. }) {
                asked.push(due);
            }
        }
    }
    let waits: Vec<Duration> = asked.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert_eq!(waits, [50, 100, 200].map(ms));
    assert_eq!(subscription.stats().given_up, 1);
}
