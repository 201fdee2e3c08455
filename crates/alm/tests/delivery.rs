//! Parents that deliver, that can't, that are gone and that lie; and the evidence of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use alm::delivery::{DeliveryMeter, Evidence, Verdict};
use alm::{Error, Fault};
use core_types::{BitRate, Epoch, KeyId, MonoTime, StreamId, WallTime};
use identity::{Domain, HybridSignature, Identity, Seed};
use proptest::prelude::*;
use std::sync::LazyLock;

const PARENT: KeyId = KeyId([1; 32]);
const OTHER: KeyId = KeyId([2; 32]);

fn at(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

/// Tells of a stream of so many chunks a second, all of them the parent's, of which so many in a thousand come; from one
/// time to another.
fn stream(meter: &mut DeliveryMeter, millis: core::ops::Range<u64>, per_second: u64, permille: u64) {
    let (mut sent, mut came) = (0, 0);
    for now in millis.clone() {
        let due = (now - millis.start) * per_second / 1_000;
        if due > sent {
            sent = due;
            meter.handle_expected(at(now), PARENT, 1).unwrap();
            if sent * permille / 1_000 > came {
                came += 1;
                meter.handle_delivered(at(now), PARENT, 1, 1_000).unwrap();
            }
        }
    }
}

/// When the verdict is first this, in milliseconds.
fn first(meter: &mut DeliveryMeter, per_second: u64, is_it: impl Fn(Verdict) -> bool) -> Option<u64> {
    (0..50).map(|step| step * 100).find(|begin| {
        stream(meter, *begin..begin + 100, per_second, 0);
        is_it(meter.verdict(at(begin + 100), PARENT))
    })
}

#[test]
fn a_parent_that_takes_a_share_and_delivers_nothing_is_found_within_two_seconds() {
    let is_short = |verdict| verdict == Verdict::Short { permille: 0 };
    // A whole stream of 30 chunks a second, then a fourth part of it.
    let whole = first(&mut DeliveryMeter::new(), 30, is_short).unwrap();
    assert!((900..1_200).contains(&whole), "{whole}");
    let mut meter = DeliveryMeter::new();
    let mut found = None;
    for now in (0..3_000).step_by(133) {
        meter.handle_expected(at(now), PARENT, 1).unwrap();
        // It answers, and claims whatever it likes.
        meter.handle_answered(at(now), PARENT).unwrap();
        if found.is_none() && is_short(meter.verdict(at(now), PARENT)) {
            found = Some(now);
        }
    }
    assert!(found.unwrap() < 1_500, "{found:?}");
}

#[test]
fn half_of_a_share_is_enough_and_less_is_short() {
    for (permille, is_good) in [(1_000, true), (700, true), (520, true), (400, false), (100, false)] {
        let mut meter = DeliveryMeter::new();
        stream(&mut meter, 0..5_000, 100, permille);
        let verdict = meter.verdict(at(5_000), PARENT);
        if is_good {
            assert_eq!(verdict, Verdict::Good, "{permille}");
        } else {
            let Verdict::Short { permille: got } = verdict else { panic!("{permille}: {verdict:?}") };
            // The time that chunks may take is to the parent's favour: up to a tenth of the two seconds.
            assert!((permille..permille * 10 / 9 + 10).contains(&u64::from(got)), "{got} for {permille}");
        }
    }
}

#[test]
fn a_parent_is_measured_against_what_the_publisher_really_sent() {
    // A slide show: the claim was for megabits, a chunk each five seconds is all that there is.
    let mut meter = DeliveryMeter::new();
    for now in (0..60_000).step_by(5_000) {
        meter.handle_expected(at(now), PARENT, 1).unwrap();
        assert_eq!(meter.verdict(at(now + 2_000), PARENT), Verdict::Unknown);
    }
    // A publisher that pauses makes nobody short.
    let mut meter = DeliveryMeter::new();
    stream(&mut meter, 0..5_000, 30, 1_000);
    for now in 5_000..9_000 {
        assert!(matches!(meter.verdict(at(now), PARENT), Verdict::Good | Verdict::Unknown));
    }
    assert_eq!(meter.verdict(at(9_000), PARENT), Verdict::Unknown);
}

#[test]
fn each_parent_is_measured_against_its_own_share() {
    let mut meter = DeliveryMeter::new();
    for now in (0..2_000).step_by(10) {
        // The other has nine stripes of ten, and brings them.
        meter.handle_expected(at(now), OTHER, 9).unwrap();
        meter.handle_delivered(at(now), OTHER, 9, 9_000).unwrap();
        meter.handle_expected(at(now), PARENT, 1).unwrap();
        meter.handle_delivered(at(now), PARENT, 1, 1_000).unwrap();
    }
    assert_eq!(meter.verdict(at(2_000), PARENT), Verdict::Good);
    assert_eq!(meter.delivered_rate(at(1_999), PARENT), BitRate(800_000));
    assert_eq!(meter.delivered_rate(at(1_999), OTHER), BitRate(7_200_000));
    assert_eq!(meter.delivered_rate(at(4_000), PARENT), BitRate(0));
}

#[test]
fn defect_a_new_parent_counts_as_silent_at_once() {
    let mut meter = DeliveryMeter::new();
    // A great deal is expected at once, of a parent that was idle before and of one that is new.
    meter.handle_answered(at(0), PARENT).unwrap();
    for now in (10_000..11_000).step_by(10) {
        for parent in [PARENT, OTHER] {
            meter.handle_expected(at(now), parent, 10).unwrap();
            assert_eq!(meter.verdict(at(now), parent), Verdict::Unknown);
        }
    }
    assert_eq!(meter.verdict(at(11_000), OTHER), Verdict::Short { permille: 0 });
    assert_eq!(meter.verdict(at(11_000), KeyId([9; 32])), Verdict::Unknown);
}

#[test]
fn chunks_that_are_still_on_their_way_are_not_missed() {
    // Everything comes 190 ms after it is expected.
    let mut meter = DeliveryMeter::new();
    for now in (0_u64..1_400).step_by(10) {
        meter.handle_expected(at(now), PARENT, 1).unwrap();
        if now >= 190 {
            meter.handle_delivered(at(now), PARENT, 1, 1_000).unwrap();
        }
        if now >= 1_000 {
            assert_eq!(meter.verdict(at(now), PARENT), Verdict::Good);
        }
    }
}

#[test]
fn a_parent_that_does_not_even_answer_is_unreachable_not_a_liar() {
    let mut meter = DeliveryMeter::new();
    stream(&mut meter, 0..1_000, 30, 1_000);
    stream(&mut meter, 1_000..3_000, 30, 0);
    meter.handle_unanswered(at(2_500), PARENT).unwrap();
    assert_eq!(meter.verdict(at(3_000), PARENT), Verdict::Short { permille: 0 });
    meter.handle_unanswered(at(3_000), PARENT).unwrap();
    assert_eq!(meter.verdict(at(3_000), PARENT), Verdict::Unreachable);
    // One answer, and it is there.
    meter.handle_answered(at(3_000), PARENT).unwrap();
    assert_eq!(meter.verdict(at(3_000), PARENT), Verdict::Short { permille: 0 });
    meter.handle_unanswered(at(3_600), PARENT).unwrap();
    assert_eq!(meter.verdict(at(3_600), PARENT), Verdict::Short { permille: 0 });
    // Two lost pings among what is delivered are no silence.
    stream(&mut meter, 3_600..6_000, 30, 1_000);
    meter.handle_unanswered(at(6_000), PARENT).unwrap();
    meter.handle_unanswered(at(6_000), PARENT).unwrap();
    assert_eq!(meter.verdict(at(6_000), PARENT), Verdict::Good);
}

#[test]
fn a_congested_path_is_told_from_a_lie_and_excuses_nobody_who_delivers() {
    let mut meter = DeliveryMeter::new();
    stream(&mut meter, 0..3_000, 30, 200);
    for now in [2_000, 2_200, 2_400, 2_600] {
        meter.handle_congestion(at(now), PARENT, now != 2_000).unwrap();
    }
    assert_eq!(meter.verdict(at(3_000), PARENT), Verdict::Congested);
    // Two seconds later the queue is gone.
    stream(&mut meter, 3_000..5_000, 30, 200);
    for now in [3_000, 3_400, 4_600, 4_800] {
        meter.handle_congestion(at(now), PARENT, now == 3_000).unwrap();
    }
    assert!(matches!(meter.verdict(at(5_000), PARENT), Verdict::Short { .. }));

    let mut meter = DeliveryMeter::new();
    stream(&mut meter, 0..3_000, 30, 900);
    meter.handle_congestion(at(2_900), PARENT, true).unwrap();
    assert_eq!(meter.verdict(at(3_000), PARENT), Verdict::Good);
}

#[test]
fn a_parent_that_always_says_that_it_sheds_is_believed_for_four_seconds() {
    let mut meter = DeliveryMeter::new();
    let mut verdicts = Vec::new();
    for step in 0..100 {
        stream(&mut meter, step * 100..step * 100 + 100, 50, 100);
        meter.handle_shedding(at(step * 100 + 99), PARENT).unwrap();
        verdicts.push(meter.verdict(at(step * 100 + 100), PARENT));
    }
    assert!(verdicts[15..40].iter().all(|verdict| *verdict == Verdict::Congested));
    assert!(verdicts[42..].iter().all(|verdict| matches!(verdict, Verdict::Short { .. })));
    // Half a minute later it may have had to once more; and having said so once is no excuse for longer than two seconds.
    meter.handle_shedding(at(40_000), PARENT).unwrap();
    stream(&mut meter, 38_500..43_000, 50, 100);
    assert_eq!(meter.verdict(at(41_900), PARENT), Verdict::Congested);
    assert!(matches!(meter.verdict(at(42_000), PARENT), Verdict::Short { .. }));
}

#[test]
fn of_a_share_that_has_ended_the_end_alone_is_not_looked_at() {
    // Good for two seconds and silent for 300 ms; then its share is given to another.
    let mut meter = DeliveryMeter::new();
    stream(&mut meter, 0..2_000, 30, 1_000);
    stream(&mut meter, 2_000..2_300, 30, 0);
    for now in (2_300..4_800).step_by(100) {
        meter.handle_answered(at(now), PARENT).unwrap();
        let verdict = meter.verdict(at(now), PARENT);
        assert!(matches!(verdict, Verdict::Good | Verdict::Unknown), "{now}: {verdict:?}");
    }
    // One that sent nothing from the first on is short all the same.
    let mut meter = DeliveryMeter::new();
    stream(&mut meter, 0..300, 30, 0);
    assert_eq!(meter.verdict(at(1_200), PARENT), Verdict::Short { permille: 0 });
}

#[test]
fn how_much_of_a_share_came_is_said_in_permille() {
    let mut meter = DeliveryMeter::new();
    assert_eq!(meter.delivered_permille(at(0), PARENT), None);
    stream(&mut meter, 0..500, 30, 1_000);
    assert_eq!(meter.delivered_permille(at(500), PARENT), None, "too early");
    stream(&mut meter, 500..6_000, 30, 700);
    let permille = meter.delivered_permille(at(6_000), PARENT).unwrap();
    assert!((690..=800).contains(&permille), "{permille}");
    stream(&mut meter, 6_000..9_000, 30, 1_000);
    assert_eq!(meter.delivered_permille(at(9_000), PARENT), Some(1_000), "what is on its way counts as come");
}

#[test]
fn parents_are_limited_and_forgotten_ones_make_room() {
    let mut meter = DeliveryMeter::new();
    for id in 0..DeliveryMeter::MAX_PARENTS as u8 {
        meter.handle_expected(at(0), KeyId([id; 32]), u32::MAX).unwrap();
        meter.handle_delivered(at(0), KeyId([id; 32]), u32::MAX, u64::MAX).unwrap();
        meter.handle_delivered(at(0), KeyId([id; 32]), u32::MAX, u64::MAX).unwrap();
    }
    let refused = meter.handle_answered(at(0), KeyId([200; 32]));
    assert_eq!(refused, Err(Error::Limit { what: "measured parent", max: 64 }));
    meter.remove_parent(PARENT);
    meter.handle_answered(at(0), KeyId([200; 32])).unwrap();
}

proptest! {
    #[test]
    fn whatever_comes_early_late_or_twice_an_honest_parent_is_never_short(
        delays in prop::collection::vec(0_u64..190, 300),
        gap in 5_u64..200,
    ) {
        let mut meter = DeliveryMeter::new();
        let mut events: Vec<(u64, bool)> = Vec::new();
        for (chunk, delay) in (0..).zip(&delays) {
            events.push((chunk * gap, false));
            events.push((chunk * gap + delay, true));
        }
        events.sort();
        for (now, is_delivery) in events {
            if is_delivery {
                meter.handle_delivered(at(now), PARENT, 1, 1_000).unwrap();
            } else {
                meter.handle_expected(at(now), PARENT, 1).unwrap();
            }
            let verdict = meter.verdict(at(now), PARENT);
            prop_assert!(matches!(verdict, Verdict::Good | Verdict::Unknown), "{verdict:?} at {now}");
        }
    }
}

static OBSERVER: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([1; 64])).unwrap());
static MALLORY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([2; 64])).unwrap());
static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| evidence().sign(&OBSERVER).unwrap());
const DOMAIN: Domain = Domain::new("holomesh delivery evidence v1");

fn evidence() -> Evidence {
    Evidence {
        observer: OBSERVER.key_id(),
        accused: PARENT,
        stream: StreamId([3; 32]),
        epoch: Epoch(4),
        claim_counter: 5,
        expected: 60,
        delivered: 7,
        from: WallTime(1_000_000),
        until: WallTime(1_002_000),
    }
}

fn signed_by(signer: &Identity, domain: Domain, payload: &[u8]) -> Vec<u8> {
    let signature = signer.sign(domain, payload).unwrap();
    [payload, &signature.to_bytes()].concat()
}

fn payload() -> Vec<u8> {
    SIGNED[..SIGNED.len() - HybridSignature::LEN].to_vec()
}

#[test]
fn evidence_round_trips_and_its_bytes_are_those_of_the_specification() {
    assert_eq!(*Evidence::verify(&SIGNED, OBSERVER.public()).unwrap(), evidence());
    let mut expected = vec![1];
    for id in [OBSERVER.key_id().0, [1; 32], [3; 32]] {
        expected.extend(id);
    }
    for (width, value) in [(8, 4_u64), (8, 5), (4, 60), (4, 7), (8, 1_000_000), (8, 1_002_000)] {
        expected.extend(&value.to_be_bytes()[8 - width..]);
    }
    assert_eq!(payload(), expected);
    assert_eq!(SIGNED.len(), 3_510);
}

#[test]
fn only_its_observer_signs_evidence_and_in_its_own_domain() {
    let refused = evidence().sign(&MALLORY).unwrap_err();
    assert_eq!(refused.fault(), Fault::Caller);
    let forged = signed_by(&MALLORY, DOMAIN, &payload());
    assert!(matches!(Evidence::verify(&forged, MALLORY.public()), Err(Error::Malformed { .. })));
    assert!(matches!(Evidence::verify(&forged, OBSERVER.public()), Err(Error::Identity(_))));
    let other = signed_by(&OBSERVER, Domain::new("holomesh permit v1"), &payload());
    assert!(matches!(Evidence::verify(&other, OBSERVER.public()), Err(Error::Identity(_))));
    assert!(Evidence::verify(&signed_by(&OBSERVER, DOMAIN, &payload()), OBSERVER.public()).is_ok());
}

#[test]
fn evidence_that_says_nothing_is_neither_signed_nor_taken() {
    let good = evidence();
    let with = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = good.clone();
        change(&mut evidence);
        evidence
    };
    for nonsense in [
        with(&|e| e.accused = e.observer),
        with(&|e| (e.expected, e.delivered) = (5, 0)),
        with(&|e| e.delivered = 30),
        with(&|e| e.delivered = u32::MAX),
        with(&|e| e.until = e.from),
        with(&|e| e.until = WallTime(e.from.0 - 1)),
        with(&|e| e.until = WallTime(e.from.0 + 10_001)),
    ] {
        assert_eq!(nonsense.sign(&OBSERVER).unwrap_err().fault(), Fault::Caller, "{nonsense:?}");
        // One that signs it all the same.
        let mut bytes = payload();
        bytes[33..65].copy_from_slice(&nonsense.accused.0);
        bytes[113..117].copy_from_slice(&nonsense.expected.to_be_bytes());
        bytes[117..121].copy_from_slice(&nonsense.delivered.to_be_bytes());
        bytes[129..137].copy_from_slice(&nonsense.until.0.to_be_bytes());
        let refused = Evidence::verify(&signed_by(&OBSERVER, DOMAIN, &bytes), OBSERVER.public()).unwrap_err();
        assert!(matches!(refused, Error::Malformed { .. }), "{nonsense:?}: {refused}");
    }
    for sense in [
        with(&|e| (e.expected, e.delivered) = (6, 2)),
        with(&|e| e.delivered = 29),
        with(&|e| e.until = WallTime(e.from.0 + 10_000)),
    ] {
        assert!(sense.sign(&OBSERVER).is_ok(), "{sense:?}");
    }
    let mut newer = payload();
    newer[0] = 2;
    let refused = Evidence::verify(&signed_by(&OBSERVER, DOMAIN, &newer), OBSERVER.public());
    assert_eq!(refused, Err(Error::Malformed { what: "delivery evidence", why: "unknown version" }));
}

#[test]
fn evidence_cut_short_or_with_more_behind_is_refused() {
    for len in [0, 1, 136, 137, 3_373, SIGNED.len() - 1] {
        assert!(matches!(Evidence::verify(&SIGNED[..len], OBSERVER.public()), Err(Error::Malformed { .. })));
    }
    let longer = [SIGNED.as_slice(), &[0]].concat();
    assert!(matches!(Evidence::verify(&longer, OBSERVER.public()), Err(Error::Malformed { .. })));
    let extra = signed_by(&OBSERVER, DOMAIN, &[payload().as_slice(), &[0]].concat());
    assert!(matches!(Evidence::verify(&extra, OBSERVER.public()), Err(Error::Malformed { .. })));
}

#[test]
fn defect_the_signature_leaves_out_fields() {
    // Every bit of what is signed, not only of some fields.
    for bit in 0..payload().len() * 8 {
        let mut bytes = SIGNED.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Evidence::verify(&bytes, OBSERVER.public()).is_err(), "bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_flipped_bit_and_no_random_bytes_pass(bit in 0..3_510_usize * 8, noise in prop::collection::vec(any::<u8>(), 0..4_000)) {
        let mut bytes = SIGNED.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Evidence::verify(&bytes, OBSERVER.public()).is_err());
        prop_assert!(Evidence::verify(&noise, OBSERVER.public()).is_err());
    }
}
