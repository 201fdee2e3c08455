//! Who may have what, until when.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Carriage, Ended, Error, Event, Limits, Permission, Relay, StartAt, Streams};
use core_types::{ChunkSeq, CodecId, Epoch, LayerPolicy, LinkId, MonoTime, StreamId, StripeSet};
use kit::{SOUND, STREAM, Source, Spec, T0, UP, add, drain, feed, identity, ms, relay, relay_with};
use std::collections::BTreeSet;

fn only(streams: &[StreamId], until: MonoTime) -> Permission {
    Permission { streams: Streams::Only(streams.iter().copied().collect()), until }
}

fn subscribe(relay: &mut Relay, now: MonoTime, link: LinkId, stream: StreamId) -> Result<(), Error> {
    relay.subscribe(now, link, stream, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live)
}

fn ended(link: LinkId, stream: StreamId, why: Ended) -> Event {
    Event::SubscriptionEnded { link, stream, why }
}

fn events(relay: &mut Relay) -> Vec<Event> {
    core::iter::from_fn(|| relay.poll_event())
        .filter(|e| !matches!(e, Event::EffectiveLayer { .. }))
        .collect()
}

#[test]
fn where_permits_are_required_nobody_gets_anything_without() {
    let mut relay = relay_with(Limits { permits_required: true, ..Limits::default() });
    let link = add(&mut relay, 1);
    let refused = |stream| Err(Error::NotPermitted { link, stream });
    assert_eq!(subscribe(&mut relay, T0, link, STREAM), refused(STREAM));
    relay.set_permission(T0, link, only(&[STREAM], ms(1_000))).unwrap();
    subscribe(&mut relay, T0, link, STREAM).unwrap();
    assert_eq!(subscribe(&mut relay, T0, link, SOUND), refused(SOUND));
    relay.set_permission(T0, link, Permission::ALL).unwrap();
    subscribe(&mut relay, T0, link, SOUND).unwrap();
    assert!(events(&mut relay).is_empty());
}

#[test]
fn a_link_without_any_permission_is_known_and_so_is_what_it_takes() {
    let mut relay = relay_with(Limits { permits_required: true, ..Limits::default() });
    let link = add(&mut relay, 1);
    assert!(!relay.is_permitted(T0, link));
    relay.set_permission(T0, link, only(&[STREAM], ms(1_000))).unwrap();
    assert_eq!(relay.subscriptions(link), 0);
    subscribe(&mut relay, T0, link, STREAM).unwrap();
    assert_eq!(relay.subscriptions(link), 1);
    assert!(relay.is_permitted(ms(999), link) && !relay.is_permitted(ms(1_000), link));
    relay.set_permission(T0, link, Permission::NONE).unwrap();
    assert!(!relay.is_permitted(T0, link));
    assert_eq!(relay.subscriptions(link), 0);
    relay.remove_link(link);
    assert_eq!((relay.is_permitted(T0, link), relay.subscriptions(link)), (false, 0));
    let mut free = self::relay();
    let link = add(&mut free, 1);
    assert!(free.is_permitted(T0, link));
}

#[test]
fn without_permits_a_link_is_free_until_it_is_given_one() {
    let mut relay = relay();
    let link = add(&mut relay, 1);
    subscribe(&mut relay, T0, link, STREAM).unwrap();
    subscribe(&mut relay, T0, link, SOUND).unwrap();
    relay.set_permission(T0, link, only(&[SOUND], ms(1_000))).unwrap();
    assert_eq!(events(&mut relay), [ended(link, STREAM, Ended::NotPermitted)]);
    feed(&mut relay, T0, &Source::video().key(1));
    assert!(drain(&mut relay, T0, link).is_empty());
    let repair = relay.handle_repair_request(T0, link, STREAM, Epoch(1), &[ChunkSeq(0)]);
    assert_eq!(repair, Err(Error::NotPermitted { link, stream: STREAM }));
}

#[test]
fn what_runs_out_ends_by_itself() {
    let mut relay = relay();
    let (one, two) = (add(&mut relay, 1), add(&mut relay, 2));
    for link in [one, two] {
        relay.set_permission(T0, link, only(&[STREAM, SOUND], ms(100 * link.0))).unwrap();
        subscribe(&mut relay, T0, link, STREAM).unwrap();
    }
    subscribe(&mut relay, T0, one, SOUND).unwrap();
    let mut source = Source::video();
    assert_eq!(relay.poll_timeout(), Some(ms(100)));
    feed(&mut relay, ms(99), &source.key(2));
    assert_eq!(drain(&mut relay, ms(99), one), [0, 1]);
    feed(&mut relay, ms(99), &source.plain(1));
    assert!(drain(&mut relay, ms(100), one).is_empty(), "whatever waits, its time is up");
    let both = [ended(one, SOUND, Ended::Expired), ended(one, STREAM, Ended::Expired)];
    assert_eq!(events(&mut relay), both);
    let refused = Err(Error::NotPermitted { link: one, stream: STREAM });
    assert_eq!(subscribe(&mut relay, ms(100), one, STREAM), refused);
    assert_eq!(drain(&mut relay, ms(100), two), [0, 1, 2]);
    // A longer one in time keeps it going.
    relay.set_permission(ms(150), two, only(&[STREAM], ms(900))).unwrap();
    relay.handle_timeout(ms(300));
    assert_eq!((events(&mut relay), relay.subscribers(STREAM)), (vec![], 1));
    assert_eq!(relay.poll_timeout(), Some(ms(900)));
    relay.remove_link(two);
    relay.handle_timeout(ms(900));
    assert!(events(&mut relay).is_empty());
}

#[test]
fn a_stream_is_carried_no_longer_than_its_permit() {
    let mut relay = relay();
    let link = add(&mut relay, 1);
    relay.carry(STREAM, Carriage { until: ms(500), ..Carriage::forever(CodecId::Av1) }).unwrap();
    subscribe(&mut relay, T0, link, STREAM).unwrap();
    let mut source = Source::video();
    feed(&mut relay, ms(499), &source.key(1));
    let late = source.plain(1);
    let refused = relay.handle_chunks(ms(500), UP, late.iter().map(Spec::fresh));
    assert_eq!(refused, Err(Error::NotUpstream { link: UP, stream: STREAM }));
    let gone = [ended(link, STREAM, Ended::Expired), Event::StreamExpired { stream: STREAM }];
    assert_eq!(events(&mut relay), gone);
    assert_eq!(relay.streams().collect::<Vec<_>>(), [SOUND]);
    assert_eq!(subscribe(&mut relay, ms(500), link, STREAM), Err(Error::UnknownStream(STREAM)));
}

#[test]
fn who_is_revoked_loses_everything_on_all_of_its_links() {
    let mut relay = relay();
    let owner = identity(LinkId(77));
    for link in [1, 2] {
        relay.add_link(LinkId(link), owner, av_relay::Quota::UNLIMITED).unwrap();
        subscribe(&mut relay, T0, LinkId(link), STREAM).unwrap();
    }
    relay.add_upstream(SOUND, LinkId(2)).unwrap();
    let other = add(&mut relay, 3);
    subscribe(&mut relay, T0, other, STREAM).unwrap();
    relay.revoke(T0, owner);
    let why = Ended::Revoked;
    assert_eq!(events(&mut relay), [ended(LinkId(1), STREAM, why), ended(LinkId(2), STREAM, why)]);
    assert!(subscribe(&mut relay, T0, LinkId(1), SOUND).is_err() && !relay.is_upstream(SOUND, LinkId(2)));
    feed(&mut relay, T0, &Source::video().key(1));
    assert_eq!((relay.poll_ready(), relay.poll_ready()), (Some(other), None));
    relay.set_permission(T0, LinkId(1), Permission::ALL).unwrap();
    subscribe(&mut relay, T0, LinkId(1), STREAM).expect("it is let in again");
}

#[test]
fn a_permission_names_a_bounded_number_of_streams() {
    let mut relay = relay();
    let link = add(&mut relay, 1);
    let named = |n: u32| {
        let id = |at: u32| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&at.to_be_bytes());
            StreamId(id)
        };
        Permission { streams: Streams::Only((0..n).map(id).collect::<BTreeSet<_>>()), until: ms(1_000) }
    };
    relay.set_permission(T0, link, named(1_024)).unwrap();
    let limit = Error::Full { what: "streams in a permission", limit: 1_024 };
    assert_eq!(relay.set_permission(T0, link, named(1_025)), Err(limit));
}
