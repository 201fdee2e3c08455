//! How much may be sent, and when: the congestion controller as a lane uses it.

use crate::control::ReportBody;
use crate::times::REPORT_STEADY;
use crate::{Error, LaneConfig, LaneId};
use av_congestion::{Bbr, BbrConfig, LinkEstimate, Report};
use core::time::Duration;
use core_types::MonoTime;

/// A queue that takes so long to pass is watched by more frequent reports.
const QUEUE: Duration = Duration::from_millis(20);
/// What is asked for then: a report each so many milliseconds.
const QUICK: u8 = 25;
/// And while more waits than the path is given: then alone reports say what it takes.
const STEADY: u8 = REPORT_STEADY.as_millis() as u8;
/// The wish is said again after this, half of the time that it holds.
const REPEAT: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Rate {
    bbr: Bbr,
    /// When more reports were last asked for, while they are wanted, and each how many milliseconds.
    wished: Option<(MonoTime, u8)>,
    /// Since the last report something was sent of more than could be sent.
    was_full: bool,
    /// Whether more waits than was given, as far as the caller says.
    more_waits: Option<bool>,
}

impl Rate {
    pub(crate) fn new(config: &LaneConfig, id: LaneId, now: MonoTime) -> Result<Self, Error> {
        let config =
            BbrConfig { datagram: config.max_datagram, seed: config.rate.seed ^ id.0, ..config.rate };
        Ok(Self { bbr: Bbr::new(config, now)?, wished: None, was_full: false, more_waits: None })
    }

    pub(crate) fn budget(&self, now: MonoTime) -> usize {
        self.bbr.budget(now)
    }

    pub(crate) fn next_send_at(&self, now: MonoTime, bytes: usize) -> Option<MonoTime> {
        self.bbr.next_send_at(now, bytes)
    }

    pub(crate) fn estimate(&self, now: MonoTime) -> LinkEstimate {
        self.bbr.estimate(now)
    }

    pub(crate) const fn set_more_waits(&mut self, more: bool) {
        self.more_waits = Some(more);
    }

    /// A burst went out. Unless the caller says whether more waits, there was nothing more if it left room for another datagram.
    pub(crate) fn on_sent(
        &mut self,
        now: MonoTime,
        first: u64,
        packets: usize,
        bytes: usize,
        datagram: usize,
    ) {
        let guess = || self.bbr.budget(now) >= bytes + datagram;
        let app_limited = self.more_waits.map_or_else(guess, |more| !more);
        self.was_full |= !app_limited;
        let packets = u32::try_from(packets).unwrap_or(u32::MAX);
        // Refuses only numbers that do not ascend, and those of a lane do.
        let _ = self.bbr.on_sent(now, first, packets, bytes, app_limited);
    }

    /// Takes a report in; true if quicker ones should be asked for now.
    pub(crate) fn on_report(&mut self, now: MonoTime, report: &ReportBody) -> Result<bool, Error> {
        self.bbr.on_report(
            now,
            &Report {
                largest: report.largest,
                received_packets: report.packets,
                received_bytes: report.bytes,
                ack_delay: Duration::from_micros(report.delay.into()),
                arrival: report.arrival,
            },
        )?;
        let estimate = self.bbr.estimate(now);
        let was_full = core::mem::take(&mut self.was_full);
        let wish = if estimate.congested || estimate.queue_delay >= QUEUE {
            QUICK
        } else if was_full {
            STEADY
        } else {
            self.wished = None;
            return Ok(false);
        };
        // A wish for more holds for its time, one for less is not worth a packet before that.
        if self.wished.is_some_and(|(at, each)| each <= wish && now.since(at) < REPEAT) {
            return Ok(false);
        }
        self.wished = Some((now, wish));
        Ok(true)
    }

    /// How often reports are wanted, in milliseconds; 0: as the peer likes.
    pub(crate) const fn wish(&self) -> u8 {
        match self.wished {
            Some((_, each)) => each,
            None => 0,
        }
    }

    /// The peer is somewhere else: nothing is known of the way there.
    pub(crate) fn restart(&mut self, now: MonoTime) {
        self.bbr.on_path_change(now);
        self.wished = None;
    }

    pub(crate) fn poll_timeout(&self) -> Option<MonoTime> {
        self.bbr.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: MonoTime) {
        self.bbr.handle_timeout(now);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::PathSecret;

    #[test]
    fn a_sender_that_has_more_than_goes_out_asks_for_more_reports() {
        let ms = MonoTime::from_millis;
        let mut rate = Rate::new(&LaneConfig::new(PathSecret([1; 32])), LaneId(1), ms(0)).unwrap();
        let mut body = ReportBody::default();
        for at in 0..40u64 {
            let (now, more) = (ms(at * 50), (10..20).contains(&at));
            rate.set_more_waits(more);
            rate.on_sent(now, at, 1, 1_000, 1_452);
            body = ReportBody {
                largest: at,
                packets: at + 1,
                long: at + 1,
                bytes: body.bytes + 1_000,
                arrival: (at * 50 + 10) * 1_000,
                ..body
            };
            let asks = rate.on_report(ms(at * 50 + 20), &body).unwrap();
            assert_eq!(asks, at == 10, "{at}: and not again for half a second");
            assert_eq!(rate.wish(), if more { STEADY } else { 0 }, "{at}");
        }
    }
}
