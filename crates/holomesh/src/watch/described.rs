//! Pictures in several descriptions: each is shown when it is due, from what has come of it by then.

use super::astray::{Numbers, Place};
use super::receive::Received;
use super::sink::{MadeFrom, Sink};
use super::video::{
    AHEAD, Asking, MAX_WAITING_BYTES, PATIENCE, Picture, Ready, START_PATIENCE, Schedule, VideoStats,
    most_waiting,
};
use crate::Error;
use codec_mdc::{Description, Descriptions, FrameNumber, MdcReceiver, coded_picture};
use core_types::{FrameRate, FrameSize, MediaTime, ObjectSeq};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What has come of one picture.
struct Slot {
    pts: MediaTime,
    assembled_at: Instant,
    payloads: Vec<(Description, Vec<u8>)>,
}

/// Plays what comes of all descriptions of one source. None of them is waited for beyond a picture's time.
pub(super) struct DescribedPlayer {
    of: Descriptions,
    size: FrameSize,
    interval: Duration,
    /// Those that there is a stream of, by index.
    announced: Vec<Description>,
    receiver: MdcReceiver,
    schedule: Schedule,
    waiting: BTreeMap<FrameNumber, Slot>,
    waiting_bytes: usize,
    /// How many may wait.
    most_waiting: usize,
    numbers: Numbers,
    /// The last frame that was made a picture of, or could not be.
    made: Option<FrameNumber>,
    /// It was made from all descriptions. Otherwise one waits for something that is late, and time helps.
    made_whole: bool,
    /// How long making one takes at the most, lately.
    make_time: Duration,
    ready: Ready,
    first_at: Option<Instant>,
    /// Whether something of it was shown, and when a key frame of it was asked for; by index.
    asking: [(bool, Asking); 4],
    /// The last picture that others refer to in what sinks get as it was coded.
    stored: Option<FrameNumber>,
    pub(super) stats: VideoStats,
}

impl DescribedPlayer {
    /// For a source of so many descriptions, of which there are no streams yet.
    pub(super) fn new(of: Descriptions, size: FrameSize, rate: FrameRate, delay: Duration) -> Self {
        let interval = rate.frame_interval();
        Self {
            of,
            size,
            interval,
            announced: Vec::new(),
            receiver: MdcReceiver::new(of, size),
            schedule: Schedule::new(delay),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            most_waiting: most_waiting(delay, interval),
            numbers: Numbers::new(interval),
            made: None,
            made_whole: false,
            make_time: Duration::ZERO,
            ready: Ready::new(size, interval),
            first_at: None,
            asking: Default::default(),
            stored: None,
            stats: VideoStats::default(),
        }
    }

    /// There is a stream of that description.
    pub(super) fn announce(&mut self, description: Description) {
        if description.of() == self.of && !self.announced.contains(&description) {
            self.announced.push(description);
            self.announced.sort_by_key(|description| description.index());
        }
    }

    pub(super) fn push(&mut self, object: Received) {
        let Some(description) = object.description.filter(|description| self.announced.contains(description))
        else {
            return;
        };
        if object.flags.end_of_stream {
            return;
        }
        let frame = FrameNumber(object.seq.0);
        match self.numbers.place(self.made.map(|made| made.0.saturating_add(1)), frame.0) {
            Place::Near => {}
            // Too late to be shown, but others may refer to it.
            Place::Past => return self.take(description, frame, &object.payload),
            Place::Astray => {
                tracing::debug!(%frame, "a frame far from where frames are");
                return;
            }
            Place::Elsewhere => self.restart(),
        }
        if self.schedule.handle_object(object.assembled_at, object.pts) {
            self.first_at.get_or_insert(object.assembled_at);
        }
        let slot = self.waiting.entry(frame).or_insert_with(|| Slot {
            pts: object.pts,
            assembled_at: object.assembled_at,
            payloads: Vec::new(),
        });
        if self.schedule.is_ahead_of_time(slot.assembled_at, slot.pts) {
            // All objects of a frame have the same time, so one of two is made up.
            slot.pts = object.pts;
        }
        if slot.payloads.iter().all(|(known, _)| *known != description) {
            slot.assembled_at = slot.assembled_at.max(object.assembled_at);
            self.waiting_bytes += object.payload.len();
            slot.payloads.push((description, object.payload));
        }
    }

    /// Goes on with the next key frames, and with nothing that came before them.
    pub(super) fn restart(&mut self) {
        self.stats.lost += self.waiting.len() as u64;
        self.waiting.clear();
        (self.waiting_bytes, self.made, self.made_whole, self.stored) = (0, None, false, None);
        self.receiver = MdcReceiver::new(self.of, self.size);
    }

    fn take(&mut self, description: Description, frame: FrameNumber, payload: &[u8]) {
        if let Err(error) = self.receiver.take(description, frame, payload) {
            tracing::debug!(%error, "a payload of no use");
            self.stats.undecodable += 1;
        }
    }

    /// Makes the pictures that are whole or due. Gives the descriptions of which a key frame is needed.
    pub(super) fn decode(
        &mut self,
        now: Instant,
        sinks: &mut [Box<dyn Sink>],
    ) -> Result<Vec<Description>, Error> {
        while let Some((frame, slot)) = self.waiting.first_key_value() {
            let early =
                self.ready.len() >= AHEAD || self.waits_until(*frame, slot).is_some_and(|at| now < at);
            if early && !self.is_full() {
                break;
            }
            let is_ahead = self.schedule.is_ahead_of_time(slot.assembled_at, slot.pts);
            match self.waiting.pop_first() {
                Some((_, slot)) if is_ahead => self.leave_out(&slot),
                Some((frame, slot)) => self.make(frame, slot, sinks)?,
                None => break,
            }
        }
        Ok(self.wanted(now))
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.most_waiting || self.waiting_bytes > MAX_WAITING_BYTES
    }

    /// Before the first picture anything may have come.
    fn forget_astray(&mut self, first: FrameNumber) {
        let astray = self.waiting.split_off(&FrameNumber(self.numbers.last_from(first.0).saturating_add(1)));
        astray.values().for_each(|slot| self.leave_out(slot));
    }

    fn leave_out(&mut self, slot: &Slot) {
        tracing::debug!("a frame from ahead of its time");
        self.waiting_bytes -= slot.payloads.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        self.stats.lost += 1;
    }

    /// Until when more of a picture, or of those before it, is waited for: as long as there is time to show it.
    fn waits_until(&self, frame: FrameNumber, slot: &Slot) -> Option<Instant> {
        if self.schedule.is_ahead_of_time(slot.assembled_at, slot.pts) {
            // Those after it may show that it is right.
            return slot.assembled_at.checked_add(PATIENCE.max(self.interval * 4));
        }
        let is_next = self.made.is_some_and(|made| made.0 + 1 == frame.0);
        if is_next && self.made_whole && slot.payloads.len() == self.announced.len() {
            return None;
        }
        // Making one takes several decoders, and what is missing now hardly comes in the last moment.
        let lead = (self.make_time * 2).max(self.interval / 4).min(self.interval);
        self.schedule.due(slot.pts)?.checked_sub(lead)
    }

    fn make(&mut self, frame: FrameNumber, slot: Slot, sinks: &mut [Box<dyn Sink>]) -> Result<(), Error> {
        match self.made.replace(frame) {
            Some(made) => self.stats.lost += frame.0 - made.0 - 1,
            None => self.forget_astray(frame),
        }
        for (description, payload) in &slot.payloads {
            self.waiting_bytes -= payload.len();
            if self.announced.first() == Some(description) {
                self.store(*description, frame, (slot.pts, payload), sinks)?;
            }
            self.take(*description, frame, payload);
        }
        let started = Instant::now();
        let made = self.receiver.show(frame);
        self.made_whole = made.from.len() >= self.announced.len();
        for (description, error) in made.faults {
            tracing::debug!(%error, %description, %frame, "a picture could not be decoded");
        }
        for description in &made.from {
            if let Some((shown, _)) = self.asking.get_mut(description.index()) {
                *shown = true;
            }
        }
        let Some(picture) = made.picture else {
            // It refers to something that was missed.
            self.stats.undecodable += 1;
            return Ok(());
        };
        let decode_time = started.elapsed();
        self.make_time = decode_time.max(self.make_time - self.make_time / 16);
        if self.ready.len() >= 2 * AHEAD {
            self.ready.drop_first();
            self.stats.lost += 1;
        }
        self.ready.push(Picture {
            seq: ObjectSeq(frame.0),
            pts: slot.pts,
            is_reduced: made.from.len() < self.of.count() || picture.size() != self.size,
            made_from: MadeFrom::Descriptions { came: made.from.len() as u8, of: self.of.count() as u8 },
            frame: picture,
            assembled_at: slot.assembled_at,
            decode_time,
        });
        Ok(())
    }

    /// What is stored as it was coded is one stream of AV1, so it is one description.
    fn store(
        &mut self,
        description: Description,
        frame: FrameNumber,
        (pts, payload): (MediaTime, &[u8]),
        sinks: &mut [Box<dyn Sink>],
    ) -> Result<(), Error> {
        if sinks.is_empty() {
            return Ok(());
        }
        let Ok(Some(picture)) = coded_picture(description, frame, payload) else { return Ok(()) };
        let is_key = picture.refers_to.is_none();
        if is_key || picture.refers_to == self.stored {
            for sink in &mut *sinks {
                sink.video_packet(pts, is_key, &picture.unit)?;
            }
            if picture.is_kept {
                self.stored = Some(frame);
            }
        }
        Ok(())
    }

    /// Of a description that has begun a key frame is asked for when it can't go on; the first one has time to come by itself.
    fn wanted(&mut self, now: Instant) -> Vec<Description> {
        let Some(first_at) = self.first_at else { return Vec::new() };
        let patient = now.saturating_duration_since(first_at) < START_PATIENCE;
        let mut wanted = self.receiver.wants_key_frame();
        wanted.retain(|description| {
            self.announced.contains(description)
                && self
                    .asking
                    .get_mut(description.index())
                    .is_some_and(|(begun, asking)| (*begun || !patient) && asking.ask(now))
        });
        wanted
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
        let make = self.waiting.first_key_value().filter(|_| self.ready.len() < AHEAD);
        let make = make.and_then(|(frame, slot)| self.waits_until(*frame, slot));
        show.into_iter().chain(make).min()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests;
