//! What comes out of a path is what its model says.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use core_types::{BitRate, MonoTime};
use netsim::{Counters, Delivery, GilbertElliott, Limits, Network, PathModel, Reorder, Steps};
use std::net::SocketAddr;
use std::time::Duration;

const MS: u64 = 1_000;

fn node(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 1))
}

fn numbered(n: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn number(delivery: &Delivery) -> u32 {
    u32::from_be_bytes(delivery.bytes[..4].try_into().unwrap())
}

/// Sends `count` datagrams of `len` bytes, one each `gap` µs, and gives what came out.
fn run(seed: u64, model: PathModel, count: u32, len: usize, gap: u64) -> (Vec<Delivery>, Counters) {
    let (a, b) = (node(1), node(2));
    let mut network = Network::new(seed);
    network.set_path(a, b, model).unwrap();
    let mut out = Vec::new();
    for n in 0..count {
        let now = MonoTime(u64::from(n) * gap);
        out.extend(network.deliver(now));
        network.send(now, a, b, numbered(n, len));
    }
    while let Some(due) = network.next_delivery() {
        out.extend(network.deliver(due));
    }
    let counters = network.counters(a, b).unwrap();
    assert_eq!(counters.sent + counters.duplicated, counters.delivered + counters.lost());
    (out, counters)
}

#[test]
fn plain_loss_has_its_rate_and_no_memory() {
    let (out, counters) = run(1, PathModel { loss: 0.1, ..PathModel::default() }, 100_000, 4, 1);
    assert!((9_700..10_300).contains(&counters.lost_plain), "{counters:?}");
    let mean = mean_burst(&out, 100_000);
    assert!((1.08..1.15).contains(&mean), "{mean}: 1 / 0.9 without memory");
}

#[test]
fn bursts_have_their_rate_and_length() {
    for (seed, rate, burst) in [(1, 0.1, 5.0), (2, 0.05, 8.0), (3, 0.3, 2.5)] {
        let model = PathModel { bursts: Some(GilbertElliott::bursts(rate, burst)), ..PathModel::default() };
        let (out, counters) = run(seed, model, 400_000, 4, 1);
        let got = counters.lost_burst as f64 / 400_000.0;
        assert!((got / rate - 1.0).abs() < 0.1, "rate {got} of {rate}");
        let mean = mean_burst(&out, 400_000);
        assert!((mean / burst - 1.0).abs() < 0.1, "burst {mean} of {burst}");
    }
}

/// The mean length of the gaps between the numbers that came.
fn mean_burst(out: &[Delivery], count: u32) -> f64 {
    let (mut bursts, mut lost, mut next) = (0_u32, 0_u32, 0_u32);
    for n in out.iter().map(number).chain([count]) {
        bursts += u32::from(n > next);
        lost += n - next;
        next = n + 1;
    }
    f64::from(lost) / f64::from(bursts)
}

#[test]
fn a_bottleneck_carries_its_rate_over_each_step() {
    let bandwidth = Steps::constant(BitRate::from_kbit(8_000))
        .then(MonoTime::from_millis(1_000), BitRate::from_kbit(800))
        .then(MonoTime::from_millis(2_000), BitRate(0))
        .then(MonoTime::from_millis(3_000), BitRate::from_kbit(4_000));
    let model = PathModel { bandwidth, queue: 20_000, overhead: 28, ..PathModel::default() };
    // 972 bytes and 28 of headers each 0.5 ms: 16 Mbit/s.
    let (out, counters) = run(1, model, 8_000, 972, 500);
    let bytes = |from: u64, until: u64| {
        let span = MonoTime::from_millis(from)..MonoTime::from_millis(until);
        out.iter().filter(|delivery| span.contains(&delivery.at)).count() as u64 * 1_000
    };
    for (from, until, expected) in
        [(0, 1_000, 1_000_000), (1_000, 2_000, 100_000), (2_000, 3_000, 0), (3_000, 4_000, 500_000)]
    {
        assert!(bytes(from, until).abs_diff(expected) <= 2_000, "{from}: {}", bytes(from, until));
    }
    assert_eq!(counters.queue_peak, 20_000);
    assert!(counters.lost_queue > 6_000);
}

#[test]
fn a_queue_fills_and_empties_at_the_rate_of_the_bottleneck() {
    let (a, b) = (node(1), node(2));
    let mut network = Network::new(1);
    // 1,000 bytes take 10 ms.
    let bandwidth = BitRate::from_kbit(800).into();
    network.set_path(a, b, PathModel { bandwidth, queue: 5_000, ..PathModel::default() }).unwrap();
    for _ in 0..8 {
        network.send(MonoTime(0), a, b, vec![0; 1_000]);
    }
    assert_eq!(network.counters(a, b).unwrap().lost_queue, 3);
    let at = |ms: u64| MonoTime::from_millis(ms);
    assert_eq!(
        [0, 9, 10, 49, 50].map(|ms| network.queue_bytes(at(ms), a, b)),
        [5_000, 5_000, 4_000, 1_000, 0]
    );
    assert_eq!(network.queue_delay(at(20), a, b), Duration::from_millis(30));
    let arrivals: Vec<u64> = network.deliver(at(50)).map(|delivery| delivery.at.0 / MS).collect();
    assert_eq!(arrivals, [10, 20, 30, 40, 50]);
}

#[test]
fn a_datagram_on_its_way_when_the_bandwidth_changes_goes_on_at_the_new_one() {
    let ms = MonoTime::from_millis;
    // 8,000 bits: 4,000 in the first 5 ms, none in the next 10, the rest in 20 ms.
    let bandwidth = Steps::constant(BitRate::from_kbit(800))
        .then(ms(5), BitRate(0))
        .then(ms(15), BitRate::from_kbit(200));
    let (out, _) = run(1, PathModel { bandwidth, ..PathModel::default() }, 1, 1_000, 1);
    assert_eq!(out[0].at, ms(35));
    // What is held up for ever is lost.
    let bandwidth = Steps::constant(BitRate::from_kbit(800)).then(ms(5), BitRate(0));
    let (out, counters) = run(1, PathModel { bandwidth, ..PathModel::default() }, 3, 1_000, 20);
    assert_eq!((out.len(), counters.lost_queue), (0, 3));
}

#[test]
fn jitter_spreads_arrivals_and_keeps_the_order() {
    let delay = Duration::from_millis(20);
    let model = PathModel { delay, jitter: Duration::from_millis(10), ..PathModel::default() };
    let (out, _) = run(4, model, 2_000, 4, 3 * MS);
    assert!(out.iter().map(number).eq(0..2_000));
    let late = |delivery: &Delivery| delivery.at.0 - u64::from(number(delivery)) * 3 * MS;
    let (least, most) = (out.iter().map(late).min().unwrap(), out.iter().map(late).max().unwrap());
    assert!((20_000..20_500).contains(&least) && (29_500..=30_001).contains(&most), "{least} {most}");
}

#[test]
fn reordering_holds_back_its_share_and_nothing_else() {
    let reorder = Some(Reorder { rate: 0.05, by: Duration::from_millis(20) });
    let (out, counters) = run(5, PathModel { reorder, ..PathModel::default() }, 20_000, 4, MS);
    assert!((900..1_100).contains(&counters.reordered), "{counters:?}");
    let mut newest = 0;
    let mut overtaken = 0_u64;
    for n in out.iter().map(number) {
        overtaken += u64::from(n < newest);
        newest = newest.max(n);
    }
    // Those that are held back for less than the 1 ms to the next one are not overtaken.
    assert!(overtaken <= counters.reordered && overtaken * 10 > counters.reordered * 8, "{overtaken}");
}

#[test]
fn copies_and_damage_have_their_rates() {
    let model = PathModel { duplicate: 0.03, corrupt: 0.04, ..PathModel::default() };
    let (out, counters) = run(6, model, 20_000, 64, MS);
    assert!(
        (520..680).contains(&counters.duplicated) && (700..900).contains(&counters.corrupted),
        "{counters:?}"
    );
    assert_eq!(out.len() as u64, 20_000 + counters.duplicated);
    let damaged = |delivery: &&Delivery| delivery.bytes[4..].iter().any(|byte| *byte != 0);
    let turned = |delivery: &Delivery| delivery.bytes[4..].iter().map(|byte| byte.count_ones()).sum::<u32>();
    // A few have their four bits in the number, a few are copies.
    assert!(out.iter().filter(damaged).count() as u64 * 10 > counters.corrupted * 9);
    assert!(out.iter().map(turned).all(|bits| bits <= 4));
}

#[test]
fn mtu_and_blackouts_follow_the_clock() {
    let model = PathModel {
        mtu: Steps::constant(1_400).then(MonoTime(100), 1_200).then(MonoTime(200), 1_300),
        blackouts: vec![(MonoTime(250), MonoTime(300))],
        ..PathModel::default()
    };
    let (out, counters) = run(1, model, 400, 1_300, 1);
    assert!(out.iter().map(number).eq((0..100).chain(200..250).chain(300..400)));
    assert_eq!((counters.lost_mtu, counters.lost_blackout), (100, 50));
}

#[test]
fn after_a_rebinding_the_old_address_is_dead() {
    let (a, b, new) = (node(1), node(2), node(77));
    let mut network = Network::new(1);
    network.set_both(a, b, PathModel::default()).unwrap();
    network.rebind(a, MonoTime(100), new);
    let mut seen = Vec::new();
    for (now, from, to) in [(0, a, b), (0, b, a), (0, b, new), (100, a, b), (100, b, a), (100, b, new)] {
        network.send(MonoTime(now), from, to, [0]);
        seen.push(network.deliver(MonoTime(now)).map(|delivery| (delivery.from, delivery.to)).next());
    }
    assert_eq!(seen, [Some((a, b)), Some((b, a)), None, Some((new, b)), None, Some((b, a))]);
    assert_eq!(network.unroutable(), 2);
    assert_eq!(network.counters(b, a).unwrap().delivered, 2);
}

#[test]
fn what_is_in_flight_is_bounded() {
    let (a, b) = (node(1), node(2));
    for limits in [Limits { datagrams: 5, bytes: 1_000 }, Limits { datagrams: 100, bytes: 50 }] {
        let mut network = Network::with_limits(1, limits);
        network.set_path(a, b, PathModel::default()).unwrap();
        for _ in 0..8 {
            network.send(MonoTime(0), a, b, [0; 10]);
        }
        assert_eq!((network.in_flight(), network.counters(a, b).unwrap().lost_limit), (5, 3));
        assert_eq!(network.deliver(MonoTime(0)).count(), 5);
        network.send(MonoTime(0), a, b, [0; 10]);
        assert_eq!(network.in_flight(), 1);
    }
}
