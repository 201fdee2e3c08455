//! Byte for byte what any other RFC 6330 implementation with the same parameters makes and takes.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_fountain::{BlockShape, Encoder, ObjectDecoder};
use core_types::{SymbolId, SymbolSize};
use proptest::prelude::*;
use raptorq::{EncodingPacket, ObjectTransmissionInformation, PayloadId, SourceBlockDecoder};

const T: u16 = 64;

fn size() -> SymbolSize {
    SymbolSize::new(T.into()).unwrap()
}

fn information(len: usize, symbol_size: u16) -> ObjectTransmissionInformation {
    ObjectTransmissionInformation::new(len as u64, symbol_size, 1, 1, 1)
}

/// The symbol as the reference implementation has it.
fn packet(shape: BlockShape, id: SymbolId, data: &[u8]) -> EncodingPacket {
    EncodingPacket::new(PayloadId::new(0, shape.encoding_symbol_id(id).unwrap()), data.to_vec())
}

fn object(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * n / 3 + n / 251) as u8).collect()
}

/// Ours under their ids, and theirs, of all that ours has.
fn assert_same_symbols(encoder: &mut Encoder, data: &[u8], repair: u32) {
    let shape = BlockShape::new(data.len(), encoder.symbol_size()).unwrap();
    let k = shape.source_symbols();
    let theirs = raptorq::Encoder::new(data, information(data.len(), shape.symbol_size().bytes() as u16));
    let ours = encoder.encode(data, repair).unwrap();
    assert_eq!(ours.len(), (k + repair) as usize);
    let theirs = theirs.get_encoded_packets(repair + 136);
    for (n, symbol) in ours.iter().enumerate() {
        assert_eq!(symbol.id.value() as usize, n, "ids run without a gap");
        let id = shape.encoding_symbol_id(symbol.id).unwrap();
        let same = theirs.iter().find(|packet| packet.payload_id().encoding_symbol_id() == id).unwrap();
        assert_eq!(symbol.data, same.data(), "{k} source symbols, symbol {n}, which is {id} there");
    }
}

#[test]
fn symbols_of_every_length_equal_those_of_the_reference_encoder() {
    let mut encoder = Encoder::new(size());
    for k in (1..=264).chain([300, 500, 989, 1_024]) {
        let data = object(k * usize::from(T) - k % 5);
        assert_same_symbols(&mut encoder, &data, if k > 256 { 3 } else { 20 });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn symbols_equal_those_of_the_reference_encoder(
        data in prop::collection::vec(any::<u8>(), 1..4_000),
        repair in 0u32..90,
        units in 1u32..4,
    ) {
        let mut encoder = Encoder::new(SymbolSize::new(units * 64).unwrap());
        encoder.encode(&vec![9; data.len()], repair).unwrap(); // what is kept must not carry data over
        assert_same_symbols(&mut encoder, &data, repair);
    }

    /// Both decoders see the same symbols and finish with the same object; ours at the same symbol or, because it
    /// spaces its attempts after a failure, a little later.
    #[test]
    fn decodes_what_the_reference_decoder_decodes(
        data in prop::collection::vec(any::<u8>(), 1..4_000),
        lost in prop::collection::vec(any::<bool>(), 63),
    ) {
        let shape = BlockShape::new(data.len(), size()).unwrap();
        let mut theirs = raptorq::Decoder::new(information(data.len(), T));
        let mut ours = ObjectDecoder::new(shape);
        let symbols = Encoder::new(size()).encode(&data, shape.source_symbols() + 8).unwrap();
        let (mut their_end, mut our_end) = (None, None);
        for (n, symbol) in symbols.iter().enumerate() {
            if lost.get(n).copied().unwrap_or(false) {
                continue;
            }
            if their_end.is_none() {
                their_end = theirs.decode(packet(shape, symbol.id, &symbol.data)).map(|object| (n, object));
            }
            if let Some(object) = ours.push(symbol.id, &symbol.data).unwrap() {
                our_end = Some((n, object));
            }
        }
        match (their_end, our_end) {
            (Some((their_n, their_object)), Some((our_n, our_object))) => {
                prop_assert_eq!(&our_object, &data);
                prop_assert_eq!(our_object, their_object);
                prop_assert!(our_n >= their_n && our_n <= their_n + 16);
            }
            (None, None) => {}
            (theirs, ours) => prop_assert!(false, "theirs {:?}, ours {:?}", theirs.is_some(), ours.is_some()),
        }
    }

    #[test]
    fn takes_the_reference_encoders_symbols(data in prop::collection::vec(any::<u8>(), 1..9_000)) {
        let shape = BlockShape::new(data.len(), SymbolSize::new(128).unwrap()).unwrap();
        let mut decoder = ObjectDecoder::new(shape);
        let k = shape.source_symbols();
        let packets = raptorq::Encoder::new(&data, information(data.len(), 128)).get_encoded_packets(k + 12);
        let decoded = packets.iter().rev().find_map(|packet| {
            let theirs = packet.payload_id().encoding_symbol_id();
            let mut ids = (0..k + 12).map(|id| SymbolId::new(id).unwrap());
            let id = ids.find(|id| shape.encoding_symbol_id(*id) == Some(theirs))?;
            decoder.push(id, packet.data()).unwrap()
        });
        prop_assert_eq!(decoded, Some(data));
    }
}

/// Exactly `K` symbols at every `K` that has factors of its own, a quarter lost: both give the same object, or neither does. The ids
/// reach beyond those whose factors are kept.
#[test]
fn sets_of_k_symbols_are_decoded_by_both_or_by_neither() {
    let mut encoder = Encoder::new(size());
    let mut failures = 0;
    for k in 1..=258u32 {
        let data = object((k * u32::from(T)) as usize - 1);
        let shape = BlockShape::new(data.len(), size()).unwrap();
        let symbols = encoder.encode(&data, k + 40).unwrap();
        let lost = k.div_ceil(4);
        let first_lost = k * 7 % (k - lost + 1);
        let source = (0..k).filter(|id| !(first_lost..first_lost + lost).contains(id));
        let repair = (0..lost).map(|n| k + (n * 3 + k) % (k + 40));
        let ids: Vec<u32> = repair.chain(source).collect();
        let mut ours = ObjectDecoder::new(shape);
        let mut decoded = None;
        let mut packets = Vec::new();
        for id in ids {
            let symbol = &symbols[id as usize];
            decoded = decoded.or(ours.push(symbol.id, &symbol.data).unwrap());
            packets.push(packet(shape, symbol.id, &symbol.data));
        }
        let info = information(shape.padded_len(), T);
        let theirs = SourceBlockDecoder::new(0, &info, shape.padded_len() as u64).decode(packets);
        assert_eq!(decoded.is_some(), theirs.is_some(), "{k} source symbols");
        match (&decoded, theirs) {
            (Some(ours), Some(theirs)) => assert!(*ours == theirs[..data.len()] && *ours == data),
            _ => failures += 1,
        }
    }
    assert!(failures <= 6, "{failures} of 258 sets failed; RaptorQ's rate is below 1 %");
}
