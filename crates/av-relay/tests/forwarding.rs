//! What comes in goes out: stripes, layers, dedup, sources, bounds, repair.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Carriage, Error, Limits, Quota, Relay, Rest, StartAt, WrongChunk};
use core_types::{
    ChunkSeq, CodecId, Epoch, Layer, LayerPolicy, LinkId, Marks, ObjectClass, StreamId, StripeSet,
};
use kit::{
    SOUND, STREAM, Source, Spec, T0, UP, add, drain, feed, join, ms, numbers, relay, relay_with, spatial,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn chunk(epoch: u64, seq: u64, layer: u8) -> Spec {
    let video = Source::video();
    Spec {
        stream: STREAM,
        codec: CodecId::Av1,
        epoch,
        seq,
        layer: spatial(layer),
        marks: Marks::NONE,
        len: video.len,
    }
}

proptest! {
    #[test]
    fn every_subscriber_gets_its_stripes_and_layers_once_unaltered_and_in_order(
        subscribers in prop::collection::vec((0u16..16, 0u8..3), 1..6),
        arrivals in prop::collection::vec((1u64..3, 0u64..40, 0u8..3), 1..120),
        batch in 1usize..8,
    ) {
        let mut relay = relay();
        for (n, (mask, max_spatial)) in subscribers.iter().enumerate() {
            let policy = LayerPolicy { max_spatial: *max_spatial, ..LayerPolicy::UNCAPPED };
            let link = add(&mut relay, n as u64);
            relay.subscribe(T0, link, STREAM, policy, StripeSet::new(4, *mask).unwrap(), StartAt::Live).unwrap();
        }
        let (mut new, mut seen) = (Vec::new(), BTreeSet::new());
        for (epoch, seq, layer) in &arrivals {
            if seen.insert((*epoch, *seq)) {
                new.push((*seq, *layer, chunk(*epoch, *seq, *layer).bytes()));
            }
        }
        let mut got: BTreeMap<LinkId, Vec<_>> = BTreeMap::new();
        for some in arrivals.chunks(batch) {
            let specs: Vec<Spec> = some.iter().map(|(e, q, s)| chunk(*e, *q, *s)).collect();
            feed(&mut relay, T0, &specs);
            while let Some(link) = relay.poll_ready() {
                let burst = relay.pull(T0, link, usize::MAX, usize::MAX);
                prop_assert_eq!(burst.rest(), Rest::Nothing);
                got.entry(link).or_default().extend(burst.kept().map(|kept| kept.bytes().clone()));
            }
        }
        for (n, (mask, max_spatial)) in subscribers.iter().enumerate() {
            let expected: Vec<_> = new.iter()
                .filter(|(seq, layer, _)| mask & (1 << (seq % 4)) != 0 && layer <= max_spatial)
                .map(|(_, _, bytes)| bytes.clone()).collect();
            prop_assert_eq!(got.get(&LinkId(n as u64)).cloned().unwrap_or_default(), expected);
        }
        let stats = relay.stats();
        prop_assert_eq!(stats.chunks_in as usize, new.len());
        prop_assert_eq!(stats.duplicates as usize, arrivals.len() - new.len());
        prop_assert_eq!(stats.chunks_out as usize, got.values().map(Vec::len).sum::<usize>());
    }
}

#[test]
fn a_stranger_can_neither_inject_nor_poison_the_dedup_window() {
    let mut relay = relay();
    let subscriber = join(&mut relay, T0, 1, StartAt::Live);
    let stranger = add(&mut relay, 9);
    // A subscriber is a stranger too, as far as feeding goes.
    for link in [subscriber, stranger] {
        let error = relay.handle_datagram(T0, link, chunk(1, 0, 0).fresh()).unwrap_err();
        assert_eq!(error, Error::NotUpstream { link, stream: STREAM });
        assert!(error.is_peer_fault() && relay.poll_ready().is_none());
        assert_eq!(relay.link_stats(link).unwrap().refused, 1);
    }
    assert_eq!(
        relay.handle_datagram(T0, LinkId(77), chunk(1, 0, 0).fresh()),
        Err(Error::UnknownLink(LinkId(77)))
    );
    feed(&mut relay, T0, &[chunk(1, 0, 0)]);
    assert_eq!(drain(&mut relay, T0, subscriber), [0], "the real chunk is still new");
}

#[test]
fn chunks_of_another_kind_than_their_stream_are_refused() {
    let mut relay = relay();
    let wrong = Spec { codec: CodecId::Opus, ..chunk(1, 0, 0) };
    let error = relay.handle_datagram(T0, UP, wrong.fresh()).unwrap_err();
    let codec = WrongChunk::Codec { have: CodecId::Opus, announced: CodecId::Av1 };
    assert_eq!(error, Error::WrongChunk { link: UP, stream: STREAM, why: codec });
    assert!(error.is_peer_fault());
    for layer in 0..64 {
        feed(&mut relay, T0, &[chunk(1, u64::from(layer), layer)]);
    }
    let error = relay.handle_datagram(T0, UP, chunk(1, 64, 64).fresh()).unwrap_err();
    assert!(matches!(error, Error::WrongChunk { why: WrongChunk::Layers { limit: 64 }, .. }));
    assert_eq!(relay.stats().refused, 2);
}

#[test]
fn a_second_parent_sends_what_the_first_did_not() {
    let mut relay = relay();
    let other = add(&mut relay, 7);
    relay.add_upstream(STREAM, other).unwrap();
    let link = join(&mut relay, T0, 1, StartAt::Live);
    let chunks = Source::video().key(6);
    feed(&mut relay, T0, &chunks[..4]);
    relay.handle_chunks(T0, other, chunks[2..].iter().map(Spec::fresh)).unwrap();
    assert_eq!(drain(&mut relay, T0, link), numbers(&chunks));
    assert_eq!(relay.link_stats(other).unwrap().duplicates, 2);
    assert_eq!(relay.link_stats(other).unwrap().chunks_in, 2);
    assert_eq!(relay.upstreams(STREAM).collect::<Vec<_>>(), [UP, other]);
    relay.remove_upstream(STREAM, other);
    assert!(!relay.is_upstream(STREAM, other) && relay.is_upstream(STREAM, UP));
    assert!(relay.handle_datagram(T0, other, chunk(1, 9, 0).fresh()).is_err());
}

#[test]
fn missed_chunks_are_sent_again_while_they_are_kept() {
    let mut relay = relay_with(Limits { ring_bytes: 10 * 1_000, ..Limits::default() });
    let link = add(&mut relay, 1);
    let stripes = StripeSet::single(4, 0).unwrap();
    relay.subscribe(T0, link, STREAM, LayerPolicy::BASE_ONLY, stripes, StartAt::Live).unwrap();
    let chunks: Vec<Spec> = (0..20).map(|seq| chunk(1, seq, u8::from(seq == 15))).collect();
    for some in chunks.chunks(5) {
        feed(&mut relay, T0, some);
        drain(&mut relay, T0, link);
    }
    // 3 is too old, 15 is on a layer that the policy does not admit, 99 never came.
    let wanted: Vec<ChunkSeq> = [3, 12, 13, 13, 12, 15, 99].map(ChunkSeq).to_vec();
    assert_eq!(relay.handle_repair_request(T0, link, STREAM, Epoch(1), &wanted).unwrap(), 2);
    assert_eq!(relay.handle_repair_request(T0, link, STREAM, Epoch(2), &wanted).unwrap(), 0);
    assert_eq!(relay.poll_ready(), Some(link));
    assert_eq!(drain(&mut relay, T0, link), [12, 13]);
    let stats = relay.link_stats(link).unwrap();
    assert_eq!((stats.repaired, stats.repair_misses), (2, 3 + 7));
}

#[test]
fn what_is_on_its_way_is_not_sent_again() {
    let mut relay = relay();
    let link = join(&mut relay, T0, 1, StartAt::Live);
    feed(&mut relay, T0, &Source::video().key(4));
    let wanted: Vec<ChunkSeq> = (0..4).map(ChunkSeq).collect();
    assert_eq!(relay.handle_repair_request(T0, link, STREAM, Epoch(1), &wanted).unwrap(), 0);
    assert_eq!(kit::pull(&mut relay, T0, link, 2_000).len(), 2);
    assert_eq!(relay.handle_repair_request(T0, link, STREAM, Epoch(1), &wanted).unwrap(), 2);
    assert_eq!(
        relay.handle_repair_request(T0, link, STREAM, Epoch(1), &wanted).unwrap(),
        0,
        "asked for already"
    );
    assert_eq!(drain(&mut relay, T0, link), [0, 1, 2, 3], "what is asked for again goes first");
}

#[test]
fn what_was_shed_or_withheld_is_not_sent_on_request() {
    use core_types::{Layer, ObjectClass};
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::Live);
    feed(&mut relay, T0, &source.key(1));
    drain(&mut relay, T0, link);
    let mut chunks = source.object(ObjectClass::Plain, Layer::BASE, 2, 1);
    chunks.extend(source.object(ObjectClass::Plain, spatial(1), 2, 0));
    feed(&mut relay, T0, &chunks);
    let after = source.object(ObjectClass::Plain, spatial(1), 1, 0);
    feed(&mut relay, ms(240), &after);
    assert_eq!(
        drain(&mut relay, ms(240), link),
        numbers(&chunks[..2]),
        "repair and the upper layer are shed"
    );
    let wanted: Vec<ChunkSeq> = chunks.iter().chain(&after).map(|chunk| ChunkSeq(chunk.seq)).collect();
    let ask =
        |relay: &mut Relay, at| relay.handle_repair_request(ms(at), link, STREAM, Epoch(1), &wanted).unwrap();
    assert_eq!(ask(&mut relay, 240), 3, "the base, and the repair symbol now that nothing waits");
    assert_eq!(drain(&mut relay, ms(240), link), numbers(&chunks[..3]));
    feed(&mut relay, ms(240), &source.plain(1));
    assert_eq!(ask(&mut relay, 303), 2, "it is behind again");
}

#[test]
fn what_could_be_shed_is_not_sent_again_before_what_waits() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::Live);
    let mut lost = source.key(1);
    lost.extend(source.object(ObjectClass::Plain, spatial(1), 1, 0));
    lost.extend(source.object(ObjectClass::Discardable, Layer::BASE, 1, 0));
    feed(&mut relay, T0, &lost);
    assert_eq!(drain(&mut relay, T0, link), numbers(&lost));
    let wanted: Vec<ChunkSeq> = lost.iter().map(|chunk| ChunkSeq(chunk.seq)).collect();
    let waits = source.plain(1);
    feed(&mut relay, ms(10), &waits);
    let ask =
        |relay: &mut Relay, at| relay.handle_repair_request(ms(at), link, STREAM, Epoch(1), &wanted).unwrap();
    assert_eq!(ask(&mut relay, 73), 1, "the base, since something has waited for long");
    assert_eq!(drain(&mut relay, ms(73), link), numbers(&[&lost[..1], &waits].concat()));
    assert_eq!(ask(&mut relay, 73), 3, "nothing waits any more");
}

/// A picture that stands still for long, and then a key frame: everything before it is missing at the subscriber, which asks.
#[test]
fn what_was_withheld_long_ago_is_not_sent_again_either() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::Live);
    feed(&mut relay, T0, &source.key(1));
    drain(&mut relay, T0, link);
    feed(&mut relay, T0, &source.plain(1));
    assert!(drain(&mut relay, ms(501), link).is_empty(), "too late, and what follows refers to it");
    let first = source.next;
    for n in 0..90 {
        feed(&mut relay, ms(501 + n), &source.plain(1));
    }
    let key = source.key(2);
    feed(&mut relay, ms(600), &key);
    assert_eq!(drain(&mut relay, ms(600), link), numbers(&key));
    let wanted: Vec<ChunkSeq> = (first..first + 90).map(ChunkSeq).collect();
    assert_eq!(relay.handle_repair_request(ms(600), link, STREAM, Epoch(1), &wanted).unwrap(), 0);
}

#[test]
fn only_subscribers_may_ask_and_only_for_so_much() {
    let mut relay = relay();
    feed(&mut relay, T0, &[chunk(1, 0, 0)]);
    let link = add(&mut relay, 5);
    let ask = |relay: &mut Relay, wanted: &[ChunkSeq]| {
        relay.handle_repair_request(T0, link, STREAM, Epoch(1), wanted)
    };
    assert_eq!(ask(&mut relay, &[ChunkSeq(0)]), Err(Error::NotSubscribed { link, stream: STREAM }));
    relay.subscribe(T0, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    let error = ask(&mut relay, &vec![ChunkSeq(0); 257]).unwrap_err();
    assert!(matches!(error, Error::TooManyRequested { limit: 256, have: 257, .. }) && error.is_peer_fault());
    assert_eq!(ask(&mut relay, &[ChunkSeq(0)]).unwrap(), 1);
}

#[test]
fn everything_that_a_peer_can_grow_is_bounded() {
    let limits = Limits {
        streams: 2,
        links: 6,
        subscribers_per_stream: 3,
        upstreams_per_stream: 1,
        ..Limits::default()
    };
    let mut relay = relay_with(limits);
    let third = StreamId([2; 32]);
    let full = |what, limit| Err(Error::Full { what, limit });
    assert_eq!(relay.carry(third, Carriage::forever(CodecId::Av1)), full("streams", 2));
    relay.carry(STREAM, Carriage::forever(CodecId::Av1)).expect("again is no change");
    for link in 1..=5 {
        add(&mut relay, link);
    }
    assert_eq!(relay.add_link(LinkId(6), kit::identity(LinkId(6)), Quota::UNLIMITED), full("links", 6));
    assert_eq!(
        relay.add_link(LinkId(5), kit::identity(LinkId(4)), Quota::UNLIMITED),
        Err(Error::LinkInUse(LinkId(5)))
    );
    relay.add_upstream(STREAM, UP).expect("again is no change");
    assert_eq!(relay.add_upstream(STREAM, LinkId(1)), full("upstream links of that stream", 1));
    assert_eq!(relay.add_upstream(third, LinkId(1)), Err(Error::UnknownStream(third)));
    let subscribe = |relay: &mut Relay, link, stream| {
        relay.subscribe(T0, LinkId(link), stream, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live)
    };
    for link in 1..=3 {
        subscribe(&mut relay, link, STREAM).unwrap();
    }
    assert_eq!(subscribe(&mut relay, 4, STREAM), full("subscribers of that stream", 3));
    subscribe(&mut relay, 3, STREAM).expect("changing a subscription needs no room");
    relay.remove_link(LinkId(3));
    subscribe(&mut relay, 4, STREAM).expect("a link that went makes room");
    assert_eq!(subscribe(&mut relay, 1, third), Err(Error::UnknownStream(third)));
    assert_eq!(subscribe(&mut relay, 99, STREAM), Err(Error::UnknownLink(LinkId(99))));
    assert_eq!(relay.subscribers(STREAM), 3);
}

#[test]
fn sound_goes_before_pictures_and_pictures_as_they_came() {
    let mut relay = relay();
    let second = StreamId([9; 32]);
    relay.carry(second, Carriage::forever(CodecId::Av1)).unwrap();
    relay.add_upstream(second, UP).unwrap();
    let link = add(&mut relay, 1);
    for stream in [STREAM, second, SOUND] {
        relay.subscribe(T0, link, stream, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    }
    let (mut one, mut other, mut sound) =
        (Source::video(), Source { stream: second, ..Source::video() }, Source::sound());
    // With little room and with much: the order is the same.
    for (room, turns) in [(1_200, 40), (3_500, 20), (usize::MAX, 1)] {
        let (mut packets, mut pictures) = (Vec::new(), Vec::new());
        for n in 0..6 {
            let source = if n % 2 == 0 { &mut one } else { &mut other };
            let (picture, packet) = (source.plain(1 + n % 3), sound.key(1));
            feed(&mut relay, T0, &picture);
            feed(&mut relay, T0, &packet);
            pictures.extend(picture.iter().map(|chunk| (chunk.stream, 1, chunk.seq)));
            packets.push((SOUND, 1, packet[0].seq));
        }
        let mut got = Vec::new();
        for _ in 0..turns {
            got.extend(kit::pull(&mut relay, T0, link, room));
            relay.resume(link);
        }
        assert_eq!(got, [packets, pictures].concat(), "with room for {room} bytes");
    }
}

#[test]
fn room_in_bytes_blocks_and_room_in_chunks_does_not() {
    let mut relay = relay();
    let link = join(&mut relay, T0, 1, StartAt::Live);
    let chunks = Source::video().key(6);
    feed(&mut relay, T0, &chunks);
    assert_eq!(relay.poll_ready(), Some(link));
    assert_eq!((relay.pull(T0, link, usize::MAX, 2).rest(), relay.poll_ready()), (Rest::Count, Some(link)));
    assert_eq!((relay.pull(T0, link, usize::MAX, 0).rest(), relay.poll_ready()), (Rest::Budget, None));
    relay.resume(link);
    assert_eq!((relay.pull(T0, link, 1_999, 9).rest(), relay.poll_ready()), (Rest::Budget, None));
    feed(&mut relay, ms(1), &Source { next: 6, ..Source::video() }.plain(1));
    assert_eq!(relay.poll_ready(), None, "a link without room is left alone");
    relay.resume(link);
    assert_eq!(relay.poll_ready(), Some(link));
    assert_eq!(relay.backlog_bytes(link), 4_000);
    assert_eq!(drain(&mut relay, ms(1), link), [3, 4, 5, 6]);
    relay.resume(link);
    assert_eq!(relay.poll_ready(), None, "nothing waits");
}
