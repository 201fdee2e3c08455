//! The stream beside the media, over bad networks and between ends that are slow.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use av_lane::{CloseReason, Event};
use common::{Node, World, address, ms, path};
use core::time::Duration;
use core_types::BitRate;
use netsim::{GilbertElliott, PathModel, Prng, Reorder, Steps};
use proptest::prelude::*;

/// What waits at one end at most (spec 37 section 10).
const WINDOW: usize = 128 * 1024;

/// Bytes in which every place is another.
fn words(seed: u64, len: usize) -> Vec<u8> {
    let mut prng = Prng::new(seed);
    (0..len).map(|_| prng.next_u64() as u8).collect()
}

fn say(node: &mut Node, world_now: core_types::MonoTime, bytes: &[u8]) {
    let keys: Vec<_> = node.table.iter().map(|(key, _)| key).collect();
    for key in keys {
        node.table.get_mut(world_now, key).unwrap().to_say.extend(bytes);
    }
}

fn bad(loss: f64) -> PathModel {
    PathModel {
        loss,
        bursts: Some(GilbertElliott::bursts(loss, 4.0)),
        reorder: Some(Reorder { rate: 0.1, by: Duration::from_millis(30) }),
        duplicate: 0.1,
        corrupt: 0.02,
        jitter: Duration::from_millis(8),
        ..path(20)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn bytes_come_whole_in_order_and_once_whatever_the_network_does(
        seed: u64,
        loss in 0.0..0.12f64,
        down in prop::collection::vec(1usize..6_000, 1..20),
        up in prop::collection::vec(1usize..6_000, 1..20),
        has_media: bool,
    ) {
        let mut world = World::new(seed, path(20), path(20));
        world.frame = None;
        world.run(ms(1_100));
        let (parent, child) = (world.parent.address, world.child().address);
        // With heavy loss both ways media fail the lane; and bursts, which are counted in packets, last too long for an idle one.
        let model = if has_media { bad(loss / 3.0) } else { PathModel { bursts: None, ..bad(loss) } };
        world.network.set_path(parent, child, model.clone()).unwrap();
        world.network.set_path(child, parent, model).unwrap();
        (world.frame, world.next_frame) = (has_media.then_some((4, 800)), world.now);
        let (mut said_down, mut said_up) = (Vec::new(), Vec::new());
        for at in 0..20 {
            if let Some(len) = down.get(at) {
                let bytes = words(seed ^ at as u64, *len);
                say(&mut world.parent, world.now, &bytes);
                said_down.extend(bytes);
            }
            if let Some(len) = up.get(at) {
                let bytes = words(!seed ^ at as u64, *len);
                say(&mut world.children[0], world.now, &bytes);
                said_up.extend(bytes);
            }
            world.run(ms(1_100 + 37 * at as u64));
        }
        let mut until = 1_800;
        while until < 40_000 && (world.child().slot().heard.len() < said_down.len()
            || world.parent.slot().heard.len() < said_up.len()
            || world.parent.lane().stream_waiting() + world.child().lane().stream_waiting() > 0)
        {
            until += 200;
            world.run(ms(until));
        }
        prop_assert_eq!(world.parent.events(), [Event::Ready]);
        prop_assert!(world.child().slot().heard == said_down, "{} of {}", world.child().slot().heard.len(), said_down.len());
        prop_assert!(world.parent.slot().heard == said_up);
        prop_assert_eq!(world.parent.lane().stats().misbehaved + world.child().lane().stats().misbehaved, 0);
    }
}

#[test]
fn the_largest_message_passes_through_bounded_buffers() {
    let model = PathModel { loss: 0.01, ..path(20) };
    let mut world = World::new(2, model.clone(), model);
    let message = words(1, 4 << 20);
    say(&mut world.parent, world.now, &message);
    let (mut until, mut most) = (1_000, 0);
    while world.child().slot().heard.len() < message.len() && until < 60_000 {
        until += 10;
        world.run(ms(until));
        most = most.max(world.parent.lane().stream_waiting());
        assert_eq!(world.child().lane().stream_readable(), 0);
    }
    assert!(world.child().slot().heard == message);
    assert!(until < 15_000, "{until}");
    assert_eq!(most, WINDOW);
    world.run(ms(until + 500));
    let lane = world.parent.lane();
    assert_eq!((lane.stream_waiting(), lane.stream_room()), (0, WINDOW));
    // What was lost was sent again, and hardly anything else.
    assert!((10_000..200_000).contains(&lane.stream_repeated()), "{}", lane.stream_repeated());
}

#[test]
fn a_reader_that_is_slow_holds_nobody_else_up() {
    let mut world = World::with_children(3, path(20), path(20), 2);
    let key = world.children[0].key();
    world.children[0].table.get_mut(world.now, key).unwrap().listens = false;
    let message = words(3, 1 << 20);
    say(&mut world.parent, world.now, &message);
    world.run(ms(9_000));
    let [slow, quick] = [&world.children[0], &world.children[1]];
    assert!(quick.slot().heard == message);
    assert_eq!((slow.slot().heard.len(), slow.lane().stream_readable()), (0, WINDOW), "and no more is kept");
    let taken = |child: &Node| child.slot().taken.len() as u64;
    assert!(taken(slow) + 60 > world.next_chunk && taken(quick) + 60 > world.next_chunk, "media go on");
    let lanes: Vec<_> = world.parent.table.iter().map(|(_, slot)| slot.lane.stream_room()).collect();
    assert_eq!(lanes, [0, WINDOW], "who writes sees it");
    // A peer without room is asked now and then, not all the time.
    let asked = |node: &Node| {
        let mine = node.sent.iter().filter(|sent| sent.to == slow.address && !sent.is_media);
        mine.filter(|sent| sent.bytes[1] == 6 && sent.at > ms(6_000)).count()
    };
    assert!((1..=6).contains(&asked(&world.parent)), "{}", asked(&world.parent));
    let mut slot = world.children[0].table.get_mut(ms(9_000), key).unwrap();
    slot.listens = true;
    slot.listen();
    drop(slot);
    world.run(ms(16_000));
    assert!(world.children[0].slot().heard == message);
    assert!(world.children.iter().all(|child| child.events() == [Event::Ready]));
}

#[test]
fn a_narrow_path_is_not_flooded_by_a_long_message() {
    let rate = BitRate::from_kbit(1_000);
    let down = PathModel { bandwidth: Steps::constant(rate), queue: 37_500, ..path(20) };
    let mut world = World::new(4, down, path(20));
    world.frame = None;
    let message = words(4, 500_000);
    say(&mut world.parent, world.now, &message);
    world.run(ms(7_000));
    assert!(world.child().slot().heard == message, "{} in 6 s", world.child().slot().heard.len());
    let repeated = world.parent.lane().stream_repeated();
    assert!(repeated < 75_000, "{repeated} bytes twice");
}

#[test]
fn after_a_dark_time_the_stream_goes_on_at_once() {
    let dark = PathModel { blackouts: vec![(ms(3_000), ms(6_700))], ..path(20) };
    let mut world = World::new(5, dark.clone(), dark);
    world.run(ms(3_100));
    let message = words(5, 20_000);
    say(&mut world.parent, world.now, &message);
    say(&mut world.children[0], world.now, &message);
    world.run(ms(6_700));
    assert!(world.child().slot().heard.is_empty());
    world.run(ms(7_300));
    assert!(world.child().slot().heard == message && world.parent.slot().heard == message);
    assert_eq!((world.parent.events(), world.child().events()), (vec![Event::Ready], vec![Event::Ready]));
}

#[test]
fn the_stream_follows_a_peer_that_moves() {
    let mut world = World::new(6, path(20), path(20));
    let message = words(6, 3 << 20);
    say(&mut world.parent, world.now, &message);
    world.run(ms(1_300));
    assert!(world.child().slot().heard.len() < message.len() / 2);
    world.network.rebind(world.child().address, ms(1_310), address(2, 5_555));
    world.run(ms(9_000));
    assert!(world.child().slot().heard == message);
    assert!(matches!(world.parent.events()[..], [Event::Ready, Event::PathChanged { .. }]));
    // What was under way goes out again at once, and little of it before the first answer.
    let moved = world.parent.first(|event| matches!(event, Event::PathChanged { .. })).unwrap();
    let soon = moved..moved.plus(Duration::from_millis(20));
    let data = |sent: &&common::Sent| !sent.is_media && sent.bytes[1] == 6 && soon.contains(&sent.at);
    assert!((1..=10).contains(&world.parent.sent.iter().filter(data).count()));
}

#[test]
fn what_was_said_before_the_end_can_be_read_after_it() {
    let mut world = World::new(7, path(20), path(20));
    world.frame = None;
    world.run(ms(2_000));
    let key = world.children[0].key();
    world.children[0].table.get_mut(ms(2_000), key).unwrap().listens = false;
    say(&mut world.parent, world.now, b"refused: not today");
    world.run(ms(2_100));
    assert_eq!(world.parent.lane().stream_waiting(), 0, "acknowledged, so it may close");
    let at_parent = world.parent.key();
    world.parent.table.get_mut(ms(2_100), at_parent).unwrap().lane.close(CloseReason::Done);
    world.run(ms(2_200));
    assert_eq!(world.child().events(), [Event::Ready, Event::Closed(CloseReason::Done)]);
    let mut slot = world.children[0].table.get_mut(ms(2_200), key).unwrap();
    slot.listen();
    assert_eq!(slot.heard, b"refused: not today");
    assert_eq!((slot.lane.write_stream(b"no"), slot.lane.stream_room()), (0, 0));
}
