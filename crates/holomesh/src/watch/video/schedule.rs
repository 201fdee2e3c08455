//! When pictures are due: the clock of media time as it is seen here, and how much later than that they are shown.

use crate::watch::astray::{Place, Times};
use core_types::MediaTime;
use std::time::{Duration, Instant};

/// What the delay grows to at most when pictures come late.
const MAX_DELAY: Duration = Duration::from_millis(500);
/// What the delay shrinks by with every picture that is in time, until it is what was asked for.
const RECOVERY: Duration = Duration::from_micros(250);
/// How far the clock of media time may be off with every picture: 500 millionths at 25 pictures a second.
const DRIFT: Duration = Duration::from_micros(20);

/// An object whose time is further ahead than this, by the clock of media time, came before there was anything to be seen.
const AHEAD_OF_TIME: Duration = Duration::from_secs(1);

/// Pictures are seen no more than this before their sound is heard (ITU-R BT.1359: 45 ms is noticed).
const SYNC: Duration = Duration::from_millis(20);

pub(in crate::watch) struct Schedule {
    /// What was asked for, and what it is now.
    least_delay: Duration,
    delay: Duration,
    /// When media time 0 was, as far as the quickest object so far tells.
    base: Option<Instant>,
    times: Times,
    /// When sound of media time 0 was heard.
    sound: Option<Instant>,
}

impl Schedule {
    pub(in crate::watch) fn new(delay: Duration) -> Self {
        Self { least_delay: delay, delay, base: None, times: Times::default(), sound: None }
    }

    /// An object came: the clock is as seen by the one that was quickest on its way. One alone whose time is out of all relation to that does
    /// not move it. False if it came before the time there is.
    pub(in crate::watch) fn handle_object(&mut self, at: Instant, pts: MediaTime) -> bool {
        let Some(zero) = at.checked_sub(pts.as_duration()) else { return false };
        let place = self.base.map(|base| (base, self.times.place(base, zero, pts)));
        self.base = Some(match place {
            None | Some((_, Place::Elsewhere)) => zero,
            Some((base, Place::Near)) => zero.min(base + DRIFT),
            Some((base, Place::Astray | Place::Past)) => base,
        });
        true
    }

    /// Whether what came then can't have that time: by the clock it was not captured yet.
    pub(in crate::watch) fn is_ahead_of_time(&self, at: Instant, pts: MediaTime) -> bool {
        self.base.is_some_and(|base| base + pts.as_duration() > at + AHEAD_OF_TIME)
    }

    /// Whether a picture of that time would be waited for longer than any that came as it should.
    pub(in crate::watch) fn is_out_of_sight(&self, now: Instant, pts: MediaTime) -> bool {
        self.zero().is_some_and(|zero| zero + pts.as_duration() > now + self.delay + AHEAD_OF_TIME)
    }

    /// Nothing before the first object.
    pub(in crate::watch) fn due(&self, pts: MediaTime) -> Option<Instant> {
        let own = self.zero()?;
        let zero = self.sound.and_then(|sound| sound.checked_sub(SYNC)).map_or(own, |sound| own.max(sound));
        Some(zero + pts.as_duration())
    }

    /// When pictures of media time 0 are to be shown, as far as pictures alone tell. The sound is held back to there.
    pub(in crate::watch) fn zero(&self) -> Option<Instant> {
        Some(self.base? + self.delay)
    }

    /// Sound of media time 0 is heard then: it may need more time than pictures do, and those go with it.
    pub(in crate::watch) const fn follow(&mut self, sound: Option<Instant>) {
        self.sound = sound;
    }

    /// Late pictures make those after them wait longer, so that they come evenly again; then the delay shrinks slowly.
    pub(in crate::watch) fn adapt(&mut self, behind: Duration, late: bool) {
        if late {
            self.delay = (self.delay + behind).min(MAX_DELAY.max(self.least_delay));
        } else {
            self.delay = self.delay.saturating_sub(RECOVERY).max(self.least_delay);
        }
    }
}
