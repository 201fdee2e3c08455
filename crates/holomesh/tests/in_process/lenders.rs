//! Members that say that they feed others: what they may say of themselves, and what a watcher makes of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::kit::{PATIENCE, Peer, Scripted, join, watch_on};
use alm::{CapacityClaim, Load};
use av_wire::permit::{Permit, PermitStreams};
use core_types::{BitRate, Epoch, Layer, WallTime};
use holomesh::net::{Control, Link, LinkEvent, PeerAddress, Role};
use peer_gossip::{Card, Kind};
use std::net::UdpSocket;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::{Instant, timeout, timeout_at};

/// What a member of that session says of itself: that it is there, and can send so much.
fn says(host: &Scripted, member: &Peer, address: &PeerAddress, uplink: BitRate) -> Vec<Vec<u8>> {
    let identity = member.net.identity();
    let now = UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let permit = Permit {
        session: host.session,
        issuer: host.ticket.host,
        holder: identity.key_id(),
        role: Kind::Watcher.role(),
        serial: 1,
        not_before: WallTime(now - 1_000),
        not_after: WallTime(now + 600_000),
        streams: PermitStreams::All,
        max_bytes_per_second: 0,
        max_subscribers: 0,
    };
    let card = Card {
        session: host.session,
        identity: identity.public().clone(),
        address: address.clone(),
        kind: Kind::Watcher,
        issued_at: WallTime(now),
        permit: permit.sign(host.peer.net.identity()).unwrap(),
    };
    let claim = CapacityClaim {
        advertiser: identity.key_id(),
        stream: None,
        epoch: Epoch(1),
        counter: now,
        uplink,
        max_streams: 64,
        max_subscribers: 64,
        layers: Layer { spatial: u8::MAX, temporal: u8::MAX, quality: u8::MAX },
        commitments: Vec::new(),
        load: Load::default(),
        way: vec![host.ticket.host],
        issued_at: WallTime(now),
        valid_until: WallTime(now + 60_000),
    };
    let entry = |tag, signed: Vec<u8>| [vec![tag], signed].concat();
    vec![entry(0, card.sign(identity).unwrap()), entry(1, claim.sign(identity).unwrap())]
}

/// Lets in a watcher that is started now, and tells it of these relays.
async fn let_in(host: &mut Scripted, relays: Vec<PeerAddress>) -> Link {
    let _ = watch_on(host.ticket.clone(), false);
    let link = host.link().await;
    let key_package = host.peer.hears(&link, join).await;
    link.send(&host.welcome(&link, &key_package));
    link.send(&Control::Relays { relays });
    link
}

/// The next one that dials a peer.
async fn dialled(peer: &mut Peer, until: Instant) -> Option<Link> {
    loop {
        if let LinkEvent::Up(mut link) = timeout_at(until, peer.inbox.recv()).await.ok()?.unwrap() {
            link.begin();
            return Some(*link);
        }
    }
}

fn subscribe(message: &Control) -> Option<()> {
    matches!(message, Control::Subscribe { .. }).then_some(())
}

/// As a relay it would have all stripes to send, from the host as well, and nobody would ever accuse it of anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_says_on_its_links_that_it_is_a_relay_is_asked_for_nothing() {
    let mut host = Scripted::new().await;
    let mut liar = Peer::new(Role::Relay).await;
    let link = let_in(&mut host, Vec::new()).await;
    let entries = says(&host, &liar, &liar.net.address(), BitRate::from_kbit(20_000));
    link.send(&Control::Gossip { entries });
    // It is not who was looked for. That is as if nobody had been reached: it is dialled again, and given up then.
    let until = Instant::now() + PATIENCE;
    for _ in 0..3 {
        let child = dialled(&mut liar, until).await.expect("it is dialled");
        loop {
            match timeout(PATIENCE, liar.inbox.recv()).await.unwrap().unwrap() {
                LinkEvent::Control(id, message) if id == child.id => panic!("it was told {message:?}"),
                LinkEvent::Down(id, _) if id == child.id => break,
                _ => {}
            }
        }
    }
    assert!(dialled(&mut liar, Instant::now() + Duration::from_secs(3)).await.is_none(), "it is set aside");
    // The pictures are taken from the host meanwhile.
    timeout(PATIENCE, host.peer.hears(&link, subscribe)).await.expect("it is not asked for them");
}

/// Whoever claims most comes first. Where its card leads nowhere, that is no fault of those whose endpoint it names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_with_the_endpoint_of_another_one_keeps_nobody_from_that_one() {
    let mut host = Scripted::new().await;
    let (liar, mut honest) = (Peer::new(Role::Watcher).await, Peer::new(Role::Watcher).await);
    // Nobody answers there.
    let nowhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let there = honest.net.address();
    let elsewhere = PeerAddress { addresses: vec![nowhere.local_addr().unwrap()], ..there.clone() };
    let mut entries = says(&host, &liar, &elsewhere, BitRate::from_kbit(200_000));
    entries.extend(says(&host, &honest, &there, BitRate::from_kbit(1_000)));
    let link = let_in(&mut host, Vec::new()).await;
    link.send(&Control::Gossip { entries });
    // The transport may find it at the address that it knows of, whichever card it goes by: then it is reached twice. To dial where nobody
    // answers takes five seconds, and it is done three times.
    let until = Instant::now() + Duration::from_secs(10);
    let mut links = Vec::new();
    loop {
        match timeout_at(until, honest.inbox.recv()).await.expect("it is asked for nothing").unwrap() {
            LinkEvent::Up(mut child) => {
                child.begin();
                links.push(child);
            }
            LinkEvent::Control(_, message) if subscribe(&message).is_some() => break,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_dialled_is_not_dialled_once_more_when_it_comes_and_goes() {
    let mut host = Scripted::new().await;
    let mut relay = Peer::new(Role::Relay).await;
    let named = vec![relay.net.address()];
    let link = let_in(&mut host, named.clone()).await;
    for _ in 0..3 {
        link.send(&Control::Relays { relays: Vec::new() });
        link.send(&Control::Relays { relays: named.clone() });
    }
    let child = dialled(&mut relay, Instant::now() + PATIENCE).await.expect("it is dialled");
    relay.hears(&child, subscribe).await;
    assert!(dialled(&mut relay, Instant::now() + Duration::from_secs(1)).await.is_none(), "a second link");
}

/// It knows of others, and they of it, by way of the host; on a new link as on the first one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_tells_the_host_of_peers_again() {
    let mut host = Scripted::new().await;
    let lender = Peer::new(Role::Watcher).await;
    let link = let_in(&mut host, Vec::new()).await;
    let entries = says(&host, &lender, &lender.net.address(), BitRate::from_kbit(5_000));
    let card = entries[0].clone();
    link.send(&Control::Gossip { entries });
    host.peer.hears(&link, subscribe).await;
    link.close("broken");

    let link = host.link().await;
    host.peer.hears(&link, |message| matches!(message, Control::Resume { .. }).then_some(())).await;
    link.send(&Control::Relays { relays: Vec::new() });
    let heard = |message: &Control| match message {
        Control::Gossip { entries } => Some(entries.clone()),
        _ => None,
    };
    let entries = timeout(PATIENCE, host.peer.hears(&link, heard)).await.expect("it says nothing of peers");
    assert!(entries.contains(&card));
}
