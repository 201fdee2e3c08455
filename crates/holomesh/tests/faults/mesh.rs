//! Watchers that feed one another, in processes of their own over real sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::{Guest, card};
use crate::requests::flood;
use crate::stage::{PAUSE, Relay, Stage};
use crate::support::holomesh;
use crate::viewer::{PATIENCE, Viewer, figure, signal, wait_until};
use alm::{CapacityClaim, VerifiedClaim};
use core_types::BitRate;
use holomesh::net::{Control, LinkEvent};
use holomesh::ticket::Ticket;
use identity::PublicIdentity;
use peer_gossip::Kind;
use rustix::process::Signal;
use std::time::Instant;

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

/// With one stripe all of them feed in the same one: each could have it from each, and in a ring nobody has it. Nothing says who has it from
/// whom but their keys.
#[test]
fn watchers_that_lend_in_the_same_stripe_feed_one_another_and_nobody_itself() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let viewers: Vec<Viewer> = (0..4).map(|_| lending(&ticket)).collect();
    feed_one_another(&viewers, 3);
    viewers.iter().for_each(|viewer| viewer.shows(25));
    let before: Vec<u64> = viewers.iter().map(Viewer::lost).collect();
    let since = Instant::now();
    for (viewer, before) in viewers.iter().zip(before) {
        viewer.shows(125);
        assert_eq!(viewer.lost(), before, "{}", viewer.node.said());
        let pause = viewer.longest_pause(since);
        assert!(pause < PAUSE, "no picture for {pause:?}: {}", viewer.node.said());
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

/// The next claim that somebody hears of.
async fn claim(guest: &mut Guest, of: &PublicIdentity) -> VerifiedClaim {
    loop {
        let heard = std::mem::take(&mut guest.heard);
        let mut claims = heard.iter().rev().filter(|entry| entry.first() == Some(&1));
        if let Some(claim) = claims.find_map(|entry| CapacityClaim::verify(&entry[1..], of).ok()) {
            return claim;
        }
        if let LinkEvent::Control(_, Control::Gossip { entries }) = guest.event().await {
            guest.heard = entries;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_says_what_it_carries_and_no_more_than_the_host_lets_it() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &["--relay-uplink", "3000", "--relay-subscribers", "3"]);
    let relay = Relay::start(&ticket, &[]);
    let parsed: Ticket = ticket.parse().unwrap();
    let mut guest = Guest::join(&parsed, 4_096).await;
    let heard = guest.heard.clone();
    let of = card(&mut guest, &parsed).await;
    assert_eq!(of.kind, Kind::Relay);
    guest.heard = heard;
    let viewer = stage.viewer(&ticket);
    relay.serves(1);
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{}", relay.node.said());
        let claim = claim(&mut guest, &of.identity).await;
        assert_eq!((claim.uplink, claim.max_subscribers), (BitRate::from_kbit(3_000), 3));
        assert_eq!(claim.way, [parsed.host]);
        if claim.load.subscribers == 1 && claim.load.used > BitRate::from_kbit(50) {
            break;
        }
    }
    viewer.shows(25);
    // One that is about to stop has nothing to offer.
    signal(&relay.node, Signal::TERM);
    let deadline = Instant::now() + PATIENCE;
    while claim(&mut guest, &of.identity).await.max_subscribers != 0 {
        assert!(Instant::now() < deadline, "{}", relay.node.said());
    }
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

/// Each message is looked at, and costs as much as any other that a child may send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_tells_a_watcher_of_peers_without_end_loses_the_link() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(4, &[]);
    let viewer = lending(&ticket);
    viewer.shows(25);
    let ticket: Ticket = ticket.parse().unwrap();
    let mut guest = Guest::join(&ticket, 4_096).await;
    let card = card(&mut guest, &ticket).await;
    let link = guest.link_to(&card.address).await;
    flood(&link, &[Control::Gossip { entries: Vec::new() }]).await;
    let end = guest.sees(&link, |event| matches!(event, LinkEvent::Down(..))).await;
    let LinkEvent::Down(_, why) = end else { panic!("{end:?}") };
    assert!(why.contains("more than 500 requests a second"), "{why}");
    viewer.shows(25);
    assert_eq!(viewer.lost(), 0, "{}", viewer.node.said());
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
