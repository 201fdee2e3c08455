//! `holomesh bench kills`: relays that carry a live stream are killed one after the other, over real sockets, and what watchers see of
//! it is measured.

mod show;

use self::show::{Seen, Showing};
use crate::demo::nodes::{HostNode, NodeThread, loopback};
use crate::demo::sources::{Clip, LoopedClip};
use crate::net::LossConfig;
use crate::publish::{Encoder, VideoConfig};
use crate::relay::Tap;
use crate::ticket::Ticket;
use crate::watch::{Sink, WatchState};
use crate::{Error, keyfile, relay, session, watch};
use av_relay::Stats;
use clap::Args;
use codec_av1::Structure;
use core_types::BitRate;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Everybody must have all parents by then.
const SETTLE: Duration = Duration::from_secs(30);
/// Between that and a death: what a move still stirs up is over by then.
const CALM: Duration = Duration::from_millis(1_500);
/// So long after a death watchers are looked at.
const LOOK: Duration = Duration::from_millis(3_000);
/// Several are killed within this time.
const WITHIN: Duration = Duration::from_millis(100);
/// Who is not up in this time of ours has failed.
const STEP: Duration = Duration::from_millis(10);

/// Options of `holomesh bench kills`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many deaths, or groups of them.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub kills: u32,
    /// Relays that are killed within 100 ms.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
    pub at_once: u32,
    /// Parents of each watcher's stream.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=8))]
    pub parents: u8,
    /// Relays that there are. Those that were killed are replaced.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=32))]
    pub relays: u32,
    /// Watchers.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub watchers: u32,
    /// Datagrams lost on each hop, in per cent.
    #[arg(long, default_value_t = 5.0)]
    pub loss: f64,
    /// Kilobits a second of the picture.
    #[arg(long, default_value_t = 600, value_name = "KBIT", value_parser = clap::value_parser!(u64).range(8..=50_000))]
    pub bit_rate: u64,
    /// Watchers show pictures so many milliseconds after they could have come.
    #[arg(long, default_value_t = 120, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=2_000))]
    pub delay: u64,
    /// Of the losses.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the result there as JSON as well; `-` for standard output in place of the table.
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
}

/// What came of it. Beside what watchers saw after the deaths stands what they saw in as many stretches of the same length in which
/// nobody died, one before each: what is alike in both is the machine's doing.
#[derive(Debug, Serialize)]
struct Figures {
    kills: u32,
    at_once: u32,
    watchers: u32,
    loss_percent: f64,
    deaths: Stretches,
    without: Stretches,
}

/// What watchers saw in some stretches of time.
#[derive(Debug, Default, Serialize)]
struct Stretches {
    /// Stretches in which a watcher missed a picture.
    with_a_missed_picture: u32,
    /// Stretches, each counted for each watcher, and those in which that one missed a picture.
    seen: u32,
    seen_with_a_missed_picture: u32,
    pictures_missed: u64,
    /// Between two pictures, in ms: the longest of each stretch at each watcher.
    gap_p50_ms: u64,
    gap_p99_ms: u64,
    gap_worst_ms: u64,
    /// From the beginning to the end of the last gap of more than a picture and a half, in ms; 0 where there was none.
    back_p50_ms: u64,
    back_p99_ms: u64,
    back_worst_ms: u64,
}

impl Stretches {
    fn of(stretches: &[Vec<Seen>]) -> Self {
        let all = || stretches.iter().flatten();
        let missing = |seen: &&Seen| seen.missed > 0;
        let [gap_p50_ms, gap_p99_ms, gap_worst_ms] = spread(all().map(|seen| seen.longest));
        let [back_p50_ms, back_p99_ms, back_worst_ms] = spread(all().map(|seen| seen.back));
        Self {
            with_a_missed_picture: count(stretches.iter().filter(|seen| seen.iter().any(|s| s.missed > 0))),
            seen: count(all()),
            seen_with_a_missed_picture: count(all().filter(missing)),
            pictures_missed: all().map(|seen| seen.missed).sum(),
            gap_p50_ms,
            gap_p99_ms,
            gap_worst_ms,
            back_p50_ms,
            back_p99_ms,
            back_worst_ms,
        }
    }
}

fn count(of: impl Iterator) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

/// Measures. Returns what is to be printed.
///
/// # Errors
/// [`Error::Input`] for options that do not go together, what ends a node before its time.
pub fn run(options: &Options) -> Result<String, Error> {
    let least = u32::from(options.parents) + options.at_once;
    if options.relays < least {
        let why = format!("{} are too few: for --parents and --at-once take {least} or more", options.relays);
        return Err(Error::input("--relays", why));
    }
    if !(0.0..=50.0).contains(&options.loss) {
        return Err(Error::input("--loss", format!("{}: 0 to 50 per cent", options.loss)));
    }
    let mut stage = Stage::set(options)?;
    let (mut deaths, mut without) = (Vec::new(), Vec::new());
    for _ in 0..options.kills {
        without.push(stage.look(0)?);
        deaths.push(stage.look(options.at_once)?);
    }
    let figures = Figures {
        kills: options.kills,
        at_once: options.at_once,
        watchers: options.watchers,
        loss_percent: options.loss,
        deaths: Stretches::of(&deaths),
        without: Stretches::of(&without),
    };
    super::give(&figures, figures.text(), options.json.as_deref())
}

impl Figures {
    fn text(&self) -> String {
        let Self { kills, at_once, watchers, loss_percent, deaths, without } = self;
        let mut text = format!(
            "{kills} times {at_once} of the relays killed, {watchers} watchers, {loss_percent} % lost on each hop; 3 s looked at each time\n\
             {:<44}{:>14}{:>14}\n",
            "", "after deaths", "without"
        );
        let missed = |s: &Stretches| format!("{} of {}", s.seen_with_a_missed_picture, s.seen);
        for (what, ours, base) in [
            (
                "times that any watcher missed a picture",
                deaths.with_a_missed_picture.to_string(),
                without.with_a_missed_picture.to_string(),
            ),
            ("of what each watcher saw, with one missed", missed(deaths), missed(without)),
            ("pictures missed", deaths.pictures_missed.to_string(), without.pictures_missed.to_string()),
            ("longest gap, p50", ms(deaths.gap_p50_ms), ms(without.gap_p50_ms)),
            ("longest gap, p99", ms(deaths.gap_p99_ms), ms(without.gap_p99_ms)),
            ("longest gap, worst", ms(deaths.gap_worst_ms), ms(without.gap_worst_ms)),
            ("back to full rate, p50", ms(deaths.back_p50_ms), ms(without.back_p50_ms)),
            ("back to full rate, p99", ms(deaths.back_p99_ms), ms(without.back_p99_ms)),
            ("back to full rate, worst", ms(deaths.back_worst_ms), ms(without.back_worst_ms)),
        ] {
            text += &format!("{what:<44}{ours:>14}{base:>14}\n");
        }
        text
    }
}

fn ms(of: u64) -> String {
    format!("{of} ms")
}

/// Median, 99th percentile and maximum.
fn spread(times: impl Iterator<Item = Duration>) -> [u64; 3] {
    let mut values: Vec<u64> =
        times.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).collect();
    values.sort_unstable();
    let at = |permille: usize| {
        let place = (values.len() * permille).div_ceil(1_000).max(1) - 1;
        values.get(place).copied().unwrap_or(0)
    };
    [at(500), at(990), at(1_000)]
}

/// A relay and what it has sent.
struct RelayNode {
    sent: Arc<Sent>,
    /// It carries the stream, and is named to watchers.
    ready: Arc<AtomicBool>,
    sent_before: u64,
    thread: NodeThread<Stats>,
}

#[derive(Debug, Default)]
struct Sent(AtomicU64);

impl Tap for Sent {
    fn received(&self, _: &[u8]) {}

    fn stats(&self, stats: Stats) {
        self.0.store(stats.bytes_out, Ordering::Relaxed);
    }
}

struct WatchNode {
    state: Arc<WatchState>,
    showing: Showing,
    thread: NodeThread<watch::Report>,
}

/// All nodes, each with a socket and a thread of its own.
struct Stage<'a> {
    options: &'a Options,
    ticket: Ticket,
    interval: Duration,
    /// Ends the host when it is dropped.
    _commands: mpsc::Sender<session::Command>,
    host: NodeThread<()>,
    relays: Vec<RelayNode>,
    watchers: Vec<WatchNode>,
    made: u64,
}

impl<'a> Stage<'a> {
    fn set(options: &'a Options) -> Result<Self, Error> {
        let clip = Clip::load(None)?;
        let interval = clip.rate.frame_interval();
        let video = VideoConfig {
            encoder: Encoder::default(),
            layers: Structure::L1T1,
            descriptions: None,
            bit_rate: BitRate::from_kbit(options.bit_rate),
            bounds: None,
            max_key_interval: (5.0 / interval.as_secs_f64()) as u32,
            threads: 2,
        };
        let pictures = LoopedClip { clip, next: 0, end: u64::MAX };
        let config = session::Config {
            loss: LossConfig { percent: options.loss, seed: options.seed },
            video: Some((Box::new(pictures), video)),
            parents: options.parents,
            ..session::Config::new(keyfile::random_seed()?, loopback())
        };
        let HostNode { commands, ticket, thread: host } = HostNode::spawn(config)?;
        let (relays, watchers) = (Vec::new(), Vec::new());
        let mut stage =
            Self { options, ticket, interval, _commands: commands, host, relays, watchers, made: 0 };
        for _ in 0..options.relays {
            stage.add_relay()?;
        }
        for _ in 0..options.watchers {
            stage.add_watcher()?;
        }
        Ok(stage)
    }

    fn loss(&mut self) -> LossConfig {
        self.made += 1;
        LossConfig { percent: self.options.loss, seed: self.options.seed }.for_link(self.made << 32)
    }

    fn add_relay(&mut self) -> Result<(), Error> {
        let sent = Arc::<Sent>::default();
        let config = relay::Config {
            loss: self.loss(),
            tap: Some(sent.clone() as Arc<dyn Tap>),
            ..relay::Config::new(keyfile::random_seed()?, self.ticket.clone(), loopback())
        };
        let ready = Arc::<AtomicBool>::default();
        let told = ready.clone();
        let thread = NodeThread::spawn("relay", move || {
            relay::run(config, std::future::pending(), move || told.store(true, Ordering::Relaxed))
        })?;
        self.relays.push(RelayNode { sent, ready, sent_before: 0, thread });
        Ok(())
    }

    fn add_watcher(&mut self) -> Result<(), Error> {
        let mut config = watch::Config::new(keyfile::random_seed()?, self.ticket.clone());
        config.delay = Duration::from_millis(self.options.delay);
        config.loss = self.loss();
        let (state, showing) = (config.state.clone(), Showing::default());
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(showing.clone())];
        let thread = NodeThread::spawn("watcher", move || watch::run(config, sinks))?;
        self.watchers.push(WatchNode { state, showing, thread });
        Ok(())
    }

    /// Waits until all is well, kills so many, and says what each watcher saw from then on. Those who died are replaced.
    fn look(&mut self, kill: u32) -> Result<Vec<Seen>, Error> {
        self.wait_until_calm()?;
        let lost: Vec<u64> = self.watchers.iter().map(WatchNode::lost).collect();
        let died_at = Instant::now();
        for number in 0..kill {
            // Evenly spread over the time, the first one at once.
            let at = died_at + WITHIN / kill * number;
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            let busiest = (0..self.relays.len()).max_by_key(|at| {
                self.relays.get(*at).map_or(0, |relay| relay.sent.now() - relay.sent_before)
            });
            if let Some(at) = busiest {
                self.relays.swap_remove(at).thread.kill();
            }
        }
        std::thread::sleep((died_at + LOOK).saturating_duration_since(Instant::now()));
        let seen = self.watchers.iter().zip(lost);
        let seen = seen
            .map(|(watcher, lost)| {
                let missed = watcher.lost().saturating_sub(lost);
                watcher.showing.since(died_at, self.interval, missed)
            })
            .collect();
        while self.relays.len() < self.options.relays as usize {
            self.add_relay()?;
        }
        Ok(seen)
    }

    /// All watchers have all their parents and show pictures, and what died was replaced.
    fn wait_until_calm(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + SETTLE;
        let mut calm_since = None;
        loop {
            let parents = u32::from(self.options.parents);
            let is_well = |watcher: &WatchNode| {
                let now = watcher.state.snapshot();
                now.parents == parents && now.played.frames_shown > 0 && watcher.showing.is_live()
            };
            let is_up = |relay: &RelayNode| relay.ready.load(Ordering::Relaxed);
            let calm = self.watchers.iter().all(is_well) && self.relays.iter().all(is_up);
            calm_since = if calm { calm_since.or(Some(Instant::now())) } else { None };
            if calm_since.is_some_and(|since: Instant| since.elapsed() >= CALM) {
                break;
            }
            self.check_alive()?;
            if Instant::now() >= deadline {
                let state = |watcher: &WatchNode| {
                    let now = watcher.state.snapshot();
                    format!("{} parents and {} pictures", now.parents, now.played.frames_shown)
                };
                let states: Vec<String> = self.watchers.iter().map(state).collect();
                return Err(Error::Network(format!(
                    "not all nodes are well after {} s, watchers have {}: try less --loss, or fewer --watchers on this machine",
                    SETTLE.as_secs(),
                    states.join(", ")
                )));
            }
            std::thread::sleep(STEP);
        }
        for relay in &mut self.relays {
            relay.sent_before = relay.sent.now();
        }
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    fn check_alive(&self) -> Result<(), Error> {
        let ended = self.host.is_finished()
            || self.relays.iter().any(|relay| relay.thread.is_finished())
            || self.watchers.iter().any(|watcher| watcher.thread.is_finished());
        if ended { Err(Error::Ended("a node, before its time")) } else { Ok(()) }
    }
}

impl Sent {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl WatchNode {
    /// Pictures that it has not shown and will not show.
    fn lost(&self) -> u64 {
        let played = self.state.snapshot().played;
        played.frames_lost + played.frames_undecodable
    }
}
