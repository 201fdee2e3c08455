//! A host and a watcher of this library in this process, and peers that say what they like.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_mls::{Member, SignedKeyPackage};
use av_wire::{Media, StreamAnnounce};
use codec_av1::{Frame, Structure};
use core_types::{BitRate, FrameRate, FrameSize, KeyId, Layer, SessionId, SymbolSize};
use holomesh::Error;
use holomesh::keyfile::random_seed;
use holomesh::net::{Control, Link, LinkEvent, LossConfig, Net, NetConfig, Role};
use holomesh::publish::{Encoder, FrameSource, StreamKind, VideoConfig};
use holomesh::session::{self, Command};
use holomesh::ticket::Ticket;
use holomesh::watch;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Small pictures that change, so many of them.
pub(crate) struct Pictures {
    size: FrameSize,
    left: u64,
}

impl Pictures {
    pub(crate) fn new(count: u64) -> Self {
        Self { size: FrameSize::new(96, 64).unwrap(), left: count }
    }
}

impl FrameSource for Pictures {
    fn size(&self) -> FrameSize {
        self.size
    }

    fn rate(&self) -> FrameRate {
        FrameRate::new(25, 1).unwrap()
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let turn = u32::from(left as u8) * 77;
        let luma = (0..96 * 64u32).map(|at| (at.wrapping_mul(at ^ turn) >> 5) as u8);
        let data = luma.chain(std::iter::repeat_n(128, 96 * 32)).collect();
        Ok(Some(Arc::new(Frame::from_i420(self.size, data).unwrap())))
    }
}

/// The pictures' encoder.
pub(crate) fn encoder() -> VideoConfig {
    let encoder = Encoder::default();
    VideoConfig {
        encoder,
        layers: Structure::L1T1,
        descriptions: None,
        bit_rate: BitRate::from_kbit(800),
        bounds: None,
        max_key_interval: 250,
        threads: 1,
    }
}

/// Runs a node as the demo does: on a thread and a runtime of its own, until it ends or the test does.
pub(crate) fn on_thread<T: Send + 'static, F: Future<Output = T>>(
    node: impl FnOnce() -> F + Send + 'static,
) -> oneshot::Receiver<T> {
    let (ended, outcome) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = ended.send(runtime.block_on(node()));
    });
    outcome
}

/// A session, and how it is told what to do. Without parents it has no streams.
pub(crate) async fn host(parents: Option<u8>, loss: LossConfig) -> (Ticket, mpsc::Sender<Command>) {
    let config = session::Config {
        loss,
        video: parents.map(|_| (Box::new(Pictures::new(u64::MAX)) as Box<dyn FrameSource>, encoder())),
        parents: parents.unwrap_or(1),
        autostart: false,
        ..session::Config::new(random_seed().unwrap(), loopback())
    };
    let (commands, inbox) = mpsc::channel(4);
    let (ready, ticket) = oneshot::channel();
    on_thread(move || session::run(config, inbox, |ticket| drop(ready.send(ticket))));
    (ticket.await.unwrap(), commands)
}

pub(crate) struct Peer {
    pub(crate) net: Net,
    pub(crate) inbox: mpsc::Receiver<LinkEvent>,
}

impl Peer {
    pub(crate) async fn new(role: Role) -> Self {
        let (events, inbox) = mpsc::channel(64);
        let config = NetConfig::new(random_seed().unwrap(), role, loopback());
        Self { net: Net::bind(config, events).await.unwrap(), inbox }
    }

    pub(crate) async fn dial(&self, ticket: &Ticket) -> Link {
        let mut link = self.net.connect(&ticket.address()).await.unwrap();
        link.begin();
        link
    }

    pub(crate) fn join(&self, link: &Link, ticket: &Ticket, random: u64) {
        let mut member = Member::new(self.net.identity(), StdRng::seed_from_u64(random)).unwrap();
        let key_package = member.key_package(self.net.identity()).unwrap().to_bytes();
        link.send(&Control::Join { invitation: ticket.invitation, key_package });
    }

    /// The first message on that link that is such a one.
    pub(crate) async fn hears<T>(&mut self, link: &Link, of: impl Fn(&Control) -> Option<T>) -> T {
        loop {
            match timeout(PATIENCE, self.inbox.recv()).await.unwrap().unwrap() {
                LinkEvent::Control(id, message) if id == link.id => {
                    if let Some(found) = of(&message) {
                        return found;
                    }
                }
                LinkEvent::Down(id, why) if id == link.id => panic!("the link is down: {why}"),
                _ => {}
            }
        }
    }
}

pub(crate) fn welcome(message: &Control) -> Option<()> {
    matches!(message, Control::Welcome { .. }).then_some(())
}

/// A watcher, and how it ends.
pub(crate) fn watch_on(
    ticket: Ticket,
    linger: bool,
) -> (KeyId, oneshot::Receiver<Result<watch::Report, Error>>) {
    let seed = random_seed().unwrap();
    let who = identity::Identity::from_seed(&seed).unwrap().key_id();
    let config = watch::Config { linger_after_removal: linger, ..watch::Config::new(seed, ticket) };
    (who, on_thread(move || watch::run(config, Vec::new())))
}

/// A host that says what it likes: what is told to it comes as it came, and what its members get is made by hand.
pub(crate) struct Scripted {
    pub(crate) peer: Peer,
    pub(crate) ticket: Ticket,
    pub(crate) session: SessionId,
    pub(crate) announce: StreamAnnounce,
    group: Member,
}

impl Scripted {
    /// With one stream of pictures.
    pub(crate) async fn new() -> Self {
        let peer = Peer::new(Role::Host).await;
        let (session, identity) = (SessionId([9; 32]), peer.net.identity());
        let mut group = Member::new(identity, StdRng::seed_from_u64(7)).unwrap();
        group.create(session).unwrap();
        let (size, rate) = (FrameSize::new(96, 64).unwrap(), FrameRate::new(25, 1).unwrap());
        let announce = StreamAnnounce {
            session,
            publisher: identity.key_id(),
            label: "pictures".into(),
            random: [1; 16],
            codec: StreamKind::Video.codec(),
            layers: Layer::BASE,
            symbol_size: SymbolSize::DEFAULT,
            parents: 1,
            frame_duration: None,
            media: Media::Video { size, rate },
        };
        let address = peer.net.address();
        let ticket = Ticket {
            host: identity.key_id(),
            session,
            endpoint: address.endpoint,
            addresses: address.addresses,
            direct: None,
            invitation: [3; 16],
        };
        Self { peer, ticket, session, announce, group }
    }

    /// The next node that links up.
    pub(crate) async fn link(&mut self) -> Link {
        loop {
            if let LinkEvent::Up(mut link) = timeout(PATIENCE, self.peer.inbox.recv()).await.unwrap().unwrap()
            {
                link.begin();
                return *link;
            }
        }
    }

    /// What the joiner gets in answer to its key package. Who was a member before is replaced.
    pub(crate) fn welcome(&mut self, joiner: &Link, key_package: &[u8]) -> Control {
        let announces = vec![self.announce.sign(self.peer.net.identity()).unwrap()];
        self.welcome_to(joiner, key_package, announces)
    }

    /// The same, with these announcements.
    pub(crate) fn welcome_to(
        &mut self,
        joiner: &Link,
        key_package: &[u8],
        announces: Vec<Vec<u8>>,
    ) -> Control {
        let package = SignedKeyPackage::from_bytes(key_package).unwrap().verify().unwrap();
        let who = joiner.peer.key_id();
        let remove: Vec<KeyId> = self.group.leaf_of(who).map(|_| who).into_iter().collect();
        let staged = self.group.stage_change(vec![package], &remove).unwrap();
        self.group.merge_staged().unwrap();
        Control::Welcome { welcome: staged.welcome.unwrap(), tree: None, session: self.session.0, announces }
    }
}

/// The key package of a wish to join.
pub(crate) fn join(message: &Control) -> Option<Vec<u8>> {
    match message {
        Control::Join { key_package, .. } => Some(key_package.clone()),
        _ => None,
    }
}

/// A relay that says that it carries the session.
pub(crate) async fn carrying(ticket: &Ticket) -> (Peer, Link) {
    let mut relay = Peer::new(Role::Relay).await;
    let upstream = relay.dial(ticket).await;
    upstream.send(&Control::Serve { invitation: ticket.invitation, address: relay.net.address() });
    relay.hears(&upstream, |message| matches!(message, Control::Carry { .. }).then_some(())).await;
    upstream.send(&Control::Carrying);
    (relay, upstream)
}
