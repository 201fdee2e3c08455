//! What was sent and not yet reported: a bounded log of bursts.

use crate::Error;
use core::time::Duration;
use core_types::MonoTime;
use std::collections::VecDeque;

/// Bursts remembered. When there are more, neighbours are joined: nothing is forgotten, times get coarser.
const MOST: usize = 128;

/// Packets that were sent together, or several such bursts joined.
#[derive(Debug, Clone, Copy)]
struct Burst {
    first: u64,
    last: u64,
    packets: u64,
    bytes: u64,
    /// All that was sent before.
    before: Amount,
    sent_first: MonoTime,
    sent_last: MonoTime,
    /// How often the caller had nothing more to send before this one.
    limited_before: u64,
    /// How many bursts before this one were held below the path's rate on purpose.
    slowed_before: u64,
}

/// What kept a burst from showing what the path carries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// The caller had nothing to send for a while before, whatever was said then.
    pub(crate) after_pause: bool,
    /// It took all that there was.
    pub(crate) is_limited: bool,
    /// The sender lets a queue run empty.
    pub(crate) is_slowed: bool,
}

/// Packets and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// Where a link number stands in all that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// When it was sent.
    pub(crate) sent_at: MonoTime,
    /// Bytes of the same burst that went before it, and how long before it the first of them did.
    pub(crate) ahead: u64,
    pub(crate) ahead_by: Duration,
    /// All that was sent up to and with it.
    pub(crate) through: Amount,
    /// The most that can be said to be sent up to it: the whole burst, when it is unknown which of its packets are
    /// the large ones.
    pub(crate) most: Amount,
    /// How often the caller had nothing more to send before the burst that it belongs to.
    pub(crate) limited: u64,
    /// How many bursts before it were held below the path's rate on purpose.
    pub(crate) slowed: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct SentLog {
    bursts: VecDeque<Burst>,
    total: Amount,
    last: Option<u64>,
    limited: u64,
    slowed: u64,
    /// Bytes at the front that no report will be waited for.
    written_off: u64,
    /// Bytes at the front that a report has settled.
    settled: u64,
}

impl SentLog {
    pub(crate) const fn last(&self) -> Option<u64> {
        self.last
    }

    pub(crate) const fn in_flight(&self) -> u64 {
        let gone = if self.written_off > self.settled { self.written_off } else { self.settled };
        self.total.bytes.saturating_sub(gone)
    }

    pub(crate) fn push(
        &mut self,
        now: MonoTime,
        first: u64,
        amount: Amount,
        held: Held,
    ) -> Result<(), Error> {
        if let Some(last) = self.last.filter(|last| first <= *last) {
            return Err(Error::NotAscending { first, last });
        }
        let last = first.saturating_add(amount.packets - 1);
        if self.bursts.len() >= MOST {
            self.join_neighbours();
        }
        self.limited += u64::from(held.after_pause);
        self.bursts.push_back(Burst {
            first,
            last,
            packets: amount.packets,
            bytes: amount.bytes,
            before: self.total,
            sent_first: now,
            sent_last: now,
            limited_before: self.limited,
            slowed_before: self.slowed,
        });
        self.total.packets += amount.packets;
        self.total.bytes = self.total.bytes.saturating_add(amount.bytes);
        self.last = Some(last);
        self.limited += u64::from(held.is_limited);
        self.slowed += u64::from(held.is_slowed);
        Ok(())
    }

    /// Where a link number stands; `None` when the log holds nothing up to it. Numbers that were not sent, between
    /// those that were, count as the one before them.
    pub(crate) fn place(&self, number: u64) -> Option<Place> {
        let after = self.bursts.partition_point(|burst| burst.first <= number);
        let burst = self.bursts.get(after.checked_sub(1)?)?;
        let span = (burst.last - burst.first).saturating_add(1);
        let part = (number.min(burst.last) - burst.first).saturating_add(1);
        // Without gaps in the numbers this is `part` itself.
        let packets = scale(burst.packets, part, span);
        let passed = u64::try_from(burst.sent_last.since(burst.sent_first).as_micros()).unwrap_or(u64::MAX);
        let whole =
            Amount { packets: burst.before.packets + burst.packets, bytes: burst.before.bytes + burst.bytes };
        let later = scale(passed, part - 1, (span - 1).max(1));
        Some(Place {
            sent_at: MonoTime(burst.sent_first.0 + later),
            ahead: scale(burst.bytes, packets.saturating_sub(1), burst.packets),
            ahead_by: Duration::from_micros(later),
            through: Amount {
                packets: burst.before.packets + packets,
                bytes: burst.before.bytes + scale(burst.bytes, packets, burst.packets),
            },
            most: whole,
            limited: burst.limited_before,
            slowed: burst.slowed_before,
        })
    }

    /// A report has settled all up to this number, which stands at this place.
    pub(crate) fn settle(&mut self, number: u64, place: &Place) {
        while self.bursts.front().is_some_and(|burst| burst.last < number) {
            self.bursts.pop_front();
        }
        self.settled = self.settled.max(place.through.bytes);
    }

    /// Counts what was sent at or before `until` as lost, without forgetting it: a report may still come.
    pub(crate) fn write_off(&mut self, until: MonoTime) {
        let after = self.bursts.partition_point(|burst| burst.sent_last <= until);
        if let Some(burst) = after.checked_sub(1).and_then(|at| self.bursts.get(at)) {
            self.written_off = self.written_off.max(burst.before.bytes.saturating_add(burst.bytes));
        }
    }

    /// Halves the number of entries. Rare enough to cost nothing on average: once in 64 bursts at most.
    fn join_neighbours(&mut self) {
        let mut kept = 0;
        for at in (0..self.bursts.len()).step_by(2) {
            let mut burst = self.bursts[at];
            if let Some(next) = self.bursts.get(at + 1) {
                burst.last = next.last;
                burst.packets += next.packets;
                burst.bytes = burst.bytes.saturating_add(next.bytes);
                burst.sent_last = next.sent_last;
            }
            self.bursts[kept] = burst;
            kept += 1;
        }
        self.bursts.truncate(kept);
    }
}

/// `value · part / whole`, rounded down.
const fn scale(value: u64, part: u64, whole: u64) -> u64 {
    (value as u128 * part as u128 / whole as u128) as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "helpers of tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a list of all packets, however many bursts there are.
        #[test]
        fn places_are_those_of_the_packets(
            bursts in prop::collection::vec((1_u64..12, 1_u64..5_000), 1..400),
            asked: prop::sample::Index,
        ) {
            let mut log = SentLog::default();
            let (mut now, mut first) = (0, 5);
            let mut sent: Vec<u64> = Vec::new();
            for (packets, gap) in bursts {
                now += gap;
                log.push(MonoTime(now), first, Amount { packets, bytes: packets * 100 }, Held::default()).unwrap();
                first += packets;
                sent.extend((0..packets).map(|_| now));
            }
            prop_assert!(log.bursts.len() <= MOST);
            let at = asked.index(sent.len());
            let number = at as u64 + 5;
            let place = log.place(number).unwrap();
            let count = at as u64 + 1;
            prop_assert_eq!(place.through, Amount { packets: count, bytes: count * 100 });
            prop_assert!(place.most.packets >= count);
            // Joined bursts blur the time, by the time that they span at most.
            let error = place.sent_at.0.abs_diff(sent[at]);
            prop_assert!(error <= 8 * 5_000, "{error}");
            prop_assert_eq!(log.in_flight(), sent.len() as u64 * 100);
            log.settle(number, &place);
            prop_assert_eq!(log.in_flight(), (sent.len() as u64 - count) * 100);
            prop_assert_eq!(log.place(number).unwrap().through, place.through, "the burst itself is still there");
        }
    }

    #[test]
    fn numbers_ascend_and_gaps_count_as_what_was_before() {
        let mut log = SentLog::default();
        let two = Amount { packets: 2, bytes: 20 };
        log.push(MonoTime(1), 10, two, Held { is_limited: true, ..Held::default() }).unwrap();
        assert_eq!(
            log.push(MonoTime(2), 11, two, Held::default()),
            Err(Error::NotAscending { first: 11, last: 11 })
        );
        log.push(MonoTime(2), 20, two, Held::default()).unwrap();
        assert_eq!(log.place(9), None);
        assert_eq!(log.place(15).unwrap().through, two);
        assert_eq!((log.place(11).unwrap().limited, log.place(20).unwrap().limited), (0, 1));
        assert_eq!(log.place(20).unwrap().through, Amount { packets: 3, bytes: 30 });
    }

    #[test]
    fn what_is_written_off_can_still_be_reported() {
        let mut log = SentLog::default();
        for n in 0..4 {
            log.push(MonoTime(n * 10), n, Amount { packets: 1, bytes: 100 }, Held::default()).unwrap();
        }
        log.write_off(MonoTime(10));
        assert_eq!(log.in_flight(), 200);
        let place = log.place(0).unwrap();
        log.settle(0, &place);
        assert_eq!(log.in_flight(), 200, "a late report takes nothing back");
        assert_eq!(place.through.bytes, 100);
    }
}
