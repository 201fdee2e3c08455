//! Pictures that are decoded and wait for their time.

use super::{Schedule, TOO_LATE, VideoStats};
use crate::Error;
use crate::watch::sink::{MadeFrom, ShownPicture, Sink};
use codec_av1::Frame;
use core_types::{FrameSize, MediaTime, ObjectSeq};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub(in crate::watch) struct Picture {
    pub(in crate::watch) seq: ObjectSeq,
    pub(in crate::watch) pts: MediaTime,
    pub(in crate::watch) frame: Frame,
    pub(in crate::watch) is_reduced: bool,
    pub(in crate::watch) made_from: MadeFrom,
    pub(in crate::watch) assembled_at: Instant,
    pub(in crate::watch) decode_time: Duration,
}

/// Of one source, in the order of their times.
pub(in crate::watch) struct Ready {
    size: FrameSize,
    interval: Duration,
    pictures: VecDeque<Picture>,
}

impl Ready {
    pub(in crate::watch) const fn new(size: FrameSize, interval: Duration) -> Self {
        Self { size, interval, pictures: VecDeque::new() }
    }

    pub(in crate::watch) fn push(&mut self, picture: Picture) {
        self.pictures.push_back(picture);
    }

    /// Gives up the one that is due first.
    pub(in crate::watch) fn drop_first(&mut self) {
        self.pictures.pop_front();
    }

    pub(in crate::watch) fn len(&self) -> usize {
        self.pictures.len()
    }

    pub(in crate::watch) fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Gives up those that are due first and would be waited for far too long: their time can't be right, and others wait behind them.
    fn drop_out_of_sight(&mut self, now: Instant, schedule: &Schedule) -> u64 {
        let mut dropped = 0;
        while self.pictures.front().is_some_and(|first| schedule.is_out_of_sight(now, first.pts)) {
            self.pictures.pop_front();
            dropped += 1;
        }
        dropped
    }

    pub(in crate::watch) fn next_due(&self, schedule: &Schedule) -> Option<Instant> {
        self.pictures.front().and_then(|first| schedule.due(first.pts))
    }

    /// Shows what is due.
    pub(in crate::watch) fn show(
        &mut self,
        now: Instant,
        schedule: &mut Schedule,
        stats: &mut VideoStats,
        sinks: &mut [Box<dyn Sink>],
    ) -> Result<(), Error> {
        stats.lost += self.drop_out_of_sight(now, schedule);
        while let Some(due) = self.next_due(schedule).filter(|due| *due <= now) {
            let Some(picture) = self.pictures.pop_front() else { break };
            let behind = now.saturating_duration_since(due);
            if behind > TOO_LATE && !self.pictures.is_empty() {
                stats.lost += 1;
                continue;
            }
            let late = behind > self.interval / 2;
            schedule.adapt(behind, late);
            stats.shown += 1;
            stats.reduced += u64::from(picture.is_reduced);
            stats.late += u64::from(late);
            if sinks.is_empty() {
                continue;
            }
            // A lower layer's picture is shown as large as the others: that is what files and screens were told.
            let scaled = (picture.frame.size() != self.size).then(|| picture.frame.scaled(self.size));
            let shown = ShownPicture {
                seq: picture.seq,
                pts: picture.pts,
                coded_size: picture.frame.size(),
                made_from: picture.made_from,
                frame: scaled.as_ref().unwrap_or(&picture.frame),
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
}
