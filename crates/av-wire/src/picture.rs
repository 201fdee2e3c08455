//! Where an object of a stream in several layers belongs, and what else there is: so that a receiver knows which layer was missing
//! without having anything of it.

use crate::head::Head;
use crate::{Error, varint};
use core::num::NonZeroU16;
use core_types::{Layer, ObjectClass};

/// One object as others tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its layer: 3 at most on each axis.
    pub layer: Layer,
    /// What it is to a decoder.
    pub class: ObjectClass,
    /// How many chunks it has, source and repair.
    pub chunks: NonZeroU16,
}

impl Part {
    /// More chunks than these no object has (spec 60 section 6).
    pub const MAX_CHUNKS: u16 = 3_072;

    /// True if it is the lowest object of its picture.
    pub const fn begins_picture(&self) -> bool {
        self.layer.spatial == 0 && self.layer.quality == 0
    }

    fn place(&self) -> Result<u8, Error> {
        let Layer { spatial, temporal, quality } = self.layer;
        if spatial > 3 || temporal > 3 || quality > 3 {
            return Err(malformed("a layer above 3 on some axis"));
        }
        Ok(spatial << 6 | quality << 4 | temporal << 2 | self.class as u8)
    }

    fn read(input: &mut &[u8]) -> Result<Self, Error> {
        let Some((&place, rest)) = input.split_first() else {
            return Err(Error::Truncated { what: "list of objects", need: 1, have: 0 });
        };
        *input = rest;
        let layer = Layer { spatial: place >> 6, quality: place >> 4 & 3, temporal: place >> 2 & 3 };
        let class = match place & 3 {
            0 => ObjectClass::Plain,
            1 => ObjectClass::Discardable,
            2 => ObjectClass::SwitchPoint,
            _ => ObjectClass::KeyFrame,
        };
        let chunks = u16::try_from(varint::read(input)?).ok().filter(|chunks| *chunks <= Self::MAX_CHUNKS);
        let chunks = chunks
            .and_then(NonZeroU16::new)
            .ok_or_else(|| malformed("an object of 0 or above 3,072 chunks"))?;
        Ok(Self { layer, class, chunks })
    }
}

/// Objects with consecutive numbers, 15 at most: those since the last picture of temporal layer 0, that picture with them, or since a
/// key frame, up to the last one of the picture that tells of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    parts: [Part; Self::MAX],
    len: u8,
    own: u8,
}

impl Parts {
    /// So many at most.
    pub const MAX: usize = 15;
    const FILLER: Part = Part { layer: Layer::BASE, class: ObjectClass::Plain, chunks: NonZeroU16::MIN };

    /// `parts`, of which number `own` is the object that tells of them.
    ///
    /// # Errors
    /// [`Error::Malformed`] for none or more than 15, for an object that does not begin its picture, and for a list that does not begin with
    /// a picture.
    pub fn new(parts: &[Part], own: usize) -> Result<Self, Error> {
        let begins = |index: usize| parts.get(index).is_some_and(Part::begins_picture);
        if parts.len() > Self::MAX || !begins(0) || !begins(own) {
            return Err(malformed(
                "1 to 15 objects, from the lowest of a picture on, told of by the lowest of one",
            ));
        }
        let mut list = Self { parts: [Self::FILLER; Self::MAX], len: parts.len() as u8, own: own as u8 };
        for (slot, part) in list.parts.iter_mut().zip(parts) {
            part.place()?;
            *slot = *part;
        }
        Ok(list)
    }

    /// All of them, in the order of their numbers.
    pub fn as_slice(&self) -> &[Part] {
        self.parts.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Which of them tells of the others.
    pub fn own_index(&self) -> usize {
        usize::from(self.own)
    }

    /// The one that tells of the others.
    pub fn own(&self) -> Option<&Part> {
        self.as_slice().get(self.own_index())
    }
}

impl core::fmt::Debug for Parts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Parts").field("own", &self.own).field("parts", &self.as_slice()).finish()
    }
}

/// Which picture an object is of, and what it tells of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureOf {
    /// The picture's number: from 0 when the stream starts, one more with each.
    pub number: u64,
    /// The lowest object of a picture tells which there are; those above it tell nothing.
    pub parts: Option<Parts>,
}

impl PictureOf {
    /// The most bytes that it takes.
    pub(crate) const MAX_LEN: usize = 8 + 2 + Parts::MAX * 3;

    pub(crate) fn write(&self, head: &mut Head) -> Result<(), Error> {
        head.varint(self.number)?;
        let Some(parts) = &self.parts else {
            head.push(0);
            return Ok(());
        };
        head.push(parts.len << 4 | parts.own);
        for part in parts.as_slice() {
            head.push(part.place()?);
            head.varint(part.chunks.get().into())?;
        }
        Ok(())
    }

    pub(crate) fn read(input: &mut &[u8]) -> Result<Self, Error> {
        let number = varint::read(input)?;
        let Some((&counts, rest)) = input.split_first() else {
            return Err(Error::Truncated { what: "list of objects", need: 1, have: 0 });
        };
        *input = rest;
        if counts == 0 {
            return Ok(Self { number, parts: None });
        }
        let mut parts = [Parts::FILLER; Parts::MAX];
        let parts = parts.get_mut(..usize::from(counts >> 4)).unwrap_or_default();
        for part in &mut *parts {
            *part = Part::read(input)?;
        }
        Ok(Self { number, parts: Some(Parts::new(parts, usize::from(counts & 15))?) })
    }
}

const fn malformed(why: &'static str) -> Error {
    Error::Malformed { what: "object of a picture", why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_part() -> impl Strategy<Value = Part> {
        (0u8..4, 0u8..4, 0u8..4, 0u8..4, 1..=Part::MAX_CHUNKS).prop_map(
            |(spatial, temporal, quality, class, chunks)| {
                let class = [
                    ObjectClass::Plain,
                    ObjectClass::Discardable,
                    ObjectClass::SwitchPoint,
                    ObjectClass::KeyFrame,
                ][usize::from(class)];
                Part {
                    layer: Layer { spatial, temporal, quality },
                    class,
                    chunks: NonZeroU16::new(chunks).unwrap(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn lists_round_trip_if_they_begin_with_a_picture_and_are_told_of_by_one(
            number in 0u64..1 << 62, parts in prop::collection::vec(any_part(), 0..18), own in 0usize..18,
        ) {
            let possible = parts.len() <= 15
                && parts.first().is_some_and(Part::begins_picture)
                && parts.get(own).is_some_and(Part::begins_picture);
            match Parts::new(&parts, own) {
                Ok(list) => {
                    prop_assert!(possible);
                    prop_assert_eq!((list.as_slice(), list.own()), (&parts[..], parts.get(own)));
                    let place = PictureOf { number, parts: Some(list) };
                    let mut head = Head::new();
                    place.write(&mut head).unwrap();
                    let mut input = head.bytes();
                    prop_assert_eq!(PictureOf::read(&mut input), Ok(place));
                    prop_assert!(input.is_empty());
                }
                Err(_) => prop_assert!(!possible),
            }
        }

        #[test]
        fn reading_never_panics_and_accepts_only_what_writing_makes(bytes: Vec<u8>) {
            let mut input = &bytes[..];
            if let Ok(place) = PictureOf::read(&mut input) {
                let mut head = Head::new();
                place.write(&mut head).unwrap();
                prop_assert_eq!(head.bytes(), &bytes[..bytes.len() - input.len()]);
                prop_assert!(head.len() <= PictureOf::MAX_LEN);
            }
        }
    }

    #[test]
    fn a_list_has_fifteen_objects_at_most() {
        let parts = [Parts::FILLER; 16];
        assert_eq!(Parts::new(&parts[..15], 14).unwrap().as_slice().len(), 15);
        assert!(Parts::new(&parts, 0).is_err() && Parts::new(&parts, 15).is_err());
    }

    #[test]
    fn layers_above_three_and_objects_without_chunks_are_refused() {
        let part = Part { layer: Layer { temporal: 4, ..Layer::BASE }, ..Parts::FILLER };
        assert!(Parts::new(&[part], 0).is_err());
        assert!(PictureOf::read(&mut &[5, 0x10, 0, 1][..]).is_ok());
        for bad in [
            &[5, 0x10, 0, 0][..],
            &[5, 0x10, 0, 0x4c, 1],
            &[5, 0x11, 0, 1],
            &[5, 0x10, 0x40, 1],
            &[5, 1],
            &[5],
        ] {
            assert!(PictureOf::read(&mut &bad[..]).is_err(), "{bad:x?}");
        }
    }
}
