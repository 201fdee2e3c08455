//! Descriptions that come late, out of order, or not at all.

use super::*;
use crate::publish::StreamKind;
use crate::watch::sink::ShownPicture;
use av_wire::ObjectFlags;
use codec_av1::{EncoderConfig, Frame, Rav1dDecoder, VideoDecoder};
use codec_mdc::{MdcEncoder, Scheme};
use core_types::{BitRate, Layer, ObjectClass};
use std::sync::{Arc, Mutex};

const DELAY: Duration = Duration::from_millis(100);
const PICTURES: u64 = 60;
const INTERVAL: u64 = 40;

fn size() -> FrameSize {
    FrameSize::new(64, 64).unwrap()
}

fn rate() -> FrameRate {
    FrameRate::new(25, 1).unwrap()
}

fn encoder(of: Descriptions) -> MdcEncoder {
    let config = EncoderConfig {
        size: size(),
        rate: rate(),
        bit_rate: BitRate::from_kbit(400),
        max_key_interval: 500,
        threads: 1,
    };
    MdcEncoder::new(config, of, Scheme::Alternating).unwrap()
}

fn picture(number: u64) -> Frame {
    let luma = (0..64 * 64u64).map(|at| ((at % 64) * 2 + at / 64 + number * 3) as u8);
    Frame::from_i420(size(), luma.chain(std::iter::repeat_n(128, 64 * 32)).collect()).unwrap()
}

fn player(of: Descriptions) -> DescribedPlayer {
    let mut player = DescribedPlayer::new(of, size(), rate(), DELAY);
    of.all().for_each(|description| player.announce(description));
    player
}

/// What was played, and when key frames were asked for: before that picture, of that description.
struct Played {
    stats: VideoStats,
    asked: Vec<(u64, usize)>,
}

/// Publishes pictures, of which `comes` says when what each description has of each comes, in milliseconds after it was captured. Key
/// frames come with the picture after they were asked for.
fn play(of: Descriptions, comes: impl Fn(u64, usize) -> Option<u64>, sinks: &mut [Box<dyn Sink>]) -> Played {
    let (mut encoder, mut player) = (encoder(of), player(of));
    let origin = Instant::now();
    let at = |ms: u64| origin + Duration::from_millis(ms);
    let mut under_way: Vec<Received> = Vec::new();
    let mut asked = Vec::new();
    for ms in 0..PICTURES * INTERVAL + 1_500 {
        let number = ms / INTERVAL;
        if ms % INTERVAL == 0 && number < PICTURES {
            let payloads = encoder.encode(&picture(number), MediaTime(number * 40_000)).unwrap();
            let received = payloads.into_iter().filter_map(|payload| {
                let after = comes(number, payload.description.index())?;
                Some(received(payload, at(ms + after)))
            });
            under_way.extend(received);
        }
        let (here, later) = under_way.into_iter().partition(|object| object.assembled_at <= at(ms));
        under_way = later;
        let here: Vec<Received> = here;
        here.into_iter().for_each(|object| player.push(object));
        for description in player.decode(at(ms), sinks).unwrap() {
            asked.push((number, description.index()));
            encoder.request_key_frame(description);
        }
        player.show(at(ms), sinks).unwrap();
    }
    assert!(player.is_idle() && player.waiting_bytes == 0);
    Played { stats: player.stats, asked }
}

fn received(payload: codec_mdc::Payload, assembled_at: Instant) -> Received {
    Received {
        kind: StreamKind::Video,
        description: Some(payload.description),
        seq: ObjectSeq(payload.frame.0),
        layer: Layer::BASE,
        class: payload.class,
        flags: ObjectFlags { key_frame: payload.class == ObjectClass::KeyFrame, ..ObjectFlags::default() },
        pts: payload.pts,
        picture: payload.frame.0,
        told: None,
        payload: payload.data,
        assembled_at,
        was_repaired: false,
    }
}

#[test]
fn every_picture_is_shown_from_all_descriptions_however_they_are_shuffled_within_the_delay() {
    for of in [Descriptions::Two, Descriptions::Four] {
        let shuffled =
            |number: u64, index: usize| Some([0, 55, 20, 40, 5][(number as usize + index * 3) % 5]);
        // Whole pictures are overtaken by the one after them.
        let overtaken = |number: u64, _: usize| Some(if number % 5 == 2 { 55 } else { 0 });
        for played in [play(of, shuffled, &mut []), play(of, overtaken, &mut [])] {
            assert_eq!(played.stats, VideoStats { shown: PICTURES, ..VideoStats::default() }, "{of:?}");
            assert_eq!(played.asked, []);
        }
    }
}

#[test]
fn while_a_description_does_not_come_pictures_go_on_and_a_key_frame_of_it_alone_brings_it_back() {
    for of in [Descriptions::Two, Descriptions::Four] {
        let gone = 10..25;
        let comes = |number: u64, index: usize| (index != 1 || !gone.contains(&number)).then_some(10);
        let Played { stats, asked } = play(of, comes, &mut []);
        assert_eq!((stats.shown, stats.late, stats.lost), (PICTURES, 0, 0), "{of:?}");
        // Nothing is asked for before there is something to go on with, and little is lost beyond what did not come.
        assert!(asked.iter().all(|(at, index)| *index == 1 && (25..30).contains(at)), "{asked:?}");
        assert_eq!(asked.len(), 1);
        assert!((15..=22).contains(&stats.reduced), "{of:?} {stats:?}");
    }
}

#[test]
fn what_comes_too_late_to_be_shown_is_used_for_what_refers_to_it() {
    // Number 7 is one that the first description has well, so 8 refers to it.
    let comes = |number: u64, index: usize| Some(if (number, index) == (7, 0) { 165 } else { 10 });
    let Played { stats, asked } = play(Descriptions::Two, comes, &mut []);
    assert_eq!((stats.shown, stats.late, stats.lost, asked.len()), (PICTURES, 0, 0, 0));
    // The late one, and what should have been shown before it came.
    assert!((2..=3).contains(&stats.reduced), "{stats:?}");
}

#[test]
fn a_picture_of_which_nothing_comes_is_lost_and_those_after_it_are_not() {
    // Where the first description has low pictures, and the second good ones.
    let comes = |number: u64, _: usize| (number != 4).then_some(10);
    let Played { stats, asked } = play(Descriptions::Two, comes, &mut []);
    assert_eq!((stats.shown, stats.lost), (PICTURES - 1, 1), "{stats:?}");
    assert!(asked.iter().all(|(_, index)| *index == 1), "{asked:?}");
}

#[test]
fn where_each_picture_loses_one_description_at_most_all_are_shown() {
    // Now this one and now that, good pictures and low ones: descriptions end and begin again, each at its own time.
    let comes = |number: u64, index: usize| ((number * 4 + index as u64) % 11 != 3).then_some(10);
    let Played { stats, asked } = play(Descriptions::Four, comes, &mut []);
    assert_eq!((stats.shown, stats.late, stats.lost, stats.undecodable), (PICTURES, 0, 0, 0), "{stats:?}");
    assert!(asked.len() >= 4, "{asked:?}");
}

/// Keeps what is stored as it was coded, and counts pictures.
#[derive(Default, Clone)]
struct Kept(Arc<Mutex<(Vec<Stored>, u64)>>);

/// Whether it is a key frame, and the temporal unit.
type Stored = (bool, Vec<u8>);

impl Sink for Kept {
    fn video_packet(&mut self, _: MediaTime, key_frame: bool, data: &[u8]) -> Result<(), Error> {
        self.0.lock().unwrap().0.push((key_frame, data.to_vec()));
        Ok(())
    }

    fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
        assert_eq!((picture.frame.size(), picture.seq.0 * 40_000), (size(), picture.pts.0));
        self.0.lock().unwrap().1 += 1;
        Ok(())
    }
}

#[test]
fn what_is_stored_without_decoding_is_one_description_with_nothing_that_refers_to_what_is_missing() {
    // The first description has 0, a key frame, to 2 well and then 6 to 8. To 4 nothing refers; without 6 it comes back with a key frame that
    // is asked for.
    for (gone, stored) in [(60..60, 60), (4..5, 59), (6..7, 50)] {
        let kept = Kept::default();
        let comes = |number: u64, index: usize| (index != 0 || !gone.contains(&number)).then_some(10);
        let played = play(Descriptions::Two, comes, &mut [Box::new(kept.clone())]);
        let (units, shown) = std::mem::take(&mut *kept.0.lock().unwrap());
        assert_eq!((shown, played.stats.shown), (PICTURES, PICTURES));
        assert!(units.len() >= stored && units.len() + gone.count() <= 60, "{}", units.len());
        let mut decoder = Rav1dDecoder::new(size()).unwrap();
        for (number, (key_frame, unit)) in units.iter().enumerate() {
            assert_eq!(decoder.decode(unit, MediaTime(number as u64)).unwrap().len(), 1, "{number}");
            assert!(number > 0 || *key_frame);
        }
    }
}

#[test]
fn what_waits_and_what_is_made_before_its_time_is_bounded() {
    let (mut encoder, mut player) = (encoder(Descriptions::Two), player(Descriptions::Two));
    let now = Instant::now();
    let most = player.most_waiting;
    for number in 0..3 * most as u64 {
        // All of one time, which has not come.
        for payload in encoder.encode(&picture(number), MediaTime(0)).unwrap() {
            player.push(received(payload, now));
        }
        player.decode(now, &mut []).unwrap();
        assert!(player.waiting.len() <= most && player.ready.len() <= 2 * AHEAD);
    }
    let mut large = player;
    for frame in 800..1_200 {
        for description in Descriptions::Two.all() {
            let payload = codec_mdc::Payload {
                description,
                frame: FrameNumber(frame),
                pts: MediaTime(0),
                class: ObjectClass::Plain,
                data: vec![0; 500_000],
            };
            large.push(received(payload, now));
        }
        large.decode(now, &mut []).unwrap();
        assert!(large.waiting_bytes <= MAX_WAITING_BYTES);
    }
}

#[test]
fn what_there_is_no_stream_of_is_neither_taken_nor_awaited() {
    let mut encoder = encoder(Descriptions::Two);
    let mut player = DescribedPlayer::new(Descriptions::Two, size(), rate(), DELAY);
    let [first, second] = [0, 1].map(|index| Descriptions::Two.get(index).unwrap());
    player.announce(second);
    player.announce(Descriptions::Four.get(0).unwrap());
    assert_eq!(player.announced, [second]);
    let origin = Instant::now();
    for ms in 0..600 {
        let (now, number) = (origin + Duration::from_millis(ms), ms / INTERVAL);
        if ms % INTERVAL == 0 && number < 10 {
            for payload in encoder.encode(&picture(number), MediaTime(number * 40_000)).unwrap() {
                player.push(received(payload, now));
            }
        }
        assert_eq!(player.decode(now, &mut []).unwrap(), []);
        // Once it has begun, what is whole is made at once.
        assert!(number < 4 || player.waiting.is_empty(), "{number}");
        player.show(now, &mut []).unwrap();
    }
    // The other one is not there, so they are less good than they could be.
    assert_eq!(player.stats, VideoStats { shown: 10, reduced: 10, ..VideoStats::default() });
    let late = origin + Duration::from_secs(5);
    assert!(player.wanted(late).iter().all(|wanted| *wanted != first));
}

#[test]
fn frames_that_somebody_makes_up_cost_no_picture() {
    for of in [Descriptions::Two, Descriptions::Four] {
        let (mut encoder, mut player) = (encoder(of), player(of));
        let origin = Instant::now();
        let hour = 3_600_000_000;
        for ms in 0..PICTURES * INTERVAL + 1_500 {
            let (now, number) = (origin + Duration::from_millis(ms), ms / INTERVAL);
            if ms % INTERVAL == 0 && number < PICTURES {
                for payload in encoder.encode(&picture(number), MediaTime(number * 40_000)).unwrap() {
                    let honest = received(payload, now);
                    let made_up = |number: u64, pts: u64| Received {
                        seq: ObjectSeq(number),
                        pts: MediaTime(pts),
                        payload: honest.payload.clone(),
                        told: None,
                        ..honest
                    };
                    let is_first = honest.description.is_some_and(|description| description.index() == 0);
                    if is_first {
                        player.push(made_up((1 << 40) + number * 3_000, honest.pts.0));
                        player.push(made_up(number + 250, hour));
                    }
                    if is_first && number == 20 {
                        player.push(made_up(25, hour));
                    }
                    player.push(honest);
                }
            }
            player.decode(now, &mut []).unwrap();
            player.show(now, &mut []).unwrap();
        }
        assert!(player.is_idle() && player.waiting_bytes == 0);
        // Lost is what was made up, in near numbers, and in far ones before the first picture was made.
        assert_eq!(player.stats.shown, PICTURES, "{:?}", player.stats);
        assert!((PICTURES..PICTURES + 5).contains(&player.stats.lost), "{:?}", player.stats);
    }
}

#[test]
fn who_was_led_astray_goes_on_with_the_next_key_frames() {
    let of = Descriptions::Two;
    let (mut encoder, mut player) = (encoder(of), player(of));
    let origin = Instant::now();
    let mut asked = 0;
    for ms in 0..PICTURES * INTERVAL + 1_500 {
        let (now, number) = (origin + Duration::from_millis(ms), ms / INTERVAL);
        if ms % INTERVAL == 0 && number < PICTURES {
            for payload in encoder.encode(&picture(number), MediaTime(number * 40_000)).unwrap() {
                let honest = received(payload, now);
                match number {
                    0 => player.push(Received { seq: ObjectSeq(1 << 40), ..honest }),
                    1..4 => {}
                    _ => player.push(honest),
                }
            }
        }
        for description in player.decode(now, &mut []).unwrap() {
            asked += 1;
            encoder.request_key_frame(description);
        }
        player.show(now, &mut []).unwrap();
    }
    assert!(player.is_idle() && player.waiting_bytes == 0);
    assert!(player.stats.shown >= PICTURES - 10 && player.stats.lost < 10, "{:?}", player.stats);
    assert!(asked >= 2);
}
