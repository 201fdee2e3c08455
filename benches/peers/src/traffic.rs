//! What goes through a relay, and what is made of it at the other end.
//!
//! A burst is ten packets of 1,100 bytes, each with the time at which its burst was sent and a number in front.

use crate::added::Quantiles;
use anyhow::{Result, ensure};
use bytes::{Bytes, BytesMut};
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a packet: what is counted as forwarded.
pub(crate) const PAYLOAD: usize = 1_100;
/// Packets sent together.
pub(crate) const BURST: usize = 10;
const STAMP: usize = 12;
/// How long a publisher goes on after the window, so that what relays batch by count does not stay behind.
pub(crate) const TAIL: Duration = Duration::from_millis(300);
/// How long subscribers wait for what is under way.
pub(crate) const DRAIN: Duration = Duration::from_millis(1_000);

/// A moment, in nanoseconds of the system's clock: the one that the kernel stamps received packets with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(pub(crate) u64);

impl Moment {
    pub(crate) fn now() -> Self {
        Self::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    pub(crate) const fn plus(self, time: Duration) -> Self {
        Self(self.0 + time.as_nanos() as u64)
    }

    /// Zero if it is over.
    pub(crate) fn left(self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(Self::now().0))
    }

    pub(crate) fn wait(self) -> Result<()> {
        let at = Duration::from_nanos(self.0).into();
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        while Self::now() < self {
            match clock_nanosleep(ClockId::CLOCK_REALTIME, flags, &at) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl From<Duration> for Moment {
    fn from(since_epoch: Duration) -> Self {
        Self(since_epoch.as_nanos() as u64)
    }
}

/// The part of a run that is measured: packets sent in it count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) from: Moment,
    pub(crate) until: Moment,
}

impl Window {
    pub(crate) fn holds(self, at: Moment) -> bool {
        self.from <= at && at < self.until
    }

    pub(crate) const fn publisher_ends(self) -> Moment {
        self.until.plus(TAIL)
    }

    pub(crate) const fn subscriber_ends(self) -> Moment {
        self.publisher_ends().plus(DRAIN)
    }
}

/// Bursts at an even rate.
#[derive(Debug)]
pub(crate) struct Bursts {
    window: Window,
    next: Moment,
    interval: Duration,
    number: u32,
    bytes: Vec<u8>,
    sent: u64,
}

/// What a publisher says in the end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Packets sent in the window.
    pub(crate) packets: u64,
}

impl Bursts {
    /// `rate` is in bits a second of payload.
    pub(crate) fn new(window: Window, rate: u64) -> Result<Self> {
        ensure!((1_000..=10_000_000_000).contains(&rate), "a rate of {rate} bit/s makes no sense here");
        let interval = Duration::from_nanos((BURST * PAYLOAD) as u64 * 8 * 1_000_000_000 / rate);
        // Bytes that do not compress, should anything try.
        let mut state = 1u32;
        let bytes = (0..BURST * PAYLOAD).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Ok(Self { window, next: Moment::now(), interval, number: 0, bytes: bytes.collect(), sent: 0 })
    }

    /// When the next is due; nothing when all were sent.
    pub(crate) fn due(&self) -> Option<Moment> {
        (Moment::now() < self.window.publisher_ends()).then_some(self.next)
    }

    /// The next, stamped with the time now. What could not be sent for half a second is skipped, not caught up with.
    pub(crate) fn next(&mut self) -> &[u8] {
        let now = Moment::now();
        for packet in self.bytes.chunks_exact_mut(PAYLOAD) {
            packet[..8].copy_from_slice(&now.0.to_le_bytes());
            packet[8..STAMP].copy_from_slice(&self.number.to_le_bytes());
            self.number = self.number.wrapping_add(1);
        }
        if self.window.holds(now) {
            self.sent += BURST as u64;
        }
        self.next = self.next.plus(self.interval);
        if self.next.plus(Duration::from_millis(500)) < now {
            self.next = now;
        }
        &self.bytes
    }

    /// As [`next`](Self::next), one buffer a packet, all from one allocation.
    pub(crate) fn next_packets(&mut self) -> Vec<Bytes> {
        let mut whole = BytesMut::from(self.next()).freeze();
        (0..BURST).map(|_| whole.split_to(PAYLOAD)).collect()
    }

    pub(crate) const fn sent(&self) -> Sent {
        Sent { packets: self.sent }
    }

    /// Publishes with blocking calls until the window is over.
    pub(crate) fn publish(mut self, mut send: impl FnMut(&[u8]) -> Result<()>) -> Result<Sent> {
        while let Some(due) = self.due() {
            due.wait()?;
            send(self.next())?;
        }
        Ok(self.sent())
    }

    /// Publishes from a task until the window is over.
    pub(crate) async fn publish_async(
        mut self,
        mut send: impl AsyncFnMut(Vec<Bytes>) -> Result<()>,
    ) -> Result<Sent> {
        while let Some(due) = self.due() {
            tokio::time::sleep(due.left()).await;
            send(self.next_packets()).await?;
        }
        Ok(self.sent())
    }
}

/// When the packet's burst was sent. Nothing if it is none of ours.
pub(crate) fn sent_at(packet: &[u8]) -> Option<Moment> {
    let stamp = packet.first_chunk().filter(|_| packet.len() == PAYLOAD)?;
    Some(Moment(u64::from_le_bytes(*stamp)))
}

/// The packet's number.
pub(crate) fn number_of(packet: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(packet.get(8..STAMP)?.try_into().ok()?))
}

/// Where received packets were stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stamped {
    /// When the kernel took it in.
    Kernel,
    /// When the subscriber's program had it in hands, decrypted.
    Program,
}

/// What subscribers got.
#[derive(Debug)]
pub(crate) struct Tally {
    window: Window,
    stamped: Stamped,
    packets: u64,
    /// How many took so many microseconds; the last stands for all that took longer.
    micros: Vec<u32>,
}

/// What subscribers say in the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Packets of the window, over all subscribers.
    pub(crate) packets: u64,
    pub(crate) latency_us: Quantiles,
    /// What the relay added, where that was measured.
    pub(crate) added_latency_us: Option<Quantiles>,
    pub(crate) stamped: Stamped,
}

impl Tally {
    pub(crate) fn new(window: Window, stamped: Stamped) -> Self {
        Self { window, stamped, packets: 0, micros: vec![0; 1 << 18] }
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// Takes one packet that came at `at`. Others than ours are passed over.
    pub(crate) fn record(&mut self, packet: &[u8], at: Moment) {
        let Some(sent) = sent_at(packet) else { return };
        if self.window.holds(sent) {
            self.packets += 1;
            let micros = at.0.saturating_sub(sent.0) / 1_000;
            let last = self.micros.len() - 1;
            self.micros[last.min(micros as usize)] += 1;
        }
    }

    pub(crate) fn received(&self) -> Received {
        Received {
            packets: self.packets,
            latency_us: Quantiles { p50: self.quantile(0.5), p99: self.quantile(0.99) },
            added_latency_us: None,
            stamped: self.stamped,
        }
    }

    fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.packets as f64 * share).ceil() as u64;
        let mut seen = 0;
        let found = self.micros.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        });
        found.unwrap_or_default() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from: Moment(1_000), until: Moment(1_000_000_000) };

    fn packet(sent: u64) -> Vec<u8> {
        let mut packet = vec![0; PAYLOAD];
        packet[..8].copy_from_slice(&sent.to_le_bytes());
        packet
    }

    #[test]
    fn only_whole_packets_sent_in_the_window_count() {
        let mut tally = Tally::new(WINDOW, Stamped::Kernel);
        for sent in [999, 1_000, 999_999_999, 1_000_000_000] {
            tally.record(&packet(sent), Moment(2_000_000_000));
        }
        tally.record(&packet(1_000)[..PAYLOAD - 1], Moment(2_000));
        assert_eq!(tally.received().packets, 2);
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_latencies() {
        let mut tally = Tally::new(WINDOW, Stamped::Kernel);
        for micros in 1..=100 {
            tally.record(&packet(1_000), Moment(1_000 + micros * 1_000));
        }
        tally.record(&packet(1_000), Moment(u64::MAX));
        let received = tally.received();
        assert_eq!((received.packets, received.latency_us), (101, Quantiles { p50: 51, p99: 100 }));
    }

    #[test]
    fn a_publisher_counts_what_it_stamped_in_the_window() {
        let now = Moment::now();
        let window = Window { from: now, until: now.plus(Duration::from_secs(100)) };
        let mut bursts = Bursts::new(window, 2_500_000).unwrap();
        let mut tally = Tally::new(window, Stamped::Program);
        for packet in bursts.next_packets() {
            tally.record(&packet, Moment::now());
        }
        assert_eq!((bursts.sent().packets, tally.received().packets), (10, 10));
        assert_eq!(bursts.interval, Duration::from_micros(35_200));
    }
}
