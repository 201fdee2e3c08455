//! The one error type of this crate.

use crate::planner::Refusals;
use core_types::KeyId;

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The peer sent what no honest peer sends.
    Peer,
    /// The caller asked for what can't be.
    Caller,
    /// Nobody: a limit was reached, or it came too late.
    Nobody,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A signature, a key or a canonical encoding is wrong.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// Bytes that are no such structure.
    #[error("malformed {what}: {why}; drop it")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A claim is older than one of the same advertiser that was seen before.
    #[error("capacity claim {counter} of peer {peer} is not newer than {last}; drop it")]
    Replayed {
        /// The advertiser.
        peer: KeyId,
        /// The counter of the claim.
        counter: u64,
        /// The highest that was seen.
        last: u64,
    },
    /// It is over, or its time has not come.
    #[error("{what} of peer {peer} is {why}; compare the clocks or wait for another")]
    NotNow {
        /// What it is.
        what: &'static str,
        /// Whose.
        peer: KeyId,
        /// Over, or in the future.
        why: &'static str,
    },
    /// There is no room for more.
    #[error("no room for another {what}: at most {max} are kept")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many may be.
        max: usize,
    },
    /// None of the candidates can be a parent.
    #[error("no parent: {0}")]
    NoParent(Refusals),
    /// An argument that can't be.
    #[error("{what}: {why}")]
    Input {
        /// Which argument.
        what: &'static str,
        /// What is wrong with it, and what would be right.
        why: &'static str,
    },
}

impl Error {
    /// Who has to change something.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Identity(error) => match error.fault() {
                identity::Fault::Peer => Fault::Peer,
                identity::Fault::Caller => Fault::Caller,
                _ => Fault::Nobody,
            },
            Self::Malformed { .. } => Fault::Peer,
            // An older claim may have been long on its way through honest hands.
            Self::Replayed { .. } | Self::NotNow { .. } | Self::Limit { .. } | Self::NoParent(_) => {
                Fault::Nobody
            }
            Self::Input { .. } => Fault::Caller,
        }
    }
}
