//! What a peer that has the keys may try with the stream.

use super::*;
use crate::control::{AckBody, MAX_LEN};
use crate::stream::{SEGMENT, WINDOW};

/// What the parent says to bytes of the child's stream.
fn sends(child: &mut Lane, parent: &mut Lane, offset: u64, bytes: &[u8]) -> Result<bool, Error> {
    let mut packet = [0; MAX_CONTROL_LEN];
    let write = |out: &mut [u8]| out.copy_from_slice(bytes);
    let len = child.control.seal_data(offset, bytes.len(), &mut packet, write).unwrap();
    let received = parent.handle_datagram(ms(10), address(1), &mut packet[..len]);
    received.map(|received| matches!(received, Received::Stream))
}

fn acknowledges(child: &mut Lane, parent: &mut Lane, ack: AckBody) -> Result<(), Error> {
    says(child, parent, address(1), ms(10), &Control::Acknowledge(ack))
}

/// All packets that an end has now, by kind.
fn packets(lane: &mut Lane, now: MonoTime) -> Vec<(u8, Vec<u8>)> {
    let (mut packet, mut all) = ([0; MAX_CONTROL_LEN], Vec::new());
    while let Some((_, len)) = lane.poll_transmit(now, &mut packet) {
        all.push((packet[1], packet[..len].to_vec()));
    }
    all
}

#[test]
fn bytes_beyond_the_window_and_other_bytes_in_the_same_place_are_the_peers_fault_and_change_nothing() {
    let (mut child, mut parent) = pair();
    assert!(sends(&mut child, &mut parent, 0, b"hello").unwrap());
    assert!(!sends(&mut child, &mut parent, 9, b"d").unwrap());
    let before = format!("{:?}", parent.stream);
    for (offset, bytes) in [
        (WINDOW as u64, &b"x"[..]),
        (u64::MAX, b"x"),
        (u64::MAX, b""),
        (WINDOW as u64 - 3, b"four"),
        (3, b"LO"),
        (6, b"worl?"),
    ] {
        let error = sends(&mut child, &mut parent, offset, bytes).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "{offset} {bytes:?}");
        assert_eq!(format!("{:?}", parent.stream), before);
    }
    assert_eq!(parent.stats().misbehaved, 6);
    let mut heard = [0; 9];
    assert_eq!((parent.read_stream(&mut heard), &heard[..5]), (5, &b"hello"[..]));
}

#[test]
fn acknowledgements_that_can_not_be_true_are_the_peers_fault_and_change_nothing() {
    let (mut child, mut parent) = pair();
    let none = [(0, 0); 3];
    assert_eq!(parent.write_stream(&[7; 5_000]), 5_000);
    let sent = packets(&mut parent, ms(10));
    assert_eq!(sent.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [6; 5]);
    assert_eq!(sent[0].1.len(), MAX_LEN);
    let window = WINDOW as u32;
    let good = AckBody { next: SEGMENT as u64, window, pieces: none };
    acknowledges(&mut child, &mut parent, good).unwrap();
    let before = format!("{:?}", parent.stream);
    for lie in [
        AckBody { next: 5_001, ..good },
        AckBody { next: u64::MAX, window: u32::MAX, pieces: [(u32::MAX, u32::MAX); 3] },
        AckBody { pieces: [(10, 5_000), (0, 0), (0, 0)], ..good },
        AckBody { next: SEGMENT as u64 - 1, window: window + 1, ..good },
        AckBody { window: window - 1, ..good },
    ] {
        let error = acknowledges(&mut child, &mut parent, lie).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "{lie:?}");
        assert_eq!(format!("{:?}", parent.stream), before, "{lie:?}");
    }
    assert_eq!(parent.stream_waiting(), 5_000 - SEGMENT);
    acknowledges(&mut child, &mut parent, AckBody { next: 5_000, ..good }).unwrap();
    assert_eq!(parent.stream_waiting(), 0);
}

#[test]
fn an_acknowledgement_that_was_overtaken_is_no_fault() {
    let (mut child, mut parent) = pair();
    parent.write_stream(&[7; 5_000]);
    packets(&mut parent, ms(10));
    let ack = |next| Control::Acknowledge(AckBody { next, window: WINDOW as u32, pieces: [(0, 0); 3] });
    let (mut first, mut second) = ([0; MAX_CONTROL_LEN], [0; MAX_CONTROL_LEN]);
    let len = child.control.seal(&ack(SEGMENT as u64), &mut first).unwrap();
    child.control.seal(&ack(5_000), &mut second).unwrap();
    parent.handle_datagram(ms(40), address(1), &mut second[..len]).unwrap();
    parent.handle_datagram(ms(41), address(1), &mut first[..len]).unwrap();
    assert_eq!((parent.stream_waiting(), parent.stats().misbehaved), (0, 0));
}

#[test]
fn a_lane_without_a_stream_takes_none() {
    let (mut child, _) = pair();
    let mut parent = end_with(&LaneConfig::new(PathSecret([9; 32])), LaneRole::Parent, address(1));
    assert_eq!((parent.stream_room(), parent.write_stream(b"x")), (0, 0));
    assert_eq!(sends(&mut child, &mut parent, 0, b"x").unwrap_err().fault(), Fault::Peer);
}

#[test]
fn nothing_of_the_stream_goes_out_before_the_peer_has_a_proof() {
    let mut parent = end(LaneRole::Parent, address(1));
    assert_eq!(parent.write_stream(&[7; 3_000]), 3_000);
    for at in 0..900 {
        parent.handle_timeout(ms(at));
        assert!(packets(&mut parent, ms(at)).iter().all(|(kind, _)| *kind == 3));
    }
    let mut child = end(LaneRole::Child, address(2));
    settle(ms(950), &mut child, &mut parent, |_, _| {}).unwrap();
    assert_eq!(child.stream_readable(), 3_000);
}

#[test]
fn lost_packets_are_sent_again_alone_and_soon() {
    let (mut child, mut parent) = pair();
    let message: Vec<u8> = (0..8 * SEGMENT).map(|at| (at / 7) as u8).collect();
    parent.write_stream(&message);
    let sent = packets(&mut parent, ms(0));
    assert_eq!(sent.len(), 8);
    for (at, (_, mut packet)) in sent.into_iter().enumerate() {
        if at != 1 && at != 7 {
            child.handle_datagram(ms(20), address(2), &mut packet).unwrap();
        }
    }
    settle(ms(20), &mut child, &mut parent, |_, _| {}).unwrap();
    assert_eq!(parent.stream_repeated(), SEGMENT as u64, "the second was overtaken by more than three");
    assert_eq!(child.stream_readable(), 7 * SEGMENT);
    // The last was overtaken by what was sent again, once 9/8 of a round trip are over.
    assert_eq!(parent.poll_timeout(), Some(MonoTime(22_500)));
    parent.handle_timeout(ms(23));
    settle(ms(23), &mut child, &mut parent, |_, _| {}).unwrap();
    assert_eq!((parent.stream_repeated(), parent.stream_waiting()), (2 * SEGMENT as u64, 0));
    // A packet that nothing comes after is missed when its time is over.
    parent.write_stream(b"!");
    assert_eq!(packets(&mut parent, ms(30)).len(), 1);
    let due = parent.poll_timeout().unwrap();
    assert!((ms(130)..=ms(150)).contains(&due), "{due:?}");
    parent.handle_timeout(due);
    settle(due, &mut child, &mut parent, |_, _| {}).unwrap();
    assert_eq!(parent.stream_waiting(), 0);
    let message = [message, b"!".to_vec()].concat();
    let mut heard = vec![0; message.len()];
    assert_eq!(child.read_stream(&mut heard), heard.len());
    assert_eq!(heard, message);
}

#[test]
fn a_peer_that_never_acknowledges_fails_the_lane_and_gets_few_packets() {
    let (mut child, mut parent) = pair();
    parent.write_stream(&[7; WINDOW]);
    let mut data = 0;
    for at in (0..12_000).step_by(5) {
        for lane in [&mut child, &mut parent] {
            lane.handle_timeout(ms(at));
        }
        for (kind, mut packet) in packets(&mut parent, ms(at)) {
            data += u32::from(kind == 6);
            if kind != 6 && !child.is_over() {
                child.handle_datagram(ms(at), address(2), &mut packet).unwrap();
            }
        }
        for (_, mut packet) in packets(&mut child, ms(at)) {
            if !parent.is_over() {
                parent.handle_datagram(ms(at), address(1), &mut packet).unwrap();
            }
        }
        if at < 7_990 {
            assert!(parent.is_ready(), "{at}");
        }
    }
    assert_eq!(parent.poll_event(), Some(Event::Failed(Failure::StreamStalled)));
    assert_eq!(child.poll_event(), Some(Event::Closed(CloseReason::Failed)));
    assert!((12..40).contains(&data), "ten at first, then two and ever less often: {data}");
}
