use super::super::socket::Buffers;
use super::*;
use crate::net::link::{LaneChange, LinkEvent};
use av_wire::ChunkHeader;
use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, StreamId};
use std::collections::VecDeque;
use std::time::Duration;

const LINK: LinkId = LinkId(5);
const ID: LaneId = LaneId(77);

fn keys() -> LaneKeys {
    LaneKeys::from_exported(&std::array::from_fn(|at| at as u8))
}

/// A node's sockets and lanes, and one end of a lane behind a socket of its own.
struct Stage {
    hub: Hub,
    socket: UdpSocket,
    peer: std::net::UdpSocket,
    events: VecDeque<LinkEvent>,
}

impl Stage {
    fn new() -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let peer = std::net::UdpSocket::bind(any).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self {
            hub: Hub::new(PathSecret([1; 32]), 2, LossConfig::NONE),
            socket: UdpSocket::polled(any).unwrap(),
            peer,
            events: VecDeque::new(),
        }
    }

    /// The node takes up a lane, and the other end of it begins.
    fn begin(&mut self, now: MonoTime, role: LaneRole) -> Lane {
        let peer = self.peer.local_addr().unwrap();
        let agreed = Agreed { id: ID, role, keys: keys(), suite: LaneSuite::Full, peer };
        self.hub.begin(now, LINK, agreed).unwrap();
        self.other_end(now, if role == LaneRole::Child { LaneRole::Parent } else { LaneRole::Child })
    }

    fn other_end(&self, now: MonoTime, role: LaneRole) -> Lane {
        let config = LaneConfig::new(PathSecret([3; 32]));
        let to = self.socket.local_addr().unwrap();
        Lane::new(&config, ID, role, keys(), LaneSuite::Full, to, now).unwrap()
    }

    fn handle_timeout(&mut self, now: MonoTime) {
        self.hub.handle_timeout(now, &self.socket, &mut self.events);
    }

    /// The other end hears one packet of the node's, and what it says then is heard.
    fn answer(&mut self, now: MonoTime, lane: &mut Lane) {
        let mut packet = [0; 2_048];
        let (len, from) = self.peer.recv_from(&mut packet).unwrap();
        lane.handle_datagram(now, from, &mut packet[..len]).unwrap();
        self.deliver(now, lane);
    }

    /// What the other end says is heard.
    fn deliver(&mut self, now: MonoTime, lane: &mut Lane) {
        let (mut packet, mut said) = ([0; MAX_CONTROL_LEN], 0);
        while let Some((to, len)) = lane.poll_transmit(now, &mut packet) {
            self.peer.send_to(&packet[..len], to).unwrap();
            said += 1;
        }
        let (mut buffers, started) = (Buffers::new(), std::time::Instant::now());
        while said > 0 {
            assert!(started.elapsed() < Duration::from_secs(5), "{said} datagrams did not arrive");
            let Some(count) = self.socket.receive(&mut buffers).unwrap() else { continue };
            said -= buffers.datagrams(count).count();
            self.hub.receive(now, buffers.datagrams(count), &self.socket, &mut self.events);
        }
    }

    /// What became of the lane since it was last asked.
    fn changes(&mut self) -> Vec<LaneChange> {
        let change = |event| match event {
            LinkEvent::Lane(LINK, change) => change,
            other => panic!("{other:?}"),
        };
        self.events.drain(..).map(change).collect()
    }

    /// Until the lane works.
    fn settle(&mut self, now: MonoTime, role: LaneRole) -> Lane {
        let mut lane = self.begin(now, role);
        self.handle_timeout(now);
        self.answer(now, &mut lane);
        // The answer to the other end's own challenge.
        self.answer(now, &mut lane);
        assert_eq!(self.changes(), [LaneChange::Up]);
        assert!(lane.is_ready());
        lane
    }
}

#[test]
fn a_lane_that_works_after_one_that_failed_is_not_offered_anew() {
    let (mut stage, start) = (Stage::new(), MonoTime::from_millis(1_000));
    stage.begin(start, LaneRole::Child);
    let failed = start.plus(Duration::from_secs(1));
    stage.handle_timeout(failed);
    assert_eq!(stage.changes(), [LaneChange::Ended("Failed(NoAnswer)".into())]);
    // What it was asked.
    while stage.peer.set_nonblocking(true).is_ok() && stage.peer.recv(&mut [0; 2_048]).is_ok() {}
    stage.peer.set_nonblocking(false).unwrap();
    let again = failed.plus(Duration::from_secs(5));
    stage.handle_timeout(again);
    assert_eq!(stage.changes(), [LaneChange::Due]);
    stage.settle(again, LaneRole::Child);
    let next = stage.hub.retries.poll_timeout();
    assert_eq!(next, None, "another offer would end the lane that works");
}

#[test]
fn a_lane_whose_peer_breaks_the_protocol_ends_for_the_link_too() {
    for role in [LaneRole::Parent, LaneRole::Child] {
        let (mut stage, start) = (Stage::new(), MonoTime::from_millis(1_000));
        let mut peer = stage.settle(start, role);
        // Somebody with the node's keys sends a chunk that the node knows nothing of, and the peer reports it.
        let mut twin = stage.other_end(start, role);
        let (mut now, mut packet) = (start, [0; MAX_CONTROL_LEN]);
        let node = stage.socket.local_addr().unwrap();
        while !twin.is_ready() {
            now = now.plus(Duration::from_millis(50));
            twin.handle_timeout(now);
            while let Some((_, len)) = twin.poll_transmit(now, &mut packet) {
                // Those with numbers that the node has used are of no use.
                let _ = peer.handle_datagram(now, node, &mut packet[..len]);
            }
            while let Some((_, len)) = peer.poll_transmit(now, &mut packet) {
                let _ = twin.handle_datagram(now, node, &mut packet[..len]);
            }
            assert!(now < start.plus(Duration::from_secs(1)), "{twin:?}");
        }
        let header = ChunkHeader {
            stream_id: StreamId([7; 32]),
            epoch: Epoch(3),
            chunk_seq: ChunkSeq(1),
            codec: CodecId::Av1,
            layer: Layer::BASE,
            marks: Marks::NONE,
        };
        let mut chunk = header.to_bytes().unwrap().to_vec();
        chunk.resize(1_000, 9);
        let mut burst = Burst::new();
        twin.seal_burst(now, [SealedChunk::parse(&chunk).unwrap()], &mut burst).unwrap();
        for run in burst.runs() {
            run.datagrams().for_each(|datagram| {
                peer.handle_datagram(now, node, &mut datagram.to_vec()).unwrap();
            });
        }
        now = now.plus(Duration::from_millis(100));
        stage.deliver(now, &mut peer);
        assert_eq!(stage.changes(), [LaneChange::Ended("the peer broke the protocol".into())]);
        assert_eq!(stage.hub.key(LINK), None, "its place is free");
        let again = stage.hub.retries.poll_timeout();
        let expected = (role == LaneRole::Child).then(|| now.plus(Duration::from_secs(5)));
        assert_eq!(again, expected, "who asks for lanes asks again");
    }
}

#[test]
fn a_lanes_number_is_used_once_on_a_link() {
    let mut hub = Hub::new(PathSecret([1; 32]), 2, LossConfig::NONE);
    let first = hub.next_number(LINK, u64::MAX);
    let numbers: Vec<LaneId> = (0..4).map(|_| hub.next_number(LINK, 0)).collect();
    assert!(first < numbers[0] && numbers.is_sorted_by(|a, b| a < b), "{first} {numbers:?}");
    assert_ne!(hub.next_number(LinkId(6), 7), hub.next_number(LinkId(7), 9), "drawn for each link");

    let mut hub = Hub::new(PathSecret([1; 32]), 2, LossConfig::NONE);
    hub.take_number(LINK, LaneId(9)).unwrap();
    for former in [9, 8, 0] {
        assert!(hub.take_number(LINK, LaneId(former)).is_err(), "{former}");
    }
    hub.take_number(LINK, LaneId(10)).unwrap();
    hub.take_number(LinkId(6), LaneId(9)).unwrap();
}
