//! Rows from what was measured: every target of the relay, and ours beside each of the others.

use crate::figures::{Figures, Soak};
use crate::plan::{FEW, MANY, MEMORY, ONE, RATE, Results, SLOW, SMALL, TARGET};
use crate::tools::{CHURN, Case, Relay};
use bench_harness::{Limit, Row};

/// A relay that loses more, in percent, is not compared without saying so.
const LOSS: f64 = 0.1;
/// A picture that stands still for no longer still moves.
const MOVING_MS: f64 = 500.0;
const KIB: f64 = 1_024.0;

/// All rows, and the names of those that want figures which are not there.
pub(crate) fn rows(results: &Results, subscribers: &[u32]) -> (Vec<Row>, Vec<String>) {
    let mut made = Made { results, rows: Vec::new(), missing: Vec::new() };
    for &number in subscribers {
        for ours in [Relay::OursUdp, Relay::OursIroh] {
            made.beside_others(ours, number);
        }
    }
    made.growth();
    made.memory();
    made.soak();
    made.latency();
    made.impaired();
    (made.rows, made.missing)
}

struct Made<'a> {
    results: &'a Results,
    rows: Vec<Row>,
    missing: Vec<String>,
}

type Sample = Option<(f64, usize)>;

impl Made<'_> {
    fn cost(&self, relay: Relay, subscribers: u32, rate: u64) -> Sample {
        self.results.median(Case::new(relay, subscribers, rate), |run| Some(run.cpu_s_per_gb))
    }

    fn push(
        &mut self,
        name: &str,
        unit: &str,
        (ours, baseline): (Sample, Sample),
        against: &str,
        limits: &[Limit],
    ) {
        let (Some((ours, n)), Some((baseline, m))) = (ours, baseline) else {
            self.missing.push(name.to_owned());
            return;
        };
        let row = Row::of(name, unit, (ours, baseline), against, n.min(m));
        self.rows.push(if limits.is_empty() { row } else { row.target(limits) });
    }

    fn beside_others(&mut self, ours: Relay, subscribers: u32) {
        for other in Relay::ALL {
            let is_ours = matches!(other, Relay::OursUdp | Relay::OursIroh);
            let is_lane = matches!(other, Relay::UdpGso | Relay::UdpSendto);
            if is_ours || (ours == Relay::OursIroh && is_lane) {
                continue;
            }
            let limits: &[Limit] = match (subscribers == TARGET, ours, other) {
                (true, Relay::OursUdp, Relay::UdpGso) => &[Limit::Ratio(1.25)],
                (true, Relay::OursUdp, Relay::MoqStreams | Relay::MoqDatagrams) => &[Limit::Ratio(0.25)],
                (true, Relay::OursIroh, Relay::Iroh) => &[Limit::Ratio(1.15)],
                (true, Relay::OursIroh, Relay::MoqStreams | Relay::MoqDatagrams | Relay::Str0m) => {
                    &[Limit::Ratio(1.0)]
                }
                _ => &[],
            };
            let name = format!("{} N={subscribers} / {}", ours.name(), other.name());
            let pair = (self.cost(ours, subscribers, RATE), self.cost(other, subscribers, RATE));
            let mut against = other.name().to_owned();
            for (who, relay) in [("it", other), ("ours", ours)] {
                let case = Case::new(relay, subscribers, RATE);
                match self.results.median(case, |run| Some(run.loss * 100.0)) {
                    Some((lost, _)) if lost > LOSS => against.push_str(&format!("; {who} lost {lost:.1} %")),
                    _ => {}
                }
            }
            self.push(&name, "CPU s/GB", pair, &against, limits);
        }
    }

    /// From few subscribers to many. Against few of the slow stream, and against few of the fast one, which is the harder:
    /// what a process does once a second weighs less there.
    fn growth(&mut self) {
        let many = self.cost(Relay::OursUdp, MANY, SLOW);
        for (rate, of) in [(SLOW, "the same stream"), (RATE, "2.5 Mbit/s")] {
            let few = self.cost(Relay::OursUdp, FEW, rate);
            let name = format!("holomesh-udp N={MANY} / N={FEW}, {of}");
            self.push(&name, "CPU s/GB", (many, few), &format!("ours, N={FEW}, {of}"), &[Limit::Ratio(1.15)]);
        }
        let bare = self.cost(Relay::UdpGso, MANY, SLOW);
        self.push(&format!("holomesh-udp N={MANY} / udp-gso"), "CPU s/GB", (many, bare), "udp-gso", &[]);
    }

    fn memory(&mut self) {
        let results = self.results;
        let each = |relay, (few, many, rate)| -> Sample {
            let rss = |subscribers| {
                let case = Case::new(relay, subscribers, rate);
                results.median(case, |run| Some(run.relay.rss_end_bytes as f64))
            };
            let ((least, n), (most, m)) = (rss(few)?, rss(many)?);
            Some(((most - least) / f64::from(many - few) / KIB, n.min(m)))
        };
        let ours = each(Relay::OursUdp, (ONE, MEMORY, SLOW));
        let limit = [Limit::Ours(16.0)];
        let against = format!("bare iroh, N={TARGET} less N={SMALL}");
        let other = each(Relay::Iroh, (SMALL, TARGET, RATE));
        self.push("memory for each subscriber", "KiB", (ours, other), &against, &limit);
    }

    /// Memory that subscribers leave behind.
    fn soak(&mut self) {
        let minutes = self.results.soak_minutes;
        if minutes <= 0.0 {
            return;
        }
        for relay in [Relay::OursUdp, Relay::OursIroh] {
            let soak = self.results.soaks.get(&relay);
            let mib = |of: fn(&Soak) -> u64| soak.map(|soak| (of(soak) as f64 / KIB / KIB, 1));
            let pair = (mib(|soak| soak.rss_rested_bytes), mib(|soak| soak.rss_start_bytes));
            let name = format!("{} memory after {minutes} min, {CHURN}/s come and go", relay.name());
            self.push(&name, "MiB", pair, &format!("ours before, N={TARGET}"), &[Limit::Ratio(1.1)]);
        }
    }

    fn latency(&mut self) {
        let half = self.results.half_load.unwrap_or_default();
        let added = |run: &Figures| run.added_latency_us.map(|added| added.p99 as f64);
        let of = |relay| self.results.median(Case::new(relay, TARGET, half), added);
        let pair = (of(Relay::OursUdp), of(Relay::UdpGso));
        let name = format!("added latency p99, N={TARGET}, {} Mbit/s", half as f64 / 1e6);
        self.push(&name, "us", pair, "udp-gso, the same stream", &[Limit::Ours(1_000.0)]);
    }

    fn impaired(&mut self) {
        let results = self.results;
        let small = Case::new(Relay::OursUdp, SMALL, RATE);
        // Frames due for each frame shown: one when all are shown.
        let due = |case| results.median(case, |run| run.plain.map(|group| 1.0 / group.shown_least));
        let still = |group: Option<crate::figures::Group>| group.map(|group| group.still_ms_most as f64);
        let cases =
            [("10 % loss", Case { lossy: 1, ..small }), ("1/4 bandwidth", Case { narrow: 1, ..small })];
        for (what, case) in cases {
            let name = format!("one with {what}: the others' frames");
            let limit = [Limit::Ratio(1.001)];
            self.push(&name, "due/shown", (due(case), due(small)), "nobody impaired", &limit);
            let name = format!("one with {what}: its longest standstill");
            let ours = results.median(case, |run| still(run.lossy.or(run.narrow)));
            let others = results.median(case, |run| still(run.plain));
            self.push(&name, "ms", (ours, others), "the others", &[Limit::Ours(MOVING_MS)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Group, Quantiles, RelayUse};

    fn figures(cpu_s_per_gb: f64) -> Figures {
        let relay = RelayUse { cpu_user_s: 1.0, cpu_system_s: 1.0, rss_end_bytes: 0 };
        let latency_us = Quantiles { p50: 1, p99: 2 };
        Figures {
            subscribers: 1,
            relay,
            seconds: 10.0,
            cpu_s_per_gb,
            loss: 0.0,
            latency_us,
            added_latency_us: None,
            plain: None,
            lossy: None,
            narrow: None,
            soak: None,
        }
    }

    fn row(results: &Results, name: &str) -> Row {
        rows(results, &[100]).0.into_iter().find(|row| row.name == name).unwrap()
    }

    #[test]
    fn costs_are_compared_by_their_medians_and_targets_hold_at_a_hundred() {
        let mut results = Results::default();
        for cost in [9.0, 1.2, 1.3] {
            results.push(Case::new(Relay::OursUdp, 100, RATE), figures(cost));
        }
        results.push(Case::new(Relay::UdpGso, 100, RATE), figures(1.0));
        let (rows, missing) = rows(&results, &[100]);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].ours, rows[0].ratio, rows[0].met), (1.3, 1.3, Some(false)));
        assert!(missing.contains(&"holomesh-udp N=100 / moq-streams".to_owned()), "{missing:?}");
        assert!(super::rows(&results, &[32]).0.is_empty());
    }

    #[test]
    fn a_row_says_who_lost_what() {
        let mut results = Results::default();
        results.push(Case::new(Relay::OursUdp, 8, RATE), figures(1.0));
        results.push(Case::new(Relay::Quinn, 8, RATE), Figures { loss: 0.25, ..figures(1.0) });
        assert_eq!(rows(&results, &[8]).0[0].baseline_name, "quinn; it lost 25.0 %");
    }

    #[test]
    fn memory_is_what_more_subscribers_add() {
        let mut results = Results::default();
        let with = |rss_end_bytes| {
            let mut run = figures(1.0);
            run.relay.rss_end_bytes = rss_end_bytes;
            run
        };
        results.push(Case::new(Relay::OursUdp, 1, SLOW), with(1 << 20));
        results.push(Case::new(Relay::OursUdp, 500, SLOW), with((1 << 20) + 499 * 20 * 1_024));
        results.push(Case::new(Relay::Iroh, 8, RATE), with(0));
        results.push(Case::new(Relay::Iroh, 100, RATE), with(92 * 40 * 1_024));
        let row = row(&results, "memory for each subscriber");
        assert_eq!((row.ours, row.baseline, row.met), (20.0, 40.0, Some(false)));
    }

    #[test]
    fn memory_that_stays_behind_by_more_than_a_tenth_is_a_miss() {
        let mut results = Results::default();
        results.soak_minutes = 10.0;
        let soak =
            |start: u64, rested: u64| Soak { rss_start_bytes: start << 20, rss_rested_bytes: rested << 20 };
        results.soaks.insert(Relay::OursUdp, soak(20, 22));
        results.soaks.insert(Relay::OursIroh, soak(20, 23));
        let [udp, iroh] = ["udp", "iroh"]
            .map(|over| row(&results, &format!("holomesh-{over} memory after 10 min, 5/s come and go")));
        assert_eq!((udp.ours, udp.baseline, udp.met), (22.0, 20.0, Some(true)));
        assert_eq!(iroh.met, Some(false));
        let mut results = Results::default();
        results.soak_minutes = 1.0;
        let (_, missing) = rows(&results, &[]);
        assert!(
            missing.contains(&"holomesh-udp memory after 1 min, 5/s come and go".to_owned()),
            "{missing:?}"
        );
    }

    #[test]
    fn one_impaired_subscriber_is_judged_beside_the_others() {
        let mut results = Results::default();
        let small = Case::new(Relay::OursUdp, SMALL, RATE);
        let group = |shown_least, still_ms_most| Some(Group { shown_least, still_ms_most });
        results.push(small, Figures { plain: group(1.0, 40), ..figures(1.0) });
        let lossy = Figures { plain: group(0.998, 40), lossy: group(0.7, 300), ..figures(1.0) };
        results.push(Case { lossy: 1, ..small }, lossy);
        let frames = row(&results, "one with 10 % loss: the others' frames");
        assert_eq!(frames.met, Some(false));
        let still = row(&results, "one with 10 % loss: its longest standstill");
        assert_eq!((still.ours, still.baseline, still.met), (300.0, 40.0, Some(true)));
    }
}
