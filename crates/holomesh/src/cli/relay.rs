//! `holomesh relay`: a relay from the command line, or as a service from a configuration file.

use super::passphrase::PassphraseOptions;
use super::{block_on, passphrase};
use crate::keyfile::KeyFile;
use crate::net::TransportChoice;
use crate::record::{self, Place, Recorder};
use crate::relay::{self, Shutdown};
use crate::service::config::{self, Finding, Loaded, Override, Severity};
use crate::service::limits::Guard;
use crate::service::shutdown::Signals;
use crate::service::{StatusSink, http, log};
use crate::{Error, watch};
use clap::Args;
use identity::Seed;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// A node that was told twice to end, and has not by then, is left as it is.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Options of `holomesh relay`. What is given here beats the configuration file.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// What `holomesh host` printed [default: by the configuration file].
    ticket: Option<String>,
    /// A configuration file; `packaging/relay.toml` is one with every key explained.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what is in force and whether it would work, and end: with 0 if it would, with 1 if not.
    #[arg(long)]
    check: bool,
    /// Where to listen [default: a free port; loopback only, unless the ticket's host is on another machine].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The node's key, made by `holomesh key new` [default: a new one each time].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseOptions,
    /// What media travels on [default: auto].
    #[arg(long)]
    transport: Option<TransportChoice>,
    /// Where metrics, health and the status for `holomesh top` are served [default: nowhere].
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
    /// Keep what is carried in this folder, sealed as it is, as far as publishers consent, and serve it to those who may have it.
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// Any other key of the configuration file, as `limits.links=500`. May be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Options {
    fn overrides(&self, filter: Option<&str>) -> Result<Vec<Override>, Error> {
        let path = |path: &PathBuf| path.display().to_string();
        let named = [
            ("ticket", "ticket", self.ticket.clone()),
            ("--listen", "listen", self.listen.map(|address| address.to_string())),
            ("--key", "key_file", self.key.as_ref().map(path)),
            ("--passphrase-file", "passphrase_file", self.passphrase.file().map(path)),
            ("--transport", "transport", self.transport.map(|choice| choice.to_string())),
            ("--http", "http.listen", self.http.map(|address| address.to_string())),
            ("--store", "store.folder", self.store.as_ref().map(path)),
            ("--log", "log.level", filter.map(str::to_owned)),
        ];
        let mut overrides: Vec<Override> = named
            .into_iter()
            .filter_map(|(flag, key, value)| {
                Some(Override { flag: flag.into(), key: key.into(), value: value? })
            })
            .collect();
        for pair in &self.set {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Error::input("--set", "write KEY=VALUE, as in --set limits.links=500"));
            };
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            overrides.push(Override { flag: format!("--set {key}"), key, value });
        }
        Ok(overrides)
    }
}

/// Runs it; `filter` is what `--log` says, if it is given.
pub(super) fn run(options: &Options, filter: Option<&str>) -> Result<ExitCode, Error> {
    let loaded = config::load(options.config.as_deref(), &options.overrides(filter)?)?;
    if options.check {
        return Ok(check(&loaded));
    }
    let ticket = loaded.ticket()?;
    let log = log::init(&loaded.config.log)?;
    let passphrase = PassphraseOptions::from_file(loaded.config.passphrase_file.clone());
    let seed = passphrase::seed(loaded.config.key_file.as_deref(), &passphrase)?;
    let listen = loaded.config.listen.unwrap_or_else(|| watch::reachable_from(&ticket));
    let recorder = recorder(&loaded.config, &seed)?;
    let node = relay::Config { recorder, ..relay::Config::new(seed, ticket, listen) };
    block_on(loaded.config.threads, serve(&loaded, node, &log)).map(|()| ExitCode::SUCCESS)
}

fn recorder(config: &config::Config, seed: &Seed) -> Result<Option<Recorder>, Error> {
    let Some(folder) = &config.store.folder else { return Ok(None) };
    if config.key_file.is_none() {
        let why =
            "recordings are sealed under the node's key: give --key FILE (`holomesh key new` makes one)";
        return Err(Error::input("store.folder", why));
    }
    let classes = super::store_options::classes(config.store.classes_file.as_deref())?;
    let record = record::Config::new(folder.clone(), Seed(seed.0));
    Recorder::start(record::Config { classes, ..record }).map(Some)
}

fn check(loaded: &Loaded) -> ExitCode {
    let mut findings = loaded.findings();
    findings.extend(key_finding(&loaded.config));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let works = findings.iter().all(|finding| finding.severity < Severity::Fault);
    let file = loaded.file.as_ref().map_or("no configuration file".into(), |file| file.display().to_string());
    println!("# {file}, with the command line on top\n{}", loaded.table());
    for finding in findings {
        println!("# {finding}");
    }
    println!("# {}", if works { "in order" } else { "the relay would not start" });
    if works { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn key_finding(config: &config::Config) -> Option<Finding> {
    let path = config.key_file.as_deref()?;
    let passphrase = PassphraseOptions::from_file(config.passphrase_file.clone());
    let opened = match KeyFile::read(path) {
        Ok(KeyFile::Protected(_)) if !passphrase.is_given() => {
            let text = "key_file: it needs a passphrase, and a service can't be asked; set passphrase_file";
            return Some(Finding::new(Severity::Warning, text));
        }
        Ok(_) => passphrase.load(path).map(drop),
        Err(error) => Err(error),
    };
    opened.err().map(|error| Finding::new(Severity::Fault, format!("key_file: {error}")))
}

async fn serve(loaded: &Loaded, node: relay::Config, log: &log::LogGuard) -> Result<(), Error> {
    let config = &loaded.config;
    let guard = Guard::install(&config.limits)?;
    let (sink, source) = StatusSink::new(guard, Some(log.counters()));
    let server = http::Server::start(&config.http, source).await?;
    if let Some(server) = &server {
        tracing::info!(address = %server.address(), "metrics, health and status");
    }
    let node = relay::Config {
        lanes: config.transport.lanes(),
        direct: config.transport.direct(),
        lane_port: config.udp_port,
        limits: config.relay_limits(),
        quota: config.link_quota(),
        requests: config.quotas.link_requests,
        stream_quota: config.stream_quota(),
        uplink: config.limits.uplink,
        host_patience: config.host_patience,
        status: Some(sink),
        ..node
    };
    let mut signals = Signals::install(config.drain)?;
    let (tell, told) = mpsc::channel(2);
    let records = node.recorder.is_some();
    let run = relay::run_with(node, told, move |address| {
        eprintln!("relaying; end with Ctrl-C");
        if records {
            eprintln!("recordings are at   {}", Place(address));
        }
    });
    let signalled = async {
        let how = signals.next().await;
        if let Shutdown::Drain(time) = how {
            eprintln!("draining for {} s at most; a second signal ends at once", time.as_secs());
        }
        // A node that has ended by itself is told nothing.
        let _ = tell.send(how).await;
        let how = signals.next().await;
        eprintln!("ending at once");
        let _ = tell.send(how).await;
        tokio::time::sleep(LAST_MOMENT).await;
    };
    let stats = tokio::select! {
        outcome = run => outcome?,
        () = signalled => return Ok(()),
    };
    eprintln!(
        "over: {} chunks in, {} chunks out, {} sent again",
        stats.chunks_in, stats.chunks_out, stats.repaired
    );
    Ok(())
}
