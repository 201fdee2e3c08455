//! What is known of one link in one direction.

use core::time::Duration;
use core_types::BitRate;

/// What is known of one link in one direction. All bytes are those that the caller counts: payloads of datagrams for a
/// lane, packets for a QUIC connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkEstimate {
    /// Round-trip time without the time that a report waited at the peer, smoothed as in RFC 6298; zero until measured.
    pub smoothed_rtt: Duration,
    /// The shortest round trip of the last 10 s; zero until measured.
    pub min_rtt: Duration,
    /// Mean deviation of the round-trip time (RFC 6298).
    pub rtt_variation: Duration,
    /// How much longer than at its best a datagram was on its way of late: what waits in queues, without what was sent in
    /// the same burst.
    pub queue_delay: Duration,
    /// Loss over about the last 2 s, 0 to 1000; `None` when nothing was reported in that time.
    pub loss_permille: Option<u16>,
    /// Packets whose fate is known, since the link began.
    pub reported_packets: u64,
    /// How many of them are lost.
    pub lost_packets: u64,
    /// The highest rate at which the path delivered of late: what it carries, or a lower bound of that when
    /// `app_limited`. Zero until measured.
    pub delivery_rate: BitRate,
    /// The rate at which the path delivered last, measured over a round trip or 80 ms. Zero until measured.
    pub recent_rate: BitRate,
    /// The rate at which may be sent now.
    pub pacing_rate: BitRate,
    /// Bytes that were sent and are neither reported nor given up.
    pub in_flight: usize,
    /// Most bytes that may be in flight.
    pub window: usize,
    /// Whether the sender had less to send than it might: rates are then lower bounds.
    pub app_limited: bool,
    /// Whether the path is asked for more than it carries: a queue stands, or grows and overflows.
    pub congested: bool,
}
