//! Symbols and what comes of them beside another implementation of RFC 6330: the same bytes, and the same sets of them decode.
#![no_main]

use codec_fountain::{BlockShape, Encoder, ObjectDecoder};
use core_types::{SymbolId, SymbolSize};
use libfuzzer_sys::fuzz_target;
use raptorq::{
    EncodingPacket, ObjectTransmissionInformation, PayloadId, SourceBlockDecoder, SourceBlockEncoder,
};

const SYMBOL: u16 = 64;

fuzz_target!(|data: &[u8]| {
    let Some((&[symbols, cut, repair, fill], ids)) = data.split_first_chunk() else { return };
    let k = usize::from(symbols) + 1;
    let len = k * usize::from(SYMBOL) - usize::from(cut % 64);
    let object: Vec<u8> = (0..len).map(|n| (n * n / 5 + n) as u8 ^ fill).collect();
    let size = SymbolSize::new(SYMBOL.into()).expect("64 is a symbol size");
    let shape = BlockShape::new(len, size).expect("256 symbols are few");
    let mut padded = object.clone();
    padded.resize(shape.padded_len(), 0);
    let information = ObjectTransmissionInformation::new(padded.len() as u64, SYMBOL, 1, 1, 1);
    let theirs = SourceBlockEncoder::new(0, &information, &padded);
    // Their repair symbols count from the first that RFC 6330 has.
    let repair_symbol = |id: u32| theirs.repair_packets(id - k as u32, 1).swap_remove(0);

    let mut encoder = Encoder::new(size);
    let block = encoder.encode_block(&object, u32::from(repair % 40)).expect("so few are made");
    for (id, symbol) in block.symbols().skip(k) {
        let id = shape.encoding_symbol_id(id).expect("an encoder makes those that exist");
        assert_eq!(symbol, repair_symbol(id).data());
    }

    let mut ours = ObjectDecoder::new(shape);
    let mut packets: Vec<EncodingPacket> = Vec::new();
    for &[high, middle, low] in ids.as_chunks::<3>().0.iter().take(2 * k + 16) {
        let id = match high & 0x80 {
            0 => u32::from(u16::from_be_bytes([middle, low])) % (k as u32 + 64),
            _ => u32::from_be_bytes([0, high, middle, low]),
        };
        let id = SymbolId::new(id).expect("24 bits are an id");
        let Some(theirs) = shape.encoding_symbol_id(id) else { continue };
        let packet = match padded.chunks(SYMBOL.into()).nth(theirs as usize) {
            Some(source) => EncodingPacket::new(PayloadId::new(0, theirs), source.to_vec()),
            None => repair_symbol(theirs),
        };
        let is_new = packets.iter().all(|other| other.payload_id() != packet.payload_id());
        let before = ours.progress().received;
        let decoded = ours.push(id, packet.data()).expect("symbols have the right length");
        assert_eq!(ours.progress().received - before, u32::from(is_new));
        if is_new {
            packets.push(packet);
        }
        if let Some(decoded) = &decoded {
            assert_eq!(*decoded, object);
        }
        // Later tries of ours are further apart than one symbol.
        if packets.len() == k {
            let theirs =
                SourceBlockDecoder::new(0, &information, padded.len() as u64).decode(packets.clone());
            assert_eq!(decoded.is_some(), theirs.is_some());
        }
        if decoded.is_some() {
            return;
        }
    }
    let partial = ours.into_partial().expect("it is not whole");
    let pieces = partial.symbols().zip(object.chunks(SYMBOL.into()));
    assert!(pieces.into_iter().all(|((_, piece), own)| piece.is_none_or(|piece| piece == own)));
});
