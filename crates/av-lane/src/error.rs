//! The one error type of this crate.

use crate::LaneId;

/// Who has to do something about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The peer at the other end: it authenticated and broke a rule.
    Peer,
    /// Nobody in particular: late, repeated, stray or forged datagrams. Anybody can send such.
    Network,
    /// The code that called.
    Caller,
    /// A limit of this crate.
    Limit,
    /// A library below failed.
    Internal,
}

/// Why a datagram is noise: to be dropped in silence, and to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Noise {
    /// It has no form that a lane's datagram can have.
    #[error("it is malformed")]
    Malformed,
    /// Its tag does not fit: forged, altered, or of another lane or direction.
    #[error("it does not authenticate")]
    NotAuthentic,
    /// It was taken before, or is older than the window.
    #[error("it was taken before")]
    Replayed,
    /// A compact header that stands for nothing here: what binds it was lost, or it is forged.
    #[error("its alias is not bound here")]
    Unbound,
    /// A control packet that names another lane.
    #[error("it names another lane")]
    OtherLane,
}

/// What went wrong on a lane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A datagram that nobody can be blamed for. It changed nothing but a counter.
    #[error("a datagram on lane {lane} was dropped: {why}")]
    Noise {
        /// The lane that it was given to.
        lane: LaneId,
        /// Why.
        why: Noise,
    },
    /// The peer proved that it has the keys, and said something that it can't know or may not say.
    #[error("the peer of lane {lane} breaks the rules: {what}; close the lane")]
    Misbehaved {
        /// The lane.
        lane: LaneId,
        /// What it did.
        what: &'static str,
    },
    /// No media yet: the peer has not proven its address.
    #[error("lane {0} is not ready: wait for its event")]
    NotReady(LaneId),
    /// The lane has ended.
    #[error("lane {0} has ended: make a new one")]
    Over(LaneId),
    /// A table holds as many lanes as it may.
    #[error("no room for another lane: the limit of {max} is reached")]
    Full {
        /// The most that it holds.
        max: usize,
    },
    /// A table has a lane of that id.
    #[error("lane {0} is in the table already: take another id")]
    Duplicate(LaneId),
    /// The congestion controller was set up or used wrongly, or says that a report can't be true.
    #[error("rate of a lane: {0}")]
    Rate(#[from] av_congestion::Error),
    /// The cryptographic library refused; does not happen with well-formed keys.
    #[error("{0} failed in the cryptographic library")]
    Crypto(&'static str),
}

impl Error {
    /// Who has to do something about it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Noise { .. } => Fault::Network,
            Self::Rate(error) if error.is_peer_fault() => Fault::Peer,
            Self::Misbehaved { .. } => Fault::Peer,
            Self::Rate(_) | Self::NotReady(_) | Self::Over(_) | Self::Duplicate(_) => Fault::Caller,
            Self::Full { .. } => Fault::Limit,
            Self::Crypto(_) => Fault::Internal,
        }
    }
}
