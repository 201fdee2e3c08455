//! One measured run: relay, publisher and subscribers as processes of their own.

use crate::added::Quantiles;
use crate::process::{Process, Usage};
use crate::traffic::{Moment, PAYLOAD, Received, Sent, Stamped, Window};
use crate::{Relay, janus};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;
use std::env::temp_dir;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Before the window: congestion windows, caches and estimates find their size.
const WARM_UP: Duration = Duration::from_millis(2_000);
/// What it may take until all subscribers are in place.
const IN_PLACE: Duration = Duration::from_secs(120);
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) relay: Relay,
    pub(crate) subscribers: usize,
    pub(crate) rate: u64,
    pub(crate) seconds: u64,
    pub(crate) moq_relay: PathBuf,
}

/// The same figures as `holomesh bench relay` writes.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    transport: String,
    subscribers: usize,
    rate_bit: u64,
    seconds: u64,
    relay: RelayUse,
    forwarded_bytes: u64,
    cpu_s_per_gb: f64,
    chunks_expected: u64,
    chunks_received: u64,
    loss: f64,
    latency_us: Quantiles,
    added_latency_us: Option<Quantiles>,
    /// Where subscribers took the time that latency ends with.
    latency_stamped: Stamped,
}

#[derive(Debug, Serialize)]
struct RelayUse {
    cpu_user_s: f64,
    cpu_system_s: f64,
    rss_start_bytes: u64,
    rss_end_bytes: u64,
    rss_peak_bytes: u64,
}

/// A folder for one run, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let folder = temp_dir().join(format!("peers-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Run {
    pub(crate) fn measure(&self) -> Result<Outcome> {
        ensure!((1..=4_000).contains(&self.subscribers), "1 to 4000 subscribers");
        ensure!((1..=600).contains(&self.seconds), "1 to 600 seconds");
        let scratch = Scratch::new()?;
        let kind = self.relay.name();
        let (mut relay, address) = self.start(&scratch.0).with_context(|| format!("relay {kind}"))?;
        let (address, rate) = (address.to_string(), self.rate.to_string());
        let mut publisher = Process::role(&["publish", kind, "--relay", &address, "--rate", &rate])?;
        let direct: Option<SocketAddr> = publisher.hear(PATIENCE)?;
        let direct = direct.map(|address| address.to_string());
        let count = self.subscribers.to_string();
        let mut args = vec!["subscribe", kind, "--relay", &address, "--count", &count];
        args.extend(direct.iter().flat_map(|address| ["--direct", address]));
        let mut subscribers = Process::role(&args)?;
        subscribers.hear::<String>(IN_PLACE)?;

        let from = Moment::now().plus(WARM_UP);
        let window = Window { from, until: from.plus(Duration::from_secs(self.seconds)) };
        for process in [&mut subscribers, &mut publisher] {
            process.tell(&window)?;
            process.hear::<String>(PATIENCE)?;
        }
        window.from.wait()?;
        let start = relay.usage()?;
        window.until.wait()?;
        let end = relay.usage()?;
        let sent: Sent = publisher.hear(PATIENCE)?;
        let received: Received = subscribers.hear(PATIENCE)?;
        relay.still_runs()?;
        self.outcome((start, end), sent, &received)
    }

    /// The relay, and what others have to know of it.
    fn start(&self, scratch: &Path) -> Result<(Process, Value)> {
        match self.relay {
            Relay::MoqStreams | Relay::MoqDatagrams => {
                let address: SocketAddr = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
                let listen = address.to_string();
                let args = [
                    "--listen",
                    &listen,
                    "--listen-tls-generate",
                    "localhost",
                    "--auth-public",
                    "**",
                    "--log-level",
                    "warn",
                ];
                let log = scratch.join("moq-relay.log");
                let mut process = Process::foreign(&self.moq_relay, &args, &log)?;
                // It makes its key first; clients that are early try again by themselves.
                std::thread::sleep(Duration::from_millis(500));
                process.still_runs().with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
                Ok((process, serde_json::to_value(address)?))
            }
            Relay::Janus => {
                let (process, relay) = janus::start(scratch)?;
                Ok((process, serde_json::to_value(relay)?))
            }
            _ => {
                let process = Process::role(&["relay", self.relay.name()])?;
                let address = process.hear(PATIENCE)?;
                Ok((process, address))
            }
        }
    }

    fn outcome(&self, (start, end): (Usage, Usage), sent: Sent, received: &Received) -> Result<Outcome> {
        let expected = sent.packets * self.subscribers as u64;
        ensure!(expected > 0, "the publisher sent nothing");
        ensure!(received.packets > 0, "no subscriber got anything");
        let forwarded_bytes = received.packets * PAYLOAD as u64;
        let (cpu_user_s, cpu_system_s) = end.split_since(&start);
        Ok(Outcome {
            transport: self.relay.name().to_owned(),
            subscribers: self.subscribers,
            rate_bit: self.rate,
            seconds: self.seconds,
            relay: RelayUse {
                cpu_user_s,
                cpu_system_s,
                rss_start_bytes: start.rss_bytes,
                rss_end_bytes: end.rss_bytes,
                rss_peak_bytes: end.rss_peak_bytes,
            },
            forwarded_bytes,
            cpu_s_per_gb: (end.cpu_s - start.cpu_s) / (forwarded_bytes as f64 / 1e9),
            chunks_expected: expected,
            chunks_received: received.packets,
            loss: 1.0 - received.packets as f64 / expected as f64,
            latency_us: received.latency_us,
            added_latency_us: received.added_latency_us,
            latency_stamped: received.stamped,
        })
    }
}
