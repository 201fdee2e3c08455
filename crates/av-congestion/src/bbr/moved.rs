//! The peer is at another address: nothing is known of the way there.

use super::{Bbr, RESTART_DATAGRAMS};
use core_types::MonoTime;

impl Bbr {
    /// Datagrams take another path from here on. What is in flight on the old one is not waited for, though it may still be
    /// reported; until the next report no more than a few datagrams go out, and then the sender begins anew from half the
    /// rate it had.
    pub fn on_path_change(&mut self, now: MonoTime) {
        self.log.write_off(now);
        self.sampler.forget_shortest(now);
        // As after a long time without reports.
        self.timeouts = self.timeouts.max(2);
        self.has_moved = true;
        self.waiting_since = now;
        self.window = self.config.datagram * RESTART_DATAGRAMS;
        self.set_pace(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BbrConfig, Report};
    use core::time::Duration;

    #[test]
    fn another_path_is_begun_with_little_and_waits_for_nothing_old() {
        let mut bbr = Bbr::new(BbrConfig::default(), MonoTime(0)).unwrap();
        let mut number = 0;
        let report = |bbr: &mut Bbr, at: u64, largest: u64| {
            let report = Report {
                largest,
                received_packets: largest + 1,
                received_bytes: (largest + 1) * 1_000,
                ack_delay: Duration::ZERO,
                arrival: at * 1_000,
            };
            bbr.on_report(MonoTime::from_millis(at + 20), &report).unwrap()
        };
        for at in (0..2_000).step_by(40) {
            bbr.on_sent(MonoTime::from_millis(at), number, 20, 20_000, true).unwrap();
            number += 20;
            report(&mut bbr, at + 20, number - 1);
        }
        let now = MonoTime::from_millis(2_050);
        bbr.on_sent(now, number, 20, 20_000, true).unwrap();
        let before = bbr.estimate(now);
        bbr.on_path_change(now);
        let after = bbr.estimate(now);
        assert_eq!((before.in_flight, after.in_flight), (20_000, 0));
        assert_eq!(after.window, 8 * BbrConfig::default().datagram);
        assert!(after.pacing_rate < before.pacing_rate, "{before:?} {after:?}");
        // What arrived of the old path's is no lie, and opens the window as a slow start does.
        assert!(report(&mut bbr, 2_090, number + 19).is_new);
        let opened = bbr.estimate(MonoTime::from_millis(2_110));
        assert!(opened.window > after.window && opened.window < before.window, "{opened:?}");
    }
}
