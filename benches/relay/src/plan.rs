//! Which cases are measured, in which order, and what they gave.

use crate::figures::{Figures, Soak};
use crate::tools::{Case, Relay, Tools};
use anyhow::Context;
use std::collections::BTreeMap;

/// The stream of the tables.
pub(crate) const RATE: u64 = 2_500_000;
/// The stream where many subscribers are the question: two thousand of it are as much as two hundred of the other.
pub(crate) const SLOW: u64 = 250_000;
/// Few and many subscribers of the slow stream, and those whose memory is compared.
pub(crate) const FEW: u32 = 32;
pub(crate) const MANY: u32 = 2_000;
pub(crate) const ONE: u32 = 1;
pub(crate) const MEMORY: u32 = 500;
/// Subscribers where one of them is impaired.
pub(crate) const SMALL: u32 = 8;
/// The number of subscribers that the targets speak of.
pub(crate) const TARGET: u32 = 100;
/// Loss up to here is none: a receiver that was not scheduled for long.
const LOSS_FREE: f64 = 1e-3;
/// A relay that takes more of its core than this is at its limit.
const FULL_CORE: f64 = 0.95;

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    /// Subscribers of the tables.
    pub(crate) subscribers: Vec<u32>,
    /// How often the rate is doubled at most while the relay's limit is looked for.
    pub(crate) doublings: u32,
    /// For how many minutes subscribers come and go while memory is looked at; 0 leaves that out.
    pub(crate) soak_minutes: f64,
}

/// What was measured, by case, a figure for each round.
#[derive(Debug, Default)]
pub(crate) struct Results {
    by_case: BTreeMap<Case, Vec<Figures>>,
    /// Of ours, once each: memory after subscribers came and went.
    pub(crate) soaks: BTreeMap<Relay, Soak>,
    pub(crate) soak_minutes: f64,
    /// What could not be measured, and why.
    pub(crate) left_out: Vec<String>,
    /// The rate that is half of what ours carries without loss, once it is known.
    pub(crate) half_load: Option<u64>,
}

impl Results {
    /// The median over the rounds, and how many there were. Nothing if the case was not measured.
    pub(crate) fn median(&self, case: Case, of: impl Fn(&Figures) -> Option<f64>) -> Option<(f64, usize)> {
        let mut values: Vec<f64> = self.by_case.get(&case)?.iter().filter_map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let median = if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 };
        Some((median, values.len()))
    }

    pub(crate) fn push(&mut self, case: Case, figures: Figures) {
        self.by_case.entry(case).or_default().push(figures);
    }

    /// Measures once more, and says it. A case that fails is left out, loudly.
    fn take(&mut self, tools: &Tools, case: Case, seconds: u64) -> Option<Figures> {
        let Case { relay, subscribers, rate, lossy, narrow } = case;
        let name = format!("{}, N={subscribers}, {} kbit/s", relay.name(), rate / 1_000);
        let impaired =
            if lossy + narrow > 0 { format!(", {lossy} lossy, {narrow} narrow") } else { String::new() };
        match tools.measure(case, seconds) {
            Ok(figures) => {
                eprintln!(
                    "benches-relay: {name}{impaired}: {:.2} CPU s/GB, loss {:.3} %, p50 {} us, p99 {} us, {:.1} MiB",
                    figures.cpu_s_per_gb,
                    figures.loss * 100.0,
                    figures.latency_us.p50,
                    figures.latency_us.p99,
                    figures.relay.rss_end_bytes as f64 / f64::from(1 << 20),
                );
                self.push(case, figures.clone());
                Some(figures)
            }
            Err(error) => {
                eprintln!("benches-relay: NOT MEASURED: {name}{impaired}: {error:#}");
                self.left_out.push(format!("{name}{impaired}: {error:#}"));
                None
            }
        }
    }

    /// Lets subscribers come and go, and looks at memory.
    fn soak(&mut self, tools: &Tools, minutes: f64) {
        self.soak_minutes = minutes;
        for relay in [Relay::OursUdp, Relay::OursIroh] {
            eprintln!("benches-relay: soaking {} for {minutes} min, N={TARGET}", relay.name());
            let figures = tools.soak(Case::new(relay, TARGET, RATE), minutes);
            match figures.and_then(|figures| figures.soak.context("it says nothing of memory")) {
                Ok(soak) => drop(self.soaks.insert(relay, soak)),
                Err(error) => {
                    eprintln!("benches-relay: NOT MEASURED: a soak: {error:#}");
                    self.left_out.push(format!("a soak: {error:#}"));
                }
            }
        }
    }
}

/// Measures everything.
pub(crate) fn run(tools: &Tools, size: &Size) -> Results {
    let mut results = Results::default();
    let mut relays = Vec::new();
    for relay in Relay::ALL {
        match tools.missing(relay) {
            None => relays.push(relay),
            Some(why) => {
                eprintln!("benches-relay: NOT MEASURED: {}: {why}", relay.name());
                results.left_out.push(format!("{}: {why}", relay.name()));
            }
        }
    }
    let half_load = half_load(tools, size, &mut results);
    results.half_load = half_load;
    let cases = cases(&relays, size, half_load);
    for round in 1..=size.rounds {
        eprintln!("benches-relay: round {round} of {}", size.rounds);
        for case in &cases {
            results.take(tools, *case, size.seconds);
        }
    }
    if size.soak_minutes > 0.0 {
        results.soak(tools, size.soak_minutes);
    }
    results
}

/// The cases of one round. All relays take turns at each number of subscribers.
fn cases(relays: &[Relay], size: &Size, half_load: Option<u64>) -> Vec<Case> {
    let mut cases = Vec::new();
    for &subscribers in &size.subscribers {
        cases.extend(relays.iter().map(|&relay| Case::new(relay, subscribers, RATE)));
    }
    for relay in [Relay::UdpGso, Relay::OursUdp] {
        cases.push(Case::new(relay, MANY, SLOW));
        cases.extend(half_load.map(|rate| Case::new(relay, TARGET, rate)));
    }
    cases.extend([FEW, ONE, MEMORY].map(|subscribers| Case::new(Relay::OursUdp, subscribers, SLOW)));
    cases.push(Case::new(Relay::OursUdp, FEW, RATE));
    cases.extend([SMALL, TARGET].map(|subscribers| Case::new(Relay::Iroh, subscribers, RATE)));
    let small = Case::new(Relay::OursUdp, SMALL, RATE);
    cases.extend([small, Case { lossy: 1, ..small }, Case { narrow: 1, ..small }]);
    // Some of these are in the tables, too.
    let mut seen = std::collections::BTreeSet::new();
    cases.retain(|case| seen.insert(*case));
    cases
}

/// Half of the most that ours carries without loss, found by doubling.
fn half_load(tools: &Tools, size: &Size, results: &mut Results) -> Option<u64> {
    let mut most = None;
    for doubling in 0..=size.doublings {
        let rate = RATE << doubling;
        eprintln!("benches-relay: looking for the limit of ours at N={TARGET}: {} kbit/s", rate / 1_000);
        // Not a result: a row of it would mix rounds with trials.
        match tools.measure(Case::new(Relay::OursUdp, TARGET, rate), 3.min(size.seconds)) {
            Ok(figures) if figures.loss <= LOSS_FREE && figures.cores() <= FULL_CORE => most = Some(rate),
            Ok(figures) => {
                eprintln!(
                    "benches-relay: too much: loss {:.2} %, {:.2} cores",
                    figures.loss * 100.0,
                    figures.cores()
                );
                break;
            }
            Err(error) => {
                eprintln!("benches-relay: NOT MEASURED: the limit of ours: {error:#}");
                results.left_out.push(format!("the limit of ours: {error:#}"));
                break;
            }
        }
    }
    most.map(|rate| rate / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_once_in_a_round_and_those_of_one_number_stand_together() {
        let size = Size { rounds: 1, seconds: 1, subscribers: vec![8, 32], doublings: 0, soak_minutes: 0.0 };
        let relays = [Relay::UdpGso, Relay::OursUdp, Relay::Quinn];
        let cases = cases(&relays, &size, Some(5));
        let table: Vec<_> = cases.iter().take(6).map(|case| (case.relay, case.subscribers)).collect();
        let of = |subscribers| relays.map(|relay| (relay, subscribers));
        assert_eq!(table, [of(8), of(32)].concat());
        let small = |case: &&Case| (case.relay, case.subscribers, case.rate) == (Relay::OursUdp, SMALL, RATE);
        assert_eq!(cases.iter().filter(small).count(), 3);
        assert_eq!(cases.iter().filter(|case| case.rate == 5).count(), 2);
    }
}
