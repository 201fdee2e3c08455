//! What a listener's owner sets and sees.

use core::net::SocketAddr;
use core::time::Duration;
use identity::PublicIdentity;

/// How much a [`Listener`](crate::Listener) takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes it knows of at once, those just done included. Each takes up to 20 KB. Default 256.
    pub handshakes: usize,
    /// How many of them may be of one IP address. Default 16.
    pub per_ip: usize,
    /// How long a cookie is given out under one secret; it holds for one to two such periods. Default 15 s.
    pub cookie_period: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { handshakes: 256, per_ip: 16, cookie_period: Duration::from_secs(15) }
    }
}

/// Names one handshake at one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub(super) u64);

/// Somebody has proved who it is and wants a link: [`accept`](crate::Listener::accept) or
/// [`refuse`](crate::Listener::refuse) it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// What to call it.
    pub attempt: AttemptId,
    /// Where it is.
    pub from: SocketAddr,
    /// Who it is, proven.
    pub peer: PublicIdentity,
}

/// What a listener has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Cookies given.
    pub cookies: u64,
    /// Key pairs, encapsulations, decapsulations, hybrid signatures and hybrid verifications done.
    pub public_key_operations: u64,
    /// Handshakes dropped to make room.
    pub evicted: u64,
}
