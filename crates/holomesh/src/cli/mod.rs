//! The command line.

mod consent;
mod host;
mod key;
mod outputs;
mod passphrase;
mod play;
mod record;
mod relay;
mod store;
mod store_options;
mod top;
mod units;
mod watch;

pub(crate) use host::descriptions;

use crate::{Error, bench, demo, sim};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Live audio and video between peers that relay for one another.
#[derive(Debug, Parser)]
#[command(name = "holomesh", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to log to standard error, for example `info` or `holomesh=debug` [default: warn; a relay: by its configuration].
    #[arg(long, global = true, env = "HOLOMESH_LOG", value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process on a real clip, with a relay killed and members coming and going; write a report.
    Demo(Box<demo::Options>),
    /// Start a session and publish: prints a ticket.
    Host(host::Options),
    /// Join a session and watch.
    Watch(watch::Options),
    /// Forward a session's streams to its watchers.
    Relay(Box<relay::Options>),
    /// Join a session and keep its streams, for as long as their publisher consents.
    Record(record::Options),
    /// Play what was recorded.
    Play(play::Options),
    /// What is recorded: list, check, give room back, serve, fetch.
    Store(store::Options),
    /// What a publisher says about recordings of it.
    Consent(consent::Options),
    /// Show how a running node is doing, live.
    Top(top::Options),
    /// Measure what a node costs.
    #[command(subcommand)]
    Bench(Bench),
    /// Simulate a mesh of many watchers by a scenario; fails if the scenario's bounds are not kept.
    Sim(sim::Options),
    /// Make or show the key that a node is known by, or change its passphrase.
    Key(key::Options),
}

/// What can be measured.
#[derive(Debug, Subcommand)]
enum Bench {
    /// Run a publisher, a relay and its subscribers in processes of their own, and show what the relay costs.
    Relay(bench::Options),
    /// Kill relays of a live session on this machine one after the other, and show what its watchers see of it.
    Kills(bench::kills::Options),
    /// Publish pictures with numbers in them, watch them over relays, and show how long they take and which are missing.
    Live(bench::live::Options),
    /// One of these processes.
    #[command(subcommand, hide = true)]
    Part(bench::Part),
}

/// What every node can be told.
#[derive(Debug, Clone, Args)]
struct NodeOptions {
    /// Where to listen [default: a free port; loopback only, unless the ticket's host is on another machine].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The node's key, made by `holomesh key new` [default: a new one each time].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What media travel on.
    #[arg(long, value_enum, default_value_t)]
    transport: crate::net::TransportChoice,
    #[command(flatten)]
    passphrase: passphrase::PassphraseOptions,
}

impl NodeOptions {
    fn seed(&self) -> Result<identity::Seed, Error> {
        passphrase::seed(self.key.as_deref(), &self.passphrase)
    }
}

/// Of hosts and watchers: what they forward or play is not to wait for a handshake.
const NODE_THREADS: usize = 2;

/// Parses the command line and runs it. Errors are one line on standard error and a non-zero exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // A relay has a log of its own, which follows its configuration.
    if !matches!(cli.command, Command::Relay(_)) {
        // Who is killed does not say goodbye, and what runs it says so.
        let usual =
            if matches!(cli.command, Command::Bench(Bench::Kills(_))) { "warn,iroh=off" } else { "warn" };
        let log = cli.log.as_deref().unwrap_or(usual);
        let Ok(filter) = tracing_subscriber::EnvFilter::try_new(log) else {
            eprintln!("holomesh: --log {log}: not a filter; try `info`");
            return ExitCode::from(2);
        };
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    match run(cli.command, cli.log.as_deref()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("holomesh: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, log: Option<&str>) -> Result<ExitCode, Error> {
    match command {
        Command::Demo(options) => {
            let (text, kept) = demo::run(&options)?;
            println!("{text}");
            Ok(if kept { ExitCode::SUCCESS } else { ExitCode::from(3) })
        }
        Command::Host(options) => block_on(NODE_THREADS, host::run(options)).map(|()| ExitCode::SUCCESS),
        Command::Watch(options) => block_on(NODE_THREADS, watch::run(options)).map(|()| ExitCode::SUCCESS),
        Command::Relay(options) => relay::run(&options, log),
        Command::Record(options) => block_on(NODE_THREADS, record::run(options)).map(|()| ExitCode::SUCCESS),
        Command::Play(options) => play::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Store(options) => block_on(NODE_THREADS, store::run(options)).map(|()| ExitCode::SUCCESS),
        Command::Consent(options) => {
            block_on(NODE_THREADS, consent::run(options)).map(|()| ExitCode::SUCCESS)
        }
        Command::Top(options) => top::run(&options),
        Command::Bench(Bench::Relay(options)) => {
            println!("{}", bench::run(&options)?.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench(Bench::Kills(options)) => {
            println!("{}", bench::kills::run(&options)?.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench(Bench::Live(options)) => {
            println!("{}", bench::live::run(&options)?.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench(Bench::Part(part)) => block_on(1, bench::run_part(part)).map(|()| ExitCode::SUCCESS),
        Command::Sim(options) => {
            let outcome = sim::run(&options)?;
            print!("{}", outcome.text);
            Ok(if outcome.kept { ExitCode::SUCCESS } else { ExitCode::from(3) })
        }
        Command::Key(options) => key::run(options).map(|()| ExitCode::SUCCESS),
    }
}

/// Runs a node on this thread. With more threads than one, the others drive its connections; one alone costs the least.
fn block_on<T>(threads: usize, node: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let failed = |e: std::io::Error| Error::Network(format!("can't start the runtime: {e}"));
    let own = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let connections = match threads.saturating_sub(1) {
        0 => None,
        others => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            Some(runtime.worker_threads(others).enable_all().build().map_err(failed)?)
        }
    };
    if let Some(connections) = &connections {
        crate::net::drive_connections_on(connections.handle().clone());
    }
    let outcome = own.block_on(node);
    own.shutdown_background();
    if let Some(connections) = connections {
        connections.shutdown_background();
    }
    outcome
}
