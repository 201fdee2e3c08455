//! A node's endpoint: dials, accepts, and tells of links, over whatever its links are made of.

use super::direct::Direct;
use super::hello::Role;
use super::inbox::{EVENT_QUEUE, Inbox};
use super::link::{Link, LinkEvent};
use super::memory::MemoryNet;
use super::pulse::Pulse;
use super::udp::Lanes;
use super::{LossConfig, PeerAddress, memory, quic};
use crate::Error;
use crate::ticket::Ticket;
use core_types::LinkId;
use identity::{Identity, Seed};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// A peer that does not finish the handshake and hello in this time is dropped.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Links at once.
const LINKS: usize = 2_048;
/// Links at once that this node dialled. Those that it takes do not use these up: whoever keeps the others busy does not keep it
/// from its own host and parents.
const DIALLED: usize = LINKS;

/// What a node's links run over.
#[derive(Debug, Clone, Default)]
pub enum Underlay {
    /// QUIC, and UDP lanes beside it.
    #[default]
    Quic,
    /// A network in this process, for tests. It has no lanes.
    Memory(MemoryNet),
}

/// How a node is reached and what it is.
#[derive(Debug)]
pub struct NetConfig {
    /// Its identity's seed; the transport key is derived from it.
    pub seed: Seed,
    /// What it is in the session.
    pub role: Role,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its links run over.
    pub underlay: Underlay,
    /// Loss to inject into what it sends.
    pub loss: LossConfig,
    /// Whether media may go over UDP lanes, on a port beside that of QUIC.
    pub lanes: bool,
    /// The port of the lanes; 0 for any.
    pub lane_port: u16,
    /// Whether links may be lanes by themselves, without QUIC: taken at the port of the lanes, and dialled where a peer takes them.
    pub direct: bool,
    /// Links at once that others dialled; more are refused.
    pub max_links: usize,
}

impl NetConfig {
    /// QUIC, no injected loss, lanes on any port, 2,048 links.
    pub const fn new(seed: Seed, role: Role, listen: SocketAddr) -> Self {
        let (loss, max_links) = (LossConfig::NONE, LINKS);
        Self {
            seed,
            role,
            listen,
            underlay: Underlay::Quic,
            loss,
            lanes: true,
            lane_port: 0,
            direct: false,
            max_links,
        }
    }
}

/// A node's endpoint: dials, accepts, and tells of links through one channel.
#[derive(Debug, Clone)]
pub struct Net {
    links: Arc<Links>,
    backend: Backend,
    /// What direct links are made over, if there may be any.
    direct: Option<Direct>,
}

/// What a node's links are made of.
#[derive(Debug, Clone)]
enum Backend {
    Quic(quic::Endpoint),
    Memory(memory::Endpoint),
}

impl Net {
    /// Binds the sockets and starts to accept. What comes is for the inbox.
    ///
    /// # Errors
    /// [`Error::Network`] if an address can't be bound.
    pub async fn open(config: NetConfig) -> Result<(Self, Inbox), Error> {
        let (events, incoming) = mpsc::channel(EVENT_QUEUE);
        let lanes = SocketAddr::new(config.listen.ip(), config.lane_port);
        let has_lanes = config.lanes && matches!(config.underlay, Underlay::Quic);
        let lanes = if has_lanes { Lanes::open(lanes, config.loss)? } else { Lanes::none() };
        let is_direct = has_lanes && config.direct;
        let pulse = Pulse::new(lanes.clone());
        let mut net = Self::start(config, events, pulse.clone()).await?;
        if is_direct {
            net.direct = Some(Direct::open(lanes.clone(), net.links.clone(), net.address().endpoint)?);
        }
        Ok((net, Inbox::new(incoming, lanes, pulse)))
    }

    /// Binds the socket of the links and starts to accept, for who takes the events without an inbox: peers that fall silent are
    /// noticed by QUIC alone, after 15 s.
    ///
    /// # Errors
    /// [`Error::Network`] if the address can't be bound.
    pub async fn bind(config: NetConfig, events: mpsc::Sender<LinkEvent>) -> Result<Self, Error> {
        Self::start(config, events, Pulse::new(Lanes::none())).await
    }

    async fn start(config: NetConfig, events: mpsc::Sender<LinkEvent>, pulse: Pulse) -> Result<Self, Error> {
        let key = transport_key(&config.seed);
        let links = Arc::new(Links::new(&config, events, pulse)?);
        let backend = match config.underlay {
            Underlay::Quic => Backend::Quic(quic::Endpoint::bind(config.listen, key, links.clone()).await?),
            Underlay::Memory(network) => {
                let key = quic::public_key(key);
                Backend::Memory(memory::Endpoint::bind(network, config.listen, key, links.clone())?)
            }
        };
        Ok(Self { links, backend, direct: None })
    }

    /// Our identity.
    pub fn identity(&self) -> &Identity {
        self.links.identity()
    }

    /// Links that peers dialled and that were refused before the node heard of them: for want of room, and since the
    /// handshake or the hello failed.
    pub fn refused(&self) -> (u64, u64) {
        let RefusedLinks { limit, handshake } = &self.links.refused;
        (limit.load(Ordering::Relaxed), handshake.load(Ordering::Relaxed))
    }

    /// Where we can be dialled.
    pub fn address(&self) -> PeerAddress {
        let address = match &self.backend {
            Backend::Quic(endpoint) => endpoint.address(),
            Backend::Memory(endpoint) => endpoint.address(),
        };
        PeerAddress { direct: self.direct.as_ref().and_then(Direct::port), ..address }
    }

    /// Dials a peer and proves who we are. The link is returned and not announced on the event channel; what it brings
    /// is.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Version`], [`Error::Peer`].
    pub async fn connect(&self, to: &PeerAddress) -> Result<Link, Error> {
        if let Some(direct) = &self.direct
            && let Some(link) = direct.connect(to).await?
        {
            return Ok(link);
        }
        match &self.backend {
            Backend::Quic(endpoint) => endpoint.connect(to).await,
            Backend::Memory(endpoint) => endpoint.connect(to).await,
        }
    }

    /// Dials a ticket's host and checks that it is the one. A node without its host is of no use: on an error the endpoint is
    /// closed, since one that is dropped open complains in the log.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and what [`Ticket::check_host`] says.
    pub async fn connect_to_host(&self, ticket: &Ticket) -> Result<Link, Error> {
        let host = self.dial_host(ticket).await;
        if host.is_err() {
            self.close().await;
        }
        host
    }

    /// Dials a ticket's host and checks that it is the one.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and what [`Ticket::check_host`] says.
    pub async fn dial_host(&self, ticket: &Ticket) -> Result<Link, Error> {
        let host = self.connect(&ticket.address()).await?;
        ticket.check_host(&host)?;
        Ok(host)
    }

    /// Closes all links and the socket, telling the peers.
    pub async fn close(&self) {
        if let Some(direct) = &self.direct {
            direct.close();
        }
        match &self.backend {
            Backend::Quic(endpoint) => endpoint.close().await,
            Backend::Memory(endpoint) => endpoint.close(),
        }
    }
}

/// Links of others that never came to the node, since it started.
#[derive(Debug, Default)]
struct RefusedLinks {
    /// There were as many as there may be.
    limit: AtomicU64,
    /// The handshake or the hello failed.
    handshake: AtomicU64,
}

fn full() -> Error {
    Error::Network("as many links are open already as this node takes".into())
}

/// What a node's links have in common, for whoever makes one: who the node is, how many links it may have, and where their
/// events go.
#[derive(Debug)]
pub(super) struct Links {
    identity: Arc<Identity>,
    role: Role,
    loss: LossConfig,
    next: AtomicU64,
    free: Arc<Semaphore>,
    free_dialled: Arc<Semaphore>,
    refused: RefusedLinks,
    events: mpsc::Sender<LinkEvent>,
    pulse: Pulse,
}

impl Links {
    fn new(config: &NetConfig, events: mpsc::Sender<LinkEvent>, pulse: Pulse) -> Result<Self, Error> {
        Ok(Self {
            identity: Identity::from_seed(&config.seed).map_err(|e| Error::codec("identity", e))?.into(),
            role: config.role,
            loss: config.loss,
            next: AtomicU64::new(1),
            free: Arc::new(Semaphore::new(config.max_links)),
            free_dialled: Arc::new(Semaphore::new(DIALLED)),
            refused: RefusedLinks::default(),
            events,
            pulse,
        })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same, for handshakes to keep.
    pub(super) fn identity_handle(&self) -> Arc<Identity> {
        self.identity.clone()
    }

    pub(super) const fn role(&self) -> Role {
        self.role
    }

    /// Room for one more link that a peer dialled, which holds it to its end.
    pub(super) fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.free.clone().try_acquire_owned().map_err(|_| {
            self.refused.limit.fetch_add(1, Ordering::Relaxed);
            full()
        })
    }

    /// Room for one more link that this node dials.
    pub(super) fn dial_permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.free_dialled.clone().try_acquire_owned().map_err(|_| full())
    }

    /// A peer dialled and did not get as far as to say who it is.
    pub(super) fn count_failed(&self) {
        self.refused.handshake.fetch_add(1, Ordering::Relaxed);
    }

    /// The next link's name, and what is lost on it.
    pub(super) fn next(&self) -> (LinkId, LossConfig) {
        let id = LinkId(self.next.fetch_add(1, Ordering::Relaxed));
        (id, self.loss.for_link(id.0))
    }

    /// Where a link tells what comes.
    pub(super) fn events(&self) -> mpsc::Sender<LinkEvent> {
        self.events.clone()
    }

    /// Who watches over the links.
    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Hands a link to the node that a peer dialled.
    pub(super) async fn announce(&self, link: Link) {
        let _ = self.events.send(LinkEvent::Up(Box::new(link))).await;
    }
}

/// What a peer that is dialled is called in errors.
pub(super) fn dialled_name(to: &PeerAddress) -> String {
    to.addresses.first().map_or_else(|| "a peer without addresses".into(), SocketAddr::to_string)
}

/// The transport's Ed25519 key is the node's own, but not its identity's: one key, one use.
fn transport_key(seed: &Seed) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"holomesh transport key v1");
    hash.update(seed.0);
    hash.finalize().into()
}
