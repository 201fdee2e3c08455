//! Reports that lie, and any order of calls.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_congestion::{Bbr, BbrConfig, Error, Report};
use core_types::{BitRate, MonoTime};
use proptest::prelude::*;
use std::time::Duration;

fn ms(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

fn report(largest: u64, packets: u64) -> Report {
    Report {
        largest,
        received_packets: packets,
        received_bytes: packets * 1_000,
        ack_delay: Duration::ZERO,
        arrival: 1_000_000 + largest,
    }
}

#[test]
fn what_can_not_be_is_the_peers_fault_and_changes_nothing() {
    let mut bbr = Bbr::new(BbrConfig::default(), ms(0)).unwrap();
    assert_eq!(bbr.on_report(ms(1), &report(0, 1)), Err(Error::NeverSent { largest: 0, sent: None }));
    bbr.on_sent(ms(0), 10, 5, 5_000, true).unwrap();
    bbr.on_sent(ms(30), 15, 5, 5_000, true).unwrap();
    bbr.on_report(ms(60), &report(14, 4)).unwrap();
    let before = bbr.estimate(ms(60));
    let last = report(14, 4);
    for lie in [
        report(20, 5),
        report(19, 11),
        Report { received_bytes: 10_001, ..report(19, 9) },
        report(19, 3),
        Report { received_bytes: 3_999, ..report(19, 9) },
        Report { arrival: last.arrival - 1, ..report(19, 9) },
    ] {
        let error = bbr.on_report(ms(60), &lie).unwrap_err();
        assert!(error.is_peer_fault(), "{error}");
        assert_eq!(bbr.estimate(ms(60)), before);
    }
    // Old and repeated ones are no lies.
    for old in [report(14, 4), report(12, 3), report(0, 0)] {
        assert!(!bbr.on_report(ms(60), &old).unwrap().is_new);
        assert_eq!(bbr.estimate(ms(60)), before);
    }
    // The fifth came late.
    let outcome = bbr.on_report(ms(70), &report(14, 5)).unwrap();
    assert!(outcome.is_new && outcome.delivered_bytes == 1_000 && outcome.rtt.is_none());
    assert_eq!(bbr.estimate(ms(70)).lost_packets, 0);
    // What the report waited is not the path's.
    let waited = Report { ack_delay: Duration::from_millis(7), ..report(19, 8) };
    let outcome = bbr.on_report(ms(80), &waited).unwrap();
    assert_eq!((outcome.lost_packets, outcome.rtt), (2, Some(Duration::from_millis(43))));
}

#[test]
fn configurations_that_can_not_work_are_refused() {
    let good = BbrConfig::default();
    for bad in [
        BbrConfig { datagram: 0, ..good },
        BbrConfig { initial_window: 5_599, ..good },
        BbrConfig { report_interval: Duration::ZERO, ..good },
        BbrConfig { min_rate: BitRate(999), ..good },
        BbrConfig { min_rate: BitRate(2_000), max_rate: BitRate(1_999), ..good },
    ] {
        let error = Bbr::new(bad, ms(0)).unwrap_err();
        assert!(!error.is_peer_fault(), "{error}");
    }
    let mut bbr = Bbr::new(good, ms(0)).unwrap();
    bbr.on_sent(ms(0), 7, 2, 10, true).unwrap();
    assert_eq!(bbr.on_sent(ms(1), 8, 1, 10, true), Err(Error::NotAscending { first: 8, last: 8 }));
}

#[derive(Debug, Clone)]
enum Call {
    Send {
        gap: u64,
        packets: u32,
        bytes: usize,
        limited: bool,
    },
    /// An honest report of this part of what is out, with this part lost.
    Report {
        gap: u64,
        through: prop::sample::Index,
        lost: u8,
        delay: u64,
    },
    Lie {
        report: [u64; 5],
    },
    Wait {
        gap: u64,
    },
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (0_u64..50_000, 1_u32..40, 1_usize..1_400, any::<bool>())
            .prop_map(|(gap, packets, bytes, limited)| Call::Send { gap, packets, bytes: bytes * packets as usize, limited }),
        4 => (0_u64..120_000, any::<prop::sample::Index>(), 0_u8..4, 0_u64..100_000)
            .prop_map(|(gap, through, lost, delay)| Call::Report { gap, through, lost, delay }),
        1 => any::<[u64; 5]>().prop_map(|report| Call::Lie { report }),
        1 => (0_u64..5_000_000).prop_map(|gap| Call::Wait { gap }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_calls_keep_it_bounded_and_alive(calls in prop::collection::vec(call(), 1..300), seed: u64) {
        let config = BbrConfig { seed, ..BbrConfig::default() };
        let mut bbr = Bbr::new(config, ms(0)).unwrap();
        let (mut now, mut next) = (ms(0), 0_u64);
        let (mut largest, mut packets, mut bytes) = (None::<u64>, 0_u64, 0_u64);
        let mut sizes: Vec<u64> = Vec::new();
        for call in calls {
            match call {
                Call::Send { gap, packets, bytes, limited } => {
                    now = MonoTime(now.0 + gap);
                    // Only what may be sent.
                    let budget = bbr.budget(now);
                    if bytes <= budget {
                        bbr.on_sent(now, next, packets, bytes, limited).unwrap();
                        next += u64::from(packets);
                        sizes.extend((0..packets).map(|_| bytes as u64 / u64::from(packets)));
                    } else {
                        match bbr.next_send_at(now, bytes) {
                            Some(then) => prop_assert!(bbr.budget(then.plus(Duration::from_micros(1))) + 1
                                >= bytes.min(bbr.budget(then.plus(Duration::from_secs(9))))),
                            None => prop_assert!(bbr.estimate(now).in_flight > 0),
                        }
                    }
                }
                Call::Report { gap, through, lost, delay } => {
                    now = MonoTime(now.0 + gap);
                    let first = largest.map_or(0, |largest| largest + 1);
                    if next > first {
                        let upto = first + through.index((next - first) as usize) as u64;
                        for number in first..=upto {
                            if number == upto || number % 4 >= u64::from(lost) {
                                packets += 1;
                                bytes += sizes[number as usize];
                            }
                        }
                        largest = Some(upto);
                        let report = Report {
                            largest: upto,
                            received_packets: packets,
                            received_bytes: bytes,
                            ack_delay: Duration::from_micros(delay),
                            arrival: now.0,
                        };
                        prop_assert!(bbr.on_report(now, &report).unwrap().is_new);
                        let estimate = bbr.estimate(now);
                        prop_assert_eq!(estimate.lost_packets, estimate.reported_packets - packets);
                    }
                }
                Call::Lie { report: [largest, received_packets, received_bytes, delay, arrival] } => {
                    let ack_delay = Duration::from_micros(delay);
                    let lie = Report { largest, received_packets, received_bytes, ack_delay, arrival };
                    let result = bbr.on_report(now, &lie);
                    prop_assert!(result.is_ok_and(|outcome| !outcome.is_new) || largest >= next || packets > 0 || next > 0);
                }
                Call::Wait { gap } => {
                    now = MonoTime(now.0 + gap);
                    if bbr.poll_timeout().is_some_and(|due| due <= now) {
                        bbr.handle_timeout(now);
                        prop_assert!(bbr.poll_timeout().is_none_or(|due| due > now));
                    }
                }
            }
            let estimate = bbr.estimate(now);
            prop_assert!(bbr.budget(now) <= estimate.window.saturating_sub(estimate.in_flight));
            prop_assert!(estimate.pacing_rate >= config.min_rate && estimate.pacing_rate <= config.max_rate);
            prop_assert_eq!(estimate.in_flight > 0, bbr.poll_timeout().is_some());
        }
        // However it ended: who waits and gives up what is due may send a datagram again.
        for _ in 0..20 {
            if let Some(due) = bbr.poll_timeout() {
                now = now.max(due);
                bbr.handle_timeout(now);
            }
        }
        now = now.plus(Duration::from_secs(5));
        prop_assert!(bbr.budget(now) >= config.datagram, "{:?}", bbr.estimate(now));
    }
}
