//! Layers come, go, and are switched, and nothing that is forwarded can't be decoded.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Event, Limits, StartAt};
use core::time::Duration;
use core_types::{Layer, LayerPolicy, MonoTime, ObjectClass, StripeSet};
use kit::{
    STREAM, Source, Spec, T0, add, drain, feed, join, ms, numbers, pull, relay, relay_with, spatial, temporal,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const LAYERS: [Layer; 6] = [
    Layer::BASE,
    Layer { temporal: 1, ..Layer::BASE },
    Layer { quality: 1, ..Layer::BASE },
    Layer { spatial: 1, ..Layer::BASE },
    Layer { spatial: 1, temporal: 1, quality: 0 },
    Layer { spatial: 2, ..Layer::BASE },
];

fn cap(max_spatial: u8, max_temporal: u8) -> LayerPolicy {
    LayerPolicy { max_spatial, max_temporal, max_quality: 1 }
}

fn covers(layer: Layer, other: Layer) -> bool {
    layer.spatial >= other.spatial && layer.temporal >= other.temporal && layer.quality >= other.quality
}

/// A publisher whose objects refer to others, and whose marks are true.
#[derive(Default)]
struct Publisher {
    /// Layer, whether later ones may refer to it, what it refers to.
    objects: Vec<(Layer, bool, Vec<usize>)>,
    /// Objects of a layer from here on may be referred to.
    floor: BTreeMap<Layer, usize>,
}

impl Publisher {
    /// The next object: of that class if what it would have to refer to allows it. `picks` choose the references.
    fn object(&mut self, layer: Layer, class: ObjectClass, picks: u32) -> ObjectClass {
        let number = self.objects.len();
        let key = layer == Layer::BASE && class == ObjectClass::KeyFrame;
        if key {
            self.floor = LAYERS.into_iter().map(|layer| (layer, number)).collect();
        }
        // A switch point is where a layer begins anew: nobody refers to what it had before.
        if matches!(class, ObjectClass::SwitchPoint | ObjectClass::KeyFrame) {
            self.floor.insert(layer, number);
        }
        let mut refers = Vec::new();
        for (at, (of, stays, _)) in self.objects.iter().enumerate().rev().take(20) {
            let allowed =
                *stays && covers(layer, *of) && at >= self.floor.get(of).copied().unwrap_or(usize::MAX);
            if allowed && picks >> (at % 32) & 1 == 1 {
                refers.push(at);
            }
        }
        self.objects.push((layer, class != ObjectClass::Discardable, refers));
        class
    }
}

fn class(choice: u8) -> ObjectClass {
    match choice % 12 {
        0 => ObjectClass::KeyFrame,
        1 | 2 => ObjectClass::SwitchPoint,
        3..=5 => ObjectClass::Discardable,
        _ => ObjectClass::Plain,
    }
}

#[derive(Debug, Clone)]
enum Step {
    Picture(Vec<(bool, u8, u32, usize)>),
    Wait(u64),
    Pull(usize),
    Cap(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let object = (any::<bool>(), 0u8..60, any::<u32>(), 1usize..3);
    prop_oneof![
        5 => prop::collection::vec(object, LAYERS.len()).prop_map(Step::Picture),
        2 => (0u64..80).prop_map(Step::Wait),
        4 => (500usize..9_000).prop_map(Step::Pull),
        1 => (0u8..3, 0u8..2).prop_map(|(s, t)| Step::Cap(s, t)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_forwarded_whole_can_be_decoded_and_nothing_is_forwarded_by_halves(
        steps in prop::collection::vec(step(), 1..100),
        anew: bool,
        bytes in 6_000u64..40_000,
    ) {
        // So old that no object is given up after it was begun.
        let limits = Limits { backlog_bytes: bytes, backlog_age: Duration::from_millis(200), ..Limits::default() };
        let mut relay = relay_with(limits);
        let link = add(&mut relay, 1);
        let (mut source, mut publisher, mut now) = (Source::video(), Publisher::default(), T0);
        let mut chunks: Vec<Vec<u64>> = Vec::new();
        let mut got = BTreeSet::new();
        let send = |relay: &mut _, now, source: &mut Source, publisher: &mut Publisher, chunks: &mut Vec<Vec<u64>>, objects: &[(bool, u8, u32, usize)]| {
            for (layer, (is_there, choice, picks, symbols)) in LAYERS.into_iter().zip(objects) {
                if *is_there || layer == Layer::BASE {
                    let class = publisher.object(layer, class(*choice), *picks);
                    let made = source.object(class, layer, *symbols, 0);
                    chunks.push(numbers(&made));
                    feed(relay, now, &made);
                }
            }
        };
        send(&mut relay, now, &mut source, &mut publisher, &mut chunks, &[(true, 0, 0, 2); 6]);
        let start = if anew { StartAt::KeyFrameGroup } else { StartAt::Live };
        if !anew {
            got.extend(chunks.iter().flatten().copied());
        }
        relay.subscribe(now, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, start).unwrap();
        for step in &steps {
            match step {
                Step::Picture(objects) => send(&mut relay, now, &mut source, &mut publisher, &mut chunks, objects),
                Step::Wait(millis) => now = MonoTime(now.0 + millis * 1_000),
                Step::Pull(budget) => got.extend(pull(&mut relay, now, link, *budget).into_iter().map(|(_, _, seq)| seq)),
                Step::Cap(s, t) => relay.subscribe(now, link, STREAM, cap(*s, *t), StripeSet::ALL, start).unwrap(),
            }
        }
        got.extend(drain(&mut relay, now, link));
        let stale = relay.link_stats(link).unwrap();
        let mut decoded = BTreeSet::new();
        for (object, seqs) in chunks.iter().enumerate() {
            let have = seqs.iter().filter(|seq| got.contains(seq)).count();
            if have == 0 {
                continue;
            }
            prop_assert!(have == seqs.len() || stale.shed.total() > 0, "half of object {object}");
            if have == seqs.len() {
                for refers in &publisher.objects[object].2 {
                    prop_assert!(decoded.contains(refers), "object {object} refers to {refers}");
                }
                decoded.insert(object);
            }
        }
    }

    #[test]
    fn switching_layers_never_stops_the_lower_ones(
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let mut relay = relay();
        let link = join(&mut relay, T0, 1, StartAt::Live);
        let (mut source, mut policy) = (Source::video(), LayerPolicy::UNCAPPED);
        let mut lowest = [policy; 2];
        feed(&mut relay, T0, &LAYERS.iter().flat_map(|l| source.object(ObjectClass::KeyFrame, *l, 1, 0)).collect::<Vec<_>>());
        drain(&mut relay, T0, link);
        let mut have: BTreeSet<Layer> = LAYERS.into_iter().collect();
        let mut number = 0u64;
        for step in steps {
            match step {
                Step::Cap(s, t) => {
                    policy = cap(s, t);
                    relay.subscribe(T0, link, STREAM, policy, StripeSet::ALL, StartAt::Live).unwrap();
                    have.retain(|layer| policy.admits(*layer));
                    lowest[0] = policy;
                }
                Step::Picture(objects) => {
                    for (layer, (_, choice, _, symbols)) in LAYERS.into_iter().zip(objects) {
                        number += 1;
                        // No key frames of the base and nothing discardable, so that marks alone decide.
                        let class = if choice % 5 == 0 { ObjectClass::SwitchPoint } else { ObjectClass::Plain };
                        let object = source.object(class, layer, symbols, 0);
                        feed(&mut relay, T0, &object);
                        let below = LAYERS.into_iter().filter(|l| *l != layer && covers(layer, *l));
                        if policy.admits(layer) && class == ObjectClass::SwitchPoint && below.into_iter().all(|l| have.contains(&l)) {
                            have.insert(layer);
                        }
                        let expected = if have.contains(&layer) { numbers(&object) } else { Vec::new() };
                        prop_assert_eq!(drain(&mut relay, T0, link), expected, "{:?} of picture {}", layer, number);
                    }
                }
                _ => {}
            }
        }
        prop_assert!(have.contains(&Layer::BASE));
        prop_assert_eq!(relay.poll_upstream(), None);
    }
}

/// A picture in some layers, all of one class.
fn picture(source: &mut Source, class: ObjectClass, layers: &[Layer]) -> Vec<Spec> {
    layers.iter().flat_map(|layer| source.object(class, *layer, 2, 0)).collect()
}

#[test]
fn a_lower_cap_counts_from_the_next_object_on() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::Live);
    let two = [Layer::BASE, spatial(1)];
    let first = picture(&mut source, ObjectClass::KeyFrame, &two);
    feed(&mut relay, T0, &first[..3]);
    assert_eq!(drain(&mut relay, T0, link), numbers(&first[..3]));
    relay.subscribe(T0, link, STREAM, LayerPolicy::BASE_ONLY, StripeSet::ALL, StartAt::Live).unwrap();
    feed(&mut relay, T0, &first[3..]);
    assert_eq!(drain(&mut relay, T0, link), numbers(&first[3..]), "what was begun is finished");
    let next = picture(&mut source, ObjectClass::Plain, &two);
    feed(&mut relay, T0, &next);
    assert_eq!(drain(&mut relay, T0, link), numbers(&next[..2]));
    assert_eq!(relay.effective_layer(link, STREAM), Some(Layer::BASE));
}

#[test]
fn a_layer_nothing_refers_back_in_is_taken_up_without_a_switch_point() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = add(&mut relay, 1);
    relay.subscribe(T0, link, STREAM, LayerPolicy::BASE_ONLY, StripeSet::ALL, StartAt::Live).unwrap();
    feed(&mut relay, T0, &source.key(1));
    feed(&mut relay, T0, &source.object(ObjectClass::Discardable, temporal(1), 1, 0));
    drain(&mut relay, T0, link);
    relay.subscribe(T0, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    let free = source.object(ObjectClass::Discardable, temporal(1), 1, 0);
    feed(&mut relay, T0, &free);
    assert_eq!(drain(&mut relay, T0, link), numbers(&free), "none of its layer could be referred to");
    relay.subscribe(T0, link, STREAM, LayerPolicy::BASE_ONLY, StripeSet::ALL, StartAt::Live).unwrap();
    feed(&mut relay, T0, &source.object(ObjectClass::Plain, temporal(1), 1, 0));
    drain(&mut relay, T0, link);
    relay.subscribe(T0, link, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    feed(&mut relay, T0, &source.object(ObjectClass::Discardable, temporal(1), 1, 0));
    assert!(drain(&mut relay, T0, link).is_empty(), "it may refer to the one that was not sent");
}

#[test]
fn a_layer_that_appears_late_is_no_surprise() {
    let (mut relay, mut source) = (relay(), Source::video());
    let live = join(&mut relay, T0, 1, StartAt::Live);
    // Its middle layer is shed before the top one is known at all.
    feed(&mut relay, T0, &picture(&mut source, ObjectClass::KeyFrame, &[Layer::BASE, spatial(1)]));
    drain(&mut relay, T0, live);
    let late = picture(&mut source, ObjectClass::Plain, &[Layer::BASE, spatial(1)]);
    feed(&mut relay, T0, &late);
    assert_eq!(drain(&mut relay, ms(240), live), numbers(&late[..2]));
    let top = picture(&mut source, ObjectClass::Plain, &[spatial(2)]);
    feed(&mut relay, ms(240), &top);
    assert!(drain(&mut relay, ms(240), live).is_empty(), "it builds on what was not sent");
}

#[test]
fn a_layer_that_vanishes_is_reported_and_those_below_go_on() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::Live);
    let three = [Layer::BASE, spatial(1), spatial(2)];
    feed(&mut relay, T0, &picture(&mut source, ObjectClass::KeyFrame, &three));
    drain(&mut relay, T0, link);
    assert_eq!(relay.effective_layer(link, STREAM), Some(spatial(2)));
    let events = |relay: &mut av_relay::Relay| core::iter::from_fn(|| relay.poll_event()).collect::<Vec<_>>();
    events(&mut relay);
    // The middle and top layers stop. Nothing is noticed for two pictures.
    for at in 1..=2 {
        let below = picture(&mut source, ObjectClass::Plain, &three[..1]);
        feed(&mut relay, ms(at * 33), &below);
        assert_eq!(drain(&mut relay, ms(at * 33), link), numbers(&below));
    }
    assert!(events(&mut relay).is_empty());
    let below = picture(&mut source, ObjectClass::Plain, &three[..1]);
    feed(&mut relay, ms(99), &below);
    assert_eq!(drain(&mut relay, ms(99), link), numbers(&below));
    let gone = |layer| Event::LayerGone { stream: STREAM, layer };
    let now_has = |layer| Event::EffectiveLayer { link, stream: STREAM, layer: Some(layer) };
    assert_eq!(events(&mut relay), [gone(spatial(1)), gone(spatial(2)), now_has(Layer::BASE)]);
    assert_eq!(relay.effective_layer(link, STREAM), Some(Layer::BASE));
    // The top one comes back alone, and whoever has it has missed nothing.
    let top = picture(&mut source, ObjectClass::Plain, &three[2..]);
    feed(&mut relay, ms(120), &top);
    assert_eq!(drain(&mut relay, ms(120), link), numbers(&top));
    assert_eq!(
        events(&mut relay),
        [Event::LayerBack { stream: STREAM, layer: spatial(2) }, now_has(spatial(2))]
    );
    // Somebody new can't take it up without the one that is gone, which it may still refer to; after a key frame it can.
    let other = add(&mut relay, 2);
    relay.subscribe(ms(120), other, STREAM, LayerPolicy::BASE_ONLY, StripeSet::ALL, StartAt::Live).unwrap();
    relay.subscribe(ms(120), other, STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live).unwrap();
    feed(&mut relay, ms(130), &picture(&mut source, ObjectClass::SwitchPoint, &three[2..]));
    assert!(drain(&mut relay, ms(130), other).is_empty());
    let key = picture(&mut source, ObjectClass::KeyFrame, &three[..1]);
    let top = picture(&mut source, ObjectClass::Plain, &three[2..]);
    feed(&mut relay, ms(140), &[key.clone(), top.clone()].concat());
    assert_eq!(drain(&mut relay, ms(140), other), numbers(&[key, top].concat()));
}

#[test]
fn proofs_that_come_with_a_picture_are_no_pictures() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::Live);
    for at in 0..10 {
        let mut chunks = picture(&mut source, ObjectClass::KeyFrame, &[Layer::BASE, spatial(1)]);
        for _ in 0..4 {
            chunks.extend(source.plain(1));
        }
        feed(&mut relay, ms(at * 33), &chunks);
        drain(&mut relay, ms(at * 33), link);
    }
    assert!(!core::iter::from_fn(|| relay.poll_event()).any(|e| matches!(e, Event::LayerGone { .. })));
}

#[test]
fn time_alone_shows_that_a_layer_is_gone_but_not_that_a_source_pauses() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::Live);
    feed(&mut relay, T0, &picture(&mut source, ObjectClass::KeyFrame, &[Layer::BASE, temporal(1)]));
    drain(&mut relay, T0, link);
    relay.handle_timeout(ms(5_000));
    assert_eq!(relay.effective_layer(link, STREAM), Some(temporal(1)), "nothing comes of any layer");
    feed(&mut relay, ms(5_000), &picture(&mut source, ObjectClass::Plain, &[Layer::BASE, temporal(1)]));
    feed(&mut relay, ms(5_040), &picture(&mut source, ObjectClass::Plain, &[Layer::BASE]));
    assert_eq!(relay.poll_timeout(), Some(ms(5_150)));
    relay.handle_timeout(ms(5_149));
    assert_eq!(relay.effective_layer(link, STREAM), Some(temporal(1)));
    relay.handle_timeout(ms(5_150));
    assert_eq!(relay.effective_layer(link, STREAM), Some(Layer::BASE));
    assert_eq!(relay.poll_timeout(), None);
}
