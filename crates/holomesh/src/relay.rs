//! A relay node: registers with a host, carries the streams that it is told of, forwards chunks to whoever subscribes.

use crate::Error;
use crate::net::{Control, Link, LinkEvent, Net, NetConfig, Role};
use crate::ticket::Ticket;
use av_relay::{Limits, Relay, Stats};
use av_wire::{AwsLc, FreshChunk, HopReceiver, HopSuite, StreamAnnounce};
use bytes::Bytes;
use core_types::{ChunkSeq, Epoch, LayerPolicy, LinkId, StreamId, StripeSet};
use identity::Seed;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Link events that may wait for the node; beyond that, datagrams are dropped in the transport's buffers.
pub(crate) const EVENT_QUEUE: usize = 512;

/// How a relay runs.
#[derive(Debug)]
pub struct Config {
    /// Its identity.
    pub seed: Seed,
    /// The session that it serves.
    pub ticket: Ticket,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Loss to inject into what it sends.
    pub loss: crate::net::LossConfig,
    /// Is shown all that the relay receives, and its counters.
    pub tap: Option<Arc<dyn Tap>>,
}

/// Sees all that a relay gets to know: for showing that no content key is among it.
pub trait Tap: std::fmt::Debug + Send + Sync {
    /// Control messages and chunks, as they came.
    fn received(&self, bytes: &[u8]);
    /// The counters, after every batch.
    fn stats(&self, stats: Stats);
}

/// Runs a relay until its host ends the session or goes away, or `shutdown` is done.
///
/// # Errors
/// [`Error::Network`] if it can't listen; [`Error::Connect`], [`Error::Version`], [`Error::Refused`] if the host can't be
/// reached or does not want it.
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
    ready: impl FnOnce() + Send,
) -> Result<Stats, Error> {
    let (events, mut incoming) = mpsc::channel(EVENT_QUEUE);
    let Config { seed, ticket, listen, loss, tap } = config;
    let net = Net::bind(NetConfig { seed, role: Role::Relay, listen, loss }, events).await?;
    let host = net.connect_to_host(&ticket).await?;
    host.send(&Control::Serve { invitation: ticket.invitation, address: net.address() });
    let mut node = RelayNode { host: host.id, core: RelayCore::new(), tap };
    node.core.add_link(host);
    ready();
    tokio::pin!(shutdown);
    let outcome = loop {
        let event = tokio::select! {
            event = incoming.recv() => event,
            () = &mut shutdown => break Ok(node.core.stats()),
        };
        let Some(event) = event else { break Err(Error::Ended("the network")) };
        match node.handle(event) {
            Ok(true) => {}
            Ok(false) => break Ok(node.core.stats()),
            Err(error) => break Err(error),
        }
    };
    net.close().await;
    outcome
}

struct RelayNode {
    host: LinkId,
    core: RelayCore,
    tap: Option<Arc<dyn Tap>>,
}

impl RelayNode {
    /// False when the session is over.
    fn handle(&mut self, event: LinkEvent) -> Result<bool, Error> {
        match event {
            LinkEvent::Up(link) => self.core.add_link(*link),
            LinkEvent::Chunks(link, chunks) => {
                if let Some(tap) = &self.tap {
                    chunks.iter().for_each(|chunk| tap.received(chunk.bytes()));
                }
                self.core.handle_chunks(link, chunks);
            }
            LinkEvent::Control(link, message) => {
                if let Some(tap) = &self.tap {
                    tap.received(&postcard::to_allocvec(&message).unwrap_or_default());
                }
                return self.handle_control(link, message);
            }
            LinkEvent::Down(link, why) if link == self.host => {
                return Err(Error::Connect { peer: "the host".into(), why });
            }
            LinkEvent::Down(link, _) => self.core.remove_link(link),
        }
        if let Some(tap) = &self.tap {
            tap.stats(self.core.stats());
        }
        Ok(true)
    }

    fn handle_control(&mut self, link: LinkId, message: Control) -> Result<bool, Error> {
        match message {
            Control::Carry { announces } if link == self.host => self.carry(&announces)?,
            Control::End if link == self.host => return Ok(false),
            Control::Refused { why } if link == self.host => {
                let peer = self.core.peer_of(link).ok_or(Error::Ended("the host's link"))?;
                return Err(Error::Refused { peer, why });
            }
            other => self.core.handle_control(link, other),
        }
        Ok(true)
    }

    /// Streams come from the host, so its link is their upstream. The announcement must be signed by the host.
    fn carry(&mut self, announces: &[Vec<u8>]) -> Result<(), Error> {
        let Some(host) = self.core.links.get(&self.host) else { return Ok(()) };
        let identity = host.peer.identity.clone();
        for signed in announces {
            let id = StreamAnnounce::verify(signed, &identity)?.stream_id()?;
            self.core.relay.add_upstream(id, self.host).map_err(|e| Error::codec("relay", e))?;
            if let Some(host) = self.core.links.get(&self.host) {
                host.send(&Control::subscribe(id, LayerPolicy::UNCAPPED, StripeSet::ALL));
            }
        }
        if let Some(host) = self.core.links.get(&self.host) {
            host.send(&Control::Carrying);
        }
        Ok(())
    }
}

/// The relay's state machine with the links that it speaks to. A host has one as well: it feeds its relays, and serves
/// watchers itself where there are none.
#[derive(Debug)]
pub(crate) struct RelayCore {
    pub(crate) relay: Relay,
    pub(crate) links: BTreeMap<LinkId, Link>,
}

impl RelayCore {
    pub(crate) fn new() -> Self {
        Self { relay: Relay::new(Limits::default()), links: BTreeMap::new() }
    }

    pub(crate) fn add_link(&mut self, link: Link) {
        link.begin();
        self.links.insert(link.id, link);
    }

    pub(crate) fn remove_link(&mut self, link: LinkId) {
        self.relay.remove_link(link);
        self.links.remove(&link);
    }

    pub(crate) fn peer_of(&self, link: LinkId) -> Option<core_types::KeyId> {
        self.links.get(&link).map(|link| link.peer.key_id())
    }

    pub(crate) const fn stats(&self) -> Stats {
        self.relay.stats()
    }

    /// Chunks that this node has sealed itself: between publisher and relay there is nobody who could alter them.
    pub(crate) fn publish(&mut self, publisher: LinkId, chunks: Vec<Bytes>) {
        let inside = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        match chunks.into_iter().map(|chunk| inside.take_whole(chunk)).collect() {
            Ok(chunks) => self.handle_chunks(publisher, chunks),
            Err(error) => tracing::warn!(%error, "a chunk of our own could not be sent"),
        }
    }

    pub(crate) fn handle_chunks(&mut self, from: LinkId, chunks: Vec<FreshChunk<Bytes>>) {
        if let Err(error) = self.relay.handle_chunks(from, chunks) {
            tracing::debug!(%error, "chunks refused");
            if error.is_peer_fault() {
                self.blame(from, &error.to_string());
            }
        }
        self.transmit();
    }

    /// Subscriptions and repair requests; anything else is not for a relay.
    pub(crate) fn handle_control(&mut self, link: LinkId, message: Control) {
        let outcome = match message {
            Control::Subscribe { stream, layers: [s, t, q], stripe_count, stripe_mask } => {
                let policy = LayerPolicy { max_spatial: s, max_temporal: t, max_quality: q };
                StripeSet::new(stripe_count, stripe_mask).map_err(|e| e.to_string()).and_then(|stripes| {
                    self.relay.subscribe(link, StreamId(stream), policy, stripes).map_err(|e| e.to_string())
                })
            }
            Control::Repair { stream, epoch, chunks } => {
                let wanted: Vec<ChunkSeq> = chunks.into_iter().map(ChunkSeq).collect();
                self.relay
                    .handle_repair_request(link, StreamId(stream), Epoch(epoch), &wanted)
                    .map(drop)
                    .map_err(|e| e.to_string())
            }
            _ => Err("a message that this node does not take".into()),
        };
        if let Err(why) = outcome {
            self.refuse(link, why);
        }
        self.transmit();
    }

    pub(crate) fn transmit(&mut self) {
        while let Some(transmit) = self.relay.poll_transmit() {
            if let Some(link) = self.links.get(&transmit.link) {
                link.send_chunks(transmit.chunks);
            }
        }
    }

    /// Tells a peer why it does not get what it asked for, and lets the link go.
    pub(crate) fn refuse(&mut self, link: LinkId, why: String) {
        self.relay.remove_link(link);
        if let Some(link) = self.links.remove(&link) {
            link.refuse(why);
        }
    }

    /// A peer that breaks the protocol loses its link; nobody else notices.
    fn blame(&mut self, link: LinkId, why: &str) {
        tracing::info!(%link, why, "link closed");
        if let Some(link) = self.links.get(&link) {
            link.close(why);
        }
        self.remove_link(link);
    }
}
