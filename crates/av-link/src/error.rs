//! The one error type of this crate.

use core_types::KeyId;

/// Why a datagram was refused or a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A datagram or a message that breaks the format. It was dropped.
    #[error("malformed {what}: {reason}; dropped")]
    Malformed {
        /// What it was taken for.
        what: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A datagram that belongs to no handshake under way here, or to one at another address. It was dropped.
    #[error("a datagram of a handshake that is not known here; dropped")]
    Unknown,
    /// A cookie that this listener did not make for this address and handshake, or made too long ago. A fresh one
    /// was sent.
    #[error("no valid cookie for this address; a fresh one was sent")]
    Cookie,
    /// The peers have no version or suite in common.
    #[error("no {what} in common with the peer: one of the two needs an upgrade")]
    Incompatible {
        /// "version" or "suite".
        what: &'static str,
    },
    /// A message that was made or altered by somebody without the keys, or belongs to another handshake.
    #[error("{what} does not verify: altered under way, or not from this handshake")]
    Authentication {
        /// What does not verify.
        what: &'static str,
    },
    /// Somebody else than expected answered.
    #[error("expected peer {expected}, and it is {got}")]
    WrongPeer {
        /// Who was meant to be there.
        expected: KeyId,
        /// Who is.
        got: KeyId,
    },
    /// The other end proves the identity of this end: a reflected handshake, or one identity used by two nodes.
    #[error("the other end has our own identity: a reflected handshake, or one key used by two nodes")]
    OwnIdentity,
    /// The peer proved its identity and refused ours.
    #[error("peer {0} refused the link")]
    Refused(KeyId),
    /// The handshake did not end before its deadline.
    #[error("handshake not done in time: {waiting_for} did not come")]
    Timeout {
        /// What it waited for.
        waiting_for: &'static str,
    },
    /// A hybrid identity or signature that does not hold.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// A bound was reached, and nothing could be evicted for it.
    #[error("{what}: the limit of {max} is reached; dropped")]
    Limit {
        /// What it is.
        what: &'static str,
        /// The most that is allowed.
        max: usize,
    },
    /// The call does not fit the state.
    #[error("not now: {0}")]
    State(&'static str),
    /// The cryptographic library refused an operation that should not fail.
    #[error("cryptographic library failed at: {0}")]
    Backend(&'static str),
}

impl Error {
    /// Who has to do something about it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Malformed { .. }
            | Self::Authentication { .. }
            | Self::WrongPeer { .. }
            | Self::OwnIdentity
            | Self::Incompatible { .. }
            | Self::Refused(_) => Fault::Peer,
            Self::Unknown | Self::Cookie | Self::Timeout { .. } => Fault::Network,
            Self::Identity(error) => match error.fault() {
                identity::Fault::Peer => Fault::Peer,
                identity::Fault::Caller => Fault::Caller,
                _ => Fault::Internal,
            },
            Self::Limit { .. } => Fault::Limit,
            Self::State(_) => Fault::Caller,
            Self::Backend(_) => Fault::Internal,
        }
    }
}

/// Whose fault an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The peer, or somebody on the way who alters what it sends. Before a handshake is done the two can't be told
    /// apart, so this alone is no reason to punish an identity.
    Peer,
    /// Nobody in particular: lost, late or stray datagrams.
    Network,
    /// A limit of this crate.
    Limit,
    /// The code that called.
    Caller,
    /// A library below failed.
    Internal,
}
