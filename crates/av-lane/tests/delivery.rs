//! Media over bad networks.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use av_lane::Event;
use common::{World, ms, path};
use core::time::Duration;
use core_types::BitRate;
use netsim::{GilbertElliott, PathModel, Reorder, Steps};

#[test]
fn over_a_good_path_everything_arrives_once_and_five_reports_a_second_go_back() {
    let mut world = World::new(1, path(15), path(15));
    world.run(ms(11_000));
    let (parent, child) = (&world.parent, world.child());
    assert_eq!(parent.events(), [Event::Ready]);
    assert_eq!(child.events(), [Event::Ready]);
    let sent = parent.lane().stats();
    assert_eq!(sent.sent_datagrams + parent.slot().stale, world.next_chunk);
    assert!(child.slot().taken.values().all(|times| *times == 1));
    // What is still on its way at the end apart.
    assert!(sent.sent_datagrams - child.slot().taken.len() as u64 <= 20, "{sent:?}");
    let reports = sent.reports;
    assert!((65..=100).contains(&reports), "{reports}");
    assert_eq!(sent.missing_datagrams, 0);
    // Beside the reports hardly anything is said.
    assert!(child.lane().stats().sent_control <= reports + 20);
    assert!(sent.sent_control <= 20, "{sent:?}");
}

#[test]
fn under_loss_bursts_reorder_and_duplication_nothing_comes_twice_or_altered() {
    for seed in 0..8 {
        let model = PathModel {
            bursts: Some(GilbertElliott::bursts(0.08, 4.0)),
            reorder: Some(Reorder { rate: 0.05, by: Duration::from_millis(30) }),
            duplicate: 0.1,
            corrupt: 0.02,
            jitter: Duration::from_millis(8),
            ..path(25)
        };
        let mut world = World::new(seed, model.clone(), model);
        world.run(ms(9_000));
        let (parent, child) = (world.parent.slot(), world.child().slot());
        let (sent, got) = (parent.lane.stats(), child.lane.stats());
        assert!(parent.events.iter().all(|(_, event)| *event == Event::Ready), "{:?}", parent.events);
        assert!(child.taken.values().all(|times| *times == 1), "never twice");
        assert!(got.repeated > 50 && got.forged > 10, "the faults were there: {got:?}");
        let arrived = child.taken.len() as f64 / sent.sent_datagrams as f64;
        assert!(arrived > 0.8, "seed {seed}: {arrived} of {sent:?}");
        // What the parent believes is what is true, but for the last reports' worth.
        let counters = world.network.counters(world.parent.address, world.child().address).unwrap();
        assert!(counters.lost() > 50, "{counters:?}");
        assert!(got.received_datagrams - sent.arrived_datagrams < 300, "{got:?} {sent:?}");
    }
}

#[test]
fn a_narrow_bottleneck_is_not_flooded() {
    // 2.2 Mbit/s of media for 1 Mbit/s of path with 300 ms of queue.
    let rate = BitRate::from_kbit(1_000);
    let down = PathModel { bandwidth: Steps::constant(rate), queue: 37_500, ..path(20) };
    let mut world = World::new(3, down, path(20));
    world.run(ms(6_000));
    let before = world.network.counters(world.parent.address, world.child().address).unwrap();
    world.run(ms(16_000));
    let after = world.network.counters(world.parent.address, world.child().address).unwrap();
    let (sent, lost) = (after.sent - before.sent, after.lost() - before.lost());
    let carried = (after.delivered_bytes - before.delivered_bytes) as f64 * 8.0 / 10.0 / 1e6;
    assert!(carried > 0.65, "{carried} Mbit/s");
    assert!(lost * 8 < sent, "{lost} of {sent} lost");
    assert_eq!(world.parent.events(), [Event::Ready]);
}

#[test]
fn when_the_path_narrows_the_sender_slows_down_and_comes_back() {
    let wide = BitRate::from_kbit(6_000);
    let bandwidth = Steps::constant(wide).then(ms(6_000), BitRate::from_kbit(800)).then(ms(12_000), wide);
    let down = PathModel { bandwidth, queue: 60_000, ..path(20) };
    let mut world = World::new(4, down, path(20));
    let (mut seen, mut reports) = (Vec::new(), Vec::new());
    for until in [5_000, 6_000, 9_000, 12_000, 16_000, 18_000] {
        world.run(ms(until));
        seen.push(world.network.counters(world.parent.address, world.child().address).unwrap());
        reports.push(world.parent.lane().stats().reports);
    }
    let carried = |from: usize, seconds: f64| {
        (seen[from + 1].delivered_bytes - seen[from].delivered_bytes) as f64 * 8.0 / seconds / 1e6
    };
    assert!(carried(0, 1.0) > 2.0, "all of the media at first: {}", carried(0, 1.0));
    let narrow = carried(2, 3.0);
    assert!((0.5..=0.81).contains(&narrow), "{narrow}");
    let (sent, lost) = (seen[3].sent - seen[2].sent, seen[3].lost() - seen[2].lost());
    assert!(lost * 6 < sent, "{lost} of {sent} lost while narrow");
    assert!(reports[1] - reports[0] <= 13, "while all is well: {reports:?}");
    let asked =
        world.parent.sent.iter().filter(|sent| !sent.is_media && sent.bytes[1] == 2 && sent.at > ms(6_000));
    assert!(asked.count() >= 2 && reports[2] - reports[1] >= 50, "as the queue grows: {reports:?}");
    assert!(carried(4, 2.0) > 2.0, "and again at last: {}", carried(4, 2.0));
}

#[test]
fn bursts_go_out_in_one_run_each_but_for_those_with_whole_headers() {
    let mut world = World::new(5, path(10), path(10));
    world.run(ms(21_000));
    let (runs, bursts) = (world.parent.runs, world.parent.bursts);
    // Every 256th chunk has a whole header: a run more in about 26 bursts.
    assert!(runs as f64 / (bursts as f64) < 1.06, "{runs} runs for {bursts} bursts");
}

#[test]
fn lost_whole_headers_are_said_again_when_the_child_says_so() {
    let mut world = World::new(6, path(20), path(20));
    world.frame = None;
    world.run(ms(1_500));
    // The first 70 datagrams are lost, and with them all whole headers up to the 64th; the next one is due with the 128th,
    // half a second later.
    let dark = PathModel { blackouts: vec![(ms(1_500), ms(1_775))], ..path(20) };
    world.network.set_path(world.parent.address, world.child().address, dark).unwrap();
    (world.frame, world.next_frame) = (Some((10, 300)), ms(1_500));
    world.run(ms(3_000));
    let child = world.child();
    let first = *child.slot().taken.keys().next().unwrap();
    assert!((70..=100).contains(&first), "{first}");
    assert!((1..=30).contains(&child.lane().stats().unbound), "{:?}", child.lane().stats());
    // All else that was sent and not lost on the way was taken; how much was sent is the controller's matter.
    let lost = world.network.counters(world.parent.address, child.address).unwrap().lost_blackout;
    let sent = world.parent.lane().stats().sent_datagrams - lost - child.lane().stats().unbound;
    let taken = child.slot().taken.len() as u64;
    assert!((sent - 20..=sent).contains(&taken), "{taken} of {sent}");
    assert!(taken > 60);
}
