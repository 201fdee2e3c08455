//! What `holomesh bench relay` can be told.

use crate::Error;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of a chunk: header, ciphertext and tag.
pub(super) const CHUNK: usize = 1_100;
/// Chunks of a frame, source and repair symbols together.
pub(super) const FRAME: usize = 10;
/// Of these repair symbols, where somebody is meant to lose some. Otherwise all are source symbols: a relay forwards fewer
/// repair symbols where it measures no loss, and then there would be less to measure with.
const REPAIR: usize = 2;

/// Over what the relay sends to its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Direct links: UDP alone.
    Udp,
    /// UDP lanes beside QUIC.
    Auto,
    /// QUIC datagrams through iroh.
    Iroh,
}

impl Via {
    /// Whether media go over lanes.
    pub(super) const fn lanes(self) -> bool {
        matches!(self, Self::Udp | Self::Auto)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Auto => "auto",
            Self::Iroh => "iroh",
        }
    }
}

/// Options of `holomesh bench relay`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many subscribers the relay forwards to.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=4_000))]
    pub subscribers: u32,
    /// Over what.
    #[arg(long, value_enum, default_value = "udp")]
    pub transport: Via,
    /// Bit rate of the stream, such as `2.5mbit` or `500kbit`.
    #[arg(long, default_value = "2.5mbit", value_parser = parse_rate)]
    pub rate: u64,
    /// How long to measure, after two seconds of running in.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
    /// Of the subscribers so many lose one datagram in ten (UDP lanes only).
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub lossy: u32,
    /// Of the subscribers so many have a quarter of the stream's bandwidth (UDP lanes only).
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub narrow: u32,
    /// Go on for so many minutes with subscribers coming and going, and show whether the relay's memory ends where it began.
    #[arg(long, value_name = "MINUTES", conflicts_with = "seconds")]
    pub soak: Option<f64>,
    /// While soaking, so many subscribers a second go and as many come.
    #[arg(long, default_value_t = 5, value_name = "N", requires = "soak")]
    pub churn: u32,
    /// Write the result there as JSON as well; `-` for standard output in place of the table.
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
}

impl Options {
    /// Refuses what does not go together.
    ///
    /// # Errors
    /// [`Error::Input`] that says what would do.
    pub(super) fn check(&self) -> Result<(), Error> {
        let impaired = self.lossy + self.narrow;
        if impaired > 0 && !self.transport.lanes() {
            return Err(Error::input("--lossy, --narrow", "only with --transport udp or auto"));
        }
        if impaired >= self.subscribers {
            return Err(Error::input(
                "--lossy, --narrow",
                format!("{impaired} of {} subscribers: one at least must be unimpaired", self.subscribers),
            ));
        }
        if let Some(minutes) = self.soak.filter(|minutes| !(0.05..=120.0).contains(minutes)) {
            return Err(Error::input("--soak", format!("{minutes} minutes; 0.05 to 120 would do")));
        }
        Ok(())
    }

    /// Repair symbols of a frame.
    pub(super) const fn repair(&self) -> usize {
        if self.lossy + self.narrow > 0 { REPAIR } else { 0 }
    }

    /// How long is measured.
    pub(super) fn window(&self) -> Duration {
        match self.soak {
            Some(minutes) => Duration::from_secs_f64(minutes * 60.0),
            None => Duration::from_secs(self.seconds),
        }
    }
}

/// From one frame to the next.
pub(super) fn frame_interval(rate: u64) -> Duration {
    Duration::from_nanos((FRAME * CHUNK * 8) as u64 * 1_000_000_000 / rate)
}

/// `2.5mbit`, `500kbit` or plain bits a second.
fn parse_rate(text: &str) -> Result<u64, String> {
    let text = text.trim().to_ascii_lowercase();
    let (number, unit) = match (text.strip_suffix("mbit"), text.strip_suffix("kbit")) {
        (Some(number), _) => (number, 1e6),
        (_, Some(number)) => (number, 1e3),
        _ => (text.as_str(), 1.0),
    };
    let rate = number.trim().parse::<f64>().map(|number| number * unit);
    match rate {
        Ok(rate) if (64_000.0..=200e6).contains(&rate) => Ok(rate.round() as u64),
        Ok(_) => Err("must be 64kbit to 200mbit".into()),
        Err(_) => Err("not a rate; try 2.5mbit or 500kbit".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_unit_and_silly_ones_are_refused() {
        assert_eq!(parse_rate("2.5mbit"), Ok(2_500_000));
        assert_eq!(parse_rate(" 500 kbit"), Ok(500_000));
        assert_eq!(parse_rate("64000"), Ok(64_000));
        for bad in ["", "fast", "1", "1gbit", "NaN", "-3mbit", "infmbit"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
        assert_eq!(frame_interval(2_500_000), Duration::from_micros(35_200));
    }
}
