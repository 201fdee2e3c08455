//! Peers that ask and do not listen.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::Guest;
use crate::stage::{PAUSE, Relay, Stage};
use crate::support::Node;
use crate::viewer::{PATIENCE, Viewer, memory};
use holomesh::net::{Control, Link};
use std::time::{Duration, Instant};

/// What a peer may make a node keep, and what else a node takes for itself meanwhile.
const MOST: u64 = 32 << 20;

/// Asks again and again until the other side has enough of it.
async fn ask_until_cut_off(link: &Link, question: &Control) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // No more at a time than our own end takes.
        for _ in 0..100 {
            link.send(question);
        }
        let (asked, moment) = (Instant::now(), Instant::now() + Duration::from_millis(2));
        link.closed_by(moment).await;
        if asked.elapsed() < Duration::from_millis(1) {
            return;
        }
        assert!(Instant::now() < deadline, "it answers for ever, or keeps what it would answer");
    }
}

fn assert_unharmed(victim: &Node, before: u64, viewer: &Viewer, since: Instant) {
    viewer.shows(25);
    let pause = viewer.longest_pause(since);
    assert!(pause < PAUSE, "no picture for {pause:?}: {}", viewer.node.said());
    let most = memory(victim).1;
    assert!(most < before + MOST, "{before} bytes before, {most} at most");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_does_not_read_what_the_host_sends_is_cut_off_and_the_others_go_on() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(1, &[]);
    let viewer = stage.viewer(&ticket);
    viewer.shows(10);
    let guest = Guest::join(&ticket.parse().unwrap(), 1).await;
    let (at, before) = (Instant::now(), memory(&host).0);
    guest.subscribe_to_all(&guest.host);
    ask_until_cut_off(&guest.host, &Control::GroupInfoWanted).await;
    host.wait_for("removed:", Duration::from_secs(5));
    assert_unharmed(&host, before, &viewer, at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_does_not_read_what_a_relay_sends_is_cut_off_and_the_others_go_on() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    // What it may ask is without end here, so that it is the unread answers that are too much.
    let relay = Relay::start(&ticket, &["--set", "quotas.link_requests=none"]);
    let viewer = stage.viewer(&ticket);
    relay.serves(1);
    viewer.shows(10);
    let guest = Guest::join(&ticket.parse().unwrap(), 1).await;
    let link = guest.link(0).await;
    guest.subscribe_to_all(&link);
    relay.serves(2);
    let (at, before) = (Instant::now(), memory(&relay.node).0);
    // Refused in words, each time, which are longer than the question.
    let question = Control::LaneOffer { lane: 1, addresses: Vec::new(), port: 9, suite: 99 };
    ask_until_cut_off(&link, &question).await;
    relay.serves(1);
    assert_unharmed(&relay.node, before, &viewer, at);
}
