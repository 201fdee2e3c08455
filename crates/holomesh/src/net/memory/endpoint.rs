//! A node's place on the network: dials and accepts.

use super::MemoryNet;
use super::carrier::MemoryCarrier;
use super::connection::MemoryConnection;
use super::end::{CLOSED, TIMED_OUT};
use super::state::NodeId;
use crate::Error;
use crate::net::connection::{CloseCode, Connection as _};
use crate::net::endpoint::{HELLO_TIMEOUT, Links, dialled_name};
use crate::net::link::{Established, Link};
use crate::net::{PeerAddress, hello};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Who calls while so many wait is not heard.
const CALLERS: usize = 64;

/// A node's place on the network. Clones are handles on the same; the last of them frees it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    place: Arc<Place>,
    links: Arc<Links>,
}

#[derive(Debug)]
struct Place {
    network: MemoryNet,
    node: NodeId,
    address: SocketAddr,
    transport_key: [u8; 32],
}

impl Endpoint {
    /// Takes a place on the network and starts to accept.
    ///
    /// # Errors
    /// [`Error::Network`] if another node is there.
    pub(crate) fn bind(
        network: MemoryNet,
        listen: SocketAddr,
        transport_key: [u8; 32],
        links: Arc<Links>,
    ) -> Result<Self, Error> {
        let (callers, incoming) = mpsc::channel(CALLERS);
        let (node, address) = network.0.change(|state, _| state.open(listen, transport_key, callers))?;
        tokio::spawn(accept_loop(network.clone(), incoming, links.clone()));
        Ok(Self { place: Arc::new(Place { network, node, address, transport_key }), links })
    }

    /// Where the node can be dialled.
    pub(crate) fn address(&self) -> PeerAddress {
        let address = self.place.network.0.lock().address(self.place.node).unwrap_or(self.place.address);
        PeerAddress { endpoint: self.place.transport_key, addresses: vec![address], direct: None }
    }

    /// Dials a peer and proves who we are.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Version`], [`Error::Peer`].
    pub(crate) async fn connect(&self, to: &PeerAddress) -> Result<Link, Error> {
        let failed = |why: String| Error::Connect { peer: dialled_name(to), why };
        let network = &self.place.network;
        let line = network.0.change(|state, now| state.call(now, self.place.node, to))?;
        let connection = Arc::new(MemoryConnection::new(network.0.clone(), line));
        let established = establish(network, connection.clone(), true, &self.links);
        match timeout(HELLO_TIMEOUT, established).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error @ Error::Peer { .. })) => Err(match connection.close_reason() {
                Some(why) if why == TIMED_OUT => failed("no answer: it is not there, or out of reach".into()),
                Some(why) if why != CLOSED => failed(why),
                _ => error,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(failed(format!("no answer within {} s", HELLO_TIMEOUT.as_secs()))),
        }
    }

    /// Closes all links and gives the place up, telling the peers.
    pub(crate) fn close(&self) {
        self.place.leave();
    }
}

impl Place {
    fn leave(&self) {
        self.network.0.change(|state, now| state.leave(now, self.node, "endpoint closed"));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

async fn accept_loop(network: MemoryNet, mut callers: mpsc::Receiver<MemoryConnection>, links: Arc<Links>) {
    while let Some(connection) = callers.recv().await {
        let (network, links) = (network.clone(), links.clone());
        tokio::spawn(async move {
            let accepted = timeout(HELLO_TIMEOUT, establish(&network, Arc::new(connection), false, &links));
            match accepted.await {
                Ok(Ok(link)) => links.announce(link).await,
                Ok(Err(why)) => tracing::debug!(%why, "a peer was not let in"),
                Err(_) => tracing::debug!("a peer did not finish its hello in time"),
            }
        });
    }
}

async fn establish(
    network: &MemoryNet,
    connection: Arc<MemoryConnection>,
    initiator: bool,
    links: &Links,
) -> Result<Link, Error> {
    let permit = if initiator { links.dial_permit() } else { links.permit() };
    let permit = match permit {
        Ok(permit) => permit,
        Err(full) => {
            connection.close(CloseCode::Full, "too many links");
            return Err(full);
        }
    };
    let mut control = connection.control_stream();
    let (send, recv) = (&mut control.send, &mut control.recv);
    let peer =
        match hello::exchange(&*connection, initiator, send, recv, links.identity(), links.role()).await {
            Ok(peer) => peer,
            Err(error) => {
                // What was written before still arrives.
                connection.close(CloseCode::Misbehaved, &error.to_string());
                return Err(error);
            }
        };
    let (id, loss) = links.next();
    Ok(Link::new(Established {
        id,
        peer,
        base: Box::new(MemoryCarrier::new(network.0.clone(), &connection, loss)),
        connection,
        control: Some(control),
        events: links.events(),
        pulse: links.pulse(),
        permit,
        dialled: initiator,
    }))
}
