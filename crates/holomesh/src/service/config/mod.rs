//! The configuration of a relay: a TOML file, with the command line on top of it.
//!
//! Every key is in one table, `keys`, with its type, bounds and default; the file is read against it, `--check`
//! prints from it, and the annotated example `packaging/relay.toml` is tested against it. A wrong key or value is one
//! line that names the file, the line, the key, and what would be right.

mod keys;
mod load;
mod relay;
mod show;
mod slot;
#[cfg(test)]
mod tests;

use crate::net::TransportChoice;
use crate::ticket::Ticket;
use core_types::BitRate;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use load::{Loaded, Origin, Override, load};
pub use show::{Finding, Severity};

/// Where `holomesh top` looks, and what the annotated example suggests for `http.listen`.
pub const DEFAULT_HTTP: &str = "127.0.0.1:9467";

/// How a relay is set up. [`Config::default`] is what holds for keys that nobody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The session to serve.
    pub ticket: Option<Ticket>,
    /// A file that holds the ticket.
    pub ticket_file: Option<PathBuf>,
    /// The node's key; a new one at every start if there is none.
    pub key_file: Option<PathBuf>,
    /// A file that holds the key file's passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// Where the node listens; by the ticket if nothing is said.
    pub listen: Option<SocketAddr>,
    /// What media travels on.
    pub transport: TransportChoice,
    /// The port of the lanes' socket; 0 for any.
    pub udp_port: u16,
    /// Threads that drive connections and forward: with one all is done by it, with more the others drive QUIC.
    pub threads: usize,
    /// Serve only sessions whose host signed a permit for this relay.
    pub permits_required: bool,
    /// How long a host that went away is looked for.
    pub host_patience: Duration,
    /// How long a drain may take before the links are closed anyway.
    pub drain: Duration,
    /// Bounds on the node as a whole.
    pub limits: Limits,
    /// Bounds on what one peer may do.
    pub quotas: Quotas,
    /// Recordings of what it carries.
    pub store: Store,
    /// Metrics, health and status.
    pub http: Http,
    /// What is logged, where and how.
    pub log: Log,
}

/// Bounds on the node as a whole. `None` is no bound of the relay's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Streams carried at once.
    pub streams: usize,
    /// Links at once, in and out.
    pub links: usize,
    /// Subscribers of one stream.
    pub subscribers: usize,
    /// What the node sends in all.
    pub uplink: Option<BitRate>,
    /// Bytes of recent chunks kept of one stream: what its subscribers' queues, repair and late joiners draw on.
    pub ring_bytes: usize,
    /// Bytes that may wait for one subscriber of a stream before something is shed.
    pub backlog_bytes: usize,
    /// Age at which the last of what waits for a subscriber is shed.
    pub backlog_age: Duration,
    /// Resident memory in bytes; new links are refused from 90 % of it on.
    pub memory_bytes: Option<u64>,
    /// File descriptors that the process may have open.
    pub file_descriptors: u64,
}

/// Bounds on what one link, stream or identity may do, in each direction on its own. Who is over is told so. `None` is no
/// bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// What one link may send, and may be sent.
    pub link_rate: Option<BitRate>,
    /// Datagrams a second, likewise.
    pub link_packets: Option<u32>,
    /// Streams that one link may subscribe to.
    pub link_streams: usize,
    /// Requests a second that one link may make.
    pub link_requests: Option<u32>,
    /// What one stream may bring in.
    pub stream_rate: Option<BitRate>,
    /// Chunks a second that one stream may bring in.
    pub stream_packets: Option<u32>,
    /// What one identity may send, and may be sent, over all its links.
    pub identity_rate: Option<BitRate>,
    /// Datagrams a second, likewise.
    pub identity_packets: Option<u32>,
    /// Streams that one identity may subscribe to, summed over its links.
    pub identity_streams: usize,
    /// Links that one identity may have.
    pub identity_links: usize,
}

/// Recordings of what the relay carries, and can't read: as far as publishers consent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Store {
    /// The folder; nothing is recorded if `None`. Needs a key file: what is kept is sealed under the node's key.
    pub folder: Option<PathBuf>,
    /// A TOML file of more classes of consent.
    pub classes_file: Option<PathBuf>,
}

/// Metrics, health and status over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where it listens; not at all if `None`.
    pub listen: Option<SocketAddr>,
    /// Whether there is `/metrics`.
    pub metrics: bool,
    /// Whether there is `/healthz`.
    pub health: bool,
    /// Who gets `/status.json`, which has peers' addresses in it.
    pub status: StatusAccess,
}

/// Who gets `/status.json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StatusAccess {
    /// Nobody.
    Off,
    /// Clients on this machine.
    #[default]
    Loopback,
    /// Whoever reaches the port.
    All,
}

/// What is logged, where and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A filter as for `--log`.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
    /// The file; standard error if `None`.
    pub file: Option<PathBuf>,
    /// Size in bytes at which the file is moved to `FILE.1` and begun anew.
    pub file_bytes: u64,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ticket: None,
            ticket_file: None,
            key_file: None,
            passphrase_file: None,
            listen: None,
            transport: TransportChoice::Auto,
            udp_port: 0,
            threads: 1,
            permits_required: true,
            host_patience: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            limits: Limits::default(),
            quotas: Quotas::default(),
            store: Store::default(),
            http: Http::default(),
            log: Log::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 64,
            links: 2_048,
            subscribers: 2_048,
            uplink: None,
            ring_bytes: 2_048 * KIB,
            backlog_bytes: 512 * KIB,
            backlog_age: Duration::from_millis(250),
            memory_bytes: Some(1_024 * MIB),
            file_descriptors: 1_024,
        }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            link_rate: Some(BitRate::from_kbit(200_000)),
            link_packets: Some(50_000),
            link_streams: 64,
            link_requests: Some(crate::relay::REQUESTS),
            stream_rate: Some(BitRate::from_kbit(50_000)),
            stream_packets: Some(20_000),
            identity_rate: None,
            identity_packets: None,
            identity_streams: 128,
            identity_links: 8,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: None, metrics: true, health: true, status: StatusAccess::Loopback }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "warn,holomesh=info".into(), format: LogFormat::Text, file: None, file_bytes: 64 * MIB }
    }
}

/// Bytes in a kibibyte, the unit of keys that end in `_kib`.
const KIB: usize = 1_024;
/// Bytes in a mebibyte, the unit of keys that end in `_mib`.
const MIB: u64 = 1_024 * 1_024;
