//! Rows of what was at each time: from how much each picture was made, where the sound came from, who spoke.

use super::model::NodeName;
use serde::{Deserialize, Serialize};

/// What one node had at each time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Whose it is.
    pub id: NodeName,
    /// In order of time. Between them nothing is known.
    pub spans: Vec<Span>,
}

/// A time in which it was all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Milliseconds since the start of the run.
    pub from_ms: u64,
    /// Its end, likewise.
    pub to_ms: u64,
    /// What it was, as a number in the list of what there can be: of several the largest is the one that must not be overlooked.
    pub state: u8,
}

/// Where a piece of sound came from, from the best to the worst: the numbers of their order stand in spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SoundState {
    /// Its packet came.
    Packet,
    /// The publisher made a pause.
    Pause,
    /// Its packet was brought back by the fountain code.
    Repaired,
    /// The coarse copy in the packet after it.
    CoarseCopy,
    /// The deep redundancy of a later packet.
    Redundancy,
    /// A guess.
    Concealed,
    /// Nothing was played of it.
    Missing,
}

impl SoundState {
    /// All of them, by their numbers.
    pub const ALL: [Self; 7] = [
        Self::Packet,
        Self::Pause,
        Self::Repaired,
        Self::CoarseCopy,
        Self::Redundancy,
        Self::Concealed,
        Self::Missing,
    ];

    /// Its number in a [`Span`].
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl Lane {
    /// Nothing yet.
    pub const fn new(id: NodeName) -> Self {
        Self { id, spans: Vec::new() }
    }

    /// What comes next in time; overlaps are cut off what comes later.
    pub fn push(&mut self, from_ms: u64, to_ms: u64, state: u8) {
        let from_ms = self.spans.last().map_or(from_ms, |last| from_ms.max(last.to_ms));
        if to_ms <= from_ms {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if last.state == state && last.to_ms == from_ms => last.to_ms = to_ms,
            _ => self.spans.push(Span { from_ms, to_ms, state }),
        }
    }

    /// The time in each of the states below `states`, in ms.
    pub fn totals(&self, states: usize) -> Vec<u64> {
        let mut totals = vec![0u64; states];
        for span in &self.spans {
            if let Some(total) = totals.get_mut(usize::from(span.state)) {
                *total = total.saturating_add(span.to_ms.saturating_sub(span.from_ms));
            }
        }
        totals
    }

    /// The end of the last span, in ms.
    pub(super) fn end_ms(&self) -> u64 {
        self.spans.iter().map(|span| span.to_ms).max().unwrap_or(0)
    }

    /// As spans of columns, of which there are `columns` up to `end_ms`: where several things fall into one, the largest stands for all. So
    /// nothing short is lost, and a long run gives no more than there is to see.
    pub(super) fn columns(&self, end_ms: u64, columns: u32) -> Vec<(u32, u32, u8)> {
        let mut states: Vec<Option<u8>> = vec![None; columns as usize];
        let place = |ms: u64| {
            (u128::from(ms) * u128::from(columns) / u128::from(end_ms.max(1))).min(u128::from(columns))
                as usize
        };
        for span in &self.spans {
            let (from, to) = (place(span.from_ms), place(span.to_ms));
            for column in states.iter_mut().take(to.max(from + 1)).skip(from) {
                *column = Some(column.map_or(span.state, |state| state.max(span.state)));
            }
        }
        let mut runs: Vec<(u32, u32, u8)> = Vec::new();
        for (at, state) in (0u32..).zip(states) {
            let Some(state) = state else { continue };
            match runs.last_mut() {
                Some((_, end, last)) if *end == at && *last == state => *end = at + 1,
                _ => runs.push((at, at + 1, state)),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn lane(spans: &[(u64, u64, u8)]) -> Lane {
        let mut lane = Lane::new(NodeName::new("w"));
        spans.iter().for_each(|(from, to, state)| lane.push(*from, *to, *state));
        lane
    }

    #[test]
    fn what_goes_on_is_one_span_and_a_gap_stays_one() {
        let lane =
            lane(&[(0, 20, 1), (20, 40, 1), (40, 60, 0), (50, 80, 2), (100, 120, 2), (90, 95, 1), (7, 7, 3)]);
        let spans: Vec<_> = lane.spans.iter().map(|s| (s.from_ms, s.to_ms, s.state)).collect();
        assert_eq!(spans, [(0, 40, 1), (40, 60, 0), (60, 80, 2), (100, 120, 2)]);
        assert_eq!((lane.totals(3), lane.totals(1), lane.end_ms()), (vec![20, 40, 40], vec![20], 120));
    }

    #[test]
    fn numbers_of_sound_follow_their_order() {
        assert!(SoundState::ALL.is_sorted());
        assert!((0..).zip(SoundState::ALL).all(|(number, state)| state.number() == number));
    }

    #[test]
    fn what_is_short_is_not_lost_among_much() {
        let mut long = lane(&[(0, 500_000, 0)]);
        long.push(500_000, 500_020, 5);
        long.push(500_020, 600_000, 0);
        let columns = long.columns(600_000, 300);
        assert_eq!(columns, [(0, 250, 0), (250, 251, 5), (251, 300, 0)]);
    }

    proptest! {
        #[test]
        fn columns_are_in_order_and_each_state_that_there_is_in_time_is_shown_or_covered(
            steps in vec((0u64..300, 0u64..300, 0u8..4), 0..60), end: u64, columns in 1u32..200,
        ) {
            let (mut spans, mut at) = (Vec::new(), 0);
            for (gap, length, state) in steps {
                spans.push((at + gap, at + gap + length, state));
                at += gap + length;
            }
            let lane = lane(&spans);
            for end in [at, end] {
                let runs = lane.columns(end, columns);
                prop_assert!(runs.iter().all(|(from, to, _)| from < to && *to <= columns));
                prop_assert!(runs.windows(2).all(|pair| pair[0].1 <= pair[1].0 && (pair[0].1 < pair[1].0 || pair[0].2 != pair[1].2)));
            }
            let worst = lane.spans.iter().filter(|span| span.from_ms < at).map(|span| span.state).max();
            prop_assert_eq!(lane.columns(at, columns).iter().map(|run| run.2).max(), worst);
        }
    }
}
