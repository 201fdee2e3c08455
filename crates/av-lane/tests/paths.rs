//! A peer that is somewhere else than before.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use av_lane::{Event, Route};
use common::{World, address, ms, path};
use core::time::Duration;
use core_types::MonoTime;
use netsim::{GilbertElliott, PathModel};
use std::net::SocketAddr;

const ROUND_TRIP: u64 = 80;
const OUTSIDE: u16 = 5_555;

/// A child whose address changes at 3,010 ms; a frame of 10 chunks goes out each 40 ms, from 1,000 ms on.
fn moved_child(seed: u64, knows: bool, model: &PathModel) -> World {
    let mut world = World::new(seed, model.clone(), model.clone());
    let child = world.child().address;
    world.network.rebind(child, ms(3_010), address(2, OUTSIDE));
    world.run(ms(3_010));
    if knows {
        let (now, key) = (world.now, world.child().key());
        world.children[0].table.get_mut(now, key).unwrap().lane.announce();
    }
    world.run(ms(8_000));
    world
}

/// When the parent turned to the new address.
fn moved_at(world: &World) -> MonoTime {
    let to = address(2, OUTSIDE);
    world.parent.first(|event| *event == Event::PathChanged { from: world.child().address, to }).unwrap()
}

fn lost(world: &World) -> usize {
    let last = world.next_chunk - 30;
    (0..last).filter(|seq| !world.child().slot().taken.contains_key(seq)).count()
}

#[test]
fn a_child_that_says_where_it_is_misses_what_was_under_way_and_one_round_trip() {
    let world = moved_child(1, true, &path(ROUND_TRIP / 2));
    let moved = moved_at(&world);
    // Half a round trip until the parent knows, a whole one for the proof.
    assert!(moved <= ms(3_010 + ROUND_TRIP * 3 / 2 + 2), "{moved:?}");
    // Half a round trip was under way. In all 160 ms: four frames.
    assert!(lost(&world) <= 40, "{}", lost(&world));
    let told = ms(3_010 + ROUND_TRIP / 2);
    let meanwhile =
        world.parent.sent.iter().filter(|sent| sent.is_media && sent.at >= told && sent.at < moved);
    assert!(meanwhile.count() <= 20, "no more than a round trip of media after the parent was told");
    assert_eq!(world.child().events(), [Event::Ready]);
    assert_eq!(world.parent.lane().stats().moves, 1);
    // What comes late from where it was is still its own.
    for from in [world.child().address, address(2, OUTSIDE)] {
        assert_eq!(world.parent.table.route(from, &[0; 40]), Route::Lane(world.parent.key()));
    }
}

#[test]
fn a_child_that_does_not_know_is_found_as_soon_as_it_asks() {
    for seed in 0..5 {
        let model = PathModel { bursts: Some(GilbertElliott::bursts(0.03, 2.0)), ..path(ROUND_TRIP / 2) };
        let world = moved_child(seed, false, &model);
        let moved = moved_at(&world);
        // 250 ms of silence, then as above, and once again all of it if a packet is lost.
        assert!(moved <= ms(3_010 + 2 * (250 + ROUND_TRIP * 2)), "seed {seed}: {moved:?}");
        let after = world.child().slot().taken.keys().filter(|seq| **seq > 1_000).count();
        assert!(after > 600, "seed {seed}: {after}");
    }
}

#[test]
fn nothing_but_challenges_and_answers_goes_to_an_address_without_a_proof() {
    for knows in [true, false] {
        let world = moved_child(7, knows, &path(ROUND_TRIP / 2));
        let (moved, new) = (moved_at(&world), address(2, OUTSIDE));
        let before: Vec<_> =
            world.parent.sent.iter().filter(|sent| sent.to == new && sent.at < moved).collect();
        assert!(!before.is_empty() && before.len() <= 3, "{before:?}");
        assert!(before.iter().all(|sent| !sent.is_media && sent.bytes.len() == 48));
        // And all of it goes there afterwards.
        let old = world.parent.sent.iter().filter(|sent| sent.to != new && sent.at > moved).count();
        assert_eq!(old, 0);
    }
}

#[test]
fn a_parent_that_moves_tells_its_children_and_loses_nothing() {
    let mut world = World::with_children(3, path(30), path(30), 5);
    let new = address(1, OUTSIDE);
    world.network.rebind(world.parent.address, ms(3_010), new);
    world.run(ms(3_010));
    let keys: Vec<_> = world.parent.table.iter().map(|(key, _)| key).collect();
    for key in keys {
        world.parent.table.get_mut(ms(3_010), key).unwrap().lane.announce();
    }
    world.run(ms(6_000));
    for child in &world.children {
        let expected = [Event::Ready, Event::PathChanged { from: world.parent.address, to: new }];
        assert_eq!(child.events(), expected);
        let last = world.next_chunk - 30;
        let missing = (0..last).filter(|seq| !child.slot().taken.contains_key(seq)).count();
        assert_eq!(missing, 0);
        assert_eq!((child.unknown, child.refused), (0, 0), "media are taken from the new address at once");
    }
    assert!(world.parent.table.iter().all(|(_, slot)| slot.events.len() == 1));
}

#[test]
fn after_a_move_the_sender_begins_anew_and_carefully() {
    let mut world = World::new(4, path(30), path(30));
    world.frame = Some((60, 1_100));
    let child = world.child().address;
    world.network.rebind(child, ms(4_010), address(2, OUTSIDE));
    world.run(ms(4_000));
    let before = world.parent.lane().estimate(ms(4_000));
    assert!(before.delivery_rate.0 > 5_000_000, "{before:?}");
    let key = world.child().key();
    world.run(ms(4_010));
    world.children[0].table.get_mut(ms(4_010), key).unwrap().lane.announce();
    while world.parent.lane().stats().moves == 0 {
        world.run(world.now.plus(Duration::from_millis(1)));
    }
    let after = world.parent.lane().estimate(world.now);
    assert!(after.window <= 8 * 1_452 && after.pacing_rate <= before.pacing_rate, "{before:?} {after:?}");
    assert!(after.in_flight <= after.window, "what the old path lost does not block the new one: {after:?}");
    let taken = world.child().slot().taken.len();
    world.run(ms(8_000));
    assert!(world.child().slot().taken.len() > taken + 2_000, "and goes on");
    let stats = world.parent.lane().stats();
    assert_eq!((stats.misbehaved, stats.moves), (0, 1));
}

#[test]
fn a_child_whose_address_is_not_known_speaks_first() {
    for peer in [SocketAddr::from(([0, 0, 0, 0], 0)), address(9, 9)] {
        let mut world = World::new(5, path(20), path(20));
        let (key, now) = (world.parent.key(), world.now);
        world.parent.table.remove(key).unwrap();
        let lane = common::lane(av_lane::LaneId(2), av_lane::LaneRole::Parent, peer, now);
        world.parent.add(now, lane);
        world.run(ms(3_000));
        assert_eq!(world.parent.events(), [Event::Ready], "no move: it is the first address");
        assert_eq!(world.child().events(), [Event::Ready]);
        assert_eq!(world.parent.lane().peer(), world.child().address);
        assert!(world.child().slot().taken.len() > 400);
        assert!(
            world.parent.sent.iter().all(|sent| sent.to.port() != 0 && (!sent.is_media || sent.to != peer))
        );
    }
}

#[test]
fn a_later_packet_from_the_old_address_ends_the_doubt() {
    // Somebody on the way sends copies of the child's packets from elsewhere, and they come first.
    let mut world = World::new(6, path(20), path(20));
    let (parent, thief) = (world.parent.address, address(66, 66));
    world.network.set_path(parent, thief, path(1)).unwrap();
    world.network.set_path(thief, parent, path(1)).unwrap();
    let mut stolen = 0;
    world.run(ms(2_000));
    for until in 0..200 {
        let captured: Vec<_> = world.children[0].sent.drain(..).filter(|sent| sent.at > ms(2_000)).collect();
        for sent in captured {
            stolen += 1;
            world.network.send(world.now, thief, parent, sent.bytes);
        }
        world.run(ms(2_000 + until * 10));
    }
    assert!(stolen > 10);
    assert_eq!(world.parent.lane().peer(), world.child().address);
    assert!(world.parent.sent.iter().all(|sent| sent.to != thief || !sent.is_media));
    let to_thief: usize =
        world.parent.sent.iter().filter(|sent| sent.to == thief).map(|sent| sent.bytes.len()).sum();
    assert!(to_thief <= stolen * 3 * 48, "{to_thief}");
}
