//! The one error type of this crate.

use core_types::{KeyId, LinkId};

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The peer sent what no honest peer sends: every honest one checks what it passes on.
    Peer,
    /// The caller asked for what can't be.
    Caller,
    /// Nobody: it came too late, or clocks differ.
    Nobody,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More bytes than there can be; refused before anything is read of them.
    #[error("{what} of {have} bytes; the limit is {limit}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Bytes there.
        have: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Bytes that are no such structure.
    #[error("malformed {what}: {why}; drop it")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A signature, a key or a canonical encoding is wrong.
    #[error("{what}: {source}")]
    Identity {
        /// What was being read.
        what: &'static str,
        /// What the identity crate says.
        source: identity::Error,
    },
    /// A card of another session.
    #[error("the card of peer {peer} is for another session; drop it")]
    OtherSession {
        /// Whose card.
        peer: KeyId,
    },
    /// The permit in a card is not one by which its advertiser belongs to the session now.
    #[error("the permit in the card of peer {peer}: {source}")]
    Permit {
        /// Whose card.
        peer: KeyId,
        /// What is wrong with it.
        source: av_wire::Error,
    },
    /// A capacity claim is none, is somebody else's, or is not good now.
    #[error("the claim of peer {peer}: {source}")]
    Claim {
        /// Whose claim.
        peer: KeyId,
        /// What is wrong with it.
        source: alm::Error,
    },
    /// A card is from the future.
    #[error("the card of peer {peer} was made {by_millis} ms from now; compare the clocks")]
    NotYet {
        /// Whose card.
        peer: KeyId,
        /// How far ahead of this node's wall clock, in milliseconds.
        by_millis: u64,
    },
    /// What this node was to say of itself, others would refuse.
    #[error("others would refuse what this node says of itself: {0}")]
    Own(Box<Self>),
    /// Something came over a link that was not added.
    #[error("link {0} takes no part in the gossip: call `add_link` first")]
    UnknownLink(LinkId),
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
    pub fn fault(&self) -> Fault {
        match self {
            Self::Own(error) if error.fault() == Fault::Nobody => Fault::Nobody,
            Self::Own(_) => Fault::Caller,
            Self::TooLarge { .. } | Self::Malformed { .. } | Self::OtherSession { .. } => Fault::Peer,
            Self::Identity { source, .. } => match source.fault() {
                identity::Fault::Peer => Fault::Peer,
                identity::Fault::Caller => Fault::Caller,
                _ => Fault::Nobody,
            },
            Self::Permit { source, .. } => match source.fault() {
                av_wire::Fault::Peer => Fault::Peer,
                av_wire::Fault::Caller => Fault::Caller,
                av_wire::Fault::State => Fault::Nobody,
            },
            Self::Claim { source, .. } => match source.fault() {
                alm::Fault::Peer => Fault::Peer,
                alm::Fault::Caller => Fault::Caller,
                alm::Fault::Nobody => Fault::Nobody,
            },
            Self::NotYet { .. } => Fault::Nobody,
            Self::UnknownLink(_) | Self::Input { .. } => Fault::Caller,
        }
    }

    /// True if the peer that sent it is to blame, and its link may be closed for it.
    pub fn is_peer_fault(&self) -> bool {
        self.fault() == Fault::Peer
    }
}
