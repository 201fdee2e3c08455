//! Pictures go with their sound.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_opus::{SampleTime, SyncClock};
use core::time::Duration;
use core_types::{MediaTime, MonoTime};
use proptest::prelude::*;

const FRAME: Duration = Duration::from_millis(40);

/// Sound each 10 ms whose offset from media time is `offset` microseconds at each; pictures each 40 ms that are ready
/// `ready` microseconds after their media time. Returns for each picture how much later than its sound it is shown.
fn skews(count: u64, offset: impl Fn(u64) -> i64, ready: impl Fn(u64) -> i64) -> Vec<i64> {
    let mut sync = SyncClock::new();
    let mut skews = Vec::new();
    let mut picture = 0u64;
    for piece in 0..count {
        let media = piece * 10_000;
        let heard = 10_000_000u64.wrapping_add_signed(media as i64 + offset(piece));
        sync.sound(MonoTime(heard), SampleTime::from_media(MediaTime(media)));
        while picture * 40_000 <= media {
            let at = picture * 40_000;
            let made = 10_000_000u64.wrapping_add_signed(at as i64 + ready(picture));
            sync.picture(MonoTime(made), MediaTime(at), FRAME);
            let shown = sync.show_at(MediaTime(at)).unwrap();
            let sounds = 10_000_000i64 + at as i64 + offset(at / 10_000);
            skews.push(shown.0 as i64 - sounds);
            picture += 1;
        }
    }
    skews
}

#[test]
fn a_steady_sound_is_met_exactly() {
    let skews = skews(1_000, |_| 80_000, |_| 30_000);
    assert!(skews.len() > 200 && skews.iter().all(|skew| skew.abs() < 100), "{skews:?}");
}

#[test]
fn small_steps_are_followed_slowly_and_jumps_at_once() {
    let mut sync = SyncClock::new();
    let sound = |sync: &mut SyncClock, ms: u64, offset: u64| {
        sync.sound(MonoTime::from_millis(ms + offset), SampleTime::new(ms * 48));
        sync.skew().unwrap()
    };
    for n in 0..100 {
        sound(&mut sync, n * 10, 100);
    }
    // The sound is 15 ms later from now on: the clock makes up for 2 ms in 100.
    assert_eq!(sound(&mut sync, 1_000, 115) / 1_000, -14);
    for n in 1..=10 {
        sound(&mut sync, 1_000 + n * 10, 115);
    }
    assert_eq!(sync.skew().unwrap() / 1_000, -12);
    for n in 11..200 {
        sound(&mut sync, 1_000 + n * 10, 115);
    }
    assert_eq!(sync.skew().unwrap(), 0);
    // Far off: the sound has been started anew.
    assert_eq!(sound(&mut sync, 4_000, 500), 0);
}

#[test]
fn without_sound_pictures_keep_their_own_time() {
    let mut sync = SyncClock::new();
    assert_eq!(sync.show_at(MediaTime(0)), None);
    let mut late = 0;
    let mut last = MonoTime(0);
    for n in 0..500u64 {
        let at = MediaTime(n * 40_000);
        let ready = MonoTime(5_000_000 + n * 40_000 + n * 7 % 4 * 10_000);
        sync.picture(ready, at, FRAME);
        let shown = sync.show_at(at).unwrap();
        late += u64::from(n > 50 && shown < ready);
        assert!(shown > last, "in order");
        last = shown;
    }
    assert!(late <= 10, "{late} of 450 shown after they were due");
    assert_eq!(sync.skew(), None);
    assert!(sync.picture_delay() <= Duration::from_millis(60), "{:?}", sync.picture_delay());
}

#[test]
fn slow_pictures_ask_sound_to_wait() {
    let mut sync = SyncClock::new();
    for n in 0..200u64 {
        let at = MediaTime(n * 40_000);
        sync.picture(MonoTime(5_120_000 + n * 40_000), at, FRAME);
        sync.sound(MonoTime(5_050_000 + n * 40_000), SampleTime::from_media(at));
    }
    let sound = codec_opus::ClockOffset::between(MonoTime(5_050_000), SampleTime::new(0));
    let wanted = sync.sound_offset().unwrap().micros_after(sound);
    assert!((70_000..90_000).contains(&wanted), "{wanted} µs");
    // When it does not, pictures are shown with the sound all the same: by the player's choice late, or not.
    assert!(sync.skew().unwrap().abs() < 1_000);
}

proptest! {
    /// Sound that drifts, is stretched and squeezed by periods, and is told of unevenly: pictures stay within 40 ms.
    #[test]
    fn drift_and_jitter_stay_within_the_tolerance(
        drift in -500i64..500,
        steps in prop::collection::vec((-15_000i64..15_000, 3usize..60), 1..200),
        unevenness in 0i64..8_000,
        seed: u64,
    ) {
        // Offsets of the sound, piece by piece: a drift in parts per million, and a step of at most a period now and then.
        let mut offsets = Vec::new();
        let mut offset = 100_000i64;
        for (step, pieces) in steps {
            offset = (offset + step).clamp(20_000, 400_000);
            for _ in 0..pieces {
                let n = offsets.len() as i64;
                let noise = ((seed.wrapping_mul(n as u64 + 1) >> 40) as i64).rem_euclid(unevenness + 1);
                offsets.push(offset + n * drift / 100 + noise);
            }
        }
        let at = |n: u64| offsets[(n as usize).min(offsets.len() - 1)];
        for skew in skews(offsets.len() as u64, at, |_| 10_000) {
            prop_assert!(skew.abs() <= 40_000, "{} µs", skew);
        }
    }

    #[test]
    fn garbage_is_survived(calls in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 1..100)) {
        let mut sync = SyncClock::new();
        for (local, media, is_sound) in calls {
            if is_sound {
                sync.sound(MonoTime(local), SampleTime::new(media));
            } else {
                sync.picture(MonoTime(local), MediaTime(media), FRAME);
            }
            let _ = (sync.show_at(MediaTime(media)), sync.skew(), sync.sound_offset(), sync.picture_delay());
        }
    }
}
