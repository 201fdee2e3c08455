//! What one run says of a relay: the JSON of `holomesh bench relay`, and of `peers run`, which has the same figures.

use anyhow::{Result, ensure};
use serde::Deserialize;

/// One run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Figures {
    pub(crate) subscribers: u64,
    pub(crate) relay: RelayUse,
    pub(crate) seconds: f64,
    pub(crate) cpu_s_per_gb: f64,
    pub(crate) loss: f64,
    pub(crate) latency_us: Quantiles,
    /// What the relay added to the time that the same chunk takes without it, where that was measured.
    #[serde(default)]
    pub(crate) added_latency_us: Option<Quantiles>,
    /// Subscribers that nothing was done to, those that lose datagrams, and those on a narrow path.
    #[serde(default)]
    pub(crate) plain: Option<Group>,
    #[serde(default)]
    pub(crate) lossy: Option<Group>,
    #[serde(default)]
    pub(crate) narrow: Option<Group>,
    /// The relay's memory around a time in which subscribers came and went, where that was the question.
    #[serde(default)]
    pub(crate) soak: Option<Soak>,
}

/// What the relay's process keeps of subscribers that have come and gone.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Soak {
    /// With all subscribers there, before any of them went.
    pub(crate) rss_start_bytes: u64,
    /// With as many there, a minute after the last of them came or went.
    pub(crate) rss_rested_bytes: u64,
}

/// The relay's process between the two marks.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct RelayUse {
    pub(crate) cpu_user_s: f64,
    pub(crate) cpu_system_s: f64,
    pub(crate) rss_end_bytes: u64,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

/// How some of the subscribers fared.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Group {
    /// The least share of the frames due that one of them could show.
    pub(crate) shown_least: f64,
    /// The longest time between two frames shown.
    pub(crate) still_ms_most: u64,
}

impl Figures {
    /// Reads one run.
    ///
    /// # Errors
    /// When it is not what a run says, or its figures can't be.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let figures: Self = serde_json::from_str(json)?;
        let sane = figures.cpu_s_per_gb.is_finite() && figures.cpu_s_per_gb > 0.0 && figures.seconds > 0.0;
        ensure!(sane, "a run that cost nothing: {json}");
        Ok(figures)
    }

    /// Of one core, the share that the relay took.
    pub(crate) fn cores(&self) -> f64 {
        (self.relay.cpu_user_s + self.relay.cpu_system_s) / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tools_are_understood() {
        let peer = r#"{"transport": "udp-gso", "subscribers": 8, "rate_bit": 2500000, "seconds": 10,
            "relay": {"cpu_user_s": 0.5, "cpu_system_s": 1.5, "rss_start_bytes": 1, "rss_end_bytes": 2, "rss_peak_bytes": 3},
            "forwarded_bytes": 1, "cpu_s_per_gb": 1.7, "chunks_expected": 1, "chunks_received": 1, "loss": 0.0,
            "latency_us": {"p50": 1, "p99": 2}, "latency_stamped": "kernel"}"#;
        let figures = Figures::parse(peer).unwrap();
        assert_eq!((figures.cores(), figures.added_latency_us, figures.plain), (0.2, None, None));
        let ours = peer.replace(
            r#""latency_stamped""#,
            r#""plain": {"subscribers": 7, "shown_least": 0.5, "still_ms_most": 9}, "lossy": null, "x""#,
        );
        let plain = Figures::parse(&ours).unwrap().plain;
        assert_eq!(plain, Some(Group { shown_least: 0.5, still_ms_most: 9 }));
        let soak =
            r#""soak": {"churn": 5, "rss_start_bytes": 10, "rss_rested_bytes": 11}, "latency_stamped""#;
        let soak = Figures::parse(&peer.replace(r#""latency_stamped""#, soak)).unwrap().soak;
        assert_eq!(soak, Some(Soak { rss_start_bytes: 10, rss_rested_bytes: 11 }));
        assert!(Figures::parse(&peer.replace("1.7", "0.0")).is_err());
    }
}
