//! Classes of consent and tiers of fidelity.

use crate::Error;
use core::fmt;

/// What the person in the recording agreed to. Closed on purpose: each class has a schedule of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsentClass {
    /// Days: gone to its envelope after two weeks.
    Temporary,
    /// Weeks: gone to its envelope after 90 days.
    Standard,
    /// Years: whole for one, then a tier less each year.
    Persistent,
}

impl ConsentClass {
    /// All classes, shortest first.
    pub const ALL: [Self; 3] = [Self::Temporary, Self::Standard, Self::Persistent];
}

/// Whether consent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consent {
    /// It was given and not taken back.
    Given,
    /// It was taken back.
    Revoked,
}

/// How much of a recording may be kept, least first, so that the lower of two tiers is the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// Nothing, the envelope included. Only revocation leads here.
    HardDelete,
    /// That the recording existed, and none of its content.
    EnvelopeOnly,
    /// Key frames of the base layer, source symbols alone: a slide show.
    MinViable,
    /// The base layer at its lowest rate of pictures, source symbols alone.
    DropHighQuality,
    /// Source symbols only.
    DropRepair,
    /// Everything, repair symbols included.
    Full,
}

impl Tier {
    /// All tiers, least first.
    pub const ALL: [Self; 6] = [
        Self::HardDelete,
        Self::EnvelopeOnly,
        Self::MinViable,
        Self::DropHighQuality,
        Self::DropRepair,
        Self::Full,
    ];

    /// The tier to hold next, given the one held and the one computed: the lower one, since what was dropped can't come
    /// back.
    #[must_use]
    pub fn merge(self, computed: Self) -> Self {
        self.min(computed)
    }

    /// As one byte: 0 for nothing up to 5 for all.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// From its byte.
    ///
    /// # Errors
    /// [`Error::Record`] above 5.
    pub fn from_code(code: u8) -> Result<Self, Error> {
        Self::ALL.get(usize::from(code)).copied().ok_or(Error::Record("no tier has this number"))
    }

    /// The name, as commands and records say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HardDelete => "hard-delete",
            Self::EnvelopeOnly => "envelope-only",
            Self::MinViable => "min-viable",
            Self::DropHighQuality => "drop-high-quality",
            Self::DropRepair => "drop-repair",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
