//! A node that does nothing but keep a store: it serves what is there and lets go of what is due.

use super::{Config, Place, Recorder};
use crate::Error;
use crate::net::{Link, LinkEvent, Net, NetConfig, Role};
use core_types::LinkId;
use identity::Seed;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Serves a store until `end` is done.
///
/// # Errors
/// [`Error::Network`] if it can't listen; [`Error::Store`] if the store can't be opened.
pub async fn serve(
    config: Config,
    listen: SocketAddr,
    end: impl Future<Output = ()>,
    ready: impl FnOnce(Place),
) -> Result<(), Error> {
    let net = NetConfig { lanes: false, ..NetConfig::new(Seed(config.seed.0), Role::Relay, listen) };
    let recorder = Recorder::start(config)?;
    let (net, mut inbox) = Net::open(net).await?;
    ready(Place(net.address()));
    let mut links: BTreeMap<LinkId, Link> = BTreeMap::new();
    tokio::pin!(end);
    loop {
        let event = tokio::select! {
            event = inbox.next() => event.ok_or(Error::Ended("the network"))?,
            () = &mut end => break,
        };
        match event {
            LinkEvent::Up(mut link) => {
                link.begin();
                links.insert(link.id, *link);
            }
            LinkEvent::Control(id, message) => match links.get(&id) {
                Some(link) if Recorder::takes(&message) => recorder.handle(link, message),
                _ => {
                    if let Some(link) = links.remove(&id) {
                        link.refuse("this node has a store and nothing else");
                    }
                }
            },
            LinkEvent::Down(id, _) => drop(links.remove(&id)),
            LinkEvent::Chunks(id, _) => {
                if let Some(link) = links.remove(&id) {
                    link.refuse("this node takes no media");
                }
            }
            LinkEvent::Lane(..) | LinkEvent::Writable(_) => {}
        }
    }
    net.close().await;
    let finished = tokio::task::spawn_blocking(|| recorder.finish()).await;
    finished.map_err(|_| Error::Ended("the recorder")).and_then(|finished| finished).map(drop)
}
