//! What the encoder takes and refuses, and that what it makes is what it says. How layers go together is tested in `codec-av1`.
#![cfg(feature = "libaom")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

use av1_backends::{Decoder, Encoder, EncoderSettings, Error, FrameOrder, LayerRate, Plane, Settings};

const FRAME_MICROS: u32 = 40_000;

fn settings() -> EncoderSettings {
    EncoderSettings { width: 64, height: 48, threads: 1, spatial: vec![1], temporal: 1 }
}

fn rates(kbit: &[u32]) -> Vec<LayerRate> {
    kbit.iter().map(|kbit| LayerRate { kbit: *kbit }).collect()
}

/// A slope that moves.
fn picture(index: usize) -> Vec<u8> {
    let luma = (0..64 * 48).map(|at| (40 + (at % 64 + at / 64 + 2 * index) % 160) as u8);
    luma.chain([128; 64 * 48 / 2]).collect()
}

#[test]
fn a_decoder_gives_what_the_encoder_has() {
    let mut encoder = Encoder::new(settings(), &rates(&[200])).unwrap();
    let mut decoder = Decoder::new(Settings::default()).unwrap();
    for index in 0..12 {
        let data = encoder.encode(&picture(index), FRAME_MICROS, &FrameOrder::plain(index % 6 == 0)).unwrap();
        decoder.feed(&data, 0).unwrap();
        let shown = decoder.next_picture().unwrap().unwrap();
        let planes = [Plane::Y, Plane::U, Plane::V];
        let samples: Vec<u8> = planes.into_iter().flat_map(|p| shown.rows(p)).flatten().copied().collect();
        assert_eq!(encoder.reconstruction(), Some((64, 48, samples)));
    }
}

#[test]
fn an_encoder_may_change_threads() {
    let mut encoder = Encoder::new(EncoderSettings { threads: 2, ..settings() }, &rates(&[200])).unwrap();
    encoder.encode(&picture(0), FRAME_MICROS, &FrameOrder::plain(true)).unwrap();
    let elsewhere =
        std::thread::spawn(move || encoder.encode(&picture(1), FRAME_MICROS, &FrameOrder::plain(false)));
    assert!(!elsewhere.join().unwrap().unwrap().is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_made_of_it() {
    let good = settings();
    for bad in [
        EncoderSettings { width: 63, ..good.clone() },
        EncoderSettings { width: 14, ..good.clone() },
        EncoderSettings { height: 4098, ..good.clone() },
        EncoderSettings { threads: 0, ..good.clone() },
        EncoderSettings { threads: 65, ..good.clone() },
        EncoderSettings { spatial: vec![], ..good.clone() },
        EncoderSettings { spatial: vec![8, 4, 2, 1], ..good.clone() },
        EncoderSettings { spatial: vec![1, 2], ..good.clone() },
        EncoderSettings { spatial: vec![0, 1], ..good.clone() },
        EncoderSettings { temporal: 0, ..good.clone() },
        EncoderSettings { temporal: 4, ..good.clone() },
    ] {
        let count = bad.spatial.len() * usize::from(bad.temporal);
        let refused = Encoder::new(bad.clone(), &rates(&vec![100; count]));
        assert!(matches!(refused, Err(Error::Setting(_))), "{bad:?}");
    }
    for bad in [&[][..], &[0], &[1_000_001], &[100, 100]] {
        assert!(matches!(Encoder::new(good.clone(), &rates(bad)), Err(Error::Setting(_))), "{bad:?}");
    }
    let mut encoder = Encoder::new(good, &rates(&[100])).unwrap();
    assert!(matches!(encoder.set_rates(&rates(&[1, 2])), Err(Error::Setting(_))));
    let plain = FrameOrder::plain(true);
    let long = [picture(0), vec![0]].concat();
    assert!(matches!(encoder.encode(&long, FRAME_MICROS, &plain), Err(Error::Setting(_))));
    assert!(matches!(encoder.encode(&long[2..], FRAME_MICROS, &plain), Err(Error::Setting(_))));
    assert!(matches!(encoder.encode(&picture(0), 0, &plain), Err(Error::Setting(_))));
    let elsewhere = FrameOrder { spatial: 1, ..plain.clone() };
    assert!(matches!(encoder.encode(&picture(0), FRAME_MICROS, &elsewhere), Err(Error::Setting(_))));
    assert!(encoder.encode(&picture(0), FRAME_MICROS, &plain).is_ok());
}

#[test]
fn layers_come_in_order_and_the_first_picture_in_all_of_them() {
    let two = EncoderSettings { spatial: vec![2, 1], ..settings() };
    let mut encoder = Encoder::new(two, &rates(&[50, 150])).unwrap();
    let order = |spatial: u8, key: bool| FrameOrder {
        spatial,
        temporal: 0,
        key,
        refers_to: vec![0],
        refreshes: Some(spatial),
        resilient: false,
    };
    let mut encode = |order: FrameOrder| encoder.encode(&picture(0), FRAME_MICROS, &order);
    let refused = |result: Result<Vec<u8>, Error>| assert!(matches!(result, Err(Error::Setting(_))));
    refused(encode(order(1, false)));
    refused(encode(order(0, false)));
    encode(order(0, true)).unwrap();
    // libaom would write past the end of its memory in the end.
    refused(encode(order(0, true)));
    refused(encode(order(1, true)));
    refused(encode(FrameOrder { refers_to: vec![8], ..order(1, false) }));
    refused(encode(FrameOrder { refers_to: vec![], ..order(1, false) }));
    refused(encode(FrameOrder { refers_to: vec![0, 1, 2], ..order(1, false) }));
    refused(encode(FrameOrder { refreshes: Some(8), ..order(1, false) }));
    refused(encode(FrameOrder { temporal: 1, ..order(1, false) }));
    encode(order(1, false)).unwrap();
    refused(encode(order(1, false)));
    encode(order(0, false)).unwrap();
    encode(order(0, false)).unwrap();
    encode(order(1, false)).unwrap();
}
