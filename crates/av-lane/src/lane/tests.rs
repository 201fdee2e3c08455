//! What a peer that has the keys may try.
#![allow(clippy::unwrap_used, reason = "tests")]

mod stream;

use super::*;
use crate::control::{Control, Opened, ReportBody};
use crate::{Burst, Fault, MAX_CONTROL_LEN, PathSecret};
use av_wire::SealedChunk;
use fixture::{header, settle};
use std::net::SocketAddr;

#[path = "../../tests/common/fixture.rs"]
mod fixture;

const fn ms(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn end(role: LaneRole, peer: SocketAddr) -> Lane {
    let mut config = LaneConfig::new(PathSecret([role as u8; 32]));
    config.stream = true;
    end_with(&config, role, peer)
}

fn end_with(config: &LaneConfig, role: LaneRole, peer: SocketAddr) -> Lane {
    let keys = LaneKeys::from_exported(&std::array::from_fn(|at| at as u8));
    Lane::new(config, LaneId(5), role, keys, LaneSuite::Full, peer, ms(0)).unwrap()
}

/// Child at port 1, parent at port 2, both ready.
fn pair() -> (Lane, Lane) {
    let (mut child, mut parent) = (end(LaneRole::Child, address(2)), end(LaneRole::Parent, address(1)));
    settle(ms(0), &mut child, &mut parent, |_, _| {}).unwrap();
    assert_eq!((child.poll_event(), parent.poll_event()), (Some(Event::Ready), Some(Event::Ready)));
    (child, parent)
}

fn chunk(seq: u64, len: usize) -> Vec<u8> {
    let mut chunk = header(seq).to_bytes().unwrap().to_vec();
    chunk.resize(len, 9);
    chunk
}

fn seal(lane: &mut Lane, now: MonoTime, seqs: std::ops::Range<u64>, len: usize, burst: &mut Burst) -> Sealed {
    let chunks: Vec<_> = seqs.map(|seq| chunk(seq, len)).collect();
    lane.seal_burst(now, chunks.iter().map(|chunk| SealedChunk::parse(chunk).unwrap()), burst).unwrap()
}

/// What the parent says to a control packet of the child's making.
fn says(
    child: &mut Lane,
    parent: &mut Lane,
    from: SocketAddr,
    now: MonoTime,
    what: &Control,
) -> Result<(), Error> {
    let mut packet = [0; MAX_CONTROL_LEN];
    let len = child.control.seal(what, &mut packet).unwrap();
    parent.handle_datagram(now, from, &mut packet[..len]).map(|_| ())
}

#[test]
fn reports_that_can_not_be_true_are_the_peers_fault_and_change_nothing() {
    let (mut child, mut parent) = pair();
    let mut burst = Burst::new();
    let sealed = seal(&mut parent, ms(10), 0..10, 1_000, &mut burst);
    let good =
        ReportBody { largest: 9, packets: 8, long: 8, bytes: 8_000, arrival: 500, delay: 20, unbound: false };
    let lies = [
        ReportBody { largest: 10, ..good },
        ReportBody { packets: 11, ..good },
        ReportBody { packets: 0, long: 0, ..good },
        ReportBody { long: 9, ..good },
        ReportBody { bytes: sealed.bytes as u64 + 1, ..good },
        ReportBody { largest: 1 << 47, packets: 1 << 40, ..good },
    ];
    for lie in lies {
        let before = format!("{:?} {:?}", parent.rate, parent.watch);
        let error = says(&mut child, &mut parent, address(1), ms(50), &Control::Report(lie)).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "{lie:?}");
        assert_eq!(format!("{:?} {:?}", parent.rate, parent.watch), before, "{lie:?}");
    }
    says(&mut child, &mut parent, address(1), ms(50), &Control::Report(good)).unwrap();
    assert_eq!((parent.stats().arrived_datagrams, parent.stats().missing_datagrams), (8, 2));
    for back in [
        ReportBody { largest: 8, ..good },
        ReportBody { packets: 7, long: 7, ..good },
        ReportBody { long: 7, ..good },
        ReportBody { bytes: 7_999, ..good },
        ReportBody { arrival: 499, ..good },
    ] {
        let error = says(&mut child, &mut parent, address(1), ms(60), &Control::Report(back)).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "{back:?}");
    }
    assert_eq!(parent.stats().misbehaved, 11);
    assert_eq!(parent.stats().reports, 1);
}

#[test]
fn a_report_that_was_overtaken_changes_nothing() {
    let (mut child, mut parent) = pair();
    seal(&mut parent, ms(10), 0..10, 1_000, &mut Burst::new());
    let early =
        ReportBody { largest: 4, packets: 5, long: 5, bytes: 5_000, arrival: 10, delay: 0, unbound: false };
    let late = ReportBody { largest: 9, packets: 10, long: 10, bytes: 9_900, arrival: 20, ..early };
    let (mut first, mut second) = ([0; MAX_CONTROL_LEN], [0; MAX_CONTROL_LEN]);
    let len = child.control.seal(&Control::Report(early), &mut first).unwrap();
    child.control.seal(&Control::Report(late), &mut second).unwrap();
    parent.handle_datagram(ms(40), address(1), &mut second[..len]).unwrap();
    parent.handle_datagram(ms(41), address(1), &mut first[..len]).unwrap();
    assert_eq!((parent.stats().arrived_datagrams, parent.stats().reports), (10, 1));
}

#[test]
fn whole_headers_are_said_again_to_a_peer_that_asks_in_a_report() {
    let (mut child, mut parent) = pair();
    let mut burst = Burst::new();
    let whole = |burst: &Burst| {
        burst.runs().flat_map(|run| run.datagrams()).filter(|bytes| bytes[0] & 0x80 != 0).count()
    };
    seal(&mut parent, ms(10), 0..40, 200, &mut burst);
    seal(&mut parent, ms(10), 40..50, 200, &mut burst);
    assert_eq!(whole(&burst), 0);
    let report =
        ReportBody { largest: 9, packets: 10, long: 0, bytes: 2_000, arrival: 20, delay: 0, unbound: true };
    says(&mut child, &mut parent, address(1), ms(50), &Control::Report(report)).unwrap();
    for (seqs, wholes) in [(50..55, 3), (55..57, 0)] {
        seal(&mut parent, ms(60), seqs, 200, &mut burst);
        assert_eq!(whole(&burst), wholes);
    }
}

#[test]
fn only_the_address_that_was_asked_may_answer() {
    let (mut child, mut parent) = pair();
    let new = address(7);
    says(&mut child, &mut parent, new, ms(20), &Control::Ping { report_each: 0, unbound: false }).unwrap();
    let mut packet = [0; MAX_CONTROL_LEN];
    let (to, len) = parent.poll_transmit(ms(20), &mut packet).unwrap();
    assert_eq!((to, len), (new, 48));
    let (Opened::Said(Control::Challenge(token)), _) = child.control.open(&mut packet[..len]).unwrap() else {
        panic!("a challenge");
    };
    let moved = |parent: &Lane| parent.peer() == new;
    says(&mut child, &mut parent, address(8), ms(30), &Control::Response(token)).unwrap();
    assert!(!moved(&parent), "another address than the one that was asked");
    // That packet came from somewhere else again, which is asked now.
    says(&mut child, &mut parent, new, ms(30), &Control::Response(token)).unwrap();
    assert!(!moved(&parent), "an answer to a question that does not stand any more");
    let asked = loop {
        let (to, len) = parent.poll_transmit(ms(1_000), &mut packet).unwrap();
        if let (Opened::Said(Control::Challenge(token)), _) = child.control.open(&mut packet[..len]).unwrap()
        {
            break (to, token);
        }
    };
    says(&mut child, &mut parent, asked.0, ms(1_010), &Control::Response([0; 16])).unwrap();
    assert_eq!(parent.peer(), address(1), "a guess");
    // The right answer from the wrong place, overtaken, so that it raises no new question.
    let mut late = [0; MAX_CONTROL_LEN];
    let len = child.control.seal(&Control::Response(asked.1), &mut late).unwrap();
    says(&mut child, &mut parent, asked.0, ms(1_010), &Control::Response([0; 16])).unwrap();
    parent.handle_datagram(ms(1_010), address(9), &mut late[..len]).unwrap();
    assert_eq!(parent.peer(), address(1), "not from where it was asked");
    says(&mut child, &mut parent, asked.0, ms(1_010), &Control::Response(asked.1)).unwrap();
    assert_eq!(parent.peer(), asked.0);
    assert_eq!(parent.poll_event(), Some(Event::PathChanged { from: address(1), to: asked.0 }));
}

#[test]
fn an_older_packet_from_elsewhere_moves_nobody() {
    let (mut child, mut parent) = pair();
    let ping = Control::Ping { report_each: 0, unbound: false };
    let (mut older, mut newer) = ([0; MAX_CONTROL_LEN], [0; MAX_CONTROL_LEN]);
    let len = child.control.seal(&ping, &mut older).unwrap();
    child.control.seal(&ping, &mut newer).unwrap();
    parent.handle_datagram(ms(10), address(1), &mut newer[..len]).unwrap();
    parent.handle_datagram(ms(10), address(7), &mut older[..len]).unwrap();
    assert_eq!(parent.poll_transmit(ms(10), &mut newer), None);
    assert_eq!(parent.peer_may_be_at(), [None, None]);
}

#[test]
fn before_its_peer_has_a_proof_an_end_says_little() {
    let (mut child, mut parent) = (end(LaneRole::Child, address(2)), end(LaneRole::Parent, address(1)));
    // All that the child sends is lost but its answer, so that the parent is ready and the child is not.
    let mut packet = [0; MAX_CONTROL_LEN];
    let (_, len) = parent.poll_transmit(ms(0), &mut packet).unwrap();
    child.handle_datagram(ms(0), address(2), &mut packet[..len]).unwrap();
    while let Some((_, len)) = child.poll_transmit(ms(0), &mut packet) {
        if packet[1] == 4 {
            parent.handle_datagram(ms(0), address(1), &mut packet[..len]).unwrap();
        }
    }
    assert!(parent.is_ready() && !child.is_ready());
    let mut burst = Burst::new();
    seal(&mut parent, ms(1), 0..10, 1_000, &mut burst);
    for datagram in burst.runs().flat_map(|run| run.datagrams()) {
        child.handle_datagram(ms(2), address(2), &mut datagram.to_vec()).unwrap();
    }
    for at in 2..900 {
        child.handle_timeout(ms(at));
        while let Some((_, len)) = child.poll_transmit(ms(at), &mut packet) {
            assert_eq!((len, packet[1]), (48, 3), "challenges and nothing else");
        }
    }
}

#[test]
fn a_peer_that_changes_its_address_with_every_packet_is_asked_a_bounded_number_of_times() {
    let (mut child, mut parent) = pair();
    let mut challenges = 0;
    let mut packet = [0; MAX_CONTROL_LEN];
    for at in 0..1_000u16 {
        let now = ms(100 + u64::from(at));
        says(
            &mut child,
            &mut parent,
            address(1_000 + at),
            now,
            &Control::Ping { report_each: 0, unbound: false },
        )
        .unwrap();
        while let Some((to, len)) = parent.poll_transmit(now, &mut packet) {
            assert_eq!(len, 48);
            challenges += u32::from(to != address(1));
        }
    }
    // Four at once and four in the second, each asked three times at most.
    assert!(challenges <= 27, "{challenges}");
    assert_eq!(parent.peer(), address(1));
}

#[test]
fn challenges_from_everywhere_are_answered_with_no_more_than_came() {
    let (mut child, mut parent) = pair();
    for at in 0..100 {
        says(&mut child, &mut parent, address(1_000 + at), ms(100), &Control::Challenge([1; 16])).unwrap();
    }
    let mut packet = [0; MAX_CONTROL_LEN];
    let mut sent = 0;
    while parent.poll_transmit(ms(100), &mut packet).is_some() {
        sent += 1;
    }
    assert!(sent <= 2 + 4, "two wait, and challenges of its own: {sent}");
}

#[test]
fn wishes_beyond_the_fastest_and_unknown_kinds_are_harmless() {
    let (mut child, mut parent) = pair();
    says(&mut child, &mut parent, address(1), ms(10), &Control::Ping { report_each: 255, unbound: false })
        .unwrap();
    says(&mut child, &mut parent, address(1), ms(10), &Control::Ping { report_each: 1, unbound: false })
        .unwrap();
    let mut packet = [0; MAX_CONTROL_LEN];
    let len = child.control.seal(&Control::Close(9), &mut packet).unwrap();
    packet[1] = 8;
    let error = parent.handle_datagram(ms(10), address(1), &mut packet[..len]).map(|_| ()).unwrap_err();
    assert_eq!(error, Error::Noise { lane: LaneId(5), why: crate::Noise::Malformed });
    says(&mut child, &mut parent, address(1), ms(10), &Control::Close(9)).unwrap();
    assert_eq!(parent.poll_event(), Some(Event::Closed(CloseReason::Other(9))));
    assert_eq!(parent.poll_timeout(), None);
}

#[test]
fn a_lane_ends_after_its_last_number_and_says_why() {
    let (_, mut parent) = pair();
    let mut burst = Burst::new();
    let before = seal(&mut parent, ms(1), 0..3, 1_000, &mut burst);
    assert_eq!(before.datagrams, 3);
    parent.fail(Failure::Exhausted);
    assert_eq!(parent.poll_event(), Some(Event::Failed(Failure::Exhausted)));
    let chunks: [SealedChunk<'_>; 0] = [];
    assert_eq!(parent.seal_burst(ms(2), chunks, &mut burst), Err(Error::Over(LaneId(5))));
    assert!(burst.is_empty());
    let mut packet = [0; MAX_CONTROL_LEN];
    assert!(parent.poll_transmit(ms(2), &mut packet[..MAX_CONTROL_LEN - 1]).is_none(), "no room");
    assert!(parent.poll_transmit(ms(2), &mut packet).is_some(), "the peer is told");
    assert!(parent.poll_transmit(ms(2), &mut packet).is_none());
}

#[test]
fn a_lane_is_small() {
    assert!(size_of::<Lane>() <= 6 * 1_024, "{}", size_of::<Lane>());
}

#[test]
fn moves_that_nobody_takes_note_of_do_not_pile_up() {
    let (_, mut parent) = pair();
    for port in 0..1_000 {
        parent.tell(Event::PathChanged { from: address(port), to: address(port + 1) });
    }
    parent.end(None, Some(Event::Gone));
    let events: Vec<_> = std::iter::from_fn(|| parent.poll_event()).collect();
    assert_eq!(events.len(), MAX_EVENTS);
    assert_eq!(events.last(), Some(&Event::Gone));
}
