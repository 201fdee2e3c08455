//! Objects survive loss, reordering and duplication, whatever mix of symbols arrives.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_fountain::{BlockShape, Encoder, Error, ObjectDecoder, Symbol};
use core_types::{SymbolId, SymbolSize};
use proptest::prelude::*;
use proptest::sample::Index;

const T: u32 = 64;

fn size() -> SymbolSize {
    SymbolSize::new(T).unwrap()
}

/// Bytes that differ at every position and between lengths, so that a swapped symbol shows.
fn object(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

/// Feeds the symbols and says after how many the object came out.
fn decode(shape: BlockShape, symbols: &[Symbol]) -> Option<(usize, Vec<u8>)> {
    let mut decoder = ObjectDecoder::new(shape);
    symbols
        .iter()
        .enumerate()
        .find_map(|(n, symbol)| decoder.push(symbol.id, &symbol.data).unwrap().map(|object| (n + 1, object)))
}

fn shuffle(symbols: &mut [Symbol], order: &[Index]) {
    for (at, with) in order.iter().enumerate().take(symbols.len()) {
        let with = with.index(symbols.len());
        symbols.swap(at, with);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any `K + 3` distinct symbols, in any order, with duplicates in between, give the object back.
    #[test]
    fn any_few_more_than_k_symbols_decode(
        len in 1usize..=80 * T as usize,
        seed: u64,
        repair_extra in 3u32..12,
        order in prop::collection::vec(any::<Index>(), 200),
        echo in prop::collection::vec(any::<Index>(), 8),
    ) {
        let data = object(len, seed);
        let shape = BlockShape::new(len, size()).unwrap();
        let k = shape.source_symbols();
        let mut symbols = Encoder::new(size()).encode(&data, k + repair_extra).unwrap();
        prop_assert_eq!(symbols.iter().map(|s| s.id.value()).collect::<Vec<_>>(), (0..2 * k + repair_extra).collect::<Vec<_>>());
        shuffle(&mut symbols, &order);
        symbols.truncate(k as usize + 3);
        for index in echo {
            let twice = symbols[index.index(symbols.len())].clone();
            symbols.push(twice);
        }
        shuffle(&mut symbols, &order);
        let (_, decoded) = decode(shape, &symbols).expect("K + 3 symbols decode");
        prop_assert_eq!(decoded, data);
    }

    #[test]
    fn repair_symbols_alone_decode(len in 1usize..=80 * T as usize, seed: u64) {
        let data = object(len, seed);
        let shape = BlockShape::new(len, size()).unwrap();
        let k = shape.source_symbols() as usize;
        let symbols = Encoder::new(size()).encode(&data, k as u32 + 3).unwrap();
        let (taken, decoded) = decode(shape, &symbols[k..]).expect("K + 3 repair symbols decode");
        prop_assert_eq!(decoded, data);
        prop_assert!(taken >= k);
    }

    /// Without loss the object is there with the last source symbol, and repair is not waited for.
    #[test]
    fn source_symbols_alone_decode_at_exactly_k(
        len in 1usize..=80 * T as usize,
        seed: u64,
        order in prop::collection::vec(any::<Index>(), 80),
    ) {
        let data = object(len, seed);
        let shape = BlockShape::new(len, size()).unwrap();
        let mut symbols = Encoder::new(size()).encode(&data, 0).unwrap();
        shuffle(&mut symbols, &order);
        prop_assert_eq!(decode(shape, &symbols), Some((shape.source_symbols() as usize, data)));
    }

    #[test]
    fn fewer_than_k_distinct_symbols_never_decode(
        len in 65usize..=40 * T as usize,
        seed: u64,
        order in prop::collection::vec(any::<Index>(), 100),
    ) {
        let shape = BlockShape::new(len, size()).unwrap();
        let k = shape.source_symbols();
        let mut symbols = Encoder::new(size()).encode(&object(len, seed), k).unwrap();
        shuffle(&mut symbols, &order);
        symbols.truncate(k as usize - 1);
        let twice = symbols.clone();
        symbols.extend(twice);
        prop_assert_eq!(decode(shape, &symbols), None);
    }
}

/// The share of patterns that need more than `K` symbols is what RaptorQ promises, so the decoder wastes none.
#[test]
fn exactly_k_symbols_nearly_always_decode() {
    let mut encoder = Encoder::new(size());
    let mut failures = 0;
    for round in 0..400u64 {
        let data = object(20 * T as usize - 7, round);
        let shape = BlockShape::new(data.len(), size()).unwrap();
        let symbols = encoder.encode(&data, 60).unwrap();
        // Five source symbols lost, another window of repair symbols each time.
        let start = 20 + (round as usize % 55);
        let kept = [
            &symbols[..(round as usize % 15)],
            &symbols[(round as usize % 15) + 5..20],
            &symbols[start..start + 5],
        ]
        .concat();
        assert_eq!(kept.len(), 20);
        match decode(shape, &kept) {
            Some((_, decoded)) => assert_eq!(decoded, data),
            None => failures += 1,
        }
    }
    assert!(failures <= 12, "{failures} of 400 failed at exactly K; RaptorQ's rate is below 1 %");
}

#[test]
fn large_objects_decode() {
    for (len, symbol_size) in [(1 << 20, SymbolSize::DEFAULT), (65_536, size())] {
        let data = object(len, 5);
        let shape = BlockShape::new(len, symbol_size).unwrap();
        let symbols = Encoder::new(symbol_size).encode(&data, 130).unwrap();
        let kept: Vec<_> = symbols.into_iter().filter(|s| s.id.value() % 10 != 3).collect();
        let (taken, decoded) = decode(shape, &kept).expect("a tenth lost, a tenth repaired");
        assert!(decoded == data && taken <= shape.source_symbols() as usize + 3);
    }
}

#[test]
fn a_complete_object_ignores_what_comes_after() {
    let shape = BlockShape::new(100, size()).unwrap();
    let symbols = Encoder::new(size()).encode(&object(100, 1), 4).unwrap();
    let mut decoder = ObjectDecoder::new(shape);
    let out: Vec<_> = symbols.iter().map(|s| decoder.push(s.id, &s.data).unwrap().is_some()).collect();
    assert_eq!(out, [false, true, false, false, false, false]);
    assert!(decoder.is_complete());
    assert_eq!(decoder.progress().received, 2);
}

#[test]
fn a_symbol_of_the_wrong_size_is_the_peers_fault_and_changes_nothing() {
    let data = object(100, 1);
    let mut decoder = ObjectDecoder::new(BlockShape::new(100, size()).unwrap());
    let symbols = Encoder::new(size()).encode(&data, 0).unwrap();
    for bad in [&[][..], &symbols[0].data[..63], &[0; 65]] {
        let error = decoder.push(symbols[0].id, bad).unwrap_err();
        assert_eq!(error, Error::SymbolLength { id: symbols[0].id, expected: 64, actual: bad.len() });
        assert!(error.is_peer_fault());
    }
    assert_eq!(decoder.progress().received, 0);
    assert_eq!(decoder.push(symbols[0].id, &symbols[0].data).unwrap(), None);
    assert_eq!(decoder.push(symbols[1].id, &symbols[1].data).unwrap(), Some(data));
}

#[test]
fn callers_mistakes_are_refused_and_are_not_the_peers_fault() {
    let mut encoder = Encoder::new(size());
    for (object, repair) in [(0, 1), (65_537, 1), (100, Encoder::MAX_REPAIR_SYMBOLS + 1), (100, u32::MAX)] {
        assert!(!encoder.encode(&vec![0; object], repair).unwrap_err().is_peer_fault());
    }
    let most = encoder.encode(&[1; 100], Encoder::MAX_REPAIR_SYMBOLS).unwrap();
    assert_eq!(most.last().unwrap().id, SymbolId::new(Encoder::MAX_REPAIR_SYMBOLS + 1).unwrap());
}

/// With one repair symbol any one source symbol may be lost. By RFC 6330's first repair symbol alone some could not be at 50 to 55
/// source symbols, 63 to 69, and more.
#[test]
fn one_repair_symbol_makes_up_for_any_one_source_symbol() {
    let mut encoder = Encoder::new(size());
    for k in (1..=256).chain([257, 263, 512, 989, 1_020]) {
        let data = object(k * T as usize - 1, k as u64);
        let shape = BlockShape::new(data.len(), size()).unwrap();
        let symbols = encoder.encode(&data, 1).unwrap();
        // Above 256 symbols each takes a millisecond.
        for lost in (0..k).step_by(if k > 256 { 97 } else { 1 }) {
            let mut kept = symbols.clone();
            kept.remove(lost);
            let (taken, decoded) = decode(shape, &kept).expect("one lost, one repair symbol");
            assert!(taken == k && decoded == data, "symbol {lost} of {k}");
        }
    }
}

#[test]
fn a_block_says_the_same_as_its_symbols() {
    let mut encoder = Encoder::new(size());
    for (len, repair) in
        [(1, 0), (64, 2), (65, 5), (6_400, 40), (20_000, 7), (128, 0), (10, Encoder::MAX_REPAIR_SYMBOLS)]
    {
        let data = object(len, 3);
        let symbols = encoder.encode(&data, repair).unwrap();
        encoder.prepare(len).unwrap();
        let block = encoder.encode_block(&data, repair).unwrap();
        let k = block.shape().source_symbols() as usize;
        assert_eq!((block.source_symbols().count(), block.repair_symbols().count()), (k, repair as usize));
        assert!(block.symbols().eq(symbols.iter().map(|symbol| (symbol.id, &symbol.data[..]))));
        // Whole source symbols are the object's own memory.
        let whole = block.source_symbols().take(len / T as usize);
        assert!(whole.zip(data.chunks(T as usize)).all(|(ours, theirs)| std::ptr::eq(ours, theirs)));
    }
    assert!(encoder.prepare(0).is_err());
}

#[test]
fn what_came_of_an_object_is_in_order_and_marked() {
    let data = object(7 * T as usize - 10, 9);
    let shape = BlockShape::new(data.len(), size()).unwrap();
    let symbols = Encoder::new(size()).encode(&data, 3).unwrap();
    let partial = |ids: &[usize]| {
        let mut decoder = ObjectDecoder::new(shape);
        ids.iter()
            .for_each(|id| assert_eq!(decoder.push(symbols[*id].id, &symbols[*id].data).unwrap(), None));
        decoder.into_partial().unwrap()
    };
    for (ids, ranges, prefix) in [
        (&[][..], &[][..], 0),
        (&[8, 9], &[], 0),
        (&[6, 4], &[256..320, 384..438], 0),
        (&[4, 1, 0, 4, 9], &[0..128, 256..320], 128),
        (&[6, 5, 3, 2, 1], &[64..256, 320..438], 0),
    ] {
        let partial = partial(ids);
        assert_eq!(partial.ranges().collect::<Vec<_>>(), ranges);
        assert_eq!(partial.prefix(), &data[..prefix]);
        let mut here = vec![0; data.len()];
        for range in ranges {
            here[range.clone()].copy_from_slice(&data[range.clone()]);
        }
        let pieces: Vec<_> =
            data.chunks(T as usize).enumerate().map(|(n, piece)| ids.contains(&n).then_some(piece)).collect();
        assert_eq!(partial.arrived() as usize, pieces.iter().flatten().count());
        let given: Vec<_> = partial.symbols().collect();
        assert!(given.iter().enumerate().all(|(n, (id, _))| id.value() as usize == n));
        assert_eq!(given.iter().map(|(_, piece)| *piece).collect::<Vec<_>>(), pieces);
        assert_eq!(partial.into_bytes(), here);
    }
    // An object that was given out is not given out again.
    let mut decoder = ObjectDecoder::new(shape);
    symbols.iter().for_each(|symbol| drop(decoder.push(symbol.id, &symbol.data).unwrap()));
    assert!(decoder.into_partial().is_none());
}

#[test]
fn memory_is_used_again() {
    let data = object(5 * T as usize, 4);
    let shape = BlockShape::new(data.len(), size()).unwrap();
    let symbols = Encoder::new(size()).encode(&data, 2).unwrap();
    let used = vec![0xee; 2_000];
    let place = used.as_ptr();
    let mut decoder = ObjectDecoder::with_buffer(shape, used);
    let decoded =
        symbols.iter().skip(2).find_map(|symbol| decoder.push(symbol.id, &symbol.data).unwrap()).unwrap();
    assert_eq!(decoded, data);
    assert_eq!(decoded.as_ptr(), place);
}
