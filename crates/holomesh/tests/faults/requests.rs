//! Peers that ask for what they can't have, and for more than anybody needs.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::Guest;
use crate::stage::{PAUSE, Relay, Stage};
use crate::viewer::{PATIENCE, memory, wait_until};
use control_wire::Start;
use holomesh::net::{Control, Link, LinkEvent};
use holomesh::service::status::Snapshot;
use std::time::{Duration, Instant};

fn repair(stream: [u8; 32], chunks: usize) -> Control {
    Control::Repair { stream, epoch: 1, chunks: (0..chunks as u64).collect() }
}

/// Waits until the relay's figures say so.
pub(crate) fn counted(relay: &Relay, good: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let seen = std::cell::RefCell::new(None);
    let look = || {
        let status = relay.status();
        let done = status.as_ref().is_some_and(&good);
        *seen.borrow_mut() = status;
        done
    };
    wait_until(look, || format!("{:#?}", seen.borrow()));
    seen.take().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_too_late_cost_no_link() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &[]);
    let mut guest = Guest::join(&ticket.parse().unwrap(), 64).await;
    let link = guest.link(0).await;
    // As from one whose subscription or session has just ended.
    let (stream, unknown) = (guest.streams[0], [9; 32]);
    for gone in [stream, unknown] {
        link.send(&repair(gone, 3));
        link.send(&Control::KeyFrame { stream: gone });
    }
    link.send(&Control::Subscribe {
        stream: unknown,
        layers: [255; 3],
        stripe_count: 1,
        stripe_mask: 0,
        start: Start::Live,
    });
    guest.subscribe_to_all(&link);
    guest.sees(&link, |event| matches!(event, LinkEvent::Chunks(..))).await;
    let totals = counted(&relay, |status| status.totals.requests_refused.subscription == 5).totals;
    assert_eq!((totals.requests_refused.protocol, totals.peers_blamed), (0, 0), "{totals:?}");

    // No honest peer asks for so many at once.
    link.send(&repair(stream, 257));
    let refused =
        guest.sees(&link, |event| matches!(event, LinkEvent::Control(_, Control::Refused { .. }))).await;
    let LinkEvent::Control(_, Control::Refused { why }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("257 chunks at once; the limit is 256"), "{why}");
    let totals = counted(&relay, |status| status.totals.peers_blamed == 1).totals;
    assert_eq!(totals.requests_refused.protocol, 1, "{totals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_a_little_too_often_is_told_so_and_served_on() {
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &["--set", "quotas.link_requests=50"]);
    let mut guest = Guest::join(&ticket.parse().unwrap(), 64).await;
    let link = guest.link(0).await;
    guest.subscribe_to_all(&link);
    // A hundred may come at once; what is too much is left undone, far from what ends the link.
    for _ in 0..150 {
        link.send(&repair(guest.streams[0], 1));
    }
    let told =
        guest.sees(&link, |event| matches!(event, LinkEvent::Control(_, Control::OverQuota { .. }))).await;
    let LinkEvent::Control(_, Control::OverQuota { stream: None, what, limit: 50 }) = told else {
        panic!("{told:?}")
    };
    assert_eq!(u8::from(what), 4, "requests a second: {what:?}");
    counted(&relay, |status| status.totals.requests_refused.rate > 0);
    for _ in 0..50 {
        guest.sees(&link, |event| matches!(event, LinkEvent::Chunks(..))).await;
    }
    assert_eq!(counted(&relay, |_| true).totals.peers_blamed, 0);
}

/// Asks for everything that can be asked for, until the other side has enough of it. How often it asked.
pub(crate) async fn flood(link: &Link, questions: &[Control]) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let mut asked = 0;
    loop {
        // No more at a time than our own end takes.
        for _ in 0..20 {
            link.send(&questions[asked % questions.len()]);
            asked += 1;
        }
        let (before, moment) = (Instant::now(), Instant::now() + Duration::from_millis(2));
        link.closed_by(moment).await;
        if before.elapsed() < Duration::from_millis(1) {
            return asked;
        }
        assert!(before < deadline, "it may ask for ever");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_costs_its_sender_the_link_and_nobody_else_anything() {
    const MOST: u64 = 32 << 20;
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &[]);
    let viewer = stage.viewer(&ticket);
    relay.serves(1);
    viewer.shows(10);
    let mut guest = Guest::join(&ticket.parse().unwrap(), 1_024).await;
    let stream = guest.streams[0];
    let all =
        Control::Subscribe { stream, layers: [255; 3], stripe_count: 1, stripe_mask: 1, start: Start::Live };
    let one =
        Control::Subscribe { stream, layers: [0; 3], stripe_count: 2, stripe_mask: 1, start: Start::Live };
    let permit = Control::Permit { permit: guest.permit.clone() };
    let key_frame = Control::KeyFrame { stream };
    let floods = [vec![all, one, repair(stream, 256), key_frame.clone()], vec![permit], vec![key_frame]];
    let (at, before) = (Instant::now(), memory(&relay.node).0);
    let used = |status: &Snapshot| status.process.cpu_user_seconds + status.process.cpu_system_seconds;
    let start = counted(&relay, |_| true);
    for questions in &floods {
        let link = guest.link(0).await;
        guest.subscribe_to_all(&link);
        let asked = flood(&link, questions).await;
        assert!(asked > 100, "that was no flood: {asked}");
        let end = guest.sees(&link, |event| matches!(event, LinkEvent::Down(..))).await;
        let LinkEvent::Down(_, why) = end else { panic!("{end:?}") };
        assert!(why.contains("more than 500 requests a second"), "{why}");
    }
    viewer.shows(25);
    let pause = viewer.longest_pause(at);
    assert!(pause < PAUSE, "no picture for {pause:?}: {}", viewer.node.said());
    let end = counted(&relay, |status| status.totals.peers_blamed == floods.len() as u64);
    assert!(end.totals.requests_refused.rate > 0, "{:?}", end.totals);
    // Key frames were asked for some hundred times, and passed on as seldom as if it had been once in half a second.
    let forwarded = end.totals.key_frame_forwarded - start.totals.key_frame_forwarded;
    let windows = at.elapsed().as_millis() as u64 / 500 + 2;
    assert!(forwarded <= windows, "{forwarded} in {:?}", at.elapsed());
    let cpu = used(&end) - used(&start);
    assert!(cpu < at.elapsed().as_secs_f64() / 2.0, "{cpu} s of {:?}", at.elapsed());
    let most = memory(&relay.node).1;
    assert!(most < before + MOST, "{before} bytes before, {most} at most");
}
