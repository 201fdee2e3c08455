//! Somebody who was let in, with all that is needed to ask for more than a watcher would.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crate::viewer::PATIENCE;
use av_mls::Member;
use av_wire::StreamAnnounce;
use control_wire::Start;
use core_types::{SessionId, WallTime};
use holomesh::keyfile;
use holomesh::net::{Control, Link, LinkEvent, Net, NetConfig, PeerAddress, Role};
use holomesh::ticket::Ticket;
use peer_gossip::{Card, VerifiedCard};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::time::{Instant, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

pub(crate) struct Guest {
    pub(crate) net: Net,
    pub(crate) host: Link,
    pub(crate) member: Member,
    pub(crate) permit: Vec<u8>,
    pub(crate) relays: Vec<PeerAddress>,
    pub(crate) streams: Vec<[u8; 32]>,
    /// What it was told of peers while it joined.
    pub(crate) heard: Vec<Vec<u8>>,
    /// What comes over its links, as far as it is read.
    pub(crate) inbox: mpsc::Receiver<LinkEvent>,
}

impl Guest {
    /// Joins. So many events wait for it to read them; what comes then is left where it is.
    pub(crate) async fn join(ticket: &Ticket, unread: usize) -> Self {
        let (events, mut inbox) = mpsc::channel(unread);
        let config =
            NetConfig::new(keyfile::random_seed().unwrap(), Role::Watcher, ([127, 0, 0, 1], 0).into());
        let net = Net::bind(config, events).await.unwrap();
        let mut host = net.connect(&ticket.address()).await.unwrap();
        host.begin();
        let mut member = Member::new(net.identity(), StdRng::from_seed(net.identity().key_id().0)).unwrap();
        let key_package = member.key_package(net.identity()).unwrap().to_bytes();
        host.send(&Control::Join { invitation: ticket.invitation, key_package });
        let (mut permit, mut relays, mut streams, mut heard) = (None, None, None, Vec::new());
        while permit.is_none() || relays.is_none() || streams.is_none() {
            match timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap() {
                LinkEvent::Control(_, Control::Permit { permit: signed }) => permit = Some(signed),
                LinkEvent::Control(_, Control::Relays { relays: named }) => relays = Some(named),
                LinkEvent::Control(_, Control::Welcome { welcome, tree, session, announces }) => {
                    let session = SessionId(session);
                    member.join_with_tree(&welcome, tree.as_deref(), ticket.host, session).unwrap();
                    let id = |signed: &Vec<u8>| {
                        StreamAnnounce::verify(signed, &host.peer.identity).unwrap().stream_id().unwrap().0
                    };
                    streams = Some(announces.iter().map(id).collect());
                }
                LinkEvent::Control(_, Control::Gossip { entries }) => heard.extend(entries),
                LinkEvent::Control(_, Control::Refused { why }) => panic!("{why}"),
                _ => {}
            }
        }
        let (permit, relays, streams) = (permit.unwrap(), relays.unwrap(), streams.unwrap());
        Self { net, host, member, permit, relays, streams, heard, inbox }
    }

    /// Links up with a relay and shows the permit. Nothing is subscribed to yet.
    pub(crate) async fn link(&self, relay: usize) -> Link {
        self.link_to(&self.relays[relay]).await
    }

    /// Likewise, with whoever is there.
    pub(crate) async fn link_to(&self, address: &PeerAddress) -> Link {
        let mut link = self.net.connect(address).await.unwrap();
        link.begin();
        link.send(&Control::Permit { permit: self.permit.clone() });
        link
    }

    pub(crate) fn subscribe_to_all(&self, link: &Link) {
        for stream in &self.streams {
            let (stream, layers) = (*stream, [255; 3]);
            link.send(&Control::Subscribe {
                stream,
                layers,
                stripe_count: 1,
                stripe_mask: 1,
                start: Start::Live,
            });
        }
    }

    /// The next thing that happens.
    pub(crate) async fn event(&mut self) -> LinkEvent {
        timeout(PATIENCE, self.inbox.recv()).await.unwrap().unwrap()
    }

    /// Waits for something on that link. Its end comes as an event as well.
    pub(crate) async fn sees(&mut self, link: &Link, good: impl Fn(&LinkEvent) -> bool) -> LinkEvent {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event = timeout_at(deadline.into(), self.inbox.recv()).await.unwrap().unwrap();
            let of = match &event {
                LinkEvent::Control(id, _) | LinkEvent::Chunks(id, _) | LinkEvent::Down(id, _) => *id,
                _ => continue,
            };
            if of != link.id {
                continue;
            }
            if good(&event) {
                return event;
            }
            assert!(!matches!(event, LinkEvent::Down(..)), "{event:?}");
        }
    }
}

/// The card of the only watcher that says that it feeds others.
pub(crate) async fn card(guest: &mut Guest, ticket: &Ticket) -> VerifiedCard {
    let host = guest.host.peer.identity.clone();
    let mut heard = std::mem::take(&mut guest.heard);
    loop {
        if let Some(card) = heard.iter().find(|entry| entry.first() == Some(&0)) {
            let now = UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
            return Card::verify(&card[1..], ticket.session, &host, WallTime(now)).unwrap();
        }
        if let LinkEvent::Control(_, Control::Gossip { entries }) = guest.event().await {
            heard.extend(entries);
        }
    }
}
