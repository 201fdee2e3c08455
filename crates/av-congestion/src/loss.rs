//! Loss over the last two seconds, from counters that only grow.

use core::time::Duration;
use core_types::MonoTime;
use std::collections::VecDeque;

const WINDOW: Duration = Duration::from_secs(2);
const SLOT: Duration = Duration::from_millis(250);

/// Counters of packets, as they were at times 250 ms apart.
#[derive(Debug, Clone)]
pub(crate) struct LossWindow {
    seen: VecDeque<Seen>,
    now: Seen,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: MonoTime,
    packets: u64,
    lost: u64,
}

impl LossWindow {
    pub(crate) const fn new() -> Self {
        Self { seen: VecDeque::new(), now: Seen { at: MonoTime(0), packets: 0, lost: 0 } }
    }

    /// Packets whose fate is known so far, and how many of them are lost.
    pub(crate) fn push(&mut self, now: MonoTime, packets: u64, lost: u64) {
        if self.seen.is_empty() {
            self.seen.push_back(Seen { at: now, ..self.now });
        }
        self.now = Seen { at: now, packets, lost };
        if self.seen.back().is_none_or(|last| now.since(last.at) >= SLOT) {
            self.seen.push_back(self.now);
        }
        // One that is older than the window stays, as what the window begins with.
        while self.seen.get(1).is_some_and(|second| now.since(second.at) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    pub(crate) const fn packets(&self) -> u64 {
        self.now.packets
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.now.lost
    }

    /// 0 to 1000 over the last two seconds; `None` when nothing became known in that time.
    pub(crate) fn permille(&self, now: MonoTime) -> Option<u16> {
        if now.since(self.now.at) >= WINDOW {
            return None;
        }
        let begin = self.seen.iter().rev().find(|seen| now.since(seen.at) >= WINDOW).or(self.seen.front())?;
        let packets = self.now.packets.saturating_sub(begin.packets);
        // What seemed lost and came late takes back what was counted before.
        let lost = self.now.lost.saturating_sub(begin.lost).min(packets);
        (packets > 0).then(|| (lost as u128 * 1_000 / packets as u128) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seconds_are_remembered() {
        let mut window = LossWindow::new();
        assert_eq!(window.permille(MonoTime(0)), None);
        let at = MonoTime::from_millis;
        // A tenth is lost for 5 s, then nothing.
        let mut lost = 0;
        for n in 1..=200_u64 {
            lost += if n <= 100 { 1 } else { 0 };
            window.push(at(n * 50), n * 10, lost);
            let permille = window.permille(at(n * 50)).unwrap_or_default();
            match n {
                0..=100 => assert_eq!(permille, 100),
                146.. => assert_eq!(permille, 0, "{n}"),
                _ => assert!(permille <= 100),
            }
        }
        assert_eq!(window.permille(at(10_500)), Some(0));
        assert_eq!(window.permille(at(12_500)), None, "nothing became known for two seconds");
        assert!(window.seen.len() <= 10);
    }
}
