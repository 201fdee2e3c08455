//! Sound made shorter or longer so that the delay comes to where it should be.

use super::SoundPlayout;
use crate::Error;
use crate::stretch::{self, Demand};
use crate::time::duration;

impl SoundPlayout {
    /// What the delay may be off by before anything is done, 10 ms.
    pub(super) const SLACK: i64 = 480;
    /// From here on what is too much is dropped, not squeezed.
    const FAR: i64 = 24_000;

    /// Brings the delay nearer to where it should be.
    pub(super) fn adjust(&mut self) -> Result<(), Error> {
        let excess = self.excess();
        if excess > Self::FAR {
            self.skip_ahead(excess)?;
            return Ok(());
        }
        let Some(playing) = &mut self.playing else {
            return Ok(());
        };
        playing.steady = playing.steady.saturating_add(1);
        let demand = match excess.abs() {
            0..2_880 => Demand::Alike,
            2_880..9_600 => Demand::Similar,
            _ => Demand::Any,
        };
        // Every third piece at most, unless it is far off.
        if excess.abs() <= Self::SLACK || (playing.steady < 3 && demand == Demand::Alike) {
            return Ok(());
        }
        let by = if excess > 0 {
            let needed = Self::PIECE.max(stretch::LONGEST + stretch::OVERLAP);
            if !self.has_packets_for(needed) {
                return Ok(());
            }
            self.fill(needed)?;
            let by = self.buffer.shrink(demand);
            self.stats.squeezed += duration(by as i64);
            self.fill(Self::PIECE)?;
            by
        } else {
            let by = self.buffer.grow(demand);
            self.stats.stretched += duration(by as i64);
            by
        };
        if let (Some(playing), true) = (&mut self.playing, by > 0) {
            playing.steady = 0;
        }
        Ok(())
    }

    /// Leaves out what is so late that squeezing would take long.
    fn skip_ahead(&mut self, excess: i64) -> Result<(), Error> {
        let Some(position) = self.position() else {
            return Ok(());
        };
        let wanted = position + excess;
        while self.queue.first().is_some_and(|first| first.end() <= wanted) && self.queue.len() > 1 {
            self.queue.pop();
            self.stats.skipped += 1;
        }
        let first = self.queue.first().map(|first| first.start);
        if let (Some(playing), Some(first)) = (&mut self.playing, first)
            && first > playing.head
        {
            playing.head = first;
            playing.is_broken = true;
            playing.last = None;
            self.buffer.clear_ahead();
            self.stats.resyncs += 1;
        }
        self.fill(Self::PIECE)
    }
}
