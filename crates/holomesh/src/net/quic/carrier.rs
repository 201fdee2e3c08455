//! Media over a QUIC connection: datagrams, and streams for what no datagram holds.

use crate::Error;
use crate::net::carrier::{Carrier, RETRY, Sent, Transport};
use crate::net::connection::Base;
use crate::net::{Loss, LossConfig};
use av_congestion::{LinkEstimate, QuicSample, StatsEstimator};
use av_wire::{AwsLc, HopSender, HopSuite, SealedChunk, TAG_LEN};
use bytes::{Bytes, BytesMut};
use core_types::{BitRate, MonoTime};
use iroh::endpoint::Connection;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Bytes of datagrams that wait inside the connection at most. What does not fit is not handed over.
pub(super) const SEND_BUFFER: usize = 256 << 10;
/// Of the send buffer so much is used however slow the path: a key frame has to fit at once.
const LEAST_QUEUE: usize = 48 << 10;
/// Otherwise as much as the path takes in this time: what waits longer inside the connection could be shed no more.
const QUEUE_TIME: Duration = Duration::from_millis(100);
/// Who had no room is asked again when the path has taken so many bytes, and after this time at most.
const ROOM: u64 = 4 << 10;
const RETRY_MOST: Duration = Duration::from_millis(50);
/// How often the connection's statistics are looked at.
const SAMPLE: Duration = Duration::from_millis(200);
/// Bytes that a datagram is longer than its chunk at most: QUIC seals, so there is no tag of ours.
const GROWTH: usize = HopSender::<AwsLc>::MAX_GROWTH - TAG_LEN;
/// Streams with oversize chunks under way at once on one link, and how long one may take.
const OVERSIZE_STREAMS: usize = 8;
const OVERSIZE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a node's datagrams are put together. Those of some links lie one behind the other; when they have gone out the next ones lie
/// there, and are still in the processor's cache when QUIC seals them.
#[derive(Debug, Clone, Default)]
pub(super) struct Slab(Arc<Mutex<BytesMut>>);

impl Slab {
    /// Fits a cache, and the datagrams of the links that are served in one turn.
    const SIZE: usize = 192 << 10;
    /// What a burst may need.
    const BURST: usize = 16 << 10;

    fn lock(&self) -> MutexGuard<'_, BytesMut> {
        let mut slab = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slab.capacity() < Self::BURST && !slab.try_reclaim(Self::BURST) {
            // Some of it still waits in a connection.
            *slab = BytesMut::with_capacity(Self::SIZE);
        }
        slab
    }
}

/// The datagrams of a QUIC connection.
#[derive(Debug)]
pub(super) struct QuicCarrier {
    connection: Connection,
    hop: HopSender,
    loss: Loss,
    estimator: StatsEstimator,
    sampled: Option<MonoTime>,
    queue: usize,
    /// The largest datagram that the path was seen to take, when that was last looked at.
    largest: usize,
    /// What the connection has room for, if nothing was sent since that was looked at: each look takes its lock.
    space: Option<usize>,
    slab: Slab,
    /// Scratch: where each datagram of a burst ends, and they themselves.
    ends: Vec<usize>,
    datagrams: Vec<Bytes>,
    oversize: Arc<Semaphore>,
}

impl QuicCarrier {
    pub(super) fn new(connection: Connection, loss: LossConfig, slab: Slab) -> Self {
        let largest = connection.max_datagram_size().unwrap_or(0);
        Self {
            connection,
            hop: HopSender::new(HopSuite::TransportSealed),
            loss: Loss::new(loss),
            estimator: StatsEstimator::new(),
            sampled: None,
            queue: SEND_BUFFER,
            largest,
            space: None,
            slab,
            ends: Vec::new(),
            datagrams: Vec::new(),
            oversize: Arc::new(Semaphore::new(OVERSIZE_STREAMS)),
        }
    }

    /// Looks at the connection's statistics, not too often.
    fn sample(&mut self, now: MonoTime) {
        if self.sampled.is_some_and(|last| now.since(last) < SAMPLE) {
            return;
        }
        self.sampled = Some(now);
        self.largest = self.connection.max_datagram_size().unwrap_or(0);
        let paths = self.connection.paths();
        let Some(path) = paths.iter().find(|path| path.is_selected()) else { return };
        let stats = path.stats();
        let sample = QuicSample {
            rtt: stats.rtt,
            window: stats.cwnd,
            sent_packets: stats.sent_packets,
            lost_packets: stats.lost_packets,
            sent_bytes: stats.sent_bytes,
            bandwidth: stats.bandwidth_estimate.map(BitRate),
        };
        self.estimator.on_sample(now, &sample);
        let rate = self.estimator.estimate(now).pacing_rate.0 / 8;
        let queue = rate.saturating_mul(QUEUE_TIME.as_millis() as u64) / 1_000;
        self.queue = usize::try_from(queue).unwrap_or(usize::MAX).clamp(LEAST_QUEUE, SEND_BUFFER);
    }
}

impl Carrier for QuicCarrier {
    fn transport(&self) -> Transport {
        Transport::Quic
    }

    fn max_chunk(&self) -> usize {
        // By the longest header: if only compact ones fitted, the peer would never learn what they stand for.
        self.largest.saturating_sub(GROWTH)
    }

    fn budget(&mut self, now: MonoTime) -> usize {
        self.sample(now);
        let space = self.connection.datagram_send_buffer_space();
        self.space = Some(space);
        self.queue.saturating_sub(SEND_BUFFER.saturating_sub(space))
    }

    fn retry_at(&mut self, now: MonoTime) -> MonoTime {
        now.plus(pause(self.estimator.estimate(now).pacing_rate))
    }

    fn send(&mut self, _now: MonoTime, chunks: &mut dyn Iterator<Item = SealedChunk<'_>>) -> Sent {
        let mut sent = Sent::default();
        let mut slab = self.slab.lock();
        for chunk in chunks {
            match self.hop.seal_by_reference(&chunk) {
                // On the wire, where a link number is lost with it.
                Ok(_) if self.loss.strikes() => sent.lost += 1,
                Ok(parts) => {
                    slab.extend_from_slice(parts.head());
                    slab.extend_from_slice(chunk.body());
                    self.ends.push(slab.len());
                }
                Err(error) => tracing::warn!(%error, "a chunk could not be sent"),
            }
        }
        if self.ends.is_empty() {
            return sent;
        }
        // Shared out only now: a count of owners waits for all that was written before.
        let (mut rest, mut start) = (slab.split().freeze(), 0);
        drop(slab);
        for end in self.ends.drain(..) {
            self.datagrams.push(rest.split_to(end - start));
            start = end;
        }
        let space = self.space.take().unwrap_or_else(|| self.connection.datagram_send_buffer_space());
        let (mut fitting, mut bytes) = (0, 0);
        for datagram in &self.datagrams {
            if bytes + datagram.len() > space {
                break;
            }
            (fitting, bytes) = (fitting + 1, bytes + datagram.len());
        }
        // The connection would drop its oldest datagrams silently to make room.
        sent.overflowed += (self.datagrams.len() - fitting) as u64;
        match self.connection.send_many_datagrams(&self.datagrams[..fitting]) {
            Ok(count) => {
                sent.datagrams += count as u64;
                sent.bytes +=
                    self.datagrams[..count.min(fitting)].iter().map(|d| d.len() as u64).sum::<u64>();
            }
            Err(error) => {
                tracing::trace!(%error, "datagrams were not sent");
                // It may be that the path takes smaller ones only, since a moment ago.
                self.sampled = None;
                sent.overflowed += fitting as u64;
            }
        }
        self.datagrams.clear();
        sent
    }

    fn estimate(&mut self, now: MonoTime) -> LinkEstimate {
        self.sample(now);
        self.estimator.estimate(now)
    }
}

impl Base for QuicCarrier {
    /// On a stream of their own.
    fn send_oversize(&mut self, mut chunks: Vec<Bytes>) -> Sent {
        let before = chunks.len();
        chunks.retain(|_| !self.loss.strikes());
        let mut sent = Sent { lost: (before - chunks.len()) as u64, ..Sent::default() };
        if chunks.is_empty() {
            return sent;
        }
        let Ok(permit) = self.oversize.clone().try_acquire_owned() else {
            sent.overflowed = chunks.len() as u64;
            return sent;
        };
        sent.datagrams = chunks.len() as u64;
        sent.bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let connection = self.connection.clone();
        tokio::spawn(async move {
            let _ = timeout(OVERSIZE_TIMEOUT, write_oversize(connection, chunks)).await;
            drop(permit);
        });
        sent
    }
}

/// How long a path takes for [`ROOM`]: a slow one has none sooner, and whoever asks does much for it.
fn pause(rate: BitRate) -> Duration {
    match rate.0 {
        0 => RETRY,
        bits => Duration::from_micros(ROOM * 8 * 1_000_000 / bits).clamp(RETRY, RETRY_MOST),
    }
}

/// Chunks too large for a datagram, each with a u32 length in front, on a stream of their own.
async fn write_oversize(connection: Connection, chunks: Vec<Bytes>) -> Result<(), Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Network(e.to_string());
    let mut stream = connection.open_uni().await.map_err(|e| failed(&e))?;
    for chunk in chunks {
        stream.write_all(&(chunk.len() as u32).to_be_bytes()).await.map_err(|e| failed(&e))?;
        stream.write_all(&chunk).await.map_err(|e| failed(&e))?;
    }
    stream.finish().map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_path_is_asked_less_often_whether_it_has_room() {
        let pauses = [0, 300, 1_000, 4_000, 100_000].map(|kbit| pause(BitRate::from_kbit(kbit)).as_millis());
        assert_eq!(pauses, [5, 50, 32, 8, 5]);
    }
}
