//! A stream is played through losses, lateness and jumps.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

mod common;

use codec_opus::{
    Arrival, Channels, EncoderConfig, Error, FrameDuration, OpusDecoder, SampleRate, SoundConfig,
    SoundPlayout, SoundSource,
};
use common::{arriving, heard, packet, play, redundant, spoken, steady};
use core::time::Duration;
use core_types::MonoTime;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn what_arrives_in_time_is_played_as_sent() {
    for (frame, channels) in [
        (FrameDuration::Ms2_5, Channels::Mono),
        (FrameDuration::Ms10, Channels::Stereo),
        (FrameDuration::Ms20, Channels::Mono),
        (FrameDuration::Ms60, Channels::Stereo),
    ] {
        let config = EncoderConfig { frame, channels, ..Default::default() };
        let packets = spoken(config, 2_000_000 / frame.duration().as_micros() as u64);
        let mut decoder = OpusDecoder::new(SampleRate::Hz48000, channels).unwrap();
        let plain: Vec<i16> = packets.iter().flat_map(|p| decoder.decode(&p.data).unwrap()).collect();
        let mut playout = SoundPlayout::new(SoundConfig { channels, ..steady(60) }).unwrap();
        let pieces = play(&mut playout, arriving(packets, |_| Some(30)), 2_500);
        let first = pieces.iter().find(|(_, piece)| piece.at.is_some()).unwrap();
        assert_eq!((first.0, first.1.at.unwrap().samples()), (MonoTime::from_millis(1_090), 0));
        let heard = heard(&pieces);
        // The very beginning fades in.
        let skip = 240 * channels.count();
        assert_eq!(heard[skip..], plain[skip..heard.len()], "{frame:?}");
        assert_eq!(playout.stats().concealed, Duration::ZERO);
        assert_eq!((playout.stats().stretched, playout.stats().squeezed), (ms(0), ms(0)));
        // What was pulled last is being played: what comes next is later than that by 10 ms.
        assert!((ms(49)..=ms(51)).contains(&playout.delay()), "{:?}", playout.delay());
    }
}

#[test]
fn a_burst_is_filled_from_redundancy() {
    let packets = spoken(redundant(), 150);
    let mut playout = SoundPlayout::new(steady(120)).unwrap();
    let pieces = play(&mut playout, arriving(packets, |seq| (!(60..65).contains(&seq)).then_some(20)), 3_500);
    let stats = playout.stats();
    assert_eq!((stats.from_redundancy, stats.concealed), (ms(100), Duration::ZERO));
    let sources: Vec<_> = pieces.iter().filter(|(_, p)| p.source == SoundSource::Redundancy).collect();
    let times: Vec<_> = sources.iter().map(|(_, p)| p.at.unwrap().samples() / 480).collect();
    assert_eq!(times, (120..130).collect::<Vec<_>>(), "where the packets were");
}

/// libopus marks it with a letter and the version, at the beginning of an extension in the packet's padding.
#[test]
fn redundancy_of_a_version_that_is_not_known_is_left_alone() {
    const MARK: [u8; 2] = [b'D', 12];
    let mut packets = spoken(redundant(), 150);
    let marked = packets.iter_mut().filter_map(|packet| {
        let at = packet.data.windows(2).rposition(|pair| pair == MARK)?;
        packet.data[at + 1] ^= 0x40;
        Some(())
    });
    assert!(marked.count() > 100, "where libopus has another mark, this test shows nothing");
    let mut playout = SoundPlayout::new(steady(120)).unwrap();
    let pieces = play(&mut playout, arriving(packets, |seq| (!(60..65).contains(&seq)).then_some(20)), 3_500);
    let stats = playout.stats();
    assert_eq!((stats.from_redundancy, stats.concealed), (Duration::ZERO, ms(100)));
    // All else is played as sent.
    let others = [SoundSource::Packet, SoundSource::Concealment, SoundSource::Nothing];
    assert!(pieces.iter().all(|(_, piece)| others.contains(&piece.source)));
}

#[test]
fn a_single_loss_is_filled_from_the_coarse_copy() {
    let config = EncoderConfig { expected_loss_percent: 20, ..Default::default() };
    let mut playout = SoundPlayout::new(steady(60)).unwrap();
    play(&mut playout, arriving(spoken(config, 100), |seq| (seq != 50).then_some(20)), 2_500);
    let stats = playout.stats();
    assert_eq!((stats.from_coarse_copies, stats.concealed), (ms(20), Duration::ZERO));
}

#[test]
fn with_both_the_coarse_copy_takes_the_last_frame() {
    let config = EncoderConfig { in_band_fec: true, bit_rate: core_types::BitRate(48_000), ..redundant() };
    let mut playout = SoundPlayout::new(steady(120)).unwrap();
    play(&mut playout, arriving(spoken(config, 100), |seq| (!(50..53).contains(&seq)).then_some(20)), 2_500);
    let stats = playout.stats();
    assert_eq!(
        (stats.from_coarse_copies, stats.from_redundancy, stats.concealed),
        (ms(20), ms(40), Duration::ZERO)
    );
}

#[test]
fn without_either_it_is_concealed() {
    let config = EncoderConfig { in_band_fec: false, ..Default::default() };
    let mut playout = SoundPlayout::new(steady(60)).unwrap();
    play(&mut playout, arriving(spoken(config, 100), |seq| (seq != 50 && seq != 51).then_some(20)), 2_500);
    assert_eq!(playout.stats().concealed, ms(40));
}

#[test]
fn what_the_fountain_brings_in_time_is_played_and_counted() {
    let arrivals: Vec<_> = arriving(spoken(redundant(), 100), |seq| Some(if seq == 50 { 70 } else { 20 }))
        .into_iter()
        .map(|(at, mut packet)| {
            packet.was_repaired = packet.seq.0 == 50;
            (at, packet)
        })
        .collect();
    let mut playout = SoundPlayout::new(steady(80)).unwrap();
    play(&mut playout, arrivals, 2_500);
    let stats = playout.stats();
    assert_eq!((stats.from_repaired, stats.from_redundancy, stats.concealed), (ms(20), ms(0), ms(0)));
}

#[test]
fn packets_out_of_order_and_twice_make_no_difference() {
    let packets = spoken(redundant(), 100);
    let order = |packets: Vec<_>, shuffled: bool| {
        let mut playout = SoundPlayout::new(steady(120)).unwrap();
        let delay = move |seq: u64| Some(if shuffled { 20 + seq * 7 % 5 * 18 } else { 20 });
        let mut arrivals = arriving(packets, delay);
        if shuffled {
            let again: Vec<_> = arrivals.iter().map(|(at, packet)| (at + 15, packet.clone())).collect();
            arrivals.extend(again);
        }
        let heard = heard(&play(&mut playout, arrivals, 3_200));
        (heard, playout.stats())
    };
    let (plain, _) = order(packets.clone(), false);
    let (shuffled, stats) = order(packets, true);
    assert_eq!(plain[..80_000], shuffled[..80_000]);
    assert_eq!((stats.duplicates, stats.packets), (100, 100));
}

#[test]
fn a_pause_is_no_loss() {
    let mut packets = spoken(redundant(), 100);
    // As if nothing had been said for 300 ms: media time goes on and numbers do not.
    for packet in &mut packets[50..] {
        packet.at = codec_opus::SampleTime::new(packet.at.samples() + 15 * 960);
    }
    // Its encoder says so once.
    packets[49].data = vec![packets[49].data[0] & 0xfc];
    let mut playout = SoundPlayout::new(steady(60)).unwrap();
    play(&mut playout, arriving(packets, |_| Some(20)), 3_000);
    let stats = playout.stats();
    assert_eq!((stats.paused, stats.concealed, stats.from_redundancy), (ms(320), ms(0), ms(0)));
}

#[test]
fn a_stream_that_stops_is_silent_and_starts_again() {
    let packets = spoken(redundant(), 200);
    // Nothing for two seconds, then as before.
    let mut playout = SoundPlayout::new(steady(60)).unwrap();
    let pieces =
        play(&mut playout, arriving(packets, |seq| (!(50..150).contains(&seq)).then_some(20)), 5_300);
    let silent =
        pieces.iter().filter(|(now, p)| now.0 > 2_100_000 && p.source == SoundSource::Nothing).count();
    assert!(silent > 80, "{silent} pieces of silence");
    let last = pieces.iter().rfind(|(_, p)| p.source == SoundSource::Packet).unwrap();
    assert_eq!(last.1.at.unwrap().samples(), 200 * 960 - 480);
    let stats = playout.stats();
    assert!(stats.concealed <= ms(2_020), "{stats:?}");
}

#[test]
fn jumps_of_media_time_are_followed_when_packets_agree() {
    for jump in [1i64 << 40, -40_000_000] {
        let mut packets = spoken(redundant(), 200);
        for packet in &mut packets {
            packet.at = codec_opus::SampleTime::new(packet.at.samples() + 50_000_000);
        }
        let mut arrivals = arriving(packets, |_| Some(20));
        for (at, packet) in &mut arrivals {
            *at -= 50_000_000 / 48;
            if packet.seq.0 >= 100 {
                packet.at = codec_opus::SampleTime::new(packet.at.samples().wrapping_add_signed(jump));
            }
        }
        // One alone is not believed.
        arrivals[50].1.at = codec_opus::SampleTime::new(7);
        let mut playout = SoundPlayout::new(steady(60)).unwrap();
        let pieces = play(&mut playout, arrivals, 5_300);
        let stats = playout.stats();
        assert_eq!((stats.strays, stats.from_redundancy >= ms(20)), (3, true), "{stats:?}");
        let played = pieces.iter().filter(|(_, p)| p.source == SoundSource::Packet).count();
        assert!(played > 380, "{played} pieces of 400");
        let last = pieces.iter().rfind(|(_, p)| p.source == SoundSource::Packet).unwrap().1.at.unwrap();
        assert_eq!(last.samples() as i64, 50_000_000 + jump + 200 * 960 - 480);
    }
}

#[test]
fn damaged_packets_are_left_out_and_their_sound_stood_in_for() {
    let mut packets = spoken(redundant(), 100);
    packets[50].data = vec![3];
    let mut playout = SoundPlayout::new(steady(60)).unwrap();
    let damaged = packets.remove(50);
    let error = playout.push(MonoTime::from_millis(0), damaged).unwrap_err();
    assert!(error.is_peer_fault());
    play(&mut playout, arriving(packets, |_| Some(20)), 2_500);
    let stats = playout.stats();
    assert_eq!((stats.malformed, stats.from_redundancy), (1, ms(20)));
}

#[test]
fn late_packets_are_told_from_others() {
    let packets = spoken(redundant(), 100);
    let mut playout = SoundPlayout::new(steady(20)).unwrap();
    play(&mut playout, arriving(packets[..50].to_vec(), |_| Some(20)), 2_100);
    assert_eq!(playout.push(MonoTime::from_millis(2_100), packets[49].clone()), Ok(Arrival::Duplicate));
    let old = packet(1_000, 45 * 960, packets[45].data.clone());
    assert_eq!(playout.push(MonoTime::from_millis(2_100), old), Ok(Arrival::Late));
}

#[test]
fn contradictory_delays_are_refused() {
    let good = SoundConfig::default();
    for config in [
        SoundConfig { start_delay: ms(10), ..good },
        SoundConfig { start_delay: ms(500), ..good },
        SoundConfig { repair_delay: ms(10), ..good },
        SoundConfig { repair_delay: ms(500), ..good },
        SoundConfig { most_delay: ms(8_001), ..good },
    ] {
        assert!(matches!(SoundPlayout::new(config), Err(Error::Delays { .. })), "{config:?}");
    }
}
