//! Links and streams that go at any time leave nothing behind, and nobody else notices.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Carriage, Ended, Error, Event, Limits, Quota, Rest, StartAt};
use core_types::{CodecId, LayerPolicy, LinkId, MonoTime, StreamId, StripeSet};
use kit::{
    SOUND, STREAM, Source, Spec, T0, UP, add, drain, feed, identity, join, ms, numbers, relay, relay_with,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn a_link_that_went_in_the_midst_of_a_burst_gets_nothing_more() {
    let mut relay = relay();
    let links: Vec<LinkId> = (0..4).map(|link| join(&mut relay, T0, link, StartAt::Live)).collect();
    let key = Source::video().key(3);
    feed(&mut relay, T0, &key);
    assert_eq!(relay.poll_ready(), Some(links[0]));
    assert_eq!(drain(&mut relay, T0, links[0]), numbers(&key));
    // One goes before it is served, one between being ready and being served, one that was served.
    relay.remove_link(links[1]);
    assert_eq!(relay.poll_ready(), Some(links[2]));
    relay.remove_link(links[2]);
    relay.remove_link(links[0]);
    let burst = relay.pull(T0, links[2], usize::MAX, usize::MAX);
    assert_eq!((burst.len(), burst.is_empty(), burst.rest()), (0, true, Rest::Nothing));
    assert_eq!(relay.poll_ready(), Some(links[3]));
    assert_eq!(drain(&mut relay, T0, links[3]), numbers(&key));
    assert_eq!((relay.poll_ready(), relay.subscribers(STREAM)), (None, 1));
    assert_eq!(relay.link_stats(links[2]), None);
}

#[test]
fn a_slot_that_is_used_again_has_nothing_of_its_former_link() {
    let mut relay = relay();
    let old = LinkId(1);
    relay.add_link(old, identity(old), Quota { packets_per_second: 4, ..Quota::UNLIMITED }).unwrap();
    relay.subscribe(T0, old, STREAM, LayerPolicy::BASE_ONLY, StripeSet::ALL, StartAt::Live).unwrap();
    relay.set_repair_share(old, 0).unwrap();
    relay
        .set_permission(T0, old, av_relay::Permission { until: ms(50), ..av_relay::Permission::ALL })
        .unwrap();
    let mut source = Source::video();
    feed(&mut relay, T0, &source.key(3));
    assert!(matches!(relay.pull(T0, old, usize::MAX, usize::MAX).rest(), Rest::Quota(_)));
    relay.remove_link(old);
    let new = join(&mut relay, T0, 2, StartAt::Live);
    let chunks = source.object(core_types::ObjectClass::Plain, kit::spatial(1), 4, 2);
    feed(&mut relay, ms(60), &chunks);
    assert_eq!(relay.poll_ready(), Some(new));
    assert_eq!(
        drain(&mut relay, ms(60), new),
        numbers(&chunks),
        "no quota, cap, share or end of the former one"
    );
    assert!(
        !core::iter::from_fn(|| relay.poll_event()).any(|e| matches!(e, Event::SubscriptionEnded { .. }))
    );
}

#[test]
fn a_stream_that_ends_is_told_to_its_subscribers_and_begins_anew() {
    let mut relay = relay();
    let link = join(&mut relay, T0, 1, StartAt::Live);
    relay.subscribe(T0, link, SOUND, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    let (key, packet) = (Source::video().key(2), Source::sound().key(1));
    feed(&mut relay, T0, &key);
    feed(&mut relay, T0, &packet);
    assert_eq!(relay.poll_ready(), Some(link));
    relay.remove_stream(STREAM);
    assert_eq!(kit::pull(&mut relay, T0, link, usize::MAX), [(SOUND, 1, 0)]);
    let told = Event::SubscriptionEnded { link, stream: STREAM, why: Ended::StreamRemoved };
    assert!(core::iter::from_fn(|| relay.poll_event()).any(|event| event == told));
    assert!(relay.handle_chunks(T0, UP, key.iter().map(Spec::fresh)).is_err());
    assert_eq!(relay.ring_bytes(), packet[0].len);
    relay.carry(STREAM, Carriage::forever(CodecId::Av1)).unwrap();
    relay.add_upstream(STREAM, UP).unwrap();
    relay.subscribe(T0, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    feed(&mut relay, T0, &key);
    assert_eq!(drain(&mut relay, T0, link), numbers(&key), "its numbers count from the start");
    relay.carry(STREAM, Carriage::forever(CodecId::Mdc)).unwrap();
    assert_eq!(relay.subscribers(STREAM), 0, "another codec is another stream");
}

#[test]
fn an_upstream_that_went_feeds_no_more() {
    let mut relay = relay();
    join(&mut relay, T0, 1, StartAt::Live);
    let other = add(&mut relay, 5);
    relay.add_upstream(STREAM, other).unwrap();
    relay.remove_link(UP);
    let chunks = Source::video().key(2);
    assert!(relay.handle_chunks(T0, UP, chunks.iter().map(Spec::fresh)).is_err());
    // Nor does whoever has its place now.
    let next = add(&mut relay, 6);
    let refused = relay.handle_chunks(T0, next, chunks.iter().map(Spec::fresh));
    assert_eq!(refused, Err(Error::NotUpstream { link: next, stream: STREAM }));
    relay.handle_chunks(T0, other, chunks.iter().map(Spec::fresh)).unwrap();
    assert_eq!(drain(&mut relay, T0, LinkId(1)).len(), 2);
}

#[derive(Debug, Clone)]
enum Step {
    Add(u64),
    Remove(u64),
    Carry(u8),
    RemoveStream(u8),
    Subscribe(u64, u8),
    Unsubscribe(u64, u8),
    Feed(u8, usize),
    Ready(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (link, stream) = (|| 0u64..8, || 0u8..4);
    prop_oneof![
        3 => link().prop_map(Step::Add),
        1 => link().prop_map(Step::Remove),
        2 => stream().prop_map(Step::Carry),
        1 => stream().prop_map(Step::RemoveStream),
        4 => (link(), stream()).prop_map(|(l, s)| Step::Subscribe(l, s)),
        1 => (link(), stream()).prop_map(|(l, s)| Step::Unsubscribe(l, s)),
        5 => (stream(), 1usize..4).prop_map(|(s, n)| Step::Feed(s, n)),
        5 => (0usize..6, 0usize..5_000).prop_map(|(n, room)| Step::Ready(n, room)),
    ]
}

fn id(stream: u8) -> StreamId {
    StreamId([stream; 32])
}

proptest! {
    /// Whatever comes and goes, each subscriber gets what came while it was subscribed, once and in order, and nobody else does.
    #[test]
    fn coming_and_going_leaves_no_ghosts(steps in prop::collection::vec(step(), 1..150)) {
        let mut relay = relay_with(Limits { backlog_bytes: u64::MAX, ..Limits::default() });
        relay.remove_stream(STREAM);
        relay.remove_stream(SOUND);
        let mut links: BTreeSet<u64> = BTreeSet::new();
        let mut sources: BTreeMap<u8, Source> = BTreeMap::new();
        // What waits for whom.
        let mut waiting: BTreeMap<(u64, u8), Vec<u64>> = BTreeMap::new();
        let mut counted = BTreeMap::new();
        for (at, step) in steps.into_iter().enumerate() {
            // Little time passes, so that nothing is shed.
            let now = MonoTime(T0.0 + at as u64);
            match step {
                Step::Add(link) => {
                    relay.add_link(LinkId(link), identity(LinkId(link % 3)), Quota::UNLIMITED).unwrap();
                    if links.insert(link) {
                        counted.insert(link, 0u64);
                    }
                }
                Step::Remove(link) => {
                    relay.remove_link(LinkId(link));
                    links.remove(&link);
                    waiting.retain(|(of, _), _| *of != link);
                }
                Step::Carry(stream) => {
                    relay.carry(id(stream), Carriage::forever(CodecId::Av1)).unwrap();
                    relay.add_upstream(id(stream), UP).unwrap();
                    sources.entry(stream).or_insert_with(|| Source { stream: id(stream), ..Source::video() });
                }
                Step::RemoveStream(stream) => {
                    relay.remove_stream(id(stream));
                    sources.remove(&stream);
                    waiting.retain(|(_, of), _| *of != stream);
                }
                Step::Subscribe(link, stream) => {
                    let outcome = relay.subscribe(now, LinkId(link), id(stream), LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live);
                    let known = links.contains(&link) && sources.contains_key(&stream);
                    prop_assert_eq!(outcome.is_ok(), known);
                    if known {
                        waiting.entry((link, stream)).or_default();
                    }
                }
                Step::Unsubscribe(link, stream) => {
                    relay.unsubscribe(LinkId(link), id(stream));
                    waiting.remove(&(link, stream));
                }
                Step::Feed(stream, symbols) => {
                    if let Some(source) = sources.get_mut(&stream) {
                        let chunks = source.key(symbols);
                        feed(&mut relay, now, &chunks);
                        for ((_, of), queue) in &mut waiting {
                            if *of == stream {
                                queue.extend(numbers(&chunks));
                            }
                        }
                    }
                }
                Step::Ready(turns, room) => {
                    for _ in 0..turns {
                        let Some(link) = relay.poll_ready() else { break };
                        for (stream, _, seq) in kit::pull(&mut relay, now, link, room) {
                            let queue = waiting.get_mut(&(link.0, stream.0[0])).unwrap();
                            prop_assert_eq!(queue.remove(0), seq);
                            *counted.get_mut(&link.0).unwrap() += 1;
                        }
                        relay.resume(link);
                    }
                }
            }
            prop_assert_eq!(relay.links().count(), links.len() + 1);
            prop_assert_eq!(relay.streams().count(), sources.len());
        }
        let now = MonoTime(T0.0 + 1_000);
        while let Some(link) = relay.poll_ready() {
            let got = kit::pull(&mut relay, now, link, usize::MAX);
            *counted.get_mut(&link.0).unwrap() += got.len() as u64;
            for (stream, _, seq) in got {
                prop_assert_eq!(waiting.get_mut(&(link.0, stream.0[0])).unwrap().remove(0), seq);
            }
        }
        prop_assert!(waiting.values().all(Vec::is_empty), "all that waited was ready");
        for link in links {
            prop_assert_eq!(relay.link_stats(LinkId(link)).unwrap().chunks_out, counted[&link]);
            prop_assert_eq!(relay.backlog_bytes(LinkId(link)), 0);
        }
    }
}
