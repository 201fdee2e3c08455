//! What a receiver has of one description.

use std::collections::BTreeMap;

use codec_av1::{Frame, Rav1dDecoder, VideoDecoder};
use core_types::{FrameSize, MediaTime};

use super::header::{ErrorLevel, Header};
use crate::{Error, FrameNumber};

/// Payloads that wait for their frame's time, or for one that comes late.
const MAX_WAITING: usize = 16;
const MAX_WAITING_BYTES: usize = 4 << 20;
/// For how many further frames a missing picture may come late.
const PATIENCE: u64 = 2;

#[derive(Debug)]
pub(crate) struct Chain {
    decoder: Rav1dDecoder,
    waiting: BTreeMap<FrameNumber, (Header, Vec<u8>)>,
    waiting_bytes: usize,
    /// The last picture that was decoded and that others refer to.
    last_kept: Option<FrameNumber>,
    current: Option<(FrameNumber, ErrorLevel, Frame)>,
}

impl Chain {
    pub(crate) fn new(max_size: FrameSize) -> Result<Self, Error> {
        let decoder = Rav1dDecoder::new(max_size)?;
        let (waiting, waiting_bytes) = (BTreeMap::new(), 0);
        Ok(Self { decoder, waiting, waiting_bytes, last_kept: None, current: None })
    }

    /// Nothing can be decoded before a key frame.
    pub(crate) const fn needs_key_frame(&self) -> bool {
        self.last_kept.is_none()
    }

    pub(crate) fn take(&mut self, frame: FrameNumber, header: Header, unit: Vec<u8>) {
        if self.last_kept.is_some_and(|last| frame <= last) || self.waiting.contains_key(&frame) {
            return;
        }
        self.waiting_bytes += unit.len();
        self.waiting.insert(frame, (header, unit));
        while self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
            let Some((_, (header, unit))) = self.waiting.pop_first() else { return };
            self.waiting_bytes -= unit.len();
            if header.is_kept {
                self.last_kept = None;
            }
        }
    }

    /// The frame will not come.
    pub(crate) fn missed(&mut self, frame: FrameNumber) {
        // It shows by what refers to it, if that was a picture that others refer to.
        let follows = |(number, (header, _)): (&FrameNumber, &(Header, Vec<u8>))| {
            header.back.is_some_and(|back| number.0 - u64::from(back) == frame.0)
        };
        if !self.waiting.contains_key(&frame)
            && self.last_kept.is_some_and(|last| last < frame)
            && self.waiting.iter().any(follows)
        {
            self.give_up();
        }
    }

    /// Decodes what there is up to that frame, and says if the picture of it is there.
    pub(crate) fn advance(&mut self, to: FrameNumber) -> Result<Option<(ErrorLevel, &Frame)>, Error> {
        let key = self.waiting.range(..=to).rev().find(|(_, (header, _))| header.back.is_none());
        if let Some(key) = key.map(|(number, _)| *number) {
            self.forget_before(key);
            self.last_kept = None;
        }
        while let Some((&frame, (header, _))) = self.waiting.first_key_value()
            && frame <= to
        {
            let refers_to = header.back.map(|back| FrameNumber(frame.0 - u64::from(back)));
            if refers_to > self.last_kept {
                // What it refers to is missing, or waits itself.
                if self.last_kept.is_none() || refers_to.is_some_and(|missing| to.0 - missing.0 > PATIENCE) {
                    self.give_up();
                    continue;
                }
                break;
            }
            let Some((_, (header, unit))) = self.waiting.pop_first() else { break };
            self.waiting_bytes -= unit.len();
            // A low picture is shown at its own time or never, and may come after the next good one: then it is of no use.
            let is_past = frame < to && !header.is_kept;
            if !is_past && (header.back.is_none() || refers_to == self.last_kept) {
                self.decode(frame, header, &unit)?;
            }
        }
        Ok(self.current.as_ref().filter(|(frame, ..)| *frame == to).map(|(_, level, frame)| (*level, frame)))
    }

    fn decode(&mut self, frame: FrameNumber, header: Header, unit: &[u8]) -> Result<(), Error> {
        match self.decoder.decode(unit, MediaTime(0)) {
            Ok(shown) => {
                if header.is_kept {
                    self.last_kept = Some(frame);
                }
                if let Some(shown) = shown.into_iter().next_back() {
                    self.current = Some((frame, header.level, shown.frame));
                }
                Ok(())
            }
            Err(error) => {
                self.give_up();
                Err(error.into())
            }
        }
    }

    /// Nothing goes on before the next key frame.
    fn give_up(&mut self) {
        self.last_kept = None;
        let key = self.waiting.iter().find(|(_, (header, _))| header.back.is_none());
        match key.map(|(number, _)| *number) {
            Some(key) => self.forget_before(key),
            None => {
                self.waiting.clear();
                self.waiting_bytes = 0;
            }
        }
    }

    fn forget_before(&mut self, frame: FrameNumber) {
        self.waiting = self.waiting.split_off(&frame);
        self.waiting_bytes = self.waiting.values().map(|(_, unit)| unit.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Chain {
        Chain::new(FrameSize::new(64, 64).unwrap()).unwrap()
    }

    fn header(back: u8) -> Header {
        Header { back: (back != 0).then_some(back), is_kept: true, level: ErrorLevel::MAX }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut chain = chain();
        for frame in 0..1_000 {
            chain.take(FrameNumber(1_000 + frame), header(1), vec![7; 300_000]);
            assert!(chain.waiting.len() <= MAX_WAITING && chain.waiting_bytes <= MAX_WAITING_BYTES);
        }
        assert_eq!(chain.waiting.len(), 13, "as many as there is room for, the newest");
        for frame in 0..1_000 {
            chain.take(FrameNumber(5_000 + frame), header(1), vec![7; 3]);
            assert!(chain.waiting.len() <= MAX_WAITING);
        }
        assert_eq!(chain.waiting.len(), MAX_WAITING);
        assert_eq!(chain.waiting_bytes, 3 * MAX_WAITING);
        // There is nothing to begin with: nothing is kept of it.
        assert!(chain.advance(FrameNumber(9_000)).unwrap().is_none());
        assert_eq!((chain.waiting.len(), chain.waiting_bytes), (0, 0));
    }

    #[test]
    fn a_low_picture_whose_time_is_past_is_not_decoded() {
        let low = Header { is_kept: false, ..header(1) };
        for (to, fails) in [(1, true), (2, false)] {
            let mut chain = chain();
            chain.last_kept = Some(FrameNumber(0));
            chain.take(FrameNumber(1), low, vec![0x12, 0, 0xff]);
            assert_eq!(chain.advance(FrameNumber(to)).is_err(), fails, "{to}");
            assert!(chain.waiting.is_empty());
        }
    }

    #[test]
    fn bytes_that_are_no_picture_end_it_until_the_next_key_frame() {
        let mut chain = chain();
        chain.last_kept = Some(FrameNumber(0));
        chain.take(FrameNumber(1), header(1), vec![0x12, 0, 0xff]);
        chain.take(FrameNumber(2), header(1), vec![0x12, 0, 0xff]);
        assert!(chain.advance(FrameNumber(1)).is_err());
        assert!(chain.needs_key_frame() && chain.waiting.is_empty());
    }
}
