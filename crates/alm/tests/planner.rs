//! When a parent is changed for a better one.
#![allow(clippy::unwrap_used, reason = "tests")]

use alm::planner::Damping;
use core_types::{KeyId, MonoTime};

const A: KeyId = KeyId([1; 32]);
const B: KeyId = KeyId([2; 32]);

const fn ms(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

/// Whom a challenger with this score replaces at once when its time has come.
fn after_5_s(incumbent: u32, challenger: u32) -> bool {
    let mut damping = Damping::default();
    assert_eq!(damping.handle_scores(ms(0), incumbent, Some((A, challenger))), None);
    damping.handle_scores(ms(5_000), incumbent, Some((A, challenger))).is_some()
}

#[test]
fn a_challenger_has_to_be_better_by_15_percent() {
    assert!(after_5_s(1_000, 1_150));
    assert!(!after_5_s(1_000, 1_149));
    assert!(after_5_s(100, u32::MAX));
    assert!(!after_5_s(u32::MAX, u32::MAX));
    // 15 % of nothing is nothing: it has to be better all the same.
    assert!(!after_5_s(0, 0));
    assert!(after_5_s(0, 1));
}

#[test]
fn a_challenger_has_to_be_better_for_5_s() {
    let mut damping = Damping::default();
    for now in (100..5_100).step_by(100) {
        assert_eq!(damping.handle_scores(ms(now), 100, Some((A, 120))), None);
        assert_eq!(damping.poll_timeout(), Some(ms(5_100)));
    }
    assert_eq!(damping.handle_scores(MonoTime(5_099_999), 100, Some((A, 120))), None);
    let switch = damping.handle_scores(ms(5_100), 100, Some((A, 120))).unwrap();
    assert_eq!((switch.to, switch.forced), (A, false));
    assert_eq!(damping.poll_timeout(), None);
}

#[test]
fn a_moment_of_being_no_better_starts_the_time_anew() {
    for pause in [Some((A, 114)), None] {
        let mut damping = Damping::default();
        assert_eq!(damping.handle_scores(ms(0), 100, Some((A, 120))), None);
        assert_eq!(damping.handle_scores(ms(4_000), 100, pause), None);
        assert_eq!(damping.poll_timeout(), None);
        assert_eq!(damping.handle_scores(ms(4_001), 100, Some((A, 120))), None);
        assert_eq!(damping.handle_scores(ms(9_000), 100, Some((A, 120))), None);
        assert!(damping.handle_scores(ms(9_001), 100, Some((A, 120))).is_some());
    }
}

#[test]
fn another_challenger_starts_the_time_anew() {
    let mut damping = Damping::default();
    assert_eq!(damping.handle_scores(ms(0), 100, Some((A, 120))), None);
    assert_eq!(damping.handle_scores(ms(3_000), 100, Some((B, 130))), None);
    assert_eq!(damping.handle_scores(ms(7_999), 100, Some((B, 130))), None);
    assert_eq!(damping.handle_scores(ms(8_000), 100, Some((B, 130))).unwrap().to, B);
}

#[test]
fn there_are_10_s_between_two_changes_of_mind() {
    let mut damping = Damping::default();
    assert_eq!(damping.handle_scores(ms(0), 100, Some((A, 120))), None);
    assert!(damping.handle_scores(ms(5_000), 100, Some((A, 120))).is_some());
    assert_eq!(damping.handle_scores(ms(6_000), 100, Some((B, 200))), None);
    assert_eq!(damping.poll_timeout(), Some(ms(15_000)));
    assert_eq!(damping.handle_scores(ms(14_999), 100, Some((B, 200))), None);
    assert_eq!(damping.handle_scores(ms(15_000), 100, Some((B, 200))).unwrap().to, B);
    // The 10 s may be over before the 5 s are.
    assert_eq!(damping.handle_scores(ms(24_000), 100, Some((A, 300))), None);
    assert_eq!(damping.handle_scores(ms(28_999), 100, Some((A, 300))), None);
    assert!(damping.handle_scores(ms(29_000), 100, Some((A, 300))).is_some());
}

#[test]
fn a_dead_parent_is_replaced_at_once_and_that_uses_nothing_up() {
    let mut damping = Damping::default();
    assert_eq!(damping.handle_loss(None), None);
    for _ in 0..3 {
        let switch = damping.handle_loss(Some(A)).unwrap();
        assert_eq!((switch.to, switch.forced), (A, true));
    }
    // Five seconds later a change of mind is free.
    assert_eq!(damping.handle_scores(ms(1_000), 100, Some((B, 120))), None);
    assert!(damping.handle_scores(ms(6_000), 100, Some((B, 120))).is_some());
    // And one that was used up stays so over a death.
    assert!(damping.handle_loss(Some(A)).is_some());
    assert_eq!(damping.handle_scores(ms(6_500), 100, Some((B, 120))), None);
    assert_eq!(damping.handle_scores(ms(15_999), 100, Some((B, 120))), None);
    assert!(damping.handle_scores(ms(16_000), 100, Some((B, 120))).is_some());
}

#[test]
fn a_challenger_starts_anew_after_the_one_it_was_better_than_died() {
    let mut damping = Damping::default();
    assert_eq!(damping.handle_scores(ms(0), 100, Some((B, 120))), None);
    assert!(damping.handle_loss(Some(A)).is_some());
    assert_eq!(damping.poll_timeout(), None);
    assert_eq!(damping.handle_scores(ms(5_000), 100, Some((B, 120))), None);
    assert!(damping.handle_scores(ms(10_000), 100, Some((B, 120))).is_some());
}

#[test]
fn time_that_runs_back_changes_nothing() {
    let mut damping = Damping::default();
    assert_eq!(damping.handle_scores(ms(9_000), 100, Some((A, 120))), None);
    assert_eq!(damping.handle_scores(ms(1_000), 100, Some((A, 120))), None);
    assert_eq!(damping.handle_scores(ms(13_999), 100, Some((A, 120))), None);
    assert!(damping.handle_scores(ms(14_000), 100, Some((A, 120))).is_some());
}
