//! What a subscriber counts.
//!
//! The rules: a subscriber's stay begins with the first frame that is published after it has subscribed, and goes to the last
//! one that was published half a second before it goes or the count is taken. Loss is what was published in a stay and did not
//! come to that subscriber. What comes from before its stay, a late joiner's key-frame group, is forwarded like anything
//! else and counts as that, but is neither expected nor shown.

use super::figures::Seen;
use super::options::FRAME;
use super::stream::place_of;
use core_types::{ChunkSeq, ObjectClass};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// A frame is decided when one so much later has begun: what is missing then was not sent, or came too late to be shown.
const DECIDED: u64 = 12;

/// Counts chunks, and says which frames could be shown.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Symbols of a frame that are repair.
    repair: usize,
    /// The first frame of the stay; nothing is counted before there is one.
    stay: Option<u64>,
    chunks: u64,
    sources: Sources,
    /// Chunks of the frames that are not decided yet, and when the last of enough came.
    open: BTreeMap<u64, (u32, Option<Instant>)>,
    /// The frame that is to be decided next.
    next: Option<u64>,
    /// Key frames that are not decided yet.
    keys: BTreeSet<u64>,
    /// Which of the last frames could be shown: those that others refer to.
    shown_before: BTreeMap<u64, bool>,
    frames: u64,
    shown: u64,
    last_shown: Option<Instant>,
    still: Duration,
}

/// Source symbols by frame, from the first frame that is counted on.
#[derive(Debug, Default)]
struct Sources {
    first: u64,
    counts: VecDeque<u32>,
}

impl Sources {
    fn take(&mut self, frame: u64) {
        let Some(at) = frame.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()) else { return };
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
    }

    /// How many came of the frames before `until`, and of how many frames. Counts on from there.
    fn before(&mut self, until: u64) -> (u64, u64) {
        let frames = until.saturating_sub(self.first);
        let kept = usize::try_from(frames).unwrap_or(usize::MAX).min(self.counts.len());
        self.first += frames;
        (self.counts.drain(..kept).map(u64::from).sum(), frames)
    }
}

impl Tally {
    /// For frames with so many repair symbols.
    pub(super) fn new(repair: usize) -> Self {
        Self { repair, ..Self::default() }
    }

    /// The subscriber has subscribed, and `frame` is the next that is published.
    pub(super) fn begin(&mut self, frame: u64) {
        self.stay = Some(frame);
        self.sources.first = frame;
    }

    /// Whether a chunk was published after the subscriber had come, so that the time it took is that of its way.
    pub(super) fn is_of_its_stay(&self, seq: ChunkSeq) -> bool {
        self.stay.is_some_and(|first| seq.0 / FRAME as u64 >= first)
    }

    /// A chunk came, of a frame of that class: any of the base layer may be a key frame that was asked for.
    pub(super) fn take(&mut self, now: Instant, seq: ChunkSeq, class: ObjectClass) {
        let frame = seq.0 / FRAME as u64;
        self.chunks += 1;
        if class == ObjectClass::KeyFrame {
            self.keys.insert(frame);
        }
        if (seq.0 as usize % FRAME) < FRAME - self.repair {
            self.sources.take(frame);
        }
        if self.next.is_some_and(|next| frame < next) {
            return;
        }
        let (count, complete) = self.open.entry(frame).or_default();
        *count += 1;
        if *count as usize == FRAME - self.repair {
            *complete = Some(now);
        }
        self.decide_before((frame + 1).saturating_sub(DECIDED));
    }

    fn decide_before(&mut self, end: u64) {
        let Some(stay) = self.stay else { return };
        let mut frame = match (self.next, self.open.keys().next()) {
            (Some(next), _) => next,
            (None, Some(oldest)) => stay.min(*oldest),
            (None, None) => stay,
        };
        while frame < end {
            self.decide(frame, frame >= stay);
            frame += 1;
            self.next = Some(frame);
        }
    }

    fn decide(&mut self, frame: u64, counts: bool) {
        let complete = self.open.remove(&frame).and_then(|(_, complete)| complete);
        let (layer, _) = place_of(frame);
        let is_key = self.keys.contains(&frame);
        self.keys.retain(|key| *key > frame);
        let reference = match layer.temporal {
            _ if is_key => None,
            0 => frame.checked_sub(4),
            1 => frame.checked_sub(2),
            _ => frame.checked_sub(1),
        };
        // Whoever begins is taken to know what its first frame refers to.
        let first = self.shown_before.is_empty();
        let refers_to_shown = reference.is_none_or(|to| self.shown_before.get(&to).copied().unwrap_or(first));
        let shown = complete.filter(|_| refers_to_shown);
        self.shown_before.insert(frame, shown.is_some());
        self.shown_before.retain(|known, _| known + 8 > frame);
        if !counts {
            return;
        }
        self.frames += 1;
        if let Some(at) = shown {
            self.shown += 1;
            if let Some(before) = self.last_shown {
                self.still = self.still.max(at.saturating_duration_since(before));
            }
            self.last_shown = Some(at);
        }
    }

    /// What was seen since the last time, and begins anew. Frames before `settled` should have come.
    pub(super) fn mark(&mut self, settled: u64) -> Seen {
        if self.stay.is_none() {
            return Seen::default();
        }
        // Whoever gets nothing at all has frames that were not shown, too.
        self.decide_before(settled.saturating_sub(DECIDED));
        let (source, frames) = self.sources.before(settled);
        let seen = Seen {
            chunks: self.chunks,
            source,
            expected: frames * (FRAME - self.repair) as u64,
            frames: self.frames,
            shown: self.shown,
            still_ms: u64::try_from(self.still.as_millis()).unwrap_or(u64::MAX),
        };
        self.chunks = 0;
        (self.frames, self.shown, self.still) = (0, 0, Duration::ZERO);
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stay from frame 0 on, of which so many are published and have settled.
    fn watch(frames: u64, comes: impl Fn(u64, u64) -> bool) -> Seen {
        let mut tally = Tally::new(2);
        tally.begin(0);
        feed(&mut tally, 0..frames, comes);
        tally.mark(frames)
    }

    fn feed(tally: &mut Tally, frames: std::ops::Range<u64>, comes: impl Fn(u64, u64) -> bool) {
        let start = Instant::now();
        for frame in frames {
            for symbol in (0..FRAME as u64).filter(|symbol| comes(frame, *symbol)) {
                let at = start + Duration::from_millis(frame * 40);
                tally.take(at, ChunkSeq(frame * FRAME as u64 + symbol), place_of(frame).1);
            }
        }
    }

    #[test]
    fn all_frames_of_a_whole_stream_are_shown() {
        let seen = watch(112, |_, _| true);
        assert_eq!((seen.chunks, seen.source, seen.expected), (1_120, 896, 896));
        assert_eq!((seen.frames, seen.shown, seen.still_ms), (100, 100, 40));
    }

    #[test]
    fn two_lost_symbols_cost_nothing_and_three_cost_the_frame() {
        assert_eq!(watch(112, |_, symbol| symbol != 3 && symbol != 9).shown, 100);
        // Frame 21 is of the topmost layer: nothing refers to it.
        assert_eq!(watch(112, |frame, symbol| frame != 21 || symbol > 2).shown, 99);
    }

    #[test]
    fn a_lost_base_frame_costs_all_until_the_next_key_frame() {
        // Frame 20 is of the base layer, the next key frame is 64.
        let seen = watch(112, |frame, _| frame != 20);
        assert_eq!(seen.shown, 100 - 44);
        assert_eq!(seen.still_ms, 45 * 40);
    }

    #[test]
    fn a_key_frame_that_was_asked_for_ends_a_standstill() {
        let start = Instant::now();
        let mut tally = Tally::new(2);
        tally.begin(0);
        for seq in (0..112 * FRAME as u64).filter(|seq| seq / FRAME as u64 != 20) {
            let frame = seq / FRAME as u64;
            let class = if frame == 32 { ObjectClass::KeyFrame } else { place_of(frame).1 };
            tally.take(start + Duration::from_millis(frame * 40), ChunkSeq(seq), class);
        }
        let seen = tally.mark(112);
        assert_eq!((seen.shown, seen.still_ms), (100 - 12, 13 * 40));
    }

    #[test]
    fn without_the_upper_layers_a_quarter_is_shown() {
        let seen = watch(112, |frame, _| frame % 4 == 0);
        assert_eq!((seen.frames, seen.shown, seen.still_ms), (100, 25, 160));
    }

    #[test]
    fn a_late_joiner_is_not_asked_for_what_came_before_it_and_gets_it_counted_as_forwarded() {
        // It comes at frame 90; the relay gives it what it kept from key frame 64 on, but for two frames it has shed.
        let mut tally = Tally::new(2);
        tally.begin(90);
        feed(&mut tally, 64..140, |frame, _| frame != 70 && frame != 71);
        let seen = tally.mark(140);
        assert_eq!((seen.chunks, seen.source, seen.expected), (740, 400, 400));
        let first = 90 * FRAME as u64;
        assert_eq!([first - 1, first].map(|seq| tally.is_of_its_stay(ChunkSeq(seq))), [false, true]);
        // Frame 70 is referred to by 71 alone, which nothing refers to.
        assert_eq!((seen.frames, seen.shown), (38, 38));
    }

    #[test]
    fn what_is_published_in_a_stay_and_does_not_come_is_lost_at_its_ends_and_when_nothing_comes() {
        // Comes at frame 10 and gets nothing of its first frame; leaves when frame 49 has settled, and had nothing since 45.
        let mut tally = Tally::new(2);
        tally.begin(10);
        feed(&mut tally, 11..45, |_, _| true);
        let seen = tally.mark(50);
        assert_eq!((seen.source, seen.expected), (34 * 8, 40 * 8));
        let mut silent = Tally::new(2);
        silent.begin(10);
        let seen = silent.mark(50);
        assert_eq!((seen.source, seen.expected, seen.frames, seen.shown), (0, 40 * 8, 28, 0));
        // Whoever never subscribed should have had nothing.
        assert_eq!(Tally::new(2).mark(50), Seen::default());
    }

    #[test]
    fn what_is_still_under_way_counts_the_next_time_and_nothing_counts_twice() {
        let mut tally = Tally::new(2);
        tally.begin(0);
        feed(&mut tally, 0..30, |_, _| true);
        // The last ten frames have not settled.
        let seen = tally.mark(20);
        assert_eq!((seen.source, seen.expected), (160, 160));
        feed(&mut tally, 30..40, |_, _| true);
        // Too late: it was counted as lost, or came twice.
        feed(&mut tally, 5..6, |_, _| true);
        let seen = tally.mark(40);
        assert_eq!((seen.source, seen.expected), (160, 160));
        assert_eq!((seen.chunks, tally.mark(40).expected), (110, 0));
    }
}
