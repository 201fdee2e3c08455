//! Key frames that are asked for.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Error, Quota, Relay, StartAt, Upstream};
use core_types::{LayerPolicy, LinkId, StripeSet};
use kit::{SOUND, STREAM, Source, T0, add, drain, feed, identity, join, ms, relay};

/// Times at which a request goes upstream, by a driver that does nothing but keep the timer.
fn asked(relay: &mut Relay, from: u64, to: u64) -> Vec<u64> {
    let mut times = Vec::new();
    for at in from..to {
        if relay.poll_timeout().is_some_and(|due| due <= ms(at)) {
            relay.handle_timeout(ms(at));
        }
        while let Some(Upstream::KeyFrameWanted { stream }) = relay.poll_upstream() {
            assert_eq!(stream, STREAM);
            times.push(at);
        }
    }
    times
}

/// Twenty subscribers that have a picture.
fn watched() -> (Relay, Source) {
    let (mut relay, mut source) = (relay(), Source::video());
    for link in 0..20 {
        join(&mut relay, T0, link, StartAt::Live);
    }
    feed(&mut relay, T0, &source.key(1));
    serve(&mut relay, 0);
    (relay, source)
}

fn serve(relay: &mut Relay, at: u64) {
    while let Some(link) = relay.poll_ready() {
        drain(relay, ms(at), link);
    }
}

#[test]
fn many_requests_are_one_and_two_are_half_a_second_apart() {
    let (mut relay, mut source) = watched();
    for link in 0..20 {
        relay.request_key_frame(ms(1_000 + link), LinkId(link), STREAM).unwrap();
    }
    assert_eq!(asked(&mut relay, 1_000, 1_200), [1_000]);
    feed(&mut relay, ms(1_200), &source.key(1));
    serve(&mut relay, 1_200);
    relay.request_key_frame(ms(1_350), LinkId(7), STREAM).unwrap();
    assert_eq!(asked(&mut relay, 1_350, 1_900), [1_500], "half a second after the last one");
    let stats = relay.stats();
    assert_eq!((stats.key_frame_requests, stats.key_frame_merged, stats.key_frame_forwarded), (21, 19, 2));
}

#[test]
fn a_key_frame_that_comes_before_the_request_goes_out_answers_it() {
    let (mut relay, mut source) = watched();
    relay.request_key_frame(ms(1_000), LinkId(1), STREAM).unwrap();
    assert_eq!(asked(&mut relay, 1_000, 1_010), [1_000]);
    feed(&mut relay, ms(1_010), &source.key(1));
    serve(&mut relay, 1_010);
    relay.request_key_frame(ms(1_200), LinkId(2), STREAM).unwrap();
    feed(&mut relay, ms(1_300), &source.key(1));
    serve(&mut relay, 1_300);
    assert!(asked(&mut relay, 1_200, 6_000).is_empty());
}

#[test]
fn a_key_frame_on_its_way_or_just_passed_answers_a_request() {
    let (mut relay, mut source) = watched();
    feed(&mut relay, ms(1_000), &source.key(1));
    relay.request_key_frame(ms(1_200), LinkId(1), STREAM).unwrap();
    assert!(asked(&mut relay, 1_200, 2_000).is_empty(), "it waits in its queue");
    feed(&mut relay, ms(2_000), &source.key(1));
    serve(&mut relay, 2_000);
    relay.request_key_frame(ms(2_099), LinkId(1), STREAM).unwrap();
    assert!(asked(&mut relay, 2_099, 3_000).is_empty(), "the request has met it");
    relay.request_key_frame(ms(3_000), LinkId(1), STREAM).unwrap();
    assert_eq!(asked(&mut relay, 3_000, 3_100), [3_000]);
}

#[test]
fn a_request_that_nobody_answers_is_repeated_less_and_less_often_while_somebody_watches() {
    let (mut relay, _) = watched();
    relay.request_key_frame(ms(0), LinkId(1), STREAM).unwrap();
    // The one of the start has just passed, so that this is none.
    relay.request_key_frame(ms(1_000), LinkId(1), STREAM).unwrap();
    assert_eq!(asked(&mut relay, 1_000, 13_000), [1_000, 1_500, 2_500, 4_500, 8_500, 12_500]);
    for link in 0..20 {
        relay.unsubscribe(LinkId(link), STREAM);
    }
    assert!(asked(&mut relay, 13_000, 30_000).is_empty());
}

#[test]
fn one_subscriber_that_always_asks_waits_longer_and_longer_and_others_do_not() {
    let (mut relay, mut source) = watched();
    let mut times = Vec::new();
    // Each request is answered after 150 ms, and it asks again as soon as it may.
    for at in (1_000..16_000).step_by(10) {
        relay.request_key_frame(ms(at), LinkId(1), STREAM).unwrap();
        if !asked(&mut relay, at, at + 1).is_empty() {
            times.push(at);
        }
        if times.last().is_some_and(|last| at == last + 150) {
            feed(&mut relay, ms(at), &source.key(1));
            serve(&mut relay, at);
        }
    }
    assert_eq!(times, [1_000, 1_500, 2_500, 4_500, 8_500]);
    relay.request_key_frame(ms(16_000), LinkId(2), STREAM).unwrap();
    assert_eq!(asked(&mut relay, 16_000, 16_001), [16_000], "somebody else's turn");
    feed(&mut relay, ms(16_100), &source.key(1));
    serve(&mut relay, 16_100);
    relay.request_key_frame(ms(60_000), LinkId(1), STREAM).unwrap();
    assert_eq!(asked(&mut relay, 60_000, 60_001), [60_000]);
    feed(&mut relay, ms(60_100), &source.key(1));
    serve(&mut relay, 60_100);
    relay.request_key_frame(ms(60_500), LinkId(1), STREAM).unwrap();
    assert_eq!(asked(&mut relay, 60_500, 60_600), [60_500], "long ago is forgiven");
}

#[test]
fn another_link_or_subscription_of_the_same_identity_waits_as_the_first_one_would() {
    let (mut relay, mut source) = watched();
    let mut times = Vec::new();
    // As before, but each time that it was served it comes anew: with another link in turn, or another subscription.
    let (who, mut link) = (identity(LinkId(1)), LinkId(1));
    for at in (1_000..16_000).step_by(10) {
        relay.request_key_frame(ms(at), link, STREAM).unwrap();
        if !asked(&mut relay, at, at + 1).is_empty() {
            times.push(at);
        }
        if times.last().is_some_and(|last| at == last + 150) {
            feed(&mut relay, ms(at), &source.key(1));
            serve(&mut relay, at);
            if times.len() % 2 == 0 {
                relay.unsubscribe(link, STREAM);
            } else {
                relay.remove_link(link);
                link = LinkId(100 + at);
                relay.add_link(link, who, Quota::UNLIMITED).unwrap();
            }
            let all = (LayerPolicy::UNCAPPED, StripeSet::ALL);
            relay.subscribe(ms(at), link, STREAM, all.0, all.1, StartAt::Live).unwrap();
        }
    }
    assert_eq!(times, [1_000, 1_500, 2_500, 4_500, 8_500]);
}

#[test]
fn only_subscribers_ask_and_never_for_sound() {
    let (mut relay, _) = watched();
    let stranger = add(&mut relay, 99);
    let refused = Err(Error::NotSubscribed { link: stranger, stream: STREAM });
    assert_eq!(relay.request_key_frame(ms(1_000), stranger, STREAM), refused);
    relay
        .subscribe(ms(1_000), stranger, SOUND, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live)
        .unwrap();
    relay.request_key_frame(ms(1_000), stranger, SOUND).unwrap();
    assert_eq!((relay.poll_upstream(), relay.stats().key_frame_requests), (None, 0));
}

#[test]
fn a_driver_that_never_asks_what_to_send_upstream_grows_no_heap() {
    let (mut relay, _) = watched();
    relay.request_key_frame(ms(1_000), LinkId(1), STREAM).unwrap();
    for at in (1_000..60_000).step_by(100) {
        relay.handle_timeout(ms(at));
    }
    assert!(relay.poll_upstream().is_some() && relay.poll_upstream().is_none());
}
