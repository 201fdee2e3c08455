//! What sealing and opening promise, and which old mistakes stay away.

use super::*;
use crate::Portable;
use core_types::{Layer, Marks, ObjectClass, ObjectSeq};
use proptest::prelude::*;

const STREAM: StreamId = StreamId([9; 32]);

fn pair(secret: u8, leaf: u32, epoch: u64) -> (Sealer, Opener) {
    let keys = || StreamKeys::derive(&[secret; 32], STREAM, LeafIndex(leaf)).unwrap();
    (Sealer::new(keys(), STREAM, Epoch(epoch), CodecId::Av1), Opener::new(keys(), STREAM, Epoch(epoch)))
}

fn object(bytes: &[u8]) -> Inner<'_> {
    Inner::Object { seq: ObjectSeq(5), bytes }
}

proptest! {
    #[test]
    fn any_flipped_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, bit in 0u8..8) {
        let (mut sealer, mut opener) = pair(1, 0, 4);
        let chunk = sealer.seal(Layer::BASE, &object(&payload)).unwrap();
        let mut altered = chunk.clone();
        altered[at.index(chunk.len())] ^= 1 << bit;
        prop_assert!(opener.open(&mut altered).is_err());
        // The forgery left no trace: the real chunk still opens.
        let mut chunk = chunk;
        prop_assert_eq!(opener.open(&mut chunk).unwrap().inner, object(&payload));
    }

    #[test]
    fn opening_arbitrary_bytes_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_, mut opener) = pair(1, 0, 4);
        prop_assert!(opener.open(&mut bytes).is_err());
    }
}

#[test]
fn every_chunk_has_its_own_number_and_opens_once() {
    let (mut sealer, mut opener) = pair(1, 0, 4);
    for number in 0..10 {
        assert_eq!(sealer.next_seq(), ChunkSeq(number));
        let chunk = sealer.seal(Layer::BASE, &object(b"same content")).unwrap();
        assert_eq!(opener.open(&mut chunk.clone()).unwrap().header.chunk_seq, ChunkSeq(number));
        assert!(matches!(opener.open(&mut chunk.clone()), Err(Error::Replayed { .. })));
    }
}

#[test]
fn two_senders_of_one_stream_id_do_not_share_a_key() {
    let (mut alice, _) = pair(1, 0, 4);
    let (_, mut opens_bob) = pair(1, 1, 4);
    let mut chunk = alice.seal(Layer::BASE, &object(b"x")).unwrap();
    assert!(matches!(opens_bob.open(&mut chunk), Err(Error::Authentication { .. })));
}

#[test]
fn another_epoch_or_secret_does_not_open() {
    let (mut sealer, _) = pair(1, 0, 4);
    let chunk = sealer.seal(Layer::BASE, &object(b"x")).unwrap();
    let (_, mut other_epoch) = pair(1, 0, 5);
    let (_, mut other_secret) = pair(2, 0, 4);
    assert!(matches!(other_epoch.open(&mut chunk.clone()), Err(Error::WrongKeys { .. })));
    assert!(matches!(other_secret.open(&mut chunk.clone()), Err(Error::Authentication { .. })));
}

#[test]
fn the_sealer_refuses_to_go_on_at_its_limit() {
    let (mut sealer, _) = pair(1, 0, 4);
    sealer.next = MAX_CHUNK_SEQ - 1;
    assert!(sealer.seal(Layer::BASE, &object(b"last")).is_ok());
    assert!(matches!(sealer.seal(Layer::BASE, &object(b"one more")), Err(Error::Exhausted { .. })));
}

#[test]
fn oversized_content_is_refused_and_costs_no_number() {
    let (mut sealer, _) = pair(1, 0, 4);
    let content = vec![0; MAX_CHUNK_LEN];
    assert!(matches!(sealer.seal(Layer::BASE, &object(&content)), Err(Error::TooLarge { .. })));
    assert_eq!(sealer.next_seq(), ChunkSeq(0));
}

#[test]
fn both_implementations_make_the_same_chunk() {
    let fast: StreamKeys<AwsLc> = StreamKeys::derive(&[3; 32], STREAM, LeafIndex(2)).unwrap();
    let portable: StreamKeys<Portable> = StreamKeys::derive(&[3; 32], STREAM, LeafIndex(2)).unwrap();
    let mut a = Sealer::new(fast, STREAM, Epoch(1), CodecId::Opus);
    let mut b = Sealer::new(portable, STREAM, Epoch(1), CodecId::Opus);
    assert_eq!(a.seal(Layer::BASE, &object(b"x")).unwrap(), b.seal(Layer::BASE, &object(b"x")).unwrap());
}

#[test]
fn debug_output_shows_no_key() {
    let (sealer, _) = pair(0x41, 0, 4);
    let text = format!("{sealer:?}");
    assert!(text.contains("redacted"), "{text}");
}

fn resumed(mark: &[u8; HighWater::LEN]) -> Sealer {
    let keys = StreamKeys::derive(&[1; 32], STREAM, LeafIndex(0)).unwrap();
    Sealer::resume(keys, CodecId::Av1, HighWater::from_bytes(mark).unwrap())
}

/// A restart inside an epoch must not use a number again, wherever the process dies between two steps.
#[test]
fn defect_restart_inside_an_epoch_reuses_numbers() {
    let mut disk = HighWater::start(STREAM, Epoch(4)).to_bytes();
    let mut used = std::collections::HashSet::new();
    for run in 0..20u64 {
        let mut sealer = resumed(&disk);
        assert!(matches!(sealer.seal(Layer::BASE, &object(b"x")), Err(Error::Exhausted { .. })));
        let wanted = sealer.reserve(1 + run).unwrap();
        if run % 5 == 4 {
            // Died before the mark was written: nothing was used either.
            continue;
        }
        let granted = wanted.persist(|mark| {
            disk = *mark;
            Ok::<(), Error>(())
        });
        if run % 7 == 6 {
            // Died between writing and using: those numbers are lost, not reused.
            continue;
        }
        sealer.grant(granted.unwrap()).unwrap();
        // Dies after half of them.
        for _ in 0..sealer.remaining().div_ceil(2) {
            let chunk = sealer.seal(Layer::BASE, &object(b"x")).unwrap();
            assert!(
                used.insert(ChunkHeader::parse(&chunk).unwrap().chunk_seq),
                "run {run} used a number again"
            );
        }
    }
    assert!(used.len() > 50);
}

#[test]
fn a_reservation_that_could_not_be_stored_grants_nothing() {
    let mut sealer = resumed(&HighWater::start(STREAM, Epoch(4)).to_bytes());
    assert_eq!(sealer.reserve(10).unwrap().persist(|_| Err("disk full")).unwrap_err(), "disk full");
    assert!(sealer.seal(Layer::BASE, &object(b"x")).is_err());
}

#[test]
fn reservations_are_granted_once_in_order_and_to_their_own_sealer() {
    let stored = |r: Reservation| r.persist(|_| Ok::<(), Error>(())).unwrap();
    let mut sealer = resumed(&HighWater::start(STREAM, Epoch(4)).to_bytes());
    let (one, overtaken) = (sealer.reserve(3).unwrap(), sealer.reserve(5).unwrap());
    sealer.grant(stored(one)).unwrap();
    assert!(sealer.grant(stored(overtaken)).is_err(), "it covers numbers that are granted already");
    assert_eq!(sealer.remaining(), 3);
    let mut other = resumed(&HighWater::start(STREAM, Epoch(5)).to_bytes());
    assert!(sealer.grant(stored(other.reserve(3).unwrap())).is_err());
    let all = stored(other.reserve(u64::MAX).unwrap());
    other.grant(all).unwrap();
    assert_eq!(other.remaining(), MAX_CHUNK_SEQ);
    assert!(matches!(other.reserve(1), Err(Error::Exhausted { .. })));
}

#[test]
fn sealing_into_a_buffer_makes_the_same_chunk_and_checks_the_room() {
    let (mut a, _) = pair(1, 0, 4);
    let (mut b, _) = pair(1, 0, 4);
    let inner = object(b"some payload");
    let content = Content::new(&inner).unwrap();
    let expected = a.seal(Layer::BASE, &inner).unwrap();
    let mut out = vec![0xee; expected.len() + 3];
    assert!(matches!(
        b.seal_into(Layer::BASE, &content, &mut out[..expected.len() - 1]),
        Err(Error::Truncated { .. })
    ));
    assert_eq!(b.next_seq(), ChunkSeq(0), "a refusal costs no number");
    assert_eq!(b.seal_into(Layer::BASE, &content, &mut out), Ok(expected.len()));
    assert_eq!((&out[..expected.len()], &out[expected.len()..]), (&expected[..], &[0xee; 3][..]));
}

#[test]
fn marks_are_under_the_seal_and_impossible_places_cost_no_number() {
    let (mut sealer, mut opener) = pair(1, 0, 4);
    let marks = |start, repair| Marks { class: ObjectClass::KeyFrame, start, repair };
    let place = |quality, marks| Place { layer: Layer { quality, ..Layer::BASE }, marks };
    for bad in [place(0, marks(true, true)), place(16, Marks::NONE)] {
        assert!(sealer.seal(bad, &object(b"x")).is_err());
    }
    assert_eq!(sealer.next_seq(), ChunkSeq(0));
    for (number, good) in [place(15, marks(true, false)), place(0, marks(false, true))].iter().enumerate() {
        let mut chunk = sealer.seal(*good, &object(b"x")).unwrap();
        assert_eq!(chunk[51], good.marks.bits() << 4 | good.layer.quality);
        let header = opener.open(&mut chunk).unwrap().header;
        assert_eq!((header.layer, header.marks), (good.layer, good.marks), "{number}");
    }
}

/// A header that a hop rewrote must not pass: codec, layer and marks are under the seal.
#[test]
fn defect_header_not_authenticated() {
    for (at, bits) in [(0, 1), (39, 1), (47, 1), (48, 2), (49, 1), (50, 1), (51, 1), (51, 0x30), (51, 0x80)] {
        let (mut sealer, mut opener) = pair(1, 0, 4);
        let mut chunk = sealer.seal(Layer::BASE, &object(b"x")).unwrap();
        chunk[at] ^= bits;
        assert!(opener.open(&mut chunk).is_err(), "byte {at}");
    }
}

/// Two publishers of one session, and one publisher's two streams and two epochs, never share key and nonce.
#[test]
fn defect_nonce_without_the_sender() {
    let sealed = |stream: [u8; 32], leaf, secret| {
        let keys: StreamKeys = StreamKeys::derive(&[secret; 32], StreamId(stream), LeafIndex(leaf)).unwrap();
        let mut sealer = Sealer::new(keys, StreamId(stream), Epoch(1), CodecId::Av1);
        sealer.seal(Layer::BASE, &object(&[0; 64])).unwrap()[HEADER_LEN..].to_vec()
    };
    let bodies = [sealed([1; 32], 0, 1), sealed([1; 32], 1, 1), sealed([2; 32], 0, 1), sealed([1; 32], 0, 2)];
    for (n, body) in bodies.iter().enumerate() {
        assert!(bodies[n + 1..].iter().all(|other| other[..64] != body[..64]), "{n} shares its key stream");
    }
}
