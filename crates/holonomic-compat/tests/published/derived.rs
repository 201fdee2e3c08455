//! Values that were derived from the layouts by another program: chunks, the wide capacity, the order of retention.

use crate::fields::Fields;
use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Key};
use alm::{Commitment, SubStreamPath};
use core_types::{BitRate, ChunkSeq, CodecId, Epoch, Layer, StreamId, SymbolId, WallTime};
use holonomic_compat::capacity::{self, RelayCapacity};
use holonomic_compat::chunk::{self, Nonce};
use holonomic_compat::{PeerName, domain};
use symbol_store::Retention;

pub(crate) fn check(fields: &mut Fields) {
    for mut case in fields.list("inner_nonce") {
        let (stream, epoch, number) = place(&mut case);
        assert_eq!(chunk::inner_nonce(stream, epoch, number), Nonce(case.array("nonce")));
        case.finish();
    }
    for mut case in fields.list("outer_nonce") {
        let link = case.hex("link_id");
        assert_eq!(chunk::outer_nonce(&link, case.number("link_seq")), Nonce(case.array("nonce")));
        case.finish();
    }
    let mut seal = fields.object("full_seal");
    whole_chunk(&mut seal);
    seal.finish();
    for mut case in fields.list("relay_capacity_v2_wide") {
        wide(&mut case);
        case.finish();
    }
    for mut case in fields.list("relay_capacity_v2_narrow") {
        let name = case.text("key_id");
        let uplink = BitRate::from_kbit(case.number("uplink_mbps") * 1_000);
        let bytes = capacity::narrow(PeerName(&name), uplink, Epoch(case.number("epoch"))).unwrap();
        assert_eq!(bytes, case.hex("hex"));
        case.finish();
    }
    for mut case in fields.list("retention_priority") {
        let layer = Layer { spatial: small(&mut case, "svc"), ..Layer::BASE };
        let id = SymbolId::new(case.number("id").try_into().unwrap()).unwrap();
        let priority = Retention::of(layer, id, case.number("n").try_into().unwrap());
        assert_eq!(priority, Retention(small(&mut case, "p")));
        case.finish();
    }
}

fn small(case: &mut Fields, name: &str) -> u8 {
    case.number(name).try_into().unwrap()
}

fn place(case: &mut Fields) -> (StreamId, Epoch, ChunkSeq) {
    (StreamId(case.array("stream_id")), Epoch(case.number("epoch")), ChunkSeq(case.number("chunk_seq")))
}

/// Two seals around a text, made here: the crate does not offer to.
fn whole_chunk(case: &mut Fields) {
    let (stream, epoch, number) = place(case);
    let codec = CodecId::try_from(small(case, "codec_id")).unwrap();
    let layer = case.numbers("layer").into_iter().map(|axis| axis.try_into().unwrap()).collect::<Vec<u8>>();
    let layer = Layer { spatial: layer[0], temporal: layer[1], quality: layer[2] };
    let inner_nonce = chunk::inner_nonce(stream, epoch, number);
    let inner = seal(&case.array("epoch_dek"), inner_nonce, &case.hex("plaintext"));
    assert_eq!(inner, case.hex("inner_ciphertext"));
    let outer_nonce = chunk::outer_nonce(&case.hex("link_id"), case.number("link_seq"));
    let outer = seal(&case.array("transit_key"), outer_nonce, &inner);
    assert_eq!(outer, case.hex("outer_ciphertext"));
    let header = chunk::header(stream, epoch, number, codec, layer);
    assert_eq!([&header[..], &outer].concat(), case.hex("wire"));
}

fn seal(key: &[u8; 32], nonce: Nonce, plaintext: &[u8]) -> Vec<u8> {
    let key: &Key<Aes256Gcm> = key.into();
    Aes256Gcm::new(key).encrypt(&nonce.0.into(), plaintext).unwrap()
}

/// The file says what the bytes are and not what they were made of: this is what.
fn wide(case: &mut Fields) {
    let expected = case.hex("hex");
    assert_eq!(case.number("len"), expected.len() as u64);
    let commitments = [(&[][..], 5_000, 8), (&[0, 1], 2_500, 4)].map(|(path, kbit, max_subscribers)| {
        Commitment { path: SubStreamPath(path.to_vec()), budget: BitRate::from_kbit(kbit), max_subscribers }
    });
    let count = usize::try_from(case.number("n_commitments")).unwrap();
    let capacity = RelayCapacity {
        stream: StreamId([0x11; 32]),
        epoch: Epoch(1),
        uplink: BitRate::from_kbit(10_000),
        max_streams: 4,
        max_subscribers: 16,
        measured_at: WallTime(1_700_000_000_000),
        layers: Layer { spatial: 2, temporal: 2, quality: 2 },
        commitments: commitments[..count].to_vec(),
    };
    let bytes = capacity::wide(&capacity).unwrap();
    assert!(bytes.starts_with(&domain::RELAY_CAPACITY));
    assert_eq!(bytes, expected);
}
