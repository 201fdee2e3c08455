//! Who is suspected, who is given time, who comes back, and what happens when nobody is left.

use super::world::{FRAME, World, ms};
use alm::{Action, Config, Subscription};
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime};
use std::iter;
use std::time::Duration;

fn four(seed: u64) -> World {
    World::new(Config { seed, ..Config::default() }, &[5, 12, 9, 20])
}

#[test]
fn one_parent_of_four_dies_and_no_frame_is_missed() {
    for seed in 0..40 {
        let mut world = four(seed);
        // Half of the time chunks are lost as well.
        world.loss = if seed < 20 { 0 } else { 10 };
        world.play(60, FRAME);
        world.kill(seed % 4);
        world.play(90, FRAME);
        world.loss = 0;
        world.pass(ms(500));
        let done: Vec<MonoTime> = world.frames.iter().map(|f| f.done.expect("every frame")).collect();
        let slowest = world.frames.iter().map(|f| f.done.unwrap().since(f.sent)).max().unwrap();
        assert!(slowest <= ms(400), "seed {seed}: {slowest:?}");
        let worst = done.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap();
        let most = if seed < 20 { ms(100) } else { ms(200) };
        assert!(worst <= most, "seed {seed}: {worst:?} without a frame");
    }
}

#[test]
fn two_of_four_die_within_100_ms_and_the_rate_is_back_in_500_ms() {
    let mut took: Vec<Duration> = (0..200)
        .map(|seed| {
            let mut world = four(seed);
            world.play(60, FRAME);
            world.kill(seed % 4);
            world.pass(ms(seed * 7 % 100));
            world.kill((seed + 1 + seed / 4 % 3) % 4);
            let died = world.now;
            world.play(60, FRAME);
            world.pass(ms(500));
            let late = world.frames.iter().filter(|f| f.done.is_none_or(|at| at.since(f.sent) > ms(60)));
            late.map(|f| f.sent.plus(FRAME).since(died)).max().unwrap_or_default()
        })
        .collect();
    took.sort();
    assert!(took[197] <= ms(500), "{:?}", &took[180..]);
}

#[test]
fn three_frames_without_a_parent_make_it_suspect() {
    let mut world = four(1);
    world.play(60, FRAME);
    world.kill(2);
    let died = world.now;
    world.play(20, FRAME);
    assert_eq!(world.suspected(), [2]);
    let took = world.times(|a| matches!(a, Action::Suspect { .. }))[0].0.since(died);
    assert!((ms(67)..=ms(200)).contains(&took), "{took:?}");
    assert_eq!((0..4).filter(|l| *l != 2).map(|l| world.share(l)).sum::<u32>(), 4);
}

#[test]
fn at_five_frames_a_second_it_takes_three_frames_too() {
    let mut world = four(1);
    world.play(60, ms(200));
    world.kill(2);
    world.play(3, ms(200));
    assert_eq!(world.suspected(), [] as [u64; 0], "three frames are not over yet");
    world.play(4, ms(200));
    assert_eq!(world.suspected(), [2]);
}

#[test]
fn one_frame_that_a_parent_lacks_makes_nobody_suspect() {
    let mut world = four(1);
    world.play(60, FRAME);
    for _ in 0..20 {
        world.kill(2);
        world.frame(40, 14);
        world.dead.clear();
        world.pass(ms(250));
        world.play(1, FRAME);
    }
    assert_eq!(world.suspected(), [] as [u64; 0]);
}

#[test]
fn a_still_slide_show_makes_nobody_suspect() {
    let mut world = four(2);
    world.loss = 50;
    world.play(40, Duration::from_secs(3));
    assert_eq!(world.suspected(), [] as [u64; 0]);
}

#[test]
fn frames_in_a_burst_after_a_pause_make_nobody_suspect() {
    let mut world = World::new(Config::default(), &[5, 95, 9, 60]);
    for _ in 0..20 {
        world.play(10, FRAME);
        world.pass(Duration::from_secs(4));
        world.play(12, Duration::from_micros(300));
    }
    assert_eq!(world.suspected(), [] as [u64; 0]);
}

#[test]
fn who_only_answers_requests_is_found_out_all_the_same() {
    let mut world = four(3);
    world.play(60, FRAME);
    // It forgot its share, and still serves what it is asked for.
    world.told.remove(&LinkId(1));
    world.loss = 150;
    for _ in 0..20 {
        world.frame(12, 0);
        world.pass(FRAME);
    }
    assert_eq!(world.suspected(), [1]);
}

#[test]
fn who_only_repeats_old_chunks_is_found_out_all_the_same() {
    let mut world = four(3);
    world.play(60, FRAME);
    world.kill(1);
    let old = (0..16).find(|seq| world.told[&LinkId(1)].contains(ChunkSeq(*seq))).unwrap();
    for _ in 0..20 {
        world.arrive(LinkId(1), old);
        world.play(1, FRAME);
    }
    assert_eq!(world.suspected(), [1]);
}

#[test]
fn defect_a_new_parent_counts_as_silent_at_once() {
    let mut world = World::new(Config::default(), &[5, 12, 9]);
    world.play(60, FRAME);
    // Its first chunk takes 250 ms and what is left of a frame: 125 there, 125 back.
    world.add(7, 125);
    world.play(60, FRAME);
    assert_eq!(world.suspected(), [] as [u64; 0]);
    assert_eq!(world.share(7), 1);
    // A new one that never sends anything is found out, and nothing was lost by trying.
    let mut world = World::new(Config::default(), &[5, 12, 9]);
    world.play(60, FRAME);
    world.kill(7);
    world.add(7, 5);
    world.play(60, FRAME);
    assert_eq!(world.suspected(), [7]);
    assert!(world.frames.iter().rev().skip(2).all(|f| f.done.is_some()));
}

#[test]
fn defect_back_off_is_declared_and_never_enforced() {
    let mut world = four(4);
    // Parent 3 takes its share each time, and never sends anything.
    world.play(30, FRAME);
    world.kill(3);
    world.play(4_500, FRAME);
    let times: Vec<MonoTime> =
        world.times(|a| matches!(a, Action::Suspect { .. })).into_iter().map(|(at, _)| at).collect();
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(pauses.len() >= 5, "{pauses:?}");
    for (failures, pause) in pauses.iter().enumerate() {
        // What it is left alone for, the time it may need to be damped, and what it takes to find out.
        let rest = Duration::from_secs((2u64 << failures).min(30));
        let most = rest.max(Duration::from_secs(11)) + ms(600);
        assert!(*pause >= rest * 3 / 4 && *pause <= most, "{failures}: {pauses:?}");
    }
    let rests = |seed| {
        let mut world = four(seed);
        world.play(30, FRAME);
        world.kill(3);
        world.play(150, FRAME);
        let log = world.times(|a| matches!(a, Action::Suspect { .. }));
        log.iter().map(|(at, _)| at.0).collect::<Vec<_>>()
    };
    assert_ne!(rests(5)[1], rests(6)[1], "not everybody comes back at the same time");
}

#[test]
fn a_parent_that_comes_and_goes_takes_one_stripe_in_ten_seconds() {
    let config = Config { stripes: 8, ..Config::default() };
    let mut world = World::new(config, &[5, 12]);
    world.play(60, FRAME);
    world.kill(1);
    world.play(30, FRAME);
    assert_eq!((world.share(0), world.share(1)), (8, 0));
    world.dead.clear();
    world.play(90, FRAME);
    assert_eq!(world.share(1), 1, "one stripe when it is back");
    world.play(180, FRAME);
    assert_eq!(world.share(1), 1, "and no other within ten seconds");
    world.play(120, FRAME);
    assert_eq!(world.share(1), 2);
    world.play(900, FRAME);
    assert_eq!((world.share(0), world.share(1)), (4, 4), "evenly in the end");
}

#[test]
fn defect_heartbeats_are_declared_and_never_enforced() {
    let mut world = World::new(Config::default(), &[5, 12, 9, 20, 8, 8]);
    let quiet = |world: &World| {
        let said = world.times(|a| matches!(a, Action::Quiet { .. }));
        said.into_iter().map(|(_, action)| action).collect::<Vec<_>>()
    };
    // Nobody reports signs of life: nothing is held against the spares 4 and 5.
    world.play(150, FRAME);
    assert_eq!(quiet(&world), []);
    // Spare 4 shows life, 5 does not.
    for _ in 0..50 {
        world.subscription.handle_sign(world.now, LinkId(4));
        world.play(5, FRAME);
    }
    assert_eq!(quiet(&world), [Action::Quiet { parent: LinkId(5) }], "once");
    // So 4 is the one that steps in, and 5 does when it is heard again.
    world.subscription.remove_parent(world.now, LinkId(0));
    world.told.remove(&LinkId(0));
    world.play(5, FRAME);
    assert_eq!((world.share(4), world.share(5)), (1, 0));
    world.subscription.handle_sign(world.now, LinkId(5));
    world.subscription.remove_parent(world.now, LinkId(1));
    world.told.remove(&LinkId(1));
    world.play(5, FRAME);
    assert_eq!(world.share(5), 1);
}

#[test]
fn when_everybody_dies_at_once_signs_of_life_show_it_and_new_parents_are_called_for_until_they_come() {
    let mut world = four(8);
    for _ in 0..20 {
        (0..4).for_each(|link| world.subscription.handle_sign(world.now, LinkId(link)));
        world.play(5, FRAME);
    }
    (0..4).for_each(|link| world.kill(link));
    world.pass(Duration::from_secs(14));
    let calls: Vec<MonoTime> =
        world.times(|a| matches!(a, Action::Rebuild)).into_iter().map(|(at, _)| at).collect();
    assert!(calls.len() >= 4, "{calls:?}");
    let waits: Vec<Duration> = calls.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(waits.iter().any(|wait| *wait != waits[0]), "with jitter: {waits:?}");
    world.add(9, 10);
    world.pass(ms(100));
    let before = world.times(|a| matches!(a, Action::Rebuild)).len();
    for _ in 0..60 {
        world.subscription.handle_sign(world.now, LinkId(9));
        world.play(5, FRAME);
    }
    assert_eq!(world.times(|a| matches!(a, Action::Rebuild)).len(), before, "no more once chunks come");
    assert!(
        world.frames.last().unwrap().done.is_some()
            || world.frames.iter().rev().nth(2).unwrap().done.is_some()
    );
}

#[test]
fn a_new_parent_that_shows_life_and_sends_nothing_ends_no_call_for_others() {
    let mut subscription = Subscription::new(Config::default()).unwrap();
    let mut now = MonoTime(0);
    subscription.add_parent(now, LinkId(1));
    subscription.remove_parent(now, LinkId(1));
    subscription.add_parent(now, LinkId(9));
    let mut calls = 0;
    for _ in 0..20 {
        now = now.plus(ms(500));
        subscription.handle_sign(now, LinkId(9));
        subscription.handle_timeout(now);
        calls +=
            iter::from_fn(|| subscription.poll_action()).filter(|a| matches!(a, Action::Rebuild)).count();
    }
    assert!(calls >= 5, "{calls}");
    // Once it has sent something, its life is enough.
    subscription.handle_chunk(now, LinkId(9), Epoch(1), ChunkSeq(0));
    for _ in 0..20 {
        now = now.plus(ms(500));
        subscription.handle_sign(now, LinkId(9));
        subscription.handle_timeout(now);
        assert!(!iter::from_fn(|| subscription.poll_action()).any(|a| matches!(a, Action::Rebuild)));
    }
}

#[test]
fn without_any_parent_new_ones_are_called_for_every_two_seconds() {
    let mut subscription = Subscription::new(Config::default()).unwrap();
    let mut now = MonoTime(0);
    subscription.add_parent(now, LinkId(1));
    subscription.remove_parent(now, LinkId(1));
    let mut calls = Vec::new();
    while now < MonoTime::from_millis(20_000) {
        while let Some(action) = subscription.poll_action() {
            if action == Action::Rebuild {
                calls.push(now);
            }
        }
        now = subscription.poll_timeout().expect("there is always a next time");
        subscription.handle_timeout(now);
    }
    assert!((10..=14).contains(&calls.len()), "{calls:?}");
    for pair in calls.windows(2) {
        assert!((ms(1_500)..=ms(2_000)).contains(&pair[1].since(pair[0])), "{calls:?}");
    }
}

#[test]
fn a_parent_that_is_far_from_the_source_has_time_to_begin() {
    // All are told their shares long before the stream begins; one of them gets it 250 ms after the others.
    let mut world = World::new(Config::default(), &[5, 12, 9, 250]);
    world.pass(ms(5_000));
    world.play(30, FRAME);
    assert_eq!(world.suspected(), [] as [u64; 0]);
}
