//! What goes into the encoder comes out of the decoder: pictures, times and order.
#![cfg(feature = "rav1e")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use codec_av1::{Error, Frame, Rav1dDecoder, Rav1eEncoder, VideoDecoder, VideoEncoder, is_key_frame};
use core_types::{BitRate, MediaTime};
use proptest::prelude::*;
use support::{config, encode, pattern, size, steady};

#[test]
fn pictures_survive_with_good_quality() {
    let size = size(160, 96);
    let packets = encode(config(size), &steady(20), &[]);
    let mut decoder = Rav1dDecoder::new(size).unwrap();
    for (index, packet) in packets.iter().enumerate() {
        let shown = decoder.decode(&packet.data, packet.pts).unwrap();
        assert_eq!(shown.len(), 1, "one picture a packet, at once");
        let source = pattern(size, index);
        let psnr = source.psnr_y(&shown[0].frame).unwrap();
        assert!(psnr >= 33.0, "frame {index}: {psnr:.2} dB");
        let chroma =
            source.u().iter().zip(shown[0].frame.u()).chain(source.v().iter().zip(shown[0].frame.v()));
        let worst = chroma.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 24, "frame {index}: chroma off by {worst}");
    }
    assert_eq!(packets.len(), 20);
    assert_eq!(decoder.flush().unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Irregular, repeated and extreme times come out as they went in, whether during the run or in the flush.
    #[test]
    fn times_stay_with_their_frames(
        times in prop::collection::vec(any::<u64>().prop_map(MediaTime), 1..14),
        forced in prop::collection::vec(0usize..14, 0..3),
    ) {
        let size = size(64, 64);
        let packets = encode(config(size), &times, &forced);
        prop_assert_eq!(packets.iter().map(|p| p.pts).collect::<Vec<_>>(), times.clone());
        let mut decoder = Rav1dDecoder::new(size).unwrap();
        let mut shown = Vec::new();
        for packet in &packets {
            shown.extend(decoder.decode(&packet.data, packet.pts).unwrap());
        }
        shown.extend(decoder.flush().unwrap());
        prop_assert_eq!(shown.iter().map(|s| s.pts).collect::<Vec<_>>(), times);
        for (index, shown) in shown.iter().enumerate() {
            // The square is elsewhere in every frame, so a picture under another frame's time would not match.
            prop_assert!(pattern(size, index).psnr_y(&shown.frame).unwrap() > 25.0);
        }
    }

    /// The frame that was asked for becomes a key frame, no other does, and a fresh decoder starts there.
    #[test]
    fn forced_key_frames_come_for_the_frame_asked_for(forced in 1usize..10, threads in 1usize..3) {
        let mut config = config(size(128, 64));
        config.threads = threads;
        let packets = encode(config, &steady(12), &[forced]);
        for (index, packet) in packets.iter().enumerate() {
            prop_assert_eq!(packet.key_frame, index == 0 || index == forced);
            prop_assert_eq!(is_key_frame(&packet.data), Ok(packet.key_frame));
        }
        let mut fresh = Rav1dDecoder::new(config.size).unwrap();
        prop_assert_eq!(fresh.decode(&packets[forced - 1].data, packets[forced - 1].pts).err(),
            if forced == 1 { None } else { Some(Error::AwaitingKeyFrame) });
        for packet in &packets[forced..] {
            prop_assert_eq!(fresh.decode(&packet.data, packet.pts).unwrap().len(), 1);
        }
    }
}

#[test]
fn key_frames_come_at_least_as_often_as_configured() {
    let mut config = config(size(64, 64));
    config.max_key_interval = 5;
    let keys: Vec<usize> = encode(config, &steady(14), &[])
        .iter()
        .enumerate()
        .filter_map(|(index, packet)| packet.key_frame.then_some(index))
        .collect();
    assert!(keys.first() == Some(&0) && keys.windows(2).all(|pair| pair[1] - pair[0] <= 5), "{keys:?}");
    assert!(keys.last().is_some_and(|last| 14 - last <= 5), "{keys:?}");
}

#[test]
fn packets_lag_by_the_delay_that_is_stated() {
    let size = size(64, 64);
    let mut encoder = Rav1eEncoder::new(config(size)).unwrap();
    let delay = encoder.delay_frames();
    for (index, pts) in steady(10).into_iter().enumerate() {
        let ready = encoder.encode(&pattern(size, index), pts, false).unwrap();
        let expected = index.checked_sub(delay).map(|index| MediaTime(40_000 * index as u64));
        assert_eq!(ready.first().map(|p| p.pts), expected);
    }
    assert_eq!(encoder.flush().unwrap().len(), delay);
}

#[test]
fn an_encoder_goes_on_after_a_flush_with_a_key_frame() {
    let size = size(64, 64);
    let mut encoder = Rav1eEncoder::new(config(size)).unwrap();
    let mut decoder = Rav1dDecoder::new(size).unwrap();
    for round in 0..2 {
        let mut packets = Vec::new();
        for index in 0..3 {
            packets.extend(
                encoder.encode(&pattern(size, index), MediaTime(10 * round + index as u64), false).unwrap(),
            );
        }
        packets.extend(encoder.flush().unwrap());
        assert_eq!(packets.iter().map(|p| p.key_frame).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(
            packets.iter().map(|p| p.pts.0).collect::<Vec<_>>(),
            [10 * round, 10 * round + 1, 10 * round + 2]
        );
        for packet in packets {
            assert_eq!(decoder.decode(&packet.data, packet.pts).unwrap().len(), 1);
        }
    }
    assert_eq!(encoder.flush().unwrap(), []);
}

#[test]
fn the_bit_rate_is_kept_and_a_higher_one_is_used() {
    let bits = |kbit| {
        let mut config = config(size(160, 96));
        config.bit_rate = BitRate::from_kbit(kbit);
        // A second to settle, three seconds that count.
        let packets = encode(config, &steady(100), &[]);
        packets[25..].iter().map(|p| 8 * p.data.len()).sum::<usize>() as f64 / 3.0
    };
    let (low, high) = (bits(60), bits(240));
    assert!((48_000.0..75_000.0).contains(&low), "{low} bit/s for 60,000");
    assert!((190_000.0..300_000.0).contains(&high), "{high} bit/s for 240,000");
}

#[test]
fn frames_of_another_size_and_settings_out_of_range_are_refused() {
    let good = config(size(64, 64));
    let mut encoder = Rav1eEncoder::new(good).unwrap();
    let other = Frame::black(size(64, 66));
    assert_eq!(
        encoder.encode(&other, MediaTime(0), false),
        Err(Error::SizeMismatch { expected: good.size, actual: other.size() })
    );
    let mut bad = [good; 6];
    bad[0].bit_rate = BitRate(0);
    bad[1].bit_rate = BitRate(200_000_001);
    bad[2].max_key_interval = 0;
    bad[3].max_key_interval = 10_001;
    bad[4].threads = 0;
    bad[5].threads = 65;
    for bad in bad {
        let refused = Rav1eEncoder::new(bad).map(drop);
        assert!(matches!(refused, Err(Error::Config(_))), "{bad:?}");
    }
}

#[test]
fn odd_shapes_and_many_threads_work() {
    for (width, height, threads) in [(16, 16, 64), (18, 30, 3), (130, 66, 2), (16, 200, 1)] {
        let mut config = config(size(width, height));
        config.threads = threads;
        config.bit_rate = BitRate(8_000);
        let mut decoder = Rav1dDecoder::new(config.size).unwrap();
        for packet in encode(config, &steady(6), &[3]) {
            let shown = decoder.decode(&packet.data, packet.pts).unwrap();
            assert_eq!((shown.len(), shown[0].frame.size()), (1, config.size));
        }
    }
}
