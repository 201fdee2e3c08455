//! An encoder that follows its hops.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod sim;

use av_congestion::{Error, HopState, LinkEstimate, MediaRate, MediaRateConfig, RateRule};
use core_types::{BitRate, LinkId, MonoTime};
use netsim::{PathModel, Steps};
use proptest::prelude::*;
use sim::{Sim, Source, at, bottleneck, kbit, ms};

const A: LinkId = LinkId(1);
const B: LinkId = LinkId(2);

fn config() -> MediaRateConfig {
    MediaRateConfig { overhead_permille: 0, ..MediaRateConfig::default() }
}

/// A hop that carries so much and is asked for so much.
fn hop(carried: u64, recent: u64, congested: bool) -> HopState {
    let estimate = LinkEstimate {
        delivery_rate: kbit(carried),
        recent_rate: kbit(recent),
        queue_delay: if congested { ms(50) } else { ms(0) },
        app_limited: !congested,
        congested,
        ..LinkEstimate::default()
    };
    HopState { estimate, carries_all: true, ..HopState::default() }
}

fn seconds(seconds: u64) -> MonoTime {
    MonoTime::from_millis(seconds * 1_000)
}

#[test]
fn down_at_once_and_up_after_three_seconds() {
    let mut rate = MediaRate::new(config()).unwrap();
    let mut now = seconds(10);
    assert_eq!(rate.update(now, A, &hop(5_000, 1_000, false)), Ok(None));
    // One report of congestion: 85 % of the newer figure.
    let change = rate.update(now, A, &hop(900, 800, true)).unwrap().unwrap();
    assert_eq!((change.link, change.rate), (None, kbit(680)));
    let mut changes = Vec::new();
    for _ in 0..300 {
        now = now.plus(ms(100));
        let told = rate.rate(None).unwrap().0 / 1_000;
        if let Some(change) = rate.update(now, A, &hop(2 * told, told, false)).unwrap() {
            changes.push((now, change.rate.0 as f64));
        }
    }
    let first = changes[0].0.since(seconds(10));
    assert!((ms(3_000)..ms(4_200)).contains(&first), "{first:?}");
    for pair in changes.windows(2) {
        assert!(pair[1].0.since(pair[0].0) >= ms(500) && pair[1].1 >= pair[0].1 * 1.05, "{pair:?}");
    }
    // 8 % a second: from 680 kbit/s to 2.5 Mbit/s in 17 s.
    let reached = changes.iter().find(|(_, rate)| *rate > 2_300e3).unwrap().0.since(seconds(13));
    assert!((ms(14_000)..ms(18_000)).contains(&reached), "{reached:?}");
    assert!(changes.last().unwrap().1 <= 2_500e3);
}

#[test]
fn drops_backlog_and_heavy_loss_are_congestion_too() {
    let calm = hop(1_000, 1_000, false);
    let lossy = |permille| LinkEstimate { loss_permille: Some(permille), ..calm.estimate };
    for (state, is_congestion) in [
        (HopState { dropped: 1, ..calm }, true),
        // 150 ms of a megabit: 18,750 bytes.
        (HopState { backlog: 18_000, ..calm }, false),
        (HopState { backlog: 19_500, ..calm }, true),
        (HopState { estimate: lossy(249), ..calm }, false),
        (HopState { estimate: lossy(250), ..calm }, true),
    ] {
        let mut rate = MediaRate::new(config()).unwrap();
        let change = rate.update(seconds(5), A, &state).unwrap();
        assert_eq!(change.map(|change| change.rate), is_congestion.then(|| kbit(850)), "{state:?}");
    }
}

#[test]
fn what_was_not_tried_is_not_trusted() {
    let mut rate = MediaRate::new(config()).unwrap();
    // The encoder shows a still picture: 100 kbit/s.
    for n in 0..600 {
        rate.update(MonoTime::from_millis(n * 100), A, &hop(100, 100, false)).unwrap();
    }
    assert_eq!(rate.rate(None), Some(kbit(1_000)), "no higher than before");
    // Overhead takes its part.
    let with_overhead = MediaRateConfig { overhead_permille: 250, ..config() };
    let mut rate = MediaRate::new(with_overhead).unwrap();
    let change = rate.update(seconds(1), A, &hop(1_000, 1_000, true)).unwrap().unwrap();
    assert_eq!(change.rate, kbit(680));
}

#[test]
fn the_slowest_that_carries_all_decides_or_each_for_itself() {
    let mut rate = MediaRate::new(config()).unwrap();
    let share = HopState { carries_all: false, ..hop(200, 200, true) };
    assert_eq!(
        rate.update(seconds(1), B, &share),
        Ok(None),
        "a share of the stream says nothing of all of it"
    );
    let change = rate.update(seconds(1), A, &hop(600, 600, true)).unwrap().unwrap();
    assert_eq!(change.rate, kbit(510));
    let change = rate.update(seconds(1), B, &hop(200, 200, true)).unwrap().unwrap();
    assert_eq!(change.rate, kbit(170));
    assert_eq!(rate.remove(seconds(2), B).unwrap().rate, kbit(510));
    assert_eq!(rate.remove(seconds(3), A), None, "with nobody left the rate stays");

    let mut rate = MediaRate::new(MediaRateConfig { rule: RateRule::Each, ..config() }).unwrap();
    for (link, carried) in [(A, 600), (B, 400)] {
        let change = rate.update(seconds(1), link, &hop(carried, carried, true)).unwrap().unwrap();
        assert_eq!((change.link, change.rate), (Some(link), kbit(carried * 85 / 100)));
    }
    assert_eq!((rate.rate(Some(A)), rate.rate(None)), (Some(kbit(510)), Some(kbit(1_000))));
    for n in 2..64 {
        rate.update(seconds(1), LinkId(n + 1), &hop(1, 1, false)).unwrap();
    }
    assert_eq!(rate.update(seconds(1), LinkId(99), &hop(1, 1, false)), Err(Error::TooManyLinks(64)));
}

#[test]
fn twice_upward_takes_half_a_second() {
    let mut rate = MediaRate::new(config()).unwrap();
    for (link, carried) in [(1, 300), (2, 500), (3, 800)] {
        rate.update(seconds(1), LinkId(link), &hop(carried, carried, true)).unwrap();
    }
    assert_eq!(rate.rate(None), Some(kbit(255)));
    assert_eq!(rate.remove(seconds(2), LinkId(1)).unwrap().rate, kbit(425));
    assert_eq!(rate.remove(seconds(2).plus(ms(100)), LinkId(2)), None);
    let calm = rate.update(seconds(2).plus(ms(499)), LinkId(3), &hop(800, 800, false));
    assert_eq!(calm, Ok(None));
    let calm = rate.update(seconds(2).plus(ms(500)), LinkId(3), &hop(800, 800, false));
    assert_eq!(calm.unwrap().unwrap().rate, kbit(680));
}

proptest! {
    #[test]
    fn always_within_bounds_and_never_a_small_step(
        states in prop::collection::vec((0_u64..3_000, 0_u64..20_000, 0_u64..20_000, any::<bool>(), 0_u64..2, 0_usize..99_999), 1..200),
    ) {
        let mut rate = MediaRate::new(config()).unwrap();
        let (mut now, mut told, mut up_at) = (seconds(1), config().start, None::<MonoTime>);
        for (gap, carried, recent, congested, dropped, backlog) in states {
            now = now.plus(ms(gap));
            let state = HopState { dropped, backlog, ..hop(carried, recent, congested) };
            if let Some(change) = rate.update(now, A, &state).unwrap() {
                prop_assert!(change.rate >= config().min && change.rate <= config().max);
                prop_assert!(change.rate.0.abs_diff(told.0) * 20 + 20 >= told.0);
                if change.rate > told {
                    prop_assert!(up_at.is_none_or(|at| now.since(at) >= ms(500)));
                    up_at = Some(now);
                }
                told = change.rate;
            }
        }
    }
}

/// The encoder's rate is the source's; gives the rates that were told.
fn closed_loop(seed: u64, path: PathModel, until: f64) -> (Sim, Vec<(f64, f64)>) {
    let mut sim = Sim::single(seed, PathModel { jitter: ms(3), ..path }, Source::live(kbit(1_000)));
    let mut rate = MediaRate::new(config()).unwrap();
    let mut told = Vec::new();
    while sim.now < at(until) {
        for _ in 0..100 {
            sim.tick();
        }
        let now = sim.now;
        let flow = &sim.flows[0];
        let end = now.0 as f64 / 1e6;
        let state = HopState {
            estimate: flow.bbr.estimate(now),
            backlog: flow.waiting() * sim::DATAGRAM,
            dropped: flow.sum(end - 0.1, end, |row| row.shed),
            carries_all: true,
        };
        if let Some(change) = rate.update(now, A, &state).unwrap() {
            sim.flows[0].source.rate = Steps::constant(change.rate);
            told.push((end, change.rate.0 as f64));
        }
    }
    (sim, told)
}

fn last_before(told: &[(f64, f64)], time: f64) -> f64 {
    told.iter().rev().find(|(at, _)| *at <= time).map_or(1_000e3, |(_, rate)| *rate)
}

#[test]
fn an_encoder_settles_below_what_the_path_carries() {
    for seed in 1..4 {
        let (sim, told) = closed_loop(seed, bottleneck(800, 150, 20), 40.0);
        assert!(last_before(&told, 2.0) < 800e3, "{told:?}");
        let flow = sim.flow();
        let arrived = flow.arrived(5.0, 40.0);
        assert!(arrived > 560e3, "{arrived}");
        let all = flow.sum(5.0, 40.0, |row| row.sent + row.shed);
        let shed = flow.sum(5.0, 40.0, |row| row.shed) as f64 / all as f64;
        assert!(shed < 0.02 && flow.loss(5.0, 40.0) < 0.02, "{shed} {}", flow.loss(5.0, 40.0));
    }
}

#[test]
fn an_encoder_follows_steps_down_and_up() {
    for seed in 1..4 {
        let mut path = bottleneck(6_000, 60, 20);
        path.bandwidth = path.bandwidth.then(at(25.0), kbit(700)).then(at(35.0), kbit(6_000));
        let (_, told) = closed_loop(seed, path, 65.0);
        assert!(last_before(&told, 25.0) > 2_200e3, "{told:?}");
        assert!(last_before(&told, 27.0) < 700e3, "{told:?}");
        assert!(last_before(&told, 65.0) > 2_200e3, "{told:?}");
    }
}

#[test]
fn configurations_that_can_not_work_are_refused() {
    for bad in [
        MediaRateConfig { min: BitRate(0), ..config() },
        MediaRateConfig { min: kbit(3_000), ..config() },
        MediaRateConfig { start: kbit(100), ..config() },
        MediaRateConfig { start: kbit(2_501), ..config() },
    ] {
        assert!(MediaRate::new(bad).is_err_and(|error| !error.is_peer_fault()));
    }
}
