//! What has come of the peer's stream.

use super::{PIECES, WINDOW};
use crate::control::{ACK_PIECES, AckBody};
use core::ops::Range;
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct ReceiveHalf {
    /// From `read` on as far as anything has come; what has not come is 0.
    buffer: VecDeque<u8>,
    /// What has come of that: in order, apart from one another.
    pieces: Vec<Range<u64>>,
    /// Bytes that were taken out.
    read: u64,
    /// What the peer was told that it may send: up to this byte.
    granted: u64,
    /// Bytes that may wait.
    window: u64,
    /// Where the latest packet's bytes begin.
    latest: u64,
    wants_to_acknowledge: bool,
}

impl ReceiveHalf {
    pub(crate) const fn new(window: usize) -> Self {
        Self {
            buffer: VecDeque::new(),
            pieces: Vec::new(),
            read: 0,
            granted: window as u64,
            window: window as u64,
            latest: 0,
            wants_to_acknowledge: false,
        }
    }

    /// Bytes that can be read.
    pub(crate) fn readable(&self) -> usize {
        let first = self.pieces.first().filter(|piece| piece.start == self.read);
        // No more than the window, which is a usize.
        first.map_or(0, |piece| (piece.end - piece.start) as usize)
    }

    /// Takes what a packet says; true if there is more to read now. An error is the peer's misbehaviour, and changes nothing.
    pub(crate) fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, &'static str> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.granted);
        let Some(end) = end else { return Err("it sends more of its stream than it may") };
        // What was read is not there any more to be compared.
        let skip = self.read.saturating_sub(offset).min(bytes.len() as u64);
        let (offset, bytes) = (offset + skip, bytes.get(skip as usize..).unwrap_or(&[]));
        let is_known = |piece: &&Range<u64>| piece.start < end && offset < piece.end;
        for piece in self.pieces.iter().filter(is_known) {
            let both = piece.start.max(offset)..piece.end.min(end);
            let ours = self.buffer.range(self.place(both.start)..self.place(both.end));
            let theirs = bytes.get((both.start - offset) as usize..(both.end - offset) as usize);
            if !ours.eq(theirs.unwrap_or(&[])) {
                return Err("it says something else in the place of what it said");
            }
        }
        self.wants_to_acknowledge = true;
        if bytes.is_empty() {
            return Ok(false);
        }
        let before = self.readable();
        if !self.insert(offset..end) {
            return Ok(false);
        }
        self.latest = offset;
        let needed = self.place(end);
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        let places = self.place(offset)..needed;
        for (place, byte) in self.buffer.range_mut(places).zip(bytes) {
            *place = *byte;
        }
        Ok(self.readable() > before)
    }

    /// Where a byte that was not read yet is in the buffer: within the window.
    const fn place(&self, offset: u64) -> usize {
        (offset - self.read) as usize
    }

    /// Adds a piece; false if there are too many already: it has to come again.
    fn insert(&mut self, new: Range<u64>) -> bool {
        let first = self.pieces.partition_point(|piece| piece.end < new.start);
        let last = self.pieces.partition_point(|piece| piece.start <= new.end);
        if first == last {
            if self.pieces.len() >= PIECES {
                return false;
            }
            self.pieces.insert(first, new);
            return true;
        }
        let start = self.pieces.get(first).map_or(new.start, |piece| piece.start.min(new.start));
        let end = self.pieces.get(last - 1).map_or(new.end, |piece| piece.end.max(new.end));
        self.pieces.splice(first..last, std::iter::once(start..end));
        true
    }

    /// Takes bytes out, in order.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> usize {
        let count = self.readable().min(out.len());
        for (place, byte) in out.iter_mut().zip(self.buffer.drain(..count)) {
            *place = byte;
        }
        self.read += count as u64;
        if let Some(first) = self.pieces.first_mut().filter(|_| count > 0) {
            first.start += count as u64;
            if first.is_empty() {
                self.pieces.remove(0);
            }
        }
        if self.pieces.is_empty() {
            (self.buffer, self.pieces) = (VecDeque::new(), Vec::new());
        }
        // A peer that waits for room is told when there is much of it again.
        self.wants_to_acknowledge |= self.read + self.window >= self.granted + WINDOW as u64 / 2;
        count
    }

    pub(crate) const fn wants_to_acknowledge(&self) -> bool {
        self.wants_to_acknowledge
    }

    /// What is to be said of it, which counts as said: first the piece with the latest packet, then the lowest ones.
    pub(crate) fn acknowledge(&mut self) -> AckBody {
        self.wants_to_acknowledge = false;
        self.granted = self.granted.max(self.read + self.window);
        let next = self.read + self.readable() as u64;
        let mut said = [(0, 0); ACK_PIECES];
        let apart = self.pieces.iter().filter(|piece| piece.start > next);
        let (latest, others): (Vec<_>, Vec<_>) = apart.partition(|piece| piece.contains(&self.latest));
        for (place, piece) in said.iter_mut().zip(latest.into_iter().chain(others)) {
            // Within the window of `next`, which fits.
            *place = ((piece.start - next) as u32, (piece.end - piece.start) as u32);
        }
        AckBody { next, window: (self.granted - next) as u32, pieces: said }
    }

    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.buffer.capacity() + self.pieces.capacity()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn half() -> ReceiveHalf {
        ReceiveHalf::new(WINDOW)
    }

    #[test]
    fn bytes_are_read_in_order_however_they_come() {
        let mut half = half();
        assert!(!half.take(3, b"lo").unwrap());
        assert!(!half.take(10, b"d").unwrap());
        assert_eq!((half.readable(), half.read(&mut [0; 9])), (0, 0));
        let ack = half.acknowledge();
        assert_eq!((ack.next, ack.pieces[0], ack.pieces[1]), (0, (10, 1), (3, 2)), "the latest first");
        assert!(half.take(0, b"hello").unwrap(), "what overlaps and is the same");
        assert!(half.take(4, b"o worl").unwrap());
        let mut out = [0; 20];
        assert_eq!(half.read(&mut out[..4]), 4);
        assert!(half.take(2, b"llo world!").unwrap(), "some of it read already");
        assert_eq!(half.read(&mut out[4..]), 8);
        assert_eq!(&out[..12], b"hello world!");
        let ack = half.acknowledge();
        assert_eq!((ack.next, ack.window as usize, ack.pieces), (12, WINDOW, [(0, 0); ACK_PIECES]));
    }

    #[test]
    fn other_bytes_in_the_same_place_are_misbehaviour() {
        let mut half = half();
        half.take(5, b"world").unwrap();
        for (offset, bytes) in [(5, &b"w0rld"[..]), (0, b"hello "), (9, b"d!"), (9, b"!")] {
            let before = format!("{half:?}");
            let taken = half.take(offset, bytes);
            assert_eq!(taken.is_err(), !matches!((offset, bytes), (9, b"d!")), "{offset}");
            assert_eq!(taken.is_err(), format!("{half:?}") == before);
        }
    }

    #[test]
    fn a_peer_may_send_what_it_was_told_and_no_byte_more() {
        let mut half = half();
        let end = WINDOW as u64;
        assert!(half.take(end, b"x").is_err() && half.take(u64::MAX, b"x").is_err());
        assert!(half.take(end - 1, b"x").is_ok());
        assert!(half.take(0, &vec![7; WINDOW - 1]).unwrap());
        assert_eq!(half.acknowledge().window, 0, "nobody reads");
        assert!(!half.wants_to_acknowledge());
        half.read(&mut vec![0; WINDOW / 2 - 1]);
        assert!(!half.wants_to_acknowledge(), "a little room is not worth a packet");
        assert!(half.take(end, b"x").is_err(), "it was not told");
        half.wants_to_acknowledge = false;
        half.read(&mut [0; 1]);
        assert!(half.wants_to_acknowledge());
        assert_eq!(half.acknowledge().window as usize, WINDOW / 2);
        assert!(half.take(end, b"x").is_ok());
        assert!(ReceiveHalf::new(0).take(0, b"x").is_err(), "a stream that is not used");
    }

    #[test]
    fn pieces_beyond_the_limit_are_not_kept_and_not_acknowledged() {
        let mut half = half();
        for at in 0..PIECES as u64 + 10 {
            half.take(10 + 2 * at, b"x").unwrap();
        }
        assert_eq!(half.pieces.len(), PIECES);
        assert!(half.buffer.len() <= 10 + 2 * PIECES);
        half.take(11, b"x").unwrap();
        assert_eq!(half.pieces.len(), PIECES - 1, "what closes a gap is always taken");
        assert!(half.take(0, &[b'x'; 300]).unwrap());
        assert_eq!((half.readable(), half.pieces.len()), (300, 1));
    }
}
