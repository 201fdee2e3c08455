//! Watchers that feed one another, in processes of their own over real sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::{Guest, card};
use crate::stage::{Relay, Stage};
use crate::support::holomesh;
use crate::viewer::{PATIENCE, Viewer, figure, signal, wait_until};
use holomesh::net::{Control, LinkEvent};
use holomesh::ticket::Ticket;
use rustix::process::Signal;

fn lending(ticket: &str) -> Viewer {
    Viewer::spawn(holomesh().args(["watch", ticket, "--log", "info", "--uplink", "20000"]))
}

fn children(viewer: &Viewer) -> u64 {
    figure(&viewer.node.said(), "children").unwrap_or(0)
}

fn feed_one_another(viewers: &[Viewer], links: u64) {
    let said = || viewers.iter().map(|viewer| viewer.node.said()).collect::<String>();
    wait_until(|| viewers.iter().map(children).sum::<u64>() >= links, said);
}

#[test]
fn a_watcher_that_feeds_others_is_killed_and_they_lose_no_picture() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(4, &[]);
    let _relay = Relay::start(&ticket, &[]);
    let viewers: Vec<Viewer> = (0..5).map(|_| lending(&ticket)).collect();
    feed_one_another(&viewers, 5);
    viewers.iter().for_each(|viewer| viewer.shows(25));
    let busiest = (0..viewers.len()).max_by_key(|at| children(&viewers[*at])).unwrap();
    let before: Vec<u64> = viewers.iter().map(Viewer::lost).collect();
    signal(&viewers[busiest].node, Signal::KILL);
    for (at, viewer) in viewers.iter().enumerate().filter(|(at, _)| *at != busiest) {
        viewer.shows(75);
        assert_eq!(viewer.lost(), before[at], "{}", viewer.node.said());
    }
}

#[test]
fn when_the_only_relay_dies_the_host_and_watchers_go_on() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(4, &[]);
    let relay = Relay::start(&ticket, &[]);
    let viewers: Vec<Viewer> = (0..4).map(|_| lending(&ticket)).collect();
    feed_one_another(&viewers, 4);
    viewers.iter().for_each(|viewer| viewer.shows(25));
    signal(&relay.node, Signal::KILL);
    viewers.iter().for_each(|viewer| viewer.shows(100));
    feed_one_another(&viewers, 3);
}

/// Its permit is good for minutes yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_a_member_is_fed_by_no_watcher_whatever_permit_it_shows() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(4, &[]);
    let viewer = lending(&ticket);
    viewer.shows(25);
    let ticket: Ticket = ticket.parse().unwrap();
    let mut guest = Guest::join(&ticket, 4_096).await;
    let card = card(&mut guest, &ticket).await;
    let fed = guest.link_to(&card.address).await;
    guest.subscribe_to_all(&fed);
    guest.sees(&fed, |event| matches!(event, LinkEvent::Chunks(..))).await;

    let epoch = || figure(&viewer.node.said(), "epoch");
    wait_until(|| epoch() == Some(2), || viewer.node.said());
    guest.host.close("gone");
    host.wait_for("removed:", PATIENCE);
    wait_until(|| epoch() == Some(3), || viewer.node.said());
    let again = guest.link_to(&card.address).await;
    let refused =
        guest.sees(&again, |event| matches!(event, LinkEvent::Control(_, Control::Refused { .. }))).await;
    let LinkEvent::Control(_, Control::Refused { why }) = refused else { unreachable!() };
    assert!(why.contains("not known here as a member"), "{why}");
    viewer.shows(25);
}

/// What no honest peer passes on costs the link, at the host and at a watcher, and nobody else anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_makes_peers_up_loses_the_link() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(4, &[]);
    let viewer = lending(&ticket);
    viewer.shows(25);
    let ticket: Ticket = ticket.parse().unwrap();
    let mut guest = Guest::join(&ticket, 4_096).await;
    let card = card(&mut guest, &ticket).await;
    let fed = guest.link_to(&card.address).await;
    guest.subscribe_to_all(&fed);
    guest.sees(&fed, |event| matches!(event, LinkEvent::Chunks(..))).await;
    let forged = || Control::Gossip { entries: vec![vec![0; 3_000]] };
    fed.send(&forged());
    guest.sees(&fed, |event| matches!(event, LinkEvent::Down(..))).await;
    guest.host.send(&forged());
    let host = guest.host.id;
    let gone = |event: &LinkEvent| matches!(event, LinkEvent::Down(link, _) if *link == host);
    while !gone(&guest.event().await) {}
    viewer.shows(25);
    assert_eq!(viewer.lost(), 0, "{}", viewer.node.said());
}
