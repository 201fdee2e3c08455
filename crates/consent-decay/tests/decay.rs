//! Tiers by age, and the promises that hold at every age.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use consent_decay::{Consent, ConsentClass, Error, Schedule, Tier};
use core_types::WallTime;
use proptest::prelude::*;

const DAY: u64 = 86_400_000;
const SKEW: u64 = 300_000;

fn class() -> impl Strategy<Value = ConsentClass> {
    prop::sample::select(&ConsentClass::ALL[..])
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let custom = prop::collection::btree_set(1..=Schedule::MAX_DAYS, 4)
        .prop_map(|days| Schedule::new(days.into_iter().collect::<Vec<_>>().try_into().unwrap()).unwrap());
    prop_oneof![class().prop_map(Schedule::of), custom]
}

/// Times up to the year 2500, and a few at the end of what 64 bits hold.
fn time() -> impl Strategy<Value = WallTime> {
    prop_oneof![8 => 0u64..16_725_225_600_000, 1 => u64::MAX - 10 * DAY..=u64::MAX].prop_map(WallTime)
}

/// The last and the first day of every band, to the millisecond.
#[test]
fn each_class_drops_a_tier_on_the_day_in_its_table() {
    use Tier::{DropHighQuality, DropRepair, EnvelopeOnly, Full, MinViable};
    let table = [
        (ConsentClass::Temporary, [4, 8, 11, 14]),
        (ConsentClass::Standard, [26, 51, 70, 90]),
        (ConsentClass::Persistent, [365, 2 * 365, 3 * 365, 4 * 365]),
    ];
    let admitted = WallTime(1_700_000_123_456);
    for (class, days) in table {
        let at =
            |ms: u64| Schedule::of(class).tier(admitted, WallTime(admitted.0 + ms), Consent::Given).unwrap();
        let tiers = [Full, DropRepair, DropHighQuality, MinViable, EnvelopeOnly];
        for (n, day) in days.into_iter().enumerate() {
            assert_eq!(at(day * DAY - 1), tiers[n], "{class:?}, the last moment before day {day}");
            assert_eq!(at(day * DAY), tiers[n + 1], "{class:?}, day {day}");
        }
        assert_eq!(at(0), Full);
        assert_eq!(at(1_000 * 365 * DAY), EnvelopeOnly);
    }
}

proptest! {
    #[test]
    fn a_tier_never_rises_with_time_and_age_never_deletes(schedule in schedule(), times in prop::array::uniform3(time())) {
        let mut times = times;
        times.sort();
        let [admitted, earlier, later] = times;
        let before = schedule.tier(admitted, earlier, Consent::Given).unwrap();
        let after = schedule.tier(admitted, later, Consent::Given).unwrap();
        prop_assert!(after <= before);
        prop_assert!(after > Tier::HardDelete);
    }

    #[test]
    fn revocation_deletes_at_any_age_and_any_date(schedule in schedule(), admitted in time(), now in time()) {
        prop_assert_eq!(schedule.tier(admitted, now, Consent::Revoked), Ok(Tier::HardDelete));
    }

    #[test]
    fn a_date_ahead_of_the_clock_is_refused_beyond_the_skew(schedule in schedule(), now in time(), ahead in 1u64..2 * SKEW) {
        prop_assume!(now.0 <= u64::MAX - ahead);
        let admitted = WallTime(now.0 + ahead);
        let tier = schedule.tier(admitted, now, Consent::Given);
        let change = schedule.next_change(admitted, now);
        if ahead <= SKEW {
            prop_assert_eq!(tier, Ok(Tier::Full));
        } else {
            let refused = Error::FutureAdmission { admitted, now };
            let said = format!("{ahead} ms ahead");
            prop_assert!(refused.to_string().contains(&said));
            prop_assert_eq!((tier, change), (Err(refused.clone()), Err(refused)));
        }
    }

    /// Nothing changes until the time announced, and then something does.
    #[test]
    fn the_next_change_is_when_the_tier_drops(schedule in schedule(), admitted in time(), age in 0u64..200 * 365 * DAY) {
        let Some(now) = admitted.0.checked_add(age).map(WallTime) else { return Ok(()) };
        let tier = |at: WallTime| schedule.tier(admitted, at, Consent::Given).unwrap();
        match schedule.next_change(admitted, now).unwrap() {
            Some(change) => {
                prop_assert!(change > now);
                prop_assert_eq!(tier(WallTime(change.0 - 1)), tier(now));
                prop_assert!(tier(change) < tier(now));
            }
            None => prop_assert_eq!(tier(WallTime(u64::MAX)), tier(now)),
        }
    }

    /// A clock that jumps about can only ever take more away.
    #[test]
    fn what_is_held_never_grows_whatever_the_clock_does(
        schedule in schedule(),
        admitted in time(),
        readings in prop::collection::vec((time(), prop::bool::weighted(0.05)), 1..40),
    ) {
        let mut held = Tier::Full;
        let mut lowest = Tier::Full;
        for (now, revoked) in readings {
            let consent = if revoked { Consent::Revoked } else { Consent::Given };
            let computed = schedule.tier(admitted, now, consent).unwrap_or(Tier::EnvelopeOnly);
            let next = held.merge(computed);
            lowest = lowest.min(computed);
            prop_assert!(next <= held && next <= computed);
            prop_assert_eq!(next, lowest);
            held = next;
        }
    }

    #[test]
    fn bands_are_accepted_exactly_when_they_ascend_within_the_limit(
        bands in prop::array::uniform4(prop_oneof![0u32..6, 36_520u32..36_530, any::<u32>()]),
    ) {
        let [a, b, c, d] = bands;
        let valid = 0 < a && a < b && b < c && c < d && d <= 36_525;
        prop_assert_eq!(Schedule::new(bands).is_ok(), valid);
        if !valid {
            prop_assert_eq!(Schedule::new(bands), Err(Error::Bands(bands)));
        }
    }
}

#[test]
fn tiers_are_ordered_from_nothing_to_everything() {
    use Tier::{DropHighQuality, DropRepair, EnvelopeOnly, Full, HardDelete, MinViable};
    let order = [Full, DropRepair, DropHighQuality, MinViable, EnvelopeOnly, HardDelete];
    assert!(order.windows(2).all(|pair| pair[0] > pair[1] && pair[0].merge(pair[1]) == pair[1]));
    assert!(Tier::ALL.iter().rev().eq(order.iter()));
}
