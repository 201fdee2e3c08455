//! What a subscriber that is behind does not get, in which order, and what it gets all the same. The limits are 250 ms and
//! 512 KiB unless a test sets others.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Limits, Relay, Shed, StartAt, Upstream};
use core_types::{Layer, LayerPolicy, LinkId, ObjectClass, StripeSet};
use kit::{
    STREAM, Source, Spec, T0, add, drain, feed, join, ms, numbers, pull, relay, relay_with, spatial, temporal,
};

const LINK: LinkId = LinkId(1);

/// A relay with a subscriber that has everything of a first picture in these layers.
fn watched(limits: Limits, layers: &[Layer]) -> (Relay, Source) {
    let (mut relay, mut source) = (relay_with(limits), Source::video());
    join(&mut relay, T0, LINK.0, StartAt::Live);
    for layer in layers {
        let first = source.object(ObjectClass::KeyFrame, *layer, 1, 0);
        feed(&mut relay, T0, &first);
    }
    drain(&mut relay, T0, LINK);
    (relay, source)
}

fn shed(relay: &Relay) -> Shed {
    relay.link_stats(LINK).unwrap().shed
}

/// A picture comes at T0, and is served so much later: what is served of it.
fn served_after(
    millis: u64,
    layers: &[Layer],
    picture: impl Fn(&mut Source) -> Vec<Spec>,
) -> (Vec<u64>, Vec<Spec>, Shed) {
    let (mut relay, mut source) = watched(Limits::default(), layers);
    let chunks = picture(&mut source);
    feed(&mut relay, T0, &chunks);
    let got = drain(&mut relay, ms(millis), LINK);
    (got, chunks, shed(&relay))
}

#[test]
fn repair_symbols_are_shed_after_a_quarter_of_the_age() {
    let picture = |source: &mut Source| source.object(ObjectClass::Plain, Layer::BASE, 4, 2);
    let (got, chunks, none) = served_after(62, &[Layer::BASE], picture);
    assert_eq!((got, none), (numbers(&chunks), Shed::default()));
    let (got, chunks, some) = served_after(63, &[Layer::BASE], picture);
    assert_eq!((got, some), (numbers(&chunks[..4]), Shed { repair: 2, ..Shed::default() }));
}

#[test]
fn discardable_objects_are_shed_after_half_of_it_and_nothing_refers_to_them() {
    let picture = |source: &mut Source| {
        let mut chunks = source.object(ObjectClass::Discardable, Layer::BASE, 3, 1);
        chunks.extend(source.plain(2));
        chunks
    };
    let (got, chunks, _) = served_after(125, &[Layer::BASE], picture);
    assert_eq!(got, numbers(&[&chunks[..3], &chunks[4..]].concat()));
    let (got, chunks, some) = served_after(126, &[Layer::BASE], picture);
    assert_eq!(got, numbers(&chunks[4..]), "the base goes on behind it");
    assert_eq!(some, Shed { repair: 1, discardable: 3, ..Shed::default() });
}

#[test]
fn layers_are_shed_from_the_top_by_spatial_then_quality_then_temporal() {
    let layers = [Layer::BASE, temporal(1), Layer { quality: 1, ..Layer::BASE }, spatial(1)];
    let picture = |source: &mut Source| {
        layers.iter().flat_map(|layer| source.object(ObjectClass::Plain, *layer, 2, 0)).collect::<Vec<_>>()
    };
    // Thresholds at 125 + 125 · n/4 ms for the n-th layer from the top.
    for (millis, kept) in [(156, 4), (157, 3), (187, 3), (188, 2), (218, 2), (219, 1), (500, 1), (501, 0)] {
        let (got, chunks, some) = served_after(millis, &layers, picture);
        assert_eq!(got, numbers(&chunks[..2 * kept]), "after {millis} ms");
        let enhancement = 2 * (4 - kept.max(1)) as u64;
        assert_eq!(
            some,
            Shed {
                enhancement: if kept == 0 { 0 } else { enhancement },
                base: 2 * u64::from(kept == 0),
                ..some
            }
        );
    }
}

#[test]
fn a_layer_that_was_shed_is_withheld_with_those_above_until_it_can_be_taken_up() {
    let layers = [Layer::BASE, spatial(1), spatial(2)];
    let (mut relay, mut source) = watched(Limits::default(), &layers);
    let mut picture = |classes: [ObjectClass; 3]| -> Vec<Spec> {
        (0..3).flat_map(|at| source.object(classes[at], layers[at], 1, 0)).collect()
    };
    use ObjectClass::{KeyFrame, Plain, SwitchPoint};
    let late = picture([Plain; 3]);
    feed(&mut relay, T0, &late);
    assert_eq!(drain(&mut relay, ms(180), LINK), numbers(&late[..2]), "the top one is late");
    assert_eq!(relay.effective_layer(LINK, STREAM), Some(spatial(1)));
    let next = picture([Plain; 3]);
    feed(&mut relay, ms(180), &next);
    assert_eq!(drain(&mut relay, ms(180), LINK), numbers(&next[..2]), "it could not be decoded");
    assert_eq!(relay.link_stats(LINK).unwrap().withheld, 1);
    let late = picture([Plain; 3]);
    feed(&mut relay, ms(200), &late);
    assert_eq!(drain(&mut relay, ms(420), LINK), numbers(&late[..1]));
    let without_the_middle = picture([Plain, Plain, SwitchPoint]);
    feed(&mut relay, ms(420), &without_the_middle);
    assert_eq!(drain(&mut relay, ms(420), LINK), numbers(&without_the_middle[..1]));
    let behind = picture([Plain, SwitchPoint, Plain]);
    feed(&mut relay, ms(420), &behind);
    assert_eq!(
        drain(&mut relay, ms(490), LINK),
        numbers(&behind[..1]),
        "nothing is taken up while it is behind"
    );
    let switch = picture([Plain, SwitchPoint, Plain]);
    feed(&mut relay, ms(490), &switch);
    assert_eq!(drain(&mut relay, ms(490), LINK), numbers(&switch[..2]));
    let all = picture([Plain, Plain, KeyFrame]);
    feed(&mut relay, ms(490), &all);
    assert_eq!(drain(&mut relay, ms(490), LINK), numbers(&all));
    assert_eq!(relay.effective_layer(LINK, STREAM), Some(spatial(2)));
}

#[test]
fn the_base_is_shed_whole_until_a_key_frame_which_is_asked_for_once() {
    let (mut relay, mut source) = watched(Limits::default(), &[Layer::BASE]);
    let old = source.plain(3);
    feed(&mut relay, T0, &old);
    let young = source.plain(3);
    feed(&mut relay, ms(400), &young);
    assert!(drain(&mut relay, ms(510), LINK).is_empty(), "the second refers to the first");
    assert_eq!(relay.poll_upstream(), Some(Upstream::KeyFrameWanted { stream: STREAM }));
    let stats = relay.link_stats(LINK).unwrap();
    assert_eq!((stats.shed.base, stats.withheld), (3, 3));
    assert_eq!(relay.effective_layer(LINK, STREAM), None);
    let more = source.plain(1);
    feed(&mut relay, ms(520), &more);
    assert!(drain(&mut relay, ms(520), LINK).is_empty());
    let (key, plain) = (source.key(2), source.plain(1));
    feed(&mut relay, ms(530), &key);
    feed(&mut relay, ms(540), &plain);
    assert_eq!(drain(&mut relay, ms(550), LINK), numbers(&[key, plain].concat()));
    assert_eq!(relay.poll_upstream(), None);
}

#[test]
fn bytes_shed_in_the_same_order_and_no_more_than_needed() {
    let layers = [Layer::BASE, spatial(1), spatial(2)];
    let picture = |source: &mut Source| -> Vec<Spec> {
        let mut chunks = source.object(ObjectClass::Plain, Layer::BASE, 3, 1);
        chunks.extend(source.object(ObjectClass::Discardable, Layer::BASE, 2, 0));
        chunks.extend(source.object(ObjectClass::Plain, spatial(1), 2, 0));
        chunks.extend(source.object(ObjectClass::Plain, spatial(2), 2, 0));
        chunks
    };
    // Ten chunks of 1,000 bytes: base 0–2, repair 3, discardable 4–5, layers 6–7 and 8–9. What went out does not wait any more:
    // the repair symbol is the first of seven, of the others that are shed no earlier than discardable ones there are six.
    for (limit, left_out) in
        [(7_000, 0..0), (6_999, 3..4), (6_000, 3..4), (5_999, 3..6), (3_000, 3..6), (2_999, 0..10)]
    {
        let limits = Limits { backlog_bytes: limit, ..Limits::default() };
        let (mut relay, mut source) = watched(limits, &layers);
        let chunks = picture(&mut source);
        feed(&mut relay, T0, &chunks);
        let got = drain(&mut relay, T0, LINK);
        let expected: Vec<u64> =
            chunks.iter().enumerate().filter(|(at, _)| !left_out.contains(at)).map(|(_, c)| c.seq).collect();
        assert_eq!(got, expected, "{limit} bytes");
    }
}

#[test]
fn bytes_shed_upper_layers_of_a_queue_before_lower_ones() {
    // Layers above come first in this queue, so that what is below them still waits.
    let layers = [Layer::BASE, spatial(1), spatial(2)];
    for (limit, kept) in
        [(6_000, [2, 1, 0].as_slice()), (5_999, &[1, 0]), (4_000, &[1, 0]), (3_999, &[0]), (2_000, &[0])]
    {
        let (mut relay, mut source) = watched(Limits { backlog_bytes: limit, ..Limits::default() }, &layers);
        let mut chunks = Vec::new();
        for layer in [2, 1, 0] {
            chunks.extend(source.object(ObjectClass::Plain, layers[layer], 2, 0));
        }
        feed(&mut relay, T0, &chunks);
        let expected: Vec<u64> =
            chunks.iter().filter(|c| kept.contains(&usize::from(c.layer.spatial))).map(|c| c.seq).collect();
        assert_eq!(drain(&mut relay, T0, LINK), expected, "{limit} bytes");
    }
}

#[test]
fn only_what_a_subscriber_wants_counts_as_its_backlog() {
    let limits = Limits { backlog_bytes: 6_000, ..Limits::default() };
    let (mut relay, mut source) = watched(limits, &[Layer::BASE, spatial(1)]);
    let capped = add(&mut relay, 2);
    relay.subscribe(T0, capped, STREAM, LayerPolicy::BASE_ONLY, StripeSet::ALL, StartAt::Live).unwrap();
    let striped = add(&mut relay, 3);
    let stripe = StripeSet::single(2, 0).unwrap();
    relay.subscribe(T0, striped, STREAM, LayerPolicy::UNCAPPED, stripe, StartAt::Live).unwrap();
    let mut chunks = source.object(ObjectClass::Plain, Layer::BASE, 4, 2);
    chunks.extend(source.object(ObjectClass::Plain, spatial(1), 4, 2));
    feed(&mut relay, T0, &chunks);
    assert_eq!(drain(&mut relay, T0, capped), numbers(&chunks[..6]), "all of the base, repair included");
    assert_eq!(drain(&mut relay, T0, striped).len(), 6, "each second one of all");
    assert!(drain(&mut relay, T0, LINK).len() < 12);
}

#[test]
fn an_object_that_was_begun_goes_on_but_not_for_ever() {
    let (mut relay, mut source) = watched(Limits::default(), &[Layer::BASE]);
    let long = source.plain(6);
    feed(&mut relay, T0, &long);
    assert_eq!(pull(&mut relay, T0, LINK, 2_500).len(), 2);
    assert_eq!(pull(&mut relay, ms(900), LINK, 2_500).len(), 2, "half of it is of no use");
    assert!(pull(&mut relay, ms(1_001), LINK, 2_500).is_empty(), "four times as old as the limit");
    assert_eq!(shed(&relay), Shed { base: 2, ..Shed::default() });
    assert_eq!(relay.poll_upstream(), Some(Upstream::KeyFrameWanted { stream: STREAM }));
}

#[test]
fn a_slow_link_gets_its_key_frame_and_what_comes_behind_it() {
    let (mut relay, mut source) = watched(Limits::default(), &[Layer::BASE]);
    let key = source.key(12);
    feed(&mut relay, T0, &key);
    let mut got = Vec::new();
    let mut sent = numbers(&key);
    // The key frame takes 1.2 s: 1,000 bytes every 100 ms. Pictures of 400 bytes come every 100 ms meanwhile.
    source.len = 400;
    for tick in 0..60 {
        let small = source.plain(1);
        feed(&mut relay, ms(tick * 100), &small);
        sent.extend(numbers(&small));
        got.extend(pull(&mut relay, ms(tick * 100), LINK, 1_000).into_iter().map(|(_, _, seq)| seq));
    }
    assert_eq!(got, sent, "nothing was shed, and it has caught up");
    assert_eq!((shed(&relay), relay.poll_upstream()), (Shed::default(), None));
    // Having caught up, it is late again when it is late.
    let late = source.plain(1);
    feed(&mut relay, ms(7_000), &late);
    assert!(drain(&mut relay, ms(7_501), LINK).is_empty());
}

#[test]
fn a_link_with_a_quarter_of_the_bandwidth_keeps_a_moving_picture_and_the_others_see_nothing_of_it() {
    let layers = [Layer::BASE, spatial(1), spatial(2)];
    let (mut relay, mut source) = watched(Limits::default(), &layers);
    let other = join(&mut relay, T0, 2, StartAt::Live);
    // 30 pictures a second of 2 + 3 + 5 kB and a quarter of repair: 3 Mbit/s. The slow link takes 0.75 Mbit/s.
    let (mut base_sent, mut base_got, mut fast) = (0, 0, 0);
    let mut sent = 0;
    for frame in 0..600u64 {
        let switch = frame % 60 == 0;
        let mut chunks = Vec::new();
        for (at, symbols) in [2, 3, 5].into_iter().enumerate() {
            let class = if at > 0 && switch { ObjectClass::SwitchPoint } else { ObjectClass::Plain };
            chunks.extend(source.object(class, layers[at], symbols, symbols.div_ceil(4)));
        }
        let now = ms(frame * 33);
        feed(&mut relay, now, &chunks);
        sent += chunks.len();
        fast += drain(&mut relay, now, other).len();
        base_sent += 2;
        let slow = relay.pull(now, LINK, 3_100, 100);
        base_got +=
            slow.iter().filter(|c| c.header().layer == Layer::BASE && !c.header().marks.repair).count();
    }
    assert_eq!(fast, sent);
    assert!(base_got + 20 > base_sent, "{base_got} of {base_sent}");
    let slow = relay.link_stats(LINK).unwrap();
    assert_eq!((slow.shed.base, relay.poll_upstream()), (0, None));
    assert_eq!(relay.link_stats(other).unwrap().shed, Shed::default());
}

#[test]
fn a_repair_share_is_a_share_of_each_object_rounded_up() {
    let mut relay = relay();
    let link = join(&mut relay, T0, 1, StartAt::Live);
    let mut source = Source::video();
    for (share, of_five) in
        [(0, 0), (1, 1), (200, 1), (201, 2), (500, 3), (999, 5), (1_000, 5), (u16::MAX, 5)]
    {
        relay.set_repair_share(link, share).unwrap();
        for _ in 0..2 {
            let chunks = source.object(ObjectClass::Plain, Layer::BASE, 3, 5);
            feed(&mut relay, T0, &chunks);
            let got = drain(&mut relay, T0, link);
            assert_eq!(got.len(), 3 + of_five, "{share} thousandths");
            assert_eq!(got[..3], numbers(&chunks)[..3]);
        }
    }
    assert_eq!(relay.link_stats(link).unwrap().over_share, 2 * (5 + 4 + 4 + 3 + 2));
    assert_eq!(relay.link_stats(link).unwrap().shed, Shed::default());
}

#[test]
fn limits_beyond_all_measure_shed_nothing() {
    let limits =
        Limits { backlog_bytes: u64::MAX, backlog_age: core::time::Duration::MAX, ..Limits::default() };
    let (mut relay, mut source) = watched(limits, &[Layer::BASE, spatial(1)]);
    let chunks = source.object(ObjectClass::Plain, spatial(1), 2, 2);
    feed(&mut relay, T0, &chunks);
    assert_eq!(drain(&mut relay, ms(1 << 30), LINK), numbers(&chunks));
}
