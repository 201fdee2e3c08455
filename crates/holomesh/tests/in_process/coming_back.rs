//! Who comes back by itself, how often, and who does not.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::kit::{PATIENCE, Peer, Scripted, carrying, host, join, watch_on, welcome};
use control_wire::REMOVED;
use holomesh::net::{Control, LinkEvent, LossConfig, Role};
use holomesh::session::Command;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

#[tokio::test]
async fn a_member_that_was_taken_out_is_not_let_back_in_by_its_broken_link() {
    let (ticket, commands) = host(None, LossConfig::NONE).await;
    let mut peer = Peer::new(Role::Watcher).await;
    let link = peer.dial(&ticket).await;
    peer.join(&link, &ticket, 1);
    peer.hears(&link, welcome).await;
    commands.send(Command::Remove(peer.net.identity().key_id())).await.unwrap();
    peer.hears(&link, |message| matches!(message, Control::Commit { .. }).then_some(())).await;
    drop(link);
    let link = peer.dial(&ticket).await;
    link.send(&Control::Resume { invitation: ticket.invitation });
    let why = peer
        .hears(&link, |message| match message {
            Control::Refused { why } => Some(why.clone()),
            _ => None,
        })
        .await;
    assert_eq!(why, REMOVED);
    drop(link);
    // Whoever has the ticket may join on purpose.
    let link = peer.dial(&ticket).await;
    peer.join(&link, &ticket, 2);
    peer.hears(&link, welcome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_that_send_a_watcher_away_are_dialled_ever_less_often_and_not_at_all_after_its_removal() {
    let (ticket, commands) = host(None, LossConfig::NONE).await;
    // A relay that serves nobody.
    let (mut relay, _upstream) = carrying(&ticket).await;
    let (who, mut watcher) = watch_on(ticket, true);
    let mut dials = Vec::new();
    let mut sent_away = async |until: Instant| {
        let mut count = 0;
        while let Ok(event) = timeout_at(until, relay.inbox.recv()).await {
            if let LinkEvent::Up(link) = event.unwrap() {
                link.refuse("no room");
                dials.push(Instant::now());
                count += 1;
            }
        }
        count
    };
    let first = sent_away(Instant::now() + Duration::from_secs(6)).await;
    // At once, then after pauses of half to all of 0.5, 1, 2, 4 and 8 s.
    assert!((3..=5).contains(&first), "{first} times in six seconds");
    commands.send(Command::Remove(who)).await.unwrap();
    // One may be under way.
    sent_away(Instant::now() + Duration::from_millis(500)).await;
    assert_eq!(sent_away(Instant::now() + Duration::from_secs(9)).await, 0, "it was removed");
    assert!(watcher.try_recv().is_err(), "it lingers");
    let pauses: Vec<Duration> = dials.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.last() > pauses.first(), "{pauses:?}");
}

#[tokio::test]
async fn a_watcher_that_is_removed_ends_and_says_so() {
    let (ticket, commands) = host(None, LossConfig::NONE).await;
    let mut peer = Peer::new(Role::Watcher).await;
    let link = peer.dial(&ticket).await;
    peer.join(&link, &ticket, 1);
    peer.hears(&link, welcome).await;
    let (who, watcher) = watch_on(ticket, false);
    // That it is in is told to those who are.
    peer.hears(&link, |message| matches!(message, Control::Commit { .. }).then_some(())).await;
    commands.send(Command::Remove(who)).await.unwrap();
    let error = timeout(PATIENCE, watcher).await.unwrap().unwrap().unwrap_err().to_string();
    assert!(error.contains("the host removed us from the session"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_back_says_nothing_else_before_the_host_answers() {
    let mut host = Scripted::new().await;
    let mut relay = Peer::new(Role::Relay).await;
    let (_, mut watcher) = watch_on(host.ticket.clone(), false);
    let link = host.link().await;
    let key_package = host.peer.hears(&link, join).await;
    link.send(&host.welcome(&link, &key_package));
    link.send(&Control::Relays { relays: vec![relay.net.address()] });
    let LinkEvent::Up(mut child) = timeout(PATIENCE, relay.inbox.recv()).await.unwrap().unwrap() else {
        panic!("nobody came to the relay");
    };
    child.begin();
    relay.hears(&child, |message| matches!(message, Control::Subscribe { .. }).then_some(())).await;
    link.close("broken");

    // It is not known any more, which it is told more than once.
    let link = host.link().await;
    host.peer.hears(&link, |message| matches!(message, Control::Resume { .. }).then_some(())).await;
    for _ in 0..2 {
        link.send(&Control::Refused { why: "not a member any more: join anew".into() });
    }
    let link = host.link().await;
    let key_package = host.peer.hears(&link, join).await;
    // While it waits, the relay sends it away: now the host is the only one who could carry its pictures.
    let id = child.id;
    child.refuse("your permit was revoked");
    loop {
        let event = timeout(PATIENCE, relay.inbox.recv()).await.unwrap().unwrap();
        if matches!(event, LinkEvent::Down(link, _) if link == id) {
            break;
        }
    }
    link.send(&host.welcome(&link, &key_package));
    let first = host.peer.hears(&link, |message| Some(message.clone())).await;
    assert!(matches!(first, Control::EpochReady { .. }), "{first:?}");
    // Now it may be asked for them.
    host.peer.hears(&link, |message| matches!(message, Control::Subscribe { .. }).then_some(())).await;
    assert!(watcher.try_recv().is_err(), "it watches on");
}
