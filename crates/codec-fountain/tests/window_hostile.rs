//! Units from an authenticated sender that means harm, or that came late or twice: no panic, no growth beyond the limits, and
//! nothing is given out that can't have been an object.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_fountain::{Pace, WindowConfig, WindowDecoder, WindowEncoder};
use core_types::ObjectSeq;
use gf256::{inverse, multiply};
use proptest::prelude::*;

/// Spec 62 section 3.
fn factor(number: u64, index: usize, covered: u64) -> u8 {
    inverse((64 + 8 * (number % 24) as u8 + index as u8) ^ (covered % 64) as u8).unwrap()
}

/// Units alone: of each the strips that are in it, from the oldest object on.
fn units(number: u64, first: usize, units: &[&[&[u8]]]) -> Vec<u8> {
    let span = units[0].len();
    let longest = units.iter().flat_map(|strips| strips.iter()).map(|strip| strip.len()).max().unwrap();
    let mut body = vec![(first << 4 | units.len()) as u8, span as u8];
    body.extend((longest as u16).to_be_bytes());
    for (at, strips) in units.iter().enumerate() {
        let mut unit = vec![0; longest];
        for (covered, strip) in (number - span as u64..).zip(*strips) {
            let factor = factor(number, first + at, covered);
            unit.iter_mut().zip(*strip).for_each(|(byte, of)| *byte ^= multiply(factor, *of));
        }
        body.extend(unit);
    }
    body
}

fn with_object(object: &[u8]) -> Vec<u8> {
    [&[0], object].concat()
}

fn recovered(decoder: &mut WindowDecoder) -> Vec<(u64, Vec<u8>)> {
    std::iter::from_fn(|| decoder.poll_recovered()).map(|(number, bytes)| (number.0, bytes)).collect()
}

#[test]
fn what_can_not_have_been_an_object_is_not_given_out() {
    let good: &[u8] = &[0, 2, 7, 9, 0];
    let cases: [(&[u8], bool); 6] = [
        (good, true),
        (&[0, 3, 7, 9, 5], true),
        (&[0, 2, 7, 9, 1], false), // not followed by zeros
        (&[0, 0, 0, 0, 0], false), // empty
        (&[0, 4, 7, 9, 1], false), // longer than its unit
        (&[0x80, 2, 7, 9, 0], false),
    ];
    for (strip, is_object) in cases {
        let mut decoder = WindowDecoder::new();
        decoder.push(ObjectSeq(5), &units(5, 0, &[&[strip]])).unwrap();
        let expected = if is_object { vec![(4, strip[2..][..strip[1].into()].to_vec())] } else { Vec::new() };
        assert_eq!((recovered(&mut decoder), decoder.waiting_units()), (expected, 0), "{strip:?}");
        // The object itself is taken all the same, and a good unit after a bad one.
        if !is_object {
            decoder.push(ObjectSeq(5), &units(5, 1, &[&[good]])).unwrap();
            assert_eq!(recovered(&mut decoder), [(4, vec![7, 9])], "after {strip:?}");
        }
    }
}

#[test]
fn a_unit_that_is_shorter_than_what_it_covers_is_dropped() {
    for object_first in [true, false] {
        let mut decoder = WindowDecoder::new();
        let short = units(6, 0, &[&[&[0, 1, 7], &[0, 1, 9]]]);
        let object = with_object(&[1; 40]);
        for turn in [object_first, !object_first] {
            let (number, body) = if turn { (5, &object) } else { (6, &short) };
            decoder.push(ObjectSeq(number), body).unwrap();
        }
        assert_eq!((recovered(&mut decoder), decoder.waiting_units()), (Vec::new(), 0));
    }
}

#[test]
fn a_unit_counts_once() {
    let strips: &[&[u8]] = &[&[0, 1, 7], &[0, 1, 9]];
    let mut decoder = WindowDecoder::new();
    for _ in 0..3 {
        decoder.push(ObjectSeq(6), &units(6, 2, &[strips])).unwrap();
        assert_eq!(decoder.waiting_units(), 1);
    }
    decoder.push(ObjectSeq(6), &units(6, 3, &[strips])).unwrap();
    assert_eq!(recovered(&mut decoder), [(4, vec![7]), (5, vec![9])]);
    assert_eq!(decoder.waiting_units(), 0);
}

/// Of two objects with one number either may be forged. The same one again is no other, whether it came or was computed.
#[test]
fn another_object_under_a_number_is_given_out_too_and_units_go_by_the_first() {
    let strips: &[&[u8]] = &[&[0, 1, 7], &[0, 1, 9]];
    for is_computed in [false, true] {
        let mut decoder = WindowDecoder::new();
        if is_computed {
            decoder.push(ObjectSeq(5), &units(5, 0, &[&[strips[0]]])).unwrap();
            assert_eq!(recovered(&mut decoder), [(4, vec![7])]);
        } else {
            assert_eq!(decoder.push(ObjectSeq(4), &with_object(&[7])).unwrap(), Some(&[7][..]));
        }
        for other in [&[8][..], &[7, 0], &[7, 7]] {
            assert_eq!(decoder.push(ObjectSeq(4), &with_object(other)).unwrap(), Some(other));
            assert_eq!(decoder.push(ObjectSeq(4), &with_object(&[7])).unwrap(), None);
        }
        decoder.push(ObjectSeq(6), &units(6, 0, &[strips])).unwrap();
        assert_eq!(recovered(&mut decoder), [(5, vec![9])]);
    }
}

#[test]
fn units_that_cover_nothing_missing_are_not_kept() {
    let mut encoder = WindowEncoder::new(WindowConfig::default());
    let mut decoder = WindowDecoder::new();
    for number in 0..100 {
        let body = encoder.push(ObjectSeq(number), &[number as u8; 30]).unwrap();
        assert!(decoder.push(ObjectSeq(number), body).unwrap().is_some());
        assert_eq!(decoder.waiting_units(), 0);
    }
}

/// Two missing objects and a unit that covers both wait for the other unit as long as the older is among the last 32.
#[test]
fn what_is_too_old_is_forgotten() {
    let strips: &[&[u8]] = &[&[0, 1, 7], &[0, 1, 9]];
    for (newest, waits) in [(35, true), (36, false), (1 << 40, false), (u64::MAX, false)] {
        let mut decoder = WindowDecoder::new();
        decoder.push(ObjectSeq(6), &units(6, 0, &[strips])).unwrap();
        assert_eq!(decoder.waiting_units(), 1);
        decoder.push(ObjectSeq(newest), &with_object(&[1])).unwrap();
        assert_eq!(decoder.waiting_units(), usize::from(waits), "newest {newest}");
        // What comes so late is worth nothing either, but for the object itself.
        let late = [units(6, 1, &[strips]), vec![8; 20]].concat();
        assert_eq!(decoder.push(ObjectSeq(6), &late).unwrap(), Some(&[8; 20][..]));
        assert_eq!(recovered(&mut decoder).len(), if waits { 2 } else { 0 });
        assert_eq!(decoder.waiting_units(), 0);
    }
}

/// A sender whose objects nobody gets, and whose units never tell anything: with each there is an object more than can be known.
#[test]
fn the_units_that_wait_are_bounded() {
    let mut decoder = WindowDecoder::new();
    let strips: Vec<&[u8]> = vec![&[0, 1, 7]; 16];
    let mut most = 0;
    for number in 16..200 {
        decoder.push(ObjectSeq(number), &units(number, 0, &[&strips[..]])).unwrap();
        assert_eq!(recovered(&mut decoder), []);
        most = most.max(decoder.waiting_units());
    }
    // Those whose objects are all among the last 32.
    assert_eq!(most, 17);
}

#[test]
fn recovered_objects_that_nobody_asks_for_do_not_pile_up() {
    let mut decoder = WindowDecoder::new();
    for number in 1..200u64 {
        decoder.push(ObjectSeq(number), &units(number, 0, &[&[&[0, 1, number as u8]]])).unwrap();
    }
    let numbers: Vec<u64> = recovered(&mut decoder).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (199 - 32..199).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn garbage_never_panics(
        bodies in prop::collection::vec(
            (prop_oneof![40 => 0u64..60, 1 => Just(u64::MAX)], 0u8..=4, 0usize..=4, 1u8..=16, 3u16..40, any::<u8>(), 0usize..80),
            1..200,
        ),
    ) {
        let mut decoder = WindowDecoder::new();
        for (number, first, count, span, unit_len, fill, object_len) in bodies {
            let mut body = vec![if count == 0 { 0 } else { first << 4 | count as u8 }];
            if count > 0 {
                body.push(span);
                body.extend(unit_len.to_be_bytes());
                body.extend((0..count * usize::from(unit_len)).map(|n| fill.wrapping_mul((n / 7) as u8)));
            }
            body.extend((0..object_len).map(|n| (n as u8).wrapping_mul(fill)));
            if let Err(error) = decoder.push(ObjectSeq(number), &body) {
                prop_assert!(error.is_peer_fault());
            }
            while let Some((_, bytes)) = decoder.poll_recovered() {
                prop_assert!(!bytes.is_empty() && bytes.len() <= WindowConfig::MAX_OBJECT_LEN);
            }
            prop_assert!(decoder.waiting_units() <= WindowDecoder::MAX_UNITS);
        }
    }

    /// An honest stream in which one body was made by somebody else comes out as it is but for what that body says.
    #[test]
    fn one_bad_unit_does_not_take_what_came(at in 0usize..40, flip in 4usize..60, bit in 0u8..8) {
        let mut encoder = WindowEncoder::new(WindowConfig::new(4, Pace::EACH).unwrap());
        let mut decoder = WindowDecoder::new();
        for number in 0..40 {
            let mut body = encoder.push(ObjectSeq(number), &[number as u8; 50]).unwrap().to_vec();
            if number == at as u64 {
                let place = flip % body.len();
                body[place] ^= 1 << bit;
            }
            if number % 7 != 3
                && let Ok(Some(object)) = decoder.push(ObjectSeq(number), &body)
            {
                prop_assert!(number == at as u64 || object == [number as u8; 50]);
            }
            while decoder.poll_recovered().is_some() {}
        }
        prop_assert_eq!(decoder.waiting_units(), 0);
    }
}
