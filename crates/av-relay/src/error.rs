//! The one error type of this crate.

use crate::Measure;
use core_types::{CodecId, LinkId, StreamId};

/// Why the relay refused something, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A link that was not added, or was removed.
    #[error("link {0} is not known here; add it first")]
    UnknownLink(LinkId),
    /// A link that was added for another identity: the caller gave one id twice.
    #[error("link {0} belongs to another identity; a link id is given once")]
    LinkInUse(LinkId),
    /// A chunk for a stream that this link does not feed: the link's peer misbehaves.
    #[error("link {link} sent a chunk of stream {} which it does not feed", .stream.short())]
    NotUpstream {
        /// The link it came from.
        link: LinkId,
        /// The stream named in the header.
        stream: StreamId,
    },
    /// A chunk that does not fit the stream that it is of: the peer misbehaves that sent it.
    #[error("link {link} sent a chunk of stream {} {why}", .stream.short())]
    WrongChunk {
        /// The link it came from.
        link: LinkId,
        /// The stream.
        stream: StreamId,
        /// What is wrong.
        why: WrongChunk,
    },
    /// A stream that this relay does not carry.
    #[error("stream {} is not carried here; subscribe to one that was announced", .0.short())]
    UnknownStream(StreamId),
    /// Something that only a subscriber of the stream may ask for.
    #[error("link {link} is not subscribed to stream {}; subscribe first", .stream.short())]
    NotSubscribed {
        /// The link.
        link: LinkId,
        /// The stream.
        stream: StreamId,
    },
    /// A stream that the link may not have, or not any more.
    #[error("link {link} may not have stream {}; show a permit that names it", .stream.short())]
    NotPermitted {
        /// The link.
        link: LinkId,
        /// The stream.
        stream: StreamId,
    },
    /// No room for more.
    #[error("this relay has {limit} {what} already; choose another one, or raise the limit")]
    Full {
        /// Of what there is no room.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// More than the quota of a link, its identity, or a stream allows.
    #[error("link {link} is over a quota: {limit} {what} are allowed")]
    OverQuota {
        /// The link.
        link: LinkId,
        /// What would be too much.
        what: Measure,
        /// How much is allowed.
        limit: usize,
    },
    /// A request for more chunks than one message may ask for: the link's peer misbehaves.
    #[error("link {link} asked for {have} chunks at once; the limit is {limit}")]
    TooManyRequested {
        /// The link it came from.
        link: LinkId,
        /// The limit.
        limit: usize,
        /// How many it asked for.
        have: usize,
    },
}

/// What is wrong with a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongChunk {
    /// Its codec is not the one that the stream was announced with.
    #[error("with codec {have:?}; it was announced with {announced:?}")]
    Codec {
        /// The chunk's.
        have: CodecId,
        /// The stream's.
        announced: CodecId,
    },
    /// It is on one layer more than a stream may have.
    #[error("on one layer more than the {limit} that a stream may have")]
    Layers {
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// True if the link's peer broke the protocol, rather than met a limit.
    pub const fn is_peer_fault(&self) -> bool {
        matches!(self, Self::NotUpstream { .. } | Self::WrongChunk { .. } | Self::TooManyRequested { .. })
    }
}
