//! Subscribers that come and go.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::Guest;
use crate::stage::{Relay, Stage};
use crate::viewer::{signal, wait_until};
use holomesh::service::status::Tables;
use rustix::process::Signal;

fn waits_for(relay: &Relay, tables: Tables, subscribers: u64) {
    let good = || {
        relay.status().is_some_and(|status| {
            let (streams, kept) = (&status.streams, status.tables);
            // A lane to the host that failed meanwhile, on a busy machine, is remembered with the host's link.
            kept.lane_retries <= 1
                && Tables { lane_retries: 0, ..kept } == tables
                && streams.iter().all(|stream| stream.subscribers == subscribers)
        })
    };
    wait_until(good, || format!("{tables:?}, not {:#?}\n{}", relay.status(), relay.node.said()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_keeps_nothing_of_subscribers_that_came_and_went() {
    const ROUNDS: u64 = 2;
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let relay = Relay::start(&ticket, &[]);
    let alone = Tables { links: 1, forwarding: 1, lanes_from_parents: 1, ..Tables::default() };
    waits_for(&relay, alone, 0);
    for _ in 0..ROUNDS {
        // Over lanes, and over QUIC alone.
        let [told, mut killed] = [stage.viewer(&ticket), stage.viewer(&ticket)];
        let (goodbye, silent) = (
            Guest::join(&ticket.parse().unwrap(), 256).await,
            Guest::join(&ticket.parse().unwrap(), 256).await,
        );
        let links = [goodbye.link(0).await, silent.link(0).await];
        goodbye.subscribe_to_all(&links[0]);
        silent.subscribe_to_all(&links[1]);
        let there = Tables { links: 5, forwarding: 5, permits: 4, lanes_to_children: 2, ..alone };
        waits_for(&relay, there, 4);
        // Each goes in a way of its own: asked to, killed, by closing its links, and with the link dropped.
        signal(&told.node, Signal::TERM);
        killed.node.child.kill().unwrap();
        goodbye.net.close().await;
        drop((links, silent));
        waits_for(&relay, alone, 0);
    }
    let totals = relay.status().unwrap().totals;
    assert!(totals.links_accepted > 4 * ROUNDS && totals.peers_blamed == 0, "{totals:?}");
}
