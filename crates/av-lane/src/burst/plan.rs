//! How datagrams of several lengths are cut into the fewest runs.

use super::{MAX_RUN_BYTES, MAX_SEGMENTS};
use core::ops::Range;

/// With more different lengths than this a burst goes as it lies: the search is quadratic.
const MAX_CLASSES: usize = 32;

/// A run in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) bytes: usize,
    pub(super) segment: usize,
    pub(super) count: usize,
}

impl Span {
    /// True if a datagram may go behind the last one: all so far are full segments, and it is no longer than they are.
    const fn takes(&self, len: usize) -> bool {
        len <= self.segment
            && self.bytes == self.segment * self.count
            && self.count < MAX_SEGMENTS
            && self.bytes + len <= MAX_RUN_BYTES
    }
}

/// Cuts datagrams into runs where they lie: each run as long as it can be, which in a fixed order gives the fewest.
pub(super) fn cut(lens: impl Iterator<Item = usize>, spans: &mut Vec<Span>) {
    spans.clear();
    let mut start = 0;
    for len in lens {
        match spans.last_mut() {
            Some(span) if span.takes(len) => {
                span.bytes += len;
                span.count += 1;
            }
            _ => spans.push(Span { start, bytes: len, segment: len, count: 1 }),
        }
        start += len;
    }
}

/// All datagrams of one length.
#[derive(Debug, Clone, Copy)]
struct Class {
    /// Where it begins in `sorted`.
    start: usize,
    count: usize,
    len: usize,
    /// Each of them goes behind a run of longer ones, instead of all of them into runs of their own.
    is_tails: bool,
}

/// A run as it is planned: datagrams of one length, and perhaps a shorter one behind them.
#[derive(Debug)]
struct Body {
    items: Range<usize>,
    span: Span,
    tail: Option<usize>,
}

/// Room for the search, kept from burst to burst.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The datagrams' numbers, the longest first, those of equal length in order.
    sorted: Vec<usize>,
    offsets: Vec<usize>,
    lens: Vec<usize>,
    classes: Vec<Class>,
    bodies: Vec<Body>,
    met: Vec<bool>,
}

impl Plan {
    pub(super) const fn new() -> Self {
        Self {
            sorted: Vec::new(),
            offsets: Vec::new(),
            lens: Vec::new(),
            classes: Vec::new(),
            bodies: Vec::new(),
            met: Vec::new(),
        }
    }

    /// Looks for an order with fewer runs than `most`, and says whether there is one.
    pub(super) fn arrange(&mut self, lens: &[u32], most: usize) -> bool {
        self.read(lens);
        self.find_classes();
        if self.classes.len() > MAX_CLASSES {
            return false;
        }
        self.choose_tails();
        self.fill();
        self.bodies.len() < most
    }

    /// True if in the order that was found no datagram goes before a `special` one that it came after.
    pub(super) fn keeps_first(&mut self, special: impl Fn(Range<usize>) -> bool) -> bool {
        // The special ones that were not met yet; those that were are taken off the front.
        let mut met = core::mem::take(&mut self.met);
        met.clear();
        met.resize(self.lens.len(), false);
        let mut next = 0;
        let keeps = self.order().all(|at| {
            let is_special = |at: usize| special(self.place(at));
            while next < met.len() && (met[next] || !is_special(next)) {
                next += 1;
            }
            met[at] = true;
            at <= next || is_special(at)
        });
        self.met = met;
        keeps
    }

    /// Writes the runs that were found.
    pub(super) fn write(&self, spans: &mut Vec<Span>) {
        spans.clear();
        let mut start = 0;
        for body in &self.bodies {
            spans.push(Span { start, ..body.span });
            start += body.span.bytes;
        }
    }

    /// The datagrams' numbers in the order that was found.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> + '_ {
        self.bodies.iter().flat_map(|body| {
            let items = self.sorted.get(body.items.clone()).unwrap_or(&[]);
            items.iter().copied().chain(body.tail)
        })
    }

    /// Where a datagram lies now.
    pub(super) fn place(&self, at: usize) -> Range<usize> {
        let start = self.offsets.get(at).copied().unwrap_or(0);
        start..start + self.lens.get(at).copied().unwrap_or(0)
    }

    fn read(&mut self, lens: &[u32]) {
        self.lens.clear();
        self.offsets.clear();
        self.sorted.clear();
        let mut offset = 0;
        for (at, len) in lens.iter().enumerate() {
            let len = *len as usize;
            self.lens.push(len);
            self.offsets.push(offset);
            self.sorted.push(at);
            offset += len;
        }
        let lens = &self.lens;
        self.sorted.sort_unstable_by_key(|at| (core::cmp::Reverse(lens[*at]), *at));
    }

    fn find_classes(&mut self) {
        self.classes.clear();
        for (place, at) in self.sorted.iter().enumerate() {
            let len = self.lens[*at];
            match self.classes.last_mut() {
                Some(class) if class.len == len => class.count += 1,
                _ => self.classes.push(Class { start: place, count: 1, len, is_tails: false }),
            }
        }
    }

    /// Each class that gets no run of its own saves one, and uses up as many runs' ends as it has datagrams, of the runs of the
    /// classes before it. As each class before it is either a run's or tails, class i (from 1) may be tails if over all classes
    /// up to it that are tails the sum of (datagrams + 1) is at most i. The most classes that keep this are found as the most jobs
    /// that keep their deadlines: in order, dropping the longest job when one is late (Moore and Hodgson 1968).
    fn choose_tails(&mut self) {
        let mut sum = 0;
        for at in 0..self.classes.len() {
            self.classes[at].is_tails = true;
            sum += self.classes[at].count + 1;
            if sum > at + 1 {
                let largest = self.classes[..=at]
                    .iter_mut()
                    .filter(|class| class.is_tails)
                    .max_by_key(|class| class.count);
                if let Some(class) = largest {
                    class.is_tails = false;
                    sum -= class.count + 1;
                }
            }
        }
    }

    fn fill(&mut self) {
        self.bodies.clear();
        let mut free = 0;
        for class in &self.classes {
            let end = class.start + class.count;
            let mut at = class.start;
            while at < end {
                let tail = if class.is_tails {
                    while self.bodies.get(free).is_some_and(|body| !body.span.takes(class.len)) {
                        free += 1;
                    }
                    self.bodies.get_mut(free)
                } else {
                    None
                };
                if let Some(body) = tail {
                    body.tail = Some(self.sorted[at]);
                    body.span.bytes += class.len;
                    body.span.count += 1;
                    free += 1;
                    at += 1;
                    continue;
                }
                let most = (MAX_RUN_BYTES / class.len.max(1)).clamp(1, MAX_SEGMENTS);
                let count = if class.is_tails { 1 } else { (end - at).min(most) };
                let span = Span { start: 0, bytes: count * class.len, segment: class.len, count };
                self.bodies.push(Body { items: at..at + count, span, tail: None });
                at += count;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::super::{Burst, MAX_BURST};
    use super::*;
    use proptest::prelude::*;

    /// A burst of datagrams with these lengths; each byte tells which datagram it is of.
    fn burst(lens: &[usize], burst: &mut Burst) {
        burst.clear();
        for (at, len) in lens.iter().enumerate() {
            burst.room(len + 7)[..*len].fill(at as u8);
            burst.took(*len);
        }
        burst.finish();
    }

    /// The fewest runs of any order, by trying all sets of lengths that get no run of their own.
    fn fewest(lens: &[usize]) -> usize {
        let mut counts = std::collections::BTreeMap::new();
        for len in lens {
            *counts.entry(std::cmp::Reverse(*len)).or_insert(0usize) += 1;
        }
        let counts: Vec<usize> = counts.into_values().collect();
        let fits = |tails: u32| {
            let mut ends = 0;
            counts.iter().enumerate().all(|(at, count)| {
                if tails >> at & 1 == 0 {
                    ends += 1;
                    return true;
                }
                let fits = *count <= ends;
                ends = ends.saturating_sub(*count);
                fits
            })
        };
        let runs = |tails: u32| counts.len() - tails.count_ones() as usize;
        (0..1u32 << counts.len()).filter(|tails| fits(*tails)).map(runs).min().unwrap()
    }

    proptest! {
        #[test]
        fn runs_put_together_are_the_datagrams_and_the_fewest(
            bursts in prop::collection::vec(prop::collection::vec(0usize..9, 0..24), 1..4), spread in 1usize..9,
        ) {
            let mut buffer = Burst::new();
            for kinds in bursts {
                let lens: Vec<usize> = kinds.iter().map(|kind| 60 + kind % spread * 13).collect();
                burst(&lens, &mut buffer);
                let mut seen = vec![Vec::new(); 9];
                for run in buffer.runs() {
                    prop_assert!(run.count <= MAX_SEGMENTS && run.bytes.len() <= MAX_RUN_BYTES);
                    prop_assert_eq!(run.datagrams().count(), run.count);
                    for datagram in run.datagrams() {
                        let at = usize::from(datagram[0]);
                        prop_assert!(datagram.iter().all(|byte| usize::from(*byte) == at), "datagram {} in one piece", at);
                        prop_assert_eq!(datagram.len(), lens[at]);
                        seen[(lens[at] - 60) / 13].push(at);
                    }
                }
                prop_assert!(seen.iter().all(|class| class.is_sorted()), "equal lengths keep their order");
                let mut all = seen.concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..lens.len()).collect::<Vec<_>>(), "each of them once");
                prop_assert_eq!(buffer.byte_len(), lens.iter().sum::<usize>());
                if !lens.is_empty() {
                    prop_assert_eq!(buffer.runs().len(), fewest(&lens));
                }
            }
        }

        #[test]
        fn large_bursts_are_cut_at_the_limits_of_a_run(lens in prop::collection::vec(prop_oneof![1_000usize..1_003, Just(9_000)], 1..MAX_BURST)) {
            let mut buffer = Burst::new();
            burst(&lens, &mut buffer);
            let mut seen: Vec<usize> = Vec::new();
            for run in buffer.runs() {
                prop_assert!(run.count <= MAX_SEGMENTS && run.bytes.len() <= MAX_RUN_BYTES);
                seen.extend(run.datagrams().map(<[u8]>::len));
            }
            seen.sort_unstable();
            let mut lens = lens;
            lens.sort_unstable();
            prop_assert_eq!(seen, lens);
        }
    }

    #[test]
    fn the_usual_bursts() {
        let mut buffer = Burst::new();
        let mut runs = |lens: &[usize]| {
            burst(lens, &mut buffer);
            buffer.runs().map(|run| (run.segment, run.count)).collect::<Vec<_>>()
        };
        assert_eq!(runs(&[1_100; 10]), [(1_100, 10)]);
        assert_eq!(runs(&[1_100, 1_100, 1_100, 70]), [(1_100, 4)], "a short one is last");
        assert_eq!(runs(&[70, 1_100, 1_100, 1_100]), [(1_100, 4)], "a short one is put last");
        assert_eq!(
            runs(&[1_100, 1_100, 1_152, 1_100, 1_100]),
            [(1_152, 1), (1_100, 4)],
            "a whole header goes first"
        );
        assert_eq!(runs(&[]), []);
    }
}
