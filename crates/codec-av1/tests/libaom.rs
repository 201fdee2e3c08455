//! libaom's packets through rav1d: every picture, at once, as the encoder has it.
#![cfg(feature = "libaom")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use codec_av1::{
    EncoderConfig, Error, Frame, LibaomEncoder, Packet, Rav1dDecoder, Structure, VideoDecoder, VideoEncoder,
    configuration_record, join_layers,
};
use core_types::{BitRate, FrameRate, FrameSize, Layer, MediaTime, ObjectClass};
use proptest::prelude::*;
use support::{config, pattern, size, steady};

#[test]
fn every_picture_comes_out_of_its_own_call_as_the_encoder_has_it() {
    let config = config(size(160, 96));
    let mut encoder = LibaomEncoder::new(config).unwrap();
    let mut decoder = Rav1dDecoder::new(config.size).unwrap();
    assert_eq!(encoder.delay_frames(), 0);
    for (index, pts) in steady(30).into_iter().enumerate() {
        let frame = pattern(config.size, index);
        let packets = encoder.encode(&frame, pts, index == 20).unwrap();
        assert_eq!(packets.len(), 1, "frame {index}");
        let packet = &packets[0];
        assert_eq!((packet.pts, packet.layer), (pts, Layer::BASE));
        assert_eq!(packet.key_frame, index == 0 || index == 20);
        assert_eq!(packet.key_frame, packet.class == ObjectClass::KeyFrame);
        let shown = decoder.decode(&packet.data, pts).unwrap();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].pts, pts);
        assert_eq!(Some(&shown[0].frame), encoder.reconstruction().as_ref());
        let psnr = frame.psnr_y(&shown[0].frame).unwrap();
        assert!(psnr > 30.0, "frame {index}: {psnr:.1} dB");
    }
}

/// Slopes that drift, and blocks of light and dark above them, of which one and the one below it change places from each picture to the
/// next: the sum of all that changes there is zero.
fn counting(size: FrameSize, index: usize) -> Frame {
    let (width, side) = (size.width(), size.width() / 20);
    let mut data = pattern(size, index).into_i420();
    let code = index ^ index >> 1;
    for (y, row) in data.chunks_exact_mut(width).take(2 * side).enumerate() {
        for (bit, block) in row.chunks_exact_mut(side).take(16).enumerate() {
            block.fill(if (code >> bit & 1 == 1) == (y < side) { 220 } else { 30 });
        }
    }
    Frame::from_i420(size, data).unwrap()
}

/// Squares of 16 by 16 samples that are far from what was filmed.
fn stale(filmed: &Frame, shown: &Frame) -> usize {
    let width = filmed.size().width();
    let band = 16 * width;
    let mut stale = 0;
    for (filmed, shown) in filmed.y().chunks_exact(band).zip(shown.y().chunks_exact(band)) {
        for left in (0..width - 15).step_by(16) {
            let rows = (0..16).map(|row| row * width + left..row * width + left + 16);
            let errors = rows.flat_map(|row| filmed[row.clone()].iter().zip(&shown[row]));
            let squares: u32 = errors.map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum();
            stale += usize::from(squares > 256 * 30 * 30);
        }
    }
    stale
}

#[test]
fn what_changed_is_coded_even_if_light_and_dark_change_places() {
    for (width, height, kbit) in [(320, 180, 400), (640, 360, 800)] {
        let config = EncoderConfig { bit_rate: BitRate::from_kbit(kbit), ..config(size(width, height)) };
        let mut encoder = LibaomEncoder::new(config).unwrap();
        let mut count = 0;
        for (index, pts) in steady(120).into_iter().enumerate() {
            let frame = counting(config.size, index);
            encoder.encode(&frame, pts, false).unwrap();
            count += stale(&frame, &encoder.reconstruction().unwrap());
        }
        assert_eq!(count, 0, "{}", config.size);
    }
}

/// Bits a second over the packets, at 25 frames a second.
fn rate(packets: &[Vec<Packet>]) -> f64 {
    let bytes: usize = packets.iter().flatten().map(|packet| packet.data.len()).sum();
    (8 * 25 * bytes) as f64 / packets.len() as f64
}

/// With noise of up to four steps in the luma.
fn grained(frame: Frame, index: usize) -> Frame {
    let (size, mut data) = (frame.size(), frame.into_i420());
    for (at, sample) in data.iter_mut().take(size.width() * size.height()).enumerate() {
        let random = (at + 1_000_003 * index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        *sample = sample.wrapping_add((random >> 61) as u8).wrapping_sub(4);
    }
    Frame::from_i420(size, data).unwrap()
}

#[test]
fn the_bytes_follow_the_rate_down_and_up_without_a_key_frame() {
    const PHASE: usize = 75;
    for structure in [Structure::L1T1, Structure::L1T3, Structure::L3T3, Structure::L1T1Q2] {
        let config = EncoderConfig { bit_rate: BitRate::from_kbit(200), ..config(size(192, 112)) };
        let mut encoder = LibaomEncoder::layered(config, structure).unwrap();
        let mut packets = Vec::new();
        for (index, pts) in steady(4 * PHASE).into_iter().enumerate() {
            let kbit = [200, 200, 60, 400][index / PHASE];
            encoder.set_bit_rate(BitRate::from_kbit(kbit)).unwrap();
            // A picture that moves all over, with grain that is another one each time, so that there is something to spend bits on.
            let frame = grained(pattern(config.size, 7 * index), index);
            let coded = encoder.encode(&frame, pts, false).unwrap();
            assert!(coded.iter().all(|packet| packet.bit_rate == BitRate::from_kbit(kbit)));
            packets.push(coded);
        }
        assert_eq!(packets.iter().flatten().filter(|packet| packet.key_frame).count(), 1);
        let rates: Vec<f64> = packets.chunks(PHASE).map(|phase| rate(phase) / 1e3).collect();
        println!("{structure}: {rates:.0?} kbit/s");
        for (rate, wanted) in rates.iter().zip([200.0, 200.0, 60.0, 400.0]) {
            assert!(rate / wanted < 1.3, "{structure}: {rate:.0} of {wanted}");
        }
        assert!(rates[1] > 2.0 * rates[2] && rates[3] > 2.0 * rates[2], "{structure}: {rates:.0?}");
        // At once, not in the end of it.
        let first = rate(&packets[2 * PHASE..2 * PHASE + 25]) / 1e3;
        assert!(first < 0.6 * rates[1], "{structure}: {first:.0} in the first second after {:.0}", rates[1]);
    }
}

#[test]
fn the_rate_counts_with_the_frame_rate() {
    let config = EncoderConfig { bit_rate: BitRate::from_kbit(60), ..config(size(192, 112)) };
    let mean = |fps: u32| {
        let mut encoder = LibaomEncoder::new(config).unwrap();
        let mut packets = Vec::new();
        for index in 0..150 {
            if index == 50 {
                encoder.set_frame_rate(FrameRate::new(fps, 1).unwrap()).unwrap();
            }
            let frame = pattern(config.size, 7 * index);
            packets.push(encoder.encode(&frame, MediaTime(index as u64), false).unwrap());
        }
        assert_eq!(packets.iter().flatten().filter(|packet| packet.key_frame).count(), 1);
        rate(&packets[75..]) / 25.0
    };
    let (slow, fast) = (mean(10), mean(50));
    println!("{slow:.0} bits a frame at 10 fps, {fast:.0} at 50");
    assert!(slow > 2.5 * fast, "{slow:.0} bits a frame at 10 fps, {fast:.0} at 50");
}

#[test]
fn key_frames_come_when_they_are_asked_for_and_when_they_are_due() {
    let config = EncoderConfig { max_key_interval: 8, ..config(size(64, 64)) };
    for structure in [Structure::L1T1, Structure::L2T3] {
        let mut encoder = LibaomEncoder::layered(config, structure).unwrap();
        let mut keys = Vec::new();
        for (index, pts) in steady(30).into_iter().enumerate() {
            let packets = encoder.encode(&pattern(config.size, index), pts, index == 11).unwrap();
            if packets[0].key_frame {
                assert_eq!(packets[0].layer, Layer::BASE);
                assert!(configuration_record(&packets[0].data).is_ok());
                assert!(codec_av1::is_key_frame(&packets[0].data).unwrap());
                keys.push(index);
            }
            if index == 20 {
                assert_eq!(encoder.flush(), Ok(Vec::new()));
            }
        }
        assert_eq!(keys, [0, 8, 11, 19, 21, 29], "{structure}");
    }
}

#[test]
fn what_it_can_not_do_is_refused_and_changes_nothing() {
    let good = config(size(64, 64));
    for bad in [
        EncoderConfig { bit_rate: BitRate(7_999), ..good },
        EncoderConfig { max_key_interval: 0, ..good },
        EncoderConfig { threads: 0, ..good },
        EncoderConfig { threads: 65, ..good },
    ] {
        assert!(matches!(LibaomEncoder::new(bad), Err(Error::Config(_))), "{bad:?}");
    }
    let small = EncoderConfig { size: size(62, 64), ..good };
    let refused = LibaomEncoder::layered(small, Structure::L3T3).unwrap();
    assert_eq!(refused.structure().size_of(small.size, 0), Ok(size(16, 16)));
    let small = EncoderConfig { size: size(58, 64), ..good };
    let refused = LibaomEncoder::layered(small, Structure::L3T3).unwrap_err();
    assert!(refused.to_string().contains("58x64 in L3T3"), "{refused}");

    let mut encoder = LibaomEncoder::new(good).unwrap();
    assert!(matches!(encoder.set_bit_rate(BitRate(200_000_001)), Err(Error::Config(_))));
    assert_eq!(encoder.bit_rate(), good.bit_rate);
    let other = pattern(size(64, 66), 0);
    assert!(matches!(encoder.encode(&other, MediaTime(0), false), Err(Error::SizeMismatch { .. })));
    assert!(encoder.encode(&pattern(good.size, 0), MediaTime(0), false).unwrap()[0].key_frame);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Any size, rate, number of threads and any times: what goes in comes out at once, in the size that its layer has.
    #[test]
    fn every_shape_goes_through(
        (width, height) in (31u32..140, 31u32..140),
        structure in prop::sample::select(&[Structure::L1T1, Structure::L2T3, Structure::L3T3, Structure::L1T3Q2][..]),
        kbit in 8u64..2_000,
        fps in 1u32..240,
        threads in 1usize..4,
        times in prop::collection::vec(any::<u64>().prop_map(MediaTime), 1..12),
    ) {
        let mut config = config(size(2 * width, 2 * height));
        config.bit_rate = BitRate::from_kbit(kbit);
        config.rate = FrameRate::new(fps, 1).unwrap();
        config.threads = threads;
        let mut encoder = LibaomEncoder::layered(config, structure).unwrap();
        let mut decoder = Rav1dDecoder::new(config.size).unwrap();
        for (index, pts) in times.iter().enumerate() {
            let packets = encoder.encode(&pattern(config.size, index), *pts, false).unwrap();
            prop_assert!(packets.iter().all(|packet| packet.pts == *pts));
            let unit = join_layers(packets.iter().map(|p| (p.layer, &p.data[..]))).unwrap();
            let shown = decoder.decode(&unit, *pts).unwrap();
            prop_assert_eq!(shown.len(), 1);
            prop_assert_eq!((shown[0].frame.size(), shown[0].pts), (config.size, *pts));
            if index == 0 {
                let mut lowest = Rav1dDecoder::new(config.size).unwrap();
                let shown = lowest.decode(&packets[0].data, *pts).unwrap();
                prop_assert_eq!(shown[0].frame.size(), structure.size_of(config.size, 0).unwrap());
            }
        }
    }
}

#[test]
fn shares_of_the_rate_can_be_other_than_the_structures_own() {
    let config = config(size(192, 128));
    let base_share = |shares: [u64; 3], rate: BitRate| {
        let mut encoder = LibaomEncoder::shared_out(config, Structure::L2T1, shares).unwrap();
        encoder.set_bit_rate(rate).unwrap();
        let (mut base, mut all) = (0, 0);
        for (index, pts) in steady(60).into_iter().enumerate() {
            for packet in encoder.encode(&pattern(config.size, index), pts, false).unwrap() {
                all += packet.data.len();
                base += if packet.layer.spatial == 0 { packet.data.len() } else { 0 };
            }
        }
        100 * base / all
    };
    for rate in [config.bit_rate, BitRate::from_kbit(150)] {
        let (small, large) = (base_share([150, 850, 0], rate), base_share([600, 400, 0], rate));
        assert!(small + 20 < large, "{small} and {large} of a hundred");
    }
    for shares in [[500, 400, 0], [500, 400, 100], [u64::MAX, 1_001, 0]] {
        let opened = LibaomEncoder::shared_out(config, Structure::L2T1, shares);
        assert!(matches!(opened, Err(Error::Config(_))), "{shares:?}");
    }
}
