//! What carries a link's media: one of several transports behind one small trait.

use av_congestion::LinkEstimate;
use av_wire::SealedChunk;
use core_types::MonoTime;
use std::fmt;
use std::time::Duration;

/// A budget that was too small is asked for again after this time, where the transport can't say better.
pub(super) const RETRY: Duration = Duration::from_millis(5);

/// A transport for media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams of the link's QUIC connection.
    Quic,
    /// A lane: plain UDP under our own hop seal.
    Udp,
    /// In this process, for tests.
    Memory,
}

impl Transport {
    /// Its name, as in configuration and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Udp => "udp",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What media may travel on.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum TransportChoice {
    /// UDP lanes where they work, QUIC datagrams otherwise.
    #[default]
    Auto,
    /// QUIC datagrams alone.
    Quic,
    /// Links over UDP alone, without QUIC, with peers that do the same; as `auto` with others.
    Udp,
}

impl TransportChoice {
    /// Whether lanes are offered and accepted.
    pub const fn lanes(self) -> bool {
        matches!(self, Self::Auto | Self::Udp)
    }

    /// Whether direct links are made and taken.
    pub const fn direct(self) -> bool {
        matches!(self, Self::Udp)
    }
}

impl fmt::Display for TransportChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Quic => "quic",
            Self::Udp => "udp",
        })
    }
}

/// What became of the chunks handed to a carrier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams handed to the transport.
    pub datagrams: u64,
    /// Bytes of these, hop headers included.
    pub bytes: u64,
    /// Chunks that injected loss took.
    pub lost: u64,
    /// Chunks that the transport had no room for.
    pub overflowed: u64,
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.overflowed += other.overflowed;
    }
}

/// Sends sealed chunks to one peer. Never blocks: who asks for the budget first loses nothing.
pub trait Carrier: fmt::Debug + Send {
    /// Which transport this is.
    fn transport(&self) -> Transport;

    /// The largest chunk, 52 bytes of header included, that fits a datagram now.
    fn max_chunk(&self) -> usize;

    /// Bytes of chunks that may be sent now.
    fn budget(&mut self, now: MonoTime) -> usize;

    /// When to ask for the budget again, after it was too small for what waits.
    fn retry_at(&mut self, now: MonoTime) -> MonoTime;

    /// Sends chunks together, several times cheaper than one by one. None may be larger than [`max_chunk`](Self::max_chunk).
    fn send(&mut self, now: MonoTime, chunks: &mut dyn Iterator<Item = SealedChunk<'_>>) -> Sent;

    /// Says whether more waits than what is sent from now on: what goes out then is what the path takes, and not what there is.
    fn set_more_waits(&mut self, _now: MonoTime, _more: bool) {}

    /// What the path is like, by what was measured on it.
    fn estimate(&mut self, now: MonoTime) -> LinkEstimate;
}
