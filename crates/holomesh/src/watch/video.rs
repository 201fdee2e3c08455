//! The video side of playing out: order, gaps, layers, key frames, decoding, and when each picture is due.

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
const PATIENCE: Duration = Duration::from_millis(250);
/// A picture that is later than this is not shown any more when there is one after it: on a path that became slower all are
/// late, and late ones are better than none.
pub(super) const TOO_LATE: Duration = Duration::from_millis(500);
/// Without a key frame to start with for this long, one is asked for.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(1);
/// Pictures that may wait for a missing one.
pub(super) const MAX_WAITING: usize = 256;

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
        Self {
            decoder: LayeredDecoder::new(size),
            size,
            interval: rate.frame_interval(),
            schedule: Schedule::new(delay),
            waiting: Waiting::default(),
            asking: Asking::default(),
            first_at: None,
            decode_time: Duration::ZERO,
            ready: Ready::new(size, rate.frame_interval()),
            stats: VideoStats::default(),
        }
    }

    pub(super) fn push(&mut self, object: Received) {
        if self.waiting.is_past(object.picture) {
            return;
        }
        if self.schedule.handle_object(object.assembled_at, object.pts) {
            self.first_at.get_or_insert(object.assembled_at);
        }
        self.stats.undecodable += self.waiting.push(object);
    }

    /// Decodes what can be decoded. Returns true if a key frame is needed.
    pub(super) fn decode(&mut self, now: Instant, sinks: &mut [Box<dyn Sink>]) -> Result<bool, Error> {
        while let Some(next) = self.waiting.next() {
            if !self.waiting.is_full() && self.patience(&next).is_some_and(|until| now < until) {
                break;
            }
            match next {
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
        let give_up = self.waiting.next().and_then(|next| self.patience(&next));
        show.into_iter().chain(give_up).min()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests;
