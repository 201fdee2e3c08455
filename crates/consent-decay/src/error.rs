//! The one error type of this crate.

use core_types::WallTime;

/// Why no tier could be computed, or a schedule not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The record's admission date lies ahead of the clock by more than [`Schedule::MAX_SKEW`](crate::Schedule::MAX_SKEW).
    #[error(
        "admitted at {} ms, {} ms ahead of the clock: check both; keep the envelope only until then", admitted.0, admitted.0.saturating_sub(now.0)
    )]
    FutureAdmission {
        /// The admission date.
        admitted: WallTime,
        /// The clock.
        now: WallTime,
    },
    /// The caller's bands do not ascend from at least one day to at most a hundred years.
    #[error(
        "bands of {0:?} days: each must be above the one before, the first above 0, the last at most 36525"
    )]
    Bands([u32; 4]),
}
