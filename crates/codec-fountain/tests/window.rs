//! Small objects survive bursts of losses, by what those after them bring.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_fountain::{Pace, WindowConfig, WindowDecoder, WindowEncoder};
use core_types::ObjectSeq;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Sound as Opus has it: 60 to 300 bytes, different each time.
fn object(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let len = 60 + usize::from(next()) % 241;
    std::iter::repeat_with(next).take(len).collect()
}

fn encoder(span: usize, pace: Pace) -> WindowEncoder {
    WindowEncoder::new(WindowConfig::new(span, pace).unwrap())
}

fn bodies(span: usize, pace: Pace, numbers: std::ops::Range<u64>) -> Vec<(ObjectSeq, Vec<u8>)> {
    let mut encoder = encoder(span, pace);
    let body =
        |number| (ObjectSeq(number), encoder.push(ObjectSeq(number), &object(number)).unwrap().to_vec());
    numbers.map(body).collect()
}

/// What comes out, and with which chunk that was pushed.
fn receive<'a>(
    decoder: &mut WindowDecoder,
    bodies: impl IntoIterator<Item = &'a (ObjectSeq, Vec<u8>)>,
) -> BTreeMap<u64, (u64, bool)> {
    let mut out = BTreeMap::new();
    for (number, body) in bodies {
        if let Some(bytes) = decoder.push(*number, body).unwrap() {
            assert_eq!(bytes, object(number.0));
            assert_eq!(out.insert(number.0, (number.0, false)), None, "{number} came out twice");
        }
        while let Some((recovered, bytes)) = decoder.poll_recovered() {
            assert_eq!(bytes, object(recovered.0));
            assert_eq!(out.insert(recovered.0, (number.0, true)), None, "{recovered} came out twice");
        }
        assert!(decoder.waiting_units() <= WindowDecoder::MAX_UNITS);
    }
    out
}

/// A burst of 60 ms is three objects of 20 ms. With a unit in each they are here again with the third chunk that comes
/// through, 40 ms after the first; with three in two, with the second, 40 ms after the last that was lost.
#[test]
fn a_burst_of_three_is_repaired_within_two_objects_more() {
    for (pace, needed) in [(Pace::EACH, 3), (Pace::FAST, 2)] {
        let bodies = bodies(10, pace, 0..60);
        for lost in 0..50 {
            let kept = bodies.iter().filter(|(number, _)| !(lost..lost + 3).contains(&number.0));
            let out = receive(&mut WindowDecoder::new(), kept);
            for number in 0..60 {
                let at = if (lost..lost + 3).contains(&number) {
                    (lost + 2 + needed, true)
                } else {
                    (number, false)
                };
                assert_eq!(out.get(&number), Some(&at), "object {number} of a burst from {lost}, {pace:?}");
            }
        }
    }
}

/// As many units as objects are missing, and no more.
#[test]
fn bursts_up_to_half_the_window_are_repaired_by_as_many_chunks() {
    let bodies = bodies(10, Pace::EACH, 0..80);
    for len in 1..=5 {
        for lost in 20..40 {
            let kept = bodies.iter().filter(|(number, _)| !(lost..lost + len).contains(&number.0));
            let out = receive(&mut WindowDecoder::new(), kept);
            for number in lost..lost + len {
                assert_eq!(
                    out.get(&number),
                    Some(&(lost + 2 * len - 1, true)),
                    "{number} of {len} from {lost}"
                );
            }
        }
    }
}

/// Units of half the objects: the same with twice as many.
#[test]
fn a_lower_pace_repairs_later() {
    let bodies = bodies(16, Pace::HALF, 0..80);
    for lost in 20..40 {
        let kept = bodies.iter().filter(|(number, _)| !(lost..lost + 3).contains(&number.0));
        let out = receive(&mut WindowDecoder::new(), kept);
        let with = out[&lost].0;
        assert!(out[&lost].1 && (lost + 7..=lost + 8).contains(&with), "{lost} with {with}");
    }
}

/// What it costs: for each chunk a byte, for each that has units three more, and units as long as the longest object that they
/// cover and two.
#[test]
fn overhead_is_what_the_specification_says() {
    for (span, pace, units) in
        [(10, Pace::EACH, [1, 1]), (16, Pace::FAST, [1, 2]), (3, Pace::HALF, [0, 1]), (5, Pace::OFF, [0, 0])]
    {
        for (number, body) in bodies(span, pace, 0..50) {
            let number = number.0;
            let longest =
                (number.saturating_sub(span as u64)..number).map(|number| object(number).len()).max();
            let units = longest.map_or(0, |_| units[(number % 2) as usize]);
            let more = 1 + if units > 0 { 3 + units * (2 + longest.unwrap()) } else { 0 };
            assert_eq!(body.len(), object(number).len() + more, "object {number}, span {span}, {pace:?}");
        }
    }
}

#[test]
fn the_last_objects_are_protected_by_units_alone() {
    let mut encoder = encoder(10, Pace::EACH);
    let mut decoder = WindowDecoder::new();
    assert!(encoder.flush().is_none(), "there is nothing yet");
    for number in 0..20 {
        let body = encoder.push(ObjectSeq(number), &object(number)).unwrap();
        if number < 17 {
            decoder.push(ObjectSeq(number), body).unwrap();
        }
    }
    // The last three are lost, and nothing is said for a while.
    for more in 1..=8 {
        let (number, body) = encoder.flush().unwrap();
        assert_eq!(number, ObjectSeq(20));
        assert_eq!(decoder.push(number, body).unwrap(), None);
        let recovered: Vec<_> = std::iter::from_fn(|| decoder.poll_recovered()).collect();
        let expected: Vec<_> = (17..20).map(|number| (ObjectSeq(number), object(number))).collect();
        assert_eq!(recovered, if more == 3 { expected } else { Vec::new() });
    }
    assert!(encoder.flush().is_none(), "a number has eight units at most");
    // Somebody speaks again, under the number that the units had.
    let body = encoder.push(ObjectSeq(20), &object(20)).unwrap().to_vec();
    assert_eq!(body.len(), 1 + object(20).len());
    assert_eq!(decoder.push(ObjectSeq(20), &body).unwrap(), Some(&object(20)[..]));
    encoder.set_pace(Pace::OFF);
    assert!(encoder.flush().is_none());
}

/// At the pace of speech, over as many places as a unit covers objects; then there is silence.
#[test]
fn in_a_silence_units_come_when_objects_would_have_and_then_none() {
    for (pace, units) in [
        (Pace::new(1, 3).unwrap(), [2, 5, 8].as_slice()),
        (Pace::EACH, &[0, 1, 2, 3, 4, 5, 6, 7]),
        (Pace::OFF, &[]),
    ] {
        let mut encoder = encoder(10, pace);
        let mut decoder = WindowDecoder::new();
        assert!(encoder.skip().is_none(), "there is nothing yet");
        for number in 0..30 {
            let body = encoder.push(ObjectSeq(number), &object(number)).unwrap();
            if number != 29 {
                decoder.push(ObjectSeq(number), body).unwrap();
            }
        }
        let places: Vec<u64> = (0..100)
            .filter(|_| match encoder.skip() {
                Some((number, body)) => {
                    assert_eq!((number, decoder.push(number, body).unwrap()), (ObjectSeq(30), None));
                    true
                }
                None => false,
            })
            .collect();
        assert_eq!(places, units, "{pace:?}");
        let last = (pace != Pace::OFF).then(|| (ObjectSeq(29), object(29)));
        assert_eq!(decoder.poll_recovered(), last);
        // With the next object it begins anew.
        encoder.push(ObjectSeq(30), &object(30)).unwrap();
        assert_eq!((0..100).filter(|_| encoder.skip().is_some()).count(), units.len());
    }
}

#[test]
fn what_was_before_a_restart_is_in_no_unit() {
    let mut encoder = encoder(10, Pace::EACH);
    for number in 0..20 {
        encoder.push(ObjectSeq(number), &object(number)).unwrap();
    }
    encoder.restart();
    assert!(encoder.flush().is_none() && encoder.skip().is_none());
    for number in 20..40 {
        let body = encoder.push(ObjectSeq(number), &object(number)).unwrap();
        let covers = if number == 20 { 0 } else { body[1] };
        assert_eq!(u64::from(covers), (number - 20).min(10), "object {number}");
        assert_eq!(body[0], u8::from(number > 20));
    }
}

/// What does not fit goes with fewer units, or by itself.
#[test]
fn units_that_would_make_a_body_too_long_are_left_out() {
    let config = WindowConfig::new(10, Pace::new(2, 1).unwrap()).unwrap().within(300);
    let mut encoder = WindowEncoder::new(config);
    for (number, (len, units)) in
        [(90, 0), (90, 2), (110, 2), (111, 1), (400, 0), (90, 0)].into_iter().enumerate()
    {
        let body = encoder.push(ObjectSeq(number as u64), &vec![7; len]).unwrap();
        assert_eq!(body[0], units, "object {number}");
        assert!(body.len() <= 300.max(1 + len), "object {number}");
    }
    assert!(encoder.flush().is_none(), "nor alone");
    encoder.restart();
    encoder.push(ObjectSeq(6), &[7; 60]).unwrap();
    assert_eq!(encoder.flush().unwrap().1.len(), 4 + 2 * 62);
}

#[test]
fn a_gap_in_the_numbers_begins_anew() {
    let mut encoder = encoder(10, Pace::EACH);
    for number in [0, 1, 2, 1_000, 5] {
        let body = encoder.push(ObjectSeq(number), &object(number)).unwrap();
        let covers = if number < 3 { number as u8 } else { 0 };
        assert_eq!(if body[0] == 0 { 0 } else { body[1] }, covers, "object {number}");
    }
    assert!(encoder.push(ObjectSeq(6), &[]).is_err());
    assert!(encoder.push(ObjectSeq(6), &[0; WindowConfig::MAX_OBJECT_LEN + 1]).is_err());
    // Neither counted.
    assert_eq!(encoder.push(ObjectSeq(6), &[0; WindowConfig::MAX_OBJECT_LEN]).unwrap()[1], 1);
    assert!(
        encoder.push(ObjectSeq(u64::MAX), &[1]).is_ok() && encoder.push(ObjectSeq(u64::MAX), &[1]).is_ok()
    );
}

/// Losses as networks have them, Gilbert and Elliott's: 5 % in bursts of 100 ms on average. What a window of 10 and one unit with each
/// object leave lost.
#[test]
fn most_of_what_bursts_take_comes_back() {
    let bodies = bodies(10, Pace::EACH, 0..20_000);
    let mut state = 7u32;
    let mut chance = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % 10_000
    };
    let mut is_bad = false;
    let kept: Vec<_> = bodies
        .into_iter()
        .filter(|_| {
            // Out of a burst after five objects on average, into one after 95.
            is_bad = if is_bad { chance() >= 2_000 } else { chance() < 105 };
            !is_bad
        })
        .collect();
    let lost = 20_000 - kept.len();
    let out = receive(&mut WindowDecoder::new(), &kept);
    let recovered = out.values().filter(|(_, recovered)| *recovered).count();
    assert!((800..1_200).contains(&lost), "{lost} of 20,000 lost");
    assert!(recovered * 100 >= lost * 80, "{recovered} of {lost} recovered");
    println!("{recovered} of {lost} lost objects recovered");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// In whatever order, with copies: each object once, as it was; and nothing is left out that came.
    #[test]
    fn objects_come_out_once_in_any_order(
        lost in prop::collection::vec(prop::bool::weighted(0.2), 60),
        delays in prop::collection::vec(0u64..6, 60),
        span in 1usize..=16,
        units in 0u8..=8,
        first in 0u64..1 << 40,
    ) {
        let pace = Pace::new(units, 2).unwrap();
        let mut wire: Vec<_> = bodies(span, pace, first..first + 60).into_iter().zip(delays).enumerate()
            .filter(|(n, _)| !lost[*n])
            .map(|(n, (body, delay))| (n as u64 + delay, body))
            .collect();
        wire.extend(wire.clone().into_iter().step_by(3).map(|(at, body)| (at + 4, body)));
        wire.sort_by_key(|(at, _)| *at);
        let out = receive(&mut WindowDecoder::new(), wire.iter().map(|(_, body)| body));
        for (n, lost) in lost.iter().enumerate() {
            prop_assert!(*lost || out.contains_key(&(first + n as u64)));
        }
        prop_assert!(units > 0 || out.values().all(|(_, recovered)| !recovered));
    }
}
