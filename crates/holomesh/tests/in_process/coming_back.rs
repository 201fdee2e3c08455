//! Who comes back by itself, how often, and who does not.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::kit::{PATIENCE, Peer, carrying, host, watch_on, welcome};
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
