//! How a running node is doing: plain data that `/status.json` carries and `holomesh top` shows.
//!
//! Ids are the short ones: enough to tell peers apart, not enough to pose as one. There are no secrets in here, but there
//! are peers' addresses.
//!
//! A field that a reader does not know is passed over, one that is missing is at its default: nodes and tools of
//! neighbouring versions understand each other.

pub use super::publisher::{StatusSink, StatusSource};

use serde::{Deserialize, Serialize};

/// Rows of links, of streams and of others that a snapshot has at most; how many more there are is said beside them.
pub const MAX_ROWS: usize = 4_096;

/// A node at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The node itself.
    pub node: NodeStatus,
    /// What the process uses.
    pub process: ProcessStatus,
    /// What became of log lines.
    pub log: LogStatus,
    /// What was done since the node started, with those that are gone by now.
    pub totals: Totals,
    /// What goes over all links now.
    pub rates: Rates,
    /// How much is kept of peers.
    pub tables: Tables,
    /// Links that there are.
    pub links: Vec<LinkStatus>,
    /// Links that found no room in `links`.
    pub links_left_out: u64,
    /// Streams that are carried.
    pub streams: Vec<StreamStatus>,
    /// Streams that found no room in `streams`.
    pub streams_left_out: u64,
    /// Others of whom is heard that they feed whoever asks: watchers that lend some of their uplink.
    pub feeders: Vec<FeederStatus>,
    /// Of these, those that found no room in `feeders`.
    pub feeders_left_out: u64,
}

/// The node itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Short key id.
    pub id: String,
    /// `relay`, `host`, `watcher`.
    pub role: String,
    /// The program's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// What it is at.
    pub state: State,
    /// Whether the link to the session's host stands.
    pub host_link: bool,
}

/// What a node is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not ready yet.
    #[default]
    Starting,
    /// Takes links and forwards.
    Serving,
    /// Forwards to those who are there until they have found another parent; takes nobody new.
    Draining,
}

impl State {
    /// Its name, as in the status and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}

/// What the process uses. Zero where the system does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessStatus {
    /// Processor time in the program since the start.
    pub cpu_user_seconds: f64,
    /// Processor time in the kernel on its behalf since the start.
    pub cpu_system_seconds: f64,
    /// In the program, of one core, between the last two samples.
    pub cpu_user_percent: f64,
    /// In the kernel, likewise.
    pub cpu_system_percent: f64,
    /// Resident memory.
    pub memory_bytes: u64,
    /// `limits.memory_mib`; `None` without a limit.
    pub memory_limit_bytes: Option<u64>,
    /// Open file descriptors.
    pub descriptors: u64,
    /// `limits.file_descriptors`.
    pub descriptor_limit: u64,
    /// Whether new links are refused for want of memory or descriptors.
    pub short_of_room: bool,
}

/// What became of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogStatus {
    /// Written.
    pub written: u64,
    /// Dropped since the writer was behind.
    pub dropped: u64,
    /// Lost since the file could not be written: a full disk.
    pub failed: u64,
}

/// Bytes and packets, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// Bytes, hop headers included, what the transport adds left out.
    pub bytes: u64,
    /// Datagrams.
    pub packets: u64,
}

/// Traffic by transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ByTransport {
    /// QUIC datagrams and streams.
    pub quic: Traffic,
    /// UDP lanes.
    pub udp: Traffic,
    /// Links within the process.
    pub memory: Traffic,
}

impl ByTransport {
    /// Each with its name.
    pub const fn each(&self) -> [(&'static str, Traffic); 3] {
        [("quic", self.quic), ("udp", self.udp), ("memory", self.memory)]
    }
}

/// Chunks that were not sent, by what they were or why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drops {
    /// Repair symbols, shed since the subscriber was behind.
    pub repair: u64,
    /// Source symbols of discardable objects, likewise.
    pub discardable: u64,
    /// Source symbols of layers above the base, likewise.
    pub enhancement: u64,
    /// Source symbols of the base layer, likewise.
    pub base: u64,
    /// Left out since what they refer to was left out before, or a key frame or switch point was waited for.
    pub withheld: u64,
    /// Overwritten before a subscriber that stood still had passed them.
    pub overrun: u64,
    /// Refused by the transport for want of room.
    pub overflow: u64,
}

impl Drops {
    /// Each with its name.
    pub const fn each(&self) -> [(&'static str, u64); 7] {
        [
            ("repair", self.repair),
            ("discardable", self.discardable),
            ("enhancement", self.enhancement),
            ("base", self.base),
            ("withheld", self.withheld),
            ("overrun", self.overrun),
            ("overflow", self.overflow),
        ]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.each().into_iter().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }
}

/// Links that were not taken, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refused {
    /// There were as many as the limits allow.
    pub limit: u64,
    /// Memory was short.
    pub memory: u64,
    /// File descriptors were short.
    pub descriptors: u64,
    /// No permit, or none that is good.
    pub permit: u64,
    /// The node was draining.
    pub draining: u64,
    /// The handshake or the hello failed.
    pub handshake: u64,
}

impl Refused {
    /// Each with its name.
    pub const fn each(&self) -> [(&'static str, u64); 6] {
        [
            ("limit", self.limit),
            ("memory", self.memory),
            ("descriptors", self.descriptors),
            ("permit", self.permit),
            ("draining", self.draining),
            ("handshake", self.handshake),
        ]
    }
}

/// Requests of peers that were not carried out, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestsRefused {
    /// More than a link may make.
    pub rate: u64,
    /// A stream that is not carried, or not subscribed to.
    pub subscription: u64,
    /// A stream that the link may not have, or not any more.
    pub permit: u64,
    /// Over a quota or a limit.
    pub quota: u64,
    /// The peer broke the protocol.
    pub protocol: u64,
}

impl RequestsRefused {
    /// Each with its name.
    pub const fn each(&self) -> [(&'static str, u64); 5] {
        [
            ("rate", self.rate),
            ("subscription", self.subscription),
            ("permit", self.permit),
            ("quota", self.quota),
            ("protocol", self.protocol),
        ]
    }

    /// Counts a request that the relay refused.
    pub(crate) const fn count(&mut self, error: &av_relay::Error) {
        let counter = match error {
            av_relay::Error::OverQuota { .. } | av_relay::Error::Full { .. } => &mut self.quota,
            av_relay::Error::NotPermitted { .. } => &mut self.permit,
            error if error.is_peer_fault() => &mut self.protocol,
            _ => &mut self.subscription,
        };
        *counter += 1;
    }
}

/// What was done since the node started. Never goes down while the node runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// What came in.
    pub received: ByTransport,
    /// What went out.
    pub sent: ByTransport,
    /// What was not sent.
    pub drops: Drops,
    /// Links that were taken.
    pub links_accepted: u64,
    /// Links that were not.
    pub links_refused: Refused,
    /// Requests that were not carried out.
    pub requests_refused: RequestsRefused,
    /// Links that were closed because the peer broke the protocol.
    pub peers_blamed: u64,
    /// Times that a quota held something back.
    pub quota_hits: u64,
    /// Chunks that had come before, over another parent.
    pub duplicates: u64,
    /// Chunks that were not taken in: from a link that does not feed the stream, or over quota.
    pub chunks_refused: u64,
    /// Chunks sent again on request.
    pub repaired: u64,
    /// Chunks asked for that were not kept any more.
    pub repair_misses: u64,
    /// Key frames that subscribers asked for.
    pub key_frame_requests: u64,
    /// Requests for key frames that were sent upstream.
    pub key_frame_forwarded: u64,
    /// Subscribers that started with a key frame that was kept.
    pub late_joins: u64,
}

/// How many entries a node's tables have. Nothing of a peer is left in them when all its links are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tables {
    /// Links that are served or feed a stream.
    pub links: u64,
    /// Links that the forwarding part knows: the same ones.
    pub forwarding: u64,
    /// Links without room for what waits for them.
    pub blocked: u64,
    /// Links over which a permit was shown.
    pub permits: u64,
    /// Lanes to children.
    pub lanes_to_children: u64,
    /// Lanes from parents.
    pub lanes_from_parents: u64,
    /// Lanes that were offered to parents and not answered yet.
    pub lane_offers: u64,
    /// Lanes that failed and are offered again later.
    pub lane_retries: u64,
}

/// What goes over all links, between the last two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Bits a second that come in.
    pub in_bits: f64,
    /// Bits a second that go out.
    pub out_bits: f64,
    /// Datagrams a second that come in.
    pub in_packets: f64,
    /// Datagrams a second that go out.
    pub out_packets: f64,
    /// Chunks a second that are not sent.
    pub drops: f64,
}

/// A link.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkStatus {
    /// The node's own number for it, which is never used again.
    pub id: u64,
    /// The peer's short key id.
    pub peer: String,
    /// The peer's role.
    pub role: String,
    /// What media travels on: `quic`, `udp`, `memory`.
    pub transport: String,
    /// Where the peer is now; empty if that is not known.
    pub address: String,
    /// Smoothed round trip in microseconds, once measured.
    pub rtt_micros: Option<u64>,
    /// Part of what was sent that was lost, 0 to 1, once measured.
    pub loss: Option<f64>,
    /// Bits a second that the path delivers, once measured.
    pub delivery_bits: Option<u64>,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
    /// Bytes that wait to be sent.
    pub queue_bytes: u64,
    /// What was not sent.
    pub drops: Drops,
    /// Times that a quota held something back.
    pub quota_hits: u64,
    /// What it gets of the pictures now: the highest layer, as `L2T3`, or how many descriptions, as `1 of 2`; empty if nothing.
    pub takes: String,
    /// What goes over it now.
    pub rates: Rates,
}

/// A stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamStatus {
    /// Short stream id.
    pub id: String,
    /// What is in it, as far as the announcement says: `av1`, `opus`.
    pub codec: String,
    /// The layers in which it is published, as `L3T3`: resolutions and picture rates, or `L1T3Q2` with qualities. Empty if not known.
    pub layers: String,
    /// Of pictures in several descriptions, which of them it is, as `1 of 2`; empty otherwise.
    pub description: String,
    /// Links that subscribe to it.
    pub subscribers: u64,
    /// How many of them get what of it now: the highest first.
    pub taken: Vec<Taken>,
    /// Links that feed it.
    pub upstreams: u64,
    /// What came in.
    pub received: Traffic,
    /// What went out, over all subscribers.
    pub sent: Traffic,
    /// Bytes of recent chunks that are kept.
    pub ring_bytes: u64,
    /// Key frames that were asked for.
    pub key_frame_requests: u64,
    /// What is in and out now.
    pub rates: Rates,
}

/// What some of those get who subscribe to a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taken {
    /// The highest layer, as `L2T3`.
    pub layers: String,
    /// How many get it.
    pub subscribers: u64,
}

/// Somebody of whom is heard that it feeds others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeederStatus {
    /// Its short key id.
    pub peer: String,
    /// `watcher`, or `relay`.
    pub role: String,
    /// Bits a second that it claims it can carry.
    pub claims_bits: u64,
    /// Subscriptions that it claims to have room for.
    pub places: u64,
    /// Whether there is a link to it here.
    pub is_linked: bool,
}

impl Snapshot {
    /// Leaves out what is more than [`MAX_ROWS`], and says how much that was.
    pub(super) fn bound(&mut self) {
        let over = |len: usize| len.saturating_sub(MAX_ROWS) as u64;
        self.links_left_out += over(self.links.len());
        self.streams_left_out += over(self.streams.len());
        self.feeders_left_out += over(self.feeders.len());
        self.links.truncate(MAX_ROWS);
        self.streams.truncate(MAX_ROWS);
        self.feeders.truncate(MAX_ROWS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_of_another_version_is_understood() {
        let text =
            r#"{"node":{"id":"abc","mood":"fine"},"links":[{"peer":"x","rtt_micros":null}],"news":[1]}"#;
        let snapshot: Snapshot = serde_json::from_str(text).unwrap();
        assert_eq!((snapshot.node.id.as_str(), snapshot.links[0].peer.as_str()), ("abc", "x"));
        assert_eq!(snapshot.streams, []);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut snapshot = Snapshot {
            links: vec![LinkStatus::default(); MAX_ROWS + 7],
            feeders: vec![FeederStatus::default(); MAX_ROWS + 2],
            ..Snapshot::default()
        };
        snapshot.bound();
        assert_eq!(
            (snapshot.links.len(), snapshot.links_left_out, snapshot.streams_left_out),
            (MAX_ROWS, 7, 0)
        );
        assert_eq!((snapshot.feeders.len(), snapshot.feeders_left_out), (MAX_ROWS, 2));
    }
}
