//! The bytes of an object with its units, spec 62 section 2.

use super::{LENGTH, MAX_INDEX, WindowConfig};
use crate::Error;
use core_types::ObjectSeq;

/// Bytes of a body with units in front of them.
pub(super) const UNITS_HEAD: usize = 4;

/// An object with its units as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Body<'a> {
    /// Empty if there is none.
    pub(super) object: &'a [u8],
    /// The index of the first unit.
    pub(super) first: usize,
    /// Objects that each unit covers.
    pub(super) span: u64,
    /// Bytes of each unit; 1 if there is none.
    unit_len: usize,
    units: &'a [u8],
}

impl<'a> Body<'a> {
    /// # Errors
    /// [`Error::WindowBody`], for all that writing does not make.
    pub(super) fn parse(object: ObjectSeq, bytes: &'a [u8]) -> Result<Self, Error> {
        let broken = |why| Error::WindowBody { object, why };
        let (&head, rest) = bytes.split_first().ok_or(broken("it is empty"))?;
        let (first, count) = (usize::from(head >> 4), usize::from(head & 15));
        if first + count > MAX_INDEX {
            return Err(broken("more units than an object has"));
        }
        let mut body = Self { object: rest, first, span: 0, unit_len: 1, units: &[] };
        if count == 0 {
            if first != 0 {
                return Err(broken("no units, and a first one"));
            }
            if rest.is_empty() {
                return Err(broken("neither an object nor units"));
            }
        } else {
            let Some((&[span, high, low], rest)) = rest.split_first_chunk() else {
                return Err(broken("cut short in front of its units"));
            };
            body.span = span.into();
            if body.span == 0 || body.span > object.0.min(WindowConfig::MAX_SPAN as u64) {
                return Err(broken("units that cover no objects, or more than there can be"));
            }
            body.unit_len = u16::from_be_bytes([high, low]).into();
            if !(LENGTH + 1..=LENGTH + WindowConfig::MAX_OBJECT_LEN).contains(&body.unit_len) {
                return Err(broken("units too short or too long"));
            }
            (body.units, body.object) =
                rest.split_at_checked(count * body.unit_len).ok_or(broken("cut short in its units"))?;
        }
        if body.object.len() > WindowConfig::MAX_OBJECT_LEN {
            return Err(broken("the object is too long"));
        }
        Ok(body)
    }

    /// The units with their indexes.
    pub(super) fn units(&self) -> impl Iterator<Item = (usize, &'a [u8])> + use<'a> {
        (self.first..).zip(self.units.chunks_exact(self.unit_len))
    }
}

/// Begins a body with the head of `count` units. They are to follow, and the object after them.
pub(super) fn write_head(out: &mut Vec<u8>, first: usize, count: usize, span: usize, unit_len: usize) {
    out.clear();
    if count == 0 {
        out.push(0);
    } else {
        // All are within what `parse` asks for.
        out.push((first << 4 | count) as u8);
        out.push(span as u8);
        out.extend_from_slice(&(unit_len as u16).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// One body for one content: what is read is written the same.
        #[test]
        fn reading_never_panics_and_accepts_only_what_writing_makes(
            head: u8, span in 0u8..20, unit_len in 0u16..40, rest in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0usize..250, number in 0u64..30,
        ) {
            let mut bytes = vec![head];
            if head & 15 != 0 {
                bytes.push(span);
                bytes.extend(unit_len.to_be_bytes());
            }
            bytes.extend(rest);
            bytes.truncate(cut);
            if let Ok(body) = Body::parse(ObjectSeq(number), &bytes) {
                let mut again = Vec::new();
                let count = body.units().count();
                write_head(&mut again, body.first, count, body.span as usize, body.unit_len);
                body.units().for_each(|(_, unit)| again.extend_from_slice(unit));
                again.extend_from_slice(body.object);
                prop_assert_eq!(&again, &bytes);
                prop_assert!(body.span <= number && (count > 0 || !body.object.is_empty()));
            }
        }
    }

    #[test]
    fn broken_bodies_are_the_peers_fault() {
        let object = [7; WindowConfig::MAX_OBJECT_LEN + 1];
        let long = [&[0][..], &object].concat();
        let cases: [(&[u8], &str); 13] = [
            (&[], "it is empty"),
            (&[0], "neither an object nor units"),
            (&[0x10, 1], "no units, and a first one"),
            (&[0x09, 1, 0, 3], "more units than an object has"),
            (&[0x81, 1, 0, 3], "more units than an object has"),
            (&[0x01, 1, 0], "cut short in front of its units"),
            (&[0x01, 0, 0, 3, 1, 2, 3], "units that cover no objects, or more than there can be"),
            (&[0x01, 5, 0, 3, 1, 2, 3], "units that cover no objects, or more than there can be"),
            (&[0x01, 17, 0, 3, 1, 2, 3], "units that cover no objects, or more than there can be"),
            (&[0x01, 1, 0, 2, 1, 2], "units too short or too long"),
            (&[0x01, 1, 0x05, 0xdf, 1, 2], "units too short or too long"),
            (&[0x02, 1, 0, 3, 1, 2, 3, 4, 5], "cut short in its units"),
            (&long, "the object is too long"),
        ];
        for (bytes, why) in cases {
            let error = Body::parse(ObjectSeq(4), bytes).unwrap_err();
            assert_eq!(error, Error::WindowBody { object: ObjectSeq(4), why });
            assert!(error.is_peer_fault());
        }
        assert!(Body::parse(ObjectSeq(4), &[0x01, 4, 0, 3, 1, 2, 3]).is_ok());
        assert!(Body::parse(ObjectSeq(4), &long[..long.len() - 1]).is_ok());
    }
}
