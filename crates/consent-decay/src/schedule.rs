//! When a tier ends.

use crate::{Consent, ConsentClass, Error, Tier};
use core::time::Duration;
use core_types::WallTime;

/// Four ages in whole days at which a recording drops a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// Ages at which `Full`, `DropRepair`, `DropHighQuality` and `MinViable` end; ascending.
    bands: [u32; 4],
}

const DAY_MS: u64 = 86_400_000;

impl Schedule {
    /// How far ahead of the clock an admission date may be and still count as today: two nodes' clocks differ.
    pub const MAX_SKEW: Duration = Duration::from_secs(5 * 60);
    /// The latest age in days that a band may have: a hundred years. Nothing is kept for ever by its schedule.
    pub const MAX_DAYS: u32 = 36_525;

    /// The schedule of a class (table on the crate's front page).
    pub const fn of(class: ConsentClass) -> Self {
        let bands = match class {
            ConsentClass::Temporary => [4, 8, 11, 14],
            ConsentClass::Standard => [26, 51, 70, 90],
            ConsentClass::Persistent => [365, 730, 1_095, 1_460],
        };
        Self { bands }
    }

    /// A schedule of one's own: the ages in days at which `Full`, `DropRepair`, `DropHighQuality` and `MinViable` end.
    ///
    /// # Errors
    /// [`Error::Bands`] unless they strictly ascend, from 1 at least to [`Schedule::MAX_DAYS`] at most.
    pub fn new(bands: [u32; 4]) -> Result<Self, Error> {
        let ascending = bands.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || bands[0] == 0 || bands[3] > Self::MAX_DAYS {
            return Err(Error::Bands(bands));
        }
        Ok(Self { bands })
    }

    /// The tier of a recording admitted at `admitted`. Revocation wins over everything, a wrong date included; without
    /// it age takes the recording down to [`Tier::EnvelopeOnly`] and no further.
    ///
    /// # Errors
    /// [`Error::FutureAdmission`] when `admitted` is more than [`Schedule::MAX_SKEW`] after `now`.
    pub fn tier(&self, admitted: WallTime, now: WallTime, consent: Consent) -> Result<Tier, Error> {
        if consent == Consent::Revoked {
            return Ok(Tier::HardDelete);
        }
        Self::check_admission(admitted, now)?;
        Ok(self.tier_of_admitted(admitted, now))
    }

    /// The tier by age alone of what was admitted when its date was checked. A clock that has gone back since then makes
    /// it no older than new, and is no reason to refuse anything.
    pub fn tier_of_admitted(&self, admitted: WallTime, now: WallTime) -> Tier {
        let age_days = now.0.saturating_sub(admitted.0) / DAY_MS;
        let bands_passed = self.bands.iter().filter(|days| age_days >= u64::from(**days)).count();
        match bands_passed {
            0 => Tier::Full,
            1 => Tier::DropRepair,
            2 => Tier::DropHighQuality,
            3 => Tier::MinViable,
            _ => Tier::EnvelopeOnly,
        }
    }

    /// When age takes what was admitted at `admitted` below `held`; `None` for what age takes no further, and beyond the
    /// end of time.
    pub fn falls_below(&self, admitted: WallTime, held: Tier) -> Option<WallTime> {
        let band = match held {
            Tier::Full => 0,
            Tier::DropRepair => 1,
            Tier::DropHighQuality => 2,
            Tier::MinViable => 3,
            Tier::EnvelopeOnly | Tier::HardDelete => return None,
        };
        admitted.0.checked_add(u64::from(self.bands[band]) * DAY_MS).map(WallTime)
    }

    /// Checks a date at which ages are to begin.
    ///
    /// # Errors
    /// [`Error::FutureAdmission`] when it is more than [`Schedule::MAX_SKEW`] after `now`: it might never age.
    pub fn check_admission(admitted: WallTime, now: WallTime) -> Result<(), Error> {
        if u128::from(admitted.0.saturating_sub(now.0)) > Self::MAX_SKEW.as_millis() {
            return Err(Error::FutureAdmission { admitted, now });
        }
        Ok(())
    }

    /// The ages in days at which `Full`, `DropRepair`, `DropHighQuality` and `MinViable` end.
    pub const fn bands(&self) -> [u32; 4] {
        self.bands
    }

    /// When the tier drops next if consent stands: a time after `now`, or `None` when only the envelope is left.
    ///
    /// # Errors
    /// As for [`Schedule::tier`].
    pub fn next_change(&self, admitted: WallTime, now: WallTime) -> Result<Option<WallTime>, Error> {
        Self::check_admission(admitted, now)?;
        let ends = self.bands.iter().filter_map(|days| admitted.0.checked_add(u64::from(*days) * DAY_MS));
        Ok(ends.map(WallTime).find(|end| *end > now))
    }
}
