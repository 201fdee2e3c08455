//! The course of the demo.

use super::board::{Board, MeasuringSink, WatchRecord};
use super::guests::Guests;
use super::mesh;
use super::nodes::{HostNode, NodeThread, loopback};
use super::options::Options;
use super::sources::{Clip, LoopedClip, TurnSound};
use super::summary::{self, Outcome};
use super::tap::RelayTap;
use crate::net::LossConfig;
use crate::relay::Tap;
use crate::report::model::{Event, EventKind, NodeName, Role};
use crate::report::progress::{Progress, RelaySnapshot, Snapshot, WatcherSnapshot, WatcherState};
use crate::report::{Mesh, PublisherSample, Timeline, WatcherSample, WatcherSeries};
use crate::ticket::Ticket;
use crate::watch::{MatroskaSink, Sink, SpeakerSink, WatchState};
use crate::{Error, keyfile, relay, session, watch};
use av_relay::Stats;
use core_types::{BitRate, KeyId};
use identity::{Identity, Seed};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Everybody must be linked up by then.
const SETTLE: Duration = Duration::from_secs(30);
/// How often the figures are sampled and the display is drawn.
const SAMPLE: Duration = Duration::from_millis(200);
/// After the last frame, how long nodes have to play out and end.
const WIND_DOWN: Duration = Duration::from_secs(10);

/// One relay of the demo.
pub(super) struct RelayNode {
    pub(super) name: String,
    pub(super) key_id: KeyId,
    pub(super) tap: Arc<RelayTap>,
    pub(super) killed: bool,
    thread: NodeThread<Stats>,
}

/// One watcher of the demo.
pub(super) struct WatchNode {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) key_id: KeyId,
    pub(super) state: Arc<WatchState>,
    pub(super) record: Arc<WatchRecord>,
    thread: NodeThread<watch::Report>,
    series: WatcherSeries,
    last_bytes: u64,
}

/// Runs the demo and writes its report. Returns what is to be printed, and whether everything promised was kept.
///
/// # Errors
/// [`Error::Input`] and [`Error::Media`] for options and files that are not usable; anything else that ends a node.
pub fn run(options: &Options) -> Result<(String, bool), Error> {
    options.check()?;
    std::fs::create_dir_all(&options.out).map_err(Error::file(&options.out))?;
    let cpu_before = crate::service::cpu_time();
    let clip = Clip::load(options.clip.as_deref())?;
    let mut stage = Stage::set(options, clip)?;
    stage.play()?;
    let outcome = stage.end()?;
    summary::write(options, outcome, cpu_before)
}

/// A new identity, and its name.
fn new_key() -> Result<(Seed, KeyId), Error> {
    let seed = keyfile::random_seed()?;
    let key_id = Identity::from_seed(&Seed(seed.0)).map_err(|e| Error::codec("identity", e))?.key_id();
    Ok((seed, key_id))
}

struct Stage<'a> {
    options: &'a Options,
    clip: Clip,
    board: Arc<Board>,
    ticket: Ticket,
    commands: mpsc::Sender<session::Command>,
    host: NodeThread<()>,
    guests: Guests,
    /// What the first watcher's pictures go to if there are guests.
    screen: Option<SpeakerSink>,
    relays: Vec<RelayNode>,
    watchers: Vec<WatchNode>,
    start: Instant,
    events: Vec<Event>,
    publisher: Vec<PublisherSample>,
    /// As it was while something was published last.
    mesh: Mesh,
    last_coded: u64,
    progress: Progress,
}

impl<'a> Stage<'a> {
    /// Starts all nodes and waits until everybody is linked up.
    fn set(options: &'a Options, clip: Clip) -> Result<Self, Error> {
        let board = Arc::<Board>::default();
        let sound = TurnSound::load(options, 0)?;
        let pictures = LoopedClip::for_demo(&clip, options.seconds);
        let audio = sound.audio_config();
        let video = options.video(clip.rate.frame_interval());
        let config = session::Config {
            loss: LossConfig { percent: options.loss, seed: options.seed },
            video: Some((Box::new(pictures), video)),
            audio: Some((Box::new(sound), audio)),
            parents: options.parents,
            lanes: options.lanes(),
            direct: options.direct(),
            autostart: false,
            observer: board.clone(),
            ..session::Config::new(keyfile::random_seed()?, loopback())
        };
        let HostNode { commands, ticket, thread: host } = HostNode::spawn(config)?;
        let mut stage = Self {
            options,
            clip,
            board,
            ticket,
            commands,
            host,
            guests: Guests::default(),
            screen: None,
            relays: Vec::new(),
            watchers: Vec::new(),
            start: Instant::now(),
            events: Vec::new(),
            publisher: Vec::new(),
            mesh: Mesh::default(),
            last_coded: 0,
            progress: Progress::new(std::io::stderr()),
        };
        stage.screen = stage.guests.start(options, &stage.clip)?;
        for _ in 0..options.relays {
            stage.add_relay()?;
        }
        for _ in 0..options.watchers {
            stage.add_watcher(Role::Stayed)?;
        }
        if let Some(leaver) = stage.watchers.last_mut().filter(|_| options.event(options.leave_at).is_some())
        {
            leaver.role = Role::Left;
        }
        stage.wait_until_linked()?;
        Ok(stage)
    }

    fn add_relay(&mut self) -> Result<(), Error> {
        let name = format!("relay-{}", self.relays.len() + 1);
        let tap = Arc::<RelayTap>::default();
        let (seed, key_id) = new_key()?;
        let config = relay::Config {
            loss: self.loss(100 + self.relays.len() as u64),
            lanes: self.options.lanes(),
            direct: self.options.direct(),
            tap: Some(tap.clone() as Arc<dyn Tap>),
            ..relay::Config::new(seed, self.ticket.clone(), loopback())
        };
        let thread = NodeThread::spawn(&name, move || relay::run(config, std::future::pending(), || {}))?;
        self.relays.push(RelayNode { name, key_id, tap, killed: false, thread });
        Ok(())
    }

    fn add_watcher(&mut self, role: Role) -> Result<(), Error> {
        let number = self.watchers.len() as u64 + 1;
        let name = format!("watcher-{number}");
        let (seed, key_id) = new_key()?;
        let record = Arc::<WatchRecord>::default();
        let mut config = watch::Config::new(seed, self.ticket.clone());
        config.delay = Duration::from_millis(self.options.delay);
        config.loss = self.loss(200 + number);
        config.lanes = self.options.lanes();
        config.direct = self.options.direct();
        config.uplink = self.options.uplink.map(|kbit| BitRate::from_kbit(kbit.into()));
        // Whoever is removed goes on listening, to show that it hears nothing.
        let leaves = self.options.event(self.options.leave_at).is_some();
        config.linger_after_removal = leaves && number == u64::from(self.options.watchers);
        let state = config.state.clone();
        let frames = (self.options.seconds / self.clip.rate.frame_interval().as_secs_f64()) as u64;
        let keep = if number == 1 { vec![frames / 4, frames / 2, frames * 3 / 4] } else { Vec::new() };
        let measuring = MeasuringSink {
            board: self.board.clone(),
            record: record.clone(),
            clip: self.clip.clone(),
            keep,
        };
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(measuring)];
        if number == 1 {
            sinks.push(Box::new(MatroskaSink::new(self.recording())));
        }
        if let Some(screen) = self.screen.take() {
            sinks.push(Box::new(screen));
        }
        let thread = NodeThread::spawn(&name, move || watch::run(config, sinks))?;
        let series = WatcherSeries { id: NodeName::new(&name), samples: Vec::new() };
        self.watchers.push(WatchNode { name, role, key_id, state, record, thread, series, last_bytes: 0 });
        Ok(())
    }

    fn recording(&self) -> PathBuf {
        self.options.out.join("watcher-1.mkv")
    }

    fn loss(&self, node: u64) -> LossConfig {
        LossConfig { percent: self.options.loss, seed: self.options.seed }.for_link(node << 32)
    }

    fn wait_until_linked(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + SETTLE;
        let parents = self.options.carriers();
        loop {
            let linked = self.watchers.iter().all(|w| {
                let now = w.state.snapshot();
                now.epoch.is_some() && now.parents >= parents
            });
            if linked && self.guests.are_linked() {
                return Ok(());
            }
            self.check_alive()?;
            if Instant::now() >= deadline {
                return Err(Error::Network(format!(
                    "the nodes did not link up within {} s",
                    SETTLE.as_secs()
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A node that ended before its time ends the demo, with its error.
    fn check_alive(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if let Some(at) = self.relays.iter().position(|r| !r.killed && r.thread.is_finished()) {
            let relay = self.relays.remove(at);
            return relay
                .thread
                .finish_by(now)
                .unwrap_or(Err(Error::Ended("a relay")))
                .and(Err(Error::Ended("a relay")));
        }
        if let Some(at) = self.watchers.iter().position(|w| w.thread.is_finished()) {
            let watcher = self.watchers.remove(at);
            let outcome = watcher.thread.finish_by(now).unwrap_or(Err(Error::Ended("a watcher")));
            return outcome.and(Err(Error::Ended("a watcher")));
        }
        Ok(())
    }

    /// Publishes, lets the events happen, and samples.
    fn play(&mut self) -> Result<(), Error> {
        self.tell(session::Command::Start)?;
        self.guests.tell_start()?;
        let patience = Instant::now() + SETTLE;
        self.start = loop {
            if let Some(event) = self.board.events().iter().find(|event| event.kind == "start") {
                break event.at;
            }
            if self.host.is_finished() || Instant::now() >= patience {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut kill = self.options.event(self.options.kill_relay_at).filter(|_| self.options.relays > 0);
        let mut join = self.options.event(self.options.join_at);
        let mut leave = self.options.event(self.options.leave_at);
        let give_up = self.start + Duration::from_secs_f64(self.options.seconds) + WIND_DOWN;
        let mut next_sample = self.start + SAMPLE;
        while !self.host.is_finished() && Instant::now() < give_up {
            let elapsed = self.start.elapsed();
            if kill.take_if(|at| elapsed >= *at).is_some() {
                self.kill_busiest_relay();
            }
            if join.take_if(|at| elapsed >= *at).is_some() {
                self.add_watcher(Role::Joined)?;
                let name = self.watchers.last().map(|w| w.name.clone());
                self.note(EventKind::MemberJoined, name, "asks the host to be let in".into());
            }
            if leave.take_if(|at| elapsed >= *at).is_some() {
                self.remove_leaver()?;
            }
            if Instant::now() >= next_sample {
                next_sample += SAMPLE;
                self.sample();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.sample();
        Ok(())
    }

    fn kill_busiest_relay(&mut self) {
        let busiest = self.relays.iter_mut().filter(|r| !r.killed).max_by_key(|r| r.tap.counters().bytes_out);
        let Some(relay) = busiest else { return };
        relay.killed = true;
        relay.thread.kill();
        let (name, out) = (relay.name.clone(), relay.tap.counters().chunks_out);
        self.note(EventKind::RelayKilled, Some(name), format!("died after forwarding {out} chunks"));
    }

    fn remove_leaver(&mut self) -> Result<(), Error> {
        let Some(leaver) = self.watchers.iter().find(|w| w.role == Role::Left) else { return Ok(()) };
        let (name, key_id) = (leaver.name.clone(), leaver.key_id);
        self.tell(session::Command::Remove(key_id))?;
        self.note(EventKind::MemberRemoved, Some(name), "by the host; its node goes on listening".into());
        Ok(())
    }

    fn tell(&self, command: session::Command) -> Result<(), Error> {
        self.commands.try_send(command).map_err(|_| Error::Ended("the host"))
    }

    fn note(&mut self, kind: EventKind, node: Option<String>, detail: String) {
        let at_ms = self.start.elapsed().as_millis() as u64;
        self.events.push(Event { at_ms, kind, node: node.map(NodeName::new), detail });
    }

    fn sample(&mut self) {
        let now = Instant::now();
        let t_ms = now.saturating_duration_since(self.start).as_millis() as u64;
        let per_second = 8.0 / SAMPLE.as_secs_f64() / 1_000.0;
        let coded = self.board.coded_bytes();
        let encoder_kbit = (coded - self.last_coded) as f64 * per_second;
        self.last_coded = coded;
        self.publisher.push(PublisherSample { t_ms, encoder_kbit });
        // Afterwards everybody says goodbye.
        if t_ms as f64 <= self.options.seconds * 1e3 {
            self.mesh = mesh::of(t_ms, self.ticket.host, &self.relays, &self.watchers);
        }
        let mut watchers = Vec::new();
        for watcher in &mut self.watchers {
            let at = watcher.state.snapshot();
            let downlink_kbit = (at.bytes - watcher.last_bytes) as f64 * per_second;
            watcher.last_bytes = at.bytes;
            let removed = at.removed_in.is_some();
            if !removed && at.epoch.is_some() {
                let mut latencies = watcher.record.latencies_since(now.checked_sub(SAMPLE).unwrap_or(now));
                watcher.series.samples.push(WatcherSample {
                    t_ms,
                    frames_shown_total: at.played.frames_shown,
                    latency_ms_p50: crate::report::Percentiles::of(&mut latencies).p50,
                    parents: at.parents,
                    downlink_kbit,
                });
            }
            watchers.push(WatcherSnapshot {
                id: NodeName::new(&watcher.name),
                frames_shown: at.played.frames_shown,
                parents: at.parents,
                downlink_kbit,
                missed_percent: 100.0 * at.missing as f64 / (at.chunks + at.missing).max(1) as f64,
                repaired: at.repaired,
                state: match (removed, at.played.frames_shown) {
                    (true, _) => WatcherState::Removed,
                    (_, 0) => WatcherState::Waiting,
                    _ => WatcherState::Playing,
                },
            });
        }
        let relays = self.relays.iter().map(|relay| RelaySnapshot {
            id: NodeName::new(&relay.name),
            alive: !relay.killed,
            out_kbit: relay.tap.counters().bytes_out as f64 * 8.0 / t_ms.max(1) as f64,
        });
        self.progress.update(&Snapshot {
            elapsed_ms: t_ms,
            total_ms: (self.options.seconds * 1e3) as u64,
            frames_published: self.board.frames_published(),
            encoder_kbit,
            epoch: self.watchers.iter().filter_map(|w| w.state.snapshot().epoch).max().map_or(0, |e| e.0),
            watchers,
            relays: relays.collect(),
            last_event: self.board.last_event().map(|event| format!("{}: {}", event.kind, event.detail)),
        });
    }

    /// Waits for the nodes to end, and takes what they measured.
    fn end(mut self) -> Result<Outcome, Error> {
        self.progress.finish();
        let deadline = Instant::now() + WIND_DOWN;
        self.host.finish_by(deadline).unwrap_or(Err(Error::Ended("the host")))?;
        let end = Duration::from_secs_f64(self.options.seconds);
        let view = self.guests.end(deadline, self.start, end)?;
        let mut watchers = Vec::new();
        let mut series = Vec::new();
        for watcher in self.watchers {
            let WatchNode { name, role, state, record, thread, series: samples, .. } = watcher;
            let outcome = thread.finish_by(deadline);
            if let Some(Err(error)) = outcome {
                tracing::warn!(%error, name, "a watcher ended with an error");
                self.events.push(Event {
                    at_ms: self.start.elapsed().as_millis() as u64,
                    kind: EventKind::Note,
                    node: Some(NodeName::new(&name)),
                    detail: error.to_string(),
                });
            }
            series.push(samples);
            watchers.push((name, role, state.snapshot(), record));
        }
        let relays = self.relays.into_iter().map(|relay| {
            drop(relay.thread.finish_by(deadline));
            (relay.name, relay.killed, relay.tap)
        });
        Ok(Outcome {
            start: self.start,
            clip: self.clip,
            relays: relays.collect(),
            board: self.board,
            watchers,
            events: self.events,
            timeline: Timeline { publisher: self.publisher, watchers: series, view, ..Timeline::default() },
            mesh: self.mesh,
        })
    }
}
