//! Which limit a peer is over, and what a node has no room of.

use serde::{Deserialize, Serialize};

/// A limit of a relay: one byte on the wire. A limit that this version does not know is kept as it came, since being over it
/// is no reason to end the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum OverQuota {
    /// Bytes a second.
    BytesPerSecond,
    /// Packets a second.
    PacketsPerSecond,
    /// Streams.
    Streams,
    /// Subscribers.
    Subscribers,
    /// Requests a second.
    RequestsPerSecond,
    /// Another limit: 5 and above.
    Other(u8),
}

impl From<u8> for OverQuota {
    fn from(byte: u8) -> Self {
        match byte {
            0 => Self::BytesPerSecond,
            1 => Self::PacketsPerSecond,
            2 => Self::Streams,
            3 => Self::Subscribers,
            4 => Self::RequestsPerSecond,
            other => Self::Other(other),
        }
    }
}

impl From<OverQuota> for u8 {
    fn from(what: OverQuota) -> Self {
        match what {
            OverQuota::BytesPerSecond => 0,
            OverQuota::PacketsPerSecond => 1,
            OverQuota::Streams => 2,
            OverQuota::Subscribers => 3,
            OverQuota::RequestsPerSecond => 4,
            OverQuota::Other(other) => other,
        }
    }
}

/// What a parent has no room of, so that it sends nothing: one byte on the wire. One that this version does not know is kept as it came:
/// whatever it is, the child has to go elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum NoRoom {
    /// As many take the stream from it as may.
    Subscribers,
    /// This child has all that it may have from it.
    Quota,
    /// What it lends of its uplink is taken.
    Uplink,
    /// Something else: 3 and above.
    Other(u8),
}

impl From<u8> for NoRoom {
    fn from(byte: u8) -> Self {
        match byte {
            0 => Self::Subscribers,
            1 => Self::Quota,
            2 => Self::Uplink,
            other => Self::Other(other),
        }
    }
}

impl From<NoRoom> for u8 {
    fn from(what: NoRoom) -> Self {
        match what {
            NoRoom::Subscribers => 0,
            NoRoom::Quota => 1,
            NoRoom::Uplink => 2,
            NoRoom::Other(other) => other,
        }
    }
}
