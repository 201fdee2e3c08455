//! `holomesh watch`.

use super::{NodeOptions, outputs};
use crate::Error;
use crate::ticket::Ticket;
use crate::watch::{
    self, Command, Config, PlayStats, Proofs, Report, Sink, Snapshot, SpeakerSink, WatchState, Y4mSink,
};
use clap::Args;
use codec_av1::Structure;
use core_types::{BitRate, LayerPolicy};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Options of `holomesh watch`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// What `holomesh host` printed; of several sessions the one is shown whose publisher speaks.
    #[arg(required = true, value_name = "TICKET")]
    tickets: Vec<String>,
    /// Where to put what is received: a `.mkv` or `.webm` file with pictures and sound, a `.y4m` file with decoded pictures, or `-` for
    /// those on standard output, for `| ffplay -`. May be given several times.
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// Leave after so many seconds [default: stay to the end].
    #[arg(long, value_parser = seconds, allow_negative_numbers = true)]
    seconds: Option<Duration>,
    /// From when something could have arrived to when it is played, in milliseconds, up to 5000.
    #[arg(long, default_value_t = 85, value_parser = clap::value_parser!(u64).range(0..=5_000))]
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

/// The longest time that can be asked for, in seconds: 31 years.
const MOST_SECONDS: f64 = 1e9;

/// `10` or `0.5`.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "no number; take seconds, such as 10 or 0.5")?;
    if !(seconds > 0.0 && seconds <= MOST_SECONDS) {
        return Err("take seconds above 0 and up to 1000000000, or leave it out to stay to the end".into());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Tells a watcher to leave when the time is up, or at Ctrl-C.
pub(super) fn leave_after(limit: Option<Duration>, commands: mpsc::Sender<Command>) {
    tokio::spawn(async move {
        let limit = async {
            match limit {
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

/// Of a watcher that lends: how many it feeds, and what it claims to them that it can carry.
fn lending(now: &Snapshot) -> String {
    format!("  children {} (claims {} kbit/s)", now.children, now.claimed.0 / 1_000)
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    options.check_listen()?;
    let tickets: Vec<Ticket> =
        options.tickets.iter().map(|ticket| ticket.parse()).collect::<Result<_, Error>>()?;
    let sinks = options.sinks(tickets.len())?;
    let is_one = tickets.len() == 1;
    let mut watching: JoinSet<Result<(), Error>> = JoinSet::new();
    let configs: Vec<Config> =
        tickets.into_iter().map(|ticket| options.config(ticket)).collect::<Result<_, Error>>()?;
    for (place, (config, sinks)) in (1..).zip(configs.into_iter().zip(sinks)) {
        let (state, lends) = (config.state.clone(), config.uplink.is_some());
        let (commands, inbox) = mpsc::channel(1);
        leave_after(options.seconds, commands);
        let name = if is_one { String::new() } else { format!("{place}: ") };
        watching.spawn(async move {
            let shown = show_while(&name, &state, lends, watch::run_with(config, sinks, inbox)).await;
            // Of one session it is what the command ends with.
            let told = |error: &Error| {
                if !is_one {
                    eprintln!("{name}{error}")
                }
            };
            sum_up(&name, &shown.inspect_err(told)?);
            Ok(())
        });
    }
    all_ended(watching).await
}

/// Waits for every session, whatever becomes of the others. The first error is told.
async fn all_ended(mut watching: JoinSet<Result<(), Error>>) -> Result<(), Error> {
    let mut outcome = Ok(());
    while let Some(ended) = watching.join_next().await {
        outcome = outcome.and(ended.unwrap_or(Err(Error::Ended("a session"))));
    }
    outcome
}

/// Says once a second how it goes.
async fn show_while(
    name: &str,
    state: &WatchState,
    lends: bool,
    watching: impl Future<Output = Result<Report, Error>>,
) -> Result<Report, Error> {
    tokio::pin!(watching);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            report = &mut watching => return report,
            _ = tick.tick() => {
                let now = state.snapshot();
                if let Some(epoch) = now.epoch {
                    eprintln!(
                        "{name}epoch {epoch}  parents {}{}  pictures {} ({} lost)  sound {} ({} repaired, {} recovered, {} concealed){}  repaired {}",
                        now.parents,
                        if lends { lending(&now) } else { String::new() },
                        now.played.frames_shown,
                        now.played.frames_lost,
                        now.played.audio_shown,
                        PlayStats::slots(now.played.sound.from_repaired),
                        now.played.audio_recovered,
                        now.played.audio_concealed,
                        if now.played.speaks { "  speaking" } else { "" },
                        now.repaired,
                    );
                }
            }
        }
    }
}

fn sum_up(name: &str, report: &Report) {
    let (played, proofs) = (report.last.played, report.last.proofs);
    eprintln!(
        "{name}{} pictures shown ({} in fewer layers or descriptions, {} late, {} lost), {} packets of sound ({} by units of repair, {} by FEC, {} by DRED, {} pauses; {} concealed), {} chunks could not be opened",
        played.frames_shown,
        played.frames_reduced,
        played.frames_late,
        played.frames_lost,
        played.audio_shown,
        PlayStats::slots(played.sound.from_repaired),
        PlayStats::slots(played.sound.from_coarse_copies),
        PlayStats::slots(played.sound.from_redundancy),
        PlayStats::slots(played.sound.paused),
        played.audio_concealed,
        report.last.undecryptable,
    );
    if played.left_out > 0 {
        let left_out = played.left_out;
        eprintln!("{name}{left_out} pictures and packets were not played, since an output did not take them");
    }
    if played.audio_shown > 0 {
        let (spoken, heard) = (played.spoken.as_secs_f64(), played.audio_shown as f64 * 0.02);
        eprintln!("{name}somebody spoke for {spoken:.1} s of {heard:.1} s of sound");
    }
    if proofs.objects > 0 {
        eprintln!(
            "{name}of {} pictures and packets {} are proven to be the publisher's, {} by Ed25519 alone, {} not proven, {} forged",
            proofs.objects, proofs.hybrid, proofs.interim, proofs.unproven, proofs.forged,
        );
    }
}

impl Options {
    /// Each session has a socket of its own, and a port is for one.
    fn check_listen(&self) -> Result<(), Error> {
        match self.node.listen {
            Some(listen) if self.tickets.len() > 1 && listen.port() != 0 => Err(Error::input(
                format!("--listen {listen}"),
                format!("a port is for one session; for several give {}", SocketAddr::new(listen.ip(), 0)),
            )),
            _ => Ok(()),
        }
    }

    /// What each of so many sessions is put into: of several, one screen for all of them.
    fn sinks(&self, sessions: usize) -> Result<Vec<Vec<Box<dyn Sink>>>, Error> {
        outputs::check(&self.output)?;
        if sessions == 1 {
            let sinks =
                self.output.iter().map(|output| outputs::live(output)).collect::<Result<_, Error>>()?;
            return Ok(vec![sinks]);
        }
        let mut all: Vec<Vec<Box<dyn Sink>>> = (0..sessions).map(|_| Vec::new()).collect();
        for output in &self.output {
            if output.as_os_str() != "-" {
                let what = format!("-o {}", output.display());
                return Err(Error::input(
                    what,
                    "of several sessions there is `-o -` alone: a file holds one",
                ));
            }
            let told = Box::new(|place: usize, _| eprintln!("shows {}", place + 1));
            let screen = SpeakerSink::screen(sessions, Box::new(Y4mSink::standard_output()), told);
            for (sinks, screen) in all.iter_mut().zip(screen) {
                sinks.push(Box::new(screen));
            }
        }
        Ok(all)
    }

    fn config(&self, ticket: Ticket) -> Result<Config, Error> {
        let mut config = Config::new(self.node.seed()?, ticket);
        if let Some(listen) = self.node.listen {
            config.listen = listen;
        }
        config.delay = Duration::from_millis(self.delay);
        config.proofs = self.proofs;
        config.layers = self.layers.unwrap_or(LayerPolicy::UNCAPPED);
        config.uplink = self.uplink.map(|kbit| BitRate::from_kbit(kbit.into()));
        config.lanes = self.node.transport.lanes();
        config.direct = self.node.transport.direct();
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_that_fails_ends_no_other() {
        let (fail, failed) = tokio::sync::oneshot::channel();
        let mut watching: JoinSet<Result<(), Error>> = JoinSet::new();
        let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let has_ended = ended.clone();
        watching.spawn(async move {
            drop(fail);
            Err(Error::Ended("the first"))
        });
        watching.spawn(async move {
            // After the first one is gone, and all that waited for it has run.
            let _: Result<(), _> = failed.await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            Err(Error::Ended("the second"))
        });
        let outcome = all_ended(watching).await;
        assert!(has_ended.load(std::sync::atomic::Ordering::Relaxed));
        assert!(matches!(outcome, Err(Error::Ended("the first"))), "{outcome:?}");
    }

    #[test]
    fn times_that_are_none_are_refused_and_told_what_would_do() {
        use clap::Parser;
        let parsed = |option: &str, value: &str| {
            crate::cli::Cli::try_parse_from(["holomesh", "watch", "TICKET", option, value])
        };
        for (option, good) in
            [("--seconds", "0.5"), ("--seconds", "1e9"), ("--delay", "0"), ("--delay", "5000")]
        {
            assert!(parsed(option, good).is_ok(), "{option} {good}");
        }
        for bad in ["1e20", "0", "-3", "NaN", "inf", "soon", "1e-400"] {
            let error = parsed("--seconds", bad).unwrap_err().to_string();
            assert!(error.contains("--seconds") && error.contains("take seconds"), "{error}");
        }
        assert!(parsed("--delay", "5001").unwrap_err().to_string().contains("0..=5000"));
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
    }
}
