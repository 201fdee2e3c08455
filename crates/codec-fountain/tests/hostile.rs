//! An authenticated sender that means harm gets errors or silence: no panic, no growth beyond the limits.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_fountain::{BlockShape, ObjectDecoder, Reassembler, ReassemblyLimits};
use core_types::{ObjectSeq, SymbolId, SymbolSize};
use proptest::prelude::*;
use raptorq::{ObjectTransmissionInformation, SourceBlockEncoder};
use std::collections::BTreeMap;

fn size() -> SymbolSize {
    SymbolSize::new(64).unwrap()
}

fn symbol_id() -> impl Strategy<Value = SymbolId> {
    prop_oneof![0u32..200, 0u32..=0xff_ffff, 0xff_ff00u32..=0xff_ffff]
        .prop_map(|id| SymbolId::new(id).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Bytes and ids have nothing to do with any object: whatever comes out has the announced length.
    #[test]
    fn garbage_symbols_never_panic(
        len in 1usize..6_400,
        symbols in prop::collection::vec((symbol_id(), any::<u8>(), 0usize..4), 1..150),
    ) {
        let mut decoder = ObjectDecoder::new(BlockShape::new(len, size()).unwrap());
        for (id, fill, odd) in symbols {
            let symbol_len = if odd == 0 { usize::from(fill) } else { 64 };
            match decoder.push(id, &vec![fill; symbol_len]) {
                Ok(Some(object)) => prop_assert_eq!(object.len(), len),
                Ok(None) => prop_assert_eq!(symbol_len, 64),
                Err(error) => prop_assert!(error.is_peer_fault() && symbol_len != 64),
            }
        }
    }

    #[test]
    fn a_garbage_stream_never_panics_nor_outgrows_the_limits(
        pushes in prop::collection::vec(
            (0u64..12, prop_oneof![1usize..800, 60_000usize..70_000, Just(0), Just(usize::MAX)], symbol_id(), 60usize..66),
            1..400,
        ),
    ) {
        let limits = ReassemblyLimits { open_objects: 5, bytes: 140_000 };
        let mut reassembler = Reassembler::new(size(), limits).unwrap();
        for (object, len, id, symbol_len) in pushes {
            match reassembler.push(ObjectSeq(object), len, id, &vec![1; symbol_len]) {
                Ok(Some(decoded)) => prop_assert_eq!(decoded.len(), len),
                Ok(None) => {}
                Err(error) => prop_assert!(error.is_peer_fault()),
            }
            prop_assert!(reassembler.open_objects().count() <= limits.open_objects);
            prop_assert!(reassembler.held_bytes() <= limits.bytes);
        }
    }
}

/// Repair symbols whose ids give the same row of the constraint matrix never add up to an object. They are found here by
/// comparing the symbols themselves: same row, same bytes.
#[test]
fn symbols_that_depend_on_one_another_are_not_stored_without_end() {
    const K: u32 = 10;
    let object: Vec<u8> = (0..K * 64).map(|n| (n * n + n / 7) as u8).collect();
    let info = ObjectTransmissionInformation::new(object.len() as u64, 64, 1, 1, 1);
    let encoder = SourceBlockEncoder::new(0, &info, &object);
    let mut same_row: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    for start in (0..400_000).step_by(20_000) {
        for packet in encoder.repair_packets(start, 20_000) {
            let (payload_id, data) = packet.split();
            same_row.entry(data).or_default().push(payload_id.encoding_symbol_id());
        }
    }
    let mut hostile: Vec<_> = same_row.into_iter().collect();
    hostile.sort_by_key(|(_, ids)| core::cmp::Reverse(ids.len()));

    // Fewer rows than K, many more symbols than K + 32.
    let mut decoder = ObjectDecoder::new(BlockShape::new(object.len(), size()).unwrap());
    let mut sent = 0;
    for (data, ids) in &hostile[..K as usize - 1] {
        for id in ids {
            assert_eq!(decoder.push(SymbolId::new(*id).unwrap(), data).unwrap(), None);
            sent += 1;
        }
    }
    assert!(sent > 2 * (K + 32), "{sent} symbols are too few to show anything");
    assert_eq!(decoder.progress().received, K + 32);

    // The object is not lost: its source symbols are still taken.
    let mut decoded = None;
    for (id, data) in object.chunks(64).enumerate() {
        decoded = decoded.or(decoder.push(SymbolId::new(id as u32).unwrap(), data).unwrap());
    }
    assert_eq!(decoded, Some(object));
}

/// In a build with overflow checks RFC 6330's random generator, as implemented, overflows for this symbol alone.
#[test]
fn the_symbol_that_overflows_the_tuple_generator_is_dropped() {
    for k in [980u32, 985, 989] {
        let shape = BlockShape::new(k as usize * 64, size()).unwrap();
        let mut decoder = ObjectDecoder::new(shape);
        let extended = raptorq::extended_source_block_symbols(k);
        // Repair symbols are as far behind their first as their internal ids; the first 136 are left out at these lengths.
        let id = 3_158_229 - (extended - k) - 136;
        for (id, counted, exists) in [(id - 1, 1, true), (id, 1, false), (id + 1, 2, true)] {
            let id = SymbolId::new(id).unwrap();
            decoder.push(id, &[1; 64]).unwrap();
            assert_eq!(decoder.progress().received, counted);
            assert_eq!(shape.encoding_symbol_id(id).is_some(), exists);
        }
    }
}

/// Internal ids have 24 bits: the last few ids of a block that is extended, or of which symbols are left out, name nothing.
#[test]
fn ids_that_rfc_6330_does_not_have_are_dropped() {
    for (k, names_something) in [(10, true), (9, false), (55, false), (60, true), (1_024, false)] {
        let shape = BlockShape::new(k * 64, size()).unwrap();
        let mut decoder = ObjectDecoder::new(shape);
        assert_eq!(decoder.push(SymbolId::MAX, &[1; 64]).unwrap(), None);
        assert_eq!(decoder.progress().received, u32::from(names_something), "{k} source symbols");
        assert_eq!(shape.encoding_symbol_id(SymbolId::MAX).is_some(), names_something);
    }
}
