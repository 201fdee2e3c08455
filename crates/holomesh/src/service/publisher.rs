//! From the node to whoever asks how it is doing: a snapshot a second, rendered at most once for each form.

use super::http::render_metrics;
use super::limits::{Guard, Refusal, Usage};
use super::log::LogCounters;
use super::rates::{Rate, Sampler};
use super::status::{ProcessStatus, Snapshot, State};
use super::{notify, process};
use bytes::Bytes;
use core_types::MonoTime;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often a node is to [`publish`](StatusSink::publish).
pub const INTERVAL: Duration = Duration::from_secs(1);

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A node that has not published for so long hangs.
const STALE: Duration = Duration::from_secs(10);

/// A snapshot, when it was taken, and its renderings.
#[derive(Debug)]
pub struct Published {
    /// The snapshot.
    pub snapshot: Snapshot,
    at: Instant,
    json: OnceLock<Bytes>,
    metrics: OnceLock<Bytes>,
}

impl Published {
    fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, at: Instant::now(), json: OnceLock::new(), metrics: OnceLock::new() }
    }

    /// As JSON.
    pub fn json(&self) -> Bytes {
        let render = || serde_json::to_vec(&self.snapshot).unwrap_or_default().into();
        self.json.get_or_init(render).clone()
    }

    /// In Prometheus' text format.
    pub fn metrics(&self) -> Bytes {
        self.metrics.get_or_init(|| render_metrics(&self.snapshot).into()).clone()
    }

    /// Whether the node can serve.
    ///
    /// # Errors
    /// Why not, in a word or two.
    pub fn health(&self) -> Result<(), &'static str> {
        self.health_at(Instant::now())
    }

    fn health_at(&self, now: Instant) -> Result<(), &'static str> {
        match self.snapshot.node.state {
            _ if now.saturating_duration_since(self.at) > STALE => Err("stalled"),
            State::Starting => Err("starting"),
            State::Draining => Err("draining"),
            State::Serving if !self.snapshot.node.host_link => Err("no link to the host"),
            State::Serving => Ok(()),
        }
    }
}

/// Where the newest snapshot is found. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusSource(watch::Receiver<Arc<Published>>);

impl StatusSource {
    /// The newest snapshot.
    pub fn latest(&self) -> Arc<Published> {
        self.0.borrow().clone()
    }

    /// Waits for one that this handle has not seen yet; false when the node is gone.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

/// The node's end: takes a snapshot of what the node knows, adds what the system and the log know, and hands it on. It also
/// keeps the node within its memory and file descriptors, which are looked at at the same time.
#[derive(Debug)]
pub struct StatusSink {
    sender: watch::Sender<Arc<Published>>,
    sampler: Sampler,
    cpu: [Rate; 2],
    started: Instant,
    guard: Guard,
    log: Option<LogCounters>,
    state: State,
}

impl StatusSink {
    /// A sink, and where its snapshots are found. `log` is where log lines are counted, if they are.
    pub fn new(guard: Guard, log: Option<LogCounters>) -> (Self, StatusSource) {
        let mut first = Snapshot::default();
        first.node.version = VERSION.into();
        let (sender, receiver) = watch::channel(Arc::new(Published::new(first)));
        let (sampler, cpu, started) = (Sampler::default(), Default::default(), Instant::now());
        let sink = Self { sender, sampler, cpu, started, guard, log, state: State::Starting };
        (sink, StatusSource(receiver))
    }

    /// Hands on `snapshot`, to be called about once in an [`INTERVAL`]. The caller fills in what it knows of the node, the
    /// totals, links and streams; version, uptime, process, log and rates are filled in here. systemd is told when the
    /// state changes, and each time that the node is alive.
    pub fn publish(&mut self, now: MonoTime, mut snapshot: Snapshot) {
        self.guard.update(Usage::sample());
        snapshot.bound();
        snapshot.node.version = VERSION.into();
        snapshot.node.uptime_seconds = self.started.elapsed().as_secs();
        snapshot.process = self.process(now);
        snapshot.log = self.log.as_ref().map(LogCounters::status).unwrap_or_default();
        self.sampler.fill(now, &mut snapshot);
        let state = snapshot.node.state;
        if std::mem::replace(&mut self.state, state) != state {
            notify::state(state);
        }
        notify::watchdog();
        // Nobody may be looking.
        let _ = self.sender.send_replace(Arc::new(Published::new(snapshot)));
    }

    /// Whether another link may be taken, by what memory and file descriptors were at the last [`publish`](Self::publish).
    ///
    /// # Errors
    /// Why not: for the log and the counters. The peer is told only that the relay is full.
    pub fn admit(&self) -> Result<(), Refusal> {
        self.guard.admit()
    }

    fn process(&mut self, now: MonoTime) -> ProcessStatus {
        let cpu = process::cpu_time().unwrap_or_default();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // Microseconds a second are parts of a core in a million.
        let percent = [cpu.user, cpu.system].map(micros);
        let user = self.cpu[0].sample(now, percent[0]) / 10_000.0;
        let system = self.cpu[1].sample(now, percent[1]) / 10_000.0;
        let (memory_limit, descriptor_limit) = self.guard.limits();
        ProcessStatus {
            cpu_user_seconds: cpu.user.as_secs_f64(),
            cpu_system_seconds: cpu.system.as_secs_f64(),
            cpu_user_percent: user,
            cpu_system_percent: system,
            memory_bytes: self.guard.usage().memory.unwrap_or_default(),
            memory_limit_bytes: memory_limit,
            descriptors: self.guard.usage().descriptors.unwrap_or_default(),
            descriptor_limit,
            short_of_room: self.guard.admit().is_err(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::status::{LinkStatus, MAX_ROWS, NodeStatus};

    fn published(state: State, host_link: bool) -> Published {
        let node = NodeStatus { state, host_link, ..NodeStatus::default() };
        Published::new(Snapshot { node, ..Snapshot::default() })
    }

    #[test]
    fn a_node_is_well_when_it_serves_has_its_host_and_is_not_silent() {
        assert_eq!(published(State::Serving, true).health(), Ok(()));
        assert_eq!(published(State::Serving, false).health(), Err("no link to the host"));
        assert_eq!(published(State::Draining, true).health(), Err("draining"));
        assert_eq!(published(State::Starting, false).health(), Err("starting"));
        let well = published(State::Serving, true);
        assert_eq!(well.health_at(well.at + STALE), Ok(()));
        assert_eq!(well.health_at(well.at + STALE + Duration::from_millis(1)), Err("stalled"));
    }

    #[test]
    fn what_the_node_does_not_know_is_filled_in_and_rows_are_bounded() {
        let (mut sink, source) = StatusSink::new(Guard::new(Some(1 << 40), 1 << 20), None);
        assert_eq!(source.latest().health(), Err("starting"));
        let snapshot = Snapshot { links: vec![LinkStatus::default(); MAX_ROWS + 1], ..Snapshot::default() };
        sink.publish(MonoTime::from_millis(1_000), snapshot);
        let latest = source.latest();
        assert_eq!(latest.snapshot.node.version, env!("CARGO_PKG_VERSION"));
        assert_eq!((latest.snapshot.links.len(), latest.snapshot.links_left_out), (MAX_ROWS, 1));
        if cfg!(target_os = "linux") {
            assert!(latest.snapshot.process.memory_bytes > 0 && latest.snapshot.process.descriptors > 0);
        }
        assert_eq!(sink.admit(), Ok(()));
        let again: Snapshot = serde_json::from_slice(&latest.json()).unwrap();
        assert_eq!(again, latest.snapshot);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_node_over_its_memory_says_so_and_admits_nobody() {
        let (mut sink, source) = StatusSink::new(Guard::new(Some(4_096), 1 << 20), None);
        assert_eq!(sink.admit(), Ok(()), "nothing is known before the first sample");
        sink.publish(MonoTime::from_millis(1_000), Snapshot::default());
        assert!(matches!(sink.admit(), Err(Refusal::Memory { limit: 4_096, .. })));
        assert!(source.latest().snapshot.process.short_of_room);
    }
}
