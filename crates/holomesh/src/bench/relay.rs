//! The relay that is measured: the one that `holomesh relay` runs, with room for everybody.

use super::Via;
use super::figures::Usage;
use super::process::{Orders, answer, say};
use crate::Error;
use crate::net::{DirectPort, PeerAddress};
use crate::relay::{self, Config};
use crate::ticket::Ticket;
use clap::Args;
use data_encoding::HEXLOWER;
use std::net::SocketAddr;

/// Options of the relay's process.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[arg(long, value_enum)]
    transport: Via,
    ticket: String,
}

/// Where the relay is, in one word: its transport key and its socket address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(pub(super) PeerAddress);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.0.addresses.first().map(SocketAddr::to_string).unwrap_or_default();
        write!(f, "{}@{address}", HEXLOWER.encode(&self.0.endpoint))?;
        match self.0.direct {
            Some(direct) => write!(f, "@{}@{}", direct.port, HEXLOWER.encode(&direct.key_id)),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = |text: &str| -> Result<[u8; 32], String> {
            let key = HEXLOWER.decode(text.as_bytes()).map_err(|e| e.to_string())?;
            key.try_into().map_err(|_| "not a key".into())
        };
        let parts: Vec<&str> = text.split('@').collect();
        let (endpoint, address, direct) = match parts[..] {
            [endpoint, address] => (endpoint, address, None),
            [endpoint, address, port, key_id] => (endpoint, address, Some((port, key_id))),
            _ => return Err("neither two nor four parts".into()),
        };
        let direct = direct.map(|(port, key_id)| {
            let port = port.parse().map_err(|_| "not a port")?;
            Ok::<_, String>(DirectPort { port, key_id: key(key_id)? })
        });
        let addresses = vec![address.parse().map_err(|_| "not an address")?];
        Ok(Self(PeerAddress { endpoint: key(endpoint)?, addresses, direct: direct.transpose()? }))
    }
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    let ticket: Ticket = options.ticket.parse()?;
    let mut config = Config::new(crate::keyfile::random_seed()?, ticket, ([127, 0, 0, 1], 0).into());
    config.lanes = options.transport.lanes();
    config.direct = options.transport == Via::Udp;
    config.limits.links = 8_192;
    config.limits.subscribers_per_stream = 8_192;
    let (stop, stopped) = tokio::sync::mpsc::channel(1);
    let mut orders = Orders::new();
    let node = relay::run_with(config, stopped, |address| {
        // Who can't hear where the relay is will say so.
        let _ = say(&Place(address).to_string());
    });
    tokio::pin!(node);
    let mut stop = Some(stop);
    loop {
        tokio::select! {
            outcome = &mut node => return outcome.map(drop),
            order = orders.next(), if stop.is_some() => match order.as_deref() {
                Some("mark") => answer(&Usage::now())?,
                Some(other) => return Err(Error::input(other, "the relay takes mark and stop")),
                None => {
                    if let Some(stop) = stop.take() {
                        let _ = stop.send(relay::Shutdown::Now).await;
                    }
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_said() {
        for direct in [None, Some(DirectPort { port: 9, key_id: [8; 32] })] {
            let addresses = vec!["127.0.0.1:4433".parse().unwrap()];
            let place = Place(PeerAddress { endpoint: [7; 32], addresses, direct });
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        assert!("07@127.0.0.1:1".parse::<Place>().is_err());
        assert!("nothing".parse::<Place>().is_err());
    }
}
