//! What goes in and comes out.

use crate::Error;
use core::time::Duration;
use core_types::BitRate;

/// What a lane's sender starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BbrConfig {
    /// Largest datagram, in the bytes that `on_sent` counts: 1 to 65,535.
    pub datagram: usize,
    /// Bytes that may be in flight before anything is known, and at least as long as the path is not crowded. At least
    /// four datagrams.
    pub initial_window: usize,
    /// How often the peer reports when nothing special happens: at least 1 ms, at most 1 s.
    pub report_interval: Duration,
    /// The rate never goes below this: at least 1 kbit/s.
    pub min_rate: BitRate,
    /// The rate never goes above this.
    pub max_rate: BitRate,
    /// Anything that differs from link to link, so that links which share a path do not probe it at the same moments.
    pub seed: u64,
}

impl Default for BbrConfig {
    /// Datagrams of 1,400 bytes, 64 KiB, reports each 100 ms, 64 kbit/s to 10 Gbit/s.
    fn default() -> Self {
        Self {
            datagram: 1_400,
            initial_window: 64 << 10,
            report_interval: Duration::from_millis(100),
            min_rate: BitRate::from_kbit(64),
            max_rate: BitRate(10_000_000_000),
            seed: 0,
        }
    }
}

impl BbrConfig {
    pub(super) fn check(&self) -> Result<(), Error> {
        let bad = |what, value, should| Err(Error::Config { what, value, should });
        if !(1..=65_535).contains(&self.datagram) {
            return bad("datagram", self.datagram as u64, "and has to be 1 to 65535 bytes");
        }
        if self.initial_window < 4 * self.datagram || self.initial_window > 1 << 30 {
            let window = self.initial_window as u64;
            return bad("initial_window", window, "and has to be at least four datagrams, at most 1 GiB");
        }
        if self.report_interval < Duration::from_millis(1) || self.report_interval > Duration::from_secs(1) {
            let micros = u64::try_from(self.report_interval.as_micros()).unwrap_or(u64::MAX);
            return bad("report_interval", micros, "and has to be 1 ms to 1 s, in µs");
        }
        if self.min_rate.0 < 1_000 || self.min_rate > self.max_rate {
            return bad("min_rate", self.min_rate.0, "and has to be at least 1 kbit/s and at most max_rate");
        }
        Ok(())
    }
}

/// What a lane's receiver says of what it took. All counters begin with the link and only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The highest link number taken.
    pub largest: u64,
    /// Packets taken, each once.
    pub received_packets: u64,
    /// Their bytes, counted as the sender counts them.
    pub received_bytes: u64,
    /// How long the report waited since `largest` came.
    pub ack_delay: Duration,
    /// The receiver's clock when `largest` came, in microseconds from any origin.
    pub arrival: u64,
}

/// What a report brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether it said anything that was not known: false for copies and for reports that were overtaken.
    pub is_new: bool,
    /// Bytes that were delivered since the last report.
    pub delivered_bytes: u64,
    /// Packets that went missing since the last report. Late ones are taken back in the sum of the estimate, not here.
    pub lost_packets: u64,
    /// The round trip it measured.
    pub rtt: Option<Duration>,
}
