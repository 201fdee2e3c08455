//! What a peer claims, against what its links were seen to deliver.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use alm::Error;
use alm::estimator::{Claimable, Estimator, Sample};
use core_types::{BitRate, LinkId, MonoTime};
use proptest::prelude::*;
use std::time::Duration;

const LINK: LinkId = LinkId(1);
const TICK: u64 = 200;
const MBIT: u64 = 1_000_000;

/// How a link fares for a while.
#[derive(Debug, Clone, Copy)]
enum Path {
    /// Always something to send, no queue.
    Free,
    /// Always something to send, and a queue.
    Congested,
    /// Not always something to send.
    Idle,
}
use Path::{Congested, Free, Idle};

/// One estimator, fed like a node feeds it.
#[derive(Default)]
struct Node {
    millis: u64,
    estimator: Estimator,
}

impl Node {
    fn now(&self) -> MonoTime {
        MonoTime::from_millis(self.millis)
    }

    fn sample(&mut self, link: LinkId, millis: u64, bits_per_second: u64, path: Path) {
        let sample = Sample {
            delivered: bits_per_second / 8 * millis / 1_000,
            over: Duration::from_millis(millis),
            app_limited: matches!(path, Idle),
            congested: matches!(path, Congested),
        };
        self.estimator.handle_sample(self.now(), link, sample).unwrap();
    }

    /// One link for so many seconds, a sample each 200 ms.
    fn run(&mut self, seconds: u64, mbit: u64, path: Path) {
        for _ in 0..seconds * 1_000 / TICK {
            self.millis += TICK;
            self.sample(LINK, TICK, mbit * MBIT, path);
        }
    }

    fn demonstrated(&mut self) -> u64 {
        self.estimator.demonstrated(self.now()).0
    }

    fn floor(&mut self) -> u64 {
        self.estimator.floor(self.now()).0
    }

    fn claim(&mut self) -> u64 {
        self.estimator.claimable(self.now(), BitRate(0), &[]).uplink.0
    }
}

#[test]
fn three_quarters_of_what_was_kept_up_can_be_claimed() {
    let mut node = Node::default();
    node.run(10, 40, Free);
    assert_eq!(node.demonstrated(), 40 * MBIT);
    assert_eq!(node.claim(), 30 * MBIT);
    let committed = BitRate(20 * MBIT);
    assert_eq!(node.estimator.claimable(node.now(), committed, &[]).uplink, BitRate(15 * MBIT));
    let more_than_all = BitRate(41 * MBIT);
    assert_eq!(node.estimator.claimable(node.now(), more_than_all, &[]).uplink, BitRate(0));
}

#[test]
fn a_claim_is_cut_to_whole_subscribers_of_the_highest_layer_that_fits() {
    let mut node = Node::default();
    node.run(10, 10, Free); // 7.5 Mbit/s are free
    let mut claim = |kbit: &[u64]| {
        let layers: Vec<BitRate> = kbit.iter().map(|rate| BitRate::from_kbit(*rate)).collect();
        node.estimator.claimable(node.now(), BitRate(0), &layers)
    };
    let want = |kbit, layer, subscribers| Claimable { uplink: BitRate::from_kbit(kbit), layer, subscribers };
    assert_eq!(claim(&[300, 1_000, 3_000, 8_000]), want(6_000, Some(2), 2));
    assert_eq!(claim(&[300, 1_000]), want(7_000, Some(1), 7));
    assert_eq!(claim(&[7_500]), want(7_500, Some(0), 1));
    assert_eq!(claim(&[7_501]), want(0, None, 0));
    assert_eq!(claim(&[0]), want(0, None, 0));
    // Layers that make no sense are not served, nor what stands on them.
    assert_eq!(claim(&[1_000, 0, 3_000]), want(7_000, Some(0), 7));
    assert_eq!(claim(&[1_000, 500, 3_000]), want(7_000, Some(0), 7));
}

#[test]
fn claims_are_in_whole_kilobits() {
    let mut node = Node::default();
    for _ in 0..50 {
        node.millis += TICK;
        node.sample(LINK, TICK, 9_999_600, Free); // three quarters are 7,499,700
    }
    assert_eq!(node.claim(), 7_499_000);
    let odd = node.estimator.claimable(node.now(), BitRate(0), &[BitRate(1_000_500)]);
    assert_eq!((odd.uplink, odd.subscribers), (BitRate(7_003_000), 7));
}

#[test]
fn what_several_links_carry_is_added_up_and_stays_when_one_goes() {
    let mut node = Node::default();
    for _ in 0..50 {
        node.millis += TICK;
        for link in 0..4 {
            node.sample(LinkId(link), TICK, 5 * MBIT, Free);
        }
    }
    assert_eq!(node.demonstrated(), 20 * MBIT);
    node.estimator.handle_link_gone(LinkId(0));
    assert_eq!(node.demonstrated(), 20 * MBIT);
    assert_eq!(node.estimator.links(), 3);
}

#[test]
fn defect_the_ceiling_never_ages_under_congestion() {
    // The predecessor still claimed 75 Mbit/s after the hour.
    let mut node = Node::default();
    node.run(60, 95, Free);
    assert_eq!(node.claim(), 95 * MBIT / 4 * 3);
    node.run(10, 10, Congested);
    assert!(node.claim() <= 10 * MBIT, "{}", node.claim());
    node.run(3_600, 10, Congested);
    assert_eq!(node.demonstrated(), 10 * MBIT);
    assert_eq!(node.claim(), 7_500_000);
}

#[test]
fn congestion_is_followed_down_within_two_seconds_and_the_way_up_takes_three_windows() {
    let mut node = Node::default();
    node.run(20, 40, Free);
    node.run(2, 10, Congested);
    assert_eq!(node.demonstrated(), 25 * MBIT);
    node.run(30, 10, Congested);
    assert_eq!(node.demonstrated(), 10 * MBIT);
    // Three windows, and the last of them is closed a second after its end.
    node.run(3, 40, Free);
    assert_eq!(node.demonstrated(), 10 * MBIT);
    node.run(1, 40, Free);
    assert_eq!(node.demonstrated(), 40 * MBIT);
}

#[test]
fn a_link_that_stalls_draws_the_claim_down_to_nothing() {
    let mut node = Node::default();
    node.run(20, 40, Free);
    node.run(40, 0, Congested);
    assert_eq!(node.demonstrated(), 0);
}

#[test]
fn a_busy_link_that_carries_less_draws_down_without_congestion_too_but_slowly() {
    let mut node = Node::default();
    node.run(20, 40, Free);
    node.run(2, 24, Free);
    assert_eq!(node.demonstrated(), 38 * MBIT);
    node.run(200, 24, Free);
    assert_eq!(node.demonstrated(), 24 * MBIT);
}

#[test]
fn idle_is_not_slow_until_nothing_has_shown_it_for_a_minute() {
    let mut node = Node::default();
    node.run(60, 95, Free);
    node.run(59, 1, Idle);
    assert_eq!(node.demonstrated(), 95 * MBIT);
    node.run(5, 1, Idle);
    assert!(node.demonstrated() < 95 * MBIT);
    node.run(200, 1, Idle);
    assert_eq!((node.demonstrated(), node.floor()), (MBIT, MBIT));
}

#[test]
fn an_old_ceiling_sinks_no_lower_than_what_is_carried_now() {
    let mut node = Node::default();
    node.run(60, 80, Free);
    node.run(62, 0, Idle);
    let mut last = node.demonstrated();
    assert!(last < 80 * MBIT);
    // Each other second more than what is left of it.
    for _ in 0..20 {
        node.run(1, 81, Idle);
        node.run(1, 0, Idle);
        let now = node.demonstrated();
        assert!(last - now <= last.div_ceil(8), "{last} to {now} in two seconds, one of them idle");
        last = now;
    }
}

#[test]
fn single_bursts_among_idle_time_lower_nothing() {
    let mut node = Node::default();
    node.run(10, 40, Free);
    for _ in 0..10 {
        node.millis += TICK;
        node.sample(LINK, TICK, 40 * MBIT, Free);
        for _ in 0..9 {
            node.millis += TICK;
            node.sample(LINK, TICK, 0, Idle);
        }
    }
    assert_eq!(node.demonstrated(), 40 * MBIT);
}

#[test]
fn traffic_that_is_never_pressed_for_room_still_shows_what_it_carries() {
    let mut node = Node::default();
    node.run(600, 20, Idle);
    assert_eq!((node.demonstrated(), node.floor()), (20 * MBIT, 20 * MBIT));
}

#[test]
fn one_child_with_a_slow_path_does_not_speak_for_the_others() {
    let mut node = Node::default();
    let run = |node: &mut Node, seconds: u64, child: (u64, Path), others: (u64, Path)| {
        for _ in 0..seconds * 5 {
            node.millis += TICK;
            node.sample(LinkId(0), TICK, child.0 * MBIT, child.1);
            node.sample(LinkId(1), TICK, others.0 * MBIT, others.1);
        }
        node.demonstrated()
    };
    assert_eq!(run(&mut node, 10, (1, Idle), (9, Idle)), 10 * MBIT);
    assert_eq!(run(&mut node, 30, (1, Congested), (5, Idle)), 10 * MBIT);
    // Where the others always have something to send, less is a sign, but of no congestion.
    assert_eq!(run(&mut node, 2, (1, Congested), (5, Free)), 9_500_000);
}

#[test]
fn a_single_second_demonstrates_nothing() {
    let mut node = Node::default();
    node.run(10, 5, Free);
    node.run(1, 90, Free);
    node.run(20, 5, Free);
    assert_eq!(node.demonstrated(), 5 * MBIT);
}

#[test]
fn the_floor_is_what_nine_windows_in_ten_of_the_last_thirty_reached() {
    let mut node = Node::default();
    node.run(40, 50, Free);
    node.run(2, 5, Free);
    node.run(10, 50, Free);
    assert_eq!(node.floor(), node.demonstrated().min(50 * MBIT));
    node.run(1, 5, Free);
    node.run(10, 50, Free);
    assert_eq!(node.floor(), 5 * MBIT);
    node.run(30, 50, Free);
    assert_eq!(node.floor(), 50 * MBIT);
}

#[test]
fn congestion_that_comes_and_goes_each_second_makes_no_claim_flap() {
    let mut node = Node::default();
    node.run(20, 40, Free);
    let mut last = node.claim();
    for second in 0..120 {
        if second % 2 == 0 {
            node.run(1, 10, Congested);
        } else {
            node.run(1, 40, Free);
        }
        let claim = node.claim();
        assert!(claim <= last, "{second}: up from {last} to {claim}");
        last = claim;
    }
    // It has settled near what the worse seconds carried.
    assert_eq!(last, 7_500_000);
}

#[test]
fn after_a_long_silence_nothing_is_left_however_it_is_asked() {
    for step in [1, 7, 100, 700] {
        let mut node = Node::default();
        node.run(60, 95, Free);
        for _ in 0..700 / step {
            node.millis += step * 1_000;
            node.demonstrated();
        }
        assert_eq!((node.demonstrated(), node.floor()), (0, 0), "{step}");
        node.run(10, 40, Free);
        assert_eq!(node.demonstrated(), 40 * MBIT, "{step}");
    }
}

#[test]
fn time_that_goes_back_changes_nothing() {
    let mut node = Node::default();
    node.run(20, 40, Free);
    node.millis = 3_000;
    node.sample(LINK, TICK, 900 * MBIT, Free);
    assert_eq!(node.demonstrated(), 40 * MBIT);
    node.millis = 40_000;
    assert_eq!(node.demonstrated(), 40 * MBIT);
    // Nor does it let the same time count twice.
    for _ in 0..50 {
        node.run(1, 40, Free);
        let here = node.millis;
        node.millis = 3_000;
        node.sample(LINK, TICK, 0, Idle);
        node.millis = here;
        node.sample(LINK, TICK, 40 * MBIT, Free);
    }
    assert_eq!(node.demonstrated(), 40 * MBIT);
}

#[test]
fn samples_of_one_link_that_overlap_are_not_counted_twice() {
    let mut node = Node::default();
    for _ in 0..50 {
        node.millis += TICK;
        node.sample(LINK, 2 * TICK, 10 * MBIT, Free);
        node.sample(LINK, TICK, 10 * MBIT, Free);
    }
    assert_eq!(node.demonstrated(), 10 * MBIT);
}

#[test]
fn links_are_limited_and_those_long_silent_make_room() {
    let mut node = Node { millis: 1_000, ..Node::default() };
    for link in 0..Estimator::MAX_LINKS as u64 {
        node.sample(LinkId(link), TICK, MBIT, Free);
    }
    let sample = Sample { delivered: 1, over: Duration::from_millis(1), app_limited: true, congested: false };
    let new = LinkId(u64::MAX);
    let refused = node.estimator.handle_sample(MonoTime::from_millis(60_999), new, sample);
    assert_eq!(refused, Err(Error::Limit { what: "measured link", max: 4_096 }));
    assert_eq!(node.estimator.handle_sample(MonoTime::from_millis(60_999), LinkId(9), sample), Ok(()));
    assert_eq!(node.estimator.handle_sample(MonoTime::from_millis(61_000), LinkId(7), sample), Ok(()));
    assert_eq!(node.estimator.handle_sample(MonoTime::from_millis(61_000), new, sample), Ok(()));
    assert_eq!(node.estimator.links(), 3);
}

#[test]
fn a_sample_without_time_is_refused_and_monstrous_ones_do_no_harm() {
    let mut node = Node::default();
    let mut sample = Sample { delivered: 1, over: Duration::ZERO, app_limited: false, congested: false };
    let refused = node.estimator.handle_sample(MonoTime(5), LINK, sample);
    assert!(matches!(refused, Err(Error::Input { what: "sample", .. })), "{refused:?}");
    sample.delivered = u64::MAX;
    for (at, over) in [(0, 1), (1, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, 1)] {
        sample.over = Duration::from_micros(over);
        node.estimator.handle_sample(MonoTime(at), LINK, sample).unwrap();
        node.estimator.claimable(MonoTime(u64::MAX), BitRate(u64::MAX), &[BitRate(u64::MAX), BitRate(1)]);
    }
}

mod probing {
    use super::*;

    /// Does what a probe allows, over a path that carries so much at most.
    fn follow(node: &mut Node, path_mbit: u64) -> u64 {
        let now = node.now();
        let Some(probe) = node.estimator.probe(now) else {
            node.run(1, 0, Idle);
            return 0;
        };
        let millis = probe.over.as_millis() as u64;
        let rate = probe.bytes * 8 * 1_000 / millis;
        let is_too_much = rate > path_mbit * MBIT;
        for _ in 0..millis / TICK {
            node.millis += TICK;
            let carried = rate.min(path_mbit * MBIT);
            node.sample(LINK, TICK, carried, if is_too_much { Congested } else { Idle });
        }
        probe.bytes
    }

    #[test]
    fn a_cold_peer_earns_its_first_claim_by_probes_that_are_bounded() {
        let mut node = Node::default();
        assert_eq!(node.claim(), 0);
        let mut spent = 0;
        let mut asked = Vec::new();
        while node.millis < 60_000 {
            let at = node.millis;
            let bytes = follow(&mut node, 100);
            spent += bytes;
            asked.extend((bytes > 0).then_some((at, bytes)));
        }
        let expected = [(0, 500_000), (8_000, 1_000_000), (16_000, 2_000_000), (24_000, 4_000_000)];
        assert_eq!(asked, expected);
        assert_eq!(spent, 7_500_000);
        assert_eq!(node.demonstrated(), 8 * MBIT);
        assert_eq!(node.claim(), 6 * MBIT);
        // In an hour six times as much, whatever becomes of it.
        while node.millis < 3_600_000 {
            spent += follow(&mut node, 100);
        }
        assert_eq!(spent, 6 * 7_500_000);
    }

    #[test]
    fn a_probe_that_congests_is_followed_by_a_rest_and_claims_no_more_than_came() {
        let mut node = Node::default();
        let mut asked = Vec::new();
        while node.millis < 120_000 {
            let at = node.millis;
            if follow(&mut node, 3) > 0 {
                asked.push(at);
            }
        }
        assert!(node.demonstrated() <= 3 * MBIT);
        // 1 and 2 Mbit/s pass, 4 do not: what comes after that is at least a rest later.
        assert!(asked[1] - asked[0] < 10_000 && asked[2] - asked[1] < 10_000, "{asked:?}");
        assert!(asked[3] - asked[2] >= 13_000, "{asked:?}");
    }

    #[test]
    fn what_children_may_try_is_twice_what_was_shown_and_nothing_after_congestion() {
        let mut node = Node::default();
        assert_eq!(node.estimator.trial(node.now()), BitRate(MBIT), "nobody knows anything yet");
        node.run(10, 3, Idle);
        assert_eq!(node.estimator.trial(node.now()), BitRate(6 * MBIT));
        node.run(10, 5, Idle);
        assert_eq!(node.estimator.trial(node.now()), BitRate(8 * MBIT));
        // It is no probe: however often it is asked, nothing is used up.
        assert_eq!(node.estimator.trial(node.now()), BitRate(8 * MBIT));
        node.run(3, 2, Congested);
        assert_eq!(node.estimator.trial(node.now()), BitRate(0));
        // The last congested window was closed a second after its end, and ten more are to pass.
        node.run(13, 2, Idle);
        assert!(node.estimator.trial(node.now()) >= BitRate(4 * MBIT));
        let mut enough = Node::default();
        enough.run(10, 9, Idle);
        assert_eq!(enough.estimator.trial(enough.now()), BitRate(0), "what was shown can be claimed");
    }

    #[test]
    fn who_carries_enough_is_not_probed() {
        let mut node = Node::default();
        node.run(10, 8, Idle);
        assert_eq!(node.estimator.probe(node.now()), None);
        let mut node = Node::default();
        node.run(10, 7, Idle);
        // No more than is needed to show enough: 8 Mbit/s for 4 s.
        assert_eq!(node.estimator.probe(node.now()).unwrap().bytes, 4_000_000);
        assert_eq!(node.estimator.probe(node.now()), None);
    }
}

/// Rates in Mbit/s and paths, each for so many ticks.
fn history() -> impl Strategy<Value = Vec<(u64, Path, u64)>> {
    let path = prop_oneof![Just(Free), Just(Congested), Just(Idle)];
    prop::collection::vec((0_u64..100, path, 1_u64..40), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_is_claimed_that_was_not_demonstrated(history in history()) {
        let mut node = Node::default();
        let mut seconds = vec![0];
        for (mbit, path, ticks) in history {
            for _ in 0..ticks {
                node.millis += TICK;
                node.sample(LINK, TICK, mbit * MBIT, path);
                let second = (node.millis - 1) as usize / 1_000;
                seconds.resize(second + 1, 0);
                seconds[second] += mbit * MBIT / 5;
                let most = *seconds.iter().max().unwrap();
                prop_assert!(node.demonstrated() <= most);
                prop_assert!(node.claim() <= most / 4 * 3);
                prop_assert!(node.floor() <= node.demonstrated());
            }
        }
    }

    #[test]
    fn more_congestion_never_makes_a_higher_claim(history in history(), worse in prop::collection::vec(any::<bool>(), 60)) {
        let (mut one, mut other) = (Node::default(), Node::default());
        for ((mbit, path, ticks), worse) in history.into_iter().zip(worse) {
            for _ in 0..ticks {
                one.millis += TICK;
                other.millis += TICK;
                one.sample(LINK, TICK, mbit * MBIT, path);
                other.sample(LINK, TICK, mbit * MBIT, if worse && matches!(path, Free) { Congested } else { path });
                prop_assert!(other.demonstrated() <= one.demonstrated());
            }
        }
    }

    #[test]
    fn who_delivered_less_never_claims_more(
        history in history(),
        caps in prop::collection::vec(0_u64..100, 60),
    ) {
        let (mut one, mut other) = (Node::default(), Node::default());
        for ((mbit, path, seconds), cap) in history.into_iter().zip(caps) {
            for _ in 0..seconds {
                one.run(1, mbit, path);
                other.run(1, mbit.min(cap), path);
                prop_assert!(other.demonstrated() <= one.demonstrated());
            }
        }
    }

    #[test]
    fn a_claim_that_fell_does_not_rise_within_three_windows(history in history()) {
        let mut node = Node::default();
        let mut last = 0;
        let mut fell_at = None;
        for (mbit, path, ticks) in history {
            for _ in 0..ticks {
                node.millis += TICK;
                node.sample(LINK, TICK, mbit * MBIT, path);
                let claim = node.claim();
                if claim < last {
                    fell_at = Some(node.millis);
                } else if claim > last {
                    prop_assert!(fell_at.is_none_or(|at| node.millis - at >= 3_000), "at {}", node.millis);
                }
                last = claim;
            }
        }
    }

    #[test]
    fn however_time_is_cut_into_samples_the_same_is_demonstrated(
        cuts in prop::collection::vec(10_u64..=1_000, 30..300),
        (first, then) in (1_u64..100, 1_u64..100),
        is_congested: bool,
    ) {
        // The rate changes once, at ten seconds.
        let rate = |millis: u64| if millis < 10_000 { first * MBIT } else { then * MBIT };
        let path = |millis: u64| if millis >= 10_000 && is_congested { Congested } else { Free };
        let (mut fine, mut coarse) = (Node::default(), Node::default());
        let mut shown = vec![0];
        while fine.millis < 60_000 {
            fine.millis += 10;
            let before = fine.millis - 10;
            fine.sample(LINK, 10, rate(before), path(before));
            if fine.millis.is_multiple_of(1_000) {
                let now = fine.demonstrated();
                shown.push(now);
            }
        }
        for cut in cuts {
            // No sample lies across the change.
            let before = coarse.millis;
            let cut = if before < 10_000 { cut.min(10_000 - before) } else { cut };
            if before + cut > 60_000 {
                break;
            }
            coarse.millis += cut;
            coarse.sample(LINK, cut, rate(before), path(before));
            let second = (coarse.millis / 1_000) as usize;
            let near: Vec<u64> = (second.saturating_sub(1)..=second + 1).filter_map(|at| shown.get(at).copied()).collect();
            let (least, most) = (near.iter().min().unwrap(), near.iter().max().unwrap());
            // A byte may be lost in rounding each sample.
            let slack = 8 * 101;
            let got = coarse.demonstrated();
            prop_assert!(got + slack >= *least && got <= *most + slack, "{got} not in {least}..={most}");
        }
    }
}
