//! What a relay may know of a chunk's place in its object, so that it can drop the right ones and start late joiners.

use crate::Error;

/// What an object is to a decoder, as far as a relay has to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectClass {
    /// Later objects refer to it.
    #[default]
    Plain = 0,
    /// Nothing refers to it: leaving it out harms no other object.
    Discardable = 1,
    /// A receiver that had the layers below may take this layer up from here.
    SwitchPoint = 2,
    /// Decoding can start here, and it is a switch point of its layer.
    KeyFrame = 3,
}

/// The marks of one chunk: four bits of the chunk header (spec 20 section 2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marks {
    /// What the chunk's object is.
    pub class: ObjectClass,
    /// It is the first chunk of its object.
    pub start: bool,
    /// It carries a repair symbol.
    pub repair: bool,
}

impl Marks {
    /// No marks: a later source symbol of a plain object.
    pub const NONE: Self = Self { class: ObjectClass::Plain, start: false, repair: false };

    /// As four bits: repair 8, start 4, class 0 to 3.
    pub const fn bits(self) -> u8 {
        (self.repair as u8) << 3 | (self.start as u8) << 2 | self.class as u8
    }

    /// From four bits.
    ///
    /// # Errors
    /// [`Error::Marks`] above 15, and for a first chunk that is a repair symbol: objects begin with a source symbol.
    pub const fn from_bits(bits: u8) -> Result<Self, Error> {
        let class = match bits & 3 {
            0 => ObjectClass::Plain,
            1 => ObjectClass::Discardable,
            2 => ObjectClass::SwitchPoint,
            _ => ObjectClass::KeyFrame,
        };
        let marks = Self { class, start: bits & 4 != 0, repair: bits & 8 != 0 };
        if bits > 15 || (marks.start && marks.repair) {
            return Err(Error::Marks(bits));
        }
        Ok(marks)
    }

    /// True if decoding can start with this object.
    pub const fn is_key_frame(self) -> bool {
        matches!(self.class, ObjectClass::KeyFrame)
    }

    /// True if a receiver may take this layer up with this object.
    pub const fn is_switch_point(self) -> bool {
        matches!(self.class, ObjectClass::KeyFrame | ObjectClass::SwitchPoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_round_trip_and_impossible_ones_are_refused() {
        let mut taken = 0;
        for bits in 0..=u8::MAX {
            match Marks::from_bits(bits) {
                Ok(marks) => {
                    assert_eq!(marks.bits(), bits);
                    taken += 1;
                }
                Err(error) => assert_eq!(error, Error::Marks(bits)),
            }
        }
        assert_eq!(taken, 12, "16 but for the 4 that are first and repair at once");
    }
}
