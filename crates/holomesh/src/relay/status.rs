//! How a relay is doing, for metrics and for `holomesh top`.

use super::core::RelayCore;
use crate::net::{Lanes, Link, Sent, Transport};
use crate::service::status::{
    ByTransport, Drops, LinkStatus, Snapshot, StreamStatus, Tables, Totals, Traffic,
};
use av_relay::Stats;
use core_types::MonoTime;

/// What goes on with links that are gone by now.
#[derive(Debug, Default)]
pub(super) struct Past {
    received: ByTransport,
    sent: ByTransport,
    overflow: u64,
}

impl Past {
    /// Keeps the counts of a link that goes.
    pub(super) fn add(&mut self, link: &Link, received: ByTransport) {
        let (quic, lane) = link.sent();
        add(&mut self.sent.quic, traffic(quic));
        add(&mut self.sent.udp, traffic(lane));
        add(&mut self.received.quic, received.quic);
        add(&mut self.received.udp, received.udp);
        self.overflow += quic.overflowed + lane.overflowed;
    }
}

impl RelayCore {
    /// What this part of the node knows of itself.
    pub(super) fn snapshot(&mut self, now: MonoTime) -> Snapshot {
        let mut links = Vec::new();
        let mut totals = self.totals();
        for (id, served) in &mut self.links {
            let estimate = served.link.estimate(now);
            let (quic, lane) = served.link.sent();
            add(&mut totals.sent.quic, traffic(quic));
            add(&mut totals.sent.udp, traffic(lane));
            add(&mut totals.received.quic, served.received.quic);
            add(&mut totals.received.udp, served.received.udp);
            let overflow = quic.overflowed + lane.overflowed;
            totals.drops.overflow += overflow;
            let stats = self.relay.link_stats(*id).unwrap_or_default();
            let measured = !estimate.smoothed_rtt.is_zero();
            links.push(LinkStatus {
                id: id.0,
                peer: served.link.peer.key_id().short(),
                role: format!("{:?}", served.link.peer.role).to_lowercase(),
                transport: media_over(&self.lanes, &served.link).name().into(),
                address: served.link.remote_address().map(|address| address.to_string()).unwrap_or_default(),
                rtt_micros: measured.then(|| micros(estimate.smoothed_rtt)),
                loss: estimate.loss_permille.map(|permille| f64::from(permille) / 1_000.0),
                delivery_bits: (estimate.delivery_rate.0 > 0).then_some(estimate.delivery_rate.0),
                received: sum(served.received.quic, served.received.udp),
                sent: sum(traffic(quic), traffic(lane)),
                queue_bytes: self.relay.backlog_bytes(*id),
                drops: drops(&stats, overflow),
                quota_hits: stats.quota_hits,
                ..LinkStatus::default()
            });
        }
        let streams = self.relay.streams().map(|id| {
            let stats = self.relay.stream_stats(id).unwrap_or_default();
            StreamStatus {
                id: id.short(),
                codec: self
                    .codecs
                    .get(&id)
                    .map(|codec| format!("{codec:?}").to_lowercase())
                    .unwrap_or_default(),
                subscribers: self.relay.subscribers(id) as u64,
                upstreams: self.links.keys().filter(|link| self.relay.is_upstream(id, **link)).count() as u64,
                received: Traffic { bytes: stats.bytes_in, packets: stats.chunks_in },
                sent: Traffic { bytes: stats.bytes_out, packets: stats.chunks_out },
                ring_bytes: self.relay.stream_ring_bytes(id) as u64,
                key_frame_requests: stats.key_frame_requests,
                ..StreamStatus::default()
            }
        });
        let streams = streams.collect();
        Snapshot { totals, links, streams, tables: self.tables(), ..Snapshot::default() }
    }

    fn tables(&self) -> Tables {
        let (children, parents) = self.lanes.kept();
        Tables {
            links: self.links.len() as u64,
            forwarding: self.relay.links().count() as u64,
            blocked: self.blocked.len() as u64,
            lanes_to_children: children.lanes as u64,
            lanes_from_parents: parents.lanes as u64,
            lane_offers: (children.offers + parents.offers) as u64,
            lane_retries: (children.retries + parents.retries) as u64,
            ..Tables::default()
        }
    }

    fn totals(&self) -> Totals {
        let stats = self.relay.stats();
        Totals {
            received: self.past.received,
            sent: self.past.sent,
            drops: drops(&stats, self.past.overflow),
            links_accepted: self.accepted,
            links_refused: self.refused,
            requests_refused: self.requests_refused,
            peers_blamed: self.blamed,
            quota_hits: stats.quota_hits,
            duplicates: stats.duplicates,
            chunks_refused: stats.refused + stats.cut,
            repaired: stats.repaired,
            repair_misses: stats.repair_misses,
            key_frame_requests: stats.key_frame_requests,
            key_frame_forwarded: stats.key_frame_forwarded,
            late_joins: stats.late_joins,
        }
    }
}

fn drops(stats: &Stats, overflow: u64) -> Drops {
    Drops {
        repair: stats.shed.repair,
        discardable: stats.shed.discardable,
        enhancement: stats.shed.enhancement,
        base: stats.shed.base,
        withheld: stats.withheld,
        overrun: stats.overrun,
        overflow,
    }
}

const fn traffic(sent: Sent) -> Traffic {
    Traffic { bytes: sent.bytes, packets: sent.datagrams }
}

const fn add(to: &mut Traffic, more: Traffic) {
    to.bytes += more.bytes;
    to.packets += more.packets;
}

const fn sum(a: Traffic, b: Traffic) -> Traffic {
    Traffic { bytes: a.bytes + b.bytes, packets: a.packets + b.packets }
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What the media of a link travel on, in whichever direction.
fn media_over(lanes: &Lanes, link: &Link) -> Transport {
    if lanes.has_parent(link.id) { Transport::Udp } else { link.transport() }
}

/// Counts what came over a transport.
pub(super) const fn count(received: &mut ByTransport, over: Transport, bytes: u64, packets: u64) {
    let traffic = match over {
        Transport::Quic => &mut received.quic,
        Transport::Udp => &mut received.udp,
        Transport::Memory => &mut received.memory,
    };
    add(traffic, Traffic { bytes, packets });
}
