//! What has come of the peer's media, and when to tell it (spec 37 section 5).

use crate::control::ReportBody;
use crate::times::{
    EARLY, LONG, REORDER, REORDER_MOST, REPORT_EACH, REPORT_EARLY, REPORT_FASTEST, WISH_HOLDS,
};
use core::time::Duration;
use core_types::MonoTime;

#[derive(Debug)]
pub(crate) struct Inbound {
    began: MonoTime,
    /// Times below count only when something came.
    first: Option<MonoTime>,
    last: MonoTime,
    largest: u64,
    largest_at: MonoTime,
    packets: u64,
    long: u64,
    bytes: u64,
    /// As of the last report.
    reported: u64,
    reported_holes: u64,
    reported_at: MonoTime,
    /// Since when numbers have been missing that the last report did not say were missing.
    gap_since: Option<MonoTime>,
    reorder: Duration,
    wish: Option<(Duration, MonoTime)>,
    unbound: bool,
}

impl Inbound {
    pub(crate) const fn new(now: MonoTime) -> Self {
        Self {
            began: now,
            first: None,
            last: now,
            largest: 0,
            largest_at: now,
            packets: 0,
            long: 0,
            bytes: 0,
            reported: 0,
            reported_holes: 0,
            reported_at: now,
            gap_since: None,
            reorder: REORDER,
            wish: None,
            unbound: false,
        }
    }

    /// When media came last; when the lane began if none did.
    pub(crate) const fn last(&self) -> MonoTime {
        self.last
    }

    /// A datagram was taken; `highest` is the highest link number taken by now.
    #[inline]
    pub(crate) fn take(&mut self, now: MonoTime, highest: u64, bytes: usize) {
        if self.first.is_none() {
            self.first = Some(now);
            (self.largest, self.largest_at) = (highest, now);
        } else if highest > self.largest {
            (self.largest, self.largest_at) = (highest, now);
        }
        self.last = now;
        self.packets += 1;
        self.long += u64::from(bytes > LONG);
        self.bytes += bytes as u64;
        let holes = self.holes();
        if holes > self.reported_holes {
            self.gap_since.get_or_insert(now);
        } else {
            self.gap_since = None;
            if holes < self.reported_holes {
                // What was said to be missing came after all: gaps of that age are reordering here.
                self.reported_holes = holes;
                self.reorder = (self.reorder * 2).min(REORDER_MOST);
            }
        }
    }

    /// A compact header came that stands for nothing here. Not authentic: it asks for whole headers and does nothing else.
    pub(crate) const fn miss(&mut self) {
        self.unbound = true;
    }

    /// True if whole headers are wanted.
    pub(crate) const fn is_unbound(&self) -> bool {
        self.unbound
    }

    /// As [`Inbound::is_unbound`], to be told to the peer now.
    pub(crate) const fn take_unbound(&mut self) -> bool {
        core::mem::replace(&mut self.unbound, false)
    }

    /// The peer asks for a report each so many milliseconds; 0 takes it back.
    pub(crate) fn wish(&mut self, millis: u8, now: MonoTime) {
        let each = Duration::from_millis(millis.into()).clamp(REPORT_FASTEST, REPORT_EACH);
        self.wish = (millis > 0).then(|| (each, now.plus(WISH_HOLDS)));
    }

    /// Numbers up to the highest that have not come.
    const fn holes(&self) -> u64 {
        (self.largest + 1).saturating_sub(self.packets)
    }

    /// When the next report is due: never while nothing comes.
    pub(crate) fn due(&self) -> Option<MonoTime> {
        let first = self.first?;
        if self.packets == self.reported {
            return None;
        }
        if self.reported == 0 {
            return Some(first);
        }
        let each = match self.wish {
            Some((each, until)) if self.reported_at < until => each,
            _ if self.reported_at < first.plus(EARLY) => REPORT_EARLY,
            _ => REPORT_EACH,
        };
        let regular = self.reported_at.plus(each);
        let Some(gap) = self.gap_since else { return Some(regular) };
        Some(gap.plus(self.reorder).max(self.reported_at.plus(REPORT_FASTEST)).min(regular))
    }

    /// The report, which counts as sent.
    pub(crate) fn report(&mut self, now: MonoTime) -> ReportBody {
        self.reported = self.packets;
        self.reported_holes = self.holes();
        self.reported_at = now;
        self.gap_since = None;
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        ReportBody {
            largest: self.largest,
            packets: self.packets,
            long: self.long,
            bytes: self.bytes,
            arrival: micros(self.largest_at.since(self.began)),
            delay: u32::try_from(now.since(self.largest_at).as_micros()).unwrap_or(u32::MAX),
            unbound: self.take_unbound(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> MonoTime {
        MonoTime::from_millis(millis)
    }

    /// An end that takes 50 datagrams a second, without loss, and reports when it is due.
    fn steady(until: u64) -> (Inbound, Vec<u64>) {
        let (mut inbound, mut reports) = (Inbound::new(ms(0)), Vec::new());
        for at in 0..until {
            if at % 20 == 0 {
                inbound.take(ms(at), at / 20, 1_000);
            }
            if inbound.due().is_some_and(|due| due <= ms(at)) {
                inbound.report(ms(at));
                reports.push(at);
            }
        }
        (inbound, reports)
    }

    #[test]
    fn reports_are_quick_at_first_and_five_a_second_then() {
        let (inbound, reports) = steady(4_000);
        assert_eq!(reports[0], 0, "the first datagram is reported at once");
        let early = reports.iter().filter(|at| **at < 1_000).count();
        assert!((25..=40).contains(&early), "{early}");
        let later = reports.iter().filter(|at| **at >= 2_000).count();
        assert_eq!(later, 10);
        assert_eq!(inbound.holes(), 0);
    }

    #[test]
    fn nothing_is_reported_while_nothing_comes() {
        let (mut inbound, _) = steady(2_000);
        inbound.report(ms(2_000));
        assert_eq!(inbound.due(), None);
        assert_eq!(Inbound::new(ms(0)).due(), None);
    }

    #[test]
    fn a_gap_is_reported_soon_and_not_more_often_than_every_20_ms() {
        let (mut inbound, _) = steady(2_000);
        inbound.report(ms(2_000));
        inbound.take(ms(2_030), 102, 1_000);
        assert_eq!(inbound.due(), Some(ms(2_035)), "5 ms for what was overtaken");
        inbound.report(ms(2_035));
        inbound.take(ms(2_037), 105, 1_000);
        assert_eq!(inbound.due(), Some(ms(2_055)));
        // What fills a gap in time is no loss.
        inbound.take(ms(2_038), 105, 1_000);
        inbound.take(ms(2_039), 105, 1_000);
        assert_eq!(inbound.due(), Some(ms(2_235)));
    }

    #[test]
    fn where_gaps_fill_up_late_there_is_more_patience() {
        let (mut inbound, _) = steady(2_000);
        inbound.take(ms(2_030), 101, 1_000);
        inbound.report(ms(2_035));
        inbound.take(ms(2_040), 101, 1_000);
        inbound.report(ms(2_100));
        inbound.take(ms(2_150), 103, 1_000);
        assert_eq!(inbound.due(), Some(ms(2_160)), "10 ms now");
    }

    #[test]
    fn a_wish_holds_for_a_second() {
        let (mut inbound, _) = steady(2_000);
        inbound.report(ms(2_000));
        inbound.wish(1, ms(2_000));
        inbound.take(ms(2_001), 100, 1_000);
        assert_eq!(inbound.due(), Some(ms(2_020)), "and no wish is granted beyond 20 ms");
        inbound.report(ms(3_001));
        inbound.take(ms(3_002), 101, 1_000);
        assert_eq!(inbound.due(), Some(ms(3_201)));
    }
}
