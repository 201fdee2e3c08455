//! What a watcher asks its parents for when it comes.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::kit::{Peer, Scripted, carrying, host, join, watch_on};
use av_wire::StreamAnnounce;
use control_wire::Start;
use core_types::SessionId;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_announced_for_another_session_is_not_asked_for() {
    let mut host = Scripted::new().await;
    let (_, _watcher) = watch_on(host.ticket.clone(), false);
    let link = host.link().await;
    let key_package = host.peer.hears(&link, join).await;
    // It comes first by its id, so it would be asked for before the other.
    let own = host.announce.stream_id().unwrap();
    let mut others = (0_u128..).map(|random| StreamAnnounce {
        session: SessionId([8; 32]),
        random: random.to_be_bytes(),
        ..host.announce.clone()
    });
    let other = others.find(|other| other.stream_id().unwrap() < own).unwrap();
    let identity = host.peer.net.identity();
    let announces = [&other, &host.announce].map(|announce| announce.sign(identity).unwrap());
    let welcome = host.welcome_to(&link, &key_package, announces.to_vec());
    link.send(&welcome);
    let asked_for = |message: &Control| match message {
        Control::Subscribe { stream, .. } => Some(*stream),
        _ => None,
    };
    assert_eq!(host.peer.hears(&link, asked_for).await, own.0);
}
