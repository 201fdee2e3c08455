//! Datagrams over iroh, forwarded as they are: settings and batched calls as holomesh has them, and nothing else of it.

use crate::control::Control;
use crate::quic::{BATCH, CONNECTIONS, PUBLISH, SUBSCRIBE};
use crate::tasks::{self, PATIENCE};
use crate::traffic::Moment;
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use iroh::endpoint::{
    Connection, IdleTimeout, Incoming, PortmapperConfig, QuicTransportConfig, RelayMode, VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, EndpointId, SecretKey};
use rustls::crypto::aws_lc_rs;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const INITIAL_MTU: u16 = 1_232;

/// Where the relay is, and by which key it is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Relay {
    address: SocketAddr,
    key: [u8; 32],
}

pub(crate) async fn relay() -> Result<()> {
    let control = Control::listen()?;
    let endpoint = bind().await?;
    let address = *endpoint.bound_sockets().first().context("not bound")?;
    control.ready(&Relay { address, key: *endpoint.id().as_bytes() });
    let subscribers = Rc::new(RefCell::new(Vec::new()));
    while let Some(incoming) = endpoint.accept().await {
        let subscribers = subscribers.clone();
        tasks::serve_beside("iroh", async move { serve(incoming, &subscribers).await });
    }
    Ok(())
}

async fn serve(incoming: Incoming, subscribers: &RefCell<Vec<Connection>>) -> Result<()> {
    let connection = incoming.await?;
    match connection.alpn() {
        PUBLISH => {
            let mut batch = vec![Bytes::new(); BATCH];
            loop {
                let count = connection.read_many_datagrams(&mut batch).await?;
                for subscriber in &*subscribers.borrow() {
                    // Whoever is gone is missed in the subscribers' count.
                    let _ = subscriber.send_many_datagrams(&batch[..count]);
                }
            }
        }
        SUBSCRIBE if subscribers.borrow().len() < CONNECTIONS => {
            subscribers.borrow_mut().push(connection.clone());
            connection.open_uni().await?.finish()?;
            connection.closed().await;
            Ok(())
        }
        other => bail!("unknown or unwelcome: {other:?}"),
    }
}

pub(crate) async fn publish(relay: Relay, rate: u64) -> Result<()> {
    let control = Control::listen()?;
    let (connection, _endpoint) = connect(&relay, PUBLISH).await?;
    tasks::publish(control, rate, async |packets| {
        connection.send_many_datagrams(&packets)?;
        Ok(())
    })
    .await
}

pub(crate) async fn subscribe_all(relay: Relay, count: usize) -> Result<()> {
    let subscribe = async || subscribe(&relay).await;
    tasks::subscribe_all(count, subscribe, |(connection, endpoint), tally| async move {
        let mut batch = vec![Bytes::new(); BATCH];
        while let Ok(count) = connection.read_many_datagrams(&mut batch).await {
            let now = Moment::now();
            for packet in &batch[..count] {
                tally.borrow_mut().record(packet, now);
            }
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

/// An endpoint of its own for each connection: every subscriber is another peer, as in a session.
async fn connect(relay: &Relay, purpose: &[u8]) -> Result<(Connection, Endpoint)> {
    let endpoint = bind().await?;
    let address = EndpointAddr::new(EndpointId::from_bytes(&relay.key)?).with_ip_addr(relay.address);
    let dialled = endpoint.connect(address, purpose);
    let connection = timeout(PATIENCE, dialled).await.context("the relay does not answer")??;
    Ok((connection, endpoint))
}

async fn bind() -> Result<Endpoint> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    let mut seed = [0; 32];
    aws_lc_rs_random(&mut seed)?;
    let transport = QuicTransportConfig::builder()
        .max_idle_timeout(Some(IdleTimeout::try_from(Duration::from_secs(4))?))
        .keep_alive_interval(Duration::from_secs(1))
        .initial_mtu(INITIAL_MTU)
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(16))
        .build();
    Ok(Endpoint::builder(presets::Empty)
        .crypto_provider(Arc::new(provider))
        .secret_key(SecretKey::from_bytes(&seed))
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .alpns(vec![PUBLISH.to_vec(), SUBSCRIBE.to_vec()])
        .transport_config(transport)
        .clear_ip_transports()
        .bind_addr(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?
        .bind()
        .await?)
}

fn aws_lc_rs_random(seed: &mut [u8]) -> Result<()> {
    ::aws_lc_rs::rand::fill(seed).map_err(|_| anyhow!("no randomness"))
}
