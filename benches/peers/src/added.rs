//! What a relay adds to the time that a packet takes: against the same packet sent past it.

use crate::traffic::{BURST, Moment, Window, number_of, sent_at};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Arrivals kept: an hour of bursts to a hundred subscribers.
const ARRIVALS: usize = 1 << 24;

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

/// When the first packet of each burst came, past the relay and through it.
#[derive(Debug)]
pub(crate) struct Added {
    window: Window,
    direct: HashMap<u32, Moment>,
    relayed: Vec<(u32, Moment)>,
}

impl Added {
    pub(crate) fn new(window: Window) -> Self {
        Self { window, direct: HashMap::new(), relayed: Vec::new() }
    }

    pub(crate) fn direct(&mut self, packet: &[u8], at: Moment) {
        if let Some(number) = self.leading(packet).filter(|_| self.direct.len() < ARRIVALS) {
            self.direct.insert(number, at);
        }
    }

    pub(crate) fn relayed(&mut self, packet: &[u8], at: Moment) {
        if let Some(number) = self.leading(packet).filter(|_| self.relayed.len() < ARRIVALS) {
            self.relayed.push((number, at));
        }
    }

    /// Nothing if nothing came both ways.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let added =
            |(number, at): &(u32, Moment)| Some(at.0.saturating_sub(self.direct.get(number)?.0) / 1_000);
        let mut micros: Vec<u64> = self.relayed.iter().filter_map(added).collect();
        micros.sort_unstable();
        let at = |percent: usize| micros.get((micros.len() * percent / 100).min(micros.len() - 1)).copied();
        (!micros.is_empty()).then(|| Some(Quantiles { p50: at(50)?, p99: at(99)? })).flatten()
    }

    fn leading(&self, packet: &[u8]) -> Option<u32> {
        let counts = self.window.holds(sent_at(packet)?);
        number_of(packet).filter(|number| counts && number % BURST as u32 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::PAYLOAD;

    #[test]
    fn only_first_packets_that_came_both_ways_count() {
        let window = Window { from: Moment(0), until: Moment(1_000) };
        let packet = |sent: u64, number: u32| {
            let mut packet = vec![0; PAYLOAD];
            packet[..8].copy_from_slice(&sent.to_le_bytes());
            packet[8..12].copy_from_slice(&number.to_le_bytes());
            packet
        };
        let mut added = Added::new(window);
        assert_eq!(added.quantiles(), None);
        added.direct(&packet(1, 10), Moment(5_000));
        added.relayed(&packet(1, 10), Moment(12_000));
        added.relayed(&packet(1, 11), Moment(900_000));
        added.relayed(&packet(1, 20), Moment(900_000));
        added.relayed(&packet(1_000, 10), Moment(900_000));
        assert_eq!(added.quantiles(), Some(Quantiles { p50: 7, p99: 7 }));
    }
}
