//! The court, and what a meter gives to sign. Evidence here is unsigned: what a signature is worth is tested apart.

mod what_is_signed;

use super::*;
use crate::{CapacityClaim, Error, Fault, Load, VerifiedClaim};
use core_types::{BitRate, Epoch, KeyId, Layer, MonoTime, StreamId, WallTime};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Wall time at monotonic time 0: the two have nothing to do with one another.
const EPOCH_MILLIS: u64 = 1_700_000_000_000;

fn peer(id: u8) -> KeyId {
    KeyId([id; 32])
}

fn at(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

fn wall(millis: u64) -> WallTime {
    WallTime(EPOCH_MILLIS + millis)
}

fn says(observer: u8, accused: u8, counter: u64, until: WallTime) -> VerifiedEvidence {
    VerifiedEvidence::assume(Evidence {
        observer: peer(observer),
        accused: peer(accused),
        stream: StreamId([3; 32]),
        epoch: Epoch(1),
        claim_counter: counter,
        expected: 60,
        delivered: 1,
        from: WallTime(until.0 - 2_000),
        until,
    })
}

/// A court among twenty advertisers.
fn court() -> Court {
    let mut court = Court::new(1_000).unwrap();
    court.set_advertisers(20);
    court
}

/// Observer `observer`, at home in a place of its own, says so at this time.
fn accuse(court: &mut Court, millis: u64, observer: u8, accused: u8) -> Inserted {
    let evidence = says(observer, accused, millis, wall(millis));
    court.insert(at(millis), wall(millis), u64::from(observer), &evidence).unwrap()
}

fn is_liar(court: &Court, millis: u64, who: u8) -> bool {
    court.standing(at(millis), peer(who)).liar
}

#[test]
fn three_observers_from_three_places_make_a_liar_and_two_do_not() {
    let mut court = court();
    assert_eq!(court.standing(at(0), peer(9)), Standing { trust: 1_000, liar: false });
    assert_eq!(accuse(&mut court, 0, 1, 9), Inserted::New);
    assert_eq!(court.standing(at(0), peer(9)), Standing { trust: 900, liar: false });
    assert_eq!(accuse(&mut court, 1_000, 2, 9), Inserted::New);
    assert_eq!(court.standing(at(1_000), peer(9)), Standing { trust: 800, liar: false });
    assert_eq!(accuse(&mut court, 59_999, 3, 9), Inserted::Convicted);
    assert_eq!(court.standing(at(59_999), peer(9)), Standing { trust: 0, liar: true });
    assert_eq!(court.standing(at(59_999), peer(8)), Standing { trust: 1_000, liar: false });
}

#[test]
fn observers_that_agree_over_more_than_a_minute_do_not_agree() {
    let mut court = court();
    accuse(&mut court, 0, 1, 9);
    accuse(&mut court, 1_000, 2, 9);
    assert_eq!(accuse(&mut court, 60_000, 3, 9), Inserted::New);
    assert!(!is_liar(&court, 60_000, 9));
}

#[test]
fn an_observer_counts_once_whatever_it_says() {
    let mut court = court();
    for counter in 0..50 {
        accuse(&mut court, counter * 100, 1, 9);
    }
    accuse(&mut court, 5_000, 2, 9);
    assert!(!is_liar(&court, 5_000, 9));
    assert_eq!(court.len(), 2);
    // Of one claim it is heard once, and of an older one not at all.
    let mut insert = |counter, millis| {
        court.insert(at(millis), wall(millis), 7, &says(7, 9, counter, wall(millis))).unwrap()
    };
    assert_eq!(insert(5, 6_000), Inserted::Convicted);
    assert_eq!(insert(5, 7_000), Inserted::Known);
    assert_eq!(insert(4, 7_000), Inserted::Known);
    assert_eq!(insert(7, 6_000), Inserted::Known);
    assert_eq!(insert(7, 7_000), Inserted::Convicted);
}

#[test]
fn many_identities_in_one_place_are_one_voice() {
    let mut court = court();
    for observer in 10..250 {
        let evidence = says(observer, 9, 1, wall(0));
        court.insert(at(0), wall(0), u64::from(observer % 2), &evidence).unwrap();
    }
    assert_eq!(court.standing(at(0), peer(9)), Standing { trust: 800, liar: false });
    accuse(&mut court, 0, 3, 9);
    assert!(is_liar(&court, 0, 9));
}

#[test]
fn who_accuses_more_than_half_of_everybody_is_not_believed_also_of_what_it_said_before() {
    let mut court = court();
    for accused in 101..=110 {
        for observer in [1, 2, 3] {
            accuse(&mut court, 0, observer, accused);
        }
    }
    assert!((101..=110).all(|accused| is_liar(&court, 0, accused)));
    accuse(&mut court, 1_000, 1, 111);
    assert!((101..=111).all(|accused| !is_liar(&court, 1_000, accused)));
    // Somebody who is believed brings it back for the one that it speaks against.
    accuse(&mut court, 2_000, 4, 105);
    assert!(is_liar(&court, 2_000, 105) && !is_liar(&court, 2_000, 106));
}

#[test]
fn until_the_number_of_advertisers_is_known_only_who_accuses_one_is_believed() {
    let mut court = Court::new(100).unwrap();
    for observer in [1, 2, 3] {
        accuse(&mut court, 0, observer, 9);
    }
    assert!(is_liar(&court, 0, 9));
    for observer in [1, 2, 3] {
        accuse(&mut court, 1, observer, 10);
    }
    assert!(!is_liar(&court, 1, 9) && !is_liar(&court, 1, 10));
}

#[test]
fn observers_under_accusation_themselves_do_not_count() {
    let mut court = court();
    accuse(&mut court, 0, 4, 1);
    accuse(&mut court, 0, 5, 1);
    for observer in [1, 2, 3] {
        accuse(&mut court, 1_000, observer, 9);
    }
    assert!(!is_liar(&court, 1_000, 9));
    accuse(&mut court, 2_000, 6, 9);
    assert!(is_liar(&court, 2_000, 9));
}

#[test]
fn two_identities_in_one_place_bring_no_observer_under_accusation() {
    let mut court = court();
    for accuser in [4, 5] {
        court.insert(at(0), wall(0), 77, &says(accuser, 1, 1, wall(0))).unwrap();
    }
    for observer in [1, 2, 3] {
        accuse(&mut court, 1_000, observer, 9);
    }
    assert!(is_liar(&court, 1_000, 9));
}

#[test]
fn an_observer_is_believed_again_a_minute_after_it_was_not() {
    let mut court = court();
    // One that was accused, and one that accused ten before.
    accuse(&mut court, 0, 4, 1);
    accuse(&mut court, 0, 5, 1);
    for accused in 101..=110 {
        accuse(&mut court, 0, 2, accused);
    }
    for observer in [1, 2, 3] {
        accuse(&mut court, 60_000, observer, 9);
    }
    assert!(is_liar(&court, 60_000, 9));
}

#[test]
fn however_many_voices_come_to_count_only_evidence_makes_a_liar() {
    let mut court = court();
    court.set_advertisers(100);
    for accuser in [4, 5] {
        for observer in 10..40 {
            accuse(&mut court, 0, accuser, observer);
        }
    }
    for observer in 10..40 {
        accuse(&mut court, 30_000, observer, 9);
    }
    assert_eq!(court.standing(at(59_999), peer(9)), Standing { trust: 1_000, liar: false });
    assert_eq!(court.standing(at(60_000), peer(9)), Standing { trust: 800, liar: false });
    accuse(&mut court, 60_000, 6, 9);
    assert!(is_liar(&court, 60_000, 9));
}

#[test]
fn a_liar_does_not_silence_those_who_found_it_out() {
    let mut court = court();
    for liar in [8, 9] {
        for observer in [1, 2, 3] {
            accuse(&mut court, 0, liar, observer);
        }
    }
    for liar in [8, 9] {
        for observer in [1, 2, 3] {
            accuse(&mut court, 1_000, observer, liar);
        }
    }
    assert!(is_liar(&court, 1_000, 8) && is_liar(&court, 1_000, 9));
    assert!([1, 2, 3].iter().all(|honest| !is_liar(&court, 1_000, *honest)));
}

#[test]
fn who_accuses_everybody_silences_nobody() {
    let mut court = court();
    for accuser in [8, 9] {
        for accused in (1..=3).chain(101..=109) {
            accuse(&mut court, 0, accuser, accused);
        }
    }
    for observer in [1, 2, 3] {
        accuse(&mut court, 1_000, observer, 50);
    }
    assert!(is_liar(&court, 1_000, 50));
}

#[test]
fn a_liars_word_is_worth_nothing_as_long_as_it_is_one() {
    let mut court = court();
    for liar in [8, 9] {
        for observer in [1, 2, 3] {
            accuse(&mut court, 0, observer, liar);
        }
    }
    // A minute later what was said against them is no accusation any more, but they are liars.
    for liar in [8, 9] {
        accuse(&mut court, 100_000, liar, 4);
        accuse(&mut court, 100_000, liar, 50);
    }
    accuse(&mut court, 100_000, 5, 50);
    assert!(!is_liar(&court, 100_000, 50));
    // Nor do they silence the one that they accuse.
    for observer in [4, 5, 6] {
        accuse(&mut court, 101_000, observer, 51);
    }
    assert!(is_liar(&court, 101_000, 51));
    // When their time is over they are heard again.
    for observer in [8, 9, 5] {
        accuse(&mut court, 400_000, observer, 52);
    }
    assert!(is_liar(&court, 400_000, 52));
}

#[test]
fn what_was_found_more_than_a_minute_ago_stands() {
    let mut court = court();
    for observer in [1, 2, 3] {
        accuse(&mut court, 0, observer, 9);
    }
    for accused in 101..=111 {
        accuse(&mut court, 60_000, 1, accused);
    }
    assert!(is_liar(&court, 60_000, 9));
}

#[test]
fn what_is_found_anew_is_found_by_all_that_was_said_then() {
    let mut court = court();
    for (millis, observer) in [(0, 1), (30_000, 2), (59_000, 3), (59_000, 4)] {
        accuse(&mut court, millis, observer, 9);
    }
    for accused in 101..=110 {
        accuse(&mut court, 100_000, 4, accused);
    }
    assert!(is_liar(&court, 100_000, 9));
}

#[test]
fn what_a_liar_said_before_it_was_found_out_is_found_anew_without_it() {
    let mut court = court();
    for observer in [7, 8, 9] {
        accuse(&mut court, 0, observer, 50);
    }
    assert!(is_liar(&court, 0, 50));
    for observer in [1, 2, 3] {
        accuse(&mut court, 1_000, observer, 9);
    }
    assert!(is_liar(&court, 1_000, 9) && !is_liar(&court, 1_000, 50));
}

#[test]
fn trust_comes_back_over_time_and_later_for_who_lies_again() {
    let mut court = court();
    let convict = |court: &mut Court, seconds: u64| {
        for observer in [1, 2, 3] {
            accuse(court, seconds * 1_000, observer, 9);
        }
        assert!(is_liar(court, seconds * 1_000, 9));
    };
    convict(&mut court, 0);
    assert!(is_liar(&court, 299_999, 9));
    let trust = |court: &Court, seconds: u64| court.standing(at(seconds * 1_000), peer(9));
    assert_eq!(trust(&court, 300), Standing { trust: 0, liar: false });
    assert_eq!(trust(&court, 600), Standing { trust: 500, liar: false });
    assert_eq!(trust(&court, 900), Standing { trust: 1_000, liar: false });
    // Again before it is trusted: 10 min, then 20, then 40 and no more than that.
    let mut seconds = 600;
    for term in [600, 1_200, 2_400, 2_400] {
        convict(&mut court, seconds);
        assert!(trust(&court, seconds + term - 1).liar && !trust(&court, seconds + term).liar, "{term}");
        seconds += term + 300;
    }
    // Once trusted it starts anew.
    seconds += 600;
    convict(&mut court, seconds);
    assert!(!trust(&court, seconds + 300).liar);
}

#[test]
fn evidence_that_goes_on_prolongs_the_time_without_doubling_it() {
    let mut court = court();
    for round in 0..10 {
        for observer in [1, 2, 3] {
            accuse(&mut court, round * 30_000, observer, 9);
        }
    }
    assert!(is_liar(&court, 270_000 + 299_999, 9) && !is_liar(&court, 270_000 + 300_000, 9));
}

#[test]
fn replays_of_old_evidence_do_not_count() {
    let mut court = court();
    let old: Vec<_> = [1, 2, 3].map(|observer| says(observer, 9, 1, wall(100_000))).into();
    // While it is fresh it is known, afterwards it is over.
    for millis in (100_000..400_000).step_by(1_000) {
        let result = court.insert(at(millis), wall(millis), 1, &old[0]);
        match millis {
            100_000 => assert_eq!(result, Ok(Inserted::New)),
            ..=160_000 => assert_eq!(result, Ok(Inserted::Known), "{millis}"),
            _ => assert_eq!(result.unwrap_err().fault(), Fault::Nobody, "{millis}"),
        }
    }
    let refused = court.insert(at(0), wall(160_001), 2, &old[1]).unwrap_err();
    assert_eq!(refused, Error::NotNow { what: "delivery evidence", peer: peer(2), why: "over" });
    assert!(court.insert(at(0), wall(160_000), 2, &old[1]).is_ok());
}

#[test]
fn defect_no_bound_on_future_dates() {
    let mut court = court();
    let ahead = |millis| says(1, 9, 1, wall(millis));
    let refused = court.insert(at(0), wall(0), 1, &ahead(5_001)).unwrap_err();
    assert_eq!(refused, Error::NotNow { what: "delivery evidence", peer: peer(1), why: "in the future" });
    assert_eq!(court.insert(at(0), wall(0), 1, &ahead(5_000)), Ok(Inserted::New));
    // It does not come to life again when the date is reached.
    assert_eq!(court.insert(at(64_999), wall(64_999), 1, &ahead(5_000)), Ok(Inserted::Known));
    assert!(court.insert(at(0), wall(0), 1, &ahead(u64::MAX - EPOCH_MILLIS)).is_err());
}

#[test]
fn defect_a_wall_clock_that_jumps_frees_nobody_and_convicts_nobody() {
    let mut court = court();
    for observer in [1, 2] {
        accuse(&mut court, 0, observer, 9);
    }
    // A year ahead, and the third says it then, a minute later by this node's own clock.
    let year = 365 * 86_400_000;
    let third = says(3, 9, 1, wall(year));
    assert_eq!(court.insert(at(60_000), wall(year), 3, &third), Ok(Inserted::New));
    let fourth = says(4, 9, 1, wall(year));
    court.insert(at(60_000), wall(year), 4, &fourth).unwrap();
    court.insert(at(60_000), wall(0), 5, &says(5, 9, 1, wall(0))).unwrap();
    assert!(is_liar(&court, 60_000, 9));
}

#[test]
fn a_full_court_lets_no_place_crowd_out_the_others() {
    let mut court = Court::new(100).unwrap();
    court.set_advertisers(1_000);
    // The oldest is from elsewhere.
    let elsewhere = says(100, 200, 1, wall(0));
    court.insert(at(0), wall(0), 8, &elsewhere).unwrap();
    for observer in 0..99 {
        court.insert(at(1), wall(0), 7, &says(observer, 200, 1, wall(0))).unwrap();
    }
    let more = court.insert(at(0), wall(0), 7, &says(150, 200, 1, wall(0)));
    assert_eq!(more, Err(Error::Limit { what: "delivery evidence", max: 100 }));
    for observer in [210, 211, 212] {
        accuse(&mut court, 1, observer, 201);
    }
    assert!(is_liar(&court, 1, 201));
    assert_eq!(court.insert(at(1), wall(0), 8, &elsewhere), Ok(Inserted::Known));
    assert_eq!(court.len(), 100);
    // What replaces an older word needs none.
    court.insert(at(1), wall(1), 8, &says(100, 200, 2, wall(1))).unwrap();
    assert_eq!(court.len(), 100);
    // What is forgotten makes room.
    court.insert(at(129_999), wall(100_000), 7, &says(151, 200, 1, wall(100_000))).unwrap_err();
    court.insert(at(130_001), wall(100_000), 7, &says(151, 200, 1, wall(100_000))).unwrap();
    assert_eq!(court.len(), 1);
}

#[test]
fn two_places_do_not_take_turns_in_driving_each_other_out() {
    let mut court = Court::new(3).unwrap();
    for (observer, origin) in [(1, 7), (2, 7), (3, 8)] {
        court.insert(at(0), wall(0), origin, &says(observer, 9, 1, wall(0))).unwrap();
    }
    assert!(court.insert(at(0), wall(0), 8, &says(4, 9, 1, wall(0))).is_err());
    assert!(court.insert(at(0), wall(0), 6, &says(5, 9, 1, wall(0))).is_ok());
}

#[test]
fn of_too_many_liars_the_one_longest_ago_is_forgotten() {
    let mut court = Court::new(3).unwrap();
    for (round, liar) in (0..).zip(50..54) {
        for observer in [1, 2, 3] {
            accuse(&mut court, round * 140_000, observer, liar);
        }
    }
    let trust = |liar| court.standing(at(420_000), peer(liar)).trust;
    assert_eq!([50, 51, 52, 53].map(trust), [1_000, 0, 0, 0]);
}

#[test]
fn a_court_has_a_capacity() {
    assert!(Court::new(0).is_err() && Court::new(16_385).is_err());
    assert!(Court::new(Court::MAX_CAPACITY).unwrap().is_empty());
}

/// (time in ms since the one before, observer, accused, origin)
fn accusations(observers: core::ops::Range<u8>) -> impl Strategy<Value = Vec<(u64, u8, u8, u64)>> {
    prop::collection::vec((0_u64..20_000, observers, 0_u8..12, 0_u64..6), 0..200)
}

proptest! {
    #[test]
    fn fewer_than_three_colluders_or_places_convict_nobody(
        list in accusations(0..12),
        by_place: bool,
        capacity in 1_usize..40,
    ) {
        let mut court = Court::new(capacity).unwrap();
        court.set_advertisers(12);
        let mut now = 0;
        for (after, observer, accused, origin) in list {
            now += after;
            // Two identities anywhere, or any number of them in two places.
            let (observer, origin) = if by_place { (observer, origin % 2) } else { (observer % 2, origin) };
            if observer != accused {
                let _ = court.insert(at(now), wall(now), origin, &says(observer, accused, now, wall(now)));
            }
            for who in 0..12 {
                prop_assert!(!is_liar(&court, now, who));
                prop_assert!(court.standing(at(now), peer(who)).trust >= 800);
            }
        }
    }

    #[test]
    fn a_liar_is_accused_by_three_places_within_a_minute_and_memory_is_bounded(
        list in accusations(0..12),
        capacity in 1_usize..40,
    ) {
        let mut court = Court::new(capacity).unwrap();
        court.set_advertisers(12);
        let (mut now, mut log) = (0, Vec::new());
        for (after, observer, accused, origin) in list {
            now += after;
            if observer == accused {
                continue;
            }
            let result = court.insert(at(now), wall(now), origin, &says(observer, accused, now, wall(now)));
            if matches!(result, Ok(Inserted::New | Inserted::Convicted)) {
                log.push((now, observer, accused, origin));
            }
            prop_assert!(court.len() <= capacity);
            if result == Ok(Inserted::Convicted) {
                let recent: Vec<_> =
                    log.iter().filter(|(when, _, who, _)| now - when < 60_000 && *who == accused).collect();
                let observers: BTreeSet<_> = recent.iter().map(|said| said.1).collect();
                let places: BTreeSet<_> = recent.iter().map(|said| said.3).collect();
                prop_assert!(observers.len() >= 3 && places.len() >= 3);
            }
        }
    }

    #[test]
    fn three_honest_observers_convict_whatever_two_liars_say_meanwhile(
        noise in prop::collection::vec((0_u8..2, 2_u8..12), 0..60),
        when in prop::collection::vec(0_usize..60, 3),
    ) {
        // 0 and 1 lie; 2, 3 and 4 find out that 0 does. Each is in a place of its own.
        let mut court = Court::new(1_000).unwrap();
        court.set_advertisers(30);
        for step in 0..60 {
            let now = step as u64 * 900;
            if let Some((liar, accused)) = noise.get(step) {
                accuse(&mut court, now, *liar, *accused);
            }
            for (honest, its) in (2..).zip(&when) {
                if *its == step {
                    accuse(&mut court, now, honest, 0);
                }
            }
        }
        prop_assert!(is_liar(&court, 59 * 900, 0));
        prop_assert!((2..12).all(|honest| !is_liar(&court, 59 * 900, honest)));
    }
}
