//! Which chunks of a stream are missing, since when, and which of them nobody needs any more.

use core::ops::Range;
use core::time::Duration;
use core_types::{ChunkSeq, Epoch, MonoTime};
use std::collections::{BTreeMap, VecDeque};

/// Chunk numbers behind the newest that are still looked for. Bounds the memory and what a jump ahead can cost.
const HORIZON: u64 = 1_024;
/// Settled ranges remembered, newest last.
const SETTLED_KEPT: usize = 256;
/// Chunks remembered that came after they were asked for.
const ASKED_KEPT: usize = 64;
/// However late chunks come, one that is missing is asked for after this time.
const MAX_PATIENCE: Duration = Duration::from_millis(200);
/// A first chunk of an epoch with a number below this means that the ones before it were missed, not never asked for.
const EPOCH_START: u64 = 64;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    pub(crate) since: MonoTime,
    pub(crate) next_at: MonoTime,
    pub(crate) attempts: u8,
}

#[derive(Debug)]
pub(crate) struct Gaps {
    newest: Option<(Epoch, ChunkSeq)>,
    missing: BTreeMap<(Epoch, ChunkSeq), Gap>,
    settled: VecDeque<(Epoch, Range<u64>)>,
    /// Chunks that came after they were asked for, newest last: if they come again, asking was too hasty.
    asked: VecDeque<(Epoch, ChunkSeq, MonoTime)>,
    /// How late chunks came that were not lost but overtaken; decays.
    reorder: Duration,
}

impl Gaps {
    pub(crate) const fn new() -> Self {
        Self {
            newest: None,
            missing: BTreeMap::new(),
            settled: VecDeque::new(),
            asked: VecDeque::new(),
            reorder: Duration::ZERO,
        }
    }

    /// Notes that a chunk came. Returns the numbers that are now known to be missing, and the gap that it closed.
    pub(crate) fn note(
        &mut self,
        now: MonoTime,
        epoch: Epoch,
        seq: ChunkSeq,
        patience: Duration,
    ) -> (Range<u64>, Option<Gap>) {
        let closed = self.missing.remove(&(epoch, seq));
        match closed {
            Some(gap) if gap.attempts == 0 => self.overtaken(now, gap.since),
            Some(gap) => {
                self.asked.push_back((epoch, seq, gap.since));
                if self.asked.len() > ASKED_KEPT {
                    self.asked.pop_front();
                }
            }
            None => {}
        }
        let first = match self.newest {
            Some((newest, _)) if epoch < newest => return (0..0, closed),
            Some((newest, highest)) if epoch == newest => {
                if seq <= highest {
                    return (0..0, closed);
                }
                highest.0 + 1
            }
            _ if seq.0 < EPOCH_START => 0,
            _ => seq.0,
        };
        self.newest = Some((epoch, seq));
        self.reorder = self.reorder.mul_f32(0.999);
        let new = first.max(seq.0.saturating_sub(HORIZON))..seq.0;
        let gap = Gap { since: now, next_at: now.plus(patience.max(self.reorder * 5 / 4)), attempts: 0 };
        for number in new.clone() {
            if !self.is_settled(epoch, number) {
                self.missing.insert((epoch, ChunkSeq(number)), gap);
            }
        }
        while self.missing.len() as u64 > HORIZON {
            self.missing.pop_first();
        }
        (new, closed)
    }

    /// Notes that a chunk came a second time. If it had been asked for, it was not lost but late: be more patient.
    pub(crate) fn note_duplicate(&mut self, now: MonoTime, epoch: Epoch, seq: ChunkSeq) {
        let asked = self.asked.iter().position(|(e, s, _)| (*e, *s) == (epoch, seq));
        if let Some((_, _, since)) = asked.and_then(|at| self.asked.remove(at)) {
            self.overtaken(now, since);
        }
    }

    fn overtaken(&mut self, now: MonoTime, since: MonoTime) {
        self.reorder = self.reorder.max(now.since(since)).min(MAX_PATIENCE);
    }

    /// Nobody needs these numbers any more.
    pub(crate) fn settle(&mut self, epoch: Epoch, range: Range<u64>) {
        self.missing.retain(|(e, seq), _| *e != epoch || !range.contains(&seq.0));
        self.settled.push_back((epoch, range));
        if self.settled.len() > SETTLED_KEPT {
            self.settled.pop_front();
        }
    }

    fn is_settled(&self, epoch: Epoch, number: u64) -> bool {
        self.settled.iter().rev().any(|(e, range)| *e == epoch && range.contains(&number))
    }

    /// When the next gap is due.
    pub(crate) fn next_due(&self) -> Option<MonoTime> {
        self.missing.values().map(|gap| gap.next_at).min()
    }

    /// The gaps that are due, in order of their numbers; each is then counted as asked for once more, and those asked
    /// for `max_attempts` times already are given up. Returns them and how many were given up.
    pub(crate) fn take_due(
        &mut self,
        now: MonoTime,
        retry_after: Duration,
        max_attempts: u8,
    ) -> (Vec<(Epoch, ChunkSeq, u8)>, u64) {
        let before = self.missing.len();
        self.missing.retain(|_, gap| gap.next_at > now || gap.attempts < max_attempts);
        let given_up = (before - self.missing.len()) as u64;
        let mut due = Vec::new();
        for ((epoch, seq), gap) in &mut self.missing {
            if gap.next_at <= now {
                due.push((*epoch, *seq, gap.attempts));
                // Twice as long each time: on a slow path the answer to the first request is still under way.
                let wait = retry_after * (1 << gap.attempts.min(4));
                gap.attempts += 1;
                gap.next_at = now.plus(wait.max(self.reorder * 5 / 4));
            }
        }
        (due, given_up)
    }
}
