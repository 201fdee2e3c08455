//! An object: one coded frame or audio packet with its time. All that a relay need not know is in here, under the seal.

use crate::head::Head;
use crate::picture::PictureOf;
use crate::{Error, varint};
use core::num::NonZeroU32;
use core::time::Duration;
use core_types::{MediaTime, ObjectSeq};

/// How long each object of a stream stands, if all stand equally long: announced once (spec 20 section 1), so that an object
/// at its regular place need not say when it is and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameDuration(NonZeroU32);

impl FrameDuration {
    /// From microseconds; `None` for 0.
    pub const fn from_micros(micros: u32) -> Option<Self> {
        match NonZeroU32::new(micros) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// From a duration; `None` unless it is a whole number of microseconds, above 0 and below 2^32.
    pub fn from_duration(duration: Duration) -> Option<Self> {
        let micros = u32::try_from(duration.as_micros()).ok()?;
        Self::from_micros(micros).filter(|whole| whole.duration() == duration)
    }

    /// In microseconds.
    pub const fn micros(self) -> u32 {
        self.0.get()
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0.get() as u64)
    }

    /// Where number `number` stands if all before it were of this duration; `None` above 62 bits of microseconds.
    fn place(self, number: u64) -> Option<MediaTime> {
        let micros = number.checked_mul(u64::from(self.micros()))?;
        (micros <= varint::MAX).then_some(MediaTime(micros))
    }
}

/// What an object is, one bit each (spec 20 section 5). Other bits must be zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectFlags {
    /// Decoding can start here.
    pub key_frame: bool,
    /// Nothing else refers to it.
    pub discardable: bool,
    /// The last object of the stream; its payload may be empty.
    pub end_of_stream: bool,
}

/// Flag bit: time and duration are left out, because they follow from the number of the object, or of its picture.
const REGULAR: u8 = 8;
/// Flag bit: it says its picture.
const IN_PICTURE: u8 = 16;

impl ObjectFlags {
    const fn to_byte(self) -> u8 {
        self.key_frame as u8 | (self.discardable as u8) << 1 | (self.end_of_stream as u8) << 2
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        if byte & !0b111 != 0 {
            return None;
        }
        Some(Self { key_frame: byte & 1 != 0, discardable: byte & 2 != 0, end_of_stream: byte & 4 != 0 })
    }
}

/// A coded frame or audio packet with its place in time: flags u8, presentation time and duration as varints in
/// microseconds of the stream's time base, its picture if there are several layers, then the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// What it is.
    pub flags: ObjectFlags,
    /// When it was captured, in the publisher's time.
    pub pts: MediaTime,
    /// How long it stands.
    pub duration: Duration,
    /// Which picture it is of, in a stream of several layers; elsewhere each object is a picture, and says nothing.
    pub picture: Option<PictureOf>,
    /// The coded bytes.
    pub payload: &'a [u8],
}

impl<'a> Object<'a> {
    /// Reads an object of a stream without an announced frame duration.
    ///
    /// # Errors
    /// [`Error::Truncated`] or [`Error::Malformed`]: the sender sealed something that is not an object.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::parse_at(bytes, ObjectSeq(0), None)
    }

    /// Reads object `seq` of a stream that announced `regular` as its frame duration.
    ///
    /// # Errors
    /// As [`Object::parse`]; an object that leaves its time out is [`Error::Malformed`] where none was announced.
    pub fn parse_at(bytes: &'a [u8], seq: ObjectSeq, regular: Option<FrameDuration>) -> Result<Self, Error> {
        let malformed = |why| Error::Malformed { what: "object", why };
        let Some((byte, mut rest)) = bytes.split_first() else {
            return Err(Error::Truncated { what: "object", need: 1, have: 0 });
        };
        let flags = ObjectFlags::from_byte(*byte & !(REGULAR | IN_PICTURE))
            .ok_or_else(|| malformed("unknown flag bits"))?;
        let said = match byte & REGULAR {
            0 => {
                let pts = MediaTime(varint::read(&mut rest)?);
                Some((pts, Duration::from_micros(varint::read(&mut rest)?)))
            }
            _ => None,
        };
        let picture = (byte & IN_PICTURE != 0).then(|| PictureOf::read(&mut rest)).transpose()?;
        let (pts, duration) = match said {
            Some(said) => said,
            None => {
                let regular =
                    regular.ok_or_else(|| malformed("its time is left out, and none was announced"))?;
                let number = picture.map_or(seq.0, |picture| picture.number);
                let pts = regular.place(number).ok_or_else(|| malformed("its time is above 62 bits"))?;
                (pts, regular.duration())
            }
        };
        Ok(Self { flags, pts, duration, picture, payload: rest })
    }

    /// The object as bytes, for a stream without an announced frame duration.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a time above 62 bits of microseconds.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.to_bytes_at(ObjectSeq(0), None)
    }

    /// The object as bytes, as number `seq` of a stream that announced `regular`. Time and duration are left out if that
    /// is what the number says anyway.
    ///
    /// # Errors
    /// As [`Object::to_bytes`].
    pub fn to_bytes_at(&self, seq: ObjectSeq, regular: Option<FrameDuration>) -> Result<Vec<u8>, Error> {
        let head = self.head(seq, regular)?;
        let mut out = Vec::with_capacity(head.bytes().len() + self.payload.len());
        out.extend_from_slice(head.bytes());
        out.extend_from_slice(self.payload);
        Ok(out)
    }

    /// All but the payload.
    pub(crate) fn head(&self, seq: ObjectSeq, regular: Option<FrameDuration>) -> Result<Head, Error> {
        let mut head = Head::new();
        let number = self.picture.map_or(seq.0, |picture| picture.number);
        let in_place = |d: &FrameDuration| d.duration() == self.duration && d.place(number) == Some(self.pts);
        let is_regular = regular.as_ref().is_some_and(in_place);
        let of_picture = if self.picture.is_some() { IN_PICTURE } else { 0 };
        head.push(self.flags.to_byte() | of_picture | if is_regular { REGULAR } else { 0 });
        if !is_regular {
            let duration = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX);
            head.varint(self.pts.0)?;
            head.varint(duration)?;
        }
        if let Some(picture) = &self.picture {
            picture.write(&mut head)?;
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn objects_round_trip(
            bits in 0u8..8, pts in 0u64..1 << 62, us in 0u64..1 << 62,
            number in prop::option::of(0u64..1 << 62), payload: Vec<u8>,
        ) {
            let object = Object {
                flags: ObjectFlags::from_byte(bits).unwrap(), pts: MediaTime(pts), duration: Duration::from_micros(us),
                picture: number.map(|number| PictureOf { number, parts: None }), payload: &payload,
            };
            let bytes = object.to_bytes().unwrap();
            prop_assert_eq!(Object::parse(&bytes), Ok(object));
        }

        #[test]
        fn parsing_never_panics_and_accepts_only_what_writing_makes(bytes: Vec<u8>) {
            if let Ok(object) = Object::parse(&bytes) {
                prop_assert_eq!(object.to_bytes().unwrap(), bytes);
            }
        }

        #[test]
        fn a_regular_object_says_no_time_and_an_irregular_one_does(
            number in 0u64..1 << 40, micros in 1u32..1 << 22, late in 0u64..2, longer in 0u64..2,
            in_picture: bool, payload: Vec<u8>,
        ) {
            let regular = FrameDuration::from_micros(micros);
            // Of a picture counts its number, and else that of the object.
            let seq = ObjectSeq(if in_picture { number / 3 + 7 } else { number });
            let object = Object {
                flags: ObjectFlags { key_frame: true, ..ObjectFlags::default() },
                pts: MediaTime(number * u64::from(micros) + late),
                duration: Duration::from_micros(u64::from(micros) + longer),
                picture: in_picture.then_some(PictureOf { number, parts: None }),
                payload: &payload,
            };
            let bytes = object.to_bytes_at(seq, regular).unwrap();
            prop_assert_eq!(Object::parse_at(&bytes, seq, regular), Ok(object));
            let left_out = late == 0 && longer == 0;
            let said = if in_picture { 1 + varint::len(number) } else { 0 };
            prop_assert_eq!(bytes.len() == 1 + said + payload.len(), left_out);
            prop_assert_eq!(Object::parse(&bytes).is_err(), left_out, "nothing was announced to it");
        }
    }

    #[test]
    fn frame_durations_are_whole_microseconds() {
        assert_eq!(
            FrameDuration::from_duration(Duration::from_millis(20)),
            FrameDuration::from_micros(20_000)
        );
        for bad in [Duration::ZERO, Duration::from_nanos(33_366_700), Duration::from_secs(5_000)] {
            assert_eq!(FrameDuration::from_duration(bad), None);
        }
    }

    #[test]
    fn flags_that_there_are_not_are_refused() {
        let object = Object {
            flags: ObjectFlags::default(),
            pts: MediaTime(1),
            duration: Duration::from_micros(2),
            picture: None,
            payload: b"coded",
        };
        let bytes = object.to_bytes().unwrap();
        for flag in [0x20, 0x40, 0x80] {
            let mut other = bytes.clone();
            other[0] |= flag;
            assert!(matches!(Object::parse(&other), Err(Error::Malformed { .. })), "{flag:#x}");
        }
    }

    #[test]
    fn a_time_above_62_bits_is_refused() {
        let regular = FrameDuration::from_micros(u32::MAX);
        assert!(Object::parse_at(&[REGULAR], ObjectSeq(1 << 61), regular).is_err());
        assert!(Object::parse_at(&[REGULAR], ObjectSeq(u64::MAX), regular).is_err());
    }
}
