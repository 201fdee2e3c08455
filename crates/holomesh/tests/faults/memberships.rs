//! Members that go and come back in a hurry.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::Guest;
use crate::stage::Stage;
use crate::support::holomesh;
use crate::viewer::PATIENCE;
use av_mls::Member;
use holomesh::net::{Control, LinkEvent};
use holomesh::ticket::Ticket;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_and_joins_anew_on_the_same_link_is_served_on() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(1, &[]);
    let ticket: Ticket = ticket.parse().unwrap();
    let mut guest = Guest::join(&ticket, 4_096).await;
    guest.host.send(&Control::Leave { request: guest.member.leave_request().unwrap() });
    host.wait_for("removed:", PATIENCE);
    let mut member = Member::new(guest.net.identity(), StdRng::seed_from_u64(2)).unwrap();
    let key_package = member.key_package(guest.net.identity()).unwrap().to_bytes();
    guest.host.send(&Control::Join { invitation: ticket.invitation, key_package });
    let welcome = |event: &LinkEvent| matches!(event, LinkEvent::Control(_, Control::Welcome { .. }));
    let deadline = Instant::now() + PATIENCE;
    while !welcome(&guest.event().await) {
        assert!(Instant::now() < deadline, "{}", host.said());
    }
    let back = Instant::now();
    for stream in guest.streams.clone() {
        let (layers, start) = ([255; 3], control_wire::Start::Live);
        guest.host.send(&Control::Subscribe { stream, layers, stripe_count: 1, stripe_mask: 1, start });
    }
    // Longer than who has left is served to the end.
    while back.elapsed() < Duration::from_secs(2) {
        let event = guest.event().await;
        assert!(
            !matches!(event, LinkEvent::Down(..) | LinkEvent::Control(_, Control::Refused { .. })),
            "{event:?}"
        );
    }
    while !matches!(guest.event().await, LinkEvent::Chunks(..)) {}
}

#[test]
fn whoever_leaves_has_said_so_before_its_link_ends() {
    let stage = Stage::new();
    let (host, ticket) = stage.host(1, &[]);
    let output = holomesh().args(["watch", &ticket, "--seconds", "2"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    host.wait_for("removed:", PATIENCE);
    assert!(!host.said().contains("its link broke"), "{}", host.said());
}
