//! The committed vectors, which another implementation of RFC 6330 made.
#![allow(clippy::unwrap_used, reason = "tests")]

use codec_fountain::{BlockShape, Encoder, ObjectDecoder, Symbol};
use core_types::{SymbolId, SymbolSize};
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
