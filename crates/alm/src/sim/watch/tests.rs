//! What a watcher makes of its parents, step by step.

use super::super::node::{Child, Parent};
use super::super::scenario::{Class, Scenario};
use super::*;
use core_types::{BitRate, StripeSet};

const PER_FRAME: u32 = 12;

fn scenario() -> Scenario {
    let class =
        Class { share: 1, uplink: BitRate::from_kbit(8_000), latency: (Duration::ZERO, Duration::ZERO) };
    Scenario { nodes: 0, start: Duration::ZERO, classes: vec![class], ..Scenario::default() }
}

/// A watcher with the number 1 and others; each of these feeds it in one stripe, which is the one that it feeds others in.
fn world(scenario: &Scenario, parents: u32) -> World<'_> {
    let mut world = World::new(scenario).unwrap();
    (0..=parents).for_each(|_| world.join());
    for parent in 0..parents {
        let (id, stripes) = (Id(parent + 2), 1_u16 << parent);
        let node = world.node_mut(id).unwrap();
        (node.home, node.network) = (stripes, u64::from(parent));
        let child =
            Child { id: Id(1), mask: stripes, leaving: 0, reserved: 0, since: MonoTime(0), bad_times: false };
        world.live_mut(id).unwrap().children.push(child);
        world.with(Id(1), |world, live| {
            live.search = None;
            live.parents.push(Parent { id, stripes, leaving: 0, served: true, suspect: false });
            let stripes = StripeSet::new(4, stripes).unwrap();
            let subscription = live.subscription.as_mut().unwrap();
            subscription.add_parent_for(MonoTime(0), LinkId(u64::from(id.0)), stripes);
            world.drain(Id(1), live);
        });
    }
    world
}

/// So many frames come, 25 a second. `sends` says which chunks of a frame a parent delivers.
fn play(world: &mut World<'_>, frames: core::ops::Range<u32>, sends: impl Fn(Id, u32) -> bool) {
    for frame in frames {
        world.now = MonoTime::from_millis(u64::from(frame) * 40);
        world.with(Id(1), |world, live| {
            live.heard = Some(world.now);
            world.frame_begins(live, frame);
            for chunk in frame * PER_FRAME..(frame + 1) * PER_FRAME {
                let from = Id(2 + chunk % 4);
                if sends(from, chunk % PER_FRAME) {
                    live.watch.shares.handle_chunk(world.now, from, 1 << (chunk % 4), 800);
                }
            }
        });
        if frame % 12 == 0 {
            world.look(Id(1));
        }
    }
}

fn accused(world: &World<'_>) -> Vec<Id> {
    world.said.iter().map(|said| said.accused).collect()
}

#[test]
fn who_takes_a_share_and_sends_a_third_of_it_is_left_and_said_to_the_publisher() {
    let scenario = scenario();
    let mut world = world(&scenario, 4);
    play(&mut world, 0..100, |from, chunk| from != Id(3) || chunk < 4);
    assert_eq!(accused(&world), [Id(3)]);
    let live = world.live(Id(1)).unwrap();
    assert!(
        live.avoids(Id(3), world.now) && live.parents.iter().any(|known| known.id == Id(3) && known.suspect)
    );
    assert!(!live.carrying().any(|id| id == Id(3)), "its stripe is with others");
    assert_eq!(world.node(Id(1)).map(|node| node.report.false_accusations), Some(1));
}

#[test]
fn nobody_is_accused_who_says_that_it_lacks_it_or_whose_uplink_is_full() {
    for queue in [true, false] {
        let scenario = scenario();
        let mut world = world(&scenario, 4);
        let full = world.now.0 * 1_000 + 1_000_000_000_000;
        if queue {
            world.live_mut(Id(3)).unwrap().busy_until = full;
        }
        for step in 0..8 {
            if !queue {
                world.excuse(Id(1), Id(3));
            }
            play(&mut world, step * 12..(step + 1) * 12, |from, _| from != Id(3));
        }
        assert_eq!(accused(&world), [], "{queue}");
        assert!(!world.live(Id(1)).unwrap().carrying().any(|id| id == Id(3)), "it is left all the same");
    }
}

#[test]
fn nobody_is_accused_who_is_gone_nor_by_who_gets_hardly_anything() {
    let scenario = scenario();
    let mut gone = world(&scenario, 4);
    gone.die(Id(3));
    play(&mut gone, 0..100, |from, _| from != Id(3));
    assert_eq!(accused(&gone), []);
    let mut several = world(&scenario, 4);
    play(&mut several, 0..100, |from, _| from.0 > 3);
    assert_eq!(accused(&several), [], "two of four at once");
}

#[test]
fn what_three_say_makes_a_liar_that_nobody_asks_who_hears_of_it() {
    let scenario = scenario();
    let mut world = world(&scenario, 4);
    (0..3).for_each(|_| world.join());
    play(&mut world, 0..100, |from, _| from != Id(3));
    for (number, observer) in [(1, Id(6)), (2, Id(7)), (3, Id(8))] {
        let origin = 90 + u64::from(observer.0);
        let mut evidence = (*world.said[0].evidence).clone();
        (evidence.observer, evidence.claim_counter) = (world.node(observer).unwrap().key, number);
        let evidence = VerifiedEvidence::assume(evidence);
        world.said.push(Said { evidence, accused: Id(3), observer, origin });
    }
    let found = |world: &World<'_>| world.node(Id(3)).unwrap().report.found_lying;
    let trust = |world: &World<'_>| world.trust(world.live(Id(4)).unwrap(), Id(3));
    for number in 0..3 {
        assert!(!found(&world));
        world.hear_evidence(number);
    }
    assert!(found(&world));
    assert_eq!(trust(&world), 1_000, "it has not heard of it");
    world.learn(Id(4), &[Id(3)]);
    assert_eq!(trust(&world), 0);
    // Nobody is sent there for a place, and it takes nobody's.
    assert_eq!(world.rank_for(Id::PUBLISHER, Id(3), 2), 0);
    // Too old to be taken.
    world.now = world.now.plus(Duration::from_secs(61));
    world.learn(Id(5), &[Id(3)]);
    assert_eq!(world.trust(world.live(Id(5)).unwrap(), Id(3)), 1_000);
}

#[test]
fn a_parent_that_delivers_less_is_changed_when_that_was_so_for_five_seconds_and_once_in_ten() {
    let scenario = scenario();
    let mut world = world(&scenario, 4);
    (0..2).for_each(|_| world.join());
    for rival in [Id(6), Id(7)] {
        world.node_mut(rival).unwrap().home = 2;
    }
    world.live_mut(Id(1)).unwrap().watch.rivals = vec![Id(6), Id(7)];
    let asks = |world: &World<'_>| world.live(Id(1)).unwrap().search.is_some();
    let mut asked = Vec::new();
    // Two of three chunks: good enough to be kept, and a third less than others deliver.
    for frame in 0..800 {
        play(&mut world, frame..frame + 1, |from, chunk| from != Id(3) || chunk < 8);
        if asks(&world) {
            asked.push(world.now.0 / 1_000_000);
            world.live_mut(Id(1)).unwrap().search = None;
        }
    }
    assert_eq!(accused(&world), []);
    assert!((6..=8).contains(&asked[0]), "{asked:?}");
    assert!(asked.len() >= 2 && asked.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{asked:?}");
}

/// Whether the relay 2 tells the watcher 1 that it lacks something, of all that is on its way.
fn owns_up(world: &mut World<'_>) -> bool {
    let sent = core::iter::from_fn(|| world.queue.pop(MonoTime(u64::MAX)).map(|(_, event)| event));
    sent.filter(|event| *event == Event::Lacks { child: Id(1), parent: Id(2) }).count() > 0
}

#[test]
fn a_relay_says_what_it_lacks_while_it_does_and_to_who_stops_taking_it_also_just_after() {
    let scenario = scenario();
    let (seconds, stripe) = (|second: u64| MonoTime::from_millis(second * 1_000), 0);
    let mut world = world(&scenario, 4);
    world.now = seconds(3);
    for (heard, resumed, looks, stops) in [
        (Some(seconds(3)), Some(seconds(1)), false, false),
        (Some(seconds(3)), Some(MonoTime::from_millis(2_500)), false, true),
        (Some(MonoTime::from_millis(2_700)), None, true, true),
        (None, None, true, true),
    ] {
        let live = world.live_mut(Id(2)).unwrap();
        live.heard = Some(seconds(3));
        (live.heard_of[stripe], live.resumed[stripe]) = (heard, resumed);
        while world.queue.pop(MonoTime(u64::MAX)).is_some() {}
        world.look(Id(2));
        assert_eq!(owns_up(&mut world), looks, "{heard:?}");
        world.give(Id(1), Id(2), 0);
        assert_eq!(owns_up(&mut world), stops, "{heard:?} {resumed:?}");
        world.live_mut(Id(2)).unwrap().child(Id(1)).unwrap().mask = 1;
    }
    // Who forwards nothing does not say that it lacks something.
    world.node_mut(Id(2)).unwrap().role = Role::Lying;
    world.look(Id(2));
    assert!(!owns_up(&mut world));
}

#[test]
fn to_whom_nothing_comes_for_half_a_second_gives_all_its_parents_up() {
    let scenario = scenario();
    let mut world = world(&scenario, 4);
    for (millis, heard, starves) in
        [(499, None, false), (900, Some(500), false), (901, Some(400), true), (500, None, true)]
    {
        world.now = MonoTime::from_millis(millis);
        let gave_up = world.with(Id(1), |world, live| {
            live.heard = heard.map(MonoTime::from_millis);
            live.parents.iter_mut().for_each(|known| known.suspect = false);
            world.starve(live)
                && live
                    .parents
                    .iter()
                    .all(|known| known.suspect && live.bad.iter().any(|(bad, _)| *bad == known.id))
        });
        assert_eq!(gave_up, Some(starves), "{millis}");
    }
}
