//! `holomesh bench relay`: a publisher, a relay and its subscribers in processes of their own, and what the relay costs. And `holomesh
//! bench kills`: what watchers see when relays die; `holomesh bench live`: how long a picture takes from capture to eye.

mod asks;
mod edge;
mod figures;
pub mod kills;
pub mod live;
mod options;
mod process;
mod publisher;
mod relay;
mod soak;
mod stream;
mod subscribers;
mod tally;

use crate::Error;
use figures::{Audience, Figures, Usage, Window};
pub use options::{Options, Via};
use process::Role;
use serde::Serialize;
use soak::{REST, Sample, WARM};
use std::path::Path;
use std::time::{Duration, Instant};

/// Streams and windows settle in this time.
const RUN_IN: Duration = Duration::from_secs(2);
/// How often the processes are looked at, and memory while soaking.
const LOOK: Duration = Duration::from_secs(5);

/// What one of the tool's own processes does.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Part {
    /// Publishes the stream.
    Publisher(publisher::Options),
    /// Is measured.
    Relay(relay::Options),
    /// Subscribe.
    Subscribers(subscribers::Options),
}

/// Runs one of the tool's own processes.
///
/// # Errors
/// What its node says.
pub async fn run_part(part: Part) -> Result<(), Error> {
    match part {
        Part::Publisher(options) => publisher::run(options).await,
        Part::Relay(options) => relay::run(options).await,
        Part::Subscribers(options) => subscribers::run(options).await,
    }
}

/// Measures. Returns what is to be printed.
///
/// # Errors
/// [`Error::Input`] for options that do not go together, [`Error::Network`] if a process did not do its part.
pub fn run(options: &Options) -> Result<String, Error> {
    options.check()?;
    let rate = options.rate.to_string();
    let repair = options.repair().to_string();
    let mut publisher = Role::spawn("publisher", &["--rate", &rate, "--repair", &repair])?;
    let ticket = publisher.line()?;
    let relay = Role::spawn("relay", &["--transport", options.transport.name(), &ticket])?;
    let address = relay.line()?;
    let [count, lossy, narrow] =
        [options.subscribers, options.lossy, options.narrow].map(|number| number.to_string());
    let churn = if options.soak.is_some() { options.churn.to_string() } else { "0".into() };
    let subscribers = Role::spawn(
        "subscribers",
        &[
            "--transport",
            options.transport.name(),
            "--count",
            &count,
            "--lossy",
            &lossy,
            "--narrow",
            &narrow,
            "--churn",
            &churn,
            "--rate",
            &rate,
            "--repair",
            &repair,
            "--relay",
            &address,
            &ticket,
        ],
    )?;
    let ready = subscribers.line()?;
    if ready != "ready" {
        return Err(Error::Network(format!("the subscribers are not ready: {ready}")));
    }
    publisher.tell("start")?;
    let mut run = Run { publisher, relay, subscribers, start: Instant::now(), samples: None };
    run.go_on(if options.soak.is_some() { WARM } else { RUN_IN })?;
    let before: Usage = run.relay.ask("mark")?;
    let _: Audience = run.subscribers.ask("mark")?;
    run.start = Instant::now();
    if options.soak.is_some() {
        run.samples = Some(Vec::new());
        run.subscribers.tell("churn")?;
    }
    run.go_on(options.window())?;
    let after: Usage = run.relay.ask("mark")?;
    let took = run.start.elapsed();
    let audience: Audience = run.subscribers.ask("mark")?;
    if options.soak.is_some() {
        run.subscribers.tell("rest")?;
        run.go_on(REST)?;
    }
    let samples = run.end();
    let figures = Figures::of(options, Window { took, before, after, audience, samples });
    give(&figures, figures.text(), options.json.as_deref())
}

/// What is to be printed: the table, or the figures as JSON where `-` is asked for. Elsewhere they are written as well.
fn give(figures: &impl Serialize, table: String, json: Option<&Path>) -> Result<String, Error> {
    let Some(path) = json else { return Ok(table) };
    let figures = serde_json::to_string_pretty(figures).map_err(|e| Error::codec("json", e))?;
    if path.as_os_str() == "-" {
        return Ok(figures);
    }
    std::fs::write(path, figures + "\n").map_err(Error::file(path))?;
    Ok(table)
}

/// The processes of a run.
struct Run {
    publisher: Role,
    relay: Role,
    subscribers: Role,
    start: Instant,
    /// The relay's memory since the start, where that is the question.
    samples: Option<Vec<Sample>>,
}

impl Run {
    /// Lets them do their work for so long.
    fn go_on(&mut self, time: Duration) -> Result<(), Error> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
            for role in [&mut self.publisher, &mut self.relay, &mut self.subscribers] {
                role.check_alive()?;
            }
            if let Some(samples) = &mut self.samples {
                let usage: Usage = self.relay.ask("mark")?;
                samples
                    .push(Sample { seconds: self.start.elapsed().as_secs_f64(), rss_bytes: usage.rss_bytes });
            }
        }
    }

    fn end(self) -> Option<Vec<Sample>> {
        for role in [self.subscribers, self.relay, self.publisher] {
            role.end();
        }
        self.samples
    }
}
