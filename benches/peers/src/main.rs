//! The job of holomesh's relay done through others, to be measured beside it.
//!
//! `peers run RELAY --subscribers N --rate 2.5mbit --seconds S [--json PATH]` starts a relay, a publisher and
//! subscribers, each a process of its own, all of them on loopback, and says what the relay cost. The other commands
//! are the roles that it starts.
//!
//! A publisher sends bursts of ten packets of 1,100 bytes. A relay passes each on to every subscriber.

mod added;
mod control;
mod iroh;
mod janus;
mod moq;
mod process;
mod quic;
mod run;
mod sfu;
mod tasks;
mod traffic;
mod udp;
mod webrtc;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use tasks::on_one_thread;

/// One job through many relays.
#[derive(Debug, Parser)]
#[command(name = "peers")]
struct Options {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Measure one relay
    Run {
        relay: Relay,
        #[arg(long)]
        subscribers: usize,
        /// Bits a second of payload: 2500000, 2500kbit, 2.5mbit
        #[arg(long, default_value = "2.5mbit", value_parser = rate)]
        rate: u64,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Write the figures there, too
        #[arg(long, value_name = "PATH")]
        json: Option<PathBuf>,
        /// The program moq-relay
        #[arg(long, value_name = "PATH", default_value = "moq-relay")]
        moq_relay: PathBuf,
    },
    /// Whether a relay can be run here
    Has { relay: Relay },
    /// Be the relay
    #[command(hide = true)]
    Relay { relay: Relay },
    /// Be the publisher
    #[command(hide = true)]
    Publish {
        kind: Relay,
        #[arg(long)]
        relay: String,
        #[arg(long)]
        rate: u64,
    },
    /// Be all subscribers
    #[command(hide = true)]
    Subscribe {
        kind: Relay,
        #[arg(long)]
        relay: String,
        #[arg(long)]
        count: usize,
        /// The publisher, where packets can be had past the relay
        #[arg(long)]
        direct: Option<SocketAddr>,
    },
    /// Turn into another program that ends with its parent
    #[command(hide = true)]
    Bounded {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// What forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Relay {
    /// Ours: AES-256-GCM for each subscriber, one segmented send for each burst
    UdpGso,
    /// Ours: the same with one send for each packet
    UdpSendto,
    /// Ours: datagrams of quinn
    Quinn,
    /// Ours: datagrams of iroh
    Iroh,
    /// Ours: an SFU on str0m
    Str0m,
    /// moq-relay, a group for each burst
    MoqStreams,
    /// moq-relay, a datagram for each packet
    MoqDatagrams,
    /// Janus with its streaming plugin
    Janus,
}

impl Relay {
    pub(crate) const fn name(self) -> &'static str {
        match self {
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
}

fn main() -> ExitCode {
    match act(Options::parse().role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(role: Role) -> Result<()> {
    match role {
        Role::Run { relay, subscribers, rate, seconds, json, moq_relay } => {
            let outcome = run::Run { relay, subscribers, rate, seconds, moq_relay }.measure()?;
            let text = serde_json::to_string_pretty(&outcome)?;
            println!("{text}");
            if let Some(path) = json {
                std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
            }
            Ok(())
        }
        Role::Has { relay: Relay::Janus } if janus::program().is_none() => bail!("Janus is not installed"),
        Role::Has { .. } => Ok(()),
        Role::Relay { relay } => match relay {
            Relay::UdpGso => udp::relay(false),
            Relay::UdpSendto => udp::relay(true),
            Relay::Quinn => on_one_thread(quic::relay()),
            Relay::Iroh => on_one_thread(iroh::relay()),
            Relay::Str0m => sfu::relay(),
            Relay::MoqStreams | Relay::MoqDatagrams | Relay::Janus => {
                bail!("{} is a program of its own", relay.name())
            }
        },
        Role::Publish { kind, relay, rate } => match kind {
            Relay::UdpGso | Relay::UdpSendto => udp::publish(known(&relay)?, rate),
            Relay::Quinn => on_one_thread(quic::publish(known(&relay)?, rate)),
            Relay::Iroh => on_one_thread(iroh::publish(known(&relay)?, rate)),
            Relay::Str0m => webrtc::publish(known(&relay)?, rate),
            Relay::MoqStreams => on_one_thread(moq::publish(known(&relay)?, rate, false)),
            Relay::MoqDatagrams => on_one_thread(moq::publish(known(&relay)?, rate, true)),
            Relay::Janus => janus::publish(known(&relay)?, rate),
        },
        Role::Subscribe { kind, relay, count, direct } => match kind {
            Relay::UdpGso | Relay::UdpSendto => udp::subscribe_all(known(&relay)?, count, direct),
            Relay::Quinn => on_one_thread(quic::subscribe_all(known(&relay)?, count)),
            Relay::Iroh => on_one_thread(iroh::subscribe_all(known(&relay)?, count)),
            Relay::Str0m => webrtc::subscribe_all(known(&relay)?, count),
            Relay::MoqStreams => on_one_thread(moq::subscribe_all(known(&relay)?, count, false)),
            Relay::MoqDatagrams => on_one_thread(moq::subscribe_all(known(&relay)?, count, true)),
            Relay::Janus => janus::subscribe_all(known(&relay)?, count),
        },
        Role::Bounded { program, args } => {
            control::bounded()?;
            let error = Command::new(&program).args(args).exec();
            Err(error).with_context(|| format!("could not start {}", program.display()))
        }
    }
}

/// What the relay said of itself.
fn known<T: DeserializeOwned>(relay: &str) -> Result<T> {
    serde_json::from_str(relay).context("not what a relay says of itself")
}

fn rate(text: &str) -> Result<u64> {
    let units = [("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3)];
    let unit = units.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (number, bits) = unit.unwrap_or((text, 1.0));
    let rate = number.trim().parse::<f64>()? * bits;
    if !(1e3..=1e10).contains(&rate) {
        bail!("between 1kbit and 10gbit");
    }
    Ok(rate as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_the_units_of_networks() {
        let rates = ["2.5mbit", "250kbit", "2500000", "1gbit"].map(|text| rate(text).unwrap());
        assert_eq!(rates, [2_500_000, 250_000, 2_500_000, 1_000_000_000]);
        assert!(["", "mbit", "-1mbit", "nanmbit", "1tbit", "1"].iter().all(|text| rate(text).is_err()));
    }

    #[test]
    fn a_relay_is_named_as_on_the_command_line() {
        for relay in Relay::value_variants() {
            assert_eq!(Relay::from_str(relay.name(), false), Ok(*relay));
        }
    }
}
