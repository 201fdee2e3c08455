//! `holomesh bench live`: a picture with a number in it, captured in real time and seen at the other end: how long that took, and what
//! of it was missing.

mod counter;

use self::counter::{Glass, Numbered, Stretch};
use crate::demo::nodes::{HostNode, NodeThread, loopback};
use crate::demo::sources::Clip;
use crate::net::{LossConfig, TransportChoice};
use crate::publish::{Encoder, Observer, Published, StreamKind, VideoConfig};
use crate::service::cpu_time;
use crate::watch::{Sink, WatchState};
use crate::{Error, keyfile, relay, session, watch};
use clap::{Args, ValueEnum};
use codec_av1::Structure;
use core_types::{BitRate, FrameSize};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// All must be there by then.
const SETTLE: Duration = Duration::from_secs(30);
/// From the first picture that is seen to the first one that counts.
const WARM: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(20);

/// What is published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Pictures {
    /// The bundled clip, enlarged to 640×360, 25 pictures a second.
    #[default]
    Clip,
    /// Four of it side by side: 1280×720, 30 pictures a second.
    Hd,
}

/// Options of `holomesh bench live`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// What is published.
    #[arg(long, value_enum, default_value_t)]
    pub pictures: Pictures,
    /// In which layers.
    #[arg(long, default_value_t = Structure::L1T1)]
    pub layers: Structure,
    /// What encodes it.
    #[arg(long, value_enum, default_value_t)]
    pub encoder: Encoder,
    /// Threads that it may use.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,
    /// Relays between the publisher and the watcher, and parents that the stream is dealt out over.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub links: u8,
    /// Datagrams lost on each hop, in per cent.
    #[arg(long, default_value_t = 0.0)]
    pub loss: f64,
    /// Kilobits a second of the picture.
    #[arg(long, default_value_t = 700, value_name = "KBIT", value_parser = clap::value_parser!(u64).range(8..=50_000))]
    pub bit_rate: u64,
    /// The watcher shows pictures so many milliseconds after they could have come.
    #[arg(long, default_value_t = 85, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=2_000))]
    pub delay: u64,
    /// What media travel on.
    #[arg(long, value_enum, default_value_t)]
    pub transport: TransportChoice,
    /// Of the losses.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the result there as JSON as well; `-` for standard output in place of the table.
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
}

/// What came of it. Times in milliseconds.
#[derive(Debug, Serialize)]
struct Figures {
    layers: String,
    seconds: u32,
    /// Pictures that were due to be captured.
    captured: u64,
    /// Of these, seen by the watcher; the number of none of those shown was unreadable but of so many.
    shown: u64,
    unreadable: u64,
    /// Of those shown, in fewer layers than there were.
    reduced: u64,
    /// From when a picture was due to be captured to when it was seen.
    glass_to_glass_p50: f64,
    glass_to_glass_p95: f64,
    glass_to_glass_p99: f64,
    glass_to_glass_worst: f64,
    /// From when a picture was due to be captured to when it was encoded.
    encoded_p50: f64,
    encoded_p95: f64,
    /// Seconds of CPU for each second, of all nodes.
    cpu: f64,
}

/// Measures. Returns what is to be printed.
///
/// # Errors
/// [`Error::Input`] for what can't be measured, what ends a node before its time.
pub fn run(options: &Options) -> Result<String, Error> {
    if !(0.0..=50.0).contains(&options.loss) {
        return Err(Error::input("--loss", format!("{}: 0 to 50 per cent", options.loss)));
    }
    options.encoder.check(options.layers)?;
    let figures = measure(options)?;
    super::give(&figures, figures.text(), options.json.as_deref())
}

impl Figures {
    fn text(&self) -> String {
        let missed = self.captured.saturating_sub(self.shown);
        format!(
            "{} in {} s: {} pictures captured, {} shown ({missed} missed), {} of them in fewer layers, {} not readable\n\
             glass to glass   p50 {:.0} ms   p95 {:.0} ms   p99 {:.0} ms   worst {:.0} ms\n\
             encoded after    p50 {:.0} ms   p95 {:.0} ms\n\
             CPU              {:.2} cores, all nodes\n",
            self.layers,
            self.seconds,
            self.captured,
            self.shown,
            self.reduced,
            self.unreadable,
            self.glass_to_glass_p50,
            self.glass_to_glass_p95,
            self.glass_to_glass_p99,
            self.glass_to_glass_worst,
            self.encoded_p50,
            self.encoded_p95,
            self.cpu
        )
    }
}

/// How long encoding took.
#[derive(Debug, Default)]
struct Encoding(Mutex<Vec<Duration>>);

impl Observer for Encoding {
    fn published(&self, object: Published) {
        if object.kind == StreamKind::Video {
            let took = object.encoded_at.saturating_duration_since(object.captured_at);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        }
    }
}

fn measure(options: &Options) -> Result<Figures, Error> {
    let (glass, encoding) = (Glass::default(), Arc::<Encoding>::default());
    let clip = Clip::load(None)?;
    let is_hd = options.pictures == Pictures::Hd;
    let size = FrameSize::new(640, 360).map_err(|e| Error::codec("picture", e))?;
    let pictures = Numbered::new(&clip, size, is_hd, glass.clone());
    let video = VideoConfig {
        encoder: options.encoder,
        layers: options.layers,
        descriptions: None,
        bit_rate: BitRate::from_kbit(options.bit_rate),
        bounds: None,
        max_key_interval: if is_hd { 150 } else { 125 },
        threads: options.threads.into(),
    };
    let loss = |link: u64| LossConfig { percent: options.loss, seed: options.seed }.for_link(link << 32);
    let (lanes, direct) = (options.transport.lanes(), options.transport.direct());
    let config = session::Config {
        loss: loss(0),
        video: Some((Box::new(pictures), video)),
        parents: options.links,
        lanes,
        direct,
        observer: encoding.clone(),
        ..session::Config::new(keyfile::random_seed()?, loopback())
    };
    let HostNode { commands: _commands, ticket, thread: host } = HostNode::spawn(config)?;
    let mut relays = Vec::new();
    for link in 1..=u64::from(options.links) {
        let config = relay::Config {
            loss: loss(link),
            lanes,
            direct,
            ..relay::Config::new(keyfile::random_seed()?, ticket.clone(), loopback())
        };
        relays.push(NodeThread::spawn("relay", move || relay::run(config, std::future::pending(), || ()))?);
    }
    let mut config = watch::Config::new(keyfile::random_seed()?, ticket);
    config.delay = Duration::from_millis(options.delay);
    (config.lanes, config.direct, config.loss) = (lanes, direct, loss(100));
    let state = config.state.clone();
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(glass.clone())];
    let watcher = NodeThread::spawn("watcher", move || watch::run(config, sinks))?;

    wait_until_well(&glass, &state, options.links)?;
    std::thread::sleep(WARM);
    let (from, reduced) = (glass.captured(), state.snapshot().played.frames_reduced);
    let encoded_from = encoding.0.lock().unwrap_or_else(PoisonError::into_inner).len();
    let cpu = cpu_time().unwrap_or_default();
    let start = Instant::now();
    let end = start + Duration::from_secs(options.seconds.into());
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::sleep(left.min(STEP * 10));
        if watcher.is_finished() || host.is_finished() || relays.iter().any(NodeThread::is_finished) {
            return Err(Error::Ended("a node, before its time"));
        }
    }
    let to = glass.captured();
    let cpu = cpu_time().unwrap_or_default().saturating_sub(cpu).div_duration_f64(start.elapsed());
    // What was captured last is still on its way.
    std::thread::sleep(Duration::from_millis(options.delay + 1_000));
    let reduced = state.snapshot().played.frames_reduced - reduced;
    let Stretch { captured, shown, unreadable, times } = glass.stretch(from, to);
    let mut encoded: Vec<Duration> = encoding
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .skip(encoded_from)
        .copied()
        .collect();
    encoded.sort_unstable();
    Ok(Figures {
        layers: options.layers.to_string(),
        seconds: options.seconds,
        captured,
        shown,
        unreadable,
        reduced,
        glass_to_glass_p50: at(&times, 500),
        glass_to_glass_p95: at(&times, 950),
        glass_to_glass_p99: at(&times, 990),
        glass_to_glass_worst: at(&times, 1_000),
        encoded_p50: at(&encoded, 500),
        encoded_p95: at(&encoded, 950),
        cpu,
    })
}

fn wait_until_well(glass: &Glass, state: &WatchState, links: u8) -> Result<(), Error> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let now = state.snapshot();
        if glass.is_live() && now.parents == u32::from(links) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let why = format!(
                "the watcher has {} of {links} parents and {} pictures after {} s: try fewer --links, or less --loss",
                now.parents,
                now.played.frames_shown,
                SETTLE.as_secs()
            );
            return Err(Error::Network(why));
        }
        std::thread::sleep(STEP);
    }
}

/// In milliseconds, of times in order.
fn at(times: &[Duration], permille: usize) -> f64 {
    let place = (times.len() * permille).div_ceil(1_000).max(1) - 1;
    times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}
