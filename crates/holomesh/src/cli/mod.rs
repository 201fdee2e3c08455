//! The command line.

mod host;
mod key;
mod passphrase;
mod watch;

use crate::demo;
use crate::{Error, relay};
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
    /// What to log to standard error, for example `info` or `holomesh=debug`.
    #[arg(long, global = true, default_value = "warn", env = "HOLOMESH_LOG", value_name = "FILTER")]
    log: String,
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
    Relay(RelayOptions),
    /// Make or show the key that a node is known by, or change its passphrase.
    Key(key::Options),
}

/// Options of `holomesh relay`.
#[derive(Debug, Args)]
struct RelayOptions {
    /// What `holomesh host` printed.
    ticket: String,
    #[command(flatten)]
    node: NodeOptions,
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
    #[command(flatten)]
    passphrase: passphrase::PassphraseOptions,
}

impl NodeOptions {
    fn seed(&self) -> Result<identity::Seed, Error> {
        passphrase::seed(self.key.as_deref(), &self.passphrase)
    }
}

/// Parses the command line and runs it. Errors are one line on standard error and a non-zero exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&cli.log);
    let Ok(filter) = filter else {
        eprintln!("holomesh: --log {}: not a filter; try `info`", cli.log);
        return ExitCode::from(2);
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("holomesh: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Demo(options) => {
            let (text, kept) = demo::run(&options)?;
            println!("{text}");
            Ok(if kept { ExitCode::SUCCESS } else { ExitCode::from(3) })
        }
        Command::Host(options) => block_on(host::run(options)).map(|()| ExitCode::SUCCESS),
        Command::Watch(options) => block_on(watch::run(options)).map(|()| ExitCode::SUCCESS),
        Command::Relay(options) => block_on(serve(options)).map(|()| ExitCode::SUCCESS),
        Command::Key(options) => key::run(options).map(|()| ExitCode::SUCCESS),
    }
}

async fn serve(options: RelayOptions) -> Result<(), Error> {
    let ticket: crate::ticket::Ticket = options.ticket.parse()?;
    let listen = options.node.listen.unwrap_or_else(|| crate::watch::reachable_from(&ticket));
    let config = relay::Config {
        seed: options.node.seed()?,
        ticket,
        listen,
        loss: crate::net::LossConfig::NONE,
        tap: None,
    };
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let stats = relay::run(config, interrupted, || eprintln!("relaying; end with Ctrl-C")).await?;
    eprintln!(
        "over: {} chunks in, {} chunks out, {} sent again",
        stats.chunks_in, stats.chunks_out, stats.repaired
    );
    Ok(())
}

fn block_on<T>(node: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::Network(format!("can't start the runtime: {e}")))?;
    let outcome = runtime.block_on(node);
    runtime.shutdown_background();
    outcome
}
