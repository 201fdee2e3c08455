//! Media over a path of the network.

use super::Shared;
use super::connection::MemoryConnection;
use super::end::{EndId, Segment};
use super::envelope;
use crate::net::carrier::{Carrier, RETRY, Sent, Transport};
use crate::net::connection::Base;
use crate::net::{Loss, LossConfig};
use av_congestion::{LinkEstimate, QuicSample, StatsEstimator};
use av_wire::{AwsLc, HEADER_LEN, HopSender, HopSuite, SealedChunk, TAG_LEN};
use bytes::Bytes;
use core_types::MonoTime;
use netsim::UNLIMITED;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The largest datagram, whatever the path carries: what an Ethernet frame holds over IPv6.
const MAX_DATAGRAM: usize = 1_452;
/// How often it is looked what the path is like. A smaller MTU takes datagrams for so long.
const SAMPLE: Duration = Duration::from_millis(200);
/// The same bounds of what may wait at the bottleneck as with QUIC: what the path takes in this time, no less than a key
/// frame, no more than that.
const QUEUE_TIME: Duration = Duration::from_millis(100);
const LEAST_QUEUE: usize = 48 << 10;
const MOST_QUEUE: usize = 256 << 10;
/// Bytes a second of a path without a bottleneck.
const NO_BOTTLENECK: u64 = 125_000_000;
/// Bytes that a datagram is longer than its chunk at most.
const GROWTH: usize = envelope::LEN + HopSender::<AwsLc>::MAX_GROWTH - TAG_LEN;

/// Sends over the path of a link.
#[derive(Debug)]
pub(super) struct MemoryCarrier {
    network: Arc<Shared>,
    end: EndId,
    secret: Arc<Zeroizing<[u8; 32]>>,
    hop: HopSender,
    loss: Loss,
    estimator: StatsEstimator,
    sampled: Option<MonoTime>,
    mtu: usize,
}

impl MemoryCarrier {
    pub(super) fn new(network: Arc<Shared>, connection: &MemoryConnection, loss: LossConfig) -> Self {
        let mut carrier = Self {
            network,
            end: connection.end(),
            secret: connection.secret().clone(),
            hop: HopSender::new(HopSuite::TransportSealed),
            loss: Loss::new(loss),
            estimator: StatsEstimator::new(),
            sampled: None,
            mtu: MAX_DATAGRAM,
        };
        carrier.look();
        carrier
    }

    /// What the path is like now: there is nothing to be measured that the network does not know.
    fn look(&mut self) -> Option<QuicSample> {
        let now = self.network.now();
        let state = self.network.lock();
        let (here, there) = state.way(self.end)?;
        let model = state.paths.model(here, there);
        self.mtu = model.mtu.at(now).min(MAX_DATAGRAM);
        let back = state.paths.model(there, here).delay;
        let rtt =
            (model.delay + back).max(Duration::from_millis(1)) + state.paths.queue_delay(now, here, there);
        let counters = state.paths.counters(here, there)?;
        let bandwidth = model.bandwidth.at(now);
        let rate = bytes_per_second(bandwidth);
        Some(QuicSample {
            rtt,
            window: rate.saturating_mul(rtt.as_micros() as u64) / 1_000_000,
            sent_packets: counters.sent,
            lost_packets: counters.lost(),
            sent_bytes: counters.sent_bytes,
            bandwidth: (bandwidth != UNLIMITED).then_some(bandwidth),
        })
    }

    fn sample(&mut self, now: MonoTime) {
        if self.sampled.is_none_or(|last| now.since(last) >= SAMPLE) {
            self.sampled = Some(now);
            if let Some(sample) = self.look() {
                self.estimator.on_sample(now, &sample);
            }
        }
    }
}

fn bytes_per_second(bandwidth: core_types::BitRate) -> u64 {
    if bandwidth == UNLIMITED { NO_BOTTLENECK } else { bandwidth.0 / 8 }
}

impl Carrier for MemoryCarrier {
    fn transport(&self) -> Transport {
        Transport::Memory
    }

    fn max_chunk(&self) -> usize {
        self.mtu.saturating_sub(GROWTH)
    }

    fn budget(&mut self, now: MonoTime) -> usize {
        self.sample(now);
        let now = self.network.now();
        let mut state = self.network.lock();
        let Some((here, there)) = state.way(self.end) else { return 0 };
        let model = state.paths.model(here, there);
        let rate = bytes_per_second(model.bandwidth.at(now));
        let takes = rate.saturating_mul(QUEUE_TIME.as_millis() as u64) / 1_000;
        let most =
            usize::try_from(takes).unwrap_or(usize::MAX).clamp(LEAST_QUEUE, MOST_QUEUE).min(model.queue);
        most.saturating_sub(state.paths.queue_bytes(now, here, there))
    }

    fn retry_at(&mut self, now: MonoTime) -> MonoTime {
        now.plus(RETRY)
    }

    fn send(&mut self, _now: MonoTime, chunks: &mut dyn Iterator<Item = SealedChunk<'_>>) -> Sent {
        let mut sent = Sent::default();
        let mut datagrams = Vec::new();
        let mut buffer = Vec::new();
        for chunk in chunks {
            buffer.resize(HEADER_LEN + chunk.body().len() + HopSender::<AwsLc>::MAX_GROWTH, 0);
            match self.hop.seal_into(&chunk, &mut buffer) {
                Ok(_) if self.loss.strikes() => sent.lost += 1,
                Ok(len) => {
                    sent.datagrams += 1;
                    sent.bytes += len as u64;
                    datagrams.push(envelope::seal(&self.secret, self.end.other(), &buffer[..len]));
                }
                Err(error) => tracing::warn!(%error, "a chunk could not be sent"),
            }
        }
        self.network.change(|state, now| state.send(now, self.end, datagrams));
        sent
    }

    fn estimate(&mut self, now: MonoTime) -> LinkEstimate {
        self.sample(now);
        self.estimator.estimate(now)
    }
}

impl Base for MemoryCarrier {
    fn send_oversize(&mut self, mut chunks: Vec<Bytes>) -> Sent {
        let before = chunks.len();
        chunks.retain(|_| !self.loss.strikes());
        let sent = Sent {
            datagrams: chunks.len() as u64,
            bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            lost: (before - chunks.len()) as u64,
            overflowed: 0,
        };
        self.network.change(|state, now| state.push(now, self.end, Segment::Large(chunks)));
        sent
    }
}
