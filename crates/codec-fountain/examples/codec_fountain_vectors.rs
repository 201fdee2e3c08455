//! Writes the conformance vectors of fountain symbols as JSON: `codec_fountain_vectors OUTDIR`.
//!
//! `raptorq` makes all symbols, and which repair symbols are left out follows from the rule; units over windows are computed one
//! element at a time. So nothing here is this crate's own word.

use raptorq::{
    EncodingPacket, ObjectTransmissionInformation, PayloadId, SourceBlockDecoder, SourceBlockEncoder,
    extended_source_block_symbols,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use vector_kit::write::{hex, write};

#[path = "vectors/window.rs"]
mod window;

const T: u32 = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let blocks: Vec<Value> = [1, 4, 15, 26, 55, 60, 64, 255, 300].map(block).into();
    let sets: Vec<Value> = [4, 15, 26, 60, 255].into_iter().flat_map(sets).collect();
    let note = "Spec 60 sections 1 and 2. Byte n of the object is (31 n + n² / 7 + K) mod 256, rounded down.";
    write(
        "fountain/symbols.json",
        &json!({
            "id": "fountain/symbols", "spec": "60-fountain.md sections 1 to 4", "note": note, "symbol_size": T,
            "blocks": blocks, "sets": sets, "repair_counts": repair_counts(), "negative": negative(),
        }),
    )?;
    let note = "Spec 60 section 2 rule 2, for every number of source symbols that a block is extended to.";
    write(
        "fountain/left_out.json",
        &json!({ "id": "fountain/left_out", "spec": "60-fountain.md section 2", "note": note, "extended": all_left_out() }),
    )?;
    write("fountain/window.json", &window::vectors())
}

fn object_len(k: u32) -> usize {
    (k * T - k % 7) as usize
}

/// With zeros behind it, as it is cut.
fn padded(k: u32) -> Vec<u8> {
    let mut object: Vec<u8> = (0..object_len(k)).map(|n| (31 * n + n * n / 7 + k as usize) as u8).collect();
    object.resize((k * T) as usize, 0);
    object
}

fn information(len: usize, size: u32) -> ObjectTransmissionInformation {
    ObjectTransmissionInformation::new(len as u64, size as u16, 1, 1, 1)
}

fn encoder(data: &[u8], size: u32) -> SourceBlockEncoder {
    SourceBlockEncoder::new(0, &information(data.len(), size), data)
}

/// Repair symbols in front of the first that has a share of each source symbol.
fn left_out(extended: u32) -> u32 {
    let mut units = vec![0; (extended * extended) as usize];
    units.iter_mut().step_by(extended as usize + 1).for_each(|one| *one = 1);
    let encoder = encoder(&units, extended);
    let has_all = |index: &u32| !encoder.repair_packets(*index, 1)[0].data().contains(&0);
    (0..).find(has_all).unwrap_or(0)
}

fn all_left_out() -> Vec<Value> {
    let lengths: BTreeSet<u32> = (1..=1_024).map(extended_source_block_symbols).collect();
    lengths.into_iter().map(|extended| json!([extended, left_out(extended)])).collect()
}

/// The repair symbol with an id on our wire.
fn repair(encoder: &SourceBlockEncoder, k: u32, left_out: u32, id: u32) -> EncodingPacket {
    encoder.repair_packets(id - k + left_out, 1).swap_remove(0)
}

fn block(k: u32) -> Value {
    let encoder = encoder(&padded(k), T);
    let left_out = left_out(extended_source_block_symbols(k));
    let symbols = [k, k + 1, k + 2, k + 3, 2 * k + 17, 70_000].map(|id| {
        let packet = repair(&encoder, k, left_out, id);
        json!({ "id": id, "encoding_symbol_id": packet.payload_id().encoding_symbol_id(), "bytes": hex(packet.data()) })
    });
    let oti = information(object_len(k), T).serialize();
    json!({ "k": k, "object_len": object_len(k), "oti": hex(&oti), "left_out": left_out, "repair": symbols })
}

/// Source symbols, parents, and the least number of repair symbols with which any parents but one carry enough; with one parent
/// none.
fn repair_counts() -> Vec<Value> {
    let pairs = [1, 2, 4, 15, 26, 60, 255, 1_024]
        .into_iter()
        .flat_map(|k| [1, 2, 3, 4, 7, 16].map(|parents| (k, parents)));
    let least = |(k, parents): (u32, u32)| {
        let carried = |repair: &u32| parents == 1 || (k + repair) - (k + repair).div_ceil(parents) >= k;
        json!([k, parents, (0..).find(carried)])
    };
    pairs.map(least).collect()
}

/// What a receiver refuses: an object of a length that none has, a symbol that RFC 6330 does not have, one of another size.
fn negative() -> Vec<Value> {
    let (k, last) = (55, 0x00ff_ffff);
    [
        ("no-object", "object-length", 64, 0, 0, 64),
        ("more-symbols-than-any", "object-length", 64, 1_024 * 64 + 1, 0, 64),
        ("longer-than-any", "object-length", 16_384, (1 << 20) + 1, 0, 16_384),
        ("id-without-a-symbol", "symbol-id", 64, k * 64, last, 64),
        ("id-without-a-symbol-after-padding", "symbol-id", 64, 50 * 64, last - 5, 64),
        ("symbol-too-short", "symbol-size", 64, k * 64, 3, 63),
        ("symbol-too-long", "symbol-size", 64, k * 64, k, 65),
        ("symbol-empty", "symbol-size", 64, k * 64, 0, 0),
    ]
    .map(|(id, error, size, len, symbol, data)| {
        json!({ "id": id, "error": error, "symbol_size": size, "object_len": len, "symbol": symbol, "data_len": data })
    })
    .into()
}

/// Sets of symbols that came, and whether they give the object back: all of one kind, a quarter lost, one lost, and one that is as
/// many as source symbols and too few all the same, with one that is just enough.
fn sets(k: u32) -> Vec<Value> {
    let quarter = k / 4;
    let first = k / 3;
    let without = |lost: std::ops::Range<u32>| (0..k).filter(move |id| !lost.contains(id));
    let mut sets: Vec<Vec<u32>> = vec![
        (0..k).collect(),
        (k..2 * k + 2).collect(),
        without(first..first + quarter).chain(k..k + quarter).collect(),
        without(first..first + quarter).chain(k..k + quarter - 1).collect(),
        without(k - 1..k).chain([k]).collect(),
        without(0..quarter).chain((0..quarter).map(|n| k + 30 * n + 5)).collect(),
    ];
    let unlucky = (k + 1..k + 1_900).map(|id| without(first..first + 2).chain([k, id]).collect::<Vec<_>>());
    if let Some(unlucky) = unlucky.into_iter().find(|ids| !decodes(k, ids)) {
        sets.push([&unlucky[..], &[k + 1_999]].concat());
        sets.push(unlucky);
    }
    let say = |ids: Vec<u32>| {
        let decodes = decodes(k, &ids);
        json!({ "k": k, "object_len": object_len(k), "ids": ids, "decodes": decodes })
    };
    sets.into_iter().map(say).collect()
}

fn decodes(k: u32, ids: &[u32]) -> bool {
    let padded = padded(k);
    let encoder = encoder(&padded, T);
    let left_out = left_out(extended_source_block_symbols(k));
    let packets: Vec<_> = ids
        .iter()
        .map(|id| {
            let source = padded.chunks(T as usize).nth(*id as usize);
            let source = source.map(|data| EncodingPacket::new(PayloadId::new(0, *id), data.to_vec()));
            source.unwrap_or_else(|| repair(&encoder, k, left_out, *id))
        })
        .collect();
    let info = information(padded.len(), T);
    SourceBlockDecoder::new(0, &info, padded.len() as u64).decode(packets).is_some_and(|out| out == padded)
}
