//! What a relay has to tell: to its driver, and through it to peers.

use core_types::{Layer, LinkId, StreamId};

/// Something that the driver, or the peer at the other end of a link, should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A link is over a quota: what is too much waits, is shed by priority, or, if it comes in, is cut. At most once a second
    /// for each link.
    OverQuota {
        /// The link.
        link: LinkId,
        /// The stream at which it was noticed, if it was one.
        stream: Option<StreamId>,
        /// What is over.
        what: Measure,
        /// How much is allowed.
        limit: u64,
    },
    /// A subscription is over, and the subscriber did not end it.
    SubscriptionEnded {
        /// The subscriber.
        link: LinkId,
        /// What it was subscribed to.
        stream: StreamId,
        /// Why.
        why: Ended,
    },
    /// A stream is not carried any more since its time was up.
    StreamExpired {
        /// The stream.
        stream: StreamId,
    },
    /// Nothing comes of a layer any more; those below it go on.
    LayerGone {
        /// The stream.
        stream: StreamId,
        /// The layer.
        layer: Layer,
    },
    /// A layer that was gone is back.
    LayerBack {
        /// The stream.
        stream: StreamId,
        /// The layer.
        layer: Layer,
    },
    /// The highest layer that a subscriber gets has changed: by policy, because a layer was shed or taken up again, or
    /// because it came or went upstream.
    EffectiveLayer {
        /// The subscriber.
        link: LinkId,
        /// The stream.
        stream: StreamId,
        /// The highest layer by spatial, then quality, then temporal; `None` while it waits for a key frame.
        layer: Option<Layer>,
    },
}

/// Something to be said upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upstream {
    /// The publisher of the stream is to make a key frame: to be sent to one of the stream's upstream links.
    KeyFrameWanted {
        /// The stream.
        stream: StreamId,
    },
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The link's permission, or the stream's, ran out.
    Expired,
    /// The link's identity may have nothing any more.
    Revoked,
    /// The link's permission was replaced by one that does not name the stream.
    NotPermitted,
    /// The stream is not carried any more.
    StreamRemoved,
}

/// What a quota measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// Bytes a second that come in.
    BytesIn,
    /// Chunks a second that come in.
    PacketsIn,
    /// Bytes a second that go out.
    BytesOut,
    /// Chunks a second that go out.
    PacketsOut,
    /// Streams subscribed to.
    Streams,
    /// Subscribers of a stream.
    Subscribers,
    /// Links of an identity.
    Links,
}

impl core::fmt::Display for Measure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BytesIn => "bytes a second in",
            Self::PacketsIn => "chunks a second in",
            Self::BytesOut => "bytes a second out",
            Self::PacketsOut => "chunks a second out",
            Self::Streams => "streams",
            Self::Subscribers => "subscribers",
            Self::Links => "links",
        })
    }
}
