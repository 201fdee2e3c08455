//! What a node's metrics are. No label names a peer, a link or a stream: what a monitoring system stores for a node must
//! not grow with those who come and go, and who they are is not its business. `holomesh top` shows them one by one.

use super::exposition::{Kind, Page};
use crate::service::status::{ByTransport, Snapshot, State, StreamStatus};

/// The page for a snapshot.
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut page = Page::default();
    node(&mut page, snapshot);
    process(&mut page, snapshot);
    links(&mut page, snapshot);
    traffic(&mut page, snapshot);
    streams(&mut page, snapshot);
    feeders(&mut page, snapshot);
    page.finish()
}

fn node(page: &mut Page, snapshot: &Snapshot) {
    let node = &snapshot.node;
    let labels = [("version", node.version.as_str()), ("role", &node.role), ("id", &node.id)];
    page.info("holomesh_info", "The node's version, role and short key id.", &labels);
    let states = [State::Starting, State::Serving, State::Draining];
    let states = states.map(|state| (state.name(), flag(state == node.state)));
    page.each(Kind::Gauge, "holomesh_state", "1 for what the node is at.", "state", states);
    let help = "1 if the link to the session's host stands.";
    page.one(Kind::Gauge, "holomesh_host_link_up", help, flag(node.host_link));
    page.one(Kind::Gauge, "holomesh_uptime_seconds", "Since the start.", count(node.uptime_seconds));
}

fn process(page: &mut Page, snapshot: &Snapshot) {
    let process = &snapshot.process;
    // The names that Prometheus' own libraries use for every program.
    let cpu = process.cpu_user_seconds + process.cpu_system_seconds;
    page.one(Kind::Counter, "process_cpu_seconds_total", "Processor time, user and system.", cpu);
    let modes = [("user", process.cpu_user_seconds), ("system", process.cpu_system_seconds)];
    let help = "Processor time by mode.";
    page.each(Kind::Counter, "holomesh_cpu_seconds_total", help, "mode", modes);
    let memory = count(process.memory_bytes);
    page.one(Kind::Gauge, "process_resident_memory_bytes", "Resident memory.", memory);
    page.one(Kind::Gauge, "process_open_fds", "Open file descriptors.", count(process.descriptors));
    let help = "File descriptors that the configuration allows.";
    page.one(Kind::Gauge, "process_max_fds", help, count(process.descriptor_limit));
    if let Some(limit) = process.memory_limit_bytes {
        let help = "Memory that the configuration allows.";
        page.one(Kind::Gauge, "holomesh_memory_limit_bytes", help, count(limit));
    }
    let help = "1 while new links are refused for want of memory or file descriptors.";
    page.one(Kind::Gauge, "holomesh_short_of_room", help, flag(process.short_of_room));
    let log = snapshot.log;
    let lines = [("written", log.written), ("dropped", log.dropped), ("failed", log.failed)];
    let help = "Log lines by what became of them.";
    page.each(Kind::Counter, "holomesh_log_lines_total", help, "outcome", lines.map(counted));
}

fn links(page: &mut Page, snapshot: &Snapshot) {
    let by_transport = ["quic", "udp", "memory"].map(|transport| {
        let links = snapshot.links.iter().filter(|link| link.transport == transport);
        (transport, links.count() as f64)
    });
    page.each(Kind::Gauge, "holomesh_links", "Links by what media travels on.", "transport", by_transport);
    let totals = &snapshot.totals;
    let accepted = count(totals.links_accepted);
    page.one(Kind::Counter, "holomesh_links_accepted_total", "Links that were taken.", accepted);
    let refused = totals.links_refused.each().map(counted);
    let help = "Links that were not taken, by why.";
    page.each(Kind::Counter, "holomesh_links_refused_total", help, "reason", refused);
    let help = "Requests of peers that were not carried out, by why.";
    let refused = totals.requests_refused.each().map(counted);
    page.each(Kind::Counter, "holomesh_requests_refused_total", help, "reason", refused);
    let help = "Links that were closed because the peer broke the protocol.";
    page.one(Kind::Counter, "holomesh_peers_blamed_total", help, count(totals.peers_blamed));
    let rtt = snapshot.links.iter().filter_map(|link| link.rtt_micros);
    let rtt = quantiles(rtt.map(|micros| micros as f64 / 1e6).collect());
    let help = "Round trip, over the links that there are: half and nine tenths of them are below, and the greatest.";
    page.each(Kind::Gauge, "holomesh_link_rtt_seconds", help, "quantile", rtt);
    let loss = quantiles(snapshot.links.iter().filter_map(|link| link.loss).collect());
    let help = "Part of what was sent that was lost, over the links that there are, likewise.";
    page.each(Kind::Gauge, "holomesh_link_loss_ratio", help, "quantile", loss);
    let queues = snapshot.links.iter().fold(0u64, |sum, link| sum.saturating_add(link.queue_bytes));
    page.one(Kind::Gauge, "holomesh_queue_bytes", "Bytes that wait for subscribers.", count(queues));
}

fn traffic(page: &mut Page, snapshot: &Snapshot) {
    let totals = &snapshot.totals;
    let bytes = |by: &ByTransport| by.each().map(|(name, traffic)| (name, count(traffic.bytes)));
    let packets = |by: &ByTransport| by.each().map(|(name, traffic)| (name, count(traffic.packets)));
    let families = [
        ("holomesh_received_bytes_total", "Bytes of media that came in.", bytes(&totals.received)),
        ("holomesh_sent_bytes_total", "Bytes of media that went out.", bytes(&totals.sent)),
        ("holomesh_received_packets_total", "Datagrams of media that came in.", packets(&totals.received)),
        ("holomesh_sent_packets_total", "Datagrams of media that went out.", packets(&totals.sent)),
    ];
    for (name, help, samples) in families {
        page.each(Kind::Counter, name, help, "transport", samples);
    }
    let help = "Chunks that were not sent, by what they were or why.";
    page.each(Kind::Counter, "holomesh_drops_total", help, "class", totals.drops.each().map(counted));
    let counters = [
        ("holomesh_quota_hits_total", "Times that a quota held something back.", totals.quota_hits),
        ("holomesh_duplicates_total", "Chunks that had come over another parent before.", totals.duplicates),
        ("holomesh_chunks_refused_total", "Chunks that were not taken in.", totals.chunks_refused),
        ("holomesh_repaired_total", "Chunks sent again on request.", totals.repaired),
        ("holomesh_repair_misses_total", "Chunks asked for that were not kept.", totals.repair_misses),
        ("holomesh_late_joins_total", "Subscribers that started from a kept key frame.", totals.late_joins),
    ];
    for (name, help, value) in counters {
        page.one(Kind::Counter, name, help, count(value));
    }
    let requests = [("asked", totals.key_frame_requests), ("forwarded", totals.key_frame_forwarded)];
    let help = "Key frames that subscribers asked for, and requests sent upstream for them.";
    page.each(Kind::Counter, "holomesh_key_frame_requests_total", help, "step", requests.map(counted));
}

fn streams(page: &mut Page, snapshot: &Snapshot) {
    let streams = count(snapshot.streams.len() as u64 + snapshot.streams_left_out);
    page.one(Kind::Gauge, "holomesh_streams", "Streams that are carried.", streams);
    let sum = |of: fn(&StreamStatus) -> u64| {
        count(snapshot.streams.iter().fold(0, |sum: u64, stream| sum.saturating_add(of(stream))))
    };
    let help = "Subscriptions, over all streams.";
    page.one(Kind::Gauge, "holomesh_subscriptions", help, sum(|stream| stream.subscribers));
    let help = "Subscriptions that get less than the highest layer of their stream, over all streams.";
    page.one(Kind::Gauge, "holomesh_subscriptions_reduced", help, sum(reduced));
    let help = "Bytes of recent chunks that are kept, over all streams.";
    page.one(Kind::Gauge, "holomesh_ring_bytes", help, sum(|stream| stream.ring_bytes));
}

fn reduced(stream: &StreamStatus) -> u64 {
    let less = stream.taken.iter().filter(|taken| taken.layers != stream.layers);
    if stream.layers.is_empty() {
        0
    } else {
        less.fold(0, |sum, taken| sum.saturating_add(taken.subscribers))
    }
}

fn feeders(page: &mut Page, snapshot: &Snapshot) {
    let of = |role: &'static str| snapshot.feeders.iter().filter(move |feeder| feeder.role == role);
    let roles = ["relay", "watcher"];
    let help = "Others of whom is heard that they feed whoever asks.";
    let known = roles.map(|role| (role, of(role).count() as f64));
    page.each(Kind::Gauge, "holomesh_feeders", help, "role", known);
    let help = "What they claim that they can carry, in bytes a second.";
    let claims = |role| of(role).fold(0u64, |sum, feeder| sum.saturating_add(feeder.claims_bits / 8));
    let claimed = roles.map(|role| (role, count(claims(role))));
    page.each(Kind::Gauge, "holomesh_feeders_claimed_bytes_per_second", help, "role", claimed);
}

/// The middle, nine tenths and the end; nothing where nothing was measured.
fn quantiles(mut values: Vec<f64>) -> Vec<(&'static str, f64)> {
    values.sort_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return Vec::new() };
    let at = |tenths: usize| values[(last * tenths).div_ceil(10)];
    vec![("0.5", at(5)), ("0.9", at(9)), ("1", at(10))]
}

const fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

/// Exact up to 2^53, like everything in Prometheus.
const fn count(value: u64) -> f64 {
    value as f64
}

const fn counted((name, value): (&'static str, u64)) -> (&'static str, f64) {
    (name, value as f64)
}
