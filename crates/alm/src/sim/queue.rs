//! What happens when: the events of a run in order of time.

use super::node::{Id, Need};
use core::cmp::{Ordering, Reverse};
use core_types::MonoTime;
use std::collections::BinaryHeap;

/// Something that happens. 16 bytes, since a run has tens of millions of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The publisher has captured and coded frame number so-and-so.
    Frame(u32),
    /// A chunk arrives.
    Chunk(Carried),
    /// A subscription's timer is due.
    Timer(Id),
    /// A watcher looks at its parents, and asks each whether it is there.
    Look(Id),
    /// `parent` tells `child` that it lacks something itself that it should send.
    Lacks { child: Id, parent: Id },
    /// Evidence number so-and-so comes to the publisher.
    Evidence(u32),
    /// Once a second a watcher looks at how it is doing.
    Check(Id),
    /// A watcher looks for parents.
    Search(Id),
    /// A watcher has waited long enough for answers, and takes the parents that it has.
    Settle(Id),
    /// `child` asks `parent` for a place in a stripe, or for one as a spare.
    Place { child: Id, parent: Id, stripes: u16, need: Need },
    /// … and gets an answer: its own number for a yes, that of somebody else to ask, or the parent's for a no.
    Placed { child: Id, parent: Id, answer: Id },
    /// `child` tells `parent` which stripes to send.
    Assign { child: Id, parent: Id, mask: u16 },
    /// `parent` does not send these stripes to `child`, or no longer.
    Short { child: Id, parent: Id, stripes: u16 },
    /// `parent` has given the place of `child` in the stripe in which `to` feeds others to that one.
    Move { child: Id, parent: Id, to: Id },
    /// `parent` has sent these stripes to `child` for long enough since then.
    Expel { child: Id, parent: Id, stripes: u16 },
    /// `child` asks `parent` for one chunk again.
    Ask { child: Id, parent: Id, chunk: u32 },
    /// `child` has left `parent`, or its end of the link is dead.
    Left { child: Id, parent: Id },
    /// `parent` sends `child` away, or its end of the link is dead.
    Cut { child: Id, parent: Id },
    /// A new node joins.
    Join,
    /// A node is gone, without a word.
    Die(Id),
    /// A node whose uplink shrank sends away whom it can't feed any more.
    Shrink(Id),
    /// Entry so-and-so of the scenario's list is due, for the first time or once more.
    Happen(u16),
    /// … and is over.
    Over(u16),
    /// The links that a partition has cut are given up on both sides.
    Sever,
}

/// A chunk on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) from: Id,
    pub(super) to: Id,
    pub(super) chunk: u32,
    /// Hops from the publisher, this one included.
    pub(super) hops: u8,
    /// It was asked for.
    pub(super) asked: bool,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    order: u64,
    event: Event,
}

impl Entry {
    const fn key(&self) -> (u64, u64) {
        (self.at, self.order)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Events by time; of those at one time, by when they were put in.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: MonoTime, event: Event) {
        self.order += 1;
        self.heap.push(Reverse(Entry { at: at.0, order: self.order, event }));
    }

    /// The next one that is not after `end`.
    pub(super) fn pop(&mut self, end: MonoTime) -> Option<(MonoTime, Event)> {
        if self.heap.peek()?.0.at > end.0 {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (MonoTime(entry.at), entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_as_they_were_put_in() {
        let mut queue = Queue::default();
        for (at, frame) in [(5, 0), (3, 1), (5, 2), (9, 3), (3, 4)] {
            queue.push(MonoTime(at), Event::Frame(frame));
        }
        assert_eq!(size_of::<Event>(), 16);
        let order: Vec<_> = core::iter::from_fn(|| queue.pop(MonoTime(8))).collect();
        let expected =
            [(3, 1), (3, 4), (5, 0), (5, 2)].map(|(at, frame)| (MonoTime(at), Event::Frame(frame)));
        assert_eq!(order, expected);
        assert_eq!(queue.pop(MonoTime(9)), Some((MonoTime(9), Event::Frame(3))));
    }
}
