//! Sealed datagrams side by side, in runs that one call to the socket sends.

mod plan;

use core::ops::Range;
use plan::{Plan, Span};

/// Segments of a run at most: what Linux takes for UDP segmentation offload.
pub const MAX_SEGMENTS: usize = 64;
/// Bytes of a run at most: what an IP packet holds, rounded down.
pub const MAX_RUN_BYTES: usize = 65_000;
/// Datagrams of a burst at most.
pub const MAX_BURST: usize = 256;
/// Set in the first byte of a whole hop header (spec 30 section 9).
const WHOLE: u8 = 0x80;
/// Bytes of a burst at most; the buffer may grow by one datagram more.
const MAX_BYTES: usize = 256 * 1024;

/// A buffer for the datagrams of one burst, used again and again: after the first bursts nothing is allocated.
///
/// Datagrams of equal length keep their order. One of another length (a whole hop header among compact ones, a short last
/// chunk) is placed so that the burst has the fewest runs, as long as no compact header comes before a whole one that went before
/// it: that one may bind its alias.
#[derive(Debug, Default)]
pub struct Burst {
    bytes: Vec<u8>,
    /// Where the next datagram goes.
    end: usize,
    /// Lengths, in the order in which the datagrams were made.
    lens: Vec<u32>,
    spans: Vec<Span>,
    plan: Plan,
    /// Where a burst is put together anew, if it has to be.
    spare: Vec<u8>,
}

/// Datagrams to be sent with one call: all of `segment` bytes, but the last one may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// The datagrams one after the other.
    pub bytes: &'a [u8],
    /// Bytes of each but the last.
    pub segment: usize,
    /// How many datagrams it is.
    pub count: usize,
}

impl<'a> Run<'a> {
    /// The datagrams one by one.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.segment.max(1))
    }
}

impl Burst {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            end: 0,
            lens: Vec::new(),
            spans: Vec::new(),
            plan: Plan::new(),
            spare: Vec::new(),
        }
    }

    /// What is to be sent, one call for each.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = Run<'_>> + '_ {
        self.spans.iter().map(|span| Run {
            bytes: self.bytes.get(span.start..span.start + span.bytes).unwrap_or(&[]),
            segment: span.segment,
            count: span.count,
        })
    }

    /// Datagrams in it.
    pub const fn len(&self) -> usize {
        self.lens.len()
    }

    /// True if there is nothing to send.
    pub const fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    /// Bytes of all datagrams.
    pub const fn byte_len(&self) -> usize {
        self.end
    }

    pub(crate) fn clear(&mut self) {
        self.end = 0;
        self.lens.clear();
        self.spans.clear();
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.lens.len() >= MAX_BURST || self.end >= MAX_BYTES
    }

    /// Room for a datagram of up to `most` bytes.
    #[inline]
    pub(crate) fn room(&mut self, most: usize) -> &mut [u8] {
        let end = self.end + most;
        if self.bytes.len() < end {
            self.bytes.resize(end.max(16 * 1024), 0);
        }
        &mut self.bytes[self.end..end]
    }

    /// The datagram that was put into the room has that length.
    #[inline]
    pub(crate) fn took(&mut self, len: usize) {
        self.end += len;
        // A run is shorter than this anyway.
        self.lens.push(u32::try_from(len).unwrap_or(u32::MAX));
    }

    /// No more datagrams come: cuts the burst into runs.
    pub(crate) fn finish(&mut self) {
        plan::cut(self.lens.iter().map(|len| *len as usize), &mut self.spans);
        if self.spans.len() < 2 || !self.plan.arrange(&self.lens, self.spans.len()) {
            return;
        }
        let bytes = &self.bytes;
        let is_whole = |range: Range<usize>| bytes.get(range.start).is_some_and(|first| first & WHOLE != 0);
        if !self.plan.keeps_first(is_whole) {
            return;
        }
        self.plan.write(&mut self.spans);
        self.spare.clear();
        for at in self.plan.order() {
            let range = self.plan.place(at);
            self.spare.extend_from_slice(self.bytes.get(range).unwrap_or(&[]));
        }
        core::mem::swap(&mut self.bytes, &mut self.spare);
    }
}
