//! What a meter gives to sign.

use super::*;

fn claim() -> CapacityClaim {
    CapacityClaim {
        advertiser: peer(9),
        stream: None,
        epoch: Epoch(4),
        counter: 17,
        uplink: BitRate::from_kbit(10_000),
        max_streams: 4,
        max_subscribers: 8,
        layers: Layer::BASE,
        commitments: Vec::new(),
        load: Load::default(),
        way: Vec::new(),
        issued_at: wall(0),
        valid_until: wall(30_000),
    }
}

/// A parent that answers and brings one chunk in ten for three seconds.
fn meter() -> DeliveryMeter {
    let mut meter = DeliveryMeter::new();
    for chunk in 0..300 {
        meter.handle_expected(at(chunk * 10), peer(9), 1).unwrap();
        if chunk % 10 == 0 {
            meter.handle_delivered(at(chunk * 10), peer(9), 1, 1_000).unwrap();
        }
    }
    meter
}

fn made(meter: &DeliveryMeter, millis: u64, claim: CapacityClaim) -> Option<Evidence> {
    let claim = VerifiedClaim::assume(claim);
    meter.evidence(at(millis), wall(millis), peer(1), StreamId([3; 32]), &claim)
}

#[test]
fn evidence_is_of_the_last_two_seconds_and_of_the_claim() {
    let evidence = made(&meter(), 3_000, claim()).unwrap();
    assert_eq!((evidence.observer, evidence.accused), (peer(1), peer(9)));
    assert_eq!((evidence.epoch, evidence.claim_counter), (Epoch(4), 17));
    assert_eq!((evidence.from, evidence.until), (wall(1_000), wall(3_000)));
    assert!((165..=180).contains(&evidence.expected), "{evidence:?}");
    assert!((18..=20).contains(&evidence.delivered), "{evidence:?}");
}

#[test]
fn only_who_claims_room_now_and_was_heard_is_accused() {
    let meter = meter();
    let with = |change: &dyn Fn(&mut CapacityClaim)| {
        let mut claim = claim();
        change(&mut claim);
        made(&meter, 3_000, claim)
    };
    assert!(with(&|c| c.stream = Some(StreamId([3; 32]))).is_some());
    assert!(with(&|c| c.stream = Some(StreamId([4; 32]))).is_none());
    assert!(with(&|c| c.uplink = BitRate(0)).is_none());
    assert!(with(&|c| c.max_streams = 0).is_none());
    assert!(with(&|c| c.max_subscribers = 0).is_none());
    assert!(with(&|c| c.valid_until = wall(3_000)).is_none());
    assert!(with(&|c| c.advertiser = peer(8)).is_none());
    // Nothing was ever heard from this one: it may never have been asked.
    let mut silent = DeliveryMeter::new();
    for chunk in 0..300 {
        silent.handle_expected(at(chunk * 10), peer(9), 1).unwrap();
    }
    assert_eq!(silent.verdict(at(3_000), peer(9)), Verdict::Short { permille: 0 });
    assert!(made(&silent, 3_000, claim()).is_none());
    assert!(made(&silent, 1_500, claim()).is_none());
    silent.handle_answered(at(500), peer(9)).unwrap();
    assert!(made(&silent, 2_500, claim()).is_some());
    assert!(made(&silent, 2_501, claim()).is_none());
}

#[test]
fn what_was_expected_while_a_parent_was_unreachable_is_not_held_against_it() {
    let mut meter = meter();
    let expect = |meter: &mut DeliveryMeter, from: u64, until: u64| {
        for now in (from..until).step_by(10) {
            meter.handle_expected(at(now), peer(9), 1).unwrap();
        }
    };
    expect(&mut meter, 3_000, 5_000);
    meter.handle_unanswered(at(4_000), peer(9)).unwrap();
    meter.handle_unanswered(at(5_000), peer(9)).unwrap();
    assert_eq!(meter.verdict(at(5_000), peer(9)), Verdict::Unreachable);
    meter.handle_answered(at(5_000), peer(9)).unwrap();
    let mut last = 5_000;
    for (millis, accused) in [(5_001, false), (6_000, false), (7_000, false), (7_001, true)] {
        expect(&mut meter, last, millis);
        last = millis;
        meter.handle_answered(at(millis), peer(9)).unwrap();
        assert!(matches!(meter.verdict(at(millis), peer(9)), Verdict::Short { .. }), "{millis}");
        assert_eq!(made(&meter, millis, claim()).is_some(), accused, "{millis}");
    }
}

#[test]
fn neither_a_congested_path_nor_a_good_parent_is_accused() {
    let mut meter = meter();
    meter.handle_congestion(at(2_900), peer(9), true).unwrap();
    assert!(made(&meter, 3_000, claim()).is_none());
    let mut good = DeliveryMeter::new();
    for chunk in 0..300 {
        good.handle_expected(at(chunk * 10), peer(9), 1).unwrap();
        good.handle_delivered(at(chunk * 10), peer(9), 1, 1_000).unwrap();
    }
    assert!(made(&good, 3_000, claim()).is_none());
}
