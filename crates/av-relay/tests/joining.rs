//! Where subscriptions start.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Event, Limits, StartAt, Upstream};
use core_types::{Epoch, Layer, LayerPolicy, ObjectClass, StripeSet};
use kit::{SOUND, STREAM, Source, T0, add, drain, feed, join, ms, numbers, pull, relay, relay_with, spatial};

const KEY_WANTED: Option<Upstream> = Some(Upstream::KeyFrameWanted { stream: STREAM });

#[test]
fn a_late_joiner_starts_with_the_last_key_frame_from_the_ring() {
    let (mut relay, mut source) = (relay(), Source::video());
    let old = [source.key(2), source.plain(2)].concat();
    feed(&mut relay, T0, &old);
    let mut group = source.key(3);
    group.extend(source.object(ObjectClass::Plain, spatial(1), 2, 1));
    group.extend(source.plain(2));
    feed(&mut relay, ms(100), &group);
    // Seconds later: everything is old, and is sent all the same.
    let link = join(&mut relay, ms(5_000), 1, StartAt::KeyFrameGroup);
    assert_eq!(relay.poll_ready(), Some(link));
    assert_eq!(drain(&mut relay, ms(5_000), link), numbers(&group));
    let next = source.plain(1);
    feed(&mut relay, ms(5_010), &next);
    assert_eq!(drain(&mut relay, ms(5_010), link), numbers(&next));
    assert_eq!(relay.poll_upstream(), None, "nobody had to be asked");
    let stats = relay.stats();
    assert_eq!((stats.late_joins, stats.late_waits, stats.key_frames_in), (1, 0, 2));
    assert_eq!(stats.shed.total(), 0);
    let told = |layer| Event::EffectiveLayer { link, stream: STREAM, layer: Some(layer) };
    let gone = Event::LayerGone { stream: STREAM, layer: spatial(1) };
    let events: Vec<Event> = core::iter::from_fn(|| relay.poll_event()).collect();
    assert_eq!(events, [told(spatial(1)), gone, told(Layer::BASE)], "only the base goes on");
}

#[test]
fn a_late_joiner_gets_nothing_that_can_be_discarded_and_is_not_late_for_catching_up() {
    let (mut relay, mut source) = (relay(), Source::video());
    let key = source.key(4);
    let skipped = source.object(ObjectClass::Discardable, Layer::BASE, 2, 0);
    let plain = source.plain(4);
    feed(&mut relay, T0, &[key.clone(), skipped, plain.clone()].concat());
    let link = join(&mut relay, ms(3_000), 1, StartAt::KeyFrameGroup);
    // It catches up slowly: while it does, live pictures come, and wait for longer than the limit.
    let live = source.plain(2);
    feed(&mut relay, ms(3_000), &live);
    let mut got = Vec::new();
    for at in 0..10 {
        got.extend(pull(&mut relay, ms(3_000 + 100 * at), link, 1_000).into_iter().map(|(_, _, seq)| seq));
    }
    assert_eq!(got, numbers(&[key, plain, live].concat()));
    assert_eq!(relay.link_stats(link).unwrap().shed.discardable, 2);
    assert_eq!(relay.poll_upstream(), None);
}

#[test]
fn a_joiner_waits_for_a_key_frame_that_the_ring_does_not_hold_whole() {
    let mut relay = relay_with(Limits { ring_bytes: 5_000, ..Limits::default() });
    let mut source = Source::video();
    feed(&mut relay, T0, &[source.key(2), source.plain(4)].concat());
    assert_eq!(
        (relay.ring_bytes(), relay.stream_ring_bytes(STREAM), relay.stream_ring_bytes(SOUND)),
        (5_000, 5_000, 0)
    );
    let link = join(&mut relay, T0, 1, StartAt::KeyFrameGroup);
    assert_eq!(relay.poll_upstream(), KEY_WANTED);
    feed(&mut relay, ms(10), &source.plain(2));
    assert!(drain(&mut relay, ms(10), link).is_empty(), "nothing that could not be decoded");
    let key = source.key(2);
    feed(&mut relay, ms(20), &key);
    assert_eq!(drain(&mut relay, ms(20), link), numbers(&key));
    let stats = relay.link_stats(link).unwrap();
    assert_eq!((stats.late_joins, stats.late_waits, stats.withheld), (0, 1, 2));
}

#[test]
fn a_joiner_in_the_midst_of_a_key_frame_gets_all_of_it() {
    let (mut relay, mut source) = (relay(), Source::video());
    let key = source.key(6);
    feed(&mut relay, T0, &key[..3]);
    let link = join(&mut relay, T0, 1, StartAt::KeyFrameGroup);
    feed(&mut relay, T0, &key[3..]);
    assert_eq!(drain(&mut relay, T0, link), numbers(&key));
}

#[test]
fn a_relay_that_comes_late_to_a_stream_asks_as_soon_as_it_sees_that() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::KeyFrameGroup);
    assert_eq!(relay.poll_upstream(), None, "a stream begins with a key frame");
    source.key(3);
    feed(&mut relay, ms(10), &source.plain(2));
    assert_eq!(relay.poll_upstream(), KEY_WANTED);
    feed(&mut relay, ms(20), &source.plain(2));
    assert_eq!((drain(&mut relay, ms(20), link).len(), relay.poll_upstream()), (0, None));
}

#[test]
fn a_stream_that_begins_needs_no_asking_however_long_it_takes_to_begin() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::KeyFrameGroup);
    for at in (0..60_000).step_by(100) {
        relay.handle_timeout(ms(at));
        assert_eq!(relay.poll_upstream(), None, "after {at} ms");
    }
    let key = source.key(3);
    feed(&mut relay, ms(60_000), &key);
    assert_eq!(drain(&mut relay, ms(60_000), link), numbers(&key));
    relay.handle_timeout(ms(62_000));
    assert_eq!((relay.poll_upstream(), relay.stats().key_frame_requests), (None, 0));
}

#[test]
fn who_has_nothing_gets_its_stripes_of_what_is_kept_from_every_parent() {
    for parents in [1, 2, 4] {
        let (mut relay, mut source) = (relay(), Source::video());
        source.epoch = 7;
        let group = [source.key(6), source.plain(2)].concat();
        feed(&mut relay, T0, &[Source::video().key(3), group.clone()].concat());
        let mut got = Vec::new();
        for stripe in 0..parents {
            let link = add(&mut relay, u64::from(stripe));
            let stripes = StripeSet::single(parents, stripe).unwrap();
            let start = StartAt::Kept { from: Epoch(7) };
            relay.subscribe(ms(3_000), link, STREAM, LayerPolicy::UNCAPPED, stripes, start).unwrap();
            let share = drain(&mut relay, ms(3_000), link);
            assert!(share.iter().all(|seq| seq % u64::from(parents) == u64::from(stripe)), "{share:?}");
            got.extend(share);
        }
        got.sort_unstable();
        assert_eq!(got, numbers(&group), "{parents} parents");
        let stats = relay.stats();
        assert_eq!((stats.late_joins, relay.poll_upstream()), (u64::from(parents), None));
    }
}

#[test]
fn what_can_not_be_opened_or_is_not_there_whole_is_not_sent_and_nobody_is_asked_for_it() {
    let new_epoch = StartAt::Kept { from: Epoch(2) };
    let (mut relay, mut source) = (relay(), Source::video());
    feed(&mut relay, T0, &[source.key(2), source.plain(2)].concat());
    let link = join(&mut relay, T0, 1, new_epoch);
    assert!(drain(&mut relay, T0, link).is_empty());
    let last = source.plain(2);
    feed(&mut relay, ms(40), &last);
    assert!(drain(&mut relay, ms(40), link).is_empty(), "of the epoch before it can open nothing");
    (source.epoch, source.next) = (2, 0);
    let key = source.key(3);
    feed(&mut relay, ms(80), &key);
    assert_eq!(drain(&mut relay, ms(80), link), numbers(&key));
    // It has the key frame by now, and who comes later gets it as well.
    let later = join(&mut relay, ms(90), 2, new_epoch);
    assert_eq!(drain(&mut relay, ms(90), later), numbers(&key));
    relay.handle_timeout(ms(5_000));
    assert_eq!((relay.poll_upstream(), relay.stats().late_waits), (None, 0));

    let mut small = relay_with(Limits { ring_bytes: 5_000, ..Limits::default() });
    let mut source = Source::video();
    feed(&mut small, T0, &[source.key(2), source.plain(5)].concat());
    let link = join(&mut small, T0, 1, StartAt::Kept { from: Epoch(1) });
    let next = source.plain(2);
    feed(&mut small, T0, &next);
    assert_eq!((drain(&mut small, T0, link), small.poll_upstream()), (numbers(&next), None));
}

#[test]
fn a_parent_that_takes_over_goes_on_where_the_other_one_was() {
    let (mut relay, mut source) = (relay(), Source::video());
    feed(&mut relay, T0, &[source.key(3), source.object(ObjectClass::Plain, spatial(1), 2, 0)].concat());
    let whole = source.object(ObjectClass::Plain, spatial(1), 4, 0);
    feed(&mut relay, T0, &whole[..2]);
    let link = join(&mut relay, T0, 1, StartAt::Live);
    let base = add(&mut relay, 2);
    relay.subscribe(T0, base, STREAM, LayerPolicy::BASE_ONLY, StripeSet::ALL, StartAt::Live).unwrap();
    let next = source.plain(2);
    feed(&mut relay, T0, &[&whole[2..], &next].concat());
    assert_eq!(drain(&mut relay, T0, link), numbers(&[&whole[2..], &next].concat()));
    assert_eq!(drain(&mut relay, T0, base), numbers(&next), "not the rest of what it does not want");
    assert_eq!((relay.stats().late_joins, relay.stats().late_waits), (0, 0));
}

#[test]
fn sound_starts_at_once_and_nobody_is_asked_for_it() {
    let (mut relay, mut source) = (relay(), Source::sound());
    for _ in 0..5 {
        feed(&mut relay, T0, &source.key(1));
    }
    let link = add(&mut relay, 1);
    relay.subscribe(T0, link, SOUND, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::KeyFrameGroup).unwrap();
    let next = source.key(1);
    feed(&mut relay, T0, &next);
    assert_eq!(drain(&mut relay, T0, link), numbers(&next));
    // Late packets are left out one by one, without waiting for anything.
    let old = source.key(1);
    feed(&mut relay, T0, &old);
    let young = source.key(1);
    feed(&mut relay, ms(200), &young);
    assert_eq!(drain(&mut relay, ms(251), link), numbers(&young));
    assert_eq!((relay.link_stats(link).unwrap().shed.base, relay.poll_upstream()), (1, None));
}

#[test]
fn a_key_frame_of_the_new_epoch_counts_and_a_late_one_of_the_old_does_not() {
    let (mut relay, mut source) = (relay(), Source::video());
    let mut old = source.clone();
    feed(&mut relay, T0, &old.key(1));
    source.epoch = 2;
    let new = source.key(2);
    feed(&mut relay, T0, &new);
    let straggler = old.key(1);
    feed(&mut relay, T0, &straggler);
    let link = join(&mut relay, T0, 1, StartAt::KeyFrameGroup);
    let got = pull(&mut relay, T0, link, usize::MAX);
    assert_eq!(got[..2], [(STREAM, 2, 0), (STREAM, 2, 1)]);
}

#[test]
fn a_subscription_that_is_replaced_keeps_its_place() {
    let (mut relay, mut source) = (relay(), Source::video());
    let link = join(&mut relay, T0, 1, StartAt::Live);
    let first = source.key(4);
    feed(&mut relay, T0, &first);
    assert_eq!(pull(&mut relay, T0, link, 2_000).len(), 2);
    for start in [StartAt::Live, StartAt::KeyFrameGroup] {
        relay.subscribe(T0, link, STREAM, LayerPolicy::BASE_ONLY, StripeSet::ALL, start).unwrap();
    }
    assert_eq!(drain(&mut relay, T0, link), numbers(&first[2..]));
    let stripes = StripeSet::single(2, 0).unwrap();
    let next = source.plain(4);
    relay.subscribe(T0, link, STREAM, LayerPolicy::BASE_ONLY, stripes, StartAt::Live).unwrap();
    feed(&mut relay, T0, &next);
    assert_eq!(drain(&mut relay, T0, link), [4, 6]);
}
