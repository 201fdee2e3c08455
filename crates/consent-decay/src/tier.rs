//! Classes of consent and tiers of fidelity.

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
pub enum Tier {
    /// Nothing, the envelope included. Only revocation leads here.
    HardDelete,
    /// That the recording existed, and none of its content.
    EnvelopeOnly,
    /// The least from which anything can be shown.
    MinViable,
    /// Without the symbols of the higher quality layers.
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
}
