//! The one error type of this crate.

use core_types::{KeyId, WallTime};

/// Why no tier could be computed, a schedule not be built or a record not be taken.
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
    /// No name of a class.
    #[error("malformed class name {0:?}: 1 to 32 lower-case letters, digits and hyphens")]
    ClassName(String),
    /// A file of classes that can't be taken.
    #[error("classes of consent: {0}")]
    Classes(String),
    /// Bytes that no record of this kind has.
    #[error("record of consent refused: {0}")]
    Record(&'static str),
    /// A consent that is no newer than the one that is held.
    #[error("consent number {got} comes after number {held}, which is held: only a higher number changes it")]
    OldSerial {
        /// The serial number that is held.
        held: u64,
        /// The one that came.
        got: u64,
    },
    /// A record can be signed by the person that it is about alone.
    #[error("a record about {subject} can't be signed by {signer}")]
    OtherSubject {
        /// Whom it is about.
        subject: KeyId,
        /// Who was to sign it.
        signer: KeyId,
    },
    /// A level of the disk's watermarks that does not go with those around it.
    #[error("watermarks: {0}")]
    Watermarks(&'static str),
    /// A key, a signature or an encoding that is not right.
    #[error(transparent)]
    Identity(#[from] identity::Error),
}
