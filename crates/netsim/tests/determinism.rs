//! The same seed and the same calls give the same outcome, whatever else there is.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use core_types::{BitRate, MonoTime};
use netsim::{Delivery, GilbertElliott, Network, PathModel, Prng, Reorder};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

fn node(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 1))
}

fn rough() -> PathModel {
    PathModel {
        delay: Duration::from_millis(15),
        jitter: Duration::from_millis(5),
        loss: 0.02,
        bursts: Some(GilbertElliott::bursts(0.1, 3.0)),
        reorder: Some(Reorder { rate: 0.05, by: Duration::from_millis(9) }),
        duplicate: 0.02,
        corrupt: 0.02,
        bandwidth: BitRate::from_kbit(4_000).into(),
        queue: 20_000,
        ..PathModel::default()
    }
}

/// What comes from node 1 to node 2, beside `others` paths on which as much is sent.
fn run(seed: u64, calls: u64, count: usize, others: u8, model: &PathModel) -> Vec<Delivery> {
    let mut network = Network::new(seed);
    // The others come first: their draws must not shift those of the path that is looked at.
    for other in (0..=others).rev() {
        network.set_path(node(1), node(2 + other), if other == 0 { model.clone() } else { rough() }).unwrap();
    }
    let mut prng = Prng::new(calls);
    let mut now = MonoTime(0);
    let mut out = Vec::new();
    for n in 0..count {
        now = MonoTime(now.0 + prng.below(4_000));
        out.extend(network.deliver(now).filter(|delivery| delivery.to == node(2)));
        let mut bytes = vec![0; 8 + prng.below(1_200) as usize];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        for other in 0..=others {
            network.send(now, node(1), node(2 + other), bytes.clone());
        }
    }
    out.extend(network.deliver(MonoTime(u64::MAX)).filter(|delivery| delivery.to == node(2)));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn same_seed_same_calls_same_outcome(seed: u64, calls: u64, count in 1_usize..300) {
        let first = run(seed, calls, count, 0, &rough());
        prop_assert_eq!(&first, &run(seed, calls, count, 0, &rough()));
        prop_assert_eq!(&first, &run(seed, calls, count, 3, &rough()), "other paths change nothing");
        prop_assert!(first.windows(2).all(|pair| pair[0].at <= pair[1].at), "in order of arrival");
        prop_assert!(first.iter().all(|delivery| delivery.at.0 >= 15_000), "nothing comes before its delay");
    }

    #[test]
    fn a_fault_that_is_taken_away_leaves_the_others_where_they_were(seed: u64, calls: u64) {
        let numbers = |model: &PathModel| -> Vec<u64> {
            let out = run(seed, calls, 200, 0, model);
            let mut numbers: Vec<u64> =
                out.iter().map(|delivery| u64::from_be_bytes(delivery.bytes[..8].try_into().unwrap())).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        };
        let without = PathModel { corrupt: 0.0, duplicate: 0.0, reorder: None, ..rough() };
        let rough = PathModel { corrupt: 0.0, ..rough() };
        prop_assert_eq!(numbers(&rough), numbers(&without));
    }
}

#[test]
fn seeds_differ() {
    assert_ne!(run(1, 1, 300, 0, &rough()), run(2, 1, 300, 0, &rough()));
}
