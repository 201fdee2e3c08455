//! Parents without a place for who comes.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::{Guest, card};
use crate::requests::counted;
use crate::stage::{Relay, Stage};
use crate::support::holomesh;
use crate::viewer::{PATIENCE, Viewer, signal, wait_until};
use control_wire::NoRoom;
use holomesh::net::{Control, Link, LinkEvent};
use holomesh::ticket::Ticket;
use rustix::process::Signal;
use std::time::{Duration, Instant};

fn is_refusal(event: &LinkEvent) -> bool {
    matches!(event, LinkEvent::Control(_, Control::SubscribeRefused { .. }))
}

/// Asks for everything over that link, and is told that there is no place.
async fn finds_no_place(guest: &mut Guest, link: &Link) -> NoRoom {
    guest.subscribe_to_all(link);
    let refused = guest.sees(link, |event| is_refusal(event) || matches!(event, LinkEvent::Chunks(..))).await;
    let LinkEvent::Control(_, Control::SubscribeRefused { stream, why }) = refused else {
        panic!("{refused:?}")
    };
    assert!(guest.streams.contains(&stream));
    why
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_place_at_a_relay_is_told_so_and_has_it_over_the_same_link_when_it_is_free() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &["--set", "limits.subscribers=1"]);
    let ticket: Ticket = ticket.parse().unwrap();
    let mut first = Guest::join(&ticket, 4_096).await;
    let taken = first.link(0).await;
    first.subscribe_to_all(&taken);
    first.sees(&taken, |event| matches!(event, LinkEvent::Chunks(..))).await;

    let mut second = Guest::join(&ticket, 4_096).await;
    let link = second.link(0).await;
    assert_eq!(finds_no_place(&mut second, &link).await, NoRoom::Subscribers);
    let refused = |relay: &Relay| counted(relay, |_| true).totals.requests_refused;
    wait_until(|| refused(&relay).quota > 0, || format!("{:?}", refused(&relay)));
    drop(taken);
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the place is not free");
        second.subscribe_to_all(&link);
        let answered = |event: &LinkEvent| is_refusal(event) || matches!(event, LinkEvent::Chunks(..));
        if let LinkEvent::Chunks(..) = second.sees(&link, answered).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((refused(&relay).protocol, relay.status().unwrap().totals.peers_blamed), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_feeds_as_many_as_it_can_tells_the_next_one_so() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    // Less than one stream's worth: there is a place for one.
    let viewer = Viewer::spawn(holomesh().args(["watch", &ticket, "--log", "info", "--uplink", "100"]));
    viewer.shows(25);
    let ticket: Ticket = ticket.parse().unwrap();
    let mut first = Guest::join(&ticket, 4_096).await;
    let there = card(&mut first, &ticket).await;
    let fed = first.link_to(&there.address).await;
    first.subscribe_to_all(&fed);
    first.sees(&fed, |event| matches!(event, LinkEvent::Chunks(..))).await;

    let mut second = Guest::join(&ticket, 4_096).await;
    let link = second.link_to(&there.address).await;
    assert_eq!(finds_no_place(&mut second, &link).await, NoRoom::Uplink);
    // The link is there for what peers tell of one another, and the first one goes on.
    assert_eq!(finds_no_place(&mut second, &link).await, NoRoom::Uplink);
    first.sees(&fed, |event| matches!(event, LinkEvent::Chunks(..))).await;
}

/// The links of a relay to watchers, by number.
fn watchers(relay: &Relay) -> Vec<u64> {
    let status = relay.status().unwrap();
    status.links.iter().filter(|link| link.role == "watcher").map(|link| link.id).collect()
}

#[test]
fn who_finds_its_relay_full_is_fed_elsewhere_at_once_and_gives_no_link_up() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &["--set", "limits.subscribers=1"]);
    let first = stage.viewer(&ticket);
    first.shows(25);
    relay.serves(1);
    let second = stage.viewer(&ticket);
    second.node.wait_for("a parent has no place for us", PATIENCE);
    second.shows(25);
    wait_until(|| watchers(&relay).len() == 2, || format!("{:#?}", relay.status()));
    let links = watchers(&relay);
    // Five seconds: it has asked again meanwhile.
    second.shows(125);
    assert_eq!(watchers(&relay), links, "{}", second.node.said());
    assert!(relay.status().unwrap().streams.iter().all(|stream| stream.subscribers == 1));
    assert_eq!((first.lost(), second.lost()), (0, 0), "{}", second.node.said());

    // The place is free: it has it, over the link that it has kept.
    signal(&first.node, Signal::KILL);
    let kept = || {
        let status = relay.status()?;
        status.links.iter().find(|link| link.id == links[1]).map(|link| link.sent.packets)
    };
    wait_until(|| kept().is_some_and(|sent| sent > 200), || format!("{:?} {}", kept(), second.node.said()));
    assert_eq!(second.lost(), 0, "{}", second.node.said());
}
