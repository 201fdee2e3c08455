//! How a relay is doing, for metrics and for `holomesh top`.

use super::core::RelayCore;
use crate::descriptions;
use crate::mesh::Mesh;
use crate::net::{Lanes, Link, Sent, Transport};
use crate::service::status::{
    ByTransport, Drops, FeederStatus, LinkStatus, Snapshot, StreamStatus, Tables, Taken, Totals, Traffic,
};
use av_relay::Stats;
use av_wire::StreamAnnounce;
use codec_mdc::Description;
use core_types::{BitRate, CodecId, KeyId, Layer, MonoTime, StreamId};
use peer_gossip::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// What the publisher has said of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    layers: Layer,
    description: Option<Description>,
}

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
    /// What the publisher has said of a stream that is carried: for who looks at how the node is doing.
    pub(super) fn announced(&mut self, stream: StreamId, announce: &StreamAnnounce) {
        // One whose label names no description is carried like any other.
        let description = descriptions::of_stream(announce).ok().flatten();
        self.announced.insert(stream, Announced { layers: announce.layers, description });
    }

    /// What this part of the node knows of itself.
    pub(super) fn snapshot(&mut self, now: MonoTime) -> Snapshot {
        let mut links = Vec::new();
        let mut totals = self.totals();
        let mut taken: BTreeMap<StreamId, BTreeMap<(u8, u8, u8), u64>> = BTreeMap::new();
        for (id, served) in &mut self.links {
            let estimate = served.link.estimate(now);
            let mut got = Got::default();
            for (stream, codec) in &self.codecs {
                let Some(layer) = self.relay.effective_layer(*id, *stream) else { continue };
                *taken.entry(*stream).or_default().entry(height(layer)).or_default() += 1;
                got.add(layer, *codec, self.announced.get(stream));
            }
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
                takes: got.name(),
                ..LinkStatus::default()
            });
        }
        let streams = self.relay.streams().map(|id| {
            let stats = self.relay.stream_stats(id).unwrap_or_default();
            let announced = self.announced.get(&id);
            let gets = taken.remove(&id).unwrap_or_default();
            StreamStatus {
                id: id.short(),
                codec: self
                    .codecs
                    .get(&id)
                    .map(|codec| format!("{codec:?}").to_lowercase())
                    .unwrap_or_default(),
                layers: announced.map(|announced| layers_name(announced.layers)).unwrap_or_default(),
                description: announced
                    .and_then(|announced| announced.description)
                    .map(|one| format!("{} of {}", one.index() + 1, one.of().count()))
                    .unwrap_or_default(),
                subscribers: self.relay.subscribers(id) as u64,
                taken: taken_names(&gets),
                upstreams: self.links.keys().filter(|link| self.relay.is_upstream(id, **link)).count() as u64,
                received: Traffic { bytes: stats.bytes_in, packets: stats.chunks_in },
                sent: Traffic { bytes: stats.bytes_out, packets: stats.chunks_out },
                ring_bytes: self.relay.stream_ring_bytes(id) as u64,
                key_frame_requests: stats.key_frame_requests,
                ..StreamStatus::default()
            }
        });
        let streams = streams.collect();
        let feeders = self.feeders();
        Snapshot { totals, links, streams, feeders, tables: self.tables(), ..Snapshot::default() }
    }

    /// Those of whom is heard that they feed others.
    fn feeders(&self) -> Vec<FeederStatus> {
        let linked: BTreeSet<KeyId> = self.links.values().map(|served| served.link.peer.key_id()).collect();
        let known = self.mesh.as_ref().map(Mesh::known).unwrap_or_default();
        let feeder = |(key, kind, claims, places): (KeyId, Kind, BitRate, u16)| FeederStatus {
            peer: key.short(),
            role: match kind {
                Kind::Relay => "relay",
                Kind::Watcher => "watcher",
            }
            .into(),
            claims_bits: claims.0,
            places: places.into(),
            is_linked: linked.contains(&key),
        };
        known.into_iter().map(feeder).collect()
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

/// What a link gets of the pictures.
#[derive(Debug, Default)]
struct Got {
    layer: Option<Layer>,
    /// Of so many descriptions, so many.
    descriptions: Option<(usize, usize)>,
}

impl Got {
    fn add(&mut self, layer: Layer, codec: CodecId, announced: Option<&Announced>) {
        match announced.and_then(|announced| announced.description) {
            Some(one) => {
                let (_, count) = self.descriptions.unwrap_or_default();
                self.descriptions = Some((one.of().count(), count + 1));
            }
            None if codec == CodecId::Av1 => {
                let higher = self.layer.filter(|known| height(*known) > height(layer));
                self.layer = Some(higher.unwrap_or(layer));
            }
            None => {}
        }
    }

    fn name(&self) -> String {
        match (self.descriptions, self.layer) {
            (Some((of, count)), _) => format!("{count} of {of}"),
            (None, layer) => layer.map(layers_name).unwrap_or_default(),
        }
    }
}

/// Of layers the one that comes last is shed first.
const fn height(layer: Layer) -> (u8, u8, u8) {
    (layer.spatial, layer.quality, layer.temporal)
}

/// All layers up to this one, as they are called: `L3T3`, and `Q2` where there are qualities.
fn layers_name(Layer { spatial, temporal, quality }: Layer) -> String {
    let count = |highest: u8| u16::from(highest) + 1;
    let name = format!("L{}T{}", count(spatial), count(temporal));
    if quality > 0 { format!("{name}Q{}", count(quality)) } else { name }
}

fn taken_names(gets: &BTreeMap<(u8, u8, u8), u64>) -> Vec<Taken> {
    let taken = |(&(spatial, quality, temporal), &subscribers): (&(u8, u8, u8), &u64)| Taken {
        layers: layers_name(Layer { spatial, temporal, quality }),
        subscribers,
    };
    gets.iter().rev().map(taken).collect()
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
