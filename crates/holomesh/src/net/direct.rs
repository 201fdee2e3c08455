//! Direct links: two nodes that know each other's address, over UDP alone. A link handshake keys a lane, and the lane is the link.

use super::endpoint::Links;
use super::link::Link;
use super::udp::{Lanes, Undialled};
use super::{DirectPort, PeerAddress, Role};
use crate::Error;
use core_types::KeyId;
use std::net::SocketAddr;
use std::sync::Arc;

/// Addresses of a peer that are dialled at once.
const ADDRESSES: usize = 4;

/// What a node makes and takes direct links with.
#[derive(Debug, Clone)]
pub(super) struct Direct {
    lanes: Lanes,
    links: Arc<Links>,
    /// Under which we can be dialled by QUIC.
    transport_key: [u8; 32],
    /// Whether others may dial us.
    takes: bool,
}

impl Direct {
    /// Makes direct links from now on, and takes them, but for watchers: nobody dials these, and looking for it has a price.
    ///
    /// # Errors
    /// [`Error::Network`] without randomness.
    pub(super) fn open(lanes: Lanes, links: Arc<Links>, transport_key: [u8; 32]) -> Result<Self, Error> {
        let takes = links.role() != Role::Watcher;
        if takes {
            lanes.open_door(&links, transport_key)?;
        }
        Ok(Self { lanes, links, transport_key, takes })
    }

    /// Where we take them.
    pub(super) fn port(&self) -> Option<DirectPort> {
        if !self.takes {
            return None;
        }
        let key_id = *self.links.identity().public().key_id().as_bytes();
        Some(DirectPort { port: self.lanes.door_port()?, key_id })
    }

    /// Dials a peer; `None` if it takes no direct links, or nothing at its port answers: there may be another way.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Version`], [`Error::Network`] when it answers and there is no link all the same.
    pub(super) async fn connect(&self, to: &PeerAddress) -> Result<Option<Link>, Error> {
        let Some(DirectPort { port, key_id }) = to.direct else { return Ok(None) };
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in &to.addresses {
            let address = SocketAddr::new(address.ip().to_canonical(), port);
            if !addresses.contains(&address) && addresses.len() < ADDRESSES {
                addresses.push(address);
            }
        }
        match self.lanes.dial(&self.links, self.transport_key, &addresses, KeyId(key_id)).await {
            Ok(link) => Ok(Some(link)),
            Err(Undialled::NoAnswer) => {
                tracing::info!(?addresses, "no direct link: nothing answers; QUIC is tried");
                Ok(None)
            }
            Err(Undialled::Refused(error)) => Err(error),
        }
    }

    /// Closes all direct links, telling the peers, and takes no more.
    pub(super) fn close(&self) {
        self.lanes.close_direct("the node closes");
    }
}
