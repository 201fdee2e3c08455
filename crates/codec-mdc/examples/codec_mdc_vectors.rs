//! Writes the conformance vectors of payloads of descriptions as JSON: `codec_mdc_vectors OUTDIR`.
//!
//! Byte by byte from the specification, with fountain symbols from `codec-fountain`: none of it is this crate's own word.

use codec_fountain::Encoder;
use core_types::SymbolSize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vector_kit::write::{hex, write};

/// The longest piece of a share.
const PIECE: usize = 16_384;
/// Payloads up to this length are in the file, of longer ones their digest.
const SHOWN: usize = 1_000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let note = "Spec 68 sections 1 to 4. Byte n of layer l is (31 n + n² / 7 + 5 l) mod 256, rounded down. Of payloads above 1,000 bytes \
                the SHA-256.";
    let file = json!({
        "id": "descriptions/payload", "spec": "68-descriptions.md sections 1 to 4", "note": note, "places": places(),
        "cases": alternating(), "frames": frames()?, "negative": negative()?,
    });
    write("descriptions/payload.json", &file)
}

fn places() -> Vec<Value> {
    let two = [[0], [1]].iter().enumerate().map(|(index, path)| json!([2, index, path]));
    let four = [[0, 0], [0, 1], [1, 0], [1, 1]];
    two.chain(four.iter().enumerate().map(|(index, path)| json!([4, index, path]))).collect()
}

fn head(way: u8, (count, index): (u8, u8)) -> u8 {
    16 * way + 4 * (count - 1) + index
}

/// Pictures with headers of section 3. What is in the temporal unit nobody looks at here.
fn alternating() -> Vec<Value> {
    [
        ("key-frame", (2, 0), 0, 0, true, 0, "0a0b32020102"),
        ("key-frame-later", (4, 3), 1 << 40, 0, true, 127, "3201ff"),
        ("good", (2, 1), 9, 1, true, 41, "32020304"),
        ("good-after-low-ones", (4, 1), 300, 4, true, 40, "3a0105"),
        ("low", (2, 0), 5, 3, false, 77, "320109"),
        ("as-far-back-as-can-be", (4, 2), 255, 255, false, 1, "00"),
    ]
    .map(|(id, place, frame, back, is_kept, level, unit): (_, _, u64, u8, _, u8, &str)| {
        let header = [head(1, place), back, u8::from(is_kept) << 7 | level];
        let refers_to = (back > 0).then(|| (frame - u64::from(back)).to_string());
        json!({
            "id": id, "count": place.0, "index": place.1, "frame": frame.to_string(), "refers_to": refers_to, "is_kept": is_kept,
            "level": level, "unit": format!("1200{unit}"), "payload": hex(&header) + unit,
        })
    })
    .into()
}

struct Layer {
    place: [u8; 3],
    class: &'static str,
    needed: u8,
    len: usize,
}

const fn layer(place: [u8; 3], class: &'static str, needed: u8, len: usize) -> Layer {
    Layer { place, class, needed, len }
}

/// Frames in layers that are shared out.
fn frames() -> Outcome<Vec<Value>> {
    let frame = |id: &str, count: u8, layers: &[Layer]| -> Outcome<Value> {
        let payloads = payloads(count, layers)?;
        let said: Vec<Value> = layers
            .iter()
            .map(
                |own| json!({ "layer": own.place, "class": own.class, "needed": own.needed, "len": own.len }),
            )
            .collect();
        let said_of = |payload: &Vec<u8>| match payload.len() {
            0..=SHOWN => hex(payload),
            _ => hex(&Sha256::digest(payload)),
        };
        let (lens, bytes): (Vec<usize>, Vec<String>) =
            payloads.iter().map(|payload| (payload.len(), said_of(payload))).unzip();
        Ok(json!({ "id": id, "count": count, "pictures": said, "lens": lens, "payloads": bytes }))
    };
    [
        frame("one-layer", 2, &[layer([0, 0, 0], "key-frame", 1, 5)]),
        frame(
            "two-resolutions-of-two",
            2,
            &[layer([0, 0, 0], "plain", 1, 33), layer([1, 0, 0], "plain", 2, 101)],
        ),
        frame(
            "two-resolutions-of-four",
            4,
            &[layer([0, 0, 0], "key-frame", 1, 40), layer([1, 0, 0], "switch-point", 3, 200)],
        ),
        frame(
            "two-qualities-in-a-rate",
            4,
            &[layer([0, 2, 0], "discardable", 1, 7), layer([0, 2, 1], "discardable", 4, 193)],
        ),
        frame(
            "four-layers",
            4,
            &[0, 1, 2, 3].map(|step| layer([step, 0, 0], "plain", 1 + step, 64 + usize::from(step))),
        ),
        frame("shorter-than-shares", 4, &[layer([0, 0, 0], "plain", 3, 1), layer([1, 0, 0], "plain", 3, 2)]),
        frame("as-long-as-a-block", 2, &[layer([0, 0, 0], "plain", 2, 2 * PIECE)]),
        frame("a-byte-longer-than-a-block", 4, &[layer([0, 0, 0], "plain", 3, 3 * PIECE + 1)]),
        frame("two-blocks-and-a-half", 4, &[layer([0, 0, 0], "plain", 2, 5 * PIECE + 77)]),
    ]
    .into_iter()
    .collect()
}

fn content(layer: usize, len: usize) -> Vec<u8> {
    (0..len).map(|n| (31 * n + n * n / 7 + 5 * layer) as u8).collect()
}

fn payloads(count: u8, layers: &[Layer]) -> Outcome<Vec<Vec<u8>>> {
    let mut payloads: Vec<Vec<u8>> = (0..count).map(|index| vec![head(2, (count, index))]).collect();
    for (at, layer) in layers.iter().enumerate() {
        let [spatial, temporal, quality] = layer.place;
        let class = ["plain", "discardable", "switch-point", "key-frame"]
            .iter()
            .position(|name| *name == layer.class);
        let class = class.ok_or("an unknown class")? as u8;
        for payload in &mut payloads {
            payload.extend([64 * spatial + 16 * temporal + quality, 16 * class + layer.needed]);
            payload.extend(&(layer.len as u32).to_be_bytes()[1..]);
        }
        let data = content(at, layer.len);
        let needed = usize::from(layer.needed);
        for block in data.chunks(if needed == 1 { data.len() } else { needed * PIECE }) {
            for (payload, piece) in payloads.iter_mut().zip(pieces(block, needed, count)?) {
                payload.extend(piece);
            }
        }
    }
    Ok(payloads)
}

/// What each share has of a block.
fn pieces(block: &[u8], needed: usize, count: u8) -> Outcome<Vec<Vec<u8>>> {
    if needed == 1 {
        return Ok(vec![block.to_vec(); count.into()]);
    }
    let piece = block.len().div_ceil(needed);
    let size = piece.next_multiple_of(64);
    let mut object = Vec::new();
    for n in 0..needed {
        let from = (n * piece).min(block.len());
        object.extend(&block[from..block.len().min(from + piece)]);
        object.resize((n + 1) * size, 0);
    }
    let repair = u32::from(count) - needed as u32;
    let mut encoder = Encoder::new(SymbolSize::new(size as u32)?);
    let symbols = encoder.encode_block(&object, repair)?;
    Ok(symbols.symbols().map(|(_, symbol)| symbol[..piece].to_vec()).collect())
}

/// Payloads that have to be refused, whatever came before.
fn negative() -> Outcome<Vec<Value>> {
    let two =
        payloads(2, &[layer([0, 0, 0], "plain", 1, 3), layer([1, 0, 0], "plain", 2, 4)])?.swap_remove(0);
    let cut = |len: usize| hex(&two[..len]);
    Ok([
        ("empty", (2, 0), 5, String::new()),
        ("an-unknown-way", (2, 0), 5, "34058332".into()),
        ("of-three", (2, 0), 5, "18058332".into()),
        ("of-four-and-not-of-two", (2, 0), 5, "1c018332".into()),
        ("another-index", (2, 0), 5, "15018332".into()),
        ("an-index-that-two-do-not-have", (2, 1), 5, "16018332".into()),
        ("picture-header-cut", (2, 0), 5, "1401".into()),
        ("no-picture", (2, 0), 5, "140183".into()),
        ("before-the-first-frame", (2, 0), 5, "14068332".into()),
        ("key-frame-that-is-not-kept", (2, 0), 5, "14000332".into()),
        ("no-layer", (2, 0), 5, "24".into()),
        ("layer-head-cut", (2, 0), 5, cut(two.len() - 4)),
        ("share-cut", (2, 0), 5, cut(two.len() - 1)),
        ("bytes-left-over", (2, 0), 5, hex(&two) + "00"),
        ("an-unknown-class", (2, 0), 5, "24004100000177".into()),
        ("more-shares-than-there-are", (2, 0), 5, "24000300000377".into()),
        ("no-share-needed", (2, 0), 5, "24000000000177".into()),
        ("a-layer-of-no-bytes", (2, 0), 5, "240001000000".into()),
        ("a-layer-of-more-than-1-mib", (2, 0), 5, "240001100001".into()),
        ("layers-out-of-order", (2, 0), 5, "24400100000177000100000177".into()),
        ("a-layer-twice", (2, 0), 5, "24000100000177000100000177".into()),
        ("two-temporal-layers", (2, 0), 5, "24000100000177500100000177".into()),
        ("five-layers", (2, 0), 5, "24".to_owned() + &["00", "01", "02", "03", "04"].map(|at| at.to_owned() + "0100000177").concat()),
    ]
    .map(|(id, (count, index), frame, payload)| {
        json!({ "id": id, "error": "malformed", "count": count, "index": index, "frame": frame.to_string(), "payload": payload })
    })
    .into())
}
