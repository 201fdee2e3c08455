//! A voice, a network and a device for the tests of playing.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_opus::{
    EncoderConfig, OpusEncoder, SampleRate, SampleTime, SoundConfig, SoundPacket, SoundPiece, SoundPlayout,
};
use core::time::Duration;
use core_types::{MonoTime, ObjectSeq};

/// The bundled recording at 48 kHz, over and over.
pub(crate) fn voice(samples: usize) -> Vec<i16> {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/speech.wav")).unwrap();
    let data = bytes.windows(4).position(|name| name == b"data").unwrap() + 8;
    // Without the silence at its end.
    let speech: Vec<i32> = bytes[data..][..256_000]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]).into())
        .collect();
    let at = |n: usize| speech[n % speech.len()];
    (0..samples).map(|n| (at(n / 3) + (at(n / 3 + 1) - at(n / 3)) * (n % 3) as i32 / 3) as i16).collect()
}

/// Packets of a voice; number and media time count from zero.
pub(crate) fn spoken(config: EncoderConfig, packets: u64) -> Vec<SoundPacket> {
    let mut encoder = OpusEncoder::new(config).unwrap();
    assert_eq!(config.sample_rate, SampleRate::Hz48000);
    let frame = config.frame.samples(config.sample_rate);
    let pcm = voice(frame * packets as usize);
    let channels = config.channels.count();
    pcm.chunks_exact(frame)
        .enumerate()
        .map(|(n, frame)| {
            let frame: Vec<i16> = frame.iter().flat_map(|s| vec![*s; channels]).collect();
            packet(n as u64, n as u64 * frame.len() as u64 / channels as u64, encoder.encode(&frame).unwrap())
        })
        .collect()
}

pub(crate) fn packet(seq: u64, at: u64, data: Vec<u8>) -> SoundPacket {
    SoundPacket { seq: ObjectSeq(seq), at: SampleTime::new(at), was_repaired: false, data }
}

/// Speech with a second of redundancy and nothing else.
pub(crate) fn redundant() -> EncoderConfig {
    EncoderConfig {
        in_band_fec: false,
        redundancy: Duration::from_secs(1),
        expected_loss_percent: 20,
        ..Default::default()
    }
}

/// A delay that nothing moves without need: it begins where it may stay.
pub(crate) fn steady(millis: u64) -> SoundConfig {
    let delay = Duration::from_millis(millis);
    let repair_delay = SoundConfig::default().repair_delay.max(delay);
    SoundConfig { start_delay: delay, least_delay: delay, repair_delay, ..Default::default() }
}

/// Plays packets that arrive at the given local times, in ms; pulls each 10 ms until `until`.
pub(crate) fn play(
    playout: &mut SoundPlayout,
    mut arrivals: Vec<(u64, SoundPacket)>,
    until: u64,
) -> Vec<(MonoTime, SoundPiece)> {
    arrivals.sort_by_key(|(at, _)| *at);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut pieces = Vec::new();
    for now in (0..until).step_by(10) {
        while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
            playout.push(MonoTime::from_millis(at), packet).unwrap();
        }
        let now = MonoTime::from_millis(now);
        let piece = playout.pull(now).unwrap();
        assert_eq!(piece.pcm.len(), SoundPlayout::PIECE * playout.config().channels.count());
        pieces.push((now, piece));
    }
    pieces
}

/// Each packet arrives `delay` ms after it was made, which is when its media time has passed on a clock 1 s ahead.
pub(crate) fn arriving(
    packets: Vec<SoundPacket>,
    delay: impl Fn(u64) -> Option<u64>,
) -> Vec<(u64, SoundPacket)> {
    packets
        .into_iter()
        .filter_map(|packet| Some((1_000 + packet.at.samples() / 48 + delay(packet.seq.0)?, packet)))
        .collect()
}

/// All sound that has a media time.
pub(crate) fn heard(pieces: &[(MonoTime, SoundPiece)]) -> Vec<i16> {
    pieces.iter().filter(|(_, piece)| piece.at.is_some()).flat_map(|(_, piece)| piece.pcm.clone()).collect()
}

/// The largest step from one sample to the next.
pub(crate) fn steepest(pcm: &[i16]) -> i32 {
    pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// The same numbers in each run.
pub(crate) fn lot(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}
