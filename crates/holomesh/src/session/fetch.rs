//! Asking a host's directory for somebody's key package.

use crate::net::{Control, LinkEvent, Net, NetConfig, Role};
use crate::ticket::Ticket;
use crate::{Error, watch};
use av_mls::SignedKeyPackage;
use core_types::KeyId;
use identity::Seed;
use std::time::Duration;
use tokio::time::timeout;

/// The host must have answered by then.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the host of `ticket` for a key package of its member `owner`: with it `owner` can be added to another session. It is
/// verified. Hosts hand out a few of one owner to one peer; after that it is the one of last resort.
///
/// # Errors
/// [`Error::Connect`] and [`Error::Version`] if the host can't be reached, [`Error::Refused`] if it has none or gives us no
/// more, [`Error::Peer`] if what it gave is not `owner`'s.
pub async fn take_key_package(seed: Seed, ticket: &Ticket, owner: KeyId) -> Result<SignedKeyPackage, Error> {
    let listen = watch::reachable_from(ticket);
    let config = NetConfig { lanes: false, ..NetConfig::new(seed, Role::Watcher, listen) };
    let (net, mut inbox) = Net::open(config).await?;
    let mut host = net.connect_to_host(ticket).await?;
    host.begin();
    host.send(&Control::TakeKeyPackage { invitation: ticket.invitation, owner: owner.0 });
    let answer = timeout(ANSWER_TIMEOUT, async {
        while let Some(event) = inbox.next().await {
            match event {
                LinkEvent::Control(_, Control::KeyPackage { owner: of, package }) if of == owner.0 => {
                    return Ok(package);
                }
                LinkEvent::Control(_, Control::Refused { why }) => return Ok(Err(why)),
                LinkEvent::Down(_, why) => return Err(Error::Connect { peer: "the host".into(), why }),
                _ => {}
            }
        }
        Err(Error::Ended("the network"))
    })
    .await;
    net.close().await;
    let refused = |why| Error::Refused { peer: ticket.host, why };
    let package = answer.map_err(|_| refused("no answer".into()))??.map_err(refused)?;
    let package = SignedKeyPackage::from_bytes(&package)?;
    if package.verify()?.key_id() != owner {
        let why = format!("it gave a key package of another peer than {}", owner.short());
        return Err(Error::Peer { peer: ticket.host.to_string(), why });
    }
    Ok(package)
}
