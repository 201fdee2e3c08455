//! What a caller sets: bounds, quotas, permissions, and where a subscription starts.

use core::time::Duration;
use core_types::{CodecId, Epoch, MonoTime, StreamId};
use std::collections::BTreeSet;

/// Bounds on everything that a peer can grow, and on how far a subscriber may fall behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Streams carried at once.
    pub streams: usize,
    /// Links at once, upstream ones included.
    pub links: usize,
    /// Subscribers of one stream.
    pub subscribers_per_stream: usize,
    /// Upstream links of one stream.
    pub upstreams_per_stream: usize,
    /// Bytes of recent chunks kept for one stream: every subscriber's queue, the cache for late joiners and for repair. The
    /// newest chunk is kept however large it is.
    pub ring_bytes: usize,
    /// Chunks kept for one stream.
    pub ring_chunks: usize,
    /// Chunks that one repair request may name, and that may wait to be sent again on one subscription.
    pub chunks_per_request: usize,
    /// Bytes that may wait for one subscriber of a stream before something is shed.
    pub backlog_bytes: u64,
    /// How long chunks may wait for one subscriber: all are shed at multiples and fractions of it (see the front page).
    pub backlog_age: Duration,
    /// True if a link gets only streams that [`Relay::set_permission`](crate::Relay::set_permission) allowed it. A link that
    /// was given a permission is held to it in any case.
    pub permits_required: bool,
    /// Quota of an identity that was given none of its own.
    pub identity_quota: Quota,
}

impl Default for Limits {
    /// 64 streams, 4,096 links, 4,096 subscribers and 8 upstream links a stream, 2 MiB and 8,192 chunks kept of each, 256 chunks
    /// a request, 512 KiB and 250 ms of backlog; no permits and no quotas.
    fn default() -> Self {
        Self {
            streams: 64,
            links: 4_096,
            subscribers_per_stream: 4_096,
            upstreams_per_stream: 8,
            ring_bytes: 2 << 20,
            ring_chunks: 8_192,
            chunks_per_request: 256,
            backlog_bytes: 512 << 10,
            backlog_age: Duration::from_millis(250),
            permits_required: false,
            identity_quota: Quota::UNLIMITED,
        }
    }
}

/// How much somebody may have. Bytes are those of whole chunks, packets are chunks. Rates may be exceeded for a moment by
/// what is allowed in a quarter of a second, and by one chunk of the largest size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes a second, in each direction on its own: to a link, from a link; of a stream those that come in.
    pub bytes_per_second: u64,
    /// Chunks a second, likewise.
    pub packets_per_second: u64,
    /// Streams that a link may be subscribed to; of an identity the sum over its links. Without meaning for a stream.
    pub streams: usize,
    /// Links that may subscribe to a stream; of an identity the links that it may have. Without meaning for a link.
    pub subscribers: usize,
}

impl Quota {
    /// No quota.
    pub const UNLIMITED: Self = Self {
        bytes_per_second: u64::MAX,
        packets_per_second: u64::MAX,
        streams: usize::MAX,
        subscribers: usize::MAX,
    };
}

impl Default for Quota {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

/// On what terms a stream is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carriage {
    /// What the stream was announced with; chunks with another codec are refused.
    pub codec: CodecId,
    /// The stream is dropped then: when the permit for it ends.
    pub until: MonoTime,
    /// What the stream may take.
    pub quota: Quota,
}

impl Carriage {
    /// Carried without end and quota.
    pub const fn forever(codec: CodecId) -> Self {
        Self { codec, until: MonoTime(u64::MAX), quota: Quota::UNLIMITED }
    }
}

/// Streams that a link may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Streams {
    /// All that are carried.
    All,
    /// These.
    Only(BTreeSet<StreamId>),
}

/// What a link may have, and for how long. Whoever calls has checked the permit that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The streams.
    pub streams: Streams,
    /// Not from then on.
    pub until: MonoTime,
}

impl Permission {
    /// All streams, without end: for members of a session that the relay belongs to.
    pub const ALL: Self = Self { streams: Streams::All, until: MonoTime(u64::MAX) };

    /// Nothing.
    pub const NONE: Self = Self { streams: Streams::Only(BTreeSet::new()), until: MonoTime(0) };

    /// True if it names the stream and has not ended.
    pub fn allows(&self, now: MonoTime, stream: StreamId) -> bool {
        let named = match &self.streams {
            Streams::All => true,
            Streams::Only(streams) => streams.contains(&stream),
        };
        named && now < self.until
    }
}

/// Where in a stream a new subscription starts. Sound and opaque streams start live in any case: each of their objects
/// stands alone, and old ones are of no use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With the last key frame, out of the relay's own cache if it is still there whole; otherwise with the next one, which
    /// is asked for upstream.
    #[default]
    KeyFrameGroup,
    /// With the last key frame, if it is of that epoch or a later one and is still there whole; with the next one, if the stream
    /// has not come to that epoch; otherwise as with [`Live`](Self::Live). Nobody is asked for a key frame: for a receiver that can
    /// open nothing older, and may have other parents.
    Kept {
        /// The first epoch that it can open.
        from: Epoch,
    },
    /// With the next chunk, in all layers: for a receiver that had the stream so far from somebody else.
    Live,
}
