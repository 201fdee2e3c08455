//! Whether the path is asked for more than it carries.
//!
//! Loss alone does not say it: radio loses datagrams without being full. A queue does, when it stands for longer than a
//! burst needs to pass; less of one is enough when datagrams are lost beside it. Only when a great part of them is lost is
//! no queue asked for: then it may be too short to be seen.

use core::time::Duration;
use core_types::MonoTime;

/// Less is no queue.
const LEAST: Duration = Duration::from_millis(10);
/// More is one, however much the delay varies.
const MOST: Duration = Duration::from_millis(100);
/// The same beside loss.
const MOST_BESIDE_LOSS: Duration = Duration::from_millis(25);
/// A queue has to stand so long, and through so many reports: jitter does not stay high so many times in a row.
const STANDING: Duration = Duration::from_millis(300);
const REPORTS: u8 = 6;
const REPORTS_BESIDE_LOSS: u8 = 8;
/// Loss of so many permille is looked at so long, over so many packets at least.
const HEAVY: u64 = 300;
const BLOCK: Duration = Duration::from_millis(400);
const BLOCK_PACKETS: u64 = 40;
/// After this time fewer packets say whether it still is.
const FEW_AFTER: Duration = Duration::from_secs(1);
/// How long the path counts as crowded after the last sign of it.
const HOLD: Duration = Duration::from_secs(1);
/// How long it must not have been crowded to count as free.
const FREE: Duration = Duration::from_secs(1);

/// What a report says that matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signs {
    pub(crate) queue: Duration,
    /// What the queue varies by from report to report.
    pub(crate) jitter: Duration,
    /// How long a datagram and a half takes at the rate of the path.
    pub(crate) datagram: Duration,
    pub(crate) min_rtt: Duration,
    /// All packets whose fate is known, and how many of them are lost.
    pub(crate) packets: u64,
    pub(crate) lost: u64,
}

impl Signs {
    /// From where on delay is a queue: beyond what it varies by anyway, and more than the datagram itself that is being
    /// sent. For jitter that is spread evenly, three times the mean difference of two reports is all of it.
    pub(crate) fn threshold(&self) -> Duration {
        (self.jitter * 3).clamp(LEAST, MOST).max(self.datagram)
    }

    const fn loss_since(&self, begin: &Mark) -> (u64, u64) {
        (self.packets.saturating_sub(begin.packets), self.lost.saturating_sub(begin.lost))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    at: MonoTime,
    packets: u64,
    lost: u64,
}

/// Reports in a row that show a queue.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    begin: Mark,
    reports: u8,
}

impl Run {
    fn push(&mut self, mark: Mark, is_high: bool) {
        if is_high {
            self.reports = self.reports.saturating_add(1);
        } else {
            *self = Self { begin: mark, reports: 0 };
        }
    }

    fn stands(&self, now: MonoTime, reports: u8, min_rtt: Duration) -> bool {
        self.reports >= reports && now.since(self.begin.at) >= STANDING.max(min_rtt * 3 / 2)
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Crowd {
    quiet: Run,
    beside_loss: Run,
    block: Mark,
    is_heavy: bool,
    is_now: bool,
    crowded_at: Option<MonoTime>,
    free_since: MonoTime,
}

impl Crowd {
    /// What was lost until now is not the path's doing.
    pub(crate) fn restart(&mut self, now: MonoTime, signs: &Signs) {
        let mark = Mark { at: now, packets: signs.packets, lost: signs.lost };
        let run = Run { begin: mark, reports: 0 };
        *self = Self { quiet: run, beside_loss: run, block: mark, free_since: now, ..Self::default() };
    }

    pub(crate) fn on_report(&mut self, now: MonoTime, signs: &Signs) {
        let mark = Mark { at: now, packets: signs.packets, lost: signs.lost };
        self.quiet.push(mark, signs.queue >= signs.threshold());
        self.beside_loss.push(mark, signs.queue >= (signs.jitter * 3 / 2).clamp(LEAST, MOST_BESIDE_LOSS));

        let (packets, lost) = signs.loss_since(&self.block);
        // Many packets have to say that it is heavy, and few that it is not any more: who has slowed down for it sends few.
        let is_due = self.is_heavy && now.since(self.block.at) >= FEW_AFTER;
        let says_enough = packets >= BLOCK_PACKETS || is_due;
        if now.since(self.block.at) >= BLOCK.max(signs.min_rtt) && says_enough {
            self.is_heavy = lost * 1_000 >= packets * HEAVY;
            self.block = mark;
        }
        let (packets, lost) = signs.loss_since(&self.beside_loss.begin);
        // A twentieth, and more than one packet that may only be late.
        let is_lossy = lost > 1 && lost * 20 >= packets;
        self.is_now = self.is_heavy
            || self.quiet.stands(now, REPORTS, signs.min_rtt)
            || (is_lossy && self.beside_loss.stands(now, REPORTS_BESIDE_LOSS, signs.min_rtt));
        if self.is_now {
            self.crowded_at = Some(now);
        }
        if self.is_crowded(now) {
            self.free_since = now;
        }
    }

    /// Whether the last report said so.
    pub(crate) const fn is_now(&self) -> bool {
        self.is_now
    }

    pub(crate) fn is_crowded(&self, now: MonoTime) -> bool {
        self.crowded_at.is_some_and(|at| now.since(at) < HOLD)
    }

    /// Whether the path has not been crowded for long enough to send bursts as they come.
    pub(crate) fn is_free(&self, now: MonoTime) -> bool {
        now.since(self.free_since) >= FREE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports each 50 ms with this queue in milliseconds, and this many of 10 packets lost.
    fn crowded_after(reports: impl IntoIterator<Item = (u64, u64)>) -> Option<usize> {
        let mut crowd = Crowd::default();
        let (mut packets, mut lost) = (0, 0);
        reports.into_iter().enumerate().position(|(n, (queue, gone))| {
            packets += 10;
            lost += gone;
            let signs = Signs {
                queue: Duration::from_millis(queue),
                jitter: Duration::from_millis(5),
                datagram: Duration::from_millis(3),
                min_rtt: Duration::from_millis(40),
                packets,
                lost,
            };
            crowd.on_report(MonoTime::from_millis(50 * n as u64), &signs);
            crowd.is_now()
        })
    }

    #[test]
    fn what_stands_is_a_queue_and_what_passes_is_none() {
        assert_eq!(crowded_after([(16, 0); 20]), Some(6), "through 300 ms");
        assert_eq!(crowded_after((0..40).map(|n| (if n % 5 == 4 { 4 } else { 90 }, 0))), None);
        assert_eq!(crowded_after([(14, 0); 20]), None, "within what the delay varies by");
    }

    #[test]
    fn loss_counts_beside_a_queue_or_when_it_is_heavy() {
        assert_eq!(crowded_after([(14, 1); 20]), Some(7));
        assert_eq!(crowded_after([(4, 1); 40]), None, "a tenth without a queue");
        assert_eq!(crowded_after([(0, 3); 20]), Some(8), "a third without a queue");
    }

    #[test]
    fn heavy_loss_is_over_when_it_is_however_little_is_sent_then() {
        let mut crowd = Crowd::default();
        let (mut packets, mut lost) = (0, 0);
        let crowded: Vec<bool> = (0..40)
            .map(|n| {
                // Forty packets in each report, half of them lost; then one in each.
                packets += if n < 10 { 40 } else { 1 };
                lost += if n < 10 { 20 } else { 0 };
                let signs = Signs {
                    queue: Duration::ZERO,
                    jitter: Duration::ZERO,
                    datagram: Duration::ZERO,
                    min_rtt: Duration::from_millis(40),
                    packets,
                    lost,
                };
                let now = MonoTime::from_millis(100 * n);
                crowd.on_report(now, &signs);
                crowd.is_crowded(now)
            })
            .collect();
        assert!(crowded[9], "heavy");
        assert_eq!(
            crowded.iter().rposition(|crowded| *crowded),
            Some(30),
            "a second or two, and a second of hold"
        );
    }
}
