//! What the objects of a stream in several layers say of its pictures (spec 64 section 2).

use super::stream::{PictureToSeal, object};
use crate::Error;
use av_wire::{FrameDuration, Part, Parts, PictureOf};
use core_types::{Layer, ObjectClass, ObjectSeq};
use std::num::NonZeroU16;

/// Numbers pictures, and keeps which objects there were since the last picture of temporal layer 0, so that the lowest object of each
/// picture can tell: a receiver then knows the layer of what it never had anything of, and which chunks are not meant for it.
#[derive(Debug, Default)]
pub(super) struct Told {
    next: u64,
    since: Vec<Part>,
}

impl Told {
    /// Chunk numbers start anew, so nothing before this is told of.
    pub(super) fn enter_epoch(&mut self) {
        self.since.clear();
    }

    /// The objects of the next picture, of which `first` is the number of the lowest; `chunks` says how many one of a length and layer has.
    pub(super) fn objects(
        &mut self,
        picture: &PictureToSeal<'_>,
        first: ObjectSeq,
        regular: Option<FrameDuration>,
        chunks: impl Fn(usize, Layer) -> Result<u32, Error>,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let Some((lowest, above)) = picture.parts.split_first() else { return Ok(Vec::new()) };
        let chunks = |len, layer| {
            let count = u16::try_from(chunks(len, layer)?).ok().and_then(NonZeroU16::new);
            count.ok_or_else(|| Error::codec("picture", "an object of more chunks than there may be"))
        };
        let number = self.next;
        let mut objects = vec![Vec::new()];
        let mut own = vec![Part { layer: lowest.layer, class: lowest.class, chunks: NonZeroU16::MIN }];
        for (part, seq) in above.iter().zip(first.0 + 1..) {
            let of = PictureOf { number, parts: None };
            let bytes = object(picture, part, Some(of)).to_bytes_at(ObjectSeq(seq), regular)?;
            own.push(Part { layer: part.layer, class: part.class, chunks: chunks(bytes.len(), part.layer)? });
            objects.push(bytes);
        }
        if lowest.class == ObjectClass::KeyFrame {
            self.since.clear();
        }
        // Whole pictures, from the last one of temporal layer 0 on as far as there is room.
        let begins = |from: &Part| from.begins_picture();
        while self.since.len() + own.len() > Parts::MAX {
            let rest = self.since.iter().skip(1).position(begins).map_or(self.since.len(), |at| at + 1);
            self.since.drain(..rest);
        }
        // Its list has a place for its own chunks, and how long that is depends on them: once or twice more, and it stays.
        loop {
            let list: Vec<Part> = self.since.iter().chain(&own).copied().collect();
            let of = PictureOf { number, parts: Some(Parts::new(&list, self.since.len())?) };
            let bytes = object(picture, lowest, Some(of)).to_bytes_at(first, regular)?;
            let needed = chunks(bytes.len(), lowest.layer)?;
            let Some(said) = own.first_mut() else { break };
            let stays = said.chunks >= needed;
            if let Some(slot) = objects.first_mut() {
                *slot = bytes;
            }
            if stays {
                break;
            }
            said.chunks = needed;
        }
        if lowest.layer.temporal == 0 {
            self.since.clear();
        }
        self.since.append(&mut own);
        self.next += 1;
        Ok(objects)
    }
}
