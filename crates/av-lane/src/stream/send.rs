//! What is sent of our stream, and again until it has come.

use super::rtt::Rtt;
use super::{SEGMENT, SEGMENTS, STALLED_AFTER, WINDOW};
use crate::control::AckBody;
use core_types::MonoTime;
use std::collections::VecDeque;

/// What may be under way at first, and the least that ever may.
const FIRST: usize = 10 * SEGMENT;
const LEAST: usize = 2 * SEGMENT;
/// A packet is lost when so many that were sent after it have come (RFC 9002 section 6.1.1).
const OVERTAKEN: u64 = 3;
/// So few packets without an answer are bad luck.
const FEW: u32 = 4;

/// Bytes that go out in one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    /// 0: asks for an acknowledgement and nothing else.
    pub(crate) len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Whether there is room now.
    Ask,
    /// What was lost, by its place among what is under way.
    Again(usize),
    /// So many bytes more.
    New(usize),
}

#[derive(Debug)]
struct Sent {
    segment: Segment,
    /// The count of packets when it went out last, and when that was.
    order: u64,
    at: MonoTime,
    is_repeated: bool,
    has_come: bool,
    is_lost: bool,
}

impl Sent {
    const fn end(&self) -> u64 {
        self.segment.offset + self.segment.len as u64
    }

    const fn is_under_way(&self) -> bool {
        !self.has_come && !self.is_lost
    }
}

#[derive(Debug)]
pub(crate) struct SendHalf {
    /// From `start` on: what was not acknowledged, and then what was not sent.
    buffer: VecDeque<u8>,
    start: u64,
    /// The first byte that was never sent.
    next: u64,
    /// The peer takes bytes before this one.
    limit: u64,
    capacity: usize,
    flight: VecDeque<Sent>,
    /// Packets so far, and those of them up to the latest that has come.
    count: u64,
    latest: u64,
    /// Bytes that may be under way, and where that begins to grow slowly.
    congestion: usize,
    threshold: usize,
    /// What was sent before the last decrease says nothing new.
    recovery: u64,
    rtt: Rtt,
    /// When there is no more waiting for an acknowledgement, and when what was overtaken counts as lost.
    timeout: Option<MonoTime>,
    overtaken: Option<MonoTime>,
    wants_to_ask: bool,
    /// Since when nothing new was heard though something waits for it, and how many packets went out since.
    silent: Option<MonoTime>,
    tries: u32,
    /// Bytes sent again.
    pub(crate) repeated: u64,
}

impl SendHalf {
    pub(crate) const fn new(window: usize) -> Self {
        Self {
            buffer: VecDeque::new(),
            start: 0,
            next: 0,
            limit: window as u64,
            capacity: window,
            flight: VecDeque::new(),
            count: 0,
            latest: 0,
            congestion: FIRST,
            threshold: WINDOW,
            recovery: 0,
            rtt: Rtt::new(),
            timeout: None,
            overtaken: None,
            wants_to_ask: false,
            silent: None,
            tries: 0,
            repeated: 0,
        }
    }

    /// Bytes that [`SendHalf::write`] takes.
    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.buffer.len())
    }

    /// Bytes that the peer has not acknowledged.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Takes as much as there is room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let count = self.room().min(bytes.len());
        self.buffer.extend(bytes.iter().take(count));
        count
    }

    fn unsent(&self) -> u64 {
        self.start + self.buffer.len() as u64 - self.next
    }

    fn under_way(&self) -> usize {
        self.flight.iter().filter(|sent| sent.is_under_way()).map(|sent| sent.segment.len).sum()
    }

    /// True if the peer has no room for what waits, and nothing is under way whose acknowledgement could say otherwise.
    fn is_blocked(&self) -> bool {
        self.flight.is_empty() && self.unsent() > 0 && self.next >= self.limit
    }

    /// The next packet; what it is of has to be sent now.
    pub(crate) fn next_segment(&mut self, now: MonoTime) -> Option<Segment> {
        let segment = self.choose(now)?;
        self.tries = self.tries.saturating_add(1);
        self.silent.get_or_insert(now);
        if self.timeout.is_none() {
            self.timeout = Some(now.plus(self.rtt.timeout()));
        }
        Some(segment)
    }

    fn choose(&mut self, now: MonoTime) -> Option<Segment> {
        let (count, choice) = (self.count, self.candidate()?);
        if choice == Choice::Ask {
            self.wants_to_ask = false;
            return Some(Segment { offset: self.next, len: 0 });
        }
        self.count += 1;
        if let Choice::Again(index) = choice {
            let lost = self.flight.get_mut(index)?;
            (lost.order, lost.at, lost.is_repeated, lost.is_lost) = (count, now, true, false);
            self.repeated += lost.segment.len as u64;
            return Some(lost.segment);
        }
        let Choice::New(len) = choice else { return None };
        let segment = Segment { offset: self.next, len };
        self.next += len as u64;
        self.flight.push_back(Sent {
            segment,
            order: count,
            at: now,
            is_repeated: false,
            has_come: false,
            is_lost: false,
        });
        Some(segment)
    }

    /// What goes out next, if anything may.
    fn candidate(&self) -> Option<Choice> {
        if self.buffer.is_empty() {
            return None;
        }
        if self.wants_to_ask && self.is_blocked() {
            return Some(Choice::Ask);
        }
        let under_way = self.under_way();
        let fits = |len: usize| under_way == 0 || under_way + len <= self.congestion;
        if let Some(index) = self.flight.iter().position(|sent| sent.is_lost) {
            return fits(self.flight.get(index)?.segment.len).then_some(Choice::Again(index));
        }
        let may = self.unsent().min(self.limit.saturating_sub(self.next)).min(SEGMENT as u64) as usize;
        (may > 0 && self.flight.len() < SEGMENTS && fits(may)).then_some(Choice::New(may))
    }

    /// Writes a segment's bytes, for which there is just room.
    pub(crate) fn copy(&self, segment: Segment, out: &mut [u8]) {
        // Nothing goes out of the buffer before it is acknowledged, and what is acknowledged is not sent.
        let from = (segment.offset.saturating_sub(self.start) as usize).min(self.buffer.len());
        for (place, byte) in out.iter_mut().zip(self.buffer.range(from..)) {
            *place = *byte;
        }
    }

    /// Takes what the peer says has come. An error is its misbehaviour, and changes nothing.
    pub(crate) fn acknowledged(
        &mut self,
        now: MonoTime,
        ack: &AckBody,
        is_newest: bool,
    ) -> Result<(), &'static str> {
        let pieces = ack.pieces.map(|(gap, len)| {
            let start = ack.next.saturating_add(gap.into());
            start..start.saturating_add(len.into())
        });
        if ack.next > self.next || pieces.iter().any(|piece| piece.end > self.next) {
            return Err("it acknowledges what was not sent");
        }
        let limit = ack.next + u64::from(ack.window);
        if is_newest && (ack.next < self.start || limit < self.limit) {
            return Err("what it acknowledges goes backwards");
        }
        let has_room = limit > self.limit;
        self.limit = self.limit.max(limit);
        let (mut fresh, mut last) = (0, None::<(u64, MonoTime, bool)>);
        for sent in self.flight.iter_mut().filter(|sent| !sent.has_come) {
            let is_in =
                |piece: &core::ops::Range<u64>| piece.start <= sent.segment.offset && sent.end() <= piece.end;
            if sent.end() > ack.next && !pieces.iter().any(is_in) {
                continue;
            }
            (sent.has_come, sent.is_lost) = (true, false);
            fresh += sent.segment.len;
            if last.is_none_or(|(order, ..)| order < sent.order) {
                last = Some((sent.order, sent.at, sent.is_repeated));
            }
        }
        self.forget();
        if let Some((order, at, is_repeated)) = last {
            if !is_repeated {
                self.rtt.sample(now.since(at));
            }
            self.latest = self.latest.max(order + 1);
            if order >= self.recovery {
                self.grow(fresh);
            }
        }
        if fresh > 0 || self.flight.is_empty() {
            // A peer that has no room is asked less and less often.
            if fresh > 0 || has_room {
                self.rtt.answered();
            }
            self.tries = 0;
            let waits = !self.flight.is_empty() || self.is_blocked();
            self.silent = waits.then_some(now);
            self.timeout = waits.then(|| now.plus(self.rtt.timeout()));
        }
        self.find_lost(now);
        Ok(())
    }

    /// Drops what has come in one piece from the front.
    fn forget(&mut self) {
        while self.flight.front().is_some_and(|sent| sent.has_come) {
            self.flight.pop_front();
        }
        let start = self.flight.front().map_or(self.next, |sent| sent.segment.offset);
        self.buffer.drain(..(start - self.start) as usize);
        self.start = start;
        if self.buffer.is_empty() {
            (self.buffer, self.flight) = (VecDeque::new(), VecDeque::new());
        }
    }

    fn grow(&mut self, fresh: usize) {
        let by = if self.congestion < self.threshold { fresh } else { SEGMENT * fresh / self.congestion };
        self.congestion = (self.congestion + by).min(WINDOW);
    }

    /// Packets that were overtaken by enough others, or long ago, are lost.
    fn find_lost(&mut self, now: MonoTime) {
        self.overtaken = None;
        let patience = self.rtt.overtaken();
        let mut lost = None;
        for sent in self.flight.iter_mut().filter(|sent| sent.is_under_way() && sent.order < self.latest) {
            let by = sent.at.plus(patience);
            if sent.order + OVERTAKEN < self.latest || by <= now {
                sent.is_lost = true;
                lost = lost.max(Some(sent.order));
            } else {
                self.overtaken = Some(self.overtaken.map_or(by, |known| known.min(by)));
            }
        }
        if lost.is_some_and(|order| order >= self.recovery) {
            self.threshold = (self.congestion / 2).max(LEAST);
            (self.congestion, self.recovery) = (self.threshold, self.count);
        }
    }

    /// When to send or to look again.
    pub(crate) fn due(&self) -> Option<MonoTime> {
        if self.candidate().is_some() || (self.is_blocked() && self.timeout.is_none()) {
            return Some(MonoTime(0));
        }
        [self.timeout, self.overtaken].into_iter().flatten().min()
    }

    /// Lets time pass.
    pub(crate) fn handle_timeout(&mut self, now: MonoTime) {
        if self.overtaken.is_some_and(|due| due <= now) {
            self.find_lost(now);
        }
        if self.is_blocked() && self.timeout.is_none() {
            self.timeout = Some(now.plus(self.rtt.timeout()));
        }
        if self.timeout.is_none_or(|due| due > now) {
            return;
        }
        self.rtt.back_off();
        self.timeout = (!self.buffer.is_empty()).then(|| now.plus(self.rtt.timeout()));
        self.wants_to_ask = true;
        let mut any = false;
        for sent in self.flight.iter_mut().filter(|sent| sent.is_under_way()) {
            (sent.is_lost, any) = (true, true);
        }
        if any {
            self.threshold = (self.congestion / 2).max(LEAST);
            (self.congestion, self.recovery) = (LEAST, self.count);
        }
    }

    /// The peer is somewhere else: nothing is known of the way there.
    pub(crate) fn restart(&mut self, now: MonoTime) {
        (self.congestion, self.threshold, self.recovery) = (FIRST, WINDOW, self.count);
        self.resume(now);
    }

    /// The peer is heard again: what waits is sent again at once.
    pub(crate) fn resume(&mut self, now: MonoTime) {
        self.rtt.answered();
        self.silent = self.silent.map(|_| now);
        self.tries = 0;
        self.timeout = self.timeout.map(|due| due.min(now));
    }

    /// When the stream has stalled, if nothing is heard until then.
    pub(crate) fn stalls_at(&self) -> Option<MonoTime> {
        self.silent.filter(|_| self.tries >= FEW && !self.buffer.is_empty()).map(|at| at.plus(STALLED_AFTER))
    }

    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.buffer.capacity() + self.flight.capacity()
    }
}
