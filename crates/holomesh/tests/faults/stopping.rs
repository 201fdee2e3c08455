//! Relays and watchers that are killed, stand still, or are told to go.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::Guest;
use crate::stage::{PAUSE, Relay, Stage};
use crate::viewer::{Viewer, signal, wait_until};
use holomesh::net::{Control, LinkEvent};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Two relays, and two watchers that take half of the pictures from each.
fn two_and_two(stage: &Stage, ticket: &str) -> ([Relay; 2], [Viewer; 2]) {
    let relays = [Relay::start(ticket, &[]), Relay::start(ticket, &["--set", "drain_seconds=600"])];
    let viewers = [stage.viewer(ticket), stage.viewer(ticket)];
    viewers.iter().for_each(|viewer| viewer.has_parents(2));
    relays.iter().for_each(|relay| relay.serves(2));
    (relays, viewers)
}

fn assert_goes_on(viewers: &[Viewer], since: Instant) {
    for viewer in viewers {
        let pause = viewer.longest_pause(since);
        assert!(pause < PAUSE, "no picture for {pause:?}: {}", viewer.node.said());
    }
}

#[test]
fn a_relay_that_is_killed_is_gone_within_5_s_and_watchers_with_another_one_go_on() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(2, &[]);
    let ([mut killed, other], viewers) = two_and_two(&stage, &ticket);
    let at = Instant::now();
    killed.node.child.kill().unwrap();
    host.wait_for("lost: relay", Duration::from_secs(5));
    viewers.iter().for_each(|viewer| viewer.shows(25));
    assert_goes_on(&viewers, at);
    other.serves(2);
    assert_eq!(host.said().matches("removed:").count(), 0, "{}", host.said());
}

#[test]
fn a_relay_that_stands_still_is_left_and_comes_back_without_a_ghost() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(2, &[]);
    let ([stopped, other], viewers) = two_and_two(&stage, &ticket);
    let at = Instant::now();
    signal(&stopped.node, Signal::STOP);
    host.wait_for("lost: relay", Duration::from_secs(5));
    viewers.iter().for_each(|viewer| viewer.shows(10));
    assert_goes_on(&viewers, at);
    signal(&stopped.node, Signal::CONT);
    viewers.iter().for_each(|viewer| viewer.has_parents(2));
    [&stopped, &other].iter().for_each(|relay| relay.serves(2));
    assert_goes_on(&viewers, at);
    assert_eq!(host.said().matches("lost: relay").count(), 1, "{}", host.said());
    assert_eq!(host.said().matches("removed:").count(), 0, "{}", host.said());
}

#[test]
fn a_relay_that_stands_still_for_a_second_keeps_its_links() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(2, &[]);
    let ([stopped, _other], viewers) = two_and_two(&stage, &ticket);
    let ids = |relay: &Relay| relay.status().unwrap().links.iter().map(|link| link.id).collect::<Vec<_>>();
    let (at, before) = (Instant::now(), ids(&stopped));
    signal(&stopped.node, Signal::STOP);
    std::thread::sleep(Duration::from_secs(1));
    signal(&stopped.node, Signal::CONT);
    viewers.iter().for_each(|viewer| viewer.shows(50));
    assert_goes_on(&viewers, at);
    assert_eq!(ids(&stopped), before);
    assert_eq!(host.said().matches("lost:").count(), 0, "{}", host.said());
}

#[test]
fn a_relay_that_is_told_to_stop_ends_when_its_children_have_moved_and_no_picture_is_lost() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(2, &[]);
    let ([other, told], viewers) = two_and_two(&stage, &ticket);
    viewers.iter().for_each(|viewer| viewer.shows(25));
    let (at, lost) = (Instant::now(), viewers.each_ref().map(Viewer::lost));
    signal(&told.node, Signal::TERM);
    // It would wait ten minutes for children that stay.
    let (ok, said) = told.node.finish(Duration::from_secs(20));
    assert!(ok && said.contains("over: "), "{said}");
    viewers.iter().for_each(|viewer| viewer.shows(50));
    assert_goes_on(&viewers, at);
    other.serves(2);
    assert_eq!(viewers.each_ref().map(Viewer::lost), lost, "{}", viewers[0].node.said());
    assert_eq!(host.said().matches("removed:").count(), 0, "{}", host.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_told_twice_to_stop_tells_those_who_stayed_and_waits_for_nobody() {
    // Whoever is not told notices after 2.5 s at the earliest.
    const TOLD: Duration = Duration::from_secs(1);
    let stage = Stage::new();
    let (host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &["--set", "drain_seconds=600"]);
    let viewer = stage.viewer(&ticket);
    let mut guest = Guest::join(&ticket.parse().unwrap(), 64).await;
    let link = guest.link(0).await;
    guest.subscribe_to_all(&link);
    relay.serves(2);
    // One does not move, one can't even answer.
    signal(&viewer.node, Signal::STOP);
    signal(&relay.node, Signal::TERM);
    let draining = |event: &LinkEvent| matches!(event, LinkEvent::Control(_, Control::Draining { .. }));
    guest.sees(&link, draining).await;
    let at = Instant::now();
    signal(&relay.node, Signal::INT);
    let end = guest.sees(&link, |event| matches!(event, LinkEvent::Down(..))).await;
    let LinkEvent::Down(_, why) = end else { panic!("{end:?}") };
    assert!(why.contains("this relay ends now") && at.elapsed() < TOLD, "{why} after {:?}", at.elapsed());
    host.wait_for("lost: relay", TOLD);
    let (ok, said) = relay.node.finish(TOLD);
    assert!(ok && said.contains("over: "), "{said}");
    signal(&viewer.node, Signal::CONT);
    viewer.shows(25);
}

#[test]
fn a_watcher_that_stands_still_costs_nobody_anything_and_comes_back_as_somebody_new() {
    const MOST: u64 = 24 << 20;
    let stage = Stage::new();
    let (host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &[]);
    let [stopped, other] = [stage.viewer(&ticket), stage.viewer(&ticket)];
    relay.serves(2);
    let (at, before) = (Instant::now(), crate::viewer::memory(&relay.node).0);
    signal(&stopped.node, Signal::STOP);
    host.wait_for("removed:", Duration::from_secs(5));
    relay.serves(1);
    other.shows(10);
    assert_goes_on(std::slice::from_ref(&other), at);
    let most = crate::viewer::memory(&relay.node).1;
    assert!(most < before + MOST, "{before} bytes before, {most} at most");
    signal(&stopped.node, Signal::CONT);
    stopped.shows(25);
    relay.serves(2);
    wait_until(|| host.said().matches("joined:").count() == 3, || host.said());
    assert_goes_on(std::slice::from_ref(&other), at);
}
