//! Processes that are killed and started again in the same place.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::stage::{Relay, Stage, free_port};

#[test]
fn a_host_that_is_killed_and_started_again_gets_its_relay_and_its_watcher_back() {
    let stage = Stage::new();
    let (key, state, port) = (stage.key("host.key"), stage.path("state"), free_port().to_string());
    let host = || {
        let (key, state) = (key.to_str().unwrap(), state.to_str().unwrap());
        stage.host(1, &["--key", key, "--state", state, "--listen", &port])
    };
    let (first, ticket) = host();
    let relay = Relay::start(&ticket, &[]);
    let viewer = stage.viewer(&ticket);
    relay.serves(1);
    viewer.shows(25);
    drop(first);
    let before = viewer.pictures();
    let (second, again) = host();
    assert_eq!(again, ticket, "the ticket is still good");
    second.wait_for("joined:", crate::viewer::PATIENCE);
    viewer.shows(50);
    relay.serves(1);
    assert!(viewer.pictures() >= before + 50);
    assert_eq!(second.said().matches("removed:").count(), 0, "{}", second.said());
}

#[test]
fn a_relay_that_is_killed_and_started_again_serves_those_whom_it_served() {
    let stage = Stage::new();
    let (key, port) = (stage.key("relay.key"), free_port().to_string());
    let (host, ticket) = stage.host(1, &[]);
    let relay = || Relay::start(&ticket, &["--key", key.to_str().unwrap(), "--listen", &port]);
    let first = relay();
    let viewer = stage.viewer(&ticket);
    first.serves(1);
    viewer.shows(10);
    drop(first);
    let second = relay();
    second.serves(1);
    viewer.shows(25);
    assert_eq!(host.said().matches("removed:").count(), 0, "{}", host.said());
}
