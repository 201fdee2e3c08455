//! Whether bursts fit into the queues of the path.
//!
//! A frame that is sent at once may overflow a queue that is shorter than a frame, on a path that carries much more than
//! the stream. The loss looks like that of a radio. What tells them apart is an experiment: for a while datagrams are
//! spread out, and if that cures the loss they stay so.

use super::crowd::Signs;
use core::time::Duration;
use core_types::MonoTime;

/// Loss of so many permille is worth an experiment.
const LOSS: u64 = 80;
/// Loss is looked at so long, over so many packets at least.
const BLOCK: Duration = Duration::from_millis(400);
const BLOCK_PACKETS: u64 = 100;
/// How long a finding holds before bursts are tried again, or the next experiment is made.
const LEAST_HOLD: Duration = Duration::from_secs(4);
const MOST_HOLD: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// Bursts go out at once.
    Fits,
    /// They are spread out, to compare with the loss before. The first block still shows what was sent before.
    Trial { before: u64, has_settled: bool },
    /// They do not fit.
    TooLarge { until: MonoTime },
    /// There is as much loss without them.
    NotTheCause { until: MonoTime },
}

#[derive(Debug, Clone)]
pub(crate) struct Fit {
    finding: Finding,
    hold: Duration,
    /// Where the block begins.
    at: MonoTime,
    packets: u64,
    lost: u64,
}

impl Fit {
    pub(crate) const fn new() -> Self {
        Self { finding: Finding::Fits, hold: LEAST_HOLD, at: MonoTime(0), packets: 0, lost: 0 }
    }

    /// Whether datagrams are to be spread out that might go at once.
    pub(crate) const fn spreads(&self) -> bool {
        matches!(self.finding, Finding::Trial { .. } | Finding::TooLarge { .. })
    }

    /// `had_bursts`: whether they went out at once, or would have but for this. `was_limited`: whether the sender had little
    /// to send.
    pub(crate) fn on_report(&mut self, now: MonoTime, signs: &Signs, had_bursts: bool, was_limited: bool) {
        if !had_bursts {
            // The path was found crowded before the experiment was over. It was so with bursts.
            if let Finding::Trial { .. } = self.finding {
                self.finding = self.too_large(now);
            }
            self.begin(now, signs);
            return;
        }
        if !was_limited && matches!(self.finding, Finding::Trial { .. }) {
            // It has more to send than can be spread out so: no time for experiments.
            self.finding = Finding::Fits;
            self.begin(now, signs);
            return;
        }
        let packets = signs.packets.saturating_sub(self.packets);
        if now.since(self.at) < BLOCK.max(signs.min_rtt * 2) || packets < BLOCK_PACKETS {
            return;
        }
        let loss = signs.lost.saturating_sub(self.lost) * 1_000 / packets;
        self.begin(now, signs);
        self.finding = match self.finding {
            Finding::Fits if loss >= LOSS => Finding::Trial { before: loss, has_settled: false },
            Finding::Trial { before, has_settled: false } => Finding::Trial { before, has_settled: true },
            Finding::Trial { before, has_settled: true } => {
                if loss * 3 < before {
                    self.too_large(now)
                } else {
                    Finding::NotTheCause { until: now.plus(MOST_HOLD / 2) }
                }
            }
            Finding::TooLarge { until } | Finding::NotTheCause { until } if now >= until => Finding::Fits,
            same => same,
        };
    }

    fn too_large(&mut self, now: MonoTime) -> Finding {
        let until = now.plus(self.hold);
        self.hold = (self.hold * 4).min(MOST_HOLD);
        Finding::TooLarge { until }
    }

    const fn begin(&mut self, now: MonoTime, signs: &Signs) {
        self.at = now;
        self.packets = signs.packets;
        self.lost = signs.lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports each 100 ms on 50 packets; gives for each whether bursts are spread.
    fn run(reports: u64, loss: impl Fn(bool) -> u64) -> Vec<bool> {
        let mut fit = Fit::new();
        let (mut packets, mut lost) = (0, 0);
        (0..reports)
            .map(|n| {
                packets += 50;
                lost += loss(fit.spreads());
                let min_rtt = Duration::from_millis(40);
                let signs = Signs {
                    queue: Duration::ZERO,
                    jitter: Duration::ZERO,
                    datagram: Duration::ZERO,
                    min_rtt,
                    packets,
                    lost,
                };
                fit.on_report(MonoTime::from_millis(n * 100), &signs, true, true);
                fit.spreads()
            })
            .collect()
    }

    #[test]
    fn bursts_that_overflow_are_spread_and_tried_again_less_and_less_often() {
        let spread = run(1_200, |spread| if spread { 0 } else { 10 });
        let tries = spread.windows(2).filter(|pair| pair[0] && !pair[1]).count();
        let at_once = spread.iter().filter(|spread| !**spread).count();
        assert!((3..6).contains(&tries) && at_once < 40, "{tries} {at_once}");
    }

    #[test]
    fn loss_that_has_another_cause_spreads_nothing_but_for_the_experiment() {
        let spread = run(1_200, |_| 5);
        let spread = spread.iter().filter(|spread| **spread).count();
        assert!((8..50).contains(&spread), "{spread}");
        assert!(run(100, |_| 3).iter().all(|spread| !spread), "too little to care");
    }
}
