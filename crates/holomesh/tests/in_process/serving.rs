//! What a relay takes its host's word for, and what it sees of a stream.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::kit::{PATIENCE, Peer, Scripted, host, loopback, on_thread, welcome};
use av_relay::Stats;
use av_wire::{ChunkHeader, StreamAnnounce};
use core_types::{ChunkSeq, CodecId, Epoch, Marks};
use holomesh::Error;
use holomesh::keyfile::random_seed;
use holomesh::net::{Control, LossConfig, Role};
use holomesh::relay::{self, Tap};
use holomesh::session::Command;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_carries_nothing_that_its_host_has_not_signed() {
    let mut host = Scripted::new().await;
    let mut config = relay::Config::new(random_seed().unwrap(), host.ticket.clone(), loopback());
    config.limits.permits_required = false;
    let relay = on_thread(move || relay::run(config, std::future::pending(), || ()));
    let link = host.link().await;
    host.peer.hears(&link, |message| matches!(message, Control::Serve { .. }).then_some(())).await;

    let good = host.announce.sign(host.peer.net.identity()).unwrap();
    link.send(&Control::Carry { announces: vec![good] });
    host.peer.hears(&link, |message| matches!(message, Control::Carrying).then_some(())).await;

    // Somebody else's stream, signed by that one.
    let other = Peer::new(Role::Host).await;
    let identity = other.net.identity();
    let forged = StreamAnnounce { publisher: identity.key_id(), ..host.announce.clone() };
    link.send(&Control::Carry { announces: vec![forged.sign(identity).unwrap()] });
    let error = timeout(PATIENCE, relay).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, Error::Wire(_)), "{error}");
}

/// The first chunk of pictures of each epoch.
#[derive(Debug, Default)]
struct Firsts(Mutex<BTreeMap<Epoch, Marks>>);

impl Tap for Firsts {
    fn received(&self, bytes: &[u8]) {
        // Control messages are shown as well; none of this session is as long as a symbol and reads as a chunk of pictures.
        let header = ChunkHeader::parse(bytes).ok().filter(|header| header.codec == CodecId::Av1);
        if let Some(header) = header.filter(|header| bytes.len() > 1_000 && header.chunk_seq == ChunkSeq(0)) {
            self.0.lock().unwrap().insert(header.epoch, header.marks);
        }
    }

    fn stats(&self, _: Stats) {}
}

impl Firsts {
    async fn are(&self, epochs: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.0.lock().unwrap().len() < epochs {
            assert!(Instant::now() < deadline, "{:?}", self.0.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pictures_of_an_epoch_begin_with_a_key_frame() {
    let (ticket, commands) = host(Some(1), LossConfig::NONE).await;
    let firsts = Arc::<Firsts>::default();
    let config = relay::Config {
        tap: Some(firsts.clone()),
        ..relay::Config::new(random_seed().unwrap(), ticket.clone(), loopback())
    };
    let start = commands.clone();
    on_thread(move || async move {
        relay::run(config, std::future::pending(), || drop(start.try_send(Command::Start))).await.map(drop)
    });
    firsts.are(1).await;
    // Each joins in a commit of its own, which comes in the midst of pictures that refer to one another.
    let mut joined = Vec::new();
    for number in 0..2 {
        let mut peer = Peer::new(Role::Watcher).await;
        let link = peer.dial(&ticket).await;
        peer.join(&link, &ticket, number);
        peer.hears(&link, welcome).await;
        joined.push((peer, link));
        firsts.are(2 + number as usize).await;
    }
    for (epoch, marks) in &*firsts.0.lock().unwrap() {
        assert!(marks.is_key_frame() && marks.start, "{epoch:?} begins with {marks:?}");
    }
}
