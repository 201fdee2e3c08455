//! `holomesh record`.

use super::store_options::StoreOptions;
use super::watch::{highest, leave_after, seconds};
use crate::Error;
use crate::record::{RecordStats, Recorder};
use crate::ticket::Ticket;
use crate::watch::{self, Config};
use clap::Args;
use core_types::LayerPolicy;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// Options of `holomesh record`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// What `holomesh host` printed.
    ticket: String,
    #[command(flatten)]
    store: StoreOptions,
    /// Leave after so many seconds [default: stay to the end].
    #[arg(long, value_parser = seconds, allow_negative_numbers = true)]
    seconds: Option<Duration>,
    /// Keep no layers of the pictures above these: `L1T3` is the lowest resolution at its full rate [default: all that come].
    #[arg(long, value_name = "LAYERS", value_parser = highest)]
    layers: Option<LayerPolicy>,
    /// Where to listen [default: a free port; loopback only, unless the ticket's host is on another machine].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// What media travel on.
    #[arg(long, value_enum, default_value_t)]
    transport: crate::net::TransportChoice,
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    let ticket: Ticket = options.ticket.parse()?;
    let recorder = Recorder::start(options.store.config()?)?;
    let mut config = Config::new(options.store.seed()?, ticket);
    if let Some(listen) = options.listen {
        config.listen = listen;
    }
    config.layers = options.layers.unwrap_or(LayerPolicy::UNCAPPED);
    config.lanes = options.transport.lanes();
    config.direct = options.transport.direct();
    config.recorder = Some(recorder);
    let (commands, inbox) = mpsc::channel(1);
    leave_after(options.seconds, commands);
    let report = watch::run_with(config, Vec::new(), inbox).await?;
    let stats = report.recorded.unwrap_or_default();
    show(&stats);
    if stats.symbols == 0 && stats.without_consent > 0 {
        return Err(Error::input(
            "record",
            "nothing was kept: the publisher does not consent to recording (`holomesh host --consent CLASS`)",
        ));
    }
    Ok(())
}

/// The contents on standard output, for `holomesh play`; the rest beside it.
fn show(stats: &RecordStats) {
    for content in &stats.contents {
        println!("{content}");
    }
    eprintln!(
        "recorded {} symbols, {} bytes; {} not kept by their tier, {} without consent, {} bytes lost to a slow disk, {} failures of the store",
        stats.symbols, stats.bytes, stats.left_out, stats.without_consent, stats.lost, stats.failures,
    );
}
