//! Permits: what the host signs for others to show, so that a relay serves only whom it was asked to (spec 56).
//!
//! A permit names its holder and is worth nothing to anybody else: whoever shows it has to have proven that identity on the
//! link. So it is no secret. It says what its holder may have (a member) or forward (a relay), of which streams, and until
//! when; a later one with a higher serial number takes its place, and the host can make those up to a number void.
//!
//! ```
//! use av_wire::permit::{Permit, PermitRole, PermitStreams};
//! use core_types::{KeyId, SessionId, StreamId, WallTime};
//! use identity::{Identity, Seed};
//!
//! let host = Identity::from_seed(&Seed([1; 64]))?;
//! let (session, member) = (SessionId([2; 32]), KeyId([3; 32]));
//! let signed = Permit {
//!     session,
//!     issuer: host.key_id(),
//!     holder: member,
//!     role: PermitRole::Member,
//!     serial: 1,
//!     not_before: WallTime(1_000_000),
//!     not_after: WallTime(1_600_000),
//!     streams: PermitStreams::All,
//!     max_bytes_per_second: 0,
//!     max_subscribers: 0,
//! }
//! .sign(&host)?;
//!
//! // At a relay: `member` is the identity that the link proved, `now` what the wall clock says.
//! let permit = Permit::verify(&signed, host.public())?;
//! permit.check(WallTime(1_200_000), session, member, PermitRole::Member)?;
//! assert!(permit.streams.admits(StreamId([9; 32])));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod codec;
#[cfg(test)]
mod tests;

use crate::Error;
use core::time::Duration;
use core_types::{KeyId, SessionId, StreamId, WallTime};
use std::collections::BTreeSet;

/// How long before its time a permit is taken already: clocks differ.
pub const EARLY_BY: Duration = Duration::from_secs(120);
/// How long after its time a permit is taken still.
pub const LATE_BY: Duration = Duration::from_secs(300);
/// The longest signed permit in bytes; more is refused before it is looked at.
pub const MAX_PERMIT_LEN: usize = codec::MAX_LEN;

/// What the holder may do. Closed: there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PermitRole {
    /// Forward for the session.
    Relay,
    /// Be served as one of its members.
    Member,
}

/// Of which streams.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PermitStreams {
    /// All of the session, also those to come.
    All,
    /// These alone: 1 to 64 of them.
    Only(BTreeSet<StreamId>),
}

impl PermitStreams {
    /// The most streams that can be listed.
    pub const MAX_LISTED: usize = 64;

    /// True if the permit is for that stream, if it is one of the session's.
    pub fn admits(&self, stream: StreamId) -> bool {
        match self {
            Self::All => true,
            Self::Only(streams) => streams.contains(&stream),
        }
    }
}

/// What somebody may do in a session, as its issuer says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Permit {
    /// The session that it is for.
    pub session: SessionId,
    /// Who signs it: the session's host.
    pub issuer: KeyId,
    /// Who may use it: nobody else.
    pub holder: KeyId,
    /// As what.
    pub role: PermitRole,
    /// Higher than that of every earlier permit for this holder.
    pub serial: u64,
    /// Good from here on.
    pub not_before: WallTime,
    /// Good until here, and not before it began.
    pub not_after: WallTime,
    /// Of which streams.
    pub streams: PermitStreams,
    /// Bytes a second that the holder may be sent, or forward; 0: the permit says nothing of it.
    pub max_bytes_per_second: u64,
    /// Subscribers that the holder may serve; 0: the permit says nothing of it. 0 unless it is a relay's.
    pub max_subscribers: u32,
}

/// Why a permit is of no use here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermitRefusal {
    /// Its time has not come, by this clock.
    #[error("its time has not come: compare the clocks")]
    NotYet,
    /// Its time is over, by this clock: ask the host for another.
    #[error("its time is over: ask the host for another")]
    Expired,
    /// It is for another session.
    #[error("it is for another session")]
    OtherSession,
    /// Whoever shows it is not its holder.
    #[error("it is somebody else's")]
    OtherHolder,
    /// A member's where a relay's is asked for, or the other way round.
    #[error("it is for another role")]
    OtherRole,
}

impl Permit {
    /// Checks that the permit is good now, for this session, this peer and this role. `holder` is the identity that the link
    /// proved. Which streams, and how much of them, is the permit's own to say: see [`PermitStreams::admits`].
    ///
    /// # Errors
    /// [`Error::Permit`] with the first reason against it.
    pub fn check(
        &self,
        now: WallTime,
        session: SessionId,
        holder: KeyId,
        role: PermitRole,
    ) -> Result<(), Error> {
        let refused = |why| Err(Error::Permit { serial: self.serial, why });
        if session != self.session {
            return refused(PermitRefusal::OtherSession);
        }
        if holder != self.holder {
            return refused(PermitRefusal::OtherHolder);
        }
        if role != self.role {
            return refused(PermitRefusal::OtherRole);
        }
        if now.0.saturating_add(millis(EARLY_BY)) < self.not_before.0 {
            return refused(PermitRefusal::NotYet);
        }
        if now.0 > self.not_after.0.saturating_add(millis(LATE_BY)) {
            return refused(PermitRefusal::Expired);
        }
        Ok(())
    }
}

/// Of one of the tolerances above, which are far below what does not fit.
const fn millis(tolerance: Duration) -> u64 {
    tolerance.as_secs() * 1_000
}
