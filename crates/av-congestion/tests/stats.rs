//! The statistics of a window-based sender, as a QUIC connection has them, over the virtual network.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_congestion::{LinkEstimate, QuicSample, StatsEstimator};
use core_types::{BitRate, MonoTime};
use netsim::{Network, PathModel, Steps};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const PACKET: usize = 1_200;

fn kbit(rate: u64) -> BitRate {
    BitRate::from_kbit(rate)
}

/// A sender with a window that grows by a packet each round trip and is halved by loss, each packet acknowledged.
struct Reno {
    window: f64,
    out: BTreeMap<u64, MonoTime>,
    next: u64,
    sample: QuicSample,
    recovery: u64,
    credit: f64,
}

/// Estimates each 100 ms of a connection that is asked for `rate`.
fn run(path: PathModel, rate: &Steps<BitRate>, until: u64) -> Vec<LinkEstimate> {
    let (a, b) = (SocketAddr::from(([10, 0, 0, 1], 1)), SocketAddr::from(([10, 0, 0, 2], 1)));
    let mut network = Network::new(7);
    let back = PathModel { delay: path.delay, ..PathModel::default() };
    network.set_path(a, b, path).unwrap();
    network.set_path(b, a, back).unwrap();
    let mut reno = Reno {
        window: 12_000.0,
        out: BTreeMap::new(),
        next: 0,
        sample: QuicSample::default(),
        recovery: 0,
        credit: 0.0,
    };
    let mut estimator = StatsEstimator::new();
    let mut estimates = Vec::new();
    for millis in 1..=until {
        let now = MonoTime::from_millis(millis);
        let deliveries: Vec<_> = network.deliver(now).collect();
        for delivery in deliveries {
            if delivery.to == b {
                network.send(now, b, a, delivery.bytes[..8].to_vec());
                continue;
            }
            let number = u64::from_be_bytes(delivery.bytes[..8].try_into().unwrap());
            let Some(sent) = reno.out.remove(&number) else { continue };
            let (rtt, smoothed) = (now.since(sent), reno.sample.rtt);
            reno.sample.rtt = if smoothed.is_zero() { rtt } else { (smoothed * 7 + rtt) / 8 };
            reno.window += (PACKET * PACKET) as f64 / reno.window;
            let lost: Vec<u64> = reno.out.keys().copied().take_while(|other| other + 3 < number).collect();
            for number in lost {
                reno.out.remove(&number);
                reno.sample.lost_packets += 1;
                if number >= reno.recovery {
                    reno.window = (reno.window / 2.0).max(2_400.0);
                    reno.recovery = reno.next;
                }
            }
        }
        // A frame each 36 ms; what does not fit the window is dropped.
        if millis.is_multiple_of(36) {
            reno.credit = rate.at(now).0 as f64 / 8.0 * 0.036;
        }
        while reno.credit >= PACKET as f64 && ((reno.out.len() + 1) * PACKET) as f64 <= reno.window {
            reno.credit -= PACKET as f64;
            let mut bytes = vec![0; PACKET];
            bytes[..8].copy_from_slice(&reno.next.to_be_bytes());
            network.send(now, a, b, bytes);
            reno.out.insert(reno.next, now);
            reno.next += 1;
            reno.sample.sent_packets += 1;
            reno.sample.sent_bytes += PACKET as u64;
        }
        reno.sample.window = reno.window as u64;
        if millis.is_multiple_of(50) {
            estimator.on_sample(now, &reno.sample);
        }
        if millis.is_multiple_of(100) {
            estimates.push(estimator.estimate(now));
        }
    }
    estimates
}

fn path(rate: u64, queue: usize) -> PathModel {
    let bandwidth = Steps::constant(kbit(rate));
    PathModel { delay: Duration::from_millis(25), bandwidth, queue, ..PathModel::default() }
}

#[test]
fn a_connection_with_little_to_send_is_limited_and_calm() {
    for estimate in &run(path(20_000, 100_000), &kbit(1_500).into(), 10_000)[20..] {
        assert!(estimate.app_limited && !estimate.congested, "{estimate:?}");
        assert!((1_300..2_000).contains(&(estimate.delivery_rate.0 / 1_000)), "{estimate:?}");
        assert_eq!(estimate.loss_permille, Some(0));
        assert!(
            estimate.min_rtt >= Duration::from_millis(50) && estimate.min_rtt < Duration::from_millis(56)
        );
    }
}

#[test]
fn an_overload_shows_as_congestion_and_its_rate_as_what_is_carried() {
    let estimates = run(path(1_000, 40_000), &kbit(2_500).into(), 20_000);
    let late = &estimates[50..];
    let congested = late.iter().filter(|estimate| estimate.congested).count();
    assert!(congested * 2 > late.len(), "{congested} of {}", late.len());
    for estimate in late {
        assert!((800..1_300).contains(&(estimate.delivery_rate.0 / 1_000)), "{estimate:?}");
    }
}

#[test]
fn less_is_sent_for_a_while_and_the_rate_stays_known() {
    let rate = Steps::constant(kbit(4_000)).then(MonoTime::from_millis(8_000), kbit(300));
    let estimates = run(path(20_000, 100_000), &rate, 14_000);
    let [before, after] = [75, 135].map(|at| estimates[at]);
    assert!(
        before.delivery_rate > kbit(3_000) && after.delivery_rate >= before.delivery_rate.min(kbit(3_000))
    );
    assert!(after.recent_rate < kbit(600), "{after:?}");
}

#[test]
fn a_step_down_is_seen() {
    let mut narrow = path(6_000, 60_000);
    narrow.bandwidth = narrow.bandwidth.then(MonoTime::from_millis(8_000), kbit(800));
    let estimates = run(narrow, &kbit(2_500).into(), 14_000);
    assert!(estimates[75].delivery_rate > kbit(2_000) && !estimates[75].congested);
    assert!(estimates[80..90].iter().any(|estimate| estimate.congested));
    assert!(
        estimates[110..].iter().all(|estimate| estimate.delivery_rate < kbit(1_100)),
        "{:?}",
        estimates[110]
    );
}

#[test]
fn counters_that_go_back_are_another_connection() {
    let mut estimator = StatsEstimator::new();
    let sample = |n: u64| QuicSample {
        rtt: Duration::from_millis(30),
        window: 100_000,
        sent_packets: n * 100,
        lost_packets: n * 10,
        sent_bytes: n * 100_000,
        bandwidth: None,
    };
    for n in 0..20 {
        estimator.on_sample(MonoTime::from_millis(n * 100), &sample(n));
    }
    let now = MonoTime::from_millis(2_000);
    let before = estimator.estimate(now);
    assert_eq!((before.loss_permille, before.reported_packets), (Some(100), 1_900));
    // 8 Mbit/s were sent, a tenth is lost.
    assert!((7_100..7_300).contains(&(before.delivery_rate.0 / 1_000)), "{before:?}");
    // Too soon after the last: passed over.
    estimator.on_sample(MonoTime::from_millis(1_999), &sample(40));
    assert_eq!(estimator.estimate(now), before);
    estimator.on_sample(now, &sample(0));
    assert_eq!(
        (estimator.estimate(now).delivery_rate, estimator.estimate(now).loss_permille),
        (BitRate(0), None)
    );
}
