//! Shares of layers to the best picture of each frame.

use std::collections::BTreeMap;

use codec_av1::{LayerPacket, LayeredDecoder};
use core_types::{FrameSize, Layer, MediaTime};

use super::header::LayerHead;
use super::shares::join_layers;
use crate::{Description, Descriptions, Error, FrameNumber, Shown};

/// Frames that wait for their time.
const MAX_WAITING: usize = 16;
const MAX_WAITING_BYTES: usize = 8 << 20;

/// One frame, as far as it came: what each description brought, checked.
#[derive(Debug, Default)]
struct Waiting {
    payloads: Vec<(Description, Vec<u8>)>,
}

/// Puts layers together from shares and shows the highest one that is there.
#[derive(Debug)]
pub(crate) struct PriorityReceiver {
    of: Descriptions,
    decoder: LayeredDecoder,
    waiting: BTreeMap<FrameNumber, Waiting>,
    waiting_bytes: usize,
    /// The last frame that was decoded, or is known to be missing.
    last: Option<FrameNumber>,
}

impl PriorityReceiver {
    pub(crate) fn new(of: Descriptions, max_size: FrameSize) -> Self {
        let decoder = LayeredDecoder::new(max_size);
        Self { of, decoder, waiting: BTreeMap::new(), waiting_bytes: 0, last: None }
    }

    pub(crate) fn take(
        &mut self,
        description: Description,
        frame: FrameNumber,
        body: &[u8],
    ) -> Result<(), Error> {
        let read = LayerHead::read_all(body, self.of.count());
        let layers = read.map_err(|why| Error::Payload { description, frame, why })?;
        if self.last.is_some_and(|last| frame <= last) {
            return Ok(());
        }
        let waiting = self.waiting.entry(frame).or_default();
        if waiting.payloads.iter().any(|(own, _)| *own == description) {
            return Ok(());
        }
        if let Some((_, first)) = waiting.payloads.first() {
            let said = LayerHead::read_all(first, self.of.count()).unwrap_or_default();
            if !LayerHead::alike(&said, &layers) {
                return Err(Error::Payload { description, frame, why: LayerHead::NOT_ALIKE });
            }
        }
        waiting.payloads.push((description, body.to_vec()));
        self.waiting_bytes += body.len();
        while self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
            let Some((_, oldest)) = self.waiting.pop_first() else { break };
            self.waiting_bytes -= oldest.bytes();
        }
        Ok(())
    }

    pub(crate) fn show(&mut self, frame: FrameNumber) -> Shown {
        let mut shown = Shown { picture: None, from: Vec::new(), faults: Vec::new() };
        while let Some((&number, _)) = self.waiting.first_key_value()
            && number <= frame
        {
            let Some((_, waiting)) = self.waiting.pop_first() else { break };
            self.waiting_bytes -= waiting.bytes();
            if self.last.is_some_and(|last| number.0 > last.0.saturating_add(1)) {
                self.decoder.missed(Layer::BASE);
            }
            self.last = Some(number);
            let from: Vec<Description> = waiting.payloads.iter().map(|(own, _)| *own).collect();
            match self.decode(&waiting) {
                Ok(picture) if number == frame => shown = Shown { picture, from, ..shown },
                Ok(_) => {}
                Err(Error::Video(codec_av1::Error::AwaitingKeyFrame)) => {}
                Err(error) => shown.faults.extend(from.first().map(|description| (*description, error))),
            }
        }
        shown
    }

    fn decode(&mut self, waiting: &Waiting) -> Result<Option<codec_av1::Frame>, Error> {
        let parts = waiting.payloads.iter().map(|(description, body)| {
            // It was read when it came.
            let layers = LayerHead::read_all(body, self.of.count()).unwrap_or_default();
            (description.index(), layers)
        });
        let layers = join_layers(&parts.collect::<Vec<_>>())?;
        let packets: Vec<LayerPacket<'_>> = layers
            .iter()
            .map(|(head, data)| LayerPacket { layer: head.layer, class: head.class, data })
            .collect();
        Ok(self.decoder.decode(&packets, MediaTime(0))?.map(|shown| shown.frame))
    }

    pub(crate) fn needs_key_frame(&self) -> bool {
        self.decoder.needs_key_frame()
    }
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.payloads.iter().map(|(_, body)| body.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::ObjectClass;

    #[test]
    fn what_waits_is_bounded() {
        let of = Descriptions::Two;
        let mut receiver = PriorityReceiver::new(of, FrameSize::new(64, 64).unwrap());
        let head = LayerHead { layer: Layer::BASE, class: ObjectClass::Plain, needed: 1, len: 900_000 };
        let mut body = Vec::new();
        head.write(&mut body);
        body.resize(5 + 900_000, 7);
        for frame in 0..50 {
            for description in of.all() {
                receiver.take(description, FrameNumber(frame), &body).unwrap();
                let held: usize = receiver.waiting.values().map(Waiting::bytes).sum();
                assert_eq!(receiver.waiting_bytes, held);
                assert!(held <= MAX_WAITING_BYTES && receiver.waiting.len() <= MAX_WAITING);
            }
        }
        // Another length than the first description said.
        let short = [&head_of(head, 5)[..], &[7; 5]].concat();
        let refused = receiver
            .take(of.get(0).unwrap(), FrameNumber(50), &short)
            .and_then(|()| receiver.take(of.get(1).unwrap(), FrameNumber(50), &body));
        assert!(refused.is_err_and(|error| error.is_peer_fault()));
    }

    fn head_of(head: LayerHead, len: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        LayerHead { len, ..head }.write(&mut bytes);
        bytes
    }
}
