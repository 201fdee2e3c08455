//! The configuration in the terms of the relay's state machine.

use super::Config;
use av_relay::{Limits, Quota};
use core_types::BitRate;

/// Chunks are rarely shorter: from the bytes of a ring to the chunks that it may hold.
const SHORT_CHUNK: usize = 256;

impl Config {
    /// Bounds on all that peers can grow, the quota of an identity among them.
    pub fn relay_limits(&self) -> Limits {
        let (limits, quotas) = (&self.limits, &self.quotas);
        Limits {
            streams: limits.streams,
            links: limits.links,
            subscribers_per_stream: limits.subscribers,
            ring_bytes: limits.ring_bytes,
            ring_chunks: limits.ring_bytes / SHORT_CHUNK,
            backlog_bytes: limits.backlog_bytes as u64,
            backlog_age: limits.backlog_age,
            permits_required: self.permits_required,
            identity_quota: Quota {
                bytes_per_second: bytes(quotas.identity_rate),
                packets_per_second: packets(quotas.identity_packets),
                streams: quotas.identity_streams,
                subscribers: quotas.identity_links,
            },
            ..Limits::default()
        }
    }

    /// What one link may have.
    pub fn link_quota(&self) -> Quota {
        Quota {
            bytes_per_second: bytes(self.quotas.link_rate),
            packets_per_second: packets(self.quotas.link_packets),
            streams: self.quotas.link_streams,
            ..Quota::UNLIMITED
        }
    }

    /// What one stream may bring in.
    pub fn stream_quota(&self) -> Quota {
        Quota {
            bytes_per_second: bytes(self.quotas.stream_rate),
            packets_per_second: packets(self.quotas.stream_packets),
            ..Quota::UNLIMITED
        }
    }
}

fn bytes(rate: Option<BitRate>) -> u64 {
    rate.map_or(u64::MAX, |rate| rate.0 / 8)
}

fn packets(each_second: Option<u32>) -> u64 {
    each_second.map_or(u64::MAX, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_reaches_the_relay() {
        let mut config = Config::default();
        config.limits.streams = 1;
        config.limits.links = 2;
        config.limits.subscribers = 3;
        config.limits.ring_bytes = 4 << 20;
        config.limits.backlog_bytes = 5;
        config.limits.backlog_age = std::time::Duration::from_millis(6);
        config.permits_required = false;
        config.quotas.identity_rate = Some(BitRate::from_kbit(8));
        config.quotas.identity_packets = Some(7);
        config.quotas.identity_streams = 8;
        config.quotas.identity_links = 9;
        config.quotas.link_rate = Some(BitRate::from_kbit(16));
        config.quotas.link_packets = Some(10);
        config.quotas.link_streams = 11;
        config.quotas.stream_rate = Some(BitRate::from_kbit(24));
        config.quotas.stream_packets = None;
        let limits = config.relay_limits();
        assert_eq!((limits.streams, limits.links, limits.subscribers_per_stream), (1, 2, 3));
        assert_eq!((limits.ring_bytes, limits.ring_chunks, limits.backlog_bytes), (4 << 20, 16_384, 5));
        assert_eq!((limits.backlog_age.as_millis(), limits.permits_required), (6, false));
        let identity = Quota { bytes_per_second: 1_000, packets_per_second: 7, streams: 8, subscribers: 9 };
        assert_eq!(limits.identity_quota, identity);
        let link =
            Quota { bytes_per_second: 2_000, packets_per_second: 10, streams: 11, subscribers: usize::MAX };
        assert_eq!(config.link_quota(), link);
        assert_eq!(config.stream_quota(), Quota { bytes_per_second: 3_000, ..Quota::UNLIMITED });
    }
}
