//! Byte for byte what any other RFC 6330 implementation with the same parameters makes and takes.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_fountain::{BlockShape, Encoder, ObjectDecoder};
use core_types::{SymbolId, SymbolSize};
use proptest::prelude::*;
use raptorq::{EncodingPacket, ObjectTransmissionInformation, PayloadId};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn symbols_equal_those_of_the_reference_encoder(
        data in prop::collection::vec(any::<u8>(), 1..4_000),
        repair in 0u32..20,
        units in 1u32..4,
    ) {
        let size = SymbolSize::new(units * 64).unwrap();
        let info = ObjectTransmissionInformation::new(data.len() as u64, units as u16 * 64, 1, 1, 1);
        let theirs = raptorq::Encoder::new(&data, info).get_encoded_packets(repair);
        let mut encoder = Encoder::new(size);
        encoder.encode(&vec![9; data.len()], repair).unwrap(); // a cached plan must not carry data over
        let ours = encoder.encode(&data, repair).unwrap();
        prop_assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            prop_assert_eq!(ours.id.value(), theirs.payload_id().encoding_symbol_id());
            prop_assert_eq!(&ours.data[..], theirs.data());
        }
    }

    /// Both decoders see the same symbols and finish with the same object; ours at the same symbol or, because it
    /// spaces its attempts after a failure, a little later.
    #[test]
    fn decodes_what_the_reference_decoder_decodes(
        data in prop::collection::vec(any::<u8>(), 1..4_000),
        lost in prop::collection::vec(any::<bool>(), 63),
    ) {
        let size = SymbolSize::new(64).unwrap();
        let shape = BlockShape::new(data.len(), size).unwrap();
        let info = ObjectTransmissionInformation::new(data.len() as u64, 64, 1, 1, 1);
        let mut theirs = raptorq::Decoder::new(info);
        let mut ours = ObjectDecoder::new(shape);
        let symbols = Encoder::new(size).encode(&data, shape.source_symbols() + 8).unwrap();
        let (mut their_end, mut our_end) = (None, None);
        for (n, symbol) in symbols.iter().enumerate() {
            if lost.get(n).copied().unwrap_or(false) {
                continue;
            }
            if their_end.is_none() {
                let packet = EncodingPacket::new(PayloadId::new(0, symbol.id.value()), symbol.data.clone());
                their_end = theirs.decode(packet).map(|object| (n, object));
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
    fn takes_the_reference_encoders_symbols(data in prop::collection::vec(any::<u8>(), 1..4_000)) {
        let info = ObjectTransmissionInformation::new(data.len() as u64, 128, 1, 1, 1);
        let shape = BlockShape::new(data.len(), SymbolSize::new(128).unwrap()).unwrap();
        let mut decoder = ObjectDecoder::new(shape);
        let packets = raptorq::Encoder::new(&data, info).get_encoded_packets(shape.source_symbols() + 3);
        let decoded = packets.iter().rev().find_map(|packet| {
            decoder.push(SymbolId::new(packet.payload_id().encoding_symbol_id()).unwrap(), packet.data()).unwrap()
        });
        prop_assert_eq!(decoded, Some(data));
    }
}
