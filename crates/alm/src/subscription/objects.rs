//! The objects that are under way: which chunk numbers they have, and how many of them suffice.

use core::ops::Range;
use core::time::Duration;
use core_types::{ChunkSeq, Epoch, MonoTime};
use std::collections::VecDeque;

/// Objects looked at, newest last.
const KEPT: usize = 64;
/// Chunks of one object at most: 1,024 source symbols and 2,048 for repair (60.6).
pub(crate) const MAX_CHUNKS: u64 = 3_072;
/// So many objects in a row from further behind the newest than the longest is long show that the newest was made up.
const ASTRAY: u8 = 4;

/// An object of which something came.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) epoch: Epoch,
    pub(crate) range: Range<u64>,
    /// So many of its chunks, whichever, give it back.
    pub(crate) needed: u64,
    pub(crate) came: u64,
    /// The highest number of it that came.
    pub(crate) highest: u64,
    /// When the first one came, as far as is known.
    pub(crate) first_at: MonoTime,
    /// When the last one came.
    pub(crate) last_at: MonoTime,
    /// What is missing at its end was put down as missing.
    pub(crate) unfolded: bool,
    /// It is complete; what is missing of it is for others.
    done: bool,
}

impl Object {
    /// An object of which so many came, up to the highest one.
    pub(crate) const fn new(
        (epoch, range): (Epoch, Range<u64>),
        needed: u64,
        (came, highest): (u64, u64),
        now: MonoTime,
    ) -> Self {
        Self {
            epoch,
            range,
            needed,
            came,
            highest,
            first_at: now,
            last_at: now,
            unfolded: false,
            done: false,
        }
    }

    pub(crate) fn holds(&self, epoch: Epoch, seq: u64) -> bool {
        self.epoch == epoch && self.range.contains(&seq)
    }

    /// Chunks that are still wanted. While nobody has settled it, one more is: symbols that depend on one another give
    /// nothing back however many they are.
    pub(crate) fn wanted(&self) -> u64 {
        if self.done { 0 } else { self.needed.saturating_sub(self.came).max(1) }
    }
}

#[derive(Debug)]
pub(crate) struct Objects {
    kept: VecDeque<Object>,
    /// The newest that was ever seen, and when.
    newest: Option<(Epoch, u64, MonoTime)>,
    /// Objects in a row that came from far behind it.
    behind: u8,
    interval: Duration,
    /// Chunks of an object on average, in eighths; 0 before the first.
    eighths: u64,
}

impl Objects {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self { kept: VecDeque::new(), newest: None, behind: 0, interval, eighths: 0 }
    }

    /// From one object to the next, as learned.
    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// About how many chunks the objects of so much time have; `None` before the first.
    pub(crate) fn chunks_in(&self, time: Duration) -> Option<u64> {
        let objects = time.as_micros().checked_div(self.interval.as_micros())?;
        let chunks = u64::try_from(objects).ok()?.saturating_mul(self.eighths) / 8;
        (self.eighths > 0).then_some(chunks)
    }

    pub(crate) fn find(&self, epoch: Epoch, seq: u64) -> Option<&Object> {
        self.kept.iter().rev().find(|object| object.holds(epoch, seq))
    }

    /// Notes that a chunk came. Returns how long after the one before it of its object.
    pub(crate) fn note(&mut self, now: MonoTime, epoch: Epoch, seq: u64) -> Option<Duration> {
        let object = self.kept.iter_mut().rev().find(|object| object.holds(epoch, seq))?;
        let after = now.since(object.last_at);
        object.came += 1;
        object.highest = object.highest.max(seq);
        object.last_at = object.last_at.max(now);
        Some(after)
    }

    /// True if an object that is looked at has one of these numbers. If it is the same one, it takes the higher need.
    pub(crate) fn overlaps(&mut self, epoch: Epoch, range: &Range<u64>, needed: u64) -> bool {
        let known = self.kept.iter_mut().rev().find(|object| {
            object.epoch == epoch && object.range.start < range.end && range.start < object.range.end
        });
        let Some(known) = known else { return false };
        if known.range == *range {
            known.needed = known.needed.max(needed);
        }
        true
    }

    /// Looks at an object from now on. True if it is the newest: then parents owe their shares of it.
    pub(crate) fn add(&mut self, now: MonoTime, object: Object) -> bool {
        let place = (object.epoch, object.range.start);
        let is_far_behind = self
            .newest
            .is_some_and(|(epoch, start, _)| epoch == place.0 && start.saturating_sub(place.1) > MAX_CHUNKS);
        self.behind = if is_far_behind { self.behind + 1 } else { 0 };
        let newest =
            self.behind >= ASTRAY || self.newest.is_none_or(|(epoch, start, _)| place > (epoch, start));
        if newest {
            self.behind = 0;
            if let Some((_, _, at)) = self.newest {
                self.interval = learned(self.interval, now.since(at));
            }
            self.newest = Some((place.0, place.1, now));
            let chunks = object.range.end.saturating_sub(object.range.start);
            self.eighths =
                if self.eighths == 0 { chunks * 8 } else { self.eighths - self.eighths / 8 + chunks };
        }
        self.kept.push_back(object);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        newest
    }

    /// How many of those that came in the last time are late: incomplete for so long, and not yet for four times as long.
    pub(crate) fn late(&self, now: MonoTime, within: Duration) -> usize {
        let is_late = |object: &&Object| {
            let age = now.since(object.first_at);
            !object.done && age >= within && age <= within * 4
        };
        self.kept.iter().filter(is_late).count()
    }

    /// These are complete. They are still looked at if others need what is missing of them.
    pub(crate) fn settle(&mut self, epoch: Epoch, range: &Range<u64>, pass_on: bool) {
        let is_it = |object: &Object| object.epoch == epoch && range.contains(&object.range.start);
        if pass_on {
            self.kept.iter_mut().filter(|object| is_it(object)).for_each(|object| object.done = true);
        } else {
            self.kept.retain(|object| !is_it(object));
        }
    }

    /// When the end of an object is overdue next, if its last chunk may have so much time.
    pub(crate) fn next_due(&self, patience: Duration) -> Option<MonoTime> {
        self.kept.iter().filter(|object| !object.unfolded).map(|object| object.last_at.plus(patience)).min()
    }

    /// The objects whose end is overdue, each once.
    pub(crate) fn take_due(&mut self, now: MonoTime, patience: Duration) -> Vec<Object> {
        let due = self.kept.iter_mut().filter(|o| !o.unfolded && o.last_at.plus(patience) <= now);
        due.map(|object| {
            object.unfolded = true;
            object.clone()
        })
        .collect()
    }

    /// Numbers at the end of an object that are neither here nor put down as missing: they may well be under way.
    pub(crate) fn tail(object: &Object, newest: Option<(Epoch, ChunkSeq)>) -> Range<u64> {
        let passed = match newest {
            Some((epoch, seq)) if epoch == object.epoch => seq.0.max(object.highest),
            _ => object.highest,
        };
        passed.saturating_add(1).max(object.range.start)..object.range.end
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}

/// A time between two events of a regular series, learned from a further one. What is far off counts as far as a pause
/// or a burst does: a little.
pub(crate) fn learned(before: Duration, sample: Duration) -> Duration {
    let sample = sample.clamp(before / 2, before.saturating_mul(4).max(Duration::from_millis(1)));
    before.saturating_mul(7).saturating_add(sample) / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_was_made_up_far_ahead_does_not_free_parents_of_what_they_owe() {
        let mut objects = Objects::new(Duration::from_millis(40));
        let mut add = |start| {
            objects.add(MonoTime(0), Object::new((Epoch(1), start..start + 8), 6, (1, start), MonoTime(0)))
        };
        assert!(add(0) && add(8));
        assert!(add(1 << 40));
        let newest = [16, 24, 32, 40, 48].map(&mut add);
        assert_eq!(newest, [false, false, false, true, true]);
        assert!(!add(16), "what is late is owed by nobody");
    }
}
