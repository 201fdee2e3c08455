//! From the publisher through links to the content: authenticate, then replay, then dedup, then everything else.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_wire::{
    AwsLc, ChunkHeader, Content, Dedup, Error, FrameDuration, HEADER_LEN, HopKeys, HopReceiver, HopSender,
    HopSuite, Inner, Keyring, LinkRefusal, Object, ObjectFlags, Opener, SealedChunk, Sealer, StreamKeys,
};
use core::time::Duration;
use core_types::{
    ChunkSeq, CodecId, Epoch, Layer, LeafIndex, Marks, MediaTime, MonoTime, ObjectSeq, StreamId,
};

const STREAM: StreamId = StreamId([9; 32]);

fn keys(stream: StreamId) -> StreamKeys {
    StreamKeys::derive(&[1; 32], stream, LeafIndex(0)).unwrap()
}

fn publisher(stream: u8) -> Sealer {
    let stream = StreamId([stream; 32]);
    Sealer::new(keys(stream), stream, Epoch(1), CodecId::Opus)
}

/// One parent's link: `n` makes its key.
fn link(n: u8, suite: fn(HopKeys) -> HopSuite) -> (HopSender, HopReceiver) {
    let keys = || HopKeys::<AwsLc>::new(&[n; 32], &[n; 12]).unwrap();
    (HopSender::new(suite(keys())), HopReceiver::new(suite(keys())))
}

fn send(sender: &mut HopSender, chunk: &[u8]) -> Vec<u8> {
    let mut out = vec![0; chunk.len() + HopSender::<AwsLc>::MAX_GROWTH];
    let len = sender.seal_into(&SealedChunk::parse(chunk).unwrap(), &mut out).unwrap();
    out.truncate(len);
    out
}

fn chunks(sealer: &mut Sealer, count: u64) -> Vec<Vec<u8>> {
    let one = |n| sealer.seal(Layer::BASE, &Inner::Object { seq: ObjectSeq(n), bytes: b"payload" }).unwrap();
    (0..count).map(one).collect()
}

/// A parent, or somebody between, that sends rubbish under the numbers to come must not make the real chunks look like
/// repeats.
#[test]
fn defect_dedup_before_authentication() {
    let mut dedup = Dedup::new(4);
    let ((mut honest, mut from_honest), (mut liar, _)) = (link(1, HopSuite::Full), link(2, HopSuite::Full));
    let mut new = 0;
    for chunk in chunks(&mut publisher(9), 50) {
        let mut forged = send(&mut liar, &chunk);
        let refused = from_honest.open(&mut forged).map(|fresh| dedup.first(fresh).is_ok());
        assert!(matches!(refused, Err(Error::Link { why: LinkRefusal::NotAuthentic, .. })));
        let mut real = send(&mut honest, &chunk);
        dedup.first(from_honest.open(&mut real).unwrap()).unwrap();
        new += 1;
    }
    assert_eq!(new, 50);
}

#[test]
fn of_several_parents_the_first_counts_whatever_the_order() {
    let mut dedup = Dedup::new(4);
    let mut links: Vec<_> = (0..3).map(|n| link(n, HopSuite::Bind)).collect();
    let mut opener: Opener = Opener::new(keys(STREAM), STREAM, Epoch(1));
    let mut opened = 0;
    let all = chunks(&mut publisher(9), 60);
    for start in (0..60).step_by(3) {
        for (parent, (sender, receiver)) in links.iter_mut().enumerate() {
            for turn in 0..3 {
                let mut datagram = send(sender, &all[start + (turn + parent) % 3]);
                match dedup.first(receiver.open(&mut datagram).unwrap()) {
                    Ok(first) => {
                        let header = *first.chunk().header();
                        let mut fresh = first.into_inner();
                        opener.open_body(header, fresh.body_mut()).unwrap();
                        opened += 1;
                    }
                    Err(error) => assert!(matches!(error, Error::Replayed { .. })),
                }
            }
        }
    }
    assert_eq!(opened, 60);
}

#[test]
fn numbers_are_told_apart_by_epoch_and_old_epochs_are_over() {
    let mut dedup = Dedup::new(1);
    let mut is_new = |epoch: u64, seq: u64| {
        let header = ChunkHeader {
            stream_id: StreamId([3; 32]),
            epoch: Epoch(epoch),
            chunk_seq: ChunkSeq(seq),
            codec: CodecId::Opus,
            layer: Layer::BASE,
            marks: Marks::NONE,
        };
        let mut chunk = header.to_bytes().unwrap().to_vec();
        chunk.resize(HEADER_LEN + 40, 0);
        let link = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        dedup.first_chunk(link.take_whole(chunk).unwrap()).is_ok()
    };
    assert!(is_new(5, 0) && !is_new(5, 0));
    assert!(is_new(4, 0), "an epoch before it may still be under way");
    assert!(is_new(6, 0) && is_new(7, 0));
    assert!(!is_new(4, 1), "the fourth newest epoch is over");
    assert!(!is_new(7, 0));
}

/// What a peer can make dedup remember is bounded: streams, and epochs of each.
#[test]
fn defect_unbounded_dedup() {
    let mut dedup = Dedup::new(2);
    let (mut sender, mut receiver) = link(1, HopSuite::Full);
    let mut first = |stream: u8, epoch: u64| {
        let stream = StreamId([stream; 32]);
        let mut sealer = Sealer::new(keys(stream), stream, Epoch(epoch), CodecId::Opus);
        let mut datagram = send(&mut sender, &chunks(&mut sealer, 1)[0]);
        dedup.first(receiver.open(&mut datagram).unwrap()).is_ok()
    };
    assert!(first(1, 1) && first(2, 1) && !first(1, 1) && !first(2, 1));
    assert!(first(3, 1), "takes the place of stream 1, which was silent for longest");
    assert!(!first(2, 1), "still known");
    assert!(first(1, 1), "was forgotten");
    assert!(first(1, 2) && first(1, 3) && first(1, 4));
    assert!(!first(1, 1), "the fourth newest epoch counts as seen");
    assert!(!first(1, 2), "the third newest is known");
}

/// A relay of a relay: the inner bytes are the same on every tier, and no link sees the key of another.
#[test]
fn inner_bytes_are_the_same_on_every_tier() {
    let sent = chunks(&mut publisher(9), 30);
    let mut tiers =
        [link(1, HopSuite::Full), link(2, HopSuite::Bind), link(3, |_| HopSuite::TransportSealed)];
    let mut ring: Keyring = Keyring::new(STREAM);
    ring.install(MonoTime(0), Epoch(1), &[1; 32], LeafIndex(0)).unwrap();
    for chunk in sent {
        let mut whole = chunk.clone();
        for (sender, receiver) in &mut tiers {
            let mut datagram = send(sender, &whole);
            let fresh = receiver.open(&mut datagram).unwrap();
            assert_eq!([&whole[..52], fresh.body()].concat(), chunk);
            whole.clear();
            fresh.write(&mut whole);
        }
        let (header, body) = (*SealedChunk::parse(&whole).unwrap().header(), &mut whole[52..]);
        ring.open_body(MonoTime(1), header, body).unwrap();
    }
}

/// Suite `bind` does not look at the payload: who alters it is found out where the inner seal is opened.
#[test]
fn bind_leaves_the_payload_to_the_inner_seal() {
    let (mut sender, mut receiver) = link(1, HopSuite::Bind);
    let mut opener: Opener = Opener::new(keys(STREAM), STREAM, Epoch(1));
    let mut datagram = send(&mut sender, &chunks(&mut publisher(9), 1)[0]);
    datagram[61] ^= 1;
    let mut fresh = receiver.open(&mut datagram).unwrap();
    let header = *fresh.header();
    assert!(matches!(opener.open_body(header, fresh.body_mut()), Err(Error::Authentication { .. })));

    let mut cut = send(&mut sender, &chunks(&mut publisher(9), 1)[0]);
    cut.remove(61);
    assert!(receiver.open(&mut cut).is_err(), "the length is under the tag");
}

/// What a 60-byte Opus packet costs on a sealed link, all in: at most 46 bytes, from the first minute on and five hours in.
#[test]
fn an_opus_frame_costs_at_most_46_bytes_more() {
    let regular = FrameDuration::from_duration(Duration::from_millis(20));
    for suite in [HopSuite::Full as fn(HopKeys) -> HopSuite, HopSuite::Bind] {
        let (mut sender, mut receiver) = link(1, suite);
        let mut sealer = publisher(9);
        let mut opener: Opener = Opener::new(keys(STREAM), STREAM, Epoch(1));
        let (mut chunk, mut datagram, mut sum) = ([0; 300], [0; 300], 0);
        for first in [0, 900_000] {
            for seq in first..first + 1_024u64 {
                let object = Object {
                    flags: ObjectFlags { key_frame: true, ..ObjectFlags::default() },
                    pts: MediaTime(seq * 20_000),
                    duration: Duration::from_millis(20),
                    picture: None,
                    payload: &[0x5a; 60],
                };
                let content = Content::object(ObjectSeq(seq), &object, regular).unwrap();
                let len = sealer.seal_into(Layer::BASE, &content, &mut chunk).unwrap();
                let len =
                    sender.seal_into(&SealedChunk::parse(&chunk[..len]).unwrap(), &mut datagram).unwrap();
                assert!(datagram[0] & 0x80 != 0 || len - 60 <= 46, "object {seq}: {} bytes", len - 60);
                sum += len - 60;

                let mut fresh = receiver.open(&mut datagram[..len]).unwrap();
                let header = *fresh.header();
                let Inner::Object { bytes, .. } = opener.open_body(header, fresh.body_mut()).unwrap().inner
                else {
                    panic!("an object");
                };
                assert_eq!(Object::parse_at(bytes, ObjectSeq(seq), regular).unwrap(), object);
            }
        }
        assert!(sum <= 46 * 2_048, "{} bytes for each, whole headers included", sum as f64 / 2_048.0);
    }
}
