//! Watchers that feed one another, in processes of their own over real sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::stage::{Relay, Stage};
use crate::support::holomesh;
use crate::viewer::{Viewer, figure, signal, wait_until};
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
