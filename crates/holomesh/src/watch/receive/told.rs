//! What the objects of a stream in several layers tell of one another (spec 64 section 2).

use super::InStream;
use av_wire::{Part, Parts};
use core_types::{ChunkSeq, Epoch, MonoTime, ObjectClass, ObjectSeq};
use std::cmp::Ordering;
use std::ops::Range;

/// What the lowest object of a picture tells, in the light of what is awaited here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::watch) struct Told {
    /// Objects of this picture that are awaited, the lowest one counted.
    pub(in crate::watch) objects: usize,
    /// The pictures before it, as far as it tells, in their order.
    pub(in crate::watch) before: Vec<Before>,
}

/// A picture, as a later one tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch) struct Before {
    pub(in crate::watch) picture: u64,
    pub(in crate::watch) temporal: u8,
    /// Nothing refers to any of it.
    pub(in crate::watch) discardable: bool,
    /// It is asked for, and its layer comes.
    pub(in crate::watch) awaited: bool,
}

impl InStream {
    /// The lowest object of a picture has told which there are since the last picture of temporal layer 0: what is not awaited is not asked
    /// for.
    pub(super) fn handle_told(
        &mut self,
        now: MonoTime,
        (epoch, own_chunks): (Epoch, Range<ChunkSeq>),
        (own, picture): (ObjectSeq, u64),
        parts: &Parts,
    ) -> Told {
        let (list, own_index) = (parts.as_slice(), parts.own_index());
        let count = |parts: &[Part]| parts.iter().map(|part| u64::from(part.chunks.get())).sum::<u64>();
        let before = list.get(..own_index).unwrap_or_default();
        // A list that reaches back beyond the first number is wrong, and tells nothing.
        let starts = own_chunks.start.0.checked_sub(count(before)).zip(own.0.checked_sub(own_index as u64));
        let pictures_before = before.iter().filter(|part| part.begins_picture()).count() as u64;
        let (Some((mut chunk, mut seq)), Some(mut number)) = (starts, picture.checked_sub(pictures_before))
        else {
            return Told { objects: 1, ..Told::default() };
        };
        let mut told = Told::default();
        for (index, part) in list.iter().enumerate() {
            let end = chunk.saturating_add(part.chunks.get().into());
            let awaited = self.layers.is_awaited(now, part.layer);
            self.layers.handle_told(now, ObjectSeq(seq), part);
            if !awaited {
                self.subscription.settle(epoch, ChunkSeq(chunk)..ChunkSeq(end));
            }
            number += u64::from(part.begins_picture() && index > 0);
            match number.cmp(&picture) {
                Ordering::Less if part.begins_picture() => told.before.push(Before {
                    picture: number,
                    temporal: part.layer.temporal,
                    discardable: part.class == ObjectClass::Discardable,
                    awaited,
                }),
                Ordering::Less => {
                    // What is above the lowest is needed only if that is.
                    if let Some(last) = told.before.last_mut() {
                        last.discardable &= part.class == ObjectClass::Discardable;
                    }
                }
                Ordering::Equal => told.objects += usize::from(awaited),
                // The list goes no further than its own picture.
                Ordering::Greater => break,
            }
            (chunk, seq) = (end, seq.saturating_add(1));
        }
        told
    }
}
