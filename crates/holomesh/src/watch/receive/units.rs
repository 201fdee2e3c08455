//! Sound that comes with units of repair, and what they give back (spec 62).

use super::{InStream, Whole};
use crate::publish::StreamKind;
use av_wire::{ChunkHeader, ObjectFlags};
use bytes::Bytes;
use codec_fountain::WindowDecoder;
use core::ops::Range;
use core_types::{ChunkSeq, Epoch, Layer, MonoTime, ObjectClass, ObjectSeq};
use std::collections::{BTreeMap, VecDeque};

/// Objects of which it is known in which chunk they came: as far back as units repair.
const PLACES: usize = 32;

/// Epochs of which units are kept: as many as open at a time.
const EPOCHS: usize = 3;

/// What came as an object, if it is one to hand on, and what units gave back with it.
type Pushed<'a> = (Option<&'a [u8]>, Vec<(ObjectSeq, Vec<u8>)>);

/// The units of a stream, and where its objects were.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// One for each epoch: units cover their own alone, and what somebody who was put out can still seal in an old one is to spoil no
    /// other.
    decoders: BTreeMap<Epoch, WindowDecoder>,
    places: VecDeque<(ObjectSeq, (Epoch, ChunkSeq))>,
}

impl Units {
    /// An object came in that chunk.
    pub(super) fn place(&mut self, object: ObjectSeq, chunk: (Epoch, ChunkSeq)) {
        if self.places.len() == PLACES {
            self.places.pop_front();
        }
        self.places.push_back((object, chunk));
    }

    /// Takes what a chunk of that epoch carries.
    fn push<'a>(
        &mut self,
        epoch: Epoch,
        seq: ObjectSeq,
        body: &'a [u8],
    ) -> Result<Pushed<'a>, codec_fountain::Error> {
        let decoder = self.decoders.entry(epoch).or_default();
        let object = decoder.push(seq, body);
        let recovered = core::iter::from_fn(|| decoder.poll_recovered()).collect();
        while self.decoders.len() > EPOCHS {
            self.decoders.pop_first();
        }
        Ok((object?, recovered))
    }

    /// The chunk that a lost object was in: known where there were as many chunks as objects between two that came.
    fn chunk_of(&self, object: ObjectSeq) -> Option<(Epoch, Range<ChunkSeq>)> {
        let places = self.places.iter();
        let (before, first) = places.clone().filter(|(seq, _)| *seq < object).max_by_key(|(seq, _)| *seq)?;
        let (after, last) = places.filter(|(seq, _)| *seq > object).min_by_key(|(seq, _)| *seq)?;
        let chunks = last.1.0.checked_sub(first.1.0)?;
        if first.0 != last.0 || chunks != after.0 - before.0 {
            return None;
        }
        let chunk = first.1.0 + (object.0 - before.0);
        Some((first.0, ChunkSeq(chunk)..ChunkSeq(chunk.saturating_add(1))))
    }
}

impl InStream {
    /// Takes an object with units, or units alone; hands on the object and what the units give back.
    pub(super) fn take_units(
        &mut self,
        now: MonoTime,
        header: &ChunkHeader,
        seq: ObjectSeq,
        body: &[u8],
        chunk: &Bytes,
    ) {
        if self.kind != StreamKind::Audio {
            return tracing::debug!(%seq, "an object with units in a stream of pictures");
        }
        let (object, recovered) = match self.units.push(header.epoch, seq, body) {
            Ok(pushed) => pushed,
            Err(error) => return tracing::debug!(%error, "units of no use"),
        };
        // Units alone are kept beside the object that comes after them; an object that came before is kept as what it is.
        let is_alone = header.marks.class == ObjectClass::Discardable;
        let id = if is_alone { 1 + body.first().map_or(0, |head| u32::from(head >> 4)) } else { 0 };
        self.note(header, seq, (id, 1), chunk);
        if !is_alone {
            self.units.place(seq, (header.epoch, header.chunk_seq));
        }
        if let Some(bytes) = object {
            let (epoch, layer, class) = (header.epoch, header.layer, header.marks.class);
            self.take_whole(
                now,
                Whole { epoch, seq, bytes, layer, class, chunks: None, was_repaired: false },
            );
        }
        for (seq, bytes) in recovered {
            self.stats.by_units += 1;
            // It is not needed any more, come or not.
            if let Some((epoch, chunk)) = self.units.chunk_of(seq) {
                self.subscription.settle(epoch, chunk);
            }
            let class = self.kind.class(ObjectFlags::default());
            self.take_whole(
                now,
                Whole {
                    epoch: header.epoch,
                    seq,
                    bytes: &bytes,
                    layer: Layer::BASE,
                    class,
                    chunks: None,
                    was_repaired: true,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests;
