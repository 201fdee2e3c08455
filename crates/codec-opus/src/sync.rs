//! One clock for the sound and the pictures of a publisher: lip sync.
//!
//! It lives beside the sound's playout since sound is what it follows: a picture can be shown a little sooner or later unseen,
//! sound can not.

use crate::SampleTime;
use crate::delay::{DelayEstimator, DelayLimits};
use crate::time::{ClockOffset, duration, ticks};
use core::time::Duration;
use core_types::{MediaTime, MonoTime};

/// Says when to show each picture, so that it is seen with the sound of its media time.
///
/// - While sound plays, the clock follows it: slowly, by 2 % of the time that passes, as long as it is within 30 ms; at the edge
///   of that it goes along with the sound. A jump by more than 200 ms it follows at once.
/// - Without sound it goes by the pictures themselves, 60 ms behind at first and then as their jitter demands.
/// - When pictures take longer than sound, [`sound_offset`](Self::sound_offset) says how far the sound should be held back for them.
///
/// Both streams' media times count from the publisher's one origin. Reads no clock.
#[derive(Debug, Clone)]
pub struct SyncClock {
    /// Local time minus media time at which pictures are shown.
    offset: Option<i64>,
    /// Local time of the last correction.
    corrected: i64,
    sound: Option<Sound>,
    pictures: DelayEstimator,
}

#[derive(Debug, Clone, Copy)]
struct Sound {
    offset: i64,
    heard: i64,
}

impl SyncClock {
    /// How far from its sound a picture may be.
    pub const TOLERANCE: Duration = Duration::from_millis(40);
    /// What the clock keeps to, so that a picture shown at the next chance is still within the tolerance.
    const EDGE: i64 = 30 * 48;
    /// Further than this is no drift.
    const FAR: i64 = 200 * 48;
    /// The clock moves by one part in this of the time that passes.
    const SLOWNESS: i64 = 50;
    /// Sound that has been silent for this long is followed no more.
    const STALE: i64 = 24_000;
    const PICTURES: DelayLimits = DelayLimits { start: 60 * 48, least: 5 * 48, repair: 5 * 48, most: 48_000 };

    /// Knows neither sound nor pictures yet.
    pub fn new() -> Self {
        Self { offset: None, corrected: 0, sound: None, pictures: DelayEstimator::new(Self::PICTURES) }
    }

    /// Sound of media time `at` is heard at `heard`: when the device was handed it, plus the device's own delay.
    pub fn sound(&mut self, heard: MonoTime, at: SampleTime) {
        let heard = ticks(heard);
        self.sound = Some(Sound { offset: heard - at.ticks(), heard });
        self.correct(heard);
    }

    /// A picture of media time `at` was ready to be shown at `ready`, shown each `interval`.
    pub fn picture(&mut self, ready: MonoTime, at: MediaTime, interval: Duration) {
        let (ready, start) = (ticks(ready), SampleTime::from_media(at).ticks());
        self.pictures.arrived(ready, start, crate::time::span(interval));
        self.correct(ready);
    }

    /// When to show the picture of media time `at`; `None` while nothing is known. Ask again when it is due: the clock may have
    /// moved meanwhile.
    pub fn show_at(&self, at: MediaTime) -> Option<MonoTime> {
        Some(ClockOffset(self.offset?).local(SampleTime::from_media(at)))
    }

    /// How much later than its sound a picture is seen; negative when sooner. Microseconds; `None` without sound.
    pub fn skew(&self) -> Option<i64> {
        Some(ClockOffset(self.offset?).micros_after(ClockOffset(self.sound?.offset)))
    }

    /// How far behind media time the sound has to be for pictures to be ready in time: for
    /// [`SoundPlayout::hold_back`](crate::SoundPlayout::hold_back). `None` without pictures.
    pub fn sound_offset(&self) -> Option<ClockOffset> {
        self.pictures.target().map(ClockOffset)
    }

    /// Delay of the pictures over the fastest of them.
    pub fn picture_delay(&self) -> Duration {
        duration(self.offset.zip(self.pictures.floor()).map_or(0, |(offset, floor)| offset - floor))
    }

    fn correct(&mut self, now: i64) {
        let sound = self.sound.filter(|sound| now - sound.heard < Self::STALE);
        let Some(wanted) = sound.map(|sound| sound.offset).or(self.pictures.target()) else {
            return;
        };
        let passed = (now - self.corrected).clamp(0, 48_000);
        let step = passed / Self::SLOWNESS;
        // Too little to be a step: time is saved up for the next.
        if self.offset.is_none() || step > 0 {
            self.corrected = self.corrected.max(now);
        }
        let old = self.offset.unwrap_or(wanted);
        let off = wanted - old;
        let moved = if off.abs() > Self::FAR { wanted } else { old + off.clamp(-step, step) };
        let edge = if sound.is_some() { Self::EDGE } else { Self::FAR };
        self.offset = Some(moved.clamp(wanted - edge, wanted + edge));
    }
}

impl Default for SyncClock {
    fn default() -> Self {
        Self::new()
    }
}
