//! Which descriptions there are.

use core::fmt;

use crate::Error;

/// The number of a picture, counted by the publisher from 0 over all descriptions alike: in each of them a frame has one payload, of
/// that number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(pub u64);

impl fmt::Display for FrameNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How many descriptions a stream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Descriptions {
    /// Two: halves.
    Two,
    /// Four: quadrants, two to a half.
    Four,
}

impl Descriptions {
    /// That many.
    ///
    /// # Errors
    /// [`Error::Count`] for any other number than 2 and 4.
    pub const fn new(count: usize) -> Result<Self, Error> {
        match count {
            2 => Ok(Self::Two),
            4 => Ok(Self::Four),
            _ => Err(Error::Count(count)),
        }
    }

    /// 2 or 4.
    pub const fn count(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Each of them, from 0 up.
    pub fn all(self) -> impl Iterator<Item = Description> + Clone {
        (0..self.count() as u8).map(move |index| Description { of: self, index })
    }

    /// The one with that index.
    ///
    /// # Errors
    /// [`Error::NoSuchDescription`] when there are not as many.
    pub const fn get(self, index: usize) -> Result<Description, Error> {
        if index < self.count() {
            Ok(Description { of: self, index: index as u8 })
        } else {
            Err(Error::NoSuchDescription { index, of: self.count() })
        }
    }
}

/// One of a stream's descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Description {
    of: Descriptions,
    index: u8,
}

impl Description {
    /// Its place: 0 or 1, or 0 to 3.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// How many there are of its kind.
    pub const fn of(self) -> Descriptions {
        self.of
    }

    /// What part of the stream it is, as a `SubStreamPath` has it: a half is `[0]` or `[1]`, a quadrant `[0, 0]` to `[1, 1]`.
    ///
    /// ```
    /// use codec_mdc::Descriptions;
    ///
    /// let paths: Vec<_> = Descriptions::Four.all().map(|description| description.path()).collect();
    /// assert_eq!(paths, [[0, 0], [0, 1], [1, 0], [1, 1]]);
    /// assert_eq!(Descriptions::Two.get(1)?.path(), [1]);
    /// # Ok::<(), codec_mdc::Error>(())
    /// ```
    pub const fn path(self) -> &'static [u8] {
        match (self.of, self.index) {
            (Descriptions::Two, 0) => &[0],
            (Descriptions::Two, _) => &[1],
            (Descriptions::Four, 0) => &[0, 0],
            (Descriptions::Four, 1) => &[0, 1],
            (Descriptions::Four, 2) => &[1, 0],
            (Descriptions::Four, _) => &[1, 1],
        }
    }

    /// The description that such a path names.
    ///
    /// # Errors
    /// [`Error::Path`] for a path that names none: a part that holds several, too.
    pub fn from_path(path: &[u8]) -> Result<Self, Error> {
        let every = Descriptions::Two.all().chain(Descriptions::Four.all());
        every.into_iter().find(|one| one.path() == path).ok_or_else(|| Error::Path(path.to_vec()))
    }

    /// The runs of pictures that it has well are those with this number, modulo the count. The quadrants of a half are as far from one
    /// another as can be, so that a half alone has every second run well.
    #[cfg(any(feature = "libaom", test))]
    pub(crate) const fn phase(self) -> u64 {
        match (self.of, self.index) {
            (Descriptions::Four, 1) => 2,
            (Descriptions::Four, 2) => 1,
            (_, index) => index as u64,
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "description {} of {}", self.index, self.of.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_descriptions_and_a_half_holds_its_quadrants() {
        for of in [Descriptions::Two, Descriptions::Four] {
            for one in of.all() {
                assert_eq!(Description::from_path(one.path()), Ok(one));
                assert_eq!(of.get(one.index()), Ok(one));
            }
        }
        for path in [&[][..], &[2], &[0, 2], &[0, 0, 0]] {
            assert_eq!(Description::from_path(path), Err(Error::Path(path.to_vec())));
        }
        assert_eq!(Descriptions::new(3), Err(Error::Count(3)));
        assert_eq!(Descriptions::Two.get(2), Err(Error::NoSuchDescription { index: 2, of: 2 }));
    }

    #[test]
    fn every_run_is_had_well_by_one_and_a_half_has_every_second() {
        for of in [Descriptions::Two, Descriptions::Four] {
            let mut phases: Vec<u64> = of.all().map(Description::phase).collect();
            for half in [0, 1] {
                let own = of.all().filter(|one| one.path().first() == Some(&half));
                assert!(own.into_iter().all(|one| one.phase() % 2 == u64::from(half)), "{of:?}, half {half}");
            }
            phases.sort_unstable();
            assert_eq!(phases, (0..of.count() as u64).collect::<Vec<_>>());
        }
    }
}
