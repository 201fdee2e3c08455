//! What a run of the load tool found.

use super::soak::{Sample, Soak};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What a process has used, by `getrusage`, and the memory that it holds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) user_s: f64,
    pub(super) system_s: f64,
    pub(super) rss_bytes: u64,
    pub(super) rss_peak_bytes: u64,
}

impl Usage {
    /// Of this process.
    pub(super) fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        let pages = std::fs::read_to_string("/proc/self/statm").ok();
        let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
        Self {
            user_s: usage.map_or(0.0, |usage| seconds(usage.user_time())),
            system_s: usage.map_or(0.0, |usage| seconds(usage.system_time())),
            rss_bytes: pages.unwrap_or(0) * rustix::param::page_size() as u64,
            rss_peak_bytes: usage.map_or(0, |usage| usage.max_rss() as u64 * 1_024),
        }
    }

    /// User and system.
    pub(super) const fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

/// What a subscriber saw in the window that is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Chunks that came, all of them.
    pub(super) chunks: u64,
    /// Source symbols that were published while it was there and should have come by now, and those of them that did.
    pub(super) expected: u64,
    pub(super) source: u64,
    /// Frames that should have come, and those of them that could be shown.
    pub(super) frames: u64,
    pub(super) shown: u64,
    /// The longest time between two frames shown.
    pub(super) still_ms: u64,
}

/// What all subscribers together saw.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Audience {
    pub(super) plain: Vec<Seen>,
    pub(super) lossy: Vec<Seen>,
    pub(super) narrow: Vec<Seen>,
    /// Those who went, each until it did.
    pub(super) gone: Vec<Seen>,
    /// From making to arrival, in microseconds, of a sample.
    pub(super) latencies_us: Vec<u64>,
    /// What the relay added to that, chunk by chunk against a subscriber of the publisher's own.
    pub(super) added_us: Vec<u64>,
    pub(super) usage: Usage,
}

/// Percentiles of a sample, in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Quantiles {
    pub(super) p50: u64,
    pub(super) p99: u64,
}

impl Quantiles {
    pub(super) fn of(values: &[u64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let at = |share: usize| {
            sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        Self { p50: at(50), p99: at(99) }
    }
}

/// The relay's part of the result.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct RelayUse {
    pub(super) cpu_user_s: f64,
    pub(super) cpu_system_s: f64,
    pub(super) rss_start_bytes: u64,
    pub(super) rss_end_bytes: u64,
    pub(super) rss_peak_bytes: u64,
}

/// How a group of impaired subscribers fared.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Group {
    pub(super) subscribers: usize,
    /// Least share of the frames that one of them could show.
    pub(super) shown_least: f64,
    /// Longest stand-still of one of them.
    pub(super) still_ms_most: u64,
}

impl Group {
    pub(super) fn of(seen: &[Seen]) -> Option<Self> {
        if seen.is_empty() {
            return None;
        }
        // Whoever has just come has had none that were due.
        let shares = seen.iter().filter(|s| s.frames > 0).map(|s| s.shown as f64 / s.frames as f64);
        Some(Self {
            subscribers: seen.len(),
            shown_least: shares.fold(1.0, f64::min),
            still_ms_most: seen.iter().map(|s| s.still_ms).max().unwrap_or(0),
        })
    }
}

/// The result.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) transport: &'static str,
    pub(super) subscribers: u32,
    pub(super) rate_bit: u64,
    pub(super) seconds: f64,
    pub(super) relay: RelayUse,
    pub(super) forwarded_bytes: u64,
    pub(super) cpu_s_per_gb: f64,
    pub(super) chunks_expected: u64,
    pub(super) chunks_received: u64,
    pub(super) loss: f64,
    pub(super) latency_us: Quantiles,
    pub(super) added_latency_us: Quantiles,
    pub(super) plain: Option<Group>,
    pub(super) lossy: Option<Group>,
    pub(super) narrow: Option<Group>,
    /// What became of the relay's memory, where subscribers came and went.
    pub(super) soak: Option<Soak>,
}

/// What is measured: from one pair of marks to the next.
pub(super) struct Window {
    pub(super) took: Duration,
    pub(super) before: Usage,
    pub(super) after: Usage,
    pub(super) audience: Audience,
    /// Memory over time, through the rest after the window, where subscribers come and go.
    pub(super) samples: Option<Vec<Sample>>,
}

impl Figures {
    pub(super) fn of(options: &super::Options, window: Window) -> Self {
        let Window { took, before, after, audience, samples } = window;
        let sum = |of: fn(&Seen) -> u64, groups: &[&[Seen]]| groups.iter().copied().flatten().map(of).sum();
        let all: [&[Seen]; 4] = [&audience.plain, &audience.lossy, &audience.narrow, &audience.gone];
        let forwarded = sum(|s| s.chunks, &all) * super::options::CHUNK as u64;
        // Whoever is meant to lose something does not count as loss.
        let unimpaired: [&[Seen]; 2] = [&audience.plain, &audience.gone];
        let (expected, received) = (sum(|s| s.expected, &unimpaired), sum(|s| s.source, &unimpaired));
        let cpu = after.cpu_s() - before.cpu_s();
        Self {
            transport: options.transport.name(),
            subscribers: options.subscribers,
            rate_bit: options.rate,
            seconds: took.as_secs_f64(),
            relay: RelayUse {
                cpu_user_s: after.user_s - before.user_s,
                cpu_system_s: after.system_s - before.system_s,
                rss_start_bytes: before.rss_bytes,
                rss_end_bytes: after.rss_bytes,
                rss_peak_bytes: after.rss_peak_bytes,
            },
            forwarded_bytes: forwarded,
            cpu_s_per_gb: cpu / (forwarded.max(1) as f64 / 1e9),
            chunks_expected: expected,
            chunks_received: received,
            loss: 1.0 - received as f64 / expected.max(1) as f64,
            latency_us: Quantiles::of(&audience.latencies_us),
            added_latency_us: Quantiles::of(&audience.added_us),
            plain: Group::of(&audience.plain),
            lossy: Group::of(&audience.lossy),
            narrow: Group::of(&audience.narrow),
            soak: samples
                .map(|samples| Soak::of(options.churn, &audience.gone, before.rss_bytes, took, samples)),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut row = |what: &str, figure: String| {
            let _ = writeln!(text, "{what:<28} {figure}");
        };
        row("transport, subscribers", format!("{}, {}", self.transport, self.subscribers));
        row("stream, measured", format!("{} kbit/s, {:.1} s", self.rate_bit / 1_000, self.seconds));
        row("forwarded", format!("{:.3} GB", self.forwarded_bytes as f64 / 1e9));
        let RelayUse { cpu_user_s, cpu_system_s, rss_start_bytes, rss_end_bytes, .. } = self.relay;
        row("relay CPU, user + system", format!("{cpu_user_s:.3} + {cpu_system_s:.3} s"));
        row("relay CPU per forwarded GB", format!("{:.2} s", self.cpu_s_per_gb));
        row("relay memory, window", format!("{:.1} -> {:.1} MiB", mib(rss_start_bytes), mib(rss_end_bytes)));
        row(
            "source symbols",
            format!("{} of {}, loss {:.4} %", self.chunks_received, self.chunks_expected, self.loss * 100.0),
        );
        row(
            "publisher to subscriber",
            format!("p50 {} µs, p99 {} µs", self.latency_us.p50, self.latency_us.p99),
        );
        row(
            "added by the relay",
            format!("p50 {} µs, p99 {} µs", self.added_latency_us.p50, self.added_latency_us.p99),
        );
        for (name, group) in
            [("unimpaired", self.plain), ("10 % loss", self.lossy), ("1/4 of the bandwidth", self.narrow)]
        {
            if let Some(Group { subscribers, shown_least, still_ms_most }) = group {
                row(
                    name,
                    format!(
                        "{subscribers} subscribers, {:.2} % of frames at the worst, still for {still_ms_most} ms at most",
                        shown_least * 100.0
                    ),
                );
            }
        }
        if let Some(soak) = &self.soak {
            soak.rows().into_iter().for_each(|(what, figure)| row(what, figure));
        }
        text
    }
}
