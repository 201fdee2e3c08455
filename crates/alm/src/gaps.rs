//! Which chunks of a stream are missing, since when, and which of them nobody needs any more.

mod came;

use self::came::Came;
use core::ops::Range;
use core::time::Duration;
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime};
use std::collections::{BTreeMap, VecDeque};

/// Chunk numbers behind the newest that are still looked for. Bounds what a jump ahead can cost.
const HORIZON: u64 = 1_024;
/// Missing chunks tracked: those of the largest object (60.6), and the horizon.
pub(crate) const MISSING_KEPT: usize = 4_096;
/// Numbers remembered of chunks that came.
pub(crate) const CAME_KEPT: usize = 4_096;
/// Settled ranges remembered, newest last.
const SETTLED_KEPT: usize = 256;
/// Chunks remembered that came after they were asked for.
const ASKED_KEPT: usize = 64;
/// So many chunks in a row from further behind the newest than the horizon show that the stream is there, and that the newest number was
/// made up: whoever has the group's key can seal any.
const ASTRAY: u8 = 16;
/// A first chunk of an epoch with a number below this means that the ones before it were missed, not never asked for.
const EPOCH_START: u64 = 64;

/// A missing chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    pub(crate) since: MonoTime,
    pub(crate) next_at: MonoTime,
    pub(crate) attempts: u8,
    /// It is overdue, but was not needed when that was looked at.
    pub(crate) idle: bool,
    /// When its carrier came past it.
    pub(crate) passed_at: Option<MonoTime>,
    /// Who was asked for it first, and last.
    first: Option<(LinkId, MonoTime)>,
    last: Option<(LinkId, MonoTime)>,
}

impl Gap {
    /// When `link` was asked for it, if it was the first or the last.
    pub(crate) fn asked_of(&self, link: LinkId) -> Option<MonoTime> {
        self.first.into_iter().chain(self.last).find(|(asked, _)| *asked == link).map(|(_, at)| at)
    }

    /// Notes that `link` is asked.
    pub(crate) fn ask(&mut self, now: MonoTime, link: LinkId, wait: Duration) {
        self.last = Some((link, now));
        self.first = self.first.or(self.last);
        self.attempts = self.attempts.saturating_add(1);
        self.idle = false;
        self.next_at = now.plus(wait);
    }
}

#[derive(Debug)]
pub(crate) struct Gaps {
    newest: Option<(Epoch, ChunkSeq)>,
    /// Chunks in a row that came from far behind it.
    behind: u8,
    came: Came,
    missing: BTreeMap<(Epoch, ChunkSeq), Gap>,
    settled: VecDeque<(Epoch, Range<u64>)>,
    /// Chunks that came after they were asked for, newest last: if they come again, asking may have been too hasty.
    asked: VecDeque<(Epoch, ChunkSeq, Gap)>,
}

impl Gaps {
    pub(crate) const fn new() -> Self {
        Self {
            newest: None,
            behind: 0,
            came: Came::new(CAME_KEPT),
            missing: BTreeMap::new(),
            settled: VecDeque::new(),
            asked: VecDeque::new(),
        }
    }

    pub(crate) const fn newest(&self) -> Option<(Epoch, ChunkSeq)> {
        self.newest
    }

    /// Notes that a chunk came. Returns the gap that it closed.
    pub(crate) fn close(&mut self, epoch: Epoch, seq: ChunkSeq) -> Option<Gap> {
        self.came.insert(epoch, seq);
        let closed = self.missing.remove(&(epoch, seq));
        if let Some(gap) = closed.filter(|gap| gap.attempts > 0) {
            self.asked.push_back((epoch, seq, gap));
            if self.asked.len() > ASKED_KEPT {
                self.asked.pop_front();
            }
        }
        closed
    }

    /// Notes that the stream came as far as `seq`. Returns the numbers that it came over: those that are not put down yet
    /// are for [`Gaps::put_down`].
    pub(crate) fn advance(&mut self, epoch: Epoch, seq: ChunkSeq) -> Range<u64> {
        let first = match self.newest {
            Some((newest, _)) if epoch < newest => return 0..0,
            Some((newest, highest)) if epoch == newest => {
                if highest.0.saturating_sub(seq.0) > HORIZON {
                    self.behind += 1;
                    if self.behind < ASTRAY {
                        return 0..0;
                    }
                    seq.0
                } else if seq <= highest {
                    self.behind = 0;
                    return 0..0;
                } else {
                    highest.0.saturating_add(1)
                }
            }
            _ if seq.0 < EPOCH_START => 0,
            _ => seq.0,
        };
        self.behind = 0;
        self.newest = Some((epoch, seq));
        first.max(seq.0.saturating_sub(HORIZON))..seq.0
    }

    /// Puts a number down as missing, unless it is here, missing already or not needed. True if it was not known to be missing.
    pub(crate) fn put_down(
        &mut self,
        epoch: Epoch,
        number: u64,
        since: MonoTime,
        patience: Duration,
        passes_on: bool,
    ) -> bool {
        let key = (epoch, ChunkSeq(number));
        if self.missing.contains_key(&key) || self.came.contains(epoch, key.1) {
            return false;
        }
        if passes_on || !self.is_settled(epoch, number) {
            let next_at = since.plus(patience);
            self.missing.insert(
                key,
                Gap { since, next_at, attempts: 0, idle: false, passed_at: None, first: None, last: None },
            );
            if self.missing.len() > MISSING_KEPT {
                self.missing.pop_first();
            }
        }
        true
    }

    /// Notes that a chunk came a second time. Returns the gap that it would have closed, if it had been asked for.
    pub(crate) fn close_again(&mut self, epoch: Epoch, seq: ChunkSeq) -> Option<Gap> {
        let at = self.asked.iter().position(|(e, s, _)| (*e, *s) == (epoch, seq))?;
        self.asked.remove(at).map(|(_, _, gap)| gap)
    }

    /// Nobody needs these numbers any more, save those that are passed on.
    pub(crate) fn settle(&mut self, epoch: Epoch, range: Range<u64>, passes_on: impl Fn(ChunkSeq) -> bool) {
        let keys = (epoch, ChunkSeq(range.start))..(epoch, ChunkSeq(range.end.max(range.start)));
        let over: Vec<_> =
            self.missing.range(keys).map(|(key, _)| *key).filter(|(_, seq)| !passes_on(*seq)).collect();
        over.iter().for_each(|key| {
            self.missing.remove(key);
        });
        self.settled.push_back((epoch, range));
        if self.settled.len() > SETTLED_KEPT {
            self.settled.pop_front();
        }
    }

    pub(crate) fn is_settled(&self, epoch: Epoch, number: u64) -> bool {
        self.settled.iter().rev().any(|(e, range)| *e == epoch && range.contains(&number))
    }

    /// How many numbers of a range came, and the highest, as far as they are remembered.
    pub(crate) fn came_in(&self, epoch: Epoch, range: &Range<u64>) -> Option<(u64, u64)> {
        self.came.within(epoch, range)
    }

    /// The gaps of a range.
    pub(crate) fn missing_in(
        &self,
        epoch: Epoch,
        range: &Range<u64>,
    ) -> impl Iterator<Item = (ChunkSeq, &Gap)> {
        let keys = (epoch, ChunkSeq(range.start))..(epoch, ChunkSeq(range.end));
        self.missing.range(keys).map(|((_, seq), gap)| (*seq, gap))
    }

    /// Their carrier has come past these numbers: so far as they are its, they are due at `at` if nobody was asked for them yet.
    pub(crate) fn pass(
        &mut self,
        at: MonoTime,
        now: MonoTime,
        (epoch, range): (Epoch, Range<u64>),
        its: impl Fn(ChunkSeq) -> bool,
    ) {
        let keys = (epoch, ChunkSeq(range.start))..(epoch, ChunkSeq(range.end.max(range.start)));
        for ((_, seq), gap) in self.missing.range_mut(keys) {
            if gap.attempts == 0 && gap.passed_at.is_none() && its(*seq) {
                gap.passed_at = Some(now);
                gap.next_at = gap.next_at.min(at);
            }
        }
    }

    /// What would have come from a parent that is gone, or was asked of it, is due at once.
    pub(crate) fn hurry(&mut self, now: MonoTime, gone: LinkId, its: impl Fn(ChunkSeq) -> bool) {
        for ((_, seq), gap) in &mut self.missing {
            let last = gap.last.map(|(link, _)| link);
            if last == Some(gone) || (last.is_none() && its(*seq)) {
                gap.next_at = gap.next_at.min(now);
            }
        }
    }

    /// When the next gap is due.
    pub(crate) fn next_due(&self) -> Option<MonoTime> {
        self.missing.values().map(|gap| gap.next_at).min()
    }

    /// The gaps that are due, in order of their numbers. Those that were asked for `max_attempts` times already are given
    /// up instead; returns how many those are.
    pub(crate) fn due(&mut self, now: MonoTime, max_attempts: u8) -> (Vec<(Epoch, ChunkSeq)>, u64) {
        let before = self.missing.len();
        self.missing.retain(|_, gap| gap.next_at > now || gap.attempts < max_attempts);
        let given_up = (before - self.missing.len()) as u64;
        let due = self.missing.iter().filter(|(_, gap)| gap.next_at <= now).map(|(key, _)| *key);
        (due.collect(), given_up)
    }

    pub(crate) fn get(&self, epoch: Epoch, seq: ChunkSeq) -> Option<&Gap> {
        self.missing.get(&(epoch, seq))
    }

    pub(crate) fn get_mut(&mut self, epoch: Epoch, seq: ChunkSeq) -> Option<&mut Gap> {
        self.missing.get_mut(&(epoch, seq))
    }

    #[cfg(test)]
    pub(crate) fn sizes(&self) -> [usize; 4] {
        [self.came.len(), self.missing.len(), self.settled.len(), self.asked.len()]
    }
}
