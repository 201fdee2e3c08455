//! One subscriber has a quarter of the bandwidth that the stream takes: its picture goes on moving, and nobody else notices.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "helpers of tests")]

mod stage;

use core_types::{BitRate, Layer, ObjectClass};
use stage::{Frame, Seen, Stage, narrow, wide};
use std::time::Duration;

const FRAME: Duration = Duration::from_micros(35_200);
/// A picture that stands still for no longer still moves.
const MOVING: Duration = Duration::from_millis(500);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Frames in three temporal layers, all of ten symbols: 2.5 Mbit/s, a fifth of which is source symbols of the base.
fn layered(number: u64, key_wanted: bool) -> Frame {
    let temporal = match number % 4 {
        0 => 0,
        2 => 1,
        _ => 2,
    };
    let class = match temporal {
        0 if key_wanted || number.is_multiple_of(64) => ObjectClass::KeyFrame,
        0 => ObjectClass::Plain,
        1 => ObjectClass::SwitchPoint,
        _ => ObjectClass::Discardable,
    };
    let refers = [4, 2, 1][usize::from(temporal)];
    Frame { layer: Layer { temporal, ..Layer::BASE }, class, refers, source: 8, repair: 2 }
}

/// The same with key frames of twice the size.
fn with_large_key_frames(number: u64, key_wanted: bool) -> Frame {
    let frame = layered(number, key_wanted);
    let by = if frame.class == ObjectClass::KeyFrame { 2 } else { 1 };
    Frame { source: frame.source * by, repair: frame.repair * by, ..frame }
}

/// What the one with so many kbit/s saw in so long, after two seconds; and how many key frames were asked for. The others have
/// seen all.
fn watch(script: stage::Script, seed: u64, kbit: u64, delay: Duration, how_long: Duration) -> (Seen, u64) {
    let paths = [narrow(BitRate::from_kbit(kbit), delay), wide(delay), wide(ms(40))];
    let mut stage = Stage::new(seed, script, FRAME, &paths);
    stage.run(ms(2_000));
    for at in 0..3 {
        stage.mark(at);
    }
    let before = stage.keys_asked;
    stage.run(how_long);
    for other in [1, 2] {
        let seen = stage.mark(other);
        assert!(seen.frames > 0 && seen.shown == seen.frames && seen.still <= ms(38), "{seen:?}");
    }
    (stage.mark(0), stage.keys_asked - before)
}

#[test]
fn a_quarter_of_the_bandwidth_keeps_a_moving_picture() {
    for seed in 1..5 {
        for delay in [0, 20, 60] {
            let (seen, asked) = watch(layered, seed, 625, ms(delay), ms(20_000));
            assert!(seen.still <= MOVING, "seed {seed}, {delay} ms: {seen:?}");
            assert!(seen.shown * 100 >= seen.frames * 28, "seed {seed}, {delay} ms: {seen:?}");
            assert!(asked <= 1, "seed {seed}, {delay} ms: {asked} key frames");
        }
    }
}

#[test]
fn so_it_does_with_key_frames_of_twice_the_size() {
    for seed in 1..5 {
        let (seen, _) = watch(with_large_key_frames, seed, 625, ms(10), ms(20_000));
        assert!(seen.still <= MOVING && seen.shown * 100 >= seen.frames * 26, "seed {seed}: {seen:?}");
    }
}

/// Little more than the source symbols of the base fits.
#[test]
fn the_base_alone_is_a_moving_picture() {
    for seed in 1..5 {
        let (seen, _) = watch(layered, seed, 540, ms(10), ms(20_000));
        assert!(seen.still <= MOVING && seen.shown * 100 >= seen.frames * 24, "seed {seed}: {seen:?}");
    }
}
