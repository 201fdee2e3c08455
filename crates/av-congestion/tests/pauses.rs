//! What a sender that stops for a moment does not say about its path, and what a path says that became wider.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod sim;

use core_types::BitRate;
use netsim::{PathModel, Steps};
use sim::{Sim, Source, at, bottleneck, kbit, ms};

fn jittery(model: PathModel) -> PathModel {
    PathModel { jitter: ms(3), ..model }
}

/// The lowest rate that the path was said to carry.
fn least_known(sim: &Sim, from: f64, until: f64) -> BitRate {
    let rows = &sim.flow().rows[(from * 1e3) as usize..(until * 1e3) as usize];
    rows.iter().map(|row| row.estimate.delivery_rate).min().unwrap()
}

/// A frame of eleven datagrams, then nothing for half a second; and it says each time that more waits.
#[test]
fn a_pause_of_the_sender_is_no_slow_path() {
    for seed in 1..4 {
        let mut rate = Steps::constant(kbit(2_500)).then(at(6.0), kbit(0));
        for pause in 1..13 {
            let begins = 6.0 + 0.5 * f64::from(pause);
            rate = rate.then(at(begins), kbit(2_500)).then(at(begins + 0.036), kbit(0));
        }
        let source = Source { rate, claims_more: true, ..Source::live(kbit(0)) };
        let mut sim = Sim::single(seed, jittery(bottleneck(10_000, 100, 20)), source);
        sim.run(at(12.0));
        let known = least_known(&sim, 5.0, 12.0);
        assert!(known > kbit(2_000), "{known}");
        let flow = sim.flow();
        assert!(flow.sum(6.5, 12.0, |row| row.sent) > 100, "it did send");
        assert_eq!(flow.sum(6.5, 12.0, |row| row.shed), 0, "as fast as before");
    }
}

/// The path was crowded until the source had little to send. What it sends then is not what the path carries.
#[test]
fn a_crowd_that_is_over_makes_no_slow_path() {
    for seed in 1..4 {
        let rate = Steps::constant(kbit(2_500)).then(at(6.0), kbit(100)).then(at(9.0), kbit(900));
        let source = Source { rate, ..Source::live(kbit(0)) };
        let mut sim = Sim::single(seed, jittery(bottleneck(1_000, 100, 20)), source);
        sim.run(at(11.0));
        let known = least_known(&sim, 5.0, 11.0);
        assert!(known > kbit(750), "{known}");
        let shed = sim.flow().sum(9.0, 11.0, |row| row.shed);
        assert_eq!(shed, 0, "and it is there when there is more to send");
    }
}

/// By a quarter in each probe it would take more than four seconds.
#[test]
fn a_path_that_became_far_wider_is_found_by_doubling() {
    for seed in 1..4 {
        let mut path = PathModel { queue: 250_000, ..jittery(bottleneck(300, 100, 20)) };
        path.bandwidth = path.bandwidth.then(at(5.0), kbit(20_000));
        let mut sim = Sim::single(seed, path, Source::live(kbit(10_000)));
        sim.run(at(7.3));
        assert!(sim.flow().arrived(4.0, 5.0) < 310e3);
        let arrived = sim.flow().arrived(7.0, 7.3);
        assert!(arrived > 9_000e3, "{arrived}");
    }
}

/// It has shown what it carries. Later there is about as much to send, and at times a frame of ten times the size: as for a
/// subscriber whose upper layers are shed. At several times the rate these would overflow the queue.
#[test]
fn bursts_on_a_path_that_was_full_do_not_overflow_its_queue() {
    let loss = (1..9).map(|seed| {
        let rate = Steps::constant(kbit(2_500)).then(at(4.0), kbit(480));
        let source = Source { rate, key: Some((56, 10)), ..Source::live(kbit(0)) };
        let mut sim = Sim::single(seed, jittery(bottleneck(625, 200, 10)), source);
        sim.run(at(30.0));
        sim.flow().loss(6.0, 30.0) / 8.0
    });
    let loss: f64 = loss.sum();
    assert!(loss < 0.008, "{loss}");
}

/// Its probes let the queue run empty each time, so that it need not send less to see how short the way is.
#[test]
fn a_full_path_is_never_left_idle_for_long() {
    for seed in 1..4 {
        let mut sim = Sim::single(seed, jittery(bottleneck(625, 200, 10)), Source::live(kbit(2_500)));
        sim.run(at(30.0));
        let least = (40..297).map(|n| {
            let from = f64::from(n) / 10.0;
            sim.flow().arrived(from, from + 0.3)
        });
        let least = least.fold(f64::INFINITY, f64::min);
        assert!(least > 430e3, "{least}");
    }
}
