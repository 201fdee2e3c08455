//! The table of keys.

use super::slot::Slot;
use super::{Config, Http, Limits, Log, Quotas, Store};
use std::ops::RangeInclusive;

/// Every key, in the order of the annotated example. A dot separates a table's name from the key's.
pub(super) const KEYS: [&str; 40] = [
    "ticket",
    "ticket_file",
    "key_file",
    "passphrase_file",
    "listen",
    "transport",
    "udp_port",
    "threads",
    "permits_required",
    "host_patience_seconds",
    "drain_seconds",
    "limits.streams",
    "limits.links",
    "limits.subscribers",
    "limits.uplink_kbit",
    "limits.ring_kib",
    "limits.backlog_kib",
    "limits.backlog_ms",
    "limits.memory_mib",
    "limits.file_descriptors",
    "quotas.link_kbit",
    "quotas.link_packets",
    "quotas.link_streams",
    "quotas.link_requests",
    "quotas.stream_kbit",
    "quotas.stream_packets",
    "quotas.identity_kbit",
    "quotas.identity_packets",
    "quotas.identity_streams",
    "quotas.identity_links",
    "store.folder",
    "store.classes_file",
    "http.listen",
    "http.metrics",
    "http.health",
    "http.status",
    "log.level",
    "log.format",
    "log.file",
    "log.file_mib",
];

/// Packets a second: from what sound alone needs to more than a fast card carries.
const PACKETS: RangeInclusive<u64> = 100..=100_000_000;

/// Requests a second: with fewer, not even what an honest child does at its start would be let through.
const REQUESTS: RangeInclusive<u64> = 50..=1_000_000;

/// The key's place; `None` if there is no such key.
///
/// The patterns name every field and leave none out, so a field without a key is an unused variable.
pub(super) fn slot<'a>(config: &'a mut Config, key: &str) -> Option<Slot<'a>> {
    let Config {
        ticket,
        ticket_file,
        key_file,
        passphrase_file,
        listen,
        transport,
        udp_port,
        threads,
        permits_required,
        host_patience,
        drain,
        limits,
        quotas,
        store,
        http,
        log,
    } = config;
    let Limits {
        streams,
        links,
        subscribers,
        uplink,
        ring_bytes,
        backlog_bytes,
        backlog_age,
        memory_bytes,
        file_descriptors,
    } = limits;
    let Quotas {
        link_rate,
        link_packets,
        link_streams,
        link_requests,
        stream_rate,
        stream_packets,
        identity_rate,
        identity_packets,
        identity_streams,
        identity_links,
    } = quotas;
    let Store { folder, classes_file } = store;
    let Http { listen: http_listen, metrics, health, status } = http;
    let Log { level, format, file, file_bytes } = log;
    Some(match key {
        "ticket" => Slot::Ticket(ticket),
        "ticket_file" => Slot::Path(ticket_file),
        "key_file" => Slot::Path(key_file),
        "passphrase_file" => Slot::Path(passphrase_file),
        "listen" => Slot::Address(listen, "auto"),
        "transport" => Slot::Transport(transport),
        "udp_port" => Slot::Port(udp_port),
        "threads" => Slot::Count(threads, 1..=512),
        "permits_required" => Slot::Flag(permits_required),
        "host_patience_seconds" => Slot::Seconds(host_patience, 1..=86_400),
        "drain_seconds" => Slot::Seconds(drain, 0..=3_600),
        "limits.streams" => Slot::Count(streams, 1..=4_096),
        "limits.links" => Slot::Count(links, 2..=65_536),
        "limits.subscribers" => Slot::Count(subscribers, 1..=65_536),
        "limits.uplink_kbit" => Slot::KbitOrNone(uplink),
        "limits.ring_kib" => Slot::Kibibytes(ring_bytes, 256..=262_144),
        "limits.backlog_kib" => Slot::Kibibytes(backlog_bytes, 16..=65_536),
        "limits.backlog_ms" => Slot::Milliseconds(backlog_age, 20..=10_000),
        "limits.memory_mib" => Slot::MebibytesOrNone(memory_bytes, 64..=1_048_576),
        "limits.file_descriptors" => Slot::Count64(file_descriptors, 64..=1_048_576),
        "quotas.link_kbit" => Slot::KbitOrNone(link_rate),
        "quotas.link_packets" => Slot::CountOrNone(link_packets, PACKETS),
        "quotas.link_streams" => Slot::Count(link_streams, 1..=4_096),
        "quotas.link_requests" => Slot::CountOrNone(link_requests, REQUESTS),
        "quotas.stream_kbit" => Slot::KbitOrNone(stream_rate),
        "quotas.stream_packets" => Slot::CountOrNone(stream_packets, PACKETS),
        "quotas.identity_kbit" => Slot::KbitOrNone(identity_rate),
        "quotas.identity_packets" => Slot::CountOrNone(identity_packets, PACKETS),
        "quotas.identity_streams" => Slot::Count(identity_streams, 1..=65_536),
        "quotas.identity_links" => Slot::Count(identity_links, 1..=65_536),
        "store.folder" => Slot::Path(folder),
        "store.classes_file" => Slot::Path(classes_file),
        "http.listen" => Slot::Address(http_listen, "off"),
        "http.metrics" => Slot::Flag(metrics),
        "http.health" => Slot::Flag(health),
        "http.status" => Slot::Status(status),
        "log.level" => Slot::Filter(level),
        "log.format" => Slot::Format(format),
        "log.file" => Slot::Path(file),
        "log.file_mib" => Slot::Mebibytes(file_bytes, 1..=1_048_576),
        _ => return None,
    })
}

/// The key that was perhaps meant: in the same table or not, at most two letters away.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance =
        |known: &str| edits(key, known).min(edits(&last(key), &last(known)) + usize::from(key != known));
    KEYS.into_iter()
        .map(|known| (distance(known), known))
        .min()
        .filter(|(d, _)| *d <= 2)
        .map(|(_, known)| known)
}

/// Insertions, deletions and replacements that make one of the other (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    // Nobody mistypes a name by that much, and the table below is to stay small.
    if a.len() > 64 || b.len() > 64 {
        return 64;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
