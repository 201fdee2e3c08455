//! Bytes from anybody to a socket with lanes, and control packets of a peer that has the keys and means harm.
#![no_main]

use av_lane::{
    Burst, Fault, Lane, LaneConfig, LaneId, LaneKeys, LaneRole, LaneSuite, LaneTable, MAX_CONTROL_LEN,
    PathSecret, Received, Route,
};
use av_wire::{Aead, AwsLc, ChunkHeader, SealedChunk};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, MonoTime, StreamId};
use hkdf::Hkdf;
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use std::net::SocketAddr;

const SECRET: [u8; 88] = [9; 88];
/// What waits of a stream at either end at most (spec 37 section 10).
const WINDOW: usize = 128 * 1024;
const ID: LaneId = LaneId(0x0102_0304_0506_0708);

fn address(port: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1_000 + u16::from(port)))
}

fn end(role: LaneRole, peer: SocketAddr) -> Lane {
    let mut config = LaneConfig::new(PathSecret([role as u8; 32]));
    config.stream = true;
    let keys = LaneKeys::from_exported(&SECRET);
    Lane::new(&config, ID, role, keys, LaneSuite::Full, peer, MonoTime(0)).expect("any key will do")
}

/// Seals control packets as spec 37 section 3 says, whatever is in them. Both directions have the same secret here.
struct Peer {
    key: AwsLc,
    salt: [u8; 12],
    number: u64,
}

impl Peer {
    fn new() -> Self {
        let derived = Hkdf::<Sha256>::new(Some(b"holomesh lane v1"), &SECRET[..44]);
        let expand = |what: &[u8], out: &mut [u8]| {
            let info = [b"holomesh lane v1 ", what, &ID.0.to_be_bytes(), &[1]].concat();
            derived.expand(&info, out).expect("a short output");
        };
        let (mut key, mut salt) = ([0; 32], [0; 12]);
        expand(b"control key", &mut key);
        expand(b"control salt", &mut salt);
        Self { key: AwsLc::new(&key).expect("a key"), salt, number: 1_000 }
    }

    fn seal(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x8d, kind];
        packet.extend_from_slice(&ID.0.to_be_bytes());
        packet.extend_from_slice(&self.number.to_be_bytes()[2..]);
        let mut nonce = self.salt;
        for (byte, number) in nonce[4..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        self.number += 1;
        let head = packet.clone();
        packet.extend_from_slice(payload);
        let tag = self.key.seal(nonce, &head, &mut packet[16..]).expect("a short packet");
        packet.extend_from_slice(&tag);
        packet
    }
}

/// Hands control packets over until nobody has any.
fn settle(child: &mut Lane, parent: &mut Lane) {
    let mut packet = [0; MAX_CONTROL_LEN];
    for _ in 0..3 {
        while let Some((_, len)) = child.poll_transmit(MonoTime(0), &mut packet) {
            parent.handle_datagram(MonoTime(0), address(1), &mut packet[..len]).expect("the child's");
        }
        while let Some((_, len)) = parent.poll_transmit(MonoTime(0), &mut packet) {
            child.handle_datagram(MonoTime(0), address(2), &mut packet[..len]).expect("the parent's");
        }
    }
}

fn burst(lane: &mut Lane, now: MonoTime, first: u64, burst: &mut Burst) {
    let header = |seq| ChunkHeader {
        stream_id: StreamId([3; 32]),
        epoch: Epoch(7),
        chunk_seq: ChunkSeq(seq),
        codec: CodecId::Av1,
        layer: Layer::BASE,
        marks: Marks::NONE,
    };
    let chunks: Vec<Vec<u8>> = (first..first + 4)
        .map(|seq| {
            let mut chunk = header(seq).to_bytes().expect("a valid header").to_vec();
            chunk.resize(600, 7);
            chunk
        })
        .collect();
    let chunks = chunks.iter().map(|chunk| SealedChunk::parse(chunk).expect("a valid chunk"));
    let _ = lane.seal_burst(now, chunks, burst);
}

fuzz_target!(|data: &[u8]| {
    let (mut child, mut parent) = (end(LaneRole::Child, address(2)), end(LaneRole::Parent, address(1)));
    settle(&mut child, &mut parent);
    let mut table = LaneTable::new(4, 1);
    let key = table.insert(MonoTime(0), parent).expect("there is room").key;
    let (mut peer, mut buffer, mut now, mut rest) = (Peer::new(), Burst::new(), MonoTime(0), data);
    // Each step: what to do, from which port, how many bytes, those bytes.
    while let [what, port, len, after @ ..] = rest {
        let (bytes, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        now = now.plus(core::time::Duration::from_millis(u64::from(*what >> 3)));
        let mut datagram = match what & 7 {
            0 | 1 => bytes.to_vec(),
            2 => {
                // Bytes of the stream, with an offset that is near or anywhere.
                let mut payload = bytes.to_vec();
                if *port & 0x40 == 0 {
                    payload.splice(0..0, [0; 7]);
                }
                peer.seal(6, &payload)
            }
            3 => {
                let mut slot = table.get_mut(now, key).expect("it stays");
                let first = slot.stats().sent_datagrams;
                burst(&mut slot, now, first, &mut buffer);
                continue;
            }
            kind => {
                // A packet of the peer's, of the right length or not.
                let kind = match kind - 3 + u8::from(*port & 0x80 != 0) {
                    // Closes end it all too soon: an acknowledgement is of more interest.
                    5 if *port & 0x20 == 0 => 7,
                    kind => kind,
                };
                let mut payload = bytes.to_vec();
                if *port & 0x40 == 0 {
                    payload.resize(if matches!(kind, 1 | 7) { 40 } else { 16 }, 0);
                }
                peer.seal(kind, &payload)
            }
        };
        let is_peers = matches!(what & 7, 2 | 4..);
        if let Route::Lane(key) | Route::Handshake(Some(key)) = table.route(address(*port), &datagram) {
            let mut slot = table.get_mut(now, key).expect("it was found");
            match slot.handle_datagram(now, address(*port & 15), &mut datagram) {
                Ok(Received::Chunk(_)) => panic!("nobody has the media key"),
                Ok(Received::Control) => assert!(is_peers, "nobody else makes a tag"),
                Ok(Received::Stream) => {
                    assert!(is_peers && slot.stream_readable() <= WINDOW);
                    // Some is read, some is left, and something is said.
                    let mut heard = [0; 100];
                    let heard = slot.read_stream(&mut heard);
                    slot.write_stream(&vec![*port; heard * 50]);
                }
                Err(error) => assert!(is_peers || error.fault() != Fault::Peer, "{error}"),
            }
        }
        while let Some(mut slot) = table.poll_due(now) {
            slot.handle_timeout(now);
            let mut packet = [0; MAX_CONTROL_LEN];
            let mut packets = 0;
            while slot.poll_transmit(now, &mut packet).is_some() {
                packets += 1;
            }
            assert!(packets <= 8 + 128);
            assert!(slot.stream_waiting() <= WINDOW && slot.stream_readable() <= WINDOW);
            while slot.poll_event().is_some() {}
            assert!(slot.budget(now) < 1 << 30);
        }
    }
});
