//! Relays that come and go: what their host, its members and former members have of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::Guest;
use crate::stage::{Relay, Stage};
use crate::viewer::{PATIENCE, signal, wait_until};
use holomesh::keyfile;
use holomesh::net::{Control, LinkEvent, Net, NetConfig, PeerAddress, Role};
use rustix::process::Signal;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout_at;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_comes_and_goes_all_the_time_costs_members_a_few_lists() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let ticket = ticket.parse().unwrap();
    let mut guest = Guest::join(&ticket, 4_096).await;
    let (events, _inbox) = mpsc::channel(64);
    let config = NetConfig::new(keyfile::random_seed().unwrap(), Role::Relay, ([127, 0, 0, 1], 0).into());
    let net = Net::bind(config, events).await.unwrap();
    let mut link = net.connect(&ticket.address()).await.unwrap();
    link.begin();
    link.send(&Control::Serve { invitation: ticket.invitation, address: net.address() });
    // No more than a link may say at once.
    for n in 0..801 {
        link.send(if n % 2 == 0 { &Control::Carrying } else { &Control::Draining { seconds: 1 } });
    }
    let mut lists: Vec<Vec<PeerAddress>> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Ok(Some(event)) = timeout_at(deadline.into(), guest.inbox.recv()).await {
        if let LinkEvent::Control(_, Control::Relays { relays }) = event {
            lists.push(relays);
        }
    }
    assert!((1..=8).contains(&lists.len()), "{}", lists.len());
    assert_eq!(lists.last().unwrap()[..], [net.address()], "the last word");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_was_away_when_a_member_went_hears_of_it_when_it_comes_back() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &[]);
    let mut guest = Guest::join(&ticket.parse().unwrap(), 4_096).await;
    drop(guest.link(0).await);
    signal(&relay.node, Signal::STOP);
    host.wait_for("lost: relay", PATIENCE);
    guest.host.close("gone");
    host.wait_for("removed:", PATIENCE);
    // The epoch changes within half a second and a key frame's time; then who was removed is cut off.
    tokio::time::sleep(Duration::from_secs(2)).await;
    signal(&relay.node, Signal::CONT);
    // It may take a moment until the relay is back. Until then it knows of nothing.
    let deadline = Instant::now() + PATIENCE;
    let why = loop {
        assert!(Instant::now() < deadline, "a former member is served");
        let Ok(mut link) = guest.net.connect(&guest.relays[0]).await else { continue };
        link.begin();
        link.send(&Control::Permit { permit: guest.permit.clone() });
        guest.subscribe_to_all(&link);
        let answered = |event: &LinkEvent| {
            matches!(event, LinkEvent::Chunks(..) | LinkEvent::Control(_, Control::Refused { .. }))
        };
        if let LinkEvent::Control(_, Control::Refused { why }) = guest.sees(&link, answered).await
            && why.contains("revoked")
        {
            break why;
        }
    };
    assert_eq!(why, "your permit was revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_drains_is_named_to_nobody_by_a_host_that_it_comes_back_to() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &["--set", "drain_seconds=600", "--set", "permits_required=false"]);
    let ticket = ticket.parse().unwrap();
    let guest = Guest::join(&ticket, 4_096).await;
    assert_eq!(guest.relays.len(), 1);
    // Somebody who is no member, and stays whatever it is told.
    let (events, _inbox) = mpsc::channel(64);
    let config = NetConfig::new(keyfile::random_seed().unwrap(), Role::Watcher, ([127, 0, 0, 1], 0).into());
    let net = Net::bind(config, events).await.unwrap();
    let mut link = net.connect(&guest.relays[0]).await.unwrap();
    link.begin();
    guest.subscribe_to_all(&link);
    relay.serves(1);
    signal(&relay.node, Signal::TERM);
    relay.node.wait_for("draining", PATIENCE);
    let is_linked = |up| relay.status().is_some_and(|status| status.node.host_link == up);
    signal(&host, Signal::STOP);
    wait_until(|| is_linked(false), || relay.node.said());
    signal(&host, Signal::CONT);
    wait_until(|| is_linked(true), || relay.node.said());
    // What the relay has to say to the host that it came back to, it has said when the host has let somebody in.
    let late = Guest::join(&ticket, 4_096).await;
    assert_eq!(late.relays, []);
}
