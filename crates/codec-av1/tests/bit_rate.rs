//! A change of bit rate loses no picture, costs one key frame, and is followed by the bytes.
#![cfg(feature = "rav1e")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use codec_av1::{
    EncoderConfig, Error, Packet, Rav1dDecoder, Rav1eEncoder, VideoDecoder, VideoEncoder,
    configuration_record,
};
use core_types::BitRate;
use proptest::prelude::*;
use support::{config, encode, pattern, size, steady};

/// Codes `count` frames; `changes` are the rates asked for before frames. Gives the packets and how many each call gave,
/// the last one being the flush.
fn encode_changing(
    config: EncoderConfig,
    count: usize,
    changes: &[(usize, BitRate)],
    forced: &[usize],
) -> (Vec<Packet>, Vec<usize>) {
    let mut encoder = Rav1eEncoder::new(config).unwrap();
    let (mut packets, mut calls) = (Vec::new(), Vec::new());
    for (index, pts) in steady(count).into_iter().enumerate() {
        for (_, rate) in changes.iter().filter(|(at, _)| *at == index) {
            encoder.set_bit_rate(*rate).unwrap();
            assert_eq!(encoder.bit_rate(), *rate);
        }
        let ready = encoder.encode(&pattern(config.size, index), pts, forced.contains(&index)).unwrap();
        calls.push(ready.len());
        packets.extend(ready);
    }
    let rest = encoder.flush().unwrap();
    calls.push(rest.len());
    packets.extend(rest);
    (packets, calls)
}

/// The rate that each frame should be coded at: a change waits until the packets of the change before it are out.
fn expected_rates(start: BitRate, count: usize, changes: &[(usize, BitRate)], delay: usize) -> Vec<BitRate> {
    let (mut rates, mut wanted, mut rate) = (Vec::new(), start, start);
    let (mut waiting, mut ending) = (0, 0);
    for index in 0..count {
        if let Some((_, last)) = changes.iter().rfind(|(at, _)| *at == index) {
            wanted = *last;
        }
        if wanted != rate && ending == 0 {
            (rate, ending, waiting) = (wanted, waiting, 0);
        }
        rates.push(rate);
        waiting = usize::min(waiting + 1, delay);
        ending = usize::saturating_sub(ending, 1);
    }
    rates
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn every_picture_comes_out_once_in_order_and_decodes(
        changes in prop::collection::vec((0usize..22, 1u64..4), 0..6),
        forced in prop::collection::vec(0usize..22, 0..2),
        count in 1usize..22,
        threads in 1usize..3,
    ) {
        let mut config = config(size(64, 64));
        config.threads = threads;
        // Rates often repeat, so that some changes are none, or go back before they were made.
        let mut changes: Vec<_> =
            changes.into_iter().map(|(at, n)| (at, BitRate::from_kbit(100 * n))).collect();
        changes.sort_by_key(|(at, _)| *at);
        let (packets, calls) = encode_changing(config, count, &changes, &forced);

        prop_assert_eq!(packets.iter().map(|p| p.pts).collect::<Vec<_>>(), steady(count));
        let delay = Rav1eEncoder::new(config).unwrap().delay_frames();
        let rates = expected_rates(config.bit_rate, count, &changes, delay);
        prop_assert_eq!(packets.iter().map(|p| p.bit_rate).collect::<Vec<_>>(), &rates[..]);
        for (index, packet) in packets.iter().enumerate() {
            let starts = index == 0 || rates[index] != rates[index - 1] || forced.contains(&index);
            prop_assert_eq!(packet.key_frame, starts, "frame {}", index);
        }

        // The delay stays what it is, and no call has to code more than one picture.
        let mut out = 0;
        for (index, given) in calls[..count].iter().enumerate() {
            out += given;
            prop_assert!(*given <= 1 && out + delay > index, "call {} gave {}, {} in all", index, given, out);
        }

        let mut decoder = Rav1dDecoder::new(config.size).unwrap();
        for (index, packet) in packets.iter().enumerate() {
            let shown = decoder.decode(&packet.data, packet.pts).unwrap();
            prop_assert_eq!(shown.len(), 1);
            prop_assert_eq!(shown[0].pts, packet.pts);
            prop_assert!(pattern(config.size, index).psnr_y(&shown[0].frame).unwrap() > 25.0);
        }
    }
}

#[test]
fn the_bytes_follow_the_rate_down_and_up() {
    const SECONDS: usize = 3;
    let frames = 25 * SECONDS;
    let mut config = config(size(160, 96));
    let kbit = [240, 80, 240];
    config.bit_rate = BitRate::from_kbit(kbit[0]);
    let changes = [(frames, BitRate::from_kbit(kbit[1])), (2 * frames, BitRate::from_kbit(kbit[2]))];
    let (packets, _) = encode_changing(config, kbit.len() * frames, &changes, &[]);
    for (packets, kbit) in packets.chunks(frames).zip(kbit) {
        assert_eq!(packets[0].bit_rate, BitRate::from_kbit(kbit));
        // With the key frame that the change costs.
        let bits = 8 * packets.iter().map(|p| p.data.len()).sum::<usize>();
        let share = bits as f64 / (1_000 * kbit as usize * SECONDS) as f64;
        println!("{kbit} kbit/s: {share:.2} of it, key frame {} bytes", packets[0].data.len());
        assert!((0.7..1.25).contains(&share), "{share:.2} of {kbit} kbit/s");
    }
}

#[test]
fn rates_that_it_can_not_do_are_refused_and_change_nothing() {
    let config = config(size(64, 64));
    let mut encoder = Rav1eEncoder::new(config).unwrap();
    let mut packets = Vec::new();
    for (index, pts) in steady(10).into_iter().enumerate() {
        if index == 5 {
            encoder.set_bit_rate(config.bit_rate).unwrap();
            for silly in [0, 1, 7_999, 200_000_001, u64::from(u32::MAX), u64::MAX] {
                let refused = encoder.set_bit_rate(BitRate(silly));
                assert!(
                    matches!(&refused, Err(Error::Config(what)) if what.contains("8 kbit/s to 200 Mbit/s"))
                );
            }
        }
        packets.extend(encoder.encode(&pattern(config.size, index), pts, false).unwrap());
    }
    packets.extend(encoder.flush().unwrap());
    assert_eq!(packets, encode(config, &steady(10), &[]));
}

#[test]
fn the_extremes_work_for_every_shape() {
    let extremes = [EncoderConfig::MIN_BIT_RATE, EncoderConfig::MAX_BIT_RATE];
    for (width, height, fps) in [(16, 16, 240), (130, 66, 25), (320, 200, 1)] {
        let mut config = config(size(width, height));
        config.rate = core_types::FrameRate::new(fps, 1).unwrap();
        let changes: Vec<_> = (0..4).map(|n| (5 * n, extremes[n % 2])).collect();
        let (packets, _) = encode_changing(config, 20, &changes, &[]);
        let mut decoder = Rav1dDecoder::new(config.size).unwrap();
        for packet in &packets {
            assert_eq!(decoder.decode(&packet.data, packet.pts).unwrap().len(), 1);
        }
        assert_eq!(packets.iter().filter(|p| p.key_frame).count(), 4);
    }
}

#[test]
fn a_change_during_a_flush_or_before_the_first_frame_costs_nothing() {
    let config = config(size(64, 64));
    let mut encoder = Rav1eEncoder::new(config).unwrap();
    let other = BitRate::from_kbit(120);
    encoder.set_bit_rate(other).unwrap();
    let mut rounds = Vec::new();
    for rate in [other, config.bit_rate] {
        encoder.set_bit_rate(rate).unwrap();
        let mut packets = Vec::new();
        for (index, pts) in steady(6).into_iter().enumerate() {
            packets.extend(encoder.encode(&pattern(config.size, index), pts, false).unwrap());
        }
        // Asked for and flushed before any frame came: the next one has it.
        encoder.set_bit_rate(BitRate::from_kbit(555)).unwrap();
        packets.extend(encoder.flush().unwrap());
        assert_eq!(encoder.flush().unwrap(), []);
        assert_eq!(packets.iter().map(|p| p.key_frame).filter(|key| *key).count(), 1);
        assert!(packets.len() == 6 && packets.iter().all(|p| p.bit_rate == rate));
        rounds.push(packets);
    }
    // A container says once what all of the stream is.
    let records = rounds.iter().map(|packets| configuration_record(&packets[0].data).unwrap());
    assert!(records.collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1]));
}
