//! What comes of chunks.

use super::*;
use crate::publish::{OutStream, RepairShare, announce};
use alm::delivery::Verdict;
use av_wire::{HighWater, Sealer, StreamKeys};
use core_types::{CodecId, KeyId, LeafIndex, StripeSet};
use identity::{Identity, Seed};

const UNCAPPED: LayerPolicy = LayerPolicy::UNCAPPED;

fn streams() -> (OutStream, InStream) {
    streams_for(4)
}

fn streams_for(parents: u8) -> (OutStream, InStream) {
    let identity = Identity::from_seed(&Seed([1; 64])).unwrap();
    let announce = announce(StreamKind::Video, identity.key_id(), parents);
    let incoming = InStream::new(announce.clone(), identity.public(), Proofs::Flag, UNCAPPED).unwrap();
    (OutStream::new(StreamKind::Video, announce, &identity).unwrap(), incoming)
}

fn frame(stream: &mut OutStream, content: &[u8]) -> Vec<Bytes> {
    let object = Object {
        flags: ObjectFlags::default(),
        pts: MediaTime(40_000),
        duration: Duration::from_millis(40),
        picture: None,
        payload: content,
    };
    stream.seal(MonoTime(0), &object).unwrap().chunks
}

fn feed(stream: &mut InStream, chunks: &[Bytes]) -> Vec<Received> {
    chunks.iter().for_each(|chunk| stream.handle_chunk(MonoTime(1), LinkId(1), chunk, chunk.len()));
    played(stream)
}

fn played(stream: &mut InStream) -> Vec<Received> {
    std::iter::from_fn(|| stream.proofs.poll_object()).collect()
}

#[test]
fn a_frame_comes_out_whole_whichever_parent_is_missing() {
    for missing in 0..4u64 {
        let (mut out, mut incoming) = streams();
        out.enter_epoch(Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
        incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
        for len in [1, 900, 3_000, 9_999, 40_000] {
            let content: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let chunks: Vec<Bytes> = frame(&mut out, &content)
                .into_iter()
                .filter(|chunk| ChunkHeader::parse(chunk).unwrap().chunk_seq.0 % 4 != missing)
                .collect();
            let received = feed(&mut incoming, &chunks);
            assert_eq!(received.len(), 1, "{len} bytes without parent {missing}");
            assert_eq!(received[0].payload, content);
        }
    }
}

#[test]
fn what_one_parent_leaves_out_of_a_whole_picture_is_not_asked_for() {
    let (mut out, mut incoming) = streams_for(1);
    out.set_repair(RepairShare::from_permille(400));
    out.enter_epoch(Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    incoming.subscription.add_parent(MonoTime(0), LinkId(1));
    while incoming.subscription.poll_action().is_some() {}
    for _ in 0..20 {
        let chunks = frame(&mut out, &[5; 9_999]);
        assert_eq!(chunks.len(), 14, "ten source symbols and four for repair");
        // The hop loses nothing, so it is sent one of the four.
        assert_eq!(feed(&mut incoming, &chunks[..11]).len(), 1);
    }
    assert_eq!(incoming.subscription.stats().missing, 0, "what is kept back is no loss");
    incoming.handle_timeout(MonoTime::from_millis(500));
    assert_eq!(incoming.subscription.poll_action(), None);
    // A source symbol that is missing from one that is not whole is asked for.
    let chunks = frame(&mut out, &[6; 9_999]);
    assert!(feed(&mut incoming, &[&chunks[..5], &chunks[6..10]].concat()).is_empty());
    incoming.handle_timeout(MonoTime::from_millis(1_000));
    let action = incoming.subscription.poll_action();
    let Some(alm::Action::Request { chunks: wanted, .. }) = action else { panic!("{action:?}") };
    assert_eq!(wanted, [ChunkSeq(20 * 14 + 5)]);
}

#[test]
fn what_is_passed_on_is_what_was_opened_and_each_once() {
    let (mut out, mut incoming) = streams();
    out.enter_epoch(Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    let chunks = frame(&mut out, &[9; 3_000]);
    feed(&mut incoming, &chunks);
    assert!(incoming.take_opened().is_empty(), "nobody asked for it");
    incoming.keep_opened();
    let chunks = frame(&mut out, &[9; 3_000]);
    let mut forged = chunks[1].to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let (first, others) = chunks.split_first().unwrap();
    feed(&mut incoming, &[first.clone(), Bytes::from(forged), first.clone()]);
    feed(&mut incoming, others);
    assert_eq!(incoming.take_opened(), chunks);
    assert!(incoming.take_opened().is_empty());
}

/// A chunk under a number of its choice, by one that has the group's key.
fn forged(stream: StreamId, seq: u64) -> Bytes {
    let keys = StreamKeys::derive(&[7; 32], stream, LeafIndex(0)).unwrap();
    let mut mark = HighWater::start(stream, Epoch(1)).to_bytes();
    mark[40..].copy_from_slice(&seq.to_be_bytes());
    let mut sealer: Sealer = Sealer::resume(keys, CodecId::Av1, HighWater::from_bytes(&mark).unwrap());
    let granted = sealer.reserve(1).unwrap().persist(|_| Ok::<(), av_wire::Error>(())).unwrap();
    sealer.grant(granted).unwrap();
    sealer.seal(Layer::BASE, &Inner::Object { seq: ObjectSeq(1 << 40), bytes: &[0; 30] }).unwrap().into()
}

#[test]
fn a_number_far_ahead_of_what_the_others_send_is_as_if_it_had_not_come() {
    let (mut out, mut incoming) = streams_for(2);
    out.enter_epoch(Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    incoming.keep_opened();
    (1..=2).for_each(|link| incoming.subscription.add_parent(MonoTime(0), LinkId(link)));
    let mut published = Vec::new();
    for round in 0..5 {
        let chunks = frame(&mut out, &[5; 9_999]);
        for chunk in &chunks {
            let link = LinkId(1 + ChunkHeader::parse(chunk).unwrap().chunk_seq.0 % 2);
            incoming.handle_chunk(MonoTime(1), link, chunk, chunk.len());
        }
        published.extend(chunks);
        assert_eq!(played(&mut incoming).len(), 1, "after {round} that were made up");
        let chunk = forged(out.id(), (1 << 47) + round);
        incoming.handle_chunk(MonoTime(1), LinkId(2), &chunk, chunk.len());
    }
    assert_eq!(incoming.stats.implausible, 5);
    assert_eq!(incoming.take_opened(), published, "nor is it passed on");
}

#[test]
fn a_number_far_ahead_from_the_only_parent_keeps_nothing_out() {
    let (mut out, mut incoming) = streams_for(1);
    out.enter_epoch(Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    feed(&mut incoming, &[forged(out.id(), 1 << 47)]);
    for _ in 0..5 {
        let chunks = frame(&mut out, &[5; 9_999]);
        assert_eq!(feed(&mut incoming, &chunks).len(), 1);
        assert!(feed(&mut incoming, &chunks).is_empty(), "each once");
    }
}

#[test]
fn chunks_that_come_before_their_key_wait_for_it() {
    let (mut out, mut incoming) = streams();
    out.enter_epoch(Epoch(2), &[8; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    let chunks = frame(&mut out, b"early");
    assert!(feed(&mut incoming, &chunks).is_empty());
    incoming.install(MonoTime(0), Epoch(2), &[8; 32], LeafIndex(0)).unwrap();
    assert_eq!(played(&mut incoming)[0].payload, b"early");
    incoming.drain_stash(None);
    assert_eq!(incoming.stats.undecryptable, 0);
}

#[test]
fn a_key_that_never_comes_is_counted() {
    let (mut out, mut incoming) = streams();
    out.enter_epoch(Epoch(2), &[8; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    let chunks = frame(&mut out, b"never");
    feed(&mut incoming, &chunks);
    incoming.drain_stash(None);
    assert_eq!(incoming.stats.undecryptable, chunks.len() as u64);
}

#[test]
fn epochs_before_the_first_are_not_held_against_anybody() {
    let (mut out, mut incoming) = streams();
    out.enter_epoch(Epoch(1), &[6; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(2), &[7; 32], LeafIndex(0)).unwrap();
    let chunks = frame(&mut out, b"before my time");
    assert!(feed(&mut incoming, &chunks).is_empty());
    assert_eq!((incoming.stats.undecryptable, incoming.stats.foreign), (0, chunks.len() as u64));
}

#[test]
fn a_stream_of_another_publisher_is_another_stream() {
    let (out, _) = streams();
    let mut announce = streams().1.announce;
    announce.publisher = KeyId([9; 32]);
    let other = Identity::from_seed(&Seed([9; 64])).unwrap();
    assert_ne!(InStream::new(announce, other.public(), Proofs::Flag, UNCAPPED).unwrap().id, out.id());
}

#[test]
fn streams_that_can_not_be_played_here_are_refused() {
    let identity = Identity::from_seed(&Seed([1; 64])).unwrap();
    for kind in [StreamKind::Video, StreamKind::Audio] {
        let good = announce(kind, identity.key_id(), 4);
        let watch = |announce| InStream::new(announce, identity.public(), Proofs::Flag, UNCAPPED);
        assert!(watch(good.clone()).is_ok());
        for codec in [CodecId::Av1, CodecId::JpegXs, CodecId::Mdc, CodecId::Opus, CodecId::Opaque] {
            let other = StreamAnnounce { codec, ..good.clone() };
            assert_eq!(watch(other).is_ok(), codec == kind.codec(), "{kind:?} as {codec:?}");
        }
        assert!(watch(StreamAnnounce { media: Media::Data, ..good }).is_err());
    }
}

#[test]
fn symbols_of_chunks_that_do_not_authenticate_are_not_used() {
    let (mut out, mut incoming) = streams();
    out.enter_epoch(Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    let content = vec![5; 9_000];
    let chunks = frame(&mut out, &content);
    // Each comes first as somebody on the way altered it: if one of those were used, what comes out would be another picture.
    let forged = chunks.iter().map(|chunk| {
        let mut chunk = chunk.to_vec();
        let middle = chunk.len() / 2;
        chunk[middle] ^= 1;
        Bytes::from(chunk)
    });
    let forged: Vec<Bytes> = forged.collect();
    assert!(feed(&mut incoming, &forged).is_empty());
    assert_eq!(incoming.stats.undecryptable, chunks.len() as u64);
    let received = feed(&mut incoming, &chunks);
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].payload, content);
}

/// It leaves out two thirds of its share, and sends the rest three times.
#[test]
fn what_a_parent_repeats_is_no_part_of_its_share() {
    let (mut out, mut incoming) = streams();
    out.enter_epoch(Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    incoming.install(MonoTime(0), Epoch(1), &[7; 32], LeafIndex(0)).unwrap();
    for link in 0..4 {
        let (share, key) = (StripeSet::new(4, 1 << link).unwrap(), KeyId([link; 32]));
        let link = LinkId(link.into());
        incoming.subscription.add_parent_for(MonoTime(0), link, share);
        incoming.dues.shares.set_share(MonoTime(0), link, key, Duration::ZERO, share.mask());
    }
    let (mut now, mut its) = (MonoTime(0), 0);
    for picture in 1..60 {
        now = MonoTime::from_millis(picture * 40);
        for chunk in frame(&mut out, &[picture as u8; 11_000]) {
            let from = LinkId(ChunkHeader::parse(&chunk).unwrap().chunk_seq.0 % 4);
            let times = if from == LinkId(1) {
                its += 1;
                if its % 3 == 0 { 3 } else { 0 }
            } else {
                1
            };
            (0..times).for_each(|_| incoming.handle_chunk(now, from, &chunk, chunk.len()));
        }
    }
    let verdict =
        |of| incoming.dues.shares.verdicts(now).find(|(parent, _)| *parent == LinkId(of)).unwrap().1;
    assert_eq!(verdict(0), Verdict::Good);
    assert!(matches!(verdict(1), Verdict::Short { .. }), "{:?}", verdict(1));
}
