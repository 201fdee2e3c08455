//! The video side of playing out: order, gaps, layers, key frames, decoding, and when each picture is due.

use super::astray::Place;
use super::receive::Received;
use super::sink::{MadeFrom, Sink};
use crate::Error;
pub(super) use asking::Asking;
use codec_av1::{LayerPacket, LayeredDecoder, join_layers};
use core_types::{FrameRate, FrameSize, Layer};
pub(super) use ready::{Picture, Ready};
pub(super) use schedule::Schedule;
use std::time::{Duration, Instant};
use waiting::{Next, Waiting};

mod asking;
mod ready;
mod schedule;
mod waiting;

/// A picture that others need is given up when the one after it has been there and due for this long. Waiting makes the picture stutter
/// once; giving up freezes it until the next key frame. Repair has asked every parent by then.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);
/// A picture that is later than this is not shown any more when there is one after it: on a path that became slower all are
/// late, and late ones are better than none.
pub(super) const TOO_LATE: Duration = Duration::from_millis(500);
/// Without a key frame to start with for this long, one is asked for.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(1);
/// What may wait for a missing picture, or a newcomer's first key frame, beyond pictures that are not due yet: that long, or so many
/// pictures if those are more.
const MAX_WAIT: Duration = Duration::from_secs(10);
const MAX_WAITING: u128 = 256;
/// Pictures that may wait at all, and their bytes.
const MOST_WAITING: u128 = 2_048;
pub(super) const MAX_WAITING_BYTES: usize = 32 << 20;
/// Pictures that are decoded before they are due at most: coded they are smaller.
pub(super) const AHEAD: usize = 16;

/// What was played of the pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct VideoStats {
    pub(super) shown: u64,
    /// Of these, in fewer layers than were awaited, or from fewer descriptions than there are.
    pub(super) reduced: u64,
    pub(super) late: u64,
    pub(super) lost: u64,
    pub(super) undecodable: u64,
}

/// How many pictures may wait where one is shown so long after it was captured.
pub(super) fn most_waiting(delay: Duration, interval: Duration) -> usize {
    let pictures_in = |time: Duration| time.as_micros() / interval.as_micros().max(1);
    (pictures_in(delay) + pictures_in(MAX_WAIT).max(MAX_WAITING)).min(MOST_WAITING) as usize
}

pub(super) struct VideoPlayer {
    decoder: LayeredDecoder,
    size: FrameSize,
    interval: Duration,
    schedule: Schedule,
    waiting: Waiting,
    asking: Asking,
    first_at: Option<Instant>,
    /// How long decoding takes at the most, lately.
    decode_time: Duration,
    ready: Ready,
    pub(super) stats: VideoStats,
}

impl VideoPlayer {
    pub(super) fn new(size: FrameSize, rate: FrameRate, delay: Duration) -> Self {
        let interval = rate.frame_interval();
        Self {
            decoder: LayeredDecoder::new(size),
            size,
            interval,
            schedule: Schedule::new(delay),
            waiting: Waiting::new(most_waiting(delay, interval), interval),
            asking: Asking::default(),
            first_at: None,
            decode_time: Duration::ZERO,
            ready: Ready::new(size, interval),
            stats: VideoStats::default(),
        }
    }

    pub(super) fn push(&mut self, object: Received) {
        match self.waiting.place(object.picture) {
            Place::Near => {}
            Place::Past => return,
            Place::Astray => {
                tracing::debug!(picture = object.picture, "a picture far from where pictures are");
                return;
            }
            Place::Elsewhere => self.restart(),
        }
        if self.schedule.handle_object(object.assembled_at, object.pts) {
            self.first_at.get_or_insert(object.assembled_at);
        }
        let pushed = self.waiting.push(object);
        self.stats.undecodable += pushed.useless;
        if pushed.starts_anew {
            self.decoder.reset();
        }
    }

    /// Goes on with the next key frame, and with nothing that came before it.
    pub(super) fn restart(&mut self) {
        self.stats.undecodable += self.waiting.restart();
        self.decoder.reset();
    }

    /// Decodes what can be decoded. Returns true if a key frame is needed.
    pub(super) fn decode(&mut self, now: Instant, sinks: &mut [Box<dyn Sink>]) -> Result<bool, Error> {
        while let Some(next) = self.waiting.next() {
            let early = self.ready.len() >= AHEAD || self.patience(&next).is_some_and(|until| now < until);
            if early && !self.waiting.is_full() {
                break;
            }
            match next {
                _ if self.is_ahead_of_time() => self.leave_out(),
                Next::Missing { .. } | Next::Unwanted => self.go_past_missing(),
                Next::Whole | Next::Part { .. } => {
                    let Some(objects) = self.waiting.take() else { break };
                    self.decode_one(objects, sinks)?;
                }
            }
        }
        let needed = self.decoder.needs_key_frame()
            && self.first_at.is_some()
            && (self.stats.shown > 0
                || self.first_at.is_some_and(|at| now.saturating_duration_since(at) >= START_PATIENCE));
        Ok(needed && self.asking.ask(now))
    }

    /// Until when more is waited for; nothing if there is nothing to wait for.
    fn patience(&self, next: &Next) -> Option<Instant> {
        if let Some((_, came_at)) = self.waiting.times().filter(|_| self.is_ahead_of_time()) {
            // Those after it may show that it is right.
            return came_at.checked_add(PATIENCE.max(self.interval * 4));
        }
        match next {
            Next::Whole | Next::Unwanted => None,
            // In time to be shown, with what is there by then.
            Next::Part { pts } | Next::Missing { pts, needed: false, .. } => {
                let lead = (self.decode_time * 2).min(self.interval / 2);
                self.schedule.due(*pts)?.checked_sub(lead)
            }
            Next::Missing { pts, needed: true, came_at } => {
                self.schedule.due(*pts)?.max(*came_at).checked_add(PATIENCE)
            }
        }
    }

    /// Whether the first picture that waits has a time that it can't have.
    fn is_ahead_of_time(&self) -> bool {
        self.waiting.times().is_some_and(|(pts, came_at)| self.schedule.is_ahead_of_time(came_at, pts))
    }

    fn leave_out(&mut self) {
        tracing::debug!("a picture from ahead of its time");
        self.stats.lost += 1;
        if let Some(temporal) = self.waiting.leave_out() {
            self.decoder.missed(Layer { temporal, ..Layer::BASE });
        }
    }

    fn go_past_missing(&mut self) {
        let skipped = self.waiting.skip();
        self.stats.lost += skipped.lost;
        for temporal in skipped.missed {
            self.decoder.missed(Layer { temporal, ..Layer::BASE });
        }
    }

    fn decode_one(&mut self, objects: Vec<Received>, sinks: &mut [Box<dyn Sink>]) -> Result<(), Error> {
        let Some(first) = objects.first() else { return Ok(()) };
        if first.flags.end_of_stream {
            return Ok(());
        }
        if self.decoder.needs_key_frame() && !first.flags.key_frame {
            self.stats.undecodable += 1;
            return Ok(());
        }
        for sink in &mut *sinks {
            match &objects[..] {
                [only] => sink.video_packet(only.pts, only.flags.key_frame, &only.payload)?,
                all => match join_layers(all.iter().map(|object| (object.layer, &object.payload[..]))) {
                    Ok(unit) => sink.video_packet(first.pts, first.flags.key_frame, &unit)?,
                    Err(error) => {
                        tracing::debug!(%error, seq = %first.seq, "layers that do not fit together")
                    }
                },
            }
        }
        let packets: Vec<LayerPacket<'_>> = objects
            .iter()
            .map(|object| LayerPacket { layer: object.layer, class: object.class, data: &object.payload })
            .collect();
        let awaited = first.told.as_ref().map_or(1, |told| told.objects);
        let started = Instant::now();
        match self.decoder.decode(&packets, first.pts) {
            Ok(Some(decoded)) => {
                let decode_time = started.elapsed();
                self.decode_time = decode_time.max(self.decode_time - self.decode_time / 16);
                if self.ready.len() >= 2 * AHEAD {
                    self.ready.drop_first();
                    self.stats.lost += 1;
                }
                let assembled_at = objects.iter().map(|object| object.assembled_at).max();
                self.ready.push(Picture {
                    seq: first.seq,
                    pts: decoded.pts,
                    is_reduced: objects.len() < awaited || decoded.frame.size() != self.size,
                    made_from: MadeFrom::Layer(objects.last().map_or(first.layer, |highest| highest.layer)),
                    frame: decoded.frame,
                    assembled_at: assembled_at.unwrap_or(first.assembled_at),
                    decode_time,
                });
            }
            // It refers to something that was missed.
            Ok(None) => self.stats.undecodable += 1,
            Err(error) => {
                tracing::debug!(%error, seq = %first.seq, "a picture could not be decoded");
                self.stats.undecodable += 1;
            }
        }
        Ok(())
    }

    /// Shows what is due.
    pub(super) fn show(&mut self, now: Instant, sinks: &mut [Box<dyn Sink>]) -> Result<(), Error> {
        self.ready.show(now, &mut self.schedule, &mut self.stats, sinks)
    }

    /// When pictures of media time 0 are to be shown, as far as pictures alone tell.
    pub(super) fn zero(&self) -> Option<Instant> {
        self.schedule.zero()
    }

    /// Sound of media time 0 is heard then.
    pub(super) const fn follow(&mut self, sound: Option<Instant>) {
        self.schedule.follow(sound);
    }

    /// When there is something to do next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let show = self.ready.next_due(&self.schedule);
        // Where enough are ready, nothing is done before one of them is shown.
        let next = self.waiting.next().filter(|_| self.ready.len() < AHEAD);
        let give_up = next.and_then(|next| self.patience(&next));
        show.into_iter().chain(give_up).min()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.ready.is_empty()
    }
}

#[cfg(test)]
pub(super) mod tests;
