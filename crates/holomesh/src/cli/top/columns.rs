//! The columns of the table of links, and how it is sorted.

use super::units;
use crate::service::status::LinkStatus;
use std::cmp::Ordering;

/// What the links are sorted by. The letter is the key that chooses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sort {
    /// The peer's id (p).
    Peer,
    /// Round trip (r).
    Rtt,
    /// Loss (l).
    Loss,
    /// What comes in (i).
    In,
    /// What goes out (o).
    #[default]
    Out,
    /// Bytes that wait (u).
    Queue,
    /// Chunks that were not sent (d).
    Drops,
}

impl Sort {
    /// By its letter.
    pub(super) const fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'p' => Self::Peer,
            'r' => Self::Rtt,
            'l' => Self::Loss,
            'i' => Self::In,
            'o' => Self::Out,
            'u' => Self::Queue,
            'd' => Self::Drops,
            _ => return None,
        })
    }

    /// Ids upwards, figures downwards: what is large is what one looks for. What was not measured comes last.
    fn compare(self, a: &LinkStatus, b: &LinkStatus) -> Ordering {
        match self {
            Self::Peer => a.peer.cmp(&b.peer),
            Self::Rtt => b.rtt_micros.cmp(&a.rtt_micros),
            Self::Loss => b.loss.unwrap_or(-1.0).total_cmp(&a.loss.unwrap_or(-1.0)),
            Self::In => b.rates.in_bits.total_cmp(&a.rates.in_bits),
            Self::Out => b.rates.out_bits.total_cmp(&a.rates.out_bits),
            Self::Queue => b.queue_bytes.cmp(&a.queue_bytes),
            Self::Drops => b.drops.total().cmp(&a.drops.total()),
        }
    }

    /// Sorts, the other way round if `reverse`; links that are alike stay in the order of their age.
    pub(super) fn sort(self, links: &mut [LinkStatus], reverse: bool) {
        links.sort_by(|a, b| {
            let order = self.compare(a, b);
            if reverse { order.reverse() } else { order }.then(a.id.cmp(&b.id))
        });
    }
}

/// A column: its heading, its width, what sorts by it.
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) width: u16,
    pub(super) sort: Option<Sort>,
    pub(super) left: bool,
    /// Whether a narrow screen goes without it.
    pub(super) is_spare: bool,
    pub(super) cell: fn(&LinkStatus) -> String,
}

/// In the order of the table. The first nine fit 80 columns; what is taken and the address come where there is room.
pub(super) const COLUMNS: [Column; 11] = [
    Column {
        heading: "PEER",
        width: 9,
        sort: Some(Sort::Peer),
        left: true,
        is_spare: false,
        cell: |link| link.peer.clone(),
    },
    Column {
        heading: "ROLE",
        width: 8,
        sort: None,
        left: true,
        is_spare: false,
        cell: |link| link.role.clone(),
    },
    Column {
        heading: "VIA",
        width: 6,
        sort: None,
        left: true,
        is_spare: false,
        cell: |link| link.transport.clone(),
    },
    Column {
        heading: "RTT",
        width: 7,
        sort: Some(Sort::Rtt),
        left: false,
        is_spare: false,
        cell: |link| dash(link.rtt_micros, units::micros),
    },
    Column {
        heading: "LOSS",
        width: 6,
        sort: Some(Sort::Loss),
        left: false,
        is_spare: false,
        cell: |link| dash(link.loss, units::percent),
    },
    Column {
        heading: "IN b/s",
        width: 8,
        sort: Some(Sort::In),
        left: false,
        is_spare: false,
        cell: |link| units::si(link.rates.in_bits),
    },
    Column {
        heading: "OUT b/s",
        width: 8,
        sort: Some(Sort::Out),
        left: false,
        is_spare: false,
        cell: |link| units::si(link.rates.out_bits),
    },
    Column {
        heading: "QUEUE",
        width: 8,
        sort: Some(Sort::Queue),
        left: false,
        is_spare: false,
        cell: |link| units::binary(link.queue_bytes),
    },
    Column {
        heading: "DROPS",
        width: 8,
        sort: Some(Sort::Drops),
        left: false,
        is_spare: false,
        cell: |link| units::si(link.drops.total() as f64),
    },
    Column {
        heading: "TAKES",
        width: 6,
        sort: None,
        left: true,
        is_spare: true,
        cell: |link| link.takes.clone(),
    },
    Column {
        heading: "ADDRESS",
        width: 24,
        sort: None,
        left: true,
        is_spare: true,
        cell: |link| link.address.clone(),
    },
];

fn dash<T>(value: Option<T>, show: fn(T) -> String) -> String {
    value.map_or_else(|| "-".into(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sort_has_its_letter_and_its_column() {
        use clap::ValueEnum;
        for sort in Sort::value_variants() {
            assert!("prlioud".chars().filter_map(Sort::from_letter).any(|known| known == *sort), "{sort:?}");
            assert_eq!(COLUMNS.iter().filter(|column| column.sort == Some(*sort)).count(), 1, "{sort:?}");
        }
    }

    #[test]
    fn links_are_sorted_as_their_columns_say_and_the_unmeasured_come_last() {
        let link = |id, rtt, loss, peer: &str| LinkStatus {
            id,
            rtt_micros: rtt,
            loss,
            peer: peer.into(),
            queue_bytes: id * 10 % 7,
            ..LinkStatus::default()
        };
        let links = vec![
            link(1, None, Some(0.1), "b"),
            link(2, Some(5), None, "c"),
            link(3, Some(9), Some(0.2), "a"),
        ];
        let order = |sort: Sort, reverse| {
            let mut links = links.clone();
            sort.sort(&mut links, reverse);
            links.iter().map(|link| link.id).collect::<Vec<_>>()
        };
        assert_eq!(order(Sort::Peer, false), [3, 1, 2]);
        assert_eq!(order(Sort::Peer, true), [2, 1, 3]);
        assert_eq!(order(Sort::Rtt, false), [3, 2, 1]);
        assert_eq!(order(Sort::Loss, false), [3, 1, 2]);
        assert_eq!(order(Sort::Queue, false), [2, 1, 3]);
        assert_eq!(order(Sort::Out, true), [1, 2, 3], "alike");
    }
}
