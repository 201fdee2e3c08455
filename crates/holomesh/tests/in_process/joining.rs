//! What a watcher asks its parents for when it comes.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::kit::{Peer, carrying, host, watch_on};
use control_wire::Start;
use holomesh::net::{Control, LinkEvent, LossConfig};
use tokio::time::timeout;

/// The stripes that the first child that comes asks for first, and where it wants to start.
async fn first_wish(relay: &mut Peer) -> (u8, u16, Start) {
    let mut children = Vec::new();
    loop {
        match timeout(crate::kit::PATIENCE, relay.inbox.recv()).await.unwrap().unwrap() {
            LinkEvent::Up(mut link) => {
                link.begin();
                children.push(link);
            }
            LinkEvent::Control(_, Control::Subscribe { stripe_count, stripe_mask, start, .. }) => {
                return (stripe_count, stripe_mask, start);
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_without_a_picture_asks_for_what_is_kept() {
    for parents in [1, 2] {
        let (ticket, _commands) = host(Some(parents), LossConfig::NONE).await;
        let (mut relay, _upstream) = carrying(&ticket).await;
        let (_, _watcher) = watch_on(ticket, false);
        let (stripe_count, stripe_mask, start) = first_wish(&mut relay).await;
        // It came in with the session's first commit after the one that made it.
        let Start::Kept { epoch } = start else { panic!("{start:?}") };
        assert!(epoch >= 1, "{epoch}");
        assert_eq!(stripe_count, parents, "its share of what is kept");
        assert_ne!(stripe_mask, 0);
    }
}
