//! One QUIC endpoint per node: its socket, its limits, dialling and accepting.

use super::carrier::{QuicCarrier, SEND_BUFFER, Slab};
use super::crowd::{Crowd, HANDSHAKES, Neighbourhood};
use super::{ALPN, QuicConnection};
use crate::Error;
use crate::net::connection::{CloseCode, Connection as _, ControlStream};
use crate::net::endpoint::{HELLO_TIMEOUT, Links, dialled_name};
use crate::net::link::{Established, Link};
use crate::net::{PeerAddress, hello};
use iroh::endpoint::{
    Connection, IdleTimeout, Incoming, IncomingAddr, PortmapperConfig, QuicTransportConfig, RecvStream,
    RelayMode, SendStream, VarInt, presets,
};
use iroh::{EndpointAddr, EndpointId, SecretKey};
use rustls::crypto::aws_lc_rs;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

/// Whether a peer is still there the node finds out by itself, and sooner (`net/liveness.rs`). This ends connections that
/// nobody watches, and what it does for itself costs a packet each 5 s: iroh keeps its paths alive so often, and no more rarely.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Longer than that, so that it has nothing to do.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// UDP payload on a path of 1,280 bytes, the least that IPv6 allows: a sealed symbol of 1,088 bytes fits.
const INITIAL_MTU: u16 = 1_232;
/// What one peer can make us keep: datagrams that the node has not taken yet, bytes of one stream, bytes of all its streams.
const RECEIVE_BUFFER: usize = 512 << 10;
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What we keep of control messages and large chunks that one peer has not acknowledged.
const SEND_WINDOW: u64 = 1 << 20;
/// From so many on, whoever dials has to show first that it hears us at its address. That costs a round trip, and nothing is
/// kept for it: handshakes that are begun from made-up addresses, or never ended, do not keep others waiting.
const UNPROVEN_HANDSHAKES: usize = HANDSHAKES / 2;

/// Where connections are driven, if not by the runtime of the node itself.
static DRIVER: OnceLock<Handle> = OnceLock::new();

/// Has the connections of all nodes of this process driven by another runtime than the nodes' own. QUIC's cryptography and
/// timers then take nothing from the thread that forwards, and lanes need no other thread than that one.
pub(crate) fn drive_connections_on(runtime: Handle) {
    // The first one stays: a process has one command line.
    let _ = DRIVER.set(runtime);
}

pub(crate) fn driver() -> Handle {
    DRIVER.get().cloned().unwrap_or_else(Handle::current)
}

/// A node's QUIC socket. Clones are handles on the same.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    endpoint: iroh::Endpoint,
    links: Arc<Links>,
    slab: Slab,
}

impl Endpoint {
    /// Binds the socket and starts to accept.
    ///
    /// # Errors
    /// [`Error::Network`] if the address can't be bound.
    pub(crate) async fn bind(
        listen: SocketAddr,
        transport_key: [u8; 32],
        links: Arc<Links>,
    ) -> Result<Self, Error> {
        let failed = |why: String| Error::Network(format!("can't listen on {listen}: {why}"));
        let builder = iroh::Endpoint::builder(presets::Empty)
            .crypto_provider(Arc::new(post_quantum_provider()))
            .secret_key(SecretKey::from_bytes(&transport_key))
            .relay_mode(RelayMode::Disabled)
            .portmapper_config(PortmapperConfig::Disabled)
            .alpns(vec![ALPN.to_vec()])
            .transport_config(transport_config()?)
            .clear_ip_transports()
            .bind_addr(listen)
            .map_err(|e| failed(e.to_string()))?;
        let bound = driver().spawn(builder.bind()).await.map_err(|e| failed(e.to_string()))?;
        let endpoint =
            Self { endpoint: bound.map_err(|e| failed(e.to_string()))?, links, slab: Slab::default() };
        driver().spawn(endpoint.clone().accept_loop());
        Ok(endpoint)
    }

    /// Where we can be dialled.
    pub(crate) fn address(&self) -> PeerAddress {
        let wildcard = |address: &SocketAddr| address.ip().is_unspecified();
        let bound = self.endpoint.bound_sockets();
        let mut addresses: Vec<SocketAddr> = bound.iter().copied().filter(|a| !wildcard(a)).collect();
        if bound.iter().any(wildcard) {
            addresses.extend(self.endpoint.addr().ip_addrs().copied());
        }
        addresses.sort_unstable();
        addresses.dedup();
        PeerAddress { endpoint: *self.endpoint.id().as_bytes(), addresses, direct: None }
    }

    /// Dials a peer and proves who we are.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Version`], [`Error::Peer`].
    pub(crate) async fn connect(&self, to: &PeerAddress) -> Result<Link, Error> {
        let peer = dialled_name(to);
        let failed = |why: String| Error::Connect { peer: peer.clone(), why: explain(why) };
        let id = EndpointId::from_bytes(&to.endpoint)
            .map_err(|e| failed(format!("malformed transport key: {e}")))?;
        let mut address = EndpointAddr::new(id);
        for socket in &to.addresses {
            address = address.with_ip_addr(*socket);
        }
        let (dialler, name) = (self.clone(), peer.clone());
        let place = self.links.dial_permit()?;
        let dial = driver().spawn(timeout(HELLO_TIMEOUT, async move {
            let failed = |why: String| Error::Connect { peer: name.clone(), why: explain(why) };
            let connection = dialler.endpoint.connect(address, ALPN).await.map_err(|e| failed(chain(&e)))?;
            let (send, recv) = connection.open_bi().await.map_err(|e| failed(e.to_string()))?;
            dialler.establish(connection, place, true, send, recv).await
        }));
        let dialled = dial.await.map_err(|e| failed(e.to_string()))?;
        dialled.map_err(|_| {
            let seconds = HELLO_TIMEOUT.as_secs();
            failed(format!(
                "no answer within {seconds} s: it does not run there, or has no post-quantum key exchange"
            ))
        })?
    }

    /// Closes all links and the socket, telling the peers.
    pub(crate) async fn close(&self) {
        self.endpoint.close().await;
    }

    async fn accept_loop(self) {
        let (over, mut ended) = mpsc::channel(HANDSHAKES);
        let mut crowd = Crowd::new();
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.queue(&mut crowd, incoming),
                    None => return,
                },
                Some(of) = ended.recv() => crowd.ended(of),
            }
            while let Some((of, incoming)) = crowd.next() {
                let (endpoint, over) = (self.clone(), over.clone());
                tokio::spawn(async move {
                    endpoint.let_in(incoming).await;
                    let _ = over.send(of).await;
                });
            }
        }
    }

    fn queue(&self, crowd: &mut Crowd<Incoming>, incoming: Incoming) {
        let is_proven = incoming.remote_addr_validated();
        if crowd.under_way() >= UNPROVEN_HANDSHAKES && !is_proven {
            if let Err(error) = incoming.retry() {
                tracing::debug!(%error, "a dialler was not asked to prove its address");
            }
            return;
        }
        let of = match incoming.remote_addr() {
            IncomingAddr::Ip(address) if is_proven => Some(Neighbourhood::of(address)),
            _ => None,
        };
        if let Err(incoming) = crowd.push(of, incoming) {
            self.links.count_failed();
            incoming.refuse();
        }
    }

    /// A peer's handshake and hello. If they succeed, the node hears of the link.
    async fn let_in(&self, incoming: Incoming) {
        let accepted = timeout(HELLO_TIMEOUT, async {
            let connection = incoming.await.map_err(|e| chain(&e))?;
            let (send, recv) = connection.accept_bi().await.map_err(|e| e.to_string())?;
            let Ok(place) = self.links.permit() else {
                QuicConnection(connection).close(CloseCode::Full, "too many links");
                return Ok(None);
            };
            let link = self.establish(connection, place, false, send, recv).await;
            link.map(Some).map_err(|e| e.to_string())
        });
        match accepted.await {
            Ok(Ok(Some(link))) => self.links.announce(link).await,
            Ok(Ok(None)) => tracing::debug!("a peer was not let in: there are too many links"),
            Ok(Err(why)) => {
                self.links.count_failed();
                tracing::debug!(%why, "a peer was not let in");
            }
            Err(_) => {
                self.links.count_failed();
                tracing::debug!("a peer did not finish its hello in time");
            }
        }
    }

    async fn establish(
        &self,
        connection: Connection,
        permit: OwnedSemaphorePermit,
        initiator: bool,
        mut send: SendStream,
        mut recv: RecvStream,
    ) -> Result<Link, Error> {
        check_post_quantum(&connection)?;
        let shared = Arc::new(QuicConnection(connection));
        let (identity, role) = (self.links.identity(), self.links.role());
        let peer = match hello::exchange(&*shared, initiator, &mut send, &mut recv, identity, role).await {
            Ok(peer) => peer,
            Err(error) => {
                // A peer of another version still has to read ours before the connection goes.
                let _ = send.finish();
                let _ = timeout(Duration::from_millis(200), send.stopped()).await;
                shared.close(CloseCode::Misbehaved, &error.to_string());
                return Err(error);
            }
        };
        let (id, loss) = self.links.next();
        Ok(Link::new(Established {
            id,
            peer,
            base: Box::new(QuicCarrier::new(shared.0.clone(), loss, self.slab.clone())),
            connection: shared,
            control: Some(ControlStream { send: Box::new(send), recv: Box::new(recv) }),
            events: self.links.events(),
            pulse: self.links.pulse(),
            permit,
            dialled: initiator,
        }))
    }
}

/// The key exchange that both sides settled on must be the post-quantum one, whatever the configuration says.
pub(super) fn check_post_quantum(connection: &Connection) -> Result<(), Error> {
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

pub(super) fn transport_config() -> Result<QuicTransportConfig, Error> {
    let idle = IdleTimeout::try_from(IDLE_TIMEOUT).map_err(|e| Error::Network(e.to_string()))?;
    Ok(QuicTransportConfig::builder()
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(KEEP_ALIVE)
        .initial_mtu(INITIAL_MTU)
        .datagram_send_buffer_size(SEND_BUFFER)
        .datagram_receive_buffer_size(Some(RECEIVE_BUFFER))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(16))
        .build())
}

/// The public half of a transport key.
pub(crate) fn public_key(transport_key: [u8; 32]) -> [u8; 32] {
    *SecretKey::from_bytes(&transport_key).public().as_bytes()
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
    if why.contains("timed out") {
        return format!("no answer: it does not run there, or has no post-quantum key exchange ({why})");
    }
    why
}
