//! Peers that vanish, paths that let only some things through.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use av_lane::{CloseReason, Error, Event, Failure, LaneId, LaneRole};
use common::{Node, World, address, chunk, lane, ms, path};
use core_types::MonoTime;
use netsim::{PathModel, Steps};

/// A path that is dark from 3,000 ms to `until`.
fn dark(until: u64) -> PathModel {
    PathModel { blackouts: vec![(ms(3_000), ms(until))], ..path(25) }
}

#[test]
fn a_blackout_ends_the_lane_at_both_ends_within_five_seconds() {
    let mut world = World::new(1, dark(60_000), dark(60_000));
    world.run(ms(12_000));
    for node in [&world.parent, world.child()] {
        assert_eq!(node.events(), [Event::Ready, Event::Gone]);
        let at = node.first(|event| *event == Event::Gone).unwrap();
        assert!((ms(6_800)..ms(8_000)).contains(&at), "{at:?}");
    }
    assert_eq!(world.parent.table.poll_timeout(), None, "and nothing is left to do");
}

#[test]
fn a_shorter_blackout_is_survived() {
    for until in [3_500, 5_000, 6_500] {
        let mut world = World::new(2, dark(until), dark(until));
        world.run(ms(12_000));
        for node in [&world.parent, world.child()] {
            assert_eq!(node.events(), [Event::Ready], "dark until {until}");
        }
        let late = world.child().slot().taken.keys().filter(|seq| **seq > 2_000).count();
        assert!(late > 600, "media go on: {late}");
    }
}

#[test]
fn when_one_direction_is_cut_both_ends_learn_of_it() {
    let mut world = World::new(3, path(25), dark(60_000));
    world.run(ms(12_000));
    // The parent hears nothing, and its last word comes through.
    assert_eq!(world.parent.events(), [Event::Ready, Event::Gone]);
    assert_eq!(world.child().events(), [Event::Ready, Event::Closed(CloseReason::Gone)]);
}

#[test]
fn an_mtu_that_falls_fails_the_lane() {
    let down = PathModel { mtu: Steps::constant(65_507).then(ms(3_000), 600), ..path(25) };
    let mut world = World::new(4, down, path(25));
    world.run(ms(8_000));
    assert_eq!(world.parent.events(), [Event::Ready, Event::Failed(Failure::NothingArrives)]);
    assert_eq!(world.child().events(), [Event::Ready, Event::Closed(CloseReason::Failed)]);
    let at = world.parent.first(|event| matches!(event, Event::Failed(_))).unwrap();
    assert!((ms(4_900)..ms(5_500)).contains(&at), "{at:?}");
}

#[test]
fn an_mtu_that_falls_fails_the_lane_though_sound_gets_through() {
    let down = PathModel { mtu: Steps::constant(65_507).then(ms(3_000), 600), ..path(25) };
    let mut world = World::new(5, down, path(25));
    world.frame = None;
    let mut seq = 0;
    for at in (1_500..9_000).step_by(20) {
        world.run(ms(at));
        let mut chunks = vec![chunk(seq, 140)];
        seq += 1;
        if at % 40 == 0 {
            chunks.extend((0..6).map(|at| chunk(seq + at, 1_100)));
            seq += 6;
        }
        world.parent.publish(ms(at), &chunks);
    }
    assert_eq!(world.parent.events(), [Event::Ready, Event::Failed(Failure::LongLost)]);
    let at = world.parent.first(|event| matches!(event, Event::Failed(_))).unwrap();
    assert!((ms(4_900)..ms(7_000)).contains(&at), "{at:?}");
}

#[test]
fn media_that_are_lost_at_random_do_not_fail_the_lane() {
    let down = PathModel { loss: 0.4, ..path(25) };
    let mut world = World::new(6, down, path(25));
    world.run(ms(15_000));
    assert_eq!(world.parent.events(), [Event::Ready]);
}

#[test]
fn without_an_answer_a_lane_fails_after_a_second_and_sent_next_to_nothing() {
    let mut network = netsim::Network::new(7);
    let mut node = Node::new(address(1, 4_000));
    node.add(ms(0), lane(LaneId(1), LaneRole::Parent, address(2, 4_000), ms(0)));
    node.publish(ms(0), &[chunk(0, 1_100)]);
    let mut now = ms(0);
    while now < ms(3_000) {
        node.drive(now, &mut network);
        now = node.table.poll_timeout().unwrap_or(MonoTime(u64::MAX)).max(MonoTime(now.0 + 1));
    }
    assert_eq!(node.events(), [Event::Failed(Failure::NoAnswer)]);
    assert!(node.first(|_| true).unwrap() <= ms(1_001));
    assert!(node.sent.iter().all(|sent| !sent.is_media && sent.bytes.len() == 48));
    assert!(node.sent.len() <= 9, "{}", node.sent.len());
}

#[test]
fn a_close_ends_the_lane_at_once_and_is_answered_by_nothing() {
    let mut world = World::new(8, path(25), path(25));
    world.run(ms(3_000));
    let key = world.parent.key();
    world.parent.table.get_mut(ms(3_000), key).unwrap().lane.close(CloseReason::Draining);
    world.frame = None;
    world.run(ms(3_030));
    let sent = world.child().sent.len();
    world.run(ms(9_000));
    assert_eq!(world.child().events(), [Event::Ready, Event::Closed(CloseReason::Draining)]);
    assert_eq!(world.child().first(|event| matches!(event, Event::Closed(_))), Some(ms(3_025)));
    assert_eq!(world.child().sent.len(), sent, "nothing more is said");
    assert_eq!(world.parent.events(), [Event::Ready], "who closes knows");
    let mut node = world.children.remove(0);
    let key = node.key();
    let mut slot = node.table.get_mut(ms(9_000), key).unwrap();
    let refused = slot.lane.handle_datagram(ms(9_000), address(1, 4_000), &mut [0; 100]).map(|_| ());
    assert_eq!(refused, Err(Error::Over(slot.lane.id())));
}

#[test]
fn an_idle_lane_lives_on_a_few_packets() {
    let mut world = World::new(9, path(25), path(25));
    world.frame = None;
    world.run(ms(61_000));
    assert_eq!((world.parent.events(), world.child().events()), (vec![Event::Ready], vec![Event::Ready]));
    let (up, down) = (world.child().sent.len(), world.parent.sent.len());
    assert!((220..=250).contains(&up), "a child that gets no media asks four times a second: {up}");
    assert!((55..=66).contains(&down), "a parent says once a second that it is there: {down}");
}
