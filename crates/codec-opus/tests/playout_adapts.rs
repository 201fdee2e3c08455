//! The delay follows the network, without a click.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

mod common;

use codec_opus::{
    ClockOffset, EncoderConfig, SampleTime, SoundConfig, SoundPacket, SoundPlayout, SoundSource,
    VoiceActivity,
};
use common::{arriving, heard, lot, packet, play, redundant, spoken, steady, steepest, voice};
use core::time::Duration;
use core_types::{MonoTime, ObjectSeq};
use proptest::prelude::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the loudest syllables have from one sample to the next, coded and decoded, is about this.
fn normal_step() -> i32 {
    let mut playout = SoundPlayout::new(steady(60)).unwrap();
    steepest(&heard(&play(&mut playout, arriving(spoken(plain(), 400), |_| Some(20)), 9_000)))
}

fn plain() -> EncoderConfig {
    EncoderConfig { in_band_fec: false, bit_rate: core_types::BitRate(64_000), ..Default::default() }
}

#[test]
fn delay_comes_down_by_squeezing_without_a_click() {
    let config = SoundConfig { start_delay: ms(200), ..Default::default() };
    let mut playout = SoundPlayout::new(config).unwrap();
    let pieces = play(&mut playout, arriving(spoken(plain(), 900), |_| Some(20)), 18_500);
    let stats = playout.stats();
    assert!(playout.delay() < ms(45), "{:?} at the end", playout.delay());
    assert!(stats.squeezed > ms(150) && stats.concealed == ms(0), "{stats:?}");
    let found = steepest(&heard(&pieces));
    assert!(found <= normal_step() * 5 / 4, "a step of {found}, {} is normal", normal_step());
}

#[test]
fn jitter_raises_the_delay_until_nothing_is_late() {
    let mut next = lot(3);
    let delays: Vec<u64> = (0..1_500).map(|n| if n < 300 { 20 } else { 20 + next() % 80 }).collect();
    let mut playout = SoundPlayout::new(SoundConfig::default()).unwrap();
    let arrivals = arriving(spoken(plain(), 1_500), |seq| Some(delays[seq as usize]));
    let (early, late): (Vec<_>, Vec<_>) = arrivals.into_iter().partition(|(at, _)| *at < 10_000);
    let mut all = early;
    all.extend(late);
    let pieces = play(&mut playout, all, 31_000);
    let guessed = |from: u64, to: u64| {
        let within = |now: &MonoTime| (from * 1_000_000..to * 1_000_000).contains(&now.0);
        pieces.iter().filter(|(now, p)| within(now) && p.source == SoundSource::Concealment).count()
    };
    let (at_first, then) = (guessed(7, 9), guessed(10, 31));
    assert!(at_first < 40, "{at_first} of 200 pieces guessed while it adapts");
    assert!(then < 42, "{then} of 2,100 pieces guessed: more than 2 %");
    // The last of a second is the end of the stream.
    let delay = pieces
        .iter()
        .rfind(|(_, p)| p.source == SoundSource::Packet)
        .map(|(now, p)| now.0 / 1_000 - 1_020 - p.at.unwrap().samples() / 48);
    assert!(delay.is_some_and(|delay| (70..110).contains(&delay)), "{delay:?} ms");
    let found = steepest(&heard(&pieces));
    assert!(found <= normal_step() * 3 / 2, "a step of {found}, {} is normal", normal_step());
}

#[test]
fn bursts_raise_the_delay_until_they_can_be_repaired() {
    let mut playout = SoundPlayout::new(SoundConfig::default()).unwrap();
    // 100 ms in each second.
    let lost = |seq: u64| seq % 50 >= 45;
    let pieces =
        play(&mut playout, arriving(spoken(redundant(), 1_500), |seq| (!lost(seq)).then_some(20)), 31_000);
    let late = |source| pieces.iter().filter(|(now, p)| now.0 > 11_000_000 && p.source == source).count();
    let (guessed, repaired) = (late(SoundSource::Concealment), late(SoundSource::Redundancy));
    assert!(repaired > 180 && guessed == 0, "{repaired} pieces from redundancy, {guessed} guessed");
    assert!(playout.delay() < ms(150), "{:?}", playout.delay());
}

/// Units give back what bursts of 60 ms take, the whole burst 60 ms after it: that is no jitter, and waited for all the same.
#[test]
fn what_units_give_back_late_is_waited_for() {
    let lost = |seq: u64| seq % 50 >= 47;
    let delay = |seq: u64| Some(if lost(seq) { 20 + (50 - seq % 50) * 20 + 40 } else { 20 });
    let mut arrivals = arriving(spoken(plain(), 1_500), delay);
    arrivals.iter_mut().for_each(|(_, packet)| packet.was_repaired = lost(packet.seq.0));
    let mut playout = SoundPlayout::new(SoundConfig::default()).unwrap();
    let pieces = play(&mut playout, arrivals, 31_000);
    let late = |source| pieces.iter().filter(|(now, p)| now.0 > 11_000_000 && p.source == source).count();
    let (guessed, repaired) = (late(SoundSource::Concealment), late(SoundSource::Repaired));
    assert!(repaired > 110 && guessed == 0, "{repaired} pieces given back, {guessed} guessed");
    assert!(playout.delay() < ms(150), "{:?}", playout.delay());
}

#[test]
fn a_stall_is_caught_up_with() {
    // Half a second in which nothing comes, then all of it at once.
    let delay = |seq: u64| Some(if (300..325).contains(&seq) { 20 + (325 - seq) * 20 } else { 20 });
    let mut playout = SoundPlayout::new(SoundConfig::default()).unwrap();
    let pieces = play(&mut playout, arriving(spoken(plain(), 2_500), delay), 51_000);
    assert!(playout.delay() < ms(60), "{:?}", playout.delay());
    let late =
        pieces.iter().filter(|(now, p)| now.0 > 8_000_000 && p.source == SoundSource::Concealment).count();
    assert!(late <= 100, "{late} pieces guessed after the stall: the end of the stream and no more");
}

#[test]
fn a_drifting_sender_is_followed() {
    for sign in [1i64, -1] {
        let mut arrivals = arriving(spoken(plain(), 1_500), |_| Some(20));
        for (at, packet) in &mut arrivals {
            // A thousandth: 30 ms over the 30 s.
            *at = at.wrapping_add_signed(sign * packet.seq.0 as i64 / 50);
        }
        let mut playout = SoundPlayout::new(steady(40)).unwrap();
        play(&mut playout, arrivals, 30_900);
        let stats = playout.stats();
        assert!(stats.concealed <= ms(40), "{stats:?}");
        assert!(playout.delay() < ms(75), "{:?}", playout.delay());
    }
}

#[test]
fn it_is_held_back_for_pictures_and_let_go() {
    let mut playout = SoundPlayout::new(steady(40)).unwrap();
    let arrivals = arriving(spoken(plain(), 1_000), |_| Some(20));
    let (first, rest): (Vec<_>, Vec<_>) = arrivals.into_iter().partition(|(at, _)| *at < 6_000);
    play(&mut playout, first, 6_000);
    let fastest = ClockOffset::between(MonoTime::from_millis(1_020), SampleTime::new(0));
    let least = ClockOffset::between(MonoTime::from_millis(1_140), SampleTime::new(0));
    assert_eq!(least.micros_after(fastest), 120_000);
    playout.hold_back(Some(least));
    let mut now = 6_000;
    let mut delays = Vec::new();
    for (at, packet) in rest {
        while now < at {
            playout.pull(MonoTime::from_millis(now)).unwrap();
            delays.push(playout.delay());
            now += 10;
        }
        if now > 12_000 {
            playout.hold_back(None);
        }
        playout.push(MonoTime::from_millis(at), packet).unwrap();
    }
    let held = delays[400];
    assert!((ms(95)..ms(135)).contains(&held), "{held:?}");
    assert!(*delays.last().unwrap() < ms(75), "{:?}", delays.last());
}

#[test]
fn a_voice_is_told_from_silence_in_what_is_played() {
    let mut encoder = codec_opus::OpusEncoder::new(plain()).unwrap();
    let said = voice(48_000);
    let packets = (0..100).map(|n| {
        let pcm = if n < 50 { vec![0; 960] } else { said[(n as usize - 50) * 960..][..960].to_vec() };
        packet(n, n * 960, encoder.encode(&pcm).unwrap())
    });
    let mut playout = SoundPlayout::new(steady(40)).unwrap();
    let arrivals = arriving(packets.collect(), |_| Some(20));
    let pieces = play(&mut playout, arrivals, 3_000);
    let talks: Vec<_> =
        pieces.iter().filter(|(_, p)| p.activity.is_voice).map(|(_, p)| p.at.unwrap()).collect();
    let first = talks[0].samples() / 48;
    assert!((1_000..1_150).contains(&first), "begins at {first} ms");
    assert!(talks.len() > 70, "{} pieces", talks.len());
    // The same PCM without flags gives about the same.
    let mut alone = VoiceActivity::new();
    assert!(pieces.iter().filter(|(_, p)| alone.update(&p.pcm, None).is_voice).count() > 70);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes whenever: each pull gives a piece, and no more waits than may.
    #[test]
    fn garbage_is_survived(
        steps in prop::collection::vec(
            (0u64..60, any::<u64>(), prop_oneof![0u64..100_000, any::<u64>()], prop::collection::vec(any::<u8>(), 0..60), 0u8..4),
            1..150,
        ),
    ) {
        let real = spoken(redundant(), 40);
        let mut playout = SoundPlayout::new(SoundConfig::default()).unwrap();
        let mut now = 0;
        for (n, (passed, seq, at, data, kind)) in steps.into_iter().enumerate() {
            now += passed;
            let packet = match kind {
                0 => SoundPacket { seq: ObjectSeq(seq), at: SampleTime::new(at), was_repaired: false, data },
                1 => packet(seq % 64, at % 100_000, real[n % 40].data.clone()),
                _ => real[n % 40].clone(),
            };
            let _ = playout.push(MonoTime::from_millis(now), packet);
            prop_assert!(playout.waiting() <= 512);
            let piece = playout.pull(MonoTime::from_millis(now)).unwrap();
            prop_assert_eq!(piece.pcm.len(), 480);
        }
    }
}

#[test]
fn a_flood_is_bounded() {
    let one = spoken(plain(), 1).remove(0);
    let mut playout = SoundPlayout::new(SoundConfig::default()).unwrap();
    for n in 0..2_000u64 {
        playout.push(MonoTime::from_millis(5), packet(n, n * 960, one.data.clone())).unwrap();
    }
    assert_eq!((playout.waiting(), playout.stats().skipped), (512, 1_488));
}
