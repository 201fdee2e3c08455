//! Small objects protected across time: what a packet of sound carries besides itself makes up for those before it.
//!
//! Spec 62.

mod body;
mod decoder;
mod encoder;

pub use decoder::WindowDecoder;
pub use encoder::WindowEncoder;

use crate::Error;
use gf256::inverse;

/// How many units come with how many objects: how soon what is lost is here again, and at what cost.
///
/// With objects every 20 ms, and three of them lost one after another (60 ms):
///
/// | pace | repaired with | after the last lost | after the first that came | bytes more |
/// |---|---|---|---|---|
/// | [`Pace::EACH`], one unit with each object | the third chunk | 60 ms | 40 ms | 100 % + 6 bytes |
/// | [`Pace::FAST`], three with two objects | the second | 40 ms | 20 ms | 150 % + 7 bytes |
/// | [`Pace::HALF`], one with two objects | the sixth at the latest | 120 ms | 100 ms | 50 % + 3.5 bytes |
///
/// The percentages are of the longest object in the window: with objects of very different lengths it is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pace {
    units: u8,
    objects: u8,
}

impl Pace {
    /// No repair.
    pub const OFF: Self = Self { units: 0, objects: 1 };
    /// One unit with two objects.
    pub const HALF: Self = Self { units: 1, objects: 2 };
    /// One unit with each object.
    pub const EACH: Self = Self { units: 1, objects: 1 };
    /// Three units with two objects: a burst of three objects is repaired by the two that follow.
    pub const FAST: Self = Self { units: 3, objects: 2 };
    /// The most units for one object.
    pub const MAX_UNITS: usize = 4;
    /// The most objects that a pace counts over.
    pub const MAX_OBJECTS: usize = 16;

    /// So many units with so many objects, spread evenly.
    ///
    /// # Errors
    /// [`Error::Window`] for no or more than [`MAX_OBJECTS`](Self::MAX_OBJECTS) objects, and for more than
    /// [`MAX_UNITS`](Self::MAX_UNITS) units an object.
    pub const fn new(units: u8, objects: u8) -> Result<Self, Error> {
        let (min, max) = (1, Self::MAX_OBJECTS);
        if objects == 0 || objects as usize > max {
            return Err(Error::Window { what: "objects of a pace", value: objects as usize, min, max });
        }
        let max = Self::MAX_UNITS * objects as usize;
        if units as usize > max {
            return Err(Error::Window { what: "units of a pace", value: units as usize, min: 0, max });
        }
        Ok(Self { units, objects })
    }

    /// Units for each object on average, in thousandths.
    pub const fn permille(self) -> u32 {
        self.units as u32 * 1_000 / self.objects as u32
    }

    /// Units that come with object `number`.
    const fn units_of(self, number: u64) -> usize {
        let (units, objects) = (self.units as u64, self.objects as u64);
        let place = number % objects;
        ((place + 1) * units / objects - place * units / objects) as usize
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::EACH
    }
}

/// How an encoder protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowConfig {
    span: u8,
    pace: Pace,
    most: usize,
}

impl WindowConfig {
    /// The longest object in bytes. The longest Opus frame has 1,275.
    pub const MAX_OBJECT_LEN: usize = 1_500;
    /// The most objects that a unit covers.
    pub const MAX_SPAN: usize = 16;

    /// Units that cover the last `span` objects each. Bursts of up to half of them are repaired by [`Pace::EACH`]; a unit is as long as the
    /// longest object that it covers.
    ///
    /// # Errors
    /// [`Error::Window`] for a span of 0 or above [`MAX_SPAN`](Self::MAX_SPAN).
    pub const fn new(span: usize, pace: Pace) -> Result<Self, Error> {
        if span == 0 || span > Self::MAX_SPAN {
            let (what, min, max) = ("objects that a unit covers", 1, Self::MAX_SPAN);
            return Err(Error::Window { what, value: span, min, max });
        }
        Ok(Self { span: span as u8, pace, most: usize::MAX })
    }

    /// Units that would make a body longer than `most` bytes are left out, and the object goes with fewer or none: what does not fit a
    /// datagram is carried worse than an object without repair.
    #[must_use]
    pub const fn within(self, most: usize) -> Self {
        Self { most, ..self }
    }
}

impl Default for WindowConfig {
    /// Units over the last ten objects, one with each: of 20 ms each, bursts of up to 100 ms are repaired.
    fn default() -> Self {
        Self { span: 10, pace: Pace::EACH, most: usize::MAX }
    }
}

/// Units with one object number, in all chunks that have it.
const MAX_INDEX: usize = 8;
/// Numbers back from the newest object within which losses are repaired.
const HORIZON: u64 = 32;

/// The factor of object `covered` in unit `index` of object `number`.
///
/// An entry of a Cauchy matrix, 1 / (x + y), with another x for each unit and another y for each object of those that can meet in
/// one computation: so any as many units as there are objects missing, all of which they cover, tell all of them.
///
/// Spec 62 section 3.
fn factor(number: u64, index: usize, covered: u64) -> u8 {
    let x = 64 + (number % 24) * MAX_INDEX as u64 + index as u64;
    let y = covered % 64;
    // x is 64 or more and y less, so their sum is never zero.
    inverse(x as u8 ^ y as u8).unwrap_or(1)
}

/// Bytes in front of an object, as it goes into units: its length.
const LENGTH: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solve::System;
    use gf256::Backend;

    #[test]
    fn a_pace_spreads_its_units_evenly() {
        let units = |pace: Pace| (0..8).map(|number| pace.units_of(number)).collect::<Vec<_>>();
        assert_eq!(units(Pace::OFF), [0; 8]);
        assert_eq!(units(Pace::EACH), [1; 8]);
        assert_eq!(units(Pace::HALF), [0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(units(Pace::FAST), [1, 2, 1, 2, 1, 2, 1, 2]);
        assert_eq!(units(Pace::new(3, 4).unwrap()), [0, 1, 1, 1, 0, 1, 1, 1]);
        assert_eq!(Pace::new(64, 16).unwrap().units_of(u64::MAX), Pace::MAX_UNITS);
    }

    #[test]
    fn what_is_no_pace_or_window_is_refused() {
        assert!(Pace::new(0, 0).is_err() && Pace::new(1, 17).is_err() && Pace::new(5, 1).is_err());
        assert!(WindowConfig::new(0, Pace::EACH).is_err() && WindowConfig::new(17, Pace::EACH).is_err());
        assert!(WindowConfig::new(16, Pace::OFF).is_ok());
        assert!(!Pace::new(5, 1).unwrap_err().is_peer_fault());
    }

    #[test]
    fn factors_are_those_of_the_specification() {
        for case in vector_kit::read::list(&vector_kit::read::load("fountain/window.json"), "factors") {
            let [number, index, covered, expected] = [0, 1, 2, 3].map(|at| case[at].as_u64().unwrap());
            assert_eq!(u64::from(factor(number, index as usize, covered)), expected, "{case}");
        }
    }

    /// Any square choice of units and of objects that all of them cover.
    #[test]
    fn as_many_units_as_objects_tell_all_of_them() {
        let mut state = 1u32;
        let mut below = |most: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % most
        };
        for round in 0..3_000u64 {
            let newest = 1_000 + round * 7;
            let size = 1 + below(8) as usize;
            let mut units: Vec<(u64, usize)> = Vec::new();
            let mut objects: Vec<u64> = Vec::new();
            while units.len() < size {
                let unit = (newest - u64::from(below(8)), below(8) as usize);
                if !units.contains(&unit) {
                    units.push(unit);
                }
            }
            while objects.len() < size {
                // In front of all units, and in the window of all.
                let object = newest - 8 - u64::from(below(9));
                if !objects.contains(&object) {
                    objects.push(object);
                }
            }
            let mut system = System::new(size, 2 * size, size);
            for (row, (number, index)) in units.iter().enumerate() {
                for (column, object) in objects.iter().enumerate() {
                    system.row_mut(row)[column] = factor(*number, *index, *object);
                }
            }
            assert!(system.solve(Backend::best()), "units {units:?}, objects {objects:?}");
        }
    }
}
