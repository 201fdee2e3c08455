//! An object: one coded frame or audio packet with its time. All that a relay need not know is in here, under the seal.

use crate::{Error, varint};
use core::time::Duration;
use core_types::MediaTime;

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
/// microseconds of the stream's time base, then the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// What it is.
    pub flags: ObjectFlags,
    /// When it was captured, in the publisher's time.
    pub pts: MediaTime,
    /// How long it stands.
    pub duration: Duration,
    /// The coded bytes.
    pub payload: &'a [u8],
}

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// [`Error::Truncated`] or [`Error::Malformed`]: the sender sealed something that is not an object.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some((flags, mut rest)) = bytes.split_first() else {
            return Err(Error::Truncated { what: "object", need: 1, have: 0 });
        };
        let Some(flags) = ObjectFlags::from_byte(*flags) else {
            return Err(Error::Malformed { what: "object", why: "unknown flag bits" });
        };
        let pts = MediaTime(varint::read(&mut rest)?);
        let duration = Duration::from_micros(varint::read(&mut rest)?);
        Ok(Self { flags, pts, duration, payload: rest })
    }

    /// The object as bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a time above 62 bits of microseconds.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let duration = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX);
        let mut out = Vec::with_capacity(17 + self.payload.len());
        out.push(self.flags.to_byte());
        varint::write(&mut out, self.pts.0)?;
        varint::write(&mut out, duration)?;
        out.extend_from_slice(self.payload);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn objects_round_trip(bits in 0u8..8, pts in 0u64..1 << 62, us in 0u64..1 << 62, payload: Vec<u8>) {
            let object = Object {
                flags: ObjectFlags::from_byte(bits).unwrap(), pts: MediaTime(pts), duration: Duration::from_micros(us), payload: &payload,
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
    }
}
