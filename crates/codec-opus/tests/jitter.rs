//! The jitter buffer against a simulated network: what is in time is played once, in order, when due.

#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_opus::{Arrival, Error, JitterBuffer, JitterConfig, PacketInfo, Playout, PlayoutKind};
use core::time::Duration;
use core_types::{MediaTime, MonoTime, ObjectSeq};
use proptest::prelude::*;

const FRAME: u64 = 20_000;

/// A packet on its way: number, media time, arrival.
#[derive(Debug, Clone, Copy)]
struct Sent {
    seq: u64,
    pts: u64,
    arrives: u64,
}

fn payload(seq: u64) -> Vec<u8> {
    seq.to_be_bytes().to_vec()
}

fn buffer() -> JitterBuffer {
    JitterBuffer::new(JitterConfig::default()).unwrap()
}

/// Runs arrivals and due times in order of time; what was played, and when.
fn play(buffer: &mut JitterBuffer, sent: &[Sent], until: u64) -> Vec<(u64, Playout)> {
    let mut sent = sent.to_vec();
    sent.sort_by_key(|packet| packet.arrives);
    let mut sent = sent.into_iter().peekable();
    let mut out = Vec::new();
    loop {
        let arrival = sent.peek().map(|packet| packet.arrives);
        let due = buffer.next_due().map(|due| due.0);
        let now = [arrival, due].into_iter().flatten().min();
        let Some(now) = now.filter(|now| *now <= until) else {
            return out;
        };
        while let Some(packet) = sent.next_if(|packet| packet.arrives <= now) {
            let at = MonoTime(packet.arrives);
            buffer.push(at, ObjectSeq(packet.seq), MediaTime(packet.pts), payload(packet.seq)).unwrap();
        }
        while let Some(playout) = buffer.pop(MonoTime(now)) {
            out.push((now, playout));
        }
    }
}

/// `count` packets of a stream that starts at media time `origin`, each `delays` long on its way; `None` is lost.
fn stream(origin: u64, delays: &[Option<u64>]) -> Vec<Sent> {
    let sent = delays.iter().enumerate().filter_map(|(n, delay)| {
        let at = n as u64 * FRAME;
        delay.map(|delay| Sent { seq: n as u64, pts: origin + at, arrives: 5_000_000 + at + delay })
    });
    sent.collect()
}

fn packets(out: &[(u64, Playout)]) -> Vec<u64> {
    let seqs = out.iter().filter_map(|(_, playout)| match &playout.kind {
        PlayoutKind::Packet { seq, packet } => {
            assert_eq!(packet, &payload(seq.0));
            Some(seq.0)
        }
        _ => None,
    });
    seqs.collect()
}

proptest! {
    /// Nothing lost, nobody later than the delay: everything comes out evenly spaced, 60 ms after the first arrival.
    #[test]
    fn jitter_within_the_delay_is_removed_entirely(
        origin in 0u64..1 << 40,
        delays in prop::collection::vec((0u64..=60_000).prop_map(Some), 1..80),
    ) {
        let sent = stream(origin, &delays);
        let mut buffer = buffer();
        let last = sent.last().unwrap().pts;
        let first_arrival = sent.iter().min_by_key(|packet| packet.arrives).unwrap();
        let base = first_arrival.arrives + 60_000;
        let out = play(&mut buffer, &sent, base + (last - first_arrival.pts));
        prop_assert_eq!(packets(&out), (0..sent.len() as u64).collect::<Vec<_>>());
        for (at, playout) in &out {
            prop_assert_eq!(*at + first_arrival.pts, base + playout.pts.0);
        }
        prop_assert_eq!((buffer.stats().late, buffer.stats().missing, buffer.stats().recovered), (0, 0, 0));
    }

    /// Any loss and delay below the gap limit: slots follow one another without a hole, in-time packets are played,
    /// each once, at or after they are due, and a lost one is recovered exactly when its successor is at hand.
    #[test]
    fn loss_and_lateness_cost_only_the_packets_concerned(
        delays in prop::collection::vec(prop_oneof![4 => (0u64..200_000).prop_map(Some), 1 => Just(None)], 2..80),
    ) {
        let delays: Vec<_> = [Some(0)].into_iter().chain(delays).collect();
        prop_assume!(delays.split(Option::is_some).all(|lost| lost.len() < 35));
        let sent = stream(0, &delays);
        let mut buffer = buffer();
        let out = play(&mut buffer, &sent, 5_000_000 + sent.last().unwrap().pts + 460_000);
        let arrival = |seq: u64| sent.iter().find(|packet| packet.seq == seq).map(|packet| packet.arrives);
        let base = 5_000_000 + 60_000;
        for (n, (at, playout)) in out.iter().enumerate() {
            let slot = n as u64;
            prop_assert_eq!(playout.pts.0, slot * FRAME);
            prop_assert!(*at >= base + playout.pts.0);
            prop_assert!(*at <= base + playout.pts.0 + 340_000, "the delay is bounded");
            match &playout.kind {
                PlayoutKind::Packet { seq, .. } => prop_assert_eq!(seq.0, slot),
                PlayoutKind::Recover { next } => {
                    prop_assert_eq!(next, &payload(slot + 1));
                    prop_assert!(arrival(slot).is_none_or(|arrival| arrival > *at));
                    prop_assert!(arrival(slot + 1).unwrap() <= *at);
                }
                PlayoutKind::Missing => {
                    prop_assert!(arrival(slot).is_none_or(|arrival| arrival > *at));
                    prop_assert!(arrival(slot + 1).is_none_or(|arrival| arrival > *at));
                }
            }
        }
        let played = packets(&out);
        for packet in &sent {
            if packet.arrives <= base + packet.pts {
                prop_assert!(played.contains(&packet.seq), "in time and not played: {:?}", packet);
            }
        }
        prop_assert_eq!(buffer.stats().late as usize + played.len() + buffer.len(), sent.len());
    }

    /// Whatever a peer makes of numbers and times, the buffer stays bounded and playing comes to an end.
    #[test]
    fn garbage_neither_panics_nor_plays_for_ever(
        pushes in prop::collection::vec(
            (0u64..100_000, prop_oneof![0u64..20, any::<u64>()], prop_oneof![0u64..2_000_000, any::<u64>()]), 1..200,
        ),
    ) {
        let mut buffer = buffer();
        let mut now = 0;
        let mut popped = 0;
        for (wait, seq, pts) in &pushes {
            now += wait;
            buffer.push(MonoTime(now), ObjectSeq(*seq), MediaTime(*pts), vec![]).unwrap();
            prop_assert!(buffer.len() <= JitterConfig::default().max_packets);
            while buffer.pop(MonoTime(now)).is_some() {
                popped += 1;
            }
            prop_assert!(buffer.next_due().is_none_or(|due| due.0 > now));
        }
        while buffer.pop(MonoTime(u64::MAX)).is_some() {
            popped += 1;
        }
        prop_assert!(buffer.is_empty() && buffer.next_due().is_none());
        // A packet, up to a second of slots before it, and a second after the last.
        prop_assert!(popped <= pushes.len() * 52 + 50);
    }
}

#[test]
fn a_late_packet_moves_playing_back_by_one_frame_at_most() {
    // The second half of the stream takes 150 ms longer than the first.
    let delays: Vec<_> = (0..100).map(|n| Some(if n < 50 { 0 } else { 150_000 })).collect();
    let sent = stream(0, &delays);
    let mut buffer = buffer();
    let out = play(&mut buffer, &sent, 5_000_000 + 100 * FRAME + 150_000);
    // 90 ms beyond the delay: four frames of 20 ms and one of 10, each at the price of a packet.
    assert_eq!(buffer.stats().late, 5);
    assert_eq!(buffer.delay(), Duration::from_millis(150));
    assert_eq!(packets(&out), (0..50).chain(55..100).collect::<Vec<_>>());
}

#[test]
fn the_delay_stops_growing_at_its_maximum() {
    let config = JitterConfig { max_delay: Duration::from_millis(100), ..JitterConfig::default() };
    let mut buffer = JitterBuffer::new(config).unwrap();
    let delays: Vec<_> = (0..200).map(|n| Some(if n % 10 < 5 { 0 } else { 190_000 })).collect();
    play(&mut buffer, &stream(0, &delays), 9_000_000);
    assert_eq!(buffer.delay(), Duration::from_millis(100));
    assert!(buffer.stats().late > 50);
}

#[test]
fn a_stray_packet_from_long_ago_does_not_change_the_delay() {
    let mut sent = stream(0, &[Some(0); 120]);
    sent[10].arrives += 1_500_000;
    let mut buffer = buffer();
    play(&mut buffer, &sent, 5_000_000 + 120 * FRAME);
    assert_eq!((buffer.stats().late, buffer.delay()), (1, JitterConfig::default().delay));
}

/// Four in six lost, again and again: more than a second of concealment in all, and never a second at a stretch.
#[test]
fn scattered_losses_do_not_stop_playing() {
    let delays: Vec<_> = (0..300).map(|n| (n % 6 < 2).then_some(0)).collect();
    let mut buffer = buffer();
    let out = play(&mut buffer, &stream(0, &delays), 5_060_000 + 295 * FRAME);
    assert!(buffer.stats().missing > 100);
    assert_eq!((out.len(), buffer.stats().resyncs, buffer.stats().late), (296, 0, 0));
}

/// Two packets within half a frame claim one slot; the second must not be played out of turn.
#[test]
fn a_second_packet_for_a_slot_counts_as_late() {
    let sent = [(0, 0), (1, 5_000), (2, FRAME)].map(|(seq, pts)| Sent { seq, pts, arrives: 1_000_000 });
    let mut buffer = buffer();
    let out = play(&mut buffer, &sent, 1_060_000 + FRAME);
    assert_eq!(packets(&out), [0, 2]);
    assert_eq!((buffer.stats().late, buffer.len()), (1, 0));
}

#[test]
fn duplicates_are_told_from_late_packets() {
    let mut buffer = buffer();
    let push = |buffer: &mut JitterBuffer, at: u64, seq: u64| {
        buffer.push(MonoTime::from_millis(at), ObjectSeq(seq), MediaTime(seq * FRAME), payload(seq)).unwrap()
    };
    assert_eq!(push(&mut buffer, 0, 0), Arrival::Queued);
    assert_eq!(push(&mut buffer, 1, 0), Arrival::Duplicate);
    assert_eq!(push(&mut buffer, 40, 2), Arrival::Queued);
    let mut out = Vec::new();
    while let Some(due) = buffer.next_due().filter(|due| due.0 <= 100_000) {
        out.push((due.0, buffer.pop(due).unwrap()));
    }
    assert_eq!(packets(&out), [0, 2]);
    assert_eq!(out[1].1.kind, PlayoutKind::Recover { next: payload(2) });
    assert_eq!(push(&mut buffer, 101, 2), Arrival::Duplicate);
    assert_eq!(push(&mut buffer, 102, 1), Arrival::Late);
    let stats = buffer.stats();
    assert_eq!((stats.duplicates, stats.late, stats.played, stats.recovered, stats.missing), (2, 1, 2, 1, 0));
}

#[test]
fn a_packet_from_before_the_first_arrival_is_still_played_first() {
    let mut buffer = buffer();
    for (at, seq) in [(0, 12), (10, 10), (20, 11)] {
        let pts = MediaTime(seq * FRAME);
        let arrival = buffer.push(MonoTime::from_millis(at), ObjectSeq(seq), pts, payload(seq)).unwrap();
        assert_eq!(arrival, Arrival::Queued);
    }
    // What was due before the first arrival is too old to open the stream.
    let arrival =
        buffer.push(MonoTime::from_millis(30), ObjectSeq(5), MediaTime(5 * FRAME), payload(5)).unwrap();
    assert_eq!(arrival, Arrival::Late);
    let out = play(&mut buffer, &[], 60_000);
    assert_eq!(packets(&out), [10, 11, 12]);
    assert_eq!(out.last().unwrap().0, 60_000);
}

/// The sender is silent for longer than the gap limit, then goes on with the next number.
#[test]
fn a_long_pause_ends_in_silence_and_a_fresh_start() {
    let mut sent = stream(0, &[Some(0); 10]);
    let pause = 10_000_000;
    sent.extend(stream(0, &[Some(0); 20]).into_iter().skip(10).map(|packet| Sent {
        pts: packet.pts + pause,
        arrives: packet.arrives + pause + 35_000,
        ..packet
    }));
    let mut buffer = buffer();
    let out = play(&mut buffer, &sent, 30_000_000);
    assert_eq!(packets(&out), (0..20).collect::<Vec<_>>());
    // One second of concealment after each end, and nothing in between.
    assert_eq!((out.len(), buffer.stats().missing, buffer.stats().resyncs), (20 + 2 * 50, 100, 2));
    let resumed = out.iter().find(|(_, playout)| playout.pts.0 == 10 * FRAME + pause).unwrap();
    assert_eq!(resumed.0, sent[10].arrives + 60_000);
}

/// A short pause with the next packet at hand is no loss either.
#[test]
fn a_pause_in_media_time_without_one_in_numbers_is_not_concealed() {
    let sent: Vec<_> = (0..10)
        .map(|seq| Sent {
            seq,
            pts: seq * FRAME + if seq < 5 { 0 } else { 100_000 },
            arrives: 1_000_000 + seq * 5_000,
        })
        .collect();
    let mut buffer = buffer();
    let out = play(&mut buffer, &sent, 1_060_000 + 9 * FRAME + 100_000);
    assert_eq!(packets(&out), (0..10).collect::<Vec<_>>());
    assert_eq!(buffer.stats().missing + buffer.stats().recovered, 0);
    assert_eq!(out.last().unwrap().0, 1_060_000 + 9 * FRAME + 100_000);
}

/// Media time jumps by an hour, with packets of both sides waiting, and with none.
#[test]
fn a_jump_in_media_time_is_played_on_without_a_wait() {
    for spacing in [5_000, FRAME, 3 * FRAME] {
        for lost in [0, 1] {
            let sent: Vec<_> = (0..20)
                .map(|seq| Sent {
                    seq: seq + if seq < 10 { 0 } else { lost },
                    pts: seq * FRAME + if seq < 10 { 0 } else { 3_600_000_000 },
                    arrives: 1_000_000 + seq * spacing,
                })
                .collect();
            let mut buffer = buffer();
            let out = play(&mut buffer, &sent, 1_000_000 + 20 * spacing + 20 * FRAME);
            let expected: Vec<_> = sent.iter().map(|packet| packet.seq).collect();
            assert!(buffer.stats().resyncs >= 1);
            if spacing <= FRAME {
                let until_the_end = &out[..expected.len()];
                assert_eq!(packets(until_the_end), expected, "spacing {spacing}, lost {lost}");
            } else {
                assert!(packets(&out).iter().filter(|seq| **seq >= 10).count() >= 3);
            }
        }
    }
}

/// After a stall everything comes at once: what is played afterwards is recent.
#[test]
fn a_burst_after_a_stall_is_cut_down_to_the_newest() {
    let delays: Vec<_> = (0..300).map(|n| Some(if n < 200 { 4_000_000 - n * FRAME } else { 0 })).collect();
    let sent = stream(0, &delays);
    let mut buffer = buffer();
    let out = play(&mut buffer, &sent, 5_000_000 + 300 * FRAME + 1_000_000);
    let config = JitterConfig::default();
    let (at, playout) = out.iter().find(|(_, playout)| playout.pts.0 == 250 * FRAME).unwrap();
    assert!(matches!(playout.kind, PlayoutKind::Packet { .. }));
    let delay = at - (5_000_000 + 250 * FRAME);
    assert!(delay <= config.max_packets as u64 * FRAME + 60_000, "{delay} us from sending to playing");
    assert_eq!(buffer.stats().skipped + buffer.stats().played, 300);
    assert_eq!(packets(&out), (300 - buffer.stats().played..300).collect::<Vec<_>>());
}

#[test]
fn limits_are_checked() {
    let default = JitterConfig::default();
    let refused = [
        JitterConfig { max_packets: 23, ..default },
        JitterConfig { max_packets: 1_025, ..default },
        JitterConfig { delay: Duration::from_millis(401), ..default },
        JitterConfig { max_delay: Duration::MAX, ..default },
    ];
    for config in refused {
        assert!(!JitterBuffer::new(config).unwrap_err().is_peer_fault(), "{config:?}");
    }
    assert!(JitterBuffer::new(JitterConfig { max_packets: 24, ..default }).is_ok());
    let error = buffer()
        .push(MonoTime(0), ObjectSeq(0), MediaTime(0), vec![0; PacketInfo::MAX_PACKET_LEN + 1])
        .unwrap_err();
    assert!(matches!(error, Error::PacketLength { .. }) && error.is_peer_fault());
}
