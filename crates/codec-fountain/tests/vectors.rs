//! The committed vectors, which another implementation of RFC 6330 made.
#![allow(clippy::unwrap_used, reason = "tests")]

use codec_fountain::{
    BlockShape, Encoder, Error, ObjectDecoder, Pace, Symbol, WindowConfig, WindowDecoder, WindowEncoder,
    repair_symbols,
};
use core_types::{ObjectSeq, SymbolId, SymbolSize};
use serde_json::Value;
use vector_kit::read::{hex, list, load};

fn number(value: &Value) -> u32 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn id(value: &Value) -> SymbolId {
    SymbolId::new(number(value)).unwrap()
}

/// The object of a block or set, and how it is cut.
fn object(file: &Value, of: &Value) -> (BlockShape, Vec<u8>) {
    let (k, len) = (number(&of["k"]) as usize, number(&of["object_len"]) as usize);
    let object: Vec<u8> = (0..len).map(|n| (31 * n + n * n / 7 + k) as u8).collect();
    let shape = BlockShape::new(len, SymbolSize::new(number(&file["symbol_size"])).unwrap()).unwrap();
    assert_eq!(shape.source_symbols() as usize, k);
    (shape, object)
}

fn encoded(shape: BlockShape, object: &[u8], repair: u32) -> Vec<Symbol> {
    Encoder::new(shape.symbol_size()).encode(object, repair).unwrap()
}

/// Repair symbols as far as an encoder makes them.
#[test]
fn symbols_are_those_of_the_other_implementation() {
    let file = load("fountain/symbols.json");
    for block in list(&file, "blocks") {
        let (shape, object) = object(&file, block);
        let symbols = encoded(shape, &object, Encoder::MAX_REPAIR_SYMBOLS);
        for repair in list(block, "repair") {
            let id = id(&repair["id"]);
            assert_eq!(shape.encoding_symbol_id(id), Some(number(&repair["encoding_symbol_id"])));
            if let Some(symbol) = symbols.get(id.value() as usize) {
                assert_eq!((symbol.id, &symbol.data), (id, &hex(&repair["bytes"])), "{shape:?}");
            }
        }
        assert_eq!(symbols[0].data[..], [&object[..], &[0; 64]].concat()[..64]);
    }
}

/// All repair symbols, those too that an encoder does not make: with one of them, another source symbol is lost each time.
#[test]
fn symbols_of_the_other_implementation_make_up_for_what_is_lost() {
    let file = load("fountain/symbols.json");
    for block in list(&file, "blocks") {
        let (shape, object) = object(&file, block);
        let symbols = encoded(shape, &object, 0);
        for (n, repair) in list(block, "repair").iter().enumerate() {
            let lost = n % symbols.len();
            let mut decoder = ObjectDecoder::new(shape);
            let source = symbols.iter().filter(|symbol| symbol.id.value() as usize != lost);
            source.for_each(|symbol| assert_eq!(decoder.push(symbol.id, &symbol.data).unwrap(), None));
            let decoded = decoder.push(id(&repair["id"]), &hex(&repair["bytes"])).unwrap();
            assert_eq!(decoded.as_ref(), Some(&object), "{shape:?}, symbol {lost} lost");
        }
    }
}

#[test]
fn sets_of_symbols_decode_where_they_do_elsewhere() {
    let file = load("fountain/symbols.json");
    let mut outcomes = [0, 0];
    for set in list(&file, "sets") {
        let (shape, object) = object(&file, set);
        let symbols = encoded(shape, &object, Encoder::MAX_REPAIR_SYMBOLS);
        let decodes = set["decodes"].as_bool().unwrap();
        let ids: Vec<usize> = list(set, "ids").iter().map(|id| number(id) as usize).collect();
        // Ids that an encoder does not make are left to the other test.
        if ids.iter().any(|id| *id >= symbols.len()) {
            continue;
        }
        for reverse in [false, true] {
            let mut ids = ids.clone();
            if reverse {
                ids.reverse();
            }
            let mut decoder = ObjectDecoder::new(shape);
            let decoded =
                ids.iter().find_map(|id| decoder.push(symbols[*id].id, &symbols[*id].data).unwrap());
            assert_eq!(decoded.is_some(), decodes, "{shape:?}, {ids:?}");
            assert!(decoded.is_none_or(|decoded| decoded == object));
            outcomes[usize::from(decodes)] += 1;
        }
    }
    assert!(outcomes.iter().all(|count| *count >= 10), "{outcomes:?}");
}

#[test]
fn as_many_repair_symbols_are_made_as_the_rule_says() {
    for counts in list(&load("fountain/symbols.json"), "repair_counts") {
        let parents = number(&counts[1]).try_into().unwrap();
        assert_eq!(repair_symbols(number(&counts[0]), parents), number(&counts[2]), "{counts}");
    }
}

#[test]
fn what_no_symbol_can_be_is_refused() {
    for case in list(&load("fountain/symbols.json"), "negative") {
        let size = SymbolSize::new(number(&case["symbol_size"])).unwrap();
        let refused = match BlockShape::new(number(&case["object_len"]) as usize, size) {
            Err(Error::ObjectLength { .. }) => "object-length",
            Err(_) => "another",
            Ok(shape) if shape.encoding_symbol_id(id(&case["symbol"])).is_none() => "symbol-id",
            Ok(shape) => {
                let data = vec![0; number(&case["data_len"]) as usize];
                match ObjectDecoder::new(shape).push(id(&case["symbol"]), &data) {
                    Err(Error::SymbolLength { .. }) => "symbol-size",
                    _ => "another",
                }
            }
        };
        assert_eq!(refused, case["error"], "{}", case["id"]);
    }
}

#[test]
fn bodies_that_no_sender_makes_are_refused() {
    for case in list(&load("fountain/window.json"), "negative") {
        let number = ObjectSeq(case["number"].as_u64().unwrap());
        let error = WindowDecoder::new().push(number, &hex(&case["body"])).unwrap_err();
        assert!(matches!(error, Error::WindowBody { .. }), "{}: {error}", case["id"]);
        assert_eq!(case["error"], "malformed");
    }
}

#[test]
fn as_many_repair_symbols_are_left_out_as_the_rule_says() {
    let file = load("fountain/left_out.json");
    let mut shortest = 1;
    for pair in list(&file, "extended") {
        let (extended, left_out) = (number(&pair[0]), number(&pair[1]));
        for k in shortest..=extended.min(BlockShape::MAX_SOURCE_SYMBOLS) {
            let shape = BlockShape::new(k as usize * 64, SymbolSize::new(64).unwrap()).unwrap();
            let first = shape.encoding_symbol_id(SymbolId::new(k).unwrap());
            assert_eq!(first, Some(k + left_out), "{k} source symbols");
        }
        shortest = extended + 1;
    }
    assert!(shortest > BlockShape::MAX_SOURCE_SYMBOLS);
}

/// The chunks of a stream: number, object (empty if there is none), body.
fn chunks(stream: &Value) -> Vec<(ObjectSeq, Vec<u8>, Vec<u8>)> {
    let chunk = |chunk: &Value| {
        let number = chunk["number"].as_u64().unwrap();
        let byte = |n: usize| (17 * number + (5 * n + n * n) as u64) as u8;
        let object = (0..number_of(&chunk["object_len"])).map(byte).collect();
        (ObjectSeq(number), object, hex(&chunk["body"]))
    };
    list(stream, "chunks").iter().map(chunk).collect()
}

fn number_of(value: &Value) -> usize {
    number(value) as usize
}

#[test]
fn objects_with_units_are_what_the_specification_says() {
    for stream in list(&load("fountain/window.json"), "streams") {
        let mut encoder = WindowEncoder::new(WindowConfig::new(4, Pace::FAST).unwrap());
        for (number, object, body) in chunks(stream) {
            if object.is_empty() {
                assert_eq!(encoder.flush(), Some((number, &body[..])));
            } else {
                assert_eq!(encoder.push(number, &object).unwrap(), body, "object {number}");
            }
        }
    }
}

/// Each pair of objects in a row is lost once, the last one too.
#[test]
fn units_of_the_specification_make_up_for_lost_objects() {
    for stream in list(&load("fountain/window.json"), "streams") {
        let chunks = chunks(stream);
        let objects = chunks.iter().filter(|(_, object, _)| !object.is_empty()).count();
        for lost in 0..objects - 1 {
            let mut decoder = WindowDecoder::new();
            for (number, object, body) in [&chunks[..lost], &chunks[lost + 2..]].concat() {
                let own = decoder.push(number, &body).unwrap();
                assert_eq!(own.unwrap_or_default(), object);
            }
            let recovered: Vec<_> = std::iter::from_fn(|| decoder.poll_recovered()).collect();
            let expected: Vec<_> =
                chunks[lost..lost + 2].iter().map(|chunk| (chunk.0, chunk.1.clone())).collect();
            assert_eq!(recovered, expected, "from the {lost}th on");
        }
    }
}
