//! Bytes from the network as datagrams of a link, in every suite and after a few real ones: nothing passes a seal, and
//! without one nothing is taken but what the header says.
#![no_main]

use av_wire::{
    ChunkHeader, Dedup, HopKeys, HopReceiver, HopSender, HopSuite, MAX_CHUNK_LEN, SealedChunk,
    is_carrier_packet,
};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, ObjectClass, StreamId};
use libfuzzer_sys::fuzz_target;

fn suite(which: u8) -> HopSuite {
    let keys = || HopKeys::new(&[1; 32], &[2; 12]).expect("any key will do");
    match which {
        0 => HopSuite::Full(keys()),
        1 => HopSuite::Bind(keys()),
        _ => HopSuite::TransportSealed,
    }
}

/// A receiver that knows two streams.
fn receiver(which: u8) -> HopReceiver {
    let (mut sender, mut receiver) = (HopSender::new(suite(which)), HopReceiver::new(suite(which)));
    for seq in 0..10 {
        let header = ChunkHeader {
            stream_id: StreamId([seq as u8 % 2; 32]),
            epoch: Epoch(7),
            chunk_seq: ChunkSeq(seq / 2),
            codec: if seq % 2 == 0 { CodecId::Av1 } else { CodecId::Opaque },
            layer: Layer::BASE,
            marks: if seq % 2 == 0 {
                Marks { class: ObjectClass::KeyFrame, ..Marks::NONE }
            } else {
                Marks::NONE
            },
        };
        let mut chunk = header.to_bytes().expect("a valid header").to_vec();
        chunk.extend_from_slice(&[7; 20]);
        let mut datagram = [0; 120];
        let chunk = SealedChunk::parse(&chunk).expect("a valid chunk");
        let len = sender.seal_into(&chunk, &mut datagram).expect("there is room");
        receiver.open(&mut datagram[..len]).expect("it is what was sent");
    }
    receiver
}

fuzz_target!(|data: &[u8]| {
    // The first byte says how the rest is cut into datagrams.
    let Some((cut, rest)) = data.split_first() else { return };
    let mut dedup = Dedup::new(4);
    for which in 0..3 {
        let mut receiver = receiver(which);
        for datagram in rest.chunks(usize::from(*cut).max(1)) {
            let mut bytes = datagram.to_vec();
            let before = receiver.highest();
            let Ok(fresh) = receiver.open(&mut bytes) else {
                continue;
            };
            assert!(which == 2, "nobody without the key makes a tag");
            assert!(!is_carrier_packet(datagram));
            let mut chunk = Vec::new();
            fresh.write(&mut chunk);
            assert!(chunk.len() <= MAX_CHUNK_LEN);
            assert_eq!(ChunkHeader::parse(&chunk).as_ref(), Ok(fresh.header()));
            let _ = dedup.first(fresh);
            assert!(receiver.highest() >= before);
        }
    }
    let mut whole = rest.to_vec();
    let parsed = ChunkHeader::parse(rest);
    let opened = HopReceiver::new(suite(2)).open_whole(&mut whole).map(|fresh| *fresh.header());
    assert_eq!(opened, parsed);
});
