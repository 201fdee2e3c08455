//! Pictures that come late, out of order, damaged, or not at all.

use super::*;
use crate::publish::StreamKind;
use av_wire::ObjectFlags;
use codec_av1::{EncoderConfig, Frame, Rav1eEncoder, VideoEncoder};
use core_types::{BitRate, MediaTime, ObjectSeq};

const DELAY: Duration = Duration::from_millis(100);

/// Twelve frames of 64×64 with key frames at 0 and 8.
pub(in crate::watch) fn objects(origin: Instant) -> Vec<Received> {
    let size = FrameSize::new(64, 64).unwrap();
    let rate = FrameRate::new(25, 1).unwrap();
    let mut encoder = Rav1eEncoder::new(EncoderConfig {
        size,
        rate,
        bit_rate: BitRate::from_kbit(100),
        max_key_interval: 8,
        threads: 1,
    })
    .unwrap();
    let mut packets = Vec::new();
    for n in 0..12u64 {
        let luma = (0..64 * 64).map(|i| ((i % 64) * 2 + n as usize * 3) as u8);
        let data = luma.chain(std::iter::repeat_n(128, 64 * 32)).collect();
        let frame = Frame::from_i420(size, data).unwrap();
        packets.extend(encoder.encode(&frame, MediaTime(n * 40_000), n == 8).unwrap());
    }
    packets.extend(encoder.flush().unwrap());
    let received = |(n, packet): (usize, codec_av1::Packet)| Received {
        kind: StreamKind::Video,
        description: None,
        seq: ObjectSeq(n as u64),
        layer: packet.layer,
        class: packet.class,
        picture: n as u64,
        told: None,
        flags: ObjectFlags { key_frame: packet.key_frame, ..ObjectFlags::default() },
        pts: packet.pts,
        payload: packet.data,
        assembled_at: origin + packet.pts.as_duration(),
        was_repaired: false,
    };
    packets.into_iter().enumerate().map(received).collect()
}

fn play(mut objects: Vec<Received>, origin: Instant) -> (VideoStats, bool) {
    let (size, rate) = (FrameSize::new(64, 64).unwrap(), FrameRate::new(25, 1).unwrap());
    let mut player = VideoPlayer::new(size, rate, DELAY);
    let mut asked = false;
    objects.sort_by_key(|o| o.assembled_at);
    let mut objects = objects.into_iter().peekable();
    for ms in 0..2_000 {
        let now = origin + Duration::from_millis(ms);
        while objects.peek().is_some_and(|o| o.assembled_at <= now) {
            player.push(objects.next().unwrap());
        }
        asked |= player.decode(now, &mut []).unwrap();
        player.show(now, &mut []).unwrap();
    }
    assert!(player.is_idle());
    (player.stats, asked)
}

#[test]
fn every_frame_is_shown_in_time_however_they_are_shuffled_within_the_delay() {
    let origin = Instant::now();
    let mut shuffled = objects(origin);
    for (n, object) in shuffled.iter_mut().enumerate() {
        object.assembled_at += Duration::from_millis([0, 60, 20, 75][n % 4]);
    }
    let (stats, asked) = play(shuffled, origin);
    assert_eq!(stats, VideoStats { shown: 12, ..VideoStats::default() });
    assert!(!asked);
}

#[test]
fn a_lost_frame_freezes_the_picture_until_the_next_key_frame_and_asks_for_one() {
    let origin = Instant::now();
    let mut lossy = objects(origin);
    lossy.remove(3);
    let (stats, asked) = play(lossy, origin);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (3 + 4, 1, 4));
    assert!(!asked, "the next key frame was there before the lost one was given up");

    let mut without_another = objects(origin);
    without_another.truncate(8);
    without_another.remove(3);
    let (stats, asked) = play(without_another, origin);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (3, 1, 4));
    assert!(asked);
}

#[test]
fn a_frame_that_is_late_but_comes_stutters_once_instead_of_freezing() {
    let origin = Instant::now();
    let mut objects = objects(origin);
    objects[3].assembled_at += DELAY + Duration::from_millis(90);
    let (stats, asked) = play(objects, origin);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (12, 0, 0));
    // The late one and those that waited for it are late; those after them are evenly later.
    assert!((1..=3).contains(&stats.late), "{stats:?}");
    assert!(!asked);
}

#[test]
fn key_frames_that_do_not_come_are_asked_for_ever_less_often() {
    let origin = Instant::now();
    let (size, rate) = (FrameSize::new(64, 64).unwrap(), FrameRate::new(25, 1).unwrap());
    let mut player = VideoPlayer::new(size, rate, DELAY);
    player.push(objects(origin).remove(1));
    let mut asks = |ms: std::ops::Range<u64>| -> Vec<u64> {
        ms.step_by(100)
            .filter(|ms| player.decode(origin + Duration::from_millis(*ms), &mut []).unwrap())
            .collect()
    };
    // The first second belongs to the key frame that comes by itself.
    assert_eq!(asks(0..20_000), [1_100, 1_600, 2_600, 4_600, 8_600, 12_600, 16_600]);
    assert_eq!(asks(25_000..26_000), [25_000, 25_500], "that was another time");
}

#[test]
fn on_a_path_that_became_slow_pictures_are_shown_late_and_wait_for_one_another() {
    let origin = Instant::now();
    let mut slow = objects(origin);
    slow.truncate(8);
    for object in &mut slow[2..] {
        object.assembled_at += DELAY + 2 * TOO_LATE;
    }
    // Overtaken by the one after it, in whose favour it is not shown; but both are decoded, and those after them.
    slow[5].assembled_at += Duration::from_millis(60);
    let (stats, asked) = play(slow, origin);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (7, 1, 0), "{stats:?}");
    assert!(!asked);
}

#[test]
fn after_a_standstill_playing_goes_on_with_the_newest_picture() {
    let origin = Instant::now();
    let mut objects = objects(origin);
    let all_at_once = origin + DELAY + 2 * TOO_LATE;
    objects[2..].iter_mut().for_each(|object| object.assembled_at = all_at_once);
    let (stats, _) = play(objects, origin);
    assert_eq!((stats.shown, stats.undecodable), (2 + 1, 0), "{stats:?}");
}

#[test]
fn damaged_frames_do_not_stop_the_player() {
    let origin = Instant::now();
    let mut objects = objects(origin);
    for byte in &mut objects[2].payload {
        *byte = !*byte;
    }
    let (stats, _) = play(objects, origin);
    assert!(stats.shown >= 2 + 4 && stats.undecodable >= 1, "{stats:?}");
}

#[test]
fn a_key_frame_that_is_overtaken_by_the_frame_after_it_is_not_lost() {
    let origin = Instant::now();
    let mut objects = objects(origin);
    objects[0].assembled_at += Duration::from_millis(60);
    assert_eq!(play(objects, origin).0.shown, 12);
}

#[test]
fn frames_before_the_first_key_frame_are_left_out() {
    let origin = Instant::now();
    let objects = objects(origin).split_off(5);
    let (stats, asked) = play(objects, origin);
    assert_eq!((stats.shown, stats.undecodable), (4, 3));
    assert!(!asked, "a newcomer gets its key frame with the epoch that it came in with");
}

/// As `object`, but somebody made it up.
fn made_up(object: &Received, change: impl FnOnce(&mut Received)) -> Received {
    let mut made_up = Received { told: None, payload: object.payload.clone(), ..*object };
    change(&mut made_up);
    made_up
}

#[test]
fn numbers_and_times_that_somebody_makes_up_cost_no_picture() {
    let origin = Instant::now();
    let honest = objects(origin);
    let hour = 3_600_000_000;
    type Change = fn(&mut Received);
    let changes: [Change; 4] = [
        |o| o.picture = 1 << 40,
        |o| (o.picture, o.flags.key_frame) = (o.picture + 400, true),
        |o| (o.picture, o.pts) = (1 << 40, MediaTime(1 << 50)),
        |o| (o.picture, o.flags.key_frame) = (5_000, true),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        // After each picture another one, far away from those before it; the honest one after the third is lost for a while.
        let mut all = objects(origin);
        all[4].assembled_at += Duration::from_millis(60);
        for (n, object) in honest.iter().enumerate().take(10) {
            let mut other = made_up(object, change);
            other.picture += n as u64 * 3_000;
            all.push(other);
        }
        let (stats, asked) = play(all, origin);
        assert_eq!((stats.shown, stats.lost, stats.undecodable), (12, 0, 0), "change {at}");
        assert!(!asked);
    }
    // A number that is near with a time that is far: what it stands before goes on.
    for far in [hour, 1 << 55] {
        let mut all = objects(origin);
        all.push(made_up(&honest[5], |o| (o.picture, o.pts) = (200, MediaTime(far))));
        all.remove(6);
        let (stats, _) = play(all, origin);
        assert_eq!((stats.shown, stats.lost, stats.undecodable), (6 + 4, 2, 1), "{far}");
    }
}

#[test]
fn a_picture_from_ahead_of_its_time_is_lost_and_keeps_nothing_from_being_shown() {
    let origin = Instant::now();
    let mut objects = objects(origin);
    // It came in place of the honest one.
    objects[3].pts = MediaTime(3_600_000_000);
    let (stats, asked) = play(objects, origin);
    assert_eq!((stats.shown, stats.lost, stats.undecodable), (3 + 4, 1, 4), "{stats:?}");
    assert!(!asked, "the next key frame was there before the other one was given up");
}

#[test]
fn who_was_led_astray_comes_back_with_the_next_key_frame() {
    let origin = Instant::now();
    let honest = objects(origin);
    for at in [0, 1 << 30] {
        let mut player =
            VideoPlayer::new(FrameSize::new(64, 64).unwrap(), FrameRate::new(25, 1).unwrap(), DELAY);
        // Before the first picture a key frame of somebody else's, with another number and another time.
        let elsewhere = MediaTime(at + 7_200_000_000);
        player.push(made_up(&honest[0], |o| (o.picture, o.pts) = (1 << 40, elsewhere)));
        let mut asked = 0;
        for (ms, object) in (0..).step_by(40).zip(objects(origin)) {
            player.push(object);
            let now = origin + Duration::from_millis(ms);
            asked += u32::from(player.decode(now, &mut []).unwrap());
            player.show(now, &mut []).unwrap();
        }
        for ms in 480..900 {
            let now = origin + Duration::from_millis(ms);
            asked += u32::from(player.decode(now, &mut []).unwrap());
            player.show(now, &mut []).unwrap();
        }
        // The one that was made up, and those from the second key frame on.
        assert_eq!((player.stats.shown, player.is_idle()), (1 + 4, true), "{:?}", player.stats);
        assert!(asked >= 1);
    }
}

#[test]
fn what_is_not_due_for_long_waits_coded() {
    let origin = Instant::now();
    let delay = Duration::from_secs(5);
    let (size, rate) = (FrameSize::new(64, 64).unwrap(), FrameRate::new(60, 1).unwrap());
    let mut player = VideoPlayer::new(size, rate, delay);
    let key = objects(origin).remove(0);
    let mut most = 0;
    let at = |n: u64| Duration::from_micros(n * 16_667);
    for n in 0..800u64 {
        let now = origin + at(n);
        if n < 450 {
            player.push(made_up(&key, |o| {
                (o.picture, o.seq, o.assembled_at) = (n, ObjectSeq(n), now);
                o.pts = MediaTime::from_duration(at(n));
            }));
        }
        player.decode(now, &mut []).unwrap();
        player.show(now, &mut []).unwrap();
        most = most.max(player.ready.len());
        assert!(player.next_due().is_none_or(|due| due > now), "it is woken for what it can do");
    }
    assert_eq!((player.stats.shown, player.stats.lost), (450, 0), "{:?}", player.stats);
    assert_eq!(most, AHEAD);
}

#[test]
fn left_out_pictures_are_not_waited_for_and_a_key_frame_is_asked_for_at_once() {
    let origin = Instant::now();
    let mut objects = objects(origin).into_iter();
    let mut player = VideoPlayer::new(FrameSize::new(64, 64).unwrap(), FrameRate::new(25, 1).unwrap(), DELAY);
    let now = origin + Duration::from_millis(300);
    objects.by_ref().take(3).for_each(|object| player.push(object));
    assert!(!player.decode(now, &mut []).unwrap());
    player.show(now, &mut []).unwrap();
    player.restart();
    objects.by_ref().skip(3).take(2).for_each(|object| player.push(object));
    assert!(player.decode(now, &mut []).unwrap());
    objects.for_each(|object| player.push(object));
    player.decode(now + Duration::from_secs(1), &mut []).unwrap();
    // Of those from before two wait to be shown.
    assert_eq!((player.ready.len(), player.stats.lost), (2 + 4, 0), "{:?}", player.stats);
}

#[test]
fn a_picture_that_is_ready_and_out_of_sight_keeps_no_other_from_being_shown() {
    let origin = Instant::now();
    let (size, rate) = (FrameSize::new(64, 64).unwrap(), FrameRate::new(25, 1).unwrap());
    let mut player = VideoPlayer::new(size, rate, DELAY);
    player.push(objects(origin).remove(0));
    player.ready.push(Picture {
        seq: ObjectSeq(0),
        pts: MediaTime(3_600_000_000),
        frame: Frame::black(size),
        is_reduced: false,
        made_from: MadeFrom::Layer(Layer::BASE),
        assembled_at: origin,
        decode_time: Duration::ZERO,
    });
    player.decode(origin, &mut []).unwrap();
    player.show(origin + DELAY, &mut []).unwrap();
    assert_eq!((player.stats.shown, player.stats.lost), (1, 1), "{:?}", player.stats);
}
