//! How many repair symbols a hop forwards.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_congestion::{RepairConfig, RepairShare};
use core_types::MonoTime;
use proptest::prelude::*;

fn ms(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

#[test]
fn all_until_something_is_known_and_again_when_nothing_is() {
    let mut share = RepairShare::new(RepairConfig::default()).unwrap();
    share.on_loss(ms(0), None);
    assert_eq!(share.share(ms(1)), 1_000);
    share.on_loss(ms(100), Some(0));
    assert_eq!(share.share(ms(100)), 100, "the floor");
    share.on_loss(ms(9_000), None);
    assert_eq!((share.share(ms(10_000)), share.share(ms(10_100))), (100, 1_000));
}

#[test]
fn what_mean_loss_asks_for_with_a_margin() {
    let config = RepairConfig { floor_permille: 50, made_permille: 500, margin_permille: 2_000 };
    // 2 p / (1 − p) of the source symbols, when half as many repair symbols were made.
    for (loss, expected) in
        [(0, 50), (10, 41), (50, 211), (100, 445), (200, 1_000), (1_000, 1_000), (u16::MAX, 1_000)]
    {
        let mut share = RepairShare::new(config).unwrap();
        share.on_loss(ms(0), Some(loss));
        assert_eq!(share.share(ms(0)), expected.max(50), "{loss}");
    }
}

#[test]
fn a_publisher_makes_what_the_hop_needs_and_the_hop_takes_all_of_that() {
    let mut share = RepairShare::new(RepairConfig::default()).unwrap();
    assert_eq!((share.needed(ms(0)), share.share_of(ms(0), 250)), (None, 1_000), "nothing is known");
    for (loss, needed) in [(0, 0), (20, 41), (100, 223), (500, 2_000), (1_000, 10_000)] {
        share.on_loss(ms(0), Some(loss));
        assert_eq!(share.needed(ms(0)), Some(needed), "{loss}");
        // Also when it makes none yet, or no more than is allowed.
        assert_eq!(share.share_of(ms(0), 0), 1_000);
        if needed > 0 {
            assert!(share.share_of(ms(0), needed.min(1_000)) >= 995, "{loss}");
        }
    }
    // Twice as many as it needs: half of them.
    let mut share = RepairShare::new(RepairConfig::default()).unwrap();
    share.on_loss(ms(0), Some(100));
    assert_eq!(share.share_of(ms(0), 445), 500);
    assert_eq!(share.needed(ms(11_000)), None, "that was long ago");
}

#[test]
fn up_at_once_and_down_slowly() {
    let mut share = RepairShare::new(RepairConfig::default()).unwrap();
    share.on_loss(ms(0), Some(0));
    share.on_loss(ms(100), Some(80));
    let peak = share.share(ms(100));
    assert!(peak > 500);
    let mut last = peak;
    let mut at_floor = None;
    for n in 2..400 {
        share.on_loss(ms(n * 100), Some(0));
        let now = share.share(ms(n * 100));
        assert!(now <= last && (n > 30 || now == peak), "{n}: {now}");
        if now == 100 {
            at_floor = at_floor.or(Some(n));
        }
        last = now;
    }
    assert!((80..200).contains(&at_floor.unwrap()), "{at_floor:?}");
}

#[test]
fn configurations_that_can_not_work_are_refused() {
    let good = RepairConfig::default();
    for bad in [
        RepairConfig { floor_permille: 0, ..good },
        RepairConfig { floor_permille: 1_001, ..good },
        RepairConfig { made_permille: 0, ..good },
        RepairConfig { margin_permille: 999, ..good },
    ] {
        assert!(RepairShare::new(bad).is_err());
    }
}

proptest! {
    /// Never below what the last figure asks for, never above what the worst of the last while asks for.
    #[test]
    fn between_the_last_and_the_worst(losses in prop::collection::vec((0_u64..9_000, 0_u16..1_200), 1..60)) {
        let of = |loss: u16| {
            let mut share = RepairShare::new(RepairConfig::default()).unwrap();
            share.on_loss(ms(0), Some(loss));
            share.share(ms(0))
        };
        let mut share = RepairShare::new(RepairConfig::default()).unwrap();
        let (mut now, mut worst) = (0, 0);
        for (gap, loss) in losses {
            now += gap;
            share.on_loss(ms(now), Some(loss));
            worst = worst.max(loss);
            let got = share.share(ms(now));
            prop_assert!(got >= of(loss) && got <= of(worst), "{got}");
            prop_assert!((100..=1_000).contains(&got));
        }
    }
}
