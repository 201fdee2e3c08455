//! What came of a run.

use core::fmt;
use core::time::Duration;
use core_types::KeyId;

/// What one node has seen and done. Rates and shares are integers: permille and microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeReport {
    /// Who it is; `None` in a report that is not of a run.
    pub key: Option<KeyId>,
    /// It was neither lying, stalling nor slow, and not the publisher.
    pub honest: bool,
    /// When it joined and left, in µs of the run; the end of the run if it stayed.
    pub joined: u64,
    /// See [`NodeReport::joined`].
    pub left: u64,
    /// From joining, or the start of the stream if that was later, to the first complete frame, in µs.
    pub first_frame: Option<u64>,
    /// Frames that were captured while it was there.
    pub captured: u64,
    /// Frames that were captured and due while it was there, before the first one that it could show.
    pub starting: u64,
    /// Frames from then on that were complete in time.
    pub shown: u64,
    /// Frames from then on that were not.
    pub missed: u64,
    /// When the last of these was captured, in µs of the run.
    pub last_missed: Option<u64>,
    /// The longest time from one frame shown to the next, or to the last one due, in µs.
    pub worst_gap: u64,
    /// Chunks of frames from the first shown on.
    pub expected_chunks: u64,
    /// Of these, what came in time without being asked for.
    pub first_deliveries: u64,
    /// Chunks that came, each time counted.
    pub received: u64,
    /// Of these, the ones that were there already.
    pub duplicates: u64,
    /// Of these, the ones that were asked for.
    pub repairs: u64,
    /// Requests for a chunk.
    pub requests: u64,
    /// Chunks sent, lost ones included.
    pub sent: u64,
    /// Chunks that were dropped because the uplink was busy.
    pub dropped: u64,
    /// Bytes that the uplink could have carried while the node was there and frames were captured.
    pub could_send: u64,
    /// Most children at one time that were sent at least one stripe.
    pub children: u64,
    /// Most hops from the publisher, over all stripes.
    pub hops: u64,
    /// Parents that it found silent.
    pub suspicions: u64,
    /// Of these, the ones that were there, honest and reachable.
    pub false_suspicions: u64,
    /// Searches for parents.
    pub searches: u64,
    /// Parents that worked and were changed for better ones.
    pub switches: u64,
    /// Parents of which it said to others that they do not deliver.
    pub accusations: u64,
    /// Of these, the honest ones.
    pub false_accusations: u64,
    /// The publisher found, by the word of several, that it claims what it does not deliver.
    pub found_lying: bool,
    /// It promised more at some time than its uplink could carry.
    pub over_capacity: bool,
}

/// What came of a run. Made by [`run`](super::run).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The publisher, and the others in the order of joining.
    pub nodes: Vec<NodeReport>,
    /// Frames captured.
    pub frames: u64,
    /// Bytes of a chunk.
    pub chunk_bytes: u64,
    /// Source chunks of a frame.
    pub source_chunks: u64,
    /// Times from the death of a parent to the next frame whose chunks all came, in µs, ascending. At most a million are kept.
    pub recoveries: Vec<u64>,
    /// Watchers that lost a parent and had not recovered by the end, or left before.
    pub unrecovered: u64,
    /// Events handled: the cost of the run.
    pub events: u64,
}

/// One line of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// How much.
    pub value: u64,
    /// Of what: empty for counts.
    pub unit: &'static str,
}

impl Report {
    /// The honest watchers: whose reports the sums are over.
    pub fn watchers(&self) -> impl Iterator<Item = &NodeReport> {
        self.nodes.iter().filter(|node| node.honest)
    }

    /// Frames shown in time, in permille of all that were due at somebody who had shown one before.
    pub fn shown_permille(&self) -> u64 {
        let shown = self.sum(|node| node.shown);
        permille(shown, shown + self.sum(|node| node.missed))
    }

    /// Frames not shown in time by who had shown one before.
    pub fn missed(&self) -> u64 {
        self.sum(|node| node.missed)
    }

    /// Watchers that did not show in time a frame which was captured `at` or later, and had shown one before.
    pub fn missing_since(&self, at: Duration) -> u64 {
        let at = micros(at);
        self.sum(|node| u64::from(node.last_missed.is_some_and(|missed| missed >= at)))
    }

    /// Chunks that came in time without being asked for.
    pub fn first_delivery_permille(&self) -> u64 {
        permille(self.sum(|node| node.first_deliveries), self.sum(|node| node.expected_chunks))
    }

    /// Bytes that came, in permille of the source bytes of the frames that were captured meanwhile.
    pub fn downlink_permille(&self) -> u64 {
        permille(self.sum(|node| node.received), self.sum(|node| node.captured) * self.source_chunks)
    }

    /// Watchers that showed a frame, in permille of those that were there for `within` after joining or the start.
    pub fn joined_permille(&self, within: Duration) -> u64 {
        let within = micros(within);
        let start = self.nodes.first().map_or(0, |publisher| publisher.joined);
        let (mut all, mut served) = (0, 0);
        for node in self.watchers().filter(|node| node.left >= node.joined.max(start).saturating_add(within))
        {
            all += 1;
            served += u64::from(node.first_frame.is_some_and(|after| after <= within));
        }
        permille(served, all)
    }

    /// The longest time without a new frame of any watcher that had shown one, in µs.
    pub fn worst_gap(&self) -> u64 {
        self.watchers().map(|node| node.worst_gap).max().unwrap_or(0)
    }

    /// That of which so many permille of the recoveries were no longer; 0 if there was none.
    pub fn recovery(&self, of: u16) -> u64 {
        percentile(&self.recoveries, of)
    }

    /// Bytes sent, in permille of what the uplinks of the watchers could have carried.
    pub fn uplink_permille(&self) -> u64 {
        permille(self.sum(|node| node.sent) * self.chunk_bytes, self.sum(|node| node.could_send))
    }

    /// How evenly the watchers' uplinks are used, each in proportion to what it could carry: 1,000 if all alike, 1,000/n if one
    /// does it all (Jain, Chiu, Hawe 1984).
    pub fn fairness_permille(&self) -> u64 {
        let (mut n, mut sum, mut squares) = (0_u128, 0_u128, 0_u128);
        for node in self.watchers().filter(|node| node.could_send > 0) {
            let used = u128::from(node.sent) * u128::from(self.chunk_bytes) * 1_000_000
                / u128::from(node.could_send);
            n += 1;
            sum += used;
            squares += used * used;
        }
        let share = (sum * sum * 1_000).checked_div(n * squares).unwrap_or(1_000);
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Watchers that have promised more than they could send.
    pub fn over_capacity(&self) -> u64 {
        self.sum(|node| u64::from(node.over_capacity))
    }

    /// A quantity of the honest watchers, added up.
    pub fn sum(&self, of: impl Fn(&NodeReport) -> u64) -> u64 {
        self.watchers().map(of).sum()
    }

    /// The figures in all, for a table.
    pub fn rows(&self) -> Vec<Row> {
        let row = |name, value, unit| Row { name, value, unit };
        let mut hops: Vec<u64> = self.watchers().map(|node| node.hops).filter(|hops| *hops > 0).collect();
        hops.sort_unstable();
        let mut first: Vec<u64> = self.watchers().filter_map(|node| node.first_frame).collect();
        first.sort_unstable();
        let watchers = self.watchers().count() as u64;
        let children = self.sum(|node| node.children);
        vec![
            row("watchers", watchers, ""),
            row("frames captured", self.frames, ""),
            row("frames shown in time", self.shown_permille(), "‰"),
            row("frames missed", self.missed(), ""),
            row("watchers that missed any", self.sum(|node| u64::from(node.missed > 0)), ""),
            row("watchers that never showed any", self.sum(|node| u64::from(node.first_frame.is_none())), ""),
            row("longest gap", self.worst_gap(), "µs"),
            row("served within 1 s", self.joined_permille(Duration::from_secs(1)), "‰"),
            row("time to first frame, p50", percentile(&first, 500), "µs"),
            row("time to first frame, p99", percentile(&first, 990), "µs"),
            row("came at first delivery", self.first_delivery_permille(), "‰"),
            row("downlink / source", self.downlink_permille(), "‰"),
            row("duplicates", self.sum(|node| node.duplicates), ""),
            row("repair requests", self.sum(|node| node.requests), ""),
            row("repairs that came", self.sum(|node| node.repairs), ""),
            row("parents lost, healed", self.recoveries.len() as u64, ""),
            row("parents lost, not healed", self.unrecovered, ""),
            row("death to full rate, p50", self.recovery(500), "µs"),
            row("death to full rate, p99", self.recovery(990), "µs"),
            row("suspicions", self.sum(|node| node.suspicions), ""),
            row("suspicions of the innocent", self.sum(|node| node.false_suspicions), ""),
            row("searches for parents", self.sum(|node| node.searches), ""),
            row("voluntary switches", self.sum(|node| node.switches), ""),
            row("accused of not delivering", self.sum(|node| node.accusations), ""),
            row("accused of it, honest", self.sum(|node| node.false_accusations), ""),
            row("found lying", self.nodes.iter().filter(|node| node.found_lying).count() as u64, ""),
            row("found lying, honest", self.sum(|node| u64::from(node.found_lying)), ""),
            row("hops, p50", percentile(&hops, 500), ""),
            row("hops, most", hops.last().copied().unwrap_or(0), ""),
            row("uplink used", self.uplink_permille(), "‰"),
            row("fairness of that (Jain)", self.fairness_permille(), "‰"),
            row("children, most", self.watchers().map(|node| node.children).max().unwrap_or(0), ""),
            row("children, mean", permille(children, watchers), "‰"),
            row("over capacity", self.over_capacity(), ""),
            row("dropped at full uplinks", self.sum(|node| node.dropped), ""),
            row("events", self.events, ""),
        ]
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32} {:>12} {}", self.name, self.value, self.unit)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows().iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// 1,000 for nothing out of nothing.
fn permille(part: u64, whole: u64) -> u64 {
    let share = (u128::from(part) * 1_000).checked_div(u128::from(whole)).unwrap_or(1_000);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Of an ascending list the first value that so many permille are no longer than; 0 of an empty one.
fn percentile(sorted: &[u64], of: u16) -> u64 {
    let rank = (sorted.len() * usize::from(of)).div_ceil(1_000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(sent: u64, could_send: u64) -> NodeReport {
        NodeReport { honest: true, sent, could_send, ..NodeReport::default() }
    }

    #[test]
    fn fairness_is_whole_when_all_do_alike_and_an_nth_when_one_does_it_all() {
        let report = |nodes| Report { nodes, chunk_bytes: 100, ..Report::default() };
        assert_eq!(
            report(vec![node(5, 1_000), node(10, 2_000), node(50, 10_000)]).fairness_permille(),
            1_000
        );
        assert_eq!(
            report(vec![node(7, 1_000), node(0, 1_000), node(0, 1_000), node(0, 9)]).fairness_permille(),
            250
        );
    }

    #[test]
    fn who_misses_something_after_a_time_is_counted_once_and_who_lies_is_not() {
        let missing = |at, honest| NodeReport { honest, last_missed: at, missed: 3, ..NodeReport::default() };
        let nodes = vec![missing(Some(4_000_000), true), missing(Some(3_999_999), true), missing(None, true)];
        let report =
            Report { nodes: [nodes, vec![missing(Some(9_000_000), false)]].concat(), ..Report::default() };
        assert_eq!(report.missing_since(Duration::from_secs(4)), 1);
        assert_eq!(report.missing_since(Duration::ZERO), 2);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(
            (percentile(&values, 500), percentile(&values, 990), percentile(&values, 1_000)),
            (100, 198, 200)
        );
        assert_eq!((percentile(&[], 500), percentile(&[7], 1)), (0, 7));
    }
}
