//! Objects with units of repair, spec 62, element by element.

use serde_json::{Value, json};
use vector_kit::write::hex;

pub(crate) fn vectors() -> Value {
    let note = "Spec 62 sections 2 and 3. Byte n of object s is (17 s + 5 n + n²) mod 256. Units of each object as listed: their \
                number, the index of the first, and how many objects they cover.";
    json!({
        "id": "fountain/window", "spec": "62-window.md sections 2 and 3", "note": note, "factors": factors(),
        "streams": [stream(0, &[3, 9, 5, 1, 12, 7]), stream(1 << 33, &[40; 30])], "negative": negative(),
    })
}

/// Bodies that no sender makes.
fn negative() -> Vec<Value> {
    [
        ("empty", 5, ""),
        ("neither-units-nor-an-object", 5, "00"),
        ("an-index-of-no-unit", 5, "10 aa"),
        ("units-beyond-the-last-index", 5, "72 01 0003 000000 000000"),
        ("span-zero", 5, "01 00 0003 000000"),
        ("span-above-the-limit", 100, "01 11 0003 000000"),
        ("span-beyond-the-first-object", 5, "01 06 0003 000000"),
        ("unit-too-short", 5, "01 01 0002 0000"),
        ("unit-longer-than-any", 5, "01 01 05df"),
        ("unit-cut", 5, "01 01 0003 0000"),
        ("head-cut", 5, "01 01 00"),
    ]
    .map(|(id, number, body)| json!({ "id": id, "error": "malformed", "number": number, "body": body.replace(' ', "") }))
    .into()
}

/// RFC 6330 section 5.7, bit by bit.
fn multiply(a: u8, b: u8) -> u8 {
    let times = |a: u8, n: u32| (0..n).fold(a, |a, _| a << 1 ^ if a & 0x80 != 0 { 0x1d } else { 0 });
    (0..8).filter(|bit| b >> bit & 1 != 0).fold(0, |sum, bit| sum ^ times(a, bit))
}

fn factor(number: u64, index: u64, covered: u64) -> u8 {
    let sum = (64 + 8 * (number % 24) + index) as u8 ^ (covered % 64) as u8;
    (1..=255).find(|inverse| multiply(*inverse, sum) == 1).unwrap_or(0)
}

fn factors() -> Vec<Value> {
    let places = [
        (1, 0, 0),
        (10, 0, 0),
        (10, 0, 9),
        (23, 7, 7),
        (24, 7, 23),
        (1_000_000, 3, 999_990),
        (u64::MAX >> 2, 1, (u64::MAX >> 2) - 16),
    ];
    places
        .map(|(number, index, covered)| json!([number, index, covered, factor(number, index, covered)]))
        .into()
}

fn object(number: u64, len: usize) -> Vec<u8> {
    (0..len).map(|n| (17 * number + (5 * n + n * n) as u64) as u8).collect()
}

/// Objects of these lengths, from a number on; units over four objects at most, one with each even and two with each odd number; and
/// two chunks of units alone at the end.
fn stream(start: u64, lens: &[usize]) -> Value {
    let mut chunks = Vec::new();
    for at in 0..lens.len() + 2 {
        let number = start + at.min(lens.len()) as u64;
        let own = lens.get(at).map(|len| object(number, *len)).unwrap_or_default();
        // The first object has nothing in front of it.
        let span = at.min(lens.len()).min(4);
        let first = at.saturating_sub(lens.len()) * 2;
        let count = if span == 0 {
            0
        } else if own.is_empty() {
            2
        } else {
            1 + number as usize % 2
        };
        let covered: Vec<(u64, Vec<u8>)> = (1..=span)
            .map(|back| {
                let at = at.min(lens.len()) - back;
                (start + at as u64, object(start + at as u64, lens[at]))
            })
            .collect();
        let unit_len = 2 + covered.iter().map(|(_, object)| object.len()).max().unwrap_or(0);
        let mut body = vec![(first << 4 | count) as u8];
        if count == 0 {
            body[0] = 0;
        } else {
            body.push(span as u8);
            body.extend((unit_len as u16).to_be_bytes());
        }
        for index in first..first + count {
            let mut unit = vec![0; unit_len];
            for (covered, object) in &covered {
                let strip = [&(object.len() as u16).to_be_bytes()[..], object].concat();
                let factor = factor(number, index as u64, *covered);
                unit.iter_mut().zip(strip).for_each(|(byte, of)| *byte ^= multiply(factor, of));
            }
            body.extend(unit);
        }
        body.extend(&own);
        chunks.push(json!({ "number": number, "object_len": own.len(), "first": first, "units": count, "span": span, "body": hex(&body) }));
    }
    json!({ "chunks": chunks })
}
