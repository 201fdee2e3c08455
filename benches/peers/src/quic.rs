//! Datagrams over quinn, forwarded as they are.

use crate::control::Control;
use crate::tasks::{self, PATIENCE};
use crate::traffic::Moment;
use anyhow::{Context, Result, bail};
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, Incoming, ServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use tokio::time::timeout;

/// What a connection is for, as TLS negotiates it.
pub(crate) const PUBLISH: &[u8] = b"publish";
pub(crate) const SUBSCRIBE: &[u8] = b"subscribe";
/// Datagrams taken or sent together at most.
pub(crate) const BATCH: usize = 64;
pub(crate) const CONNECTIONS: usize = 4_096;

/// Where the relay is, and by which certificate it is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Relay {
    address: SocketAddr,
    certificate: Vec<u8>,
}

pub(crate) async fn relay() -> Result<()> {
    let control = Control::listen()?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    tls.alpn_protocols = vec![PUBLISH.to_vec(), SUBSCRIBE.to_vec()];
    let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into())?;
    control.ready(&Relay { address: endpoint.local_addr()?, certificate: certificate.to_vec() });
    let subscribers = Rc::new(RefCell::new(Vec::new()));
    while let Some(incoming) = endpoint.accept().await {
        let subscribers = subscribers.clone();
        tasks::serve_beside("quinn", async move { serve(incoming, &subscribers).await });
    }
    Ok(())
}

async fn serve(incoming: Incoming, subscribers: &RefCell<Vec<Connection>>) -> Result<()> {
    let connection = incoming.await?;
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    match data.and_then(|data| data.protocol).as_deref() {
        Some(PUBLISH) => loop {
            let mut burst = vec![connection.read_datagram().await?];
            while let Some(more) = at_once(connection.read_datagram()) {
                burst.push(more?);
                if burst.len() == BATCH {
                    break;
                }
            }
            for subscriber in &*subscribers.borrow() {
                for packet in &burst {
                    // Whoever is gone is missed in the subscribers' count.
                    let _ = subscriber.send_datagram(packet.clone());
                }
            }
        },
        Some(SUBSCRIBE) if subscribers.borrow().len() < CONNECTIONS => {
            subscribers.borrow_mut().push(connection.clone());
            connection.open_uni().await?.finish()?;
            connection.closed().await;
            Ok(())
        }
        other => bail!("unknown or unwelcome: {other:?}"),
    }
}

/// What the future gives without waiting.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

pub(crate) async fn publish(relay: Relay, rate: u64) -> Result<()> {
    let control = Control::listen()?;
    let (connection, _endpoint) = connect(&relay, PUBLISH).await?;
    tasks::publish(control, rate, async |packets| {
        for packet in packets {
            connection.send_datagram(packet)?;
        }
        Ok(())
    })
    .await
}

pub(crate) async fn subscribe_all(relay: Relay, count: usize) -> Result<()> {
    let subscribe = async || subscribe(&relay).await;
    tasks::subscribe_all(count, subscribe, |(connection, endpoint), tally| async move {
        while let Ok(packet) = connection.read_datagram().await {
            tally.borrow_mut().record(&packet, Moment::now());
        }
        drop(endpoint);
    })
    .await
}

/// A subscriber that the relay took in.
async fn subscribe(relay: &Relay) -> Result<(Connection, Endpoint)> {
    let (connection, endpoint) = connect(relay, SUBSCRIBE).await?;
    timeout(PATIENCE, connection.accept_uni()).await.context("not taken in")??;
    Ok((connection, endpoint))
}

/// A connection with a socket of its own.
async fn connect(relay: &Relay, purpose: &[u8]) -> Result<(Connection, Endpoint)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(relay.certificate.clone()))?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![purpose.to_vec()];
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?)));
    let dialled = endpoint.connect(relay.address, "localhost")?;
    let connection = timeout(PATIENCE, dialled).await.context("the relay does not answer")??;
    Ok((connection, endpoint))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
