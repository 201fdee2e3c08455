//! What the decoder gives, what it refuses, and that nothing shakes it.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use std::num::NonZeroU32;

use av1_backends::{Decoder, Error, Layout, Plane, Settings};
use proptest::prelude::*;
use support::{pattern, units};

/// FNV-1a over the planes of each picture, from another decoder's output.
const HASHES: [u64; 6] = [
    0x8527_88e1_cd42_06ab,
    0xfd26_d93b_7e66_ffe0,
    0x45dc_8978_a3eb_a6c0,
    0x7d79_92f3_ba1b_6fd0,
    0x3fef_5adb_5e45_c29e,
    0x0e7b_eb4f_2a0b_66ec,
];

fn decoder() -> Decoder {
    Decoder::new(Settings::default()).unwrap()
}

/// Feeds a unit; hash and time of each picture.
fn decode(decoder: &mut Decoder, unit: &[u8], pts: i64) -> Result<Vec<(u64, i64)>, Error> {
    decoder.feed(unit, pts)?;
    let mut shown = Vec::new();
    while let Some(picture) = decoder.next_picture()? {
        let samples = [Plane::Y, Plane::U, Plane::V].into_iter().flat_map(|p| picture.rows(p)).flatten();
        let hash = samples.fold(0xcbf2_9ce4_8422_2325, |hash: u64, sample| {
            (hash ^ u64::from(*sample)).wrapping_mul(0x0100_0000_01b3)
        });
        shown.push((hash, picture.pts()));
    }
    Ok(shown)
}

#[test]
fn pictures_are_those_of_another_decoder_at_once_and_with_their_times() {
    let mut decoder = decoder();
    for (index, unit) in pattern().iter().enumerate() {
        let pts = [i64::MIN, i64::MAX, -1, 0, 7, 7][index];
        assert_eq!(decode(&mut decoder, unit, pts), Ok(vec![(HASHES[index], pts)]));
    }
}

#[test]
fn a_decoder_may_change_threads() {
    let units = pattern();
    let mut decoder = decoder();
    assert_eq!(decode(&mut decoder, &units[0], 0), Ok(vec![(HASHES[0], 0)]));
    let elsewhere = std::thread::spawn(move || decode(&mut decoder, &units[1], 1));
    assert_eq!(elsewhere.join().unwrap(), Ok(vec![(HASHES[1], 1)]));
}

#[test]
fn planes_have_the_size_of_their_layout() {
    let one = |ivf: &[u8]| units(ivf).remove(0);
    for (unit, layout, chroma) in [
        (pattern().remove(0), Layout::I420, (32, 24)),
        (one(include_bytes!("data/luma-only.ivf")), Layout::I400, (0, 0)),
        (one(include_bytes!("data/full-chroma.ivf")), Layout::I444, (32, 18)),
    ] {
        let mut decoder = decoder();
        decoder.feed(&unit, 0).unwrap();
        let picture = decoder.next_picture().unwrap().unwrap();
        assert_eq!((picture.layout(), picture.depth()), (layout, 8));
        assert_eq!(picture.deep_rows(Plane::Y).count(), 0, "none of 10 bits");
        assert_eq!(picture.plane_size(Plane::Y), (picture.width(), picture.height()));
        for (plane, (width, height)) in
            [(Plane::Y, picture.plane_size(Plane::Y)), (Plane::U, chroma), (Plane::V, chroma)]
        {
            assert_eq!(
                picture.rows(plane).map(<[u8]>::len).collect::<Vec<_>>(),
                vec![width; height],
                "{layout:?}"
            );
        }
    }
}

#[test]
fn ten_bit_pictures_are_those_of_another_decoder() {
    let unit = units(include_bytes!("data/ten-bit.ivf")).remove(0);
    let mut decoder = decoder();
    decoder.feed(&unit, 0).unwrap();
    let picture = decoder.next_picture().unwrap().unwrap();
    assert_eq!((picture.depth(), picture.width(), picture.height()), (10, 32, 18));
    assert_eq!(picture.rows(Plane::Y).count(), 0, "none of 8 bits");
    let samples = [Plane::Y, Plane::U, Plane::V].into_iter().flat_map(|p| picture.deep_rows(p)).flatten();
    let hash = samples.fold(0xcbf2_9ce4_8422_2325, |hash: u64, sample| {
        (hash ^ u64::from(*sample)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(hash, 0xc39a_f1da_fb28_96fa);
    drop(picture);
    assert!(decoder.next_picture().unwrap().is_none());
    // 8 bits may follow.
    assert_eq!(decode(&mut decoder, &pattern()[0], 0), Ok(vec![(HASHES[0], 0)]));
}

#[test]
fn pictures_above_the_limit_are_refused() {
    let with = |pixels: u32| Decoder::new(Settings { max_pixels: NonZeroU32::new(pixels).unwrap() }).unwrap();
    let unit = &pattern()[0];
    let refused = decode(&mut with(64 * 48 - 1), unit, 0);
    assert_eq!(refused, Err(Error::TooLarge { max_pixels: 64 * 48 - 1 }));
    assert!(refused.unwrap_err().is_stream_fault());
    assert_eq!(decode(&mut with(64 * 48), unit, 0), Ok(vec![(HASHES[0], 0)]));
}

#[test]
fn feeding_before_all_pictures_are_taken_is_the_callers_fault() {
    let units = pattern();
    let two = [&units[0][..], &units[1]].concat();
    let mut decoder = decoder();
    decoder.feed(&two, 5).unwrap();
    let refused = decoder.feed(&units[2], 6).unwrap_err();
    assert_eq!((refused.clone(), refused.is_stream_fault()), (Error::Undrained, false));
    assert_eq!(decoder.next_picture().unwrap().unwrap().pts(), 5);
    assert_eq!(decoder.next_picture().unwrap().unwrap().pts(), 5);
    assert!(decoder.next_picture().unwrap().is_none());
    assert_eq!(decode(&mut decoder, &units[2], 6), Ok(vec![(HASHES[2], 6)]));
}

#[test]
fn a_reset_drops_waiting_pictures_and_references() {
    let units = pattern();
    let mut decoder = decoder();
    decoder.feed(&units[0], 0).unwrap();
    decoder.reset();
    assert!(decoder.next_picture().unwrap().is_none());
    assert!(decode(&mut decoder, &units[1], 1).is_err());
    decoder.reset();
    assert_eq!(decode(&mut decoder, &units[3], 3), Ok(vec![(HASHES[3], 3)]));
}

#[test]
fn metadata_that_is_cut_short_never_reaches_the_decoder() {
    // An OBU of type 5 (metadata) that says it is ITU-T T.35 and ends too early.
    let mut decoder = decoder();
    for bytes in
        [&[0x2a, 0x05, 0x04, 0x80, 0x00, 0x00, 0x00][..], &[0x28, 0x04, 0x80], &[0x28, 0x04, 0x00, 0x00], &[]]
    {
        assert_eq!(decode(&mut decoder, bytes, 0), Ok(vec![]));
    }
    // Extension and length flags set, as found by fuzzing rav1d; the length points past the end.
    assert!(matches!(
        decode(&mut decoder, &[47, 47, 5, 4, 128, 0, 0, 0], 0),
        Err(Error::Framing { .. }) | Ok(_)
    ));
    assert_eq!(decode(&mut decoder, &pattern()[0], 0), Ok(vec![(HASHES[0], 0)]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any unit may be lost, cut or have bits flipped, with or without a reset after an error; afterwards a reset and a key
    /// frame give the right picture.
    #[test]
    fn damage_ends_in_errors_and_a_key_frame_mends_it(
        hits in prop::collection::vec((0usize..6, any::<prop::sample::Index>(), 0u16..300), 1..12),
        reset_after_error: bool,
    ) {
        let mut units = pattern();
        for (unit, at, what) in hits {
            let unit = &mut units[unit];
            if unit.is_empty() {
                continue;
            }
            let at = at.index(unit.len());
            match u8::try_from(what) {
                Ok(bits) => unit[at] ^= bits,
                Err(_) => unit.truncate(at),
            }
        }
        let mut decoder = decoder();
        for unit in &units {
            if decode(&mut decoder, unit, 0).is_err() && reset_after_error {
                decoder.reset();
            }
        }
        decoder.reset();
        prop_assert_eq!(decode(&mut decoder, &pattern()[3], 3), Ok(vec![(HASHES[3], 3)]));
        prop_assert_eq!(decode(&mut decoder, &pattern()[4], 4), Ok(vec![(HASHES[4], 4)]));
    }

    #[test]
    fn random_obus_are_refused_or_ignored(
        obus in prop::collection::vec((0u8..16, prop::collection::vec(any::<u8>(), 0..60)), 0..6)
    ) {
        let data: Vec<u8> = obus.iter()
            .flat_map(|(kind, payload)| [&[kind << 3 | 2, payload.len() as u8], &payload[..]].concat())
            .collect();
        let mut decoder = decoder();
        decode(&mut decoder, &pattern()[0], 0).unwrap();
        let _ = decode(&mut decoder, &data, 0);
        decoder.reset();
        prop_assert_eq!(decode(&mut decoder, &pattern()[0], 1), Ok(vec![(HASHES[0], 1)]));
    }
}
