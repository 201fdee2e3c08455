//! The video side of playing out: order, gaps, key frames, decoding, and when each picture is due.

use super::receive::Received;
use super::sink::{ShownPicture, Sink};
use crate::Error;
use asking::Asking;
use codec_av1::{Frame, Rav1dDecoder, VideoDecoder};
use core_types::{FrameRate, FrameSize, MediaTime, ObjectSeq};
use schedule::Schedule;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

mod asking;
mod schedule;

/// A missing frame is given up when the one after it has been there and due for this long. Waiting makes the picture stutter once;
/// giving up freezes it until the next key frame. Repair has asked every parent by then.
const PATIENCE: Duration = Duration::from_millis(250);
/// A picture that is later than this is not shown any more when there is one after it: on a path that became slower all are
/// late, and late ones are better than none.
const TOO_LATE: Duration = Duration::from_millis(500);
/// Without a key frame to start with for this long, one is asked for.
const START_PATIENCE: Duration = Duration::from_secs(1);
/// Objects that may wait for a missing one.
const MAX_WAITING: usize = 256;

/// What was played of the pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct VideoStats {
    pub(super) shown: u64,
    pub(super) late: u64,
    pub(super) lost: u64,
    pub(super) undecodable: u64,
}

struct Picture {
    seq: ObjectSeq,
    pts: MediaTime,
    frame: Frame,
    assembled_at: Instant,
    decode_time: Duration,
}

pub(super) struct VideoPlayer {
    decoder: Rav1dDecoder,
    interval: Duration,
    schedule: Schedule,
    waiting: BTreeMap<ObjectSeq, Received>,
    next: Option<ObjectSeq>,
    awaiting_key_frame: bool,
    asking: Asking,
    first_at: Option<Instant>,
    decoded: VecDeque<Picture>,
    pub(super) stats: VideoStats,
}

impl VideoPlayer {
    pub(super) fn new(size: FrameSize, rate: FrameRate, delay: Duration) -> Result<Self, Error> {
        Ok(Self {
            decoder: Rav1dDecoder::new(size).map_err(|e| Error::codec("AV1 decoder", e))?,
            interval: rate.frame_interval(),
            schedule: Schedule::new(delay),
            waiting: BTreeMap::new(),
            next: None,
            awaiting_key_frame: true,
            asking: Asking::default(),
            first_at: None,
            decoded: VecDeque::new(),
            stats: VideoStats::default(),
        })
    }

    pub(super) fn push(&mut self, object: Received) {
        if self.next.is_some_and(|next| object.seq < next) {
            return;
        }
        if self.schedule.handle_object(object.assembled_at, object.pts) {
            self.first_at.get_or_insert(object.assembled_at);
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.insert(object.seq, object);
        }
        if self.next.is_none() {
            self.find_start();
        }
    }

    /// Playing starts with the first key frame, whatever small frames after it came more quickly.
    fn find_start(&mut self) {
        let start = self.waiting.values().find(|o| o.flags.key_frame).map(|o| o.seq);
        if let Some(start) = start {
            self.next = Some(start);
            let kept = self.waiting.split_off(&start);
            self.stats.undecodable += self.waiting.len() as u64;
            self.waiting = kept;
        } else if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_first();
            self.stats.undecodable += 1;
        }
    }

    /// Decodes what can be decoded. Returns true if a key frame is needed.
    pub(super) fn decode(&mut self, now: Instant, sinks: &mut [Box<dyn Sink>]) -> Result<bool, Error> {
        while let (Some(_), Some((&seq, first))) = (self.next, self.waiting.first_key_value()) {
            match self.next {
                Some(next) if seq > next => {
                    let given_up = self.give_up_at(first).is_none_or(|at| now >= at);
                    if !given_up && self.waiting.len() < MAX_WAITING {
                        break;
                    }
                    self.stats.lost += seq.0 - next.0;
                    self.awaiting_key_frame = true;
                    self.decoder.reset();
                }
                _ => {}
            }
            let Some((_, object)) = self.waiting.pop_first() else { break };
            self.next = Some(ObjectSeq(seq.0 + 1));
            if object.flags.end_of_stream {
                continue;
            }
            if self.awaiting_key_frame && !object.flags.key_frame {
                self.stats.undecodable += 1;
                continue;
            }
            self.awaiting_key_frame = false;
            for sink in &mut *sinks {
                sink.video_packet(object.pts, object.flags.key_frame, &object.payload)?;
            }
            self.decode_one(object);
        }
        let needed = self.awaiting_key_frame
            && (self.stats.shown > 0
                || self.first_at.is_some_and(|at| now.saturating_duration_since(at) >= START_PATIENCE));
        Ok(needed && self.asking.ask(now))
    }

    fn decode_one(&mut self, object: Received) {
        let started = Instant::now();
        match self.decoder.decode(&object.payload, object.pts) {
            Ok(frames) => {
                let decode_time = started.elapsed();
                for decoded in frames {
                    self.decoded.push_back(Picture {
                        seq: object.seq,
                        pts: decoded.pts,
                        frame: decoded.frame,
                        assembled_at: object.assembled_at,
                        decode_time,
                    });
                }
            }
            Err(error) => {
                tracing::debug!(%error, seq = %object.seq, "a picture could not be decoded");
                self.stats.undecodable += 1;
                self.awaiting_key_frame = true;
            }
        }
    }

    /// Shows what is due.
    pub(super) fn show(&mut self, now: Instant, sinks: &mut [Box<dyn Sink>]) -> Result<(), Error> {
        while let Some(first) = self.decoded.front() {
            let Some(due) = self.schedule.due(first.pts).filter(|due| *due <= now) else { break };
            let Some(picture) = self.decoded.pop_front() else { break };
            let behind = now.saturating_duration_since(due);
            if behind > TOO_LATE && !self.decoded.is_empty() {
                self.stats.lost += 1;
                continue;
            }
            let late = behind > self.interval / 2;
            self.schedule.adapt(behind, late);
            self.stats.shown += 1;
            self.stats.late += u64::from(late);
            let shown = ShownPicture {
                seq: picture.seq,
                pts: picture.pts,
                frame: &picture.frame,
                assembled_at: picture.assembled_at,
                decode_time: picture.decode_time,
                shown_at: now,
                late,
            };
            for sink in &mut *sinks {
                sink.picture(&shown)?;
            }
        }
        Ok(())
    }

    /// When there is something to do next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let show = self.decoded.front().and_then(|p| self.schedule.due(p.pts));
        let give_up = self.waiting.values().next().and_then(|object| self.give_up_at(object));
        show.into_iter().chain(give_up).min()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.decoded.is_empty()
    }

    /// When what is missing before an object is given up.
    fn give_up_at(&self, object: &Received) -> Option<Instant> {
        self.schedule.due(object.pts)?.max(object.assembled_at).checked_add(PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::StreamKind;
    use av_wire::ObjectFlags;
    use codec_av1::{EncoderConfig, Rav1eEncoder, VideoEncoder};
    use core_types::BitRate;

    const DELAY: Duration = Duration::from_millis(100);

    /// Twelve frames of 64×64 with key frames at 0 and 8.
    fn objects(origin: Instant) -> Vec<Received> {
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
            seq: ObjectSeq(n as u64),
            flags: ObjectFlags { key_frame: packet.key_frame, ..ObjectFlags::default() },
            pts: packet.pts,
            payload: packet.data,
            assembled_at: origin + packet.pts.as_duration(),
        };
        packets.into_iter().enumerate().map(received).collect()
    }

    fn play(mut objects: Vec<Received>, origin: Instant) -> (VideoStats, bool) {
        let (size, rate) = (FrameSize::new(64, 64).unwrap(), FrameRate::new(25, 1).unwrap());
        let mut player = VideoPlayer::new(size, rate, DELAY).unwrap();
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
        let mut player = VideoPlayer::new(size, rate, DELAY).unwrap();
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
}
