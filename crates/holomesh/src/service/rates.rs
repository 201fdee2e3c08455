//! Rates from counters that only go up: what lies between two samples, divided by the time between them.

use super::status::{Rates, Snapshot, Traffic};
use core_types::MonoTime;
use std::collections::HashMap;

/// Two samples nearer than this give no rate of their own: a burst would look like a flood.
const SHORTEST_MICROS: u64 = 100_000;

/// A counter's rate between its last two samples.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    last: Option<(MonoTime, u64)>,
    per_second: f64,
}

impl Rate {
    /// Takes the counter's value at `now`; gives units a second. Zero at the first sample. A counter that went down was
    /// begun anew, so what it shows is what was added.
    pub fn sample(&mut self, now: MonoTime, value: u64) -> f64 {
        let Some((then, before)) = self.last else {
            self.last = Some((now, value));
            return 0.0;
        };
        let micros = now.0.saturating_sub(then.0);
        if micros >= SHORTEST_MICROS {
            let added = value.checked_sub(before).unwrap_or(value);
            self.per_second = added as f64 * 1_000_000.0 / micros as f64;
            self.last = Some((now, value));
        }
        self.per_second
    }
}

/// The counters of one row.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    rates: [Rate; 5],
    seen: u64,
}

impl Row {
    fn sample(&mut self, now: MonoTime, received: Traffic, sent: Traffic, drops: u64) -> Rates {
        let counters = [received.bytes, sent.bytes, received.packets, sent.packets, drops];
        let mut each = [0.0; 5];
        for ((rate, counter), out) in self.rates.iter_mut().zip(counters).zip(&mut each) {
            *out = rate.sample(now, counter);
        }
        let [in_bytes, out_bytes, in_packets, out_packets, drops] = each;
        Rates { in_bits: in_bytes * 8.0, out_bits: out_bytes * 8.0, in_packets, out_packets, drops }
    }
}

/// Fills in the rates of a snapshot from those of the snapshots before. A row that is gone is forgotten, so what is kept
/// is bounded by what a snapshot may hold.
#[derive(Debug, Default)]
pub struct Sampler {
    round: u64,
    all: Row,
    links: HashMap<u64, Row>,
    streams: HashMap<String, Row>,
}

impl Sampler {
    /// Fills in the rates at `now`.
    pub fn fill(&mut self, now: MonoTime, snapshot: &mut Snapshot) {
        self.round += 1;
        let round = self.round;
        for link in &mut snapshot.links {
            let row = self.links.entry(link.id).or_default();
            row.seen = round;
            link.rates = row.sample(now, link.received, link.sent, link.drops.total());
        }
        for stream in &mut snapshot.streams {
            let row = self.streams.entry(stream.id.clone()).or_default();
            row.seen = round;
            stream.rates = row.sample(now, stream.received, stream.sent, 0);
        }
        self.links.retain(|_, row| row.seen == round);
        self.streams.retain(|_, row| row.seen == round);
        let sum = |each: [(&str, Traffic); 3]| {
            each.into_iter().fold(Traffic::default(), |sum, (_, traffic)| Traffic {
                bytes: sum.bytes.saturating_add(traffic.bytes),
                packets: sum.packets.saturating_add(traffic.packets),
            })
        };
        let totals = &snapshot.totals;
        let (received, sent) = (sum(totals.received.each()), sum(totals.sent.each()));
        snapshot.rates = self.all.sample(now, received, sent, totals.drops.total());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::status::LinkStatus;
    use proptest::prelude::*;

    fn link(id: u64, bytes: u64) -> LinkStatus {
        LinkStatus { id, sent: Traffic { bytes, packets: bytes / 1_000 }, ..LinkStatus::default() }
    }

    fn rates(sampler: &mut Sampler, millis: u64, links: Vec<LinkStatus>) -> Vec<Rates> {
        let mut snapshot = Snapshot { links, ..Snapshot::default() };
        sampler.fill(MonoTime::from_millis(millis), &mut snapshot);
        snapshot.links.into_iter().map(|link| link.rates).collect()
    }

    #[test]
    fn a_rate_is_what_was_added_over_the_time_that_passed() {
        let mut sampler = Sampler::default();
        assert_eq!(rates(&mut sampler, 1_000, vec![link(1, 50_000)])[0], Rates::default());
        let now = rates(&mut sampler, 3_000, vec![link(1, 300_000), link(2, 9)]);
        assert_eq!((now[0].out_bits, now[0].out_packets, now[0].in_bits), (1_000_000.0, 125.0, 0.0));
        assert_eq!(now[1], Rates::default(), "a link's first sample gives no rate, however much it has sent");
    }

    #[test]
    fn a_counter_that_begins_anew_shows_no_absurd_rate() {
        let mut rate = Rate::default();
        rate.sample(MonoTime::from_millis(0), 1_000);
        assert_eq!(rate.sample(MonoTime::from_millis(1_000), 10), 10.0);
    }

    #[test]
    fn samples_too_near_to_each_other_repeat_the_rate_and_lose_nothing() {
        let mut rate = Rate::default();
        let mut at = |millis, value| rate.sample(MonoTime::from_millis(millis), value);
        assert_eq!(
            [at(0, 0), at(1_000, 500), at(1_001, 1_000), at(2_000, 1_500)],
            [0.0, 500.0, 500.0, 1_000.0]
        );
        assert_eq!(at(2_000, 1_500), 1_000.0, "no time passed");
        assert_eq!(at(1_500, 1_500), 1_000.0, "time went back");
    }

    #[test]
    fn links_that_are_gone_are_forgotten() {
        let mut sampler = Sampler::default();
        for round in 0..100 {
            rates(&mut sampler, round * 1_000, (0..10).map(|n| link(round * 10 + n, 0)).collect());
            assert_eq!(sampler.links.len(), 10);
        }
    }

    proptest! {
        #[test]
        fn rates_times_durations_add_up_to_the_counter(steps in proptest::collection::vec((100u64..5_000, 0u64..1_000_000), 1..50)) {
            let (mut rate, mut now, mut value, mut sum) = (Rate::default(), MonoTime::default(), 0u64, 0.0);
            rate.sample(now, value);
            for (millis, added) in steps {
                now = MonoTime(now.0 + millis * 1_000);
                value += added;
                sum += rate.sample(now, value) * millis as f64 / 1_000.0;
            }
            prop_assert!((sum - value as f64).abs() < 1.0);
        }
    }
}
