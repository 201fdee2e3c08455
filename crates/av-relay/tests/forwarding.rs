//! The relay against a model, and its limits.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_relay::{Error, Limits, Relay};
use av_wire::{AwsLc, ChunkHeader, FreshChunk, HEADER_LEN, HopReceiver, HopSuite};
use bytes::Bytes;
use core_types::{ChunkSeq, CodecId, Epoch, Layer, LayerPolicy, LinkId, StreamId, StripeSet};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const STREAM: StreamId = StreamId([3; 32]);
const UP: LinkId = LinkId(0);

fn chunk(epoch: u64, seq: u64, spatial: u8) -> Bytes {
    let header = ChunkHeader {
        stream_id: STREAM,
        epoch: Epoch(epoch),
        chunk_seq: ChunkSeq(seq),
        codec: CodecId::Av1,
        layer: Layer { spatial, ..Layer::BASE },
    };
    let mut bytes = header.to_bytes().unwrap().to_vec();
    bytes.resize(HEADER_LEN + 40, seq as u8);
    bytes.into()
}

/// The same, as it comes off a link.
fn fresh(epoch: u64, seq: u64, spatial: u8) -> FreshChunk<Bytes> {
    let link = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
    link.take_whole(chunk(epoch, seq, spatial)).unwrap()
}

fn relay() -> Relay {
    let mut relay = Relay::new(Limits::default());
    relay.add_upstream(STREAM, UP).unwrap();
    relay
}

fn drain(relay: &mut Relay) -> BTreeMap<LinkId, Vec<Bytes>> {
    let mut out: BTreeMap<LinkId, Vec<Bytes>> = BTreeMap::new();
    while let Some(transmit) = relay.poll_transmit() {
        out.entry(transmit.link).or_default().extend(transmit.chunks);
    }
    out
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
            relay.subscribe(LinkId(1 + n as u64), STREAM, policy, StripeSet::new(4, *mask).unwrap()).unwrap();
        }
        let mut new = Vec::new();
        let mut seen = BTreeSet::new();
        for (epoch, seq, spatial) in &arrivals {
            if seen.insert((*epoch, *seq)) {
                new.push((*seq, *spatial, chunk(*epoch, *seq, *spatial)));
            }
        }
        for some in arrivals.chunks(batch) {
            relay.handle_chunks(UP, some.iter().map(|(e, q, s)| fresh(*e, *q, *s))).unwrap();
        }
        let got = drain(&mut relay);
        for (n, (mask, max_spatial)) in subscribers.iter().enumerate() {
            let expected: Vec<Bytes> = new.iter()
                .filter(|(seq, spatial, _)| mask & (1 << (seq % 4)) != 0 && spatial <= max_spatial)
                .map(|(_, _, bytes)| bytes.clone()).collect();
            prop_assert_eq!(got.get(&LinkId(1 + n as u64)).cloned().unwrap_or_default(), expected);
        }
        let stats = relay.stats();
        prop_assert_eq!(stats.chunks_in as usize, new.len());
        prop_assert_eq!(stats.duplicates as usize, arrivals.len() - new.len());
    }
}

#[test]
fn a_stranger_can_neither_inject_nor_poison_the_dedup_window() {
    let mut relay = relay();
    relay.subscribe(LinkId(1), STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL).unwrap();
    // A subscriber is a stranger too, as far as feeding goes.
    for stranger in [LinkId(1), LinkId(9)] {
        let error = relay.handle_chunks(stranger, [fresh(1, 0, 0)]).unwrap_err();
        assert_eq!(error, Error::NotUpstream { link: stranger, stream: STREAM });
        assert!(drain(&mut relay).is_empty());
    }
    relay.handle_chunks(UP, [fresh(1, 0, 0)]).unwrap();
    assert_eq!(drain(&mut relay)[&LinkId(1)].len(), 1, "the real chunk is still new");
}

#[test]
fn missed_chunks_are_sent_again_while_they_are_kept() {
    let mut relay =
        Relay::new(Limits { cache_bytes_per_stream: 10 * (HEADER_LEN + 40), ..Limits::default() });
    relay.add_upstream(STREAM, UP).unwrap();
    relay.subscribe(LinkId(1), STREAM, LayerPolicy::BASE_ONLY, StripeSet::single(4, 0).unwrap()).unwrap();
    relay.handle_chunks(UP, (0..20).map(|seq| fresh(1, seq, u8::from(seq == 15)))).unwrap();
    drain(&mut relay);
    let wanted: Vec<ChunkSeq> = [3, 12, 13, 13, 12, 15].map(ChunkSeq).to_vec();
    // 3 is too old, 15 is on a layer that the policy does not admit.
    assert_eq!(relay.handle_repair_request(LinkId(1), STREAM, Epoch(1), &wanted).unwrap(), 2);
    assert_eq!(drain(&mut relay)[&LinkId(1)], [chunk(1, 12, 0), chunk(1, 13, 0)]);
    assert_eq!((relay.stats().repaired, relay.stats().repair_misses), (2, 2));
}

#[test]
fn only_subscribers_may_ask_and_only_for_so_much() {
    let mut relay = relay();
    relay.handle_chunks(UP, [fresh(1, 0, 0)]).unwrap();
    assert!(relay.handle_repair_request(LinkId(5), STREAM, Epoch(1), &[ChunkSeq(0)]).is_err());
    relay.subscribe(LinkId(1), STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL).unwrap();
    let many = vec![ChunkSeq(0); 257];
    let error = relay.handle_repair_request(LinkId(1), STREAM, Epoch(1), &many).unwrap_err();
    assert!(matches!(error, Error::TooManyRequested { limit: 256, have: 257, .. }) && error.is_peer_fault());
}

#[test]
fn everything_that_a_peer_can_grow_is_bounded() {
    let limits =
        Limits { streams: 2, subscribers_per_stream: 3, upstreams_per_stream: 1, ..Limits::default() };
    let mut relay = Relay::new(limits);
    for n in 0..2 {
        relay.add_upstream(StreamId([n; 32]), UP).unwrap();
    }
    assert_eq!(relay.add_upstream(StreamId([2; 32]), UP), Err(Error::TooManyStreams { limit: 2 }));
    relay.add_upstream(StreamId([0; 32]), UP).expect("again is no change");
    assert!(matches!(
        relay.add_upstream(StreamId([0; 32]), LinkId(7)),
        Err(Error::TooManyUpstreams { limit: 1, .. })
    ));
    let subscribe = |relay: &mut Relay, link| {
        relay.subscribe(LinkId(link), StreamId([0; 32]), LayerPolicy::UNCAPPED, StripeSet::ALL)
    };
    for link in 1..=3 {
        subscribe(&mut relay, link).unwrap();
    }
    assert!(matches!(subscribe(&mut relay, 4), Err(Error::TooManySubscribers { limit: 3, .. })));
    subscribe(&mut relay, 3).expect("changing a subscription needs no room");
    relay.remove_link(LinkId(3));
    subscribe(&mut relay, 4).expect("a link that went makes room");
    assert_eq!(
        relay.subscribe(LinkId(1), STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL),
        Err(Error::UnknownStream(STREAM))
    );
}

#[test]
fn a_link_that_went_gets_nothing_more() {
    let mut relay = relay();
    relay.subscribe(LinkId(1), STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL).unwrap();
    relay.handle_chunks(UP, [fresh(1, 0, 0)]).unwrap();
    relay.remove_link(LinkId(1));
    assert!(relay.poll_transmit().is_none());
    relay.remove_link(UP);
    assert!(relay.handle_chunks(UP, [fresh(1, 1, 0)]).is_err());
}
