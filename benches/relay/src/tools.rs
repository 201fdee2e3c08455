//! The programs that measure one relay each.

use crate::figures::Figures;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A relay that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Relay {
    OursUdp,
    OursIroh,
    UdpGso,
    UdpSendto,
    Quinn,
    Iroh,
    Str0m,
    MoqStreams,
    MoqDatagrams,
    Janus,
}

impl Relay {
    /// In the order in which they take turns: ours beside what they are measured against.
    pub(crate) const ALL: [Self; 10] = [
        Self::UdpGso,
        Self::OursUdp,
        Self::Iroh,
        Self::OursIroh,
        Self::Quinn,
        Self::Str0m,
        Self::MoqStreams,
        Self::MoqDatagrams,
        Self::UdpSendto,
        Self::Janus,
    ];

    /// In rows and on the command line of `peers`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OursUdp => "holomesh-udp",
            Self::OursIroh => "holomesh-iroh",
            Self::UdpGso => "udp-gso",
            Self::UdpSendto => "udp-sendto",
            Self::Quinn => "quinn",
            Self::Iroh => "iroh",
            Self::Str0m => "str0m",
            Self::MoqStreams => "moq-streams",
            Self::MoqDatagrams => "moq-datagrams",
            Self::Janus => "janus",
        }
    }

    /// For readers.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::OursUdp => "**holomesh**, UDP lanes, hop `full`",
            Self::OursIroh => "**holomesh**, iroh links",
            Self::UdpGso => "UDP, GSO + AES-256-GCM seal, receivers with GRO (bare)",
            Self::UdpSendto => "UDP, one send a packet + AES-256-GCM seal (bare)",
            Self::Quinn => "quinn 0.11 datagrams (bare)",
            Self::Iroh => "iroh 1.4.1 datagrams, X25519MLKEM768 (bare)",
            Self::Str0m => "str0m 0.25, least SFU",
            Self::MoqStreams => "moq-relay 0.17.10, streams",
            Self::MoqDatagrams => "moq-relay 0.17.10, datagrams",
            Self::Janus => "Janus of Debian, streaming plugin, WebRTC",
        }
    }
}

/// One measurement: which relay, how many subscribers, what stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Case {
    pub(crate) relay: Relay,
    pub(crate) subscribers: u32,
    /// Bits a second.
    pub(crate) rate: u64,
    /// How many of the subscribers lose a tenth, and how many have a quarter of the stream's bandwidth.
    pub(crate) lossy: u32,
    pub(crate) narrow: u32,
}

impl Case {
    pub(crate) const fn new(relay: Relay, subscribers: u32, rate: u64) -> Self {
        Self { relay, subscribers, rate, lossy: 0, narrow: 0 }
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) holomesh: PathBuf,
    pub(crate) peers: PathBuf,
    /// Not there if it could not be built.
    pub(crate) moq_relay: Option<PathBuf>,
}

/// Subscribers that go, and as many that come, in each second of a soak.
pub(crate) const CHURN: u32 = 5;
/// What a run needs beside its window: starting, connecting, settling, ending.
const AROUND: Duration = Duration::from_secs(240);
const JSON: u64 = 1 << 20;

impl Tools {
    /// Why a relay can't be measured here, if it can't.
    pub(crate) fn missing(&self, relay: Relay) -> Option<&'static str> {
        match relay {
            Relay::MoqStreams | Relay::MoqDatagrams if self.moq_relay.is_none() => {
                Some("moq-relay was not built; `cargo xtask bench relay` builds it")
            }
            Relay::Janus if !succeeds(Command::new(&self.peers).args(["has", "janus"])) => {
                Some("it is not installed; `cargo xtask bench relay --with-janus` installs Debian's package")
            }
            _ => None,
        }
    }

    /// Measures what memory one of our own keeps of subscribers that come and go for so many minutes.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub(crate) fn soak(&self, case: Case, minutes: f64) -> Result<Figures> {
        let Case { relay, subscribers, rate, .. } = case;
        let mut command = self.ours(relay);
        command.args(["--subscribers", &subscribers.to_string(), "--rate", &rate.to_string()]);
        command.args(["--soak", &minutes.to_string(), "--churn", &CHURN.to_string()]);
        let said = output_within(&mut command, Duration::from_secs_f64(minutes * 60.0) + AROUND);
        let figures = said.and_then(|said| Figures::parse(&said));
        figures.with_context(|| format!("{}, a soak of {minutes} min", relay.name()))
    }

    fn ours(&self, relay: Relay) -> Command {
        let transport = if relay == Relay::OursUdp { "udp" } else { "iroh" };
        let mut command = Command::new(&self.holomesh);
        command.args(["bench", "relay", "--json", "-", "--transport", transport]);
        command
    }

    /// Measures one case.
    ///
    /// # Errors
    /// When the program fails, does not end in time, or says something else.
    pub(crate) fn measure(&self, case: Case, seconds: u64) -> Result<Figures> {
        let Case { relay, subscribers, rate, lossy, narrow } = case;
        let mut command = match relay {
            Relay::OursUdp | Relay::OursIroh => {
                let mut command = self.ours(relay);
                command.args(["--lossy", &lossy.to_string(), "--narrow", &narrow.to_string()]);
                command
            }
            _ => {
                let mut command = Command::new(&self.peers);
                command.args(["run", relay.name()]);
                if let Some(path) = &self.moq_relay {
                    command.arg("--moq-relay").arg(path);
                }
                command
            }
        };
        command.args(["--subscribers", &subscribers.to_string(), "--rate", &rate.to_string()]);
        command.args(["--seconds", &seconds.to_string()]);
        let said = output_within(&mut command, Duration::from_secs(seconds) + AROUND);
        let name = relay.name();
        let figures = said.and_then(|said| Figures::parse(&said));
        figures.with_context(|| format!("{name}, {subscribers} subscribers at {rate} bit/s"))
    }
}

/// What the program prints, if it ends well and in time. It is killed if it does not end; its children see their
/// standard input close and go, too.
fn output_within(command: &mut Command, limit: Duration) -> Result<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("no standard output")?;
    let reader = thread::spawn(move || {
        let mut said = String::new();
        output.take(JSON).read_to_string(&mut said).map(|_| said)
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("not done after {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        bail!("it failed: {status}");
    }
    match reader.join() {
        Ok(said) => Ok(said?),
        Err(_) => bail!("its output could not be read"),
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended_and_a_failing_one_is_an_error() {
        let mut shell = Command::new("sh");
        let limit = Duration::from_secs(60);
        assert_eq!(output_within(shell.args(["-c", "echo yes"]), limit).unwrap(), "yes\n");
        assert!(output_within(Command::new("sh").args(["-c", "exit 3"]), limit).is_err());
        let error = output_within(Command::new("sleep").arg("600"), Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "not done after 0 s");
    }
}
