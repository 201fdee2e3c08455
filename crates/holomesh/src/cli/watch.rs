//! `holomesh watch`.

use super::NodeOptions;
use crate::Error;
use crate::ticket::Ticket;
use crate::watch::{self, Command, Config, MatroskaSink, Proofs, Sink, Y4mSink};
use clap::Args;
use codec_av1::Structure;
use core_types::{BitRate, LayerPolicy};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// Options of `holomesh watch`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// What `holomesh host` printed.
    ticket: String,
    /// Where to put what is received: a `.mkv` or `.webm` file with pictures and sound, or `-` for the decoded pictures
    /// as Y4M on standard output, for `| ffplay -`. May be given twice.
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// Leave after so many seconds [default: stay to the end].
    #[arg(long)]
    seconds: Option<f64>,
    /// From when something could have arrived to when it is played, in milliseconds.
    #[arg(long, default_value_t = 85)]
    delay: u64,
    /// What to do with pictures and sound that the publisher has not proven to be its own yet. `strict` plays everything
    /// 1.1 seconds later.
    #[arg(long, value_enum, default_value_t)]
    proofs: Proofs,
    /// Take no layers of the pictures above these: `L1T3` is the lowest resolution at its full rate [default: all that there are, as far as
    /// the way has room].
    #[arg(long, value_name = "LAYERS", conflicts_with = "uplink", value_parser = highest)]
    layers: Option<LayerPolicy>,
    /// Feed other watchers of the session with so many kbit/s of this node's uplink [default: feed nobody].
    #[arg(long, value_name = "KBIT", value_parser = clap::value_parser!(u32).range(100..))]
    uplink: Option<u32>,
    #[command(flatten)]
    node: NodeOptions,
}

/// `L2T1` as a bound: of qualities too, if it names some.
pub(super) fn highest(text: &str) -> Result<LayerPolicy, codec_av1::Error> {
    let structure: Structure = text.parse()?;
    let policy = LayerPolicy::up_to(structure.top());
    Ok(if text.contains('Q') { policy } else { LayerPolicy { max_quality: u8::MAX, ..policy } })
}

/// Tells a watcher to leave when the time is up, or at Ctrl-C.
pub(super) fn leave_after(seconds: Option<f64>, commands: mpsc::Sender<Command>) {
    let seconds = seconds.filter(|s| s.is_finite() && *s > 0.0).map(Duration::from_secs_f64);
    tokio::spawn(async move {
        let limit = async {
            match seconds {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = limit => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        let _ = commands.send(Command::Leave).await;
    });
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    let ticket: Ticket = options.ticket.parse()?;
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    for output in &options.output {
        sinks.push(if output.as_os_str() == "-" {
            Box::new(Y4mSink::new(std::io::stdout()))
        } else {
            let known = output.extension().is_some_and(|e| e == "mkv" || e == "webm");
            if !known {
                return Err(Error::input(
                    format!("-o {}", output.display()),
                    "must end in .mkv or .webm, or be - for Y4M on standard output",
                ));
            }
            Box::new(MatroskaSink::new(output))
        });
    }
    let mut config = Config::new(options.node.seed()?, ticket);
    if let Some(listen) = options.node.listen {
        config.listen = listen;
    }
    config.delay = Duration::from_millis(options.delay.min(5_000));
    config.proofs = options.proofs;
    config.layers = options.layers.unwrap_or(LayerPolicy::UNCAPPED);
    config.uplink = options.uplink.map(|kbit| BitRate::from_kbit(kbit.into()));
    config.lanes = options.node.transport.lanes();
    config.direct = options.node.transport.direct();
    let (state, lends) = (config.state.clone(), config.uplink.is_some());
    let (commands, inbox) = mpsc::channel(1);
    leave_after(options.seconds, commands);
    let watching = watch::run_with(config, sinks, inbox);
    tokio::pin!(watching);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let report = loop {
        tokio::select! {
            report = &mut watching => break report?,
            _ = tick.tick() => {
                let now = state.snapshot();
                if let Some(epoch) = now.epoch {
                    eprintln!(
                        "epoch {epoch}  parents {}{}  pictures {} ({} lost)  sound {} ({} repaired, {} recovered, {} concealed)  repaired {}",
                        now.parents,
                        if lends { format!("  children {}", now.children) } else { String::new() },
                        now.played.frames_shown,
                        now.played.frames_lost,
                        now.played.audio_shown,
                        now.played.audio_repaired,
                        now.played.audio_recovered,
                        now.played.audio_concealed,
                        now.repaired,
                    );
                }
            }
        }
    };
    let (played, proofs) = (report.last.played, report.last.proofs);
    eprintln!(
        "{} pictures shown ({} in fewer layers or descriptions, {} late, {} lost), {} packets of sound ({} by units of repair, {} by FEC, {} by DRED, {} pauses; {} concealed), {} chunks could not be opened",
        played.frames_shown,
        played.frames_reduced,
        played.frames_late,
        played.frames_lost,
        played.audio_shown,
        played.audio_repaired,
        played.audio_from_fec,
        played.audio_from_dred,
        played.audio_paused,
        played.audio_concealed,
        report.last.undecryptable,
    );
    if proofs.objects > 0 {
        eprintln!(
            "of {} pictures and packets {} are proven to be the publisher's, {} by Ed25519 alone, {} not proven, {} forged",
            proofs.objects, proofs.hybrid, proofs.interim, proofs.unproven, proofs.forged,
        );
    }
    Ok(())
}
