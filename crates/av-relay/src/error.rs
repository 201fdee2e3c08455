//! The one error type of this crate.

use core_types::{LinkId, StreamId};

/// Why the relay refused something, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A chunk for a stream that this link does not feed: the link's peer misbehaves.
    #[error("link {link} sent a chunk of stream {} which it does not feed", .stream.short())]
    NotUpstream {
        /// The link it came from.
        link: LinkId,
        /// The stream named in the header.
        stream: StreamId,
    },
    /// A stream that this relay does not carry.
    #[error("stream {} is not carried here; subscribe to one that was announced", .0.short())]
    UnknownStream(StreamId),
    /// No room for another stream.
    #[error("this relay carries {limit} streams already; raise the limit or end a stream")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// No room for another subscriber of that stream.
    #[error("stream {} has {limit} subscribers here already; choose another parent", .stream.short())]
    TooManySubscribers {
        /// The stream.
        stream: StreamId,
        /// The limit.
        limit: usize,
    },
    /// More upstream links than a stream may have.
    #[error("stream {} has {limit} upstream links here already", .stream.short())]
    TooManyUpstreams {
        /// The stream.
        stream: StreamId,
        /// The limit.
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

impl Error {
    /// True if the link's peer broke the protocol, rather than met a limit.
    pub const fn is_peer_fault(&self) -> bool {
        matches!(self, Self::NotUpstream { .. } | Self::TooManyRequested { .. })
    }
}
