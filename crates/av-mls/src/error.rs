//! The one error type of this crate.

use core_types::{Epoch, KeyId};

/// Why a change, a commit, a key package or a welcome was refused. After any error the session is as it was before the
/// call, unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A change that adds nobody and removes nobody.
    #[error("a change must add or remove somebody")]
    EmptyChange,
    /// Somebody was to be removed who is not in the session.
    #[error("peer {0} is not a member of the session")]
    NotAMember(KeyId),
    /// Somebody was to be added who is in the session, or twice in one change.
    #[error("peer {0} is a member already, or was named twice; remove the old membership in the same change")]
    AlreadyAMember(KeyId),
    /// The call does not fit what the member is doing.
    #[error("not now: {0}")]
    State(&'static str),
    /// A commit by a member who has no say in who is in the session. It was dropped.
    #[error("commit by peer {sender}, who has no authority over the session; dropped")]
    NotAuthorised {
        /// Who made the commit.
        sender: KeyId,
    },
    /// A commit for a later epoch than the one that this member is in.
    #[error("commit for epoch {got} while in epoch {have}; kept for later: {kept}")]
    EarlyCommit {
        /// The epoch that this member is in.
        have: Epoch,
        /// The epoch that the commit starts from.
        got: Epoch,
        /// True if it waits for the ones before it; false if it was dropped and must be sent again.
        kept: bool,
    },
    /// A commit that starts from an epoch that is over.
    #[error("commit for epoch {got} while in epoch {have}; dropped")]
    StaleCommit {
        /// The epoch that this member is in.
        have: Epoch,
        /// The epoch that the commit starts from.
        got: Epoch,
    },
    /// A peer that offers another ciphersuite than the one of this crate, so no ML-KEM-768.
    #[error(
        "peer {peer} offers ciphersuite {suite:#06x}; only 0x004d (X-Wing: X25519 + ML-KEM-768) is accepted"
    )]
    WrongSuite {
        /// Who offers it.
        peer: KeyId,
        /// The MLS ciphersuite code point.
        suite: u16,
    },
    /// Bytes from a peer that can't be read, don't verify, or break a rule of MLS or of this crate.
    #[error("bad {what} {}: {reason}", Peer(.from))]
    BadMessage {
        /// What it was taken for.
        what: &'static str,
        /// Who made it, if that is proven or was claimed.
        from: Option<KeyId>,
        /// What is wrong with it.
        reason: String,
    },
    /// A hybrid identity or signature that does not hold.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// Something is larger than this crate allows.
    #[error("{what}: {got} is above the limit of {max}")]
    Limit {
        /// What it is.
        what: &'static str,
        /// The size or number that came.
        got: usize,
        /// The most that is allowed.
        max: usize,
    },
    /// A commit of our own came back that we had discarded: the others may have moved on without us. Get a group info
    /// from the host and call [`crate::Member::stage_rejoin`].
    #[error("our own commit of epoch {epoch} came back after it was discarded; rejoin by a group info")]
    Discarded {
        /// The epoch that it started from.
        epoch: Epoch,
    },
    /// Somebody has taken or published as many key packages as one identity may for now.
    #[error("peer {peer} has used up its quota of {what}; later")]
    Quota {
        /// Whose quota it is.
        peer: KeyId,
        /// What it is a quota of.
        what: &'static str,
    },
    /// The store did not take a change, or gave back something that can't be read. The session is as it was before the
    /// call; the call can be made again.
    #[error("store failed at {what}: {reason}")]
    Store {
        /// What was being done.
        what: &'static str,
        /// What the store says.
        reason: String,
    },
    /// The MLS or the cryptographic library failed at something that should not fail.
    #[error("MLS library failed at {what}: {reason}")]
    Internal {
        /// What was being done.
        what: &'static str,
        /// What the library says.
        reason: String,
    },
}

impl Error {
    /// Who has to do something about it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::EmptyChange | Self::NotAMember(_) | Self::AlreadyAMember(_) | Self::State(_) => {
                Fault::Caller
            }
            Self::NotAuthorised { .. } | Self::WrongSuite { .. } | Self::BadMessage { .. } => Fault::Peer,
            Self::EarlyCommit { .. } | Self::StaleCommit { .. } | Self::Discarded { .. } => Fault::Order,
            Self::Identity(error) => match error.fault() {
                identity::Fault::Peer => Fault::Peer,
                identity::Fault::Caller => Fault::Caller,
                _ => Fault::Internal,
            },
            Self::Limit { .. } | Self::Quota { .. } => Fault::Limit,
            Self::Internal { .. } | Self::Store { .. } => Fault::Internal,
        }
    }

    pub(crate) fn bad(what: &'static str, reason: impl ToString) -> Self {
        Self::BadMessage { what, from: None, reason: reason.to_string() }
    }

    pub(crate) fn bad_from(what: &'static str, peer: KeyId, reason: impl ToString) -> Self {
        Self::BadMessage { what, from: Some(peer), reason: reason.to_string() }
    }

    pub(crate) fn store(what: &'static str, reason: impl ToString) -> Self {
        Self::Store { what, reason: reason.to_string() }
    }

    pub(crate) fn damaged(reason: impl ToString) -> Self {
        Self::store("reading a record", reason)
    }

    pub(crate) fn internal(what: &'static str, reason: impl ToString) -> Self {
        Self::Internal { what, reason: reason.to_string() }
    }
}

/// Whose fault an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The code that called.
    Caller,
    /// A peer: count it against that peer.
    Peer,
    /// Nobody: messages overtook one another.
    Order,
    /// A limit of this crate; a peer's fault when the input was a peer's.
    Limit,
    /// A library below failed.
    Internal,
}

struct Peer<'a>(&'a Option<KeyId>);

impl core::fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(peer) => write!(f, "from peer {peer}"),
            None => f.write_str("from an unknown peer"),
        }
    }
}

/// Refuses what is larger than `max` before anything is done with it.
pub(crate) const fn limit(what: &'static str, got: usize, max: usize) -> Result<(), Error> {
    if got > max { Err(Error::Limit { what, got, max }) } else { Ok(()) }
}
