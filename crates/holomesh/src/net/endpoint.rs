//! One QUIC endpoint per node, with X25519MLKEM768 as the only key exchange it knows.

use super::hello::{self, Role};
use super::link::{self, Link, LinkEvent};
use super::{LossConfig, PeerAddress};
use crate::Error;
use crate::ticket::Ticket;
use core_types::LinkId;
use identity::{Identity, Seed};
use iroh::endpoint::{
    Connection, IdleTimeout, PortmapperConfig, QuicTransportConfig, RelayMode, VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, EndpointId, SecretKey};
use rustls::crypto::aws_lc_rs;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// The application protocol, as TLS negotiates it.
pub const ALPN: &[u8] = b"holomesh/1";
/// A peer that does not finish the handshake and hello in this time is dropped.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that is not heard for this long is gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const KEEP_ALIVE: Duration = Duration::from_millis(1_000);
/// UDP payload on a path of 1,280 bytes, the least that IPv6 allows: a sealed symbol of 1,088 bytes fits.
const INITIAL_MTU: u16 = 1_232;
/// Handshakes under way at once; more wait.
const HANDSHAKES: usize = 64;
/// Links at once.
const LINKS: usize = 2_048;

/// How a node is reached and what it is.
#[derive(Debug)]
pub struct NetConfig {
    /// Its identity's seed; the transport key is derived from it.
    pub seed: Seed,
    /// What it is in the session.
    pub role: Role,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Loss to inject into what it sends.
    pub loss: LossConfig,
}

/// A node's endpoint: dials, accepts, and tells of links through one channel.
#[derive(Debug, Clone)]
pub struct Net {
    endpoint: Endpoint,
    identity: Arc<Identity>,
    role: Role,
    loss: LossConfig,
    next_link: Arc<AtomicU64>,
    links: Arc<Semaphore>,
    events: mpsc::Sender<LinkEvent>,
}

impl Net {
    /// Binds the socket and starts to accept.
    ///
    /// # Errors
    /// [`Error::Network`] if the address can't be bound.
    pub async fn bind(config: NetConfig, events: mpsc::Sender<LinkEvent>) -> Result<Self, Error> {
        let failed = |why: String| Error::Network(format!("can't listen on {}: {why}", config.listen));
        let identity = Identity::from_seed(&config.seed).map_err(|e| Error::codec("identity", e))?;
        let endpoint = Endpoint::builder(presets::Empty)
            .crypto_provider(Arc::new(post_quantum_provider()))
            .secret_key(transport_key(&config.seed))
            .relay_mode(RelayMode::Disabled)
            .portmapper_config(PortmapperConfig::Disabled)
            .alpns(vec![ALPN.to_vec()])
            .transport_config(transport_config()?)
            .clear_ip_transports()
            .bind_addr(config.listen)
            .map_err(|e| failed(e.to_string()))?
            .bind()
            .await
            .map_err(|e| failed(e.to_string()))?;
        let net = Self {
            endpoint,
            identity: Arc::new(identity),
            role: config.role,
            loss: config.loss,
            next_link: Arc::new(AtomicU64::new(1)),
            links: Arc::new(Semaphore::new(LINKS)),
            events,
        };
        tokio::spawn(net.clone().accept_loop());
        Ok(net)
    }

    /// Our identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where we can be dialled.
    pub fn address(&self) -> PeerAddress {
        let wildcard = |address: &SocketAddr| address.ip().is_unspecified();
        let bound = self.endpoint.bound_sockets();
        let mut addresses: Vec<SocketAddr> = bound.iter().copied().filter(|a| !wildcard(a)).collect();
        if bound.iter().any(wildcard) {
            addresses.extend(self.endpoint.addr().ip_addrs().copied());
        }
        addresses.sort_unstable();
        addresses.dedup();
        PeerAddress { endpoint: *self.endpoint.id().as_bytes(), addresses }
    }

    /// Dials a peer and proves who we are. The link is returned and not announced on the event channel; what it brings
    /// is.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Version`], [`Error::Peer`].
    pub async fn connect(&self, to: &PeerAddress) -> Result<Link, Error> {
        let name = || match to.addresses.first() {
            Some(address) => address.to_string(),
            None => "a peer without addresses".into(),
        };
        let failed = |why: String| Error::Connect { peer: name(), why: explain(why) };
        let id = EndpointId::from_bytes(&to.endpoint)
            .map_err(|e| failed(format!("malformed transport key: {e}")))?;
        let mut address = EndpointAddr::new(id);
        for socket in &to.addresses {
            address = address.with_ip_addr(*socket);
        }
        let dial = async {
            let connection = self.endpoint.connect(address, ALPN).await.map_err(|e| failed(chain(&e)))?;
            let (send, recv) = connection.open_bi().await.map_err(|e| failed(e.to_string()))?;
            self.establish(connection, true, send, recv).await
        };
        timeout(HELLO_TIMEOUT, dial).await.map_err(|_| {
            let seconds = HELLO_TIMEOUT.as_secs();
            failed(format!(
                "no answer within {seconds} s: it does not run there, or has no post-quantum key exchange"
            ))
        })?
    }

    /// Dials a ticket's host and checks that it is the one. A node without its host is of no use: on an error the endpoint is
    /// closed, since one that is dropped open complains in the log.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and what [`Ticket::check_host`] says.
    pub async fn connect_to_host(&self, ticket: &Ticket) -> Result<Link, Error> {
        let host = self.connect(&ticket.address()).await;
        let host = host.and_then(|host| ticket.check_host(&host).map(|()| host));
        if host.is_err() {
            self.close().await;
        }
        host
    }

    /// Closes all links and the socket, telling the peers.
    pub async fn close(&self) {
        self.endpoint.close().await;
    }

    async fn accept_loop(self) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        while let Some(incoming) = self.endpoint.accept().await {
            let Ok(permit) = handshakes.clone().acquire_owned().await else { return };
            let net = self.clone();
            tokio::spawn(async move {
                let accepted = timeout(HELLO_TIMEOUT, async {
                    let connection = incoming.await.map_err(|e| chain(&e))?;
                    let (send, recv) = connection.accept_bi().await.map_err(|e| e.to_string())?;
                    net.establish(connection, false, send, recv).await.map_err(|e| e.to_string())
                });
                match accepted.await {
                    Ok(Ok(link)) => drop(net.events.send(LinkEvent::Up(Box::new(link))).await),
                    Ok(Err(why)) => tracing::debug!(%why, "a peer was not let in"),
                    Err(_) => tracing::debug!("a peer did not finish its hello in time"),
                }
                drop(permit);
            });
        }
    }

    async fn establish(
        &self,
        connection: Connection,
        initiator: bool,
        mut send: iroh::endpoint::SendStream,
        mut recv: iroh::endpoint::RecvStream,
    ) -> Result<Link, Error> {
        check_post_quantum(&connection)?;
        let Ok(permit) = self.links.clone().try_acquire_owned() else {
            connection.close(VarInt::from_u32(2), b"too many links");
            return Err(Error::Network(format!("{LINKS} links are open already")));
        };
        let exchanged =
            hello::exchange(&connection, initiator, &mut send, &mut recv, &self.identity, self.role).await;
        let peer = match exchanged {
            Ok(peer) => peer,
            Err(error) => {
                // A peer of another version still has to read ours before the connection goes.
                let _ = send.finish();
                let _ = timeout(Duration::from_millis(200), send.stopped()).await;
                connection.close(VarInt::from_u32(1), error.to_string().as_bytes());
                return Err(error);
            }
        };
        let id = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        Ok(link::start(
            id,
            peer,
            connection,
            send,
            recv,
            self.loss.for_link(id.0),
            self.events.clone(),
            permit,
        ))
    }
}

/// The key exchange that both sides settled on must be the post-quantum one, whatever the configuration says.
fn check_post_quantum(connection: &Connection) -> Result<(), Error> {
    let group = connection
        .handshake_data()
        .and_then(|data| data.downcast::<noq::crypto::rustls::HandshakeData>().ok())
        .and_then(|data| data.negotiated_key_exchange_group);
    if group == Some(rustls::NamedGroup::X25519MLKEM768) {
        return Ok(());
    }
    let peer = connection.remote_id().fmt_short().to_string();
    Err(Error::Peer {
        peer,
        why: format!("its key exchange is {group:?}, not X25519MLKEM768: not safe against quantum computers"),
    })
}

/// TLS with X25519MLKEM768 and nothing else to fall back to.
fn post_quantum_provider() -> rustls::crypto::CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    provider
}

fn transport_config() -> Result<QuicTransportConfig, Error> {
    let idle = IdleTimeout::try_from(IDLE_TIMEOUT).map_err(|e| Error::Network(e.to_string()))?;
    Ok(QuicTransportConfig::builder()
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(KEEP_ALIVE)
        .initial_mtu(INITIAL_MTU)
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(16))
        .build())
}

/// The transport's Ed25519 key is the node's own, but not its identity's: one key, one use.
fn transport_key(seed: &Seed) -> SecretKey {
    let mut hash = Sha256::new();
    hash.update(b"holomesh transport key v1");
    hash.update(seed.0);
    SecretKey::from_bytes(&hash.finalize().into())
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Says in plain words what TLS says in its own.
fn explain(why: String) -> String {
    if why.contains("HandshakeFailure")
        || why.contains("handshake failure")
        || why.contains("PeerIncompatible")
    {
        return format!(
            "the peer has no post-quantum key exchange (X25519MLKEM768), or is no holomesh node ({why})"
        );
    }
    why
}
