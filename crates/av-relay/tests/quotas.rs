//! Who is over a quota is held back, told so, and costs nobody else anything.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Carriage, Error, Event, Measure, Quota, Rest, Shed, StartAt};
use core_types::{CodecId, KeyId, LayerPolicy, LinkId, MonoTime, ObjectClass, StreamId, StripeSet};
use kit::{
    SOUND, STREAM, Source, Spec, T0, UP, add, drain, feed, identity, join, ms, numbers, relay, spatial,
};
use proptest::prelude::*;

fn bytes(rate: u64) -> Quota {
    Quota { bytes_per_second: rate, ..Quota::UNLIMITED }
}

fn packets(rate: u64) -> Quota {
    Quota { packets_per_second: rate, ..Quota::UNLIMITED }
}

fn over(link: LinkId, stream: Option<StreamId>, what: Measure, limit: u64) -> Option<Event> {
    Some(Event::OverQuota { link, stream, what, limit })
}

/// Events but those about layers.
fn event(relay: &mut av_relay::Relay) -> Option<Event> {
    core::iter::from_fn(|| relay.poll_event()).find(|event| !matches!(event, Event::EffectiveLayer { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_link_never_gets_more_than_its_rate_and_what_a_moment_allows(
        by_bytes: bool,
        waits in prop::collection::vec(1u64..200, 1..60),
    ) {
        let mut relay = relay();
        let link = join(&mut relay, T0, 1, StartAt::Live);
        let quota = if by_bytes { bytes(100_000) } else { packets(100) };
        relay.add_link(link, identity(link), quota).unwrap();
        let mut source = Source::sound();
        relay.subscribe(T0, link, SOUND, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
        (source.len, source.codec) = (1_000, CodecId::Opus);
        let (mut now, mut out) = (T0, 0u64);
        for wait in waits {
            now = MonoTime(now.0 + wait * 1_000);
            let came: Vec<Spec> = (0..40).flat_map(|_| source.key(1)).collect();
            feed(&mut relay, now, &came);
            out += drain(&mut relay, now, link).len() as u64;
            // A thousand bytes a chunk: 100 a second, 65 (or, of packets, 25) at once.
            let moment = if by_bytes { 65 } else { 25 };
            let most = (now.0 - T0.0) / 10_000 + moment + 1;
            prop_assert!(out <= most, "{out} of {most}");
        }
    }
}

#[test]
fn a_link_that_may_have_nothing_is_served_once_it_may() {
    for of_identity in [false, true] {
        let mut relay = relay();
        let link = join(&mut relay, T0, 1, StartAt::Live);
        let set = |relay: &mut av_relay::Relay, quota| {
            if of_identity {
                relay.set_identity_quota(identity(link), quota).unwrap();
            } else {
                relay.add_link(link, identity(link), quota).unwrap();
            }
        };
        set(&mut relay, packets(0));
        let mut source = Source::video();
        // What a moment allows is used up.
        for at in 0..5 {
            feed(&mut relay, ms(at), &source.key(2));
            drain(&mut relay, ms(at), link);
        }
        relay.handle_timeout(ms(600_000));
        assert_eq!(relay.poll_ready(), None);
        set(&mut relay, Quota::UNLIMITED);
        assert_eq!(relay.poll_ready(), Some(link));
        assert!(!drain(&mut relay, ms(600_000), link).is_empty());
    }
}

#[test]
fn a_link_over_its_rate_waits_and_is_served_when_it_may() {
    let mut relay = relay();
    let link = LinkId(1);
    relay.add_link(link, identity(link), packets(40)).unwrap();
    relay.subscribe(T0, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    let other = join(&mut relay, T0, 2, StartAt::Live);
    let mut source = Source::video();
    let key = source.key(12);
    feed(&mut relay, T0, &key);
    assert_eq!(relay.poll_ready(), Some(link));
    let burst = relay.pull(T0, link, usize::MAX, usize::MAX);
    let until = ms(25);
    assert_eq!((burst.len(), burst.rest()), (10, Rest::Quota(until)), "a quarter of a second's at once");
    assert_eq!(event(&mut relay), over(link, None, Measure::PacketsOut, 40));
    assert_eq!(relay.poll_ready(), Some(other));
    assert_eq!(drain(&mut relay, T0, other).len(), 12, "it is alone in that");
    assert_eq!(relay.poll_timeout(), Some(until));
    relay.resume(link);
    feed(&mut relay, ms(10), &source.plain(1));
    assert_eq!((relay.poll_ready(), relay.poll_ready()), (Some(other), None));
    relay.handle_timeout(until);
    assert_eq!(relay.poll_ready(), Some(link));
    assert_eq!(drain(&mut relay, until, link), numbers(&key[10..11]));
    assert_eq!(event(&mut relay), None, "told once a second");
    assert_eq!(relay.link_stats(link).unwrap().quota_hits, 2);
    assert_eq!(drain(&mut relay, ms(1_000), link).len(), 2);
    relay.handle_timeout(ms(1_001));
    feed(&mut relay, ms(1_001), &source.plain(40));
    drain(&mut relay, ms(1_001), link);
    assert_eq!(event(&mut relay), over(link, None, Measure::PacketsOut, 40));
}

#[test]
fn what_is_over_a_rate_is_shed_by_priority() {
    let mut relay = relay();
    let link = LinkId(1);
    // 100 kB/s, and 65 kB at once, against 30 pictures a second of 2 kB base, 2 kB above it and 2 kB of repair.
    relay.add_link(link, identity(link), bytes(100_000)).unwrap();
    relay.subscribe(T0, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    let mut source = Source::video();
    let (mut base, mut now) = (0, T0);
    for frame in 0..150 {
        now = ms(frame * 33);
        let class = if frame == 0 { ObjectClass::KeyFrame } else { ObjectClass::Plain };
        let mut chunks = source.object(class, core_types::Layer::BASE, 2, 1);
        chunks.extend(source.object(ObjectClass::SwitchPoint, spatial(1), 2, 1));
        feed(&mut relay, now, &chunks);
        relay.handle_timeout(now);
        let burst = relay.pull(now, link, usize::MAX, usize::MAX);
        base += burst.iter().filter(|c| c.header().layer.spatial == 0 && !c.header().marks.repair).count();
    }
    base += relay
        .pull(MonoTime(now.0 + 100_000), link, usize::MAX, usize::MAX)
        .iter()
        .filter(|c| c.header().layer.spatial == 0 && !c.header().marks.repair)
        .count();
    let stats = relay.link_stats(link).unwrap();
    assert!(stats.shed.repair > 100 && stats.shed.base == 0, "{stats:?}");
    assert!(base >= 290, "{base} of 300");
}

#[test]
fn an_identity_has_one_quota_for_all_of_its_links() {
    let mut relay = relay();
    let owner = KeyId([8; 32]);
    let quota = Quota { packets_per_second: 40, streams: 3, subscribers: 2, ..Quota::UNLIMITED };
    relay.set_identity_quota(owner, quota).unwrap();
    for link in 1..=2 {
        relay.add_link(LinkId(link), owner, Quota::UNLIMITED).unwrap();
        relay
            .subscribe(T0, LinkId(link), STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live)
            .unwrap();
    }
    let third = relay.add_link(LinkId(3), owner, Quota::UNLIMITED);
    assert_eq!(third, Err(Error::OverQuota { link: LinkId(3), what: Measure::Links, limit: 2 }));
    let subscribe = |relay: &mut av_relay::Relay, link, stream| {
        relay.subscribe(T0, LinkId(link), stream, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live)
    };
    subscribe(&mut relay, 1, SOUND).unwrap();
    let fourth = Err(Error::OverQuota { link: LinkId(2), what: Measure::Streams, limit: 3 });
    assert_eq!(subscribe(&mut relay, 2, SOUND), fourth);
    relay.unsubscribe(LinkId(1), SOUND);
    subscribe(&mut relay, 2, SOUND).unwrap();
    feed(&mut relay, T0, &Source::video().key(8));
    assert_eq!((drain(&mut relay, T0, LinkId(1)).len(), drain(&mut relay, T0, LinkId(2)).len()), (8, 2));
    relay.remove_link(LinkId(1));
    relay.remove_link(LinkId(2));
    relay.add_link(LinkId(3), owner, Quota::UNLIMITED).expect("it has none left");
    relay.set_identity_quota(owner, Quota::UNLIMITED).unwrap();
    relay.add_link(LinkId(4), owner, Quota::UNLIMITED).unwrap();
    relay.add_link(LinkId(5), owner, Quota::UNLIMITED).unwrap();
}

#[test]
fn streams_and_subscribers_are_counted() {
    let mut relay = relay();
    let quota = Quota { subscribers: 1, ..Quota::UNLIMITED };
    relay.carry(STREAM, Carriage { quota, ..Carriage::forever(CodecId::Av1) }).unwrap();
    let one = join(&mut relay, T0, 1, StartAt::Live);
    let two = LinkId(2);
    relay.add_link(two, identity(two), Quota { streams: 1, ..Quota::UNLIMITED }).unwrap();
    let subscribe = |relay: &mut av_relay::Relay, stream| {
        relay.subscribe(T0, two, stream, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live)
    };
    let full = Error::OverQuota { link: two, what: Measure::Subscribers, limit: 1 };
    assert_eq!(subscribe(&mut relay, STREAM), Err(full.clone()));
    assert!(!full.is_peer_fault());
    subscribe(&mut relay, SOUND).unwrap();
    relay.unsubscribe(one, STREAM);
    let streams = Error::OverQuota { link: two, what: Measure::Streams, limit: 1 };
    assert_eq!(subscribe(&mut relay, STREAM), Err(streams));
    relay.unsubscribe(two, SOUND);
    subscribe(&mut relay, STREAM).unwrap();
    assert_eq!(relay.link_stats(two).unwrap().quota_hits, 2);
}

#[test]
fn a_flood_from_upstream_is_cut_and_other_streams_go_on() {
    for of_stream in [false, true] {
        let mut relay = relay();
        let flooder = LinkId(50);
        let flood = StreamId([5; 32]);
        let (link_quota, stream_quota) =
            if of_stream { (Quota::UNLIMITED, packets(400)) } else { (packets(400), Quota::UNLIMITED) };
        relay.add_link(flooder, identity(flooder), link_quota).unwrap();
        relay.carry(flood, Carriage { quota: stream_quota, ..Carriage::forever(CodecId::Av1) }).unwrap();
        relay.add_upstream(flood, flooder).unwrap();
        let link = join(&mut relay, T0, 1, StartAt::Live);
        let mut source = Source { stream: flood, ..Source::video() };
        let mut good = Source::video();
        for at in 0..10 {
            let many = source.plain(300);
            relay.handle_chunks(ms(at * 100), flooder, many.iter().map(Spec::fresh)).unwrap();
            let picture = good.key(4);
            feed(&mut relay, ms(at * 100), &picture);
            assert_eq!(drain(&mut relay, ms(at * 100), link), numbers(&picture));
        }
        let stats = relay.link_stats(flooder).unwrap();
        assert_eq!(stats.chunks_in, 100 + 9 * 40, "a moment's worth, then the rate");
        assert_eq!((stats.cut, stats.shed), (3_000 - 460, Shed::default()));
        assert_eq!(event(&mut relay), over(flooder, Some(flood), Measure::PacketsIn, 400));
        assert_eq!(relay.link_stats(UP).unwrap().cut, 0);
        assert_eq!(relay.stream_stats(flood).unwrap().cut, stats.cut);
    }
}

#[test]
fn repairs_are_charged_like_anything_else() {
    let mut relay = relay();
    let link = LinkId(1);
    relay.add_link(link, identity(link), packets(40)).unwrap();
    relay.subscribe(T0, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    let key = Source::video().key(8);
    feed(&mut relay, T0, &key);
    assert_eq!(drain(&mut relay, T0, link).len(), 8);
    let wanted: Vec<_> = (0..8).map(core_types::ChunkSeq).collect();
    assert_eq!(relay.handle_repair_request(T0, link, STREAM, core_types::Epoch(1), &wanted).unwrap(), 8);
    assert_eq!(drain(&mut relay, T0, link), numbers(&key[..2]), "ten at once, and eight are gone");
    assert_eq!(drain(&mut relay, ms(50), link), numbers(&key[2..4]));
}

#[test]
fn a_quota_of_nothing_is_nothing_for_ever() {
    let mut relay = relay();
    let nothing = LinkId(1);
    relay.add_link(nothing, identity(nothing), Quota { bytes_per_second: 0, ..Quota::UNLIMITED }).unwrap();
    relay.subscribe(T0, nothing, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    let big = Source { len: 60_000, ..Source::video() }.key(3);
    feed(&mut relay, T0, &big);
    assert_eq!(drain(&mut relay, T0, nothing).len(), 1, "one chunk of any size passes at first");
    let rest = relay.pull(ms(1), nothing, usize::MAX, usize::MAX).rest();
    assert_eq!(rest, Rest::Quota(MonoTime(u64::MAX)));
    relay.handle_timeout(ms(1_000_000));
    assert_eq!(relay.poll_ready(), None);
    add(&mut relay, 2);
}
